// Layer 3. The batched witness search of the reduction: gradients on violated rows, all open rows at once.
#include <algorithm>
#include <cmath>

#include "parallel_dense.h"
#include "pool.h"
#include "reducer.h"

namespace pyregions::detail {

namespace {
constexpr Index kBatch = 2048;      // open rows searched together: three matrices of so many points
constexpr Index kTile = 64;         // rows of a batch that one thread takes at a time
constexpr int kRounds = 48;         // measured: later rounds find less than the least-distance solves cost
constexpr int kCheck = 6;           // every so many rounds ask whether it pays to go on ...
// ... which it does while a share of kYield over the dimension of the open rows falls, or kMostYield: a round costs as much as
// the rows times the dimension, a least-distance solve the dimension's cube.
constexpr double kYield = 15, kMostYield = 0.4;
constexpr double kTie = 0x1p-20;    // of two ratios in single precision: more is left to later steps than to ask exact signs
constexpr double kMomentum = 0.5;  // finds as much in 6 rounds as 12 without; restarts are O'Donoghue and Candes' (2015)
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

// The largest product with a part of 0, and the second largest; where the former is, or -1 if neither is positive.
PYREGIONS_CLONES Index two_largest(const float* product, const double* part, Index n, double& best, double& second) {
  constexpr Index kLanes = 8;
  double first[kLanes] = {}, next[kLanes] = {};
  const auto offer = [&](Index j, Index l) {
    const double ratio = static_cast<double>(product[j]) * part[j], lower = ratio > first[l] ? first[l] : ratio;
    next[l] = lower > next[l] ? lower : next[l];
    first[l] = ratio > first[l] ? ratio : first[l];
  };
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes)
    for (Index l = 0; l < kLanes; ++l) offer(j + l, l);
  for (; j < n; ++j) offer(j, 0);
  best = second = 0;
  for (Index l = 0; l < kLanes; ++l) {
    second = std::max({second, next[l], std::min(best, first[l])});
    best = std::max(best, first[l]);
  }
  for (j = 0; j < n && best > 0; ++j)
    if (static_cast<double>(product[j]) * part[j] == best) return j;
  return -1;
}

// x <- what of x is above `free`; the sum of its squares.
PYREGIONS_CLONES float take_excess(const float* free, Index n, float* x) {
  constexpr Index kLanes = 16;
  float sums[kLanes] = {};
  const auto take = [&](Index j, Index l) {
    x[j] = x[j] > free[j] ? x[j] - free[j] : 0.0F;
    sums[l] += x[j] * x[j];
  };
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes)
    for (Index l = 0; l < kLanes; ++l) take(j + l, l);
  for (; j < n; ++j) take(j, 0);
  float sum = 0;
  for (const float part : sums) sum += part;
  return sum;
}

// From v against the gradient to the next foot, and on by kMomentum of the way there from the last foot, unless that goes up.
void advance(double length, const double* gradient, Index n, double* foot, double* v) {
  double up = 0;
  for (Index k = 0; k < n; ++k) {
    const double next = v[k] - length * gradient[k];
    up += gradient[k] * (next - foot[k]);
    v[k] = next + kMomentum * (next - foot[k]);
    foot[k] = next;
  }
  if (up > 0) std::copy(foot, foot + n, v);
}

// The median of those that are finite and positive, or 1.
double typical(Vector values) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return !(v > 0 && std::isfinite(v)); }), values.end());
  if (values.empty()) return 1;
  const auto middle = values.begin() + static_cast<Index>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

const Reducer::Whitened& Reducer::white() {
  if (!white_) white_ = whiten();
  return *white_;
}

// Facets are invariant under linear maps, and directions are best compared where the cell looks alike from its centre on all
// sides: in coordinates in which the Dikin ellipsoid {y: sum (g_j.y / slack_j)^2 <= 1}, which lies within the cell's symmetric part,
// is a ball. They depend little on where in the cell the centre is. Where bounds close every coordinate (a box) the coordinates
// are good already, and bounds stay cheap. (Dikin, Iterative solution of problems of linear and quadratic programming, 1967.)
Reducer::Whitened Reducer::whiten() const {
  const Index R = frame_.rows(), K = frame_.dim;
  Whitened out;
  out.with_bounds = !rows_.domain().is_box();
  for (Index e = 0; e < (out.with_bounds ? entries() : R); ++e)
    if (e < R || group_of_[s(e)] >= 0) out.entry.push_back(e);
  const Index n = static_cast<Index>(out.entry.size());
  out.images.rows = Matrix::unset(n, K);
  for_rows(options_.workers, n, K, [&](Index i) {
    const Vector row = unit_row(out.entry[s(i)]);
    std::copy(row.begin(), row.end(), out.images.rows.row(i));
  });
  if (out.with_bounds && n >= K) find_metric(out);
  out.length.resize(s(n));
  out.reach.resize(s(n));
  out.rows32.resize(s(n * K));
  for_rows(options_.workers, n, K, [&](Index i) {
    const double* row = out.images.rows.row(i);
    const Index e = out.entry[s(i)];
    out.length[s(i)] = norm2(row, K);
    out.reach[s(i)] = group_of_[s(e)] >= 0 ? slack(e) / out.length[s(i)] : std::numeric_limits<double>::infinity();
    for (Index k = 0; k < K; ++k) out.rows32[s(i * K + k)] = static_cast<float>(row[k] / out.length[s(i)]);
  });
  out.unit = typical(out.reach);
  const Matrix& to_y = out.images.to_y;
  out.to_y32 = Floats(to_y.data(), to_y.data() + to_y.rows() * to_y.cols());
  return out;
}

// The ellipsoid's matrix is L L^T: rows a become a L^-T, points y = L^-T w, as rows y = w L^-1. Lengths are measured by a typical
// slack, so that squares stay within the range of doubles.
void Reducer::find_metric(Whitened& white) const {
  const Index K = frame_.dim;
  Vector slacks;
  for (const double inverse : inverse_) slacks.push_back(1 / inverse);
  for (Index k = 0; k < K; ++k) slacks.insert(slacks.end(), {1 / polar_lower_[s(k)], 1 / polar_upper_[s(k)]});
  const double unit = typical(slacks);
  Matrix moment = Matrix::unset(K, K);
  syrk(options_.workers, unit * unit, polar_, 0.0, moment);
  for (Index k = 0; k < K; ++k)
    for (const double inverse : {polar_lower_[s(k)], polar_upper_[s(k)]}) moment(k, k) += (unit * inverse) * (unit * inverse);
  if (!cholesky(moment) || !well_conditioned(moment) || !invert_lower(moment)) return;
  white.images.to_y = std::move(moment);
  multiply_right(options_.workers, true, white.images.to_y, white.images.rows);
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
    const Index e = b.entry[s(i)], slot = slot_of[s(e)];
    b.slot.push_back(slot);
    const Vector row = slot >= 0 ? Vector(white.images.rows.row(slot), white.images.rows.row(slot) + K) : unit_row(e);
    const double length = slot >= 0 ? white.length[s(slot)] : 1.0, reach = slot >= 0 ? white.reach[s(slot)] : slack(e);
    for (Index k = 0; k < K; ++k) {
      b.own(i, k) = row[s(k)] / length;
      b.w(i, k) = b.own(i, k) * reach;
    }
  }
  b.foot = b.w;
  return b;
}

// Rows [first, last): where their rays leave the cell. Products in single precision: rays need a direction, and what they find is
// proven elsewhere.
void Reducer::shoot(const Whitened& white, Batch& b, Index first, Index last) const {
  const Index K = frame_.dim, n = white.images.rows.rows(), m = last - first;
  const double unit = white.unit;
  Floats w(s(m * K)), turned;
  for (Index i = 0; i < m * K; ++i) w[s(i)] = static_cast<float>(b.w.row(first)[i] / unit);
  float* products = b.products.data() + first * n;
  gemm(false, true, m, n, K, w.data(), white.rows32.data(), products);
  if (!white.images.to_y.empty()) {
    turned.resize(s(m * K));
    gemm(false, false, m, K, K, w.data(), white.to_y32.data(), turned.data());
  }
  const Floats& along = turned.empty() ? w : turned;
  Vector part(s(n));  // of the way to each wall, for one unit of a product
  for (Index j = 0; j < n; ++j) part[s(j)] = unit / white.reach[s(j)];
  for (Index i = 0; i < m; ++i) {
    double* y = b.y.row(first + i);
    for (Index k = 0; k < K; ++k) y[k] = static_cast<double>(along[s(i * K + k)]) * unit;
    Hit& hit = b.hits[s(first + i)];
    const Index slot = two_largest(products + i * n, part.data(), n, hit.best, hit.second);
    hit.entry = slot < 0 ? -1 : white.entry[s(slot)];
    if (!white.with_bounds) offer_bounds(y, hit);
    if (hit.best - hit.second < kTie * hit.best) hit.entry = -1;
  }
}

// One step of rows [first, last) down the gradient.
void Reducer::descend(const Whitened& white, Batch& b, Index first, Index last) const {
  const Index R = frame_.rows(), K = frame_.dim, n = white.images.rows.rows(), m = last - first;
  const double unit = white.unit;
  Floats free(s(n)), gradient(s(m * K));  // free: how far a product may go without being in excess
  for (Index j = 0; j < n; ++j) free[s(j)] = static_cast<float>((1 - kMargin) * white.reach[s(j)] / unit);
  Vector size(s(m), 0.0);
  float* excess = b.products.data() + first * n;
  for (Index i = 0; i < m; ++i) {
    float* x = excess + i * n;
    if (b.slot[s(first + i)] >= 0) x[b.slot[s(first + i)]] = 0;
    size[s(i)] = static_cast<double>(take_excess(free.data(), n, x));
  }
  gemm(false, false, m, K, n, excess, white.rows32.data(), gradient.data());
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
    if (slope > 0) advance(size[s(i)] / slope * unit, g.data(), K, b.foot.row(first + i), v);
  }
}

// Leaves the rows that are still open in the batch.
void Reducer::keep_open(Batch& b) const {
  const Index n = static_cast<Index>(b.products.size()) / std::max<Index>(b.w.rows(), 1);
  std::vector<Index> kept;
  for (Index i = 0; i < b.w.rows(); ++i)
    if (is_open(b.entry[s(i)])) kept.push_back(i);
  b.w = gather_rows(b.w, kept);
  b.foot = gather_rows(b.foot, kept);
  b.own = gather_rows(b.own, kept);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    b.entry[i] = b.entry[s(kept[i])];
    b.slot[i] = b.slot[s(kept[i])];
    if (static_cast<Index>(i) != kept[i])
      std::copy_n(b.products.begin() + kept[i] * n, n, b.products.begin() + static_cast<Index>(i) * n);
  }
  b.entry.resize(kept.size());
  b.slot.resize(kept.size());
}

// For each open row i minimise 1/2 sum_{j != i} (a_j.w - (1 - margin) reach_j)_+^2 on its own hyperplane a_i.w = reach_i:
// at zero the ray w leaves the cell through i first. Polyak's step length, whose target value 0 is known, and momentum. Every iterate
// is harvested, so rows found by chance on another row's way count too. Tiles have a fixed size, whoever works on them.
void Reducer::search() {
  const std::vector<Index> open = open_entries();
  if (open.empty() || frame_.dim < 2) return;
  const Whitened& white = this->white();
  const double yield = std::min(kMostYield, kYield / static_cast<double>(frame_.dim));
  const auto in_tiles = [&](Batch& b, void (Reducer::*step)(const Whitened&, Batch&, Index, Index) const) {
    const Index m = b.w.rows();
    parallel_for((m + kTile - 1) / kTile, options_.workers,
                 [&](Index t) { (this->*step)(white, b, t * kTile, std::min(m, (t + 1) * kTile)); });
  };
  for (std::size_t first = 0; first < open.size(); first += static_cast<std::size_t>(kBatch)) {
    const std::size_t last = std::min(open.size(), first + static_cast<std::size_t>(kBatch));
    Batch b = start_batch(white, {open.begin() + static_cast<Index>(first), open.begin() + static_cast<Index>(last)});
    std::size_t before = b.entry.size();
    for (int round = 0; round < kRounds && !b.entry.empty(); ++round) {
      const Index m = b.w.rows();
      b.y = Matrix::unset(m, frame_.dim);
      b.hits.assign(s(m), {});
      b.products.resize(s(m) * white.entry.size());
      in_tiles(b, &Reducer::shoot);
      if (round > 0 || !foot_points_shot_) harvest(b.y, b.hits);
      keep_open(b);
      in_tiles(b, &Reducer::descend);
      if (round % kCheck == kCheck - 1) {
        if (static_cast<double>(before - b.entry.size()) < yield * static_cast<double>(before)) break;
        before = b.entry.size();
      }
    }
  }
}

}  // namespace pyregions::detail
