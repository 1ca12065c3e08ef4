// Layer 5. Networks and domains.
#include <algorithm>
#include <optional>

#include "bindings.h"

namespace pyregions::bindings {

namespace {

// A context manager of Python: what Python itself computes within sees a clean floating-point environment too.
struct HeldEnvironment {
  std::optional<FloatEnvironment> environment;
};

Network::Values forward(const Network& net, const Array& points) {
  const Matrix x = to_matrix(points, "points", net.inputs());
  return run([&] { return net.forward(x); });
}

void register_domain(py::module_& m) {
  const auto checked = [](Domain d) {
    const FloatEnvironment environment;
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
      .def("halfspaces", [](const Domain& d) { return halfspaces_dict(run([&] { return d.halfspaces(); })); })
      .def("contains", [](const Domain& d, const Array& point) {
        const Vector x = to_vector(point, "point", d.dim);
        const FloatEnvironment environment;
        const RowSystem rows(nullptr, {}, std::make_shared<const Domain>(d));
        const std::vector<int> signs = rows.slack_signs(x.data());
        return std::none_of(signs.begin(), signs.end(), [](int s) { return s < 0; });
      });
}

}  // namespace

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
             const FloatEnvironment environment;
             return net.add_affine(std::move(list), to_vector(bias, "bias"));
           })
      .def("add_hinge",
           [](Network& net, int source, const Array& low, const Array& high) {
             const FloatEnvironment environment;
             return net.add_hinge(source, to_vector(low, "low"), to_vector(high, "high"));
           })
      .def("finish", [](Network& net) { run([&] { net.finish(); }); })
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
             const Network::Values v = forward(net, points);
             return py::make_tuple(array(v.out), array(v.out_err));
           })
      .def("preactivations",
           [](const Network& net, const Array& points) {
             const Network::Values v = forward(net, points);
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
  register_domain(m);
  py::class_<HeldEnvironment>(m, "FloatEnvironment")
      .def(py::init<>())
      .def("__enter__", [](HeldEnvironment& held) { held.environment.emplace(); })
      .def("__exit__", [](HeldEnvironment& held, const py::args&) { held.environment.reset(); });
}

}  // namespace pyregions::bindings
