// Layer 1, internal. See the header for the model behind every bound.
#include "network_kernels.h"

#include <algorithm>
#include <cmath>

namespace pyregions {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();
constexpr Index kLanes = 8;  // independent partial sums, so that a reduction vectorises without reordering licences

PYREGIONS_CLONES
double sum_of_squares(const double* x, Index n, double scale) {
  double lane[kLanes] = {};
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    for (Index k = 0; k < kLanes; ++k) lane[k] += (x[j + k] * scale) * (x[j + k] * scale);
  }
  double sum = 0;
  for (; j < n; ++j) sum += (x[j] * scale) * (x[j] * scale);
  for (double part : lane) sum += part;
  return sum;
}

}  // namespace

// Within [2^-900, 2^1000] the squares that underflow are lost against the sum by a relative 2^-122 n, which the
// inflation covers; outside of it the entries are first scaled by a power of two.
double norm_up(const double* x, Index n) {
  const double up = inflate(n + 4), sum = sum_of_squares(x, n, 1.0);
  if (sum >= 0x1p-900 && sum <= 0x1p1000) return std::sqrt(sum) * up;
  const double largest = max_abs(x, n);
  if (largest == 0) return 0.0;
  if (!(largest <= kLargest)) return kInfinity;
  // ilogb in [-1074, 1023]; 2^-e must be a finite normal number.
  const int e = std::clamp(std::ilogb(largest), -1000, 1000);
  return std::max(std::ldexp(std::sqrt(sum_of_squares(x, n, std::ldexp(1.0, -e))) * up, e),
                  std::numeric_limits<double>::min());
}

PYREGIONS_CLONES
double max_abs(const double* x, Index n) {
  double lane[kLanes] = {};
  Index j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    for (Index k = 0; k < kLanes; ++k) {
      const double value = std::fabs(x[j + k]);
      lane[k] = value <= lane[k] ? lane[k] : (value <= kLargest ? value : kInfinity);
    }
  }
  double result = 0;
  for (; j < n; ++j) {
    const double value = std::fabs(x[j]);
    result = value <= result ? result : (value <= kLargest ? value : kInfinity);
  }
  for (double part : lane) result = part > result ? part : result;
  return result;
}

Vector omegas(const double* x, Index n) {
  Vector result(static_cast<std::size_t>(n));
  for (Index j = 0; j < n; ++j) result[static_cast<std::size_t>(j)] = x[j] == 0 ? 0 : std::fabs(x[j]) + kFloor;
  return result;
}

void Slopes::push_back(double s) {
  const bool exact = s == 0 || s == 1 || s == -1;
  slope.push_back(s);
  magnitude.push_back(std::fabs(s));
  relative.push_back(exact ? 0 : gamma(1));
  absolute.push_back(exact ? 0 : underflow(2));  // of s z and of |s| d
}

PYREGIONS_CLONES
void add_outer(double rho, const double* omega, bool first, double* __restrict__ e, Index n) {
  if (first) {
    for (Index j = 0; j < n; ++j) e[j] = rho * omega[j];
  } else {
    for (Index j = 0; j < n; ++j) e[j] += rho * omega[j];
  }
}

PYREGIONS_CLONES
void tight_rho(const double* x, const double* d, double gamma_k, double inflation, double* __restrict__ out, Index n) {
  for (Index j = 0; j < n; ++j) {
    const double rho = (d[j] + gamma_k * std::fabs(x[j])) * inflation + kFloor;
    out[j] = (x[j] == 0) & (d[j] == 0) ? 0 : rho;
  }
}

PYREGIONS_CLONES
void add_diagonal(const double* w, const double* omega, const double* x, const double* d, double gamma_k,
                  double inflation, bool first, double* __restrict__ z, double* __restrict__ e, Index n) {
  for (Index j = 0; j < n; ++j) {
    const double rho = (d[j] + gamma_k * std::fabs(x[j])) * inflation + kFloor;
    const double bound = (x[j] == 0) & (d[j] == 0) ? 0 : omega[j] * rho;
    z[j] = (first ? 0 : z[j]) + w[j] * x[j];
    e[j] = (first ? 0 : e[j]) + bound;
  }
}

PYREGIONS_CLONES
void finish_sum(double* __restrict__ z, double* __restrict__ e, const double* b, double gamma_k, double tiny, Index n) {
  for (Index j = 0; j < n; ++j) {
    const double bias = b ? b[j] : 0;
    const double value = z[j] + bias;
    const double bound = e[j] == 0 ? 0 : e[j] + gamma_k * std::fabs(bias) + tiny;
    const bool good = (std::fabs(value) <= kLargest) & (bound <= kLargest);
    z[j] = good ? value : 0;
    e[j] = good ? bound : kInfinity;
  }
}

// Where |z| > d the exact z is on the same side, so that side's slope bounds the difference; elsewhere the hinge is
// continuous with the larger slope as Lipschitz constant. d is finite or infinite, never NaN.
PYREGIONS_CLONES
void hinge(const double* z, const double* d, const Slopes& low, const Slopes& high, double* __restrict__ v,
           double* __restrict__ e, Index n) {
  const double *ls = low.slope.data(), *lm = low.magnitude.data(), *lr = low.relative.data(), *la = low.absolute.data();
  const double *hs = high.slope.data(), *hm = high.magnitude.data(), *hr = high.relative.data(),
               *ha = high.absolute.data();
  const double inflation = inflate(4);
  for (Index j = 0; j < n; ++j) {
    // Written without branches around arithmetic, which the compiler would have to keep: a bound that must be 0 is
    // multiplied by 0, and an infinite d is replaced by a finite one and remembered in `good`.
    const double low_s = ls[j], high_s = hs[j], low_m = lm[j], high_m = hm[j], low_r = lr[j], high_r = hr[j];
    const double low_a = la[j], high_a = ha[j], finite_d = d[j] <= kLargest ? d[j] : 0;
    const bool below = z[j] < 0, certain = std::fabs(z[j]) > d[j];
    const double value = (below ? low_s : high_s) * z[j];
    const double lipschitz = certain ? (below ? low_m : high_m) : (low_m > high_m ? low_m : high_m);
    const double absolute = certain ? (below ? low_a : high_a) : low_a + high_a;
    const double live = (z[j] == 0) & (d[j] == 0) ? 0.0 : 1.0;
    const double rounding = (below ? low_r : high_r) * std::fabs(value) + absolute;
    const double bound = (lipschitz * finite_d * inflation + rounding) * live;
    const bool good = (std::fabs(value) <= kLargest) & (bound <= kLargest) & ((d[j] <= kLargest) | (lipschitz == 0));
    v[j] = good ? value : 0;
    e[j] = good ? bound : kInfinity;
  }
}

PYREGIONS_CLONES
void held(const double* z, const double* d, const Slopes& s, double* __restrict__ v,
          double* __restrict__ e, Index n) {
  const double *slope = s.slope.data(), *magnitude = s.magnitude.data(), *relative = s.relative.data(),
               *absolute = s.absolute.data();
  const double inflation = inflate(4);
  for (Index j = 0; j < n; ++j) {
    const double value = slope[j] * z[j];
    const double moved = magnitude[j] * d[j] * inflation + relative[j] * std::fabs(value) + absolute[j];
    const double bound = (magnitude[j] == 0) | ((z[j] == 0) & (d[j] == 0)) ? 0 : moved;
    const bool good = (std::fabs(value) <= kLargest) & (bound <= kLargest);
    v[j] = good ? value : 0;
    e[j] = good ? bound : kInfinity;
  }
}

PYREGIONS_CLONES
void merge(const double* x, const double* d, double* __restrict__ v, double* __restrict__ e, Index n) {
  const double rounding = gamma(1), inflation = inflate(4);
  for (Index j = 0; j < n; ++j) {
    const double value = v[j] + x[j];
    const double exact = e[j] + d[j];
    const double inexact = exact * inflation + rounding * std::fabs(value);
    // x + 0 and 0 + x are not rounded; nor is a sum of two errors of which one is 0.
    const double bound = (v[j] == 0) | (x[j] == 0) ? ((e[j] == 0) | (d[j] == 0) ? exact : exact * inflation) : inexact;
    const bool good = (std::fabs(value) <= kLargest) & (bound <= kLargest);
    v[j] = good ? value : 0;
    e[j] = good ? bound : kInfinity;
  }
}

PYREGIONS_CLONES
double weighted_rho(const double* omega, const double* x, const double* d, double gamma_k, double inflation, Index n) {
  double lane[kLanes] = {};
  double sum = 0;
  Index j = 0;
  const auto term = [&](Index i) {
    const double rho = (d[i] + gamma_k * std::fabs(x[i])) * inflation + kFloor;
    return (x[i] == 0) & (d[i] == 0) ? 0.0 : omega[i] * rho;
  };
  for (; j + kLanes <= n; j += kLanes) {
    for (Index k = 0; k < kLanes; ++k) lane[k] += term(j + k);
  }
  for (; j < n; ++j) sum += term(j);
  for (double part : lane) sum += part;
  return sum;
}

}  // namespace pyregions
