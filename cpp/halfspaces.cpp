// Layer 1. Labels and the domain as rows.
#include "halfspaces.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace pyregions {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("domain: " + what); }

// Visits the finite bounds in the order of the rows: f(coordinate, side, value).
template <class F>
void for_each_bound(const Domain& domain, F f) {
  for (Index k = 0; k < domain.dim; ++k) {
    if (std::isfinite(domain.lower[at(k)])) f(k, 0, domain.lower[at(k)]);
    if (std::isfinite(domain.upper[at(k)])) f(k, 1, domain.upper[at(k)]);
  }
}

Label domain_label(Index k, int side) { return Label{-1, static_cast<std::int32_t>(k), side}; }

}  // namespace

std::string to_string(const Label& label) {
  const auto text = [](std::int32_t value) { return std::to_string(value); };
  return "(" + text(label.stage) + ", " + text(label.unit) + ", " + text(label.piece) + ")";
}

Domain Domain::all(Index dim) {
  Domain domain;
  domain.dim = dim;
  domain.lower.assign(at(dim), -kInf);
  domain.upper.assign(at(dim), kInf);
  domain.A = Matrix(0, dim);
  return domain;
}

Domain Domain::box(Vector lower, Vector upper) {
  Domain domain;
  domain.dim = static_cast<Index>(lower.size());
  domain.lower = std::move(lower);
  domain.upper = std::move(upper);
  domain.A = Matrix(0, domain.dim);
  return domain;
}

Domain Domain::polytope(Matrix A, Vector b) {
  Domain domain = all(A.cols());
  domain.A = std::move(A);
  domain.b = std::move(b);
  return domain;
}

bool Domain::is_box() const { return bounds() == 2 * dim; }

bool Domain::is_all() const { return rows() == 0; }

Index Domain::bounds() const {
  Index count = 0;
  for_each_bound(*this, [&](Index, int, double) { ++count; });
  return count;
}

Index Domain::rows() const { return bounds() + A.rows(); }

Halfspaces Domain::halfspaces() const {
  Halfspaces result;
  const Index n = rows();
  result.A = Matrix(n, dim);
  result.b.assign(at(n), 0.0);
  result.A_err.assign(at(n), 0.0);
  result.b_err.assign(at(n), 0.0);
  result.labels = labels();
  Index row = 0;
  for_each_bound(*this, [&](Index k, int side, double value) {
    const double sign = side == 0 ? -1.0 : 1.0;
    result.A(row, k) = sign;
    result.b[at(row++)] = sign * value;
  });
  for (Index i = 0; i < A.rows(); ++i, ++row) {
    std::copy_n(A.row(i), dim, result.A.row(row));
    result.b[at(row)] = b[at(i)];
  }
  return result;
}

std::vector<Label> Domain::labels() const {
  std::vector<Label> result;
  result.reserve(at(rows()));
  for_each_bound(*this, [&](Index k, int side, double) { result.push_back(domain_label(k, side)); });
  for (Index i = 0; i < A.rows(); ++i) result.push_back(domain_label(i, 2));
  return result;
}

namespace {

void check_bounds(const Domain& domain) {
  if (static_cast<Index>(domain.lower.size()) != domain.dim || static_cast<Index>(domain.upper.size()) != domain.dim) {
    refuse("lower has length " + std::to_string(domain.lower.size()) + " and upper has length " +
           std::to_string(domain.upper.size()) + ", both must have the dimension " + std::to_string(domain.dim));
  }
  for (Index k = 0; k < domain.dim; ++k) {
    const double lower = domain.lower[at(k)], upper = domain.upper[at(k)];
    const std::string where = "coordinate " + std::to_string(k) + ": ";
    if (std::isnan(lower) || std::isnan(upper)) refuse(where + "a bound is NaN; use -inf or inf where there is none");
    if (lower == upper) {
      refuse(where + "lower equals upper (" + std::to_string(lower) +
             "), so no region has interior; restrict the network to the flat subspace instead");
    }
    if (lower > upper) {
      refuse(where + "lower " + std::to_string(lower) + " exceeds upper " + std::to_string(upper) + "; swap them");
    }
  }
}

void check_general_rows(const Domain& domain) {
  if (domain.A.cols() != domain.dim && domain.A.rows() > 0) {
    refuse("A has " + std::to_string(domain.A.cols()) + " columns, the dimension is " + std::to_string(domain.dim));
  }
  if (static_cast<Index>(domain.b.size()) != domain.A.rows()) {
    refuse("A has " + std::to_string(domain.A.rows()) + " rows and b has length " + std::to_string(domain.b.size()) +
           "; they must agree");
  }
  for (Index i = 0; i < domain.A.rows(); ++i) {
    const std::string where = "row " + std::to_string(i) + ": ";
    if (!std::isfinite(domain.b[at(i)])) refuse(where + "b is not finite; leave out rows that bind nothing");
    bool zero = true;
    for (Index j = 0; j < domain.dim; ++j) {
      const double value = domain.A(i, j);
      if (!std::isfinite(value)) refuse(where + "A is NaN or infinite in column " + std::to_string(j));
      zero = zero && value == 0;
    }
    if (zero) refuse(where + "A is zero; a row without direction is no halfspace, remove it");
  }
}

}  // namespace

void Domain::check() const {
  if (dim < 0) refuse("the dimension is negative");
  check_bounds(*this);
  check_general_rows(*this);
}

}  // namespace pyregions
