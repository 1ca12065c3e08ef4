// Layer 4, private to cells*.cpp. The regions of a cell of the last stage that its last one or two units cut, found from the
// values at its vertices without dividing it: nothing comes after them, and they are most of all divisions.
//
// Two units u and v that cut the cell: a combination of signs that a vertex has is a region. One that no vertex has, say u and
// v positive, is a region iff v is positive somewhere on the hyperplane of u within the cell, hence at an end of that section,
// where an edge crosses it; with no vertex in the combination that edge runs from u > 0 > v to u < 0 < v, and v is positive
// there iff |u| |v'| > |u'| |v|, the latter values at its end.
#pragma once

#include "cell_emit.h"

namespace pyregions {

// Regions are handed out in the order of the bits (of several units the first is the lowest), along a line ascending. False,
// and nothing handed out, where doubles leave anything open, the cell is unbounded, or only one side of a unit is wanted.
template <int D, int W>
template <int K>
bool CellSplitter<D, W>::emit_last(const Level& level, const Node& node) {
  LastCuts<K> cuts;
  Index next = 0;
  for (std::size_t u = 0; u < K; ++u) {
    while (!bit(node.open.data(), next)) ++next;
    cuts.rows[u] = unit_row(level, level.candidates[static_cast<std::size_t>(next)]);
    cuts.candidates[u] = next++;
    if ((*fixed_)[static_cast<std::size_t>(cuts.rows[u].id)] >= 0) return false;
  }
  if (K == 1 && detail_ == Detail::count) {
    ++tally_.last_cuts;
    count_region();
    count_region();
    return true;
  }
  if (!find_corners(level, node, cuts)) return false;
  if constexpr (K == 2)
    if (!find_corners_on_edges(level, node, cuts)) return false;
  pattern_of(level, node, pattern_scratch_);
  if (detail_ != Detail::count && !find_points(level, node, cuts)) return false;
  ++tally_.last_cuts;
  const unsigned turned = D == 1 && last_combinations_[0] != 0;
  for (unsigned k = 0; k < cuts.corners.size(); ++k) {
    const auto& corner = cuts.corners[k ^ turned];
    if (!corner.exists) continue;
    count_region();
    if (detail_ == Detail::count) continue;
    for (std::size_t u = 0; u < K; ++u) put_bit(pattern_scratch_.data(), cuts.rows[u].id, (((k ^ turned) >> u) & 1) != 0);
    hand_out(pattern_scratch_, true, corner.inside);
  }
  return true;
}

// Values at the vertices, and for every combination of signs the vertex farthest into it (none where all values round to 0:
// find_points() then finds nothing).
template <int D, int W>
template <int K>
bool CellSplitter<D, W>::find_corners(const Level& level, const Node& node, LastCuts<K>& cuts) {
  const std::size_t count = node.entries.size();
  const double share = 1 / static_cast<double>(count);
  last_values_.resize(count);
  last_combinations_.resize(count);
  std::array<double, std::size_t{1} << K> depths{};
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t vertex = node.entries[i].vertex;
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(vertex)];
    if (v.far) return false;
    const std::uint64_t* signs = level.candidate_signs.data() + vertex * 2 * level.words;
    unsigned combination = 0;
    bool on_one = false;
    double depth = std::numeric_limits<double>::infinity();
    for (std::size_t u = 0; u < K; ++u) {
      double value = cuts.rows[u].c;
      for (std::size_t k = 0; k < D; ++k) value += cuts.rows[u].a[k] * v.x[k];
      last_values_[i][u] = value;
      cuts.middle[u] += share * value;
      depth = std::min(depth, std::fabs(value));
      const bool above = bit(signs, cuts.candidates[u]);
      combination |= unsigned{above} << u;
      on_one = on_one || (!above && !bit(signs + level.words, cuts.candidates[u]));
    }
    for (std::size_t k = 0; k < D; ++k) cuts.mean[k] += share * v.x[k];
    last_combinations_[i] = combination;
    if (K > 1 && on_one) return false;
    if (on_one) continue;
    Corner& corner = cuts.corners[combination];
    corner.exists = true;
    if (!(depth > depths[combination])) continue;
    depths[combination] = depth;
    corner.point = v.x;
    corner.error = v.x_error;
    corner.values = last_values_[i];
  }
  return true;
}

// Which of two units that both change sign along an edge changes first, by values and bounds at its ends; -1 where they do not
// tell.
inline int crossed_first(const std::array<double, 2>& at_i, const std::array<double, 2>& at_j, const std::array<double, 2>& bound_i,
                         const std::array<double, 2>& bound_j) {
  const double u = std::fabs(at_i[0]), v = std::fabs(at_i[1]), other_u = std::fabs(at_j[0]), other_v = std::fabs(at_j[1]);
  const double later = u * other_v - other_u * v;  // the crossing of u, if positive
  const double error = (bound_i[0] * (other_v + bound_j[1]) + u * bound_j[1] + bound_j[0] * (v + bound_i[1]) + other_u * bound_i[1] +
                        gamma(4) * (u * other_v + other_u * v)) * inflate(16) + underflow(8);
  if (!(std::fabs(later) > error)) return -1;
  return later > 0 ? 1 : 0;
}

// Combinations that no vertex has but an edge meets between its crossings of the two hyperplanes, and the point amidst them.
// Such edges lead from one combination to its opposite, both of them with vertices.
template <int D, int W>
bool CellSplitter<D, W>::find_corners_on_edges(const Level& level, const Node& node, LastCuts<2>& cuts) {
  auto& corners = cuts.corners;
  const unsigned from = corners[0].exists && corners[3].exists ? 0 : 1;
  if (corners[from ^ 1].exists && corners[from ^ 2].exists) return true;
  side_.resize(node.entries.size());
  for (std::size_t i = 0; i < side_.size(); ++i)
    side_[i] = static_cast<std::int8_t>((last_combinations_[i] == from) - (last_combinations_[i] == (from ^ 3)));
  find_edges(node, side_);
  const auto bounds = [&](const Vertex<D>& v) {
    double size = 0;
    for (const double x : v.x) size = std::max(size, std::fabs(x));
    std::array<double, 2> bound;
    for (std::size_t u = 0; u < 2; ++u) {
      const Index j = cuts.candidates[u];
      bound[u] = level.forms.slope_x[j] * size + level.forms.slope_error[j] * v.x_error + level.forms.constant[j] + underflow(D + 4);
    }
    return bound;
  };
  constexpr double kNever = std::numeric_limits<double>::infinity();  // to be replaced: a vertex has the combination
  std::array<double, 2> longest{corners[from ^ 1].exists ? kNever : -1, corners[from ^ 2].exists ? kNever : -1};
  for (const auto& [i, j] : edges_.found()) {
    const Vertex<D>&a = level.vertices[static_cast<std::size_t>(node.entries[static_cast<std::size_t>(i)].vertex)],
                    &b = level.vertices[static_cast<std::size_t>(node.entries[static_cast<std::size_t>(j)].vertex)];
    const auto &at_a = last_values_[static_cast<std::size_t>(i)], &at_b = last_values_[static_cast<std::size_t>(j)];
    const int which = crossed_first(at_a, at_b, bounds(a), bounds(b));
    if (which < 0) return false;
    const auto first = static_cast<std::size_t>(which);
    std::array<double, 2> crossing;  // shares of the edge
    for (std::size_t u = 0; u < 2; ++u) crossing[u] = std::fabs(at_a[u]) / (std::fabs(at_a[u]) + std::fabs(at_b[u]));
    const double length = std::fabs(crossing[0] - crossing[1]), share = 0.5 * (crossing[0] + crossing[1]);
    Corner& corner = corners[from ^ (1u << first)];
    if (!(length > longest[first])) continue;
    longest[first] = length;
    corner.exists = true;
    for (std::size_t k = 0; k < D; ++k) corner.point[k] = a.x[k] + share * (b.x[k] - a.x[k]);
    corner.error = std::max(a.x_error, b.x_error) + gamma(6) * (size_of(a.x) + size_of(b.x)) + underflow(4);
    for (std::size_t k = 0; k < 2; ++k) corner.values[k] = at_a[k] + share * (at_b[k] - at_a[k]);
  }
  return true;
}

// A point inside each region: the mean of the vertices, or from there towards the corner, half way beyond the last hyperplane
// on the way. False where doubles do not prove it inside. A row is at least r |a|_1 at the mean (room_at) and at least
// -error |a|_1 at the corner, so that it is positive between where (1 - step) r > step error + what rounding moves the point.
template <int D, int W>
template <int K>
bool CellSplitter<D, W>::find_points(const Level& level, const Node& node, LastCuts<K>& cuts) const {
  const double room = room_at(level, node, pattern_scratch_, cuts.mean), mean_size = size_of(cuts.mean);
  for (unsigned c = 0; c < cuts.corners.size(); ++c) {
    Corner& corner = cuts.corners[c];
    if (!corner.exists) continue;
    double crossing = -1;
    for (std::size_t u = 0; u < K; ++u)
      if ((cuts.middle[u] > 0) != ((c >> u & 1) != 0)) crossing = std::max(crossing, cuts.middle[u] / (cuts.middle[u] - corner.values[u]));
    const double step = crossing < 0 ? 0 : 0.5 + 0.5 * crossing;
    for (std::size_t k = 0; k < D; ++k) corner.inside[k] = cuts.mean[k] + step * (corner.point[k] - cuts.mean[k]);
    const double moved = step * corner.error + gamma(6) * (mean_size + size_of(corner.point)) + underflow(4);
    if (!((1 - step) * room > moved * inflate(8))) return false;
    const double length = size_of(corner.inside);
    for (std::size_t u = 0; u < K; ++u)
      if (!inside_row(cuts.rows[u], (c >> u & 1) != 0, corner.inside.data(), length)) return false;
  }
  return true;
}

}  // namespace pyregions
