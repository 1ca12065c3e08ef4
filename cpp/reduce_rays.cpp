// Layer 3. Rays of the reduction: where they leave the cell, and the witnesses on the way out.
#include <algorithm>
#include <cmath>

#include "parallel_dense.h"
#include "reducer.h"

namespace pyregions::detail {

namespace {
constexpr double kTie = 0x1p-40;  // of two ratios: their rounding would ask for exact signs, most often to be refused
constexpr Index kRays = 256;  // shot together
// Rows whose products with each other are kept in any case; else where they are smaller than a few copies of the rows.
constexpr Index kLargestGram = 2048, kCopies = 4, kFewRows = 256;
}  // namespace

bool Reducer::few_enough(const Frame& frame) {
  const Index R = frame.rows();
  return R <= kCopies * frame.dim + kFewRows || R <= kLargestGram;
}

Matrix Reducer::row_products(const Frame& frame) const { return few_enough(frame) ? gram(options_.workers, frame.G) : Matrix(); }

const Matrix& Reducer::products() {
  if (!products_) products_ = row_products(frame_);
  return *products_;
}

Reducer::Hit Reducer::first_hit(const double* y, const double* ratios) const {
  Hit hit;
  for (Index e = 0; e < frame_.rows(); ++e) hit.offer(e, ratios[e]);
  offer_bounds(y, hit);
  return hit;
}

void Reducer::offer_bounds(const double* y, Hit& hit) const {
  const Index R = frame_.rows(), K = frame_.dim;
  for (Index k = 0; k < K; ++k) {
    if (y[k] < 0)
      hit.offer(R + k, -y[k] * polar_lower_[s(k)]);
    else
      hit.offer(R + K + k, y[k] * polar_upper_[s(k)]);
  }
}

std::vector<Reducer::Hit> Reducer::first_hits(const Matrix& y, const Matrix& ratios) const {
  std::vector<Hit> hits;
  for (Index m = 0; m < y.rows(); ++m) hits.push_back(first_hit(y.row(m), ratios.row(m)));
  return hits;
}

// along: with it ray m goes along the image of row entry[m].
void Reducer::harvest(const Matrix& y, const std::vector<Hit>& hits, const AlongImages* along, const Index* entry) {
  std::vector<Candidate> candidates;
  std::vector<AlongImages::Step> steps;
  std::vector<std::uint8_t> taken(groups_.size(), 0);
  for (Index m = 0; m < y.rows(); ++m) {
    const Hit& hit = hits[s(m)];
    if (hit.entry < 0 || !is_open(hit.entry) || !(hit.best - hit.second > kTie * hit.best)) continue;
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
  harvest(y, first_hits(y, ratios));
}

// The images of rows (see whiten()) are the directions of the rays that most often leave through their own row, and their products
// say where each leaves, and what the slacks are at the witness on the way out (along_images.h): no forward pass is needed. Where
// there are other coordinates or bounds, or few open rows, the search shoots the same rays in single precision.
void Reducer::shoot_images() {
  const Index R = frame_.rows();
  const std::vector<Index> open = open_entries();
  if (fine_ || frame_.kind != Frame::Kind::ambient || rows_.domain().is_box() || open.empty() || open.back() >= R ||
      2 * static_cast<Index>(open.size()) < R || !few_enough(frame_))
    return;
  const RowImages& images = white().images;
  if (images.rows.rows() != R) return;
  const Matrix products = gram(options_.workers, images.rows);
  const auto along = options_.certify ? AlongImages::of(rows_, frame_, images, products, rows_.slacks(center_, held_.get())) : std::nullopt;
  if (options_.certify && !along) return;
  foot_points_shot_ = true;
  std::vector<Hit> hits(open.size());
  for_rows(options_.workers, static_cast<Index>(open.size()), R, [&](Index i) {
    const double* product = products.row(open[s(i)]);
    for (Index e = 0; e < R; ++e) hits[s(i)].offer(e, product[e] * inverse_[s(e)]);
  });
  std::vector<Index> rays;  // one for each facet that is hit
  std::vector<std::uint8_t> taken(s(R), 0);
  for (std::size_t i = 0; i < open.size(); ++i)
    if (hits[i].entry >= 0 && !taken[s(hits[i].entry)]) taken[s(hits[i].entry)] = 1, rays.push_back(static_cast<Index>(i));
  for (std::size_t first = 0; first < rays.size(); first += static_cast<std::size_t>(kRays)) {
    const std::size_t last = std::min(rays.size(), first + static_cast<std::size_t>(kRays));
    std::vector<Index> entry;
    std::vector<Hit> own;
    for (std::size_t i = first; i < last; ++i) {
      entry.push_back(open[s(rays[i])]);
      own.push_back(hits[s(rays[i])]);
    }
    Matrix y = gather_rows(images.rows, entry);
    if (!images.to_y.empty()) multiply_right(options_.workers, false, images.to_y, y);
    harvest(y, own, along ? &*along : nullptr, entry.data());
  }
}

}  // namespace pyregions::detail
