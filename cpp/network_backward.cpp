// Layer 1. The backward pass: linear forms of pre-activations and outputs, carried back to a root node, a batch of them
// at a time. network_kernels.h derives the bounds; an adjoint is to its node what a value is in the forward pass.
#include <algorithm>

#include "network_impl.h"

namespace pyregions {
namespace {

constexpr Index kBlock = 256;  // forms per block, for the same reason as in the forward pass

// The adjoint of a node over a block of forms; absent until something arrives.
struct Adjoint {
  bool present = false;
  Matrix v, e;
};

class Backward {
 public:
  // bypassed: what reaches nodes that are not downstream of the root is dropped instead of refused.
  Backward(const NetworkData& net, const Pattern& p, int root, bool bypassed = false) : net_(net), root_(root), bypassed_(bypassed) {
    slopes_.resize(net.nodes.size());
    for (const Network::Stage& stage : net.stages) {
      slopes_[static_cast<std::size_t>(stage.node)] = held_slopes(net.node(stage.node), p);
      constants_ += stage.width;
    }
    for (const Network::Node& node : net.nodes) constants_ += node.width;
  }

  Network::Forms run(const Matrix& unit_multipliers, const Matrix& output_multipliers);

 private:
  void seed(int node, const Matrix& multipliers, Index first, Index count, Index column);
  void run_affine(int n, Index first, Index count, Network::Forms& forms);
  void run_hinge(int n, Index count);
  void arrive(int node, Matrix v, Matrix e);
  Adjoint& adjoint(int n) { return adjoints_[static_cast<std::size_t>(n)]; }

  const NetworkData& net_;
  int root_;
  bool bypassed_;
  Index constants_ = 1;  // items of the sum c, an upper bound
  std::vector<Slopes> slopes_;
  std::vector<Adjoint> adjoints_;
};

Network::Forms Backward::run(const Matrix& unit_multipliers, const Matrix& output_multipliers) {
  const Index m = std::max(unit_multipliers.rows(), output_multipliers.rows()), width = net_.node(root_).width;
  Network::Forms forms{Matrix(m, width), Matrix(m, width), Vector(at(m), 0.0), Vector(at(m), 0.0)};
  for (Index first = 0; first < m; first += kBlock) {
    const Index count = std::min(kBlock, m - first);
    adjoints_.assign(net_.nodes.size(), Adjoint{});
    if (!output_multipliers.empty()) seed(net_.output(), output_multipliers, first, count, 0);
    if (!unit_multipliers.empty()) {
      for (const Network::Stage& stage : net_.stages) seed(stage.pre, unit_multipliers, first, count, stage.offset);
    }
    for (int n = net_.output(); n > root_; --n) {
      if (!adjoint(n).present) continue;
      if (net_.node(n).kind == Network::Kind::affine) {
        run_affine(n, first, count, forms);
      } else {
        run_hinge(n, count);
      }
      adjoint(n) = Adjoint{};
    }
    if (!adjoint(root_).present) continue;
    std::copy_n(adjoint(root_).v.data(), count * width, forms.g.row(first));
    std::copy_n(adjoint(root_).e.data(), count * width, forms.g_err.row(first));
  }
  finish_sum(forms.c.data(), forms.c_err.data(), nullptr, 0.0, underflow(2 * constants_), m);
  return forms;
}

// Multipliers are exact; a block of zeros is no adjoint at all.
void Backward::seed(int node, const Matrix& multipliers, Index first, Index count, Index column) {
  const Index width = net_.node(node).width;
  Matrix block(count, width);
  bool any = false;
  for (Index m = 0; m < count; ++m) {
    const double* from = multipliers.row(first + m) + column;
    std::copy_n(from, width, block.row(m));
    any = any || std::any_of(from, from + width, [](double x) { return x != 0; });
  }
  if (any) arrive(node, std::move(block), Matrix(count, width));
}

void Backward::arrive(int node, Matrix v, Matrix e) {
  if (node < root_) {
    if (bypassed_) return;
    refuse_network("backward to node " + std::to_string(root_) + ": node " + std::to_string(node) +
                   " carries multipliers and is not downstream of it; choose a root that every path passes through");
  }
  Adjoint& target = adjoint(node);
  if (target.present) {
    merge(v.data(), e.data(), target.v.data(), target.e.data(), v.rows() * v.cols());
    return;
  }
  target.present = true;
  target.v = std::move(v);
  target.e = std::move(e);
}

void Backward::run_affine(int n, Index first, Index count, Network::Forms& forms) {
  const Network::Node& node = net_.node(n);
  const NodeData& data = net_.node_data(n);
  const Adjoint& from = adjoint(n);
  const Index width = node.width;
  if (data.has_bias) {
    gemv(false, 1.0, from.v, node.bias.data(), 1.0, forms.c.data() + first);
    const double gamma_c = gamma(constants_), inflation = inflate(2 * constants_ + 64);
    for (Index m = 0; m < count; ++m) {
      forms.c_err[at(first + m)] +=
          weighted_rho(data.bias_omegas.data(), from.v.row(m), from.e.row(m), gamma_c, inflation, width);
    }
  }
  for (std::size_t t = 0; t < node.terms.size(); ++t) {
    const Network::Term& term = node.terms[t];
    const TermData& term_data = *data.terms[t];
    const Index in = term.map.in(), items = data.transposed_items;
    const double gamma_k = gamma(items), inflation = inflate(4 * items + 64);
    Matrix v(count, in), e(count, in);
    if (term.map.kind == LinearMap::Kind::dense) gemm(false, false, 1.0, from.v, term.map.dense, 0.0, v);
    for (Index m = 0; m < count; ++m) {
      const double *x = from.v.row(m), *d = from.e.row(m);
      if (term.map.kind == LinearMap::Kind::dense) {
        const double d_norm = norm_up(d, width), x_norm = norm_up(x, width);
        const double rho = d_norm == 0 && x_norm == 0 ? 0 : (d_norm + gamma_k * x_norm) * inflation + kFloor;
        add_outer(rho, term_data.col_norms.data(), true, e.row(m), in);
      } else {
        add_diagonal(term.map.diagonal.data(), term_data.row_norms.data(), x, d, gamma_k, inflation, true, v.row(m),
                     e.row(m), in);
      }
      finish_sum(v.row(m), e.row(m), nullptr, 0.0, underflow(2 * items + 4), in);
    }
    arrive(term.source, std::move(v), std::move(e));
  }
}

void Backward::run_hinge(int n, Index count) {
  const Adjoint& from = adjoint(n);
  const Index width = net_.node(n).width;
  Matrix v(count, width), e(count, width);
  for (Index m = 0; m < count; ++m) {
    held(from.v.row(m), from.e.row(m), slopes_[static_cast<std::size_t>(n)], v.row(m), e.row(m), width);
  }
  arrive(net_.node(n).source, std::move(v), std::move(e));
}

void require_multipliers(const NetworkData& net, const Matrix& unit_multipliers, const Matrix& output_multipliers) {
  const Index outputs = net.node(net.output()).width;
  const bool units_given = unit_multipliers.rows() > 0, outputs_given = output_multipliers.rows() > 0;
  if (units_given && unit_multipliers.cols() != net.units) {
    refuse_network("backward: multipliers for " + std::to_string(unit_multipliers.cols()) + " units, the network has " +
                   std::to_string(net.units));
  }
  if (outputs_given && output_multipliers.cols() != outputs) {
    refuse_network("backward: multipliers for " + std::to_string(output_multipliers.cols()) +
                   " outputs, the network has " + std::to_string(outputs));
  }
  if (units_given && outputs_given && unit_multipliers.rows() != output_multipliers.rows()) {
    refuse_network("backward: " + std::to_string(unit_multipliers.rows()) + " rows of unit multipliers and " +
                   std::to_string(output_multipliers.rows()) + " of output multipliers; give one of each per form");
  }
}

}  // namespace

Network::Forms Network::backward(const Pattern& p, const Matrix& unit_multipliers, const Matrix& output_multipliers,
                                 int root) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  impl_->require_node(root);
  require_multipliers(*impl_, unit_multipliers, output_multipliers);
  return Backward(*impl_, p, root).run(unit_multipliers, output_multipliers);
}

Matrix Network::output_gradient(const Pattern& p, int node) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  impl_->require_node(node);
  Matrix each(outputs(), outputs());
  for (Index i = 0; i < outputs(); ++i) each(i, i) = 1;
  return Backward(*impl_, p, node, true).run({}, each).g;
}

}  // namespace pyregions
