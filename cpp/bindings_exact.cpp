// Layer 5. The exact rung by itself: what an exporter of certificates asks for where a proof in floats is no equality.
#include "bindings.h"
#include "exact_rung.h"
#include "exact_solve.h"

namespace pyregions::bindings {

namespace {

std::vector<Integer> integer_vector(const py::list& values) {
  std::vector<Integer> out;
  for (const py::handle& v : values) out.push_back(to_integer(v));
  return out;
}

py::list integer_list(const std::vector<Integer>& values) {
  py::list out;
  for (const Integer& v : values) out.append(integer(v));
  return out;
}

}  // namespace

void register_exact(py::module_& m) {
  m.def("exact_solve", [](const py::list& columns, const py::list& target, double seconds) -> py::object {
    const std::vector<Integer> goal = integer_vector(target);
    std::vector<std::vector<Integer>> vectors;
    for (const py::handle& column : columns) {
      vectors.push_back(integer_vector(py::cast<py::list>(column)));
      if (vectors.back().size() != goal.size()) throw py::value_error("columns and target differ in length");
    }
    const std::optional<ExactSolution> s = run([&] { return exact_solve(vectors, goal, Deadline(seconds)); });
    if (!s) return py::none();
    return py::make_tuple(integer(s->denominator), integer_list(s->numerators));
  });
  m.def("exact_recession", [](Cell& c) {
    const ExactRung::Recession r = run([&] { return ExactRung(c.rows()).recession(); });
    return py::make_tuple(integer_list(r.direction), combination(r.combination));
  });
  m.def("exact_lineality", [](Cell& c) -> py::object {
    const std::optional<std::vector<Integer>> line = run([&] { return ExactRung(c.rows()).lineality(); });
    return line ? py::object(integer_list(*line)) : py::object(py::none());
  });
  m.def("exact_ball", [](Cell& c) {
    const ExactRung::Ball b = run([&] { return ExactRung(c.rows()).ball(); });
    return py::make_tuple(integer_list(b.direction), b.upper, combination(b.combination));
  });
}

}  // namespace pyregions::bindings
