"""Another library that switches flush-to-zero on (as torch.set_flush_denormal does) changes no answer, and keeps its
setting. Every corpus case is asked in both modes, and networks whose answers hinge on subnormal numbers."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest
from agree import engine_net
from corpus_cases import Case, load

import pyregions as pr

FLUSH = 0x8040  # MXCSR: flush results to zero (bit 15), take denormal operands as zero (bit 6)
SOURCE = """
#include <xmmintrin.h>
unsigned get(void) { return _mm_getcsr(); }
void set(unsigned value) { _mm_setcsr(value); }
"""


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    """The control register of this thread's float arithmetic, as another library would set it."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if platform.machine() not in ("x86_64", "AMD64") or compiler is None:
        pytest.skip("needs an x86 CPU and a C compiler")
    folder = tmp_path_factory.mktemp("control")
    (folder / "control.c").write_text(SOURCE)
    library = folder / "control.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", folder / "control.c", "-o", library], check=True)
    functions = ctypes.CDLL(str(library))
    functions.get.restype = ctypes.c_uint
    functions.set.argtypes = [ctypes.c_uint]
    functions.set.restype = None
    return functions


@contextmanager
def flushing(control):
    before = control.get()
    control.set(before | FLUSH)
    try:
        yield
        assert control.get() & FLUSH == FLUSH, "the caller's setting was not restored"
    finally:
        control.set(before)


def answer(ask):
    """What ask() returns, or the error's type and text."""
    try:
        return ask()
    except pr.PyregionsError as error:
        return type(error).__name__, str(error)


def numbers(*arrays):
    return [np.asarray(a, dtype=np.float64).tobytes() for a in arrays]


def facet_answers(region):
    return [(f.rows, f.labels, f.on_domain, numbers(f.witness, f.normal)) for f in region.facets]


def pair_answers(region):
    return [(p.i, p.j, p.identical, p.crosses, p.piece) for p in region.decision_boundaries()]


def all_answers(region):
    """Everything a region says, numbers byte for byte."""
    if not region:
        return "no interior", answer(lambda: region.verify().counts)
    return [
        region.pattern.tobytes(),
        answer(lambda: numbers(region.witness)),
        answer(lambda: numbers(*(getattr(region.halfspaces, k) for k in ("A", "b", "A_error", "b_error")))),
        answer(lambda: numbers(region.affine_map.W, region.affine_map.c, region.affine_map.W_error)),
        answer(lambda: facet_answers(region)),
        answer(lambda: [(n.pattern.tobytes(), list(n.changed_units)) for n in region.neighbors()]),
        answer(lambda: numbers(region.chebyshev.center, region.chebyshev.radius_bounds)),
        answer(lambda: (region.boundedness.bounded, region.boundedness.modulo_lineality)),
        answer(lambda: pair_answers(region)),
        answer(lambda: region.verify().counts),
    ]


def ask_case(case: Case):
    net = engine_net(case.layers, case.slope)
    domain = pr.Box(*case.bounds) if case.bounds else None
    if case.given is not None:
        return all_answers(net.region(pattern=np.array(case.given, dtype=np.uint8), domain=domain))
    return all_answers(net.region(np.array(case.at), domain=domain, tie="any"))


@pytest.mark.parametrize("case", load(), ids=lambda c: c.name.replace(" ", "-"))
def test_corpus(case, control):
    expected = answer(lambda: ask_case(case))
    with flushing(control):
        found = answer(lambda: ask_case(case))
    assert found == expected


TINY = 2.0**-1060
# Answers that are different ones when subnormal numbers are taken as zero: (layers, bounds, point).
SUBNORMAL = {
    "weight": ([([[TINY, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])], None, [1, 1]),
    "bias": ([([[1], [1]], [-TINY, -TINY / 2]), ([[1, 1]], [0])], None, [0.75 * TINY]),
    "difference": ([([[1.0, -1.0]], [0]), ([[1]], [0])], ([-1, -1], [1, 1]), [2.0**-1022 + TINY, 2.0**-1022]),
    "negative difference": ([([[1.0, -1.0]], [0]), ([[1]], [0])], None, [2.0**-1022, 2.0**-1022 + TINY]),
    "product": ([([[2.0**-530]], [0]), ([[2.0**-530]], [0]), ([[1]], [0])], ([-1], [1]), [1]),
    "sum of a deep unit": ([([[1], [1]], [0, 0]), ([[TINY, -TINY / 2]], [0]), ([[1]], [0])], ([-1], [1]), [1]),
    "output": ([([[1]], [1]), ([[TINY], [0]], [0, 0])], ([-0.5], [1]), [0.5]),
    "domain": ([([[1]], [-TINY / 2]), ([[1]], [0])], ([0], [TINY]), [TINY / 4]),
    "slope": ([([[1]], [0]), ([[1]], [0])], None, [-1]),
}


def subnormal_region(name: str):
    layers, bounds, point = SUBNORMAL[name]
    arrays = [(np.array(W, dtype=np.float64), np.array(b, dtype=np.float64)) for W, b in layers]
    net = pr.Network.from_arrays(arrays, activation=("leaky_relu", TINY) if name == "slope" else "relu")
    return net, pr.Box(*bounds) if bounds else None, np.array(point, dtype=np.float64)


def ask_in_every_way(name: str):
    """Single calls, a batch on two threads, and the network by itself."""
    net, domain, x = subnormal_region(name)
    batch = net.regions([x, x, x], domain=domain, tie="any", workers=2, errors="return")
    return [
        numbers(*net.forward(x)),
        net.signs(x).tobytes(),
        answer(lambda: all_answers(net.region(x, domain=domain))),
        [repr(r) if isinstance(r, Exception) else all_answers(r) for r in batch],
    ]


@pytest.mark.parametrize("name", SUBNORMAL)
def test_answers_that_hinge_on_subnormal_numbers(name, control):
    expected = ask_in_every_way(name)
    with flushing(control):
        found = ask_in_every_way(name)
    assert found == expected


def test_the_examples_do_hinge_on_subnormal_numbers():
    """A tiny positive pre-activation is positive; a domain of subnormal width is one."""
    expected = {"weight": 1, "bias": 1, "difference": 1, "negative difference": -1, "product": 1, "domain": -1}
    for name, sign in expected.items():
        net, domain, x = subnormal_region(name)
        signs = net.signs(x)
        assert sign in signs and 0 not in signs, name
        assert domain is None or domain.contains(x)


def test_the_test_does_flush(control):
    small = np.array([TINY])
    with flushing(control):
        assert (small * 1.0 == 0).all()
    assert (small * 1.0 != 0).all()


def test_membership_and_boxes(control):
    half, double = TINY / 2, 2 * TINY
    with flushing(control):
        box = pr.Box(0.0, TINY)
        assert box.contains([TINY]) and not box.contains([double]) and not box.contains([-half])
        triangle = pr.Polyhedron([[-1, 0], [0, -1], [1, 1]], [0, 0, TINY])
        assert triangle.contains([half, half]) and not triangle.contains([TINY, half])


def test_weights_in_half_the_precision_keep_their_subnormal_numbers(control):
    """Widening float32 flushes its own subnormal numbers, which begin at 2^-126."""
    weights = np.array([[2.0**-140, 1.0]], dtype=np.float32)
    with flushing(control):
        net = pr.Network.from_arrays([(weights, np.zeros(1, dtype=np.float32)), ([[1.0]], [0.0])])
        signs = net.signs([1.0, 0.0])
    assert net.nodes[0].terms[0][1][0, 0] == 2.0**-140 and list(signs) == [1]


def test_a_torch_model_under_set_flush_denormal():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.fill_(2.0**-140)
        model[0].bias.zero_()
    expected = pr.from_torch(model, input_shape=(2,))
    if not torch.set_flush_denormal(True):
        pytest.skip("torch cannot flush on this CPU")
    try:
        net = pr.from_torch(model, input_shape=(2,))
        signs = net.signs([1.0, 0.0])
    finally:
        torch.set_flush_denormal(False)
    assert net.nodes[0].terms[0][1].tobytes() == expected.nodes[0].terms[0][1].tobytes()
    assert list(signs) == [1, 1, 1]
