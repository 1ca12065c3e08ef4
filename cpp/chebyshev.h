// Layer 3. The largest inscribed ball with rigorous bounds, and boundedness.
#pragma once

#include <functional>
#include <string>

#include "frame.h"
#include "predicates.h"

namespace pyregions {

struct Ball {
  Vector center;
  Parts fine;                               // as in InteriorPoint
  double radius = 0, lower = 0, upper = 0;  // lower <= true supremum <= upper; the ball (center, lower) is inside
  Proof proof = Proof::none;                // how upper is proven
  int stage = -1;
  Vector direction;                         // infinite: A u < 0 for every nonzero row
  SparseRow multipliers;
  std::vector<Integer> exact_direction = {};  // Proof::exact: the same in integers, or
  Combination exact = {};                     // a vanishing combination of rows that bounds the radius
};
// Whether the bounds of a finite radius are farther apart than 2^-20 of it: such are worth another method.
bool loose(const Ball& ball);
// Requires: interior strictly inside, or in a box any point (then lower may be 0). enclosure as in ReduceOptions.
Ball inscribed_ball(const RowSystem& rows, const Vector& interior, const std::function<const Enclosure&()>& enclosure);
// The same without floats. Throws UndecidedError when the budget is spent.
Ball inscribed_ball_exactly(const RowSystem& rows);

struct Boundedness {
  int bounded = -1, modulo_lineality = -1;  // 1 proven, 0 disproven, -1 undecided
  Index rank_lower = 0, rank_upper = 0;
  std::string proof = "undecided";  // box, combination, stage, direction, dimension, free_unit, exact, undecided
  Vector direction;
  SparseRow multipliers;
  std::vector<Index> basis;
  Matrix inverse;
  Enclosure enclosure;  // when bounded by a box or a combination
  // Exact answers: a vanishing combination with positive multipliers on all nonzero rows (bounded modulo lineality), and
  // integer directions: one of the lineality space, one that some row falls along.
  Combination exact = {};
  std::vector<Integer> line = {}, recession = {};
};
Boundedness boundedness(const RowSystem& rows, const Vector& interior);
// Decides exactly what stayed open.
void settle_boundedness(const RowSystem& rows, Boundedness& answer);

// u with a_j.u < 0 for every nonzero row, proven; empty when none was found. multipliers: the proposal's dual.
Vector strict_recession(const RowSystem& rows, const Frame& frame, Vector* row_multipliers = nullptr,
                        Vector* lower_multipliers = nullptr, Vector* upper_multipliers = nullptr);

}  // namespace pyregions
