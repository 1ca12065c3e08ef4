// Layer 4. The neighbor rule: what lies across each facet, and how the affine map changes there.
#include <algorithm>
#include <cmath>

#include "cell.h"

namespace pyregions {

namespace {
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

// Units that do not vanish identically on the facet keep their piece. Those that do - on this hyperplane, or identically
// zero on the cell - are decided in stage order: under the pieces already chosen upstream their row is a multiple t of
// the facet's normal, and crossing makes them positive, negative or zero as t is.
Pattern Cell::across(const std::vector<Index>& group) const {
  Pattern next = rows_.pattern();
  std::vector<Index> candidates;
  for (const Index row : group) candidates.push_back(row);
  const std::vector<std::uint8_t>& zero = rows_.zero_rows();
  for (Index u = 0; u < rows_.units(); ++u)
    if (zero[at(u)] && rows_.exact_row(u).b.is_zero()) candidates.push_back(u);
  if (candidates.size() == 1) {
    next[at(candidates[0])] ^= 1;
    return next;
  }
  std::sort(candidates.begin(), candidates.end());
  const DyadicVector normal = rows_.exact_row(group[0]).a;
  for (const Index u : candidates) {
    const Network::ExactForm form = rows_.network()->backward_exact(next, {{u, Dyadic(1.0)}}, {}, 0);
    next[at(u)] = parallel_sign(normal, form.g) > 0 ? 1 : 0;
  }
  rows_.tally().exact += static_cast<long>(candidates.size());
  return next;
}

const Cell::Neighbors& Cell::neighbors() {
  if (neighbors_) return *neighbors_;
  const Call call(*this, "neighbors");
  const Facets& f = decided_facets(1);
  Neighbors result;
  for (std::size_t i = 0; i < f.groups.size(); ++i) {
    if (f.on_domain[i]) continue;
    result.facet.push_back(static_cast<Index>(i));
    result.pattern.push_back(across(f.groups[i]));
  }
  neighbors_ = std::move(result);
  return *neighbors_;
}

// A step beyond the crossing of the segment from the interior point to the facet's witness lies in the neighbor when it is
// short enough.
std::shared_ptr<Cell> Cell::neighbor(Index k) {
  const Neighbors& near = neighbors();
  const Facets& f = facets(1);
  const Index facet = near.facet[at(k)], row = f.groups[at(facet)][0], d = rows_.dim();
  Matrix ends(2, d);
  std::copy(interior().begin(), interior().end(), ends.row(0));
  std::copy(f.witness.row(facet), f.witness.row(facet) + d, ends.row(1));
  const Matrix slack = rows_.slacks(ends).value;
  const double wall = slack(0, row) / (slack(0, row) - slack(1, row));
  RowSystem beyond(rows_.network_ptr(), near.pattern[at(k)], rows_.domain_ptr(), rows_.exact_budget());
  Vector start(at(d));
  for (double step = 0.5; step > 0x1p-30; step /= 4) {
    const double t = wall + (1 - wall) * step;
    for (Index c = 0; c < d; ++c) start[at(c)] = ends(0, c) + t * (ends(1, c) - ends(0, c));
    if (beyond.strictly_inside(start.data())) return std::make_shared<Cell>(std::move(beyond), start, true);
  }
  const InteriorPoint p = interior_point(beyond, start);
  if (p.found) return std::make_shared<Cell>(std::move(beyond), p);
  throw UndecidedError("no point strictly inside the neighbor was found", {row});
}

const Network::Affine& Cell::affine_map() {
  std::call_once(map_once_, [this] { map_ = rows_.network()->affine_map(rows_.pattern()); });
  return map_;
}

Matrix Cell::neighbor_changes() {
  const Neighbors& near = neighbors();
  const Network& net = *rows_.network();
  const Facets& f = facets(1);
  const Halfspaces& all = rows_.halfspaces();
  const Pattern& pattern = rows_.pattern();
  const Index m = net.outputs(), d = rows_.dim();
  Matrix changes(static_cast<Index>(near.facet.size()), m);
  std::vector<Matrix> gradient(net.stages().size());  // of the outputs by the activations of a stage, once it is asked for
  for (std::size_t i = 0; i < near.facet.size(); ++i) {
    const std::vector<Index>& group = f.groups[at(near.facet[i])];
    double* v = changes.row(static_cast<Index>(i));
    Index changed = 0, unit = group[0];
    for (Index u = 0; u < rows_.units(); ++u)
      if (near.pattern[i][at(u)] != pattern[at(u)]) ++changed, unit = u;
    const auto [stage, index] = net.stage_of(unit);
    const Network::Stage& s = net.stages()[at(stage)];
    if (changed == 1 && unit == group[0]) {
      Matrix& g = gradient[at(stage)];
      if (g.empty()) g = net.output_gradient(pattern, s.node);
      const Network::Node& hinge = net.nodes()[at(s.node)];
      // The slope jumps by (new - old) and z = side * (outward row).
      const double up = hinge.high[at(index)] - hinge.low[at(index)], jump = (pattern[at(unit)] ? -up : up) * rows_.side(unit);
      for (Index k = 0; k < m; ++k) v[k] = g(k, index) * jump;
      continue;
    }
    // Several units change: the difference of the two maps is v n^T; read v off along the normal.
    const Network::Affine& here = affine_map();
    const Network::Affine there = net.affine_map(near.pattern[i]);
    const double* a = all.A.row(group[0]);
    const double size = dot(a, a, d);
    for (Index k = 0; k < m; ++k) v[k] = (dot(there.A.row(k), a, d) - dot(here.A.row(k), a, d)) / size;
  }
  return changes;
}

}  // namespace pyregions
