// Layer 3. The loops over vertices and forms that are worth compiling once per kind of CPU; see vertices.h.
#include "vertices.h"

namespace pyregions {

PYREGIONS_CLONES void edges_by_count(const std::uint64_t* first, int first_count, const std::uint64_t* second,
                                     int second_count, int least, std::vector<std::pair<int, int>>& pairs) {
  for (int i = 0; i < first_count; ++i) {
    const std::uint64_t rows = first[i];
    for (int j = 0; j < second_count; ++j)
      if (__builtin_popcountll(rows & second[j]) >= least) pairs.emplace_back(i, j);
  }
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
    slope_x[j] = (rounding * length + dimension * a_error[j]) * inflation;
    slope_error[j] = (length + dimension * a_error[j]) * inflation;
    constant[j] = (c_error[j] + rounding * std::fabs(coefficients[d * stride + j])) * inflation;
  }
}

namespace {

constexpr Index kBlock = 64;

// One word of units; count <= 64.
PYREGIONS_CLONES void signs_of_block(const FormBlock& f, Index begin, Index count, Index d, const double* x, double size,
                                     double error, bool homogeneous, double tiny, std::uint64_t* positive,
                                     std::uint64_t* negative, std::uint64_t* open) {
  double value[kBlock], bound[kBlock];
  const double* constant = f.coefficients + d * f.stride + begin;
  for (Index j = 0; j < count; ++j) {
    value[j] = homogeneous ? 0.0 : constant[j];
    bound[j] = f.slope_x[begin + j] * size + f.slope_error[begin + j] * error + tiny + (homogeneous ? 0.0 : f.constant[begin + j]);
  }
  for (Index k = 0; k < d; ++k) {
    const double* a = f.coefficients + k * f.stride + begin;
    for (Index j = 0; j < count; ++j) value[j] += a[j] * x[k];
  }
  std::uint64_t above = 0, below = 0, zero = 0;
  for (Index j = 0; j < count; ++j) {
    above |= static_cast<std::uint64_t>(value[j] > bound[j]) << j;
    below |= static_cast<std::uint64_t>(value[j] < -bound[j]) << j;
    zero |= static_cast<std::uint64_t>(tiny == 0 && bound[j] == 0 && value[j] == 0) << j;
  }
  *positive = above;
  *negative = below;
  const std::uint64_t all = count == kBlock ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  *open = all & ~(above | below | zero);
}

}  // namespace

void form_signs(const FormBlock& forms, Index d, const double* x, double error, bool homogeneous, std::uint64_t* positive,
                std::uint64_t* negative, std::uint64_t* open) {
  double size = 0;
  for (Index k = 0; k < d; ++k) size = std::max(size, std::fabs(x[k]));
  const double tiny = size == 0 && error == 0 ? 0.0 : underflow(d + 4);
  for (Index begin = 0, word = 0; begin < forms.count; begin += kBlock, ++word)
    signs_of_block(forms, begin, std::min(kBlock, forms.count - begin), d, x, size, error, homogeneous, tiny,
                   positive + word, negative + word, open + word);
}

}  // namespace pyregions
