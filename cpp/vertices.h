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

// The vertex where D rows meet, false when floats do not prove that they meet in one point. D = 1 to 8.
template <int D>
bool meet(const VertexRow<D>* const* rows, Vertex<D>& out);

// The pairs (i, j) of vertices, i of the first list and j of the second, with at least `least` rows in common; their number.
// pairs holds room for one more than all of them.
int edges_by_count(const std::uint64_t* first, int first_count, const std::uint64_t* second, int second_count, int least,
                   std::pair<int, int>* pairs);

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
