// Random networks of every shape the engine accepts, for tests.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "network.h"

namespace pyregions::testing {

using Generator = std::mt19937;

inline Matrix random_matrix(Index rows, Index cols, Generator& generator, double scale = 1.0) {
  std::normal_distribution<double> normal;
  Matrix a(rows, cols);
  for (Index i = 0; i < rows * cols; ++i) a.data()[i] = scale * normal(generator);
  return a;
}

inline Vector random_vector(Index n, Generator& generator, double scale = 1.0) {
  const Matrix a = random_matrix(1, n, generator, scale);
  return Vector(a.data(), a.data() + n);
}

// Weights of a dense layer at the usual scale, so that values neither grow nor shrink with depth.
inline LinearMap random_dense(Index out, Index in, Generator& generator, double scale = 1.0) {
  return LinearMap::from_dense(random_matrix(out, in, generator, scale * std::sqrt(2.0 / static_cast<double>(in))));
}

inline Vector constant(Index n, double value) { return Vector(static_cast<std::size_t>(n), value); }

inline int add_relu(Network& net, int source) {
  const Index width = net.nodes()[static_cast<std::size_t>(source)].width;
  return net.add_hinge(source, constant(width, 0.0), constant(width, 1.0));
}

// A ReLU network with the given widths, input and output included.
inline Network mlp(const std::vector<Index>& widths, Generator& generator, bool bias = true, double scale = 1.0) {
  Network net(widths.front());
  int node = 0;
  for (std::size_t l = 1; l < widths.size(); ++l) {
    if (l > 1) node = add_relu(net, node);
    node = net.add_affine({{node, random_dense(widths[l], widths[l - 1], generator, scale)}},
                          bias ? random_vector(widths[l], generator, 0.3) : constant(widths[l], 0.0));
  }
  net.finish();
  return net;
}

// Slopes 0.01, -1, 0, 1 and 3 mixed.
inline Network leaky(Generator& generator) {
  Network net(4);
  const Vector low{0.01, -1.0, 0.0, 0.01, 1.0, 0.1}, high{1.0, 1.0, 1.0, 3.0, 0.0, -0.7};
  int node = net.add_affine({{0, random_dense(6, 4, generator)}}, random_vector(6, generator));
  node = net.add_hinge(node, low, high);
  node = net.add_affine({{node, random_dense(6, 6, generator)}}, random_vector(6, generator));
  node = net.add_hinge(node, high, low);
  net.add_affine({{node, random_dense(2, 6, generator)}}, random_vector(2, generator));
  net.finish();
  return net;
}

// Dense, diagonal (as batch normalisation leaves it), hinge; a diagonal on the input as well.
inline Network normalised(Generator& generator) {
  Network net(5);
  int node = net.add_affine({{0, LinearMap::from_diagonal(random_vector(5, generator))}}, random_vector(5, generator));
  for (int layer = 0; layer < 2; ++layer) {
    const Index in = net.nodes().back().width;
    node = net.add_affine({{node, random_dense(7, in, generator)}}, constant(7, 0.0));
    node = net.add_affine({{node, LinearMap::from_diagonal(random_vector(7, generator))}}, random_vector(7, generator));
    node = add_relu(net, node);
  }
  net.add_affine({{node, random_dense(3, 7, generator)}}, random_vector(3, generator));
  net.finish();
  return net;
}

// Skip connections: diagonal and dense terms side by side, from hinges, affine nodes and the input.
inline Network residual(Generator& generator) {
  Network net(4);
  const int first = net.add_affine({{0, random_dense(6, 4, generator)}}, random_vector(6, generator));
  const int a = add_relu(net, first);
  const int inner = net.add_affine({{a, random_dense(5, 6, generator)}}, random_vector(5, generator));
  const int b = net.add_hinge(inner, constant(5, 0.01), constant(5, 1.0));
  const int sum = net.add_affine({{b, random_dense(6, 5, generator)}, {a, LinearMap::from_diagonal(constant(6, 1.0))}},
                                 random_vector(6, generator));
  const int c = add_relu(net, sum);
  net.add_affine({{c, random_dense(3, 6, generator)},
                  {sum, random_dense(3, 6, generator)},
                  {0, random_dense(3, 4, generator)}},
                 random_vector(3, generator));
  net.finish();
  return net;
}

// Two hinges on the same pre-activations, and one node that reads both and one of them twice.
inline Network shared(Generator& generator) {
  Network net(3);
  const int pre = net.add_affine({{0, random_dense(4, 3, generator)}}, random_vector(4, generator));
  const int a = add_relu(net, pre), b = net.add_hinge(pre, constant(4, -1.0), constant(4, 0.5));
  const int mix = net.add_affine({{a, LinearMap::from_diagonal(random_vector(4, generator))},
                                  {b, LinearMap::from_diagonal(constant(4, -1.0))},
                                  {a, random_dense(4, 4, generator)}},
                                 constant(4, 0.0));
  const int c = add_relu(net, mix);
  net.add_affine({{c, random_dense(2, 4, generator)}}, constant(2, 0.0));
  net.finish();
  return net;
}

// Half of the weights zero, some rows and columns entirely, no bias in the first stage.
inline Network sparse(Generator& generator) {
  Network net(5);
  const auto pruned = [&](Index out, Index in) {
    Matrix w = random_matrix(out, in, generator);
    for (Index i = 0; i < out; ++i) {
      for (Index j = 0; j < in; ++j) {
        if (i == 1 || j == 2 || generator() % 2 == 0) w(i, j) = 0;
      }
    }
    return LinearMap::from_dense(w);
  };
  int node = net.add_affine({{0, pruned(6, 5)}}, constant(6, 0.0));
  node = add_relu(net, node);
  node = net.add_affine({{node, pruned(6, 6)}}, random_vector(6, generator));
  node = add_relu(net, node);
  net.add_affine({{node, pruned(3, 6)}}, constant(3, 0.0));
  net.finish();
  return net;
}

// Deep enough for bounds to pile up, and a wide range of magnitudes within one matrix.
inline Network uneven(Generator& generator) {
  Network net(4);
  int node = 0;
  for (int layer = 0; layer < 5; ++layer) {
    Matrix w = random_matrix(6, net.nodes()[static_cast<std::size_t>(node)].width, generator);
    for (Index i = 0; i < w.rows() * w.cols(); ++i) {
      w.data()[i] = std::ldexp(w.data()[i], static_cast<int>(generator() % 60) - 45);
    }
    node = net.add_affine({{node, LinearMap::from_dense(w)}}, random_vector(6, generator));
    if (layer < 4) node = add_relu(net, node);
  }
  net.finish();
  return net;
}

inline std::vector<std::string> kinds() {
  return {"mlp", "wide", "unbiased", "small weights", "large weights", "leaky", "normalised", "residual",
          "shared", "sparse", "uneven", "linear"};
}

inline Network random_network(const std::string& kind, Generator& generator) {
  if (kind == "wide") return mlp({3, 40, 33, 2}, generator);
  if (kind == "unbiased") return mlp({4, 7, 6, 3}, generator, false);
  if (kind == "small weights") return mlp({5, 8, 8, 3}, generator, true, 0x1p-40);
  if (kind == "large weights") return mlp({5, 8, 8, 3}, generator, true, 0x1p40);
  if (kind == "leaky") return leaky(generator);
  if (kind == "normalised") return normalised(generator);
  if (kind == "residual") return residual(generator);
  if (kind == "shared") return shared(generator);
  if (kind == "sparse") return sparse(generator);
  if (kind == "uneven") return uneven(generator);
  if (kind == "linear") return mlp({4, 3}, generator);
  return mlp({5, 8, 7, 6, 3}, generator);
}

inline Pattern random_pattern(const Network& net, Generator& generator) {
  Pattern p(static_cast<std::size_t>(net.units()));
  for (auto& piece : p) piece = static_cast<std::uint8_t>(generator() % 2);
  return p;
}

// The pattern of the first point, exactly; 0 at exact zeros.
inline Pattern pattern_at(const Network& net, const Matrix& points) {
  const Network::ExactValues values = net.forward_exact(DyadicVector(points.row(0), points.cols()));
  Pattern p;
  for (const DyadicVector& stage : values.pre) {
    for (const Integer& z : stage.mantissa) p.push_back(z.sign() > 0 ? 1 : 0);
  }
  return p;
}

}  // namespace pyregions::testing
