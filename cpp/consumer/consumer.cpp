// A user of the installed core: a network with two inputs, two ReLU units and two outputs, evaluated at one point.
#include <pyregions/network.h>

#include <cstdio>

using namespace pyregions;

static Matrix matrix2(double a, double b, double c, double d) {
  Matrix m(2, 2);
  m(0, 0) = a, m(0, 1) = b, m(1, 0) = c, m(1, 1) = d;
  return m;
}

int main() {
  Network net(2);
  const int pre = net.add_affine({{0, LinearMap::from_dense(matrix2(1, -1, 1, 1))}}, {0, -2});  // x - y, x + y - 2
  const int post = net.add_hinge(pre, {0, 0}, {1, 1});
  net.add_affine({{post, LinearMap::from_dense(matrix2(2, 1, 1, 1))}}, {-0.5, -3.5});
  net.finish();

  const double point[] = {2, -1};
  Matrix points(1, 2);
  points(0, 0) = point[0], points(0, 1) = point[1];
  const Network::Values values = net.forward(points);
  std::printf("f(%g, %g) = %g %g\n", point[0], point[1], values.out(0, 0), values.out(0, 1));
}
