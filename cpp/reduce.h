// Layer 3. The facets of a cell: which groups of coincident rows are walls, each with its certificate.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "frame.h"
#include "predicates.h"

namespace pyregions {

struct Facets {
  std::vector<std::vector<Index>> groups;  // facets, by first row; rows ascending
  std::vector<std::uint8_t> on_domain;     // the group holds a domain row
  Matrix witness;                          // F x d: violates exactly the rows of the group
  std::map<Index, Parts> fine;             // facet -> its witness, where one double per coordinate is not enough
  std::vector<Index> zero_rows;
  std::vector<std::vector<Index>> redundant_groups;
  std::vector<Redundancy> proofs;          // one per redundant group; proofs[r].row = first row of the group
  std::vector<Index> undecided;            // first rows of groups that stayed open
};

struct ReduceOptions {
  int workers = 1;
  // An enclosing box of the cell for residuals in unbounded domains, asked for only when needed; may come back empty.
  std::function<const Enclosure&()> enclosure;
  // false, for measuring only: what floats propose is taken for true, nothing is proven.
  bool certify = true;
};

// Requires: center strictly inside every nonzero row (an interior witness).
// Steps: group coincident rows exactly; prune by intervals against the domain's box; shoot rays along every normal from
// the centre; search witnesses for the rest in batches by gradients on violated rows; one program per row still open,
// ending in a witness or in multipliers - in a box the row's maximum, looked for from both sides, else a least-distance
// solve; for what is left exact solves of the rows that it proposes, HiGHS in high dimension, and exact programs. Every
// outcome is proven by predicates.h or exact_rung.h.
Facets reduce(const RowSystem& rows, const Parts& center, const ReduceOptions& options = {});
Facets reduce(const RowSystem& rows, const Vector& center, const ReduceOptions& options = {});
// The same without floats, for cells that they cannot enter. interior: strictly inside.
Facets reduce_exactly(const RowSystem& rows, const Parts& interior);

// Groups of coincident nonzero rows, each ascending, ordered by first row. looser[g] is a row parallel to group g with a
// smaller offset, which makes the group redundant, or -1.
struct Grouping {
  std::vector<std::vector<Index>> groups;
  std::vector<Index> looser;
};
Grouping group_rows(const RowSystem& rows);

}  // namespace pyregions
