// Layer 4, private to cells*.cpp. The depth-first splitting of one subtree in dimension D, with sets of at most 64 W facets.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include "cells.h"
#include "face_lattice.h"
#include "vertices.h"

namespace pyregions {

// A domain has more facets than the sets of this splitter can hold: take the wider one.
struct TooManyFacets {};

constexpr int kWide = 16;  // words of the wider sets
constexpr std::size_t kUsual = 24;  // vertices or facets of a cell: room for them is made beforehand

// How far a subtree is explored, shared by all workers.
struct SplitterControl {
  std::atomic<bool>* stop;
  std::atomic<Index>* found;
  Index max_regions = -1;
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
};

// What one task finds. The segments of all tasks, in their order, are what the run finds.
struct Segment {
  RegionList regions;
  std::vector<PartialPattern> open;  // subtrees that stay unexplored
  Segment* next = nullptr;
};

template <int D>
class TreeRun;  // cells_run_impl.h

// Where a task puts what it finds; what it gives away goes to a segment of its own, and what follows to another.
template <int D>
struct Outlet {
  TreeRun<D>* run;  // null: nothing can be given away
  Segment* segment;
  std::size_t job = 0;
  Index reported = 0;  // regions of the segment that the others know of
};

constexpr std::size_t kChunk = 48;  // cells whose forms are composed in one product
constexpr std::size_t kSpare = 4 * kChunk;  // cells whose memory is kept: about as many as one stage has at a time

// A cell by itself, at the beginning of a stage or within one: what its units still cut is found again.
template <int D, int W>
struct StageCell {
  std::vector<Vertex<D>> vertices;
  std::vector<SlotSet<W>> on;      // per vertex: the facets it lies on
  std::vector<VertexRow<D>> rows;  // per facet
  Words pattern;                   // of the stages before
  Words signs;                     // with structure: see CellSplitter::Level
  std::shared_ptr<const StageForms> forms;  // of the stage before; null for the first
  Index place = 0;                 // of this cell among them
  int depth = 0;
  // Where the stage has split it already: the stage's own forms, not to be composed again.
  std::shared_ptr<const StageForms> own;
  Index own_place = 0;
};

// A subtree as a worker is given it, or several beside each other. fixed: pieces still to be followed on the way to it.
template <int D, int W>
struct Subtree {
  std::vector<StageCell<D, W>> cells;
  int stage = 0;
  const PartialPattern* fixed = nullptr;
  Subtree(std::vector<StageCell<D, W>> all, int of_stage, const PartialPattern* wanted)
      : cells(std::move(all)), stage(of_stage), fixed(wanted) {}
  Subtree(StageCell<D, W> cell, int of_stage, const PartialPattern* wanted) : stage(of_stage), fixed(wanted) {
    cells.push_back(std::move(cell));
  }
};

// Values of a unit at the beginning and the end of an edge, with bounds.
struct AlongEdge {
  double begin, end, begin_bound, end_bound;
};

template <int D, int W>
class CellSplitter {
 public:
  using Cell = StageCell<D, W>;
  using Tree = Subtree<D, W>;

  CellSplitter(const Network& network, const Subspace& subspace, const DomainFrame& frame, const FormComposer& composer,
               Detail detail, const SplitterControl& control);
  // The domain as a cell.
  Cell root();
  // Cuts a subtree into smaller ones, `depth` splits deep, in order.
  void cut(Tree tree, int depth, std::vector<Tree>& parts);
  // Everything in the subtree goes to the outlet.
  void run(Tree tree, Outlet<D>& outlet);
  // The weight of a random descent through the subtree: 2 to the number of divisions on the way.
  double descend(Tree tree, std::mt19937_64& random);
  // What was decided since it was asked last.
  EnumerationTally take_tally() { return std::exchange(tally_, {}); }

 private:
  using Set = SlotSet<W>;

  // A cell within a stage; vertices and rows are in the level's pools.
  struct Entry {
    std::int32_t vertex;
    Set on;
  };
  struct Node {
    Node() {
      entries.reserve(kUsual);
      row_of.reserve(kUsual);
    }
    std::vector<Entry> entries;
    std::vector<std::int32_t> row_of;  // per slot in `used`
    Set used;
    Words open;          // candidates that cut it
    bool simple = true;  // every vertex lies on exactly D facets
    int depth = 0;
  };

  // A division whose other part, `second`, is still to be looked at (0: no more); the sizes of the pools before it.
  struct Pending {
    std::size_t second, free, vertices, rows;
  };

  // What one stage works on: pools that grow along a path and shrink on the way back.
  struct Level {
    std::vector<Vertex<D>> vertices;
    std::vector<VertexRow<D>> rows;
    Words candidate_signs;  // per vertex: candidates above 0, candidates below 0
    Words signs;            // with structure, per vertex: units, then frame rows, above 0; the same below 0
    std::vector<Index> candidates;  // units of the stage that cut the cell (of up to 64, all), numbered within the stage
    Index words = 0;                // of a set of candidates
    Vector block, gathered;         // thresholds of all units; forms and thresholds of the candidates
    FormBlock forms{};
    const NodeForms* pre = nullptr;  // forms of all units of the stage
    std::shared_ptr<const StageForms> held;
    Index place = 0;
    int stage = 0;
    Words before;   // pattern of the stages before
    Words pattern;  // the same, and units of this stage that do not cut
    std::deque<Node> nodes;
    std::vector<Pending> path;  // divisions on the way to a node
    std::vector<Cell> children;
    std::vector<Cell*> chunk;  // of cells of this stage that are composed together
    std::vector<FormComposer::Parent> parents;
    std::optional<ExactVertices> exact;
    bool exact_current = false;  // holds this cell's pattern
  };

  // The entries on one side of a row.
  struct Half {
    std::vector<std::int32_t> entries;
    std::vector<Set> sets;
    std::size_t count = 0;
    void collect(const std::vector<Entry>& all, const std::vector<std::int8_t>& side, int sign) {
      if (entries.size() < all.size()) entries.resize(all.size());
      if (sets.size() < all.size()) sets.resize(all.size());
      count = 0;
      for (std::size_t i = 0; i < all.size(); ++i) {
        entries[count] = static_cast<std::int32_t>(i);
        sets[count] = all[i].on;
        count += side[i] == sign;
      }
    }
  };

  // Pairs of entries; what lies behind them is kept room.
  struct Edges {
    std::vector<EntryPair> pairs;
    std::size_t count = 0;
    void make_room(std::size_t most) {
      if (pairs.size() < most) pairs.resize(most);
    }
    struct Range {
      const EntryPair *first, *last;
      const EntryPair* begin() const { return first; }
      const EntryPair* end() const { return last; }
    };
    Range found() const { return {pairs.data(), pairs.data() + count}; }
  };

  // A combination of signs of the last units that cut a cell: a point of the cell in it, on the edge from one vertex to
  // another (or at the former, twice), and one strictly inside the region.
  struct Corner {
    double depth;  // of the point in the region, comparable among vertices and among edges
    std::size_t from, to;
    double share;  // of the edge
    std::array<double, D> inside;
  };
  // The last K units, by the bits of a combination.
  template <std::size_t K>
  struct LastCuts {
    std::array<Index, K> candidates;
    std::array<VertexRow<D>, K> rows;
    std::array<double, D> mean{};    // of the vertices
    std::array<double, K> middle{};  // values there
    const double* values = nullptr;  // K per vertex
    const std::uint8_t* signs = nullptr;
    std::uint64_t found = 0;  // combinations, a bit each
    std::array<Corner, std::size_t{1} << K> corners;
    void offer(unsigned combination, double depth, std::size_t from, std::size_t to, double share) {
      Corner& corner = corners[combination];
      if ((found >> combination & 1) && !(depth > corner.depth)) return;
      found |= std::uint64_t{1} << combination;
      corner.depth = depth;
      corner.from = from;
      corner.to = to;
      corner.share = share;
    }
  };

  // A unit that changes sign along an edge.
  struct Crossing {
    double share;  // of the edge, where it does
    unsigned unit;
    AlongEdge values;
  };

  // Signs at vertices, words of each in turn: of all units of a stage, or of the candidates.
  struct StageSigns {
    Words units, dead;  // all units; those that are 0 by structure
    Words above, below, open;
    Words any_above, any_below;  // at some vertex
  };

  // Down the stages.
  void explore(std::vector<Cell>& cells, int stage);
  void explore_children(Level& level);
  void hand_over(Level& level, Cell cell);
  void go_wide(Level& level, const Node& node);
  void split_stage(Cell& cell, Level& level);
  void emit_uncut(Cell& cell);
  void find_open(const Level& level, const Node& node, Index chosen, Node& part) const;
  void split_all(Level& level);
  void release(Level& level, std::size_t vertices, std::size_t rows);
  Index choose(const Level& level, const Node& node, int cuts) const;
  bool split(Level& level, std::size_t index, std::size_t free, std::size_t& first, std::size_t& second);
  void leave(Level& level, const Node& node, bool unfinished);
  void finish(Level& level, const Node& node);
  Cell by_itself(const Level& level, const Node& node);
  void retire(Cell cell);
  void leave_open(const Words& pattern, int stage, const Level* level, const Node* node);
  // While cutting, what is deep enough is handed over, and everything once the run is to stop.
  bool deep(int depth) const { return parts_ && (depth >= depth_limit_ || stopped()); }
  void pattern_of(const Level& level, const Node& node, Words& pattern) const;

  // One division.
  void divide(Level& level, const Node& node, std::int32_t row, const std::vector<std::int8_t>& side, Node* below, Node* above);
  void find_edges(const Node& node, const std::vector<std::int8_t>& side);
  void find_all_edges(const Node& node);
  void keep_edges(const Node& node);
  static bool is_edge(const Node& node, std::size_t i, std::size_t j, const Set& common);
  // An edge with just as many rows in common as determine it, as in a simple cell always.
  static bool determined(const Node& node, const Set& common) { return node.simple || common.count() == D - 1; }
  void cut_edges(Level& level, const Node& node, std::int32_t row, int slot);
  void child(const Node& node, const std::vector<std::int8_t>& side, int sign, int slot, std::int32_t row, Node& out) const;
  VertexRow<D> unit_row(const Level& level, Index unit) const;
  void take_signs(Level& level, std::int32_t vertex, std::int32_t a, std::int32_t b);

  // The beginning.
  bool make_box(Level& level, Node& node);
  void make_simplex(Level& level, Node& node, std::vector<ExactVertex>& points);
  std::int32_t take_frame_row(Level& level, Index k);
  void clip(Level& level, Node& node, Index k, std::vector<ExactVertex>& points);

  // Signs of units at vertices.
  void find_candidates(Level& level, Node& node);
  void check_wanted(const Network::Stage& stage) const;
  void choose_candidates(Level& level, Node& node);
  void signs_of_stage(Level& level, const Node& node, std::size_t vertex);
  void keep_signs(Level& level);
  void gather_candidates(Level& level);
  void signs_of_candidates(Level& level, const Node& node, const Node& part, Index chosen);
  void spread_signs(Level& level);

  // Signs and vertices that floats leave open.
  ExactVertices& exact(Level& level);
  std::vector<RowId> rows_on(const Level& level, const Node& node, const Set& on) const;
  void settle(Level& level, std::int32_t vertex, const std::vector<RowId>& rows, const FormBlock& forms, const std::vector<Index>& units,
              std::uint64_t* above, std::uint64_t* below, std::uint64_t* open);
  static Vertex<D> rounded(const ExactVertex& exact);

  // What is handed out.
  RegionList& regions() { return outlet_->segment->regions; }
  void breathe() const;
  void count_region();
  void hand_out(const Words& pattern, bool bounded, const std::array<double, D>& witness);
  void emit(const Level& level, const Node& node, const Words& pattern);
  bool emit_undivided(const Level& level, const Node& node, int cuts);
  template <std::size_t K>
  bool emit_last(const Level& level, const Node& node);
  template <std::size_t K>
  bool find_corners(const Level& level, const Node& node, LastCuts<K>& cuts);
  template <std::size_t K>
  bool find_corners_on_edges(const Level& level, const Node& node, LastCuts<K>& cuts);
  template <std::size_t K>
  std::size_t find_crossings(const Level& level, const Node& node, const LastCuts<K>& cuts, std::size_t i, std::size_t j,
                             std::array<Crossing, K>& crossings) const;
  template <std::size_t K>
  bool find_corners_between(const Level& level, const Node& node, LastCuts<K>& cuts, std::size_t i, std::size_t j,
                            std::uint64_t at_vertices) const;
  template <std::size_t K>
  bool find_points(const Level& level, const Node& node, LastCuts<K>& cuts) const;
  template <std::size_t K>
  void hand_out_in_order(const LastCuts<K>& cuts, std::uint64_t found, bool descending);
  static double at_least(const VertexRow<D>& row, bool positive, const double* x, double length);
  static bool inside_row(const VertexRow<D>& row, bool positive, const double* x, double length);
  double room_at(const Level& level, const Node& node, const Words& pattern, const std::array<double, D>& x) const;
  static double size_of(const std::array<double, D>& x);
  std::array<double, D> mean_inside(const Level& level, const Node& node, const Words& pattern, bool far) const;
  bool strictly_inside(const Level& level, const Node& node, const Words& pattern, const std::array<double, D>& x) const;
  void emit_structure(const Level& level, const Node& node, bool far);
  void emit_faces(const Level& level, const Node& node, const std::vector<FaceVertices>& facets);
  void emit_volume(const Level& level, const Node& node, const std::vector<FaceVertices>& facets);

  bool stopped() const { return control_.stop->load(std::memory_order_relaxed); }
  bool structure() const { return detail_ >= Detail::structure; }
  Index sign_words() const { return words_for(network_.units() + frame_.size()); }

  const Network& network_;
  const Subspace& subspace_;
  const DomainFrame& frame_;
  const FormComposer& composer_;
  Detail detail_;
  SplitterControl control_;
  int stages_;
  std::vector<Level> levels_;
  EnumerationTally tally_;
  const PartialPattern* fixed_ = nullptr;
  Outlet<D>* outlet_ = nullptr;
  std::vector<Tree>* parts_ = nullptr;  // while cutting
  int depth_limit_ = 0;
  std::mt19937_64* random_ = nullptr;  // while descending
  double weight_ = 1;
  // Scratch of one division.
  Half above_, below_;
  Edges edges_;
  std::vector<Entry> cut_;
  std::vector<const VertexRow<D>*> meeting_;
  std::vector<Vertex<D>> met_vertices_;
  std::vector<std::uint8_t> met_;
  std::vector<std::int8_t> side_;
  Vector last_values_;
  std::vector<std::uint8_t> last_signs_;
  StageSigns signs_;
  Words open_scratch_, pattern_scratch_;
  std::vector<Cell> spare_;  // cells that are done with, for their memory
};

}  // namespace pyregions
