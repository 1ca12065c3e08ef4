// Layer 1. The rows of a pattern: every node as an affine function of a root node, composed layer by layer.
//
// Units whose slope is 0 are structurally zero rows: they are not stored, and matrix products run over the live rows
// only. The root itself is an identity that is never multiplied out, so the first map after it is a copy of stored
// weights and exact. Bounds are per row: a composed row i = sum_k w_ik row_k differs from the exact one in every
// coefficient by at most sum_k |w_ik| (err_k + gamma(K) max|row_k|) plus underflow; network_kernels.h has the model.
#include <algorithm>
#include <cmath>
#include <optional>

#include "network_impl.h"
#include "parallel_dense.h"

namespace pyregions {
namespace {

// A node as an affine function of the root: row r belongs to unit live[r], all other units are exactly zero.
struct Rows {
  std::vector<Index> live;
  bool diagonal = false;
  Vector d;  // diagonal: row r is d[r] times the unit vector live[r]
  Matrix A;  // else: live x width(root)
  Vector c, A_err, c_err;

  Index count() const { return static_cast<Index>(live.size()); }
  // Largest coefficient of row r.
  double size_of(Index r) const { return diagonal ? std::fabs(d[at(r)]) : max_abs(A.row(r), A.cols()); }
};

std::vector<Index> all_units(Index width) {
  std::vector<Index> result(at(width));
  for (Index i = 0; i < width; ++i) result[at(i)] = i;
  return result;
}

// A is left to be written in full.
Rows make_rows(std::vector<Index> live, Index columns, bool diagonal) {
  Rows rows;
  const std::size_t n = live.size();
  rows.live = std::move(live);
  rows.diagonal = diagonal;
  if (diagonal) {
    rows.d.assign(n, 0.0);
  } else {
    rows.A = Matrix::unset(static_cast<Index>(n), columns);
  }
  rows.c.assign(n, 0.0);
  rows.A_err.assign(n, 0.0);
  rows.c_err.assign(n, 0.0);
  return rows;
}

Rows identity(Index width) {
  Rows rows = make_rows(all_units(width), width, true);
  rows.d.assign(at(width), 1.0);
  return rows;
}

void make_dense(Rows& rows, Index columns) {
  if (!rows.diagonal) return;
  rows.A = Matrix(rows.count(), columns);
  for (Index r = 0; r < rows.count(); ++r) rows.A(r, rows.live[at(r)]) = rows.d[at(r)];
  rows.diagonal = false;
  rows.d.clear();
}

// Bound of s x for |x exact - x| <= err, |x| <= size: s in {-1, 0, 1} is not rounded.
double scaled_error(double s, double size, double err) {
  if (s == 0 || (size == 0 && err == 0)) return 0;
  if (s == 1 || s == -1) return err;
  return std::fabs(s) * (err * inflate(8) + gamma(2) * size) + underflow(2);
}

// Row r times s, bounds included, from `in` to row q of `out`.
void scale_row(const Rows& in, Index r, double s, Rows& out, Index q) {
  const bool rounded = s != 1 && s != -1;  // else the size does not matter, and costs a pass over the row
  out.A_err[at(q)] = scaled_error(s, rounded ? in.size_of(r) : 1.0, in.A_err[at(r)]);
  out.c_err[at(q)] = scaled_error(s, std::fabs(in.c[at(r)]), in.c_err[at(r)]);
  out.c[at(q)] = s * in.c[at(r)];
  if (out.diagonal) {
    out.d[at(q)] = s * in.d[at(r)];
    return;
  }
  const double* from = in.A.row(r);
  double* to = out.A.row(q);
  for (Index j = 0; j < in.A.cols(); ++j) to[j] = s * from[j];
}

// What overflowed claims nothing: zeros with an infinite bound.
void drop_overflow(Rows& rows) {
  const auto good = [](double x) { return std::fabs(x) <= std::numeric_limits<double>::max(); };
  for (Index r = 0; r < rows.count(); ++r) {
    if (!good(rows.A_err[at(r)]) || !good(rows.size_of(r))) {
      if (rows.diagonal) {
        rows.d[at(r)] = 0;
      } else {
        std::fill_n(rows.A.row(r), rows.A.cols(), 0.0);
      }
      rows.A_err[at(r)] = kInfinity;
    }
    if (!good(rows.c_err[at(r)]) || !good(rows.c[at(r)])) {
      rows.c[at(r)] = 0;
      rows.c_err[at(r)] = kInfinity;
    }
  }
}

Rows through_hinge(const Rows& in, const Network::Node& node, const Pattern& p, Index columns) {
  std::vector<Index> live;
  for (Index i : in.live) {
    if ((p[at(node.offset + i)] ? node.high : node.low)[at(i)] != 0) live.push_back(i);
  }
  Rows out = make_rows(std::move(live), columns, in.diagonal);
  Index q = 0;
  for (Index r = 0; r < in.count(); ++r) {
    const Index i = in.live[at(r)];
    const double s = (p[at(node.offset + i)] ? node.high : node.low)[at(i)];
    if (s != 0) scale_row(in, r, s, out, q++);
  }
  return out;
}

Rows through_diagonal(const Rows& in, const Vector& d, Index columns) {
  Rows out = make_rows(all_units(static_cast<Index>(d.size())), columns, in.diagonal);
  if (in.count() < out.count()) std::fill_n(out.A.data(), out.A.rows() * out.A.cols(), 0.0);
  for (Index r = 0; r < in.count(); ++r) scale_row(in, r, d[at(in.live[at(r)])], out, in.live[at(r)]);
  return out;
}

// Columns of w at the live units; w itself when all are live, else a copy in `kept`.
const Matrix& live_columns(const Matrix& w, const std::vector<Index>& live, Matrix& kept) {
  if (static_cast<Index>(live.size()) == w.cols()) return w;
  kept = Matrix(w.rows(), static_cast<Index>(live.size()));
  for (Index i = 0; i < w.rows(); ++i) {
    for (Index r = 0; r < kept.cols(); ++r) kept(i, r) = w(i, live[at(r)]);
  }
  return kept;
}

// sum_k |w_k| rho_k, with tiny added unless it is 0 by structure.
double row_bound(const double* w, const Vector& rho, double inflation, double tiny) {
  double sum = 0;
  bool structural = true;
  for (std::size_t k = 0; k < rho.size(); ++k) {
    if (w[k] == 0 || rho[k] == 0) continue;
    structural = false;
    sum += std::fabs(w[k]) * rho[k];
  }
  return structural ? 0 : sum * inflation + tiny;
}

// W times diagonal rows: the stored weights column by column, each rounded at most once.
void dense_of_diagonal(const Rows& in, const Matrix& w, Rows& out) {
  for (Index i = 0; i < w.rows(); ++i) {
    if (in.count() < w.cols()) std::fill_n(out.A.row(i), out.A.cols(), 0.0);
    double worst = 0;
    for (Index r = 0; r < in.count(); ++r) {
      const Index k = in.live[at(r)];
      const double weight = w(i, k), d = in.d[at(r)];
      out.A(i, k) = weight * d;
      // Either factor may make the product exact.
      const bool exact = (d == 1 || d == -1) && in.A_err[at(r)] == 0;
      const double bound = exact ? 0 : scaled_error(weight, std::fabs(d), in.A_err[at(r)]);
      worst = bound > worst || std::isnan(bound) ? bound : worst;
    }
    out.A_err[at(i)] = worst;
  }
}

Rows through_dense(const Rows& in, const Matrix& w, Index columns, int workers) {
  Rows out = make_rows(all_units(w.rows()), columns, false);
  const Index items = in.count() + 2;
  const double gamma_k = gamma(items), inflation = inflate(4 * items), tiny = underflow(2 * items + 4);
  Matrix storage;
  const Matrix& kept = live_columns(w, in.live, storage);
  Vector rho_A(at(in.count())), rho_c(at(in.count()));
  for_rows(workers, in.count(), in.diagonal ? 1 : columns, [&](Index r) {
    const double size = in.size_of(r), c = std::fabs(in.c[at(r)]);
    rho_A[at(r)] = size == 0 && in.A_err[at(r)] == 0 ? 0 : in.A_err[at(r)] + gamma_k * size + underflow(1);
    rho_c[at(r)] = c == 0 && in.c_err[at(r)] == 0 ? 0 : in.c_err[at(r)] + gamma_k * c + underflow(1);
  });
  if (in.diagonal) {
    dense_of_diagonal(in, w, out);
  } else {
    gemm(workers, false, false, 1.0, kept, in.A, 0.0, out.A);
    for (Index i = 0; i < w.rows(); ++i) out.A_err[at(i)] = row_bound(kept.row(i), rho_A, inflation, tiny);
  }
  gemv(false, 1.0, kept, in.c.data(), 0.0, out.c.data());
  for (Index i = 0; i < w.rows(); ++i) out.c_err[at(i)] = row_bound(kept.row(i), rho_c, inflation, tiny);
  return out;
}

// Adds the rows of another term; all units of both are stored.
void add_rows(Rows& sum, Rows other, Index columns) {
  make_dense(sum, columns);
  make_dense(other, columns);
  for (Index r = 0; r < sum.count(); ++r) {
    const bool rounded = sum.size_of(r) != 0 && other.size_of(r) != 0;
    axpy(1.0, other.A.row(r), sum.A.row(r), columns);
    const bool both = sum.A_err[at(r)] != 0 && other.A_err[at(r)] != 0;
    sum.A_err[at(r)] += other.A_err[at(r)];
    if (both) sum.A_err[at(r)] *= inflate(4);
    if (rounded) sum.A_err[at(r)] = sum.A_err[at(r)] * inflate(4) + gamma(2) * sum.size_of(r);
  }
  merge(other.c.data(), other.c_err.data(), sum.c.data(), sum.c_err.data(), sum.count());
}

class RowComposer {
 public:
  RowComposer(const NetworkData& net, const Pattern& p, int root, int workers)
      : net_(net), p_(p), root_(root), workers_(workers), columns_(net.node(root).width), rows_(net.nodes.size()) {}

  Index columns() const { return columns_; }
  // The rows of every node asked for; they stay available through rows().
  void compose(const std::vector<int>& targets) {
    const std::vector<char> needed = needed_for(targets);
    for (int n = root_ + 1; n <= net_.output(); ++n) {
      if (needed[static_cast<std::size_t>(n)]) rows_[static_cast<std::size_t>(n)] = build(n);
    }
  }

  // The rows of one node after the other; visit(n) sees those of n and of the nodes that some later one still needs.
  template <class Visit>
  void compose_in_turn(const std::vector<int>& targets, Visit visit) {
    const std::vector<char> needed = needed_for(targets);
    std::vector<int> last(net_.nodes.size(), 0);
    for (int n = root_ + 1; n <= net_.output(); ++n) {
      if (needed[static_cast<std::size_t>(n)]) net_.for_each_source(n, [&](int s) { last[static_cast<std::size_t>(s)] = n; });
    }
    for (int n = root_ + 1; n <= net_.output(); ++n) {
      if (!needed[static_cast<std::size_t>(n)]) continue;
      rows_[static_cast<std::size_t>(n)] = build(n);
      visit(n);
      for (int s = root_; s <= n; ++s) {
        if (last[static_cast<std::size_t>(s)] <= n) rows_[static_cast<std::size_t>(s)].reset();
      }
    }
  }

  const Rows& rows(int n) const { return *rows_[static_cast<std::size_t>(n)]; }

  // Writes the rows of a node at `first`.
  void write(int n, Network::Affine& out, Index first) const {
    const Rows& from = rows(n);
    const Index width = net_.node(n).width;
    if (from.diagonal || from.count() < width) std::fill_n(out.A.row(first), width * columns_, 0.0);
    for_rows(workers_, from.diagonal ? 0 : from.count(), columns_, [&](Index r) {
      std::copy_n(from.A.row(r), columns_, out.A.row(first + from.live[at(r)]));
    });
    for (Index r = 0; r < from.count(); ++r) {
      const Index i = first + from.live[at(r)];
      if (from.diagonal) out.A(i, from.live[at(r)]) = from.d[at(r)];
      out.c[at(i)] = from.c[at(r)];
      out.A_err[at(i)] = from.A_err[at(r)];
      out.c_err[at(i)] = from.c_err[at(r)];
    }
  }

 private:
  // Which nodes the targets are made of; the root is ready.
  std::vector<char> needed_for(const std::vector<int>& targets) {
    std::vector<char> needed(net_.nodes.size(), 0);
    for (int n : targets) needed[static_cast<std::size_t>(n)] = 1;
    for (int n = net_.output(); n > root_; --n) {
      if (!needed[static_cast<std::size_t>(n)]) continue;
      net_.for_each_source(n, [&](int source) { needed[static_cast<std::size_t>(source)] = 1; });
    }
    for (int n = 0; n < root_; ++n) {
      if (needed[static_cast<std::size_t>(n)]) {
        refuse_network("rows in the coordinates of node " + std::to_string(root_) + ": a path avoids it through node " +
                       std::to_string(n) + "; choose a root that every path passes through");
      }
    }
    rows_[static_cast<std::size_t>(root_)] = identity(columns_);
    return needed;
  }

  Rows build(int n) const {
    const Network::Node& node = net_.node(n);
    if (node.kind == Network::Kind::hinge) return build_hinge(node);
    Rows sum = through(node.terms[0]);
    for (std::size_t t = 1; t < node.terms.size(); ++t) add_rows(sum, through(node.terms[t]), columns_);
    const Vector zeros(at(node.width), 0.0);
    merge(node.bias.data(), zeros.data(), sum.c.data(), sum.c_err.data(), node.width);
    drop_overflow(sum);
    return sum;
  }

  Rows build_hinge(const Network::Node& node) const {
    Rows result = through_hinge(rows(node.source), node, p_, columns_);
    drop_overflow(result);
    return result;
  }

  Rows through(const Network::Term& term) const {
    const Rows& in = rows(term.source);
    if (term.map.kind == LinearMap::Kind::diagonal) return through_diagonal(in, term.map.diagonal, columns_);
    return through_dense(in, term.map.dense, columns_, workers_);
  }

  const NetworkData& net_;
  const Pattern& p_;
  int root_, workers_;
  Index columns_;
  std::vector<std::optional<Rows>> rows_;
};

// A is left to be written in full.
Network::Affine make_affine(Index n, Index columns) {
  return {Matrix::unset(n, columns), Vector(at(n), 0.0), Vector(at(n), 0.0), Vector(at(n), 0.0)};
}

}  // namespace

Network::Affine Network::unit_rows(const Pattern& p, int root, int first_stage, int workers) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  impl_->require_node(root);
  if (first_stage < 0 || first_stage > static_cast<int>(impl_->stages.size())) {
    refuse_network("unit_rows: there is no stage " + std::to_string(first_stage));
  }
  const std::vector<Stage> wanted(impl_->stages.begin() + first_stage, impl_->stages.end());
  std::vector<int> targets;
  for (const Stage& stage : wanted) targets.push_back(stage.pre);
  RowComposer composer(*impl_, p, root, workers);
  composer.compose(targets);
  const Index before = wanted.empty() ? impl_->units : wanted.front().offset;
  Affine result = make_affine(impl_->units - before, composer.columns());
  for (const Stage& stage : wanted) composer.write(stage.pre, result, stage.offset - before);
  return result;
}

void Network::each_stage(const Pattern& p, const std::function<void(int stage, const Affine& rows)>& visit) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  std::vector<int> targets;
  for (const Stage& stage : impl_->stages) targets.push_back(stage.pre);
  RowComposer composer(*impl_, p, 0, 1);
  composer.compose_in_turn(targets, [&](int n) {
    for (std::size_t s = 0; s < targets.size(); ++s) {  // two stages may hang on one node
      if (targets[s] != n) continue;
      Affine rows = make_affine(impl_->node(n).width, composer.columns());
      composer.write(n, rows, 0);
      visit(static_cast<int>(s), rows);
    }
  });
}

const Network::StageInverse& Network::first_stage_inverse(const std::function<StageInverse()>& make) const {
  std::call_once(impl_->inverse_once, [&] { impl_->inverse = make(); });
  return impl_->inverse;
}

Network::Affine Network::affine_map(const Pattern& p, int stage, bool after) const {
  impl_->require_finished();
  impl_->require_pattern(p);
  if (stage >= static_cast<int>(impl_->stages.size())) {
    refuse_network("affine_map: there is no stage " + std::to_string(stage));
  }
  int target = impl_->output();
  if (stage >= 0) {
    const Stage& s = impl_->stages[static_cast<std::size_t>(stage)];
    target = after ? s.node : s.pre;
  }
  RowComposer composer(*impl_, p, 0, 1);
  composer.compose({target});
  Affine result = make_affine(impl_->node(target).width, composer.columns());
  composer.write(target, result, 0);
  return result;
}

}  // namespace pyregions
