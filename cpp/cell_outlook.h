// Layer 4, private to cells*.cpp. How many regions a run will find, by random descents.
//
// A descent follows one part of every division at random and doubles its weight each time; the weight with which it ends has
// the number of leaves as its expected value (D. E. Knuth, Estimating the efficiency of backtrack programs, 1975). It is
// taken for every job by itself, and replaced by the true number as soon as that job is done.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <random>
#include <vector>

#include "cell_splitter.h"

namespace pyregions {

class Outlook {
 public:
  // Descents through every job, round by round for a short while and at least once.
  template <int D, int W>
  Outlook(CellSplitter<D, W>& splitter, const std::vector<Subtree<D, W>>& jobs) : expected_(jobs.size(), 0) {
    constexpr int kRounds = 16;
    constexpr std::chrono::milliseconds kPatience{200};
    std::mt19937_64 random(1);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    int rounds = 0;
    for (; rounds == 0 || (rounds < kRounds && std::chrono::steady_clock::now() < until); ++rounds)
      for (std::size_t k = 0; k < jobs.size(); ++k) expected_[k] += splitter.descend(jobs[k], random);
    for (double& weight : expected_) total_ += weight /= rounds;
  }

  void finish(std::size_t job, Index regions) {
    const std::lock_guard<std::mutex> lock(mutex_);
    total_ += static_cast<double>(regions) - expected_[job];
  }

  // The part of all regions that is found, by what is known now.
  double share(Index found) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::min(static_cast<double>(found) / std::max(total_, 1.0), 1.0);
  }

 private:
  std::vector<double> expected_;
  double total_ = 0;
  std::mutex mutex_;
};

}  // namespace pyregions
