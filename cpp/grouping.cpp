// Layer 3. Groups of coincident rows, and for each the tighter parallel row, if there is one: decided exactly.
#include "reduce.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The image of a normalised row under a fixed probe direction, and how far rounding can move it.
struct Key {
  double image, width;
  Index row;
};

std::vector<Key> direction_keys(const RowSystem& rows) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  Vector probe(at(d));
  for (Index k = 0; k < d; ++k) probe[at(k)] = std::cos(static_cast<double>(k * k + 3 * k + 1));
  std::vector<Key> keys;
  const double size = std::sqrt(static_cast<double>(d));
  for (Index j = 0; j < rows.size(); ++j) {
    if (rows.zero_rows()[at(j)]) continue;
    const double low = rows.norm_lower()[at(j)], high = rows.norm_upper()[at(j)];
    if (!(low > 0)) {  // not even the length is certain: compare with everything
      keys.push_back({0, std::numeric_limits<double>::infinity(), j});
      continue;
    }
    const double relative = (high - low) / low + gamma(2 * d + 8);
    const double width = size * (all.A_err[at(j)] * size / low + 2 * relative) + gamma(d + 4) * size;
    keys.push_back({dot(all.A.row(j), probe.data(), d) / high, 2 * width, j});
  }
  std::sort(keys.begin(), keys.end(), [](const Key& p, const Key& q) {
    return p.image != q.image ? p.image < q.image : p.row < q.row;
  });
  return keys;
}

// For every row the first row of its direction (a_i = t a_j, t > 0). Equal directions have equal images up to their
// widths, so keys only make candidates; equality itself is decided exactly.
std::vector<Index> direction_classes(const RowSystem& rows) {
  std::vector<Index> leader(at(rows.size()));
  std::iota(leader.begin(), leader.end(), Index{0});
  const auto find = [&](Index i) {
    while (leader[at(i)] != i) i = leader[at(i)];
    return i;
  };
  const std::vector<Key> keys = direction_keys(rows);
  double widest = 0;
  for (const Key& key : keys) widest = std::max(widest, key.width);
  for (std::size_t p = 0; p < keys.size(); ++p)
    for (std::size_t q = p + 1; q < keys.size(); ++q) {
      if (keys[q].image - keys[p].image > keys[p].width + widest) break;
      if (std::fabs(keys[q].image - keys[p].image) > keys[p].width + keys[q].width) continue;
      const Index i = find(keys[p].row), j = find(keys[q].row);
      if (i != j && rows.parallel(i, j)) leader[at(std::max(i, j))] = std::min(i, j);
    }
  for (Index j = 0; j < rows.size(); ++j) leader[at(j)] = find(j);
  return leader;
}

}  // namespace

Grouping group_rows(const RowSystem& rows) {
  const std::vector<std::uint8_t>& zero = rows.zero_rows();
  const std::vector<Index> direction = direction_classes(rows);
  const Index n = rows.size();
  std::vector<Index> tightest(at(n), -1);
  for (Index j = 0; j < n; ++j) {
    if (zero[at(j)]) continue;
    Index& best = tightest[at(direction[at(j)])];
    if (best < 0 || rows.compare_offsets(j, best) < 0) best = j;
  }
  Grouping result;
  std::vector<std::vector<std::size_t>> of_direction(at(n));
  for (Index j = 0; j < n; ++j) {
    if (zero[at(j)]) continue;
    std::vector<std::size_t>& candidates = of_direction[at(direction[at(j)])];
    const auto same = std::find_if(candidates.begin(), candidates.end(),
                                   [&](std::size_t g) { return rows.compare_offsets(result.groups[g][0], j) == 0; });
    if (same != candidates.end()) {
      result.groups[*same].push_back(j);
      continue;
    }
    candidates.push_back(result.groups.size());
    result.groups.push_back({j});
    const Index best = tightest[at(direction[at(j)])];
    result.looser.push_back(best != j && rows.compare_offsets(best, j) < 0 ? best : -1);
  }
  return result;
}

}  // namespace pyregions
