// Layer 3. What floats leave open in a reduction: exact solves of the rows they propose, then exact programs.
#include <algorithm>

#include "interior_point.h"
#include "exact_rung.h"
#include "reducer.h"

namespace pyregions {

namespace detail {

namespace {
// Overshoot of a least-distance solve without tilt, whose rows are those that may meet in a tie: small against the
// slack, large against the solver's tolerance.
constexpr double kOvershoot = 0x1p-20;
// Multipliers below this are not counted on to stay positive. It chooses what is asked, never an answer.
constexpr double kClearly = 0x1p-20;
}  // namespace

void Reducer::fall_back() {
  for (const Index e : open_entries())
    if (is_open(e)) settle_exactly(e);
}

void Reducer::settle_exactly(Index e) {
  const Index R = frame_.rows(), K = frame_.dim, g = group_of_[s(e)];
  const Deadline deadline(rows_.exact_budget());
  std::vector<Index> support;
  rows_.tally().active_set += 1;
  const NearestPoint nearest = beyond({frame_, kOvershoot, 0.0, 0.0, Vector(s(K), 0.0), {}}, e, all_but(e));
  for (const auto& [entry, value] : nearest.multipliers)
    if (entry != R + 2 * K && value > 0) support.push_back(global_row(entry));
  if (settle_by_support(g, support)) return;
  const bool few = rows_.dim() <= kFewInputs;
  if ((fine_ || !few) && settle_by_refinement(e, nearest)) return;
  if (!few) {
    if (settle_beside(e, deadline)) return;
    support.clear();
    std::vector<Index> face;
    for (const auto& [entry, value] : settle_with_lp(e)) {
      support.push_back(global_row(entry));
      if (value > kClearly) face.push_back(entry);
    }
    if (!is_open(e) || settle_by_support(g, support)) return;
    if (settle_on(face, e, deadline) || deadline.is_over()) return;
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
  const Vector start(x.data(), x.data() + x.cols());
  // First in the few coordinates of the live units, which move no other unit.
  Parts witness;
  if (frame_.kind == Frame::Kind::first_stage && K > 0) witness = refined_interior(rows_, start, groups_[s(g)], &frame_.lift);
  if (witness.empty()) witness = refined_interior(rows_, start, groups_[s(g)]);
  if (witness.empty()) return false;
  state_[s(g)] = State::facet;
  witness_[s(g)] = std::move(witness);
  return true;
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
