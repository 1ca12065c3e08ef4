// Layer 5. Cells: one at a time and in batches.
#include <algorithm>

#include "bindings.h"
#include "exact_rung.h"
#include "pool.h"
#include "sampling.h"

namespace pyregions::bindings {

namespace {

void compute(Cell& cell, const std::vector<std::string>& what) {
  for (const std::string& name : what) {
    if (name == "facets")
      cell.facets(1);
    else if (name == "chebyshev")
      cell.ball();
    else if (name == "boundedness")
      cell.bounds();
    else if (name == "neighbors")
      cell.neighbors();
    else if (name == "decision_boundaries")
      cell.decision_boundaries();
    else if (name == "witness")
      cell.interior();
    else
      throw std::invalid_argument("compute: unknown part '" + name + "'");
  }
}

py::list cells_at(std::shared_ptr<Network> network, const Array& points, const Domain& domain, const std::string& tie,
                  const std::vector<std::string>& what, int workers, const py::object& progress, double exact_budget) {
  const Matrix x = to_matrix(points, "points", network->inputs());
  const auto shared = std::make_shared<const Domain>(domain);
  std::vector<CellPtr> cells(at(x.rows()));
  const auto make = [&](Index i) {
    CellPtr cell = cell_at(network, Vector(x.row(i), x.row(i) + x.cols()), shared, tie == "any", exact_budget);
    compute(*cell, what);
    cells[at(i)] = std::move(cell);
  };
  const std::vector<std::exception_ptr> errors = for_each_point(x.rows(), workers, make, progress);
  py::list out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i])
      out.append(py::cast(cells[i]));
    else
      out.append(errors[i] ? python_exception(errors[i]) : py::none());
  }
  return out;
}

// Integers (mu > 0, lambda) with sum lambda_j a_j = mu * target, or None.
py::object exact_solve_rows(Cell& c, const std::vector<Index>& rows, const py::list& target) {
  std::vector<Integer> goal;
  for (const py::handle& v : target) goal.push_back(to_integer(v));
  if (static_cast<Index>(goal.size()) != c.rows().dim()) throw py::value_error("target must have one entry per coordinate");
  const std::optional<std::pair<Integer, std::vector<Integer>>> solved =
      run([&] { return ExactRung(c.rows()).solve(rows, goal); });
  if (!solved) return py::none();
  py::list lambda;
  for (const Integer& v : solved->second) lambda.append(integer(v));
  return py::make_tuple(integer(solved->first), lambda);
}

// The combination that implies a row, by an exact program, or None when the row is a facet's.
py::object exact_redundancy(Cell& c, Index row) {
  if (row < 0 || row >= c.rows().size()) throw py::index_error("row " + std::to_string(row) + " of " + std::to_string(c.rows().size()));
  const Combination found = run([&] {
    for (const std::vector<Index>& group : group_rows(c.rows()).groups)
      if (std::find(group.begin(), group.end(), row) != group.end())
        return ExactRung(c.rows()).side(group, {}, c.fine()).proof;
    return Combination{};
  });
  return found.own.is_zero() ? py::object(py::none()) : py::object(combination(found));
}

}  // namespace

void register_cell(py::module_& m) {
  py::class_<Cell, CellPtr>(m, "Cell")
      .def_property_readonly("pattern", [](const Cell& c) { return array_of<std::uint8_t>(c.rows().pattern()); })
      .def_property_readonly("exact_budget", [](const Cell& c) { return c.rows().exact_budget(); })
      .def_property_readonly("size", [](const Cell& c) { return c.rows().size(); })
      .def_property_readonly("unit_rows", [](const Cell& c) { return c.rows().units(); })
      .def("witness", [](Cell& c) { return array(run([&] { return c.interior(); })); })
      .def("witness_parts", [](Cell& c) { return array(run([&] { return c.fine(); })); })
      .def("exact_solve", &exact_solve_rows)
      .def("exact_redundancy", &exact_redundancy)
      .def("halfspaces", [](Cell& c) { return halfspaces_dict(*run([&] { return &c.rows().halfspaces(); })); })
      .def("affine_map",
           [](Cell& c, int stage, bool after) {
             if (!c.rows().network()) throw py::value_error("a polyhedron without a network has no affine map");
             if (stage == -1) return affine_dict(*run([&] { return &c.affine_map(); }));
             return affine_dict(run([&] { return c.rows().network()->affine_map(c.rows().pattern(), stage, after); }));
           })
      .def("facets",
           [](Cell& c, bool allow_undecided, int workers) {
             const int threads = workers > 0 ? workers : available_cpus();
             const Facets* f = run([&] { return allow_undecided ? &c.facets(threads) : &c.decided_facets(threads); });
             return facets_dict(*f);
           },
           py::arg("allow_undecided") = false, py::arg("workers") = 0)
      .def("proposed_facets", [](Cell& c, int workers) { return facets_dict(run([&] { return c.proposed_facets(workers); })); })
      .def("exact_facets", [](Cell& c) { return facets_dict(run([&] { return c.exact_facets(); })); })
      .def("chebyshev", [](Cell& c) { return ball_dict(*run([&] { return &c.ball(available_cpus()); })); })
      .def("boundedness", [](Cell& c) { return bounds_dict(*run([&] { return &c.bounds(); })); })
      .def("neighbors",
           [](Cell& c) {
             const Cell::Neighbors* n = run([&] { return &c.neighbors(); });
             return py::make_tuple(array_of<std::int64_t>(n->facet), patterns_array(n->pattern, c.rows().units()));
           })
      .def("neighbor",
           [](Cell& c, Index k) {
             const Index count = static_cast<Index>(run([&] { return &c.neighbors(); })->facet.size());
             if (k < 0 || k >= count) throw py::index_error("neighbor " + std::to_string(k) + " of " + std::to_string(count));
             return run([&] { return c.neighbor(k); });
           })
      .def("neighbor_changes", [](Cell& c) { return array(run([&] { return c.neighbor_changes(); })); })
      .def("decision_boundaries",
           [](Cell& c) { return boundaries_dict(*run([&] { return &c.decision_boundaries(); }), c.rows().dim()); })
      .def("maximize",
           [](Cell& c, const Array& direction) {
             const Vector v = to_vector(direction, "c", c.rows().dim());
             return extremum_dict(run([&] { return c.maximize(v, {}); }));
           })
      .def("maximize_output",
           [](Cell& c, const Array& weights) {
             const Vector q = to_vector(weights, "weights", c.rows().network() ? c.rows().network()->outputs() : 0);
             return extremum_dict(run([&] { return c.maximize({}, q); }));
           })
      .def("project",
           [](Cell& c, const Array& y, int norm) {
             const Vector v = to_vector(y, "y", c.rows().dim());
             return extremum_dict(run([&] { return c.project(v, norm); }));
           })
      .def("sample",
           [](Cell& c, Index count, Index steps, std::uint64_t seed, int workers) {
             return array(run([&] { return sample(c, count, steps, seed, workers); }));
           })
      .def("contains",
           [](Cell& c, const Array& point) {
             const Vector v = to_vector(point, "point", c.rows().dim());
             return run([&] { return c.contains(v.data(), false); });
           })
      .def("interior_contains",
           [](Cell& c, const Array& point) {
             const Vector v = to_vector(point, "point", c.rows().dim());
             return run([&] { return c.contains(v.data(), true); });
           })
      .def("intersect",
           [](Cell& c, const Array& A, const Array& b) {
             const Domain& old = c.rows().domain();
             const Matrix extra = to_matrix(A, "A", old.dim);
             const Vector rhs = to_vector(b, "b", extra.rows());
             auto joined = std::make_shared<Domain>(old);
             joined->A = Matrix(old.A.rows() + extra.rows(), old.dim);
             std::copy(old.A.data(), old.A.data() + old.A.rows() * old.dim, joined->A.data());
             std::copy(extra.data(), extra.data() + extra.rows() * old.dim, joined->A.row(old.A.rows()));
             joined->b.insert(joined->b.end(), rhs.begin(), rhs.end());
             const RowSystem& rows = c.rows();
             return cell_or_proof(run([&] { return cell_of(rows.network_ptr(), rows.pattern(), joined, rows.exact_budget()); }));
           })
      .def("stats", [](const Cell& c) {
        py::dict out = tally_dict(c.tally()), calls;
        for (const auto& [name, tally] : c.calls()) calls[py::str(name)] = tally_dict(tally);
        out["calls"] = calls;
        return out;
      });
  m.def("cell_at",
        [](std::shared_ptr<Network> network, const Array& point, const Domain& domain, const std::string& tie, double exact_budget) {
          const Vector x = to_vector(point, "point", network->inputs());
          return run([&] { return cell_at(network, x, std::make_shared<const Domain>(domain), tie == "any", exact_budget); });
        });
  m.def("cell_of", [](std::shared_ptr<Network> network, const ByteArray& pattern, const Domain& domain, double exact_budget) {
    const Pattern p = to_pattern(pattern);
    return cell_or_proof(run([&] { return cell_of(network, p, std::make_shared<const Domain>(domain), exact_budget); }));
  });
  m.def("cell_of_domain", [](const Domain& domain, double exact_budget) {
    return cell_or_proof(run([&] { return cell_of(nullptr, {}, std::make_shared<const Domain>(domain), exact_budget); }));
  });
  m.def("cells_at", &cells_at);
}

}  // namespace pyregions::bindings
