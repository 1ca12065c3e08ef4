// Layer 2. The normal equations of the inscribed-ball program: products with its constraint matrix C and solutions of
// C^T W C z = g.
#pragma once

#include "interior.h"

namespace pyregions {

// Constraints in order: the rows of A divided by their norms, finite lower bounds, finite upper bounds, the cap; each
// has coefficient 1 at the last unknown r. Law: multiply(z)_i = c_i . z, rhs()_i its right-hand side.
class NormalEquations {
 public:
  explicit NormalEquations(const BallProblem& problem);
  Index cols() const { return cols_; }  // unknowns without r
  const Vector& rhs() const { return rhs_; }
  const std::vector<Index>& lower_columns() const { return lower_; }
  const std::vector<Index>& upper_columns() const { return upper_; }

  void multiply(const Vector& z, Vector& out) const;
  void multiply_transposed(const Vector& l, Vector& out) const;

  // Factors C^T W C + proximal I (the identity without r), or a part of it that will do, for positive weights; false when not
  // even a strong regularisation makes it positive definite.
  bool factor(Vector weights, double proximal);
  bool factored() const { return factored_; }
  const Vector& weights() const { return weights_; }
  // Whether the factor is of a part only, so that solutions are found by conjugate gradients.
  bool low_rank() const { return low_rank_; }
  // z with (C^T W C + proximal I) z = right as nearly as the factor and a few corrections against C itself get.
  void solve(const Vector& right, Vector& z);

 private:
  bool factor_full(double regularisation);
  bool factor_low_rank();
  void apply(const Vector& z, Vector& out) const;
  void apply_factor(Vector& z) const;
  void apply_low_rank(double* x) const;
  void diagonal_of_bounds();
  void refine(const Vector& right, Vector& z) const;
  bool solve_low_rank(const Vector& right, Vector& z) const;

  int workers_;
  Index rows_, cols_;
  Matrix a_;            // rows divided by their norms
  Vector rhs_;
  std::vector<Index> lower_, upper_;
  bool low_rank_works_ = false;  // as far as we know
  bool low_rank_ = false, factored_ = false;
  Vector weights_, root_weights_;
  double proximal_ = 0;
  Vector diagonal_, border_;  // what bounds and proximal term add to C^T W C: diagonal and last column
  double corner_ = 0;
  Matrix scaled_, matrix_;    // factor of the (k + 1)-square matrix, or of the low-rank form's
  std::vector<Index> kept_;   // rows of the low-rank form
  Vector inverse_root_;       // D^-1/2
  Vector column_, border_solved_;  // low rank: the last column h without its corner, and H^-1 h
  double schur_ = 0;
};

}  // namespace pyregions
