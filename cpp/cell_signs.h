// Layer 4, private to cells*.cpp. On which side of the units a cell's vertices lie: in floats with bounds, else in integers.
#pragma once

#include <numeric>
#include <stdexcept>
#include <string>

#include "cell_divide.h"

namespace pyregions {

// Signs of all units of the stage at one vertex of the cell, as words above, below and (left empty) open. A form that is
// exactly 0 by structure is 0 everywhere, and so is a unit on its own hyperplane, along which the cell was split before.
template <int D, int W>
void CellSplitter<D, W>::signs_of_stage(Level& level, const Node& node, std::size_t vertex, const FormBlock& all,
                                        const std::uint64_t* dead, std::uint64_t* above) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const Index words = words_for(stage.width);
  std::uint64_t *below = above + words, *open = below + words;
  const Vertex<D>& v = level.vertices[vertex];
  form_signs(all, D, v.far ? v.u.data() : v.x.data(), v.far ? v.u_error : v.x_error, v.far, above, below, open);
  Words& zero = open_scratch_;
  zero.assign(dead, dead + words);
  const Set& on = node.entries[vertex].on;
  on.for_each([&](int slot) {
    const Index unit = level.rows[static_cast<std::size_t>(slot)].id - stage.offset;
    if (unit >= 0 && unit < stage.width) set_bit(zero.data(), unit);
  });
  const std::uint64_t last = stage.width % 64 ? (std::uint64_t{1} << stage.width % 64) - 1 : ~std::uint64_t{0};
  bool unsettled = false;
  for (Index k = 0; k < words; ++k) {
    const std::uint64_t known = zero[static_cast<std::size_t>(k)];
    above[k] &= ~known;
    below[k] &= ~known;
    // At infinity a sign of 0 says nothing yet.
    if (v.far) open[k] = ~(above[k] | below[k]) & (k + 1 == words ? last : ~std::uint64_t{0});
    open[k] &= ~known;
    unsettled = unsettled || open[k];
  }
  if (!unsettled) return;
  std::vector<Index> units(static_cast<std::size_t>(stage.width));
  std::iota(units.begin(), units.end(), Index{0});
  settle(level, static_cast<std::int32_t>(vertex), rows_on(level, node, on), all, units, above, below, open);
}

// The units of the stage that cut the cell, and the pieces of the others.
template <int D, int W>
void CellSplitter<D, W>::find_candidates(Level& level, const Node& node) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  const Index width = stage.width, words = words_for(width), count = static_cast<Index>(level.vertices.size());
  const double* values = level.pre->values.row(level.place * (D + 1));
  level.block.resize(static_cast<std::size_t>(3 * width));
  double* bounds = level.block.data();
  form_thresholds(values, width, width, D, level.pre->a_error.row(level.place), level.pre->c_error.row(level.place), bounds,
                  bounds + width, bounds + 2 * width);
  const FormBlock all{values, width, width, bounds, bounds + width, bounds + 2 * width};
  word_scratch_.assign(static_cast<std::size_t>((3 * count + 3) * words), 0);  // per vertex above, below, open; then:
  std::uint64_t *dead = word_scratch_.data() + 3 * count * words, *any_above = dead + words, *any_below = any_above + words;
  for (Index j = 0; j < width; ++j)
    if (bounds[width + j] == 0 && values[D * width + j] == 0 && level.pre->c_error(level.place, j) == 0) set_bit(dead, j);
  for (Index i = 0; i < count; ++i) {
    std::uint64_t* above = word_scratch_.data() + 3 * i * words;
    signs_of_stage(level, node, static_cast<std::size_t>(i), all, dead, above);
    for (Index k = 0; k < words; ++k) {
      any_above[k] |= above[k];
      any_below[k] |= above[words + k];
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
  keep_signs(level, count, words);
}

// What find_candidates found at the cell's vertices: of the candidates, and with structure of all units.
template <int D, int W>
void CellSplitter<D, W>::keep_signs(Level& level, Index count, Index words) {
  const Network::Stage& stage = network_.stages()[static_cast<std::size_t>(level.stage)];
  level.words = words_for(static_cast<Index>(level.candidates.size()));
  level.candidate_signs.assign(static_cast<std::size_t>(count * 2 * level.words), 0);
  for (Index i = 0; i < count; ++i) {
    for (int s = 0; s < 2; ++s) {
      const std::uint64_t* found = word_scratch_.data() + (3 * i + s) * words;
      std::uint64_t* own = level.candidate_signs.data() + (2 * i + s) * level.words;
      for (std::size_t c = 0; c < level.candidates.size(); ++c)
        if (bit(found, level.candidates[c])) set_bit(own, static_cast<Index>(c));
      if (!structure()) continue;
      std::uint64_t* signs = level.signs.data() + (2 * i + s) * sign_words();
      for (Index j = 0; j < stage.width; ++j)
        if (bit(found, j)) set_bit(signs, stage.offset + j);
    }
  }
}

// Their forms side by side, for the signs at new vertices.
template <int D, int W>
void CellSplitter<D, W>::gather_candidates(Level& level) {
  const Index width = level.pre->values.cols(), count = static_cast<Index>(level.candidates.size());
  Vector& gathered = level.gathered;
  gathered.resize(static_cast<std::size_t>((D + 4) * count));
  const double* values = level.pre->values.row(level.place * (D + 1));
  for (Index c = 0; c < count; ++c) {
    const Index j = level.candidates[static_cast<std::size_t>(c)];
    for (Index k = 0; k <= D; ++k) gathered[static_cast<std::size_t>(k * count + c)] = values[k * width + j];
    for (Index k = 0; k < 3; ++k) gathered[static_cast<std::size_t>((D + 1 + k) * count + c)] = level.block[static_cast<std::size_t>(k * width + j)];
  }
  const double* block = gathered.data();
  level.forms = {block, count, count, block + (D + 1) * count, block + (D + 2) * count, block + (D + 3) * count};
}

// Signs of the candidates in open_scratch_ at a new vertex of a part: in floats, and where they fail in integers.
template <int D, int W>
void CellSplitter<D, W>::float_signs(Level& level, const Node& part, const Entry& entry, std::uint64_t* above, std::uint64_t* below) {
  Words &asked = open_scratch_, &signs = sign_scratch_;
  const Index words = level.words;
  signs.resize(static_cast<std::size_t>(3 * words));
  const Vertex<D>& v = level.vertices[static_cast<std::size_t>(entry.vertex)];
  std::uint64_t *up = signs.data(), *down = up + words, *open = down + words;
  form_signs(level.forms, D, v.far ? v.u.data() : v.x.data(), v.far ? v.u_error : v.x_error, v.far, up, down, open);
  bool unsettled = false;
  for (Index k = 0; k < words; ++k) {
    const std::uint64_t mask = asked[static_cast<std::size_t>(k)];
    above[k] = (above[k] & ~mask) | (up[k] & mask);
    below[k] = (below[k] & ~mask) | (down[k] & mask);
    asked[static_cast<std::size_t>(k)] = (v.far ? ~(up[k] | down[k]) : open[k]) & mask;  // at infinity a sign of 0 says nothing yet
    unsettled = unsettled || asked[static_cast<std::size_t>(k)];
  }
  tally_.signs += static_cast<long>(level.candidates.size());
  if (unsettled) settle(level, entry.vertex, rows_on(level, part, entry.on), level.forms, level.candidates, above, below, asked.data());
}

// Signs of the candidates that cut the cell at a new vertex, which lies on the hyperplane of the chosen one. on: with
// the rows of either part.
template <int D, int W>
void CellSplitter<D, W>::signs_of_candidates(Level& level, const Node& node, const Node& part, const Entry& entry, Index chosen) {
  const Index words = level.words;
  Words& open = open_scratch_;
  open.resize(static_cast<std::size_t>(words));
  std::uint64_t *above = level.candidate_signs.data() + entry.vertex * 2 * words, *below = above + words;
  std::uint64_t asked = 0;
  for (Index k = 0; k < words; ++k) {
    const std::uint64_t zero = k == chosen >> 6 ? std::uint64_t{1} << (chosen & 63) : 0;
    above[k] &= ~zero;
    below[k] &= ~zero;
    open[static_cast<std::size_t>(k)] = node.open[static_cast<std::size_t>(k)] & ~zero;
    asked |= open[static_cast<std::size_t>(k)];
  }
  if (asked) float_signs(level, part, entry, above, below);
  if (!structure()) return;
  const Index offset = network_.stages()[static_cast<std::size_t>(level.stage)].offset;
  for (int s = 0; s < 2; ++s) {
    std::uint64_t* all = level.signs.data() + (2 * entry.vertex + s) * sign_words();
    for (std::size_t c = 0; c < level.candidates.size(); ++c) {
      const Index i = offset + level.candidates[c];
      all[i >> 6] &= ~(std::uint64_t{1} << (i & 63));
      if (bit(above + s * words, static_cast<Index>(c))) set_bit(all, i);
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
      const int sign = exact(level).sign(static_cast<RowId>(offset + units[static_cast<std::size_t>(i)]), point);
      ++tally_.exact_signs;
      if (sign > 0) set_bit(above, i);
      if (sign < 0) set_bit(below, i);
    }
  }
}

}  // namespace pyregions
