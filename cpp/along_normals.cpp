// Layer 3. Slacks along normals; the bounds are those of along_normals.h, name for name.
#include "along_normals.h"

#include <algorithm>
#include <cmath>

#include "network_kernels.h"

namespace pyregions {

namespace {
constexpr double kLongest = 1.001;  // of a row divided by its computed length
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

std::optional<AlongNormals> AlongNormals::of(const RowSystem& rows, const Frame& frame, const Matrix& products,
                                             RowSystem::Slacks center_slack) {
  const auto is_bound = [](Index row) { return row >= 0; };
  if (frame.kind != Frame::Kind::ambient || products.rows() != frame.rows() ||
      std::any_of(frame.lower_row.begin(), frame.lower_row.end(), is_bound) ||
      std::any_of(frame.upper_row.begin(), frame.upper_row.end(), is_bound))
    return std::nullopt;
  const bool unit = std::all_of(frame.scale.begin(), frame.scale.end(), [](double v) { return v < (1 + kLongest) / 2; });
  if (!unit) return std::nullopt;
  return AlongNormals(rows, frame, products, std::move(center_slack));
}

AlongNormals::AlongNormals(const RowSystem& rows, const Frame& frame, const Matrix& products, RowSystem::Slacks center_slack)
    : rows_(rows), frame_(frame), products_(products), center_slack_(std::move(center_slack)), entry_(at(rows.size()), -1),
      slope_error_(at(rows.size()), 0.0) {
  const Index K = frame.dim;
  const double root = std::sqrt(static_cast<double>(K)) * (1 + 4 * kUnit);
  for (Index e = 0; e < frame.rows(); ++e) {
    const Index j = frame.row[at(e)];
    const double length = frame.length[at(e)];
    const double product = length * (gamma(K + 4) * kLongest * kLongest + underflow(3 * K));
    const double row = (root * rows.halfspaces().A_err[at(j)] + 2 * kUnit * rows.norm_upper()[at(j)]) * kLongest;
    entry_[at(j)] = e;
    slope_error_[at(j)] = (product + row) * inflate(16) + underflow(4);
  }
}

RowSystem::Slacks AlongNormals::slacks(const std::vector<Step>& steps, const Matrix& points) const {
  const Index n = rows_.size(), K = frame_.dim;
  RowSystem::Slacks out{Matrix(points.rows(), n), Matrix(points.rows(), n)};
  const double *start = center_slack_.value.row(0), *start_error = center_slack_.error.row(0);
  for (Index i = 0; i < points.rows(); ++i) {
    const double t = steps[at(i)].t, length = std::fabs(t);
    const double* product = products_.row(steps[at(i)].entry);
    const double moved = 2 * kUnit * (norm_up(points.row(i), K) + length) * inflate(16) + underflow(2 * K);
    for (Index j = 0; j < n; ++j) {
      const Index e = entry_[at(j)];
      double value = start[j], error = start_error[j];
      if (e >= 0) {
        const double way = t * (frame_.length[at(e)] * product[e]);
        const double rounded = gamma(4) * (std::fabs(value) + std::fabs(way));
        error = (error + length * slope_error_[at(j)] + moved * rows_.norm_upper()[at(j)] + rounded) * inflate(16) + underflow(8);
        value -= way;
      }
      out.value(i, j) = value;
      out.error(i, j) = error;
    }
  }
  return out;
}

}  // namespace pyregions
