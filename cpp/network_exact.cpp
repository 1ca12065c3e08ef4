// Layer 1. The forward and backward passes in exact arithmetic, one point or one form at a time.
#include <algorithm>
#include <limits>

#include "network_impl.h"

namespace pyregions {
namespace {

// Slope of unit i of a hinge node, by piece.
const Integer& exact_slope(const NodeData& data, Index width, Index i, bool high) {
  return data.exact_slopes.mantissa[at(high ? width + i : i)];
}

// s_i z_i under the held pieces; without any, under the sign of z_i (at 0 both pieces agree).
DyadicVector apply_slopes(const Network::Node& node, const NodeData& data, const DyadicVector& z, const Pattern* held) {
  DyadicVector result(node.width);
  result.exponent = z.exponent + data.exact_slopes.exponent;
  for (Index i = 0; i < node.width; ++i) {
    const Integer& value = z.mantissa[at(i)];
    if (value.is_zero()) continue;
    const bool high = held ? (*held)[at(node.offset + i)] != 0 : value.sign() > 0;
    const Integer& slope = exact_slope(data, node.width, i, high);
    if (!slope.is_zero()) result.mantissa[at(i)] = slope * value;
  }
  return result;
}

using Entries = std::vector<std::pair<Index, Dyadic>>;

// The sum of sparse entries as a vector with one exponent.
DyadicVector gather_entries(const Entries& entries, Index size) {
  DyadicVector result(size);
  long least = std::numeric_limits<long>::max();
  for (const auto& [i, value] : entries) {
    if (!value.is_zero()) least = std::min(least, value.exponent);
  }
  if (least == std::numeric_limits<long>::max()) return result;
  result.exponent = least;
  for (const auto& [i, value] : entries) {
    if (value.is_zero()) continue;
    result.mantissa[at(i)] += value.mantissa << static_cast<unsigned long>(value.exponent - least);
  }
  return result;
}

class ExactBackward {
 public:
  ExactBackward(const NetworkData& net, const Pattern& p, int root) : net_(net), p_(p), root_(root) {
    adjoints_.resize(net.nodes.size());
  }

  void seed(int node, const Entries& entries) {
    const DyadicVector values = gather_entries(entries, net_.node(node).width);
    if (!values.all_zero()) arrive(node, values);
  }

  Network::ExactForm run() {
    Network::ExactForm form;
    for (int n = net_.output(); n > root_; --n) {
      const DyadicVector from = std::move(adjoints_[static_cast<std::size_t>(n)]);
      if (from.size() == 0) continue;
      const Network::Node& node = net_.node(n);
      const NodeData& data = net_.node_data(n);
      if (node.kind == Network::Kind::hinge) {
        arrive(node.source, apply_slopes(node, data, from, &p_));
        continue;
      }
      if (data.has_bias) form.c = form.c + dot(from, data.exact_bias);
      for (std::size_t t = 0; t < node.terms.size(); ++t) {
        arrive(node.terms[t].source, data.terms[t]->transposed_times(node.terms[t].map, from));
      }
    }
    form.g = std::move(adjoints_[static_cast<std::size_t>(root_)]);
    if (form.g.size() == 0) form.g = DyadicVector(net_.node(root_).width);
    return form;
  }

 private:
  void arrive(int node, DyadicVector values) {
    if (node < root_) {
      refuse_network("backward_exact to node " + std::to_string(root_) + ": node " + std::to_string(node) +
                     " carries multipliers and is not downstream of it; choose a root that every path passes through");
    }
    DyadicVector& target = adjoints_[static_cast<std::size_t>(node)];
    if (target.size() == 0) {
      target = std::move(values);
    } else {
      target.add(values);
    }
  }

  const NetworkData& net_;
  const Pattern& p_;
  int root_;
  std::vector<DyadicVector> adjoints_;  // of length 0 where nothing arrived
};

}  // namespace

Network::ExactValues Network::forward_exact(const DyadicVector& point, const Pattern* held, bool linear) const {
  const NetworkData& net = *impl_;
  net.require_finished();
  if (held) net.require_pattern(*held);
  if (point.size() != net.inputs) {
    refuse_network("the point has " + std::to_string(point.size()) + " coordinates, the network has " +
                   std::to_string(net.inputs) + " inputs");
  }
  std::vector<DyadicVector> values(net.nodes.size());
  values[0] = point;
  for (int n = 1; n < net.node_count(); ++n) {
    const Node& node = net.node(n);
    const NodeData& data = net.node_data(n);
    DyadicVector& value = values[static_cast<std::size_t>(n)];
    if (node.kind == Kind::hinge) {
      value = apply_slopes(node, data, values[static_cast<std::size_t>(node.source)], held);
      continue;
    }
    for (std::size_t t = 0; t < node.terms.size(); ++t) {
      const Term& term = node.terms[t];
      DyadicVector part = data.terms[t]->times(term.map, values[static_cast<std::size_t>(term.source)]);
      if (t == 0) {
        value = std::move(part);
      } else {
        value.add(part);
      }
    }
    if (!linear && data.has_bias) value.add(data.exact_bias);
  }
  ExactValues result;
  for (const Stage& stage : net.stages) result.pre.push_back(values[static_cast<std::size_t>(stage.pre)]);
  result.out = std::move(values.back());
  return result;
}

Network::ExactForm Network::backward_exact(const Pattern& p, const Entries& unit_multipliers,
                                           const Entries& output_multipliers, int root) const {
  const NetworkData& net = *impl_;
  net.require_finished();
  net.require_pattern(p);
  net.require_node(root);
  std::vector<Entries> per_stage(net.stages.size());
  for (const auto& [unit, value] : unit_multipliers) {
    const auto [stage, index] = stage_of(unit);
    per_stage[static_cast<std::size_t>(stage)].emplace_back(index, value);
  }
  for (const auto& [output, value] : output_multipliers) {
    if (output < 0 || output >= outputs()) refuse_network("there is no output " + std::to_string(output));
  }
  ExactBackward pass(net, p, root);
  pass.seed(net.output(), output_multipliers);
  for (std::size_t s = 0; s < per_stage.size(); ++s) pass.seed(net.stages[s].pre, per_stage[s]);
  return pass.run();
}

}  // namespace pyregions
