// Layer 2. Mehrotra's predictor-corrector for the inscribed-ball program.
//
// Rows are divided by their norms, so with v = (x, r) every constraint reads (c_i, 1).v + s_i = d_i, s_i >= 0: general
// rows, lower bounds, upper bounds and the cap. The multipliers satisfy sum l_i c_i = 0 and sum l_i = 1. Because r is
// free, any x with a small enough r is a strictly feasible start, and the iterates stay primal feasible. One Newton
// step costs the factor of C^T W C with W = l / s, which bounds enter through the diagonal only.
#include "interior.h"

#include <algorithm>
#include <cmath>

#include "normal_equations.h"

namespace pyregions {
namespace {

// How far towards the boundary a step may go: the usual factor, closer to 1 as the gap closes.
constexpr double kStepFactor = 0.99;
// The gap is measured against |r|, or against this fraction of the typical slack when the ball is nearly a point: below
// it the slacks themselves, differences of numbers of that size, do not carry the digits asked for.
constexpr double kSmallRadius = 0x1p-10;
// Residual of the dual equalities from which on polishing would move rounding about: K products of size up to 1.
constexpr double kPolished = 64 * kUnit;
// until_positive asks for a radius of at least this fraction of the upper estimate.
constexpr double kDecentRadius = 0.3;
// Residual of the dual equalities (unit rows, multipliers of sum 1) below which the gap is a usable upper estimate.
constexpr double kUsableDual = 0.1;
// Iterations in a row that may fail to halve the gap, once both problems are feasible, before we stop trying.
constexpr int kStallLimit = 8;
// Correctors per factorisation: each costs a solve, a fraction of that.
constexpr int kCorrectors = 2;

double largest_step(const Vector& value, const Vector& change) {
  double step = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (change[i] < 0) step = std::min(step, -value[i] / change[i]);
  }
  return step;
}

double sum_of_products(const Vector& a, const Vector& b) {
  return dot(a.data(), b.data(), static_cast<Index>(a.size()));
}

double largest_size(const Vector& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

class BallSolver {
 public:
  BallSolver(const BallProblem& problem, const BallOptions& options)
      : problem_(problem), options_(options), system_(problem) {}

  BallResult run() {
    start();
    for (int k = 0; k < options_.max_iterations; ++k) {
      measure();
      keep_best();
      if (finished() || stalled()) break;
      if (!system_.factor(weights(), proximal())) break;
      predict();
      correct();
      ++iterations_;
    }
    return result();
  }

 private:
  void start();
  void measure();
  double error(double size) const;
  bool finished() const;
  bool stalled();
  void keep_best();
  Vector weights() const;
  double proximal() const;
  void newton(const Vector& complementarity);
  void predict();
  void correct();
  bool recentre(double centre, Vector& target);
  void polish_multipliers();
  bool improve_multipliers();
  BallResult result();

  const BallProblem& problem_;
  const BallOptions& options_;
  NormalEquations system_;
  Vector v_, slack_, multiplier_;         // v = (x, r)
  Vector v_step_, slack_step_, multiplier_step_;
  Vector primal_residual_, dual_residual_;  // d - C v - s; c - C^T l
  double gap_ = 0, primal_excess_ = 0, scale_ = 1;
  double best_gap_ = std::numeric_limits<double>::infinity(), best_error_ = std::numeric_limits<double>::infinity();
  Vector best_v_, best_slack_, best_multiplier_;
  int iterations_ = 0, stalled_ = 0;
};

// The largest of gap, primal and dual residual, the first two against a radius of that size.
double BallSolver::error(double size) const {
  return std::max({gap_ / size, primal_excess_ / size, largest_size(dual_residual_)});
}

// Past the accuracy of the arithmetic an iteration can destroy what earlier ones had reached.
void BallSolver::keep_best() {
  const double now = error(scale_);
  if (!finished() && !(now < best_error_)) return;
  best_error_ = now;
  best_v_ = v_;
  best_slack_ = slack_;
  best_multiplier_ = multiplier_;
}

// x from the caller, else the middle of the box; r below the least slack by half the mean excess of the others; the
// multipliers inverse to the slacks, so that the start is perfectly centred, with sum 1.
void BallSolver::start() {
  const Index k = system_.cols();
  v_.assign(static_cast<std::size_t>(k + 1), 0.0);
  for (Index j = 0; j < k; ++j) {
    if (!problem_.start.empty()) {
      v_[j] = problem_.start[j];
    } else if (!problem_.lower.empty()) {
      const double lower = problem_.lower[j], upper = problem_.upper[j];
      if (std::isfinite(lower) && std::isfinite(upper)) {
        v_[j] = lower / 2 + upper / 2;
      } else if (std::isfinite(lower)) {
        v_[j] = std::max(0.0, lower);
      } else if (std::isfinite(upper)) {
        v_[j] = std::min(0.0, upper);
      }
    }
  }
  system_.multiply(v_, slack_);
  const Vector& rhs = system_.rhs();
  double mean = 0, least = std::numeric_limits<double>::infinity();
  const std::size_t cap = slack_.size() - 1;  // left out of the mean: a cap may be huge
  for (std::size_t i = 0; i < slack_.size(); ++i) {
    slack_[i] = rhs[i] - slack_[i];
    least = std::min(least, slack_[i]);
    if (i < cap) mean += slack_[i];
  }
  mean = cap > 0 ? mean / static_cast<double>(cap) : least;
  const double magnitude = std::max(std::fabs(least), std::fabs(mean));
  const double drop = magnitude > 0 ? std::max((mean - least) / 2, magnitude / 16) : 1.0;
  v_[k] = least - drop;
  double inverse_sum = 0;
  for (double& value : slack_) {
    value = value - least + drop;
    inverse_sum += 1 / value;
  }
  multiplier_.resize(slack_.size());
  for (std::size_t i = 0; i < slack_.size(); ++i) multiplier_[i] = 1 / (slack_[i] * inverse_sum);
  scale_ = std::max(drop, mean - least);
}

void BallSolver::measure() {
  const Vector& rhs = system_.rhs();
  system_.multiply(v_, primal_residual_);
  // d_i - c_i.v is itself rounded: what goes beyond that counts (unit rows; 8 is ample as the roundings mostly cancel).
  const double size = norm2(v_.data(), static_cast<Index>(v_.size()));
  primal_excess_ = 0;
  for (std::size_t i = 0; i < rhs.size(); ++i) {
    primal_residual_[i] = rhs[i] - primal_residual_[i] - slack_[i];
    const double rounding = 8 * kUnit * (std::fabs(rhs[i]) + size);
    primal_excess_ = std::max(primal_excess_, std::fabs(primal_residual_[i]) - rounding);
  }
  system_.multiply_transposed(multiplier_, dual_residual_);
  for (double& value : dual_residual_) value = -value;
  dual_residual_.back() += 1;
  gap_ = sum_of_products(slack_, multiplier_);
}

bool BallSolver::finished() const {
  const double r = v_.back(), dual = largest_size(dual_residual_);
  if (options_.until_positive && r > 0 && dual < kUsableDual && r > kDecentRadius * (r + gap_)) return true;
  return error(std::max(std::fabs(r), kSmallRadius * scale_)) <= options_.gap;
}

bool BallSolver::stalled() {
  if (!std::isfinite(gap_)) return true;
  if (gap_ < best_gap_ / 2 || largest_size(dual_residual_) > options_.gap) {
    best_gap_ = gap_;
    stalled_ = 0;
  }
  return ++stalled_ > kStallLimit;
}

Vector BallSolver::weights() const {
  Vector w(slack_.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = multiplier_[i] / slack_[i];
  return w;
}

// A multiple of the identity for the x block. Directions in which the rows hardly differ would otherwise be taken as
// far as they need to make the dual equalities exact in one step, for which the step length then pays. It leaves at
// most an eighth of the residual while |x step| <= reach, and keeps rounding in the right-hand side (a few u, as the
// multipliers sum to 1) from being blown up beyond that.
double BallSolver::proximal() const {
  const double reach = 16 * *std::max_element(slack_.begin(), slack_.end());
  return std::max(largest_size(dual_residual_) / 8, 64 * kUnit) / reach;
}

// The step towards slack * multiplier = current + complementarity, feasible in both problems.
void BallSolver::newton(const Vector& complementarity) {
  const Vector& w = system_.weights();
  const std::size_t m = slack_.size();
  Vector load(m), right;
  for (std::size_t i = 0; i < m; ++i) load[i] = complementarity[i] / slack_[i] - w[i] * primal_residual_[i];
  system_.multiply_transposed(load, right);
  for (std::size_t j = 0; j < right.size(); ++j) right[j] = dual_residual_[j] - right[j];
  system_.solve(right, v_step_);
  system_.multiply(v_step_, slack_step_);
  multiplier_step_.resize(m);
  for (std::size_t i = 0; i < m; ++i) {
    multiplier_step_[i] = load[i] + w[i] * slack_step_[i];
    slack_step_[i] = primal_residual_[i] - slack_step_[i];
  }
}

void BallSolver::predict() {
  Vector target(slack_.size());
  for (std::size_t i = 0; i < target.size(); ++i) target[i] = -slack_[i] * multiplier_[i];
  newton(target);
}

// Mehrotra's centring from what the predictor would achieve, with its second-order term.
void BallSolver::correct() {
  const double primal = std::min(1.0, largest_step(slack_, slack_step_));
  const double dual = std::min(1.0, largest_step(multiplier_, multiplier_step_));
  double reached = 0;
  for (std::size_t i = 0; i < slack_.size(); ++i) {
    reached += (slack_[i] + primal * slack_step_[i]) * (multiplier_[i] + dual * multiplier_step_[i]);
  }
  const double ratio = reached / gap_;
  const double centre = ratio * ratio * ratio * gap_ / static_cast<double>(slack_.size());
  Vector target(slack_.size());
  for (std::size_t i = 0; i < target.size(); ++i) {
    target[i] = centre - slack_[i] * multiplier_[i] - slack_step_[i] * multiplier_step_[i];
  }
  newton(target);
  for (int round = 0; round < kCorrectors && recentre(centre, target); ++round) continue;
  const double factor = std::max(kStepFactor, 1 - gap_ / scale_);
  const double primal_step = std::min(1.0, factor * largest_step(slack_, slack_step_));
  const double dual_step = std::min(1.0, factor * largest_step(multiplier_, multiplier_step_));
  for (std::size_t j = 0; j < v_.size(); ++j) v_[j] += primal_step * v_step_[j];
  for (std::size_t i = 0; i < slack_.size(); ++i) {
    slack_[i] += primal_step * slack_step_[i];
    multiplier_[i] += dual_step * multiplier_step_[i];
  }
}

// One more corrector (Gondzio, Multiple centrality correctors, 1996): of the products slack * multiplier that a longer step
// would lead to, those far from `centre` are brought nearer. False, and nothing changed, when steps grow too little for it.
bool BallSolver::recentre(double centre, Vector& target) {
  constexpr double kLonger = 0.1, kWorth = 0.01, kLow = 0.1, kHigh = 10;
  const double primal = std::min(1.0, largest_step(slack_, slack_step_));
  const double dual = std::min(1.0, largest_step(multiplier_, multiplier_step_));
  if (primal > 1 - kLonger && dual > 1 - kLonger) return false;
  const double far = std::min(1.0, primal + kLonger), dual_far = std::min(1.0, dual + kLonger);
  Vector wanted = target;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double product = (slack_[i] + far * slack_step_[i]) * (multiplier_[i] + dual_far * multiplier_step_[i]);
    if (product < kLow * centre) wanted[i] += kLow * centre - product;
    if (product > kHigh * centre) wanted[i] += std::max(kHigh * centre - product, -kHigh * centre);
  }
  Vector v = v_step_, slack = slack_step_, multiplier = multiplier_step_;
  newton(wanted);
  const double grown = std::min(1.0, largest_step(slack_, slack_step_)) - primal;
  const double dual_grown = std::min(1.0, largest_step(multiplier_, multiplier_step_)) - dual;
  if (grown + dual_grown >= kWorth) {
    target = std::move(wanted);
    return true;
  }
  v_step_ = std::move(v);
  slack_step_ = std::move(slack);
  multiplier_step_ = std::move(multiplier);
  return false;
}

// The change of least weighted size that restores the dual equalities: l += W C z with C^T W C z = residual. With
// W = l / s small multipliers move little, but near the optimum those weights span twice as many orders of magnitude as
// W = l, which is tried when they did not do.
void BallSolver::polish_multipliers() {
  const double reach = *std::max_element(slack_.begin(), slack_.end());
  for (const bool plain : {false, true}) {
    if (!system_.factor(plain ? multiplier_ : weights(), kUnit / reach)) continue;
    for (int round = 0; round < 2 && improve_multipliers(); ++round) continue;
    if (largest_size(dual_residual_) <= kPolished) return;
  }
}

// One such change; false, and nothing changed, when it does not lower the residual.
bool BallSolver::improve_multipliers() {
  const Vector kept = multiplier_;
  const double before = largest_size(dual_residual_);
  Vector change;
  system_.solve(dual_residual_, v_step_);
  system_.multiply(v_step_, change);
  const Vector& w = system_.weights();
  for (std::size_t i = 0; i < multiplier_.size(); ++i) {
    multiplier_[i] = std::max(0.0, multiplier_[i] + w[i] * change[i]);
  }
  measure();
  if (largest_size(dual_residual_) < before) return true;
  multiplier_ = kept;
  measure();
  return false;
}

BallResult BallSolver::result() {
  BallResult ball;
  ball.iterations = iterations_;
  if (best_v_.empty()) {  // numbers at the ends of the range of doubles: not one iterate was finite
    const std::size_t k = static_cast<std::size_t>(system_.cols());
    ball.x.assign(k, 0.0);
    ball.r = -std::numeric_limits<double>::infinity();
    ball.row_multipliers.assign(static_cast<std::size_t>(problem_.A->rows()), 0.0);
    ball.lower_multipliers.assign(k, 0.0);
    ball.upper_multipliers.assign(k, 0.0);
    return ball;
  }
  v_ = best_v_;
  slack_ = best_slack_;
  multiplier_ = best_multiplier_;
  measure();
  ball.converged = finished();
  if (ball.converged && problem_.radius_cap - v_.back() <= options_.gap * std::fabs(problem_.radius_cap)) {
    // The cap alone decides: then its multiplier 1 is the whole dual solution, exactly.
    std::fill(multiplier_.begin(), multiplier_.end() - 1, 0.0);
    multiplier_.back() = 1;
  } else if (!options_.until_positive && largest_size(dual_residual_) > kPolished) {
    polish_multipliers();
  }
  const Index n = problem_.A->rows(), k = system_.cols();
  ball.x.assign(v_.begin(), v_.end() - 1);
  Vector point = v_, products;
  point.back() = 0;
  system_.multiply(point, products);
  ball.r = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < products.size(); ++i) ball.r = std::min(ball.r, system_.rhs()[i] - products[i]);
  ball.row_multipliers.resize(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) ball.row_multipliers[i] = multiplier_[i] / problem_.norms[i];
  ball.lower_multipliers.assign(static_cast<std::size_t>(k), 0.0);
  ball.upper_multipliers.assign(static_cast<std::size_t>(k), 0.0);
  Index at = n;
  for (Index j : system_.lower_columns()) ball.lower_multipliers[j] = multiplier_[at++];
  for (Index j : system_.upper_columns()) ball.upper_multipliers[j] = multiplier_[at++];
  ball.cap_multiplier = multiplier_[at];
  return ball;
}

}  // namespace

BallResult inscribed_ball(const BallProblem& problem, const BallOptions& options) {
  return BallSolver(problem, options).run();
}

}  // namespace pyregions
