// Layer 3, private to vertices.cpp. Several vertices side by side, one per lane of a vector as wide as the CPU has them.
#pragma once

#include <cstring>

#include "vertices.h"

namespace pyregions {

// One vertex: where the signs of a whole group cannot be trusted, since something overflowed, or where 0 may be certain.
template <int D>
void signs_one_by_one(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>& v, double size, std::uint64_t* positive,
                      std::uint64_t* negative, std::uint64_t* open) {
  const auto& x = v.far ? v.u : v.x;
  const double error = v.far ? v.u_error : v.x_error, tiny = size == 0 && error == 0 ? 0 : underflow(D + 4);
  for (Index w = 0; w < (forms.count + 63) / 64; ++w) {
    positive[w] = negative[w] = 0;
    open[w] = asked[w];
    for (std::uint64_t left = asked[w]; left; left &= left - 1) {
      const Index j = 64 * w + __builtin_ctzll(left);
      double value = v.far ? 0 : forms.coefficients[D * forms.stride + j];
      for (int k = 0; k < D; ++k) value += forms.coefficients[k * forms.stride + j] * x[static_cast<std::size_t>(k)];
      const double bound = forms.slope_x[j] * size + forms.slope_error[j] * error + tiny + (v.far ? 0 : forms.constant[j]);
      const std::uint64_t one = left & -left;
      if (!std::isfinite(value)) continue;
      if (value > bound) positive[w] |= one;
      if (value < -bound) negative[w] |= one;
      if (value > bound || value < -bound || (value == 0 && bound == 0)) open[w] &= ~one;
    }
  }
}

template <int W>
struct Vectors;
template <>
struct Vectors<kNarrowVector> {
  typedef double Lanes __attribute__((vector_size(sizeof(double) * kNarrowVector)));
  typedef std::uint64_t Bits __attribute__((vector_size(sizeof(double) * kNarrowVector)));
};
template <>
struct Vectors<kWideVector> {
  typedef double Lanes __attribute__((vector_size(sizeof(double) * kWideVector)));
  typedef std::uint64_t Bits __attribute__((vector_size(sizeof(double) * kWideVector)));
};

// Only arithmetic and bits: the compiler would take a comparison apart lane by lane, so that one of doubles is the sign bit of a
// difference (of a NaN, any: what is not finite is looked for in the end). Vectors wider than the CPU's would be kept in memory.
template <int kLanes>
struct SideBySide {
  using Lanes = typename Vectors<kLanes>::Lanes;
  using Bits = typename Vectors<kLanes>::Bits;
  static constexpr int kSign = 63;

  static PYREGIONS_INLINE void take_size(Lanes& x) { x = reinterpret_cast<Lanes>((reinterpret_cast<Bits>(x) << 1) >> 1); }
  // Exchanges x and y in the lanes where difference < 0.
  static PYREGIONS_INLINE void exchange(Lanes& x, Lanes& y, const Lanes& difference) {
    const Bits where = -(reinterpret_cast<Bits>(difference) >> kSign);
    const Bits change = (reinterpret_cast<Bits>(x) ^ reinterpret_cast<Bits>(y)) & where;
    x = reinterpret_cast<Lanes>(reinterpret_cast<Bits>(x) ^ change);
    y = reinterpret_cast<Lanes>(reinterpret_cast<Bits>(y) ^ change);
  }
  static PYREGIONS_INLINE void take_larger(Lanes& x, const Lanes& y) {
    Lanes other = y;
    exchange(x, other, x - y);
  }

  template <int D>
  struct Meeting {
    Lanes a[D][D], a_error[D];  // row i, coefficient k
    Lanes c[D], c_error[D], m[D];
    Lanes inverse[D][D], inverse_size[D][D];
  };

  template <int D>
  static PYREGIONS_INLINE void gather(const VertexRow<D>* const* rows, Index count, Meeting<D>& s) {
    const auto take = [&](int i, Lanes& to, auto number) {
      double one_by_one[kLanes];
      for (int l = 0; l < kLanes; ++l) one_by_one[l] = number(*rows[D * std::min<Index>(l, count - 1) + i]);  // the last one again
      std::memcpy(&to, one_by_one, sizeof to);
    };
    for (int i = 0; i < D; ++i) {
      for (int k = 0; k < D; ++k) take(i, s.a[i][k], [k](const VertexRow<D>& row) { return row.a[static_cast<std::size_t>(k)]; });
      take(i, s.a_error[i], [](const VertexRow<D>& row) { return row.a_error; });
      take(i, s.c[i], [](const VertexRow<D>& row) { return row.c; });
      take(i, s.c_error[i], [](const VertexRow<D>& row) { return row.c_error; });
      take(i, s.m[i], [](const VertexRow<D>& row) { return row.m; });
    }
  }

  // R, an approximate inverse of the rows' coefficients; anything where they are singular. Cofactors in at most three
  // dimensions: column i is the cross product of the other rows over the determinant.
  template <int D>
  static PYREGIONS_INLINE void invert_by_cofactors(Meeting<D>& s) {
    if constexpr (D == 1) {
      s.inverse[0][0] = 1 / s.a[0][0];
    } else if constexpr (D == 2) {
      const auto &p = s.a[0], &q = s.a[1];
      const Lanes factor = 1 / (p[0] * q[1] - p[1] * q[0]);
      s.inverse[0][0] = q[1] * factor;
      s.inverse[0][1] = -p[1] * factor;
      s.inverse[1][0] = -q[0] * factor;
      s.inverse[1][1] = p[0] * factor;
    } else {
      for (int i = 0; i < 3; ++i) {
        const auto &p = s.a[(i + 1) % 3], &q = s.a[(i + 2) % 3];
        for (int k = 0; k < 3; ++k) s.inverse[k][i] = p[(k + 1) % 3] * q[(k + 2) % 3] - p[(k + 2) % 3] * q[(k + 1) % 3];
      }
      const Lanes factor = 1 / (s.a[0][0] * s.inverse[0][0] + s.a[0][1] * s.inverse[1][0] + s.a[0][2] * s.inverse[2][0]);
      for (auto& row : s.inverse)
        for (Lanes& entry : row) entry *= factor;
    }
  }

  // Beyond that Gauss-Jordan elimination. Rows are scaled to largest entries of 1; the pivot is the largest entry below, found
  // by exchanging rows lane by lane.
  template <int D>
  static PYREGIONS_INLINE void invert_by_elimination(Meeting<D>& s) {
    Lanes work[D][D];
    for (int i = 0; i < D; ++i) {
      Lanes scale{};
      for (int k = 0; k < D; ++k) {
        work[i][k] = s.a[i][k];
        take_size(work[i][k]);
        take_larger(scale, work[i][k]);
      }
      scale = 1 / scale;
      for (int k = 0; k < D; ++k) {
        work[i][k] = s.a[i][k] * scale;
        s.inverse[i][k] = i == k ? scale : Lanes{};
      }
    }
    for (int p = 0; p < D; ++p) {
      for (int i = p + 1; i < D; ++i) {
        Lanes upper = work[p][p], lower = work[i][p];
        take_size(upper);
        take_size(lower);
        const Lanes lead = upper - lower;
        for (int k = p; k < D; ++k) exchange(work[p][k], work[i][k], lead);
        for (int k = 0; k < D; ++k) exchange(s.inverse[p][k], s.inverse[i][k], lead);
      }
      const Lanes factor = 1 / work[p][p];
      for (int k = p + 1; k < D; ++k) work[p][k] *= factor;
      for (int k = 0; k < D; ++k) s.inverse[p][k] *= factor;
      for (int i = 0; i < D; ++i) {
        if (i == p) continue;
        for (int k = p + 1; k < D; ++k) work[i][k] -= work[i][p] * work[p][k];
        for (int k = 0; k < D; ++k) s.inverse[i][k] -= work[i][p] * s.inverse[p][k];
      }
    }
  }

  // g >= |I - R B*|_inf over all exact rows B* within their bounds; doubtful is not finite where anything overflows.
  template <int D>
  static PYREGIONS_INLINE void defect(Meeting<D>& s, Lanes& g, Lanes& doubtful) {
    g = doubtful = Lanes{};
    for (int k = 0; k < D; ++k) {
      Lanes total{}, spread{}, entry[D], size[D];
      for (int j = 0; j < D; ++j) {
        entry[j] = Lanes{} - (k == j ? 1.0 : 0.0);
        size[j] = Lanes{} + 1.0;
      }
      for (int i = 0; i < D; ++i) {
        s.inverse_size[k][i] = s.inverse[k][i];
        take_size(s.inverse_size[k][i]);
        spread += s.inverse_size[k][i] * s.a_error[i];
        for (int j = 0; j < D; ++j) {
          Lanes product = s.inverse[k][i] * s.a[i][j];
          entry[j] += product;
          take_size(product);
          size[j] += product;
        }
      }
      for (int j = 0; j < D; ++j) {
        take_size(entry[j]);
        total += entry[j] + gamma(D + 2) * size[j];
      }
      total += static_cast<double>(D) * spread;
      take_larger(g, total);
      doubtful += total;
    }
    g = g * inflate(3 * D) + underflow(2 * D * D);
  }

  // v = -R c and a bound on its error: the largest over k of sum_i |R_ki| r_i / (1 - g).
  template <int D>
  static PYREGIONS_INLINE void solve(const Meeting<D>& s, const Lanes (&constant)[D], const Lanes (&constant_error)[D], const Lanes& scale,
                              Lanes (&v)[D], Lanes& error, Lanes& doubtful) {
    Lanes length{}, residual[D];
    for (int k = 0; k < D; ++k) {
      v[k] = Lanes{};
      for (int i = 0; i < D; ++i) v[k] -= s.inverse[k][i] * constant[i];
      Lanes size = v[k];
      take_size(size);
      length += size;
    }
    for (int i = 0; i < D; ++i) {
      Lanes value = constant[i], size = value;
      take_size(size);
      for (int k = 0; k < D; ++k) {
        Lanes product = s.a[i][k] * v[k];
        value += product;
        take_size(product);
        size += product;
      }
      take_size(value);
      residual[i] = (value + gamma(D + 2) * size + s.a_error[i] * length + constant_error[i]) * inflate(D) + underflow(D + 2);
    }
    error = Lanes{};
    for (int k = 0; k < D; ++k) {
      Lanes sum{};
      for (int i = 0; i < D; ++i) sum += s.inverse_size[k][i] * residual[i];
      take_larger(error, sum);
      doubtful += sum;
    }
    error = error * scale + underflow(2 * D);
  }

  // The bound at v = 0 in one lane, where the residuals are the constants themselves: 0 if they are.
  template <int D>
  static double error_at_zero(const Meeting<D>& s, const Lanes (&constant)[D], const Lanes (&constant_error)[D], double scale, int l) {
    double error = 0, largest = 0;
    for (int k = 0; k < D; ++k) {
      double sum = 0;
      for (int i = 0; i < D; ++i) {
        const double residual = std::fabs(constant[i][l]) + constant_error[i][l];
        sum += s.inverse_size[k][i][l] * residual;
        largest = std::max(largest, residual);
      }
      error = std::max(error, sum);
    }
    return largest == 0 ? 0 : error * scale + underflow(2 * D);
  }

  // With R an approximate inverse of the stored rows B and g >= |I - R B*|_inf over all exact rows B* within their bounds,
  // g < 1 proves B* regular, and the exact vertex x* has |x* - x|_k <= sum_i |R_ki| r_i / (1 - g) with r_i >= |B*_i x + c*_i|:
  // Rump's verified solution of a linear system. The computed residual of row i is off by at most gamma(D + 2) (|a_i|.|x| +
  // |c_i|) plus a_error |x|_1 + c_error; at x = 0 it is c_i itself.
  template <int D>
  static PYREGIONS_INLINE void meet_lanes(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met) {
    Meeting<D> s;
    gather<D>(rows, count, s);
    if constexpr (D <= 3) invert_by_cofactors<D>(s);
    else invert_by_elimination<D>(s);
    Lanes g, doubtful, x[D], x_error, u[D] = {}, u_error{};
    defect<D>(s, g, doubtful);
    const Lanes scale = inflate(3 * D) / (1 - g);
    solve<D>(s, s.c, s.c_error, scale, x, x_error, doubtful);
    bool any_far = false;
    for (int i = 0; i < D; ++i)
      for (int l = 0; l < kLanes; ++l) any_far |= s.m[i][l] != 0;
    const Lanes none[D] = {};
    if (any_far) solve<D>(s, s.m, none, scale, u, u_error, doubtful);
    for (int l = 0; l < static_cast<int>(count); ++l) {
      Vertex<D>& v = out[l];
      v.far = false;
      if (any_far)
        for (int i = 0; i < D; ++i) v.far = v.far || s.m[i][l] != 0;
      bool zero = true;
      for (int k = 0; k < D; ++k) {
        v.x[static_cast<std::size_t>(k)] = x[k][l];
        v.u[static_cast<std::size_t>(k)] = v.far ? u[k][l] : 0;
        zero = zero && x[k][l] == 0;
      }
      v.x_error = zero ? error_at_zero<D>(s, s.c, s.c_error, scale[l], l) : x_error[l];
      v.u_error = v.far ? u_error[l] : 0;
      met[l] = g[l] < 0.5 && std::isfinite(doubtful[l]) && std::isfinite(v.x_error) && std::isfinite(v.u_error);
    }
  }

  // Several vertices, a bit per form and lane.
  template <int D>
  static PYREGIONS_INLINE void signs_of_lanes(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices, Index count,
                                       std::uint64_t* positive, std::uint64_t* negative, std::uint64_t* open) {
    double x_of[D][kLanes], size_of[kLanes], error_of[kLanes], near_of[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      const Vertex<D>& v = vertices[std::min<Index>(l, count - 1)];
      const auto& point = v.far ? v.u : v.x;
      double size = 0;
      for (int k = 0; k < D; ++k) {
        x_of[k][l] = point[static_cast<std::size_t>(k)];
        size = std::max(size, std::fabs(x_of[k][l]));
      }
      size_of[l] = size;
      error_of[l] = v.far ? v.u_error : v.x_error;
      near_of[l] = v.far ? 0 : 1;
    }
    Lanes x[D], size, error, near, doubtful{};
    std::memcpy(x, x_of, sizeof x);
    std::memcpy(&size, size_of, sizeof size);
    std::memcpy(&error, error_of, sizeof error);
    std::memcpy(&near, near_of, sizeof near);
    const Index words = (forms.count + 63) / 64;
    const double* constant = forms.coefficients + D * forms.stride;
    for (Index w = 0; w < words; ++w) {
      Bits above{}, below{};
      for (std::uint64_t left = asked[w]; left; left &= left - 1) {
        const int shift = __builtin_ctzll(left);
        const Index j = 64 * w + shift;
        Lanes value = constant[j] * near;
        for (int k = 0; k < D; ++k) value += forms.coefficients[k * forms.stride + j] * x[k];
        const Lanes bound = forms.slope_x[j] * size + forms.slope_error[j] * error + underflow(D + 4) + forms.constant[j] * near;
        above |= (reinterpret_cast<Bits>(bound - value) >> kSign) << shift;
        below |= (reinterpret_cast<Bits>(bound + value) >> kSign) << shift;
        doubtful += (bound + value) * 0.0;
      }
      for (Index l = 0; l < count; ++l) {
        positive[l * words + w] = above[l];
        negative[l * words + w] = below[l];
        open[l * words + w] = asked[w] & ~(above[l] | below[l]);
      }
    }
    for (int l = 0; l < static_cast<int>(count); ++l)
      if (doubtful[l] != 0 || (size_of[l] == 0 && error_of[l] == 0))
        signs_one_by_one<D>(forms, asked, vertices[l], size_of[l], positive + l * words, negative + l * words, open + l * words);
  }

  template <int D>
  static PYREGIONS_INLINE void meet(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met) {
    for (Index i = 0; i < count; i += kLanes) meet_lanes<D>(rows + D * i, std::min<Index>(kLanes, count - i), out + i, met + i);
  }

  template <int D>
  static PYREGIONS_INLINE void form_signs(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices, Index count,
                                          std::uint64_t* positive, std::uint64_t* negative, std::uint64_t* open) {
    const Index words = (forms.count + 63) / 64;
    for (Index i = 0; i < count; i += kLanes)
      signs_of_lanes<D>(forms, asked, vertices + i, std::min<Index>(kLanes, count - i), positive + i * words, negative + i * words,
                        open + i * words);
  }
};

}  // namespace pyregions
