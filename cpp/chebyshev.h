// Layer 3. Interior points, the largest inscribed ball with rigorous bounds, and boundedness.
#pragma once

#include <functional>
#include <string>

#include "frame.h"
#include "predicates.h"

namespace pyregions {

// A point strictly inside every nonzero row, or multipliers that prove that there is none (or neither: undecided).
struct InteriorPoint {
  bool found = false;
  Vector point;
  Proof proof = Proof::none;  // of emptiness
  int stage = -1;
  SparseRow multipliers;      // lambda >= 0: sum lambda_j slack_j <= 0 on the whole space or domain
};
// start need not lie in the cell. Law: found and proof != none exclude each other.
InteriorPoint interior_point(const RowSystem& rows, const Vector& start);

struct Ball {
  Vector center;
  double radius = 0, lower = 0, upper = 0;  // lower <= true supremum <= upper; the ball (center, lower) is inside
  Proof proof = Proof::none;                // how upper is proven
  int stage = -1;
  Vector direction;                         // infinite: A u < 0 for every nonzero row
  SparseRow multipliers;
};
// Requires: interior strictly inside. enclosure as in ReduceOptions.
Ball inscribed_ball(const RowSystem& rows, const Vector& interior, const std::function<const Enclosure&()>& enclosure);

struct Boundedness {
  int bounded = -1, modulo_lineality = -1;  // 1 proven, 0 disproven, -1 undecided
  Index rank_lower = 0, rank_upper = 0;
  std::string proof = "undecided";  // box, combination, direction, dimension, free_unit, undecided
  Vector direction;
  SparseRow multipliers;
  std::vector<Index> basis;
  Matrix inverse;
  Enclosure enclosure;  // when bounded
};
Boundedness boundedness(const RowSystem& rows, const Vector& interior);

// u with a_j.u < 0 for every nonzero row, proven; empty when none was found. multipliers: the proposal's dual.
Vector strict_recession(const RowSystem& rows, const Frame& frame, Vector* row_multipliers = nullptr,
                        Vector* lower_multipliers = nullptr, Vector* upper_multipliers = nullptr);

}  // namespace pyregions
