// Layer 0. A parallel loop over independent jobs, and tasks that give parts of themselves away; the only place that starts
// threads.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "dense.h"

namespace pyregions {

// Runs job(i) for i in [0, count) on `workers` threads, the calling one among them unless it has to tick. Law: job i never depends on the
// number of workers or on the order of execution. An exception of a job stops the loop and is rethrown (the one with
// the lowest i that was raised). When `stop` becomes true no new job starts. `tick` (optional) is called on the calling
// thread every 50 ms or so with the number of finished jobs; returning false sets the stop flag. apart: a single worker gets
// a thread of its own, too, so that ticks come in time however long a job takes.
void parallel_for(Index count, int workers, const std::function<void(Index)>& job, std::atomic<bool>* stop = nullptr,
                  const std::function<bool(Index)>& tick = nullptr, bool apart = false);

// Tasks of unknown size, for trees: a task that sees the pool hungry gives away a part of itself. Law: run() returns when all
// tasks are done, those added by others too, or rethrows the first exception of one; the pool is then empty.
class TaskPool {
 public:
  using Task = std::function<void()>;
  void add(Task task);
  // A worker waits for work, and none is queued for it.
  bool hungry() const { return hungry_.load(std::memory_order_relaxed); }
  // On `workers` threads, one of them the calling one. tick (optional) is called there every 50 ms or so, between tasks and
  // where a long one breathes.
  void run(int workers, const std::function<void()>& tick = nullptr);
  void breathe();

 private:
  void work();
  void wait(std::unique_lock<std::mutex>& lock);

  std::thread::id caller_;
  const std::function<void()>* tick_ = nullptr;
  std::chrono::steady_clock::time_point last_tick_;
  std::atomic<bool> hungry_{false};
  std::atomic<unsigned> changes_{0};  // of what a worker waits for
  std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::deque<Task> queue_;
  std::size_t waiting_ = 0, unfinished_ = 0;
  std::exception_ptr error_;
};

// CPUs in the affinity mask of this process.
int available_cpus();

}  // namespace pyregions
