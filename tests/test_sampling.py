"""Points drawn from cells, and the largest ball around a point."""

from __future__ import annotations

import numpy as np
import pytest

import pyregions as pr


def net_and_region() -> tuple[pr.Network, pr.Region]:
    rng = np.random.default_rng(5)
    sizes = [3, 8, 8, 2]
    net = pr.Network.from_arrays([(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])])
    return net, net.region([0.25, -0.5, 0.75], domain=pr.Box(-1, 1))


def test_sampled_points_lie_strictly_inside_whatever_the_workers() -> None:
    _, region = net_and_region()
    points = region.sample(200, seed=3, workers=2)
    assert points.shape == (200, 3) and len(np.unique(points, axis=0)) == 200
    assert all(region.contains(x, interior=True) for x in points)
    assert (points == region.sample(200, seed=3, workers=1)).all()
    assert pr.Polyhedron(region.halfspaces.A, region.halfspaces.b).sample(5).shape == (5, 3)
    assert (points[:7] == region.sample(7, seed=3)).all() and not (points == region.sample(200, seed=4)).any()


def test_samples_are_uniform() -> None:
    """Against exact volumes: parts of a thin triangle, slabs of a simplex in 5 dimensions."""
    thin = pr.Polyhedron([[-1, 0], [0, -1], [1e-3, 1e3]], [0, 0, 1])  # corners (0, 0), (1000, 0), (0, 0.001)
    x = thin.sample(4000, seed=1)
    # The part with x < 1000 t has the share 1 - (1 - t)^2.
    for share in (0.25, 0.5, 0.75):
        assert abs(np.mean(x[:, 0] < 1000 * (1 - np.sqrt(1 - share))) - share) < 0.03
    d = 5
    simplex = pr.Polyhedron(np.vstack([-np.eye(d), np.ones((1, d))]), [*np.zeros(d), 1])
    total = simplex.sample(4000, seed=2).sum(axis=1)  # P(sum < t) = t^5
    for share in (0.25, 0.5, 0.75):
        assert abs(np.mean(total < share ** (1 / d)) - share) < 0.03


def test_long_walks_reach_the_corners_of_a_simplex() -> None:
    """In 30 dimensions the sum of the coordinates has P(sum < t) = t^30, which short walks do not reach."""
    d = 30
    simplex = pr.Polyhedron(np.vstack([-np.eye(d), np.ones((1, d))]), [*np.zeros(d), 1])
    share = simplex.sample(4000, seed=2).sum(axis=1) ** d  # uniform on [0, 1]
    assert abs(share.mean() - 0.5) < 0.015 and abs(np.mean(share > 0.9) - 0.1) < 0.015


def test_samples_of_a_region_follow_its_volume() -> None:
    _, region = net_and_region()
    points = region.sample(4000, seed=0)
    rng = np.random.default_rng(0)
    inside = [x for x in rng.uniform(-1, 1, (40000, 3)) if (region.halfspaces.A @ x <= region.halfspaces.b).all()]
    assert np.allclose(points.mean(axis=0), np.mean(inside, axis=0), atol=0.02)
    assert np.allclose(points.std(axis=0), np.std(inside, axis=0), rtol=0.1)


def test_what_cannot_be_sampled_says_why() -> None:
    net, region = net_and_region()
    with pytest.raises(ValueError, match="unbounded"):
        pr.Polyhedron([[1.0, 0.0]], [1.0]).sample(3)
    for arguments, message in (
        ({"count": 0}, "count must be a whole number of at least 1"),
        ({"count": 1, "steps": 0}, "steps must be"),
        ({"count": 1, "seed": -1}, "seed must be"),
        ({"count": 1, "seed": 2**64}, "seed must be at most"),
        ({"count": 1, "workers": 0}, "workers must be"),
    ):
        with pytest.raises(ValueError, match=message):
            region.sample(**arguments)
    # Two parallel hyperplanes one unit in the last place apart: no double lies between them.
    thin = pr.Polyhedron([[1.0, 0], [-1.0, 0], [0, 1], [0, -1]], [np.nextafter(1, 2), -1.0, 1, 1])
    with pytest.raises(pr.UndecidedError, match="sample"):
        thin.sample(2)


def test_the_ball_around_a_point_touches_the_nearest_wall() -> None:
    _, region = net_and_region()
    x = np.array([0.25, -0.5, 0.75])
    for norm in (1, 2, np.inf):
        ball, distances = region.ball_around(x, norm), region.distances(x, norm)
        assert ball.radius == min(distances.nearest, distances.domain)
        assert ball.radius_bounds[0] <= ball.radius <= ball.radius_bounds[1] < ball.radius * (1 + 1e-9)
        assert ball.row is not None and ball.label == region.halfspaces.labels[ball.row]
    chebyshev = region.chebyshev
    around = region.ball_around(chebyshev.center)
    assert chebyshev.radius_bounds[0] * (1 - 1e-9) <= around.radius <= chebyshev.radius_bounds[1]


def test_the_ball_around_a_point_outside_or_without_walls() -> None:
    _, region = net_and_region()
    with pytest.raises(ValueError, match="x is not in this cell"):
        region.ball_around([5.0, 5.0, 5.0])
    with pytest.raises(ValueError, match="x has shape"):
        region.ball_around([0.0, 0.0])
    for scale in (2.0**-600, 2.0**-100, 2.0**500):  # squares of coefficients leave the range of doubles
        square = pr.Polyhedron(scale * np.vstack([np.eye(2), -np.eye(2)]), scale * np.ones(4))
        ball = square.ball_around([0.75, 0.0])
        assert ball.row == 0 and ball.radius_bounds[0] <= 0.25 <= ball.radius_bounds[1] < 0.25 * (1 + 1e-12)
    constant = pr.Network.from_arrays([(np.zeros((2, 2)), [1.0, -1.0]), (np.ones((1, 2)), [0.0])]).region([0.0, 0.0])
    ball = constant.ball_around([1.0, 2.0])
    assert ball.radius == np.inf and ball.row is None and ball.label is None
