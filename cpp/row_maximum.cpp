// Layer 2. Proximal steps on a linear program, each a projection onto box and rows by Newton's method on its dual.
//
// From y0 the point y0 + s c is projected onto the feasible set; the result is the next y0, and s grows. (For linear
// programs this ends after finitely many steps: Rockafellar, Monotone operators and the proximal point algorithm, 1976.)
// The dual of a projection is min over l >= 0 of
//   psi(l) = l.b + max over the box of (c - A'l).y - |y - y0|^2 / 2s,
// the maximum taken at y(l) = clip(y0 + s (c - A'l)); its gradient is b - A y(l) and s A_F A_F' a generalised Hessian, F
// the coordinates that are not clipped (A A' less the clipped ones' where those are fewer). Only rows with a multiplier or
// violated take part, few of which end up with one, so the systems are small (semismooth Newton: Qi and Sun 1993; projected
// Newton: Bertsekas 1982). Every iterate is looked at from both sides: the ray to y may reach the bar first, and l may bound
// c.y below it; either ends the search, mostly long before it converges.
#include "row_maximum.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "gram_factor.h"

namespace pyregions {
namespace {

// None of these decides anything about the geometry: they shape proposals, which the caller proves or refuses.
constexpr int kOuter = 60, kInner = 20;   // proximal steps, Newton steps in each
constexpr int kEasy = 6;                  // Newton steps after which s may grow; after twice as many it shrinks
constexpr double kGrowth = 4;             // by this factor
constexpr double kRetreat = 16;           // by which s falls when a projection did not converge
constexpr double kStill = 1e-12;          // relative movement of a proximal step that is none: the program is solved
constexpr double kSolved = 1e-9;          // relative violation at which a projection is left for the next
constexpr double kRidge = 1e-11;          // added to the Hessian's diagonal, relative to s: rows have unit length
constexpr double kDescent = 1e-4;         // Armijo's constant
constexpr double kShort = 0x1p-6;         // a step of Newton's this much shortened is not worth it
constexpr double kPivot = 0.5;            // of the ridge: a smaller pivot is rounding, its row depends on those inside
constexpr double kGone = 1e-15;           // of the value aimed at: a multiplier below has reached 0
constexpr double kLevel = 1e-14;          // relative rounding of psi
constexpr double kBelow = 1e-7;           // relative distance below the bar that a proof should keep for rounding

class Search {
 public:
  explicit Search(const RowMaximumProblem& problem) : p_(problem), n_(problem.A->rows()), k_(problem.A->cols()) {
    lambda_.assign(at(n_), 0.0);
    pull_.assign(at(k_), 0.0);
    start_.assign(at(k_), 0.0);
    y_.assign(at(k_), 0.0);
    value_.assign(at(n_), 0.0);
    all_.resize(at(k_));
    std::iota(all_.begin(), all_.end(), Index{0});
    lower_.assign(problem.lower, problem.lower + k_);
    upper_.assign(problem.upper, problem.upper + k_);
    if (problem.own >= 0) {  // beyond its bound, but no farther than it takes
      double& bound = problem.c[problem.own] > 0 ? upper_[at(problem.own)] : lower_[at(problem.own)];
      bound *= 2;
    }
  }

  RowMaximum run() {
    step_ = 2 * p_.bar / dot(p_.c, p_.c, k_);  // to twice the distance of the bar
    for (int outer = 0; outer < kOuter; ++outer) {
      psi_ = evaluate(lambda_, y_);
      int steps = 0;
      bool more = true;
      for (; more && steps < kInner; ++steps) {
        gemv(false, 1.0, *p_.A, y_.data(), 0.0, value_.data());
        if (look()) return std::move(out_);
        more = newton();
      }
      if (more) {  // too far at once
        step_ /= kRetreat;
        continue;
      }
      double moved = 0, size = 0;
      for (Index k = 0; k < k_; ++k) {
        moved = std::max(moved, std::fabs(y_[at(k)] - start_[at(k)]));
        size = std::max(size, std::fabs(y_[at(k)]));
      }
      if (outer > 0 && moved <= kStill * size) break;
      start_ = y_;
      if (steps <= kEasy) step_ *= kGrowth;
      if (steps > 2 * kEasy) step_ /= kGrowth;
    }
    return std::move(out_);
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  bool live(Index j) const { return p_.skip[j] == 0; }

  // psi and its point y; pull_ = c - A'l.
  double evaluate(const Vector& lambda, Vector& y) {
    std::copy(p_.c, p_.c + k_, pull_.begin());
    double psi = 0;
    for (Index j = 0; j < n_; ++j) {
      const double l = lambda[at(j)];
      if (l == 0) continue;
      axpy(-l, p_.A->row(j), pull_.data(), k_);
      psi += l * p_.b[j];
    }
    double linear = 0, square = 0;
    for (Index k = 0; k < k_; ++k) {
      const double start = start_[at(k)];
      const double v = std::min(std::max(start + step_ * pull_[at(k)], lower_[at(k)]), upper_[at(k)]);
      y[at(k)] = v;
      linear += pull_[at(k)] * v;
      square += (v - start) * (v - start);
    }
    return psi + linear - square / (2 * step_);
  }

  bool look() {
    const double own = dot(p_.c, y_.data(), k_) / p_.bar;
    if (own > 0) {
      double others = 0;
      for (Index j = 0; j < n_; ++j)
        if (live(j)) others = std::max(others, value_[at(j)] / p_.b[j]);
      for (Index k = 0; k < k_; ++k)
        if (k != p_.own) others = std::max(others, y_[at(k)] / (y_[at(k)] > 0 ? p_.upper[k] : p_.lower[k]));
      if (own > others * (1 + p_.margin)) {
        out_.status = RowMaximum::Status::above;
        out_.y = y_;
        return true;
      }
    }
    double bound = 0;
    for (Index j = 0; j < n_; ++j) bound += lambda_[at(j)] * p_.b[j];
    for (Index k = 0; k < k_; ++k) {
      const double rest = pull_[at(k)];
      if (rest != 0) bound += rest * (rest > 0 ? p_.upper[k] : p_.lower[k]);
    }
    if (!(bound < p_.bar * (1 - kBelow))) return false;
    out_.status = RowMaximum::Status::below;
    for (Index j = 0; j < n_; ++j)
      if (lambda_[at(j)] > 0) out_.multipliers.emplace_back(j, lambda_[at(j)]);
    return true;
  }

  // One step; false when the projection is solved or nothing helps any more.
  bool newton() {
    rows_.clear();
    free_.clear();
    double worst = 0;
    const auto take = [&](Index j) {
      rows_.push_back(j);
      worst = std::max(worst, std::fabs(value_[at(j)] - p_.b[j]) / p_.b[j]);
    };
    for (Index j = 0; j < n_; ++j)
      if (live(j) && lambda_[at(j)] > 0) take(j);
    carrying_ = static_cast<Index>(rows_.size());
    for (Index j = 0; j < n_; ++j)
      if (live(j) && !(lambda_[at(j)] > 0) && value_[at(j)] - p_.b[j] > kSolved * p_.b[j]) take(j);
    if (rows_.empty() || worst <= kSolved) return false;
    for (Index k = 0; k < k_; ++k)
      if (y_[at(k)] > lower_[at(k)] && y_[at(k)] < upper_[at(k)]) free_.push_back(k);
    return step(free_) || step(all_);
  }

  // Towards the minimum of the model with these coordinates. With all of them the model lies above psi, so it falls.
  bool step(const std::vector<Index>& coordinates) {
    if (coordinates.empty()) return false;
    start_hessian(coordinates);
    model();
    return line_search();
  }

  // The Hessian is made from the rows' values at these coordinates, or, where the rows' products are there to subtract from, at
  // the others if those are fewer. Its rows that carry multipliers are all needed, and come from one product.
  void start_hessian(const std::vector<Index>& coordinates) {
    const Index m = static_cast<Index>(rows_.size()), f = static_cast<Index>(coordinates.size());
    complement_ = p_.products && 2 * f > k_;
    rest_.clear();
    if (complement_) std::set_difference(all_.begin(), all_.end(), coordinates.begin(), coordinates.end(), std::back_inserter(rest_));
    const std::vector<Index>& columns = complement_ ? rest_ : coordinates;
    const Index width = static_cast<Index>(columns.size());
    block_ = Matrix::unset(m, width);
    for (Index i = 0; i < m; ++i) {
      const double* row = p_.A->row(rows_[at(i)]);
      double* out = block_.row(i);
      for (Index c = 0; c < width; ++c) out[c] = row[columns[at(c)]];
    }
    hessian_.resize(std::max(hessian_.size(), at(m)));
    for (Index i = 0; i < m; ++i) hessian_[at(i)].clear();
    Matrix carrying = Matrix::unset(carrying_, m);
    gemm(false, true, carrying_, m, width, factor_of_block(), block_.data(), width, block_.data(), width, 0.0, carrying.data(), m);
    for (Index i = 0; i < carrying_; ++i) {
      hessian_[at(i)].assign(carrying.row(i), carrying.row(i) + m);
      complete(i);
    }
  }
  double factor_of_block() const { return complement_ ? -step_ : step_; }

  // Row i of the Hessian. Many rows may be violated, few of them join: only their rows are ever asked for.
  const Vector& hessian(Index i) {
    Vector& out = hessian_[at(i)];
    if (out.empty()) {
      out.resize(rows_.size());
      gemv(false, factor_of_block(), block_, block_.row(i), 0.0, out.data());
      complete(i);
    }
    return out;
  }
  void complete(Index i) {
    Vector& out = hessian_[at(i)];
    if (complement_) {
      const double* with_all = p_.products->row(rows_[at(i)]);
      for (std::size_t j = 0; j < out.size(); ++j) out[j] += step_ * with_all[rows_[j]];
    }
    out[at(i)] += kRidge * step_;
  }

  // The minimum of psi's quadratic model over l >= 0 into goal_ (Lawson and Hanson, Solving least squares problems, 1974,
  // on the normal equations): rows join one at a time, the most violated first, and leave when their multiplier would be
  // negative.
  void model() {
    const Index m = static_cast<Index>(rows_.size());
    goal_.resize(at(m));
    slope_.resize(at(m));  // minus the gradient of the model at goal_
    for (Index i = 0; i < m; ++i) {
      goal_[at(i)] = lambda_[at(rows_[at(i)])];
      slope_[at(i)] = value_[at(rows_[at(i)])] - p_.b[rows_[at(i)]];
    }
    right_ = slope_;
    for (Index i = 0; i < m; ++i)
      if (goal_[at(i)] > 0) axpy(goal_[at(i)], hessian(i).data(), right_.data(), m);
    factor_.clear();
    inside_.clear();
    for (Index i = 0; i < m; ++i)
      if (goal_[at(i)] > 0) join(i);
    for (Index round = 0; round < 3 * m + 10; ++round) {
      settle();
      slope_ = right_;
      for (const Index i : inside_) axpy(-goal_[at(i)], hessian(i).data(), slope_.data(), m);
      Index best = -1;
      double largest = 0;
      for (Index i = 0; i < m; ++i) {
        if (goal_[at(i)] > 0) continue;
        const double score = slope_[at(i)] / p_.b[rows_[at(i)]];
        if (score > std::max(largest, kSolved)) {
          largest = score;
          best = i;
        }
      }
      if (best < 0 || !join(best)) return;
    }
  }

  bool join(Index i) {
    const Vector& row = hessian(i);
    scratch_.resize(inside_.size());
    for (std::size_t c = 0; c < inside_.size(); ++c) scratch_[c] = row[at(inside_[c])];
    factor_.forward(scratch_.data());
    double pivot = row[at(i)];
    for (std::size_t c = 0; c < inside_.size(); ++c) pivot -= scratch_[c] * scratch_[c] / factor_.pivot(static_cast<Index>(c));
    if (!(pivot > kPivot * kRidge * step_)) return false;
    factor_.append(scratch_.data(), pivot);
    inside_.push_back(i);
    return true;
  }

  // goal_ <- the model's minimum with the rows inside, as far as multipliers stay positive; those that reach 0 leave.
  void settle() {
    while (!inside_.empty()) {
      scratch_.resize(inside_.size());
      for (std::size_t c = 0; c < inside_.size(); ++c) scratch_[c] = right_[at(inside_[c])];
      factor_.solve(scratch_.data());
      double part = 1;
      for (std::size_t c = 0; c < inside_.size(); ++c) {
        const double now = goal_[at(inside_[c])];
        if (scratch_[c] <= 0) part = std::min(part, now / (now - scratch_[c]));
      }
      bool left = false;
      for (std::size_t c = inside_.size(); c-- > 0;) {
        double& now = goal_[at(inside_[c])];
        now += part * (scratch_[c] - now);
        if (scratch_[c] > 0 || now > kGone * std::fabs(scratch_[c])) continue;
        now = 0;
        factor_.remove(static_cast<Index>(c));
        inside_.erase(inside_.begin() + static_cast<Index>(c));
        left = true;
      }
      if (!left) return;
    }
  }

  bool line_search() {
    trial_ = lambda_;
    double gain = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) gain += (value_[at(rows_[i])] - p_.b[rows_[i]]) * (goal_[i] - lambda_[at(rows_[i])]);
    for (double t = 1; t > kShort; t *= 0.5) {
      for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Index j = rows_[i];
        trial_[at(j)] = t == 1 ? goal_[i] : lambda_[at(j)] + t * (goal_[i] - lambda_[at(j)]);
      }
      const double psi = evaluate(trial_, next_y());
      if (psi <= psi_ - kDescent * t * gain + kLevel * std::fabs(psi_)) {
        const bool moved = trial_ != lambda_;
        lambda_.swap(trial_);
        y_.swap(next_);
        psi_ = psi;
        return moved;
      }
    }
    evaluate(lambda_, y_);
    return false;
  }

  Vector& next_y() {
    next_.resize(at(k_));
    return next_;
  }

  const RowMaximumProblem& p_;
  Index n_, k_;
  RowMaximum out_;
  Vector lambda_, trial_, pull_, start_, y_, next_, value_, lower_, upper_, goal_, slope_, right_, scratch_;
  bool complement_ = false;
  Index carrying_ = 0;  // of rows_ have a multiplier; these come first
  Matrix block_;
  std::vector<Vector> hessian_;  // empty where not asked for
  GramFactor factor_;
  std::vector<Index> rows_, free_, rest_, all_, inside_;
  double step_ = 1, psi_ = 0;
};

}  // namespace

RowMaximum row_maximum(const RowMaximumProblem& problem) { return Search(problem).run(); }

}  // namespace pyregions
