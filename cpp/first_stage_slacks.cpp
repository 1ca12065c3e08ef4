// Layer 3. Slacks in the first stage's coordinates; the bounds are those of first_stage_slacks.h, name for name.
#include "first_stage_slacks.h"

#include <algorithm>
#include <cmath>

#include "network_kernels.h"

namespace pyregions {

namespace {
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

FirstStageSlacks::FirstStageSlacks(const RowSystem& rows, const Frame& frame, RowSystem::Slacks center_slack)
    : rows_(rows), frame_(frame), center_slack_(std::move(center_slack)) {
  const Index K = frame.dim, d = rows.dim();
  const Network::StageInverse& inverse = *frame.inverse;
  const double root = std::sqrt(static_cast<double>(d)) * (1 + 4 * kUnit);
  center_ = norm_up(frame.center.data(), d);
  columns_ = inverse.size;
  const auto omega = [&](Index unit) {
    const auto found = std::lower_bound(inverse.units.begin(), inverse.units.end(), unit);
    const double off = inverse.off[at(found - inverse.units.begin())];
    return (off + root * rows.halfspaces().A_err[at(unit)] * columns_) * inflate(8) + underflow(4);
  };
  Vector omegas, lengths;
  for (Index k = 0; k < K; ++k) {
    const Index unit = std::max(frame.lower_row[at(k)], frame.upper_row[at(k)]);
    omegas.push_back(omega(unit));
    lengths.push_back(frame.bound_length[at(k)]);
    live_.push_back(row_of(unit, rows.side(unit) * lengths.back(), omegas.back()));
  }
  for (const Index unit : frame.free_units) {
    const double length = norm2(rows.halfspaces().A.row(unit), d);
    free_.push_back(row_of(unit, rows.side(unit) * length, omega(unit)));
  }
  const double all_lengths = norm_up(lengths.data(), K), all_omegas = norm_up(omegas.data(), K);
  for (Index e = 0; e < frame.rows(); ++e) {
    const double length = frame.length[at(e)], off = frame.error[at(e)];
    double sum = 0;
    for (Index k = 0; k < K; ++k)
      sum += (std::fabs(frame.G(e, k)) * length + (1 + length) * underflow(2)) / lengths[at(k)] * omegas[at(k)];
    const double error_of_g = off * (all_lengths + root * all_omegas);
    const double rounded = gamma(K + 8) * length * norm_up(frame.G.row(e), K);
    general_.push_back(row_of(frame.row[at(e)], length, (sum + error_of_g) * inflate(K + 16) + rounded));
  }
}

FirstStageSlacks::Row FirstStageSlacks::row_of(Index index, double length, double per_way) const {
  const Index K = frame_.dim;
  const double lost = (1 + std::fabs(length)) * underflow(8 * (K + 1) * (K + 1));
  return {index, center_slack_.value(0, index), center_slack_.error(0, index), length, rows_.norm_upper()[at(index)],
          per_way * inflate(8) + lost, lost};
}

// step: how much the slack falls, as computed.
void FirstStageSlacks::fill(const Row& row, double step, double way, double moved, Index i, RowSystem::Slacks& out) const {
  const double slack = row.start - step;
  const double off = (row.start_error + way * row.per_way + row.norm * moved + gamma(8) * (std::fabs(row.start) + std::fabs(step)) +
                      row.lost) * inflate(16) + underflow(16);
  const bool told = std::fabs(slack) < kInfinity && off < kInfinity;
  out.value(i, row.index) = told ? slack : 0.0;
  out.error(i, row.index) = told ? off : kInfinity;
}

void FirstStageSlacks::copy_start(Index i, RowSystem::Slacks& out) const {
  std::copy_n(center_slack_.value.row(0), rows_.size(), out.value.row(i));
  std::copy_n(center_slack_.error.row(0), rows_.size(), out.error.row(i));
}

RowSystem::Slacks FirstStageSlacks::at_points(const Matrix& y) const {
  const Index K = frame_.dim, d = rows_.dim();
  RowSystem::Slacks out{Matrix::unset(y.rows(), rows_.size()), Matrix::unset(y.rows(), rows_.size())};
  Matrix products(y.rows(), frame_.rows());
  gemm(false, true, 1.0, y, frame_.G, 0.0, products);
  for (Index i = 0; i < y.rows(); ++i) {
    copy_start(i, out);
    const double way = norm_up(y.row(i), K);
    const double moved = (gamma(K + 4) * (center_ + way * columns_) + underflow(2 * (K + 1) * d)) * inflate(16);
    for (std::size_t e = 0; e < general_.size(); ++e)
      fill(general_[e], general_[e].length * products(i, static_cast<Index>(e)), way, moved, i, out);
    for (Index k = 0; k < K; ++k) fill(live_[at(k)], live_[at(k)].length * y(i, k), way, moved, i, out);
    for (const Row& row : free_) fill(row, 0.0, way, moved, i, out);
  }
  return out;
}

// free_lift has the columns divided by the lengths, so that the step is t l (1 / l) along the row, to three roundings.
void FirstStageSlacks::beyond_free(Index free, double t, Index i, RowSystem::Slacks& out) const {
  const Index d = rows_.dim();
  copy_start(i, out);
  const Row& own = free_[at(free)];
  const double column = norm_up(frame_.free_lift.row(free), d);
  const double way = std::fabs(t) / std::fabs(own.length) * inflate(8) + underflow(4);
  const double moved = (gamma(8) * (center_ + std::fabs(t) * column) + underflow(8 * d) * (1 + std::fabs(t))) * inflate(16);
  for (const Row& row : general_) fill(row, 0.0, way, moved, i, out);
  for (const Row& row : live_) fill(row, 0.0, way, moved, i, out);
  for (const Row& row : free_) fill(row, &row == &own ? (row.length > 0 ? t : -t) : 0.0, way, moved, i, out);
}

}  // namespace pyregions
