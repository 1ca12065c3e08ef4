// Layer 4, private to cells*.cpp. One division of a cell by a row: the edges it cuts, the vertices there, the two parts.
#pragma once

#include "cell_splitter.h"
#include "exact_rung.h"

namespace pyregions {

template <int D, int W>
VertexRow<D> CellSplitter<D, W>::unit_row(const Level& level, Index unit) const {
  const NodeForms& pre = *level.pre;
  const Index width = pre.values.cols(), first = level.place * (D + 1);
  VertexRow<D> row;
  for (int k = 0; k < D; ++k) row.a[static_cast<std::size_t>(k)] = pre.values(first + k, unit);
  row.c = pre.values(first + D, unit);
  row.a_error = pre.a_error.data()[level.place * width + unit];
  row.c_error = pre.c_error.data()[level.place * width + unit];
  row.id = static_cast<RowId>(network_.stages()[static_cast<std::size_t>(level.stage)].offset + unit);
  return row;
}

template <int D, int W>
std::vector<RowId> CellSplitter<D, W>::rows_on(const Level& level, const Node& node, const Set& on) const {
  std::vector<RowId> rows;
  on.for_each([&](int slot) { rows.push_back(level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(slot)])].id); });
  return rows;
}

template <int D, int W>
ExactVertices& CellSplitter<D, W>::exact(Level& level) {
  if (!level.exact) level.exact.emplace(network_, frame_, subspace_);
  if (!level.exact_current) {
    Pattern pattern(static_cast<std::size_t>(network_.units()), 0);
    for (Index u = 0; u < network_.units(); ++u) pattern[static_cast<std::size_t>(u)] = bit(level.pattern.data(), u);
    level.exact->set_pattern(std::move(pattern));
    level.exact_current = true;
  }
  return *level.exact;
}

template <int D, int W>
Vertex<D> CellSplitter<D, W>::rounded(const ExactVertex& exact) {
  Vertex<D> v;
  const auto nearest = [&](const std::vector<Integer>& from, std::array<double, D>& to) {
    double largest = 0;
    bool zero = true;
    for (std::size_t k = 0; k < D; ++k) {
      to[k] = rational_to_double(from[k], exact.denominator);
      largest = std::max(largest, std::fabs(to[k]));
      zero = zero && from[k].is_zero();
    }
    return zero ? 0.0 : 2 * kUnit * largest + underflow(1);
  };
  v.x_error = nearest(exact.x, v.x);
  v.u_error = nearest(exact.u, v.u);
  for (const Integer& u : exact.u) v.far = v.far || !u.is_zero();
  return v;
}

// Where the edge between two vertices meets the row. On an edge all rows in common vanish, so D - 1 independent ones and
// the new row determine the point.
template <int D, int W>
std::int32_t CellSplitter<D, W>::new_vertex(Level& level, const Node& node, const Entry& a, const Entry& b, const Set& common,
                                            std::int32_t row) {
  const VertexRow<D>* rows[D];
  Vertex<D> vertex;
  bool found = false;
  if (common.count() == D - 1) {
    int n = 0;
    common.for_each([&](int slot) { rows[n++] = &level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(slot)])]; });
    rows[n] = &level.rows[static_cast<std::size_t>(row)];
    found = meet<D>(rows, vertex);
  }
  if (found) {
    ++tally_.vertices;
  } else {
    std::vector<RowId> ids = rows_on(level, node, common);
    ids.push_back(level.rows[static_cast<std::size_t>(row)].id);
    vertex = rounded(exact(level).meet(ids));
    ++tally_.exact_vertices;
  }
  const auto index = static_cast<std::int32_t>(level.vertices.size());
  level.vertices.push_back(vertex);
  level.candidate_signs.resize(level.vertices.size() * static_cast<std::size_t>(2 * level.words));
  if (structure()) level.signs.resize(level.vertices.size() * static_cast<std::size_t>(2 * sign_words()));
  take_signs(level, index, a.vertex, b.vertex);
  return index;
}

// In the relative interior of an edge a unit that does not cut it has the sign of the ends.
template <int D, int W>
void CellSplitter<D, W>::take_signs(Level& level, std::int32_t vertex, std::int32_t a, std::int32_t b) {
  const auto merge = [&](Words& signs, Index words) {
    std::uint64_t* out = signs.data() + vertex * 2 * words;
    for (Index k = 0; k < 2 * words; ++k) out[k] = signs[static_cast<std::size_t>(a * 2 * words + k)] | signs[static_cast<std::size_t>(b * 2 * words + k)];
  };
  merge(level.candidate_signs, level.words);
  if (structure()) merge(level.signs, sign_words());
}

// Pairs of above_ and below_ that share an edge. In a simple cell D - 1 rows in common suffice; else no third vertex may lie
// on all of them (the combinatorial test of the double description method).
template <int D, int W>
void CellSplitter<D, W>::find_edges(const Node& node) {
  edges_.clear();
  const auto& entries = node.entries;
  if constexpr (W == 1) {
    above_words_.clear();
    below_words_.clear();
    for (const int i : above_) above_words_.push_back(entries[static_cast<std::size_t>(i)].on.words[0]);
    for (const int i : below_) below_words_.push_back(entries[static_cast<std::size_t>(i)].on.words[0]);
    edges_.resize(above_.size() * below_.size() + 1);
    edges_.resize(static_cast<std::size_t>(edges_by_count(above_words_.data(), static_cast<int>(above_.size()), below_words_.data(),
                                                          static_cast<int>(below_.size()), D - 1, edges_.data())));
  } else {
    for (std::size_t i = 0; i < above_.size(); ++i)
      for (std::size_t j = 0; j < below_.size(); ++j)
        if ((entries[static_cast<std::size_t>(above_[i])].on & entries[static_cast<std::size_t>(below_[j])].on).count() >= D - 1)
          edges_.emplace_back(static_cast<int>(i), static_cast<int>(j));
  }
  for (auto& [i, j] : edges_) {
    i = above_[static_cast<std::size_t>(i)];
    j = below_[static_cast<std::size_t>(j)];
  }
  if (node.simple) return;
  const auto is_edge = [&](const std::pair<int, int>& pair) {
    const Set common = entries[static_cast<std::size_t>(pair.first)].on & entries[static_cast<std::size_t>(pair.second)].on;
    for (int k = 0; k < static_cast<int>(entries.size()); ++k)
      if (k != pair.first && k != pair.second && (common & entries[static_cast<std::size_t>(k)].on) == common) return false;
    return true;
  };
  edges_.erase(std::remove_if(edges_.begin(), edges_.end(), [&](const auto& pair) { return !is_edge(pair); }), edges_.end());
}

// side: the sign of the row at every entry, both signs among them. Each of below, above may be null when not wanted.
template <int D, int W>
void CellSplitter<D, W>::divide(Level& level, const Node& node, std::int32_t row, const std::vector<std::int8_t>& side, Node* below,
                                Node* above) {
  const int slot = node.used.lowest_free();
  if (slot >= 64 * W) throw TooManyFacets{};
  above_.clear();
  below_.clear();
  for (std::size_t i = 0; i < side.size(); ++i) {
    if (side[i] > 0) above_.push_back(static_cast<int>(i));
    if (side[i] < 0) below_.push_back(static_cast<int>(i));
  }
  find_edges(node);
  cut_.clear();
  for (const auto& [i, j] : edges_) {
    const Entry &a = node.entries[static_cast<std::size_t>(i)], &b = node.entries[static_cast<std::size_t>(j)];
    const Set common = a.on & b.on;
    cut_.push_back({new_vertex(level, node, a, b, common, row), common});
    cut_.back().on.insert(slot);
  }
  if (below) child(node, side, -1, slot, row, *below);
  if (above) child(node, side, 1, slot, row, *above);
}

// A facet of the cell is one of the part iff it has a vertex strictly on the part's side.
template <int D, int W>
void CellSplitter<D, W>::child(const Node& node, const std::vector<std::int8_t>& side, int sign, int slot, std::int32_t row,
                               Node& out) const {
  out.entries.clear();
  out.used = Set{};
  bool touched = false;
  for (std::size_t i = 0; i < side.size(); ++i) {
    if (side[i] == sign) out.used = out.used | node.entries[i].on;
    touched = touched || side[i] == 0;
  }
  out.used.insert(slot);
  out.simple = node.simple;
  for (std::size_t i = 0; i < side.size(); ++i) {
    if (side[i] == -sign) continue;
    out.entries.push_back(node.entries[i]);
    if (side[i] == 0) out.entries.back().on.insert(slot);
  }
  out.entries.insert(out.entries.end(), cut_.begin(), cut_.end());
  if (D == 1 && side[0] != sign) std::swap(out.entries[0], out.entries[1]);  // ascending
  if (touched || !node.simple) {
    out.simple = true;
    for (Entry& entry : out.entries) {
      entry.on = entry.on & out.used;
      out.simple = out.simple && entry.on.count() == D;
    }
  }
  out.row_of = node.row_of;
  if (static_cast<int>(out.row_of.size()) <= slot) out.row_of.resize(static_cast<std::size_t>(slot) + 1);
  out.row_of[static_cast<std::size_t>(slot)] = row;
}

}  // namespace pyregions
