// Layer 3, private to reduce*.cpp. The state of one reduction: entries (frame rows and bounds), groups, outcomes.
#pragma once

#include <optional>
#include <vector>

#include "along_images.h"
#include "exact_lp.h"
#include "first_stage_slacks.h"
#include "projection.h"
#include "reduce.h"

namespace pyregions::detail {

// Entry e of a frame: e < R a general row, R + k the lower bound of coordinate k, R + K + k its upper bound.
// Polar scaling: ratio_e(y) = (outward row e).y / slack of e at the centre, so the ray t y leaves through the entry with
// the largest ratio, at t = 1 / ratio: a facet if the largest is unique.
class Reducer {
 public:
  Reducer(const RowSystem& rows, const Parts& center, const ReduceOptions& options);

  void free_units();  // first_stage frames: units without a live slope are facets, one point each
  void prune();       // rows that the domain's box implies
  void shoot_images();
  void prove_in_quotient();
  void search();
  void finish();
  void fall_back();
  Facets collect();

 private:
  enum class State : std::uint8_t { open, facet, redundant };
  using Claim = std::pair<Index, std::vector<std::pair<Index, double>>>;  // entry, multipliers over entries
  struct Candidate {
    Index group;
    Vector y;
  };
  // All rows of the frame as whiten() says, then the bounds or not.
  struct Whitened {
    RowImages images;
    std::vector<Index> entry;  // what each row is
    Vector length, reach;      // of each image, and its distance from the centre; infinite where it stands back for its group
    Floats rows32, to_y32;     // images of length 1 in single precision, for w in units of `unit`
    double unit = 1;           // the median reach
    bool with_bounds = false;  // the bounds are among the rows (else they are handled coordinate by coordinate)
  };
  struct Hit {
    Index entry = -1;
    double best = 0, second = 0;
    void offer(Index candidate, double ratio) {
      if (ratio > best) {
        second = best;
        best = ratio;
        entry = candidate;
      } else if (ratio > second) {
        second = ratio;
      }
    }
  };

  Index entries() const { return frame_.rows() + 2 * frame_.dim; }
  bool is_open(Index entry) const { return group_of_[s(entry)] >= 0 && state_[s(group_of_[s(entry)])] == State::open; }
  std::vector<Index> open_entries() const;
  Index global_row(Index entry) const;
  double length(Index entry) const;
  Hit first_hit(const double* y, const double* ratios) const;
  void offer_bounds(const double* y, Hit& hit) const;
  std::vector<Hit> first_hits(const Matrix& y, const Matrix& ratios) const;
  // Turns first hits of the rays y into witnesses of open groups (each group once) and verifies them.
  void harvest(const Matrix& y, const std::vector<Hit>& hits, const AlongImages* along = nullptr, const Index* entry = nullptr);
  // Products of the frame's rows with each other, found when asked for; empty where they take too much room.
  const Matrix& products();
  bool worth_products(std::size_t solves) const;  // whether so many solves pay for them, or they are there
  Matrix row_products(const Frame& frame) const;
  static bool few_enough(const Frame& frame);  // rows, for their products with each other
  // steps: one per candidate, with `along`; else slacks come from the first stage's columns or from forward passes.
  void verify(const std::vector<Candidate>& candidates, const AlongImages* along, const std::vector<AlongImages::Step>& steps);
  // Null where there is no such frame, or so few points are asked for that making it would not pay.
  const FirstStageSlacks* first_stage_slacks(Index points);
  // Whether slacks with bounds say that a point violates just the rows of a group.
  enum class Verdict : std::uint8_t { unclear, yes, no };
  Verdict judge(Index group, const double* slack, const double* error) const;
  // The same by slacks at x from products; where these do not tell, by those of a forward pass.
  Verdict judge_products(Index group, const RowSystem::Slacks& slacks, Index i, const double* x) const;
  void take(Index group, const double* x, Verdict verdict);
  void accept_fine(const Candidate& candidate);  // where the cell is too thin for plain doubles
  bool violates_only(Index group, const std::vector<int>& signs) const;
  const Whitened& white();
  Whitened whiten() const;
  void find_metric(Whitened& white) const;
  // The open rows being searched, one per row of the matrices.
  struct Batch {
    std::vector<Index> entry, slot;  // slot: the row of Whitened, or -1 for a bound kept apart
    Matrix own, w, foot;             // unit rows in w, current points, and where the last steps ended without momentum
    Floats products;                 // of the points with all rows, in single precision
    Matrix y;                        // the points' rays in y ...
    std::vector<Hit> hits;           // ... and where they leave
  };
  Batch start_batch(const Whitened& white, std::vector<Index> entries) const;
  void keep_open(Batch& batch) const;
  void shoot(const Whitened& white, Batch& batch, Index first, Index last) const;
  void descend(const Whitened& white, Batch& batch, Index first, Index last) const;
  SparseRow to_rows(Index entry, const std::vector<std::pair<Index, double>>& multipliers, Proof kind) const;
  // Multipliers over entries (scaled so that the claimed entry has 1) -> certificate, checked in batches.
  void prove(const std::vector<Claim>& claims);
  void prove_with(Proof kind, const std::vector<Claim>& claims);
  void prove_by_basis(Index entry, const std::vector<std::pair<Index, double>>& multipliers);
  // What one round of least-distance solves shares.
  struct Round {
    const Frame& frame;
    double overshoot, tilt, precision;
    Vector lean;
    const Matrix& products;  // of rows with rows; may be empty
  };
  Round start_round(const Frame& frame, const Matrix& products, double overshoot, double tilt) const;
  static NearestPoint beyond(const Round& round, Index e, const std::vector<std::uint8_t>& skip);
  void finish_once(double overshoot, double tilt);
  void maximize_rows();
  std::vector<std::uint8_t> all_but(Index e) const;
  void harvest_points(const std::vector<const Vector*>& points);
  std::vector<std::pair<Index, double>> settle_with_lp(Index entry);  // the multipliers over entries at the optimum
  void settle_exactly(Index entry);
  bool settle_by_refinement(Index entry, const NearestPoint& nearest);
  class FaceProgram;
  bool settle_beside(Index entry, const Deadline& deadline);
  bool settle_on(std::vector<Index> face, Index entry, const Deadline& deadline);
  Vector unit_row(Index entry) const;
  double slack(Index entry) const;  // at the centre
  bool settle_by_support(Index group, const std::vector<Index>& support);
  void settle_by_program(Index group, const std::vector<Index>& support);

  static std::size_t s(Index i) { return static_cast<std::size_t>(i); }

  const RowSystem& rows_;
  const ReduceOptions& options_;
  Parts center_;
  bool fine_;  // slacks at the centre, and sums of it and y, need more digits than a double has
  std::shared_ptr<const Network::Held> held_;  // null without units
  Frame frame_;
  Matrix polar_;                       // R x K; zero rows for entries that stand back for their group
  Vector inverse_;                     // the factors of its rows
  std::optional<FirstStageSlacks> first_stage_slacks_;
  std::optional<Matrix> products_;
  std::optional<Whitened> white_;
  bool foot_points_shot_ = false;      // the rays along the images of all rows
  Vector polar_lower_, polar_upper_;   // 1 / distance to the bound, 0 where there is none
  std::vector<std::vector<Index>> groups_;
  std::vector<Index> group_of_;        // entry -> group it represents, or -1
  std::vector<State> state_;
  std::vector<Parts> witness_;
  std::vector<Redundancy> proof_;
};

}  // namespace pyregions::detail
