// Facets of polytopes known in advance, grouping, random networks against one linear program per row, determinism.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "make_cells.h"
#include "lp.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

using Groups = std::vector<std::vector<Index>>;

// Every facet's witness violates exactly its group, checked on exact rows; every proof names its group.
void check_certificates(const RowSystem& rows, const Facets& f) {
  for (std::size_t i = 0; i < f.groups.size(); ++i) {
    const Vector x = row_vector(f.witness, static_cast<Index>(i));
    for (Index j = 0; j < rows.size(); ++j) {
      const bool member = std::binary_search(f.groups[i].begin(), f.groups[i].end(), j);
      const int sign = exact_slack(rows, j, x);
      CHECK((member ? sign < 0 : sign >= 0));
    }
  }
  REQUIRE(f.proofs.size() == f.redundant_groups.size());
  for (std::size_t i = 0; i < f.proofs.size(); ++i) {
    CHECK(f.proofs[i].row == f.redundant_groups[i][0]);
    CHECK(f.proofs[i].proof != Proof::none);
    for (const auto& term : f.proofs[i].multipliers) CHECK(term.second >= 0);
  }
}

Facets facets_of(const RowSystem& rows, const Vector& center) {
  const Facets f = reduce(rows, center);
  check_certificates(rows, f);
  return f;
}

Groups singles(std::initializer_list<Index> rows) {
  Groups g;
  for (const Index j : rows) g.push_back({j});
  return g;
}

// Row j cuts the polytope of the other groups, by an LP in floats: the excess beyond the row, in its own length.
double excess(const RowSystem& rows, const std::vector<Index>& group) {
  const Halfspaces& all = rows.halfspaces();
  std::vector<std::uint8_t> skip(at(rows.size()), 0);
  for (const Index j : group) skip[at(j)] = 1;
  for (Index j = 0; j < rows.size(); ++j)
    if (rows.zero_rows()[at(j)]) skip[at(j)] = 1;
  const LpResult lp = maximize_lp(all.A, all.b, row_vector(all.A, group[0]), {}, {}, &skip);
  if (lp.status == LpResult::Status::unbounded) return std::numeric_limits<double>::infinity();
  REQUIRE(lp.status == LpResult::Status::optimal);
  return (lp.objective - all.b[at(group[0])]) / rows.norm_upper()[at(group[0])];
}

}  // namespace

TEST_CASE("cube, simplex, cross-polytope: all rows are facets") {
  for (Index d = 1; d <= 6; ++d) {
    CAPTURE(d);
    CHECK(facets_of(rows_of(cube(d, 1)), constant(d, 0.25)).groups.size() == at(2 * d));
    CHECK(facets_of(rows_of(simplex(d)), constant(d, 0.5 / static_cast<double>(d))).groups.size() == at(d + 1));
    const Facets cross = facets_of(rows_of(cross_polytope(d)), constant(d, 0.25 / static_cast<double>(d)));
    CHECK(cross.groups.size() == (std::size_t{1} << d));
    CHECK(cross.undecided.empty());
    CHECK(std::all_of(cross.on_domain.begin(), cross.on_domain.end(), [](std::uint8_t v) { return v == 1; }));
  }
}

TEST_CASE("duplicated, scaled and looser rows form groups; redundant rows are proven") {
  const RowSystem rows = rows_of(polytope({{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {2, 0}, {0.5, 0}, {1, 0}, {1, 1}, {1, 1}},
                                          {1, 1, 1, 1, 2, 0.5, 3, 1.5, 5}));
  const Facets f = facets_of(rows, {0, 0});
  CHECK(f.groups == Groups{{0, 4, 5}, {1}, {2}, {3}, {7}});
  CHECK(f.redundant_groups == Groups{{6}, {8}});
  CHECK(f.proofs[0].proof == Proof::parallel);
  CHECK(f.undecided.empty());
}

TEST_CASE("a row that touches a corner is never called a facet") {
  const RowSystem rows = rows_of(polytope({{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}}, {1, 1, 1, 1, 2}));
  const Facets f = facets_of(rows, {0.1, 0.2});
  CHECK(f.groups == singles({0, 1, 2, 3}));
  CHECK(f.redundant_groups.size() + f.undecided.size() == 1);
}

TEST_CASE("rows 1e-15 apart are told apart") {
  const double near = 1 + 0x1p-50;
  const RowSystem rows =
      rows_of(polytope({{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 0}, {1, 0x1p-50}}, {1, 1, 1, 1, near, 1}));
  const Facets f = facets_of(rows, {0, 0});
  CHECK(std::count(f.redundant_groups.begin(), f.redundant_groups.end(), std::vector<Index>{4}) == 1);
  // Rows 0 and 5 cross at y = 0: both are facets, and neither may be called redundant.
  for (const auto& group : f.redundant_groups) CHECK((group[0] != 0 && group[0] != 5));
}

TEST_CASE("unbounded cells: a strip, a cone, one halfspace, a line of one input") {
  CHECK(facets_of(rows_of(polytope({{1, 2, 0}, {-1, -2, 0}}, {1, 1})), {0, 0, 5}).groups == singles({0, 1}));
  CHECK(facets_of(rows_of(polytope({{-1, 0}, {0, -1}}, {0, 0})), {1, 1}).groups == singles({0, 1}));
  CHECK(facets_of(rows_of(polytope({{3, 4}}, {0})), {-1, -1}).groups == singles({0}));
  const Facets line = facets_of(rows_of(polytope({{2}, {1}, {-1}}, {1, 3, 0})), {0.25});
  CHECK(line.groups == singles({0, 2}));
  CHECK(facets_of(rows_of(all_of(3)), {0, 0, 0}).groups.empty());
}

TEST_CASE("without bounds and without a network a redundant row is decided by its verified basis") {
  const RowSystem rows = rows_of(polytope({{-1, 0}, {0, -1}, {-1, -3}}, {0, 0, 1}));
  const Facets f = facets_of(rows, {1, 1});
  CHECK(f.groups == singles({0, 1}));
  REQUIRE(f.redundant_groups == singles({2}));
  CHECK(f.proofs[0].proof == Proof::basis);
  CHECK(rows.tally().basis == 1);
}

TEST_CASE("scales from 2^-40 to 2^40 change nothing") {
  for (const double scale : {0x1p-40, 1.0, 0x1p40}) {
    CAPTURE(scale);
    const RowSystem rows = rows_of(polytope({{scale, 0}, {-1, 0}, {0, 1}, {0, -scale}, {1, 1}, {scale, scale}},
                                            {scale, 1, 1, scale, 1.5, 5 * scale}));
    const Facets f = facets_of(rows, {0, 0});
    CHECK(f.groups == singles({0, 1, 2, 3, 4}));
    CHECK(f.redundant_groups == singles({5}));
  }
}

TEST_CASE("random networks agree with one linear program per group") {
  Generator generator(17);
  for (const std::string kind : {"mlp", "wide", "unbiased", "leaky", "residual", "shared", "sparse", "normalised"})
    for (int domain = 0; domain < 2; ++domain) {
      CAPTURE(kind);
      CAPTURE(domain);
      const auto net = share(random_network(kind, generator));
      const Matrix x = random_matrix(1, net->inputs(), generator, 0.3);
      const auto cell = cell_at(net, row_vector(x, 0), domain ? cube(net->inputs(), 2) : all_of(net->inputs()), false);
      const Facets& f = cell->facets(1);
      check_certificates(cell->rows(), f);
      // LPs are exact to about 1e-7; what is nearer to a tie than that is left to the exact tests.
      for (const auto& group : f.groups) CHECK(excess(cell->rows(), group) > -1e-6);
      for (std::size_t g = 0; g < f.redundant_groups.size(); ++g)
        if (f.proofs[g].proof != Proof::parallel) CHECK(excess(cell->rows(), f.redundant_groups[g]) < 1e-6);
      std::size_t total = f.zero_rows.size() + f.undecided.size();
      for (const auto& group : f.groups) total += group.size();
      for (const auto& group : f.redundant_groups) total += group.size();
      if (f.undecided.empty()) CHECK(total == at(cell->rows().size()));
    }
}

TEST_CASE("generic networks: nothing undecided, hardly anything exact") {
  Generator generator(23);
  Tally sum;
  for (int trial = 0; trial < 12; ++trial) {
    const auto net = share(mlp({6, 24, 24, 3}, generator));
    const Matrix x = random_matrix(1, 6, generator, 0.5);
    const auto cell = cell_at(net, row_vector(x, 0), trial % 2 ? cube(6, 3) : all_of(6), false);
    CHECK(cell->facets(1).undecided.empty());
    sum.add(cell->tally());
  }
  const long decisions = sum.triage + sum.tight + sum.basis + sum.exact;
  CHECK(decisions > 500);
  CHECK(1000 * sum.exact < decisions);
}

TEST_CASE("one worker and two give the same bytes") {
  Generator generator(29);
  for (int trial = 0; trial < 4; ++trial) {
    const auto net = share(mlp({8, 30, 30, 3}, generator));
    const Matrix x = random_matrix(1, 8, generator, 0.5);
    const auto domain = trial % 2 ? cube(8, 2) : all_of(8);
    const Facets one = cell_at(net, row_vector(x, 0), domain, false)->facets(1);
    const Facets two = cell_at(net, row_vector(x, 0), domain, false)->facets(2);
    CHECK(one.groups == two.groups);
    CHECK(one.redundant_groups == two.redundant_groups);
    REQUIRE(one.witness.rows() == two.witness.rows());
    const std::size_t bytes = at(one.witness.rows() * one.witness.cols()) * sizeof(double);
    CHECK((bytes == 0 || std::memcmp(one.witness.data(), two.witness.data(), bytes) == 0));
    REQUIRE(one.proofs.size() == two.proofs.size());
    for (std::size_t i = 0; i < one.proofs.size(); ++i) {
      CHECK(one.proofs[i].proof == two.proofs[i].proof);
      CHECK(one.proofs[i].multipliers == two.proofs[i].multipliers);
    }
  }
}
