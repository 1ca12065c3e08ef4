// Layer 2. The active rows of the projection: an independent set W of unit rows with its multipliers, and the factor
// that answers questions about it.
#pragma once

#include "gram_factor.h"
#include "orthogonal_factor.h"
#include "unit_rows.h"

namespace pyregions {

// W is described by the factor of its Gram matrix G, or, once that has shown to be too badly conditioned, by an
// orthonormal basis (condition instead of its square, at a higher price). Vectors are in order of joining.
class ActiveSet {
 public:
  struct Store {
    GramFactor gram;
    OrthogonalFactor basis;
    std::vector<const double*> stored;  // scratch
    Vector factors;
  };
  ActiveSet(UnitRows& unit, Store& store) : unit_(unit), work_(store) { work_.gram.clear(); }

  std::size_t size() const { return rows_.size(); }
  const std::vector<Index>& rows() const { return rows_; }
  const Vector& rhs() const { return rhs_; }
  Vector& multipliers() { return multipliers_; }
  const Vector& multipliers() const { return multipliers_; }
  bool on_basis() const { return on_basis_; }
  void use_basis();  // from the Gram factor to the basis; rows that turn out to be dependent leave

  // How row `id` relates to W: coefficients() = r with |z| least, z = a_id + sum r_j a_j, and distance2() = |z|^2, 0
  // when dependent. False when the factor in use is not good enough to tell.
  bool direction(Index id);
  const Vector& coefficients() const { return coefficients_; }
  double distance2() const { return distance2_; }
  void join(Index id, double multiplier);  // the row that direction() was last asked about. Requires: distance2() > 0
  void leave(Index position);

  // x <- G^-1 x.
  void solve(Vector& x) const;
  // The nearest point to 0 at which the rows of W have these products.
  void point(Vector products, Vector& y) const;
  // y += sign * sum over W of coefficient * unit row.
  void combine(double sign, const Vector& coefficients, Vector& y) const;

 private:
  bool direction_from_gram(Index id);
  bool direction_from_basis(Index id);
  void residual_of_direction(Index id);

  UnitRows& unit_;
  Store& work_;
  bool on_basis_ = false;
  std::vector<Index> rows_;
  Vector multipliers_, rhs_;
  Vector coefficients_, forward_, residual_;  // r; L^-1 g or the basis coefficients of a_id; z if formed
  double distance2_ = 0;
  Vector scratch_;
};

}  // namespace pyregions
