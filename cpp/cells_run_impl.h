// Layer 4, private to cells*.cpp. Subtrees cut to jobs, shared by threads, their regions put together in order; in sets of
// one word of facets, and of sixteen where a cell has more than 64.
#pragma once

#include <memory>
#include <mutex>
#include <stdexcept>

#include "cell_emit.h"
#include "cell_outlook.h"
#include "cells_run.h"
#include "pool.h"

namespace pyregions {

constexpr int kWide = 16;
constexpr int kDepthStep = 3;  // divisions per round of cutting: 64 jobs after two

template <int D>
Subtree<D, kWide> widened(Subtree<D, 1> tree) {
  Subtree<D, kWide> wide;
  wide.cell.vertices = std::move(tree.cell.vertices);
  for (const SlotSet<1>& on : tree.cell.on) {
    wide.cell.on.emplace_back();
    wide.cell.on.back().words[0] = on.words[0];
  }
  wide.cell.rows = std::move(tree.cell.rows);
  wide.cell.pattern = std::move(tree.cell.pattern);
  wide.cell.signs = std::move(tree.cell.signs);
  wide.cell.forms = std::move(tree.cell.forms);
  wide.cell.place = tree.cell.place;
  wide.cell.depth = tree.cell.depth;
  wide.cell.own = std::move(tree.cell.own);
  wide.cell.own_place = tree.cell.own_place;
  wide.stage = tree.stage;
  wide.fixed = tree.fixed;
  return wide;
}

template <int D, int W>
std::unique_ptr<CellSplitter<D, W>> make_splitter(const EnumerationRun& run) {
  return std::make_unique<CellSplitter<D, W>>(run.network, run.subspace, run.frame, run.composer, run.options.detail, run.control);
}

// One job on a worker's splitter, which is given up where it breaks off: its cells are of that job.
template <int D, int W>
void run_job(const EnumerationRun& run, std::unique_ptr<CellSplitter<D, W>>& splitter, const Subtree<D, W>& tree,
             RegionList& regions, std::vector<PartialPattern>& open, EnumerationTally& tally) {
  try {
    if (!splitter) splitter = make_splitter<D, W>(run);
    splitter->run(tree, regions, open);
  } catch (const TooManyFacets&) {
    if constexpr (W == 1) {
      run.control.found->fetch_sub(splitter->reported(), std::memory_order_relaxed);
      tally.add(splitter->tally());
      splitter.reset();
      regions = RegionList{};
      open.clear();
      std::unique_ptr<CellSplitter<D, kWide>> wide;
      run_job<D, kWide>(run, wide, widened<D>(tree), regions, open, tally);
      tally.add(wide->tally());
    } else {
      throw std::invalid_argument("a cell has more than 1024 facets: cut the domain into parts");
    }
  }
}

template <int D, int W>
Enumeration enumerate_with(const EnumerationRun& run) {
  using Splitter = CellSplitter<D, W>;
  Enumeration result;
  const std::unique_ptr<Splitter> first = make_splitter<D, W>(run);
  const StageCell<D, W> root = first->root();
  std::vector<Subtree<D, W>> jobs;
  for (const PartialPattern& subtree : run.subtrees) jobs.push_back({root, 0, &subtree});
  for (std::size_t before = 0; jobs.size() != before && static_cast<int>(jobs.size()) < run.options.jobs;) {
    before = jobs.size();
    std::vector<Subtree<D, W>> parts;
    for (Subtree<D, W>& job : jobs) first->cut(std::move(job), kDepthStep, parts);
    jobs = std::move(parts);
  }
  result.tally.add(first->tally());
  std::optional<Outlook> outlook;
  if (run.options.estimate) outlook.emplace(*first, jobs, run.options.time_limit);
  std::vector<RegionList> lists(jobs.size());
  std::vector<std::vector<PartialPattern>> open(jobs.size());
  std::vector<std::unique_ptr<Splitter>> idle;
  std::mutex mutex;
  const auto job = [&](Index i) {
    const auto k = static_cast<std::size_t>(i);
    std::unique_ptr<Splitter> splitter;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        splitter = std::move(idle.back());
        idle.pop_back();
      }
    }
    EnumerationTally given_up;
    run_job<D, W>(run, splitter, jobs[k], lists[k], open[k], given_up);
    jobs[k] = {};
    if (outlook && open[k].empty()) outlook->finish(k, lists[k].count);
    const std::lock_guard<std::mutex> lock(mutex);
    result.tally.add(given_up);
    if (splitter) idle.push_back(std::move(splitter));
  };
  // After a stop every job is still run, if only to say what it leaves open.
  const auto tick = [&](Index) {
    if (run.control.deadline && std::chrono::steady_clock::now() > *run.control.deadline) run.control.stop->store(true);
    try {
      if (run.tick && !run.tick(outlook ? outlook->share(run.control.found->load()) : 0)) run.control.stop->store(true);
    } catch (...) {
      run.control.stop->store(true);
      throw;
    }
    return true;
  };
  const bool apart = run.tick || run.control.deadline;
  parallel_for(static_cast<Index>(jobs.size()), run.options.workers, job, nullptr, tick, apart);
  for (const auto& splitter : idle) result.tally.add(splitter->tally());
  for (std::size_t k = 0; k < jobs.size(); ++k) {
    append(result.regions, lists[k]);
    for (PartialPattern& subtree : open[k]) result.open.push_back(std::move(subtree));
  }
  return result;
}

template <int D>
Enumeration enumerate_in(const EnumerationRun& run) {
  try {
    return enumerate_with<D, 1>(run);
  } catch (const TooManyFacets&) {  // before there were jobs
  }
  try {
    return enumerate_with<D, kWide>(run);
  } catch (const TooManyFacets&) {
    throw std::invalid_argument("a cell has more than 1024 facets: cut the domain into parts");
  }
}

}  // namespace pyregions
