// Layer 3. Building working coordinates: the ambient frame, and the product frame of the first stage.
#include "frame.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "network_kernels.h"
#include "parallel_dense.h"

namespace pyregions {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void add_row(Frame& frame, Index global, Index slot, double length, double slack) {
  frame.row.push_back(global);
  frame.length.push_back(length);
  frame.h.push_back(slack / length);
  frame.scale.push_back(norm2(frame.G.row(slot), frame.dim));
}

Frame ambient_frame(const RowSystem& rows, const Vector& center, const Matrix& slack) {
  const Halfspaces& all = rows.halfspaces();
  const std::vector<std::uint8_t>& zero = rows.zero_rows();
  Frame f;
  f.dim = rows.dim();
  f.center = center;
  f.lower.assign(at(f.dim), -kInf);
  f.upper.assign(at(f.dim), kInf);
  f.lower_row.assign(at(f.dim), -1);
  f.upper_row.assign(at(f.dim), -1);
  f.bound_length.assign(at(f.dim), 1.0);
  std::vector<Index> general;
  for (Index j = 0; j < rows.size(); ++j) {
    const Label label = all.labels[at(j)];
    if (label.stage < 0 && label.piece == 0) {
      f.lower[at(label.unit)] = -slack(0, j);
      f.lower_row[at(label.unit)] = j;
    } else if (label.stage < 0 && label.piece == 1) {
      f.upper[at(label.unit)] = slack(0, j);
      f.upper_row[at(label.unit)] = j;
    } else if (!zero[at(j)]) {
      general.push_back(j);
    }
  }
  f.G = gather_rows(all.A, general);
  Vector lengths(general.size());
  for_rows(rows.workers(), f.G.rows(), f.dim, [&](Index i) {
    const double length = lengths[at(i)] = norm2(f.G.row(i), f.dim);
    for (Index k = 0; k < f.dim; ++k) f.G(i, k) /= length;
  });
  for (std::size_t i = 0; i < general.size(); ++i) {
    const Index slot = static_cast<Index>(i);
    add_row(f, general[i], slot, lengths[i], slack(0, general[i]));
  }
  return f;
}

// The nonzero rows of the first stage, split by whether the unit has a slope under the pattern.
struct FirstStage {
  std::vector<Index> units;  // rows
  std::vector<Index> live;   // positions in units
  Vector length;             // per unit, in x
};

// False where the first stage cannot stand for the input. Through the hinge node itself: a skip connection around it would let
// a unit without slope act on deeper rows.
bool find_first_stage(const RowSystem& rows, FirstStage& out) {
  const Network* net = rows.network();
  if (!net || net->stages().empty() || !rows.domain().is_all()) return false;
  const Network::Stage& first = net->stages()[0];
  if (!net->is_cut(first.node, 1)) return false;
  const Network::Node& hinge = net->nodes()[at(first.node)];
  for (Index u = 0; u < first.width; ++u) {
    if (rows.zero_rows()[at(first.offset + u)]) continue;
    const double slope = rows.pattern()[at(first.offset + u)] ? hinge.high[at(u)] : hinge.low[at(u)];
    if (slope != 0.0) out.live.push_back(static_cast<Index>(out.units.size()));
    out.units.push_back(first.offset + u);
    out.length.push_back(norm2(rows.halfspaces().A.row(first.offset + u), rows.dim()));
  }
  return !out.units.empty();
}

// Bounds of the live units and the rows of later stages in their coordinates.
void add_quotient(const RowSystem& rows, const FirstStage& stage, const Matrix& slack, Frame& f) {
  const Network& net = *rows.network();
  const Network::Stage& first = net.stages()[0];
  f.kind = Frame::Kind::first_stage;
  f.dim = static_cast<Index>(stage.live.size());
  for (const Index i : stage.live) {
    const Index u = stage.units[at(i)];
    const bool positive = rows.side(u) < 0;
    const double reach = slack(0, u) / stage.length[at(i)];
    f.lower.push_back(positive ? -reach : -kInf);
    f.upper.push_back(positive ? kInf : reach);
    f.lower_row.push_back(positive ? u : -1);
    f.upper_row.push_back(positive ? -1 : u);
    f.bound_length.push_back(stage.length[at(i)]);
  }
  const Network::Affine deep = net.unit_rows(rows.pattern(), first.pre, 1, rows.workers());
  const Index base = first.offset + first.width;
  std::vector<Index> general;
  for (Index i = 0; i < deep.A.rows(); ++i)
    if (!rows.zero_rows()[at(base + i)]) general.push_back(i);
  f.G = Matrix(static_cast<Index>(general.size()), f.dim);
  for (std::size_t g = 0; g < general.size(); ++g) {
    const Index global = base + general[g], slot = static_cast<Index>(g);
    const double norm = norm2(rows.halfspaces().A.row(global), rows.dim());
    for (Index l = 0; l < f.dim; ++l) {
      const Index i = stage.live[at(l)];
      f.G(slot, l) = rows.side(global) * deep.A(general[g], stage.units[at(i)] - first.offset) * stage.length[at(i)] / norm;
    }
    add_row(f, global, slot, norm, slack(0, global));
    f.error.push_back(deep.A_err[at(general[g])]);
  }
}

// How far the products of the stored rows with the columns are from what they are meant to be.
void bound_inverse(const RowSystem& rows, const FirstStage& stage, Network::StageInverse& inverse) {
  const Index n = inverse.columns.rows(), d = inverse.columns.cols();
  const Matrix stored = gather_rows(rows.halfspaces().A, stage.units);
  Matrix products(n, n);
  gemm(rows.workers(), false, true, 1.0, stored, inverse.columns, 0.0, products);
  Vector sizes;
  for (Index k = 0; k < n; ++k) sizes.push_back(norm_up(inverse.columns.row(k), d));
  inverse.size = norm_up(inverse.columns.data(), n * d);
  for (Index i = 0; i < n; ++i) {
    const double own = norm_up(stored.row(i), d), side = rows.side(stage.units[at(i)]);
    Vector off;
    for (Index k = 0; k < n; ++k) {
      const double meant = k == i ? side * stage.length[at(i)] : 0.0;
      off.push_back(std::fabs(products(i, k) - meant) + gamma(d + 4) * own * sizes[at(k)] + underflow(2 * d));
    }
    inverse.off.push_back(norm_up(off.data(), n) * inflate(8));
  }
}

// (W W^T)^-1 W for the rows at unit length, none where they have no full row rank numerically.
Network::StageInverse invert_first_stage(const RowSystem& rows, const FirstStage& stage) {
  const Index n = static_cast<Index>(stage.units.size()), d = rows.dim();
  Network::StageInverse result;
  result.units = stage.units;
  Matrix w = gather_rows(rows.halfspaces().A, stage.units);
  for (Index i = 0; i < n; ++i) {
    const double s = rows.side(stage.units[at(i)]) / stage.length[at(i)];
    for (Index k = 0; k < d; ++k) w(i, k) *= s;
  }
  Matrix gram(n, n);
  gemm(rows.workers(), false, true, 1.0, w, w, 0.0, gram);
  Matrix inverse = gram;
  if (!cholesky(gram)) return result;
  // The lift below loses twice the digits of the smallest pivot; rows that are dependent exactly leave one of 2^-25 or so.
  for (Index i = 0; i < n; ++i)
    if (gram(i, i) < 0x1p-18) return result;
  if (!invert(inverse)) return result;
  result.columns = Matrix(n, d);
  gemm(rows.workers(), false, false, 1.0, inverse, w, 0.0, result.columns);
  bound_inverse(rows, stage, result);
  return result;
}

// False when the first stage has no full row rank (numerically) or is no cut.
bool first_stage_frame(const RowSystem& rows, const Vector& center, const Matrix& slack, Frame& f) {
  FirstStage stage;
  const Network* net = rows.network();
  if (!net || net->stages().empty() || net->stages()[0].width > rows.dim() || !find_first_stage(rows, stage)) return false;
  const Network::StageInverse& inverse = net->first_stage_inverse([&] { return invert_first_stage(rows, stage); });
  if (inverse.columns.empty()) return false;
  if (inverse.units != stage.units) throw std::logic_error("the first stage is not the same for all regions");
  f = Frame{};
  f.center = center;
  f.inverse = &inverse;
  add_quotient(rows, stage, slack, f);
  const Index n = static_cast<Index>(stage.units.size()), d = rows.dim();
  f.lift = Matrix(f.dim, d);
  f.free_lift = Matrix(n - f.dim, d);
  Index next_free = 0, next_live = 0;
  for (Index i = 0; i < n; ++i) {
    const bool is_live = next_live < f.dim && stage.live[at(next_live)] == i;
    if (!is_live) f.free_units.push_back(stage.units[at(i)]);
    double* out = is_live ? f.lift.row(next_live++) : f.free_lift.row(next_free++);
    const double factor = is_live ? 1.0 : 1.0 / stage.length[at(i)];
    for (Index k = 0; k < d; ++k) out[k] = inverse.columns(i, k) * factor;
  }
  return true;
}

// A nonzero row whose length, or its reciprocal, is not a normal double cannot be normalised in floats.
void require_usual_size(const RowSystem& rows) {
  const Halfspaces& all = rows.halfspaces();
  constexpr double kSmallest = std::numeric_limits<double>::min() / kUnit;
  for (Index j = 0; j < rows.size(); ++j) {
    if (rows.zero_rows()[at(j)]) continue;
    const double length = norm2(all.A.row(j), rows.dim());
    if (length > kSmallest && length < 1 / kSmallest && std::fabs(all.b[at(j)]) < 1 / kSmallest) continue;
    throw UndecidedError("row " + std::to_string(j) + ", " + to_string(rows.label(j)) +
                             ", is too small or too large for doubles: rescale the network's weights", {j});
  }
}

}  // namespace

Vector first_stage_lean(const RowSystem& rows, const Frame& frame) {
  Vector lean(at(frame.dim), 0.0);
  if (!rows.domain().is_all() || !rows.network() || rows.network()->stages().empty()) return lean;
  const Network::Stage& first = rows.network()->stages()[0];
  const Network::Node& hinge = rows.network()->nodes()[at(first.node)];
  const auto live = [&](Index row) {
    return row >= 0 && row < first.width && (rows.pattern()[at(row)] ? hinge.high[at(row)] : hinge.low[at(row)]) != 0.0;
  };
  for (Index e = 0; e < frame.rows(); ++e)
    if (live(frame.row[at(e)])) axpy(-1.0, frame.G.row(e), lean.data(), frame.dim);
  for (Index k = 0; k < frame.dim; ++k) {
    if (live(frame.lower_row[at(k)])) lean[at(k)] += 1;
    if (live(frame.upper_row[at(k)])) lean[at(k)] -= 1;
  }
  return lean;
}

bool Frame::has_bounds() const {
  return std::any_of(lower.begin(), lower.end(), [](double v) { return std::isfinite(v); }) ||
         std::any_of(upper.begin(), upper.end(), [](double v) { return std::isfinite(v); });
}

Matrix Frame::to_x(const Matrix& y) const {
  if (kind == Kind::quotient) throw std::logic_error("a quotient has no way back to x");
  const Index d = static_cast<Index>(center.size());
  Matrix x(y.rows(), d);
  for (Index i = 0; i < y.rows(); ++i) std::copy(center.begin(), center.end(), x.row(i));
  if (kind == Kind::first_stage) {
    gemm(false, false, 1.0, y, lift, 1.0, x);
  } else {
    for (Index i = 0; i < y.rows(); ++i) axpy(1.0, y.row(i), x.row(i), d);
  }
  return x;
}

void Frame::recenter(const Vector& y) {
  Matrix one(1, dim);
  std::copy(y.begin(), y.end(), one.data());
  const Matrix x = to_x(one);
  center.assign(x.data(), x.data() + x.cols());
  gemv(false, -1.0, G, y.data(), 1.0, h.data());
  for (Index k = 0; k < dim; ++k) {
    lower[at(k)] -= y[at(k)];
    upper[at(k)] -= y[at(k)];
  }
}

Frame make_frame(const RowSystem& rows, const Vector& center, bool allow_first_stage) {
  require_usual_size(rows);
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  const Matrix slack = rows.slacks(one).value;
  Frame f;
  if (allow_first_stage && first_stage_frame(rows, center, slack, f)) return f;
  return ambient_frame(rows, center, slack);
}

bool make_quotient(const RowSystem& rows, const Vector& center, Index most, Frame& out) {
  FirstStage stage;
  if (!find_first_stage(rows, stage) || stage.live.empty() || static_cast<Index>(stage.live.size()) > most) return false;
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  out = Frame{};
  out.center = center;
  add_quotient(rows, stage, rows.slacks(one).value, out);
  out.kind = Frame::Kind::quotient;
  return true;
}

Frame make_fine_frame(const RowSystem& rows, const Parts& center) {
  require_usual_size(rows);
  const RefinedVector refined = rows.refined_slacks(center);
  Matrix slack(1, rows.size());
  std::copy(refined.hi.begin(), refined.hi.end(), slack.data());
  return ambient_frame(rows, Vector(center.row(0), center.row(0) + center.cols()), slack);
}

}  // namespace pyregions
