// Slacks along the normals of rows, from products of rows, against exact arithmetic.
#include <doctest/doctest.h>

#include <cmath>

#include "along_normals.h"
#include "make_cells.h"
#include "parallel_dense.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

// At some points along every normal the exact slacks lie within the bounds, which are small where nothing is extreme.
void check_along(const RowSystem& rows, const Vector& center, bool usual) {
  const Frame frame = make_frame(rows, center);
  REQUIRE(frame.kind == Frame::Kind::ambient);
  const Matrix products = gram(2, frame.G);
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  const auto along = AlongNormals::of(rows, frame, products, rows.slacks(one));
  REQUIRE(along);
  std::vector<AlongNormals::Step> steps;
  Matrix y(3 * frame.rows(), frame.dim);
  for (Index e = 0; e < frame.rows(); ++e)
    for (const double share : {0x1p-30, 0.7, 1e6}) {
      const Index i = static_cast<Index>(steps.size());
      steps.push_back({e, share * frame.h[at(e)]});
      for (Index k = 0; k < frame.dim; ++k) y(i, k) = frame.G(e, k) * steps.back().t;
    }
  const Matrix x = frame.to_x(y);
  const RowSystem::Slacks slacks = along->slacks(steps, x);
  for (Index j = 0; j < rows.size(); ++j) {
    const ExactRow row = rows.exact_row(j);
    for (Index i = 0; i < x.rows(); ++i) {
      const Dyadic exact = row.b - dot(row.a, DyadicVector(x.row(i), x.cols()));
      const double value = slacks.value(i, j), error = slacks.error(i, j);
      if (!std::isfinite(value) || !std::isfinite(error)) continue;
      const Dyadic off = exact - Dyadic(value);
      CHECK((off.sign() < 0 ? -off : off).compare(Dyadic(error)) <= 0);
      const double size = std::fabs(value) + rows.norm_upper()[at(j)] * (norm2(x.row(i), x.cols()) + std::fabs(steps[at(i)].t));
      if (usual) CHECK(error <= 1e-10 * size);
    }
  }
}

RowSystem cell_rows(Network&& net, const Vector& point) {
  const auto cell = cell_at(share(std::move(net)), point, all_of(static_cast<Index>(point.size())), true);
  return RowSystem(cell->rows().network_ptr(), cell->rows().pattern(), cell->rows().domain_ptr());
}

}  // namespace

TEST_CASE("slacks along normals: composed rows at every scale") {
  Generator generator(1);
  for (const double scale : {1.0, 0x1p-150, 0x1p100})
    for (const std::vector<Index>& widths : {std::vector<Index>{3, 8, 6, 2}, {5, 12, 8, 2}, {4, 9, 9, 9, 2}}) {
      const Vector point = random_vector(widths[0], generator);
      check_along(cell_rows(mlp(widths, generator, true, scale), point), point, scale == 1);
    }
}

TEST_CASE("slacks along normals: rows of a polytope, long and short ones") {
  for (const double scale : {1.0, 0x1p400, 0x1p-400}) {
    const std::vector<Vector> normals{{scale, 0, 0}, {-1, 0, 0.5}, {0, scale, 1}, {0, -1, 0}, {1, 1, 1}};
    const RowSystem rows = rows_of(polytope(normals, {scale, 1, scale, 1, 0.25}));
    check_along(rows, {0.1, -0.2, 0.05}, scale == 1);
  }
}

TEST_CASE("no slacks along normals where bounds are apart from the rows") {
  const RowSystem rows = rows_of(cube(3, 1));
  const Frame frame = make_frame(rows, constant(3, 0.0));
  CHECK_FALSE(AlongNormals::of(rows, frame, gram(1, frame.G), rows.slacks(Matrix(1, 3))));
}
