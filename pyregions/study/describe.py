"""One point's two rows: its region in all of R^d and its part in the pixel box, and what is asked of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import analysis
from ..errors import PyregionsError, UndecidedError, core_errors
from ..exact import AffineNode
from ..network import Network
from ..polyhedron import Box
from ..values import Facets

if TYPE_CHECKING:
    from ..region import Region

F64 = NDArray[np.float64]
Row = dict[str, Any]

# Not a column of the table: the point that `measure.take_examples` removes again.
OTHER_POINT = "other_class_point"
PIXELS = Box(0.0, 1.0)


class Answer(NamedTuple):
    """Columns of a row, and the matrix of the affine map on its region (None where there is no region)."""

    row: Row
    map: F64 | None


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


def describe(network: Network, x: F64, image: bool, box_facets: bool, budget: float) -> dict[str, Answer]:
    """Everything that is measured at a point, by domain.

    Parameters
    ----------
    image
        Ask for the nearest input of another class in the pixel box.
    box_facets
        Ask for the facets and neighbors in the pixel box.
    budget
        The `exact_budget` of every decision.
    """
    found, classes = {}, list(range(network.outputs))
    for domain in ("all", "box"):
        try:
            region = network.region(x, domain=PIXELS if domain == "box" else None, exact_budget=budget)
        except PyregionsError as error:
            found[domain] = Answer({"status": f"{type(error).__name__}: {error}"}, None)
            continue
        if domain == "all":
            row = in_space(region, x)
            classes = leading(region, classes)
        else:
            row = in_box(region, x, classes, image, box_facets, budget)
        found[domain] = Answer({"status": "ok", **row}, np.array(region.affine_map.W, dtype=np.float64))
    return found


def in_space(region: Region, x: F64) -> Row:
    """Statistics of a region in all of R^d."""
    undecided, row = Undecided(), {"pattern": analysis.pattern_key(region.pattern)}
    for part in (_insphere, _boundedness, _walls, _facets, _neighbors, _classes):
        row.update(undecided.ask(part, region, x))
    return {**row, **_effort(undecided, [region])}


def in_box(region: Region, x: F64, classes: list[int], image: bool, facets: bool, budget: float) -> Row:
    """Statistics of a region in the pixel box, which only `classes` may lead inside (see `leading`)."""
    undecided, row = Undecided(), {"pattern": analysis.pattern_key(region.pattern)}
    for part in (_insphere, _boundedness, _walls, *((_facets, _neighbors) if facets else ())):
        row.update(undecided.ask(part, region, x))
    pairs = against_own(region, x, classes, budget)
    row.update(undecided.ask(partial(_other_class if image else _crossed, pairs), region, x))
    return {**row, **_effort(undecided, [region, *pairs.values()])}


def leading(region: Region, classes: list[int]) -> list[int]:
    """Classes that are the largest output somewhere inside the region, or may be; `classes` where that stayed open.

    In a part of the region no others can lead.
    """
    try:
        return [k for k, leads in enumerate(region.decision_boundaries().classes) if leads is not False]
    except UndecidedError:
        return classes


def against_own(region: Region, x: F64, classes: list[int], budget: float) -> dict[int, Region]:
    """The region again, for each class but x's own one seen by a network of two outputs: its own class and that one.

    Where a single class leads there is nothing to ask, and pairs of other classes are never asked for. The nearest
    hyperplane on which two outputs are equal comes first.
    """
    weights = np.asarray(region.affine_map.W, dtype=np.float64)
    outputs = weights @ x + region.affine_map.c
    own = int(np.argmax(outputs))
    steep = np.linalg.norm(weights - weights[own], axis=1)
    away = np.divide(outputs[own] - outputs, steep, out=np.full(len(outputs), np.inf), where=steep > 0)
    others = sorted((k for k in classes if k != own), key=lambda k: (float(away[k]), k))
    return {
        k: with_outputs(region.network, [own, k]).region(x, domain=region.domain, exact_budget=budget) for k in others
    }


def with_outputs(network: Network, outputs: Sequence[int]) -> Network:
    """The same network with some of its outputs; its regions are the same."""
    last = network.nodes[-1]
    assert isinstance(last, AffineNode)
    terms = tuple((source, matrix[list(outputs)]) for source, matrix in last.terms)
    return Network(network.inputs, [*network.nodes[:-1], AffineNode(terms, last.bias[list(outputs)])])


def _effort(undecided: Undecided, regions: Sequence[Region]) -> Row:
    """What stayed undecided, how many decisions each rung of the ladder took, and how often a solver was asked.

    Times stay out: a row is the same in every run.
    """
    row: Row = {"undecided_claims": undecided.count}
    for stats in (region.stats() for region in regions):
        for name in stats:
            if "seconds" not in name and name != "calls":
                row[f"engine_{name}"] = row.get(f"engine_{name}", 0.0) + float(stats[name])
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


def _walls(region: Region, x: F64) -> Row:
    return {"wall_distance": region.distances(x, norm=2).nearest}


def facets_of(region: Region) -> Facets:
    """The facets; where rows stayed open within the budget, the others, and the open ones listed as undecided."""
    with core_errors():
        # One thread: points are measured side by side.
        return Facets(region._cell.facets(allow_undecided=True, workers=1), region.halfspaces)


def _facets(region: Region, x: F64) -> Row:
    facets = facets_of(region)
    layers = analysis.facet_layers(region, facets)
    row: Row = {
        "rows": len(region.halfspaces),
        "undecided_rows": len(facets.undecided),
        "facets": int(np.sum(layers > 0)),
        "facets_on_domain": int(np.sum(layers == 0)),
    }
    row.update({f"facets_layer{k}": int(np.sum(layers == k)) for k in range(1, len(region.network.stage_widths) + 1)})
    row.update({f"cosine_{name}": value for name, value in analysis.direction_cosines(region, facets).items()})
    return row


def _classes(region: Region, x: F64) -> Row:
    boundaries = region.decision_boundaries()
    if None in boundaries.classes:
        raise UndecidedError("whether a class leads somewhere inside the region stayed open")
    return {"crossed": float(boundaries.crossed), "classes_inside": float(sum(map(bool, boundaries.classes)))}


def _crossed(pairs: Mapping[int, Region], region: Region, x: F64) -> Row:
    """Whether another class leads somewhere inside: the first one that does answers."""
    return {"crossed": float(any(pair.decision_boundaries().crossed for pair in pairs.values()))}


def _other_class(pairs: Mapping[int, Region], region: Region, x: F64) -> Row:
    """The nearest input of another class, and so whether there is one."""
    best = analysis.OtherClass(-1, math.inf, None)
    for k, pair in pairs.items():
        other = analysis.nearest_other_class(pair, x)
        if other.distance < best.distance:
            best = analysis.OtherClass(k, other.distance, other.point)
    return {
        "crossed": float(bool(best)),
        "other_class": best.label,
        "other_class_distance": best.distance,
        OTHER_POINT: best.point,
    }


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
