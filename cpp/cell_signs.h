// Layer 4, private to cells*.cpp. On which side of the units a cell's vertices lie: in floats with bounds, else in integers.
#pragma once

#include <numeric>
#include <stdexcept>
#include <string>

#include "cell_divide.h"

namespace pyregions {

// Signs of all units of the stage at one vertex of the cell, as words above, below and (left empty) open, completed from what
// floats say. A form that is exactly 0 by structure is 0 everywhere, and so is a unit on its own hyperplane, along which the
// cell was split before.
template <int D, int W>
void CellSplitter<D, W>::signs_of_stage(Level& level, const Node& node, std::size_t vertex) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const std::size_t words = signs_.units.size(), first = vertex * words;
  std::uint64_t *above = &signs_.above[first], *below = &signs_.below[first], *open = &signs_.open[first];
  Words& zero = open_scratch_;
  zero = signs_.dead;
  const Set& on = node.entries[vertex].on;
  on.for_each([&](int slot) {
    const Index unit = level.rows[static_cast<std::size_t>(slot)].id - stage.offset;
    if (unit >= 0 && unit < stage.width) set_bit(zero.data(), unit);
  });
  const bool far = level.vertices[vertex].far;
  bool unsettled = false;
  for (std::size_t k = 0; k < words; ++k) {
    above[k] &= ~zero[k];
    below[k] &= ~zero[k];
    if (far) open[k] = ~(above[k] | below[k]) & signs_.units[k];  // at infinity a sign of 0 says nothing yet
    open[k] &= ~zero[k];
    unsettled = unsettled || open[k];
  }
  if (!unsettled) return;
  std::vector<Index> units(static_cast<std::size_t>(stage.width));
  std::iota(units.begin(), units.end(), Index{0});
  settle(level, static_cast<std::int32_t>(vertex), rows_on(level, node, on), level.forms, units, above, below, open);
}

// The units of the stage that cut the cell, into the node's open ones, and the pieces of the others.
template <int D, int W>
void CellSplitter<D, W>::find_candidates(Level& level, Node& node) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const Index width = stage.width, count = static_cast<Index>(level.vertices.size());
  const auto words = static_cast<std::size_t>(words_for(width)), all_words = static_cast<std::size_t>(count) * words;
  const double* values = level.pre->values.row(level.place * (D + 1));
  level.block.resize(static_cast<std::size_t>(3 * width));
  double* bounds = level.block.data();
  form_thresholds(values, width, width, D, level.pre->a_error.row(level.place), level.pre->c_error.row(level.place), bounds,
                  bounds + width, bounds + 2 * width);
  level.forms = {values, width, width, bounds, bounds + width, bounds + 2 * width};
  StageSigns& signs = signs_;
  signs.units.assign(words, ~std::uint64_t{0});
  if (width % 64) signs.units.back() = (std::uint64_t{1} << width % 64) - 1;
  signs.dead.assign(words, 0);
  for (Index j = 0; j < width; ++j)
    if (bounds[width + j] == 0 && values[D * width + j] == 0 && level.pre->c_error(level.place, j) == 0) set_bit(signs.dead.data(), j);
  for (Words* list : {&signs.above, &signs.below, &signs.open}) list->resize(all_words);
  form_signs<D>(level.forms, signs.units.data(), level.vertices.data(), count, signs.above.data(), signs.below.data(), signs.open.data());
  Words &any_above = signs.any_above, &any_below = signs.any_below;
  any_above.assign(words, 0);
  any_below.assign(words, 0);
  for (std::size_t i = 0, at = 0; i < static_cast<std::size_t>(count); ++i) {
    signs_of_stage(level, node, i);
    for (std::size_t k = 0; k < words; ++k, ++at) {
      any_above[k] |= signs.above[at];
      any_below[k] |= signs.below[at];
    }
  }
  tally_.signs += count * width;
  for (std::size_t k = 0; k < words; ++k)
    set_word(level.pattern.data(), stage.offset + 64 * static_cast<Index>(k), any_above[k] & ~any_below[k]);
  check_wanted(stage);
  choose_candidates(level, node);
  keep_signs(level);
}

// A piece that is wanted of a unit which does not cut the cell is the one that it has.
template <int D, int W>
void CellSplitter<D, W>::check_wanted(const Network::Stage& stage) const {
  for (Index j = 0; j < stage.width; ++j) {
    const std::int8_t wanted = (*fixed_)[static_cast<std::size_t>(stage.offset + j)];
    if (wanted < 0) continue;
    const bool above = bit(signs_.any_above.data(), j);
    if ((wanted != 0) != above && !(above && bit(signs_.any_below.data(), j)))
      throw std::invalid_argument("a subtree to go on with is empty: unit " + std::to_string(stage.offset + j) +
                                  " never has the piece given");
  }
}

// Only units that cut the cell are looked at from here on; a single word holds the others as well.
template <int D, int W>
void CellSplitter<D, W>::choose_candidates(Level& level, Node& node) {
  const Index width = network_.stages()[static_cast<std::size_t>(level.stage)].width;
  node.open.assign(signs_.units.size(), 0);
  for (std::size_t k = 0; k < node.open.size(); ++k) node.open[k] = signs_.any_above[k] & signs_.any_below[k];
  level.candidates.clear();
  for (Index j = 0; j < width; ++j)
    if (width <= 64 || bit(node.open.data(), j)) level.candidates.push_back(j);
  level.words = words_for(static_cast<Index>(level.candidates.size()));
  if (width <= 64) return;
  node.open.assign(static_cast<std::size_t>(level.words), 0);
  for (std::size_t c = 0; c < level.candidates.size(); ++c) set_bit(node.open.data(), static_cast<Index>(c));
  gather_candidates(level);
}

// What find_candidates found at the cell's vertices: of the candidates, and with structure of all units.
template <int D, int W>
void CellSplitter<D, W>::keep_signs(Level& level) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const std::size_t words = signs_.units.size(), count = level.vertices.size();
  const auto own_words = static_cast<std::size_t>(level.words);
  level.candidate_signs.assign(count * 2 * own_words, 0);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t s = 0; s < 2; ++s) {
      const std::uint64_t* found = (s == 0 ? signs_.above : signs_.below).data() + i * words;
      std::uint64_t* own = level.candidate_signs.data() + (2 * i + s) * own_words;
      if (stage.width <= 64) {
        *own = *found;
      } else {
        for (std::size_t c = 0; c < level.candidates.size(); ++c)
          if (bit(found, level.candidates[c])) set_bit(own, static_cast<Index>(c));
      }
      if (!structure()) continue;
      std::uint64_t* signs = level.signs.data() + (2 * i + s) * static_cast<std::size_t>(sign_words());
      for (Index j = 0; j < stage.width; ++j)
        if (bit(found, j)) set_bit(signs, stage.offset + j);
    }
  }
}

// The candidates' forms side by side, for the signs at new vertices.
template <int D, int W>
void CellSplitter<D, W>::gather_candidates(Level& level) {
  const Index width = level.pre->values.cols(), count = static_cast<Index>(level.candidates.size());
  Vector& gathered = level.gathered;
  gathered.resize(static_cast<std::size_t>((D + 4) * count));
  const double* values = level.pre->values.row(level.place * (D + 1));
  for (Index c = 0; c < count; ++c) {
    const Index j = level.candidates[static_cast<std::size_t>(c)];
    for (Index k = 0; k <= D; ++k) gathered[static_cast<std::size_t>(k * count + c)] = values[k * width + j];
    for (Index k = 0; k < 3; ++k) gathered.data()[(D + 1 + k) * count + c] = level.block.data()[k * width + j];
  }
  const double* block = gathered.data();
  level.forms = {block, count, count, block + (D + 1) * count, block + (D + 2) * count, block + (D + 3) * count};
}

// Signs of the candidates that cut the cell at the new vertices, which lie on the hyperplane of the chosen one: in floats, and
// where they fail in integers. part: one that the vertices belong to.
template <int D, int W>
void CellSplitter<D, W>::signs_of_candidates(Level& level, const Node& node, const Node& part, Index chosen) {
  const auto words = static_cast<std::size_t>(level.words);
  Words& asked = open_scratch_;
  asked = node.open;
  asked[static_cast<std::size_t>(chosen >> 6)] &= ~(std::uint64_t{1} << (chosen & 63));
  std::uint64_t any = 0;
  for (const std::uint64_t word : asked) any |= word;
  Words &up = signs_.above, &down = signs_.below, &open = signs_.open;
  for (Words* list : {&up, &down, &open}) list->resize(cut_.size() * words);
  if (any && !cut_.empty())  // a hyperplane through old vertices alone cuts no edge
    form_signs<D>(level.forms, asked.data(), &level.vertices[static_cast<std::size_t>(cut_.front().vertex)],
                  static_cast<Index>(cut_.size()), up.data(), down.data(), open.data());
  for (std::size_t i = 0, at = 0; i < cut_.size(); ++i) {
    const Entry& entry = cut_[i];
    std::uint64_t *above = level.candidate_signs.data() + static_cast<std::size_t>(entry.vertex) * 2 * words, *below = above + words;
    above[chosen >> 6] &= ~(std::uint64_t{1} << (chosen & 63));
    below[chosen >> 6] &= ~(std::uint64_t{1} << (chosen & 63));
    if (!any) continue;
    const bool far = level.vertices[static_cast<std::size_t>(entry.vertex)].far;
    std::uint64_t* open_here = open.data() + at;
    bool unsettled = false;
    for (std::size_t k = 0; k < words; ++k, ++at) {
      const std::uint64_t mask = asked[k];
      above[k] = (above[k] & ~mask) | up[at];
      below[k] = (below[k] & ~mask) | down[at];
      if (far) open[at] = ~(up[at] | down[at]) & mask;  // at infinity a sign of 0 says nothing yet
      unsettled = unsettled || open[at];
      tally_.signs += __builtin_popcountll(mask);
    }
    if (unsettled) settle(level, entry.vertex, rows_on(level, part, entry.on), level.forms, level.candidates, above, below, open_here);
  }
  if (structure()) spread_signs(level);
}

// The candidates' signs at the new vertices, among those of all units.
template <int D, int W>
void CellSplitter<D, W>::spread_signs(Level& level) {
  const Index offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
  for (const Entry& entry : cut_) {
    const std::uint64_t* above = level.candidate_signs.data() + entry.vertex * 2 * level.words;
    for (int s = 0; s < 2; ++s) {
      std::uint64_t* all = level.signs.data() + (2 * entry.vertex + s) * sign_words();
      for (std::size_t c = 0; c < level.candidates.size(); ++c) {
        const Index i = offset + level.candidates[c];
        all[i >> 6] &= ~(std::uint64_t{1} << (i & 63));
        if (bit(above + s * level.words, static_cast<Index>(c))) set_bit(all, i);
      }
    }
  }
}

// Decides the open units at a vertex: with the exact vertex rounded once, then in integers.
template <int D, int W>
void CellSplitter<D, W>::settle(Level& level, std::int32_t vertex, const std::vector<RowId>& rows, const FormBlock& forms,
                                const std::vector<Index>& units, std::uint64_t* above, std::uint64_t* below, std::uint64_t* open) {
  const ExactVertex point = exact(level).meet(rows);
  ++tally_.exact_vertices;
  Vertex<D>& v = level.vertices[static_cast<std::size_t>(vertex)];
  v = rounded(point);
  const Index words = words_for(forms.count), offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
  if (!v.far) {
    Words up(static_cast<std::size_t>(words)), down(up), still(up);
    form_signs<D>(forms, open, &v, 1, up.data(), down.data(), still.data());
    for (std::size_t k = 0; k < up.size(); ++k) {
      above[k] |= open[k] & up[k];
      below[k] |= open[k] & down[k];
      open[k] &= still[k];
    }
  }
  for (Index k = 0; k < words; ++k) {
    for (; open[k]; open[k] &= open[k] - 1) {
      const Index i = 64 * k + __builtin_ctzll(open[k]);
      const int sign = exact(level).sign(static_cast<RowId>(offset + units[static_cast<std::size_t>(i)]), point);
      ++tally_.exact_signs;
      if (sign > 0) set_bit(above, i);
      if (sign < 0) set_bit(below, i);
    }
  }
}

}  // namespace pyregions
