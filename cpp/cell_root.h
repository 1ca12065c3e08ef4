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
    if (structure()) put_bit(level.signs.data() + entry.vertex * 2 * words, sign_bit, false);
  }
  std::swap(node, part);
}

// A bounded box with an interior, whose corners are its bounds themselves; false for any other domain.
template <int D, int W>
bool CellSplitter<D, W>::make_box(Level& level, Node& node) {
  constexpr Index kFirst = D + 1;
  if (frame_.size() != kFirst + 2 * D || 2 * D > 64 * W) return false;
  std::array<std::array<int, 2>, D> row_at;  // per coordinate: where it is bounded from below, from above; 0: not
  row_at.fill({0, 0});
  std::array<std::array<double, 2>, D> limits{};
  for (Index k = kFirst; k < frame_.size(); ++k) {
    const Vector& numbers = frame_.numbers(k);
    const auto nonzero = [](double a) { return a != 0; };
    const auto entry = std::find_if(numbers.begin(), numbers.begin() + D, nonzero);
    if (entry == numbers.begin() + D || std::fabs(*entry) != 1 || std::any_of(entry + 1, numbers.begin() + D, nonzero)) return false;
    const auto coordinate = static_cast<std::size_t>(entry - numbers.begin()), side = static_cast<std::size_t>(*entry < 0);
    if (row_at[coordinate][side] != 0) return false;
    row_at[coordinate][side] = static_cast<int>(k);
    limits[coordinate][side] = -numbers[D] * *entry + 0.0;  // not -0
  }
  for (const auto& [low, high] : limits)
    if (!(low < high)) return false;
  for (Index k = kFirst; k < frame_.size(); ++k) {
    node.used.insert(static_cast<int>(k - kFirst));
    node.row_of.push_back(take_frame_row(level, k));
  }
  const Index words = sign_words();
  if (structure()) level.signs.assign(static_cast<std::size_t>((Index{2} << D) * words), 0);
  for (int corner = 0; corner < 1 << D; ++corner) {
    Vertex<D> v{};
    Entry entry{corner, {}};
    for (std::size_t c = 0; c < D; ++c) {
      const std::size_t side = corner >> c & 1;
      v.x[c] = limits[c][side];
      entry.on.insert(row_at[c][side] - static_cast<int>(kFirst));
    }
    level.vertices.push_back(v);
    node.entries.push_back(entry);
    if (!structure()) continue;
    for (Index k = 0; k < frame_.size(); ++k)
      if (k < kFirst || !entry.on.has(static_cast<int>(k - kFirst))) set_bit(level.signs.data() + corner * 2 * words, network_.units() + k);
  }
  return true;
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
  if (!make_box(level, node)) {
    std::vector<ExactVertex> points;
    make_simplex(level, node, points);
    for (Index k = D + 1; k < frame_.size(); ++k) clip(level, node, k, points);
  }
  Cell cell = by_itself(level, node);
  cell.pattern = level.pattern;
  return cell;
}

}  // namespace pyregions
