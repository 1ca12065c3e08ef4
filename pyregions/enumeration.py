"""One run of the enumeration in the core: arguments checked, progress reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .cell import DomainRows
from .errors import core_errors
from .network import Network

I8 = NDArray[np.int8]
Progress = bool | Callable[[int, float], Any]


def everything(network: Network) -> I8:
    """The subtree with no piece decided: the whole domain."""
    return np.full((1, network.units), -1, dtype=np.int8)


def run(
    network: Network,
    rows: DomainRows,
    subtrees: I8,
    detail: str,
    max_regions: int | None,
    time_limit: float | None,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """The core's answer for some subtrees, as _core.pyi describes it; ``interrupted`` says that Ctrl-C ended it."""
    if network.inputs > _core.most_inputs:
        raise ValueError(
            f"the network has {network.inputs} inputs; all regions are enumerated for at most {_core.most_inputs}. "
            "For more, look at a line or a plane (line, plane), or search from a point (search_regions)"
        )
    if max_regions is not None and max_regions < 1:
        raise ValueError(f"max_regions must be at least 1, got {max_regions}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds, got {time_limit}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    report = _report if progress is True else (progress or None)
    limit = -1 if max_regions is None else int(max_regions)
    seconds = -1.0 if time_limit is None else float(time_limit)

    def tick(found: int, done: float) -> bool:
        if report is not None:
            report(found, done)
        return True

    count = int(workers or _core.available_cpus())
    with core_errors():
        ticks = None if report is None else tick
        found = _core.enumerate(network._core, rows.core(), subtrees, detail, count, limit, seconds, ticks)
    if progress is True:
        print(f"\rregions: {found['count']}" + " " * 30, file=sys.stderr, flush=True)
    return found


def _report(found: int, done: float) -> None:
    print(f"\rregions: {found} ({100 * done:.0f} % of the jobs)", end="", file=sys.stderr, flush=True)
