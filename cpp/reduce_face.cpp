// Layer 3. Entries that are nearly combinations of others, so that floats cannot tell them apart: programs over the face
// on which those others are tight. There only differences count, and these are taken exactly and scaled up.
#include <algorithm>
#include <cmath>
#include <set>

#include "exact_rung.h"
#include "lp.h"
#include "orthogonal_factor.h"
#include "reducer.h"

namespace pyregions::detail {

namespace {
// How far a program over a face looks, in units of the farthest row: a vertex beyond shows as much as a ray.
constexpr double kFarAway = 0x1p10;
// How far the walls of the face may be off, in units of the differences: some ties are closer than others.
constexpr double kOff = 0x1p30;
// Shares by which the other walls are moved inward, tried in turn, when a point on a face is sought.
constexpr double kInward[] = {0x1p-5, 0x1p-12};
// Unit rows nearer than this to a span (squared) are told apart from it by exact differences; multipliers below it are
// not counted on to stay positive. It chooses what is asked, never an answer.
constexpr double kNearly = 0x1p-20;
// The objective of a program over a face has size 1: smaller duals, and smaller steps from a wall, are rounding.
constexpr double kVisible = 0x1p-40;
// Slacks beyond are none for the solver.
constexpr double kHuge = 0x1p100;
}  // namespace

// Entries as unit rows a_e with slack s_e at the centre. Those of the face are tight as far as floats see; exactly,
// s_i - a_i.y = unit t_i with an unknown t_i >= 0. An entry that is nearly in their span, a_e = sum c_i a_i + size d with
// d of size 1, then says
//   d.y - sum (c_i unit / size) t_i <= slack of d,
// in numbers of usual size (without d where it is too small to be seen). unit: the size of the claimed entry's difference.
// The other entries do not see t. Variables: y, then t; lengths in units of the farthest row's slack, so that the
// solver's tolerances are relative to the cell.
class Reducer::FaceProgram {
 public:
  FaceProgram(const Reducer& reducer, const std::vector<Index>& face, Index claimed);

  // Whether there is a program: the claimed entry is nearly in the span of the face, and not in it.
  bool posed() const { return unit_ > 0; }
  // The farthest point of the face beyond the claimed entry, all other walls moved inward by a share of their slack.
  LpResult solve(double inward) const;
  LpResult solve_inside() const;  // by the first share that leaves any, else by the last
  bool reaches_beyond(const LpResult& lp) const { return lp.objective - limit_ > kVisible * (1 + std::fabs(limit_)); }
  Vector point(const LpResult& optimal) const;  // in the frame
  std::vector<Index> carried(const LpResult& optimal) const;   // the rows that carry the optimum
  // Other faces to look at: where the multipliers of usual size are, and this one with the walls that leave it no inside.
  std::vector<Index> moved(const LpResult& optimal) const;
  std::vector<Index> wider(const LpResult& infeasible) const;

 private:
  // A unit entry against the span: its shares c in the face, and how far it is from the span.
  struct Split {
    Vector shares;
    double distance2 = 0;
  };
  Split split(Index e) const;
  ExactRung::ScaledRow difference(Index e, const Vector& shares) const;  // of the unit entry: size as above
  bool is_wall(Index e) const { return reducer_.group_of_[s(e)] >= 0 && e != claimed_ && !on_face(e); }
  bool on_face(Index e) const { return std::find(face_.begin(), face_.end(), e) != face_.end(); }
  bool never_tight(Index e, const Split& apart) const;
  void leave_out(Index e);
  void assemble(const std::vector<Split>& apart);
  double dual(const LpResult& lp, Index e) const;  // of an entry as the program has it

  const Reducer& reducer_;
  const Index claimed_, R_, K_;
  std::vector<Index> face_;  // independent
  OrthogonalFactor factor_;
  double length_ = 1;  // of the farthest row's slack
  double unit_ = 0, limit_ = 0;
  Vector objective_;
  Matrix G_;  // the general rows, the face from its other side, the entries near its span
  Vector h_, lower_, upper_;
  std::vector<Index> near_;
  std::vector<std::uint8_t> skip_;
};

Reducer::FaceProgram::FaceProgram(const Reducer& reducer, const std::vector<Index>& face, Index claimed)
    : reducer_(reducer), claimed_(claimed), R_(reducer.frame_.rows()), K_(reducer.frame_.dim) {
  const Frame& frame = reducer_.frame_;
  factor_.reset(K_);
  Vector c, z;
  for (const Index e : face) {
    const double distance2 = factor_.split(reducer_.unit_row(e).data(), c, z);
    if (distance2 > kNearly) factor_.append(c, z, distance2), face_.push_back(e);
  }
  const Split own = split(claimed_);
  if (own.distance2 > kNearly) return;
  const ExactRung::ScaledRow objective = difference(claimed_, own.shares);
  unit_ = objective.size;
  if (!posed()) return;
  const Vector& h = frame.h;
  length_ = h.empty() ? 1.0 : *std::max_element(h.begin(), h.end());
  limit_ = objective.slack / length_;
  objective_ = objective.a;
  for (const double share : own.shares) objective_.push_back(-share);

  for (Index k = 0; k < K_; ++k) {
    lower_.push_back(std::max(frame.lower[s(k)] / length_, -kFarAway));
    upper_.push_back(std::min(frame.upper[s(k)] / length_, kFarAway));
  }
  skip_.assign(s(R_), 0);
  for (Index e = 0; e < R_; ++e)
    if (!is_wall(e) && !on_face(e)) leave_out(e);
  if (claimed_ >= R_) leave_out(claimed_);
  std::vector<Split> apart;
  for (Index e = 0; e < reducer_.entries(); ++e) {
    if (!is_wall(e)) continue;
    Split of_wall = split(e);
    if (of_wall.distance2 > kNearly) continue;
    leave_out(e);
    if (!never_tight(e, of_wall)) near_.push_back(e), apart.push_back(std::move(of_wall));
  }
  assemble(apart);
}

Reducer::FaceProgram::Split Reducer::FaceProgram::split(Index e) const {
  Split result;
  Vector z;
  result.distance2 = factor_.split(reducer_.unit_row(e).data(), result.shares, z);
  factor_.solve_upper(result.shares.data());
  return result;
}

ExactRung::ScaledRow Reducer::FaceProgram::difference(Index e, const Vector& shares) const {
  const double own = reducer_.length(e);
  SparseRow of_rows;
  for (std::size_t i = 0; i < face_.size(); ++i) {
    const double share = shares[i] * (own / reducer_.length(face_[i]));
    if (!std::isfinite(share)) return {};
    of_rows.emplace_back(reducer_.global_row(face_[i]), share);
  }
  ExactRung::ScaledRow d = ExactRung(reducer_.rows_).difference(reducer_.global_row(e), of_rows, reducer_.center_);
  (d.a.empty() ? d.slack : d.size) /= own;
  return d;
}

// On the face an entry near its span hardly moves: most of them are far from tight there.
bool Reducer::FaceProgram::never_tight(Index e, const Split& apart) const {
  double slack = reducer_.slack(e), size = std::fabs(slack);
  for (std::size_t i = 0; i < face_.size(); ++i) {
    slack -= apart.shares[i] * reducer_.slack(face_[i]);
    size += std::fabs(apart.shares[i] * reducer_.slack(face_[i]));
  }
  return slack > kFarAway * length_ * std::sqrt(apart.distance2 * static_cast<double>(K_)) + kVisible * size;
}

void Reducer::FaceProgram::leave_out(Index e) {
  if (e < R_)
    skip_[s(e)] = 1;
  else if (e < R_ + K_)
    lower_[s(e - R_)] = -kFarAway;
  else
    upper_[s(e - R_ - K_)] = kFarAway;
}

void Reducer::FaceProgram::assemble(const std::vector<Split>& apart) {
  const Index T = static_cast<Index>(face_.size()), N = static_cast<Index>(near_.size());
  const Matrix& general = reducer_.frame_.G;
  G_ = Matrix(R_ + T + N, K_ + T);
  for (const double slack : reducer_.frame_.h) h_.push_back(slack / length_);
  for (Index e = 0; e < R_; ++e) std::copy(general.row(e), general.row(e) + K_, G_.row(e));
  for (Index i = 0; i < T; ++i) {
    const Vector row = reducer_.unit_row(face_[s(i)]);
    for (Index k = 0; k < K_; ++k) G_(R_ + i, k) = -row[s(k)];
    h_.push_back(-reducer_.slack(face_[s(i)]) / length_);
  }
  for (Index n = 0; n < N; ++n) {
    const ExactRung::ScaledRow d = difference(near_[s(n)], apart[s(n)].shares);
    double scale = 1, slack = (d.size > 0 ? d.size * d.slack : d.slack) / unit_;
    if (d.size > kVisible * unit_) {
      std::copy(d.a.begin(), d.a.end(), G_.row(R_ + T + n));
      scale = unit_ / d.size, slack = d.slack;
    }
    for (Index i = 0; i < T; ++i) G_(R_ + T + n, K_ + i) = -scale * apart[s(n)].shares[s(i)];
    h_.push_back(std::clamp(slack / length_, -kHuge, kHuge));
  }
  skip_.resize(s(G_.rows()), 0);
  lower_.resize(s(K_ + T), 0.0);
  upper_.resize(s(K_ + T), kOff);
}

LpResult Reducer::FaceProgram::solve(double inward) const {
  const Index T = static_cast<Index>(face_.size());
  Vector h = h_, lower = lower_, upper = upper_;
  for (Index j = 0; j < G_.rows(); ++j)
    if (j >= R_ + T || (j < R_ && !on_face(j))) h[s(j)] -= inward * std::fabs(h[s(j)]);
  for (Index k = 0; k < K_; ++k) {
    if (!on_face(R_ + k)) lower[s(k)] *= 1 - inward;
    if (!on_face(R_ + K_ + k)) upper[s(k)] *= 1 - inward;
  }
  for (Index i = 0; i < T; ++i) lower[s(K_ + i)] = inward;
  reducer_.rows_.tally().lps += 1;
  return maximize_lp(G_, h, objective_, lower, upper, &skip_);
}

Vector Reducer::FaceProgram::point(const LpResult& lp) const {
  Vector y(lp.x.begin(), lp.x.begin() + K_);
  for (double& v : y) v *= length_;
  return y;
}

LpResult Reducer::FaceProgram::solve_inside() const {
  LpResult lp;
  for (const double inward : kInward) {
    lp = solve(inward);
    if (lp.status != LpResult::Status::infeasible) break;
  }
  return lp;
}

double Reducer::FaceProgram::dual(const LpResult& lp, Index e) const {
  const Index T = static_cast<Index>(face_.size());
  const auto near = std::find(near_.begin(), near_.end(), e);
  if (near != near_.end()) return lp.row_duals[s(R_ + T + (near - near_.begin()))];
  if (e < R_) return lp.row_duals[s(e)];
  const Index k = e < R_ + K_ ? e - R_ : e - R_ - K_;
  return e < R_ + K_ ? (reducer_.frame_.lower_row[s(k)] >= 0 ? -lp.bound_duals[s(k)] : 0.0)
                     : (reducer_.frame_.upper_row[s(k)] >= 0 ? lp.bound_duals[s(k)] : 0.0);
}

// An entry of the face carries either through t, with a multiplier of usual size, or, where that is zero and t too, by
// its equality. Where t is positive it is not tight.
std::vector<Index> Reducer::FaceProgram::carried(const LpResult& lp) const {
  std::vector<Index> rows;
  for (std::size_t i = 0; i < face_.size(); ++i) {
    const std::size_t t = s(K_) + i;
    const double equality = dual(lp, face_[i]) - lp.row_duals[s(R_) + i];
    if (-lp.bound_duals[t] > kVisible || (lp.x[t] < kVisible && equality > kVisible))
      rows.push_back(reducer_.global_row(face_[i]));
  }
  for (Index e = 0; e < reducer_.entries(); ++e)
    if (is_wall(e) && dual(lp, e) > kVisible) rows.push_back(reducer_.global_row(e));
  return rows;
}

std::vector<Index> Reducer::FaceProgram::moved(const LpResult& lp) const {
  std::vector<Index> face;
  for (std::size_t i = 0; i < face_.size(); ++i)
    if (-lp.bound_duals[s(K_) + i] > kNearly) face.push_back(face_[i]);
  for (const Index e : near_)
    if (dual(lp, e) > kNearly) face.push_back(e);
  std::sort(face.begin(), face.end());
  return face;
}

std::vector<Index> Reducer::FaceProgram::wider(const LpResult& lp) const {
  std::vector<Index> face = face_;
  if (lp.row_duals.empty()) return face;  // the solver gave no reasons
  for (Index e = 0; e < reducer_.entries(); ++e)
    if (is_wall(e) && dual(lp, e) > kNearly && split(e).distance2 > kNearly) face.push_back(e);
  std::sort(face.begin(), face.end());
  return face;
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

// Nearly a multiple of another entry.
bool Reducer::settle_beside(Index e, const Deadline& deadline) {
  if (frame_.kind != Frame::Kind::ambient) return false;
  const Vector own = unit_row(e);
  for (Index j = 0; j < entries(); ++j)
    if (j != e && group_of_[s(j)] >= 0 && dot(own.data(), unit_row(j).data(), frame_.dim) > 1 - kNearly)
      if (settle_on({j}, e, deadline) || deadline.is_over()) return !is_open(e);
  return false;
}

// The support of the program over the face may imply the entry, its vertex may lie beyond it. Else the optimum may ask
// for another face; and where the face has no inside, the walls that meet on it nearly are tight there, too.
bool Reducer::settle_on(std::vector<Index> face, Index e, const Deadline& deadline) {
  if (frame_.kind != Frame::Kind::ambient) return false;
  NearestPoint start;
  const auto take = [&](Vector y) {
    start.status = NearestPoint::Status::optimal;
    start.y = std::move(y);
  };
  std::sort(face.begin(), face.end());
  std::set<std::vector<Index>> seen;
  while (seen.insert(face).second && (seen.size() == 1 || !deadline.is_over())) {
    const FaceProgram program(*this, face, e);
    if (!program.posed()) break;
    LpResult lp = program.solve(0);
    if (lp.status == LpResult::Status::optimal) {
      if (!program.reaches_beyond(lp)) {
        if (settle_by_support(group_of_[s(e)], program.carried(lp))) return true;
        face = program.moved(lp);
        if (seen.count(face) == 0) continue;
      }
      take(program.point(lp));
      lp = program.solve_inside();
    }
    if (lp.status == LpResult::Status::optimal && program.reaches_beyond(lp)) take(program.point(lp));  // a better start
    if (lp.status != LpResult::Status::infeasible) break;
    face = program.wider(lp);
  }
  return start.status == NearestPoint::Status::optimal && settle_by_refinement(e, start);
}

}  // namespace pyregions::detail
