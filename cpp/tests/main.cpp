// The runner of the C++ tests. Floating-point state is that of the engine's threads.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "dense.h"

int main(int argc, char** argv) {
  const pyregions::FloatEnvironment environment;
  doctest::Context context(argc, argv);
  return context.run();
}
