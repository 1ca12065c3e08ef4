// Layer 1. The network: a DAG of affine nodes and hinge units with the stored weights taken exactly; its three passes
// (forward, forward with held pieces, backward), the rows of a pattern, and their exact counterparts.
//
// Every continuous scalar piecewise-linear function is a sum of hinges and every max is a + relu(b - a), so a DAG of
// affine nodes and two-piece hinges at 0 carries hard-tanh, max-pooling and residuals without touching the geometry.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "bignum.h"
#include "dense.h"
#include "double_double.h"

namespace pyregions {

using Pattern = std::vector<std::uint8_t>;  // one piece per unit, stage after stage; 0 = z < 0 side, 1 = z > 0 side

// A linear operator of an affine node: dense or diagonal (convolutions join here later).
struct LinearMap {
  enum class Kind { dense, diagonal } kind = Kind::dense;
  Matrix dense;     // out x in
  Vector diagonal;  // out == in
  static LinearMap from_dense(Matrix w);
  static LinearMap from_diagonal(Vector d);
  Index out() const;
  Index in() const;
};

class Network {
 public:
  enum class Kind { input, affine, hinge };
  struct Term {
    int source;
    LinearMap map;
  };
  struct Node {
    Kind kind = Kind::input;
    Index width = 0;
    std::vector<Term> terms;  // affine: value = sum of map(source) + bias
    Vector bias;
    int source = -1;    // hinge: value_i = (z_i < 0 ? low_i : high_i) * z_i, z the source node (always an affine node)
    Vector low, high;   // slopes of piece 0 and piece 1
    int stage = -1;     // hinge: its ordinal among hinge nodes
    Index offset = 0;   // hinge: its first unit in a Pattern
  };
  // Stage s = hinge node number s in node order.
  struct Stage {
    int node;      // the hinge node
    int pre;       // the affine node that feeds it
    Index offset;  // first unit
    Index width;
  };

  explicit Network(Index inputs);
  ~Network();
  Network(Network&&) noexcept;
  int add_affine(std::vector<Term> terms, Vector bias);  // throws std::invalid_argument on a shape mismatch, NaN, inf
  int add_hinge(int source, Vector low, Vector high);
  // The last node is the output; it must be affine (finish() appends nothing, it checks). After finish() immutable.
  void finish();

  Index inputs() const;
  Index outputs() const;
  Index units() const;
  const std::vector<Node>& nodes() const;
  const std::vector<Stage>& stages() const;
  std::pair<int, Index> stage_of(Index unit) const;  // (stage, index within the stage)

  // ---- float passes with rigorous bounds. Points are rows. Law for every result v with bound e: |v - exact| <= e.
  struct Values {
    Matrix pre, pre_err;  // M x units: pre-activations
    Matrix out, out_err;  // M x outputs
  };
  // The network itself. Law: wherever |pre| > pre_err for all units upstream the float path is the exact path; bounds
  // hold unconditionally because a hinge is continuous with Lipschitz constant max(|low|, |high|).
  Values forward(const Matrix& points) const;
  // Pieces held at p: the affine functions of the pattern, evaluated at any point. linear = true drops all biases
  // (points are then directions). tight = true uses elementwise bounds |W||v| instead of norms (twice the cost).
  Values forward_masked(const Pattern& p, const Matrix& points, bool linear = false, bool tight = false) const;
  // The same many times: what a pattern leaves of the weights, gathered once.
  struct Held;
  std::shared_ptr<const Held> hold(const Pattern& p) const;
  Values forward_held(const Held& held, const Matrix& points) const;

  // ---- rows of a pattern, in the coordinates of a root node: value(node) = A y + c where y = value(root).
  struct Affine {
    Matrix A;             // n x width(root)
    Vector c;             // n
    Vector A_err, c_err;  // per row: bound on each coefficient of A, bound on c
  };
  // Pre-activations of all units of stages >= first_stage in Pattern order. root = 0 is the input. Requires: every path
  // from the input to those units passes through root (is_cut). A row that is structurally zero (no live input) comes
  // out exactly 0 with A_err exactly 0.
  Affine unit_rows(const Pattern& p, int root = 0, int first_stage = 0, int workers = 1) const;
  // The same in the coordinates of the input one stage after the other, in the order of their nodes; what no later node needs is
  // let go before the next one is composed.
  void each_stage(const Pattern& p, const std::function<void(int stage, const Affine& rows)>& visit) const;
  // Output map (stage < 0), or the pre-activations of one stage, or (after = true) its activations.
  Affine affine_map(const Pattern& p, int stage = -1, bool after = false) const;
  // The pseudo-inverse of the first stage's rows, made by the first caller, of any thread, and kept. All regions share it: up to
  // its sign the row of a first-stage unit is the same under every pattern.
  struct StageInverse {
    std::vector<Index> units;  // those whose row is not 0
    Matrix columns;            // units x inputs: its columns, for rows of unit length; empty where the rows are dependent
    Vector off;                // per unit: bound on |a.columns - l e|, a its row as stored, l its length, e the unit vector
    double size = 0;           // bound on the Frobenius norm of columns
  };
  const StageInverse& first_stage_inverse(const std::function<StageInverse()>& make) const;
  // True when every path from the input to any unit of stages >= first_stage and to the output passes through the node.
  bool is_cut(int node, int first_stage) const;

  // ---- backward: for each row of multipliers (M x units over pre-activations, M x outputs or empty over the outputs)
  // the linear form sum_j lambda_j z_j = g.y + c in the coordinates of root, with bounds.
  struct Forms {
    Matrix g, g_err;  // M x width(root)
    Vector c, c_err;  // M
  };
  // Multipliers of units in stages before root must be 0 (std::invalid_argument otherwise).
  Forms backward(const Pattern& p, const Matrix& unit_multipliers, const Matrix& output_multipliers,
                 int root = 0) const;
  // Gradient of the outputs by the values of a node, m x width: what goes past the node counts as constant.
  Matrix output_gradient(const Pattern& p, int node) const;

  // ---- refined passes: double-double with a radius, one point or form at a time. Laws as above, see Refined.
  struct RefinedValues {
    RefinedVector pre, out;  // units, outputs
  };
  // The point is the unevaluated sum of the rows of `parts`. held = null: the network itself.
  RefinedValues forward_refined(const Pattern* held, const Matrix& parts, bool linear = false) const;
  struct RefinedForm {
    RefinedVector g;
    Refined c;
  };
  // Sparse multipliers: (unit, value) and (output, value).
  using RefinedEntries = std::vector<std::pair<Index, DoubleDouble>>;
  RefinedForm backward_refined(const Pattern& p, const RefinedEntries& unit_multipliers,
                               const RefinedEntries& output_multipliers, int root = 0) const;

  // ---- exact passes (integers with one exponent per stage).
  struct ExactValues {
    std::vector<DyadicVector> pre;  // per stage
    DyadicVector out;
  };
  ExactValues forward_exact(const DyadicVector& point, const Pattern* held = nullptr, bool linear = false) const;
  struct ExactForm {
    DyadicVector g;
    Dyadic c;
  };
  // Sparse multipliers: (unit, value) and (output, value).
  ExactForm backward_exact(const Pattern& p, const std::vector<std::pair<Index, Dyadic>>& unit_multipliers,
                           const std::vector<std::pair<Index, Dyadic>>& output_multipliers, int root = 0) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pyregions
