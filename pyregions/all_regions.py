"""All regions of a network: enumerated, counted, or searched for across facets."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .arguments import EXACT_BUDGET, whole_number
from .complex import RegionComplex
from .enumeration import Progress, domain_rows, everything, run
from .network import Network
from .polyhedron import Domain
from .region import Region


def enumerate_regions(
    network: Network,
    domain: Domain = None,
    *,
    max_regions: int | None = None,
    time_limit: float | None = None,
    workers: int | None = None,
    progress: Progress = False,
) -> RegionComplex:
    """All regions of a network in a domain, by exact splitting stage by stage; complete unless a limit stopped it.

    Parameters
    ----------
    network : Network
        With at most 8 inputs.
    domain : None (all of R^d), Box or Polyhedron
    max_regions : int, optional
        Stop soon after so many regions.
    time_limit : float, optional
        Stop after so many seconds.
    workers : int, optional
        Threads; by default the CPUs that this process may use. The result does not depend on it.
    progress : bool or callable
        True reports on standard error; a callable gets the regions found and the part of all regions (when a run goes
        on, of what was open) that they are, an estimate by random descents through what is not yet explored (Knuth,
        Estimating the efficiency of backtrack programs, 1975): right on average, at the start of a single run within a
        factor of two or so; 1 only when nothing is left.

    Returns
    -------
    RegionComplex
        Stopped by a limit or by Ctrl-C it is not ``complete``; :meth:`RegionComplex.resume` goes on.

    Raises
    ------
    ValueError
        If the network has more than 8 inputs, a cell more than 1,024 facets, or an argument is malformed;
        EmptyDomainError without interior.

    Notes
    -----
    Each cell of a stage is split by the units of the next under its own pattern; vertices are carried along, edges are
    found by the combinatorial test of the double description method (Motzkin et al., 1953; Fukuda and Prodon, 1996).

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> regions = pr.enumerate_regions(net)
    >>> len(regions), regions.complete, regions.find([2.0, 2.0])
    (7, True, 6)
    >>> regions[6].pattern.tolist(), regions[6].is_bounded, len(pr.enumerate_regions(net, pr.Box(0.25, 0.75)))
    ([1, 1, 1], False, 2)
    """
    rows = domain_rows(network, domain)
    found = run(network, rows, everything(network), "regions", max_regions, time_limit, workers, progress)
    return RegionComplex(network, domain, found["patterns"], found["witnesses"], found["bounded"] != 0, found["open"])


def count_regions(
    network: Network,
    domain: Domain = None,
    *,
    workers: int | None = None,
    progress: Progress = False,
) -> int:
    """The number of regions of a network in a domain, in memory that does not grow with the number.

    Parameters
    ----------
    network, domain, workers, progress
        As for :func:`enumerate_regions`.

    Raises
    ------
    ValueError
        As for :func:`enumerate_regions`. KeyboardInterrupt on Ctrl-C: a part of a count is no count.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [1.0], [2.0]], [0.0, -1.0, -2.0]), ([[1.0, 1.0, 1.0]], [0.0])])
    >>> pr.count_regions(net), pr.count_regions(net, pr.Box(2, 3))
    (3, 1)
    """
    rows = domain_rows(network, domain)
    found = run(network, rows, everything(network), "count", None, None, workers, progress)
    if found["interrupted"]:
        raise KeyboardInterrupt
    return int(found["count"])


def search_regions(
    network: Network,
    start: ArrayLike,
    domain: Domain = None,
    *,
    max_regions: int | None = None,
    exact_budget: float = EXACT_BUDGET,
) -> list[Region]:
    """The regions reached from a point by crossing facets, breadth first; all of them unless a limit stops it.

    A second method, independent of :func:`enumerate_regions`, for any number of inputs: each region's facets are
    certified and the neighbor rule says what lies behind. Slow (about a millisecond per region of a small network).

    Parameters
    ----------
    network : Network
    start : array_like (d,)
        A point of the first region; on a hyperplane, one of its regions is taken.
    domain : None, Box or Polyhedron
    max_regions : int, optional
        Stop when so many are found.

    Returns
    -------
    list of Region
        In the order found.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> len(pr.search_regions(net, [0.3, 0.1]))
    7
    """
    if max_regions is not None:
        max_regions = whole_number(max_regions, "max_regions", 1)
    found = [network.region(start, domain=domain, tie="any", exact_budget=exact_budget)]
    seen = {found[0].pattern.tobytes()}
    for region in found:  # grows while it is walked through
        if max_regions is not None and len(found) >= max_regions:
            break
        neighbors = region.neighbors()
        for k, pattern in enumerate(neighbors.patterns):
            key = pattern.tobytes()
            if key not in seen:
                seen.add(key)
                found.append(neighbors[k].region())
    return found if max_regions is None else found[:max_regions]
