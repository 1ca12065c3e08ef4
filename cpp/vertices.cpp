// Layer 3. The loops over vertices and forms that are worth compiling once per kind of CPU; see vertices.h.
#include "vertices.h"

namespace pyregions {

namespace {

// R, an approximate inverse of the rows' coefficients: by cofactors in at most three dimensions, which takes no branches,
// else by Gauss-Jordan elimination, the rows compared by their largest entry.
template <int D>
inline __attribute__((always_inline)) bool approximate_inverse(const VertexRow<D>* const* rows, double (&inverse)[D][D]) {
  if constexpr (D == 1) {
    inverse[0][0] = 1 / rows[0]->a[0];
    return true;
  } else if constexpr (D == 2) {
    const auto &p = rows[0]->a, &q = rows[1]->a;
    const double factor = 1 / (p[0] * q[1] - p[1] * q[0]);
    inverse[0][0] = q[1] * factor;
    inverse[0][1] = -p[1] * factor;
    inverse[1][0] = -q[0] * factor;
    inverse[1][1] = p[0] * factor;
    return true;
  } else if constexpr (D == 3) {
    double determinant = 0;
    for (std::size_t i = 0; i < 3; ++i) {  // column i is the cross product of the other two rows over the determinant
      const auto &p = rows[(i + 1) % 3]->a, &q = rows[(i + 2) % 3]->a;
      for (std::size_t k = 0; k < 3; ++k) inverse[k][i] = p[(k + 1) % 3] * q[(k + 2) % 3] - p[(k + 2) % 3] * q[(k + 1) % 3];
      if (i == 0)
        for (std::size_t k = 0; k < 3; ++k) determinant += rows[0]->a[k] * inverse[k][0];
    }
    const double factor = 1 / determinant;
    for (auto& row : inverse)
      for (double& entry : row) entry *= factor;
    return true;
  }
  double work[D][2 * D];
  for (int i = 0; i < D; ++i)
    for (int k = 0; k < D; ++k) {
      work[i][k] = rows[i]->a[static_cast<std::size_t>(k)];
      work[i][D + k] = i == k ? 1.0 : 0.0;
    }
  for (int p = 0; p < D; ++p) {
    int best = -1;
    double score = 0;
    for (int i = p; i < D; ++i) {
      double size = 0;
      for (int k = p; k < D; ++k) size = std::max(size, std::fabs(work[i][k]));
      const double pivot = std::fabs(work[i][p]);
      if (pivot > score * size) {
        score = pivot / size;
        best = i;
      }
    }
    if (best < 0) return false;
    if (best != p) std::swap_ranges(work[p], work[p] + 2 * D, work[best]);
    const double factor = 1 / work[p][p];
    for (int k = 0; k < 2 * D; ++k) work[p][k] *= factor;
    for (int i = 0; i < D; ++i) {
      if (i == p) continue;
      const double share = work[i][p];
      for (int k = 0; k < 2 * D; ++k) work[i][k] -= share * work[p][k];
    }
  }
  for (int i = 0; i < D; ++i)
    for (int k = 0; k < D; ++k) inverse[i][k] = work[i][D + k];
  return true;
}

// v = -R c and a bound on its error: the largest over k of sum_i |R_ki| r_i / (1 - g); infinite where anything overflows.
template <int D>
inline __attribute__((always_inline)) double solve(const VertexRow<D>* const* rows, const double (&inverse)[D][D],
                                                   const double (&constant)[D], const double (&constant_error)[D], double scale,
                                                   std::array<double, D>& v) {
  double length = 0, residual[D], error = 0, largest = 0;
  for (int k = 0; k < D; ++k) {
    double value = 0;
    for (int i = 0; i < D; ++i) value -= inverse[k][i] * constant[i];
    v[static_cast<std::size_t>(k)] = value;
    length += std::fabs(value);
  }
  for (int i = 0; i < D; ++i) {
    double value = constant[i], size = std::fabs(constant[i]);
    for (int k = 0; k < D; ++k) {
      const double product = rows[i]->a[static_cast<std::size_t>(k)] * v[static_cast<std::size_t>(k)];
      value += product;
      size += std::fabs(product);
    }
    residual[i] = length == 0 ? std::fabs(constant[i]) + constant_error[i]
                              : (std::fabs(value) + gamma(D + 2) * size + rows[i]->a_error * length + constant_error[i]) * inflate(D) + underflow(D + 2);
    largest = std::max(largest, residual[i]);
  }
  for (int k = 0; k < D; ++k) {
    double sum = 0;
    for (int i = 0; i < D; ++i) sum += std::fabs(inverse[k][i]) * residual[i];
    if (!std::isfinite(sum)) return kInfinity;
    error = std::max(error, sum);
  }
  return largest == 0 ? 0 : error * scale + underflow(2 * D);
}

// >= |I - R B*|_inf over all exact rows B* within their bounds.
template <int D>
inline __attribute__((always_inline)) double defect(const VertexRow<D>* const* rows, const double (&inverse)[D][D]) {
  double g = 0;
  for (int k = 0; k < D; ++k) {
    double entry[D], size[D], sum = 0, spread = 0;
    for (int j = 0; j < D; ++j) {
      entry[j] = k == j ? -1.0 : 0.0;
      size[j] = 1;
    }
    for (int i = 0; i < D; ++i) {
      const double r = inverse[k][i];
      for (int j = 0; j < D; ++j) {
        const double product = r * rows[i]->a[static_cast<std::size_t>(j)];
        entry[j] += product;
        size[j] += std::fabs(product);
      }
      spread += std::fabs(r) * rows[i]->a_error;
    }
    for (int j = 0; j < D; ++j) sum += std::fabs(entry[j]) + gamma(D + 2) * size[j];
    if (!std::isfinite(sum + spread)) return kInfinity;
    g = std::max(g, sum + D * spread);
  }
  return g * inflate(3 * D) + underflow(2 * D * D);
}

// With R an approximate inverse of the stored rows B and g >= |I - R B*|_inf over all exact rows B* within their bounds,
// g < 1 proves B* regular, and the exact vertex x* has |x* - x|_k <= sum_i |R_ki| r_i / (1 - g) with r_i >= |B*_i x + c*_i|:
// Rump's verified solution of a linear system. The computed residual of row i is off by at most gamma(D + 2) (|a_i|.|x| +
// |c_i|) plus a_error |x|_1 + c_error; at x = 0 it is c_i itself.
template <int D>
inline __attribute__((always_inline)) bool meet_here(const VertexRow<D>* const* rows, Vertex<D>& out) {
  double inverse[D][D], constant[D], constant_error[D];
  if (!approximate_inverse<D>(rows, inverse)) return false;
  const double g = defect<D>(rows, inverse);
  if (!(g < 0.5)) return false;
  const double scale = inflate(3 * D) / (1 - g);
  out.far = false;
  for (int i = 0; i < D; ++i) {
    constant[i] = rows[i]->c;
    constant_error[i] = rows[i]->c_error;
    out.far = out.far || rows[i]->m != 0;
  }
  out.x_error = solve<D>(rows, inverse, constant, constant_error, scale, out.x);
  out.u_error = 0;
  out.u.fill(0);
  if (out.far) {
    for (int i = 0; i < D; ++i) {
      constant[i] = rows[i]->m;
      constant_error[i] = 0;
    }
    out.u_error = solve<D>(rows, inverse, constant, constant_error, scale, out.u);
  }
  return std::isfinite(out.x_error) && std::isfinite(out.u_error);
}

}  // namespace

#define PYREGIONS_MEET(D)                                                              \
  template <>                                                                          \
  PYREGIONS_CLONES bool meet<D>(const VertexRow<D>* const* rows, Vertex<D>& out) {     \
    return meet_here<D>(rows, out);                                                    \
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

PYREGIONS_CLONES int edges_by_count(const std::uint64_t* first, int first_count, const std::uint64_t* second, int second_count,
                                    int least, std::pair<int, int>* pairs) {
  int count = 0;
  for (int i = 0; i < first_count; ++i) {
    const std::uint64_t rows = first[i];
    for (int j = 0; j < second_count; ++j) {
      pairs[count] = {i, j};
      count += __builtin_popcountll(rows & second[j]) >= least;
    }
  }
  return count;
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

namespace {

constexpr Index kBlock = 64;
constexpr double kLargest = std::numeric_limits<double>::max();

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
  // A bit per form, without branches; what overflowed says nothing.
  std::uint64_t above = 0, below = 0, zero = 0;
  for (Index j = 0; j < count; ++j) {
    const double size_j = std::fabs(value[j]);
    const std::uint64_t certain = static_cast<std::uint64_t>(size_j > bound[j]) & static_cast<std::uint64_t>(size_j <= kLargest);
    const std::uint64_t up = static_cast<std::uint64_t>(value[j] > 0);
    above |= (certain & up) << j;
    below |= (certain & (up ^ 1)) << j;
  }
  if (tiny == 0)
    for (Index j = 0; j < count; ++j) zero |= static_cast<std::uint64_t>(bound[j] == 0 && value[j] == 0) << j;
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
