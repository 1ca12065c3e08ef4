"""A page of examples: test images beside the nearest input of another class in the very same region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import store
from ..plot import MUTED, new_figure, png
from .config import KINDS, NAMES, RunKey
from .data import Dataset
from .runner import StudyResult, examples_file

EXAMPLES = 4
# Width of the space between two kinds, in images.
GAP = 0.35


def gallery(result: StudyResult, dataset: Dataset) -> tuple[str, str, bytes] | None:
    """Title, caption and PNG; None where no example was found or the images are not grey pictures."""
    if len(dataset.shape) != 3 or dataset.shape[0] != 1:
        return None
    rate, seed = result.config.learning_rates[0], result.config.seeds[0]
    found = {kind: _examples(result.folder, RunKey(kind, rate, seed)) for kind in KINDS}
    if not any(found.values()):
        return None
    # A narrow empty column keeps the kinds apart.
    block = EXAMPLES + 1
    widths = [*[1.0] * EXAMPLES, GAP] * len(KINDS)
    figure, grid = new_figure(2, len(widths), (10.0, 2.6), width_ratios=widths)
    # Room at the top for the names of the kinds, which take no part in the layout.
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.9))
    for axes in grid.flat:
        axes.set_axis_off()
    for k, kind in enumerate(KINDS):
        for e, (image, other, own, reached, distance) in enumerate(found[kind]):
            column = k * block + e
            for i, (pixels, text) in enumerate(((image, f"a {own}"), (other, f"to {reached}\n{distance:.2f} away"))):
                axes = grid[i][column]
                axes.imshow(pixels.reshape(dataset.shape[1:]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
                axes.set_title(text, fontsize=8, fontweight="normal", color=MUTED, loc="center", pad=3)
        name = grid[0][k * block].annotate(
            NAMES[kind], (0, 1.45), xycoords="axes fraction", fontweight="bold", fontsize=10, annotation_clip=False
        )
        # A long name must not widen the first image's column.
        name.set_in_layout(False)
    caption = (
        "Above: correctly classified test images with their class. Below: the nearest point of the same region, "
        "inside the pixel box, where another class (named) draws level; beyond it the network's answer is that class, "
        f"though not one unit has changed its piece. Networks of learning rate {rate:g} and seed {seed}; the nearest "
        "such images of each network."
    )
    return "Another class without leaving the region", caption, png(figure)


def _examples(folder: Path, key: RunKey) -> list[tuple[Any, Any, int, int, float]]:
    arrays = store.read_arrays(examples_file(folder, key))
    distances = np.linalg.norm(arrays["other"] - arrays["image"], axis=1)
    order = np.argsort(distances, kind="stable")[:EXAMPLES]
    return [
        (
            arrays["image"][k],
            arrays["other"][k],
            int(arrays["label"][k]),
            int(arrays["other_class"][k]),
            float(distances[k]),
        )
        for k in order
    ]
