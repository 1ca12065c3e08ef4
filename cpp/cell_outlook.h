// Layer 4, private to cells*.cpp. How many regions a run will find, by random descents.
//
// A descent follows one part of every division at random and doubles its weight each time; the weight with which it ends has
// the number of leaves as its expected value (D. E. Knuth, Estimating the efficiency of backtrack programs, 1975). It is
// taken for every job by itself, and replaced by the true number as soon as that job is done. None of it can change what a
// run finds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "cell_splitter.h"

namespace pyregions {

constexpr int kRounds = 16;                            // descents through a job: more hardly change the estimate
constexpr std::chrono::duration<double> kPatience{0.2};  // for all of them; with a time limit at most kShare of it
constexpr double kShare = 0.1;

class Outlook {
 public:
  // Descents through every job, round by round, for a short while; jobs that were not reached count as much as others.
  template <int D, int W>
  Outlook(CellSplitter<D, W>& splitter, const std::vector<Subtree<D, W>>& jobs, double time_limit)
      : expected_(jobs.size(), 0), done_(jobs.size(), 0) {
    constexpr std::uint64_t kSeed = 1;  // the same estimate every time
    std::mt19937_64 random(kSeed);
    const double patience = time_limit < 0 ? kPatience.count() : std::min(kPatience.count(), kShare * time_limit);
    const auto began = std::chrono::steady_clock::now();
    const auto late = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() > patience; };
    std::vector<int> descents(jobs.size(), 0);
    double sum = 0, visits = 0;
    for (int round = 0; round < kRounds && !late(); ++round)
      for (std::size_t k = 0; k < jobs.size() && !late(); ++k, ++visits) {
        const double weight = splitter.descend(jobs[k], random);
        expected_[k] += weight;
        sum += weight;
        ++descents[k];
      }
    for (std::size_t k = 0; k < jobs.size(); ++k) expected_[k] = descents[k] ? expected_[k] / descents[k] : sum / std::max(visits, 1.0);
  }

  // To be called when all of a job has been explored.
  void finish(std::size_t job, Index regions) {
    const std::lock_guard<std::mutex> lock(mutex_);
    expected_[job] = static_cast<double>(regions);
    done_[job] = 1;
  }

  // The part of all regions that is found, by what is known now; 1 only when nothing is left.
  double share(Index found) {
    const std::lock_guard<std::mutex> lock(mutex_);
    double total = 0;
    bool all = true;
    for (std::size_t k = 0; k < expected_.size(); ++k) {
      total += expected_[k];
      all = all && done_[k];
    }
    if (all) return 1;
    return std::min(static_cast<double>(found) / std::max(total, 1.0), kNearlyAll);
  }

 private:
  static constexpr double kNearlyAll = 0.99;
  std::vector<double> expected_;
  std::vector<std::uint8_t> done_;
  std::mutex mutex_;
};

}  // namespace pyregions
