// Layer 3. Composing the forms of a stage over a chunk of cells; see cell_forms.h.
//
// Bounds. With node values z = sum_t W_t x_t + b, x within e of the computed one and |x| <= m in one coefficient, the
// composed coefficient of unit j is off by at most sum_t |W_t,j|_1 (max e + gamma(K) max m) + gamma(K) |b_j| (constants
// only) + underflow(K): the model of network_kernels.h with the 1-norm of the weights and maxima over the live units of a
// cell, two numbers per cell. They are looser than elementwise bounds by a factor of the fan-in at most, which costs
// nothing: signs that they leave open are decided in integers, and generic signs are 1e6 times farther from 0. Factors of
// bounds are raised by kFloor where nonzero, so that no product of them is lost to underflow (see network_kernels.h).
#include "cell_forms.h"

#include <algorithm>
#include <cmath>

#include "network_kernels.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The largest absolute value, eight at a time.
PYREGIONS_CLONES double largest(const double* x, Index n) {
  constexpr Index kLanes = 8;
  double lanes[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (Index l = 0; l < kLanes; ++l) lanes[l] = std::fabs(x[i + l]) > lanes[l] ? std::fabs(x[i + l]) : lanes[l];
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], std::fabs(x[i]));
  return *std::max_element(lanes, lanes + kLanes);
}

// Slopes of units by the bits of a pattern from `offset` on.
PYREGIONS_CLONES void choose_slopes(const std::uint64_t* pattern, Index offset, const double* low, const double* high,
                                    double* __restrict__ out, Index n) {
  for (Index j = 0; j < n; ++j) out[j] = bit(pattern, offset + j) ? high[j] : low[j];
}

// Bounds of what is kept, with a slope of 1 or -1, or dropped, with 0.
PYREGIONS_CLONES void keep(double* __restrict__ out, const double* __restrict__ error, const double* __restrict__ slope, Index n) {
  for (Index j = 0; j < n; ++j) out[j] = slope[j] != 0 ? error[j] : 0.0;
}

PYREGIONS_CLONES void multiply(double* __restrict__ out, const double* __restrict__ x, const double* __restrict__ s, Index n) {
  for (Index i = 0; i < n; ++i) out[i] = x[i] * s[i];
}

PYREGIONS_CLONES void add(double* __restrict__ out, const double* __restrict__ x, Index n) {
  for (Index i = 0; i < n; ++i) out[i] += x[i];
}

PYREGIONS_CLONES void add_multiple(double* __restrict__ out, const double* __restrict__ x, double factor, double constant, Index n) {
  for (Index i = 0; i < n; ++i) out[i] += x[i] * factor + constant;
}

bool integral(double s) { return s == 0 || s == 1 || s == -1; }

}  // namespace

WeightSums::WeightSums(const Network& network) {
  const auto& nodes = network.nodes();
  nodes_.resize(nodes.size());
  for (int n = 0; n < static_cast<int>(nodes.size()); ++n) {
    const Network::Node& node = nodes[static_cast<std::size_t>(n)];
    if (node.kind == Network::Kind::hinge) nodes_[static_cast<std::size_t>(node.source)].last_use = n;
    Node& sums = nodes_[static_cast<std::size_t>(n)];
    for (const Network::Term& term : node.terms) {
      nodes_[static_cast<std::size_t>(term.source)].last_use = n;
      const bool diagonal = term.map.kind == LinearMap::Kind::diagonal;
      Vector row_sums(at(node.width));
      for (Index j = 0; j < node.width; ++j) {
        double sum = 0;
        if (diagonal) {
          sum = std::fabs(term.map.diagonal[at(j)]);
        } else {
          for (Index i = 0; i < term.map.in(); ++i) sum += std::fabs(term.map.dense(j, i));
        }
        row_sums[at(j)] = sum == 0 ? 0 : sum * inflate(term.map.in()) + kFloor;
      }
      sums.items += (diagonal ? 1 : term.map.in()) + 1;
      sums.row_sums.push_back(std::move(row_sums));
    }
    for (const double b : node.bias) sums.bias_magnitude.push_back(std::fabs(b));
    sums.items += 2;
  }
}

FormComposer::FormComposer(const Network& network, std::shared_ptr<const WeightSums> sums, const Subspace& subspace)
    : network_(network), subspace_(subspace), d_(subspace.dim(network)), sums_(std::move(sums)) {}

// The input as a form of itself, or of the coordinates of the subspace.
std::shared_ptr<NodeForms> FormComposer::input(Index cells) const {
  const Index inputs = network_.inputs();
  auto forms = std::make_shared<NodeForms>();
  forms->values = Matrix(cells * (d_ + 1), inputs);
  forms->a_error = Matrix(cells, inputs);
  forms->c_error = Matrix(cells, inputs);
  for (Index k = 0; k < cells; ++k) {
    const Index first = k * (d_ + 1);
    if (subspace_.directions.empty()) {
      for (Index i = 0; i < inputs; ++i) forms->values(first + i, i) = 1;
      continue;
    }
    std::copy(subspace_.base.begin(), subspace_.base.end(), forms->values.row(first + d_));
    for (Index c = 0; c < d_; ++c) {
      const Matrix& parts = subspace_.directions[at(c)];
      for (Index i = 0; i < inputs; ++i) {
        double rest = 0;  // the first part is handed on, the others are its error
        for (Index part = 1; part < parts.rows(); ++part) rest += std::fabs(parts(part, i));
        forms->values(first + c, i) = parts(0, i);
        forms->a_error(k, i) = std::max(forms->a_error(k, i), rest * inflate(parts.rows()));
      }
    }
  }
  return forms;
}

std::shared_ptr<NodeForms> FormComposer::carried(const std::vector<Parent>& parents, int node) const {
  const Index cells = static_cast<Index>(parents.size()), width = network_.nodes()[static_cast<std::size_t>(node)].width;
  auto forms = std::make_shared<NodeForms>();
  forms->values = Matrix(cells * (d_ + 1), width);
  forms->a_error = Matrix(cells, width);
  forms->c_error = Matrix(cells, width);
  for (Index k = 0; k < cells; ++k) {
    const Parent& parent = parents[at(k)];
    const NodeForms& source = *parent.forms->nodes[static_cast<std::size_t>(node)];
    std::copy_n(source.values.row(parent.cell * (d_ + 1)), (d_ + 1) * width, forms->values.row(k * (d_ + 1)));
    std::copy_n(source.a_error.row(parent.cell), width, forms->a_error.row(k));
    std::copy_n(source.c_error.row(parent.cell), width, forms->c_error.row(k));
  }
  return forms;
}

// A hinge under each parent's pattern: its source's forms times the slopes of the pieces held.
std::shared_ptr<NodeForms> FormComposer::held(const std::vector<Parent>& parents, int n) const {
  const Network::Node& node = network_.nodes()[static_cast<std::size_t>(n)];
  const Index cells = static_cast<Index>(parents.size()), width = node.width;
  auto forms = std::make_shared<NodeForms>();
  forms->values = Matrix(cells * (d_ + 1), width);
  forms->a_error = Matrix(cells, width);
  forms->c_error = Matrix(cells, width);
  Vector slope(at(width));
  const bool exact = std::all_of(node.low.begin(), node.low.end(), integral) && std::all_of(node.high.begin(), node.high.end(), integral);
  for (Index k = 0; k < cells; ++k) {
    const Parent& parent = parents[at(k)];
    const NodeForms& source = *parent.forms->nodes[static_cast<std::size_t>(node.source)];
    choose_slopes(parent.pattern, node.offset, node.low.data(), node.high.data(), slope.data(), width);
    const double* from = source.values.row(parent.cell * (d_ + 1));
    for (Index c = 0; c <= d_; ++c) multiply(forms->values.row(k * (d_ + 1) + c), from + c * width, slope.data(), width);
    if (exact) {
      keep(forms->a_error.row(k), source.a_error.row(parent.cell), slope.data(), width);
      keep(forms->c_error.row(k), source.c_error.row(parent.cell), slope.data(), width);
      continue;
    }
    for (Index j = 0; j < width; ++j) {
      const double s = std::fabs(slope[at(j)]);
      double a = source.a_error(parent.cell, j), c = source.c_error(parent.cell, j);
      if (s == 0) {
        a = c = 0;
      } else if (!integral(s)) {
        double m = 0;
        for (Index i = 0; i < d_; ++i) m = std::max(m, std::fabs(from[i * width + j]));
        const double constant = std::fabs(from[d_ * width + j]);
        a = m == 0 && a == 0 ? 0 : (s * a + gamma(2) * (s * m)) * inflate(4) + underflow(2);
        c = constant == 0 && c == 0 ? 0 : (s * c + gamma(2) * (s * constant)) * inflate(4) + underflow(2);
      }
      forms->a_error(k, j) = a;
      forms->c_error(k, j) = c;
    }
  }
  return forms;
}

std::shared_ptr<NodeForms> FormComposer::affine(const StageForms& stage, int n, Index cells) const {
  const Network::Node& node = network_.nodes()[static_cast<std::size_t>(n)];
  const WeightSums::Node& sums = sums_->nodes_[static_cast<std::size_t>(n)];
  const Index rows = cells * (d_ + 1), width = node.width;
  auto forms = std::make_shared<NodeForms>();
  forms->values = Matrix(rows, width);
  forms->a_error = Matrix(cells, width);
  forms->c_error = Matrix(cells, width);
  const double gamma_k = gamma(sums.items), tiny = underflow(sums.items), inflation = inflate(8);
  for (std::size_t t = 0; t < node.terms.size(); ++t) {
    const Network::Term& term = node.terms[t];
    const NodeForms& source = *stage.nodes[static_cast<std::size_t>(term.source)];
    const Index in = term.map.in();
    // A map of the input only copies weights: exact when it is the only term.
    const bool copied = term.source == 0 && node.terms.size() == 1 && subspace_.directions.empty();
    if (term.map.kind == LinearMap::Kind::dense) {
      gemm(false, true, rows, width, in, 1.0, source.values.data(), in, term.map.dense.data(), in, t == 0 ? 0.0 : 1.0,
           forms->values.data(), width);
    } else {
      for (Index r = 0; r < rows; ++r)
        for (Index j = 0; j < width; ++j) forms->values(r, j) += term.map.diagonal[at(j)] * source.values(r, j);
    }
    for (Index k = 0; k < cells; ++k) {
      const double m = largest(source.values.row(k * (d_ + 1)), d_ * in);
      const double constant = largest(source.values.row(k * (d_ + 1) + d_), in);
      const double a = largest(source.a_error.row(k), in), c = largest(source.c_error.row(k), in);
      const bool a_exact = copied || (m == 0 && a == 0), c_exact = copied || (constant == 0 && c == 0);
      if (!a_exact)
        add_multiple(forms->a_error.row(k), sums.row_sums[t].data(), (a + gamma_k * m) * inflation + kFloor, tiny, width);
      if (!c_exact)
        add_multiple(forms->c_error.row(k), sums.row_sums[t].data(), (c + gamma_k * constant) * inflation + kFloor, tiny, width);
    }
  }
  for (Index k = 0; k < cells; ++k) {
    double* constants = forms->values.row(k * (d_ + 1) + d_);
    double* error = forms->c_error.row(k);
    for (Index j = 0; j < width; ++j)
      if (error[j] != 0 || constants[j] != 0) error[j] += gamma_k * sums.bias_magnitude[at(j)];
    add(constants, node.bias.data(), width);
  }
  return forms;
}

std::shared_ptr<const StageForms> FormComposer::next(const std::vector<Parent>& parents) const {
  const Index cells = static_cast<Index>(parents.size());
  const StageForms* before = parents.front().forms;
  auto out = std::make_shared<StageForms>();
  out->stage = before ? before->stage + 1 : 0;
  out->nodes.resize(network_.nodes().size());
  const int hinge = network_.stages()[static_cast<std::size_t>(out->stage)].node;
  const int first = before ? network_.stages()[static_cast<std::size_t>(before->stage)].node : 0;
  for (int n = 0; n < hinge; ++n) {
    const auto index = static_cast<std::size_t>(n);
    if (n < first) {
      if (before->nodes[index] && last_use(index) > first) out->nodes[index] = carried(parents, n);
    } else if (n == first) {
      out->nodes[index] = before ? held(parents, n) : input(cells);
    } else if (last_use(index) > 0) {
      out->nodes[index] = affine(*out, n, cells);
    }
  }
  const auto pre = static_cast<std::size_t>(network_.stages()[static_cast<std::size_t>(out->stage)].pre);
  for (std::size_t n = 0; n < out->nodes.size(); ++n)  // what nobody will read is dropped
    if (n != pre && last_use(n) <= hinge) out->nodes[n].reset();
  return out;
}

}  // namespace pyregions
