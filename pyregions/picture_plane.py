"""Layer 4. Pictures of planes through the input space of a network, with images shown at their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .picture import plot_regions
from .picture_colors import Color
from .plot import INK
from .slices import PlaneSlice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F64 = NDArray[np.float64]


def plot_plane(
    cut: PlaneSlice, points: ArrayLike = (), color: Color = "class", boundary: bool = True, axes: Any = None
) -> Figure:
    """Draws a plane through a network's input space, with points of it, as images where they are images.

    Parameters
    ----------
    cut : PlaneSlice
    points : array_like (K, 2)
        Coordinates (s, t) to mark, (0, 0), (1, 0) and (0, 1) after :func:`plane_through`. With an input shape of
        (height, width), (1, height, width) or (3, height, width) the image at each is shown beside its place.
    color, boundary, axes
        As for :func:`plot_regions`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If ``points`` are not pairs of coordinates; otherwise as :func:`plot_regions`.

    Examples
    --------
    >>> import numpy as np, pyregions as pr
    >>> rng = np.random.default_rng(0)
    >>> layers = [(rng.normal(size=(9, 16)), rng.normal(size=9)), (rng.normal(size=(3, 9)), rng.normal(size=3))]
    >>> net = pr.Network(16, pr.Network.from_arrays(layers).nodes, input_shape=(4, 4))
    >>> figure = plot_plane(pr.plane_through(net, *rng.uniform(size=(3, 4, 4))), [(0, 0), (1, 0), (0, 1)])
    >>> sum(type(artist).__name__ == "AnnotationBbox" for artist in figure.axes[0].artists)
    3
    """
    places = np.asarray(points, dtype=np.float64).reshape(-1, 2) if np.size(points) == 0 else np.asarray(points, float)
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise ValueError(f"points must be pairs (s, t), shape (K, 2), got {np.shape(points)}")
    figure = plot_regions(cut.complex, color, boundary, axes)
    axes = figure.axes[0] if axes is None else axes
    axes.set_xlabel("s")
    axes.set_ylabel("t")
    axes.plot(places[:, 0], places[:, 1], "o", color=INK, markersize=5, markeredgecolor="white", zorder=6)
    shape = cut.network.input_shape
    if len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3)):
        for place in places:
            _show_image(axes, cut.point(place).reshape(shape), place)
    return figure


def _show_image(axes: Any, image: F64, place: F64) -> None:
    """One image beside its place, grey or in colours, its own smallest value black and its largest white."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    pixels = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    low, high = pixels.min(), pixels.max()
    pixels = np.squeeze((pixels - low) / (high - low if high > low else 1))
    shown = OffsetImage(pixels, zoom=42 / max(pixels.shape[:2]), cmap="gray", interpolation="nearest")
    axes.add_artist(
        AnnotationBbox(
            shown, tuple(place), xybox=(34, 34), boxcoords="offset points", pad=0.15, zorder=7,
            bboxprops={"edgecolor": INK, "linewidth": 0.8}, arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.8},
        )
    )  # fmt: skip
