// Layer 3. Slacks along images of rows; the bounds are those of along_images.h, name for name.
#include "along_images.h"

#include <algorithm>
#include <cmath>

#include "network_kernels.h"

namespace pyregions {

namespace {
constexpr double kLongest = 1.001;  // of a row divided by its computed length
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

std::optional<AlongImages> AlongImages::of(const RowSystem& rows, const Frame& frame, const RowImages& images, const Matrix& products,
                                           RowSystem::Slacks center_slack) {
  const auto is_bound = [](Index row) { return row >= 0; };
  if (frame.kind != Frame::Kind::ambient || products.rows() != frame.rows() || images.rows.rows() != frame.rows() ||
      std::any_of(frame.lower_row.begin(), frame.lower_row.end(), is_bound) ||
      std::any_of(frame.upper_row.begin(), frame.upper_row.end(), is_bound))
    return std::nullopt;
  const bool unit = std::all_of(frame.scale.begin(), frame.scale.end(), [](double v) { return v < (1 + kLongest) / 2; });
  if (!unit) return std::nullopt;
  return AlongImages(rows, frame, images, products, std::move(center_slack));
}

AlongImages::AlongImages(const RowSystem& rows, const Frame& frame, const RowImages& images, const Matrix& products,
                         RowSystem::Slacks center_slack)
    : rows_(rows), frame_(frame), products_(products), center_slack_(std::move(center_slack)), length_(frame.length) {
  const Index K = frame.dim;
  const double root = std::sqrt(static_cast<double>(K)) * (1 + 4 * kUnit);
  const double metric = images.to_y.empty() ? 0.0 : norm_up(images.to_y.data(), K * K);
  underflow_ = underflow(4 * K * K);  // of all entries of r or of q, or of a product, each against a vector of length <= kLongest
  for (Index e = 0; e < frame.rows(); ++e) {
    const Index j = frame.row[at(e)];
    const double own = norm_up(images.rows.row(e), K), length = length_[at(e)], norm = rows.norm_upper()[at(j)];
    start_.push_back(center_slack_.value(0, j));
    start_error_.push_back(center_slack_.error(0, j));
    image_.push_back(own);
    norm_.push_back(norm);
    per_image_.push_back(length * (gamma(K + 4) * (2 * kLongest * metric + own) + underflow_) * inflate(16) + underflow(4));
    per_way_.push_back((root * rows.halfspaces().A_err[at(j)] + 2 * kUnit * norm + length * underflow_) * inflate(16));
  }
}

namespace {
struct Sizes {
  double t, image, way, moved, lost, rounded, inflation, least;
};
// The slopes' part of the slack and its bound for all general rows.
PYREGIONS_CLONES void along_one(const Sizes& s, Index n, const double* product, const double* start, const double* start_error,
                                const double* length, const double* per_image, const double* per_way, const double* norm,
                                double* value, double* error) {
  for (Index e = 0; e < n; ++e) {
    const double step = s.t * (length[e] * product[e]);
    const double sizes = std::fabs(start[e]) + std::fabs(step);
    const double off = (start_error[e] + s.image * per_image[e] + s.way * per_way[e] + s.moved * norm[e] + s.rounded * sizes +
                        s.lost * length[e]) * s.inflation + s.least;
    const double slack = start[e] - step;
    const bool told = std::fabs(slack) < kInfinity && off < kInfinity;  // what overflowed claims nothing
    value[e] = told ? slack : 0.0;
    error[e] = told ? off : kInfinity;
  }
}
}  // namespace

void AlongImages::slacks(const Step& step, const double* way, const double* x, RowSystem::Slacks& out) const {
  const Index n = rows_.size(), R = frame_.rows(), K = frame_.dim;
  if (out.value.cols() != n || out.value.rows() < 1) out = {Matrix(1, n), Matrix(1, n)};
  Sizes sizes;
  sizes.t = step.t;
  sizes.image = (std::fabs(step.t) * image_[at(step.entry)]) * inflate(4) + underflow(4);
  sizes.way = norm_up(way, K) * inflate(4) + underflow(2 * K);  // at least t |y_i|
  sizes.moved = 2 * kUnit * (norm_up(x, K) + sizes.way) * inflate(16) + underflow(2 * K);
  sizes.lost = std::fabs(step.t) * underflow_ * inflate(4) + underflow(4);
  sizes.rounded = gamma(4);
  sizes.inflation = inflate(16);
  sizes.least = (std::fabs(step.t) * underflow(4)) * inflate(4) + underflow(16);  // of t (length p), and of the sums
  thread_local Vector value, error;
  value.resize(at(R));
  error.resize(at(R));
  along_one(sizes, R, products_.row(step.entry), start_.data(), start_error_.data(), length_.data(), per_image_.data(), per_way_.data(),
            norm_.data(), value.data(), error.data());
  std::copy_n(center_slack_.value.row(0), n, out.value.row(0));  // rows whose coefficients are all 0
  std::copy_n(center_slack_.error.row(0), n, out.error.row(0));
  for (Index e = 0; e < R; ++e) {
    const Index j = frame_.row[at(e)];
    out.value(0, j) = value[at(e)];
    out.error(0, j) = error[at(e)];
  }
}

}  // namespace pyregions
