"""One trained network's record: every measured point in both domains, one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, analysis
from .config import RunKey, StudyConfig
from .data import Dataset
from .describe import F64, OTHER_POINT, Answer, Row, describe

if TYPE_CHECKING:
    from ..network import Network

# The two questions asked of every point: where in all of R^d, and where in the pixel box [0, 1]^d.
DOMAINS = ("all", "box")


@dataclass(frozen=True)
class Points:
    """The measured points of one seed: test images in random order, then inputs drawn uniformly from the pixel box.

    `box_facets` tells at which points the facets in the pixel box are asked for: the first images.
    """

    x: F64
    inputs: list[str]
    index: list[int]
    label: list[int]
    box_facets: list[bool]

    def __len__(self) -> int:
        return len(self.x)


def choose_points(config: StudyConfig, dataset: Dataset, seed: int) -> Points:
    """The points of a seed, the same for every kind of network and learning rate."""
    sizes = config.sizes(dataset.inputs)
    generator = np.random.default_rng([seed, sizes.images, sizes.random])
    count = min(sizes.images, len(dataset.test_x))
    chosen = generator.choice(len(dataset.test_x), size=count, replace=False)
    images = dataset.test_x[chosen].astype(np.float64)
    uniform = generator.uniform(0.0, 1.0, size=(sizes.random, dataset.inputs))
    return Points(
        np.concatenate([images, uniform]),
        ["image"] * count + ["random"] * sizes.random,
        [*chosen.tolist(), *range(sizes.random)],
        [*dataset.test_y[chosen].tolist(), *([-1] * sizes.random)],
        [k < min(sizes.box_facets, count) for k in range(count + sizes.random)],
    )


def measure(
    network: Network,
    points: Points,
    key: RunKey,
    config: StudyConfig,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Measure the region of every point in both domains; first all rows of R^d, then those of the pixel box.

    Parameters
    ----------
    network
        The network in evaluation mode.
    points
        What `choose_points` gave.
    key
        Goes into the first columns of every row.
    config
        Threads and the budget of a decision; the rows do not depend on the threads.
    progress
        Called with the name of each step that begins.
    """
    from threadpoolctl import ThreadpoolController

    # Points are measured side by side: further threads of NumPy's BLAS would only wait for each other, and change sums.
    with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
        answers = answers_at(network, points, config, progress or (lambda step: None))
    predicted = np.argmax(network(points.x), axis=1)
    rows: list[Row] = []
    for domain in DOMAINS:
        here = [
            {
                "kind": key.kind,
                "learning_rate": key.learning_rate,
                "seed": key.seed,
                "domain": domain,
                "inputs": points.inputs[k],
                "point": points.index[k],
                "label": points.label[k],
                "predicted": int(predicted[k]),
                **answer[domain].row,
            }
            for k, answer in enumerate(answers)
        ]
        add_random_pairs(here, [answer[domain].map for answer in answers])
        rows.extend(here)
    return rows


def answers_at(
    network: Network, points: Points, config: StudyConfig, progress: Callable[[str], None]
) -> list[dict[str, Answer]]:
    """What `describe` answers at every point, several at a time; those with facets in the box, the longest, first."""

    def ask(k: int) -> dict[str, Answer]:
        image = points.inputs[k] == "image"
        return describe(network, points.x[k], image, points.box_facets[k], config.exact_budget)

    pool = ThreadPoolExecutor(config.workers or _core.available_cpus())
    answers: list[dict[str, Answer]] = []
    try:
        for answer in pool.map(ask, range(len(points))):
            progress(f"point {len(answers) + 1} of {len(points)}")
            answers.append(answer)
    finally:
        pool.shutdown(cancel_futures=True)
    return answers


def add_random_pairs(rows: list[Row], maps: Sequence[F64 | None]) -> None:
    """Add to each row the mean similarity of its affine map to those of the other regions met by the same inputs.

    Pairs are all pairs of measured points of one network, one domain and one sort of inputs, but for pairs of points
    in the same region.
    """
    for inputs in ("image", "random"):
        chosen = [k for k, row in enumerate(rows) if row["inputs"] == inputs and maps[k] is not None]
        if len(chosen) < 2:
            continue
        own = np.array([maps[k] for k in chosen])
        patterns = np.array([rows[k]["pattern"] for k in chosen])
        different = patterns[:, None] != patterns[None, :]
        measures: Mapping[str, F64] = {
            "random_cosine": analysis.whole_cosines(own),
            "random_class_cosine": analysis.class_cosines(own),
            "random_change": analysis.relative_changes(own),
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
