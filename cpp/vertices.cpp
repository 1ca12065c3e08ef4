// Layer 3. The loops over vertices and forms that are worth compiling once per kind of CPU; see vertices.h.
#include "vertices_lanes.h"

namespace pyregions {

// Both are compiled, and the CPU decides.
#define PYREGIONS_MEET(D)                                                                                                      \
  static PYREGIONS_WIDE void meet_wide(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met) {      \
    SideBySide<kWideVector>::meet<D>(rows, count, out, met);                                                                         \
  }                                                                                                                            \
  PYREGIONS_CLONES static void meet_narrow(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met) {  \
    SideBySide<kNarrowVector>::meet<D>(rows, count, out, met);                                                                       \
  }                                                                                                                            \
  template <>                                                                                                                  \
  void meet<D>(const VertexRow<D>* const* rows, Index count, Vertex<D>* out, std::uint8_t* met) {                              \
    if (has_wide()) meet_wide(rows, count, out, met);                                                                          \
    else meet_narrow(rows, count, out, met);                                                                                   \
  }
PYREGIONS_MEET(1)
PYREGIONS_MEET(2)
PYREGIONS_MEET(3)
PYREGIONS_MEET(4)
PYREGIONS_MEET(5)
PYREGIONS_MEET(6)
PYREGIONS_MEET(7)
PYREGIONS_MEET(8)
#undef PYREGIONS_MEET

PYREGIONS_CLONES std::size_t edges_by_count(const std::uint64_t* first, const std::int32_t* first_names, std::size_t first_count,
                                            const std::uint64_t* second, const std::int32_t* second_names, std::size_t second_count,
                                            int least, EntryPair* pairs) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < first_count; ++i) {
    const std::uint64_t rows = first[i];
    for (std::size_t j = 0; j < second_count; ++j) {
      pairs[count] = {first_names[i], second_names[j]};
      count += __builtin_popcountll(rows & second[j]) >= least;
    }
  }
  return count;
}

PYREGIONS_CLONES std::size_t edges_by_count(const std::uint64_t* all, std::size_t count, int least, EntryPair* pairs) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t rows = all[i];
    for (std::size_t j = i + 1; j < count; ++j) {
      pairs[found] = {static_cast<std::int32_t>(i), static_cast<std::int32_t>(j)};
      found += __builtin_popcountll(rows & all[j]) >= least;
    }
  }
  return found;
}

// |fl(a.x + c) - (a*.x* + c*)| for |a* - a| <= a_error, |c* - c| <= c_error, |x* - x| <= e coordinatewise:
//   gamma(d + 2) (|a|_1 X + |c|) + a_error (d X + d e) + c_error + |a|_1 e,  X = |x|_inf,
// which is slope_x X + slope_error e + constant.
PYREGIONS_CLONES void form_thresholds(const double* coefficients, Index stride, Index count, Index d, const double* a_error,
                                      const double* c_error, double* slope_x, double* slope_error, double* constant) {
  const double rounding = gamma(d + 4), inflation = inflate(d + 8), dimension = static_cast<double>(d);
  for (Index j = 0; j < count; ++j) slope_error[j] = 0;
  for (Index k = 0; k < d; ++k)
    for (Index j = 0; j < count; ++j) slope_error[j] += std::fabs(coefficients[k * stride + j]);
  for (Index j = 0; j < count; ++j) {
    const double length = slope_error[j];
    slope_x[j] = (rounding * length + dimension * a_error[j]) * inflation + (length != 0 ? kFloor : 0.0);
    slope_error[j] = (length + dimension * a_error[j]) * inflation;
    constant[j] = (c_error[j] + rounding * std::fabs(coefficients[d * stride + j])) * inflation;
  }
}

#define PYREGIONS_FORM_SIGNS(D)                                                                                                \
  static PYREGIONS_WIDE void signs_wide(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices,         \
                                        Index count, std::uint64_t* positive, std::uint64_t* negative, std::uint64_t* open) {  \
    SideBySide<kWideVector>::form_signs<D>(forms, asked, vertices, count, positive, negative, open);                                 \
  }                                                                                                                            \
  PYREGIONS_CLONES static void signs_narrow(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices,     \
                                            Index count, std::uint64_t* positive, std::uint64_t* negative,                     \
                                            std::uint64_t* open) {                                                             \
    SideBySide<kNarrowVector>::form_signs<D>(forms, asked, vertices, count, positive, negative, open);                               \
  }                                                                                                                            \
  template <>                                                                                                                  \
  void form_signs<D>(const FormBlock& forms, const std::uint64_t* asked, const Vertex<D>* vertices, Index count,               \
                     std::uint64_t* positive, std::uint64_t* negative, std::uint64_t* open) {                                  \
    if (has_wide()) signs_wide(forms, asked, vertices, count, positive, negative, open);                                       \
    else signs_narrow(forms, asked, vertices, count, positive, negative, open);                                                \
  }
PYREGIONS_FORM_SIGNS(1)
PYREGIONS_FORM_SIGNS(2)
PYREGIONS_FORM_SIGNS(3)
PYREGIONS_FORM_SIGNS(4)
PYREGIONS_FORM_SIGNS(5)
PYREGIONS_FORM_SIGNS(6)
PYREGIONS_FORM_SIGNS(7)
PYREGIONS_FORM_SIGNS(8)
#undef PYREGIONS_FORM_SIGNS

}  // namespace pyregions
