// Layer 3. The batched witness search of the reduction: gradients on violated rows, all open rows at once.
#include <algorithm>
#include <cmath>

#include "parallel_dense.h"
#include "pool.h"
#include "reducer.h"

namespace pyregions::detail {

namespace {
constexpr Index kBatch = 2048;      // open rows searched together: three matrices of so many points
constexpr Index kTile = 128;        // rows of a batch that one thread takes at a time
constexpr int kRounds = 48;        // measured: later rounds find less than the least-distance solves cost
constexpr int kCheck = 6;          // every so many rounds ask whether it pays to go on ...
// ... which it does while a share of kYield over the dimension of the open rows falls, or kMostYield: a round costs as much as
// the rows times the dimension, a least-distance solve the dimension's cube.
constexpr double kYield = 25, kMostYield = 0.2;
constexpr double kMargin = 0.01;   // aim this far inside the other rows; thinner facets fall on the way or later

// Whether a factor is that of a matrix, rather than of its rounding: pivots of the matrix itself are squares, and 2^-52 of the
// largest is its rounding. It chooses coordinates of a search, whose finds are proven elsewhere.
bool well_conditioned(const Matrix& factor) {
  constexpr double kThin = 0x1p-26;
  double least = std::numeric_limits<double>::infinity(), largest = 0;
  for (Index k = 0; k < factor.rows(); ++k) {
    least = std::min(least, factor(k, k));
    largest = std::max(largest, factor(k, k));
  }
  return least > kThin * largest;
}

}  // namespace

// Facets are invariant under linear maps. Rows of trained networks share a mean direction, along which gradients crawl; to
// divide by the square root of their second moment spreads them (once: more often costs more than it gains). Where bounds close
// every coordinate (a box) the coordinates are good already, and bounds stay cheap.
Reducer::Whitened Reducer::whiten() const {
  const Index R = frame_.rows(), K = frame_.dim;
  Whitened out;
  out.with_bounds = !rows_.domain().is_box();
  for (Index e = 0; e < (out.with_bounds ? entries() : R); ++e)
    if (group_of_[s(e)] >= 0) out.entry.push_back(e);
  const Index n = static_cast<Index>(out.entry.size());
  Matrix polar(n, K);
  for_rows(options_.workers, n, K, [&](Index i) {
    const Vector row = polar_row(out.entry[s(i)]);
    std::copy(row.begin(), row.end(), polar.row(i));
  });
  const auto normalise = [K](double* row) {
    const double norm = norm2(row, K);
    for (Index k = 0; k < K; ++k) row[k] /= norm;
    return norm;
  };
  if (out.with_bounds && n >= K) {
    Matrix unit = polar, moment(K, K);
    for_rows(options_.workers, n, K, [&](Index i) { normalise(unit.row(i)); });
    syrk(options_.workers, 1.0, unit, 0.0, moment);
    if (cholesky(moment) && well_conditioned(moment)) {
      // moment = L L^T: rows a become a L^-T, points y = L^-T w, as rows y = w L^-1
      solve_right(options_.workers, true, moment, polar);
      out.to_y = Matrix(K, K);
      for (Index k = 0; k < K; ++k) out.to_y(k, k) = 1;
      solve_right(options_.workers, false, moment, out.to_y);
    }
  }
  out.reach.resize(s(n));
  for_rows(options_.workers, n, K, [&](Index i) { out.reach[s(i)] = 1 / normalise(polar.row(i)); });
  out.rows = std::move(polar);
  Vector reach = out.reach;
  for (double& v : reach) v = std::isfinite(v) ? v : std::numeric_limits<double>::infinity();
  std::nth_element(reach.begin(), reach.begin() + n / 2, reach.end());
  if (n > 0 && reach[s(n / 2)] > 0 && std::isfinite(reach[s(n / 2)])) out.unit = reach[s(n / 2)];
  out.rows32 = Floats(out.rows.data(), out.rows.data() + n * K);
  out.to_y32 = Floats(out.to_y.data(), out.to_y.data() + out.to_y.rows() * K);
  return out;
}

Reducer::Batch Reducer::start_batch(const Whitened& white, std::vector<Index> list) const {
  const Index K = frame_.dim;
  std::vector<Index> slot_of(s(entries()), -1);
  for (std::size_t i = 0; i < white.entry.size(); ++i) slot_of[s(white.entry[i])] = static_cast<Index>(i);
  Batch b;
  b.entry = std::move(list);
  const Index m = static_cast<Index>(b.entry.size());
  b.own = b.w = Matrix(m, K);
  for (Index i = 0; i < m; ++i) {  // own rows, and foot points on them
    const Index slot = slot_of[s(b.entry[s(i)])];
    b.slot.push_back(slot);
    Vector row = slot >= 0 ? Vector(white.rows.row(slot), white.rows.row(slot) + K) : polar_row(b.entry[s(i)]);
    const double norm = norm2(row.data(), K), reach = slot >= 0 ? white.reach[s(slot)] : 1 / norm;
    for (Index k = 0; k < K; ++k) {
      b.own(i, k) = row[s(k)] / norm;
      b.w(i, k) = row[s(k)] / norm * reach;
    }
  }
  return b;
}

// One step of rows [first, last): where their rays leave the cell, then down the gradient. Products in single precision:
// rays need a direction, and what they find is proven elsewhere.
void Reducer::descend(const Whitened& white, Batch& b, Index first, Index last) const {
  const Index R = frame_.rows(), K = frame_.dim, n = white.rows.rows(), m = last - first;
  const double unit = white.unit;
  Floats w(s(m * K)), excess, gradient, turned;
  for (Index i = 0; i < m * K; ++i) w[s(i)] = static_cast<float>(b.w.row(first)[i] / unit);
  gemm(false, true, m, n, K, w, white.rows32, excess);
  Matrix y(m, K), ratios(m, R);
  if (!white.to_y.empty()) gemm(false, false, m, K, K, w, white.to_y32, turned);
  const Floats& along = white.to_y.empty() ? w : turned;
  for (Index i = 0; i < m * K; ++i) y.data()[i] = static_cast<double>(along[s(i)]) * unit;
  Vector part(s(n));  // of the way to each wall, for one unit of a product
  for (Index j = 0; j < n; ++j) part[s(j)] = unit / white.reach[s(j)];
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j)
      if (white.entry[s(j)] < R) ratios(i, white.entry[s(j)]) = static_cast<double>(excess[s(i * n + j)]) * part[s(j)];
  const std::vector<Hit> hits = first_hits(1, y, ratios);
  std::copy(hits.begin(), hits.end(), b.hits.begin() + first);
  std::copy(y.data(), y.data() + m * K, b.y.row(first));
  Floats free(s(n));  // how far a product may go without being in excess
  for (Index j = 0; j < n; ++j) free[s(j)] = static_cast<float>((1 - kMargin) * white.reach[s(j)] / unit);
  Vector size(s(m), 0.0);
  for (Index i = 0; i < m; ++i) {
    float* x = excess.data() + i * n;
    if (b.slot[s(first + i)] >= 0) x[b.slot[s(first + i)]] = 0;
    float sum = 0;
    for (Index j = 0; j < n; ++j) {
      x[j] = std::max(0.0F, x[j] - free[s(j)]);
      sum += x[j] * x[j];
    }
    size[s(i)] = static_cast<double>(sum);
  }
  gemm(false, false, m, K, n, excess, white.rows32, gradient);
  for (Index i = 0; i < m; ++i) {
    Vector g(gradient.begin() + i * K, gradient.begin() + (i + 1) * K);
    double* v = b.w.row(first + i);
    const double* own = b.own.row(first + i);
    const Index e = b.entry[s(first + i)];
    for (Index k = 0; k < K && !white.with_bounds; ++k) {
      const double low = e == R + k ? 0.0 : ((1 - kMargin) * frame_.lower[s(k)] - v[k]) / unit;
      const double high = e == R + K + k ? 0.0 : (v[k] - (1 - kMargin) * frame_.upper[s(k)]) / unit;
      if (low > 0) g[s(k)] -= low, size[s(i)] += low * low;
      if (high > 0) g[s(k)] += high, size[s(i)] += high * high;
    }
    axpy(-dot(g.data(), own, K), own, g.data(), K);
    const double slope = dot(g.data(), g.data(), K);
    if (slope > 0) axpy(-size[s(i)] / slope * unit, g.data(), v, K);
  }
}

// For each open row i minimise 1/2 sum_{j != i} (a_j.w - (1 - margin) reach_j)_+^2 on its own hyperplane a_i.w = reach_i:
// at zero the ray w leaves the cell through i first. Polyak's step length, whose target value 0 is known. Every iterate
// is harvested, so rows found by chance on another row's way count too. Tiles have a fixed size, whoever works on them.
void Reducer::search() {
  const std::vector<Index> open = open_entries();
  if (open.empty() || frame_.dim < 2) return;
  const Whitened white = whiten();
  const double yield = std::min(kMostYield, kYield / static_cast<double>(frame_.dim));
  for (std::size_t first = 0; first < open.size(); first += static_cast<std::size_t>(kBatch)) {
    const std::size_t last = std::min(open.size(), first + static_cast<std::size_t>(kBatch));
    Batch b = start_batch(white, {open.begin() + static_cast<Index>(first), open.begin() + static_cast<Index>(last)});
    std::size_t before = b.entry.size();
    for (int round = 0; round < kRounds && !b.entry.empty(); ++round) {
      const Index m = b.w.rows();
      b.y = Matrix(m, frame_.dim);
      b.hits.assign(s(m), {});
      parallel_for((m + kTile - 1) / kTile, options_.workers,
                   [&](Index t) { descend(white, b, t * kTile, std::min(m, (t + 1) * kTile)); });
      if (round > 0 || !white.to_y.empty()) harvest(b.y, b.hits);  // else the rays that have been shot before
      std::vector<Index> kept;
      for (Index i = 0; i < m; ++i)
        if (is_open(b.entry[s(i)])) kept.push_back(i);
      b.w = gather_rows(b.w, kept);
      b.own = gather_rows(b.own, kept);
      for (std::size_t i = 0; i < kept.size(); ++i) {
        b.entry[i] = b.entry[s(kept[i])];
        b.slot[i] = b.slot[s(kept[i])];
      }
      b.entry.resize(kept.size());
      b.slot.resize(kept.size());
      if (round % kCheck == kCheck - 1) {
        if (static_cast<double>(before - b.entry.size()) < yield * static_cast<double>(before)) break;
        before = b.entry.size();
      }
    }
  }
}

}  // namespace pyregions::detail
