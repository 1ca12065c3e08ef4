// Slacks in the coordinates of the first stage against exact arithmetic.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "first_stage_slacks.h"
#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

// At points near and far in the frame, and beyond every unit without slope, the exact slacks lie within the bounds.
void check_frame(const RowSystem& rows, const Vector& center, bool usual) {
  const Frame frame = make_frame(rows, center);
  REQUIRE(frame.kind == Frame::Kind::first_stage);
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  const FirstStageSlacks slacks(rows, frame, rows.slacks(one));
  Generator generator(7);
  for (const double size : {0x1p-30, 1.0, 0x1p30, 0x1p-300, 0x1p300, 0x1p900}) {
    const Matrix y = random_matrix(4, frame.dim, generator, size), x = frame.to_x(y);
    const RowSystem::Slacks found = slacks.at_points(y);
    for (Index i = 0; i < y.rows(); ++i)
      check_slacks(rows, x.row(i), found, i, usual && size <= 0x1p30 ? norm2(y.row(i), y.cols()) : -1);
    for (Index f = 0; f < static_cast<Index>(frame.free_units.size()); ++f) {
      RowSystem::Slacks beyond{Matrix(1, rows.size()), Matrix(1, rows.size())};
      const double t = (f % 2 == 0 ? size : -size) * std::fabs(center[0]);
      Vector at_t = center;
      axpy(t, frame.free_lift.row(f), at_t.data(), rows.dim());
      slacks.beyond_free(f, t, 0, beyond);
      check_slacks(rows, at_t.data(), beyond, 0, usual && size <= 0x1p30 ? std::fabs(t) * norm2(frame.free_lift.row(f), rows.dim()) : -1);
    }
  }
}

RowSystem cell_rows(const std::shared_ptr<const Network>& net, const Vector& point) {
  const auto cell = cell_at(net, point, all_of(static_cast<Index>(point.size())), true);
  return RowSystem(cell->rows().network_ptr(), cell->rows().pattern(), cell->rows().domain_ptr());
}

// A second layer and an output behind the hinge `node`, then several regions of the network.
void check_deeper(Network&& net, int node, Index width, Generator& generator, int regions, bool usual) {
  const Index inputs = net.inputs();
  node = net.add_affine({{node, random_dense(width, net.nodes().back().width, generator)}}, random_vector(width, generator));
  node = add_relu(net, node);
  net.add_affine({{node, random_dense(2, width, generator)}}, random_vector(2, generator));
  net.finish();
  const auto shared = share(std::move(net));
  for (int region = 0; region < regions; ++region) {
    const Vector point = random_vector(inputs, generator, 3.0);
    check_frame(cell_rows(shared, point), point, usual);
  }
}

}  // namespace

TEST_CASE("slacks in the first stage: networks at every scale, several regions of each") {
  Generator generator(1);
  for (const double scale : {1.0, 0x1p-150, 0x1p100, 0x1p-300})
    for (const std::vector<Index>& widths : {std::vector<Index>{6, 4, 8, 2}, {9, 9, 7, 7, 2}, {3, 1, 4, 2}, {12, 10, 2}}) {
      const auto net = share(mlp(widths, generator, true, scale));
      for (int region = 0; region < 3; ++region) {
        const Vector point = random_vector(widths[0], generator, 4.0);
        check_frame(cell_rows(net, point), point, scale == 1);
      }
    }
}

TEST_CASE("slacks in the first stage: slopes of every sign, diagonal maps, a unit without a row") {
  Generator generator(2);
  Network net(6);
  Matrix first = random_matrix(5, 6, generator);
  std::fill_n(first.row(2), 6, 0.0);
  int node = net.add_affine({{0, LinearMap::from_dense(std::move(first))}}, random_vector(5, generator));
  node = net.add_affine({{node, LinearMap::from_diagonal({0.3, -1.7, 1, 3, 1})}}, random_vector(5, generator));
  node = net.add_hinge(node, {0.01, -1, 0, 0, 0.1}, {1, 1, 1, 0, -0.7});
  check_deeper(std::move(net), node, 6, generator, 8, true);
}

TEST_CASE("slacks in the first stage: nearly dependent rows, and rows of very different lengths") {
  Generator generator(3);
  for (const double apart : {0x1p-4, 0x1p-8})
    for (const double length : {1.0, 0x1p-600, 0x1p600}) {
      Network net(4);
      Matrix first = random_matrix(3, 4, generator);
      for (Index k = 0; k < 4; ++k) first(1, k) = length * (first(0, k) + apart * first(1, k));
      int node = net.add_affine({{0, LinearMap::from_dense(std::move(first))}}, {0.3, 0.1 * length, -0.2});
      node = add_relu(net, node);
      check_deeper(std::move(net), node, 5, generator, 4, false);
    }
}
