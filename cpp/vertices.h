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

// The vertices where D rows each meet: rows[D * i] to rows[D * i + D - 1] in vertex i; met[i] is 0 where floats do not prove
// that they meet in one point. D = 1 to 8. Law: vertex i depends on its own rows only.
template <int D>
void meet(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met);

using EntryPair = std::pair<std::int32_t, std::int32_t>;
// The pairs of vertices, one of each list, with at least `least` rows in common: their names, and their number. pairs holds
// room for one more than all of them.
std::size_t edges_by_count(const std::uint64_t* first, const std::int32_t* first_names, std::size_t first_count,
                           const std::uint64_t* second, const std::int32_t* second_names, std::size_t second_count, int least,
                           EntryPair* pairs);
// The same within one list, named by their places.
std::size_t edges_by_count(const std::uint64_t* all, std::size_t count, int least, EntryPair* pairs);

// K forms, stored by coefficient with a stride. thresholds: `slope_x`, `slope_error`, `constant` with
// |value - exact| <= slope_x |x|_inf + slope_error * error + constant at a point whose coordinates are off by at most `error`.
struct FormBlock {
  const double* coefficients;  // (d + 1) x stride
  Index stride, count;
  const double *slope_x, *slope_error, *constant;
  template <int D>
  double bound_near(Index j, const Vertex<D>& v) const {
    double size = 0;
    for (const double x : v.x) size = std::max(size, std::fabs(x));
    return slope_x[j] * size + slope_error[j] * v.x_error + constant[j] + underflow(D + 4);
  }
};
// Signs of the forms in `asked` (a set of bits) at vertices, at those far away the sign at infinity, of the form without its
// constant: for every vertex words of those certainly > 0, certainly < 0, and open (neither, nor certainly 0). All three
// hold words_for(K) words per vertex. D = 1 to 8. Law: what is found at a vertex depends on it only.
template <int D>
void form_signs(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices, Index count, std::uint64_t* positive,
                std::uint64_t* negative, std::uint64_t* open);
// The thresholds of K forms with errors.
void form_thresholds(const double* coefficients, Index stride, Index count, Index d, const double* a_error,
                     const double* c_error, double* slope_x, double* slope_error, double* constant);

}  // namespace pyregions
