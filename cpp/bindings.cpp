// Layer 5. The Python module: converts, checks, releases the GIL, calls. No algorithm.
#include "bindings.h"

#include "lp.h"
#include "pool.h"

PYBIND11_MODULE(_core, m) {
  using namespace pyregions;
  m.doc() = "The compiled core of pyregions.";
  bindings::register_errors(m);
  bindings::register_network(m);
  bindings::register_cell(m);
  bindings::register_cells(m);
  bindings::register_exact(m);
  bindings::register_nearby(m);
  m.attr("highs_built_with") = PYREGIONS_HIGHS_VERSION;  // the headers' version; the library's is asked at import
  m.def("highs_version", &highs_version);
  m.def("available_cpus", &available_cpus);
}
