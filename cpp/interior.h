// Layer 2. A dense primal-dual interior-point method (Mehrotra's predictor-corrector) for the inscribed-ball program.
// Its answer is a proposal; callers check it.
#pragma once

#include "dense.h"

namespace pyregions {

// maximise r subject to A x + norms r <= b, lower + r <= x <= upper - r, and r <= radius_cap. x free where bounds are
// infinite, r free in sign. Requires: some finite cap or a bounded problem.
struct BallProblem {
  const Matrix* A = nullptr;  // N x k
  Vector norms;               // N, > 0
  Vector b;                   // N
  Vector lower, upper;        // k (infinite where free) or empty
  double radius_cap = 0;      // finite always
  Vector start;               // optional start point for x (k or empty)
  int workers = 1;
};
struct BallResult {
  bool converged = false;
  Vector x;
  double r = 0;
  Vector row_multipliers;                        // N, >= 0
  Vector lower_multipliers, upper_multipliers;   // k, >= 0 (0 where free)
  double cap_multiplier = 0;
  // At the optimum A^T row + upper - lower = 0 and norms.row + sum(lower + upper) + cap = 1 up to rounding.
  int iterations = 0;
};
struct BallOptions {
  // Decides nothing: bounds of the radius are proven from the result. 1e-6 between them is asked for; this leaves room for
  // what the proofs lose, and is what Newton steps in doubles reach on degenerate problems.
  double gap = 1e-9;        // relative complementarity gap and relative residual at which to stop
  int max_iterations = 60;
  bool until_positive = false;  // stop as soon as x is strictly feasible with r > 0.3 * (upper estimate of r): a centre
};
// Cost per iteration: one k x k normal matrix and its Cholesky factor; products with A where every coordinate has a bound and
// few rows weigh much.
BallResult inscribed_ball(const BallProblem& problem, const BallOptions& options = {});

}  // namespace pyregions
