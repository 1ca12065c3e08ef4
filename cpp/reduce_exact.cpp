// Layer 3. What floats leave open in a reduction: exact solves of the rows they propose, then exact programs.
#include <algorithm>

#include "chebyshev.h"
#include "exact_rung.h"
#include "orthogonal_factor.h"
#include "reducer.h"

namespace pyregions {

namespace detail {

namespace {
// Overshoot of a least-distance solve without tilt, whose rows are those that may meet in a tie: small against the
// slack, large against the solver's tolerance.
constexpr double kOvershoot = 0x1p-20;
// How far a program over a hyperplane looks, in units of the farthest row: a vertex beyond shows as much as a ray.
constexpr double kFarAway = 0x1p10;
// Shares by which the other walls are moved inward, tried in turn, when a point on a face is sought.
constexpr double kInward[] = {0x1p-5, 0x1p-12};
// Unit rows nearer than this to a span (squared) are told apart from it by exact differences; multipliers below it are
// not counted on to stay positive. It chooses what is asked, never an answer.
constexpr double kNearly = 0x1p-20;
}  // namespace

void Reducer::fall_back() {
  for (const Index e : open_entries())
    if (is_open(e)) settle_exactly(e);
}

void Reducer::settle_exactly(Index e) {
  const Index R = frame_.rows(), K = frame_.dim, g = group_of_[s(e)];
  std::vector<Index> support;
  rows_.tally().active_set += 1;
  const NearestPoint nearest = beyond(e, kOvershoot, 0.0, Vector(s(K), 0.0), Matrix());
  for (const auto& [entry, value] : nearest.multipliers)
    if (entry != R + 2 * K && value > 0) support.push_back(global_row(entry));
  if (settle_by_support(g, support)) return;
  const bool few = rows_.dim() <= kFewInputs;
  if ((fine_ || !few) && settle_by_refinement(e, nearest)) return;
  if (!few) {
    if (settle_beside(e)) return;
    support.clear();
    std::vector<Index> face;
    for (const auto& [entry, value] : settle_with_lp(e)) {
      support.push_back(global_row(entry));
      if (value > kNearly) face.push_back(entry);
    }
    if (!is_open(e) || settle_by_support(g, support)) return;
    if (frame_.kind == Frame::Kind::ambient && e < R && settle_on(face, e)) return;
  }
  settle_by_program(g, support);
}

// A witness between walls closer than doubles, from the nearest point that floats see, else from the foot of the centre.
bool Reducer::settle_by_refinement(Index e, const NearestPoint& nearest) {
  const Index R = frame_.rows(), K = frame_.dim, g = group_of_[s(e)];
  Matrix y(1, K);
  if (nearest.status == NearestPoint::Status::optimal) {
    std::copy(nearest.y.begin(), nearest.y.end(), y.data());
  } else if (e < R) {
    const double length = frame_.scale[s(e)];
    for (Index k = 0; k < K; ++k) y(0, k) = frame_.G(e, k) * frame_.h[s(e)] / (length * length);
  } else {
    const Index k = e < R + K ? e - R : e - R - K;
    y(0, k) = e < R + K ? frame_.lower[s(k)] : frame_.upper[s(k)];
  }
  const Matrix x = frame_.to_x(y);
  Parts witness = refined_interior(rows_, Vector(x.data(), x.data() + x.cols()), groups_[s(g)]);
  if (witness.empty()) return false;
  state_[s(g)] = State::facet;
  witness_[s(g)] = std::move(witness);
  return true;
}

// The unit row of an entry: a general row's, or that of a bound.
Vector Reducer::unit_row(Index e) const {
  const Index R = frame_.rows(), K = frame_.dim;
  if (e < R) return Vector(frame_.G.row(e), frame_.G.row(e) + K);
  Vector row(s(K), 0.0);
  row[s(e < R + K ? e - R : e - R - K)] = e < R + K ? -1.0 : 1.0;
  return row;
}

double Reducer::slack(Index e) const {
  const Index R = frame_.rows(), K = frame_.dim;
  return e < R ? frame_.h[s(e)] : e < R + K ? -frame_.lower[s(e - R)] : frame_.upper[s(e - R - K)];
}

// A row that is nearly a combination of others, which floats cannot tell apart. Where it leaves the cell some of them,
// or nothing, are tight: on that face only differences to them count, and these are taken exactly and scaled up.
bool Reducer::settle_beside(Index e) {
  if (frame_.kind != Frame::Kind::ambient || e >= frame_.rows()) return false;
  for (Index j = 0; j < frame_.rows(); ++j)
    if (j != e && group_of_[s(j)] >= 0 && dot(frame_.G.row(e), frame_.G.row(j), frame_.dim) > 1 - kNearly)
      if (settle_on({j}, e)) return true;
  return false;
}

// The program over the face on which the entries of `face` are tight: its support may imply the row, its vertex may lie
// beyond it.
bool Reducer::settle_on(const std::vector<Index>& face, Index e) {
  const Index R = frame_.rows(), K = frame_.dim, g = group_of_[s(e)];
  OrthogonalFactor factor;
  factor.reset(K);
  Vector c, z;
  std::vector<Index> tight;
  for (const Index j : face) {
    const double distance2 = factor.split(unit_row(j).data(), c, z);
    if (distance2 > kNearly) factor.append(c, z, distance2), tight.push_back(j);
  }
  ExactRung rung(rows_);
  // Nothing: not nearly in the span.
  const auto difference = [&](Index j) -> std::optional<ExactRung::ScaledRow> {
    if (factor.split(frame_.G.row(j), c, z) > kNearly) return std::nullopt;
    factor.solve_upper(c.data());
    std::vector<std::pair<Index, double>> shares;
    for (std::size_t i = 0; i < tight.size(); ++i)
      shares.emplace_back(global_row(tight[i]), c[i] * length(j) / length(tight[i]));
    return rung.difference(frame_.row[s(j)], shares, frame_.center);
  };
  const auto on_face = [&](Index j) { return std::find(tight.begin(), tight.end(), j) != tight.end(); };
  const std::optional<ExactRung::ScaledRow> objective = difference(e);
  if (!objective || objective->a.empty()) return false;
  Matrix G(R + static_cast<Index>(tight.size()), K);
  std::copy(frame_.G.data(), frame_.G.data() + R * K, G.data());
  Vector h = frame_.h, lower = frame_.lower, upper = frame_.upper;
  std::vector<std::uint8_t> skip(s(G.rows()), 0);
  for (Index j = 0; j < R; ++j) {
    skip[s(j)] = group_of_[s(j)] < 0 || j == e ? 1 : 0;
    if (skip[s(j)] != 0 || on_face(j)) continue;
    const std::optional<ExactRung::ScaledRow> d = difference(j);
    if (!d) continue;
    skip[s(j)] = d->a.empty() ? 1 : 0;
    std::copy(d->a.begin(), d->a.end(), G.row(j));
    h[s(j)] = d->slack;
  }
  const double far = kFarAway * std::max(1.0, *std::max_element(frame_.h.begin(), frame_.h.end()));
  for (double& v : lower) v = std::max(v, -far);
  for (double& v : upper) v = std::min(v, far);
  for (std::size_t i = 0; i < tight.size(); ++i) {  // not less than the bound either
    const Vector row = unit_row(tight[i]);
    for (Index k = 0; k < K; ++k) G(R + static_cast<Index>(i), k) = -row[s(k)];
    h.push_back(-slack(tight[i]));
  }
  const auto solve = [&](double shrink) {
    Vector near = h, low = lower, up = upper;
    for (Index j = 0; j < R; ++j)
      if (!on_face(j)) near[s(j)] -= shrink * std::fabs(h[s(j)]);
    for (Index k = 0; k < K; ++k) {
      if (!on_face(R + k)) low[s(k)] *= 1 - shrink;
      if (!on_face(R + K + k)) up[s(k)] *= 1 - shrink;
    }
    rows_.tally().lps += 1;
    return maximize_lp(G, near, objective->a, low, up, &skip);
  };
  const LpResult lp = solve(0);
  if (lp.status != LpResult::Status::optimal || lp.row_duals.empty()) return false;
  if (lp.objective <= objective->slack && settle_by_support(g, carried(lp, tight))) return true;
  NearestPoint start;
  start.status = NearestPoint::Status::optimal;
  start.y = lp.x;
  for (const double shrink : kInward) {  // a point away from the other walls is a better start
    LpResult inner = solve(shrink);
    if (inner.status == LpResult::Status::optimal) {
      if (inner.objective > objective->slack) start.y = std::move(inner.x);
      break;
    }
    if (inner.row_duals.empty() || shrink != std::end(kInward)[-1]) continue;  // only the last, and with its reasons
    // Other walls meet on this face nearly: they are tight there, too.
    std::vector<Index> wider = tight;
    for (Index j = 0; j < R; ++j)
      if (!on_face(j) && inner.row_duals[s(j)] > kNearly && factor.split(frame_.G.row(j), c, z) > kNearly) wider.push_back(j);
    if (wider.size() > tight.size()) return settle_on(wider, e);
  }
  return settle_by_refinement(e, start);
}

// The rows that carry the optimum of a program over a face.
std::vector<Index> Reducer::carried(const LpResult& lp, const std::vector<Index>& tight) const {
  constexpr double kVisible = 0x1p-40;  // the objective has size 1: smaller duals are rounding
  const Index R = frame_.rows(), K = frame_.dim;
  std::vector<Index> support;
  for (const Index j : tight) support.push_back(global_row(j));
  const auto add = [&](Index entry, double dual) {
    const bool known = std::find(tight.begin(), tight.end(), entry) != tight.end();
    if (dual > kVisible && !known) support.push_back(global_row(entry));
  };
  for (Index j = 0; j < R; ++j) add(j, lp.row_duals[s(j)]);
  for (Index k = 0; k < K; ++k) {
    if (frame_.lower_row[s(k)] >= 0) add(R + k, -lp.bound_duals[s(k)]);
    if (frame_.upper_row[s(k)] >= 0) add(R + K + k, lp.bound_duals[s(k)]);
  }
  return support;
}

// One exact solve: the rows imply the group with the multipliers that they have to have. False also without time.
bool Reducer::settle_by_support(Index g, const std::vector<Index>& support) {
  try {
    std::optional<Combination> found = ExactRung(rows_).implied(groups_[s(g)], support);
    if (!found) return false;
    state_[s(g)] = State::redundant;
    proof_[s(g)] = {groups_[s(g)][0], Proof::exact, -1, {}, std::move(*found)};
    rows_.tally().exact += 1;
    return true;
  } catch (const OutOfBudget&) {
    return false;
  }
}

void Reducer::settle_by_program(Index g, const std::vector<Index>& support) {
  try {
    ExactRung::Side side = ExactRung(rows_).side(groups_[s(g)], support, center_);
    rows_.tally().exact += 1;
    state_[s(g)] = side.facet ? State::facet : State::redundant;
    if (side.facet)
      witness_[s(g)] = std::move(side.witness);
    else
      proof_[s(g)] = {groups_[s(g)][0], Proof::exact, -1, {}, std::move(side.proof)};
  } catch (const OutOfBudget&) {  // stays open
  } catch (const UndecidedError&) {
  }
}

}  // namespace detail

Facets reduce_exactly(const RowSystem& rows, const Parts& interior) {
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  Facets f;
  const Grouping grouping = group_rows(rows);
  for (Index j = 0; j < rows.size(); ++j)
    if (rows.zero_rows()[at(j)]) f.zero_rows.push_back(j);
  std::vector<Parts> witnesses;
  ExactRung rung(rows);
  for (std::size_t g = 0; g < grouping.groups.size(); ++g) {
    const std::vector<Index>& group = grouping.groups[g];
    try {
      ExactRung::Side side = rung.side(group, {}, interior);
      rows.tally().exact += 1;
      if (side.facet) {
        f.groups.push_back(group);
        f.on_domain.push_back(group.back() >= rows.units() ? 1 : 0);
        if (side.witness.rows() > 1) f.fine.emplace(static_cast<Index>(witnesses.size()), side.witness);
        witnesses.push_back(std::move(side.witness));
      } else {
        f.redundant_groups.push_back(group);
        f.proofs.push_back({group[0], Proof::exact, -1, {}, std::move(side.proof)});
      }
    } catch (const OutOfBudget&) {
      f.undecided.push_back(group[0]);
    } catch (const UndecidedError&) {  // no sum of doubles beyond this row
      f.undecided.push_back(group[0]);
    }
  }
  rows.tally().undecided += static_cast<long>(f.undecided.size());
  f.witness = Matrix(static_cast<Index>(witnesses.size()), rows.dim());
  for (std::size_t i = 0; i < witnesses.size(); ++i)
    std::copy(witnesses[i].row(0), witnesses[i].row(0) + rows.dim(), f.witness.row(static_cast<Index>(i)));
  return f;
}

}  // namespace pyregions
