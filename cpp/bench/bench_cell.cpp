// Facets and the Chebyshev ball of one region, certificates included: in all of R^d and in a box around the point.
#include <benchmark/benchmark.h>

#include <memory>

#include "bench_nets.h"
#include "cell.h"

namespace pyregions::bench {
namespace {

constexpr double kSide = 0.05;  // the box [x - 0.05, x + 0.05] of bench/compare.py

Vector point_of(const Problem& p) { return Vector(p.point.row(0), p.point.row(0) + p.point.cols()); }

std::shared_ptr<const Domain> domain_of(const Problem& p, bool box) {
  if (!box) return std::make_shared<Domain>(Domain::all(p.point.cols()));
  Vector lower = point_of(p), upper = lower;
  for (double& v : lower) v -= kSide;
  for (double& v : upper) v += kSide;
  return std::make_shared<Domain>(Domain::box(lower, upper));
}

void region(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const auto domain = domain_of(p, state.range(1) != 0);
  const Vector x = point_of(p);
  for (auto _ : state) benchmark::DoNotOptimize(cell_at(p.network, x, domain, false).get());
  if (!cell_at(p.network, x, domain, false)->contains(x.data(), true)) state.SkipWithError("the region lost its point");
  state.SetLabel(p.name + (state.range(1) ? " box" : ""));
}
BENCHMARK(region)->ArgsProduct({{0, 1, 2}, {0, 1}})->Unit(benchmark::kMillisecond);

void facets(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const auto domain = domain_of(p, state.range(1) != 0);
  const int workers = static_cast<int>(state.range(2));
  Index count = 0, open = 0;
  for (auto _ : state) {
    const auto cell = cell_at(p.network, point_of(p), domain, false);
    const Facets& found = cell->facets(workers);
    count = static_cast<Index>(found.groups.size());
    open = static_cast<Index>(found.undecided.size());
  }
  if (count == 0) state.SkipWithError("no facets");
  state.counters["facets"] = static_cast<double>(count);
  state.counters["undecided"] = static_cast<double>(open);
  state.SetLabel(p.name + (state.range(1) ? " box" : ""));
}
BENCHMARK(facets)->ArgsProduct({{0, 1, 2}, {0, 1}, {1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();

void chebyshev(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const auto domain = domain_of(p, state.range(1) != 0);
  bool ordered = false;
  for (auto _ : state) {
    const auto cell = cell_at(p.network, point_of(p), domain, false);
    const Ball& ball = cell->ball();
    ordered = 0 < ball.lower && ball.lower <= ball.radius && ball.radius <= ball.upper;
  }
  if (!ordered) state.SkipWithError("the radius is outside its bounds");
  state.SetLabel(p.name + (state.range(1) ? " box" : ""));
}
BENCHMARK(chebyshev)->ArgsProduct({{0, 1, 2}, {0, 1}})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace pyregions::bench

BENCHMARK_MAIN();
