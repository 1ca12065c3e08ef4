// Layer 2. Vertices in integers by fraction-free elimination; see exact_vertex.h.
#include "exact_vertex.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Integers over one power of two, which is dropped.
IntegerForm integer_form(const DyadicVector& a, const Dyadic& c, int m) {
  IntegerForm form;
  const bool flat = a.all_zero();
  const long low = c.is_zero() ? a.exponent : (flat ? c.exponent : std::min(a.exponent, c.exponent));
  form.a = a.mantissa;
  if (!flat)
    for (Integer& value : form.a) value <<= static_cast<unsigned>(a.exponent - low);
  if (!c.is_zero()) form.c = c.mantissa << static_cast<unsigned>(c.exponent - low);
  form.m = m;  // frame walls only, whose numbers are 0 and +-1
  return form;
}

}  // namespace

DomainFrame::DomainFrame(const Domain& domain) : dim_(domain.dim) {
  const auto append = [this](const Vector& a, double c, int m) {
    forms_.push_back(integer_form(DyadicVector(a.data(), dim_), Dyadic(c), m));
    Vector numbers = a;
    numbers.push_back(c);
    numbers.push_back(m);
    numbers_.push_back(std::move(numbers));
  };
  for (Index k = 0; k < dim_; ++k) {
    Vector a(at(dim_));
    a[at(k)] = 1;
    append(a, 0, 1);
  }
  append(Vector(at(dim_), -1.0), 0, 1);
  const Halfspaces rows = domain.halfspaces();
  for (Index k = 0; k < rows.size(); ++k) {
    Vector a(rows.A.row(k), rows.A.row(k) + dim_);
    for (double& value : a) value = -value;
    append(a, rows.b[at(k)], 0);
  }
}

ExactVertices::ExactVertices(const Network& network, const DomainFrame& frame, const Subspace& subspace)
    : network_(network), frame_(frame), base_(subspace.base.data(), static_cast<Index>(subspace.base.size())) {
  for (const Matrix& direction : subspace.directions) directions_.push_back(exact_point(direction));
}

void ExactVertices::set_pattern(Pattern pattern) {
  pattern_ = std::move(pattern);
  forms_.clear();
}

const IntegerForm& ExactVertices::form(RowId row) {
  if (row < 0) return frame_.form(-1 - static_cast<Index>(row));
  const auto found = forms_.find(row);
  if (found != forms_.end()) return found->second;
  const Network::ExactForm exact = network_.backward_exact(pattern_, {{row, Dyadic(1.0)}}, {});
  if (directions_.empty()) return forms_.emplace(row, integer_form(exact.g, exact.c, 0)).first->second;
  std::vector<Dyadic> slopes;
  const Dyadic constant = exact.c + dot(exact.g, base_);
  long low = constant.exponent;
  for (const DyadicVector& direction : directions_) {
    slopes.push_back(dot(exact.g, direction));
    low = std::min(low, slopes.back().exponent);
  }
  IntegerForm form;
  for (const Dyadic& slope : slopes) form.a.push_back(slope.mantissa << static_cast<unsigned>(slope.exponent - low));
  form.c = constant.mantissa << static_cast<unsigned>(constant.exponent - low);
  return forms_.emplace(row, std::move(form)).first->second;
}

// Fraction-free (Bareiss) elimination of the rows (a | -c, -m), taking in those that are independent.
ExactVertex ExactVertices::meet(const std::vector<RowId>& rows) {
  const Index d = frame_.dim();
  std::vector<std::vector<Integer>> system;
  std::vector<Index> columns;  // pivot column of each row taken in
  std::vector<Integer> previous{1};
  for (const RowId id : rows) {
    const IntegerForm& f = form(id);
    std::vector<Integer> row = f.a;
    row.push_back(-f.c);
    row.push_back(-f.m);
    for (std::size_t k = 0; k < system.size(); ++k) {
      const Integer factor = row[at(columns[k])];
      const Integer& pivot = system[k][at(columns[k])];
      for (std::size_t j = 0; j < row.size(); ++j) row[j] = (row[j] * pivot - factor * system[k][j]) / previous[k];
    }
    const auto pivot = std::find_if(row.begin(), row.begin() + d, [](const Integer& v) { return !v.is_zero(); });
    if (pivot == row.begin() + d) continue;
    columns.push_back(pivot - row.begin());
    previous.push_back(*pivot);
    system.push_back(std::move(row));
    if (static_cast<Index>(system.size()) == d) break;
  }
  if (static_cast<Index>(system.size()) < d) throw std::logic_error("the rows of a vertex are dependent");
  // Back substitution over the last pivot, which is the determinant up to sign: all quotients are integers.
  ExactVertex vertex;
  vertex.denominator = system.back()[at(columns.back())];
  vertex.x.resize(at(d));
  vertex.u.resize(at(d));
  for (Index k = d - 1; k >= 0; --k) {
    const std::vector<Integer>& row = system[at(k)];
    Integer x = row[at(d)] * vertex.denominator, u = row[at(d + 1)] * vertex.denominator;
    for (Index j = k + 1; j < d; ++j) {
      x -= row[at(columns[at(j)])] * vertex.x[at(columns[at(j)])];
      u -= row[at(columns[at(j)])] * vertex.u[at(columns[at(j)])];
    }
    vertex.x[at(columns[at(k)])] = x / row[at(columns[at(k)])];
    vertex.u[at(columns[at(k)])] = u / row[at(columns[at(k)])];
  }
  if (vertex.denominator < 0) {
    vertex.denominator = -vertex.denominator;
    for (Index k = 0; k < d; ++k) {
      vertex.x[at(k)] = -vertex.x[at(k)];
      vertex.u[at(k)] = -vertex.u[at(k)];
    }
  }
  return vertex;
}

int ExactVertices::sign(RowId row, const ExactVertex& vertex) {
  const IntegerForm& f = form(row);
  Integer far = f.m * vertex.denominator, near = f.c * vertex.denominator;
  for (std::size_t k = 0; k < f.a.size(); ++k) {
    if (f.a[k].is_zero()) continue;
    far += f.a[k] * vertex.u[k];
    near += f.a[k] * vertex.x[k];
  }
  return far.is_zero() ? near.sign() : far.sign();
}

}  // namespace pyregions
