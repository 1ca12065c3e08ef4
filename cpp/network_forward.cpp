// Layer 1. The forward passes over a batch of points, points as rows: one matrix product per affine term, then
// elementwise loops. network_kernels.h derives the bounds.
#include <algorithm>

#include "network_impl.h"

namespace pyregions {
namespace {

// Points per block: large enough for matrix products at full speed, small enough that the values of a layer of a
// thousand units (2 MB) stay in the cache between the product and the elementwise loops.
constexpr Index kBlock = 256;
// From this many points on, dropping the dead units' columns from a weight matrix pays for the copy.
constexpr Index kGather = 8;

// Values of a node at the points of a block, and their bounds.
struct Block {
  double* v = nullptr;
  double* e = nullptr;
  Index stride = 0;
  Matrix own_v, own_e;  // empty when the block lives in the result

  void allocate(Index points, Index width) {
    if (own_v.rows() < points) {  // else those of an earlier block serve again
      own_v = Matrix(points, width);
      own_e = Matrix(points, width);
    }
    v = own_v.data();
    e = own_e.data();
    stride = width;
  }
};

// A dense term after the columns of dead units were dropped; `w` points to the original when none was.
struct Weights {
  const Matrix* w = nullptr;
  const double* row_norms = nullptr;
  const Matrix* magnitudes = nullptr;  // tight only
  Matrix own_w, own_magnitudes;
  Vector own_norms;
};

}  // namespace

// The network under a pattern, or itself.
struct Network::Held {
  Held(const NetworkData& network, const Pattern* p, bool tight_bounds, bool gathered);

  const NetworkData& net;
  bool masked, tight, gather;  // masked: under a pattern
  std::vector<Slopes> slopes;                 // per hinge node, when held: of the stored units
  std::vector<std::vector<Index>> live;       // per hinge node, when compact: units whose slope is not 0
  std::vector<std::vector<Weights>> weights;  // per affine node and term

  bool compact(int n) const { return gather && net.node(n).kind == Kind::hinge; }
  Index stored(int n) const { return compact(n) ? static_cast<Index>(live[static_cast<std::size_t>(n)].size()) : net.node(n).width; }

 private:
  void prepare_hinge(int n, const Pattern& p);
  Weights prepare_weights(int source, const LinearMap& map, const TermData& data) const;
};

namespace {

class Forward {
 public:
  Forward(const Network::Held& held, bool linear)
      : net_(held.net), held_(held), linear_(linear), blocks_(held.net.nodes.size()) {}

  Network::Values run(const Matrix& points);

 private:
  void run_block(const Matrix& points, Index first, Index count, Network::Values& out);
  void run_affine(int n, Index count);
  void run_dense(const Weights& weights, int source, Index count, bool first, double inflation, double gamma_k,
                 Block& out);
  void run_diagonal(int source, const LinearMap& map, const TermData& data, Index count, bool first,
                    double gamma_k, Block& out);
  void run_hinge(int n, Index count);

  const std::vector<Index>& live(int n) const { return held_.live[static_cast<std::size_t>(n)]; }
  Block& block(int n) { return blocks_[static_cast<std::size_t>(n)]; }

  const NetworkData& net_;
  const Network::Held& held_;
  bool linear_;
  std::vector<Block> blocks_;
  Vector row_, row_err_;  // scratch, one point
};

}  // namespace

Network::Held::Held(const NetworkData& network, const Pattern* p, bool tight_bounds, bool gathered)
    : net(network), masked(p != nullptr), tight(tight_bounds), gather(masked && gathered), slopes(net.nodes.size()),
      live(net.nodes.size()), weights(net.nodes.size()) {
  for (int n = 1; n < net.node_count(); ++n) {
    if (net.node(n).kind == Kind::hinge) {
      if (p) prepare_hinge(n, *p);
      continue;
    }
    for (std::size_t t = 0; t < net.node(n).terms.size(); ++t) {
      const Term& term = net.node(n).terms[t];
      weights[static_cast<std::size_t>(n)].push_back(prepare_weights(term.source, term.map, *net.node_data(n).terms[t]));
    }
  }
}

void Network::Held::prepare_hinge(int n, const Pattern& p) {
  Slopes all = held_slopes(net.node(n), p);
  if (!gather) {
    slopes[static_cast<std::size_t>(n)] = std::move(all);
    return;
  }
  for (Index i = 0; i < all.size(); ++i) {
    if (all.slope[at(i)] == 0) continue;
    live[static_cast<std::size_t>(n)].push_back(i);
    slopes[static_cast<std::size_t>(n)].push_back(all.slope[at(i)]);
  }
}

Weights Network::Held::prepare_weights(int source, const LinearMap& map, const TermData& data) const {
  Weights result;
  if (map.kind != LinearMap::Kind::dense) return result;
  result.w = &map.dense;
  result.row_norms = data.row_norms.data();
  if (tight) result.magnitudes = &data.magnitudes(map);
  if (!compact(source) || stored(source) == net.node(source).width) return result;
  const auto columns = [&](const Matrix& w) {
    Matrix kept(w.rows(), stored(source));
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index r = 0; r < kept.cols(); ++r) kept(i, r) = w(i, live[static_cast<std::size_t>(source)][at(r)]);
    }
    return kept;
  };
  result.own_w = columns(map.dense);
  result.w = nullptr;  // the owned one; a pointer to it would not survive a move
  if (tight) {
    result.own_magnitudes = columns(*result.magnitudes);
    result.magnitudes = nullptr;
    return result;
  }
  Vector norms(at(map.out()));
  for (Index i = 0; i < map.out(); ++i) norms[at(i)] = norm_up(result.own_w.row(i), stored(source));
  result.own_norms = omegas(norms.data(), map.out());
  result.row_norms = nullptr;
  return result;
}

namespace {

Network::Values Forward::run(const Matrix& points) {
  const Index m = points.rows(), outputs = net_.node(net_.output()).width;
  Network::Values out{Matrix(m, net_.units), Matrix(m, net_.units), Matrix(m, outputs), Matrix(m, outputs)};
  for (Index first = 0; first < m; first += kBlock) run_block(points, first, std::min(kBlock, m - first), out);
  return out;
}

void Forward::run_block(const Matrix& points, Index first, Index count, Network::Values& out) {
  // Points are exact: bounds 0. Values of a source are only read, so the cast is safe and saves a copy.
  if (block(0).own_e.rows() < count) block(0).own_e = Matrix(count, net_.inputs);
  block(0).v = const_cast<double*>(points.row(first));
  block(0).e = block(0).own_e.data();
  block(0).stride = net_.inputs;
  // Pre-activations and outputs are computed where they are wanted.
  const auto place = [&](int n, Matrix& v, Matrix& e, Index column) {
    Block& b = block(n);
    b.v = v.row(first) + column;
    b.e = e.row(first) + column;
    b.stride = v.cols();
  };
  for (int n = 1; n < net_.node_count(); ++n) block(n).v = nullptr;
  for (const Network::Stage& stage : net_.stages) {
    if (!block(stage.pre).v) place(stage.pre, out.pre, out.pre_err, stage.offset);
  }
  place(net_.output(), out.out, out.out_err, 0);
  for (int n = 1; n < net_.node_count(); ++n) {
    if (!block(n).v) block(n).allocate(count, held_.stored(n));
    if (net_.node(n).kind == Network::Kind::affine) {
      run_affine(n, count);
    } else {
      run_hinge(n, count);
    }
  }
  for (const Network::Stage& stage : net_.stages) {  // a second stage on the same pre-activations
    const Block& b = block(stage.pre);
    if (b.v == out.pre.row(first) + stage.offset) continue;
    for (Index m = 0; m < count; ++m) {
      std::copy_n(b.v + m * b.stride, stage.width, out.pre.row(first + m) + stage.offset);
      std::copy_n(b.e + m * b.stride, stage.width, out.pre_err.row(first + m) + stage.offset);
    }
  }
}

void Forward::run_affine(int n, Index count) {
  const Network::Node& node = net_.node(n);
  const NodeData& data = net_.node_data(n);
  Block& out = block(n);
  const double gamma_k = gamma(data.items), inflation = inflate(4 * data.items + 64);
  for (std::size_t t = 0; t < node.terms.size(); ++t) {
    const Network::Term& term = node.terms[t];
    if (term.map.kind == LinearMap::Kind::dense) {
      const Weights& weights = held_.weights[static_cast<std::size_t>(n)][t];
      run_dense(weights, term.source, count, t == 0, inflation, gamma_k, out);
    } else {
      run_diagonal(term.source, term.map, *data.terms[t], count, t == 0, gamma_k, out);
    }
  }
  const double* bias = linear_ || !data.has_bias ? nullptr : node.bias.data();
  const double tiny = underflow(2 * data.items + 4);
  for (Index m = 0; m < count; ++m) {
    finish_sum(out.v + m * out.stride, out.e + m * out.stride, bias, gamma_k, tiny, node.width);
  }
}

void Forward::run_dense(const Weights& weights, int source, Index count, bool first, double inflation, double gamma_k,
                        Block& out) {
  const Block& in = block(source);
  const Matrix& w = weights.w ? *weights.w : weights.own_w;
  const Index width = held_.stored(source);
  const double beta = first ? 0.0 : 1.0;
  gemm(false, true, count, w.rows(), width, 1.0, in.v, in.stride, w.data(), width, beta, out.v, out.stride);
  if (held_.tight) {
    const Matrix& magnitudes = weights.magnitudes ? *weights.magnitudes : weights.own_magnitudes;
    Matrix rho(count, width);
    for (Index m = 0; m < count; ++m) {
      tight_rho(in.v + m * in.stride, in.e + m * in.stride, gamma_k, inflation, rho.row(m), width);
    }
    gemm(false, true, count, w.rows(), width, 1.0, rho.data(), width, magnitudes.data(), width, beta, out.e,
         out.stride);
    return;
  }
  const double* norms = weights.row_norms ? weights.row_norms : weights.own_norms.data();
  for (Index m = 0; m < count; ++m) {
    const double d = source == 0 ? 0 : norm_up(in.e + m * in.stride, width), x = norm_up(in.v + m * in.stride, width);
    const double rho = d == 0 && x == 0 ? 0 : (d + gamma_k * x) * inflation + kFloor;
    add_outer(rho, norms, first, out.e + m * out.stride, w.rows());
  }
}

void Forward::run_diagonal(int source, const LinearMap& map, const TermData& data, Index count, bool first,
                           double gamma_k, Block& out) {
  const Block& in = block(source);
  const Index width = map.out();
  const double inflation = inflate(64);
  row_.assign(at(width), 0.0);
  row_err_.assign(at(width), 0.0);
  for (Index m = 0; m < count; ++m) {
    const double *x = in.v + m * in.stride, *d = in.e + m * in.stride;
    if (held_.compact(source)) {
      for (std::size_t r = 0; r < live(source).size(); ++r) {
        row_[at(live(source)[r])] = x[r];
        row_err_[at(live(source)[r])] = d[r];
      }
      x = row_.data();
      d = row_err_.data();
    }
    add_diagonal(map.diagonal.data(), data.row_norms.data(), x, d, gamma_k, inflation, first, out.v + m * out.stride,
                 out.e + m * out.stride, width);
  }
}

void Forward::run_hinge(int n, Index count) {
  const Network::Node& node = net_.node(n);
  const NodeData& data = net_.node_data(n);
  const Block &in = block(node.source), &out = block(n);
  const Slopes& slopes = held_.slopes[static_cast<std::size_t>(n)];
  const Index width = held_.stored(n);
  row_.resize(at(width));
  row_err_.resize(at(width));
  for (Index m = 0; m < count; ++m) {
    const double *z = in.v + m * in.stride, *d = in.e + m * in.stride;
    double *v = out.v + m * out.stride, *e = out.e + m * out.stride;
    if (!held_.masked) {
      hinge(z, d, data.low, data.high, v, e, width);
      continue;
    }
    if (held_.gather) {
      for (std::size_t r = 0; r < live(n).size(); ++r) {
        row_[r] = z[live(n)[r]];
        row_err_[r] = d[live(n)[r]];
      }
      z = row_.data();
      d = row_err_.data();
    }
    held(z, d, slopes, v, e, width);
  }
}

void require_points(const NetworkData& net, const Matrix& points) {
  net.require_finished();
  if (points.cols() != net.inputs) {
    refuse_network("points have " + std::to_string(points.cols()) + " coordinates, the network has " +
                   std::to_string(net.inputs) + " inputs");
  }
}

}  // namespace

Network::Values Network::forward(const Matrix& points) const {
  require_points(*impl_, points);
  return Forward(Held(*impl_, nullptr, false, false), false).run(points);
}

Network::Values Network::forward_masked(const Pattern& p, const Matrix& points, bool linear, bool tight) const {
  require_points(*impl_, points);
  impl_->require_pattern(p);
  return Forward(Held(*impl_, &p, tight, points.rows() >= kGather), linear).run(points);
}

std::shared_ptr<const Network::Held> Network::hold(const Pattern& p) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  return std::make_shared<const Held>(*impl_, &p, false, true);
}

Network::Values Network::forward_held(const Held& held, const Matrix& points) const {
  require_points(*impl_, points);
  return Forward(held, false).run(points);
}

}  // namespace pyregions
