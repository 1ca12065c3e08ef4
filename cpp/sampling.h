// Layer 4. Points spread uniformly over a bounded cell, by a random walk.
#pragma once

#include <cstdint>

#include "cell.h"

namespace pyregions {

// `count` points strictly inside, proven, each the end of a walk of its own of `steps` steps: coordinate hit-and-run from
// the analytic centre, in coordinates where the Hessian of the logarithmic barrier there is the identity (Haraldsdottir,
// Cousins, Thiele, Fleming and Vempala, CHRR, 2017). Uniform in the limit of many steps. Point i depends on the seed and on i,
// not on workers. Requires: the cell is bounded. Throws UndecidedError where no double is inside or floats cannot walk.
Matrix sample(Cell& cell, Index count, Index steps, std::uint64_t seed, int workers);

}  // namespace pyregions
