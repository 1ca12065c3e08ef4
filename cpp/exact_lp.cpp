// Layer 0. Integer-preserving pivoting and the least-index criss-cross rule.
#include "exact_lp.h"

#include <algorithm>

namespace pyregions {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kAsk{50};  // between two questions whether to stop
thread_local std::function<bool()> asked;
thread_local Clock::time_point next_question;
}  // namespace

InterruptScope::InterruptScope(std::function<bool()> stop) { asked = std::move(stop); }
InterruptScope::~InterruptScope() { asked = nullptr; }

Deadline::Deadline(double seconds) : end_(std::chrono::steady_clock::time_point::max()) {
  constexpr double kForever = 1e8;  // seconds; beyond that the clock's arithmetic could overflow
  if (seconds < kForever)
    end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void Deadline::check() const {
  if (is_over()) throw OutOfBudget("the time for one exact decision is over");
}

bool Deadline::is_over() const {
  const Clock::time_point now = Clock::now();
  if (asked && now > next_question) {
    next_question = now + kAsk;
    if (asked()) throw Interrupted("an exact decision was interrupted");
  }
  return now > end_;
}

ExactLp::ExactLp(Index dim) : dim_(dim), top_(static_cast<std::size_t>(dim) + 1) {
  for (Index k = 0; k < dim; ++k) nonbasic_.push_back(k);
  objective_.assign(static_cast<std::size_t>(dim), 0);
}

Index ExactLp::add(const IntegerRow& row) {
  // scale (b - a.x) with every basic x replaced by its line.
  const std::size_t n = nonbasic_.size();
  Line line(n + 1);
  line[n] = scale_ * row.b;
  for (std::size_t k = 0; k < n; ++k)
    if (is_free(nonbasic_[k])) line[k] = scale_ * row.a[static_cast<std::size_t>(nonbasic_[k])];
  for (std::size_t i = 0; i < table_.size(); ++i) {
    if (!is_free(basic_[i])) continue;
    const Integer& a = row.a[static_cast<std::size_t>(basic_[i])];
    if (a.is_zero()) continue;
    for (std::size_t k = 0; k <= n; ++k) line[k] -= a * table_[i][k];
  }
  table_.push_back(std::move(line));
  basic_.push_back(dim_ + rows_);
  return rows_++;
}

void ExactLp::set_objective(const std::vector<Integer>& c) {
  objective_ = c;
  const std::size_t n = nonbasic_.size();
  std::fill(top_.begin(), top_.end(), 0);
  for (std::size_t k = 0; k < n; ++k)
    if (is_free(nonbasic_[k])) top_[k] = -scale_ * c[static_cast<std::size_t>(nonbasic_[k])];
  for (std::size_t i = 0; i < table_.size(); ++i) {
    if (!is_free(basic_[i])) continue;
    const Integer& factor = c[static_cast<std::size_t>(basic_[i])];
    if (factor.is_zero()) continue;
    for (std::size_t k = 0; k <= n; ++k) top_[k] += factor * table_[i][k];
  }
}

// Exchanges basic_[line] and nonbasic_[column]; the division by the old scale is exact.
void ExactLp::pivot(std::size_t line, std::size_t column) {
  Line& chosen = table_[line];
  const Integer p = chosen[column];
  const bool flip = p.sign() < 0;
  const auto change = [&](Line& other) {
    const Integer factor = other[column];
    for (std::size_t k = 0; k < other.size(); ++k) {
      if (k == column) continue;
      if (factor.is_zero() || chosen[k].is_zero()) {
        if (other[k].is_zero()) continue;
        other[k] *= p;
      } else {
        other[k] = other[k] * p - factor * chosen[k];
      }
      if (scale_ != 1) other[k] /= scale_;
      if (flip) other[k] = -other[k];
    }
    other[column] = flip ? factor : Integer(-factor);
  };
  for (std::size_t i = 0; i < table_.size(); ++i)
    if (i != line) change(table_[i]);
  change(top_);
  chosen[column] = scale_;
  if (flip)
    for (Integer& v : chosen) v = -v;
  scale_ = flip ? Integer(-p) : p;
  std::swap(basic_[line], nonbasic_[column]);
}

bool ExactLp::enter(Index row) {
  const auto found = std::find(basic_.begin(), basic_.end(), dim_ + row);
  if (found == basic_.end()) return true;
  const std::size_t line = static_cast<std::size_t>(found - basic_.begin());
  for (std::size_t k = 0; k < nonbasic_.size(); ++k)
    if (is_free(nonbasic_[k]) && !table_[line][k].is_zero()) {
      pivot(line, k);
      return true;
    }
  return false;
}

bool ExactLp::free_variables(const Deadline& deadline) {
  for (std::size_t k = 0; k < nonbasic_.size(); ++k) {
    if (!is_free(nonbasic_[k])) continue;
    deadline.check();
    std::size_t line = table_.size();
    for (std::size_t i = 0; i < table_.size() && line == table_.size(); ++i)
      if (!is_free(basic_[i]) && !table_[i][k].is_zero()) line = i;
    if (line < table_.size()) {
      pivot(line, k);
    } else if (!top_[k].is_zero()) {  // no row sees this direction, the objective does
      column_ = k;
      sense_ = top_[k].sign() < 0 ? 1 : -1;
      return false;
    }
  }
  return true;
}

ExactLp::Status ExactLp::solve(const Deadline& deadline) {
  if (!free_variables(deadline)) return status_ = Status::unbounded;
  const std::size_t n = nonbasic_.size();
  while (true) {
    deadline.check();
    // The first variable, in the order of rows, that is infeasible: a negative slack, or a slack worth raising.
    Index least = dim_ + rows_;
    bool primal = false;
    std::size_t where = 0;
    for (std::size_t i = 0; i < table_.size(); ++i)
      if (!is_free(basic_[i]) && basic_[i] < least && table_[i][n].sign() < 0) least = basic_[i], primal = true, where = i;
    for (std::size_t k = 0; k < n; ++k)
      if (!is_free(nonbasic_[k]) && nonbasic_[k] < least && top_[k].sign() < 0) least = nonbasic_[k], primal = false, where = k;
    if (least == dim_ + rows_) return status_ = Status::optimal;
    Index partner = dim_ + rows_;
    std::size_t other = 0;
    if (primal) {
      for (std::size_t k = 0; k < n; ++k)
        if (!is_free(nonbasic_[k]) && nonbasic_[k] < partner && table_[where][k].sign() < 0) partner = nonbasic_[k], other = k;
      if (partner == dim_ + rows_) {
        line_ = where;
        return status_ = Status::infeasible;
      }
      pivot(where, other);
    } else {
      for (std::size_t i = 0; i < table_.size(); ++i)
        if (!is_free(basic_[i]) && basic_[i] < partner && table_[i][where].sign() > 0) partner = basic_[i], other = i;
      if (partner == dim_ + rows_) {
        column_ = where;
        sense_ = 1;
        return status_ = Status::unbounded;
      }
      pivot(other, where);
    }
  }
}

std::vector<Integer> ExactLp::numerators() const {
  std::vector<Integer> x(static_cast<std::size_t>(dim_));
  for (std::size_t i = 0; i < table_.size(); ++i)
    if (is_free(basic_[i])) x[static_cast<std::size_t>(basic_[i])] = table_[i].back();
  return x;
}

Integer ExactLp::slack(const IntegerRow& row) const {
  Integer sum = scale_ * row.b;
  for (std::size_t i = 0; i < table_.size(); ++i)
    if (is_free(basic_[i])) sum -= row.a[static_cast<std::size_t>(basic_[i])] * table_[i].back();
  return sum;
}

std::vector<std::pair<Index, Integer>> ExactLp::multipliers() const {
  std::vector<std::pair<Index, Integer>> lambda;
  const bool farkas = status_ == Status::infeasible;
  const Line& source = farkas ? table_[line_] : top_;
  if (farkas) lambda.emplace_back(basic_[line_] - dim_, scale_);
  for (std::size_t k = 0; k < nonbasic_.size(); ++k)
    if (!is_free(nonbasic_[k]) && !source[k].is_zero()) lambda.emplace_back(nonbasic_[k] - dim_, source[k]);
  std::sort(lambda.begin(), lambda.end(), [](const auto& p, const auto& q) { return p.first < q.first; });
  return lambda;
}

std::vector<Integer> ExactLp::ray() const {
  std::vector<Integer> r(static_cast<std::size_t>(dim_));
  if (is_free(nonbasic_[column_])) r[static_cast<std::size_t>(nonbasic_[column_])] = sense_ * scale_;
  for (std::size_t i = 0; i < table_.size(); ++i)
    if (is_free(basic_[i])) r[static_cast<std::size_t>(basic_[i])] = -sense_ * table_[i][column_];
  return r;
}

}  // namespace pyregions
