"""The text corpus: the oracle agrees with the answers written down by hand, and the engine with both."""

from __future__ import annotations

from math import isinf

import agree
import numpy as np
import oracle
import pytest
from agree import assert_agrees, engine_net
from corpus_cases import Case, load
from oracle import Cell

import pyregions as pr

CASES = load()


def cases(keep=lambda case: True):
    return pytest.mark.parametrize("case", [c for c in CASES if keep(c)], ids=lambda c: c.name.replace(" ", "-"))


def oracle_cell(case: Case) -> Cell:
    if case.given is not None:
        return Cell(case.net, case.given, case.domain)
    return oracle.cell_at(case.net, agree.point(case.at), case.domain)


def engine_domain(case: Case) -> pr.Box | None:
    return pr.Box(*case.bounds) if case.bounds else None


def engine_region(case: Case, **options):
    net = engine_net(case.layers, case.slope)
    if case.given is not None:
        return net.region(pattern=np.array(case.given, dtype=np.uint8), domain=engine_domain(case))
    return net.region(np.array(case.at), domain=engine_domain(case), **options)


def test_names_are_unique_and_every_case_expects_something():
    assert len({c.name for c in CASES}) == len(CASES) > 40
    for c in CASES:
        expected = (c.pattern, c.facets, c.pairs, c.boundary, c.empty, c.radius, c.regions)
        assert (c.at is None) != (c.given is None) and any(v not in (None, [], {}, False) for v in expected), c.name


@cases()
def test_oracle_agrees_with_the_answers_by_hand(case):
    if case.boundary:
        assert [case.net.label(u, 0)[:2] for u in case.net.ties(agree.point(case.at))] == case.boundary
        return
    cell = oracle_cell(case)
    assert (cell.interior is None) == case.empty
    if case.empty:
        return
    assert case.pattern in (None, cell.pattern)
    assert cell.zero_rows == case.zero
    if case.facets:
        facets = cell.facets()
        assert [(f.labels, None if f.on_domain else cell.across(f)) for f in facets] == case.facets
    assert case.bounded in (None, cell.bounded())
    assert case.modulo_lineality in (None, cell.bounded_modulo_lineality())
    if case.radius is not None:
        lower, upper = cell.inradius()
        assert isinf(lower) if isinf(case.radius) else float(lower) == float(upper) == pytest.approx(case.radius, 1e-15)
    for (i, j), words in case.pairs.items():
        found = {"crosses": cell.crosses(i, j), "piece": cell.piece(i, j), "identical": cell.identical(i, j)}
        assert {word for word, holds in found.items() if holds} == words
    if case.regions is not None:
        assert len(oracle.regions(case.net, case.domain)) == case.regions


@cases(lambda c: not c.boundary and not c.empty)
def test_engine_agrees(case):
    region = agree.decided(lambda: engine_region(case), allow_open=case.later)
    if region is not None:
        assert bool(region)
        assert_agrees(region, oracle_cell(case), allow_open=case.later, allow_modulo=case.later_modulo)


@cases(lambda c: c.rung is not None)
def test_facets_are_decided_on_the_expected_rung(case):
    region = engine_region(case)
    assert len(region.facets) == len(case.facets)
    assert (region.stats()["exact"] > 0) == (case.rung == "exact")


@cases(lambda c: c.empty)
def test_engine_proves_that_there_is_no_region(case):
    nothing = agree.decided(lambda: engine_region(case), allow_open=case.later)
    if nothing is not None:
        assert not nothing
        nothing.verify()


@cases(lambda c: c.boundary)
def test_engine_names_the_hyperplanes_through_the_point(case):
    with pytest.raises(pr.OnBoundaryError) as caught:
        engine_region(case)
    named = [(int(s), int(u)) for s, u, *_ in caught.value.labels]
    # Units fed by these may be tied too, on the side that tie="any" takes.
    assert named[: len(case.boundary)] == case.boundary
    assert all(s > case.boundary[0][0] for s, _ in named[len(case.boundary) :])
    region = engine_region(case, tie="any")
    pattern = [int(v) for v in region.pattern]
    cell = Cell(case.net, pattern, case.domain)
    assert cell.interior is not None and cell.contains(agree.point(case.at))
    assert case.any_pattern in (None, pattern)


@cases(lambda c: c.regions is not None and not c.later)
def test_walking_across_facets_finds_the_count(case):
    start = engine_region(case)
    seen, todo = set(), [start]
    while todo:
        region = todo.pop()
        key = tuple(int(v) for v in region.pattern)
        if key not in seen:
            seen.add(key)
            todo += [n.region() for n in region.neighbors()]
    assert seen == oracle.regions(case.net, case.domain)
    assert len(seen) == case.regions
