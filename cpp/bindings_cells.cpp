// Layer 5. The enumeration of all regions.
#include <utility>

#include "bindings.h"
#include "cells.h"

namespace pyregions::bindings {

namespace {

// A vector as an array over its own memory.
template <class T>
py::array_t<T> taken(std::vector<T>&& values, std::vector<py::ssize_t> shape = {}) {
  auto* held = new std::vector<T>(std::move(values));
  const py::capsule owner(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  if (shape.empty()) shape = {static_cast<py::ssize_t>(held->size())};
  return py::array_t<T>(shape, held->data(), owner);
}

using Signs = py::array_t<std::int8_t, py::array::c_style | py::array::forcecast>;

std::vector<PartialPattern> to_subtrees(const Signs& a, Index units) {
  if (a.ndim() != 2 || a.shape(1) != units) throw std::invalid_argument("subtrees have the wrong shape, expected (K, units)");
  std::vector<PartialPattern> out;
  for (py::ssize_t k = 0; k < a.shape(0); ++k) out.emplace_back(a.data() + k * units, a.data() + (k + 1) * units);
  return out;
}

Detail to_detail(const std::string& name) {
  if (name == "count") return Detail::count;
  if (name == "regions") return Detail::regions;
  if (name == "structure") return Detail::structure;
  if (name == "faces") return Detail::faces;
  throw std::invalid_argument("detail is count, regions, structure or faces");
}

py::dict structure_dict(CellStructure&& s, py::ssize_t d) {
  py::dict out;
  const auto pairs = [](std::vector<std::uint64_t>&& keys) {
    const auto rows = static_cast<py::ssize_t>(keys.size() / 2);
    return taken(std::move(keys), {rows, 2});
  };
  const auto points = static_cast<py::ssize_t>(s.far.size());
  out["facet_offsets"] = taken(std::move(s.facet_offsets));
  out["vertex_offsets"] = taken(std::move(s.vertex_offsets));
  out["zero_offsets"] = taken(std::move(s.zero_offsets));
  out["incidence_offsets"] = taken(std::move(s.incidence_offsets));
  out["label_offsets"] = taken(std::move(s.label_offsets));
  out["facet_rows"] = taken(std::move(s.facet_rows));
  out["labels"] = taken(std::move(s.labels));
  out["incidence"] = taken(std::move(s.incidence));
  out["zeros"] = taken(std::move(s.zeros));
  out["vertices"] = taken(std::move(s.vertices), {points, d});
  out["vertex_errors"] = taken(std::move(s.vertex_errors));
  out["far"] = taken(std::move(s.far));
  out["walls"] = taken(std::move(s.walls));
  out["facet_keys"] = pairs(std::move(s.facet_keys));
  out["vertex_keys"] = pairs(std::move(s.vertex_keys));
  out["volumes"] = taken(std::move(s.volumes));
  out["volume_errors"] = taken(std::move(s.volume_errors));
  out["face_keys"] = pairs(std::move(s.face_keys));
  out["face_dimensions"] = taken(std::move(s.face_dimensions));
  return out;
}

py::dict enumeration_dict(Enumeration&& found, Detail detail, Index units, Index dim) {
  const auto count = static_cast<py::ssize_t>(found.regions.count);
  py::dict out;
  out["count"] = count;
  py::array_t<std::int8_t> open({static_cast<py::ssize_t>(found.open.size()), static_cast<py::ssize_t>(units)});
  for (std::size_t k = 0; k < found.open.size(); ++k)
    std::copy(found.open[k].begin(), found.open[k].end(), open.mutable_data() + static_cast<py::ssize_t>(k) * units);
  out["open"] = open;
  out["tally"] = py::dict(py::arg("signs") = found.tally.signs, py::arg("exact_signs") = found.tally.exact_signs,
                          py::arg("vertices") = found.tally.vertices, py::arg("exact_vertices") = found.tally.exact_vertices,
                          py::arg("last_cuts") = found.tally.last_cuts);
  if (detail != Detail::count) {
    out["patterns"] = taken(std::move(found.regions.patterns), {count, static_cast<py::ssize_t>(words_for(units))});
    out["witnesses"] = taken(std::move(found.regions.witnesses), {count, static_cast<py::ssize_t>(dim)});
    out["bounded"] = taken(std::move(found.regions.bounded));
  }
  if (detail >= Detail::structure) out["structure"] = structure_dict(std::move(found.regions.structure), static_cast<py::ssize_t>(dim));
  return out;
}

// A pending signal ends the enumeration and is raised by the caller, who knows what to do with what was found.
bool interrupted_now(bool& interrupted) {
  if (PyErr_CheckSignals() == 0) return false;
  PyErr_Clear();
  interrupted = true;
  return true;
}

py::dict enumerate(const Network& net, const Domain& domain, const Signs& subtrees, const std::string& detail, int workers,
                   Index max_regions, double time_limit, const py::object& tick) {
  const std::vector<PartialPattern> list = to_subtrees(subtrees, net.units());
  EnumerationOptions options;
  options.detail = to_detail(detail);
  options.workers = workers;
  options.max_regions = max_regions;
  options.time_limit = time_limit;
  options.estimate = !tick.is_none();
  bool interrupted = false;
  const auto on_tick = [&](Index found, double share) {
    const py::gil_scoped_acquire acquire;
    if (interrupted_now(interrupted)) return false;
    try {
      return tick.is_none() || py::cast<bool>(tick(found, share));
    } catch (const py::error_already_set& error) {
      if (!error.matches(PyExc_KeyboardInterrupt)) throw;
      interrupted = true;  // Ctrl-C came while the callable ran
      return false;
    }
  };
  Enumeration found = run([&] { return enumerate_cells(net, {}, domain, list, options, on_tick); });
  py::dict out = enumeration_dict(std::move(found), options.detail, net.units(), net.inputs());
  out["interrupted"] = interrupted;
  return out;
}

py::list lines(const Network& net, const Array& p, const Array& q, double low, double high, int workers) {
  const Matrix from = to_matrix(p, "p", net.inputs()), to = to_matrix(q, "q", net.inputs());
  EnumerationOptions options;
  options.detail = Detail::structure;
  options.workers = workers;
  bool interrupted = false;
  std::vector<Enumeration> found = run([&] {
    return enumerate_lines(net, from, to, low, high, options, [&](Index) {
      const py::gil_scoped_acquire acquire;
      return !interrupted_now(interrupted);
    });
  });
  if (interrupted) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw py::error_already_set();
  }
  py::list out;
  for (Enumeration& line : found) out.append(enumeration_dict(std::move(line), options.detail, net.units(), 1));
  return out;
}

// Rows of one pattern and the points where they meet, in integers (see exact_vertex.h).
class PyExactVertices {
 public:
  PyExactVertices(std::shared_ptr<const Network> network, const Domain& domain, const ByteArray& pattern)
      : network_(std::move(network)), frame_(domain), exact_(*network_, frame_) {
    exact_.set_pattern(to_pattern(pattern));
  }
  py::tuple meet(const std::vector<RowId>& rows) {
    const ExactVertex v = exact_.meet(rows);
    return py::make_tuple(integers(v.x), integers(v.u), integer(v.denominator));
  }
  py::tuple form(RowId row) {
    const IntegerForm& f = exact_.form(row);
    return py::make_tuple(integers(f.a), integer(f.c));
  }

 private:
  static py::list integers(const std::vector<Integer>& values) {
    py::list out;
    for (const Integer& value : values) out.append(integer(value));
    return out;
  }
  std::shared_ptr<const Network> network_;
  DomainFrame frame_;
  ExactVertices exact_;
};

}  // namespace

void register_cells(py::module_& m) {
  m.def("enumerate", &enumerate);
  m.def("lines", &lines);
  m.attr("most_inputs") = kMostInputs;
  py::class_<PyExactVertices>(m, "ExactVertices")
      .def(py::init([](std::shared_ptr<Network> network, const Domain& domain, const ByteArray& pattern) {
        return std::make_unique<PyExactVertices>(std::move(network), domain, pattern);
      }))
      .def("meet", &PyExactVertices::meet)
      .def("form", &PyExactVertices::form);
}

}  // namespace pyregions::bindings
