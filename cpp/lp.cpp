// Layer 2. Linear programs through HiGHS. We hand over "minimise -c.x" with rows and costs scaled by powers of two
// (exact), and translate the answer back; duals of the minimisation have the opposite sign of ours.
#include "lp.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"  // the header declares a static function and defines none
#endif
#include <interfaces/highs_c_api.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace pyregions {
namespace {

// HiGHS drops coefficients below its "small_matrix_value"; this is the least it accepts. Rows are scaled to a largest
// coefficient in [1, 2), so what is dropped is below 1e-12 of its row: a perturbation, as proposals allow.
constexpr double kSmallCoefficient = 1e-12;
// Feasibility tolerances tried in turn: two digits better than HiGHS's default, then the default.
constexpr double kTolerances[] = {1e-9, 1e-7};

// The power of two that brings `largest` into [1, 2).
double power_of_two_scale(double largest) { return largest > 0 ? std::ldexp(1.0, -std::ilogb(largest)) : 1.0; }

double largest_size(const double* values, Index n) {
  double largest = 0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

// One HiGHS object per thread, emptied before every use.
class Highs {
 public:
  Highs() : handle_(::Highs_create()) {
    if (!handle_) throw std::runtime_error("pyregions: HiGHS could not be started");
    check(Highs_setBoolOptionValue(handle_, "output_flag", 0));
    check(Highs_setIntOptionValue(handle_, "threads", 1));
    check(Highs_setStringOptionValue(handle_, "parallel", "off"));
    // Without presolve the basis and the rays belong to the problem as given.
    check(Highs_setStringOptionValue(handle_, "presolve", "off"));
    check(Highs_setDoubleOptionValue(handle_, "small_matrix_value", kSmallCoefficient));
  }
  ~Highs() { Highs_destroy(handle_); }
  Highs(const Highs&) = delete;
  Highs& operator=(const Highs&) = delete;

  void* handle() const { return handle_; }
  static void check(HighsInt status) {
    if (status == kHighsStatusError) throw std::runtime_error("pyregions: HiGHS rejected an option or a model");
  }

 private:
  void* handle_;
};

// The problem as HiGHS gets it: live rows only, scaled.
struct ScaledProblem {
  std::vector<Index> rows;
  Vector row_scale, cost, lower, upper, row_lower, row_upper, values;
  std::vector<HighsInt> starts, columns;
  double cost_scale = 1;
};

ScaledProblem scale(const Matrix& A, const Vector& b, const Vector& c, const Vector& lower, const Vector& upper,
                    const std::vector<std::uint8_t>* skip) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Index k = A.cols();
  ScaledProblem p;
  p.cost_scale = power_of_two_scale(largest_size(c.data(), k));
  for (double value : c) p.cost.push_back(-p.cost_scale * value);
  p.lower = lower.empty() ? Vector(static_cast<std::size_t>(k), -infinity) : lower;
  p.upper = upper.empty() ? Vector(static_cast<std::size_t>(k), infinity) : upper;
  for (Index i = 0; i < A.rows(); ++i) {
    if (skip && (*skip)[i] != 0) continue;
    const double* row = A.row(i);
    const double factor = power_of_two_scale(largest_size(row, k));
    p.rows.push_back(i);
    p.row_scale.push_back(factor);
    p.row_lower.push_back(-infinity);
    p.row_upper.push_back(factor * b[i]);
    p.starts.push_back(static_cast<HighsInt>(p.values.size()));
    for (Index j = 0; j < k; ++j) {
      if (row[j] == 0) continue;
      p.columns.push_back(static_cast<HighsInt>(j));
      p.values.push_back(factor * row[j]);
    }
  }
  p.starts.push_back(static_cast<HighsInt>(p.values.size()));
  return p;
}

void set_options(void* highs, const LpOptions& options, double cost_scale, double tolerance) {
  const bool interior = options.method == LpOptions::Method::interior;
  const HighsInt strategy = options.method == LpOptions::Method::simplex_primal ? 4 : 1;  // 4 primal, 1 serial dual
  const double bound = options.use_objective_bound ? -cost_scale * options.objective_bound
                                                   : std::numeric_limits<double>::infinity();
  Highs::check(Highs_setStringOptionValue(highs, "solver", interior ? "ipm" : "simplex"));
  Highs::check(Highs_setIntOptionValue(highs, "simplex_strategy", strategy));
  Highs::check(Highs_setStringOptionValue(highs, "run_crossover", options.crossover ? "on" : "off"));
  Highs::check(Highs_setDoubleOptionValue(highs, "time_limit", options.time_limit));
  Highs::check(Highs_setDoubleOptionValue(highs, "objective_bound", bound));
  Highs::check(Highs_setDoubleOptionValue(highs, "primal_feasibility_tolerance", tolerance));
  Highs::check(Highs_setDoubleOptionValue(highs, "dual_feasibility_tolerance", tolerance));
}

HighsInt solve(void* highs, const ScaledProblem& p) {
  Highs::check(Highs_clearModel(highs));
  Highs::check(Highs_zeroAllClocks(highs));  // the time limit would else count earlier problems
  const HighsInt k = static_cast<HighsInt>(p.cost.size()), n = static_cast<HighsInt>(p.rows.size());
  // A model that HiGHS does not take (numbers at the ends of the range of doubles) gives no proposal.
  if (Highs_passLp(highs, k, n, static_cast<HighsInt>(p.values.size()), kHighsMatrixFormatRowwise, kHighsObjSenseMinimize,
                   0.0, p.cost.data(), p.lower.data(), p.upper.data(), p.row_lower.data(), p.row_upper.data(),
                   p.starts.data(), p.columns.data(), p.values.data()) == kHighsStatusError)
    return kHighsModelStatusUnknown;
  if (Highs_run(highs) == kHighsStatusError) return kHighsModelStatusUnknown;
  return Highs_getModelStatus(highs);
}

LpResult::Status translate(HighsInt status) {
  if (status == kHighsModelStatusOptimal) return LpResult::Status::optimal;
  if (status == kHighsModelStatusInfeasible) return LpResult::Status::infeasible;
  if (status == kHighsModelStatusUnbounded) return LpResult::Status::unbounded;
  if (status == kHighsModelStatusObjectiveBound) return LpResult::Status::bound_reached;
  return LpResult::Status::failed;
}

// row_duals from multipliers of the scaled rows, and bound_duals so that A^T row_duals + bound_duals = target.
void set_duals(LpResult& result, const ScaledProblem& p, const Matrix& A, const Vector& scaled, double factor,
               const Vector& target) {
  result.row_duals.assign(static_cast<std::size_t>(A.rows()), 0.0);
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    result.row_duals[p.rows[i]] = std::max(0.0, factor * p.row_scale[i] * scaled[i]);
  }
  result.bound_duals = target;
  gemv(true, -1.0, A, result.row_duals.data(), 1.0, result.bound_duals.data());
}

void read_solution(LpResult& result, void* highs, const ScaledProblem& p, const Matrix& A, const Vector& c) {
  Vector x(p.cost.size()), column_duals(p.cost.size()), row_values(p.rows.size()), row_duals(p.rows.size());
  Highs_getSolution(highs, x.data(), column_duals.data(), row_values.data(), row_duals.data());
  // Duals that are not quite feasible in the unscaled problem are a proposal, too; without any, all of c is with the bounds.
  set_duals(result, p, A, row_duals, -1 / p.cost_scale, c);
  result.x = std::move(x);
  result.objective = dot(c.data(), result.x.data(), A.cols());
}

void read_basis(LpResult& result, void* highs, const ScaledProblem& p) {
  HighsInt valid = 0;
  Highs_getIntInfoValue(highs, "basis_validity", &valid);
  if (valid == 0) return;
  std::vector<HighsInt> columns(p.cost.size()), rows(p.rows.size());
  if (Highs_getBasis(highs, columns.data(), rows.data()) == kHighsStatusError) return;
  const auto at_bound = [](HighsInt s) { return s == kHighsBasisStatusLower || s == kHighsBasisStatusUpper; };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (at_bound(rows[i])) result.basis_rows.push_back(static_cast<int>(p.rows[i]));
  }
  for (std::size_t j = 0; j < columns.size(); ++j) {
    if (at_bound(columns[j])) result.basis_bounds.push_back(static_cast<int>(j));
  }
}

// HiGHS leaves the sign of a ray to its direction of pivoting: ours are the multipliers that are >= 0.
void read_farkas(LpResult& result, void* highs, const ScaledProblem& p, const Matrix& A) {
  Vector ray(p.rows.size());
  HighsInt known = 0;
  if (Highs_getDualRay(highs, &known, ray.data()) == kHighsStatusError || known == 0) return;
  double up = 0, down = 0;
  for (double value : ray) (value > 0 ? up : down) += std::fabs(value);
  set_duals(result, p, A, ray, up >= down ? 1.0 : -1.0, Vector(p.cost.size(), 0.0));
}

void read_primal_ray(LpResult& result, void* highs, const ScaledProblem& p) {
  Vector ray(p.cost.size());
  HighsInt known = 0;
  if (Highs_getPrimalRay(highs, &known, ray.data()) != kHighsStatusError && known != 0) result.x = std::move(ray);
}

int iteration_count(void* highs) {
  int total = 0;
  for (const char* name : {"simplex_iteration_count", "ipm_iteration_count", "crossover_iteration_count"}) {
    HighsInt count = 0;
    if (Highs_getIntInfoValue(highs, name, &count) != kHighsStatusError && count > 0) total += static_cast<int>(count);
  }
  return total;
}

// A row without coefficients that nothing satisfies: HiGHS knows no ray for it. -1 if there is none.
Index void_row(const ScaledProblem& p) {
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    if (p.starts[i] == p.starts[i + 1] && p.row_upper[i] < 0) return p.rows[i];
  }
  return -1;
}

}  // namespace

LpResult maximize_lp(const Matrix& A, const Vector& b, const Vector& c, const Vector& lower, const Vector& upper,
                     const std::vector<std::uint8_t>* skip, const LpOptions& options) {
  const ScaledProblem p = scale(A, b, c, lower, upper, skip);
  LpResult result;
  if (const Index row = void_row(p); row >= 0) {
    result.status = LpResult::Status::infeasible;
    result.row_duals.assign(static_cast<std::size_t>(A.rows()), 0.0);
    result.row_duals[row] = 1;
    result.bound_duals.assign(static_cast<std::size_t>(A.cols()), 0.0);
    return result;
  }
  thread_local Highs instance;
  void* const highs = instance.handle();
  for (double tolerance : kTolerances) {
    set_options(highs, options, p.cost_scale, tolerance);
    result.status = translate(solve(highs, p));
    result.iterations += iteration_count(highs);
    if (result.status != LpResult::Status::failed) break;
  }
  switch (result.status) {
    case LpResult::Status::optimal:
    case LpResult::Status::bound_reached:
      read_solution(result, highs, p, A, c);
      read_basis(result, highs, p);
      break;
    case LpResult::Status::infeasible:
      read_farkas(result, highs, p, A);
      break;
    case LpResult::Status::unbounded:
      read_primal_ray(result, highs, p);
      break;
    case LpResult::Status::failed:
      break;
  }
  return result;
}

std::string highs_version() { return Highs_version(); }

}  // namespace pyregions
