// Layer 2. The ladder: exact decisions about the rows of one cell, each tried cheapest rung first, and the checkers of
// certificates. Knows no solver.
//
// Notation. Row j of a cell is h_j(x) = a_j.x - b_j <= 0; its slack is -h_j(x). Unit rows come first (row index = unit
// index), then the domain's rows. For unit u with pre-activation z_u: h_u = s_u z_u with s_u = -1 for piece 1, +1 for
// piece 0, so every check runs the network and never reads a composed matrix, except where an interval of it is enough.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bignum.h"
#include "halfspaces.h"
#include "network.h"

namespace pyregions {

// A decision that no rung could make, and the rows that it is about (none when it is about the cell as a whole).
class UndecidedError : public std::runtime_error {
 public:
  explicit UndecidedError(const std::string& what, std::vector<Index> rows = {}) : std::runtime_error(what), rows_(std::move(rows)) {}
  const std::vector<Index>& rows() const { return rows_; }

 private:
  std::vector<Index> rows_;
};

using SparseRow = std::vector<std::pair<Index, double>>;  // (row, multiplier), rows ascending

// own * a_i = sum of multiplier * a_j over the terms, an equality of integers times the exact rows; own = 0 where no row
// is claimed and the sum itself vanishes.
struct Combination {
  Integer own = 0;
  std::vector<std::pair<Index, Integer>> terms;  // rows ascending, multipliers > 0
};

// A point as an unevaluated sum of doubles: the rows of the matrix are its parts, the first the nearest double.
using Parts = Matrix;

// How often each rung decided, and what was proposed to it. Law: every public decision adds to exactly one rung.
struct Tally {
  long triage = 0;     // float64 with the normwise bound
  long tight = 0;      // float64 with the elementwise bound
  long basis = 0;      // verified basis
  long refine = 0;     // double-double with a radius
  long exact = 0;      // integers
  long undecided = 0;
  long active_set = 0, lps = 0, interior = 0;  // proposals asked from the solvers
  std::map<std::string, double> seconds;
  void add(const Tally& other, long sign = 1);  // sign -1: what has been added since `other`
};

struct ExactRow {
  DyadicVector a;  // outward normal
  Dyadic b;
};

constexpr double kExactBudget = 60;  // seconds

class RowSystem {
 public:
  // network may be null: then the rows are the domain's alone.
  // exact_budget: seconds that one exact decision may take before it stays undecided.
  RowSystem(std::shared_ptr<const Network> network, Pattern pattern, std::shared_ptr<const Domain> domain,
            double exact_budget = kExactBudget);

  Index dim() const { return domain_->dim; }
  Index units() const { return units_; }
  Index size() const { return units_ + domain_rows_; }
  const Network* network() const { return network_.get(); }
  std::shared_ptr<const Network> network_ptr() const { return network_; }
  const Pattern& pattern() const { return pattern_; }
  const Domain& domain() const { return *domain_; }
  std::shared_ptr<const Domain> domain_ptr() const { return domain_; }
  double side(Index unit) const { return pattern_[static_cast<std::size_t>(unit)] ? -1.0 : 1.0; }
  Label label(Index row) const;

  // The composed rows with bounds, computed once.
  const Halfspaces& halfspaces() const;
  // Rigorous enclosures of the Euclidean norms of the exact rows.
  const Vector& norm_lower() const;
  const Vector& norm_upper() const;
  // Exactly zero normals (decided by structure, triage, or a backward pass in double-double or integers), computed once.
  const std::vector<std::uint8_t>& zero_rows() const;

  // Slacks of all rows at points (rows of the matrix) with bounds; linear: directions, -a_j.u. M x size().
  struct Slacks {
    Matrix value, error;
  };
  Slacks slacks(const Matrix& points, bool linear = false, bool tight = false) const;
  // Where many calls follow each other; held: of the network under the pattern, null without units.
  Slacks slacks(const Matrix& points, const Network::Held* held) const;
  // Exact signs of all slacks at one point.
  std::vector<int> slack_signs(const double* point, bool linear = false) const;
  // True when every nonzero row is strictly slack at the point (an interior witness), decided by the ladder.
  bool strictly_inside(const double* point) const;
  // The same for a point that is the unevaluated sum of the rows of `parts` (at least one).
  std::vector<int> slack_signs(const Matrix& parts, bool linear = false) const;
  bool strictly_inside(const Matrix& parts) const;
  // Slacks in double-double, for such a point: Law of Refined, row by row.
  RefinedVector refined_slacks(const Matrix& parts, bool linear = false) const;

  // sum_j mu_j h_j(x) = g.x + c, one form per sparse row of multipliers, with bounds.
  Network::Forms forms(const std::vector<SparseRow>& multipliers) const;
  // The same in the pre-activations of a stage: mu over unit rows of stages >= stage only.
  Network::Forms stage_forms(const std::vector<SparseRow>& multipliers, int stage) const;
  Network::RefinedForm stage_form_refined(const SparseRow& multipliers, int stage) const;
  // The same in double-double, straight from the weights, for one sparse row of double-double multipliers; plus
  // sum_o outputs_o f_o(x) + direct.x (empty: 0).
  using RefinedRow = Network::RefinedEntries;  // (row, multiplier)
  Network::RefinedForm refined_form(const RefinedRow& multipliers, const RefinedRow& outputs = {},
                                    const Vector& direct = {}) const;
  ExactRow exact_row(Index row) const;
  // a_i = t a_j with t > 0, exactly. Requires: neither is zero.
  bool parallel(Index i, Index j) const;
  // For parallel rows the exact sign of b_i / |a_i| - b_j / |a_j|: negative when row i is the tighter one, 0 when they
  // coincide.
  int compare_offsets(Index i, Index j) const;

  Tally& tally() const { return tally_; }
  double exact_budget() const { return exact_budget_; }
  // Threads that an answer about these rows may use now. No answer depends on it.
  int workers() const { return workers_; }
  void use_workers(int workers) { workers_ = workers; }

 private:
  Slacks slacks_by(const Matrix& points, bool linear, const std::function<Network::Values(const Matrix&)>& forward) const;
  // The last rungs, for the rows still open; they and the tally are changed.
  void decide_refined(const Matrix& parts, bool linear, std::vector<Index>& open, std::vector<int>& signs) const;
  void decide_exactly(const Matrix& parts, bool linear, const std::vector<Index>& open, std::vector<int>& signs) const;
  bool strictly_slack(const std::vector<int>& signs) const;
  bool nonzero_refined(Index row) const;  // proven by a backward pass in double-double
  Refined refined_domain_slack(Index row, const RefinedVector& x, bool linear) const;

  std::shared_ptr<const Network> network_;
  Pattern pattern_;
  std::shared_ptr<const Domain> domain_;
  Index units_ = 0, domain_rows_ = 0;
  std::vector<Label> domain_labels_;
  mutable std::unique_ptr<Halfspaces> halfspaces_;
  mutable Vector norm_lower_, norm_upper_;
  mutable std::vector<std::uint8_t> zero_;
  mutable bool zero_known_ = false;
  mutable std::map<Index, ExactRow> exact_rows_;
  mutable Tally tally_;
  double exact_budget_;
  int workers_ = 1;
};

// ---- certificates

// An axis-parallel box known to contain the cell.
struct Enclosure {
  Vector lower, upper;
  bool finite() const { return !lower.empty(); }
};

// Upper bounds of g.x + c over the box, rounding and the forms' own error bounds included.
Vector sup_over_box(const Network::Forms& forms, const Vector& lower, const Vector& upper);

// parallel: the claimed row is a positive multiple of one other row, with a looser offset, exactly. exact: a Combination.
enum class Proof : std::uint8_t {
  box = 0, stage = 1, bounded = 2, basis = 3, direction = 4, opposite = 5, parallel = 6, exact = 7, none = 255
};

// Row i (with its group) is implied by other rows: h_i <= sum lambda_j h_j + (nonpositive) on the cell.
struct Redundancy {
  Index row = -1;
  Proof proof = Proof::none;
  int stage = -1;
  SparseRow multipliers;
  Combination exact = {};  // Proof::exact
};

// Batch checkers: result[m] says whether claim m was proven. The forms must carry +1 on the claimed row and -lambda on
// the others.
std::vector<std::uint8_t> check_by_box(const RowSystem& rows, const std::vector<SparseRow>& forms, const Vector& lower,
                                       const Vector& upper);
// Stage signs: F = mu.z + c with mu_k s_k >= 0 for all k, c <= 0, and what the rows of own[m] (coincident rows, the
// claimed one first) give to themselves through the stage's own multipliers sums to less than 1. 1: proven by floats, 2: in
// double-double, which sees through the bounds of deep networks.
std::vector<std::uint8_t> check_by_stage(const RowSystem& rows, const std::vector<SparseRow>& forms, int stage,
                                         const std::vector<std::vector<Index>>& own);

// Verified basis: `basis` are dim() rows, B the matrix of their exact normals. regular: |I - R B| <= epsilon < 1 in the
// maximum norm of rows, so B is regular.
struct BasisInverse {
  bool regular = false;
  double epsilon = 0;
  Matrix R;
};
BasisInverse invert_basis(const RowSystem& rows, const std::vector<Index>& basis);

// Encloses the exact multipliers lambda of target = sum lambda_j a_j (target a linear form with per-coefficient bounds)
// when the basis is proven regular.
struct BasisEnclosure {
  bool regular = false;
  Vector lambda, radius;
};
BasisEnclosure enclose_multipliers(const RowSystem& rows, const std::vector<Index>& basis, const double* target,
                                   double target_error);
// sum_j rows_j h_j(x) + sum_o outputs_o f_o(x) + direct.x, given by what defines it, so that any rung can evaluate it.
struct LinearTarget {
  SparseRow rows, outputs;
  Vector direct;  // empty: 0
};
// An upper bound of the target over {a_j.x <= b_j, j in basis} when the exact multipliers are proven positive, else
// infinity: in float64 with `form`, the float form of the target; where that leaves the sign of a multiplier open or is
// not below `enough`, with multipliers refined in double-double, straight from the weights. A basis that floats cannot
// prove regular, or a multiplier proven negative, ends it.
struct BasisBound {
  double sup = std::numeric_limits<double>::infinity();
  bool refined = false;  // the rung that found it
  Vector lambda;
};
BasisBound bound_by_basis(const RowSystem& rows, const std::vector<Index>& basis, const Network::Forms& form,
                          const LinearTarget& target, double enough);
// Row i redundant by the verified basis: all multipliers > 0 and lambda.b < b_i. Counts itself, as basis or refine.
bool check_by_basis(const RowSystem& rows, Index row, const std::vector<Index>& basis, SparseRow& multipliers);

// A proposal: the solution of a_j.x = b_j, j in basis, near x as a sum of two doubles (2 x dim()), by a few steps with
// double-double residuals. inverse: an approximate inverse of the basis, computed if null.
Matrix refine_vertex(const RowSystem& rows, const std::vector<Index>& basis, const Vector& x, const Matrix* inverse = nullptr);

}  // namespace pyregions
