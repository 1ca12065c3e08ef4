// Layer 1, internal. What the passes of a network share: the nodes and the data derived from them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "network.h"
#include "network_kernels.h"

namespace pyregions {

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Derived from one term of an affine node; the lazy parts are built at first use, by any thread.
class TermData {
 public:
  explicit TermData(const LinearMap& map);

  Vector row_norms, col_norms;  // omegas of the norm-wise bounds; of a diagonal map both are the |d_j|
  const Matrix& magnitudes(const LinearMap& map) const;  // omegas entry by entry; dense maps only
  DyadicVector times(const LinearMap& map, const DyadicVector& x) const;
  DyadicVector transposed_times(const LinearMap& map, const DyadicVector& x) const;

 private:
  void build_exact(const LinearMap& map) const;
  mutable std::once_flag magnitudes_once_, exact_once_;
  mutable Matrix magnitudes_;
  mutable DyadicMatrix exact_;
  mutable DyadicVector exact_diagonal_;
};

struct NodeData {
  std::vector<std::unique_ptr<TermData>> terms;  // affine
  bool has_bias = false;                         // some bias is not 0
  Vector bias_omegas;
  DyadicVector exact_bias;
  Slopes low, high;           // hinge
  DyadicVector exact_slopes;  // hinge: all low slopes, then all high ones
  Index items = 0;            // affine: products and the bias of one sum, an upper bound
  Index transposed_items = 0;
};

// Network::Impl derives from this so that the passes' helpers, which are not members, may see it.
struct NetworkData {
  Index inputs = 0, units = 0;
  bool finished = false;
  std::vector<Network::Node> nodes;
  std::vector<Network::Stage> stages;
  std::vector<std::unique_ptr<NodeData>> data;

  const NodeData& node_data(int node) const { return *data[static_cast<std::size_t>(node)]; }
  const Network::Node& node(int n) const { return nodes[static_cast<std::size_t>(n)]; }
  int node_count() const { return static_cast<int>(nodes.size()); }
  int output() const { return node_count() - 1; }

  void require_finished() const;
  void require_pattern(const Pattern& p) const;  // length and values
  void require_node(int node) const;
  // Calls f(source) for every source of a node.
  template <class F>
  void for_each_source(int n, F f) const {
    if (node(n).kind == Network::Kind::hinge) f(node(n).source);
    for (const Network::Term& term : node(n).terms) f(term.source);
  }
};

struct Network::Impl : NetworkData {
  mutable std::once_flag inverse_once;
  mutable StageInverse inverse;
};

// The pieces of one hinge node in a pattern, as slopes.
Slopes held_slopes(const Network::Node& node, const Pattern& p);

[[noreturn]] void refuse_network(const std::string& what);

}  // namespace pyregions
