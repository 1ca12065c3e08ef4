// Layer 4, private to cells*.cpp. The tree below one subtree: stages, units, leaves.
#pragma once

#include <utility>

#include "cell_handover.h"
#include "cell_signs.h"

namespace pyregions {

template <int D, int W>
CellSplitter<D, W>::CellSplitter(const Network& network, const Subspace& subspace, const DomainFrame& frame,
                                 const FormComposer& composer, Detail detail, const SplitterControl& control)
    : network_(network), subspace_(subspace), frame_(frame), composer_(composer), detail_(detail), control_(control),
      stages_(static_cast<int>(network.stages().size())), levels_(static_cast<std::size_t>(stages_) + 1) {
  for (int s = 0; s < stages_; ++s) levels_[static_cast<std::size_t>(s)].stage = s;
}

template <int D, int W>
void CellSplitter<D, W>::run(Tree tree, Outlet<D>& outlet) {
  fixed_ = tree.fixed;
  outlet_ = &outlet;
  explore(tree.cells, tree.stage);
}

template <int D, int W>
void CellSplitter<D, W>::cut(Tree tree, int depth, std::vector<Tree>& parts) {
  fixed_ = tree.fixed;
  parts_ = &parts;
  depth_limit_ = depth;
  for (Cell& cell : tree.cells) cell.depth = 0;
  explore(tree.cells, tree.stage);
  parts_ = nullptr;
}

template <int D, int W>
double CellSplitter<D, W>::descend(Tree tree, std::mt19937_64& random) {
  Segment none;
  Outlet<D> outlet{nullptr, &none};
  random_ = &random;
  weight_ = 1;
  try {
    run(std::move(tree), outlet);
  } catch (...) {
    random_ = nullptr;
    throw;
  }
  random_ = nullptr;
  return weight_;
}

// A cell of a network without units.
template <int D, int W>
void CellSplitter<D, W>::emit_uncut(Cell& cell) {
  Level& level = levels_.back();
  Node node;
  level.rows = cell.rows;
  level.vertices = cell.vertices;
  level.signs = cell.signs;
  for (std::size_t i = 0; i < cell.vertices.size(); ++i) {
    node.entries.push_back({static_cast<std::int32_t>(i), cell.on[i]});
    node.used = node.used | cell.on[i];
  }
  for (std::size_t i = 0; i < cell.rows.size(); ++i) node.row_of.push_back(static_cast<std::int32_t>(i));
  emit(level, node, cell.pattern);
}

template <int D, int W>
void CellSplitter<D, W>::explore(std::vector<Cell>& cells, int stage) {
  if (stage == stages_) {
    for (Cell& cell : cells) {
      if (parts_) parts_->emplace_back(std::move(cell), stage, fixed_);
      else emit_uncut(cell);
    }
    return;
  }
  Level& level = levels_[static_cast<std::size_t>(stage)];
  std::vector<FormComposer::Parent>& parents = level.parents;
  std::vector<Cell*>& chunk = level.chunk;
  for (std::size_t begin = 0; begin < cells.size(); begin += kChunk) {
    parents.clear();
    chunk.clear();
    if (!parts_) breathe();
    if (!random_ && control_.deadline && std::chrono::steady_clock::now() > *control_.deadline)
      control_.stop->store(true, std::memory_order_relaxed);
    for (std::size_t k = begin; k < std::min(cells.size(), begin + kChunk); ++k) {
      Cell& cell = cells[k];
      if (stopped() && !cell.own && !deep(cell.depth)) {
        leave_open(cell.pattern, stage, nullptr, nullptr);
        continue;
      }
      if (!cell.own && !deep(cell.depth)) parents.push_back({cell.forms.get(), cell.place, cell.pattern.data()});
      chunk.push_back(&cell);
    }
    const std::shared_ptr<const StageForms> composed = parents.empty() ? nullptr : composer_.next(parents);
    Index place = 0;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      if (deep(chunk[i]->depth)) {
        hand_over(level, std::move(*chunk[i]));
        continue;
      }
      const bool own = chunk[i]->own != nullptr;
      level.held = own ? chunk[i]->own : composed;
      level.place = own ? chunk[i]->own_place : place++;
      level.pre = &level.held->pre(network_);
      split_stage(*chunk[i], level);
      if (level.children.size() >= kChunk) explore_children(level);
    }
    explore_children(level);
  }
}

template <int D, int W>
void CellSplitter<D, W>::explore_children(Level& level) {
  if (level.children.empty()) return;
  std::vector<Cell> children;
  std::swap(children, level.children);
  const int stage = level.stage + 1;
  if (!parts_ && outlet_->run && outlet_->run->hungry()) outlet_->run->give_away(Tree{std::move(children), stage, fixed_}, *outlet_);
  else explore(children, stage);
  children.clear();
  if (level.children.empty()) level.children.swap(children);  // for its room
}

template <int D, int W>
void CellSplitter<D, W>::split_stage(Cell& cell, Level& level) {
  level.exact_current = false;
  level.vertices.assign(cell.vertices.begin(), cell.vertices.end());  // into the room that the pools have
  level.rows.assign(cell.rows.begin(), cell.rows.end());
  level.signs.assign(cell.signs.begin(), cell.signs.end());
  level.before = cell.pattern;
  level.pattern = cell.pattern;
  if (level.nodes.empty()) level.nodes.emplace_back();
  Node& node = level.nodes.front();
  node.entries.clear();
  node.row_of.clear();
  node.used = Set{};
  node.simple = true;
  node.depth = cell.depth;
  for (std::size_t i = 0; i < cell.on.size(); ++i) {
    node.entries.push_back({static_cast<std::int32_t>(i), cell.on[i]});
    node.simple = node.simple && cell.on[i].count() == D;
  }
  for (std::size_t i = 0; i < level.rows.size(); ++i) {
    node.row_of.push_back(static_cast<std::int32_t>(i));
    node.used.insert(static_cast<int>(i));
  }
  find_candidates(level, node);
  retire(std::move(cell));
  split_all(level);
}

// The tree within a stage, with a stack of its own: along one path there may be as many splits as units.
template <int D, int W>
void CellSplitter<D, W>::split_all(Level& level) {
  std::vector<Pending>& path = level.path;
  path.clear();
  std::size_t index = 0, free = 1;
  while (true) {
    const std::size_t vertices = level.vertices.size(), rows = level.rows.size();
    std::size_t first = 0, second = 0;
    if (split(level, index, free, first, second)) {
      path.push_back({second, free + 2, vertices, rows});
      index = first;
      free += 2;
      continue;
    }
    while (!path.empty() && path.back().second == 0) {
      release(level, path.back().vertices, path.back().rows);
      path.pop_back();
    }
    if (path.empty()) return;
    index = std::exchange(path.back().second, 0);
    free = path.back().free;
  }
}

template <int D, int W>
void CellSplitter<D, W>::release(Level& level, std::size_t vertices, std::size_t rows) {
  level.vertices.resize(vertices);
  level.candidate_signs.resize(vertices * static_cast<std::size_t>(2 * level.words));
  if (structure()) level.signs.resize(vertices * static_cast<std::size_t>(2 * sign_words()));
  level.rows.resize(rows);
}

// The candidate in the middle of the `cuts` that cut the cell: a path through hyperplanes in order is then short.
template <int D, int W>
Index CellSplitter<D, W>::choose(const Level& level, const Node& node, int cuts) const {
  int left = cuts / 2;
  for (Index k = 0; k < level.words; ++k) {
    std::uint64_t word = node.open[static_cast<std::size_t>(k)];
    const int count = __builtin_popcountll(word);
    if (left >= count) {
      left -= count;
      continue;
    }
    for (; left > 0; --left) word &= word - 1;
    return 64 * k + __builtin_ctzll(word);
  }
  return -1;
}

// Divides the cell at `index` by a candidate that cuts it, into the nodes `free` and `free + 1`, of which `first` comes first
// in the order and `second`, if there is one (else 0), then. False where there is nothing left to divide: a leaf.
template <int D, int W>
bool CellSplitter<D, W>::split(Level& level, std::size_t index, std::size_t free, std::size_t& first, std::size_t& second) {
  while (level.nodes.size() < free + 2) level.nodes.emplace_back();
  Node& node = level.nodes[index];
  int cuts = 0;
  for (const std::uint64_t word : node.open) cuts += __builtin_popcountll(word);
  if (cuts == 0 || deep(node.depth) || stopped()) {
    leave(level, node, cuts > 0);
    return false;
  }
  const Index chosen = choose(level, node, cuts);
  const Index unit = level.candidates[static_cast<std::size_t>(chosen)];
  std::int8_t wanted = (*fixed_)[static_cast<std::size_t>(network_.stages()[static_cast<std::size_t>(level.stage)].offset + unit)];
  if (wanted < 0 && random_) {
    wanted = static_cast<std::int8_t>((*random_)() & 1);
    weight_ *= 2;
  }
  if (level.stage + 1 == stages_ && !parts_ && !random_ && !structure() && emit_undivided(level, node, cuts)) return false;
  if (node.used.lowest_free() >= 64 * W) {
    go_wide(level, node);
    return false;
  }
  const auto row = static_cast<std::int32_t>(level.rows.size());
  level.rows.push_back(unit_row(level, unit));
  side_.resize(node.entries.size());
  for (std::size_t i = 0; i < side_.size(); ++i) {
    const std::uint64_t* signs = level.candidate_signs.data() + node.entries[i].vertex * 2 * level.words;
    side_[i] = static_cast<std::int8_t>(bit(signs, chosen) - bit(signs + level.words, chosen));
  }
  Node* below = wanted == 1 ? nullptr : &level.nodes[free];
  Node* above = wanted == 0 ? nullptr : &level.nodes[free + 1];
  divide(level, node, row, side_, below, above);
  const bool descending = D == 1 && side_[0] > 0;
  signs_of_candidates(level, node, below ? *below : *above, chosen);
  for (Node* part : {below, above}) {
    if (!part) continue;
    part->depth = node.depth + (wanted < 0);
    find_open(level, node, chosen, *part);
  }
  first = !below || (above && descending) ? free + 1 : free;
  second = below && above ? 2 * free + 1 - first : 0;
  return true;
}

// Which candidates still cut a part.
template <int D, int W>
void CellSplitter<D, W>::find_open(const Level& level, const Node& node, Index chosen, Node& part) const {
  part.open = node.open;
  part.open[static_cast<std::size_t>(chosen >> 6)] &= ~(std::uint64_t{1} << (chosen & 63));
  for (Index k = 0; k < level.words; ++k) {
    std::uint64_t up = 0, down = 0;
    for (const Entry& entry : part.entries) {
      up |= level.candidate_signs[static_cast<std::size_t>(entry.vertex * 2 * level.words + k)];
      down |= level.candidate_signs[static_cast<std::size_t>((entry.vertex * 2 + 1) * level.words + k)];
    }
    part.open[static_cast<std::size_t>(k)] &= up & down;
  }
}

template <int D, int W>
void CellSplitter<D, W>::pattern_of(const Level& level, const Node& node, Words& pattern) const {
  pattern = level.pattern;
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  for (Index k = 0; k < level.words; ++k) {
    std::uint64_t above = 0;
    for (const Entry& entry : node.entries) above |= level.candidate_signs[static_cast<std::size_t>(entry.vertex * 2 * level.words + k)];
    if (stage.width <= 64) {  // a bit per unit
      set_word(pattern.data(), stage.offset, above);
      continue;
    }
    for (; above; above &= above - 1)
      set_bit(pattern.data(), stage.offset + level.candidates[static_cast<std::size_t>(64 * k + __builtin_ctzll(above))]);
  }
}

template <int D, int W>
void CellSplitter<D, W>::finish(Level& level, const Node& node) {
  pattern_of(level, node, pattern_scratch_);
  if (level.stage + 1 == stages_ && !parts_) return emit(level, node, pattern_scratch_);
  Cell cell = by_itself(level, node);
  cell.pattern = pattern_scratch_;
  cell.forms = level.held;
  cell.place = level.place;
  level.children.push_back(std::move(cell));
  if (level.children.size() >= 4 * kChunk) explore_children(level);
}

}  // namespace pyregions
