"""How a RegionComplex is made: workers, limits, Ctrl-C, resuming, progress, files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import cell_cases
import numpy as np
import pytest
from cell_cases import net_of
from cell_cases import packed as patterns

import pyregions as pr

ARRAYS = ("packed_patterns", "witnesses", "bounded", "open")
STRUCTURE = (
    "facet_offsets", "vertex_offsets", "facet_unit", "facet_domain_row", "facet_partner", "incidence_offsets",
    "incidence", "vertices", "vertex_errors", "far", "vertex_id", "volumes", "volume_errors", "edges",
)  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return net_of((3, 12, 10, 2))


@pytest.fixture(scope="module")
def whole(net):
    return pr.enumerate_regions(net, pr.Box(-2, 2))


# ---- cells with many facets -----------------------------------------------------------------------------------------


def tangents(count):
    """Lines tangent to the unit circle, around one cell with as many facets, as a layer."""
    rng = np.random.default_rng(count)
    angles = 2 * np.pi * np.arange(count) / count + rng.uniform(0, 0.5 / count, size=count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1), -np.ones(count)


@pytest.mark.parametrize("count", [63, 64, 65, 90])
def test_cells_with_more_facets_than_a_word_has_bits(count):
    """As many as Zaslavsky says; with a second layer complete, and the same for any number of workers."""
    alone = pr.Network.from_arrays([tangents(count), (np.ones((1, count)), np.zeros(1))])
    found = pr.enumerate_regions(alone)
    assert len(found) == 1 + count + count * (count - 1) // 2
    assert len(found[found.find([0.0, 0.0])].facets) == count
    layer = (np.array([[1.0, -1.0] * 50, [1.0, 1.0] * 50])[:, :count], np.array([-0.125, -30.0]))
    net = pr.Network.from_arrays([tangents(count), layer, (np.ones((1, 2)), np.zeros(1))])
    one, many = (pr.enumerate_regions(net, workers=k) for k in (1, 5))
    assert len(one) > len(found)
    assert np.array_equal(one.packed_patterns, many.packed_patterns)
    assert np.array_equal(one.witnesses, many.witnesses, equal_nan=True)
    assert one.verify().proven


def test_a_hyperplane_through_old_vertices_alone():
    """Lines through two corners of a 64-gon cut no edge, in sets of one word and in the wider ones, new there."""
    angles = 2 * np.pi * (np.arange(16) + 0.5) / 64
    c, s = np.cos(angles), np.sin(angles)
    sides = np.concatenate([np.stack([x * c, y * s], axis=1) for x in (1, -1) for y in (1, -1)])
    diagonals = np.zeros((2, 64))
    diagonals[0, [0, 16]] = diagonals[1, [0, 32]] = 1, -1
    net = pr.Network.from_arrays([(-sides, np.ones(64)), (diagonals, np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
    for workers in (1, 2):
        found = pr.enumerate_regions(net, pr.Box(-2, 2), workers=workers)
        assert pr.count_regions(net, pr.Box(-2, 2), workers=workers) == len(found)
    assert found.verify().proven


@pytest.mark.parametrize("seed", range(20, 26))
def test_integer_weights_on_many_workers(seed):
    """Coincidences on splitters that have cut nothing yet."""
    net = cell_cases.engine_net(cell_cases.draw(np.random.default_rng(seed), [2, 10, 10, 1], 1))
    expected = patterns(pr.enumerate_regions(net, pr.Box(-2, 2), workers=1))
    for _ in range(10):
        assert patterns(pr.enumerate_regions(net, pr.Box(-2, 2), workers=3)) == expected


def test_more_facets_than_any_set_holds():
    with pytest.raises(ValueError, match="a cell has more than 1024 facets"):
        pr.count_regions(pr.Network.from_arrays([tangents(1100), (np.ones((1, 1100)), np.zeros(1))]), pr.Box(-1.5, 1.5))


# ---- order and workers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(2, 40, 40, 1), (3, 12, 10, 2), (5, 9, 5, 1)])
@pytest.mark.parametrize("domain", [None, pr.Box(-1, 1)], ids=["all", "box"])
def test_any_number_of_workers_gives_the_same_arrays(widths, domain):
    net = net_of(widths)
    one, two, many = (pr.enumerate_regions(net, domain, workers=k) for k in (1, 2, 7))
    assert len(one) > 200 and {pr.count_regions(net, domain, workers=k) for k in (1, 2, 7)} == {len(one)}
    for other in (two, many):
        for name in ARRAYS:
            a, b = getattr(one, name), getattr(other, name)
            assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), name


def test_structure_is_the_same_again(net, whole):
    again = pr.enumerate_regions(net, pr.Box(-2, 2), workers=1)
    for name in STRUCTURE:
        assert np.array_equal(getattr(whole.structure, name), getattr(again.structure, name)), name
    assert whole.f_vector() == again.f_vector() and whole.volumes.sum() == pytest.approx(64, rel=1e-12)


def test_arrays_are_read_only(whole):
    for array in (whole.witnesses, whole.bounded, whole.patterns, whole.open, whole.structure.vertices):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


# ---- limits, interruption, resuming ---------------------------------------------------------------------------------


def finish(part, **limits):
    """Resumes until nothing is open; every complex on the way begins with the regions of the one before."""
    for _ in range(10_000):
        if part.complete:
            return part
        further = part.resume(**limits)
        assert patterns(part) <= patterns(further)
        assert further.packed_patterns[: len(part)].tobytes() == part.packed_patterns.tobytes()
        assert len(further) > len(part) or len(further.open) != len(part.open) or further.complete
        part = further
    raise AssertionError("it does not end")


@pytest.mark.parametrize("limit", [1, 20, 500])
@pytest.mark.parametrize("workers", [1, 2])
def test_max_regions(net, whole, limit, workers):
    part = pr.enumerate_regions(net, pr.Box(-2, 2), max_regions=limit, workers=workers)
    assert limit <= len(part) < len(whole) and not part.complete and len(part.open)
    assert patterns(part) < patterns(whole) and "incomplete" in repr(part)
    assert part.open.shape[1] == net.units and set(np.unique(part.open)) <= {-1, 0, 1}
    for done in (finish(part), finish(part, max_regions=limit + 50, workers=workers)):
        assert done.complete and patterns(done) == patterns(whole)
        assert done.resume() is done
    assert done.verify().proven and done.f_vector() == whole.f_vector()


def test_a_limit_that_is_not_reached(net, whole):
    found = pr.enumerate_regions(net, pr.Box(-2, 2), max_regions=10 * len(whole), time_limit=3600)
    assert found.complete and found.packed_patterns.tobytes() == whole.packed_patterns.tobytes()


def test_open_subtrees_hold_exactly_the_missing_regions(net, whole):
    part = pr.enumerate_regions(net, pr.Box(-2, 2), max_regions=300)
    missing = patterns(whole) - patterns(part)
    counts = [sum(((row < 0) | (row == p)).all() for row in part.open) for p in whole.patterns]
    assert counts == [int(bytes(row) in missing) for row in whole.packed_patterns]


def test_time_limit():
    """Far too short for 24 units in 6 dimensions, however fast the machine: the part found resumes."""
    net = net_of((6, 40, 40, 1))
    part = pr.enumerate_regions(net, time_limit=0.2)
    assert not part.complete and len(part.open)
    more = part.resume(max_regions=500)
    assert not more.complete and len(more) >= len(part) + 500 and patterns(part) < patterns(more)


def test_tiny_time_limit_is_resumed(net, whole):
    part = pr.enumerate_regions(net, pr.Box(-2, 2), time_limit=1e-9)
    assert patterns(finish(part)) == patterns(whole)


def interrupted(call):
    """Calls; once the main thread has been in the core for a moment another thread sends Ctrl-C's signal."""
    main, done = threading.get_ident(), threading.Event()

    def press():
        seen = 0
        while seen < 5 and not done.wait(0.02):
            frame = sys._current_frames()[main]
            seen = seen + 1 if frame.f_code.co_name == "run" else 0
        if not done.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        return call()
    finally:
        done.set()
        thread.join()


# Far more regions than are found in a moment; so many at most in the tests that stop on Ctrl-C, if they do.
WIDE, ENOUGH = (7, 40, 40, 1), 100_000


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_an_incomplete_complex(workers):
    net = net_of(WIDE)
    part = interrupted(lambda: pr.enumerate_regions(net, workers=workers, max_regions=ENOUGH))
    assert len(part) < ENOUGH  # it was not the limit
    assert not part.complete and len(part.open) and len(patterns(part)) == len(part)
    more = part.resume(max_regions=100)
    assert patterns(part) < patterns(more) and not more.complete


def test_ctrl_c_ends_a_count():
    net = net_of(WIDE)
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: pr.count_regions(net, workers=2))


def test_ctrl_c_and_then_the_rest():
    """What was found before and after together are all regions."""
    net = net_of((4, 32, 32, 1))
    part = interrupted(lambda: pr.enumerate_regions(net, workers=2))
    assert patterns(part.resume()) == patterns(pr.enumerate_regions(net))


def test_ctrl_c_within_the_report():
    """As anywhere else: the run stops and what it found is kept."""
    net, calls = net_of((2, 128, 128, 128, 1)), []

    def report(found, share):
        calls.append((found, share))
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)

    try:
        part = pr.enumerate_regions(net, pr.Box(-1, 1), progress=report, workers=2)
    except KeyboardInterrupt:
        pytest.fail("the regions found are lost")
    assert calls and patterns(part.resume()) == patterns(pr.enumerate_regions(net, pr.Box(-1, 1)))


ENDLESS = """
import numpy as np, pyregions as pr
rng = np.random.default_rng(0)
layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in ((7, 40), (40, 40), (40, 1))]
def report(found, share):
    raise RuntimeError("no more paper")
try:
    pr.enumerate_regions(pr.Network.from_arrays(layers), progress=report, workers=2)
except RuntimeError as error:
    print(error)
"""


def test_an_error_in_the_report_stops_the_run(tmp_path):
    """In a process of its own, as a run that goes on would take hours."""
    command = [sys.executable, "-c", ENDLESS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, cwd=tmp_path)
    except subprocess.TimeoutExpired:
        pytest.fail("the run went on")
    assert done.stdout == "no more paper\n"


def test_a_time_limit_with_progress_gets_on():
    """Estimating must not use up the time, nor what it meets end the run."""
    net = net_of((5, 12, 12, 1))
    part = pr.enumerate_regions(net, pr.Box(-1, 1), time_limit=0.1, progress=lambda n, share: None)
    for _ in range(200):
        if part.complete:
            break
        part = part.resume(time_limit=0.1, progress=lambda n, share: None)
    assert part.complete and patterns(part) == patterns(pr.enumerate_regions(net, pr.Box(-1, 1)))


def test_a_stopped_run_is_not_all_of_it():
    shares = []
    net = net_of((7, 24, 24, 1))  # hours
    part = pr.enumerate_regions(net, pr.Box(-1, 1), time_limit=0.3, progress=lambda n, share: shares.append(share))
    assert not part.complete and shares and max(shares) < 1


def test_progress(capsys, whole):
    net, calls = net_of((2, 128, 128, 128, 1)), []
    found = pr.enumerate_regions(net, pr.Box(-1, 1), progress=lambda n, share: calls.append((n, share)))
    assert all(0 <= n <= len(found) and 0 <= share <= 1 for n, share in calls)
    assert [n for n, _ in calls] == sorted(n for n, _ in calls)
    # The estimate of all regions, by random descents at first: factors of 0.6 to 1.1 were measured on seven networks.
    assert calls and all(len(found) / 3 < n / share < 3 * len(found) for n, share in calls if n)
    pr.count_regions(net, pr.Box(-1, 1), progress=True)
    assert f"regions: {len(found)}" in capsys.readouterr().err


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["all", "box", "half-open", "polytope", "cut box"])
def test_saved_and_loaded(tmp_path, domain):
    case = cell_cases.case("leaky", 6, 3, domain)
    path = tmp_path / "regions.npz"
    case.complex.save(path)
    back = pr.RegionComplex.load(path)
    assert type(back.domain) is type(case.domain) and back.complete and len(back) == len(case.complex)
    for name in ARRAYS:
        assert np.array_equal(getattr(back, name), getattr(case.complex, name), equal_nan=name == "witnesses"), name
    assert np.array_equal(back.volumes, case.complex.volumes) and back.f_vector() == case.complex.f_vector()
    assert back.verify().proven


@pytest.mark.parametrize("limit", [1, 400])
def test_saved_incomplete_and_resumed(tmp_path, net, whole, limit):
    path = tmp_path / "part.npz"
    pr.enumerate_regions(net, pr.Box(-2, 2), max_regions=limit).save(path)
    part = pr.RegionComplex.load(path)
    assert not part.complete
    part = part.resume(max_regions=100)
    part.save(path)
    done = pr.RegionComplex.load(path).resume()
    assert done.complete and patterns(done) == patterns(whole)
    done.save(path)
    back = pr.RegionComplex.load(path)
    assert back.complete and back.packed_patterns.tobytes() == done.packed_patterns.tobytes()
    assert back.f_vector() == whole.f_vector() and back.verify(sample=20).examined == 20


def test_files_that_are_not_complexes(tmp_path, net, whole):
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros(3))
    with pytest.raises(ValueError, match="not a complex"):
        pr.RegionComplex.load(other)
    whole.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["words"] = arrays["words"][:-1]
    np.savez(other, **arrays)
    with pytest.raises(ValueError, match="damaged"):
        pr.RegionComplex.load(other)
    with pytest.raises(FileNotFoundError):
        pr.RegionComplex.load(tmp_path / "none.npz")


def test_dataframe(whole):
    pytest.importorskip("pandas")
    frame = whole.to_dataframe()
    assert len(frame) == len(whole) and frame.bounded.all() and frame.volume.sum() == pytest.approx(64)
    assert (frame.neighbors == [len(region.neighbors) for region in whole]).all()
    assert (frame.vertices == [len(region.vertices) for region in whole]).all()
    assert frame.pattern[3] == "".join(map(str, whole[3].pattern)) and (frame.facets >= frame.neighbors).all()
