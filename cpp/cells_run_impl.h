// Layer 4, private to cells*.cpp. Subtrees cut to jobs, shared by threads, their regions put together in order; in sets of
// one word of facets, and of sixteen where a cell has more than 64.
//
// A worker without work is given a chunk of children by one that runs (within the last stage there are none: a network of one
// stage is shared by the jobs alone). The chunk was to be composed in products of its own anyway, so that no digit depends on
// who does what and when; the order is that of the segments, a list to which every task adds only behind its own. What is only
// counted has no order, and its segments are used again.
#pragma once

#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <tuple>

#include "cell_last_cuts.h"
#include "cell_outlook.h"
#include "cells_run.h"
#include "pool.h"

namespace pyregions {

template <int D>
class TreeRun {
 public:
  explicit TreeRun(const EnumerationRun& run) : run_(run) {}

  // Throws TooManyFacets where the domain has more than W words hold.
  template <int W>
  Enumeration enumerate();

  bool hungry() const { return pool_.hungry(); }
  void breathe() { pool_.breathe(); }  // to be called now and then by every task
  // The subtree becomes a task; the outlet then leads to what comes after it.
  template <int W>
  void give_away(Subtree<D, W> tree, Outlet<D>& outlet);
  template <int W>
  void run_here(Subtree<D, W> tree, Outlet<D>& outlet);

 private:
  struct Job {
    Segment* first;                 // its segments end where the next job's begin
    std::atomic<int> tasks{0};      // not yet done
    std::atomic<Index> counted{0};  // by tasks that are done, where regions are only counted
    std::atomic<bool> left_open{false};
    explicit Job(Segment* segment) : first(segment) {}
  };

  template <int W>
  std::unique_ptr<CellSplitter<D, W>> take_splitter();
  template <int W>
  void put_back(std::unique_ptr<CellSplitter<D, W>> splitter);
  template <int W>
  void cut();
  template <int W>
  void add_task(Subtree<D, W> tree, Segment* segment, std::size_t job);
  Segment* new_segment();
  void report(Outlet<D>& outlet);
  void finish_task(const Outlet<D>& outlet);
  void finish_job(std::size_t job);
  bool counting() const { return run_.options.detail == Detail::count; }
  void watch();
  Enumeration collect();

  const EnumerationRun& run_;
  TaskPool pool_;
  std::deque<Job> jobs_;
  std::optional<Outlook> outlook_;
  std::atomic<Outlook*> looking_{nullptr};  // the same once it is there, for the thread that watches
  std::mutex mutex_;
  std::deque<Segment> segments_;  // from here on under mutex_
  std::vector<Segment*> spare_;   // to be used again
  std::tuple<std::vector<std::unique_ptr<CellSplitter<D, 1>>>, std::vector<std::unique_ptr<CellSplitter<D, kWide>>>> idle_;
  EnumerationTally tally_;
};

template <int D>
template <int W>
std::unique_ptr<CellSplitter<D, W>> TreeRun<D>::take_splitter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto& idle = std::get<std::vector<std::unique_ptr<CellSplitter<D, W>>>>(idle_);
    if (!idle.empty()) {
      auto splitter = std::move(idle.back());
      idle.pop_back();
      return splitter;
    }
  }
  return std::make_unique<CellSplitter<D, W>>(run_.network, run_.subspace, run_.frame, run_.composer, run_.options.detail, run_.control);
}

template <int D>
template <int W>
void TreeRun<D>::put_back(std::unique_ptr<CellSplitter<D, W>> splitter) {
  const std::lock_guard<std::mutex> lock(mutex_);
  tally_.add(splitter->take_tally());
  std::get<std::vector<std::unique_ptr<CellSplitter<D, W>>>>(idle_).push_back(std::move(splitter));
}

template <int D>
Segment* TreeRun<D>::new_segment() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!spare_.empty()) {
    Segment* segment = spare_.back();
    spare_.pop_back();
    return segment;
  }
  segments_.emplace_back();
  return &segments_.back();
}

template <int D>
void TreeRun<D>::report(Outlet<D>& outlet) {
  const Index count = outlet.segment->regions.count;
  run_.control.found->fetch_add(count - outlet.reported, std::memory_order_relaxed);
  outlet.reported = count;
}

template <int D>
template <int W>
void TreeRun<D>::run_here(Subtree<D, W> tree, Outlet<D>& outlet) {
  std::unique_ptr<CellSplitter<D, W>> splitter = take_splitter<W>();
  splitter->run(std::move(tree), outlet);
  put_back<W>(std::move(splitter));
}

template <int D>
template <int W>
void TreeRun<D>::add_task(Subtree<D, W> tree, Segment* segment, std::size_t job) {
  ++jobs_[job].tasks;
  const auto shared = std::make_shared<Subtree<D, W>>(std::move(tree));  // a task can be copied, cells should not be
  pool_.add([this, shared, segment, job] {
    Outlet<D> outlet{this, segment, job};
    try {
      run_here<W>(std::move(*shared), outlet);
    } catch (...) {
      run_.control.stop->store(true);  // for the tasks that run
      throw;
    }
    report(outlet);
    finish_task(outlet);
    if (--jobs_[job].tasks == 0) finish_job(job);
  });
}

template <int D>
void TreeRun<D>::finish_task(const Outlet<D>& outlet) {
  if (!counting()) return;
  Segment& segment = *outlet.segment;
  jobs_[outlet.job].counted += segment.regions.count;
  segment.regions.count = 0;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (segment.open.empty()) spare_.push_back(&segment);
  else jobs_[outlet.job].left_open = true;
}

template <int D>
template <int W>
void TreeRun<D>::give_away(Subtree<D, W> tree, Outlet<D>& outlet) {
  if (counting()) return add_task<W>(std::move(tree), new_segment(), outlet.job);
  report(outlet);
  Segment *part = new_segment(), *rest = new_segment();
  rest->next = outlet.segment->next;
  part->next = rest;
  outlet.segment->next = part;
  outlet.segment = rest;
  outlet.reported = 0;
  add_task<W>(std::move(tree), part, outlet.job);
}

template <int D>
void TreeRun<D>::finish_job(std::size_t job) {
  if (!outlook_) return;
  if (counting()) {
    if (!jobs_[job].left_open) outlook_->finish(job, jobs_[job].counted);
    return;
  }
  const Segment* end = job + 1 < jobs_.size() ? jobs_[job + 1].first : nullptr;
  Index regions = 0;
  for (const Segment* segment = jobs_[job].first; segment != end; segment = segment->next) {
    if (!segment->open.empty()) return;
    regions += segment->regions.count;
  }
  outlook_->finish(job, regions);
}

// The first task: cuts the whole to jobs, which are tasks in order.
template <int D>
template <int W>
void TreeRun<D>::cut() {
  std::unique_ptr<CellSplitter<D, W>> splitter = take_splitter<W>();
  const StageCell<D, W> root = splitter->root();
  std::vector<Subtree<D, W>> jobs;
  for (const PartialPattern& subtree : run_.subtrees) jobs.emplace_back(root, 0, &subtree);
  for (std::size_t before = 0; jobs.size() != before && static_cast<int>(jobs.size()) < run_.options.jobs;) {
    before = jobs.size();
    std::vector<Subtree<D, W>> parts;
    for (Subtree<D, W>& job : jobs) splitter->cut(std::move(job), kDepthStep, parts);
    jobs = std::move(parts);
  }
  if (run_.options.estimate) looking_ = &outlook_.emplace(*splitter, jobs, run_.options.time_limit);
  put_back<W>(std::move(splitter));
  for (std::size_t k = 0; k < jobs.size(); ++k) {
    Segment* segment = new_segment();
    if (k > 0) jobs_.back().first->next = segment;
    jobs_.emplace_back(segment);
  }
  for (std::size_t k = 0; k < jobs.size(); ++k) add_task<W>(std::move(jobs[k]), jobs_[k].first, k);
}

template <int D>
void TreeRun<D>::watch() {
  if (run_.control.deadline && std::chrono::steady_clock::now() > *run_.control.deadline) run_.control.stop->store(true);
  try {
    Outlook* outlook = looking_;
    if (run_.tick && !run_.tick(outlook ? outlook->share(run_.control.found->load()) : 0)) run_.control.stop->store(true);
  } catch (...) {
    run_.control.stop->store(true);
    throw;
  }
}

template <int D>
Enumeration TreeRun<D>::collect() {
  Enumeration result;
  result.tally = tally_;
  if (counting()) {
    for (const Job& job : jobs_) result.regions.count += job.counted;
    for (Segment& segment : segments_) std::move(segment.open.begin(), segment.open.end(), std::back_inserter(result.open));
    return result;
  }
  Index count = 0;
  for (const Segment& segment : segments_) count += segment.regions.count;
  reserve(result.regions, count, words_for(run_.network.units()), D, run_.options.detail);
  for (Segment* segment = jobs_.empty() ? nullptr : jobs_.front().first; segment; segment = segment->next) {
    append(result.regions, segment->regions);
    for (PartialPattern& subtree : segment->open) result.open.push_back(std::move(subtree));
  }
  return result;
}

// After a stop every task is still run, if only to say what it leaves open.
template <int D>
template <int W>
Enumeration TreeRun<D>::enumerate() {
  pool_.add([this] { cut<W>(); });
  pool_.run(run_.options.workers, [this] { watch(); });
  return collect();
}

template <int D>
Enumeration enumerate_in(const EnumerationRun& run) {
  try {
    return TreeRun<D>(run).template enumerate<1>();
  } catch (const TooManyFacets&) {  // of the domain: nothing has been found yet
  }
  try {
    return TreeRun<D>(run).template enumerate<kWide>();
  } catch (const TooManyFacets&) {
    throw std::invalid_argument("the domain has more than 1024 facets: cut it into parts");
  }
}

}  // namespace pyregions
