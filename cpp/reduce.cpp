// Layer 3. The outline of the reduction, and turning proposals into proofs.
#include "reduce.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "parallel_dense.h"
#include "pool.h"
#include "reducer.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Seconds of each step, for stats().
class Clock {
 public:
  explicit Clock(Tally& tally) : tally_(tally) {}
  void lap(const char* name) {
    const auto now = std::chrono::steady_clock::now();
    tally_.seconds[name] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  Tally& tally_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

Facets reduce(const RowSystem& rows, const Vector& center, const ReduceOptions& options) {
  Parts one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  return reduce(rows, one, options);
}

Facets reduce(const RowSystem& rows, const Parts& center, const ReduceOptions& options) {
  Clock clock(rows.tally());
  detail::Reducer reducer(rows, center, options);
  reducer.free_units();
  clock.lap("group");
  reducer.prune();
  clock.lap("prune");
  reducer.shoot_images();
  clock.lap("rays");
  reducer.prove_in_quotient();
  clock.lap("quotient");
  reducer.search();
  clock.lap("search");
  reducer.finish();
  clock.lap("active_set");
  reducer.fall_back();
  clock.lap("exact");
  return reducer.collect();
}

namespace detail {

namespace {

// Rays from the centre are as good as its slacks: some slack has fewer than 20 correct bits in float64. Bounds of deep
// networks are wide; where they do not tell, the slacks in double-double do.
bool needs_more_digits(const RowSystem& rows, const Parts& center) {
  if (center.rows() > 1) return true;
  const RowSystem::Slacks slack = rows.slacks(center, false, true);
  std::vector<Index> vague;
  for (Index j = 0; j < rows.size(); ++j)
    if (!rows.zero_rows()[at(j)] && !(slack.error(0, j) * 0x1p20 < slack.value(0, j))) vague.push_back(j);
  if (vague.empty()) return false;
  const RefinedVector refined = rows.refined_slacks(center);
  return std::any_of(vague.begin(), vague.end(), [&](Index j) {
    const Refined exact = refined[j];
    const double off = std::fabs(slack.value(0, j) - exact.value.hi) + exact.radius;
    return !(exact.sign() > 0 && off * 0x1p20 < exact.value.hi);
  });
}

}  // namespace

Reducer::Reducer(const RowSystem& rows, const Parts& center, const ReduceOptions& options)
    : rows_(rows),
      options_(options),
      center_(center),
      fine_(needs_more_digits(rows, center)),
      held_(rows.units() > 0 ? rows.network()->hold(rows.pattern()) : nullptr),
      frame_(fine_ ? make_fine_frame(rows, center) : make_frame(rows, Vector(center.row(0), center.row(0) + rows.dim()))) {
  Grouping grouping = group_rows(rows);
  groups_ = std::move(grouping.groups);
  const Index R = frame_.rows(), K = frame_.dim;
  std::vector<Index> entry_of(s(rows.size()), -1);
  for (Index e = 0; e < R; ++e) entry_of[s(frame_.row[s(e)])] = e;
  for (Index k = 0; k < K; ++k) {
    if (frame_.lower_row[s(k)] >= 0) entry_of[s(frame_.lower_row[s(k)])] = R + k;
    if (frame_.upper_row[s(k)] >= 0) entry_of[s(frame_.upper_row[s(k)])] = R + K + k;
  }
  group_of_.assign(s(entries()), -1);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    Index chosen = -1;  // a plain bound stands for its group where there is one
    for (const Index row : groups_[g]) chosen = std::max(chosen, entry_of[s(row)] >= R ? entry_of[s(row)] : Index{-1});
    for (const Index row : groups_[g])
      if (chosen < 0) chosen = entry_of[s(row)];
    if (chosen >= 0) group_of_[s(chosen)] = static_cast<Index>(g);
  }
  polar_ = frame_.G;
  for (Index e = 0; e < R; ++e) inverse_.push_back(group_of_[s(e)] >= 0 ? 1 / frame_.h[s(e)] : 0.0);
  for_rows(options_.workers, R, K, [this, K](Index e) {
    for (Index k = 0; k < K; ++k) polar_(e, k) *= inverse_[s(e)];
  });
  polar_lower_.assign(s(K), 0.0);
  polar_upper_.assign(s(K), 0.0);
  for (Index k = 0; k < K; ++k) {
    if (frame_.lower_row[s(k)] >= 0) polar_lower_[s(k)] = -1 / frame_.lower[s(k)];
    if (frame_.upper_row[s(k)] >= 0) polar_upper_[s(k)] = 1 / frame_.upper[s(k)];
  }
  state_.assign(groups_.size(), State::open);
  witness_.resize(groups_.size());
  proof_.resize(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Index tighter = grouping.looser[g];
    if (tighter < 0) continue;
    const double ratio = norm2(rows.halfspaces().A.row(groups_[g][0]), rows.dim()) / norm2(rows.halfspaces().A.row(tighter), rows.dim());
    state_[g] = State::redundant;
    proof_[g] = {groups_[g][0], Proof::parallel, -1, {{tighter, ratio}}};
  }
}

std::vector<Index> Reducer::open_entries() const {
  std::vector<Index> open;
  for (Index e = 0; e < entries(); ++e)
    if (is_open(e)) open.push_back(e);
  return open;
}

Index Reducer::global_row(Index e) const {
  const Index R = frame_.rows(), K = frame_.dim;
  return e < R ? frame_.row[s(e)] : e < R + K ? frame_.lower_row[s(e - R)] : frame_.upper_row[s(e - R - K)];
}

double Reducer::length(Index e) const {
  const Index R = frame_.rows(), K = frame_.dim;
  return e < R ? frame_.length[s(e)] : frame_.bound_length[s(e < R + K ? e - R : e - R - K)];
}

SparseRow Reducer::to_rows(Index entry, const std::vector<std::pair<Index, double>>& multipliers, Proof kind) const {
  const Index claimed = groups_[s(group_of_[s(entry)])][0];
  const double own = norm2(rows_.halfspaces().A.row(claimed), rows_.dim());
  SparseRow form{{claimed, 1.0}};
  for (const auto& [e, value] : multipliers) {
    if (!(value > 0)) continue;
    const Index row = global_row(e);
    if (kind == Proof::box && e >= frame_.rows()) continue;                               // implied by the sup over the box
    if (kind == Proof::stage && row < rows_.network()->stages()[0].width) continue;       // implied by the signs
    const double multiplier = value * own / length(e);
    if (std::isfinite(multiplier)) form.emplace_back(row, -multiplier);  // the claim is checked without it
  }
  std::sort(form.begin(), form.end());
  return form;
}

void Reducer::prove(const std::vector<Claim>& claims) {
  if (claims.empty()) return;
  const bool box = rows_.domain().is_box();
  if (box) {
    prove_with(Proof::box, claims);
    return;
  }
  // In all of R^d first through the coordinates of the first stage, which need no bound for the residual.
  if (rows_.domain().is_all() && rows_.network() && !rows_.network()->stages().empty() &&
      rows_.network()->is_cut(rows_.network()->stages()[0].pre, 1))
    prove_with(Proof::stage, claims);
  const auto open = [this](const Claim& claim) { return is_open(claim.first); };
  if (frame_.kind == Frame::Kind::first_stage || std::none_of(claims.begin(), claims.end(), open)) return;  // bounds are dear
  if (options_.enclosure && options_.enclosure().finite()) prove_with(Proof::bounded, claims);
  for (const auto& [entry, multipliers] : claims)
    if (is_open(entry)) prove_by_basis(entry, multipliers);
}

void Reducer::prove_with(Proof kind, const std::vector<Claim>& claims) {
  const Vector* lower = kind == Proof::bounded ? &options_.enclosure().lower : &rows_.domain().lower;
  const Vector* upper = kind == Proof::bounded ? &options_.enclosure().upper : &rows_.domain().upper;
  std::vector<Index> tried;
  std::vector<SparseRow> forms;
  std::vector<std::vector<Index>> own;
  for (const auto& [entry, multipliers] : claims) {
    if (!is_open(entry)) continue;
    tried.push_back(entry);
    forms.push_back(to_rows(entry, multipliers, kind));
    own.push_back(groups_[s(group_of_[s(entry)])]);
  }
  std::vector<std::uint8_t> proven(forms.size(), 1);
  constexpr Index kBlock = 64;
  const Index count = static_cast<Index>(forms.size()), blocks = options_.certify ? (count + kBlock - 1) / kBlock : 0;
  parallel_for(blocks, options_.workers, [&](Index block) {
    const Index first = block * kBlock, last = std::min(count, first + kBlock);
    const std::vector<SparseRow> part(forms.begin() + first, forms.begin() + last);
    const std::vector<std::uint8_t> good =
        kind == Proof::stage ? check_by_stage(rows_, part, 0, {own.begin() + first, own.begin() + last})
                             : check_by_box(rows_, part, *lower, *upper);
    std::copy(good.begin(), good.end(), proven.begin() + first);
  });
  for (std::size_t i = 0; i < tried.size(); ++i) {
    const Index g = group_of_[s(tried[i])];
    if (!proven[i] || state_[s(g)] != State::open) continue;
    ++(proven[i] == 2 ? rows_.tally().refine : rows_.tally().triage);
    state_[s(g)] = State::redundant;
    Redundancy& proof = proof_[s(g)];
    proof.row = groups_[s(g)][0];
    proof.proof = kind;
    proof.stage = kind == Proof::stage ? 0 : -1;
    for (const auto& [row, value] : forms[i])
      if (row != proof.row) proof.multipliers.emplace_back(row, -value);
  }
}

void Reducer::prove_by_basis(Index entry, const std::vector<std::pair<Index, double>>& multipliers) {
  std::vector<Index> basis;
  for (const auto& [e, value] : multipliers)
    if (value > 0) basis.push_back(global_row(e));
  const Index g = group_of_[s(entry)];
  SparseRow enclosed;
  if (static_cast<Index>(basis.size()) != rows_.dim() || !check_by_basis(rows_, groups_[s(g)][0], basis, enclosed)) return;
  state_[s(g)] = State::redundant;
  proof_[s(g)] = {groups_[s(g)][0], Proof::basis, -1, enclosed};
}

void Reducer::prune() {
  if (!rows_.domain().is_box()) return;
  std::vector<Claim> claims;
  for (Index e = 0; e < frame_.rows(); ++e) {
    if (!is_open(e)) continue;
    double sup = -frame_.h[s(e)];
    for (Index k = 0; k < frame_.dim; ++k)
      sup += frame_.G(e, k) > 0 ? frame_.G(e, k) * frame_.upper[s(k)] : frame_.G(e, k) * frame_.lower[s(k)];
    if (sup < 0) claims.push_back({e, {}});
  }
  prove(claims);
}

Facets Reducer::collect() {
  Facets f;
  const std::vector<std::uint8_t>& zero = rows_.zero_rows();
  for (Index j = 0; j < rows_.size(); ++j)
    if (zero[s(j)]) f.zero_rows.push_back(j);
  std::vector<std::size_t> facets;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (state_[g] == State::facet) {
      facets.push_back(g);
    } else if (state_[g] == State::redundant) {
      f.redundant_groups.push_back(groups_[g]);
      f.proofs.push_back(proof_[g]);
    } else {
      f.undecided.push_back(groups_[g][0]);
      rows_.tally().undecided += 1;
    }
  }
  f.witness = Matrix(static_cast<Index>(facets.size()), rows_.dim());
  for (std::size_t i = 0; i < facets.size(); ++i) {
    const std::vector<Index>& group = groups_[facets[i]];
    f.groups.push_back(group);
    f.on_domain.push_back(group.back() >= rows_.units() ? 1 : 0);
    const Parts& witness = witness_[facets[i]];
    std::copy(witness.row(0), witness.row(0) + witness.cols(), f.witness.row(static_cast<Index>(i)));
    if (witness.rows() > 1) f.fine.emplace(static_cast<Index>(i), witness);
  }
  return f;
}

}  // namespace detail
}  // namespace pyregions
