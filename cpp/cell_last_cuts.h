// Layer 4, private to cells*.cpp. The regions of a cell of the last stage that its last few units cut, found on its vertices
// and edges without dividing it: nothing comes after them, and they are most of all divisions.
//
// A combination of signs that a vertex has, or an edge between two crossings, is a region. Whether these are all follows from
// their number, in a bounded cell with no vertex on any of the hyperplanes. (1) Two of them cross within the cell iff all four
// combinations of their signs are found: where u vanishes v has its largest and its least value at ends of that section, which
// edges cross there. (2) There are no more regions than sets of at most D hyperplanes that cross in pairs, the empty one among
// them: a further hyperplane adds as many as others cut it into, which by the same law is no more than the sets that it completes
// (one that coincides with another crosses it nowhere and adds none). So if as many are found, no other exists.
#pragma once

#include "cell_emit.h"

namespace pyregions {

// The sets of at most `most` members of `among` that cross in pairs; crosses[u] holds the later ones that u crosses.
template <std::size_t K>
std::size_t sets_that_cross(unsigned among, const std::array<unsigned, K>& crosses, int most) {
  std::size_t count = 1;
  if (most > 0)
    for (; among; among &= among - 1)
      count += sets_that_cross(among & crosses[static_cast<std::size_t>(__builtin_ctz(among))], crosses, most - 1);
  return count;
}

// The combinations of signs with bit u.
constexpr std::uint64_t with_bit(std::size_t u) {
  constexpr std::array<std::uint64_t, 6> kWith{0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0,
                                               0xff00ff00ff00ff00, 0xffff0000ffff0000, 0xffffffff00000000};
  return kWith[u];
}

// Whether there can be no other combinations of K signs than those found, a bit each; see the head of the file.
template <std::size_t K>
bool none_missing(std::uint64_t found, int dimension) {
  std::array<unsigned, K> crosses{};
  for (std::size_t u = 0; u < K; ++u)
    for (std::size_t v = u + 1; v < K; ++v) {
      const std::uint64_t above_u = with_bit(u), above_v = with_bit(v);
      const bool all_four = (found & above_u & above_v) && (found & above_u & ~above_v) && (found & ~above_u & above_v) &&
                            (found & ~above_u & ~above_v);
      crosses[u] |= unsigned{all_four} << v;
    }
  return static_cast<std::size_t>(__builtin_popcountll(found)) == sets_that_cross((1u << K) - 1, crosses, dimension);
}

// Regions are handed out in the order in which divisions would come to them. False, and nothing handed out, where doubles leave
// anything open, regions may be missing, the cell is unbounded, a vertex lies on one of several units, or only one side of one
// is wanted.
template <int D, int W>
template <std::size_t K>
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
  if constexpr (K > 1)
    if (!find_corners_on_edges(level, node, cuts) || !none_missing<K>(cuts.found, D)) return false;
  pattern_of(level, node, pattern_scratch_);
  if (detail_ != Detail::count && !find_points(level, node, cuts)) return false;
  ++tally_.last_cuts;
  const bool descending = D == 1 && cuts.signs[0] != 0;  // along a line from end to end
  hand_out_in_order(cuts, cuts.found, descending);
  return true;
}

// Values and signs at the vertices, and for every combination of signs the vertex farthest into it.
template <int D, int W>
template <std::size_t K>
bool CellSplitter<D, W>::find_corners(const Level& level, const Node& node, LastCuts<K>& cuts) {
  const std::size_t count = node.entries.size();
  const double share = 1 / static_cast<double>(count);
  if (last_values_.size() < K * count) last_values_.resize(K * count);
  if (last_signs_.size() < count) last_signs_.resize(count);
  cuts.values = last_values_.data();
  cuts.signs = last_signs_.data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t vertex = node.entries[i].vertex;
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(vertex)];
    if (v.far) return false;
    const std::uint64_t* signs = level.candidate_signs.data() + vertex * 2 * level.words;
    unsigned combination = 0;
    bool on_one = false;
    double depth = std::numeric_limits<double>::max();
    for (std::size_t u = 0; u < K; ++u) {
      double value = cuts.rows[u].c;
      for (std::size_t k = 0; k < D; ++k) value += cuts.rows[u].a[k] * v.x[k];
      last_values_[K * i + u] = value;
      cuts.middle[u] += share * value;
      depth = std::min(depth, std::fabs(value));
      const bool above = bit(signs, cuts.candidates[u]);
      combination |= unsigned{above} << u;
      on_one = on_one || (!above && !bit(signs + level.words, cuts.candidates[u]));
    }
    for (std::size_t k = 0; k < D; ++k) cuts.mean[k] += share * v.x[k];
    last_signs_[i] = static_cast<std::uint8_t>(combination);
    if (on_one && K > 1) return false;
    if (!on_one) cuts.offer(combination, depth, i, i, 0);
  }
  return true;
}

// Whether of two units that change sign along an edge the first one changes first, for certain: at |begin| / (|begin| + |end|) of
// the edge, so iff |begin| |other end| < |end| |other begin|. Exact values are off by no more than the bounds, a product by each
// bound times the other factor, whose own bound is added once; two products and a difference are rounded.
inline bool surely_first(const AlongEdge& first, const AlongEdge& second) {
  const double u = std::fabs(first.begin), v = std::fabs(second.begin), other_u = std::fabs(first.end), other_v = std::fabs(second.end);
  const double earlier = other_u * v - u * other_v;
  const double error = (first.begin_bound * (other_v + second.end_bound) + u * second.end_bound +
                        first.end_bound * (v + second.begin_bound) + other_u * second.begin_bound +
                        gamma(4) * (u * other_v + other_u * v)) * inflate(16) + underflow(8);
  return earlier > error;
}

// Combinations between two crossings on an edge, and the point amidst them.
template <int D, int W>
template <std::size_t K>
bool CellSplitter<D, W>::find_corners_on_edges(const Level& level, const Node& node, LastCuts<K>& cuts) {
  const std::uint64_t at_vertices = cuts.found;
  if (at_vertices == ~std::uint64_t{0} >> (64 - (1u << K))) return true;
  find_all_edges(node);
  for (const auto& [i, j] : edges_.found()) {
    const unsigned changed = cuts.signs[i] ^ cuts.signs[j];
    if ((changed & (changed - 1)) == 0) continue;  // one crossing at most
    if (!find_corners_between(level, node, cuts, static_cast<std::size_t>(i), static_cast<std::size_t>(j), at_vertices)) return false;
  }
  return true;
}

// The units that change sign along an edge, in order of what floats say of where.
template <int D, int W>
template <std::size_t K>
std::size_t CellSplitter<D, W>::find_crossings(const Level& level, const Node& node, const LastCuts<K>& cuts, std::size_t i,
                                               std::size_t j, std::array<Crossing, K>& crossings) const {
  const Vertex<D>&a = level.vertices[static_cast<std::size_t>(node.entries[i].vertex)],
                  &b = level.vertices[static_cast<std::size_t>(node.entries[j].vertex)];
  std::size_t count = 0;
  for (unsigned left = cuts.signs[i] ^ cuts.signs[j]; left; left &= left - 1) {
    const auto u = static_cast<unsigned>(__builtin_ctz(left));
    const Index c = cuts.candidates[u];
    const double at_a = cuts.values[K * i + u], at_b = cuts.values[K * j + u];
    const Crossing one{std::fabs(at_a) / (std::fabs(at_a) + std::fabs(at_b)), u,
                       {at_a, at_b, level.forms.bound_near(c, a), level.forms.bound_near(c, b)}};
    std::size_t at = count++;
    for (; at > 0 && crossings[at - 1].share > one.share; --at) crossings[at] = crossings[at - 1];
    crossings[at] = one;
  }
  return count;
}

// False where it is not certain in which order the units change.
template <int D, int W>
template <std::size_t K>
bool CellSplitter<D, W>::find_corners_between(const Level& level, const Node& node, LastCuts<K>& cuts, std::size_t i, std::size_t j,
                                              std::uint64_t at_vertices) const {
  std::array<Crossing, K> crossings;
  const std::size_t count = find_crossings(level, node, cuts, i, j, crossings);
  unsigned signs = cuts.signs[i];
  for (std::size_t k = 0; k + 1 < count; ++k) {
    const Crossing &here = crossings[k], &next = crossings[k + 1];
    if (!surely_first(here.values, next.values)) return false;
    signs ^= 1u << here.unit;
    if (!(at_vertices >> signs & 1)) cuts.offer(signs, next.share - here.share, i, j, 0.5 * (here.share + next.share));
  }
  return true;
}

// A point inside each region: the mean of the vertices, or from there towards the corner, half way beyond the last hyperplane
// on the way. False where doubles do not prove it inside. A row is at least r |a|_1 at the mean (room_at) and at least
// -error |a|_1 at the corner, so that it is positive between where (1 - step) r > step error + what rounding moves the point.
template <int D, int W>
template <std::size_t K>
bool CellSplitter<D, W>::find_points(const Level& level, const Node& node, LastCuts<K>& cuts) const {
  const double room = room_at(level, node, pattern_scratch_, cuts.mean), mean_size = size_of(cuts.mean);
  for (std::uint64_t left = cuts.found; left; left &= left - 1) {
    const auto signs = static_cast<unsigned>(__builtin_ctzll(left));
    Corner& corner = cuts.corners[signs];
    const Vertex<D>&a = level.vertices[static_cast<std::size_t>(node.entries[corner.from].vertex)],
                    &b = level.vertices[static_cast<std::size_t>(node.entries[corner.to].vertex)];
    std::array<double, D> point = a.x;
    double error = a.x_error;
    if (corner.share > 0) {
      for (std::size_t k = 0; k < D; ++k) point[k] += corner.share * (b.x[k] - a.x[k]);
      error = std::max(a.x_error, b.x_error) + gamma(6) * (size_of(a.x) + size_of(b.x)) + underflow(4);
    }
    double crossing = -1;
    for (std::size_t u = 0; u < K; ++u) {
      if ((cuts.middle[u] > 0) == ((signs >> u & 1) != 0)) continue;
      const double at_a = cuts.values[K * corner.from + u], value = at_a + corner.share * (cuts.values[K * corner.to + u] - at_a);
      crossing = std::max(crossing, cuts.middle[u] / (cuts.middle[u] - value));
    }
    const double step = crossing < 0 ? 0 : 0.5 + 0.5 * crossing;
    for (std::size_t k = 0; k < D; ++k) corner.inside[k] = cuts.mean[k] + step * (point[k] - cuts.mean[k]);
    const double moved = step * error + gamma(6) * (mean_size + size_of(point)) + underflow(4);
    if (!((1 - step) * room > moved * inflate(8))) return false;
    const double length = size_of(corner.inside);
    for (std::size_t u = 0; u < K; ++u)
      if (!inside_row(cuts.rows[u], (signs >> u & 1) != 0, corner.inside.data(), length)) return false;
  }
  return true;
}

// As divisions come to them: by the unit in the middle of those that cut the part (see choose()), first where it is below, or
// above if descending. found: the combinations of the part.
template <int D, int W>
template <std::size_t K>
void CellSplitter<D, W>::hand_out_in_order(const LastCuts<K>& cuts, std::uint64_t found, bool descending) {
  if ((found & (found - 1)) == 0) {
    count_region();
    if (detail_ == Detail::count) return;
    const auto signs = static_cast<unsigned>(__builtin_ctzll(found));
    for (std::size_t u = 0; u < K; ++u) put_bit(pattern_scratch_.data(), cuts.rows[u].id, (signs >> u & 1) != 0);
    return hand_out(pattern_scratch_, true, cuts.corners[signs].inside);
  }
  unsigned open = 0;
  for (unsigned u = 0; u < K; ++u) open |= unsigned{(found & with_bit(u)) && (found & ~with_bit(u))} << u;
  for (int left = __builtin_popcount(open) / 2; left > 0; --left) open &= open - 1;
  const std::uint64_t above = with_bit(static_cast<unsigned>(__builtin_ctz(open)));
  hand_out_in_order(cuts, descending ? found & above : found & ~above, descending);
  hand_out_in_order(cuts, descending ? found & ~above : found & above, descending);
}

// Whether the regions of a cell that so many units of the last stage cut could be handed out without a division. With five
// units regions are missing in more than half of all cells (in three to six dimensions), with four in two fifths.
template <int D, int W>
bool CellSplitter<D, W>::emit_undivided(const Level& level, const Node& node, int cuts) {
  if (cuts == 1) return emit_last<1>(level, node);
  if constexpr (D > 1) {
    if (cuts == 2) return emit_last<2>(level, node);
    if (cuts == 3) return emit_last<3>(level, node);
    if (cuts == 4) return emit_last<4>(level, node);
  }
  return false;
}

}  // namespace pyregions
