// Layer 5, private to bindings*.cpp. Arrays, dictionaries and errors of Python from and to the core's values.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cell.h"
#include "exact_lp.h"

namespace pyregions::bindings {

namespace py = pybind11;

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;
using ByteArray = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;
using CellPtr = std::shared_ptr<Cell>;

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Checked arrays; a wrong shape is a ValueError that names it.
Vector to_vector(const Array& a, const char* name, Index size = -1);
Matrix to_matrix(const Array& a, const char* name, Index cols = -1);
Pattern to_pattern(const ByteArray& a);

py::array_t<double> array(const Vector& v);
py::array_t<double> array(const Matrix& m);
template <class To, class From>
py::array_t<To> array_of(const std::vector<From>& v) {
  py::array_t<To> out(static_cast<py::ssize_t>(v.size()));
  for (std::size_t i = 0; i < v.size(); ++i) out.mutable_data()[i] = static_cast<To>(v[i]);
  return out;
}
py::array_t<std::uint8_t> patterns_array(const std::vector<Pattern>& patterns, Index units);

// Big integers as Python's, and (own, {row: multiplier}).
Integer to_integer(const py::handle& value);
py::int_ integer(const Integer& value);
py::tuple combination(const Combination& c);

// The dictionaries that _core.pyi types.
py::dict affine_dict(const Network::Affine& a);
py::dict facets_dict(const Facets& f);
py::dict ball_dict(const Ball& b);
py::dict bounds_dict(const Boundedness& b);
py::dict boundaries_dict(const DecisionBoundaries& b, Index dim);
py::dict extremum_dict(const Extremum& e);
py::dict halfspaces_dict(const Halfspaces& h);
py::dict tally_dict(const Tally& t);
py::object cell_or_proof(const std::variant<CellPtr, NoInterior>& result);

// The Python exception object of a core exception, with its labels or rows.
void register_errors(py::module_& m);
py::object python_exception(const std::exception_ptr& error);

// Runs work without the GIL, in a clean floating-point environment; Ctrl-C ends a long exact decision.
template <class Work>
auto run(Work work) {
  py::gil_scoped_release release;
  const FloatEnvironment environment;
  const InterruptScope interrupt([] {
    const py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
  });
  try {
    return work();
  } catch (const Interrupted&) {
    const py::gil_scoped_acquire acquire;
    throw py::error_already_set();
  }
}

// Runs job(i) for 0 <= i < count on `workers` threads without the GIL, each in a clean floating-point environment; the error
// of every job that threw one. progress (or None) is told the number of finished jobs; Ctrl-C stops all and raises.
std::vector<std::exception_ptr> for_each_point(Index count, int workers, const std::function<void(Index)>& job,
                                               const py::object& progress);

void register_network(py::module_& m);  // Network, Domain
void register_cell(py::module_& m);     // Cell and the functions that make cells
void register_cells(py::module_& m);    // the enumeration
void register_exact(py::module_& m);    // the exact rung by itself
void register_nearby(py::module_& m);   // questions at points that need no program

}  // namespace pyregions::bindings
