// Layer 1. The passes in double-double with a radius, one point or one form at a time: what the float passes leave open
// is mostly closed here, at a few times their cost. double_double.h derives the bound of a sum.
#include <algorithm>
#include <cmath>

#include "network_impl.h"

namespace pyregions {
namespace {

// s z for a z off by z.radius; `lipschitz` bounds the slope between z and the exact value. s in {-1, 0, 1} is exact;
// otherwise s z.lo and one sum are rounded, both at most u |s z.hi| (1 + 2 u), each by a relative u.
Refined sloped(double s, double lipschitz, const Refined& z) {
  if (z.radius == 0 && z.value.hi == 0) return {};
  const double moved = lipschitz == 0 ? 0 : lipschitz * z.radius;
  if (s == 0 || s == 1 || s == -1) {
    const bool exact = lipschitz == 0 || lipschitz == 1;
    return {{s * z.value.hi, s * z.value.lo}, exact ? moved : moved * (1 + 2 * kUnit) + underflow(1)};
  }
  const DoubleDouble product = two_product(s, z.value.hi);
  const double rounding = 4 * kUnit * kUnit * std::fabs(product.hi) * (1 + 8 * kUnit);
  return {two_sum(product.hi, product.lo + s * z.value.lo), (moved + rounding) * (1 + 4 * kUnit) + underflow(512)};
}

RefinedVector hinge_refined(const Network::Node& node, const RefinedVector& z, const Pattern* held) {
  RefinedVector result(node.width);
  for (Index i = 0; i < node.width; ++i) {
    const Refined x = z[i];
    const double low = node.low[at(i)], high = node.high[at(i)];
    const bool on = held ? (*held)[at(node.offset + i)] != 0 : x.value.hi > 0;
    const double s = on ? high : low;
    // Where the sign is certain, the exact value is on the same side; else the hinge is continuous.
    const bool one_sided = held || x.sign() != 0;
    result.set(i, sloped(s, one_sided ? std::fabs(s) : std::max(std::fabs(low), std::fabs(high)), x));
  }
  return result;
}

class RefinedBackward {
 public:
  // seeds: how often one unit or output may be seeded.
  RefinedBackward(const NetworkData& net, const Pattern& p, int root, Index seeds) : net_(net), p_(p), root_(root) {
    // Items that can reach each node: its own multipliers and what its readers send.
    std::vector<Index> items(net.nodes.size(), seeds);
    Index constants = 1;
    for (const Network::Stage& stage : net.stages) items[static_cast<std::size_t>(stage.pre)] += seeds;
    for (int n = 1; n < net.node_count(); ++n) {
      const Network::Node& node = net.node(n);
      for (const Network::Term& term : node.terms)
        items[static_cast<std::size_t>(term.source)] += term.map.kind == LinearMap::Kind::dense ? node.width : 1;
      if (node.kind == Network::Kind::hinge) ++items[static_cast<std::size_t>(node.source)];
      constants += node.width + RefinedSums::kLanes + 1;
    }
    for (int n = 0; n < net.node_count(); ++n) {
      adjoints_.emplace_back(net.node(n).width, items[static_cast<std::size_t>(n)]);
      present_.push_back(0);
    }
    constant_.emplace_back(1, constants);
  }

  void seed(int node, Index i, const DoubleDouble& value) {
    RefinedSums& target = arrive(node);
    target.add_product(i, 1.0, target.factors(value), 0);
  }

  Network::RefinedForm run() {
    for (int n = net_.output(); n > root_; --n) {
      if (!present_[static_cast<std::size_t>(n)]) continue;
      const RefinedVector from = adjoints_[static_cast<std::size_t>(n)].finish();
      const Network::Node& node = net_.node(n);
      if (node.kind == Network::Kind::hinge) {
        run_hinge(node, from);
      } else {
        run_affine(n, from);
      }
    }
    return {adjoints_[static_cast<std::size_t>(root_)].finish(), constant_[0].finish()[0]};
  }

 private:
  RefinedSums& arrive(int node) {
    if (node < root_) {
      refuse_network("backward_refined to node " + std::to_string(root_) + ": node " + std::to_string(node) +
                     " carries multipliers and is not downstream of it; choose a root that every path passes through");
    }
    present_[static_cast<std::size_t>(node)] = 1;
    return adjoints_[static_cast<std::size_t>(node)];
  }

  void run_hinge(const Network::Node& node, const RefinedVector& from) {
    Vector slopes(at(node.width));
    for (Index i = 0; i < node.width; ++i) slopes[at(i)] = p_[at(node.offset + i)] ? node.high[at(i)] : node.low[at(i)];
    RefinedSums& target = arrive(node.source);
    target.add_diagonal(slopes.data(), target.factors(from));
  }

  void run_affine(int n, const RefinedVector& from) {
    const Network::Node& node = net_.node(n);
    if (net_.node_data(n).has_bias) constant_[0].add_dot(0, node.bias.data(), constant_[0].factors(from));
    for (const Network::Term& term : node.terms) {
      RefinedSums& target = arrive(term.source);
      const RefinedSums::Factors x = target.factors(from);
      if (term.map.kind == LinearMap::Kind::diagonal) {
        target.add_diagonal(term.map.diagonal.data(), x);
      } else {
        for (Index i = 0; i < node.width; ++i) target.add_scaled(term.map.dense.row(i), x, i);
      }
    }
  }

  const NetworkData& net_;
  const Pattern& p_;
  int root_;
  std::vector<RefinedSums> adjoints_, constant_;
  std::vector<char> present_;
};

RefinedVector affine_refined(const NetworkData& net, int n, const std::vector<RefinedVector>& values, bool linear) {
  const Network::Node& node = net.node(n);
  const NodeData& data = net.node_data(n);
  RefinedSums sums(node.width, data.items + static_cast<Index>(node.terms.size()) * (RefinedSums::kLanes + 1));
  for (const Network::Term& term : node.terms) {
    const RefinedSums::Factors x = sums.factors(values[static_cast<std::size_t>(term.source)]);
    if (term.map.kind == LinearMap::Kind::diagonal) {
      sums.add_diagonal(term.map.diagonal.data(), x);
    } else {
      for (Index i = 0; i < node.width; ++i) sums.add_dot(i, term.map.dense.row(i), x);
    }
  }
  if (!linear && data.has_bias) {
    for (Index i = 0; i < node.width; ++i) sums.add(i, node.bias[at(i)]);
  }
  return sums.finish();
}

// How often the commonest index occurs.
Index multiplicity(const Network::RefinedEntries& entries, Index size) {
  std::vector<Index> count(at(size), 0);
  Index most = 1;
  for (const auto& entry : entries) most = std::max(most, ++count[at(entry.first)]);
  return most;
}

}  // namespace

Network::RefinedValues Network::forward_refined(const Pattern* held, const Matrix& parts, bool linear) const {
  const NetworkData& net = *impl_;
  net.require_finished();
  if (held) net.require_pattern(*held);
  if (parts.cols() != net.inputs || parts.rows() < 1) {
    refuse_network("the point is " + std::to_string(parts.rows()) + " vectors of " + std::to_string(parts.cols()) +
                   " coordinates, the network has " + std::to_string(net.inputs) + " inputs");
  }
  std::vector<RefinedVector> values(net.nodes.size());
  values[0] = refined_point(parts);
  for (int n = 1; n < net.node_count(); ++n) {
    const Node& node = net.node(n);
    values[static_cast<std::size_t>(n)] = node.kind == Kind::hinge
                                              ? hinge_refined(node, values[static_cast<std::size_t>(node.source)], held)
                                              : affine_refined(net, n, values, linear);
  }
  RefinedValues result{RefinedVector(net.units), std::move(values.back())};
  for (const Stage& stage : net.stages) {
    const RefinedVector& z = values[static_cast<std::size_t>(stage.pre)];
    const RefinedVector& source = stage.pre == net.output() ? result.out : z;
    for (Index i = 0; i < stage.width; ++i) result.pre.set(stage.offset + i, source[i]);
  }
  return result;
}

Network::RefinedForm Network::backward_refined(const Pattern& p, const RefinedEntries& unit_multipliers,
                                               const RefinedEntries& output_multipliers, int root) const {
  const NetworkData& net = *impl_;
  net.require_finished();
  net.require_pattern(p);
  net.require_node(root);
  for (const auto& entry : output_multipliers) {
    if (entry.first < 0 || entry.first >= outputs()) refuse_network("there is no output " + std::to_string(entry.first));
  }
  for (const auto& entry : unit_multipliers) stage_of(entry.first);  // refuses what is no unit
  const Index seeds = std::max(multiplicity(unit_multipliers, net.units), multiplicity(output_multipliers, outputs()));
  RefinedBackward pass(net, p, root, seeds);
  for (const auto& [output, value] : output_multipliers) pass.seed(net.output(), output, value);
  for (const auto& [unit, value] : unit_multipliers) {
    const auto [stage, index] = stage_of(unit);
    pass.seed(net.stages[static_cast<std::size_t>(stage)].pre, index, value);
  }
  return pass.run();
}

}  // namespace pyregions
