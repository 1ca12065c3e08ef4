// Networks for the benchmarks: torch's default distribution (uniform within 1 / sqrt(fan in)), fixed seed, one point.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "network.h"

namespace pyregions::bench {

// A small generator of our own: the standard library's distributions differ between implementations.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  // Uniform in [-1, 1): the top 53 bits of a splitmix64 step.
  double uniform() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return std::ldexp(static_cast<double>((z ^ (z >> 31)) >> 11), -52) - 1;
  }

 private:
  std::uint64_t state_;
};

struct Problem {
  std::string name;
  std::shared_ptr<const Network> network;
  Matrix point;  // 1 x inputs
  Pattern pattern;
};

inline Problem make_problem(const std::vector<Index>& widths) {
  Random random(1);
  auto network = std::make_shared<Network>(widths[0]);
  int node = 0;
  std::string name;
  for (std::size_t k = 0; k + 1 < widths.size(); ++k) {
    name += std::to_string(widths[k]) + "-";
    const double scale = 1 / std::sqrt(static_cast<double>(widths[k]));
    Matrix weight(widths[k + 1], widths[k]);
    for (Index i = 0; i < weight.rows(); ++i)
      for (Index j = 0; j < weight.cols(); ++j) weight(i, j) = scale * random.uniform();
    Vector bias(static_cast<std::size_t>(widths[k + 1]));
    for (double& b : bias) b = scale * random.uniform();
    node = network->add_affine({{node, LinearMap::from_dense(std::move(weight))}}, std::move(bias));
    if (k + 2 < widths.size()) {
      const auto width = static_cast<std::size_t>(widths[k + 1]);
      node = network->add_hinge(node, Vector(width, 0.0), Vector(width, 1.0));
    }
  }
  network->finish();
  name += std::to_string(widths.back());

  Matrix point(1, widths[0]);
  for (Index j = 0; j < point.cols(); ++j) point(0, j) = 2 * random.uniform();
  const Matrix pre = network->forward(point).pre;
  Pattern pattern(static_cast<std::size_t>(network->units()));
  for (std::size_t u = 0; u < pattern.size(); ++u) pattern[u] = pre(0, static_cast<Index>(u)) > 0;
  return {name, std::move(network), std::move(point), std::move(pattern)};
}

// The three networks of bench/compare.py, by the benchmark's argument.
inline const Problem& problem(std::int64_t index) {
  static const Problem problems[] = {make_problem({64, 64, 64, 10}), make_problem({64, 256, 256, 10}),
                                     make_problem({784, 256, 256, 10})};
  return problems[index];
}

}  // namespace pyregions::bench
