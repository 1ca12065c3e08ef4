"""One run of the enumeration in the core: arguments checked, progress reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arguments import budget_seconds, whole_number, worker_count
from .cell import DomainRows
from .errors import core_errors
from .network import Network
from .polyhedron import Domain, resolve_domain

I8 = NDArray[np.int8]
Progress = bool | Callable[[int, float], Any]


def everything(network: Network) -> I8:
    """The subtree with no piece decided: the whole domain."""
    return np.full((1, network.units), -1, dtype=np.int8)


def domain_rows(network: Network, domain: Domain) -> DomainRows:
    """The rows of a domain for a network; TypeError where either is something else."""
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}; see from_torch and from_arrays")
    return resolve_domain(domain, network.inputs)


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
    limit = -1 if max_regions is None else whole_number(max_regions, "max_regions", 1)
    count = worker_count(workers)
    seconds = -1.0 if time_limit is None else budget_seconds(time_limit, "time_limit")
    if not (isinstance(progress, bool) or callable(progress)):
        raise ValueError(f"progress must be True, False or a callable, got {progress!r}")
    report = _report if progress is True else (progress or None)

    def tick(found: int, done: float) -> bool:
        if report is not None:
            report(found, done)
        return True

    with core_errors():
        ticks = None if report is None else tick
        found = _core.enumerate(network._core, rows.core(), subtrees, detail, count, limit, seconds, ticks)
    if progress is True:
        print(f"\rregions: {found['count']}" + " " * 30, file=sys.stderr, flush=True)
    return found


def _report(found: int, done: float) -> None:
    print(f"\rregions: {found}, about {100 * done:.0f} %", end="", file=sys.stderr, flush=True)
