// Layer 4, private to cells*.cpp. The tree below one subtree: stages, units, leaves.
#pragma once

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "cell_divide.h"

namespace pyregions {

template <int D, int W>
CellSplitter<D, W>::CellSplitter(const Network& network, const Subspace& subspace, const DomainFrame& frame,
                                 const FormComposer& composer, Detail detail, const SplitterControl& control)
    : network_(network), subspace_(subspace), frame_(frame), composer_(composer), detail_(detail), control_(control),
      stages_(static_cast<int>(network.stages().size())), levels_(static_cast<std::size_t>(stages_) + 1) {
  for (int s = 0; s < stages_; ++s) levels_[static_cast<std::size_t>(s)].stage = s;
}

template <int D, int W>
void CellSplitter<D, W>::run(Tree tree, RegionList& regions, std::vector<PartialPattern>& open) {
  fixed_ = tree.fixed;
  regions_ = &regions;
  open_ = &open;
  reported_ = regions.count;
  std::vector<Cell> cells;
  cells.push_back(std::move(tree.cell));
  explore(cells, tree.stage);
  control_.found->fetch_add(regions.count - reported_, std::memory_order_relaxed);
}

template <int D, int W>
void CellSplitter<D, W>::cut(Tree tree, int depth, std::vector<Tree>& parts) {
  fixed_ = tree.fixed;
  parts_ = &parts;
  depth_limit_ = depth;
  tree.cell.depth = 0;
  std::vector<Cell> cells;
  cells.push_back(std::move(tree.cell));
  explore(cells, tree.stage);
  parts_ = nullptr;
}

// The simplex, cut by the rows of the domain one after the other, in integers.
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
  Node node, part;
  const auto take_row = [&](Index k) {
    VertexRow<D> row;
    const Vector& numbers = frame_.numbers(k);
    std::copy_n(numbers.begin(), D, row.a.begin());
    row.c = numbers[D];
    row.m = numbers[D + 1];
    row.id = frame_row(k);
    level.rows.push_back(row);
    return static_cast<std::int32_t>(level.rows.size() - 1);
  };
  for (int k = 0; k <= D; ++k) {
    node.used.insert(k);
    node.row_of.push_back(take_row(k));
  }
  for (int skipped = D; skipped >= 0; --skipped) {  // in one dimension ascending
    Entry entry{static_cast<std::int32_t>(D - skipped), node.used};
    entry.on.erase(skipped);
    level.vertices.push_back(rounded(exact(level).meet(rows_on(level, node, entry.on))));
    node.entries.push_back(entry);
  }
  if (structure()) {  // signs of the walls of the simplex: each vertex lies on all but one
    level.signs.assign(level.vertices.size() * static_cast<std::size_t>(2 * sign_words()), 0);
    for (int k = 0; k <= D; ++k) set_bit(level.signs.data() + (D - k) * 2 * sign_words(), network_.units() + k);
  }
  std::vector<std::int8_t> side;
  for (Index k = D + 1; k < frame_.size(); ++k) {
    side.clear();
    bool above = false, below = false;
    for (const Entry& entry : node.entries) {
      const int sign = exact(level).sign(frame_row(k), exact(level).meet(rows_on(level, node, entry.on)));
      side.push_back(static_cast<std::int8_t>(sign));
      above = above || sign > 0;
      below = below || sign < 0;
      if (structure() && sign > 0) set_bit(level.signs.data() + entry.vertex * 2 * sign_words(), network_.units() + k);
    }
    if (!above) throw std::invalid_argument("the domain has no interior");
    if (!below) continue;
    const std::int32_t row = take_row(k);
    divide(level, node, row, side, nullptr, &part);
    // Vertices found in floats are solved again: a domain's vertices have bounds of one rounding.
    for (Entry& entry : part.entries) {
      level.vertices[static_cast<std::size_t>(entry.vertex)] = rounded(exact(level).meet(rows_on(level, part, entry.on)));
      if (structure()) {
        std::uint64_t* positive = level.signs.data() + entry.vertex * 2 * sign_words();
        const Index i = network_.units() + k;
        if (entry.on.has(static_cast<int>(node.used.lowest_free()))) positive[i >> 6] &= ~(std::uint64_t{1} << (i & 63));
      }
    }
    std::swap(node, part);
  }
  Cell cell = by_itself(level, node);
  cell.pattern = level.pattern;
  return cell;
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
      if (parts_) parts_->push_back({std::move(cell), stage, fixed_});
      else emit_uncut(cell);
    }
    return;
  }
  Level& level = levels_[static_cast<std::size_t>(stage)];
  std::vector<FormComposer::Parent> parents;
  std::vector<Cell*> live;
  for (std::size_t begin = 0; begin < cells.size(); begin += kChunk) {
    parents.clear();
    live.clear();
    for (std::size_t k = begin; k < std::min(cells.size(), begin + kChunk); ++k) {
      Cell& cell = cells[k];
      if (deep(cell.depth)) {
        parts_->push_back({std::move(cell), stage, fixed_});
      } else if (stopped() && !cell.own) {
        leave_open(cell.pattern, stage, nullptr, nullptr);
      } else {
        if (!cell.own) parents.push_back({cell.forms.get(), cell.place, cell.pattern.data()});
        live.push_back(&cell);
      }
    }
    const std::shared_ptr<const StageForms> composed = parents.empty() ? nullptr : composer_.next(parents);
    Index place = 0;
    for (std::size_t i = 0; i < live.size(); ++i) {
      const bool own = live[i]->own != nullptr;
      level.held = own ? live[i]->own : composed;
      level.place = own ? live[i]->own_place : place++;
      level.pre = &level.held->pre(network_);
      split_stage(*live[i], level);
      if (level.children.size() >= kChunk || i + 1 == live.size()) {
        std::vector<Cell> children;
        std::swap(children, level.children);
        explore(children, stage + 1);
      }
    }
  }
}

// The units of the stage that cut the cell, and the pieces of the others.
template <int D, int W>
void CellSplitter<D, W>::find_candidates(Level& level, const Node& node) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const Index width = stage.width, words = words_for(width), count = static_cast<Index>(level.vertices.size());
  const double* values = level.pre->values.row(level.place * (D + 1));
  level.block.resize(static_cast<std::size_t>(3 * width));
  double* slope_x = level.block.data();
  form_thresholds(values, width, width, D, level.pre->a_error.row(level.place), level.pre->c_error.row(level.place), slope_x,
                  slope_x + width, slope_x + 2 * width);
  const FormBlock all{values, width, width, slope_x, slope_x + width, slope_x + 2 * width};
  // Per vertex: above, below, open. A form that is exactly 0 by structure is 0 everywhere.
  word_scratch_.assign(static_cast<std::size_t>((3 * count + 4) * words), 0);
  std::uint64_t* dead = word_scratch_.data() + 3 * count * words;
  std::uint64_t *any_above = dead + words, *any_below = any_above + words, *on_unit = any_below + words;
  for (Index j = 0; j < width; ++j)
    if (slope_x[width + j] == 0 && values[D * width + j] == 0 && level.pre->c_error(level.place, j) == 0) set_bit(dead, j);
  std::vector<Index> units;
  for (Index i = 0; i < count; ++i) {
    std::uint64_t* above = word_scratch_.data() + 3 * i * words;
    std::uint64_t *below = above + words, *open = below + words;
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(i)];
    form_signs(all, D, v.far ? v.u.data() : v.x.data(), v.far ? v.u_error : v.x_error, v.far, above, below, open);
    // On the hyperplanes of units that the cell was split by already.
    node.entries[static_cast<std::size_t>(i)].on.for_each([&](int slot) {
      const Index unit = level.rows[static_cast<std::size_t>(slot)].id - stage.offset;
      if (unit < 0 || unit >= width) return;
      const std::uint64_t off = ~(std::uint64_t{1} << (unit & 63));
      above[unit >> 6] &= off;
      below[unit >> 6] &= off;
      on_unit[unit >> 6] |= ~off;
    });
    bool unsettled = false;
    for (Index k = 0; k < words; ++k) {
      if (v.far) open[k] = ~(above[k] | below[k]) & (k + 1 < words || width % 64 == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << width % 64) - 1);
      open[k] &= ~(dead[k] | on_unit[k]);
      on_unit[k] = 0;
      unsettled = unsettled || open[k];
    }
    if (unsettled) {
      if (units.empty())
        for (Index j = 0; j < width; ++j) units.push_back(j);
      settle(level, static_cast<std::int32_t>(i), rows_on(level, node, node.entries[static_cast<std::size_t>(i)].on), all, &units, above, below, open);
    }
    for (Index k = 0; k < words; ++k) {
      any_above[k] |= above[k];
      any_below[k] |= below[k];
    }
  }
  tally_.signs += count * width;
  level.candidates.clear();
  for (Index j = 0; j < width; ++j) {
    const bool above = bit(any_above, j), cuts = above && bit(any_below, j);
    const std::int8_t wanted = (*fixed_)[static_cast<std::size_t>(stage.offset + j)];
    if (cuts) level.candidates.push_back(j);
    else if (wanted >= 0 && (wanted != 0) != above)
      throw std::invalid_argument("a subtree to go on with is empty: unit " + std::to_string(stage.offset + j) + " never has the piece given");
    if (above && !cuts) set_bit(level.pattern.data(), stage.offset + j);
  }
  level.words = words_for(static_cast<Index>(level.candidates.size()));
  level.candidate_signs.assign(static_cast<std::size_t>(count * 2 * level.words), 0);
  for (Index i = 0; i < count; ++i) {
    const std::uint64_t* above = word_scratch_.data() + 3 * i * words;
    std::uint64_t* own = level.candidate_signs.data() + i * 2 * level.words;
    for (std::size_t c = 0; c < level.candidates.size(); ++c) {
      if (bit(above, level.candidates[c])) set_bit(own, static_cast<Index>(c));
      if (bit(above + words, level.candidates[c])) set_bit(own + level.words, static_cast<Index>(c));
    }
    if (structure()) {
      std::uint64_t* signs = level.signs.data() + i * 2 * sign_words();
      for (Index j = 0; j < width; ++j) {
        if (bit(above, j)) set_bit(signs, stage.offset + j);
        if (bit(above + words, j)) set_bit(signs + sign_words(), stage.offset + j);
      }
    }
  }
}

// Their forms side by side, for the signs at new vertices.
template <int D, int W>
void CellSplitter<D, W>::gather_candidates(Level& level) {
  const Index width = level.pre->values.cols(), count = static_cast<Index>(level.candidates.size());
  Vector gathered(static_cast<std::size_t>((D + 4) * count));
  const double* values = level.pre->values.row(level.place * (D + 1));
  for (Index c = 0; c < count; ++c) {
    const Index j = level.candidates[static_cast<std::size_t>(c)];
    for (Index k = 0; k <= D; ++k) gathered[static_cast<std::size_t>(k * count + c)] = values[k * width + j];
    for (Index k = 0; k < 3; ++k) gathered[static_cast<std::size_t>((D + 1 + k) * count + c)] = level.block[static_cast<std::size_t>(k * width + j)];
  }
  level.block = std::move(gathered);
  const double* block = level.block.data();
  level.forms = {block, count, count, block + (D + 1) * count, block + (D + 2) * count, block + (D + 3) * count};
}

template <int D, int W>
void CellSplitter<D, W>::split_stage(Cell& cell, Level& level) {
  level.exact_current = false;
  level.vertices = std::move(cell.vertices);
  level.rows = std::move(cell.rows);
  level.signs = std::move(cell.signs);
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
  node.open.assign(static_cast<std::size_t>(level.words), 0);
  for (std::size_t c = 0; c < level.candidates.size(); ++c) set_bit(node.open.data(), static_cast<Index>(c));
  if (!level.candidates.empty()) gather_candidates(level);
  split(level, 0, 1);
}

// Divides the cell at `index` by the first candidate that cuts it, and its parts in turn; nodes from `free` on are unused.
template <int D, int W>
void CellSplitter<D, W>::split(Level& level, std::size_t index, std::size_t free) {
  while (level.nodes.size() < free + 2) level.nodes.emplace_back();
  Node& node = level.nodes[index];
  Index chosen = -1;
  for (Index k = 0; k < level.words && chosen < 0; ++k)
    if (node.open[static_cast<std::size_t>(k)]) chosen = 64 * k + __builtin_ctzll(node.open[static_cast<std::size_t>(k)]);
  if (chosen < 0) return finish(level, node);
  if (deep(node.depth)) {
    Cell cell = by_itself(level, node);
    cell.own = level.held;
    cell.own_place = level.place;
    cell.pattern = level.before;
    parts_->push_back({std::move(cell), level.stage, fixed_});
    return;
  }
  if (stopped()) return leave_open(level.pattern, level.stage, &level, &node);
  const Index unit = level.candidates[static_cast<std::size_t>(chosen)];
  const std::int8_t wanted = (*fixed_)[static_cast<std::size_t>(network_.stages()[static_cast<std::size_t>(level.stage)].offset + unit)];
  const std::size_t vertices = level.vertices.size(), rows = level.rows.size();
  level.rows.push_back(unit_row(level, unit));
  side_.clear();
  for (const Entry& entry : node.entries) {
    const std::uint64_t* signs = level.candidate_signs.data() + entry.vertex * 2 * level.words;
    side_.push_back(static_cast<std::int8_t>(bit(signs, chosen) - bit(signs + level.words, chosen)));
  }
  Node* below = wanted == 1 ? nullptr : &level.nodes[free];
  Node* above = wanted == 0 ? nullptr : &level.nodes[free + 1];
  divide(level, node, static_cast<std::int32_t>(rows), side_, below, above);
  const bool side_descends = side_[0] > 0;
  // Signs at the new vertices.
  Words &open = open_scratch_, &signs = sign_scratch_;
  open.resize(static_cast<std::size_t>(level.words));
  signs.resize(static_cast<std::size_t>(2 * level.words));
  const Node& any = below ? *below : *above;
  for (const Entry& entry : cut_) {
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(entry.vertex)];
    form_signs(level.forms, D, v.far ? v.u.data() : v.x.data(), v.far ? v.u_error : v.x_error, v.far, signs.data(), signs.data() + level.words, open.data());
    bool unsettled = false;
    std::uint64_t* own = level.candidate_signs.data() + entry.vertex * 2 * level.words;
    for (Index k = 0; k < level.words; ++k) {
      const auto w = static_cast<std::size_t>(k);
      std::uint64_t asked = node.open[w];
      if (k == chosen >> 6) {
        asked &= ~(std::uint64_t{1} << (chosen & 63));
        own[k] &= ~(std::uint64_t{1} << (chosen & 63));
        own[level.words + k] &= ~(std::uint64_t{1} << (chosen & 63));
      }
      open[w] = (v.far ? ~(signs[w] | signs[w + static_cast<std::size_t>(level.words)]) : open[w]) & asked;
      own[k] = (own[k] & ~asked) | (signs[w] & asked);
      own[level.words + k] = (own[level.words + k] & ~asked) | (signs[w + static_cast<std::size_t>(level.words)] & asked);
      unsettled = unsettled || open[w];
    }
    tally_.signs += static_cast<long>(level.candidates.size());
    if (unsettled) settle(level, entry.vertex, rows_on(level, any, entry.on), level.forms, &level.candidates, own, own + level.words, open.data());
    if (structure()) {
      const Index offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
      std::uint64_t* all = level.signs.data() + entry.vertex * 2 * sign_words();
      for (std::size_t c = 0; c < level.candidates.size(); ++c) {
        const Index i = offset + level.candidates[c];
        for (int s = 0; s < 2; ++s) {
          std::uint64_t& word = all[s * sign_words() + (i >> 6)];
          word &= ~(std::uint64_t{1} << (i & 63));
          word |= static_cast<std::uint64_t>(bit(own + s * level.words, static_cast<Index>(c))) << (i & 63);
        }
      }
    }
  }
  for (Node* part : {below, above}) {
    if (!part) continue;
    part->depth = node.depth + (wanted < 0);
    part->open.assign(static_cast<std::size_t>(level.words), 0);
    for (Index k = 0; k < level.words; ++k) {
      std::uint64_t up = 0, down = 0;
      for (const Entry& entry : part->entries) {
        up |= level.candidate_signs[static_cast<std::size_t>(entry.vertex * 2 * level.words + k)];
        down |= level.candidate_signs[static_cast<std::size_t>((entry.vertex * 2 + 1) * level.words + k)];
      }
      part->open[static_cast<std::size_t>(k)] = node.open[static_cast<std::size_t>(k)] & up & down;
    }
    part->open[static_cast<std::size_t>(chosen >> 6)] &= ~(std::uint64_t{1} << (chosen & 63));
  }
  const bool descending = D == 1 && side_descends;
  if (descending && above) split(level, free + 1, free + 2);
  if (below) split(level, free, free + 2);
  if (!descending && above) split(level, free + 1, free + 2);
  level.vertices.resize(vertices);
  level.candidate_signs.resize(vertices * static_cast<std::size_t>(2 * level.words));
  if (structure()) level.signs.resize(vertices * static_cast<std::size_t>(2 * sign_words()));
  level.rows.resize(rows);
}

// Decides the open units at a vertex: with the exact vertex rounded once, then in integers.
template <int D, int W>
void CellSplitter<D, W>::settle(Level& level, std::int32_t vertex, const std::vector<RowId>& rows, const FormBlock& forms,
                                const std::vector<Index>* units, std::uint64_t* above, std::uint64_t* below, std::uint64_t* open) {
  const ExactVertex point = exact(level).meet(rows);
  ++tally_.exact_vertices;
  Vertex<D>& v = level.vertices[static_cast<std::size_t>(vertex)];
  v = rounded(point);
  const Index words = words_for(forms.count), offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
  if (!v.far) {
    Words up(static_cast<std::size_t>(words)), down(up), still(up);
    form_signs(forms, D, v.x.data(), v.x_error, false, up.data(), down.data(), still.data());
    for (std::size_t k = 0; k < up.size(); ++k) {
      above[k] |= open[k] & up[k];
      below[k] |= open[k] & down[k];
      open[k] &= still[k];
    }
  }
  for (Index k = 0; k < words; ++k) {
    for (; open[k]; open[k] &= open[k] - 1) {
      const Index i = 64 * k + __builtin_ctzll(open[k]);
      const int sign = exact(level).sign(static_cast<RowId>(offset + (*units)[static_cast<std::size_t>(i)]), point);
      ++tally_.exact_signs;
      if (sign > 0) set_bit(above, i);
      if (sign < 0) set_bit(below, i);
    }
  }
}

template <int D, int W>
Words CellSplitter<D, W>::pattern_of(const Level& level, const Node& node) const {
  Words pattern = level.pattern;
  const Index offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
  for (Index k = 0; k < level.words; ++k) {
    std::uint64_t above = 0;
    for (const Entry& entry : node.entries) above |= level.candidate_signs[static_cast<std::size_t>(entry.vertex * 2 * level.words + k)];
    for (; above; above &= above - 1)
      set_bit(pattern.data(), offset + level.candidates[static_cast<std::size_t>(64 * k + __builtin_ctzll(above))]);
  }
  return pattern;
}

template <int D, int W>
void CellSplitter<D, W>::finish(Level& level, const Node& node) {
  Words pattern = pattern_of(level, node);
  if (level.stage + 1 == stages_ && !parts_) return emit(level, node, pattern);
  Cell cell = by_itself(level, node);
  cell.pattern = std::move(pattern);
  cell.forms = level.held;
  cell.place = level.place;
  level.children.push_back(std::move(cell));
  if (level.children.size() >= 4 * kChunk) {
    std::vector<Cell> children;
    std::swap(children, level.children);
    explore(children, level.stage + 1);
  }
}

// The cell out of the pools; its facets are numbered without gaps.
template <int D, int W>
StageCell<D, W> CellSplitter<D, W>::by_itself(const Level& level, const Node& node) const {
  Cell cell;
  std::array<std::int16_t, 64 * W> place;
  std::int16_t slots = 0;
  bool gaps = false;
  node.used.for_each([&](int slot) {
    gaps = gaps || slot != slots;
    place[static_cast<std::size_t>(slot)] = slots++;
    cell.rows.push_back(level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(slot)])]);
  });
  cell.vertices.reserve(node.entries.size());
  cell.on.reserve(node.entries.size());
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
    const Words decided = pattern_of(*level, *node);
    const Network::Stage& at_stage = network_.stages()[static_cast<std::size_t>(stage)];
    std::vector<std::uint8_t> cuts(static_cast<std::size_t>(at_stage.width), 0);
    for (std::size_t c = 0; c < level->candidates.size(); ++c)
      cuts[static_cast<std::size_t>(level->candidates[c])] = bit(node->open.data(), static_cast<Index>(c));
    for (Index j = 0; j < at_stage.width; ++j)
      if (!cuts[static_cast<std::size_t>(j)]) partial[static_cast<std::size_t>(known + j)] = bit(decided.data(), known + j);
  }
  open_->push_back(std::move(partial));
}

}  // namespace pyregions
