// Layer 4. The enumeration as a whole: subtrees cut to jobs, shared by threads, their regions put together in order.
#include "cells.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "cells_run.h"
#include "pool.h"

namespace pyregions {

void EnumerationTally::add(const EnumerationTally& o) {
  signs += o.signs;
  exact_signs += o.exact_signs;
  vertices += o.vertices;
  exact_vertices += o.exact_vertices;
  last_cuts += o.last_cuts;
}

namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>& from) {
  if (to.empty() && to.capacity() < from.size()) to.swap(from);
  else to.insert(to.end(), from.begin(), from.end());
  std::vector<T>().swap(from);
}

// Offsets continue where those before ended.
void append_offsets(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
  const std::int64_t last = to.back();
  for (std::size_t k = 1; k < from.size(); ++k) to.push_back(last + from[k]);
}

void check_subtrees(const Network& network, const std::vector<PartialPattern>& subtrees) {
  for (const PartialPattern& subtree : subtrees) {
    if (static_cast<Index>(subtree.size()) != network.units())
      throw std::invalid_argument("a subtree has " + std::to_string(subtree.size()) + " entries, the network " +
                                  std::to_string(network.units()) + " units");
    for (const std::int8_t piece : subtree)
      if (piece < -1 || piece > 1) throw std::invalid_argument("a subtree holds -1, 0 and 1 only");
  }
}

}  // namespace

void reserve(RegionList& list, Index count, Index words, Index d, Detail detail) {
  if (detail == Detail::count) return;
  list.patterns.reserve(static_cast<std::size_t>(count * words));
  list.witnesses.reserve(static_cast<std::size_t>(count * d));
  list.bounded.reserve(static_cast<std::size_t>(count));
}

void append(RegionList& to, RegionList& from) {
  to.count += from.count;
  append(to.patterns, from.patterns);
  append(to.witnesses, from.witnesses);
  append(to.bounded, from.bounded);
  CellStructure &a = to.structure, &b = from.structure;
  append_offsets(a.facet_offsets, b.facet_offsets);
  append_offsets(a.vertex_offsets, b.vertex_offsets);
  append_offsets(a.zero_offsets, b.zero_offsets);
  append_offsets(a.incidence_offsets, b.incidence_offsets);
  append_offsets(a.label_offsets, b.label_offsets);
  append(a.facet_rows, b.facet_rows);
  append(a.labels, b.labels);
  append(a.incidence, b.incidence);
  append(a.zeros, b.zeros);
  append(a.vertices, b.vertices);
  append(a.vertex_errors, b.vertex_errors);
  append(a.far, b.far);
  append(a.walls, b.walls);
  append(a.facet_keys, b.facet_keys);
  append(a.vertex_keys, b.vertex_keys);
  append(a.volumes, b.volumes);
  append(a.volume_errors, b.volume_errors);
  append(a.face_keys, b.face_keys);
  append(a.face_dimensions, b.face_dimensions);
}

namespace {

Enumeration enumerate_one(const Network& network, const std::shared_ptr<const WeightSums>& sums, const Subspace& subspace,
                          const Domain& domain, const std::vector<PartialPattern>& subtrees, const EnumerationOptions& options,
                          std::atomic<bool>& stop, const std::function<bool(Index, double)>& tick) {
  const DomainFrame frame(domain);
  const FormComposer composer(network, sums, subspace);
  std::atomic<Index> found{0};
  EnumerationRun run{network, subspace, frame, composer, subtrees, options, {&stop, &found, options.max_regions}, nullptr};
  if (tick) run.tick = [&](double done) { return tick(found.load(), done); };
  if (options.time_limit >= 0) {
    const std::chrono::duration<double> limit(options.time_limit);
    run.control.deadline = std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit);
  }
  switch (subspace.dim(network)) {
    case 1: return enumerate_in<1>(run);
    case 2: return enumerate_in<2>(run);
    case 3: return enumerate_in<3>(run);
    case 4: return enumerate_in<4>(run);
    case 5: return enumerate_in<5>(run);
    case 6: return enumerate_in<6>(run);
    case 7: return enumerate_in<7>(run);
    case 8: return enumerate_in<8>(run);
    default: throw std::invalid_argument("all regions are enumerated in at most " + std::to_string(kMostInputs) + " dimensions");
  }
}

}  // namespace

Enumeration enumerate_cells(const Network& network, const Subspace& subspace, const Domain& domain,
                            const std::vector<PartialPattern>& subtrees, const EnumerationOptions& options,
                            const std::function<bool(Index, double)>& tick) {
  check_subtrees(network, subtrees);
  std::atomic<bool> stop{false};
  return enumerate_one(network, std::make_shared<const WeightSums>(network), subspace, domain, subtrees, options, stop, tick);
}

std::vector<Enumeration> enumerate_lines(const Network& network, const Matrix& p, const Matrix& q, double low, double high,
                                         const EnumerationOptions& options, const std::function<bool(Index)>& tick) {
  const auto sums = std::make_shared<const WeightSums>(network);
  const Domain domain = std::isinf(low) && std::isinf(high) ? Domain::all(1) : Domain::box({low}, {high});
  const std::vector<PartialPattern> all(1, PartialPattern(static_cast<std::size_t>(network.units()), -1));
  EnumerationOptions alone = options;
  alone.workers = 1;
  alone.jobs = 1;
  std::vector<Enumeration> out(static_cast<std::size_t>(p.rows()));
  std::atomic<bool> stop{false};
  parallel_for(
      p.rows(), options.workers,
      [&](Index i) {
        // q - p is the sum of its nearest doubles and of what they leave out, without error (Knuth's two-sum).
        Subspace line{Vector(p.row(i), p.row(i) + p.cols()), {Matrix(2, p.cols())}};
        for (Index k = 0; k < p.cols(); ++k) {
          const double a = q(i, k), b = -p(i, k), sum = a + b, part = sum - a;
          line.directions[0](0, k) = sum;
          line.directions[0](1, k) = (a - (sum - part)) + (b - part);
        }
        out[static_cast<std::size_t>(i)] = enumerate_one(network, sums, line, domain, all, alone, stop, nullptr);
      },
      &stop, tick, true);
  return out;
}

}  // namespace pyregions
