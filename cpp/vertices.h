// Layer 3. Polytopes by their vertices, in a dimension D known to the compiler: where D rows meet, with a bound, and which
// vertices share an edge. A vertex is a point x + M u for an M beyond all bounds (see exact_vertex.h).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "exact_vertex.h"
#include "network_kernels.h"

namespace pyregions {

// A set of the rows of one polytope, by slot.
template <int W>
struct SlotSet {
  std::array<std::uint64_t, W> words{};
  bool has(int i) const { return words[static_cast<std::size_t>(i >> 6)] >> (i & 63) & 1; }
  void insert(int i) { words[static_cast<std::size_t>(i >> 6)] |= std::uint64_t{1} << (i & 63); }
  void erase(int i) { words[static_cast<std::size_t>(i >> 6)] &= ~(std::uint64_t{1} << (i & 63)); }
  SlotSet operator&(const SlotSet& o) const {
    SlotSet r;
    for (std::size_t k = 0; k < W; ++k) r.words[k] = words[k] & o.words[k];
    return r;
  }
  SlotSet operator|(const SlotSet& o) const {
    SlotSet r;
    for (std::size_t k = 0; k < W; ++k) r.words[k] = words[k] | o.words[k];
    return r;
  }
  bool operator==(const SlotSet& o) const { return words == o.words; }
  int count() const {
    int n = 0;
    for (const std::uint64_t w : words) n += __builtin_popcountll(w);
    return n;
  }
  int lowest_free() const {  // 64 W when full
    for (std::size_t k = 0; k < W; ++k)
      if (~words[k]) return static_cast<int>(64 * k) + __builtin_ctzll(~words[k]);
    return 64 * W;
  }
  template <class F>
  void for_each(F f) const {
    for (std::size_t k = 0; k < W; ++k)
      for (std::uint64_t w = words[k]; w; w &= w - 1) f(static_cast<int>(64 * k) + __builtin_ctzll(w));
  }
};

// The row a.x + m M + c. Law: the exact row lies within a_error in every coefficient and within c_error in c.
template <int D>
struct VertexRow {
  std::array<double, D> a;
  double c = 0, m = 0, a_error = 0, c_error = 0;
  RowId id = 0;
};

// Law: the exact vertex lies within x_error and u_error in every coordinate of x and u; u is exactly 0 iff not far.
template <int D>
struct Vertex {
  std::array<double, D> x{}, u{};
  double x_error = 0, u_error = 0;
  bool far = false;
};

// The vertex where D rows meet, false when floats do not prove that they meet in one point.
//
// With R an approximate inverse of the stored rows B and g >= |I - R B*|_inf over all exact rows B* within their bounds,
// g < 1 proves B* regular, and the exact vertex x* has |x* - x|_k <= sum_i |R_ki| r_i / (1 - g) with r_i >= |B*_i x + c*_i|:
// Rump's verified solution of a linear system. The computed residual of row i is off by at most gamma(D + 2) (|a_i|.|x| +
// |c_i|) plus a_error |x|_1 + c_error; at x = 0 it is c_i itself.
template <int D>
bool meet(const VertexRow<D>* const* rows, Vertex<D>& out) {
  double work[D][2 * D];
  for (int i = 0; i < D; ++i)
    for (int k = 0; k < D; ++k) {
      work[i][k] = rows[i]->a[static_cast<std::size_t>(k)];
      work[i][D + k] = i == k ? 1.0 : 0.0;
    }
  for (int p = 0; p < D; ++p) {  // Gauss-Jordan; rows are compared by their largest entry
    int best = -1;
    double score = 0;
    for (int i = p; i < D; ++i) {
      double size = 0;
      for (int k = p; k < D; ++k) size = std::max(size, std::fabs(work[i][k]));
      if (size > 0 && std::fabs(work[i][p]) / size > score) {
        score = std::fabs(work[i][p]) / size;
        best = i;
      }
    }
    if (best < 0) return false;
    if (best != p) std::swap_ranges(work[p], work[p] + 2 * D, work[best]);
    const double inverse = 1 / work[p][p];
    for (int k = 0; k < 2 * D; ++k) work[p][k] *= inverse;
    for (int i = 0; i < D; ++i) {
      const double factor = work[i][p];
      if (i == p || factor == 0) continue;
      for (int k = 0; k < 2 * D; ++k) work[i][k] -= factor * work[p][k];
    }
  }
  bool far = false;
  for (int k = 0; k < D; ++k) {
    double x = 0, u = 0;
    for (int i = 0; i < D; ++i) {
      x -= work[k][D + i] * rows[i]->c;
      u -= work[k][D + i] * rows[i]->m;
    }
    out.x[static_cast<std::size_t>(k)] = x;
    out.u[static_cast<std::size_t>(k)] = u;
  }
  double x_residual[D], u_residual[D];
  for (int i = 0; i < D; ++i) {
    far = far || rows[i]->m != 0;
    const auto residual = [&](const std::array<double, D>& v, double constant, double constant_error) {
      double value = constant, size = std::fabs(constant), length = 0;
      for (int k = 0; k < D; ++k) {
        const auto j = static_cast<std::size_t>(k);
        value += rows[i]->a[j] * v[j];
        size += std::fabs(rows[i]->a[j] * v[j]);
        length += std::fabs(v[j]);
      }
      if (length == 0) return std::fabs(constant) + constant_error;
      return (std::fabs(value) + gamma(D + 2) * size + rows[i]->a_error * length + constant_error) * inflate(D) + underflow(D + 2);
    };
    x_residual[i] = residual(out.x, rows[i]->c, rows[i]->c_error);
    u_residual[i] = residual(out.u, rows[i]->m, 0.0);
  }
  double g = 0, x_error = 0, u_error = 0;
  for (int k = 0; k < D; ++k) {
    double sum = 0, spread = 0, x = 0, u = 0;
    for (int j = 0; j < D; ++j) {
      double entry = k == j ? -1.0 : 0.0, size = 1;
      for (int i = 0; i < D; ++i) {
        const double product = work[k][D + i] * rows[i]->a[static_cast<std::size_t>(j)];
        entry += product;
        size += std::fabs(product);
      }
      sum += std::fabs(entry) + gamma(D + 2) * size;
    }
    for (int i = 0; i < D; ++i) {
      const double r = std::fabs(work[k][D + i]);
      spread += r * rows[i]->a_error;
      x += r * x_residual[i];
      u += r * u_residual[i];
    }
    g = std::max(g, sum + D * spread);
    x_error = std::max(x_error, x);
    u_error = std::max(u_error, u);
  }
  g = g * inflate(3 * D) + underflow(2 * D * D);
  if (!(g < 0.5)) return false;
  const double scale = inflate(3 * D) / (1 - g);
  out.x_error = x_error == 0 ? 0 : x_error * scale + underflow(2 * D);
  out.far = far;
  out.u_error = !far || u_error == 0 ? 0 : u_error * scale + underflow(2 * D);
  if (!far) out.u.fill(0);
  return std::isfinite(out.x_error) && std::isfinite(out.u_error);
}

// The pairs (i, j) of vertices, i of the first list and j of the second, with at least `least` rows in common.
void edges_by_count(const std::uint64_t* first, int first_count, const std::uint64_t* second, int second_count, int least,
                    std::vector<std::pair<int, int>>& pairs);

// Signs of K forms, stored by coefficient with a stride, at a vertex: bits of those certainly > 0, certainly < 0, and
// open (neither, nor certainly 0). thresholds: `slope_x`, `slope_error`, `constant` with |value - exact| <= slope_x |x|_inf
// + slope_error * error + constant.
struct FormBlock {
  const double* coefficients;  // (d + 1) x stride
  Index stride, count;
  const double *slope_x, *slope_error, *constant;
};
// x: d numbers, with `homogeneous` the constant left out (then the bound `constant` is, too).
void form_signs(const FormBlock& forms, Index d, const double* x, double error, bool homogeneous, std::uint64_t* positive,
                std::uint64_t* negative, std::uint64_t* open);
// The thresholds of K forms with errors: see form_signs.
void form_thresholds(const double* coefficients, Index stride, Index count, Index d, const double* a_error,
                     const double* c_error, double* slope_x, double* slope_error, double* constant);

}  // namespace pyregions
