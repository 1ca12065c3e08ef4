// Layer 3. The batched witness search of the reduction: gradients on violated rows, all open rows at once.
#include <algorithm>
#include <cmath>

#include "reducer.h"

namespace pyregions::detail {

namespace {
constexpr Index kBatch = 512;      // open rows searched together: ratio and gradient matrices of a few megabytes
constexpr int kRounds = 48;        // measured: later rounds find less than the least-distance solves cost
constexpr int kCheck = 6;          // every so many rounds ask whether it pays to go on ...
constexpr double kYield = 0.06;    // ... which it does while this share of the open rows falls
constexpr double kMargin = 0.01;   // aim this far inside the other rows; thinner facets fall on the way or later
constexpr int kWhiteningRounds = 3;
}  // namespace

// Facets are invariant under linear maps. Rows of trained networks share a mean direction, along which gradients crawl;
// a few rounds of "divide by the square root of the rows' second moment, renormalise" spread them. Where bounds close
// every coordinate (a box) the coordinates are good already, and bounds stay cheap.
Reducer::Whitened Reducer::whiten() const {
  const Index R = frame_.rows(), K = frame_.dim;
  Whitened out;
  out.with_bounds = !rows_.domain().is_box();
  for (Index e = 0; e < (out.with_bounds ? entries() : R); ++e)
    if (group_of_[s(e)] >= 0) out.entry.push_back(e);
  const Index n = static_cast<Index>(out.entry.size());
  Matrix polar(n, K);
  for (Index i = 0; i < n; ++i) {
    const Vector row = polar_row(out.entry[s(i)]);
    std::copy(row.begin(), row.end(), polar.row(i));
  }
  const auto normalise = [](Matrix& m) {
    for (Index i = 0; i < m.rows(); ++i) {
      const double norm = norm2(m.row(i), m.cols());
      for (Index k = 0; k < m.cols(); ++k) m(i, k) /= norm;
    }
  };
  if (out.with_bounds && n >= K) {
    Matrix unit = polar, transform;
    normalise(unit);
    for (int round = 0; round < kWhiteningRounds; ++round) {
      Matrix moment(K, K);
      gemm(true, false, 1.0, unit, unit, 0.0, moment);
      if (!cholesky(moment)) break;
      for (Index i = 0; i < K; ++i)
        for (Index j = i + 1; j < K; ++j) moment(i, j) = 0;
      if (!invert(moment)) break;
      // moment = L^-1; rows a become a L^-T, points y = L^-T w, as rows y = w L^-1.
      Matrix next(n, K);
      gemm(false, true, 1.0, unit, moment, 0.0, next);
      unit = std::move(next);
      normalise(unit);
      if (transform.empty()) {
        transform = moment;
      } else {
        Matrix product(K, K);
        gemm(false, false, 1.0, moment, transform, 0.0, product);
        transform = std::move(product);
      }
    }
    if (!transform.empty()) {
      Matrix rows(n, K);
      gemm(false, true, 1.0, polar, transform, 0.0, rows);
      polar = std::move(rows);
      out.to_y = std::move(transform);
    }
  }
  for (Index i = 0; i < n; ++i) out.reach.push_back(1 / norm2(polar.row(i), K));
  normalise(polar);
  out.rows = std::move(polar);
  return out;
}

// For each open row i minimise 1/2 sum_{j != i} (a_j.w - (1 - margin) reach_j)_+^2 on its own hyperplane a_i.w = reach_i:
// at zero the ray w leaves the cell through i first. Polyak's step length, whose target value 0 is known. Every iterate
// is harvested, so rows found by chance on another row's way count too.
void Reducer::search() {
  const Index R = frame_.rows(), K = frame_.dim;
  const std::vector<Index> open = open_entries();
  if (open.empty() || K < 2) return;
  const Whitened white = whiten();
  const Index n = white.rows.rows();
  std::vector<Index> slot(s(entries()), -1);
  for (Index i = 0; i < n; ++i) slot[s(white.entry[s(i)])] = i;
  for (std::size_t first = 0; first < open.size(); first += static_cast<std::size_t>(kBatch)) {
    std::vector<Index> todo(open.begin() + static_cast<Index>(first),
                            open.begin() + static_cast<Index>(std::min(open.size(), first + static_cast<std::size_t>(kBatch))));
    Matrix own(static_cast<Index>(todo.size()), K), w;
    for (std::size_t i = 0; i < todo.size(); ++i) {  // own rows and foot points on them
      double* a = own.row(static_cast<Index>(i));
      if (slot[s(todo[i])] >= 0) {
        std::copy(white.rows.row(slot[s(todo[i])]), white.rows.row(slot[s(todo[i])]) + K, a);
      } else {
        const Vector p = polar_row(todo[i]);
        const double norm = norm2(p.data(), K);
        for (Index k = 0; k < K; ++k) a[k] = p[s(k)] / norm;
      }
    }
    w = own;
    for (std::size_t i = 0; i < todo.size(); ++i) {
      const Vector p = polar_row(todo[i]);
      const double reach = slot[s(todo[i])] >= 0 ? white.reach[s(slot[s(todo[i])])] : 1 / norm2(p.data(), K);
      for (Index k = 0; k < K; ++k) w(static_cast<Index>(i), k) *= reach;
    }
    std::size_t before = todo.size();
    for (int round = 0; round < kRounds && !todo.empty(); ++round) {
      const Index m = w.rows();
      Matrix excess(m, n), gradient(m, K);
      gemm(false, true, 1.0, w, white.rows, 0.0, excess);
      if (round > 0) {
        Matrix y = w, ratios(m, R);
        if (!white.to_y.empty()) gemm(false, false, 1.0, w, white.to_y, 0.0, y);
        for (Index i = 0; i < m; ++i)
          for (Index j = 0; j < n; ++j)
            if (white.entry[s(j)] < R) ratios(i, white.entry[s(j)]) = excess(i, j) / white.reach[s(j)];
        harvest(y, ratios);
      }
      Vector size(s(m), 0.0);
      for (Index i = 0; i < m; ++i) {
        double* x = excess.row(i);
        if (slot[s(todo[s(i)])] >= 0) x[slot[s(todo[s(i)])]] = 0;
        double sum = 0;
        for (Index j = 0; j < n; ++j) {
          x[j] = std::max(0.0, x[j] - (1 - kMargin) * white.reach[s(j)]);
          sum += x[j] * x[j];
        }
        size[s(i)] = sum;
      }
      gemm(false, false, 1.0, excess, white.rows, 0.0, gradient);
      for (Index i = 0; i < m; ++i) {
        double* g = gradient.row(i);
        double* v = w.row(i);
        for (Index k = 0; k < K && !white.with_bounds; ++k) {
          const double low = todo[s(i)] == R + k ? 0.0 : (1 - kMargin) * frame_.lower[s(k)] - v[k];
          const double high = todo[s(i)] == R + K + k ? 0.0 : v[k] - (1 - kMargin) * frame_.upper[s(k)];
          if (low > 0) g[k] -= low, size[s(i)] += low * low;
          if (high > 0) g[k] += high, size[s(i)] += high * high;
        }
        axpy(-dot(g, own.row(i), K), own.row(i), g, K);
        const double slope = dot(g, g, K);
        if (slope > 0) axpy(-size[s(i)] / slope, g, v, K);
      }
      std::vector<Index> kept, slots;
      for (std::size_t i = 0; i < todo.size(); ++i)
        if (is_open(todo[i])) kept.push_back(todo[i]), slots.push_back(static_cast<Index>(i));
      w = gather_rows(w, slots);
      own = gather_rows(own, slots);
      todo = std::move(kept);
      if (round % kCheck == kCheck - 1) {
        if (static_cast<double>(before - todo.size()) < kYield * static_cast<double>(before)) break;
        before = todo.size();
      }
    }
  }
}

}  // namespace pyregions::detail
