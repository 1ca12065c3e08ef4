// Layer 0. A parallel loop over independent jobs with a stop flag; the only place that starts threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "dense.h"

namespace pyregions {

// Runs job(i) for i in [0, count) on `workers` threads (<= 1: on the calling thread). Law: job i never depends on the
// number of workers or on the order of execution. An exception of a job stops the loop and is rethrown (the one with
// the lowest i that was raised). When `stop` becomes true no new job starts. `tick` (optional) is called on the calling
// thread every 50 ms or so with the number of finished jobs; returning false sets the stop flag. apart: a single worker gets
// a thread of its own, too, so that ticks come in time however long a job takes.
void parallel_for(Index count, int workers, const std::function<void(Index)>& job, std::atomic<bool>* stop = nullptr,
                  const std::function<bool(Index)>& tick = nullptr, bool apart = false);

// CPUs in the affinity mask of this process.
int available_cpus();

}  // namespace pyregions
