// Layer 3. Slacks at points of a first_stage frame, with bounds, from the frame's own few columns instead of forward passes.
#pragma once

#include <vector>

#include "frame.h"

namespace pyregions {

// Let C_k be the columns of the first stage's inverse, w_u the exact outward rows of its units and a_u what is stored of them, l_u
// their lengths as computed, s_u = +-1 the sides, and y over the units that are live: C_k lets s_k a_k grow by l_k and no other, but for
// rounding. x = fl(c + sum y_k C_k) = c + v + d, v = sum y_k C_k exactly, with
//   |d| <= gamma(K + 2) (|c| + |y| |C|) + underflow(K d)                                       (Frobenius norms, any order of summation),
//   |a_u.v - s_u l_u y_u| <= |y| off_u,  off_u >= |(a_u.C_k - s_u l_u [u = k])_k|               (the same for all regions of a network),
//   |w_u.v - s_u l_u y_u| <= |y| omega_u,  omega_u = off_u + sqrt(d) A_err_u |C|.
// An exact row of a later stage is sum g_u s_u w_u over the live units; of g a float h is known within e in each coefficient, so that
//   |row.v - sum h_u l_u y_u| <= |y| (sum (|h_u| + e) omega_u + e |l|).
// A frame has G = h l / length to two roundings. Hence slack(x) = slack(c) - length G.y within the above, |row| |d|, and the
// rounding of K + 4 operations on numbers whose sizes sum up to at most length |G| |y|. One step t along the column of a unit that
// is not live is the same with |y| = |t|, where only the row of that unit moves. What is not finite claims nothing: value 0, error
// infinite.
class FirstStageSlacks {
 public:
  // Requires: a first_stage frame. center_slack: of all rows of the cell at the frame's centre. rows and frame must outlive what is
  // made.
  FirstStageSlacks(const RowSystem& rows, const Frame& frame, RowSystem::Slacks center_slack);

  // Slacks of all rows of the cell at frame.to_x(y), one row each.
  RowSystem::Slacks at_points(const Matrix& y) const;
  // Into row i of out: at fl(c + fl(t * row `free` of free_lift)).
  void beyond_free(Index free, double t, Index i, RowSystem::Slacks& out) const;

 private:
  // One row of the cell: that of a general row of the frame or of a first-stage unit.
  struct Row {
    Index index;
    double start, start_error, length, norm;
    double per_way;  // what the error grows with |y| by
    double lost;     // underflow, whatever y is
  };
  Row row_of(Index index, double length, double per_way) const;
  void fill(const Row& row, double step, double way, double moved, Index i, RowSystem::Slacks& out) const;
  void copy_start(Index i, RowSystem::Slacks& out) const;  // for rows that nothing moves

  const RowSystem& rows_;
  const Frame& frame_;
  RowSystem::Slacks center_slack_;
  std::vector<Row> general_, live_, free_;
  double center_ = 0, columns_ = 0;  // upper bounds of |c| and |C|
};

}  // namespace pyregions
