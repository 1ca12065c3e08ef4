// Layer 2. The rows of one cell: composed, evaluated through the network, decided exactly.
#include "predicates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "parallel_dense.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Points are evaluated in blocks so that the pre-activation matrices of a large batch stay in cache and memory.
constexpr Index kBlock = 128;

int sign_of(double value, double error) { return value > error ? 1 : value < -error ? -1 : 0; }

}  // namespace

void Tally::add(const Tally& o, long sign) {
  triage += sign * o.triage;
  tight += sign * o.tight;
  basis += sign * o.basis;
  refine += sign * o.refine;
  exact += sign * o.exact;
  undecided += sign * o.undecided;
  active_set += sign * o.active_set;
  lps += sign * o.lps;
  interior += sign * o.interior;
  for (const auto& [name, value] : o.seconds) seconds[name] += static_cast<double>(sign) * value;
}

RowSystem::RowSystem(std::shared_ptr<const Network> network, Pattern pattern, std::shared_ptr<const Domain> domain, double exact_budget)
    : network_(std::move(network)), pattern_(std::move(pattern)), domain_(std::move(domain)), exact_budget_(exact_budget) {
  units_ = network_ ? network_->units() : 0;
  if (static_cast<Index>(pattern_.size()) != units_) throw std::invalid_argument("the pattern's length is not the number of units");
  if (network_ && network_->inputs() != domain_->dim) throw std::invalid_argument("the domain's dimension is not the network's");
  domain_labels_ = domain_->labels();
  domain_rows_ = domain_->rows();
}

Label RowSystem::label(Index row) const {
  if (row >= units_) return domain_labels_[at(row - units_)];
  const auto [stage, unit] = network_->stage_of(row);
  return {stage, static_cast<std::int32_t>(unit), 1 - pattern_[at(row)]};
}

const Halfspaces& RowSystem::halfspaces() const {
  if (halfspaces_) return *halfspaces_;
  auto all = std::make_unique<Halfspaces>();
  const Index n = size(), d = dim();
  if (units_ == 0 || domain_rows_ > 0) all->A = Matrix::unset(n, d);
  all->b.assign(at(n), 0.0);
  all->A_err.assign(at(n), 0.0);
  all->b_err.assign(at(n), 0.0);
  if (units_ > 0) {
    Network::Affine z = network_->unit_rows(pattern_, 0, 0, workers_);
    Matrix& to = domain_rows_ > 0 ? all->A : z.A;  // in place where nothing else follows
    for_rows(workers_, units_, d, [&](Index i) {
      const double s = side(i), *from = z.A.row(i);
      double* row = to.row(i);
      for (Index k = 0; k < d; ++k) row[k] = from[k] == 0.0 ? 0.0 : s * from[k];
    });
    if (domain_rows_ == 0) all->A = std::move(z.A);
    for (Index i = 0; i < units_; ++i) {
      const double s = side(i);
      all->b[at(i)] = z.c[at(i)] == 0.0 ? 0.0 : -s * z.c[at(i)];
      all->A_err[at(i)] = z.A_err[at(i)];
      all->b_err[at(i)] = z.c_err[at(i)];
    }
  }
  const Halfspaces outer = domain_->halfspaces();
  for (Index i = 0; i < domain_rows_; ++i) {
    std::copy(outer.A.row(i), outer.A.row(i) + d, all->A.row(units_ + i));
    all->b[at(units_ + i)] = outer.b[at(i)];
  }
  all->labels.reserve(at(n));
  for (Index i = 0; i < n; ++i) all->labels.push_back(label(i));
  halfspaces_ = std::move(all);
  return *halfspaces_;
}

const Vector& RowSystem::norm_lower() const {
  if (!norm_lower_.empty() || size() == 0) return norm_lower_;
  const Halfspaces& rows = halfspaces();
  norm_lower_.resize(at(size()));
  norm_upper_.resize(at(size()));
  // |norm(a) - norm(fl a)| <= sqrt(d) A_err; the computed norm carries at most (d + 2) roundings.
  const double root = std::sqrt(static_cast<double>(dim())) * (1 + 4 * kUnit);
  for_rows(workers_, size(), dim(), [&](Index i) {
    const double norm = norm2(rows.A.row(i), dim());
    const double slop = norm * gamma(dim() + 4) + rows.A_err[at(i)] * root * (1 + 4 * kUnit) + (norm > 0 ? underflow(dim()) : 0.0);
    norm_lower_[at(i)] = std::max(0.0, (norm - slop) * (1 - 2 * kUnit));
    norm_upper_[at(i)] = (norm + slop) * (1 + 2 * kUnit);
  });
  return norm_lower_;
}

const Vector& RowSystem::norm_upper() const {
  norm_lower();
  return norm_upper_;
}

const std::vector<std::uint8_t>& RowSystem::zero_rows() const {
  if (zero_known_) return zero_;
  const Halfspaces& rows = halfspaces();
  zero_.assign(at(size()), 0);
  Vector sizes(at(size()), 0.0);
  for_rows(workers_, size(), dim(), [&](Index i) {
    for (Index k = 0; k < dim(); ++k) sizes[at(i)] = std::max(sizes[at(i)], std::fabs(rows.A(i, k)));
  });
  for (Index i = 0; i < size(); ++i) {
    const double largest = sizes[at(i)];
    if (largest > rows.A_err[at(i)]) {
      ++tally_.triage;
    } else if (largest == 0.0 && rows.A_err[at(i)] == 0.0) {
      ++tally_.triage;
      zero_[at(i)] = 1;  // structurally zero: no live input
    } else if (nonzero_refined(i)) {
      ++tally_.refine;
    } else {
      ++tally_.exact;
      zero_[at(i)] = exact_row(i).a.all_zero() ? 1 : 0;
    }
  }
  zero_known_ = true;
  return zero_;
}

RowSystem::Slacks RowSystem::slacks(const Matrix& points, bool linear, bool tight) const {
  return slacks_by(points, linear, [&](const Matrix& block) { return network_->forward_masked(pattern_, block, linear, tight); });
}

RowSystem::Slacks RowSystem::slacks(const Matrix& points, const Network::Held* held) const {
  return slacks_by(points, false, [&](const Matrix& block) { return network_->forward_held(*held, block); });
}

RowSystem::Slacks RowSystem::slacks_by(const Matrix& points, bool linear,
                                       const std::function<Network::Values(const Matrix&)>& forward) const {
  const Index m = points.rows(), n = size(), d = dim();
  Slacks result{Matrix(m, n), Matrix(m, n)};
  for (Index first = 0; first < m; first += kBlock) {
    const Index count = std::min(kBlock, m - first);
    Matrix block(count, d);
    std::copy(points.row(first), points.row(first) + count * d, block.data());
    if (units_ > 0) {
      const Network::Values v = forward(block);
      for (Index i = 0; i < count; ++i)
        for (Index u = 0; u < units_; ++u) {
          result.value(first + i, u) = pattern_[at(u)] ? v.pre(i, u) : -v.pre(i, u);
          result.error(first + i, u) = v.pre_err(i, u);
        }
    }
    for (Index i = 0; i < count; ++i) {
      const double* x = block.row(i);
      double* value = result.value.row(first + i) + units_;
      double* error = result.error.row(first + i) + units_;
      Index r = 0;
      for (Index k = 0; k < d; ++k) {  // one rounding each
        const double lower = domain_->lower[at(k)], upper = domain_->upper[at(k)];
        if (std::isfinite(lower)) {
          value[r] = linear ? x[k] : x[k] - lower;
          error[r++] = linear ? 0.0 : std::fabs(x[k] - lower) * kUnit;
        }
        if (std::isfinite(upper)) {
          value[r] = linear ? -x[k] : upper - x[k];
          error[r++] = linear ? 0.0 : std::fabs(upper - x[k]) * kUnit;
        }
      }
      for (Index g = 0; g < domain_->A.rows(); ++g) {
        double sum = linear ? 0.0 : domain_->b[at(g)], size_sum = std::fabs(sum);
        for (Index k = 0; k < d; ++k) {
          sum -= domain_->A(g, k) * x[k];
          size_sum += std::fabs(domain_->A(g, k) * x[k]);
        }
        const bool good = std::isfinite(sum) && std::isfinite(size_sum);  // what overflowed claims nothing
        value[r] = good ? sum : 0.0;
        error[r++] = good ? size_sum * gamma(2 * d + 4) + underflow(2 * d) : std::numeric_limits<double>::infinity();
      }
    }
  }
  return result;
}

std::vector<int> RowSystem::slack_signs(const double* point, bool linear) const {
  const Index n = size();
  Matrix one(1, dim());
  std::copy(point, point + dim(), one.data());
  std::vector<int> signs(at(n), 0);
  Slacks s = slacks(one, linear, false);
  std::vector<Index> open;
  for (Index j = 0; j < n; ++j) {
    signs[at(j)] = sign_of(s.value(0, j), s.error(0, j));
    if (signs[at(j)] == 0 && s.error(0, j) != 0.0) open.push_back(j);
  }
  tally_.triage += n - static_cast<Index>(open.size());
  if (open.empty()) return signs;
  s = slacks(one, linear, true);
  std::vector<Index> left;
  for (const Index j : open) {
    signs[at(j)] = sign_of(s.value(0, j), s.error(0, j));
    if (signs[at(j)] == 0 && s.error(0, j) != 0.0) left.push_back(j);
  }
  tally_.tight += static_cast<long>(open.size() - left.size());
  if (left.empty()) return signs;
  decide_refined(one, linear, left, signs);
  decide_exactly(one, linear, left, signs);
  return signs;
}

void RowSystem::decide_exactly(const Matrix& parts, bool linear, const std::vector<Index>& open, std::vector<int>& signs) const {
  if (open.empty()) return;
  const DyadicVector x = exact_point(parts);
  Network::ExactValues values;
  if (open.front() < units_) values = network_->forward_exact(x, &pattern_, linear);
  for (const Index j : open) {
    if (j < units_) {
      const auto [stage, unit] = network_->stage_of(j);
      signs[at(j)] = -static_cast<int>(side(j)) * values.pre[at(stage)][unit].sign();
    } else {
      const ExactRow row = exact_row(j);
      const Dyadic product = dot(row.a, x);
      signs[at(j)] = linear ? -product.sign() : row.b.compare(product);
    }
  }
  tally_.exact += static_cast<long>(open.size());
}

bool RowSystem::strictly_inside(const double* point) const {
  if (!std::all_of(point, point + dim(), [](double v) { return std::isfinite(v); })) return false;
  return strictly_slack(slack_signs(point));
}

bool RowSystem::strictly_inside(const Matrix& parts) const {
  const double* end = parts.data() + parts.rows() * parts.cols();
  if (!std::all_of(parts.data(), end, [](double v) { return std::isfinite(v); })) return false;
  return strictly_slack(slack_signs(parts));
}

bool RowSystem::strictly_slack(const std::vector<int>& signs) const {
  for (Index j = 0; j < size(); ++j) {
    if (signs[at(j)] < 0) return false;
    if (signs[at(j)] == 0 && !zero_rows()[at(j)]) return false;
  }
  return true;
}

Network::Forms RowSystem::forms(const std::vector<SparseRow>& multipliers) const {
  const Index m = static_cast<Index>(multipliers.size()), d = dim();
  Network::Forms f;
  if (units_ > 0) {
    Matrix unit(m, units_);
    for (Index i = 0; i < m; ++i)
      for (const auto& [row, value] : multipliers[at(i)])
        if (row < units_) unit(i, row) = side(row) * value;
    f = network_->backward(pattern_, unit, Matrix(), 0);
  } else {
    f.g = Matrix(m, d);
    f.g_err = Matrix(m, d);
    f.c.assign(at(m), 0.0);
    f.c_err.assign(at(m), 0.0);
  }
  const Halfspaces outer = domain_rows_ > 0 ? domain_->halfspaces() : Halfspaces{};
  // One addition of a rounded product: u |product| + u |sum|, and underflow; the factor covers the sum of the errors.
  const auto accumulate = [](double& sum, double& error, double factor, double value) {
    if (factor == 0.0 || value == 0.0) return;
    const double product = factor * value;
    sum += product;
    error = (error + (std::fabs(product) + std::fabs(sum)) * (2 * kUnit) + underflow(1)) * (1 + 4 * kUnit);
  };
  for (Index i = 0; i < m; ++i)
    for (const auto& [row, value] : multipliers[at(i)]) {
      if (row < units_) continue;
      const double* a = outer.A.row(row - units_);
      for (Index k = 0; k < d; ++k) accumulate(f.g(i, k), f.g_err(i, k), value, a[k]);
      accumulate(f.c[at(i)], f.c_err[at(i)], -value, outer.b[at(row - units_)]);
    }
  return f;
}

Network::Forms RowSystem::stage_forms(const std::vector<SparseRow>& multipliers, int stage) const {
  const Index m = static_cast<Index>(multipliers.size());
  Matrix unit(m, units_);
  for (Index i = 0; i < m; ++i)
    for (const auto& [row, value] : multipliers[at(i)]) unit(i, row) = side(row) * value;
  return network_->backward(pattern_, unit, Matrix(), network_->stages()[at(stage)].pre);
}

ExactRow RowSystem::exact_row(Index row) const {
  const auto found = exact_rows_.find(row);
  if (found != exact_rows_.end()) return found->second;
  ExactRow exact;
  if (row < units_) {
    Dyadic s(side(row));
    Network::ExactForm form = network_->backward_exact(pattern_, {{row, s}}, {}, 0);
    exact.a = std::move(form.g);
    exact.b = -form.c;
  } else {
    const Halfspaces& all = halfspaces();
    exact.a = DyadicVector(all.A.row(row), dim());
    exact.b = Dyadic(all.b[at(row)]);
  }
  exact_rows_.emplace(row, exact);
  return exact;
}

bool RowSystem::parallel(Index i, Index j) const {
  ++tally_.exact;
  return parallel_sign(exact_row(i).a, exact_row(j).a) > 0;
}

int RowSystem::compare_offsets(Index i, Index j) const {
  const ExactRow p = exact_row(i), q = exact_row(j);
  for (Index k = 0; k < dim(); ++k) {
    const Dyadic x = p.a[k], y = q.a[k];
    if (x.is_zero()) continue;
    const int order = (p.b * y).compare(q.b * x);  // b_i y - b_j x, with x and y of one sign
    return x.sign() > 0 ? order : -order;
  }
  return 0;
}

}  // namespace pyregions
