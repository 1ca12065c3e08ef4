// Layer 2. Linear programs through HiGHS's C API (lp.cpp is the only file that knows HiGHS). A result is a proposal:
// nothing here is proven, callers check it.
#pragma once

#include <string>
#include <vector>

#include "dense.h"

namespace pyregions {

struct LpResult {
  enum class Status { optimal, infeasible, unbounded, bound_reached, failed } status = Status::failed;
  Vector x;            // primal point (or ray when unbounded and a ray is known)
  // Always set when optimal. >= 0 for rows A x <= b of a maximisation; Farkas multipliers, if known, when infeasible.
  Vector row_duals;
  // Reduced costs: > 0 upper bound active, < 0 lower bound active. A^T row_duals + bound_duals = c (0 when infeasible).
  Vector bound_duals;
  std::vector<int> basis_rows;    // rows nonbasic at their bound
  std::vector<int> basis_bounds;  // columns nonbasic at a bound
  double objective = 0;
  int iterations = 0;
};

struct LpOptions {
  enum class Method { simplex_dual, simplex_primal, interior } method = Method::simplex_dual;
  bool crossover = true;
  double time_limit = 60;           // seconds
  double objective_bound = 0;       // stop early once the objective provably passes it (if use_objective_bound)
  bool use_objective_bound = false;
};

// maximise c.x subject to A x <= b, lower <= x <= upper (+-inf allowed; empty = free). Rows in `skip` (may be null,
// length rows) are left out; their duals are 0. Single-threaded, cold start, deterministic.
LpResult maximize_lp(const Matrix& A, const Vector& b, const Vector& c, const Vector& lower, const Vector& upper,
                     const std::vector<std::uint8_t>* skip = nullptr, const LpOptions& options = {});

std::string highs_version();

}  // namespace pyregions
