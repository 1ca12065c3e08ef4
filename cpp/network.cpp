// Layer 1. Building a network and checking it; what is derived from its weights once.
#include "network.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "network_impl.h"

namespace pyregions {
namespace {

void require_finite(const double* values, Index n, const std::string& what) {
  for (Index i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) {
      refuse_network(what + ": entry " + std::to_string(i) + " is NaN or infinite; weights are taken as exact numbers");
    }
  }
}

std::unique_ptr<NodeData> affine_data(const Network::Node& node) {
  auto data = std::make_unique<NodeData>();
  for (const Network::Term& term : node.terms) {
    data->terms.push_back(std::make_unique<TermData>(term.map));
    const bool dense = term.map.kind == LinearMap::Kind::dense;
    data->items += dense ? term.map.in() : 1;
    data->transposed_items = std::max(data->transposed_items, dense ? term.map.out() : 1);
  }
  data->items += 2;  // the bias, and one to spare
  data->transposed_items += 1;
  data->has_bias = std::any_of(node.bias.begin(), node.bias.end(), [](double b) { return b != 0; });
  data->bias_omegas = omegas(node.bias.data(), node.width);
  data->exact_bias = DyadicVector(node.bias.data(), node.width);
  return data;
}

std::unique_ptr<NodeData> hinge_data(const Network::Node& node) {
  auto data = std::make_unique<NodeData>();
  for (double s : node.low) data->low.push_back(s);
  for (double s : node.high) data->high.push_back(s);
  Vector both = node.low;
  both.insert(both.end(), node.high.begin(), node.high.end());
  data->exact_slopes = DyadicVector(both.data(), static_cast<Index>(both.size()));
  return data;
}

// Entry by entry; see DyadicVector for the exponents.
DyadicVector entrywise(const DyadicVector& x, const DyadicVector& y) {
  DyadicVector result(x.size());
  result.exponent = x.exponent + y.exponent;
  for (std::size_t i = 0; i < result.mantissa.size(); ++i) result.mantissa[i] = x.mantissa[i] * y.mantissa[i];
  return result;
}

}  // namespace

void refuse_network(const std::string& what) { throw std::invalid_argument("network: " + what); }

LinearMap LinearMap::from_dense(Matrix w) {
  LinearMap map;
  map.dense = std::move(w);
  return map;
}

LinearMap LinearMap::from_diagonal(Vector d) {
  LinearMap map;
  map.kind = Kind::diagonal;
  map.diagonal = std::move(d);
  return map;
}

Index LinearMap::out() const { return kind == Kind::dense ? dense.rows() : static_cast<Index>(diagonal.size()); }
Index LinearMap::in() const { return kind == Kind::dense ? dense.cols() : static_cast<Index>(diagonal.size()); }

TermData::TermData(const LinearMap& map) {
  if (map.kind == LinearMap::Kind::diagonal) {
    row_norms = col_norms = omegas(map.diagonal.data(), map.out());
    return;
  }
  const Matrix& w = map.dense;
  row_norms.resize(at(w.rows()));
  for (Index i = 0; i < w.rows(); ++i) row_norms[at(i)] = norm_up(w.row(i), w.cols());
  Matrix transposed(w.cols(), w.rows());
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index j = 0; j < w.cols(); ++j) transposed(j, i) = w(i, j);
  }
  col_norms.resize(at(w.cols()));
  for (Index j = 0; j < w.cols(); ++j) col_norms[at(j)] = norm_up(transposed.row(j), w.rows());
  row_norms = omegas(row_norms.data(), w.rows());
  col_norms = omegas(col_norms.data(), w.cols());
}

const Matrix& TermData::magnitudes(const LinearMap& map) const {
  std::call_once(magnitudes_once_, [&] {
    const Index n = map.out() * map.in();
    const Vector entries = omegas(map.dense.data(), n);
    Matrix result(map.out(), map.in());
    std::copy_n(entries.data(), n, result.data());
    magnitudes_ = std::move(result);
  });
  return magnitudes_;
}

void TermData::build_exact(const LinearMap& map) const {
  std::call_once(exact_once_, [&] {
    if (map.kind == LinearMap::Kind::dense) {
      exact_ = DyadicMatrix(map.dense);
    } else {
      exact_diagonal_ = DyadicVector(map.diagonal.data(), map.out());
    }
  });
}

DyadicVector TermData::times(const LinearMap& map, const DyadicVector& x) const {
  build_exact(map);
  return map.kind == LinearMap::Kind::dense ? exact_.times(x) : entrywise(exact_diagonal_, x);
}

DyadicVector TermData::transposed_times(const LinearMap& map, const DyadicVector& x) const {
  build_exact(map);
  return map.kind == LinearMap::Kind::dense ? exact_.transposed_times(x) : entrywise(exact_diagonal_, x);
}

void NetworkData::require_finished() const {
  if (!finished) refuse_network("finish() was not called");
}

void NetworkData::require_pattern(const Pattern& p) const {
  if (static_cast<Index>(p.size()) != units) {
    refuse_network("the pattern has " + std::to_string(p.size()) + " pieces, the network has " + std::to_string(units) +
                   " units");
  }
  const auto bad = std::find_if(p.begin(), p.end(), [](std::uint8_t piece) { return piece > 1; });
  if (bad != p.end()) {
    refuse_network("unit " + std::to_string(bad - p.begin()) + " of the pattern has piece " + std::to_string(*bad) +
                   "; pieces are 0 and 1");
  }
}

void NetworkData::require_node(int n) const {
  if (n < 0 || n >= node_count()) {
    refuse_network("there is no node " + std::to_string(n) + "; nodes are 0 to " + std::to_string(node_count() - 1));
  }
}

Slopes held_slopes(const Network::Node& node, const Pattern& p) {
  Slopes slopes;
  for (Index i = 0; i < node.width; ++i) slopes.push_back(p[at(node.offset + i)] ? node.high[at(i)] : node.low[at(i)]);
  return slopes;
}

Network::Network(Index inputs) : impl_(std::make_unique<Impl>()) {
  if (inputs < 1) refuse_network("the number of inputs must be at least 1, not " + std::to_string(inputs));
  impl_->inputs = inputs;
  Node node;
  node.width = inputs;
  impl_->nodes.push_back(std::move(node));
  impl_->data.push_back(std::make_unique<NodeData>());
}

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;

int Network::add_affine(std::vector<Term> terms, Vector bias) {
  if (impl_->finished) refuse_network("it is finished; no node can be added");
  const std::string name = "affine node " + std::to_string(impl_->node_count());
  if (terms.empty()) refuse_network(name + ": no term; give it at least one source");
  if (bias.empty()) refuse_network(name + ": the bias is empty; give zeros for a node without bias");
  const auto width = static_cast<Index>(bias.size());
  for (const Term& term : terms) {
    impl_->require_node(term.source);
    const Index in = impl_->node(term.source).width;
    if (term.map.in() != in || term.map.out() != width) {
      const std::string shape = std::to_string(term.map.out()) + ", " + std::to_string(term.map.in());
      refuse_network(name + ": a map of shape (" + shape + ") cannot lead from node " + std::to_string(term.source) +
                     " of width " + std::to_string(in) + " to a bias of length " + std::to_string(width));
    }
    require_finite(term.map.dense.data(), term.map.dense.rows() * term.map.dense.cols(), name + ", weights");
    require_finite(term.map.diagonal.data(), static_cast<Index>(term.map.diagonal.size()), name + ", diagonal");
  }
  require_finite(bias.data(), width, name + ", bias");
  Node node;
  node.kind = Kind::affine;
  node.width = width;
  node.terms = std::move(terms);
  node.bias = std::move(bias);
  impl_->data.push_back(affine_data(node));
  impl_->nodes.push_back(std::move(node));
  return impl_->output();
}

int Network::add_hinge(int source, Vector low, Vector high) {
  if (impl_->finished) refuse_network("it is finished; no node can be added");
  const std::string name = "hinge node " + std::to_string(impl_->node_count());
  impl_->require_node(source);
  if (impl_->node(source).kind != Kind::affine) {
    refuse_network(name + ": its source, node " + std::to_string(source) +
                   ", is not affine; put an affine node (for instance an identity diagonal) between");
  }
  Node node;
  node.kind = Kind::hinge;
  node.width = impl_->node(source).width;
  if (static_cast<Index>(low.size()) != node.width || static_cast<Index>(high.size()) != node.width) {
    refuse_network(name + ": " + std::to_string(low.size()) + " low and " + std::to_string(high.size()) +
                   " high slopes for a source of width " + std::to_string(node.width));
  }
  require_finite(low.data(), node.width, name + ", low slopes");
  require_finite(high.data(), node.width, name + ", high slopes");
  node.source = source;
  node.low = std::move(low);
  node.high = std::move(high);
  node.stage = static_cast<int>(impl_->stages.size());
  node.offset = impl_->units;
  const int index = impl_->node_count();
  impl_->stages.push_back(Stage{index, source, node.offset, node.width});
  impl_->units += node.width;
  impl_->data.push_back(hinge_data(node));
  impl_->nodes.push_back(std::move(node));
  return index;
}

void Network::finish() {
  if (impl_->nodes.back().kind != Kind::affine) {
    refuse_network("the last node is the output and must be affine; append one (an identity diagonal will do)");
  }
  impl_->finished = true;
}

Index Network::inputs() const { return impl_->inputs; }
Index Network::outputs() const { return impl_->nodes.back().width; }
Index Network::units() const { return impl_->units; }
const std::vector<Network::Node>& Network::nodes() const { return impl_->nodes; }
const std::vector<Network::Stage>& Network::stages() const { return impl_->stages; }

std::pair<int, Index> Network::stage_of(Index unit) const {
  if (unit < 0 || unit >= impl_->units) {
    refuse_network("there is no unit " + std::to_string(unit) + "; it has " + std::to_string(impl_->units));
  }
  const auto next = std::upper_bound(impl_->stages.begin(), impl_->stages.end(), unit,
                                     [](Index u, const Stage& stage) { return u < stage.offset; });
  const auto stage = static_cast<int>(next - impl_->stages.begin()) - 1;
  return {stage, unit - impl_->stages[static_cast<std::size_t>(stage)].offset};
}

bool Network::is_cut(int node, int first_stage) const {
  impl_->require_node(node);
  if (node == 0) return true;
  // What the input reaches without passing through the node.
  std::vector<char> around(impl_->nodes.size(), 0);
  around[0] = 1;
  for (int n = 1; n < impl_->node_count(); ++n) {
    if (n == node) continue;
    impl_->for_each_source(n, [&](int source) {
      if (around[static_cast<std::size_t>(source)]) around[static_cast<std::size_t>(n)] = 1;
    });
  }
  for (std::size_t s = static_cast<std::size_t>(std::max(first_stage, 0)); s < impl_->stages.size(); ++s) {
    if (around[static_cast<std::size_t>(impl_->stages[s].pre)]) return false;
  }
  return !around[static_cast<std::size_t>(impl_->output())];
}

}  // namespace pyregions
