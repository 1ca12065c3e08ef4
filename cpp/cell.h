// Layer 4. One cell with everything asked of it computed once: facets, ball, boundedness, neighbors, decision
// boundaries. How a cell is found from a point or a pattern.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "chebyshev.h"
#include "interior_point.h"
#include "predicates.h"
#include "reduce.h"

namespace pyregions {

// A point whose unit has pre-activation exactly 0 on a row that is not identically 0.
class OnBoundaryError : public std::runtime_error {
 public:
  explicit OnBoundaryError(std::vector<Label> labels);
  const std::vector<Label>& labels() const { return labels_; }

 private:
  std::vector<Label> labels_;
};

class OutsideDomainError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Why a pattern has no region: the weighted slacks sum to at most 0 (proof as in Proof).
struct NoInterior {
  Proof proof = Proof::none;
  int stage = -1;
  SparseRow multipliers;
  Combination exact = {};
};

// Outputs i < j: where f_i - f_j changes sign inside the region, and where both tie for the largest.
struct ClassPair {
  Index i = 0, j = 0;
  int crosses = -1;       // 1, 0, or -1 undecided
  bool identical = false;
  int sign = 0;           // of f_i - f_j at the interior point
  Parts positive, negative;  // points strictly inside with f_i > f_j, f_i < f_j; empty when none
  int piece = -1;         // {f_i = f_j >= all f_k} has dimension d - 1 inside
  // f_i > f_j > others, f_j > f_i > others: on the segment both stay above them. Others are all outputs that do not tie
  // with i and j wherever those two tie.
  Parts first, second;
};
struct DecisionBoundaries {
  std::vector<ClassPair> pairs;
  std::vector<int> classes;      // 1: strictly the largest somewhere inside, 0: nowhere, -1: undecided
  std::vector<Parts> witness;    // per class
};

struct Extremum {
  enum class Status { optimal, unbounded } status = Status::optimal;
  Vector point;        // in the closed cell, or a direction of unlimited gain
  Parts fine = {};     // the point itself where one double per coordinate is not enough, else empty
  double value = 0;    // at the point, rounded
  double lower = 0, upper = 0;  // rigorous bounds of the supremum (maximize) or the distance (project)
};

class Cell {
 public:
  Cell(RowSystem rows, Vector start, bool start_is_inside);
  Cell(RowSystem rows, InteriorPoint found);

  const RowSystem& rows() const { return rows_; }
  const Vector& interior();  // strictly inside, proven, up to the rounding that fine() mends; throws UndecidedError
  // The interior point as a sum of doubles; more than one part where no double per coordinate was found inside.
  const Parts& fine();
  const Facets& facets(int workers);
  // For measuring and testing: the facets as floats propose them, unproven; the facets by exact programs alone.
  Facets proposed_facets(int workers);
  Facets exact_facets();
  const Facets& decided_facets(int workers);  // throws UndecidedError when a row stayed open
  const Ball& ball(int workers = 1);
  const Boundedness& bounds();
  const Enclosure& enclosure();  // empty when floats do not prove the cell bounded
  struct Neighbors {
    std::vector<Index> facet;
    std::vector<Pattern> pattern;
  };
  const Neighbors& neighbors();
  std::shared_ptr<Cell> neighbor(Index k);  // the k-th of neighbors() as a cell
  const Network::Affine& affine_map();  // of the network's outputs; may be asked by several threads. Requires: a network
  // Per neighbor the change of the affine map: W' = W + v a^T, c' = c - v b with (a, b) the first row of the facet.
  Matrix neighbor_changes();
  const DecisionBoundaries& decision_boundaries();
  // Supremum of c.x + q.f(x) over the cell (either may be empty).
  Extremum maximize(const Vector& c, const Vector& q);
  Extremum project(const Vector& y, int norm);  // 1, 2, or 0 for the maximum norm
  bool contains(const double* point, bool strictly) const;
  Tally tally() const;
  // The same per kind of call, without what other calls it made; the seconds of each under "all".
  const std::map<std::string, Tally>& calls() const { return calls_; }

 private:
  class Threads;  // while one lives, rows() may use so many workers
  class Call;  // while one lives, what is decided counts for its name
  Pattern across(const std::vector<Index>& group) const;
  Ball find_ball();
  bool thin() { return fine().rows() > 1; }  // floats cannot enter: everything is decided exactly

  mutable std::map<std::string, Tally> calls_;
  mutable Call* current_ = nullptr;
  RowSystem rows_;
  Vector start_;
  bool start_is_inside_ = false;
  std::optional<Vector> interior_;
  Parts fine_;
  std::optional<Facets> facets_;
  std::optional<Ball> ball_;
  std::optional<Boundedness> bounds_;
  bool bounds_settled_ = false;
  std::optional<Neighbors> neighbors_;
  Network::Affine map_;
  std::once_flag map_once_;
  std::optional<DecisionBoundaries> boundaries_;
};

class Cell::Call {
 public:
  Call(const Cell& cell, const char* name);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  const Cell& cell_;
  const char* name_;
  Call* outer_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  Tally before_, inner_;  // at the beginning; of the calls within
};

// The exact sign of every unit at a point (-1, 0, 1), by triage, double-double, then integers.
std::vector<int> unit_signs(const Network& network, const double* point);

// The cell of a point. any: a tie is broken as in the direction of the domain's interior point, then e_1, ..., e_d;
// otherwise OnBoundaryError. Throws OutsideDomainError.
std::shared_ptr<Cell> cell_at(std::shared_ptr<const Network> network, const Vector& point, std::shared_ptr<const Domain> domain,
                              bool any, double exact_budget = kExactBudget);
// The cell of a pattern, made canonical, or the proof that it has no interior. network may be null (pattern empty).
std::variant<std::shared_ptr<Cell>, NoInterior> cell_of(std::shared_ptr<const Network> network, Pattern pattern,
                                                        std::shared_ptr<const Domain> domain,
                                                        double exact_budget = kExactBudget);
// A finite point near the middle of the domain, a start for searches.
Vector middle(const Domain& domain);

}  // namespace pyregions
