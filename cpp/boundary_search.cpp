// Layer 4. The search behind the decision boundaries: one least-distance solve per question, and its proofs.
#include "boundary_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lp.h"
#include "projection.h"
#include "row_maximum.h"

namespace pyregions {

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

BoundarySearch::BoundarySearch(const RowSystem& rows, const Network::Affine& map, const Vector& interior,
                               const std::function<const Enclosure&()>& enclosure)
    : rows_(rows), enclosure_(enclosure), net_(*rows.network()), frame_(make_frame(rows, interior)) {
  const Index m = net_.outputs();
  slope_ = Matrix(m, frame_.dim);
  if (frame_.kind == Frame::Kind::first_stage)
    gemm(false, true, 1.0, map.A, frame_.lift, 0.0, slope_);
  else
    slope_ = map.A;
  Matrix one(1, rows.dim());
  std::copy(interior.begin(), interior.end(), one.data());
  const Network::Values v = net_.forward_masked(rows.pattern(), one);
  value_.assign(v.out.data(), v.out.data() + m);
  lean_ = first_stage_lean(rows, frame_);
}

BoundarySearch::Answer BoundarySearch::solve(const std::vector<OutputRow>& conditions, double margin,
                                             double tilt) const {
  const Index R = frame_.rows(), K = frame_.dim, C = static_cast<Index>(conditions.size());
  Matrix a(R + C, K);
  Vector b(at(R + C));
  Vector scale = frame_.scale;
  std::copy(frame_.G.data(), frame_.G.data() + R * K, a.data());
  for (Index e = 0; e < R; ++e) b[at(e)] = frame_.h[at(e)] * (1 - margin);
  Vector length(at(C));
  for (Index i = 0; i < C; ++i) {
    double* row = a.row(R + i);
    double rest = conditions[at(i)].rhs;
    for (Index o = 0; o < net_.outputs(); ++o) {
      const double q = conditions[at(i)].q[at(o)];
      if (q == 0.0) continue;
      axpy(q, slope_.row(o), row, K);
      rest -= q * value_[at(o)];
    }
    length[at(i)] = norm2(row, K);
    if (!(length[at(i)] > 0)) {
      if (rest >= 0) {  // constant on the cell and satisfied: no condition
        b[at(R + i)] = 1;
        scale.push_back(1);
        length[at(i)] = 1;
        continue;
      }
      return {};
    }
    for (Index k = 0; k < K; ++k) row[k] /= length[at(i)];
    b[at(R + i)] = rest / length[at(i)];
    axpy(-tilt, lean_.data(), row, K);  // so that implied multipliers come out positive
    scale.push_back(norm2(row, K));
  }
  Vector lower = frame_.lower, upper = frame_.upper;
  for (double& v : lower) v *= 1 - margin;
  for (double& v : upper) v *= 1 - margin;
  if (C == 1 && rows_.domain().is_box()) {
    const std::optional<Answer> found = solve_by_maximum(a, b, lower, upper, length[0]);
    if (found) return *found;
  }
  NearestPointProblem problem;
  problem.A = &a;
  problem.b = b.data();
  problem.lower = lower.data();
  problem.upper = upper.data();
  problem.row_norms = &scale;
  rows_.tally().active_set += 1;
  const NearestPoint found = nearest_point(problem);
  Answer answer;
  answer.feasible = found.status == NearestPoint::Status::optimal;
  answer.infeasible = found.status == NearestPoint::Status::infeasible;
  answer.y = found.y;
  if (!answer.infeasible) return answer;
  answer.outputs.assign(at(C), 0.0);
  const bool box = rows_.domain().is_box(), stage = frame_.kind == Frame::Kind::first_stage;
  for (const auto& [e, value] : found.multipliers) {
    if (!(value > 0)) continue;
    if (e >= R && e < R + C) {
      answer.support.push_back(rows_.size() + e - R);
      answer.outputs[at(e - R)] = value / length[at(e - R)];
    } else if (e < R) {
      answer.support.push_back(frame_.row[at(e)]);
      answer.cell.emplace_back(frame_.row[at(e)], value / frame_.length[at(e)]);
    } else {
      const Index k = e - R - C, c = k < K ? k : k - K;
      const Index row = k < K ? frame_.lower_row[at(c)] : frame_.upper_row[at(c)];
      answer.support.push_back(row);
      if (box || stage) continue;
      answer.cell.emplace_back(row, value / frame_.bound_length[at(c)]);
    }
  }
  std::sort(answer.support.begin(), answer.support.end());
  return answer;
}

std::optional<BoundarySearch::Answer> BoundarySearch::solve_by_maximum(const Matrix& a, const Vector& b, const Vector& lower,
                                                                       const Vector& upper, double length) const {
  const Index R = frame_.rows(), K = frame_.dim;
  const double bar = -b[at(R)];
  if (!(bar > 0)) return {};
  Vector up(a.row(R), a.row(R) + K);
  for (double& v : up) v = -v;
  const std::vector<std::uint8_t> skip(at(R), 0);
  RowMaximumProblem problem;
  problem.A = &frame_.G;
  problem.b = b.data();
  problem.skip = skip.data();
  problem.lower = lower.data();
  problem.upper = upper.data();
  problem.c = up.data();
  problem.bar = bar;
  rows_.tally().active_set += 1;
  RowMaximum found = row_maximum(problem);
  if (found.status == RowMaximum::Status::limit) return {};
  Answer answer;
  answer.feasible = found.status == RowMaximum::Status::above;
  answer.infeasible = !answer.feasible;
  if (answer.feasible) {
    const double far = dot(up.data(), found.y.data(), K);
    answer.y = std::move(found.y);
    for (double& v : answer.y) v *= bar / far;
    return answer;
  }
  answer.outputs.assign(1, 1 / length);
  for (const auto& [e, value] : found.multipliers) {
    answer.support.push_back(frame_.row[at(e)]);
    answer.cell.emplace_back(frame_.row[at(e)], value / frame_.length[at(e)]);
    axpy(-value, frame_.G.row(e), up.data(), K);
  }
  for (Index k = 0; k < K; ++k)  // what the rows leave over is bounded by the box
    if (up[at(k)] != 0) answer.support.push_back((up[at(k)] > 0 ? frame_.upper_row : frame_.lower_row)[at(k)]);
  answer.support.push_back(rows_.size());
  std::sort(answer.support.begin(), answer.support.end());
  std::sort(answer.cell.begin(), answer.cell.end());
  return answer;
}

BoundarySearch::Answer BoundarySearch::solve_by_lp(const std::vector<OutputRow>& conditions) const {
  const Index R = frame_.rows(), K = frame_.dim, C = static_cast<Index>(conditions.size());
  std::vector<Index> number = frame_.row;  // of every row of the program
  Matrix a(R + C + 2 * K, K + 1);
  Vector b(frame_.h);
  for (Index e = 0; e < R; ++e) {
    std::copy(frame_.G.row(e), frame_.G.row(e) + K, a.row(e));
    a(e, K) = 1;
  }
  const auto add = [&](Index row, double length, double rhs) {
    a(static_cast<Index>(b.size()), K) = length;
    b.push_back(rhs);
    number.push_back(row);
  };
  for (Index i = 0; i < C; ++i) {
    double* row = a.row(static_cast<Index>(b.size()));
    double rest = 0;
    for (Index o = 0; o < net_.outputs(); ++o) {
      const double q = conditions[at(i)].q[at(o)];
      if (q == 0.0) continue;
      axpy(q, slope_.row(o), row, K);
      rest -= q * value_[at(o)];
    }
    const double length = norm2(row, K), scale = length > 0 ? 1 / length : 1.0;
    for (Index k = 0; k < K; ++k) row[k] *= scale;
    add(rows_.size() + i, 1, rest * scale);
  }
  for (Index k = 0; k < K; ++k) {
    if (frame_.lower_row[at(k)] >= 0) a(static_cast<Index>(b.size()), k) = -1, add(frame_.lower_row[at(k)], 1, -frame_.lower[at(k)]);
    if (frame_.upper_row[at(k)] >= 0) a(static_cast<Index>(b.size()), k) = 1, add(frame_.upper_row[at(k)], 1, frame_.upper[at(k)]);
  }
  Matrix used(static_cast<Index>(b.size()), K + 1);
  std::copy(a.data(), a.data() + used.rows() * used.cols(), used.data());
  Vector goal(at(K) + 1, 0.0), lower(at(K) + 1, -kInf), upper(at(K) + 1, kInf);
  goal.back() = upper.back() = 1;
  rows_.tally().lps += 1;
  const LpResult lp = maximize_lp(used, b, goal, lower, upper);
  Answer answer;
  if (lp.status != LpResult::Status::optimal) return answer;
  answer.feasible = lp.x.back() > 0;
  answer.infeasible = !answer.feasible;
  answer.y.assign(lp.x.begin(), lp.x.end() - 1);
  for (std::size_t e = 0; e < number.size(); ++e)
    if (lp.row_duals[e] > 0) answer.support.push_back(number[e]);
  std::sort(answer.support.begin(), answer.support.end());
  return answer;
}

bool BoundarySearch::implied(const Vector& q, const SparseRow& cell) const {
  Matrix unit(1, net_.units()), output(1, net_.outputs());
  std::copy(q.begin(), q.end(), output.data());
  if (implied_by_stage(output, cell)) return true;
  if (frame_.kind == Frame::Kind::first_stage) return false;
  for (const auto& [row, value] : cell)
    if (row < rows_.units()) unit(0, row) = -rows_.side(row) * value;
  Network::Forms f = net_.backward(rows_.pattern(), unit, output, 0);
  SparseRow outer;
  for (const auto& [row, value] : cell)
    if (row >= rows_.units()) outer.emplace_back(row, -value);
  if (!outer.empty()) {
    const Network::Forms g = rows_.forms({outer});
    for (Index k = 0; k < rows_.dim(); ++k) {
      f.g(0, k) += g.g(0, k);
      f.g_err(0, k) = (f.g_err(0, k) + g.g_err(0, k) + std::fabs(f.g(0, k)) * (2 * kUnit)) * (1 + 4 * kUnit);
    }
    f.c[0] += g.c[0];
    f.c_err[0] = (f.c_err[0] + g.c_err[0] + std::fabs(f.c[0]) * (2 * kUnit)) * (1 + 4 * kUnit);
  }
  if (rows_.domain().is_box()) return sup_over_box(f, rows_.domain().lower, rows_.domain().upper)[0] <= 0;
  const Enclosure& e = enclosure_();
  if (e.finite()) return sup_over_box(f, e.lower, e.upper)[0] <= 0;
  return implied_by_basis(output, cell);
}

bool BoundarySearch::implied_by_stage(const Matrix& output, const SparseRow& cell) const {
  if (!rows_.domain().is_all() || net_.stages().empty() || !net_.is_cut(net_.stages()[0].pre, 1)) return false;
  const Network::Stage& s = net_.stages()[0];
  Matrix unit(1, net_.units());
  for (const auto& [row, value] : cell)
    if (row >= s.width) unit(0, row) = -rows_.side(row) * value;
  const Network::Forms f = net_.backward(rows_.pattern(), unit, output, s.pre);
  if (!(f.c[0] + f.c_err[0] * (1 + 2 * kUnit) <= 0)) return false;
  for (Index k = 0; k < s.width; ++k)
    if (!(rows_.side(k) * f.g(0, k) >= f.g_err(0, k))) return false;
  return true;
}

bool BoundarySearch::implied_by_basis(const Matrix& output, const SparseRow& cell) const {
  std::vector<Index> basis;
  for (const auto& term : cell) basis.push_back(term.first);
  const Network::Forms f = net_.backward(rows_.pattern(), Matrix(1, net_.units()), output, 0);
  LinearTarget target;
  for (Index o = 0; o < output.cols(); ++o)
    if (output(0, o) != 0) target.outputs.emplace_back(o, output(0, o));
  const BasisBound bound = bound_by_basis(rows_, basis, f, target, 0);
  if (!(bound.sup <= 0)) return false;
  ++(bound.refined ? rows_.tally().refine : rows_.tally().basis);
  return true;
}

Vector BoundarySearch::prove_point(const Vector& y, const std::vector<OutputRow>& conditions) const {
  Matrix one(1, frame_.dim);
  std::copy(y.begin(), y.end(), one.data());
  const Matrix x = frame_.to_x(one);
  const Network::Values v = net_.forward_masked(rows_.pattern(), x, false, true);
  for (const OutputRow& c : conditions) {
    double sum = 0, error = 0;
    for (Index o = 0; o < net_.outputs(); ++o) {
      const double q = c.q[at(o)];
      if (q == 0.0) continue;
      sum += q * v.out(0, o);
      error += std::fabs(q) * (v.out_err(0, o) + std::fabs(v.out(0, o)) * gamma(2 * net_.outputs() + 4));
    }
    if (!(sum < -error * (1 + gamma(8)))) return {};
  }
  if (!rows_.strictly_inside(x.data())) return {};
  rows_.tally().triage += 1;
  return Vector(x.data(), x.data() + x.cols());
}

Vector BoundarySearch::difference(Index i, Index j) const {
  Vector q(at(net_.outputs()), 0.0);
  q[at(i)] += 1;
  q[at(j)] -= 1;
  return q;
}

double BoundarySearch::output_scale() const {
  double reach = kInf;
  for (const double v : frame_.h) reach = std::min(reach, v);
  for (Index k = 0; k < frame_.dim; ++k) reach = std::min({reach, -frame_.lower[at(k)], frame_.upper[at(k)]});
  if (!std::isfinite(reach)) reach = 1;
  double steep = 0;
  for (Index o = 0; o < net_.outputs(); ++o) steep = std::max(steep, norm2(slope_.row(o), frame_.dim));
  return std::max(steep * reach, std::numeric_limits<double>::min());
}

}  // namespace pyregions
