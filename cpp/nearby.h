// Layer 4. Questions at a point that need no program: the nearest rows of its region, how many rows lie within a
// distance, which units change their sign on the vertices of a cross-polytope, the patterns of many points.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "bignum.h"
#include "predicates.h"

namespace pyregions {

// The pattern of the region of a point in all of R^d; any: as cell_at. Throws OnBoundaryError.
Pattern pattern_at(const std::shared_ptr<const Network>& network, const Vector& point, bool any);

// One row's hyperplane, and the distance of the point to it with bounds: all infinite where the row is zero, and nowhere else.
struct NearRow {
  Index row = 0;
  double value = 0, lower = 0, upper = 0;
};

// Distances from a point to the hyperplanes of rows, in the 1-, 2- or maximum norm (0): the slack's size over the dual norm of
// the row. What floats leave open is compared in integers, one backward pass per row. All arguments must outlive it.
class RowDistances {
 public:
  // The rows of the units in a pattern; composed stage by stage and not kept.
  RowDistances(const Network& network, const Pattern& pattern, const Vector& point, int norm);
  // All rows of a cell.
  RowDistances(const RowSystem& rows, const Vector& point, int norm);

  const std::vector<NearRow>& rows() const { return rows_; }
  // The k nearest of the first `among` rows, or all if there are fewer, in exact order, equal ones in order of rows.
  std::vector<NearRow> nearest(Index k, Index among);
  // The number of rows at a distance of at most `radius`, exactly. Requires: radius is finite and not negative.
  Index within(double radius);

 private:
  // The distance is numerator / denominator, in the 2-norm its square is; the denominator is 0 where the row is.
  struct Ratio {
    Dyadic numerator, denominator;
  };
  void measure(Index row, const double* a, double a_err, double slack, double slack_err);
  const Ratio& ratio(Index row);
  bool closer(const NearRow& a, const NearRow& b);

  const Vector& point_;
  int norm_;
  std::function<ExactRow(Index)> exact_row_;
  std::vector<NearRow> rows_;
  std::map<Index, Ratio> ratios_;
};

// How many units take both strict signs on the vertices x + r u, x - r u, exactly at the vertices as doubles. directions:
// one u per row, r u rounded and added to x with a rounding; none: the d unit vectors, vertices rounded towards x, never beyond r.
Index sign_changes(const Network& network, const Vector& x, double radius, const Matrix& directions);

// The patterns of many points as bits, unit 0 the lowest bit of the first byte; (units + 7) / 8 bytes each. A point on a
// hyperplane as in pattern_at. Returns the first point that failed and its error, a null one where none did.
std::pair<Index, std::exception_ptr> pack_patterns(const std::shared_ptr<const Network>& network, const Matrix& points, bool any,
                                                   std::uint8_t* out);

// The rows of some units in a pattern, each by a backward pass of its own: nothing else is composed.
Halfspaces chosen_rows(const Network& network, const Pattern& pattern, const std::vector<Index>& units);

}  // namespace pyregions
