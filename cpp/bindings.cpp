// Layer 5. The Python module: converts, checks, releases the GIL, calls. No algorithm.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>

#include "cell.h"
#include "lp.h"
#include "pool.h"

namespace py = pybind11;
using namespace pyregions;

namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;
using CellPtr = std::shared_ptr<Cell>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

std::string shape_of(const py::array& a) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < a.ndim(); ++i) text += (i ? ", " : "") + std::to_string(a.shape(i));
  return text + ")";
}

Vector to_vector(const Array& a, const char* name, Index size = -1) {
  if (a.ndim() != 1 || (size >= 0 && a.shape(0) != size))
    throw py::value_error(std::string(name) + " must be a vector" + (size >= 0 ? " of length " + std::to_string(size) : "") +
                          ", got shape " + shape_of(a));
  return Vector(a.data(), a.data() + a.size());
}

Matrix to_matrix(const Array& a, const char* name, Index cols = -1) {
  if (a.ndim() != 2 || (cols >= 0 && a.shape(1) != cols))
    throw py::value_error(std::string(name) + " must be a matrix" + (cols >= 0 ? " with " + std::to_string(cols) + " columns" : "") +
                          ", got shape " + shape_of(a));
  Matrix m(a.shape(0), a.shape(1));
  std::copy(a.data(), a.data() + a.size(), m.data());
  return m;
}

py::array_t<double> array(const Vector& v) { return py::array_t<double>(static_cast<py::ssize_t>(v.size()), v.data()); }

py::array_t<double> array(const Matrix& m) {
  py::array_t<double> out({m.rows(), m.cols()});
  std::copy(m.data(), m.data() + m.rows() * m.cols(), out.mutable_data());
  return out;
}

template <class To, class From>
py::array_t<To> array_of(const std::vector<From>& v) {
  py::array_t<To> out(static_cast<py::ssize_t>(v.size()));
  for (std::size_t i = 0; i < v.size(); ++i) out.mutable_data()[i] = static_cast<To>(v[i]);
  return out;
}

py::array_t<std::int32_t> labels_array(const std::vector<Label>& labels) {
  py::array_t<std::int32_t> out({static_cast<py::ssize_t>(labels.size()), py::ssize_t{3}});
  std::int32_t* p = out.mutable_data();
  for (const Label& l : labels) *p++ = l.stage, *p++ = l.unit, *p++ = l.piece;
  return out;
}

void put(py::dict& out, const SparseRow& row) {
  std::vector<Index> rows;
  Vector values;
  for (const auto& [r, v] : row) rows.push_back(r), values.push_back(v);
  out["mul_rows"] = array_of<std::int32_t>(rows);
  out["mul_values"] = array(values);
}

int proof_code(Proof p) { return p == Proof::none ? -1 : static_cast<int>(p); }

// Groups as pointers into one array of rows.
void put_groups(py::dict& out, const char* pointer, const char* rows, const std::vector<std::vector<Index>>& groups) {
  std::vector<Index> ptr{0}, all;
  for (const auto& g : groups) {
    all.insert(all.end(), g.begin(), g.end());
    ptr.push_back(static_cast<Index>(all.size()));
  }
  out[pointer] = array_of<std::int64_t>(ptr);
  out[rows] = array_of<std::int32_t>(all);
}

py::dict facets_dict(const Facets& f) {
  py::dict out;
  put_groups(out, "group_ptr", "group_rows", f.groups);
  out["on_domain"] = array_of<bool>(f.on_domain);
  out["witness"] = array(f.witness);
  out["zero_rows"] = array_of<std::int32_t>(f.zero_rows);
  put_groups(out, "red_ptr", "red_rows", f.redundant_groups);
  std::vector<int> kinds, stages;
  std::vector<Index> ptr{0}, rows;
  Vector values;
  for (const Redundancy& r : f.proofs) {
    kinds.push_back(proof_code(r.proof));
    stages.push_back(r.stage);
    for (const auto& [row, value] : r.multipliers) rows.push_back(row), values.push_back(value);
    ptr.push_back(static_cast<Index>(rows.size()));
  }
  out["red_kind"] = array_of<std::uint8_t>(kinds);
  out["red_stage"] = array_of<std::int32_t>(stages);
  out["mul_ptr"] = array_of<std::int64_t>(ptr);
  out["mul_rows"] = array_of<std::int32_t>(rows);
  out["mul_values"] = array(values);
  out["undecided"] = array_of<std::int32_t>(f.undecided);
  return out;
}

py::dict ball_dict(const Ball& b) {
  py::dict out;
  out["center"] = array(b.center);
  out["radius"] = b.radius;
  out["lower"] = b.lower;
  out["upper"] = b.upper;
  out["kind"] = proof_code(b.proof);
  out["stage"] = b.stage;
  out["direction"] = array(b.direction);
  put(out, b.multipliers);
  return out;
}

py::dict bounds_dict(const Boundedness& b) {
  py::dict out;
  out["bounded"] = b.bounded;
  out["modulo_lineality"] = b.modulo_lineality;
  out["rank_lower"] = b.rank_lower;
  out["rank_upper"] = b.rank_upper;
  out["proof"] = b.proof;
  out["direction"] = array(b.direction);
  put(out, b.multipliers);
  out["basis_rows"] = array_of<std::int32_t>(b.basis);
  out["inverse"] = array(b.inverse);
  out["lower"] = array(b.enclosure.lower);
  out["upper"] = array(b.enclosure.upper);
  return out;
}

py::array_t<double> points_or_nan(const std::vector<Vector>& points, Index dim) {
  Matrix m(static_cast<Index>(points.size()), dim, std::nan(""));
  for (std::size_t i = 0; i < points.size(); ++i) std::copy(points[i].begin(), points[i].end(), m.row(static_cast<Index>(i)));
  return array(m);
}

py::dict boundaries_dict(const DecisionBoundaries& b, Index dim) {
  py::dict out;
  py::array_t<std::int32_t> pairs({static_cast<py::ssize_t>(b.pairs.size()), py::ssize_t{2}});
  std::vector<int> crosses, identical, sign, piece;
  std::vector<Vector> positive, negative, first, second;
  for (std::size_t p = 0; p < b.pairs.size(); ++p) {
    const ClassPair& c = b.pairs[p];
    pairs.mutable_data()[2 * p] = static_cast<std::int32_t>(c.i);
    pairs.mutable_data()[2 * p + 1] = static_cast<std::int32_t>(c.j);
    crosses.push_back(c.crosses);
    identical.push_back(c.identical);
    sign.push_back(c.sign);
    piece.push_back(c.piece);
    positive.push_back(c.positive);
    negative.push_back(c.negative);
    first.push_back(c.piece == 1 ? c.first : Vector{});
    second.push_back(c.piece == 1 ? c.second : Vector{});
  }
  out["pairs"] = pairs;
  out["crosses"] = array_of<std::int8_t>(crosses);
  out["identical"] = array_of<bool>(identical);
  out["constant_sign"] = array_of<std::int8_t>(sign);
  out["positive"] = points_or_nan(positive, dim);
  out["negative"] = points_or_nan(negative, dim);
  out["piece"] = array_of<std::int8_t>(piece);
  out["piece_first"] = points_or_nan(first, dim);
  out["piece_second"] = points_or_nan(second, dim);
  out["classes"] = array_of<std::int8_t>(b.classes);
  out["class_witness"] = points_or_nan(b.witness, dim);
  return out;
}

py::dict extremum_dict(const Extremum& e) {
  py::dict out;
  out["status"] = e.status == Extremum::Status::optimal ? "optimal" : "unbounded";
  out["point"] = array(e.point);
  out["value"] = e.value;
  out["lower"] = e.lower;
  out["upper"] = e.upper;
  return out;
}

py::dict no_interior_dict(const NoInterior& n) {
  py::dict out;
  out["kind"] = n.proof == Proof::opposite ? 5 : n.proof == Proof::basis ? 2 : proof_code(n.proof);
  out["stage"] = n.stage;
  put(out, n.multipliers);
  return out;
}

py::dict halfspaces_dict(const Halfspaces& h) {
  py::dict out;
  out["A"] = array(h.A);
  out["b"] = array(h.b);
  out["A_error"] = h.A_err.empty() ? array(Vector(h.b.size(), 0.0)) : array(h.A_err);
  out["b_error"] = h.b_err.empty() ? array(Vector(h.b.size(), 0.0)) : array(h.b_err);
  out["labels"] = labels_array(h.labels);
  return out;
}

py::object cell_or_proof(const std::variant<CellPtr, NoInterior>& result) {
  if (const CellPtr* cell = std::get_if<CellPtr>(&result)) return py::cast(*cell);
  return no_interior_dict(std::get<NoInterior>(result));
}

Pattern to_pattern(const py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>& a) {
  return Pattern(a.data(), a.data() + a.size());
}

py::array_t<std::uint8_t> patterns_array(const std::vector<Pattern>& patterns, Index units) {
  py::array_t<std::uint8_t> out({static_cast<py::ssize_t>(patterns.size()), static_cast<py::ssize_t>(units)});
  for (std::size_t i = 0; i < patterns.size(); ++i)
    std::copy(patterns[i].begin(), patterns[i].end(), out.mutable_data() + static_cast<Index>(i) * units);
  return out;
}

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

PyObject* on_boundary_type = nullptr;
PyObject* undecided_type = nullptr;

py::object python_exception(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const OnBoundaryError& e) {
    py::object instance = py::reinterpret_borrow<py::object>(on_boundary_type)(e.what());
    py::list labels;
    for (const Label& l : e.labels()) labels.append(py::make_tuple(l.stage, l.unit, l.piece));
    instance.attr("labels") = labels;
    return instance;
  } catch (const UndecidedError& e) {
    py::object instance = py::reinterpret_borrow<py::object>(undecided_type)(e.what());
    instance.attr("rows") = py::tuple(py::cast(e.rows()));
    return instance;
  } catch (const std::exception& e) {
    return py::reinterpret_borrow<py::object>(PyExc_ValueError)(e.what());
  }
}

py::list cells_at(std::shared_ptr<Network> network, const Array& points, const Domain& domain, const std::string& tie,
                  const std::vector<std::string>& what, int workers, const py::object& progress) {
  const Matrix x = to_matrix(points, "points", network->inputs());
  const auto shared = std::make_shared<const Domain>(domain);
  std::vector<CellPtr> cells(at(x.rows()));
  std::vector<std::exception_ptr> errors(at(x.rows()));
  bool interrupted = false;
  {
    py::gil_scoped_release release;
    std::atomic<bool> stop{false};
    parallel_for(
        x.rows(), workers,
        [&](Index i) {
          const FloatEnvironment environment;
          try {
            CellPtr cell = cell_at(network, Vector(x.row(i), x.row(i) + x.cols()), shared, tie == "any");
            compute(*cell, what);
            cells[at(i)] = std::move(cell);
          } catch (...) {
            errors[at(i)] = std::current_exception();
          }
        },
        &stop,
        [&](Index done) {
          py::gil_scoped_acquire acquire;
          if (PyErr_CheckSignals() != 0) {
            interrupted = true;
            return false;
          }
          if (!progress.is_none()) progress(done);
          return true;
        });
  }
  if (interrupted) throw py::error_already_set();
  py::list out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i])
      out.append(py::cast(cells[i]));
    else
      out.append(errors[i] ? python_exception(errors[i]) : py::none());
  }
  return out;
}

void register_network(py::module_& m) {
  py::class_<Network, std::shared_ptr<Network>>(m, "Network")
      .def(py::init([](Index inputs) { return std::make_shared<Network>(inputs); }), py::arg("inputs"))
      .def("add_affine",
           [](Network& net, const std::vector<std::pair<int, Array>>& terms, const Array& bias) {
             std::vector<Network::Term> list;
             for (const auto& [source, a] : terms) {
               if (a.ndim() == 1)
                 list.push_back({source, LinearMap::from_diagonal(to_vector(a, "the diagonal"))});
               else
                 list.push_back({source, LinearMap::from_dense(to_matrix(a, "the weight"))});
             }
             return net.add_affine(std::move(list), to_vector(bias, "bias"));
           })
      .def("add_hinge", [](Network& net, int source, const Array& low,
                           const Array& high) { return net.add_hinge(source, to_vector(low, "low"), to_vector(high, "high")); })
      .def("finish", &Network::finish)
      .def_property_readonly("inputs", &Network::inputs)
      .def_property_readonly("outputs", &Network::outputs)
      .def_property_readonly("units", &Network::units)
      .def_property_readonly("stage_widths",
                             [](const Network& net) {
                               std::vector<Index> widths;
                               for (const auto& s : net.stages()) widths.push_back(s.width);
                               return widths;
                             })
      .def("forward",
           [](const Network& net, const Array& points) {
             const Matrix x = to_matrix(points, "points", net.inputs());
             Network::Values v;
             {
               py::gil_scoped_release release;
               const FloatEnvironment environment;
               v = net.forward(x);
             }
             return py::make_tuple(array(v.out), array(v.out_err));
           })
      .def("preactivations",
           [](const Network& net, const Array& points) {
             const Matrix x = to_matrix(points, "points", net.inputs());
             Network::Values v;
             {
               py::gil_scoped_release release;
               const FloatEnvironment environment;
               v = net.forward(x);
             }
             return py::make_tuple(array(v.pre), array(v.pre_err));
           })
      .def("signs", [](const Network& net, const Array& point) {
        const Vector x = to_vector(point, "point", net.inputs());
        std::vector<int> signs;
        {
          py::gil_scoped_release release;
          const FloatEnvironment environment;
          signs = unit_signs(net, x.data());
        }
        return array_of<std::int8_t>(signs);
      });
}

void register_domain(py::module_& m) {
  const auto checked = [](Domain d) {
    d.check();
    return std::make_shared<Domain>(std::move(d));
  };
  py::class_<Domain, std::shared_ptr<Domain>>(m, "Domain")
      .def_static("all", [](Index dim) { return std::make_shared<Domain>(Domain::all(dim)); })
      .def_static("box", [checked](const Array& lower, const Array& upper) {
        return checked(Domain::box(to_vector(lower, "lower"), to_vector(upper, "upper")));
      })
      .def_static("general", [checked](const Array& lower, const Array& upper, const Array& A, const Array& b) {
        Domain d = Domain::polytope(to_matrix(A, "A"), to_vector(b, "b"));
        d.lower = to_vector(lower, "lower", d.dim);
        d.upper = to_vector(upper, "upper", d.dim);
        return checked(std::move(d));
      })
      .def_readonly("dim", &Domain::dim)
      .def("halfspaces", [](const Domain& d) { return halfspaces_dict(d.halfspaces()); })
      .def("contains", [](const Domain& d, const Array& point) {
        const Vector x = to_vector(point, "point", d.dim);
        const FloatEnvironment environment;
        const RowSystem rows(nullptr, {}, std::make_shared<const Domain>(d));
        const std::vector<int> signs = rows.slack_signs(x.data());
        return std::none_of(signs.begin(), signs.end(), [](int s) { return s < 0; });
      });
}

// Runs work without the GIL, in a clean floating-point environment.
template <class Work>
auto run(Work work) {
  py::gil_scoped_release release;
  const FloatEnvironment environment;
  return work();
}

void register_cell(py::module_& m) {
  py::class_<Cell, CellPtr>(m, "Cell")
      .def_property_readonly("pattern", [](const Cell& c) { return array_of<std::uint8_t>(c.rows().pattern()); })
      .def_property_readonly("size", [](const Cell& c) { return c.rows().size(); })
      .def_property_readonly("unit_rows", [](const Cell& c) { return c.rows().units(); })
      .def("witness", [](Cell& c) { return array(run([&] { return c.interior(); })); })
      .def("halfspaces", [](Cell& c) { return halfspaces_dict(*run([&] { return &c.rows().halfspaces(); })); })
      .def("affine_map",
           [](Cell& c, int stage, bool after) {
             if (!c.rows().network()) throw py::value_error("a polyhedron without a network has no affine map");
             const Network::Affine a = run([&] { return c.rows().network()->affine_map(c.rows().pattern(), stage, after); });
             py::dict out;
             out["W"] = array(a.A);
             out["c"] = array(a.c);
             out["W_error"] = array(a.A_err);
             out["c_error"] = array(a.c_err);
             return out;
           })
      .def("facets",
           [](Cell& c, bool allow_undecided, int workers) {
             const int threads = workers > 0 ? workers : available_cpus();
             const Facets* f = run([&] { return allow_undecided ? &c.facets(threads) : &c.decided_facets(threads); });
             return facets_dict(*f);
           },
           py::arg("allow_undecided") = false, py::arg("workers") = 0)
      .def("chebyshev", [](Cell& c) { return ball_dict(*run([&] { return &c.ball(); })); })
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
             return cell_or_proof(run([&] { return cell_of(c.rows().network_ptr(), c.rows().pattern(), joined); }));
           })
      .def("stats", [](const Cell& c) {
        const Tally t = c.tally();
        py::dict out;
        out["triage"] = t.triage;
        out["tight"] = t.tight;
        out["basis"] = t.basis;
        out["refine"] = t.refine;
        out["exact"] = t.exact;
        out["undecided"] = t.undecided;
        out["active_set"] = t.active_set;
        out["lps"] = t.lps;
        out["interior"] = t.interior;
        for (const auto& [name, value] : t.seconds) out[py::str("seconds_" + name)] = value;
        return out;
      });
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of pyregions.";
  on_boundary_type = PyErr_NewException("pyregions._core.OnBoundaryError", PyExc_Exception, nullptr);
  undecided_type = PyErr_NewException("pyregions._core.UndecidedError", PyExc_Exception, nullptr);
  m.attr("OnBoundaryError") = py::reinterpret_borrow<py::object>(on_boundary_type);
  m.attr("UndecidedError") = py::reinterpret_borrow<py::object>(undecided_type);
  py::register_exception_translator([](std::exception_ptr p) {
    if (!p) return;
    try {
      std::rethrow_exception(p);
    } catch (const OnBoundaryError&) {
      const py::object instance = python_exception(p);
      PyErr_SetObject(on_boundary_type, instance.ptr());
    } catch (const UndecidedError&) {
      const py::object instance = python_exception(p);
      PyErr_SetObject(undecided_type, instance.ptr());
    } catch (const OutsideDomainError& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    }
  });
  register_network(m);
  register_domain(m);
  register_cell(m);
#ifdef PYREGIONS_HIGHS_VERSION
  m.attr("highs_built_with") = PYREGIONS_HIGHS_VERSION;  // the headers' version; the library's is asked at import
#endif
  m.def("highs_version", &highs_version);
  m.def("available_cpus", &available_cpus);
  m.def("cell_at", [](std::shared_ptr<Network> network, const Array& point, const Domain& domain, const std::string& tie) {
    const Vector x = to_vector(point, "point", network->inputs());
    return run([&] { return cell_at(network, x, std::make_shared<const Domain>(domain), tie == "any"); });
  });
  m.def("cell_of", [](std::shared_ptr<Network> network, const py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>& pattern,
                      const Domain& domain) {
    const Pattern p = to_pattern(pattern);
    return cell_or_proof(run([&] { return cell_of(network, p, std::make_shared<const Domain>(domain)); }));
  });
  m.def("cell_of_domain", [](const Domain& domain) {
    return cell_or_proof(run([&] { return cell_of(nullptr, {}, std::make_shared<const Domain>(domain)); }));
  });
  m.def("cells_at", &cells_at);
}
