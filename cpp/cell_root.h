// Layer 4, private to cells*.cpp. The beginning: the domain as a cell.
#pragma once

#include <algorithm>
#include <stdexcept>

#include "cell_divide.h"

namespace pyregions {

// The simplex: its walls vanish at all vertices but one, in one dimension the lower first.
template <int D, int W>
void CellSplitter<D, W>::make_simplex(Level& level, Node& node, std::vector<ExactVertex>& points) {
  for (int k = 0; k <= D; ++k) {
    node.used.insert(k);
    node.row_of.push_back(take_frame_row(level, k));
  }
  for (int skipped = D; skipped >= 0; --skipped) {
    Entry entry{static_cast<std::int32_t>(D - skipped), node.used};
    entry.on.erase(skipped);
    points.push_back(exact(level).meet(rows_on(level, node, entry.on)));
    level.vertices.push_back(rounded(points.back()));
    node.entries.push_back(entry);
  }
  if (!structure()) return;
  level.signs.assign(level.vertices.size() * static_cast<std::size_t>(2 * sign_words()), 0);
  for (int k = 0; k <= D; ++k) set_bit(level.signs.data() + (D - k) * 2 * sign_words(), network_.units() + k);
}

template <int D, int W>
std::int32_t CellSplitter<D, W>::take_frame_row(Level& level, Index k) {
  VertexRow<D> row;
  const Vector& numbers = frame_.numbers(k);
  std::copy_n(numbers.begin(), D, row.a.begin());
  row.c = numbers[D];
  row.m = numbers[D + 1];
  row.id = frame_row(k);
  level.rows.push_back(row);
  return static_cast<std::int32_t>(level.rows.size() - 1);
}

// The part of a cell where a row of the domain is >= 0, decided in integers throughout; points: all vertices exactly. New
// ones are rounded from there, so that a domain's vertices have bounds of one rounding.
template <int D, int W>
void CellSplitter<D, W>::clip(Level& level, Node& node, Index k, std::vector<ExactVertex>& points) {
  const Index words = sign_words(), sign_bit = network_.units() + k;
  side_.clear();
  for (const Entry& entry : node.entries) {
    const int sign = exact(level).sign(frame_row(k), points[static_cast<std::size_t>(entry.vertex)]);
    side_.push_back(static_cast<std::int8_t>(sign));
    if (structure() && sign > 0) set_bit(level.signs.data() + entry.vertex * 2 * words, sign_bit);
  }
  if (*std::max_element(side_.begin(), side_.end()) <= 0) throw std::invalid_argument("the domain has no interior");
  if (*std::min_element(side_.begin(), side_.end()) >= 0) return;
  Node part;
  divide(level, node, take_frame_row(level, k), side_, nullptr, &part);
  for (const Entry& entry : cut_) {
    points.push_back(exact(level).meet(rows_on(level, part, entry.on)));
    level.vertices[static_cast<std::size_t>(entry.vertex)] = rounded(points.back());
    if (structure()) level.signs[static_cast<std::size_t>(entry.vertex * 2 * words + (sign_bit >> 6))] &= ~(std::uint64_t{1} << (sign_bit & 63));
  }
  std::swap(node, part);
}

template <int D, int W>
StageCell<D, W> CellSplitter<D, W>::root() {
  Level& level = levels_.back();
  level.stage = 0;
  level.words = 0;
  level.vertices.clear();
  level.rows.clear();
  level.signs.clear();
  level.pattern.assign(static_cast<std::size_t>(words_for(network_.units())), 0);
  level.exact_current = false;
  Node node;
  std::vector<ExactVertex> points;
  make_simplex(level, node, points);
  for (Index k = D + 1; k < frame_.size(); ++k) clip(level, node, k, points);
  Cell cell = by_itself(level, node);
  cell.pattern = level.pattern;
  return cell;
}

}  // namespace pyregions
