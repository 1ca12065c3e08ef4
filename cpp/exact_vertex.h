// Layer 2. Vertices of a cell in integers: where its rows meet, and on which side of a unit's hyperplane that is. The last
// rung of the enumeration, asked only where floats leave a sign open (true ties above all).
//
// All of R^d is the simplex x_k >= -M, sum x_k <= M for an M beyond all bounds: a vertex is a point x + M u with rational
// x and u, and signs compare the coefficient of M first. So unbounded cells are polytopes like all others.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bignum.h"
#include "halfspaces.h"
#include "network.h"

namespace pyregions {

// Rows by number: units first (their index), then -1 - k for row k of the frame: the d + 1 walls of the simplex, then the
// rows of the domain.
using RowId = std::int32_t;
constexpr RowId frame_row(Index k) { return static_cast<RowId>(-1 - k); }

// The affine subspace x = base + sum of t_k direction_k in which a network is asked about, t being what domains, vertices
// and rows are given in. Each direction is an unevaluated sum of doubles, the first the nearest one. Without directions:
// the input space itself.
struct Subspace {
  Vector base;
  std::vector<Matrix> directions;  // parts x inputs each

  Index dim(const Network& network) const { return directions.empty() ? network.inputs() : static_cast<Index>(directions.size()); }
};

// a.x + m M + c, up to a positive factor.
struct IntegerForm {
  std::vector<Integer> a;
  Integer c = 0, m = 0;
};

// The simplex walls and the domain's rows, as forms that are >= 0 inside.
class DomainFrame {
 public:
  explicit DomainFrame(const Domain& domain);
  Index dim() const { return dim_; }
  Index size() const { return static_cast<Index>(forms_.size()); }
  const IntegerForm& form(Index k) const { return forms_[static_cast<std::size_t>(k)]; }
  // The same in doubles: coefficients a (d), c, m; exact.
  const Vector& numbers(Index k) const { return numbers_[static_cast<std::size_t>(k)]; }

 private:
  Index dim_;
  std::vector<IntegerForm> forms_;
  std::vector<Vector> numbers_;
};

// (x + M u) / denominator, denominator > 0.
struct ExactVertex {
  std::vector<Integer> x, u;
  Integer denominator = 1;
};

// Decisions under one pattern; rows and vertices already composed are kept.
class ExactVertices {
 public:
  ExactVertices(const Network& network, const DomainFrame& frame, const Subspace& subspace = {});
  // Units of stages not yet decided may hold any piece: their rows are never asked for.
  void set_pattern(Pattern pattern);
  // The point where these rows vanish; among them are d independent ones.
  ExactVertex meet(const std::vector<RowId>& rows);
  // Sign of a row at a vertex for all large M.
  int sign(RowId row, const ExactVertex& vertex);
  // The row under the pattern; requires one that is decided by it.
  const IntegerForm& form(RowId row);

 private:
  const Network& network_;
  const DomainFrame& frame_;
  DyadicVector base_;
  std::vector<DyadicVector> directions_;
  Pattern pattern_;
  std::map<RowId, IntegerForm> forms_;
};

}  // namespace pyregions
