// Layer 3. Working coordinates of one cell for the float searches: rows G y <= h with the center at y = 0, plain bounds
// kept apart, and the way back to x. Nothing here is proven; whatever is found in a frame is checked elsewhere.
//
// ambient: y = x - center. first_stage (all of R^d, first stage of full row rank): y_k = (z_k(x) - z_k(center)) / |w_k|
// for the units k of the first stage that are live (slope != 0) under the pattern. There the cell is a product: the other
// first-stage rows are facets for free, and the live ones are plain bounds. quotient: see make_quotient().
#pragma once

#include <limits>
#include <vector>

#include "predicates.h"

namespace pyregions {

struct Frame {
  enum class Kind { ambient, first_stage, quotient } kind = Kind::ambient;
  Index dim = 0;
  Vector center;                 // in x
  Matrix G;                      // general rows, normalised to Euclidean length 1 in x (norms[i] = 1 in ball programs)
  Vector h;                      // slack of each row at the center, in the same scale
  Vector length;                 // the x-length of the row before normalisation: row = length * (G y - h)
  Vector scale;                  // Euclidean length of the G row in y-coordinates
  std::vector<Index> row;        // global row index of each general row
  Vector lower, upper;           // bounds on y, infinite where there is none
  std::vector<Index> lower_row, upper_row;  // their global row index or -1
  Vector bound_length;           // x-length of the row behind a bound: row = bound_length * (+-y_k - bound)
  Vector error;                  // first_stage, quotient: of each general row, bound on its coefficients over the live units
  Matrix lift;                   // first_stage: dim x d, x = center + y lift
  std::vector<Index> free_units; // first_stage: units that are not live
  Matrix free_lift;              // first_stage: one x-direction per free unit, z_u grows by 1, all other z stay
  const Network::StageInverse* inverse = nullptr;  // first_stage: the network's, whose columns are those of the lifts

  bool has_bounds() const;
  Index rows() const { return G.rows(); }
  // M x dim -> M x d. Not of a quotient, which has no way back; nor can it be recentered.
  Matrix to_x(const Matrix& y) const;
  // New center at y (strictly inside): shifts h and the bounds.
  void recenter(const Vector& y);
};

// Minus the sum of the outward unit rows of the live first-stage units, in all of R^d (else 0). A claimed row tilted by a
// little of it leaves the proof in first-stage coordinates a positive multiplier on each of those units, which absorbs
// the rounding of the float multipliers.
Vector first_stage_lean(const RowSystem& rows, const Frame& frame);

// Zero rows are left out. Throws UndecidedError for rows that are nonzero but outside the range of doubles.
// allow_first_stage: use the product structure where it exists.
Frame make_frame(const RowSystem& rows, const Vector& center, bool allow_first_stage = true);
// The quotient of the first stage, whatever its rank: the rows of later stages and the bounds of the live units in their
// coordinates, as in a first_stage frame, without the other units and without a way back to x. What is redundant here is
// redundant in the cell. False where the network does not allow it or more than `most` units are live.
bool make_quotient(const RowSystem& rows, const Vector& center, Index most, Frame& out);
// The ambient frame around a sum of doubles, its slacks from double-double: for cells that a double cannot enter. A point
// y of the frame is center + y, the sum taken exactly.
Frame make_fine_frame(const RowSystem& rows, const Parts& center);

}  // namespace pyregions
