// Layer 4. Decision boundaries inside one region: where two outputs change order, which output is the largest
// somewhere, and where two tie for the largest. The search for each is in boundary_search.h.
#include <algorithm>
#include <cmath>

#include "boundary_search.h"
#include "cell.h"
#include "exact_rung.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Relative steps of the proposals: how far inside walls and differences a witness should lie, and the tilt of reduce.
// The second try is for thin cases, the third for witnesses far away, whose own rounding is larger.
struct Step {
  double margin, tilt;
};
constexpr Step kSteps[] = {{0x1p-16, 0x1p-24}, {0x1p-30, 0x1p-36}, {0x1p-4, 0x1p-16}};

// Multipliers rounded to a common grid so coarse that their sums carry no rounding: the combination of the conditions
// that is proven must be one exactly.
Vector exactly_summable(Vector multipliers) {
  const double largest = *std::max_element(multipliers.begin(), multipliers.end());
  if (!(largest > 0) || !std::isfinite(largest)) return Vector(multipliers.size(), 0.0);
  // All below 2^top on multiples of 2^(top - bits): n of them sum to less than 2^53 multiples.
  const int top = std::ilogb(largest) + 1, bits = 52 - std::ilogb(static_cast<double>(multipliers.size()));
  if (top - bits < -1000) return Vector(multipliers.size(), 0.0);  // the grid itself would underflow
  for (double& v : multipliers) v = std::ldexp(std::nearbyint(std::ldexp(v, bits - top)), top - bits);
  return multipliers;
}

Parts one_part(const Vector& x) {
  Parts p(1, static_cast<Index>(x.size()));
  std::copy(x.begin(), x.end(), p.data());
  return p;
}

// The affine function q.f on the region as an exact row q.f <= 0.
IntegerRow output_row(const RowSystem& rows, const Vector& q) {
  std::vector<std::pair<Index, Dyadic>> outputs;
  for (std::size_t o = 0; o < q.size(); ++o)
    if (q[o] != 0.0) outputs.emplace_back(static_cast<Index>(o), Dyadic(q[o]));
  Network::ExactForm form = rows.network()->backward_exact(rows.pattern(), {}, outputs, 0);
  long exponent = 0;
  return integer_row({std::move(form.g), -form.c}, exponent);
}

// The exact sign of f_i - f_j at a point of the region.
int output_sign(const RowSystem& rows, Index i, Index j, const Parts& point) {
  const Network& net = *rows.network();
  if (point.rows() == 1) {
    const Network::Values v = net.forward_masked(rows.pattern(), point, false, true);
    const double value = v.out(0, i) - v.out(0, j);
    const double error = (v.out_err(0, i) + v.out_err(0, j) + std::fabs(value) * (2 * kUnit)) * (1 + 4 * kUnit);
    if (std::fabs(value) > error) return value > 0 ? 1 : -1;
  }
  rows.tally().exact += 1;
  const DyadicVector out = net.forward_exact(exact_point(point), &rows.pattern()).out;
  return out[i].compare(out[j]);
}

// One region's questions about its outputs. The search is absent where floats cannot enter the region.
class Decider {
 public:
  Decider(const RowSystem& rows, const BoundarySearch* search) : rows_(rows), search_(search) {}

  // Whether q.f < 0 happens inside for all rows q at once: 1 (and where), 0, or -1 when the budget was spent.
  int decide(const std::vector<OutputRow>& strict, Parts& witness) const {
    std::vector<Index> support;
    if (search_)
      if (const int answer = by_floats(strict, witness, support); answer >= 0) return answer;
    std::vector<IntegerRow> extra;
    for (const OutputRow& row : strict) extra.push_back(output_row(rows_, row.q));
    try {
      ExactRung rung(rows_, std::move(extra));
      bool opposed = rung.opposed(support).has_value();
      if (search_ && !opposed && rows_.dim() > kFewInputs) {
        const BoundarySearch::Answer answer = search_->solve_by_lp(strict);
        const Vector point = answer.feasible ? search_->prove_point(answer.y, strict) : Vector{};
        if (!point.empty()) {
          witness = one_part(point);
          return 1;
        }
        opposed = rung.opposed(answer.support).has_value();
      }
      ExactRung::Interior exact;
      if (!opposed) exact = rung.interior(1);
      rows_.tally().exact += 1;
      witness = std::move(exact.point);
      return witness.empty() ? 0 : 1;
    } catch (const OutOfBudget&) {
    } catch (const UndecidedError&) {
    }
    rows_.tally().undecided += 1;
    return -1;
  }

  Vector difference(Index i, Index j) const {
    Vector q(at(rows_.network()->outputs()), 0.0);
    q[at(i)] += 1;
    q[at(j)] -= 1;
    return q;
  }

 private:
  // support: where floats see no point, the rows that stand against one.
  int by_floats(const std::vector<OutputRow>& strict, Parts& witness, std::vector<Index>& support) const {
    const double unit = search_->output_scale();
    for (const Step& step : kSteps) {
      std::vector<OutputRow> conditions = strict;
      for (OutputRow& c : conditions) c.rhs = -unit * step.margin;
      BoundarySearch::Answer answer = search_->solve(conditions, step.margin, step.tilt);
      // Upright again where a point was found but not proven: on a long way to it the tilt can be worth more than the margin.
      for (const bool tilted : {true, false}) {
        if (!tilted) answer = search_->solve(conditions, step.margin, 0);
        if (!answer.feasible) break;
        const Vector point = search_->prove_point(answer.y, strict);
        if (!point.empty()) {
          witness = one_part(point);
          return 1;
        }
      }
      if (answer.infeasible) {
        support = answer.support;
        Vector q(strict[0].q.size(), 0.0);
        const Vector weight = exactly_summable(answer.outputs);
        double total = 0;
        for (std::size_t i = 0; i < strict.size(); ++i) {
          total += weight[i];
          for (std::size_t o = 0; o < q.size(); ++o) q[o] -= weight[i] * strict[i].q[o];  // exact: q_i holds -1, 0, 1
        }
        if (total > 0 && search_->implied(q, answer.cell)) return 0;
      }
    }
    return -1;
  }

  const RowSystem& rows_;
  const BoundarySearch* search_;
};

void decide_pair(const Decider& decider, const RowSystem& rows, const Network::Affine& map, ClassPair& pair, const Parts& interior) {
  double largest = 0, error = map.A_err[at(pair.i)] + map.A_err[at(pair.j)];
  for (Index k = 0; k < rows.dim(); ++k) {
    const double p = map.A(pair.i, k), r = map.A(pair.j, k);
    largest = std::max(largest, std::fabs(p - r));
    const double rounding = (std::fabs(p) + std::fabs(r)) * (4 * kUnit);
    error = std::max(error, map.A_err[at(pair.i)] + map.A_err[at(pair.j)] + rounding);
  }
  const Vector q = decider.difference(pair.i, pair.j), minus = decider.difference(pair.j, pair.i);
  if (!(largest > error)) {
    const IntegerRow form = output_row(rows, q);
    rows.tally().exact += 1;
    if (std::all_of(form.a.begin(), form.a.end(), [](const Integer& v) { return v.is_zero(); })) {
      pair.sign = -form.b.sign();
      pair.identical = pair.sign == 0;
      pair.crosses = 0;
      if (pair.sign > 0) pair.positive = interior;
      if (pair.sign < 0) pair.negative = interior;
      return;
    }
  }
  pair.sign = output_sign(rows, pair.i, pair.j, interior);
  if (pair.sign < 0) pair.negative = interior;
  if (pair.sign > 0) pair.positive = interior;
  int other = 1, same = 1;
  if (pair.sign <= 0) other = decider.decide({{minus, 0}}, pair.positive);
  if (pair.sign >= 0) same = decider.decide({{q, 0}}, pair.negative);
  pair.crosses = other == 0 || same == 0 ? 0 : other < 0 || same < 0 ? -1 : 1;
}

// f_k - f_i as an exact vector: coefficients, then the constant.
DyadicVector exact_difference(const RowSystem& rows, Index k, Index i) {
  const std::vector<std::pair<Index, Dyadic>> outputs{{k, Dyadic(1.0)}, {i, Dyadic(-1.0)}};
  const Network::ExactForm form = rows.network()->backward_exact(rows.pattern(), {}, outputs, 0);
  const Index d = form.g.size();
  DyadicVector whole(d + 1), last(d + 1);
  std::copy(form.g.mantissa.begin(), form.g.mantissa.end(), whole.mantissa.begin());
  whole.exponent = form.g.exponent;
  last.mantissa[at(d)] = form.c.mantissa;
  last.exponent = form.c.exponent;
  whole.add(last);
  return whole;
}

// Proven: the affine functions f_k - f_i and f_i - f_j are not multiples of each other (some minor of their gradients
// is not 0). Most outputs are told apart here.
bool surely_independent(const Network::Affine& map, Index i, Index j, Index k) {
  const Index d = map.A.cols();
  const auto entry = [&map](Index p, Index q, Index l, double& error) {
    error = map.A_err[at(p)] + map.A_err[at(q)] + (std::fabs(map.A(p, l)) + std::fabs(map.A(q, l))) * (4 * kUnit);
    return map.A(p, l) - map.A(q, l);
  };
  Index pivot = 0;
  double largest = -1, unused = 0;
  for (Index l = 0; l < d; ++l)
    if (const double size = std::fabs(entry(i, j, l, unused)); size > largest) largest = size, pivot = l;
  double e1 = 0, e2 = 0, e3 = 0, e4 = 0;
  const double a = entry(k, i, pivot, e1), b = entry(i, j, pivot, e2);
  for (Index l = 0; l < d; ++l) {
    const double p = entry(k, i, l, e3), q = entry(i, j, l, e4);
    const double error =
        std::fabs(a) * e4 + std::fabs(q) * e1 + e1 * e4 + std::fabs(p) * e2 + std::fabs(b) * e3 + e2 * e3;
    const double rounding = (std::fabs(a * q) + std::fabs(p * b)) * gamma(4) + underflow(8);
    if (std::fabs(a * q - p * b) > (error + rounding) * (1 + gamma(16))) return true;
  }
  return false;
}

// Outputs that tie with i and j wherever f_i = f_j: f_k - f_i is a multiple of f_j - f_i, exactly.
std::vector<std::uint8_t> tied_outputs(const RowSystem& rows, const Network::Affine& map, Index i, Index j) {
  std::vector<std::uint8_t> tied(at(map.A.rows()), 0);
  for (Index k = 0; k < map.A.rows(); ++k) {
    if (k == i || k == j || surely_independent(map, i, j, k)) continue;
    rows.tally().exact += 1;
    const DyadicVector p = exact_difference(rows, j, i), q = exact_difference(rows, k, i);
    tied[at(k)] = q.all_zero() || parallel_sign(p, q) != 0 ? 1 : 0;
  }
  return tied;
}

// Does "winner first, second next, all others that are not tied behind" happen inside?
int decide_order(const Decider& decider, const std::vector<std::uint8_t>& tied, Index winner, Index second, Parts& witness) {
  std::vector<OutputRow> strict{{decider.difference(second, winner), 0}};
  for (std::size_t k = 0; k < tied.size(); ++k)
    if (static_cast<Index>(k) != winner && static_cast<Index>(k) != second && !tied[k])
      strict.push_back({decider.difference(static_cast<Index>(k), second), 0});
  return decider.decide(strict, witness);
}

// Outputs tied with i and j on f_i = f_j never decide there. The set where i and j are above all others is open and
// convex; f_i = f_j has a piece of dimension d - 1 in it exactly when both orders of i and j occur there.
void decide_piece(const Decider& decider, const std::vector<std::uint8_t>& tied, ClassPair& pair) {
  const int first = decide_order(decider, tied, pair.i, pair.j, pair.first);
  const int second = first == 0 ? 0 : decide_order(decider, tied, pair.j, pair.i, pair.second);
  pair.piece = first == 0 || second == 0 ? 0 : first < 0 || second < 0 ? -1 : 1;
}

}  // namespace

const DecisionBoundaries& Cell::decision_boundaries() {
  if (boundaries_) return *boundaries_;
  const Call call(*this, "decision_boundaries");
  const Network& net = *rows_.network();
  const Index m = net.outputs();
  const std::function<const Enclosure&()> enclose = [this]() -> const Enclosure& { return enclosure(); };
  const Parts& inside = fine();
  std::optional<BoundarySearch> search;
  try {
    if (!thin()) search.emplace(rows_, affine_map(), interior(), enclose);
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  const Decider decider(rows_, search ? &*search : nullptr);
  const Network::Affine& map = affine_map();
  DecisionBoundaries result;
  for (Index i = 0; i < m; ++i)
    for (Index j = i + 1; j < m; ++j) {
      ClassPair pair;
      pair.i = i;
      pair.j = j;
      decide_pair(decider, rows_, map, pair, inside);
      result.pairs.push_back(std::move(pair));
    }
  result.classes.assign(at(m), -1);
  result.witness.assign(at(m), {});
  for (Index i = 0; i < m; ++i) {
    std::vector<OutputRow> strict;
    bool never = false;
    for (const ClassPair& pair : result.pairs) {
      if (pair.i != i && pair.j != i) continue;
      const Index other = pair.i == i ? pair.j : pair.i;
      if (pair.identical) continue;  // largest together
      strict.push_back({decider.difference(other, i), 0});
      if (pair.crosses == 0 && pair.sign == (pair.i == i ? -1 : 1)) never = true;
    }
    if (never)
      result.classes[at(i)] = 0;
    else if (strict.empty())
      result.classes[at(i)] = 1, result.witness[at(i)] = inside;
    else
      result.classes[at(i)] = decider.decide(strict, result.witness[at(i)]);
  }
  for (ClassPair& pair : result.pairs) {
    if (pair.crosses == 0) {
      pair.piece = 0;
      continue;
    }
    const std::vector<std::uint8_t> tied = tied_outputs(rows_, map, pair.i, pair.j);
    const bool any_tied = std::find(tied.begin(), tied.end(), 1) != tied.end();
    if (!any_tied && (result.classes[at(pair.i)] == 0 || result.classes[at(pair.j)] == 0))
      pair.piece = 0;  // a piece has points with i, or j, strictly largest beside it
    else
      decide_piece(decider, tied, pair);
  }
  boundaries_ = std::move(result);
  return *boundaries_;
}

}  // namespace pyregions
