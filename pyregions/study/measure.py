"""One trained network's record: every measured point in both domains, one row each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import analysis
from ..errors import UndecidedError, core_errors
from ..values import Facets
from .config import RunKey, StudyConfig
from .data import Dataset

if TYPE_CHECKING:
    from ..network import Network, Part
    from ..region import Region

F64 = NDArray[np.float64]
Row = dict[str, Any]

# The two questions asked of every point: where in all of R^d, and where in the pixel box [0, 1]^d.
DOMAINS = ("all", "box")
# Not a column of the table: the point that `take_examples` removes again.
OTHER_POINT = "other_class_point"
PARTS: tuple[Part, ...] = ("facets", "chebyshev", "boundedness", "neighbors", "decision_boundaries")


@dataclass(frozen=True)
class Points:
    """The measured points of one seed: test images first, then inputs drawn uniformly from the pixel box."""

    x: F64
    inputs: list[str]
    index: list[int]
    label: list[int]

    def __len__(self) -> int:
        return len(self.x)


def choose_points(config: StudyConfig, dataset: Dataset, seed: int) -> Points:
    """The points of a seed, the same for every kind of network and learning rate."""
    generator = np.random.default_rng([seed, config.images, config.random])
    count = min(config.images, len(dataset.test_x))
    chosen = np.sort(generator.choice(len(dataset.test_x), size=count, replace=False))
    images = dataset.test_x[chosen].astype(np.float64)
    uniform = generator.uniform(0.0, 1.0, size=(config.random, dataset.inputs))
    return Points(
        np.concatenate([images, uniform]),
        ["image"] * count + ["random"] * config.random,
        [*chosen.tolist(), *range(config.random)],
        [*dataset.test_y[chosen].tolist(), *([-1] * config.random)],
    )


def measure(
    network: Network,
    points: Points,
    key: RunKey,
    workers: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Measure the region of every point in both domains.

    Parameters
    ----------
    network
        The network in evaluation mode.
    points
        What `choose_points` gave.
    key
        Goes into the first columns of every row.
    workers
        Threads; the rows do not depend on it.
    progress
        Called with the name of each step that begins.
    """
    rows: list[Row] = []
    predicted = np.argmax(network(points.x), axis=1)
    for domain in DOMAINS:
        regions = regions_of(network, points.x, domain, workers, progress)
        here: list[Row] = []
        for k, region in enumerate(regions):
            row: Row = {
                "kind": key.kind,
                "learning_rate": key.learning_rate,
                "seed": key.seed,
                "domain": domain,
                "inputs": points.inputs[k],
                "point": points.index[k],
                "label": points.label[k],
                "predicted": int(predicted[k]),
                "status": "ok",
            }
            if isinstance(region, Exception):
                row["status"] = f"{type(region).__name__}: {region}"
            else:
                row.update(describe(region, points.x[k], adversarial=domain == "box"))
            here.append(row)
        add_random_pairs(here, [None if isinstance(region, Exception) else region for region in regions])
        rows.extend(here)
    return rows


def regions_of(
    network: Network, x: F64, domain: str, workers: int | None, progress: Callable[[str], None] | None
) -> list[Region | Exception]:
    """The regions of all points with everything that is measured computed at once, errors in their places."""
    from ..polyhedron import Box

    box = Box(0.0, 1.0) if domain == "box" else None
    place = "pixel box" if domain == "box" else "R^d"

    def report(done: int) -> None:
        if progress is not None:
            progress(f"{place}, region {done} of {len(x)}")

    report(0)
    regions = network.regions(x, domain=box, compute=PARTS, workers=workers, progress=report, errors="return")
    # One undecided part must not cost the others: such a region is asked again for each part by itself.
    for k, region in enumerate(regions):
        if isinstance(region, UndecidedError):
            regions[k] = network.regions(x[k : k + 1], domain=box, compute=(), errors="return")[0]
    return regions


class Undecided:
    """Counts claims that could not be decided; each leaves its columns empty, never a guess."""

    def __init__(self) -> None:
        self.count = 0

    def ask(self, question: Callable[[Region, F64], Row], region: Region, x: F64) -> Row:
        """The answer, or nothing and a count where it raises UndecidedError."""
        try:
            return question(region, x)
        except UndecidedError:
            self.count += 1
            return {}


def describe(region: Region, x: F64, adversarial: bool) -> Row:
    """All statistics of one region, except those that need the other points."""
    undecided = Undecided()
    row: Row = {"pattern": analysis.pattern_key(region.pattern)}
    for part in (_insphere, _boundedness, _facets, _classes, _neighbors):
        row.update(undecided.ask(part, region, x))
    if adversarial:
        row.update(undecided.ask(_other_class, region, x))
    row["undecided_claims"] = undecided.count
    # How many decisions each rung of the ladder took for this region, and how often a solver was asked. Times stay out:
    # a row is the same in every run.
    stats = region.stats()
    row.update({f"engine_{name}": float(stats[name]) for name in stats if "seconds" not in name and name != "calls"})
    return row


def _insphere(region: Region, x: F64) -> Row:
    ball = region.chebyshev
    return {
        "radius": ball.radius,
        "radius_lower": ball.radius_bounds[0],
        "radius_upper": ball.radius_bounds[1],
        "log10_radius": math.log10(ball.radius) if ball.radius > 0 else math.nan,
        "center_distance": math.nan if math.isinf(ball.radius) else float(np.linalg.norm(ball.center - x)),
    }


def _boundedness(region: Region, x: F64) -> Row:
    found = region.boundedness
    if found.bounded is None or found.modulo_lineality is None:
        raise UndecidedError("boundedness")
    return {
        "bounded": float(found.bounded),
        "bounded_modulo_lineality": float(found.modulo_lineality),
        "rank_lower": float(found.rank_bounds[0]),
        "rank_upper": float(found.rank_bounds[1]),
    }


def facets_of(region: Region) -> Facets:
    """The facets; where rows stayed open within the budget, the others, and the open ones listed as undecided."""
    try:
        return region.facets
    except UndecidedError:
        with core_errors():
            return Facets(region._cell.facets(allow_undecided=True), region.halfspaces)


def _facets(region: Region, x: F64) -> Row:
    facets = facets_of(region)
    layers = analysis.facet_layers(region, facets)
    row: Row = {
        "rows": len(region.halfspaces),
        "undecided_rows": len(facets.undecided),
        "facets": int(np.sum(layers > 0)),
        "facets_on_domain": int(np.sum(layers == 0)),
        "wall_distance": region.distances(x, norm=2).nearest,
    }
    row.update({f"facets_layer{k}": int(np.sum(layers == k)) for k in range(1, len(region.network.stage_widths) + 1)})
    row.update({f"cosine_{name}": value for name, value in analysis.direction_cosines(region, facets).items()})
    return row


def _classes(region: Region, x: F64) -> Row:
    boundaries = region.decision_boundaries()
    if None in boundaries.classes:
        raise UndecidedError("whether a class leads somewhere inside the region stayed open")
    return {"crossed": float(boundaries.crossed), "classes_inside": float(sum(map(bool, boundaries.classes)))}


def _other_class(region: Region, x: F64) -> Row:
    other = analysis.nearest_other_class(region, x)
    return {"other_class": other.label, "other_class_distance": other.distance, OTHER_POINT: other.point}


def _neighbors(region: Region, x: F64) -> Row:
    neighbors = region.neighbors()
    row: Row = {"neighbors": len(neighbors)}
    if len(neighbors):
        whole, change = neighbors.cosines(), neighbors.relative_changes()
        row["neighbor_cosine"] = float(np.mean(whole))
        row["neighbor_cosine_least"] = float(np.min(whole))
        row["neighbor_class_cosine"] = float(np.mean(neighbors.class_cosines()))
        row["neighbor_change"] = float(np.mean(change))
        row["neighbor_change_most"] = float(np.max(change))
    return row


def add_random_pairs(rows: list[Row], regions: Sequence[Region | None]) -> None:
    """Add to each row the mean similarity of its affine map to those of the other regions met by the same inputs.

    Pairs are all pairs of measured points of one network, one domain and one sort of inputs, but for pairs of points
    in the same region.
    """
    for inputs in ("image", "random"):
        chosen = [k for k, row in enumerate(rows) if row["inputs"] == inputs and regions[k] is not None]
        if len(chosen) < 2:
            continue
        maps = np.array([region.affine_map.W for k in chosen if (region := regions[k]) is not None], dtype=np.float64)
        patterns = np.array([rows[k]["pattern"] for k in chosen])
        different = patterns[:, None] != patterns[None, :]
        measures: Mapping[str, F64] = {
            "random_cosine": analysis.whole_cosines(maps),
            "random_class_cosine": analysis.class_cosines(maps),
            "random_change": analysis.relative_changes(maps),
        }
        for name, values in measures.items():
            for place, k in enumerate(chosen):
                if different[place].any():
                    rows[k][name] = float(np.mean(values[place][different[place]]))


def take_examples(rows: list[Row], points: Points) -> dict[str, NDArray[Any]]:
    """Remove the points of another class from the rows; returns those of correctly classified images as arrays.

    Keys: image (K, d), other (K, d), label (K,), other_class (K,); in the order of the images.
    """
    place = {(sort, index): k for k, (sort, index) in enumerate(zip(points.inputs, points.index, strict=True))}
    found = []
    for row in rows:
        other = row.pop(OTHER_POINT, None)
        if other is not None and row["inputs"] == "image" and row["label"] == row["predicted"]:
            found.append((points.x[place["image", row["point"]]], other, row["label"], row["other_class"]))
    dimension = points.x.shape[1]
    return {
        "image": np.array([entry[0] for entry in found]).reshape(-1, dimension),
        "other": np.array([entry[1] for entry in found]).reshape(-1, dimension),
        "label": np.array([entry[2] for entry in found], dtype=np.int64),
        "other_class": np.array([entry[3] for entry in found], dtype=np.int64),
    }
