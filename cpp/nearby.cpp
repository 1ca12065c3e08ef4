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
// computed norm of n numbers carries at most n + 2 roundings, and underflow. Not to be used where the largest coefficient is
// so small or large that squares leave the range of doubles; then the bounds say nothing.
struct Length {
  double lower = 0, upper = kInfinity;
};

Length dual_norm(const double* row, Index n, double error, int norm) {
  constexpr double kSmall = 0x1p-400, kLarge = 0x1p400;
  double largest = 0, sum = 0;
  for (Index k = 0; k < n; ++k) {
    largest = std::max(largest, std::fabs(row[k]));
    sum += std::fabs(row[k]);
  }
  if (!(largest > kSmall && largest < kLarge && error < kLarge)) return {};
  const double value = norm == 2 ? norm2(row, n) : norm == 1 ? largest : sum;
  const double ones = norm == 2 ? std::sqrt(static_cast<double>(n)) : norm == 1 ? 1.0 : static_cast<double>(n);
  const double slop = (value * gamma(n + 4) + error * ones) * (1 + 8 * kUnit) + underflow(n);
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

RowDistances::RowDistances(const Network& network, const Pattern& pattern, const Vector& point, int norm)
    : point_(point), norm_(norm), rows_(at(network.units())) {
  exact_row_ = [&network, &pattern](Index unit) {
    Network::ExactForm form = network.backward_exact(pattern, {{unit, Dyadic(1.0)}}, {}, 0);
    return ExactRow{std::move(form.g), -form.c};
  };
  Matrix one(1, network.inputs());
  std::copy(point.begin(), point.end(), one.data());
  const Network::Values v = network.forward(one);
  network.each_stage(pattern, [&](int stage, const Network::Affine& rows) {
    const Index first = network.stages()[static_cast<std::size_t>(stage)].offset;
    for (Index i = 0; i < rows.A.rows(); ++i)
      measure(first + i, rows.A.row(i), rows.A_err[at(i)], v.pre(0, first + i), v.pre_err(0, first + i));
  });
}

RowDistances::RowDistances(const RowSystem& rows, const Vector& point, int norm)
    : point_(point), norm_(norm), rows_(at(rows.size())) {
  exact_row_ = [&rows](Index row) { return rows.exact_row(row); };
  Matrix one(1, rows.dim());
  std::copy(point.begin(), point.end(), one.data());
  const RowSystem::Slacks slack = rows.slacks(one, false, true);
  const Halfspaces& all = rows.halfspaces();
  for (Index j = 0; j < rows.size(); ++j) measure(j, all.A.row(j), all.A_err[at(j)], slack.value(0, j), slack.error(0, j));
}

void RowDistances::measure(Index row, const double* a, double a_err, double slack, double slack_err) {
  NearRow& found = rows_[at(row)];
  found.row = row;
  const Index d = static_cast<Index>(point_.size());
  if (a_err == 0 && std::all_of(a, a + d, [](double v) { return v == 0; })) {
    found.value = found.lower = found.upper = kInfinity;
    return;
  }
  const Length length = dual_norm(a, d, a_err, norm_);
  const double size = std::fabs(slack);
  if (length.lower > 0 && (size + slack_err) / length.lower < kInfinity) {
    found.value = size / (length.lower + (length.upper - length.lower) / 2);
    found.lower = std::max(0.0, size - slack_err) / length.upper;
    found.upper = (size + slack_err) / length.lower;
    widen(found);
    return;
  }
  const Ratio& exact = ratio(row);  // perhaps zero, or beyond what floats can hold on the way
  if (exact.denominator.is_zero()) {
    found.value = found.lower = found.upper = kInfinity;
    return;
  }
  found.value = found.lower = found.upper = quotient(exact.numerator, exact.denominator, norm_ == 2);
  widen(found);
  found.lower = std::min(found.lower, std::numeric_limits<double>::max());
}

const RowDistances::Ratio& RowDistances::ratio(Index row) {
  const auto found = ratios_.find(row);
  if (found != ratios_.end()) return found->second;
  const ExactRow exact = exact_row_(row);
  const Dyadic slack = exact.b - dot(exact.a, DyadicVector(point_.data(), static_cast<Index>(point_.size())));
  return ratios_[row] = {norm_ == 2 ? slack * slack : slack.sign() < 0 ? -slack : slack, dual_norm(exact.a, norm_)};
}

bool RowDistances::closer(const NearRow& a, const NearRow& b) {
  if (a.upper < b.lower) return true;
  if (b.upper < a.lower || a.row == b.row) return false;
  const bool a_zero = std::isinf(a.lower), b_zero = std::isinf(b.lower);
  if (a_zero || b_zero) return a_zero == b_zero ? a.row < b.row : b_zero;
  const Ratio &p = ratio(a.row), &q = ratio(b.row);
  const int order = (p.numerator * q.denominator).compare(q.numerator * p.denominator);
  return order != 0 ? order < 0 : a.row < b.row;
}

std::vector<NearRow> RowDistances::nearest(Index k, Index among) {
  k = std::min(k, among);
  if (k == 0) return {};
  Vector upper;
  for (Index j = 0; j < among; ++j) upper.push_back(rows_[at(j)].upper);
  std::nth_element(upper.begin(), upper.begin() + (k - 1), upper.end());
  std::vector<NearRow> found;
  for (Index j = 0; j < among; ++j)
    if (rows_[at(j)].lower <= upper[at(k - 1)]) found.push_back(rows_[at(j)]);
  std::sort(found.begin(), found.end(), [&](const NearRow& a, const NearRow& b) { return closer(a, b); });
  found.resize(at(k));
  return found;
}

Index RowDistances::within(double radius) {
  const Dyadic r(radius), limit = norm_ == 2 ? r * r : r;
  return static_cast<Index>(std::count_if(rows_.begin(), rows_.end(), [&](const NearRow& row) {
    if (row.upper <= radius) return true;
    if (row.lower > radius) return false;
    const Ratio& exact = ratio(row.row);  // not zero: its lower bound is finite
    return exact.numerator.compare(limit * exact.denominator) <= 0;
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
        for (Index c = 0; c < d; ++c) vertex[c] += r * directions(k, c);  // two roundings: contraction is off
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
  const Index d = network.inputs();
  h.A = std::move(forms.g);
  h.b_err = std::move(forms.c_err);
  for (Index i = 0; i < n; ++i) {
    h.b.push_back(-forms.c[at(i)]);
    h.A_err.push_back(*std::max_element(forms.g_err.row(i), forms.g_err.row(i) + d));
    const auto smaller = [](double a, double b) { return std::fabs(a) < std::fabs(b); };
    const double largest = std::fabs(*std::max_element(h.A.row(i), h.A.row(i) + d, smaller));
    if (largest > h.A_err[at(i)] && std::isfinite(h.b_err[at(i)])) continue;
    // Perhaps zero, or out of range on the way: rounded from the exact row.
    const Index u = units[at(i)];
    const Network::ExactForm exact = network.backward_exact(pattern, {{u, Dyadic(multipliers(i, u))}}, {}, 0);
    const Vector a = exact.g.to_doubles();
    std::copy(a.begin(), a.end(), h.A.row(i));
    h.b[at(i)] = (-exact.c).to_double();
    const auto rounding = [](double v) { return std::fabs(v) * kUnit + (v != 0 ? underflow(1) : 0.0); };
    h.A_err[at(i)] = exact.g.all_zero() ? 0.0 : underflow(1);
    for (const double v : a) h.A_err[at(i)] = std::max(h.A_err[at(i)], rounding(v));
    h.b_err[at(i)] = exact.c.is_zero() ? 0.0 : rounding(h.b[at(i)]) + underflow(1);
  }
  return h;
}

}  // namespace pyregions
