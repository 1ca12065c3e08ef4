// Layer 4, private to cells*.cpp. What is handed out of a leaf: its pattern, a point inside, its facets and vertices.
#pragma once

#include <cmath>
#include <limits>

#include "cell_explore.h"

namespace pyregions {

template <int D, int W>
void CellSplitter<D, W>::breathe() const {
  if (outlet_->run) outlet_->run->breathe();
}

// One more region, and whether a limit of the run has been reached with it.
template <int D, int W>
void CellSplitter<D, W>::count_region() {
  const Index count = ++regions().count, more = count - outlet_->reported;
  if (control_.max_regions < 0 && more < 256) return;
  const Index now = control_.found->fetch_add(more, std::memory_order_relaxed) + more;
  outlet_->reported = count;
  breathe();
  const bool late = control_.deadline && std::chrono::steady_clock::now() > *control_.deadline;
  if (late || (control_.max_regions >= 0 && now >= control_.max_regions)) control_.stop->store(true, std::memory_order_relaxed);
}

template <int D, int W>
void CellSplitter<D, W>::hand_out(const Words& pattern, bool bounded, const std::array<double, D>& witness) {
  RegionList& out = regions();
  out.patterns.insert(out.patterns.end(), pattern.begin(), pattern.end());
  out.bounded.push_back(bounded);
  out.witnesses.insert(out.witnesses.end(), witness.begin(), witness.end());
}

template <int D, int W>
void CellSplitter<D, W>::emit(const Level& level, const Node& node, const Words& pattern) {
  if (random_) return;  // a descent hands out nothing
  count_region();
  if (detail_ == Detail::count) return;
  bool far = false;
  for (const Entry& entry : node.entries) far = far || level.vertices[static_cast<std::size_t>(entry.vertex)].far;
  hand_out(pattern, !far, mean_inside(level, node, pattern, far));
  if (structure()) emit_structure(level, node, far);
}

// A bound from below on the row, or on its negative, at x, whose 1-norm is `length`: its sign certain, its size up to one
// rounding; not positive where anything overflows.
template <int D, int W>
double CellSplitter<D, W>::at_least(const VertexRow<D>& row, bool positive, const double* x, double length) {
  double value = row.c, size = std::fabs(row.c);
  for (int k = 0; k < D; ++k) {
    const double product = row.a[static_cast<std::size_t>(k)] * x[k];
    value += product;
    size += std::fabs(product);
  }
  const double bound = (gamma(D + 2) * size + row.a_error * length + row.c_error) * inflate(D) + underflow(D + 2);
  return (positive ? value : -value) - bound;
}

template <int D, int W>
bool CellSplitter<D, W>::inside_row(const VertexRow<D>& row, bool positive, const double* x, double length) {
  return at_least(row, positive, x, length) > 0;
}

// Every facet's row is at least this times the 1-norm of its coefficients at x; 0 where doubles do not prove x inside.
template <int D, int W>
double CellSplitter<D, W>::room_at(const Level& level, const Node& node, const Words& pattern, const std::array<double, D>& x) const {
  const double length = size_of(x);
  double room = std::numeric_limits<double>::max();
  for (int w = 0; w < W; ++w)
    for (std::uint64_t left = node.used.words[static_cast<std::size_t>(w)]; left; left &= left - 1) {
      const auto slot = static_cast<std::size_t>(64 * w + __builtin_ctzll(left));
      const VertexRow<D>& row = level.rows[static_cast<std::size_t>(node.row_of[slot])];
      if (row.m != 0) continue;  // a wall of the simplex is beyond all doubles
      const double least = at_least(row, row.id < 0 || bit(pattern.data(), row.id), x.data(), length);
      if (!(least > 0)) return 0;
      room = std::min(room, least / ((size_of(row.a) + D * row.a_error) * inflate(D) + underflow(1)));
    }
  return room * (1 - 4 * kUnit);
}

template <int D, int W>
double CellSplitter<D, W>::size_of(const std::array<double, D>& x) {
  double length = 0;
  for (const double entry : x) length += std::fabs(entry);
  return length;
}

// The facets are all of the cell.
template <int D, int W>
bool CellSplitter<D, W>::strictly_inside(const Level& level, const Node& node, const Words& pattern, const std::array<double, D>& x) const {
  return room_at(level, node, pattern, x) > 0;
}

// The mean of the vertices, those at infinity at a finite distance that grows until the point is inside; NaN if it is not.
template <int D, int W>
std::array<double, D> CellSplitter<D, W>::mean_inside(const Level& level, const Node& node, const Words& pattern, bool far) const {
  std::array<double, D> near{}, away{}, x{};
  const double share = 1 / static_cast<double>(node.entries.size());
  double size = 1;
  for (const Entry& entry : node.entries) {
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(entry.vertex)];
    for (std::size_t k = 0; k < D; ++k) {
      near[k] += share * v.x[k];
      away[k] += share * v.u[k];
      if (far) size = std::max(size, std::fabs(v.x[k]));
    }
  }
  const int tries = far ? 60 : 1;
  double distance = far ? size : 0;
  for (int t = 0; t < tries; ++t, distance *= 4) {
    for (std::size_t k = 0; k < D; ++k) x[k] = near[k] + distance * away[k];
    if (strictly_inside(level, node, pattern, x)) return x;
  }
  x.fill(std::numeric_limits<double>::quiet_NaN());
  return x;
}

inline std::uint64_t mixed(std::uint64_t h, std::uint64_t word, std::uint64_t factor) {
  h = (h ^ word) * factor;
  return h ^ (h >> 29);
}

inline void append_key(const std::uint64_t* words, Index count, std::vector<std::uint64_t>& keys) {
  std::uint64_t a = 0x243f6a8885a308d3, b = 0x13198a2e03707344;  // digits of pi
  for (Index k = 0; k < count; ++k) {
    a = mixed(a, words[k], 0x9e3779b97f4a7c15);
    b = mixed(b, words[k] ^ (words[k] >> 31), 0xc2b2ae3d27d4eb4f);
  }
  keys.push_back(a);
  keys.push_back(b);
}

template <int D, int W>
void CellSplitter<D, W>::emit_structure(const Level& level, const Node& node, bool far) {
  breathe();
  CellStructure& out = regions().structure;
  const Index words = sign_words(), units = network_.units();
  const auto signs_at = [&](const Entry& entry) { return level.signs.data() + entry.vertex * 2 * words; };
  Words any(static_cast<std::size_t>(2 * words)), on(any);
  std::vector<FaceVertices> facets;
  for (const Entry& entry : node.entries) {
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(entry.vertex)];
    const auto& point = v.far ? v.u : v.x;
    out.vertices.insert(out.vertices.end(), point.begin(), point.end());
    out.vertex_errors.push_back(v.far ? v.u_error : v.x_error);
    out.far.push_back(v.far);
    unsigned walls = 0;
    for (const RowId row : rows_on(level, node, entry.on))
      if (row < 0 && row >= frame_row(D)) walls |= 1u << (-1 - row);
    out.walls.push_back(static_cast<std::uint16_t>(walls));
    append_key(signs_at(entry), 2 * words, out.vertex_keys);
    for (Index k = 0; k < 2 * words; ++k) any[static_cast<std::size_t>(k)] |= signs_at(entry)[k];
  }
  const auto vanishes = [&](const Words& signs, Index unit) { return !bit(signs.data(), unit) && !bit(signs.data() + words, unit); };
  for (Index u = 0; u < units; ++u)
    if (vanishes(any, u)) out.zeros.push_back(static_cast<RowId>(u));
  node.used.for_each([&](int slot) {
    const VertexRow<D>& row = level.rows[static_cast<std::size_t>(node.row_of[static_cast<std::size_t>(slot)])];
    if (row.m != 0) return;
    out.facet_rows.push_back(row.id);
    facets.emplace_back();
    std::fill(on.begin(), on.end(), 0);
    for (std::size_t i = 0; i < node.entries.size(); ++i) {
      if (!node.entries[i].on.has(slot)) continue;
      facets.back().push_back(static_cast<std::int32_t>(i));
      for (Index k = 0; k < 2 * words; ++k) on[static_cast<std::size_t>(k)] |= signs_at(node.entries[i])[k];
    }
    for (Index u = 0; u < units; ++u)
      if (vanishes(on, u) && !vanishes(any, u)) out.labels.push_back(static_cast<RowId>(u));
    append_key(on.data(), 2 * words, out.facet_keys);
    out.incidence.insert(out.incidence.end(), facets.back().begin(), facets.back().end());
    out.incidence_offsets.push_back(static_cast<std::int64_t>(out.incidence.size()));
    out.label_offsets.push_back(static_cast<std::int64_t>(out.labels.size()));
  });
  out.facet_offsets.push_back(static_cast<std::int64_t>(out.facet_rows.size()));
  out.vertex_offsets.push_back(static_cast<std::int64_t>(out.far.size()));
  out.zero_offsets.push_back(static_cast<std::int64_t>(out.zeros.size()));
  if (far) {
    out.volumes.push_back(std::numeric_limits<double>::infinity());
    out.volume_errors.push_back(0);
  } else {
    emit_volume(level, node, facets);
  }
  if (detail_ == Detail::faces) emit_faces(level, node, facets);
}

template <int D, int W>
void CellSplitter<D, W>::emit_volume(const Level& level, const Node& node, const std::vector<FaceVertices>& facets) {
  Vector points;
  double error = 0;
  FaceVertices all;
  for (const Entry& entry : node.entries) {
    const Vertex<D>& v = level.vertices[static_cast<std::size_t>(entry.vertex)];
    points.insert(points.end(), v.x.begin(), v.x.end());
    error = std::max(error, v.x_error);
    all.push_back(static_cast<std::int32_t>(all.size()));
  }
  const VolumeBound volume = Triangulation<D>(points.data(), error, facets).volume(all);
  regions().structure.volumes.push_back(volume.value);
  regions().structure.volume_errors.push_back(volume.error);
}

// Dimension by dimension, each face once.
template <int D, int W>
void CellSplitter<D, W>::emit_faces(const Level& level, const Node& node, const std::vector<FaceVertices>& facets) {
  CellStructure& out = regions().structure;
  const Index words = sign_words();
  std::vector<FaceVertices> faces(1);
  for (std::size_t i = 0; i < node.entries.size(); ++i) faces[0].push_back(static_cast<std::int32_t>(i));
  Words signs(static_cast<std::size_t>(2 * words));
  for (int dimension = D; dimension >= 0 && !faces.empty(); --dimension) {
    std::vector<FaceVertices> next;
    for (const FaceVertices& face : faces) {
      std::fill(signs.begin(), signs.end(), 0);
      for (const std::int32_t i : face)
        for (Index k = 0; k < 2 * words; ++k)
          signs[static_cast<std::size_t>(k)] |= level.signs.data()[node.entries[static_cast<std::size_t>(i)].vertex * 2 * words + k];
      append_key(signs.data(), 2 * words, out.face_keys);
      out.face_dimensions.push_back(static_cast<std::uint8_t>(dimension));
      std::vector<FaceVertices> parts = facets_of(face, facets);
      next.insert(next.end(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
    }
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
    faces = std::move(next);
  }
}

}  // namespace pyregions
