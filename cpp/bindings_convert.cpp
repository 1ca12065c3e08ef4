// Layer 5. Conversions between Python and the core.
#include "bindings.h"

#include <algorithm>
#include <atomic>

#include "pool.h"

namespace pyregions::bindings {

namespace {

std::string shape_of(const py::array& a) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < a.ndim(); ++i) text += (i ? ", " : "") + std::to_string(a.shape(i));
  return text + ")";
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

// The leading parts of points, NaN where there is none.
py::array_t<double> points_or_nan(const std::vector<Parts>& points, Index dim) {
  Matrix m(static_cast<Index>(points.size()), dim, std::nan(""));
  for (std::size_t i = 0; i < points.size(); ++i)
    if (!points[i].empty()) std::copy(points[i].row(0), points[i].row(0) + dim, m.row(static_cast<Index>(i)));
  return array(m);
}

// The points of more than one part, as {(name, index): parts}.
void put_fine(py::dict& out, const char* name, const std::vector<Parts>& points) {
  for (std::size_t i = 0; i < points.size(); ++i)
    if (points[i].rows() > 1) out[py::make_tuple(name, i)] = array(points[i]);
}

py::list integers(const std::vector<Integer>& values) {
  py::list out;
  for (const Integer& v : values) out.append(integer(v));
  return out;
}

py::dict no_interior_dict(const NoInterior& n) {
  py::dict out;
  out["kind"] = n.proof == Proof::opposite ? 5 : n.proof == Proof::basis ? 2 : proof_code(n.proof);
  out["stage"] = n.stage;
  put(out, n.multipliers);
  out["exact"] = combination(n.exact);
  return out;
}

// Owned by the module, which is never unloaded.
PyObject* on_boundary_type = nullptr;
PyObject* undecided_type = nullptr;

}  // namespace

Vector to_vector(const Array& a, const char* name, Index size) {
  if (a.ndim() != 1 || (size >= 0 && a.shape(0) != size))
    throw py::value_error(std::string(name) + " must be a vector" + (size >= 0 ? " of length " + std::to_string(size) : "") +
                          ", got shape " + shape_of(a));
  return Vector(a.data(), a.data() + a.size());
}

Matrix to_matrix(const Array& a, const char* name, Index cols) {
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

py::int_ integer(const Integer& v) {
  const std::string hex = Integer(abs(v)).str(0, std::ios_base::hex);
  PyObject* made = PyLong_FromString(((v.sign() < 0 ? "-" : "") + hex).c_str(), nullptr, 16);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::int_>(made);
}

Integer to_integer(const py::handle& value) {
  if (!PyLong_Check(value.ptr())) throw py::type_error("expected integers");
  const std::string hex = py::str(py::module_::import("builtins").attr("hex")(value));
  const bool negative = hex[0] == '-';
  const Integer magnitude(hex.substr(negative ? 1 : 0));
  return negative ? Integer(-magnitude) : magnitude;
}

py::tuple combination(const Combination& c) {
  py::dict terms;
  for (const auto& [row, value] : c.terms) terms[py::int_(row)] = integer(value);
  return py::make_tuple(integer(c.own), terms);
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
  py::dict exact, fine;
  for (std::size_t r = 0; r < f.proofs.size(); ++r)
    if (f.proofs[r].proof == Proof::exact) exact[py::int_(r)] = combination(f.proofs[r].exact);
  for (const auto& [facet, parts] : f.fine) fine[py::int_(facet)] = array(parts);
  out["exact"] = exact;
  out["fine"] = fine;
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
  out["fine"] = array(b.fine);
  out["exact_direction"] = integers(b.exact_direction);
  out["exact"] = combination(b.exact);
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
  out["exact"] = combination(b.exact);
  out["line"] = integers(b.line);
  out["recession"] = integers(b.recession);
  return out;
}

py::dict boundaries_dict(const DecisionBoundaries& b, Index dim) {
  py::dict out;
  py::array_t<std::int32_t> pairs({static_cast<py::ssize_t>(b.pairs.size()), py::ssize_t{2}});
  std::vector<int> crosses, identical, sign, piece;
  std::vector<Parts> positive, negative, first, second;
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
    first.push_back(c.piece == 1 ? c.first : Parts{});
    second.push_back(c.piece == 1 ? c.second : Parts{});
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
  py::dict fine;
  put_fine(fine, "positive", positive);
  put_fine(fine, "negative", negative);
  put_fine(fine, "piece_first", first);
  put_fine(fine, "piece_second", second);
  put_fine(fine, "class_witness", b.witness);
  out["fine"] = fine;
  return out;
}

py::dict extremum_dict(const Extremum& e) {
  py::dict out;
  out["status"] = e.status == Extremum::Status::optimal ? "optimal" : "unbounded";
  out["point"] = array(e.point);
  out["fine"] = array(e.fine);
  out["value"] = e.value;
  out["lower"] = e.lower;
  out["upper"] = e.upper;
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

py::dict affine_dict(const Network::Affine& a) {
  py::dict out;
  out["W"] = array(a.A);
  out["c"] = array(a.c);
  out["W_error"] = array(a.A_err);
  out["c_error"] = array(a.c_err);
  return out;
}

py::dict tally_dict(const Tally& t) {
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
}

py::object cell_or_proof(const std::variant<CellPtr, NoInterior>& result) {
  if (const CellPtr* cell = std::get_if<CellPtr>(&result)) return py::cast(*cell);
  return no_interior_dict(std::get<NoInterior>(result));
}

Pattern to_pattern(const ByteArray& a) {
  return Pattern(a.data(), a.data() + a.size());
}

py::array_t<std::uint8_t> patterns_array(const std::vector<Pattern>& patterns, Index units) {
  py::array_t<std::uint8_t> out({static_cast<py::ssize_t>(patterns.size()), static_cast<py::ssize_t>(units)});
  for (std::size_t i = 0; i < patterns.size(); ++i)
    std::copy(patterns[i].begin(), patterns[i].end(), out.mutable_data() + static_cast<Index>(i) * units);
  return out;
}

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

std::vector<std::exception_ptr> for_each_point(Index count, int workers, const std::function<void(Index)>& job,
                                               const py::object& progress) {
  std::vector<std::exception_ptr> errors(at(count));
  bool interrupted = false;
  {
    py::gil_scoped_release release;
    std::atomic<bool> stop{false};
    const auto guarded = [&](Index i) {
      const FloatEnvironment environment;
      try {
        job(i);
      } catch (...) {
        errors[at(i)] = std::current_exception();
      }
    };
    parallel_for(count, workers, guarded, &stop, [&](Index done) {
      py::gil_scoped_acquire acquire;
      interrupted = interrupted || PyErr_CheckSignals() != 0;
      if (!interrupted && !progress.is_none()) progress(done);
      return !interrupted;
    });
  }
  if (interrupted) throw py::error_already_set();
  return errors;
}

void register_errors(py::module_& m) {
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
}

}  // namespace pyregions::bindings
