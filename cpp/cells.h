// Layer 4. All regions: the tree of cells, split stage by stage, unit by unit.
//
// The domain (or the simplex of size M that stands for all of R^d) is split by the units of the first stage, each piece by
// those of the next under its own pattern, and so on. Every leaf is another region, so nothing already seen has to be
// remembered, and a subtree is known by the pieces decided so far: a PartialPattern. That is what a worker is given, what is
// left when a run stops, and what a later run goes on from.
//
// Exactness. A cell is known by its vertices and by which of its facets each of them lies on. A unit cuts the cell iff it is
// positive at one vertex and negative at another; those signs are decided in floats with bounds or in integers, and all
// else - which edges are cut, what lies on which facet - is combinatorics over them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cell_forms.h"
#include "exact_vertex.h"
#include "halfspaces.h"
#include "network.h"

namespace pyregions {

constexpr Index kMostInputs = 8;  // of the enumeration by vertices; their number grows exponentially

using PartialPattern = std::vector<std::int8_t>;  // one entry per unit: a piece, or -1 while undecided

struct EnumerationTally {
  long signs = 0;        // of units at vertices, decided in floats
  long exact_signs = 0;  // in integers
  long vertices = 0;     // solved for in floats
  long exact_vertices = 0;
  long last_cuts = 0;  // cells whose last units cut them without a division
  void add(const EnumerationTally& o);
};

// Facets, vertices and their incidence for consecutive regions. A list per region or per facet lies between two offsets.
struct CellStructure {
  std::vector<std::int64_t> facet_offsets{0}, vertex_offsets{0}, zero_offsets{0};  // per region
  std::vector<std::int64_t> incidence_offsets{0}, label_offsets{0};                // per facet
  std::vector<RowId> facet_rows;           // the unit that cut it, or -1 - k for row k of the frame (exact_vertex.h)
  std::vector<RowId> labels;               // all units that vanish on the facet but not on the region
  std::vector<std::int32_t> incidence;     // vertices of the facet, numbered within the region
  std::vector<RowId> zeros;                // units that vanish on the region
  std::vector<double> vertices;            // d numbers: the point, or, where far, the direction of a ray
  std::vector<double> vertex_errors;       // bound on every coordinate
  std::vector<std::uint8_t> far;
  std::vector<std::uint16_t> walls;        // bit k: the vertex lies on wall k of the simplex
  // Hashes (two words) of the signs of all units and frame rows in the relative interior of the facet, or at the vertex:
  // a face of the complex is the set where all signs are given, so equal signs mean the same face.
  std::vector<std::uint64_t> facet_keys, vertex_keys;
  std::vector<double> volumes, volume_errors;  // per region; infinite where it is unbounded
  std::vector<std::uint64_t> face_keys;        // with faces: all faces of every region, repeated where they are shared,
  std::vector<std::uint8_t> face_dimensions;   // and the dimension of each
};

struct RegionList {
  Index count = 0;
  std::vector<std::uint64_t> patterns;  // words_for(units) each
  std::vector<double> witnesses;        // d each; NaN where no double was proven inside
  std::vector<std::uint8_t> bounded;
  CellStructure structure;
};

enum class Detail { count, regions, structure, faces };

struct EnumerationOptions {
  Detail detail = Detail::regions;
  int workers = 1;
  // At least so many subtrees to begin with, where there are that many; workers that run out of them are given chunks of cells
  // that others have yet to take to their next stage.
  // The same for any number of workers: what is composed together decides the last digits of what is handed out.
  int jobs = 16;
  Index max_regions = -1;  // stop soon after so many; -1: no limit
  double time_limit = -1;  // seconds; -1: no limit
  bool estimate = false;   // tick is given an estimate of the part that is found
};

struct Enumeration {
  RegionList regions;
  std::vector<PartialPattern> open;  // subtrees not explored; empty when complete
  EnumerationTally tally;
};

// All regions of the given subtrees (one entry without a decided piece: all of the domain) of the network restricted to the
// subspace. tick is called now and then on the calling thread with the regions found and, if asked for, an estimate of the
// part of all that they are (cell_outlook.h); false stops the run. Law: a run that is not stopped gives the same regions in
// the same order for any number of workers; in one dimension they come in ascending order, the vertices of each likewise.
Enumeration enumerate_cells(const Network& network, const Subspace& subspace, const Domain& domain,
                            const std::vector<PartialPattern>& subtrees, const EnumerationOptions& options,
                            const std::function<bool(Index, double)>& tick = nullptr);

// The segments (or, with infinite low and high, the lines) p + t (q - p), each as such an enumeration, in parallel.
std::vector<Enumeration> enumerate_lines(const Network& network, const Matrix& p, const Matrix& q, double low, double high,
                                         const EnumerationOptions& options, const std::function<bool(Index)>& tick = nullptr);

}  // namespace pyregions
