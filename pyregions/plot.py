"""Layer 4. Pieces of figures: one style, one palette, strips of points with boxes. Matplotlib is imported inside."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

# Three colours that stay apart for colour-blind readers and in grey: dark blue, gold and rose differ in lightness too.
PALETTE = ("#004488", "#d99a00", "#bb5566")
INK, MUTED, GRID = "#1f2933", "#69737d", "#e4e7eb"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.09,
}
DOTS_PER_INCH = 150


@contextmanager
def styled() -> Iterator[None]:
    """Within this context new figures have the style; the user's own settings are left alone."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Any, Any]:
    """A figure with a grid of axes that needs no display: (figure, array of axes (rows, columns))."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def png(figure: Any) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes (no time stamp, no version)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def jitter(count: int, width: float) -> F64:
    """Offsets in [-width/2, width/2] that spread points evenly and are the same every time (golden-ratio sequence)."""
    golden = (math.sqrt(5) - 1) / 2
    return np.asarray(((np.arange(count) * golden) % 1.0 - 0.5) * width, dtype=np.float64)


# A strip of at most so many points (one per network) is itself the message; more are the background of their box.
FEW = 12


def strip(
    axes: Any, position: float, values: Sequence[float] | F64, colour: str, width: float = 0.6, size: float = 9
) -> int:
    """Draw finite values as jittered points and their summary; returns how many values were infinite.

    Up to `FEW` points get a line at their median. More get a box from the first to the third quartile with a thick line
    at the median (infinite values counted) and whiskers from the 5th to the 95th percentile.
    """
    numbers = np.asarray(values, dtype=np.float64)
    numbers = np.sort(numbers[~np.isnan(numbers)])
    finite = numbers[np.isfinite(numbers)]
    if len(finite) == 0:
        return len(numbers)
    few = len(numbers) <= FEW
    # The more points, the paler: their box stays readable in front.
    alpha = 0.85 if few else max(0.08, 0.3 / max(1.0, len(finite) / 100))
    axes.scatter(
        position + jitter(len(finite), width * 0.85), finite, s=size, color=colour, alpha=alpha, linewidths=0, zorder=2
    )
    low, first, middle, third, high = np.quantile(numbers, [0.05, 0.25, 0.5, 0.75, 0.95], method="nearest")
    if np.isfinite(middle):
        ends = (position - width * 0.36, position + width * 0.36)
        axes.hlines(middle, *ends, color=colour, linewidth=1.8 if few else 2.8, zorder=4)
    if not few and np.isfinite(third):
        axes.bar(
            position,
            third - first,
            bottom=first,
            width=width * 0.72,
            facecolor=(1, 1, 1, 0.55),
            edgecolor=colour,
            linewidth=1.3,
            zorder=3,
        )
        axes.vlines(position, low, first, color=colour, linewidth=1.1, zorder=3)
        if np.isfinite(high):
            axes.vlines(position, third, high, color=colour, linewidth=1.1, zorder=3)
    return len(numbers) - len(finite)


# Mantissas of the ticks, by the number of decades that an axis spans at most.
MANTISSAS = ((1.0, (1, 2, 3, 5, 7)), (1.8, (1, 2, 5)), (3.2, (1, 3)), (7.0, (1,)))


def power_axis(axes: Any, label: str) -> None:
    """Label a vertical axis of log10 values with the values themselves; call it when everything is drawn."""
    low, high = axes.get_ylim()
    mantissas = next((found for span, found in MANTISSAS if high - low <= span), None)
    if mantissas is None:
        # Very long axes: every second or third decade.
        step = math.ceil((high - low) / 6)
        ticks = [(1.0, k) for k in range(math.ceil(low), math.floor(high) + 1) if k % step == 0]
    else:
        ticks = [(m, k) for k in range(math.floor(low), math.ceil(high) + 1) for m in mantissas]
    ticks = [(m, k) for m, k in ticks if low <= k + math.log10(m) <= high]
    axes.set_yticks([k + math.log10(m) for m, k in ticks], [_power(m, k) for m, k in ticks])
    axes.set_ylim(low, high)
    axes.set_ylabel(label)


def _power(mantissa: float, exponent: int) -> str:
    if -4 <= exponent <= 4:
        return f"{mantissa * 10**exponent:.{max(0, -exponent)}f}"
    return f"${mantissa:g}\\cdot10^{{{exponent}}}$" if mantissa != 1 else f"$10^{{{exponent}}}$"
