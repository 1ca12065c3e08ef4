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
// passes 1 / u although no row is nearly dependent. When that shows, an orthonormal basis of W replaces the factor of G.
#include "projection.h"

#include <algorithm>
#include <cmath>

#include "gram_factor.h"
#include "orthogonal_factor.h"
#include "unit_rows.h"

namespace pyregions {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Products of unit rows are known to about 100 u (K of them are summed, errors mostly cancel), that is 2^-46. A squared
// distance |z|^2 from the span of W that is not several times larger carries no information and means "dependent".
constexpr double kDependentGram = 0x1p-43;
// With an orthonormal basis |z| itself is known to about u |(r, 1)|_1 (each row is only good to u); the same margin:
constexpr double kDependentBasis = 0x1p7 * kUnit;
// 1 - g.G^-1 g is a quadratic form in (r, 1), so its error is about u |(r, 1)|_1^2. It is trusted while 2^14 times
// larger (four digits); below that, z is formed explicitly and r corrected.
constexpr double kTrusted = 0x1p14;
// A correction of r that leaves z with a component along some active row above this fraction of |z| has not converged.
constexpr double kConverged = 0x1p-10;
// Multipliers smaller than this against the largest are rounding of the solves (whose precision the above guards).
constexpr double kNegligible = 0x1p-40;
// Joins without a visible rise of the dual objective after which lowest-index selection starts; far more than rounding
// produces near an optimum, far less than a cycle costs.
constexpr int kStallLimit = 30;

struct Workspace {
  GramFactor gram;
  OrthogonalFactor basis;
  UnitRows::Store store;
};

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

  double violation(Index id) const;
  double noise() const;
  Index choose() const;
  Entry enter(Index id);
  Index blocking_row(double& step) const;
  bool direction(Index id);
  bool direction_from_gram(Index id);
  bool direction_from_basis(Index id);
  void residual_of_direction(Index id);
  bool proves_infeasible(Index id) const;
  bool settle();
  void use_basis();
  void update_point();
  void watch_progress();
  void ignore(Index id);
  void join(Index id, double multiplier);
  void leave(Index position);
  void combine(double sign, const Vector& coefficients, Vector& y) const;
  bool prune_farkas(Index& fixed);
  NearestPoint optimal();
  NearestPoint infeasible(Index fixed);
  NearestPoint unfinished() const;

  const NearestPointProblem& problem_;
  const NearestPointOptions& options_;
  Workspace& work_;
  UnitRows unit_;
  int max_iterations_, iterations_ = 0;
  bool on_basis_ = false;  // which of the two factors describes W

  std::vector<Index> active_;                // W
  std::vector<UnitRows::Product> products_;  // parallel to active_, as are the next two
  Vector lambda_, rhs_;
  Vector direction_, forward_, residual_;    // r; L^-1 g or the basis coefficients of a_n; z when formed
  double distance2_ = 0;                     // |z|^2
  Vector scratch_;
  Vector y_, rows_at_y_;                     // A y; y_ lags behind on the Gram path when nothing but rows is there
  std::vector<std::uint8_t> ignored_;
  bool any_ignored_ = false;
  double best_objective_ = 0;
  int stalled_ = 0;
};

Solver::Solver(const NearestPointProblem& problem, const NearestPointOptions& options, Workspace& workspace)
    : problem_(problem), options_(options), work_(workspace), unit_(problem, workspace.store) {
  const Index given = options.max_iterations;
  max_iterations_ = static_cast<int>(given > 0 ? given : 20 * unit_.cols() + 200);
  rows_at_y_.assign(static_cast<std::size_t>(unit_.rows()), 0.0);
  y_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
  work_.gram.clear();
}

// --- choosing a violated row ---------------------------------------------------------------------------------------

double Solver::violation(Index id) const {
  if (id < unit_.rows()) return rows_at_y_[id] * unit_.inverse_norm(id) - unit_.rhs(id);
  return unit_.along(id, y_.data()) - unit_.rhs(id);
}

// Rounding of a product of y with a unit row: w terms lambda_j a_j on the Gram path, K terms of y on the basis path.
double Solver::noise() const {
  double weight = 0;
  for (double value : lambda_) weight += value;
  if (on_basis_) weight = std::min(weight, 8 * norm2(y_.data(), unit_.cols()));
  return gamma(static_cast<Index>(active_.size()) + unit_.cols() + 8) * weight;
}

// The most violated row (the first violated one when stalled), or -1.
Index Solver::choose() const {
  const double rounding = noise();
  const bool first_found = stalled_ > kStallLimit;
  Index best = -1;
  double largest = 0;
  const auto offer = [&](Index id, double excess, double b) {
    if (!(excess > largest) || (first_found && best >= 0)) return;
    if (excess <= options_.tolerance * std::max(1.0, std::fabs(b)) + rounding) return;
    if (any_ignored_ && ignored_[id]) return;
    best = id;
    largest = excess;
  };
  for (Index i = 0; i < unit_.rows(); ++i) {
    const double excess = (rows_at_y_[i] - problem_.b[i]) * unit_.inverse_norm(i);
    if (excess > largest && unit_.live(i)) offer(i, excess, problem_.b[i]);
  }
  if (const double* lower = problem_.lower) {
    for (Index k = 0; k < unit_.cols(); ++k) offer(unit_.lower_id(k), lower[k] - y_[k], lower[k]);
  }
  if (const double* upper = problem_.upper) {
    for (Index k = 0; k < unit_.cols(); ++k) offer(unit_.upper_id(k), y_[k] - upper[k], upper[k]);
  }
  if (unit_.has_extra()) offer(unit_.extra_id(), violation(unit_.extra_id()), problem_.extra_b);
  return best;
}

// --- the active set ------------------------------------------------------------------------------------------------

void Solver::join(Index id, double multiplier) {
  if (on_basis_) {
    work_.basis.append(forward_, residual_, distance2_);
  } else {
    work_.gram.append(forward_.data(), distance2_);
  }
  products_.push_back(unit_.products_with(id));
  active_.push_back(id);
  lambda_.push_back(multiplier);
  rhs_.push_back(unit_.rhs(id));
}

void Solver::leave(Index position) {
  if (on_basis_) {
    work_.basis.remove(position);
  } else {
    work_.gram.remove(position);
  }
  products_.erase(products_.begin() + position);
  active_.erase(active_.begin() + position);
  lambda_.erase(lambda_.begin() + position);
  rhs_.erase(rhs_.begin() + position);
}

// y += sign * sum over W of coefficient * unit row.
void Solver::combine(double sign, const Vector& coefficients, Vector& y) const {
  for (std::size_t i = 0; i < active_.size(); ++i) unit_.add_multiple(sign * coefficients[i], active_[i], y.data());
}

// residual_ = z = a_n + sum r_j a_j, added up from the rows themselves.
void Solver::residual_of_direction(Index id) {
  residual_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
  unit_.add_multiple(1.0, id, residual_.data());
  combine(1.0, direction_, residual_);
}

// direction_ = r and distance2_ = |z|^2 (0 when dependent) for row `id` against W, forward_ as join() wants it. False
// when the factor in use is not good enough to tell.
bool Solver::direction(Index id) { return on_basis_ ? direction_from_basis(id) : direction_from_gram(id); }

bool Solver::direction_from_gram(Index id) {
  const Index w = work_.gram.size();
  forward_.resize(static_cast<std::size_t>(w));
  for (Index i = 0; i < w; ++i) forward_[i] = unit_.product(id, active_[i], products_[i]);
  work_.gram.forward(forward_.data());
  distance2_ = 1;
  for (Index i = 0; i < w; ++i) distance2_ -= forward_[i] * forward_[i] / work_.gram.pivot(i);
  direction_ = forward_;
  work_.gram.backward(direction_.data());
  double size1 = 1;
  for (double& value : direction_) {
    value = -value;
    size1 += std::fabs(value);
  }
  if (distance2_ >= kTrusted * kUnit * size1 * size1) return true;
  double along_active = 0;
  for (int round = 0;; ++round) {
    residual_of_direction(id);
    scratch_.resize(static_cast<std::size_t>(w));
    for (Index i = 0; i < w; ++i) scratch_[i] = unit_.along(active_[i], residual_.data());
    along_active = largest_size(scratch_, 0.0);
    if (round == 2) break;
    work_.gram.solve(scratch_.data());
    for (Index i = 0; i < w; ++i) direction_[i] -= scratch_[i];
  }
  distance2_ = dot(residual_.data(), residual_.data(), unit_.cols());
  // |z| bounds the distance from the span for any r, but multipliers worth having reach rounding level.
  const double rounding = gamma(w + 16) * size1;
  if (distance2_ <= rounding * rounding && distance2_ <= kDependentGram) {
    distance2_ = 0;
    return true;
  }
  if (distance2_ <= kDependentGram || along_active > kConverged * std::sqrt(distance2_)) return false;
  for (Index i = 0; i < w; ++i) forward_[i] = -direction_[i];
  work_.gram.unbackward(forward_.data());
  return true;
}

bool Solver::direction_from_basis(Index id) {
  scratch_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
  unit_.add_multiple(1.0, id, scratch_.data());
  distance2_ = work_.basis.split(scratch_.data(), forward_, residual_);
  direction_ = forward_;
  work_.basis.solve_upper(direction_.data());
  double size1 = 1;
  for (double& value : direction_) {
    value = -value;
    size1 += std::fabs(value);
  }
  if (std::sqrt(distance2_) > kDependentBasis * size1) return true;
  distance2_ = 0;
  for (int round = 0; round < 2; ++round) {
    residual_of_direction(id);
    work_.basis.coefficients(residual_.data(), scratch_);
    work_.basis.solve_upper(scratch_.data());
    for (std::size_t i = 0; i < active_.size(); ++i) direction_[i] -= scratch_[i];
  }
  return true;
}

// Changes from the Gram factor to an orthonormal basis, leaving out rows that turn out to be dependent.
void Solver::use_basis() {
  const std::vector<Index> rows = active_;
  const Vector multipliers = lambda_;
  on_basis_ = true;
  work_.basis.reset(unit_.cols());
  active_.clear();
  products_.clear();
  lambda_.clear();
  rhs_.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    direction(rows[i]);
    if (distance2_ > 0) join(rows[i], multipliers[i]);
  }
}

// --- steps ---------------------------------------------------------------------------------------------------------

// With z = 0 the multipliers (r, 1) contradict as soon as their right-hand side is negative beyond its rounding.
bool Solver::proves_infeasible(Index id) const {
  double value = unit_.rhs(id), size = std::fabs(value);
  for (std::size_t i = 0; i < active_.size(); ++i) {
    value += direction_[i] * rhs_[i];
    size += std::fabs(direction_[i] * rhs_[i]);
  }
  return -value > gamma(static_cast<Index>(active_.size()) + 8) * size;
}

// The first multiplier to reach 0 along direction_, if that is before `step`; ties by lowest row index.
Index Solver::blocking_row(double& step) const {
  const double threshold = -kNegligible * largest_size(direction_, 1.0);
  Index blocking = -1;
  for (std::size_t i = 0; i < lambda_.size(); ++i) {
    if (direction_[i] >= threshold) continue;
    const double ratio = -lambda_[i] / direction_[i];
    const bool tie = blocking >= 0 && ratio == step && active_[i] < active_[blocking];
    if (ratio < step || tie) {
      step = ratio;
      blocking = static_cast<Index>(i);
    }
  }
  return blocking;
}

Solver::Entry Solver::enter(Index id) {
  double excess = violation(id), multiplier = 0;
  for (;;) {
    if (++iterations_ > max_iterations_) return Entry::limit;
    const bool told = direction(id);
    double step = distance2_ > 0 ? std::max(excess, 0.0) / distance2_ : kInfinity;
    const Index blocking = blocking_row(step);
    if (told && step == kInfinity && proves_infeasible(id)) return Entry::infeasible;
    if (!told || step == kInfinity) {
      if (on_basis_) return Entry::unresolvable;
      use_basis();
      return Entry::restart;
    }
    for (std::size_t i = 0; i < lambda_.size(); ++i) lambda_[i] = std::max(0.0, lambda_[i] + step * direction_[i]);
    multiplier += step;
    excess -= step * distance2_;
    if (blocking < 0) {
      join(id, multiplier);
      return Entry::joined;
    }
    leave(blocking);
  }
}

// Replaces the updated multipliers by the solution of G lambda = -b, so that nothing drifts. Should rounding (or a row
// that was given up half way) have made one of them negative, walks there as far as lambda >= 0 and drops the blocker.
bool Solver::settle() {
  for (;;) {
    scratch_ = rhs_;
    if (on_basis_) {
      work_.basis.solve_lower(scratch_.data());
      work_.basis.combine(scratch_.data(), y_.data());
      work_.basis.solve_upper(scratch_.data());
    } else {
      work_.gram.solve(scratch_.data());
    }
    const double threshold = -kNegligible * largest_size(scratch_, 0.0);
    double step = 1;
    Index blocking = -1;
    for (std::size_t i = 0; i < lambda_.size(); ++i) {
      if (-scratch_[i] >= threshold) continue;
      const double ratio = lambda_[i] / (lambda_[i] + scratch_[i]);
      if (blocking >= 0 && ratio >= step) continue;
      step = ratio;
      blocking = static_cast<Index>(i);
    }
    for (std::size_t i = 0; i < lambda_.size(); ++i) {
      lambda_[i] = std::max(0.0, lambda_[i] - step * (scratch_[i] + lambda_[i]));
    }
    if (blocking < 0) return true;
    if (++iterations_ > max_iterations_) return false;
    leave(blocking);
  }
}

void Solver::update_point() {
  if (on_basis_) {  // y_ came with settle()
    gemv(false, 1.0, *problem_.A, y_.data(), 0.0, rows_at_y_.data());
    return;
  }
  std::fill(rows_at_y_.begin(), rows_at_y_.end(), 0.0);
  for (std::size_t i = 0; i < active_.size(); ++i) {
    axpy(-lambda_[i] * products_[i].scale, products_[i].values, rows_at_y_.data(), unit_.rows());
  }
  if (!problem_.lower && !problem_.upper && !problem_.extra) return;
  std::fill(y_.begin(), y_.end(), 0.0);
  combine(-1.0, lambda_, y_);
}

// Dual objective: |y|^2 / 2 = -b.lambda / 2 at a settled point.
void Solver::watch_progress() {
  double objective = 0;
  for (std::size_t i = 0; i < active_.size(); ++i) objective -= lambda_[i] * rhs_[i] / 2;
  const bool risen = objective > best_objective_ * (1 + 16 * kUnit);
  stalled_ = risen ? 0 : stalled_ + 1;
  best_objective_ = std::max(best_objective_, objective);
}

void Solver::ignore(Index id) {
  ignored_.resize(static_cast<std::size_t>(unit_.extra_id() + 1), 0);
  ignored_[id] = 1;
  any_ignored_ = true;
}

// --- results -------------------------------------------------------------------------------------------------------

NearestPoint Solver::unfinished() const {
  NearestPoint result;
  result.iterations = iterations_;
  result.y = y_;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    if (lambda_[i] > 0) result.multipliers.emplace_back(active_[i], lambda_[i] * unit_.inverse_norm(active_[i]));
  }
  std::sort(result.multipliers.begin(), result.multipliers.end());
  return result;
}

// One correction by the residual of the active rows: of lambda on the Gram path (y follows), of y on the basis path.
NearestPoint Solver::optimal() {
  any_ignored_ = false;
  const bool solved = choose() < 0;  // no row was given up that is still violated
  if (!on_basis_) {
    std::fill(y_.begin(), y_.end(), 0.0);
    combine(-1.0, lambda_, y_);
  }
  scratch_.resize(active_.size());
  for (std::size_t i = 0; i < active_.size(); ++i) scratch_[i] = unit_.along(active_[i], y_.data()) - rhs_[i];
  if (on_basis_) {
    Vector correction(y_.size());
    work_.basis.solve_lower(scratch_.data());
    work_.basis.combine(scratch_.data(), correction.data());
    axpy(-1.0, correction.data(), y_.data(), unit_.cols());
  } else {
    work_.gram.solve(scratch_.data());
    for (std::size_t i = 0; i < active_.size(); ++i) lambda_[i] = std::max(0.0, lambda_[i] + scratch_[i]);
    std::fill(y_.begin(), y_.end(), 0.0);
    combine(-1.0, lambda_, y_);
  }
  NearestPoint result = unfinished();
  result.status = solved ? NearestPoint::Status::optimal : NearestPoint::Status::limit;
  return result;
}

// Leaves in W only the rows with positive multipliers, and makes the extra row the fixed one if it takes part.
bool Solver::prune_farkas(Index& fixed) {
  for (;;) {
    if (!direction(fixed) || distance2_ > 0) return false;
    const auto least = std::min_element(direction_.begin(), direction_.end());
    if (least == direction_.end() || *least > kNegligible * largest_size(direction_, 1.0)) break;
    leave(least - direction_.begin());
  }
  const auto extra = std::find(active_.begin(), active_.end(), unit_.extra_id());
  if (extra == active_.end()) return true;
  leave(extra - active_.begin());
  if (!direction(fixed) || distance2_ == 0) return distance2_ == 0;  // then the extra row was not needed after all
  join(fixed, 0.0);
  fixed = unit_.extra_id();
  return direction(fixed) && distance2_ == 0;
}

NearestPoint Solver::infeasible(Index fixed) {
  const NearestPoint fallback = unfinished();
  if (!prune_farkas(fixed)) return fallback;
  NearestPoint result;
  result.iterations = iterations_;
  double value = unit_.rhs(fixed);
  result.multipliers.emplace_back(fixed, 1.0);
  for (std::size_t i = 0; i < active_.size(); ++i) {
    if (direction_[i] <= 0) continue;
    value += direction_[i] * rhs_[i];
    const double scale = unit_.inverse_norm(active_[i]) / unit_.inverse_norm(fixed);
    result.multipliers.emplace_back(active_[i], direction_[i] * scale);
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
  for (Index id = extra_first ? unit_.extra_id() : choose(); id >= 0; id = choose()) {
    const Entry entry = enter(id);
    if (entry == Entry::infeasible) return infeasible(id);
    if (entry == Entry::unresolvable) ignore(id);
    if (entry == Entry::joined && any_ignored_) {
      std::fill(ignored_.begin(), ignored_.end(), std::uint8_t{0});
      any_ignored_ = false;
    }
    if (entry == Entry::limit || !settle()) return unfinished();
    // Multipliers so large that y drowns in their rounding: the cone of the active rows has become thin.
    const double visible = 16 * options_.tolerance * std::max(1.0, std::sqrt(2 * best_objective_));
    if (!on_basis_ && noise() > visible) {
      use_basis();
      if (!settle()) return unfinished();
    }
    update_point();
    watch_progress();
  }
  return optimal();
}

}  // namespace

NearestPoint nearest_point(const NearestPointProblem& problem, const NearestPointOptions& options) {
  thread_local Workspace workspace;
  return Solver(problem, options, workspace).run();
}

}  // namespace pyregions
