// Layer 4. Linear programs and projections over one cell, with rigorous bounds: the primal point is proven inside, the
// multipliers give the other side; what floats leave open is solved exactly.
#include <algorithm>
#include <cmath>

#include "cell.h"
#include "exact_rung.h"
#include "lp.h"
#include "projection.h"

namespace pyregions {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The point of the segment from the interior point to x that is proven to lie in the closed cell, as near to x as the
// ladder of steps allows.
Vector pull_inside(const RowSystem& rows, const Vector& interior, const Vector& x) {
  double back = 0;
  for (int step = 0; step <= 51; ++step) {  // up to the interior point itself
    Vector p(x);
    for (std::size_t k = 0; k < p.size(); ++k) p[k] += back * (interior[k] - x[k]);
    Matrix one(1, rows.dim());
    std::copy(p.begin(), p.end(), one.data());
    const RowSystem::Slacks s = rows.slacks(one);
    bool certain = true;  // zero rows hold everywhere, the interior point has shown it
    for (Index j = 0; j < rows.size() && certain; ++j) certain = rows.zero_rows()[at(j)] || s.value(0, j) >= s.error(0, j);
    if (certain) return p;
    back = back == 0 ? 0x1p-50 : 2 * back;
  }
  return interior;
}

// c.x + q.f(x) as a form on the cell, minus sum lambda h.
Network::Forms objective_form(const RowSystem& rows, const Vector& c, const Vector& q, const SparseRow& lambda) {
  SparseRow negative = lambda;
  for (auto& term : negative) term.second = -term.second;
  Network::Forms f = rows.forms({negative});
  const auto add = [](double& sum, double& error, double value, double value_error) {
    sum += value;
    error = (error + value_error + std::fabs(sum) * (2 * kUnit)) * (1 + 4 * kUnit);
  };
  if (!q.empty()) {
    Matrix output(1, rows.network()->outputs());
    std::copy(q.begin(), q.end(), output.data());
    const Network::Forms o = rows.network()->backward(rows.pattern(), Matrix(1, rows.units()), output, 0);
    for (Index k = 0; k < rows.dim(); ++k) add(f.g(0, k), f.g_err(0, k), o.g(0, k), o.g_err(0, k));
    add(f.c[0], f.c_err[0], o.c[0], o.c_err[0]);
  }
  for (std::size_t k = 0; k < c.size(); ++k) add(f.g(0, static_cast<Index>(k)), f.g_err(0, static_cast<Index>(k)), c[k], 0.0);
  return f;
}

struct Bound {
  double value = 0, error = 0;
};
Bound value_at(const Network::Forms& f, const Vector& x) {
  Bound b{f.c[0], f.c_err[0]};
  double size = std::fabs(b.value);
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Index i = static_cast<Index>(k);
    b.value += f.g(0, i) * x[k];
    size += std::fabs(f.g(0, i) * x[k]);
    b.error += f.g_err(0, i) * std::fabs(x[k]);
  }
  const Index d = static_cast<Index>(x.size());
  b.error = (b.error + size * gamma(2 * d + 4) + underflow(2 * d + 2)) * (1 + gamma(2 * d + 4));
  return b;
}

SparseRow row_multipliers(const RowSystem& rows, const Frame& frame, const Vector& row_duals, const Vector& bound_duals, double unit) {
  SparseRow lambda;
  for (Index e = 0; e < frame.rows(); ++e)
    if (row_duals[at(e)] > 0) lambda.emplace_back(frame.row[at(e)], row_duals[at(e)] * unit / frame.length[at(e)]);
  for (Index k = 0; k < rows.dim() && !bound_duals.empty(); ++k) {
    if (bound_duals[at(k)] < 0 && frame.lower_row[at(k)] >= 0) lambda.emplace_back(frame.lower_row[at(k)], -bound_duals[at(k)] * unit);
    if (bound_duals[at(k)] > 0 && frame.upper_row[at(k)] >= 0) lambda.emplace_back(frame.upper_row[at(k)], bound_duals[at(k)] * unit);
  }
  std::sort(lambda.begin(), lambda.end());
  return lambda;
}

// Unbounded is believed only with a direction that strictly leaves every row behind and strictly gains: the solver's ray
// leaned towards a strict recession direction.
bool prove_unbounded(const RowSystem& rows, const Frame& frame, const Network::Forms& objective, const Vector& ray, Extremum& result) {
  const Vector strict = strict_recession(rows, frame);
  if (strict.empty()) return false;
  Network::Forms linear = objective;
  linear.c[0] = linear.c_err[0] = 0;
  for (const double mix : {1.0, 0x1p-4, 0x1p-8, 0x1p-12}) {
    Matrix u(1, rows.dim());
    for (Index k = 0; k < rows.dim(); ++k) u(0, k) = mix * strict[at(k)] + ray[at(k)];
    const RowSystem::Slacks s = rows.slacks(u, true);
    bool leaves = true;
    for (Index j = 0; j < rows.size() && leaves; ++j) leaves = rows.zero_rows()[at(j)] || s.value(0, j) >= s.error(0, j);
    const Vector direction(u.data(), u.data() + u.cols());
    const Bound gain = value_at(linear, direction);
    if (!leaves || !(gain.value > gain.error)) continue;
    result.status = Extremum::Status::unbounded;
    result.point = direction;
    result.value = result.lower = result.upper = kInf;
    return true;
  }
  return false;
}

// The supremum of c.x + q.f bounded by the verified basis of the solver; infinite when that proves nothing.
double upper_by_basis(const RowSystem& rows, const Frame& frame, const Network::Forms& objective, const Vector& c, const Vector& q,
                      const LpResult& lp) {
  std::vector<Index> basis;
  for (const int j : lp.basis_rows) basis.push_back(frame.row[at(j)]);
  for (const int k : lp.basis_bounds) basis.push_back(lp.bound_duals[at(k)] > 0 ? frame.upper_row[at(k)] : frame.lower_row[at(k)]);
  LinearTarget target;
  for (std::size_t o = 0; o < q.size(); ++o)
    if (q[o] != 0) target.outputs.emplace_back(static_cast<Index>(o), q[o]);
  target.direct = c;
  return bound_by_basis(rows, basis, objective, target, kInf).sup;
}

// The step from the frame's centre to the nearest point of the cell, and its multipliers.
void step_l2(const RowSystem& rows, const Frame& frame, Vector& step, SparseRow& lambda) {
  const Index R = frame.rows(), d = frame.dim;
  NearestPointProblem problem;
  problem.A = &frame.G;
  problem.b = frame.h.data();
  problem.lower = frame.lower.data();
  problem.upper = frame.upper.data();
  rows.tally().active_set += 1;
  const NearestPoint found = nearest_point(problem);
  if (found.status != NearestPoint::Status::optimal) return;
  step = found.y;
  for (const auto& [e, value] : found.multipliers) {
    if (!(value > 0)) continue;
    if (e < R)
      lambda.emplace_back(frame.row[at(e)], value / frame.length[at(e)]);
    else
      lambda.emplace_back(e < R + d ? frame.lower_row[at(e - R)] : frame.upper_row[at(e - R - d)], value);
  }
  std::sort(lambda.begin(), lambda.end());
}

// Variables (step, t) with |step_k| <= t (maximum norm, 0) or (step, t_1..t_d) with |step_k| <= t_k (sum, 1).
void step_by_lp(const RowSystem& rows, const Frame& frame, int norm, Vector& step, SparseRow& lambda) {
  const Index R = frame.rows(), d = frame.dim, T = norm == 0 ? 1 : d;
  Matrix a(R + 2 * d, d + T);
  Vector b(at(R + 2 * d), 0.0), goal(at(d + T), 0.0);
  for (Index e = 0; e < R; ++e) {
    std::copy(frame.G.row(e), frame.G.row(e) + d, a.row(e));
    b[at(e)] = frame.h[at(e)];
  }
  for (Index k = 0; k < d; ++k) {
    const Index t = d + (norm == 0 ? 0 : k);
    a(R + 2 * k, k) = 1;
    a(R + 2 * k, t) = -1;
    a(R + 2 * k + 1, k) = -1;
    a(R + 2 * k + 1, t) = -1;
  }
  for (Index t = d; t < d + T; ++t) goal[at(t)] = -1;
  Vector lower = frame.lower, upper = frame.upper;
  lower.resize(at(d + T), 0.0);
  upper.resize(at(d + T), kInf);
  rows.tally().lps += 1;
  const LpResult lp = maximize_lp(a, b, goal, lower, upper);
  if (lp.status != LpResult::Status::optimal) return;
  step.assign(lp.x.begin(), lp.x.begin() + d);
  lambda = row_multipliers(rows, frame, Vector(lp.row_duals.begin(), lp.row_duals.begin() + R), lp.bound_duals, 1.0);
}

// 0 >= sum lambda h(x) = sum lambda h(y) + g.(x - y), so |x - y| >= sum lambda h(y) / |g| in the dual norm.
double distance_lower(const RowSystem& rows, const SparseRow& lambda, const Vector& y, int norm) {
  const Index d = rows.dim();
  const Network::Forms f = rows.forms({lambda});
  const Bound b = value_at(f, y);
  Vector g(at(d));
  for (Index k = 0; k < d; ++k) g[at(k)] = std::fabs(f.g(0, k)) + f.g_err(0, k);
  double dual = 0;
  for (const double v : g) dual = norm == 0 ? dual + v : std::max(dual, v);
  if (norm == 2) dual = norm2(g.data(), d);
  dual *= 1 + gamma(2 * d + 8);
  return dual > 0 ? std::max(0.0, (b.value - b.error) / dual * (1 - 8 * kUnit)) : 0.0;
}

double length(const Vector& v, int norm) {
  double sum = 0;
  for (const double x : v) sum = norm == 1 ? sum + std::fabs(x) : std::max(sum, std::fabs(x));
  return norm == 2 ? norm2(v.data(), static_cast<Index>(v.size())) : sum;
}

// Bounds looser than this are worth an exact program in few dimensions.
constexpr double kTight = 0x1p-20;

bool is_tight(const Extremum& e) {
  if (e.status == Extremum::Status::unbounded) return true;
  const double gap = e.upper - e.lower;
  return std::isfinite(gap) && gap <= kTight * std::max(std::fabs(e.lower), std::fabs(e.upper));
}

// An extremum without a point is no answer.
Extremum maximize_by_floats(const RowSystem& rows, const Vector& inside, const Vector& c, const Vector& q,
                            const std::function<const Enclosure&()>& enclosure) {
  const Network::Forms objective = objective_form(rows, c, q, {});
  const Frame frame = make_frame(rows, inside, false);
  Vector goal(objective.g.row(0), objective.g.row(0) + rows.dim());
  const double unit = norm2(goal.data(), rows.dim());
  Extremum result;
  if (!(unit > 0) || !std::isfinite(unit)) return result;  // constant as far as floats see, or out of their range
  for (double& v : goal) v /= unit;
  rows.tally().lps += 1;
  const LpResult lp = maximize_lp(frame.G, frame.h, goal, frame.lower, frame.upper);
  if (lp.status != LpResult::Status::optimal) {
    prove_unbounded(rows, frame, objective, lp.x.size() == at(rows.dim()) ? lp.x : goal, result);
    return result;
  }
  Vector x = frame.center;
  for (Index k = 0; k < rows.dim(); ++k) x[at(k)] += lp.x[at(k)];
  result.point = pull_inside(rows, inside, x);
  const Bound reached = value_at(objective, result.point);
  result.value = reached.value;
  result.lower = reached.value - reached.error * (1 + 4 * kUnit);
  result.upper = kInf;
  const SparseRow lambda = row_multipliers(rows, frame, lp.row_duals, lp.bound_duals, unit);
  const Network::Forms f = objective_form(rows, c, q, lambda);
  if (rows.domain().is_box())
    result.upper = sup_over_box(f, rows.domain().lower, rows.domain().upper)[0];
  else if (enclosure().finite())
    result.upper = sup_over_box(f, enclosure().lower, enclosure().upper)[0];
  if (!std::isfinite(result.upper)) result.upper = upper_by_basis(rows, frame, objective, c, q, lp);
  return result;
}

Extremum project_by_floats(const RowSystem& rows, const Vector& inside, const Vector& y, int norm) {
  const Index d = rows.dim();
  const Frame frame = make_frame(rows, y, false);  // slacks at y, some negative
  Vector step(at(d), 0.0);
  SparseRow lambda;
  if (norm == 2)
    step_l2(rows, frame, step, lambda);
  else
    step_by_lp(rows, frame, norm, step, lambda);
  Vector x = y;
  for (Index k = 0; k < d; ++k) x[at(k)] += step[at(k)];
  Extremum result;
  result.point = pull_inside(rows, inside, x);
  Vector way(at(d));
  for (Index k = 0; k < d; ++k) way[at(k)] = result.point[at(k)] - y[at(k)];
  result.value = length(way, norm);
  result.upper = result.value * (1 + gamma(2 * d + 8)) + underflow(2 * d);
  if (!lambda.empty()) result.lower = distance_lower(rows, lambda, y, norm);
  return result;
}

// The objective as an exact affine function.
Network::ExactForm exact_objective(const RowSystem& rows, const Vector& c, const Vector& q) {
  Network::ExactForm form;
  form.g = DyadicVector(rows.dim());
  std::vector<std::pair<Index, Dyadic>> outputs;
  for (std::size_t o = 0; o < q.size(); ++o)
    if (q[o] != 0.0) outputs.emplace_back(static_cast<Index>(o), Dyadic(q[o]));
  if (!outputs.empty()) form = rows.network()->backward_exact(rows.pattern(), {}, outputs, 0);
  if (!c.empty()) form.g.add(DyadicVector(c.data(), rows.dim()));
  return form;
}

Extremum from_exact(const ExactRung::Optimum& exact) {
  Extremum result;
  result.point.assign(exact.point.row(0), exact.point.row(0) + exact.point.cols());
  if (exact.point.rows() > 1) result.fine = exact.point;
  if (!exact.direction.empty()) {
    result.status = Extremum::Status::unbounded;
    result.value = result.lower = result.upper = kInf;
    return result;
  }
  result.lower = exact.lower;
  result.upper = exact.upper;
  return result;
}

// By floats if that is an answer with tight bounds, else exactly; a loose answer stands where there are many inputs, or
// when the budget is spent.
Extremum settle(const RowSystem& rows, Extremum floats, const std::function<Extremum()>& exactly) {
  const bool answered = !floats.point.empty() && !std::isnan(floats.lower) && !std::isnan(floats.upper);
  if (answered && (is_tight(floats) || rows.dim() > kFewInputs)) return floats;
  try {
    Extremum exact = exactly();
    rows.tally().exact += 1;
    return exact;
  } catch (const OutOfBudget& spent) {
    rows.tally().undecided += 1;
    if (!answered) throw UndecidedError(std::string("an optimum over the cell: ") + spent.what());
  } catch (const UndecidedError&) {
    rows.tally().undecided += 1;
    if (!answered) throw;
  }
  return floats;
}

}  // namespace

Extremum Cell::maximize(const Vector& c, const Vector& q) {
  const Call call(*this, "maximize");
  Extremum found;
  try {
    if (!thin()) found = maximize_by_floats(rows_, interior(), c, q, [this]() -> const Enclosure& { return enclosure(); });
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  return settle(rows_, std::move(found), [&] {
    const Network::ExactForm objective = exact_objective(rows_, c, q);
    const ExactRung::Optimum exact = ExactRung(rows_).maximize(objective.g, objective.c, fine());
    Extremum result = from_exact(exact);
    if (result.status == Extremum::Status::optimal)
      result.value = (dot(objective.g, exact_point(exact.point)) + objective.c).to_double();
    return result;
  });
}

Extremum Cell::project(const Vector& y, int norm) {
  const Call call(*this, "project");
  Extremum found;
  if (contains(y.data(), false)) {
    found.point = y;
    return found;
  }
  try {
    if (!thin()) found = project_by_floats(rows_, interior(), y, norm);
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  return settle(rows_, std::move(found), [&] {
    const DyadicVector from(y.data(), rows_.dim());
    const ExactRung::Optimum exact = ExactRung(rows_).nearest(from, norm, fine());
    Extremum result = from_exact(exact);
    DyadicVector way = from;
    for (Integer& m : way.mantissa) m = -m;
    way.add(exact_point(exact.point));
    result.value = length(way.to_doubles(), norm);
    return result;
  });
}

}  // namespace pyregions
