// Layer 2. Least-distance programming by a dual active-set method on the Gram matrix of the active rows.
//
// All rows are used at unit length. For an independent set W of active rows, the nearest point to 0 with a.y = b on W
// is y = -sum lambda_j a_j with G lambda = -b, G the Gram matrix of W; while lambda >= 0 it is the optimum over the
// rows of W. A violated row n enters along lambda_W += t r, lambda_n = t with r = -G^-1 g_n, g_n its products with W.
// The point then moves by -t z, z = a_n + sum r_j a_j the part of a_n orthogonal to W, and the violation falls by
// t |z|^2. Either it vanishes first (n joins W) or some lambda_j does (j leaves and r is recomputed). If z = 0 and no
// lambda_j falls, (r, 1) are Farkas multipliers. The dual objective rises strictly with every row that joins.
//
// Infeasible problems end with nearly as many active rows as coordinates, in a thin cone: the condition of G then
// passes 1 / u although no row is nearly dependent. When that shows, an orthonormal basis of W replaces the factor of
// G.
#include "projection.h"

#include <algorithm>
#include <cmath>

#include "active_set.h"
#include "pricing.h"

namespace pyregions {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Multipliers smaller than this against the largest are rounding of the solves (whose precision the above guards).
constexpr double kNegligible = 0x1p-40;
// Joins without a visible rise of the dual objective after which lowest-index selection starts; far more than rounding
// produces near an optimum, far less than a cycle costs.
constexpr int kStallLimit = 30;
// Joins after which the updated multipliers are solved for anew: a drift of a few roundings each.
constexpr int kUnsettled = 8;
// Kept per thread: fresh pages would cost more than a small solve.
using Workspace = ActiveSet::Store;

double largest_size(const Vector& values, double floor) {
  double largest = floor;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

class Solver {
 public:
  Solver(const NearestPointProblem& problem, const NearestPointOptions& options, Workspace& workspace);
  NearestPoint run();

 private:
  enum class Entry { joined, infeasible, unresolvable, restart, limit };

  double noise() const;
  Index choose();
  Entry enter(Index id);
  Index blocking_row(double& step) const;
  bool proves_infeasible(Index id) const;
  bool settle();
  void update_point();
  void watch_progress();
  bool prune_farkas(Index& fixed);
  NearestPoint optimal();
  NearestPoint infeasible(Index fixed);
  NearestPoint unfinished() const;

  const NearestPointProblem& problem_;
  const NearestPointOptions& options_;
  UnitRows unit_;
  ActiveSet active_;
  Vector& lambda_;  // the multipliers of active_
  int max_iterations_, iterations_ = 0;
  Vector y_;
  Pricing pricing_;
  double best_objective_ = 0;
  int stalled_ = 0, unsettled_ = 0;  // unsettled: joins since multipliers were last solved for
};

Solver::Solver(const NearestPointProblem& problem, const NearestPointOptions& options, Workspace& workspace)
    : problem_(problem), options_(options), unit_(problem), active_(unit_, workspace), lambda_(active_.multipliers()),
      pricing_(problem, unit_, options.tolerance) {
  const Index given = options.max_iterations;
  max_iterations_ = static_cast<int>(given > 0 ? given : 20 * unit_.cols() + 200);
  y_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
}

// Rounding of a product of y with a unit row: w terms lambda_j a_j on the Gram path, K terms of y on the basis path.
double Solver::noise() const {
  double weight = 0;
  for (double value : lambda_) weight += value;
  if (active_.on_basis()) weight = std::min(weight, 8 * norm2(y_.data(), unit_.cols()));
  return gamma(static_cast<Index>(active_.size()) + unit_.cols() + 8) * weight;
}

Index Solver::choose() { return pricing_.choose(y_, noise(), stalled_ > kStallLimit); }

// --- steps ---------------------------------------------------------------------------------------------------------

// With z = 0 the multipliers (r, 1) contradict as soon as their right-hand side is negative beyond its rounding.
bool Solver::proves_infeasible(Index id) const {
  double value = unit_.rhs(id), size = std::fabs(value);
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const double term = active_.coefficients()[i] * active_.rhs()[i];
    value += term;
    size += std::fabs(term);
  }
  return -value > gamma(static_cast<Index>(active_.size()) + 8) * size;
}

// The first multiplier to reach 0 along direction_, if that is before `step`; ties by lowest row index.
Index Solver::blocking_row(double& step) const {
  const Vector& change = active_.coefficients();
  const double threshold = -kNegligible * largest_size(change, 1.0);
  Index blocking = -1;
  for (std::size_t i = 0; i < lambda_.size(); ++i) {
    if (change[i] >= threshold) continue;
    const double ratio = -lambda_[i] / change[i];
    const bool tie = blocking >= 0 && ratio == step && active_.rows()[i] < active_.rows()[blocking];
    if (ratio < step || tie) {
      step = ratio;
      blocking = static_cast<Index>(i);
    }
  }
  return blocking;
}

Solver::Entry Solver::enter(Index id) {
  double excess = pricing_.violation(id, y_), multiplier = 0;
  for (;;) {
    if (++iterations_ > max_iterations_) return Entry::limit;
    const bool told = active_.direction(id);
    const double distance2 = active_.distance2();
    double step = distance2 > 0 ? std::max(excess, 0.0) / distance2 : kInfinity;
    const Index blocking = blocking_row(step);
    if (told && step == kInfinity && proves_infeasible(id)) return Entry::infeasible;
    if (!told || step == kInfinity) {
      if (active_.on_basis()) return Entry::unresolvable;
      active_.use_basis();
      return Entry::restart;
    }
    const Vector& change = active_.coefficients();
    for (std::size_t i = 0; i < lambda_.size(); ++i) lambda_[i] = std::max(0.0, lambda_[i] + step * change[i]);
    multiplier += step;
    excess -= step * distance2;
    if (blocking < 0) {
      active_.join(id, multiplier);
      return Entry::joined;
    }
    active_.leave(blocking);
  }
}

// Replaces the updated multipliers by the solution of G lambda = -b, so that nothing drifts. Should rounding (or a row
// that was given up half way) have made one of them negative, walks there as far as lambda >= 0 and drops the blocker.
bool Solver::settle() {
  unsettled_ = 0;
  Vector target;  // -lambda
  for (;;) {
    target = active_.rhs();
    active_.solve(target);
    const double threshold = kNegligible * largest_size(target, 0.0);
    double step = 1;
    Index blocking = -1;
    for (std::size_t i = 0; i < lambda_.size(); ++i) {
      if (target[i] <= threshold) continue;
      const double ratio = lambda_[i] / (lambda_[i] + target[i]);
      if (blocking >= 0 && ratio >= step) continue;
      step = ratio;
      blocking = static_cast<Index>(i);
    }
    for (std::size_t i = 0; i < lambda_.size(); ++i) {
      lambda_[i] = std::max(0.0, lambda_[i] - step * (target[i] + lambda_[i]));
    }
    if (blocking < 0) return true;
    if (++iterations_ > max_iterations_) return false;
    active_.leave(blocking);
  }
}

void Solver::update_point() {
  if (active_.on_basis()) {
    active_.point(active_.rhs(), y_);
    return;
  }
  std::fill(y_.begin(), y_.end(), 0.0);
  active_.combine(-1.0, lambda_, y_);
}

// Dual objective: |y|^2 / 2 = -b.lambda / 2 at a settled point.
void Solver::watch_progress() {
  double objective = 0;
  for (std::size_t i = 0; i < active_.size(); ++i) objective -= lambda_[i] * active_.rhs()[i] / 2;
  const bool risen = objective > best_objective_ * (1 + 16 * kUnit);
  stalled_ = risen ? 0 : stalled_ + 1;
  best_objective_ = std::max(best_objective_, objective);
}

// --- results -------------------------------------------------------------------------------------------------------

NearestPoint Solver::unfinished() const {
  NearestPoint result;
  result.iterations = iterations_;
  result.y = y_;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const Index id = active_.rows()[i];
    if (lambda_[i] > 0) result.multipliers.emplace_back(id, lambda_[i] * unit_.inverse_norm(id));
  }
  std::sort(result.multipliers.begin(), result.multipliers.end());
  return result;
}

// One correction by the residual of the active rows: of lambda on the Gram path (y follows), of y on the basis path.
NearestPoint Solver::optimal() {
  pricing_.ignore_none();
  const bool solved = choose() < 0;  // no row was given up that is still violated
  Vector residual(active_.size());
  for (std::size_t i = 0; i < residual.size(); ++i) {
    residual[i] = unit_.along(active_.rows()[i], y_.data()) - active_.rhs()[i];
  }
  if (active_.on_basis()) {
    Vector correction(y_.size());
    active_.point(residual, correction);
    axpy(-1.0, correction.data(), y_.data(), unit_.cols());
  } else {
    active_.solve(residual);
    for (std::size_t i = 0; i < residual.size(); ++i) lambda_[i] = std::max(0.0, lambda_[i] + residual[i]);
    std::fill(y_.begin(), y_.end(), 0.0);
    active_.combine(-1.0, lambda_, y_);
  }
  NearestPoint result = unfinished();
  result.status = solved ? NearestPoint::Status::optimal : NearestPoint::Status::limit;
  return result;
}

// Leaves in W only the rows with positive multipliers, and makes the extra row the fixed one if it takes part.
bool Solver::prune_farkas(Index& fixed) {
  const auto dependent = [&] { return active_.direction(fixed) && active_.distance2() == 0; };
  for (;;) {
    if (!dependent()) return false;
    const Vector& r = active_.coefficients();
    const auto least = std::min_element(r.begin(), r.end());
    if (least == r.end() || *least > kNegligible * largest_size(r, 1.0)) break;
    active_.leave(least - r.begin());
  }
  const auto extra = std::find(active_.rows().begin(), active_.rows().end(), unit_.extra_id());
  if (extra == active_.rows().end()) return true;
  active_.leave(extra - active_.rows().begin());
  if (!active_.direction(fixed)) return false;
  if (active_.distance2() == 0) return true;  // the extra row was not needed after all
  active_.join(fixed, 0.0);
  fixed = unit_.extra_id();
  return dependent();
}

NearestPoint Solver::infeasible(Index fixed) {
  const NearestPoint fallback = unfinished();
  if (!prune_farkas(fixed)) return fallback;
  NearestPoint result;
  result.iterations = iterations_;
  double value = unit_.rhs(fixed);
  result.multipliers.emplace_back(fixed, 1.0);
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const double r = active_.coefficients()[i];
    if (r <= 0) continue;
    const Index id = active_.rows()[i];
    value += r * active_.rhs()[i];
    result.multipliers.emplace_back(id, r * unit_.inverse_norm(id) / unit_.inverse_norm(fixed));
  }
  if (value >= 0) return fallback;
  std::sort(result.multipliers.begin(), result.multipliers.end());
  result.status = NearestPoint::Status::infeasible;
  return result;
}

NearestPoint Solver::run() {
  const Index contradiction = unit_.contradiction();
  if (contradiction >= 0) {
    NearestPoint result;
    result.status = NearestPoint::Status::infeasible;
    result.multipliers.emplace_back(contradiction, 1.0);
    return result;
  }
  const bool extra_first = unit_.has_extra() && problem_.extra_b < 0;
  for (Index id = extra_first ? unit_.extra_id() : choose(); id >= 0 || unsettled_ > 0; id = choose()) {
    const Entry entry = id < 0 ? Entry::joined : enter(id);
    if (entry == Entry::infeasible) return infeasible(id);
    if (entry == Entry::unresolvable) pricing_.ignore(id);
    if (entry == Entry::joined) pricing_.ignore_none();
    if (entry == Entry::limit) return unfinished();
    const bool now = id < 0 || entry != Entry::joined || ++unsettled_ >= kUnsettled || stalled_ > kStallLimit;
    if (now && !settle()) return unfinished();
    // Multipliers so large that y drowns in their rounding: the cone of the active rows has become thin.
    const double visible = options_.precision * std::max(1.0, std::sqrt(2 * best_objective_));
    if (!active_.on_basis() && noise() > visible) {
      active_.use_basis();
      if (!settle()) return unfinished();
    }
    update_point();
    if (unsettled_ == 0) watch_progress();
  }
  return optimal();
}

}  // namespace

NearestPoint nearest_point(const NearestPointProblem& problem, const NearestPointOptions& options) {
  thread_local Workspace workspace;
  return Solver(problem, options, workspace).run();
}

}  // namespace pyregions
