"""Trains a small network on two moons, counts its linear regions with proof, and draws docs/two_moons.png.

Run it from anywhere: ``python docs/two_moons.py [FILE.png]``. It takes some seconds, needs torch and matplotlib, and
downloads nothing: the data are generated. Another version of torch may train to slightly other weights and count.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import pyregions as pr
from pyregions.picture import plot_regions
from pyregions.plot import PALETTE, new_figure, png, styled

SEED, STEPS, RATE = 0, 600, 0.01
POINTS, NOISE = 120, 0.12  # per moon, and the standard deviation of the noise
LOW, HIGH = (-1.6, -1.6), (2.6, 2.1)


def two_moons() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two interleaved half circles with noise: points (M, 2), and labels (M,) 0 or 1."""
    rng = np.random.default_rng(SEED)
    angle = rng.uniform(0, np.pi, size=(2, POINTS))
    upper = np.stack([np.cos(angle[0]), np.sin(angle[0])], axis=1)
    lower = np.stack([1 - np.cos(angle[1]), 0.5 - np.sin(angle[1])], axis=1)
    points = np.concatenate([upper, lower]) + NOISE * rng.normal(size=(2 * POINTS, 2))
    return points.astype(np.float32), np.repeat(np.float32([0, 1]), POINTS)


def trained(points: NDArray[np.float32], labels: NDArray[np.float32]) -> torch.nn.Module:
    """A 2-16-16-1 perceptron after some hundred steps of Adam on all the points."""
    torch.manual_seed(SEED)
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    x, y = torch.from_numpy(points), torch.from_numpy(labels)[:, None]
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()
    return model.eval()


def draw(regions: pr.RegionComplex, points: NDArray[np.float32], labels: NDArray[np.float32], path: Path) -> None:
    """Left the classes with the data, right the radius of the largest ball in each region."""
    with styled():
        figure, axes = new_figure(1, 2, (9.0, 3.9))
        left, right = axes[0]
        plot_regions(regions, "class", axes=left)
        for label, color in enumerate(PALETTE[:2]):
            own = points[labels == label]
            left.scatter(own[:, 0], own[:, 1], s=13, color=color, edgecolors="white", linewidths=0.5, zorder=4)
        plot_regions(regions, "inradius", axes=right)
        left.get_legend().remove()  # the points say which side is whose
        left.set_title(f"{len(regions)} linear regions of a network 2-16-16-1")
        right.set_title("Radius of the largest ball in each")
        for side in (left, right):
            side.set(xlabel="", ylabel="")
    path.write_bytes(png(figure))


def main() -> None:
    """Train, enumerate, prove, draw."""
    points, labels = two_moons()
    model = trained(points, labels)
    network = pr.from_torch(model, input_shape=(2,))
    right = int(((network(points)[:, 0] > 0) == (labels > 0.5)).sum())
    regions = pr.enumerate_regions(network, pr.Box(LOW, HIGH))
    boundary = regions.decision_boundary()
    print(f"{network}: {right} of {len(points)} points classified correctly")
    sides = " x ".join(f"[{low}, {high}]" for low, high in zip(LOW, HIGH))
    print(f"{len(regions)} regions in the box {sides}, a decision boundary of {len(boundary)} pieces")
    print(regions.verify())
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("two_moons.png")
    draw(regions, points, labels, path)
    print(f"drawn in {path.name}")


if __name__ == "__main__":
    main()
