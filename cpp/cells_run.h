// Layer 4, private to cells*.cpp. The enumeration in one dimension, chosen at run time.
#pragma once

#include "cell_splitter.h"

namespace pyregions {

// All that an enumeration needs besides the dimension.
struct EnumerationRun {
  const Network& network;
  const Subspace& subspace;
  const DomainFrame& frame;
  const FormComposer& composer;
  const std::vector<PartialPattern>& subtrees;
  const EnumerationOptions& options;
  SplitterControl control;
  std::function<bool(double)> tick;  // the part of all regions that is found, an estimate; false stops
};

// Instantiated in cells_low.cpp and cells_high.cpp.
template <int D>
Enumeration enumerate_in(const EnumerationRun& run);

constexpr int kDepthStep = 3;  // divisions per round of cutting

// Room for so many regions, of `words` words and d coordinates each.
void reserve(RegionList& list, Index count, Index words, Index d, Detail detail);

// Appends regions; `from` is emptied.
void append(RegionList& to, RegionList& from);

}  // namespace pyregions
