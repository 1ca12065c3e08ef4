// Layer 3. The inscribed-ball program in the coordinates of a frame, and its point back in x.
#pragma once

#include "frame.h"
#include "interior.h"

namespace pyregions {

// Without a cap on the radius, from the centre on.
BallProblem ball_problem(const Frame& frame, int workers);
// The largest distance from the centre to a wall, in the frame; 1 where there is none.
double reach(const Frame& frame);
// Back to x, with the free units of a product frame moved to at least `radius` (x-length) behind their walls.
Vector lift_point(const RowSystem& rows, const Frame& frame, const Vector& y, double radius);

}  // namespace pyregions
