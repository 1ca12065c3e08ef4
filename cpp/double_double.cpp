// Layer 0. The loops of compensated sums; the header derives the bound.
#include "double_double.h"

#include <algorithm>
#include <limits>

namespace pyregions {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kSmallest = std::numeric_limits<double>::min();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// One sum in the making: leading part, its rounding errors with all low parts, radius.
struct Partial {
  double s = 0, c = 0, r = 0;
  void include(double value, double low, double radius) {
    const DoubleDouble sum = two_sum(s, value);
    s = sum.hi;
    c += sum.lo + low;
    r += radius;
  }
};

// What the product with a w that is 0 adds is 0 even where the factor claims nothing.
inline double room(double w, double rho) { return w == 0 ? 0 : std::fabs(w) * rho; }

PYREGIONS_CLONES
Partial dot(const double* w, const double* hi, const double* lo, const double* high, const double* low, const double* rho,
            Index n) {
  constexpr Index L = RefinedSums::kLanes;
  double s[L] = {}, c[L] = {}, r[L] = {};
  Index j = 0;
  for (; j + L <= n; j += L) {
    for (Index k = 0; k < L; ++k) {
      const double p = w[j + k] * hi[j + k];
      const double e = product_error(p, split(w[j + k]), {high[j + k], low[j + k]});
      const DoubleDouble sum = two_sum(s[k], p);
      s[k] = sum.hi;
      c[k] += (sum.lo + e) + w[j + k] * lo[j + k];
      r[k] += room(w[j + k], rho[j + k]);
    }
  }
  Partial result;
  for (; j < n; ++j) {
    const double p = w[j] * hi[j];
    result.include(p, product_error(p, split(w[j]), {high[j], low[j]}) + w[j] * lo[j], room(w[j], rho[j]));
  }
  for (Index k = 0; k < L; ++k) result.include(s[k], c[k], r[k]);
  return result;
}

PYREGIONS_CLONES
void scaled(const double* w, double hi, double lo, double high, double low, double rho, double* __restrict__ s,
            double* __restrict__ c, double* __restrict__ r, Index n) {
  for (Index j = 0; j < n; ++j) {
    const double p = w[j] * hi;
    const double e = product_error(p, split(w[j]), {high, low});
    const DoubleDouble sum = two_sum(s[j], p);
    s[j] = sum.hi;
    c[j] += (sum.lo + e) + w[j] * lo;
    // The smallest normal number keeps a product that underflows apart from one that is 0.
    r[j] += w[j] == 0 ? 0 : std::fabs(w[j]) * rho + kSmallest;
  }
}

}  // namespace

void RefinedVector::set(Index i, const Refined& x) {
  const bool good = std::fabs(x.value.hi) <= kLargest && std::fabs(x.value.lo) <= kLargest && x.radius <= kLargest;
  hi[at(i)] = good ? x.value.hi : 0;
  lo[at(i)] = good ? x.value.lo : 0;
  radius[at(i)] = good ? x.radius : kInfinity;
}

RefinedVector refined_point(const Matrix& parts) {
  RefinedVector x(parts.cols());
  for (Index k = 0; k < parts.cols(); ++k) {
    Refined sum{{parts(0, k), 0}, 0};
    for (Index p = 1; p < parts.rows(); ++p) {
      const DoubleDouble high = two_sum(sum.value.hi, parts(p, k)), rest = two_sum(sum.value.lo, high.lo);
      sum.value = two_sum(high.hi, rest.hi);
      sum.radius += std::fabs(rest.lo);
    }
    sum.radius *= 1 + gamma(parts.rows());
    x.set(k, sum);
  }
  return x;
}

RefinedSums::RefinedSums(Index sums, Index items)
    : beta_(gamma(3 * items + 1) * kUnit * static_cast<double>(items + 3) * (1 + 1e-2)),
      inflation_(1 + gamma(2 * items + 64)),
      tiny_(underflow(512 * (items + 1))),
      s_(at(sums), 0.0),
      c_(s_),
      r_(s_) {}

double RefinedSums::rho(double hi, double radius) const {
  return hi == 0 && radius == 0 ? 0 : std::max(radius + beta_ * std::fabs(hi), kSmallest);
}

RefinedSums::Factors RefinedSums::factors(const RefinedVector& x) const {
  Factors f{x.hi, x.lo, Vector(x.hi.size()), Vector(x.hi.size()), Vector(x.hi.size())};
  for (std::size_t j = 0; j < x.hi.size(); ++j) {
    const DoubleDouble halves = split(x.hi[j]);
    f.high[j] = halves.hi;
    f.low[j] = halves.lo;
    f.rho[j] = rho(x.hi[j], x.radius[j]);
  }
  return f;
}

RefinedSums::Factors RefinedSums::factors(const DoubleDouble& x) const {
  RefinedVector one(1);
  one.set(0, {two_sum(x.hi, x.lo), 0});
  return factors(one);
}

void RefinedSums::add_dot(Index i, const double* w, const Factors& x) {
  const auto n = static_cast<Index>(x.hi.size());
  Partial sum = dot(w, x.hi.data(), x.lo.data(), x.high.data(), x.low.data(), x.rho.data(), n);
  if (sum.r == 0) {  // by structure, or did the products underflow?
    for (Index j = 0; j < n && sum.r == 0; ++j) sum.r = w[j] != 0 && x.rho[at(j)] != 0 ? kSmallest : 0;
  }
  Partial total{s_[at(i)], c_[at(i)], r_[at(i)]};
  total.include(sum.s, sum.c, sum.r);
  s_[at(i)] = total.s;
  c_[at(i)] = total.c;
  r_[at(i)] = total.r;
}

void RefinedSums::add_scaled(const double* w, const Factors& x, Index j) {
  if (x.rho[at(j)] == 0) return;
  scaled(w, x.hi[at(j)], x.lo[at(j)], x.high[at(j)], x.low[at(j)], x.rho[at(j)], s_.data(), c_.data(), r_.data(),
         static_cast<Index>(s_.size()));
}

void RefinedSums::add_diagonal(const double* w, const Factors& x) {
  for (Index k = 0; k < static_cast<Index>(x.hi.size()); ++k) add_product(k, w[k], x, k);
}

void RefinedSums::add_product(Index i, double w, const Factors& x, Index j) {
  if (w == 0 || x.rho[at(j)] == 0) return;
  scaled(&w, x.hi[at(j)], x.lo[at(j)], x.high[at(j)], x.low[at(j)], x.rho[at(j)], &s_[at(i)], &c_[at(i)], &r_[at(i)], 1);
}

void RefinedSums::add(Index i, double value) {
  if (value == 0) return;
  const DoubleDouble sum = two_sum(s_[at(i)], value);
  s_[at(i)] = sum.hi;
  c_[at(i)] += sum.lo;
  r_[at(i)] += rho(value, 0);
}

Refined RefinedSums::total(Index i) const {
  const double r = r_[at(i)];
  return {two_sum(s_[at(i)], c_[at(i)]), r == 0 ? 0 : r * inflation_ + tiny_};
}

RefinedVector RefinedSums::finish() const {
  RefinedVector result(static_cast<Index>(s_.size()));
  for (Index i = 0; i < result.size(); ++i) result.set(i, total(i));
  return result;
}

}  // namespace pyregions
