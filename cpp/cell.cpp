// Layer 4. Cells from points and patterns, and the lazily computed parts of a cell.
#include "cell.h"

#include <algorithm>
#include <cmath>

#include "exact_rung.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

std::string on_boundary_message(const std::vector<Label>& labels) {
  std::string text = "the point lies exactly on the hyperplane of ";
  for (std::size_t i = 0; i < labels.size() && i < 4; ++i) text += (i ? ", " : "") + to_string(labels[i]);
  if (labels.size() > 4) text += " and " + std::to_string(labels.size() - 4) + " more";
  return text + ": it belongs to several regions (tie=\"any\" takes one of them)";
}

// Sign of form.g along (way - from), then along e_1, ..., e_d: the first that is not zero.
int perturbed_sign(const DyadicVector& g, const Vector& from, DyadicVector way) {
  DyadicVector back(from.data(), static_cast<Index>(from.size()));
  for (Integer& m : back.mantissa) m = -m;
  way.add(back);
  const int first = dot(g, way).sign();
  if (first != 0) return first;
  for (const Integer& m : g.mantissa)
    if (!m.is_zero()) return m.sign();
  return 0;
}

}  // namespace

OnBoundaryError::OnBoundaryError(std::vector<Label> labels)
    : std::runtime_error(on_boundary_message(labels)), labels_(std::move(labels)) {}

Vector middle(const Domain& domain) {
  Vector m(at(domain.dim), 0.0);
  for (Index k = 0; k < domain.dim; ++k) {
    const double low = domain.lower[at(k)], high = domain.upper[at(k)];
    if (std::isfinite(low) && std::isfinite(high))
      m[at(k)] = low / 2 + high / 2;
    else if (std::isfinite(low))
      m[at(k)] = low + 1;
    else if (std::isfinite(high))
      m[at(k)] = high - 1;
  }
  return m;
}

std::vector<int> unit_signs(const Network& network, const double* point) {
  Matrix one(1, network.inputs());
  std::copy(point, point + network.inputs(), one.data());
  const Network::Values v = network.forward(one);
  std::vector<int> signs(at(network.units()), 0);
  bool open = false;
  for (Index u = 0; u < network.units(); ++u) {
    const double value = v.pre(0, u), error = v.pre_err(0, u);
    signs[at(u)] = value > error ? 1 : value < -error ? -1 : 0;
    open = open || (signs[at(u)] == 0 && error != 0.0);
  }
  if (!open) return signs;
  const RefinedVector refined = network.forward_refined(nullptr, one).pre;
  open = false;
  for (Index u = 0; u < network.units(); ++u) {
    signs[at(u)] = refined[u].sign();
    open = open || (signs[at(u)] == 0 && !refined[u].exact_zero());
  }
  if (!open) return signs;
  const Network::ExactValues exact = network.forward_exact(DyadicVector(point, network.inputs()));
  for (const Network::Stage& s : network.stages()) {
    const DyadicVector& z = exact.pre[static_cast<std::size_t>(&s - network.stages().data())];
    for (Index i = 0; i < s.width; ++i) signs[at(s.offset + i)] = z[i].sign();
  }
  return signs;
}

std::shared_ptr<Cell> cell_at(std::shared_ptr<const Network> network, const Vector& point, std::shared_ptr<const Domain> domain,
                              bool any, double exact_budget) {
  const RowSystem outer(nullptr, {}, domain, exact_budget);
  const std::vector<int> sides = outer.slack_signs(point.data());
  for (Index j = 0; j < outer.size(); ++j)
    if (sides[at(j)] < 0)
      throw OutsideDomainError("the point lies outside the domain: it violates " + to_string(outer.label(j)));
  const std::vector<int> signs = unit_signs(*network, point.data());
  Pattern pattern(signs.size(), 0);
  bool ties = false;
  for (std::size_t u = 0; u < signs.size(); ++u) {
    pattern[u] = signs[u] > 0 ? 1 : 0;
    ties = ties || signs[u] == 0;
  }
  bool inside = !ties;
  if (ties) {
    DyadicVector target(point.data(), network->inputs());
    if (any && !domain->is_all()) {
      const InteriorPoint p = interior_point(outer, middle(*domain));
      if (!p.found) throw UndecidedError("no interior point of the domain was found");
      target = p.fine.empty() ? DyadicVector(p.point.data(), network->inputs()) : exact_point(p.fine);
    }
    std::vector<Label> labels;
    bool identical_only = true;
    for (std::size_t u = 0; u < signs.size(); ++u) {
      if (signs[u] != 0) continue;
      const Network::ExactForm form = network->backward_exact(pattern, {{static_cast<Index>(u), Dyadic(1.0)}}, {}, 0);
      if (form.g.all_zero()) continue;  // identically zero on the cell: piece 0
      identical_only = false;
      pattern[u] = perturbed_sign(form.g, point, target) > 0 ? 1 : 0;
      const auto [stage, unit] = network->stage_of(static_cast<Index>(u));
      labels.push_back({stage, static_cast<std::int32_t>(unit), 1});
    }
    if (!labels.empty() && !any) throw OnBoundaryError(labels);
    inside = identical_only;
  }
  for (Index j = 0; j < outer.size(); ++j) inside = inside && sides[at(j)] > 0;
  return std::make_shared<Cell>(RowSystem(std::move(network), std::move(pattern), std::move(domain), exact_budget), point, inside);
}

std::variant<std::shared_ptr<Cell>, NoInterior> cell_of(std::shared_ptr<const Network> network, Pattern pattern,
                                                        std::shared_ptr<const Domain> domain, double exact_budget) {
  domain->check();
  // Canonical: a unit identically zero under the pieces before it has piece 0.
  if (network) {
    const RowSystem given(network, pattern, domain);
    for (Index u = 0; u < given.units(); ++u) {
      if (!pattern[at(u)] || !given.zero_rows()[at(u)]) continue;
      if (given.exact_row(u).b.is_zero()) pattern[at(u)] = 0;
    }
  }
  RowSystem rows(network, pattern, domain, exact_budget);
  const InteriorPoint p = interior_point(rows, middle(*domain));
  if (p.found) return std::make_shared<Cell>(std::move(rows), p);
  if (p.proof != Proof::none) return NoInterior{p.proof, p.stage, p.multipliers, p.exact};
  throw UndecidedError("whether this cell has an interior stayed undecided: no interior point and no proof of emptiness was found");
}

Cell::Cell(RowSystem rows, Vector start, bool start_is_inside)
    : rows_(std::move(rows)), start_(std::move(start)), start_is_inside_(start_is_inside) {}

Cell::Cell(RowSystem rows, InteriorPoint found) : rows_(std::move(rows)), start_(found.point), start_is_inside_(found.fine.empty()) {
  if (!start_is_inside_) {
    interior_ = start_;
    fine_ = std::move(found.fine);
  }
}

Cell::Call::Call(const Cell& cell, const char* name)
    : cell_(cell), name_(name), outer_(cell.current_), before_(cell.rows_.tally()) {
  cell.current_ = this;
}

Cell::Call::~Call() {
  Tally spent = cell_.rows_.tally();
  spent.add(before_, -1);
  spent.seconds["all"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  if (outer_) outer_->inner_.add(spent);
  spent.add(inner_, -1);
  cell_.calls_[name_].add(spent);
  cell_.current_ = outer_;
}

const Vector& Cell::interior() {
  if (interior_) return *interior_;
  const Call call(*this, "witness");
  InteriorPoint p = interior_point(rows_, start_, start_is_inside_);
  if (!p.found) throw UndecidedError("no point strictly inside the region was found within the budget");
  fine_ = std::move(p.fine);
  interior_ = std::move(p.point);
  return *interior_;
}

const Parts& Cell::fine() {
  if (fine_.empty()) {
    const Vector& x = interior();
    if (!fine_.empty()) return fine_;
    fine_ = Parts(1, rows_.dim());
    std::copy(x.begin(), x.end(), fine_.data());
  }
  return fine_;
}

class Cell::Threads {
 public:
  Threads(RowSystem& rows, int workers) : rows_(rows), before_(rows.workers()) { rows.use_workers(workers); }
  ~Threads() { rows_.use_workers(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  RowSystem& rows_;
  int before_;
};

const Facets& Cell::facets(int workers) {
  if (facets_) return *facets_;
  const Call call(*this, "facets");
  const Threads threads(rows_, workers);
  ReduceOptions options;
  options.workers = workers;
  options.enclosure = [this]() -> const Enclosure& { return enclosure(); };
  try {
    return facets_.emplace(reduce(rows_, fine(), options));
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  return facets_.emplace(reduce_exactly(rows_, fine()));
}

Facets Cell::proposed_facets(int workers) {
  ReduceOptions options;
  options.workers = workers;
  options.certify = false;
  return reduce(rows_, interior(), options);
}

Facets Cell::exact_facets() { return reduce_exactly(rows_, fine()); }

const Facets& Cell::decided_facets(int workers) {
  const Facets& f = facets(workers);
  if (f.undecided.empty()) return f;
  const std::string more = f.undecided.size() > 1 ? ", and the same for " + std::to_string(f.undecided.size() - 1) + " more rows" : "";
  throw UndecidedError("whether row " + std::to_string(f.undecided[0]) + ", " + to_string(rows_.label(f.undecided[0])) +
                           ", is a facet stayed undecided" + more, f.undecided);
}

const Enclosure& Cell::enclosure() {
  if (bounds_) return bounds_->enclosure;
  const Call call(*this, "boundedness");
  bounds_.emplace();
  bounds_->rank_upper = rows_.dim();
  try {
    bounds_ = boundedness(rows_, interior());
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  return bounds_->enclosure;
}

const Ball& Cell::ball(int workers) {
  if (ball_) return *ball_;
  const Call call(*this, "chebyshev");
  const Threads threads(rows_, workers);
  return ball_.emplace(find_ball());
}

Ball Cell::find_ball() {
  const std::function<const Enclosure&()> enclose = [this]() -> const Enclosure& { return enclosure(); };
  const auto floats = [&](bool from_interior) {
    try {
      if (from_interior && thin()) return Ball{};
      return inscribed_ball(rows_, from_interior ? interior() : start_, enclose);
    } catch (const UndecidedError&) {  // rows outside the range of doubles, or no interior point within the budget
      return Ball{};
    }
  };
  // In a box the program needs no interior point, which is nearly as much work to find: its own answer is one.
  Ball ball;
  if (rows_.domain().is_box()) ball = floats(false);
  if (!(ball.lower > 0) || loose(ball)) {
    Ball again = floats(true);
    if (!(ball.lower > 0) || (again.lower > 0 && again.upper - again.lower < ball.upper - ball.lower)) ball = std::move(again);
  }
  if (ball.center.empty() && ball.direction.empty()) return inscribed_ball_exactly(rows_);
  if (ball.proof == Proof::none || (loose(ball) && rows_.dim() <= kFewInputs)) {
    try {
      ball = inscribed_ball_exactly(rows_);
    } catch (const UndecidedError&) {  // the bounds that floats have proven stand
    }
  }
  return ball;
}

const Boundedness& Cell::bounds() {
  enclosure();
  if (bounds_settled_) return *bounds_;
  const Call call(*this, "boundedness");
  settle_boundedness(rows_, *bounds_);
  bounds_settled_ = true;
  return *bounds_;
}

bool Cell::contains(const double* point, bool strictly) const {
  const Call call(*this, "contains");
  if (strictly) return rows_.strictly_inside(point);
  const std::vector<int> signs = rows_.slack_signs(point);
  return std::none_of(signs.begin(), signs.end(), [](int s) { return s < 0; });
}

Tally Cell::tally() const { return rows_.tally(); }

}  // namespace pyregions
