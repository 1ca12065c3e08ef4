// The passes of a network: forward, forward with held pieces, backward, the rows of a pattern, the refined and the exact
// forward.
// Each asserts an identity between passes before it is timed; a failed check ends the benchmark with an error.
#include <benchmark/benchmark.h>

#include <cmath>

#include "bench_nets.h"

namespace pyregions::bench {
namespace {

constexpr Index kBatch = 64;  // points or multipliers per call of the batched passes

Matrix nearby_points(const Problem& p, Index count) {
  Random random(2);
  Matrix points(count, p.point.cols());
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j < points.cols(); ++j) points(i, j) = p.point(0, j) + 0.1 * random.uniform();
  return points;
}

// The row of every unit, evaluated at the problem's point, must meet the pre-activation within both bounds.
bool rows_agree(const Problem& p, const Network::Affine& rows) {
  const Network::Values values = p.network->forward(p.point);
  for (Index u = 0; u < rows.A.rows(); ++u) {
    const auto k = static_cast<std::size_t>(u);
    double size = 0;
    for (Index j = 0; j < p.point.cols(); ++j) size += std::fabs(p.point(0, j)) * (1 + std::fabs(rows.A(u, j)));
    const double here = dot(rows.A.row(u), p.point.row(0), p.point.cols()) + rows.c[k];
    const double bound = values.pre_err(0, u) + rows.A_err[k] * size + rows.c_err[k] + gamma(p.point.cols() + 2) * size;
    if (!(std::fabs(here - values.pre(0, u)) <= 2 * bound)) return false;
  }
  return true;
}

void forward(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const Matrix points = nearby_points(p, state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(p.network->forward(points).pre.data());
  const Network::Values values = p.network->forward(points);
  for (Index u = 0; u < p.network->units(); ++u)
    if (!(values.pre_err(0, u) >= 0)) state.SkipWithError("an error bound is missing");
  state.SetLabel(p.name);
}
BENCHMARK(forward)->ArgsProduct({{0, 1, 2}, {1, kBatch}});

void forward_masked(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const Matrix points = nearby_points(p, state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(p.network->forward_masked(p.pattern, points).pre.data());
  const Network::Values held = p.network->forward_masked(p.pattern, p.point), free = p.network->forward(p.point);
  for (Index u = 0; u < p.network->units(); ++u)
    if (!(std::fabs(held.pre(0, u) - free.pre(0, u)) <= held.pre_err(0, u) + free.pre_err(0, u)))
      state.SkipWithError("held pieces disagree with the network at the pattern's own point");
  state.SetLabel(p.name);
}
BENCHMARK(forward_masked)->ArgsProduct({{0, 1, 2}, {1, kBatch}});

void backward(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  Random random(3);
  Matrix multipliers(state.range(1), p.network->units());
  for (Index i = 0; i < multipliers.rows(); ++i)
    for (Index u = 0; u < multipliers.cols(); ++u) multipliers(i, u) = 1 + random.uniform();
  for (auto _ : state) benchmark::DoNotOptimize(p.network->backward(p.pattern, multipliers, Matrix()).g.data());
  // sum_u lambda_u z_u(x) = g.x + c at the pattern's own point.
  const Network::Forms forms = p.network->backward(p.pattern, multipliers, Matrix());
  const Network::Values values = p.network->forward(p.point);
  const double left = dot(multipliers.row(0), values.pre.row(0), multipliers.cols());
  const double right = dot(forms.g.row(0), p.point.row(0), p.point.cols()) + forms.c[0];
  // Each term is of size 1 and there are fewer than 2^12 of them: 2^-38 is 2^3 roundings per term.
  if (!(std::fabs(left - right) <= std::ldexp(1.0, -38) * static_cast<double>(multipliers.cols())))
    state.SkipWithError("backward disagrees with forward");
  state.SetLabel(p.name);
}
BENCHMARK(backward)->ArgsProduct({{0, 1, 2}, {1, kBatch}});

void rows(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(p.network->unit_rows(p.pattern).A.data());
  if (!rows_agree(p, p.network->unit_rows(p.pattern))) state.SkipWithError("rows disagree with forward");
  state.SetLabel(p.name);
}
BENCHMARK(rows)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

void forward_refined(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(p.network->forward_refined(&p.pattern, p.point).pre.hi.data());
  const RefinedVector refined = p.network->forward_refined(&p.pattern, p.point).pre;
  for (Index u = 0; u < p.network->units(); ++u)
    if (refined[u].sign() != (p.pattern[static_cast<std::size_t>(u)] ? 1 : -1)) state.SkipWithError("refined signs disagree with the pattern");
  state.SetLabel(p.name);
}
BENCHMARK(forward_refined)->DenseRange(0, 2);

void forward_exact(benchmark::State& state) {
  const Problem& p = problem(state.range(0));
  const DyadicVector x(p.point.row(0), p.point.cols());
  (void)p.network->forward_exact(x);  // the exact weights are built once, on first use
  for (auto _ : state) benchmark::DoNotOptimize(p.network->forward_exact(x).out.mantissa.data());
  const Network::ExactValues exact = p.network->forward_exact(x);
  Index unit = 0;
  for (const DyadicVector& stage : exact.pre)
    for (Index i = 0; i < stage.size(); ++i, ++unit)
      if ((stage[i].sign() > 0) != (p.pattern[static_cast<std::size_t>(unit)] != 0))
        state.SkipWithError("exact signs disagree with the pattern");
  state.SetLabel(p.name);
}
BENCHMARK(forward_exact)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pyregions::bench

BENCHMARK_MAIN();
