// Layer 3. Rays of the reduction: where they leave the cell, and the witnesses on the way out.
//
// Along the normals of rows the products of rows with rows say both where a ray meets each row, and what the slacks are at the
// witness on the way out, so that no forward pass is needed to prove it (along_normals.h).
#include <algorithm>
#include <cmath>

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

// along: with it ray m goes along the normal of row entry[m].
void Reducer::harvest(const Matrix& y, const std::vector<Hit>& hits, const AlongNormals* along, const Index* entry) {
  std::vector<Candidate> candidates;
  std::vector<AlongNormals::Step> steps;
  std::vector<std::uint8_t> taken(groups_.size(), 0);
  for (Index m = 0; m < y.rows(); ++m) {
    const Hit& hit = hits[s(m)];
    if (hit.entry < 0 || !is_open(hit.entry) || !(hit.best > hit.second)) continue;
    const Index g = group_of_[s(hit.entry)];
    if (taken[s(g)]) continue;
    taken[s(g)] = 1;
    // Between the first and the second wall of the ray, in the middle of the ratios.
    const double t = 2 / (hit.best + hit.second);
    if (along) steps.push_back({entry[m], t});
    Candidate c{g, Vector(y.row(m), y.row(m) + y.cols())};
    for (double& v : c.y) v *= t;
    candidates.push_back(std::move(c));
  }
  verify(candidates, along, steps);
}

// The rays through points of the frame.
void Reducer::harvest_points(const std::vector<const Vector*>& points) {
  Matrix y(static_cast<Index>(points.size()), frame_.dim), ratios(static_cast<Index>(points.size()), frame_.rows());
  for (std::size_t i = 0; i < points.size(); ++i) std::copy(points[i]->begin(), points[i]->end(), y.row(static_cast<Index>(i)));
  gemm(false, true, 1.0, y, polar_, 0.0, ratios);
  harvest(y, first_hits(1, y, ratios));
}

// Along bounds a ray meets the rows at their coefficients; along rows, at products of rows where enough are open to want all.
void Reducer::shoot_normals() {
  const Index R = frame_.rows(), K = frame_.dim;
  const std::vector<Index> open = open_entries();
  const Index open_rows = std::lower_bound(open.begin(), open.end(), R) - open.begin();
  const bool all_products = 2 * open_rows >= R && !products().empty();
  const bool prove = all_products && !fine_ && options_.certify;
  const auto along = prove ? AlongNormals::of(rows_, frame_, products(), rows_.slacks(center_, held_.get())) : std::nullopt;
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
    if (all_products && entry[count - 1] < R) {
      for_rows(options_.workers, count, R, [&](Index i) {
        const double* product = products_->row(entry[i]);
        for (Index j = 0; j < R; ++j) ratios(i, j) = product[j] * inverse_[s(j)];
      });
    } else {
      gemm(options_.workers, false, true, 1.0, y, polar_, 0.0, ratios);
    }
    harvest(y, first_hits(options_.workers, y, ratios), along ? &*along : nullptr, entry);
  }
}

}  // namespace pyregions::detail
