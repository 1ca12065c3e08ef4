// Layer 3. Faces and volume of a polytope known by which of its facets each vertex lies on; coordinates serve for the volume
// alone.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "dense.h"

namespace pyregions {

// A face as the sorted indices of its vertices.
using FaceVertices = std::vector<std::int32_t>;

// The faces of dimension one less of a face: the largest of its proper intersections with the given facets.
inline std::vector<FaceVertices> facets_of(const FaceVertices& face, const std::vector<FaceVertices>& facets) {
  std::vector<FaceVertices> parts;
  for (const FaceVertices& facet : facets) {
    FaceVertices part;
    std::set_intersection(face.begin(), face.end(), facet.begin(), facet.end(), std::back_inserter(part));
    if (!part.empty() && part.size() < face.size()) parts.push_back(std::move(part));
  }
  std::sort(parts.begin(), parts.end(), [](const FaceVertices& a, const FaceVertices& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  std::vector<FaceVertices> largest;
  for (const FaceVertices& part : parts) {
    const auto holds = [&](const FaceVertices& other) { return std::includes(other.begin(), other.end(), part.begin(), part.end()); };
    if (std::none_of(largest.begin(), largest.end(), holds)) largest.push_back(part);
  }
  return largest;
}

struct VolumeBound {
  double value = 0, error = 0;  // |exact - value| <= error
};

// |det E| and a bound for every matrix within `entry_error` of E, by expansion along the columns: each of its d! products
// carries at most 2 d roundings, so that the permanent of |E| bounds what they lose.
template <int D>
VolumeBound determinant(const double (&e)[D][D], double entry_error) {
  std::array<double, std::size_t{1} << D> det{}, size{}, wide{};
  det[0] = size[0] = wide[0] = 1;
  for (unsigned set = 1; set < 1u << D; ++set) {
    const int column = __builtin_popcount(set) - 1;
    double sum = 0, sizes = 0, wides = 0;
    int below = 0;  // rows of the set before this one
    for (int row = 0; row < D; ++row) {
      if (!(set >> row & 1)) continue;
      const unsigned rest = set & ~(1u << row);
      const double a = e[row][column], sign = (column - below) % 2 ? -1.0 : 1.0;
      sum += sign * a * det[rest];
      sizes += std::fabs(a) * size[rest];
      wides += (std::fabs(a) + entry_error) * wide[rest];
      ++below;
    }
    det[set] = sum;
    size[set] = sizes;
    wide[set] = wides;
  }
  const auto all = (std::size_t{1} << D) - 1;
  const double rounding = gamma(4 * D + 8);
  return {std::fabs(det[all]), (wide[all] - size[all]) + rounding * (wide[all] + size[all]) + underflow(1 << D)};
}

// Sum of the volumes of the simplices of a pulling triangulation: every face is coned from its first vertex over its facets
// that do not hold it. points: vertex i at points + D i, each coordinate within error.
template <int D>
class Triangulation {
 public:
  Triangulation(const double* points, double error, const std::vector<FaceVertices>& facets)
      : points_(points), error_(error), facets_(facets) {}
  VolumeBound volume(const FaceVertices& polytope) {
    total_ = {};
    count_ = 0;
    cone(polytope, 0);
    double factorial = 1;
    for (int k = 2; k <= D; ++k) factorial *= k;
    const double rounding = gamma(count_ + 4);
    const double error = (total_.error + rounding * (total_.value + total_.error)) / factorial * (1 + gamma(8));
    const bool known = std::isfinite(error) && std::isfinite(total_.value);
    return known ? VolumeBound{total_.value / factorial, error} : VolumeBound{0, std::numeric_limits<double>::infinity()};
  }

 private:
  void cone(const FaceVertices& face, int depth) {
    apex_[static_cast<std::size_t>(depth)] = face.front();
    if (depth == D) return add();
    for (const FaceVertices& part : facets_of(face, facets_))
      if (part.front() != face.front() && !std::binary_search(part.begin(), part.end(), face.front())) cone(part, depth + 1);
  }
  void add() {
    double e[D][D], size = 0;
    const double* origin = points_ + D * apex_[0];
    for (int i = 0; i < D; ++i)
      for (int k = 0; k < D; ++k) {
        e[i][k] = points_[D * apex_[static_cast<std::size_t>(i + 1)] + k] - origin[k];
        size = std::max(size, std::fabs(e[i][k]));
      }
    const VolumeBound one = determinant<D>(e, (2 * error_ + 2 * kUnit * size) * (1 + gamma(8)));
    total_.value += one.value;
    total_.error += one.error;
    ++count_;
  }

  const double* points_;
  double error_;
  const std::vector<FaceVertices>& facets_;
  std::array<std::int32_t, D + 1> apex_{};
  VolumeBound total_;
  Index count_ = 0;
};

}  // namespace pyregions
