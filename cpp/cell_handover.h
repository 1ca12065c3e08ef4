// Layer 4, private to cells*.cpp. Cells that leave a splitter before they are divided to the end: children for the next
// stage, parts for other workers or wider sets, what a stopped run leaves open.
#pragma once

#include <stdexcept>

#include "cell_root.h"

namespace pyregions {

// The same cell with wider sets.
template <int D>
StageCell<D, kWide> widened(StageCell<D, 1> cell) {
  StageCell<D, kWide> wide;
  for (const SlotSet<1>& on : cell.on) {
    wide.on.emplace_back();
    wide.on.back().words[0] = on.words[0];
  }
  wide.vertices = std::move(cell.vertices);
  wide.rows = std::move(cell.rows);
  wide.pattern = std::move(cell.pattern);
  wide.signs = std::move(cell.signs);
  wide.forms = std::move(cell.forms);
  wide.place = cell.place;
  wide.depth = cell.depth;
  wide.own = std::move(cell.own);
  wide.own_place = cell.own_place;
  return wide;
}

// A part of a subtree that is being cut; what comes before it in the order comes first.
template <int D, int W>
void CellSplitter<D, W>::hand_over(Level& level, Cell cell) {
  explore_children(level);
  parts_->emplace_back(std::move(cell), level.stage, fixed_);
}

// A cell with as many facets as a set can hold, which is to be divided once more: a splitter with wider sets goes on from
// here. A random descent ends.
template <int D, int W>
void CellSplitter<D, W>::go_wide(Level& level, const Node& node) {
  if (random_) return;
  Cell cell = by_itself(level, node);
  cell.own = level.held;
  cell.own_place = level.place;
  cell.pattern = level.before;
  if (parts_) return hand_over(level, std::move(cell));
  if constexpr (W == 1) {
    explore_children(level);  // they come before it
    outlet_->run->run_here(Subtree<D, kWide>(widened<D>(std::move(cell)), level.stage, fixed_), *outlet_);
  } else {
    throw std::invalid_argument("a cell has more than 1024 facets: cut the domain into parts");
  }
}

// A cell that is not divided any further here: complete, or cut off for another worker or by the end of the run.
template <int D, int W>
void CellSplitter<D, W>::leave(Level& level, const Node& node, bool unfinished) {
  if (!unfinished) return finish(level, node);
  if (!deep(node.depth)) return leave_open(level.pattern, level.stage, &level, &node);
  Cell cell = by_itself(level, node);
  cell.own = level.held;
  cell.own_place = level.place;
  cell.pattern = level.before;
  hand_over(level, std::move(cell));
}

// Keeps the memory of a cell that is done with; by_itself() finds its lists empty and fills the rest in anew.
template <int D, int W>
void CellSplitter<D, W>::retire(Cell cell) {
  if (spare_.size() >= kSpare) return;
  cell.forms.reset();
  cell.own.reset();
  cell.vertices.clear();
  cell.rows.clear();
  cell.signs.clear();
  cell.on.clear();
  spare_.push_back(std::move(cell));
}

// The cell out of the pools; its facets are numbered without gaps.
template <int D, int W>
StageCell<D, W> CellSplitter<D, W>::by_itself(const Level& level, const Node& node) {
  Cell cell;
  if (!spare_.empty()) {
    cell = std::move(spare_.back());
    spare_.pop_back();
  } else {
    cell.rows.reserve(kUsual);
    cell.vertices.reserve(kUsual);
    cell.on.reserve(kUsual);
  }
  std::array<std::int16_t, 64 * W> place;
  std::int16_t slots = 0;
  bool gaps = false;
  node.used.for_each([&](int slot) {
    gaps = gaps || slot != slots;
    place[static_cast<std::size_t>(slot)] = slots++;
    cell.rows.push_back(level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(slot)])]);
  });
  const Index words = sign_words();
  for (const Entry& entry : node.entries) {
    cell.vertices.push_back(level.vertices[static_cast<std::size_t>(entry.vertex)]);
    if (gaps) {
      Set on;
      entry.on.for_each([&](int slot) { on.insert(place[static_cast<std::size_t>(slot)]); });
      cell.on.push_back(on);
    } else {
      cell.on.push_back(entry.on);
    }
    if (structure()) {
      const auto begin = level.signs.begin() + entry.vertex * 2 * words;
      cell.signs.insert(cell.signs.end(), begin, begin + 2 * words);
    }
  }
  cell.depth = node.depth;
  return cell;
}

template <int D, int W>
void CellSplitter<D, W>::leave_open(const Words& pattern, int stage, const Level* level, const Node* node) {
  PartialPattern partial(static_cast<std::size_t>(network_.units()), -1);
  const Index known = stage < stages_ ? network_.stages()[static_cast<std::size_t>(stage)].offset : network_.units();
  for (Index u = 0; u < known; ++u) partial[static_cast<std::size_t>(u)] = bit(pattern.data(), u);
  // A subtree that was only being walked to keeps what was asked for.
  for (std::size_t u = static_cast<std::size_t>(known); u < partial.size(); ++u) partial[u] = (*fixed_)[u];
  if (level) {
    Words decided;
    pattern_of(*level, *node, decided);
    const Network::Stage& at_stage = network_.stages()[static_cast<std::size_t>(stage)];
    std::vector<std::uint8_t> cuts(static_cast<std::size_t>(at_stage.width), 0);
    for (std::size_t c = 0; c < level->candidates.size(); ++c)
      cuts[static_cast<std::size_t>(level->candidates[c])] = bit(node->open.data(), static_cast<Index>(c));
    for (Index j = 0; j < at_stage.width; ++j)
      if (!cuts[static_cast<std::size_t>(j)]) partial[static_cast<std::size_t>(known + j)] = bit(decided.data(), known + j);
  }
  outlet_->segment->open.push_back(std::move(partial));
}

}  // namespace pyregions
