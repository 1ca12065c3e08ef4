// Layer 3. The affine forms of one stage over many cells at once: one matrix product composes the rows of a whole chunk
// of cells, each under its own pattern, from the forms of the stage before.
//
// A form is stored by coefficient: cell k owns d + 1 consecutive rows (the d coefficients, then the constant), each over
// the units of a node, so that loops over units are contiguous and the product needs no reordering.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exact_vertex.h"
#include "network.h"

namespace pyregions {

// Patterns and sets of units as words of 64 bits.
using Words = std::vector<std::uint64_t>;
inline Index words_for(Index bits) { return (bits + 63) / 64; }
inline bool bit(const std::uint64_t* words, Index i) { return words[i >> 6] >> (i & 63) & 1; }
inline void set_bit(std::uint64_t* words, Index i) { words[i >> 6] |= std::uint64_t{1} << (i & 63); }
inline void put_bit(std::uint64_t* words, Index i, bool value) {
  words[i >> 6] = (words[i >> 6] & ~(std::uint64_t{1} << (i & 63))) | std::uint64_t{value} << (i & 63);
}
// Adds the bits of a word from bit i on.
inline void set_word(std::uint64_t* words, Index i, std::uint64_t bits) {
  words[i >> 6] |= bits << (i & 63);
  if (const std::uint64_t rest = i & 63 ? bits >> (64 - (i & 63)) : 0) words[(i >> 6) + 1] |= rest;
}

// One node over the cells of a chunk. Law: the exact form lies within a_error(k, j) in every coefficient of unit j of
// cell k and within c_error(k, j) in its constant; a bound of 0 says that the number is exact.
struct NodeForms {
  Matrix values;            // K (d + 1) x width
  Matrix a_error, c_error;  // K x width
};

struct StageForms {
  int stage = 0;
  std::vector<std::shared_ptr<NodeForms>> nodes;  // by node; empty where no later node needs it
  const NodeForms& pre(const Network& network) const {
    return *nodes[static_cast<std::size_t>(network.stages()[static_cast<std::size_t>(stage)].pre)];
  }
};

// What bounds need to know of a network's weights, computed once.
class WeightSums {
 public:
  explicit WeightSums(const Network& network);

 private:
  friend class FormComposer;
  struct Node {
    std::vector<Vector> row_sums;  // per term: sums of |weights| of each output
    Vector bias_magnitude;
    Index items = 0;
    int last_use = 0;  // the largest node that reads this one
  };
  std::vector<Node> nodes_;
};

class FormComposer {
 public:
  FormComposer(const Network& network, std::shared_ptr<const WeightSums> sums, const Subspace& subspace);

  // A cell of the stage before: its forms, its place among them, its pattern (words over all units).
  struct Parent {
    const StageForms* forms;  // null: the input itself
    Index cell;
    const std::uint64_t* pattern;
  };
  // The forms of the next stage for every parent (all of one stage).
  std::shared_ptr<const StageForms> next(const std::vector<Parent>& parents) const;

 private:
  std::shared_ptr<NodeForms> carried(const std::vector<Parent>& parents, int node) const;
  std::shared_ptr<NodeForms> held(const std::vector<Parent>& parents, int node) const;
  std::shared_ptr<NodeForms> affine(const StageForms& forms, int node, Index cells) const;
  std::shared_ptr<NodeForms> input(Index cells) const;

  int last_use(std::size_t node) const { return sums_->nodes_[node].last_use; }

  const Network& network_;
  const Subspace& subspace_;
  Index d_;
  std::shared_ptr<const WeightSums> sums_;
};

}  // namespace pyregions
