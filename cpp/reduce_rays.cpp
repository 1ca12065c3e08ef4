// Layer 3. Rays of the reduction: where they leave the cell, and the witnesses on the way out.
//
// Along the normals of all rows the products of rows with rows say both: row i's ray from the centre c meets row j at s_j(c) /
// (a_j.g_i), and the slack of row j at the witness c + t g_i is s_j(c) - t a_j.g_i up to a bound, so that no forward pass is
// needed to prove it.
#include <algorithm>
#include <cmath>

#include "network_kernels.h"
#include "parallel_dense.h"
#include "pool.h"
#include "reducer.h"

namespace pyregions::detail {

namespace {
constexpr Index kRays = 256;  // shot together: candidates for one facet count once among them
// Rows whose products with each other are kept in any case; else where they are smaller than a few copies of the rows.
constexpr Index kLargestGram = 2048, kCopies = 4, kFewRows = 256;
}  // namespace

Matrix Reducer::row_products(const Frame& frame) const {
  const Index R = frame.rows();
  return R <= kCopies * frame.dim + kFewRows || R <= kLargestGram ? gram(options_.workers, frame.G) : Matrix();
}

const Matrix& Reducer::products() {
  if (!products_) products_ = row_products(frame_);
  return *products_;
}

Reducer::Hit Reducer::first_hit(const double* y, const double* ratios) const {
  const Index R = frame_.rows(), K = frame_.dim;
  Hit hit;
  const auto offer = [&hit](Index entry, double ratio) {
    if (ratio > hit.best) {
      hit.second = hit.best;
      hit.best = ratio;
      hit.entry = entry;
    } else if (ratio > hit.second) {
      hit.second = ratio;
    }
  };
  for (Index e = 0; e < R; ++e) offer(e, ratios[e]);
  for (Index k = 0; k < K; ++k) {
    if (y[k] < 0)
      offer(R + k, -y[k] * polar_lower_[s(k)]);
    else
      offer(R + K + k, y[k] * polar_upper_[s(k)]);
  }
  return hit;
}

std::vector<Reducer::Hit> Reducer::first_hits(int workers, const Matrix& y, const Matrix& ratios) const {
  constexpr Index kBlock = 64;
  std::vector<Hit> hits(s(y.rows()));
  parallel_for((y.rows() + kBlock - 1) / kBlock, workers, [&](Index block) {
    for (Index m = block * kBlock; m < std::min(y.rows(), (block + 1) * kBlock); ++m) hits[s(m)] = first_hit(y.row(m), ratios.row(m));
  });
  return hits;
}

// normals: the rows along whose normals the rays go; null where they go elsewhere.
void Reducer::harvest(const Matrix& y, const std::vector<Hit>& hits, const Index* normals) {
  std::vector<Candidate> candidates;
  std::vector<std::uint8_t> taken(groups_.size(), 0);
  for (Index m = 0; m < y.rows(); ++m) {
    const Hit& hit = hits[s(m)];
    if (hit.entry < 0 || !is_open(hit.entry) || !(hit.best > hit.second)) continue;
    const Index g = group_of_[s(hit.entry)];
    if (taken[s(g)]) continue;
    taken[s(g)] = 1;
    // Between the first and the second wall of the ray, in the middle of the ratios.
    const double t = 2 / (hit.best + hit.second);
    Candidate c{g, Vector(y.row(m), y.row(m) + y.cols()), normals ? normals[m] : -1, t};
    for (double& v : c.y) v *= t;
    candidates.push_back(std::move(c));
  }
  verify(candidates);
}

// The rays through points of the frame.
void Reducer::harvest_points(const std::vector<const Vector*>& points) {
  Matrix y(static_cast<Index>(points.size()), frame_.dim), ratios(static_cast<Index>(points.size()), frame_.rows());
  for (std::size_t i = 0; i < points.size(); ++i) std::copy(points[i]->begin(), points[i]->end(), y.row(static_cast<Index>(i)));
  gemm(false, true, 1.0, y, polar_, 0.0, ratios);
  harvest(y, first_hits(1, y, ratios));
}

void Reducer::shoot_normals() {
  const Index R = frame_.rows(), K = frame_.dim;
  const std::vector<Index> open = open_entries();
  const Matrix& with_rows = products();
  if (!with_rows.empty() && frame_.kind == Frame::Kind::ambient && !frame_.has_bounds() && !fine_) along_ = slopes_along();
  for (std::size_t first = 0; first < open.size(); first += static_cast<std::size_t>(kRays)) {
    const Index count = std::min(kRays, static_cast<Index>(open.size() - first));
    const Index* entry = open.data() + first;
    Matrix y(count, K), ratios(count, R);
    for (Index i = 0; i < count; ++i) {
      const Index e = entry[i];
      if (e < R)
        std::copy(frame_.G.row(e), frame_.G.row(e) + K, y.row(i));
      else
        y(i, (e - R) % K) = e < R + K ? -1 : 1;
    }
    if (with_rows.empty()) {
      gemm(options_.workers, false, true, 1.0, y, polar_, 0.0, ratios);
    } else {
      parallel_for(count, options_.workers, [&](Index i) {
        const Index e = entry[i], k = (e - R) % K;
        for (Index j = 0; j < R; ++j) ratios(i, j) = e < R ? with_rows(e, j) * inverse_[s(j)] : y(i, k) * polar_(j, k);
      });
    }
    harvest(y, first_hits(options_.workers, y, ratios), along_ ? entry : nullptr);
  }
}

// With the unit row g_j of the frame, a_j = length_j g_j + e_j and |e_j|_inf <= A_err_j + u |a_j|_inf (2 u: the computed row), and
// with the product p of g_j and g_i as it was computed,
//   |a_j.g_i - length_j p| <= length_j gamma(K) |g_j| |g_i| + (sqrt(K) A_err_j + 2 u |a_j|) |g_i|,
// where |g| <= 1.001, its normalisation being rounded; rows so small that this is not so have no such bounds.
std::optional<Reducer::Along> Reducer::slopes_along() const {
  const Index n = rows_.size(), K = frame_.dim;
  constexpr double kLongest = 1.001;
  Along along{rows_.slacks(center_, held_.get()), std::vector<Index>(s(n), -1), Vector(s(n), 0.0)};
  const double root = std::sqrt(static_cast<double>(K)) * (1 + 4 * kUnit);
  for (Index e = 0; e < frame_.rows(); ++e) {
    if (!(frame_.scale[s(e)] < (1 + kLongest) / 2)) return std::nullopt;
    const Index j = frame_.row[s(e)];
    const double product = frame_.length[s(e)] * (gamma(K + 4) * kLongest * kLongest + underflow(3 * K));
    const double row = (root * rows_.halfspaces().A_err[s(j)] + 2 * kUnit * rows_.norm_upper()[s(j)]) * kLongest;
    along.entry[s(j)] = e;
    along.error[s(j)] = (product + row) * inflate(16) + underflow(4);
  }
  return along;
}

// Slacks of all rows at points x = c + t g_i, each coordinate of which is off by its own rounding and that of t g_i.
RowSystem::Slacks Reducer::slacks_along(const Candidate* candidates, const Matrix& x) const {
  const Index n = rows_.size(), K = frame_.dim;
  RowSystem::Slacks out{Matrix(x.rows(), n), Matrix(x.rows(), n)};
  const double *start = along_->at_center.value.row(0), *start_error = along_->at_center.error.row(0);
  for (Index i = 0; i < x.rows(); ++i) {
    const double t = candidates[i].t;
    const double* with_rows = products_->row(candidates[i].ray);
    const double moved = 2 * kUnit * (norm2(x.row(i), K) + t) * inflate(2 * K + 16) + underflow(2 * K);
    for (Index j = 0; j < n; ++j) {
      const Index e = along_->entry[s(j)];
      double value = start[j], error = start_error[j];
      if (e >= 0) {  // else its coefficients are 0
        const double way = t * (frame_.length[s(e)] * with_rows[e]);
        error = (error + t * along_->error[s(j)] + moved * rows_.norm_upper()[s(j)] + gamma(4) * (std::fabs(value) + std::fabs(way))) *
                    inflate(16) + underflow(8);
        value -= way;
      }
      out.value(i, j) = value;
      out.error(i, j) = error;
    }
  }
  return out;
}

}  // namespace pyregions::detail
