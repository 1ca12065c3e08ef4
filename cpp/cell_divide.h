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

// Where the edges found meet the row, into cut_. On an edge all rows in common vanish, so D - 1 independent ones and the
// new row determine the point.
template <int D, int W>
void CellSplitter<D, W>::cut_edges(Level& level, const Node& node, std::int32_t row, int slot) {
  cut_.clear();
  meeting_.clear();
  for (const auto& [i, j] : edges_.found()) {
    const Set common = node.entries[static_cast<std::size_t>(i)].on & node.entries[static_cast<std::size_t>(j)].on;
    cut_.push_back({static_cast<std::int32_t>(level.vertices.size() + cut_.size()), common});
    if (!determined(node, common)) continue;
    common.for_each([&](int k) { meeting_.push_back(&level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(k)])]); });
    meeting_.push_back(&level.rows[static_cast<std::size_t>(row)]);
  }
  const std::size_t count = meeting_.size() / D;
  met_vertices_.resize(count);
  met_.resize(count);
  meet<D>(meeting_.data(), static_cast<Index>(count), met_vertices_.data(), met_.data());
  std::size_t next = 0;
  for (Entry& entry : cut_) {
    const bool tried = determined(node, entry.on), found = tried && met_[next];
    if (found) {
      level.vertices.push_back(met_vertices_[next]);
      ++tally_.vertices;
    } else {
      std::vector<RowId> ids = rows_on(level, node, entry.on);
      ids.push_back(level.rows[static_cast<std::size_t>(row)].id);
      level.vertices.push_back(rounded(exact(level).meet(ids)));
      ++tally_.exact_vertices;
    }
    next += tried;
    entry.on.insert(slot);
  }
  level.candidate_signs.resize(level.vertices.size() * static_cast<std::size_t>(2 * level.words));
  if (structure()) level.signs.resize(level.vertices.size() * static_cast<std::size_t>(2 * sign_words()));
  for (std::size_t e = 0; e < cut_.size(); ++e) {
    const auto& [i, j] = edges_.pairs[e];
    take_signs(level, cut_[e].vertex, node.entries[static_cast<std::size_t>(i)].vertex, node.entries[static_cast<std::size_t>(j)].vertex);
  }
}

// In the relative interior of an edge a unit that does not cut it has the sign of the ends.
template <int D, int W>
void CellSplitter<D, W>::take_signs(Level& level, std::int32_t vertex, std::int32_t a, std::int32_t b) {
  const auto merge = [&](Words& signs, Index words) {
    std::uint64_t* out = signs.data() + vertex * 2 * words;
    const std::uint64_t *at_a = signs.data() + a * 2 * words, *at_b = signs.data() + b * 2 * words;
    for (Index k = 0; k < 2 * words; ++k) out[k] = at_a[k] | at_b[k];
  };
  merge(level.candidate_signs, level.words);
  if (structure()) merge(level.signs, sign_words());
}

// In a cell that is not simple: no third vertex lies on all rows that the two have in common (the combinatorial test of the
// double description method).
template <int D, int W>
bool CellSplitter<D, W>::is_edge(const Node& node, std::size_t i, std::size_t j, const Set& common) {
  for (std::size_t k = 0; k < node.entries.size(); ++k)
    if (k != i && k != j && (common & node.entries[k].on) == common) return false;
  return true;
}

// Pairs that share an edge, of those that share D - 1 rows: in a simple cell all of them.
template <int D, int W>
void CellSplitter<D, W>::keep_edges(const Node& node) {
  if (node.simple) return;
  const auto begin = edges_.pairs.begin(), end = begin + static_cast<std::ptrdiff_t>(edges_.count);
  edges_.count = static_cast<std::size_t>(std::remove_if(begin, end, [&](const EntryPair& pair) {
    const auto i = static_cast<std::size_t>(pair.first), j = static_cast<std::size_t>(pair.second);
    return !is_edge(node, i, j, node.entries[i].on & node.entries[j].on);
  }) - begin);
}

// Vertices on either side that share an edge.
template <int D, int W>
void CellSplitter<D, W>::find_edges(const Node& node, const std::vector<std::int8_t>& side) {
  above_.collect(node.entries, side, 1);
  below_.collect(node.entries, side, -1);
  edges_.make_room(above_.count * below_.count + 1);
  if constexpr (W == 1) {
    edges_.count = edges_by_count(above_.sets[0].words.data(), above_.entries.data(), above_.count, below_.sets[0].words.data(),
                                  below_.entries.data(), below_.count, D - 1, edges_.pairs.data());
  } else {
    edges_.count = 0;
    for (std::size_t i = 0; i < above_.count; ++i)
      for (std::size_t j = 0; j < below_.count; ++j)
        if ((above_.sets[i] & below_.sets[j]).count() >= D - 1) edges_.pairs[edges_.count++] = {above_.entries[i], below_.entries[j]};
  }
  keep_edges(node);
}

template <int D, int W>
void CellSplitter<D, W>::find_all_edges(const Node& node) {
  const std::size_t count = node.entries.size();
  edges_.make_room(count * count / 2 + 1);
  if constexpr (W == 1) {
    if (above_.sets.size() < count) above_.sets.resize(count);
    for (std::size_t i = 0; i < count; ++i) above_.sets[i] = node.entries[i].on;
    edges_.count = edges_by_count(above_.sets[0].words.data(), count, D - 1, edges_.pairs.data());
  } else {
    edges_.count = 0;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = i + 1; j < count; ++j)
        if ((node.entries[i].on & node.entries[j].on).count() >= D - 1)
          edges_.pairs[edges_.count++] = {static_cast<std::int32_t>(i), static_cast<std::int32_t>(j)};
  }
  keep_edges(node);
}

// side: the sign of the row at every entry, both signs among them. Each of below, above may be null when not wanted.
template <int D, int W>
void CellSplitter<D, W>::divide(Level& level, const Node& node, std::int32_t row, const std::vector<std::int8_t>& side, Node* below,
                                Node* above) {
  const int slot = node.used.lowest_free();
  if (slot >= 64 * W) throw TooManyFacets{};
  find_edges(node, side);
  cut_edges(level, node, row, slot);
  if (below) child(node, side, -1, slot, row, *below);
  if (above) child(node, side, 1, slot, row, *above);
}

// A facet of the cell is one of the part iff it has a vertex strictly on the part's side.
template <int D, int W>
void CellSplitter<D, W>::child(const Node& node, const std::vector<std::int8_t>& side, int sign, int slot, std::int32_t row,
                               Node& out) const {
  const std::size_t all = node.entries.size();
  out.entries.resize(all + cut_.size());
  out.used = Set{};
  bool touched = false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < all; ++i) {
    Entry& entry = out.entries[kept] = node.entries[i];
    if (side[i] == sign) out.used = out.used | entry.on;
    if (side[i] == 0) entry.on.insert(slot), touched = true;
    kept += side[i] != -sign;
  }
  out.used.insert(slot);
  out.simple = node.simple;
  std::copy(cut_.begin(), cut_.end(), out.entries.begin() + static_cast<std::ptrdiff_t>(kept));
  out.entries.resize(kept + cut_.size());
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
