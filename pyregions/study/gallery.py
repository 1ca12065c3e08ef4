"""A page of examples: test images beside the nearest input of another class in the very same region."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import store
from ..plot import MUTED, new_figure, png
from .config import KINDS, NAMES
from .data import Dataset
from .runner import StudyResult, examples_file

EXAMPLES = 4
# Width of the space between two kinds, in images.
GAP = 0.35


def gallery(result: StudyResult, dataset: Dataset) -> tuple[str, str, bytes] | None:
    """Title, caption and PNG; None where no example was found or the images are not grey pictures."""
    if len(dataset.shape) != 3 or dataset.shape[0] != 1:
        return None
    found = {kind: _examples(result, kind) for kind in KINDS}
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
            for i, (pixels, text) in enumerate(((image, f"a {own}"), (other, f"to {reached}\n{distance:.2g} away"))):
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
        "though not one unit has changed its piece. The nearest over all networks of a kind, one for each class of "
        "the image."
    )
    return "Another class without leaving the region", caption, png(figure)


def _examples(result: StudyResult, kind: str) -> list[tuple[Any, Any, int, int, float]]:
    """The nearest over all networks of a kind, one per class of the image: image, other, two classes, distance."""
    candidates = []
    for key in result.config.runs():
        if key.kind == kind:
            arrays = store.read_arrays(examples_file(result.folder, key))
            distances = np.linalg.norm(arrays["other"] - arrays["image"], axis=1)
            pairs = zip(
                arrays["image"], arrays["other"], arrays["label"], arrays["other_class"], distances, strict=True
            )
            candidates += [(image, other, int(own), int(to), float(away)) for image, other, own, to, away in pairs]
    chosen: dict[int, tuple[Any, Any, int, int, float]] = {}
    for candidate in sorted(candidates, key=lambda entry: entry[4]):
        chosen.setdefault(candidate[2], candidate)
    return list(chosen.values())[:EXAMPLES]
