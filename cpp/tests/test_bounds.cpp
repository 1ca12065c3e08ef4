// The error bounds under attack: hill climbing over weights, points, signs and scales for the largest
// |computed - exact| / bound, exact by integers. A share above 1 would be a wrong bound; the share that the search
// reaches says how much of a bound is ever used. Figures in the comments are those of the fixed seeds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// |x| / |y| in floats, both brought to the size of y first so that no size is out of range; infinite when only y is 0.
double quotient(Dyadic x, Dyadic y) {
  if (x.is_zero()) return 0;
  if (y.is_zero()) return kInf;
  const Integer size = y.sign() < 0 ? Integer(-y.mantissa) : y.mantissa;
  const long exponent = y.exponent + static_cast<long>(msb(size));
  x.exponent -= exponent;
  y.exponent -= exponent;
  return std::fabs(x.to_double() / y.to_double());
}

// The share of the bound that the error takes; 0 when nothing is claimed.
double share_of(double value, double bound, const Dyadic& exact) {
  return std::isinf(bound) ? 0 : quotient(exact - Dyadic(value), Dyadic(bound));
}

using Measure = std::function<double(const Vector&)>;

// One change that may raise the share: signs, scales, repeated and cancelling numbers, last bits, long mantissas.
void mutate(Vector& p, int scale, Generator& generator) {
  const auto any = [&](std::size_t n) { return static_cast<std::size_t>(generator() % n); };
  const std::size_t i = any(p.size()), j = any(p.size());
  switch (any(8)) {
    case 0: p[i] = -p[i]; break;
    case 1: p[i] = std::ldexp(p[i], static_cast<int>(any(5)) - 2); break;
    case 2: p[i] = p[j]; break;
    case 3: p[i] = -p[j]; break;
    case 4: p[i] = std::nextafter(p[i], generator() % 2 ? kInf : -kInf); break;
    case 5: p[i] += p[i] * (static_cast<double>(any(2001)) - 1000) * 0x1p-52; break;
    case 6: p[i] = std::ldexp(1 + static_cast<double>(any(8)) * 0x1p-52, scale); break;  // long products
    default: p[i] = std::ldexp(std::normal_distribution<double>()(generator), scale);
  }
}

// The largest share found from a few random starts of `size` numbers around 2^scale.
double attack(const Measure& measure, Index size, int scale, int steps, Generator& generator) {
  double worst = 0;
  for (int start = 0; start < 3; ++start) {
    Vector best(at(size));
    for (double& v : best) v = std::ldexp(std::normal_distribution<double>()(generator), scale);
    double record = measure(best);
    for (int step = 0; step < steps; ++step) {
      Vector trial = best;
      for (unsigned k = 0; k <= generator() % 3; ++k) mutate(trial, scale, generator);
      const double found = measure(trial);
      if (found < record) continue;
      record = found;
      best = std::move(trial);
    }
    worst = std::max(worst, record);
  }
  return worst;
}

// The numbers of a network of these widths, layer by layer, taken from p behind the point.
struct Genes {
  std::vector<Index> widths;
  double low;  // slope below 0

  Index size() const {
    Index n = widths[0];
    for (std::size_t l = 1; l < widths.size(); ++l) n += widths[l] * (widths[l - 1] + 1);
    return n;
  }
  Network network(const Vector& p) const {
    Network net(widths[0]);
    const double* next = p.data() + widths[0];
    int node = 0;
    for (std::size_t l = 1; l < widths.size(); ++l) {
      if (l > 1) node = net.add_hinge(node, constant(widths[l - 1], low), constant(widths[l - 1], 1.0));
      Matrix w(widths[l], widths[l - 1]);
      std::copy_n(next, w.rows() * w.cols(), w.data());
      next += w.rows() * w.cols();
      node = net.add_affine({{node, LinearMap::from_dense(w)}}, Vector(next, next + widths[l]));
      next += widths[l];
    }
    net.finish();
    return net;
  }
  Matrix point(const Vector& p) const {
    Matrix x(1, widths[0]);
    std::copy_n(p.data(), widths[0], x.data());
    return x;
  }
};

const std::vector<Genes> kGenes{{{6, 1}, 0.0}, {{3, 4, 3, 2}, 0.0}, {{2, 3, 3, 3, 1}, -0.3}};
// Around 1; where products are subnormal; where the numbers themselves are; where products overflow.
const std::vector<int> kScales{0, -520, -1060, 508};

Pattern all_on(const Network& net) { return Pattern(at(net.units()), 1); }

double worst_value(const Network& net, const Network::Values& values, const Network::ExactValues& exact) {
  double worst = 0;
  for (std::size_t s = 0; s < net.stages().size(); ++s)
    for (Index i = 0; i < net.stages()[s].width; ++i) {
      const Index u = net.stages()[s].offset + i;
      worst = std::max(worst, share_of(values.pre(0, u), values.pre_err(0, u), exact.pre[s][i]));
    }
  for (Index i = 0; i < net.outputs(); ++i)
    worst = std::max(worst, share_of(values.out(0, i), values.out_err(0, i), exact.out[i]));
  return worst;
}

double worst_form(const Network::ExactForm& exact, const double* g, const double* g_err, bool one_error, double c,
                  double c_err) {
  double worst = share_of(c, c_err, exact.c);
  for (Index k = 0; k < exact.g.size(); ++k)
    worst = std::max(worst, share_of(g[k], g_err[one_error ? 0 : k], exact.g[k]));
  return worst;
}

// The worst share of every kind of network and scale; the largest is reported and returned.
double attack_networks(const std::string& name, int steps, unsigned seed,
                       const std::function<double(const Genes&, const Vector&)>& measure) {
  Generator generator(seed);
  double worst = 0;
  for (const Genes& genes : kGenes)
    for (const int scale : kScales) {
      const Measure one = [&](const Vector& p) { return measure(genes, p); };
      const double found = attack(one, genes.size(), scale, steps, generator);
      CAPTURE(scale);
      CAPTURE(genes.widths.size());
      CHECK(found <= 1);
      worst = std::max(worst, found);
    }
  MESSAGE(name << ": the search used " << worst << " of the bound");
  return worst;
}

}  // namespace

// Reached: 0.50.
TEST_CASE("the bounds of the forward pass hold under attack") {
  const double worst = attack_networks("forward", 750, 1, [](const Genes& genes, const Vector& p) {
    const Network net = genes.network(p);
    const Matrix x = genes.point(p);
    return worst_value(net, net.forward(x), net.forward_exact(DyadicVector(x.data(), x.cols())));
  });
  CHECK(worst > 0.1);
}

// Reached: 0.55 at points, 0.35 along directions.
TEST_CASE("the norm-wise bounds with held pieces hold under attack") {
  for (const bool linear : {false, true}) {
    const double worst = attack_networks("held pieces, norms", 500, 2, [linear](const Genes& genes, const Vector& p) {
      const Network net = genes.network(p);
      const Matrix x = genes.point(p);
      const Pattern on = all_on(net);
      const DyadicVector exact(x.data(), x.cols());
      return worst_value(net, net.forward_masked(on, x, linear), net.forward_exact(exact, &on, linear));
    });
    CHECK(worst > 0.1);
  }
}

// Reached: 0.57.
TEST_CASE("the elementwise bounds with held pieces hold under attack") {
  const double worst = attack_networks("held pieces, elementwise", 750, 3, [](const Genes& genes, const Vector& p) {
    const Network net = genes.network(p);
    const Matrix x = genes.point(p);
    const Pattern on = all_on(net);
    const DyadicVector exact(x.data(), x.cols());
    return worst_value(net, net.forward_masked(on, x, false, true), net.forward_exact(exact, &on));
  });
  CHECK(worst > 0.1);
}

// Reached: 0.62.
TEST_CASE("the bounds of composed rows hold under attack") {
  const double worst = attack_networks("composed rows", 500, 4, [](const Genes& genes, const Vector& p) {
    const Network net = genes.network(p);
    const Pattern on = all_on(net);
    const Network::Affine rows = net.unit_rows(on), map = net.affine_map(on);
    double found = 0;
    for (Index i = 0; i < net.units() + net.outputs(); ++i) {
      const bool unit = i < net.units();
      const Index r = unit ? i : i - net.units();
      const Network::Affine& from = unit ? rows : map;
      const std::vector<std::pair<Index, Dyadic>> one{{r, Dyadic(1.0)}}, none;
      const Network::ExactForm exact = net.backward_exact(on, unit ? one : none, unit ? none : one);
      const double c = from.c[at(r)], c_err = from.c_err[at(r)];
      found = std::max(found, worst_form(exact, from.A.row(r), &from.A_err[at(r)], true, c, c_err));
    }
    return found;
  });
  CHECK(worst > 0.05);
}

// Reached: 0.50.
TEST_CASE("the bounds of the backward pass hold under attack") {
  const double worst = attack_networks("backward", 750, 5, [](const Genes& genes, const Vector& p) {
    const Network net = genes.network(p);
    const Pattern on = all_on(net);
    Matrix units(1, net.units()), outputs(1, net.outputs());
    std::vector<std::pair<Index, Dyadic>> unit_entries, output_entries;
    // Multipliers are the numbers of the genome once more, so they can cancel.
    for (Index i = 0; i < net.units(); ++i) unit_entries.emplace_back(i, Dyadic(units(0, i) = p[at(i) % p.size()]));
    for (Index i = 0; i < net.outputs(); ++i)
      output_entries.emplace_back(i, Dyadic(outputs(0, i) = p[at(2 * i + 1) % p.size()]));
    const Network::Forms f = net.backward(on, units, outputs);
    const Network::ExactForm exact = net.backward_exact(on, unit_entries, output_entries);
    return worst_form(exact, f.g.row(0), f.g_err.row(0), false, f.c[0], f.c_err[0]);
  });
  CHECK(worst > 0.05);
}

// Reached: 0.26 of what is granted for rounding; 2 (d + 1) roundings are rarely all one way.
TEST_CASE("the supremum over a box is no less than the exact one under attack") {
  Generator generator(6);
  double worst = 0;
  constexpr Index d = 4;
  for (const int scale : kScales) {
    // g, its errors, c, its error, the middles and half widths of the box.
    const auto measure = [](const Vector& p) {
      Network::Forms f{Matrix(1, d), Matrix(1, d), {p[2 * d]}, {std::fabs(p[2 * d + 1]) * 0x1p-50}};
      Vector lower(d), upper(d);
      Dyadic exact = Dyadic(f.c[0]) + Dyadic(f.c_err[0]);
      double plain = f.c[0], errors = f.c_err[0];
      for (Index k = 0; k < d; ++k) {
        f.g(0, k) = p[at(k)];
        f.g_err(0, k) = std::fabs(p[at(d + k)]) * 0x1p-50;
        const double a = p[at(2 * d + 2 + k)], b = p[at(3 * d + 2 + k)];
        lower[at(k)] = std::min(a, b), upper[at(k)] = std::max(a, b);
        const Dyadic g(f.g(0, k)), e(f.g_err(0, k)), low(lower[at(k)]), high(upper[at(k)]);
        const auto larger = [](const Dyadic& x, const Dyadic& y) { return x.compare(y) > 0 ? x : y; };
        const auto most = [&](const Dyadic& x) { return larger(x * (g + e), x * (g - e)); };
        exact = exact + larger(most(low), most(high));
        plain += f.g(0, k) > 0 ? f.g(0, k) * upper[at(k)] : f.g(0, k) * lower[at(k)];
        errors += f.g_err(0, k) * std::max(std::fabs(lower[at(k)]), std::fabs(upper[at(k)]));
      }
      const double sup = sup_over_box(f, lower, upper)[0];
      // What is to be covered beyond the errors that came in, over what is granted beyond them.
      if (!std::isfinite(sup)) return sup > 0 ? 0.0 : kInf;
      const Dyadic given = Dyadic(plain) + Dyadic(errors);
      const Dyadic granted = Dyadic(sup) - given, needed = exact - given;
      if (granted.sign() <= 0 || needed.sign() <= 0) return needed.compare(granted) <= 0 ? 0.0 : kInf;
      return quotient(needed, granted);
    };
    const double found = attack(measure, 4 * d + 2, scale, 6000, generator);
    CAPTURE(scale);
    CHECK(found <= 1);
    worst = std::max(worst, found);
  }
  MESSAGE("supremum over a box: the search used " << worst << " of the allowance");
  CHECK(worst > 0.05);
}

namespace {

Dyadic determinant(const Dyadic (&a)[3][3]) {
  const auto minor = [&](int r, int s, int i, int j) { return a[r][i] * a[s][j] - a[r][j] * a[s][i]; };
  return a[0][0] * minor(1, 2, 1, 2) - a[0][1] * minor(1, 2, 0, 2) + a[0][2] * minor(1, 2, 0, 1);
}

// Rows of three first-stage units and of one deeper unit that is a combination of them.
RowSystem combined_rows(const Vector& p, const Genes& genes) {
  return RowSystem(share(genes.network(p)), Pattern(at(genes.widths[1] + genes.widths[2]), 1), all_of(3));
}

// The exact multipliers by Cramer's rule, B^T lambda = target, over the radius of the enclosure.
double worst_multiplier(const RowSystem& rows) {
  const std::vector<Index> basis{0, 1, 3};  // a deeper row among them, whose entries carry errors
  const Index target = 4;
  const Halfspaces& all = rows.halfspaces();
  const BasisEnclosure e = enclose_multipliers(rows, basis, all.A.row(target), all.A_err[at(target)]);
  if (!e.regular) return 0;
  Dyadic columns[3][3], right[3];
  for (int k = 0; k < 3; ++k) {
    for (int i = 0; i < 3; ++i) columns[k][i] = rows.exact_row(basis[static_cast<std::size_t>(i)]).a[k];
    right[k] = rows.exact_row(target).a[k];
  }
  const Dyadic whole = determinant(columns);
  if (whole.is_zero()) return kInf;  // claimed regular
  double worst = 0;
  for (int i = 0; i < 3; ++i) {
    Dyadic replaced[3][3];
    for (int k = 0; k < 3; ++k)
      for (int j = 0; j < 3; ++j) replaced[k][j] = j == i ? right[k] : columns[k][j];
    if (std::isinf(e.radius[at(i)])) continue;
    const Dyadic error = determinant(replaced) - Dyadic(e.lambda[at(i)]) * whole;
    worst = std::max(worst, quotient(error, Dyadic(e.radius[at(i)]) * whole));
  }
  return worst;
}

}  // namespace

// Reached: 0.13; the enclosure takes norms of inverse and residual one by one.
TEST_CASE("the enclosure of exact multipliers holds under attack") {
  Generator generator(7);
  const Genes genes{{3, 3, 2, 1}, 0.0};
  const auto measure = [&](const Vector& p) { return worst_multiplier(combined_rows(p, genes)); };
  const double worst = attack(measure, genes.size(), 0, 6000, generator);
  MESSAGE("enclosure of multipliers: the search used " << worst << " of the radius");
  CHECK(worst <= 1);
  CHECK(worst > 0.02);
}

// Reached: 0.23.
TEST_CASE("the enclosure of row norms holds under attack") {
  Generator generator(8);
  const Genes genes{{3, 3, 2, 1}, 0.0};
  double worst = 0;
  for (const int scale : kScales) {
    const auto measure = [&](const Vector& p) {
      const RowSystem rows = combined_rows(p, genes);
      double found = 0;
      for (Index j = 0; j < rows.size(); ++j) {
        const DyadicVector a = rows.exact_row(j).a;
        const Dyadic square = dot(a, a), low(rows.norm_lower()[at(j)]);
        if (square.is_zero() || std::isinf(rows.norm_upper()[at(j)])) continue;
        const Dyadic high(rows.norm_upper()[at(j)]);
        if (square.compare(low * low) < 0 || square.compare(high * high) > 0) return kInf;
        if (low.is_zero()) continue;  // a row that may be zero: the lower bound is no estimate
        // Twice the distance of the squares from their middle, over their difference: 1 at either end.
        const Dyadic spread = high * high - low * low, off = square + square - high * high - low * low;
        found = std::max(found, quotient(off, spread));
      }
      return found;
    };
    const double found = attack(measure, genes.size(), scale, 1500, generator);
    CAPTURE(scale);
    CHECK(found <= 1);
    worst = std::max(worst, found);
  }
  MESSAGE("norms of rows: the search used " << worst << " of the half width");
  CHECK(worst > 0.05);
}
