// Layer 5. Questions at points that need no program. What fails at a point comes back as (index, exception).
#include "bindings.h"
#include "nearby.h"

namespace pyregions::bindings {

namespace {

using NetworkPtr = std::shared_ptr<Network>;

Vector row_of(const Matrix& x, Index i) { return Vector(x.row(i), x.row(i) + x.cols()); }

// The first failure as (index, exception), None without one.
py::object failure(const std::vector<std::exception_ptr>& errors) {
  for (std::size_t i = 0; i < errors.size(); ++i)
    if (errors[i]) return py::make_tuple(i, python_exception(errors[i]));
  return py::none();
}

py::object nearest_rows(const NetworkPtr& network, const Array& points, Index k, int norm, bool any, int workers) {
  const Matrix x = to_matrix(points, "points", network->inputs());
  k = std::min(k, network->units());
  py::array_t<double> distance({x.rows(), k}), lower({x.rows(), k}), upper({x.rows(), k});
  py::array_t<std::int64_t> units({x.rows(), k});
  py::array_t<std::int32_t> labels({x.rows(), k, Index{3}});
  double *value = distance.mutable_data(), *low = lower.mutable_data(), *high = upper.mutable_data();
  std::int64_t* unit = units.mutable_data();
  std::int32_t* label = labels.mutable_data();
  const auto job = [&](Index i) {
    const Vector point = row_of(x, i);
    const Pattern pattern = pattern_at(network, point, any);
    Index to = i * k;
    for (const NearRow& row : RowDistances(*network, pattern, point, norm).nearest(k, network->units())) {
      value[to] = row.value;
      low[to] = row.lower;
      high[to] = row.upper;
      unit[to] = row.row;
      const auto [stage, within] = network->stage_of(row.row);
      label[3 * to] = stage;
      label[3 * to + 1] = static_cast<std::int32_t>(within);
      label[3 * to + 2] = 1 - pattern[at(row.row)];
      ++to;
    }
  };
  const py::object failed = failure(for_each_point(x.rows(), workers, job, py::none()));
  if (!failed.is_none()) return failed;
  py::dict out;
  out["units"] = units;
  out["labels"] = labels;
  out["distances"] = distance;
  out["lower"] = lower;
  out["upper"] = upper;
  return std::move(out);
}

// One number per point.
template <class Count>
py::object counts(const NetworkPtr& network, const Array& points, int workers, Count count) {
  const Matrix x = to_matrix(points, "points", network->inputs());
  py::array_t<std::int64_t> found(x.rows());
  std::int64_t* out = found.mutable_data();
  const auto job = [&](Index i) { out[i] = count(row_of(x, i)); };
  const py::object failed = failure(for_each_point(x.rows(), workers, job, py::none()));
  return failed.is_none() ? py::object(found) : failed;
}

py::object rows_within(const NetworkPtr& network, const Array& points, double radius, int norm, bool any, int workers) {
  return counts(network, points, workers, [&](const Vector& x) {
    const Pattern pattern = pattern_at(network, x, any);
    return RowDistances(*network, pattern, x, norm).within(radius);
  });
}

py::object changing_units(const NetworkPtr& network, const Array& points, double radius, const Array& directions, int workers) {
  const Matrix u = to_matrix(directions, "directions", network->inputs());
  return counts(network, points, workers, [&](const Vector& x) { return sign_changes(*network, x, radius, u); });
}

py::object packed_patterns(const NetworkPtr& network, const Array& points, bool any, int workers) {
  constexpr Index kTile = 64;
  const Matrix x = to_matrix(points, "points", network->inputs());
  const Index bytes = (network->units() + 7) / 8, tiles = (x.rows() + kTile - 1) / kTile;
  py::array_t<std::uint8_t> packed({x.rows(), bytes});
  std::uint8_t* out = packed.mutable_data();
  std::vector<std::pair<Index, std::exception_ptr>> failures(at(tiles));
  const auto job = [&](Index tile) {
    const Index first = tile * kTile, count = std::min(kTile, x.rows() - first);
    Matrix part(count, x.cols());
    std::copy_n(x.row(first), count * x.cols(), part.data());
    const auto [index, error] = pack_patterns(network, part, any, out + first * bytes);
    failures[at(tile)] = {first + index, error};
  };
  const py::object failed = failure(for_each_point(tiles, workers, job, py::none()));
  if (!failed.is_none()) return failed;
  for (const auto& [index, error] : failures)
    if (error) return py::make_tuple(index, python_exception(error));
  return std::move(packed);
}

// Distances to all rows of a cell, the nearest unit row and the nearest of all; -1 where none is at a finite distance.
py::dict cell_distances(const Cell& cell, const Array& point, int norm) {
  const Vector x = to_vector(point, "point", cell.rows().dim());
  std::vector<NearRow> rows;
  Index unit = -1, nearest = -1;
  run([&] {
    RowDistances distances(cell.rows(), x, norm);
    const auto first = [&](Index among) {
      const std::vector<NearRow> found = distances.nearest(1, among);
      return found.empty() || std::isinf(found[0].lower) ? Index{-1} : found[0].row;
    };
    unit = first(cell.rows().units());
    nearest = first(cell.rows().size());
    rows = distances.rows();
  });
  Vector value, lower, upper;
  for (const NearRow& row : rows) {
    value.push_back(row.value);
    lower.push_back(row.lower);
    upper.push_back(row.upper);
  }
  py::dict out;
  out["value"] = array(value);
  out["lower"] = array(lower);
  out["upper"] = array(upper);
  out["nearest_unit"] = unit;
  out["nearest"] = nearest;
  return out;
}

// Chosen rows of a pattern, a.x <= b with bounds, each by one backward pass.
py::dict rows_of(const Network& network, const ByteArray& pattern, const std::vector<Index>& units) {
  const Pattern p = to_pattern(pattern);
  Halfspaces h = run([&] { return chosen_rows(network, p, units); });
  return halfspaces_dict(h);
}

}  // namespace

void register_nearby(py::module_& m) {
  m.def("nearest_rows", &nearest_rows);
  m.def("rows_within", &rows_within);
  m.def("sign_changes", &changing_units);
  m.def("packed_patterns", &packed_patterns);
  m.def("rows_of", &rows_of);
  m.def("cell_distances", &cell_distances);
}

}  // namespace pyregions::bindings
