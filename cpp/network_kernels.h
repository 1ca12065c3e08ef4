// Layer 1, internal. Elementwise loops that carry a value and a bound on its error; the rounding rules of the network's
// float passes live here and nowhere else.
//
// The model. A computed sum of K items (products counted with the one rounding that forms them) in any order, fused or
// not, differs from the exact sum by at most gamma(K) sum|items| plus the underflow of its products. If the factors x_j
// of sum_j w_j x_j carry errors d_j themselves, the exact value lies within
//
//   sum_j |w_j| (d_j + gamma(K) |x_j|) + gamma(K) |b| + underflow(K)                                            (tight)
//   <= ||w|| (||d|| + gamma(K) ||x||) + gamma(K) |b| + underflow(K)                           (norms, Cauchy-Schwarz)
//
// of the computed one. We write omega for |w_j| or ||w|| and rho for the bracket.
//
// Rounding of the bounds. All their terms are >= 0, so K further roundings lower them by a factor of at least
// 1 - gamma(K); every rho is multiplied by inflate(K') with a K' that counts all of them generously, and gamma() itself
// is a thousandth too large, which covers the terms it multiplies.
//
// Exact zeros. A bound of exactly 0 means: the value is exact by structure. To keep underflow from faking that, every
// nonzero omega and rho is raised by kFloor = 2^-500, so that a product of nonzero ones (>= 2^-1000) is never lost.
// Nothing else depends on kFloor; it loosens bounds by an absolute 1e-151 of the other factor.
//
// Overflow. A value or bound that is not finite becomes 0 with bound infinity, which claims nothing.
#pragma once

#include "dense.h"

namespace pyregions {

constexpr double kFloor = 0x1p-500;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

inline double inflate(Index roundings) { return 1 + gamma(roundings + 8); }

// Upper bound of the 2-norm; exactly 0 iff all entries are 0; infinite if one is.
double norm_up(const double* x, Index n);
// Largest |x_j| (NaN counts as infinite).
double max_abs(const double* x, Index n);
// x with kFloor added to |x| where nonzero: an omega.
Vector omegas(const double* x, Index n);

// The slopes of one piece for a run of units. s z is exact for s in {-1, 0, 1}; otherwise it is rounded once.
struct Slopes {
  Vector slope, magnitude, relative, absolute;  // rounding error <= relative |s z| + absolute
  void push_back(double s);
  Index size() const { return static_cast<Index>(slope.size()); }
};

// e_j (+)= rho omega_j; `first` overwrites.
void add_outer(double rho, const double* omega, bool first, double* __restrict__ e, Index n);
// rho_j of the tight bound into out.
void tight_rho(const double* x, const double* d, double gamma_k, double inflation, double* __restrict__ out, Index n);
// z_j (+)= w_j x_j and e_j (+)= |w_j| (d_j + gamma |x_j|), omega the |w_j|.
void add_diagonal(const double* w, const double* omega, const double* x, const double* d, double gamma_k,
                  double inflation, bool first, double* __restrict__ z, double* __restrict__ e, Index n);
// Adds the bias: z_j += b_j; e_j += gamma |b_j| + tiny unless e_j is exactly 0. b may be null.
void finish_sum(double* __restrict__ z, double* __restrict__ e, const double* b, double gamma_k, double tiny, Index n);
// The hinge itself: the exact value lies within e of v for every exact z within d of the computed one.
void hinge(const double* z, const double* d, const Slopes& low, const Slopes& high, double* __restrict__ v,
           double* __restrict__ e, Index n);
// One piece held: v = s z.
void held(const double* z, const double* d, const Slopes& s, double* __restrict__ v,
          double* __restrict__ e, Index n);
// v_j += x_j with error d_j; a sum with an exact zero is not rounded.
void merge(const double* x, const double* d, double* __restrict__ v, double* __restrict__ e, Index n);
// sum_j omega_j (d_j + gamma |x_j|), 0 only by structure.
double weighted_rho(const double* omega, const double* x, const double* d, double gamma_k, double inflation, Index n);

}  // namespace pyregions
