// Layer 4. See nearby.h.
#include "nearby.h"

#include <algorithm>
#include <cmath>

#include "cell.h"

namespace pyregions {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kTile = 128;  // directions, or points, per forward pass

// The norm of a row that measures distances in norm 1, 2 or 0 (the dual one), with bounds. Law: every coefficient of the
// exact row lies within `error` of the stored one, so its norm within `error` times that of the all-one vector; the
// computed norm of n numbers carries at most n + 2 roundings, and underflow.
struct Length {
  double lower, upper;
};

Length dual_norm(const double* row, Index n, double error, int norm) {
  double value = 0, ones = 1;
  if (norm == 2) {
    value = norm2(row, n);
    ones = std::sqrt(static_cast<double>(n));
  } else if (norm == 1) {
    for (Index k = 0; k < n; ++k) value = std::max(value, std::fabs(row[k]));
  } else {
    for (Index k = 0; k < n; ++k) value += std::fabs(row[k]);
    ones = static_cast<double>(n);
  }
  const double slop = (value * gamma(n + 4) + error * ones) * (1 + 8 * kUnit) + (value > 0 ? underflow(n) : 0.0);
  if (!std::isfinite(value + slop)) return {0, kInfinity};
  return {std::max(0.0, (value - slop) * (1 - 2 * kUnit)), (value + slop) * (1 + 2 * kUnit)};
}

Dyadic dual_norm(const DyadicVector& row, int norm) {  // of norm 2: its square
  if (norm == 2) return dot(row, row);
  Dyadic found;
  for (Index k = 0; k < row.size(); ++k) {
    const Dyadic size = row[k].sign() < 0 ? -row[k] : row[k];
    if (norm == 0)
      found = found + size;
    else if (size.compare(found) > 0)
      found = size;
  }
  return found;
}

// x = m 2^e with 1 <= m <= 2; x > 0.
std::pair<double, long> scaled(Dyadic x) {
  const long top = static_cast<long>(msb(x.mantissa));
  const long power = x.exponent + top;
  x.exponent = -top;
  return {x.to_double(), power};
}

// a / b, or its square root, to a few roundings; a >= 0, b > 0.
double quotient(const Dyadic& a, const Dyadic& b, bool root) {
  if (a.is_zero()) return 0;
  const auto [m, e] = scaled(a);
  const auto [n, f] = scaled(b);
  const long limit = 4000;  // far beyond the range of doubles
  long power = std::clamp(e - f, -limit, limit);
  double value = m / n;
  if (root) {
    if (power % 2 != 0) {
      value *= 2;
      --power;
    }
    value = std::sqrt(value);
    power /= 2;
  }
  return std::ldexp(value, static_cast<int>(power));
}

// Widens an interval of a nonnegative number by the few roundings that it was computed with.
void widen(NearRow& row) {
  row.lower = std::max(0.0, row.lower * (1 - 16 * kUnit) - underflow(2));
  row.upper = row.upper * (1 + 16 * kUnit) + underflow(2);
  row.value = std::clamp(row.value, row.lower, row.upper);
}

// The largest double not beyond r from x in the direction of the sign of r.
double not_beyond(double x, double r) {
  const double moved = x + r;
  const Dyadic far = Dyadic(moved) - Dyadic(x) - Dyadic(r);
  return far.sign() != 0 && (far.sign() > 0) == (r > 0) ? std::nextafter(moved, x) : moved;
}

// Which strict signs every unit has been seen to take.
class SignsSeen {
 public:
  explicit SignsSeen(const Network& network) : network_(network), seen_(at(network.units()), 0) {}

  void look_at(const Matrix& points) {
    const Network::Values v = network_.forward(points);
    for (Index p = 0; p < points.rows(); ++p) {
      bool open = false;
      for (Index u = 0; u < network_.units(); ++u) {
        const double value = v.pre(p, u), error = v.pre_err(p, u);
        note(u, value > error ? 1 : value < -error ? -1 : 0);
        open = open || (!(std::fabs(value) > error) && error != 0 && seen_[at(u)] != 3);
      }
      if (open) open_.insert(open_.end(), points.row(p), points.row(p) + points.cols());
    }
  }

  Index changes() {
    const Index d = network_.inputs();
    for (Index p = 0; p * d < static_cast<Index>(open_.size()); ++p) {
      const std::vector<int> signs = unit_signs(network_, open_.data() + p * d);
      for (Index u = 0; u < network_.units(); ++u) note(u, signs[at(u)]);
    }
    open_.clear();
    return static_cast<Index>(std::count(seen_.begin(), seen_.end(), 3));
  }

 private:
  void note(Index unit, int sign) {
    if (sign != 0) seen_[at(unit)] = static_cast<std::uint8_t>(seen_[at(unit)] | (sign > 0 ? 1 : 2));
  }

  const Network& network_;
  std::vector<std::uint8_t> seen_;  // bit 0: positive, bit 1: negative
  Vector open_;                      // points where floats left a sign open that may matter
};

}  // namespace

Pattern pattern_at(const std::shared_ptr<const Network>& network, const Vector& point, bool any) {
  const std::vector<int> signs = unit_signs(*network, point.data());
  if (std::find(signs.begin(), signs.end(), 0) != signs.end()) {
    const auto all = std::make_shared<const Domain>(Domain::all(network->inputs()));
    return cell_at(network, point, all, any)->rows().pattern();
  }
  Pattern pattern(signs.size());
  std::transform(signs.begin(), signs.end(), pattern.begin(), [](int s) { return s > 0 ? 1 : 0; });
  return pattern;
}

RowDistances::RowDistances(const Network& network, Pattern pattern, Vector point, int norm)
    : network_(network), pattern_(std::move(pattern)), point_(std::move(point)), norm_(norm), rows_(at(network.units())) {
  Matrix one(1, network.inputs());
  std::copy(point_.begin(), point_.end(), one.data());
  const Network::Values v = network.forward(one);
  const Vector pre(v.pre.row(0), v.pre.row(0) + network.units()), error(v.pre_err.row(0), v.pre_err.row(0) + network.units());
  network.each_stage(pattern_, [&](int stage, const Network::Affine& rows) {
    measure(rows, network.stages()[static_cast<std::size_t>(stage)].offset, pre, error);
  });
}

void RowDistances::measure(const Network::Affine& rows, Index first, const Vector& pre, const Vector& pre_err) {
  for (Index i = 0; i < rows.A.rows(); ++i) {
    const Index u = first + i;
    NearRow& row = rows_[at(u)];
    row.unit = u;
    const Length length = dual_norm(rows.A.row(i), rows.A.cols(), rows.A_err[at(i)], norm_);
    const double z = std::fabs(pre[at(u)]), error = pre_err[at(u)];
    if (length.upper == 0) {
      row.value = row.lower = row.upper = kInfinity;  // no live input
      continue;
    }
    if (length.lower > 0) {
      row.value = z / (length.lower + (length.upper - length.lower) / 2);
      row.lower = std::max(0.0, z - error) / length.upper;
      row.upper = (z + error) / length.lower;
    } else {  // perhaps zero
      const Ratio& exact = ratio(u);
      row.value = exact.denominator.is_zero() ? kInfinity : quotient(exact.numerator, exact.denominator, norm_ == 2);
      row.lower = row.upper = row.value;
    }
    if (std::isfinite(row.value)) widen(row);
  }
}

const RowDistances::Ratio& RowDistances::ratio(Index unit) {
  const auto found = ratios_.find(unit);
  if (found != ratios_.end()) return found->second;
  const Network::ExactForm form = network_.backward_exact(pattern_, {{unit, Dyadic(1.0)}}, {}, 0);
  const Dyadic z = dot(form.g, DyadicVector(point_.data(), network_.inputs())) + form.c;
  return ratios_[unit] = {norm_ == 2 ? z * z : z.sign() < 0 ? -z : z, dual_norm(form.g, norm_)};
}

bool RowDistances::closer(const NearRow& a, const NearRow& b) {
  if (a.upper < b.lower) return true;
  if (b.upper < a.lower || a.unit == b.unit) return false;
  if (std::isinf(a.lower) && std::isinf(b.lower)) return a.unit < b.unit;
  const Ratio &p = ratio(a.unit), &q = ratio(b.unit);
  const int order = (p.numerator * q.denominator).compare(q.numerator * p.denominator);
  return order != 0 ? order < 0 : a.unit < b.unit;
}

std::vector<NearRow> RowDistances::nearest(Index k) {
  k = std::min(k, static_cast<Index>(rows_.size()));
  if (k == 0) return {};
  Vector upper;
  for (const NearRow& row : rows_) upper.push_back(row.upper);
  std::nth_element(upper.begin(), upper.begin() + (k - 1), upper.end());
  std::vector<NearRow> found;
  for (const NearRow& row : rows_)
    if (row.lower <= upper[at(k - 1)]) found.push_back(row);
  std::sort(found.begin(), found.end(), [&](const NearRow& a, const NearRow& b) { return closer(a, b); });
  found.resize(at(k));
  return found;
}

Index RowDistances::within(double radius) {
  const Dyadic r(radius), limit = norm_ == 2 ? r * r : r;
  return static_cast<Index>(std::count_if(rows_.begin(), rows_.end(), [&](const NearRow& row) {
    if (row.upper <= radius) return true;
    if (row.lower > radius) return false;
    const Ratio& exact = ratio(row.unit);
    return !exact.denominator.is_zero() && exact.numerator.compare(limit * exact.denominator) <= 0;
  }));
}

Index sign_changes(const Network& network, const Vector& x, double radius, const Matrix& directions) {
  const Index d = network.inputs(), count = directions.empty() ? d : directions.rows();
  SignsSeen signs(network);
  for (Index first = 0; first < count; first += kTile) {
    const Index n = std::min(kTile, count - first);
    Matrix vertices(2 * n, d);
    for (Index p = 0; p < 2 * n; ++p) {
      const Index k = first + p / 2;
      const double r = p % 2 ? -radius : radius;
      double* vertex = vertices.row(p);
      std::copy(x.begin(), x.end(), vertex);
      if (directions.empty())
        vertex[k] = not_beyond(x[at(k)], r);
      else
        axpy(r, directions.row(k), vertex, d);
    }
    signs.look_at(vertices);
  }
  return signs.changes();
}

std::pair<Index, std::exception_ptr> pack_patterns(const std::shared_ptr<const Network>& network, const Matrix& points, bool any,
                                                   std::uint8_t* out) {
  const Index units = network->units(), bytes = (units + 7) / 8;
  const Network::Values v = network->forward(points);
  std::fill_n(out, points.rows() * bytes, std::uint8_t{0});
  for (Index p = 0; p < points.rows(); ++p) {
    bool open = false;
    for (Index u = 0; u < units && !open; ++u) open = !(std::fabs(v.pre(p, u)) > v.pre_err(p, u));
    Pattern pattern;
    try {
      if (open) pattern = pattern_at(network, Vector(points.row(p), points.row(p) + points.cols()), any);
    } catch (...) {
      return {p, std::current_exception()};
    }
    for (Index u = 0; u < units; ++u) {
      if (open ? pattern[at(u)] != 0 : v.pre(p, u) > 0) out[p * bytes + u / 8] |= static_cast<std::uint8_t>(1U << (u % 8));
    }
  }
  return {0, nullptr};
}

Halfspaces chosen_rows(const Network& network, const Pattern& pattern, const std::vector<Index>& units) {
  const Index n = static_cast<Index>(units.size());
  Matrix multipliers(n, network.units());
  Halfspaces h;
  for (Index i = 0; i < n; ++i) {
    const Index u = units[at(i)];
    multipliers(i, u) = pattern[at(u)] ? -1.0 : 1.0;  // outward: where the unit leaves its piece
    const auto [stage, within] = network.stage_of(u);
    h.labels.push_back({stage, static_cast<std::int32_t>(within), 1 - pattern[at(u)]});
  }
  Network::Forms forms = network.backward(pattern, multipliers, {});
  for (Index i = 0; i < n; ++i) {
    h.b.push_back(-forms.c[at(i)]);
    h.A_err.push_back(*std::max_element(forms.g_err.row(i), forms.g_err.row(i) + network.inputs()));
  }
  h.A = std::move(forms.g);
  h.b_err = std::move(forms.c_err);
  return h;
}

}  // namespace pyregions
