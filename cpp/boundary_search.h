// Layer 4, private to boundaries.cpp. Does a set of strict inequalities between outputs hold somewhere inside a cell?
// Proposals by least-distance solves, proofs by forward passes and forms.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "frame.h"
#include "predicates.h"

namespace pyregions {

// An affine inequality q.f(x) <= rhs on the outputs.
struct OutputRow {
  Vector q;
  double rhs;
};

class BoundarySearch {
 public:
  BoundarySearch(const RowSystem& rows, const Network::Affine& map, const Vector& interior,
                 const std::function<const Enclosure&()>& enclosure);

  // A point y with q.f <= rhs for all rows, at least `margin` (relative) inside the cell; or multipliers (per output row,
  // per cell row) that speak against it.
  struct Answer {
    bool feasible = false, infeasible = false;
    Vector y;
    Vector outputs;    // multiplier per output row
    SparseRow cell;    // multipliers over rows of the cell, explicit rows only
    // All rows that take part, bounds included; output row i is numbered rows + i and stands last.
    std::vector<Index> support;
  };
  Answer solve(const std::vector<OutputRow>& conditions, double margin, double tilt) const;

  // The same question as one linear program for HiGHS, which sees through conditions that nearly contradict the cell:
  // the point with the largest slack in everything, and the rows that limit it. feasible: that slack is positive.
  Answer solve_by_lp(const std::vector<OutputRow>& conditions) const;

  // The same for one condition in a box, the last row of a, as the largest value of its opposite over the cell (see
  // row_maximum.h), a program that large boxes are no burden to; nothing where that does not tell.
  std::optional<Answer> solve_by_maximum(const Matrix& a, const Vector& b, const Vector& lower, const Vector& upper,
                                         double length) const;

  // Proves that q.f <= 0 on the whole cell, for q = sum over the conditions of -multiplier * q_i: the form q.f - sum
  // lambda h has a supremum <= 0.
  bool implied(const Vector& q, const SparseRow& cell) const;

  // In the coordinates of the first stage, whose own multipliers follow from the deeper ones.
  bool implied_by_stage(const Matrix& output, const SparseRow& cell) const;

  // The same when nothing bounds the residual: the rows are a basis, and q.f = sum lambda a exactly with lambda > 0.
  bool implied_by_basis(const Matrix& output, const SparseRow& cell) const;

  // x strictly inside the cell with q.f(x) < 0 for all conditions' q (right sides dropped), proven; empty if not.
  Vector prove_point(const Vector& y, const std::vector<OutputRow>& conditions) const;

  Vector difference(Index i, Index j) const;
  // A scale for output differences on this cell: their change over the way to the nearest wall.
  double output_scale() const;
  const Frame& frame() const { return frame_; }
  const Matrix& slope() const { return slope_; }
  const Vector& value() const { return value_; }

 private:
  const RowSystem& rows_;
  const std::function<const Enclosure&()>& enclosure_;
  const Network& net_;
  Frame frame_;
  Matrix slope_;
  Vector value_, lean_;
};

}  // namespace pyregions
