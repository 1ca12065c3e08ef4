// Layer 3. Witnesses of facets: whether a point violates the rows of one group and no other, by slacks with bounds or exactly.
#include <algorithm>
#include <cmath>

#include "exact_rung.h"
#include "pool.h"
#include "reducer.h"

namespace pyregions::detail {

void Reducer::free_units() {
  if (frame_.free_units.empty()) return;
  std::vector<Index> group_of_row(s(rows_.size()), -1);
  for (std::size_t g = 0; g < groups_.size(); ++g)
    for (const Index row : groups_[g]) group_of_row[s(row)] = static_cast<Index>(g);
  const Index count = static_cast<Index>(frame_.free_units.size());
  const FirstStageSlacks* along = options_.certify ? first_stage_slacks(count) : nullptr;
  Matrix one(1, rows_.dim());
  std::copy(frame_.center.begin(), frame_.center.end(), one.data());
  const Matrix slack = rows_.slacks(one).value;
  constexpr Index kBlock = 64;
  const Index blocks = (count + kBlock - 1) / kBlock;
  std::vector<Matrix> points(s(blocks));
  std::vector<Verdict> verdicts(s(count));
  parallel_for(blocks, options_.workers, [&](Index b) {
    const Index first = b * kBlock, size = std::min(kBlock, count - first);
    Matrix& x = points[s(b)] = Matrix(size, rows_.dim());
    RowSystem::Slacks slacks;
    if (along) slacks = {Matrix::unset(size, rows_.size()), Matrix::unset(size, rows_.size())};
    for (Index i = 0; i < size; ++i) {
      const Index u = frame_.free_units[s(first + i)];
      const double way = 2 * rows_.side(u) * slack(0, u);  // twice that to the wall: as far beyond it as the centre is before it
      std::copy(frame_.center.begin(), frame_.center.end(), x.row(i));
      axpy(way, frame_.free_lift.row(first + i), x.row(i), rows_.dim());
      if (along) along->beyond_free(first + i, way, i, slacks);
    }
    if (!options_.certify) return;
    if (!along) slacks = rows_.slacks(x, held_.get());
    for (Index i = 0; i < size; ++i) {
      const Index g = group_of_row[s(frame_.free_units[s(first + i)])];
      verdicts[s(first + i)] = along ? judge_products(g, slacks, i, x.row(i)) : judge(g, slacks.value.row(i), slacks.error.row(i));
    }
  });
  for (Index i = 0; i < count; ++i)
    take(group_of_row[s(frame_.free_units[s(i)])], points[s(i / kBlock)].row(i % kBlock), verdicts[s(i)]);
}

const FirstStageSlacks* Reducer::first_stage_slacks(Index points) {
  if (first_stage_slacks_) return &*first_stage_slacks_;
  if (frame_.kind != Frame::Kind::first_stage || points < frame_.dim) return nullptr;
  Matrix one(1, rows_.dim());
  std::copy(frame_.center.begin(), frame_.center.end(), one.data());
  return &first_stage_slacks_.emplace(rows_, frame_, rows_.slacks(one, held_.get()));
}

// x is a witness of the group, if its slacks said so or exact ones do.
void Reducer::take(Index group, const double* x, Verdict verdict) {
  if (state_[s(group)] != State::open || !std::all_of(x, x + rows_.dim(), [](double v) { return std::isfinite(v); })) return;
  if (options_.certify) {
    if (verdict == Verdict::yes) rows_.tally().triage += 1;
    else if (verdict == Verdict::no || !violates_only(group, rows_.slack_signs(x))) return;
  }
  state_[s(group)] = State::facet;
  witness_[s(group)] = Parts(1, rows_.dim());
  std::copy(x, x + rows_.dim(), witness_[s(group)].data());
}

Reducer::Verdict Reducer::judge(Index group, const double* slack, const double* error) const {
  const std::vector<Index>& members = groups_[s(group)];
  std::size_t next = 0;
  bool certain = true;
  for (Index j = 0; j < rows_.size(); ++j) {
    const bool member = next < members.size() && members[next] == j;
    if (member) ++next;
    const double v = member ? -slack[j] : slack[j];
    if (member ? v > error[j] : v >= error[j]) continue;
    if (v < -error[j]) return Verdict::no;
    // Coincident rows are violated together: one certain violation is enough for the whole group.
    if (!member || members.size() == 1) certain = false;
  }
  bool violated = members.size() == 1;
  for (const Index j : members) violated = violated || -slack[j] > error[j];
  return certain && violated ? Verdict::yes : Verdict::unclear;
}

Reducer::Verdict Reducer::judge_products(Index group, const RowSystem::Slacks& slacks, Index i, const double* x) const {
  const Verdict verdict = judge(group, slacks.value.row(i), slacks.error.row(i));
  if (verdict != Verdict::unclear) return verdict;
  Matrix one(1, rows_.dim());
  std::copy(x, x + rows_.dim(), one.data());
  const RowSystem::Slacks forward = rows_.slacks(one, held_.get());
  return judge(group, forward.value.row(0), forward.error.row(0));
}

bool Reducer::violates_only(Index group, const std::vector<int>& signs) const {
  const std::vector<Index>& members = groups_[s(group)];
  std::size_t next = 0;
  for (Index j = 0; j < rows_.size(); ++j) {
    const bool member = next < members.size() && members[next] == j;
    if (member) ++next;
    if (member ? signs[s(j)] >= 0 : signs[s(j)] < 0) return false;
  }
  return true;
}

void Reducer::accept_fine(const Candidate& candidate) {
  if (state_[s(candidate.group)] != State::open) return;
  Parts x(center_.rows() + 1, center_.cols());
  std::copy(center_.data(), center_.data() + center_.rows() * center_.cols(), x.data());
  std::copy(candidate.y.begin(), candidate.y.end(), x.row(center_.rows()));
  if (!std::all_of(candidate.y.begin(), candidate.y.end(), [](double v) { return std::isfinite(v); })) return;
  const DyadicVector sum = exact_point(x);
  for (Index parts = 1; parts <= x.rows(); ++parts) {  // as few parts as will do
    Parts point = parts < x.rows() ? nearest_parts(sum, parts) : x;
    if (!violates_only(candidate.group, rows_.slack_signs(point))) continue;
    state_[s(candidate.group)] = State::facet;
    witness_[s(candidate.group)] = std::move(point);
    return;
  }
}

void Reducer::verify(const std::vector<Candidate>& candidates, const AlongImages* along, const std::vector<AlongImages::Step>& steps) {
  if (fine_) {
    for (const Candidate& candidate : candidates) accept_fine(candidate);
    return;
  }
  constexpr Index kBatch = 32;
  const Index count = static_cast<Index>(candidates.size()), batches = (count + kBatch - 1) / kBatch;
  const FirstStageSlacks* columns = options_.certify ? first_stage_slacks(count) : nullptr;
  std::vector<Matrix> points(s(batches));
  std::vector<Verdict> verdicts(s(count));
  parallel_for(batches, options_.workers, [&](Index batch) {
    const Index first = batch * kBatch, size = std::min(kBatch, count - first);
    Matrix y = Matrix::unset(size, frame_.dim);
    for (Index i = 0; i < size; ++i) {
      const Vector& from = candidates[s(first + i)].y;
      std::copy(from.begin(), from.end(), y.row(i));
    }
    const Matrix& x = points[s(batch)] = frame_.to_x(y);
    if (!options_.certify) return;
    RowSystem::Slacks slacks;
    if (!along) slacks = columns ? columns->at_points(y) : rows_.slacks(x, held_.get());
    for (Index i = 0; i < size; ++i) {
      if (along) along->slacks(steps[s(first + i)], y.row(i), x.row(i), slacks);
      const Index g = candidates[s(first + i)].group;
      if (along || columns)
        verdicts[s(first + i)] = judge_products(g, slacks, along ? 0 : i, x.row(i));
      else
        verdicts[s(first + i)] = judge(g, slacks.value.row(i), slacks.error.row(i));
    }
  });
  for (Index i = 0; i < count; ++i) take(candidates[s(i)].group, points[s(i / kBatch)].row(i % kBatch), verdicts[s(i)]);
}

}  // namespace pyregions::detail
