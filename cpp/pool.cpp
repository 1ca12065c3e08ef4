// Layer 0. The threads behind parallel_for, those of one call, jobs handed out in order by a counter; and TaskPool.
#include "pool.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace pyregions {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTick{50};  // often enough for Ctrl-C and a progress bar, too rare to cost anything

// What the threads of one call share.
struct Run {
  Run(Index n, const std::function<void(Index)>& f, std::atomic<bool>* s) : count(n), job(f), stop(s) {}

  Index count;
  const std::function<void(Index)>& job;
  std::atomic<bool>* stop;
  std::atomic<bool> failed{false};
  std::atomic<Index> next{0}, done{0};
  std::mutex mutex;
  std::condition_variable ended;
  int running = 0;  // under mutex
  Index error_index = -1;
  std::exception_ptr error;

  bool stopped() const { return failed.load() || stop->load(); }

  void fail(Index i, std::exception_ptr e) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (error_index < 0 || i < error_index) {
      error_index = i;
      error = std::move(e);
    }
    failed = true;
  }

  void do_one(Index i) {
    try {
      job(i);
      ++done;
    } catch (...) {
      fail(i, std::current_exception());
    }
  }

  void work() {
    {
      const FloatEnvironment environment;
      while (!stopped()) {
        const Index i = next++;
        if (i >= count) break;
        do_one(i);
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    --running;
    ended.notify_all();
  }
};

void run_here(Run& run, const std::function<bool(Index)>& tick) {
  const FloatEnvironment environment;
  auto last = Clock::now();
  for (Index i = 0; i < run.count && !run.stopped(); ++i) {
    run.do_one(i);
    if (tick && Clock::now() - last >= kTick) {
      if (!tick(run.done)) *run.stop = true;
      last = Clock::now();
    }
  }
}

// Threads beside the calling one, which works, too, unless it has to tick.
void run_threads(Run& run, int workers, const std::function<bool(Index)>& tick) {
  std::vector<std::thread> threads;
  run.running = workers;
  const int others = tick ? workers : workers - 1;
  try {
    for (int w = 0; w < others; ++w) threads.emplace_back([&run] { run.work(); });
  } catch (...) {  // the system refuses more threads: go on with those we have, or fail if there is none
    const std::lock_guard<std::mutex> lock(run.mutex);
    run.running -= others - static_cast<int>(threads.size());
    if (run.running == 0) throw;
  }
  std::exception_ptr tick_error;
  if (!tick) run.work();
  while (tick) {
    std::unique_lock<std::mutex> lock(run.mutex);
    if (run.ended.wait_for(lock, kTick, [&run] { return run.running == 0; })) break;
    lock.unlock();
    try {
      if (!tick_error && !tick(run.done)) *run.stop = true;
    } catch (...) {
      tick_error = std::current_exception();
      run.failed = true;
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (tick_error && !run.error) std::rethrow_exception(tick_error);
}

}  // namespace

void parallel_for(Index count, int workers, const std::function<void(Index)>& job, std::atomic<bool>* stop,
                  const std::function<bool(Index)>& tick, bool apart) {
  std::atomic<bool> own_stop{false};
  Run run(count, job, stop ? stop : &own_stop);
  const int useful = static_cast<int>(std::min<Index>(std::max(workers, 1), count));
  // A single job still goes to a thread when the caller wants ticks and asked for several workers.
  if (useful <= 1 && !(tick && (apart || workers > 1))) {
    run_here(run, tick);
  } else if (count > 0) {
    run_threads(run, useful, tick);
  }
  if (run.error) std::rethrow_exception(run.error);
}

namespace {
// Of waiting awake: longer than a domain takes to be cut to jobs (0.2 ms in three dimensions), too short to be missed by others.
constexpr std::chrono::milliseconds kAwake{1};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

void TaskPool::add(Task task) {
  const std::lock_guard<std::mutex> lock(mutex_);
  queue_.push_back(std::move(task));
  ++unfinished_;
  hungry_ = waiting_ > queue_.size();
  ++changes_;
  changed_.notify_one();
}

void TaskPool::breathe() {
  if (!tick_ || std::this_thread::get_id() != caller_ || Clock::now() - last_tick_ < kTick) return;
  (*tick_)();
  last_tick_ = Clock::now();
}

// A short wait does not sleep: a thread that does may be woken on the processor of the one that wakes it, and stay there
// behind it for milliseconds while another processor idles.
void TaskPool::wait(std::unique_lock<std::mutex>& lock) {
  const auto over = [&] { return error_ || !queue_.empty() || unfinished_ == 0; };
  for (const auto start = Clock::now(); !over() && Clock::now() - start < kAwake;) {
    const unsigned seen = changes_;
    lock.unlock();
    for (int k = 0; k < 64 && changes_ == seen; ++k) pause();
    if (changes_ == seen) std::this_thread::yield();
    lock.lock();
  }
  while (!changed_.wait_for(lock, kTick, over)) {
    lock.unlock();
    breathe();
    lock.lock();
  }
}

// One worker: until nothing is queued and no other may add anything. Whatever fails ends the others, too.
void TaskPool::work() {
  const FloatEnvironment environment;
  std::unique_lock<std::mutex> lock(mutex_);
  try {
    while (true) {
      ++waiting_;
      hungry_ = waiting_ > queue_.size();
      wait(lock);
      --waiting_;
      if (error_ || queue_.empty()) return;
      Task task = std::move(queue_.front());
      queue_.pop_front();
      hungry_ = waiting_ > queue_.size();
      lock.unlock();
      task();
      task = nullptr;
      breathe();
      lock.lock();
      if (--unfinished_ > 0) continue;
      ++changes_;
      changed_.notify_all();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (!error_) error_ = std::current_exception();
    ++changes_;
    changed_.notify_all();
  }
}

void TaskPool::run(int workers, const std::function<void()>& tick) {
  caller_ = std::this_thread::get_id();
  tick_ = tick ? &tick : nullptr;
  last_tick_ = Clock::now();
  std::vector<std::thread> threads;
  try {
    for (int w = 1; w < workers; ++w) threads.emplace_back([this] { work(); });
  } catch (...) {  // the system refuses more threads: go on with those we have
  }
  work();
  for (std::thread& thread : threads) thread.join();
  queue_.clear();
  waiting_ = unfinished_ = 0;
  tick_ = nullptr;
  hungry_ = false;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

int available_cpus() {
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) return std::max(1, CPU_COUNT(&mask));
#endif
  const unsigned hardware = std::thread::hardware_concurrency();
  return hardware == 0 ? 1 : static_cast<int>(hardware);
}

}  // namespace pyregions
