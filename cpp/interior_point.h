// Layer 3. A point strictly inside a cell, or the proof that there is none.
#pragma once

#include "frame.h"
#include "predicates.h"

namespace pyregions {

// A point strictly inside every nonzero row, or multipliers that prove that there is none (or neither: undecided).
struct InteriorPoint {
  bool found = false;
  Vector point;               // rounded where `fine` says more
  Parts fine;                 // the point itself where one double per coordinate is not enough, else empty
  Proof proof = Proof::none;  // of emptiness
  int stage = -1;
  SparseRow multipliers;      // lambda >= 0: sum lambda_j slack_j <= 0 on the whole space or domain
  Combination exact = {};     // Proof::exact
};
// Law: found and proof != none exclude each other. By floats first, then the start itself if it is inside, then exactly.
InteriorPoint interior_point(const RowSystem& rows, const Vector& start, bool start_is_inside = false);

// A point strictly inside, or strictly beyond exactly the rows of `beyond`, as a sum of doubles, for cells too thin for the
// first solver: a program for a step from the best point so far, repeated (after Gleixner, Steffy and Wolter, Iterative
// refinement for linear programming, 2016). Proven; empty when that leads nowhere, which proves nothing. directions: steps go
// along these only (M x d), where nothing bounds x itself.
Parts refined_interior(const RowSystem& rows, const Vector& start, const std::vector<Index>& beyond = {},
                       const Matrix* directions = nullptr);

}  // namespace pyregions
