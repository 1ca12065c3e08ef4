// Slacks along the images of rows, from products of images, against exact arithmetic.
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "along_images.h"
#include "make_cells.h"
#include "parallel_dense.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

// A lower triangle that is no metric of anything.
Matrix some_metric(Index K, double scale, Generator& generator) {
  Matrix lower(K, K);
  for (Index i = 0; i < K; ++i) {
    const Vector row = random_vector(i + 1, generator);
    for (Index j = 0; j <= i; ++j) lower(i, j) = scale * row[at(j)];
  }
  return lower;
}

// At some points along every image the exact slacks lie within the bounds, which are small where nothing is extreme: with the
// identity, and with metrics of several sizes.
void check_along(const RowSystem& rows, const Vector& center, bool usual, double metric = 1) {
  const Frame frame = make_frame(rows, center);
  REQUIRE(frame.kind == Frame::Kind::ambient);
  Generator generator(7);
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  for (const double size_of_metric : {0.0, metric, 0x1p-300, 0x1p300}) {
    RowImages images{size_of_metric > 0 ? some_metric(frame.dim, size_of_metric, generator) : Matrix(), frame.G};
    if (size_of_metric > 0) multiply_right(1, true, images.to_y, images.rows);
    const Matrix products = gram(2, images.rows);
    const auto along = AlongImages::of(rows, frame, images, products, rows.slacks(one));
    REQUIRE(along);
    std::vector<AlongImages::Step> steps;
    std::vector<Index> entry;
    for (Index e = 0; e < frame.rows(); ++e)
      for (const double share : {0x1p-30, 0.7, 1e6}) {
        entry.push_back(e);
        steps.push_back({e, share * frame.h[at(e)] / (size_of_metric > 0 ? size_of_metric * size_of_metric : 1.0)});
      }
    Matrix y = gather_rows(images.rows, entry);
    if (size_of_metric > 0) multiply_right(1, false, images.to_y, y);
    for (Index i = 0; i < y.rows(); ++i)
      for (Index k = 0; k < frame.dim; ++k) y(i, k) *= steps[at(i)].t;
    const Matrix x = frame.to_x(y);
    RowSystem::Slacks slacks;
    for (Index i = 0; i < x.rows(); ++i) {
      along->slacks(steps[at(i)], y.row(i), x.row(i), slacks);
      check_slacks(rows, x.row(i), slacks, 0, usual && size_of_metric <= 1 ? norm2(y.row(i), y.cols()) : -1);
    }
  }
}

RowSystem cell_rows(Network&& net, const Vector& point) {
  const auto cell = cell_at(share(std::move(net)), point, all_of(static_cast<Index>(point.size())), true);
  return RowSystem(cell->rows().network_ptr(), cell->rows().pattern(), cell->rows().domain_ptr());
}

}  // namespace

TEST_CASE("slacks along images: composed rows at every scale") {
  Generator generator(1);
  for (const double scale : {1.0, 0x1p-150, 0x1p100})
    for (const std::vector<Index>& widths : {std::vector<Index>{3, 8, 6, 2}, {5, 12, 8, 2}, {4, 9, 9, 9, 2}}) {
      const Vector point = random_vector(widths[0], generator);
      check_along(cell_rows(mlp(widths, generator, true, scale), point), point, scale == 1);
    }
}

TEST_CASE("slacks along images: rows of a polytope, long and short ones") {
  for (const double scale : {1.0, 0x1p400, 0x1p-400}) {
    const std::vector<Vector> normals{{scale, 0, 0}, {-1, 0, 0.5}, {0, scale, 1}, {0, -1, 0}, {1, 1, 1}};
    const RowSystem rows = rows_of(polytope(normals, {scale, 1, scale, 1, 0.25}));
    check_along(rows, {0.1, -0.2, 0.05}, scale == 1);
  }
}

TEST_CASE("slacks along images: what overflows claims nothing, what underflows is counted") {
  // Rows so long that length * t * p overflows where the point itself does not; and rows so short that their slopes underflow, in a
  // cell so thin that t is large.
  for (const auto& [length, distance, metric] : {std::array<double, 3>{0x1p960, 0x1p130, 0}, {0x1p500, 0x1p600, 0}, {0x1p-880, 0x1p-100, 0x1p-100},
                                                 {0x1p-865, 0x1p-120, 0x1p-60}, {0x1p-900, 0x1p-10, 0x1p-200}}) {
    const std::vector<Vector> normals{{1, 0, 0}, {-1, 0, 0}, {length, 0.3 * length, 0x1p-53 * length}, {-length, 0.2 * length, length}, {0, 0.5, 1}};
    const RowSystem rows = rows_of(polytope(normals, {distance, 1, length, length, 2 * distance}));
    check_along(rows, {0, 0, 0}, false, metric);
  }
}

TEST_CASE("no slacks along images where bounds are apart from the rows") {
  const RowSystem rows = rows_of(cube(3, 1));
  const Frame frame = make_frame(rows, constant(3, 0.0));
  CHECK_FALSE(AlongImages::of(rows, frame, {{}, frame.G}, gram(1, frame.G), rows.slacks(Matrix(1, 3))));
}
