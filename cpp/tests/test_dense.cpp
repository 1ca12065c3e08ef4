// Products and factorisations of every shape, the floating-point guard, the thread pool, and domains as rows.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <cmath>
#include <stdexcept>
#include <thread>

#include "dense.h"
#include "halfspaces.h"
#include "parallel_dense.h"
#include "pool.h"
#include "random_networks.h"

using namespace pyregions;
using testing::random_matrix;

namespace {

double entry(const Matrix& a, bool transpose, Index i, Index j) { return transpose ? a(j, i) : a(i, j); }

void check_gemm(Index m, Index n, Index k, bool ta, bool tb, testing::Generator& generator) {
  const Matrix a = ta ? random_matrix(k, m, generator) : random_matrix(m, k, generator);
  const Matrix b = tb ? random_matrix(n, k, generator) : random_matrix(k, n, generator);
  Matrix c = random_matrix(m, n, generator);
  const Matrix before = c;
  gemm(ta, tb, 2.0, a, b, -1.0, c);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      double sum = -before(i, j);
      for (Index l = 0; l < k; ++l) sum += 2 * entry(a, ta, i, l) * entry(b, tb, l, j);
      CHECK(c(i, j) == doctest::Approx(sum).epsilon(1e-12));
    }
  }
}

}  // namespace

TEST_CASE("products, empty shapes included") {
  testing::Generator generator(1);
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const Index m : {0, 1, 5}) {
        for (const Index n : {0, 1, 6}) {
          for (const Index k : {0, 1, 7}) check_gemm(m, n, k, ta, tb, generator);
        }
      }
    }
  }
  const Matrix a = random_matrix(3, 4, generator);
  Vector x(4, 1.0), y(3, 0.0), z(4, 1.0);
  gemv(false, 1.0, a, x.data(), 0.0, y.data());
  CHECK(y[2] == doctest::Approx(a(2, 0) + a(2, 1) + a(2, 2) + a(2, 3)));
  gemv(true, 1.0, a, y.data(), 1.0, z.data());
  CHECK(z[1] == doctest::Approx(1 + dot(y.data(), Vector{a(0, 1), a(1, 1), a(2, 1)}.data(), 3)));
  gemv(false, 1.0, Matrix(2, 0), nullptr, 0.0, y.data());
  CHECK(y[0] == 0.0);
  CHECK(dot(nullptr, nullptr, 0) == 0.0);
  CHECK(norm2(nullptr, 0) == 0.0);
  CHECK(norm2(Vector{3.0, 4.0}.data(), 2) == doctest::Approx(5.0));
  CHECK(norm2(Vector{3e200, 4e200}.data(), 2) == doctest::Approx(5e200));
  Matrix c(3, 3);
  CHECK_THROWS_AS(gemm(false, false, 1.0, a, a, 0.0, c), std::invalid_argument);
}

TEST_CASE("Cholesky, its solves and the inverse") {
  testing::Generator generator(2);
  const Matrix a = random_matrix(12, 6, generator);
  Matrix gram(6, 6);
  syrk(1.0, a, 0.0, gram);
  Matrix full = gram;
  for (Index i = 0; i < 6; ++i) {
    for (Index j = i + 1; j < 6; ++j) full(i, j) = full(j, i);
  }
  Matrix factor = full;
  REQUIRE(cholesky(factor));
  Vector b(6, 1.0), residual(6, 1.0);
  cholesky_solve(factor, b.data());
  gemv(false, 1.0, full, b.data(), -1.0, residual.data());
  CHECK(norm2(residual.data(), 6) < 1e-10);
  Matrix several(3, 6), back(3, 6), unfit(3, 5);
  for (Index i = 0; i < 18; ++i) several.data()[i] = std::cos(static_cast<double>(i * i));
  const Matrix given = several;
  cholesky_solve_rows(factor, several);
  gemm(false, false, 1.0, several, full, 0.0, back);
  for (Index i = 0; i < 18; ++i) CHECK(std::fabs(back.data()[i] - given.data()[i]) < 1e-10);
  CHECK_THROWS_AS(cholesky_solve_rows(factor, unfit), std::invalid_argument);
  Matrix inverse = full, product(6, 6);
  REQUIRE(invert(inverse));
  gemm(false, false, 1.0, full, inverse, 0.0, product);
  for (Index i = 0; i < 6; ++i) CHECK(product(i, i) == doctest::Approx(1.0));
  CHECK(std::fabs(product(0, 1)) < 1e-10);
  Matrix indefinite(2, 2, 1.0), singular(2, 2, 1.0), none;
  indefinite(1, 1) = -1.0;
  CHECK_FALSE(cholesky(indefinite));
  CHECK_FALSE(invert(singular));
  CHECK(cholesky(none));
  CHECK(invert(none));
  const Matrix gathered = gather_rows(a, {3, 3, 0});
  CHECK(gathered(1, 2) == a(3, 2));
  CHECK(gather_rows(a, {}).rows() == 0);
}

TEST_CASE("large blocks are used again, and by one owner at a time") {
  void* first = allocate_bytes(std::size_t{5} << 20);
  release_bytes(first, std::size_t{5} << 20);
  void* second = allocate_bytes((std::size_t{5} << 20) + 1);  // as many huge pages
#ifndef __SANITIZE_ADDRESS__
  CHECK(second == first);
#endif
  release_bytes(second, (std::size_t{5} << 20) + 1);
  // Blocks of one to four huge pages; each owner finds what it wrote.
  std::atomic<int> lost{0};
  parallel_for(64, 4, [&lost](Index job) {
    std::vector<Matrix> owned;
    for (Index k = 0; k < 8; ++k) {
      owned.push_back(Matrix(512 * (1 + (job + k) % 5), 400, static_cast<double>(100 * job + k)));
      if (k % 3 == 2) owned.erase(owned.begin());
    }
    for (const Matrix& m : owned)
      for (Index i = 0; i < m.rows(); i += 37)
        if (m(i, i % 400) != m(0, 0)) ++lost;
    for (std::size_t k = 1; k < owned.size(); ++k)
      if (!(owned[k - 1](0, 0) < owned[k](0, 0) && owned[k](0, 0) < 100.0 * static_cast<double>(job + 1))) ++lost;
  });
  CHECK(lost == 0);
  const Matrix beyond(5 << 10, 1 << 10, 1.5);  // 40 MiB, more than is kept of one block
  CHECK(beyond(5119, 1023) == 1.5);
}

TEST_CASE("the guard restores what it found") {
  std::fesetround(FE_UPWARD);
  {
    const FloatEnvironment environment;
    CHECK(std::fegetround() == FE_TONEAREST);
    volatile double tiny = std::numeric_limits<double>::min();
    CHECK(tiny / 2 > 0.0);  // no flush to zero
  }
  CHECK(std::fegetround() == FE_UPWARD);
  std::fesetround(FE_TONEAREST);
}

TEST_CASE("parallel loops: all jobs once, errors by lowest index, stop and ticks") {
  for (const int workers : {0, 1, 2, 5}) {
    CAPTURE(workers);
    std::vector<std::atomic<int>> hits(100);
    parallel_for(100, workers, [&](Index i) { ++hits[static_cast<std::size_t>(i)]; });
    for (const auto& h : hits) CHECK(h == 1);
    parallel_for(0, workers, [](Index) { FAIL("no job to do"); });
    CHECK_THROWS_WITH_AS(parallel_for(50, workers,
                                      [](Index i) {
                                        if (i >= 3) throw std::runtime_error("job " + std::to_string(i >= 3 ? 3 : i));
                                      }),
                         "job 3", std::runtime_error);
    std::atomic<bool> stop{true};
    std::atomic<int> started{0};
    parallel_for(10, workers, [&](Index) { ++started; }, &stop);
    CHECK(started == 0);
    const auto slow = [&](Index) {
      ++started;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    };
    parallel_for(1000, workers, slow, nullptr, [](Index done) { return done < 2; });
    CHECK(started < 100);
    CHECK_THROWS_AS(parallel_for(1000, workers, slow, nullptr, [](Index) -> bool { throw std::logic_error("tick"); }),
                    std::logic_error);
  }
  CHECK(available_cpus() >= 1);
}

TEST_CASE("task pool: all tasks once, parts given away, errors and ticks end it") {
  for (const int workers : {0, 1, 2, 5}) {
    CAPTURE(workers);
    TaskPool pool;
    std::atomic<int> leaves{0};
    // A binary tree whose halves are given away where somebody waits, else taken along.
    std::function<void(int)> grow = [&](int depth) {
      if (depth == 0) {
        ++leaves;
        return;
      }
      if (pool.hungry()) pool.add([&grow, depth] { grow(depth - 1); });
      else grow(depth - 1);
      grow(depth - 1);
    };
    for (int k = 0; k < 3; ++k) pool.add([&] { grow(12); });
    pool.run(workers);
    CHECK(leaves == 3 * 4096);
    pool.run(workers);  // nothing left
    CHECK(leaves == 3 * 4096);
    pool.add([] { throw std::runtime_error("a task"); });
    CHECK_THROWS_WITH_AS(pool.run(workers), "a task", std::runtime_error);
    // A tick comes on the calling thread, whether that waits for a task of another or has the task, which breathes.
    const auto caller = std::this_thread::get_id();
    std::atomic<bool> stop{false};
    std::atomic<int> ticks{0}, elsewhere{0};
    const auto until_stopped = [&] {
      while (!stop) {
        pool.breathe();
        std::this_thread::yield();
      }
    };
    pool.add(until_stopped);
    pool.run(workers, [&] {
      elsewhere += std::this_thread::get_id() != caller;
      stop = ++ticks == 2;
    });
    CHECK(ticks == 2);
    CHECK(elsewhere == 0);
    if (workers <= 1) {  // between tasks, too
      ticks = 0;
      for (int k = 0; k < 4; ++k) pool.add([] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); });
      pool.run(workers, [&] { ++ticks; });
      CHECK(ticks >= 1);
    }
    stop = false;
    pool.add(until_stopped);
    const auto fail = [&] {
      stop = true;
      throw std::logic_error("tick");
    };
    CHECK_THROWS_AS(pool.run(workers, fail), std::logic_error);
    pool.add([&] { ++leaves; });
    pool.run(workers);
    CHECK(leaves == 3 * 4096 + 1);
  }
}

TEST_CASE("domains as rows") {
  const double inf = std::numeric_limits<double>::infinity();
  Domain domain = Domain::box({0.0, -inf, -2.0}, {1.0, 3.0, inf});
  domain.A = Matrix(1, 3, 1.0);
  domain.b = {5.0};
  domain.check();
  CHECK(domain.bounds() == 4);
  CHECK(domain.rows() == 5);
  CHECK_FALSE(domain.is_box());
  CHECK_FALSE(domain.is_all());
  const Halfspaces h = domain.halfspaces();
  const std::vector<Label> labels{{-1, 0, 0}, {-1, 0, 1}, {-1, 1, 1}, {-1, 2, 0}, {-1, 0, 2}};
  CHECK(h.labels == labels);
  CHECK(h.A(0, 0) == -1.0);
  CHECK(h.b[1] == 1.0);
  CHECK(h.A(2, 1) == 1.0);
  CHECK(h.b[2] == 3.0);
  CHECK(h.b[3] == 2.0);
  CHECK(h.A(4, 2) == 1.0);
  CHECK(h.A_err == Vector(5, 0.0));
  CHECK(to_string(labels[2]) == "(-1, 1, 1)");
  CHECK(Domain::all(4).is_all());
  CHECK(Domain::all(4).halfspaces().dim() == 4);
  CHECK(Domain::box({0.0}, {1.0}).is_box());
  CHECK_THROWS_WITH(Domain::box({0.0, 1.0}, {1.0, 1.0}).check(), doctest::Contains("coordinate 1"));
  CHECK_THROWS_WITH(Domain::box({2.0}, {1.0}).check(), doctest::Contains("exceeds"));
  CHECK_THROWS_WITH(Domain::box({std::nan("")}, {1.0}).check(), doctest::Contains("NaN"));
  CHECK_THROWS_WITH(Domain::box({0.0, 0.0}, {1.0}).check(), doctest::Contains("length"));
  CHECK_THROWS_WITH(Domain::polytope(Matrix(1, 2), {1.0}).check(), doctest::Contains("A is zero"));
  CHECK_THROWS_WITH(Domain::polytope(Matrix(1, 2, 1.0), {1.0, 2.0}).check(), doctest::Contains("they must agree"));
  CHECK_THROWS_WITH(Domain::polytope(Matrix(1, 2, inf), {1.0}).check(), doctest::Contains("column 0"));
  CHECK_THROWS_WITH(Domain::polytope(Matrix(1, 2, 1.0), {inf}).check(), doctest::Contains("b is not finite"));
}

TEST_CASE("products of rows, triangular solves and loops over rows on several threads") {
  testing::Generator generator(7);
  const Index n = 310, k = 190;
  const Matrix a = random_matrix(n, k, generator);
  const Matrix all = gram(3, a), alone = gram(1, a);
  Matrix lower = random_matrix(k, k, generator, 0.02);
  for (Index i = 0; i < k; ++i) lower(i, i) = 1 + 0.5 * static_cast<double>(i % 3);
  Matrix product = a, transposed = a, inverse = lower;
  multiply_right(3, false, lower, product);
  multiply_right(3, true, lower, transposed);
  REQUIRE(invert_lower(inverse));
  Matrix singular(3, 3);
  CHECK_FALSE(invert_lower(singular));
  for (Index i = 0; i < n; i += 7) {
    for (Index j = 0; j < n; ++j) {
      CHECK(all(i, j) == doctest::Approx(all(j, i)).epsilon(1e-12));
      CHECK(all(i, j) == alone(i, j));
      CHECK(all(i, j) == doctest::Approx(dot(a.row(i), a.row(j), k)).epsilon(1e-9));
    }
    for (Index j = 0; j < k; ++j) {  // what is above the diagonal is not read
      double right = 0, other = 0;
      for (Index l = j; l < k; ++l) right += a(i, l) * lower(l, j);
      for (Index l = 0; l <= j; ++l) other += a(i, l) * lower(j, l);
      CHECK(product(i, j) == doctest::Approx(right).epsilon(1e-9));
      CHECK(transposed(i, j) == doctest::Approx(other).epsilon(1e-9));
    }
  }
  for (Index i = 0; i < k; i += 7)
    for (Index j = 0; j < k; ++j) {
      double entry = 0;
      for (Index l = j; l <= i; ++l) entry += lower(i, l) * inverse(l, j);
      CHECK(entry == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-9));
      if (j > i) CHECK(inverse(i, j) == 0);
    }
  std::vector<std::atomic<int>> seen(5000);
  for_rows(3, 5000, 100, [&](Index i) { ++seen[static_cast<std::size_t>(i)]; });
  CHECK(std::all_of(seen.begin(), seen.end(), [](const std::atomic<int>& times) { return times == 1; }));
}
