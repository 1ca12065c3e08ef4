"""from_torch: a Network from a torch module, weights exactly, checked against the module's own forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arguments import plain_floats
from .errors import MismatchError, UnsupportedLayerError
from .exact import AffineNode, HingeNode
from .network import Network
from .rounding import gamma

if TYPE_CHECKING:
    from torch import nn

F64 = NDArray[np.float64]

# Unit roundoff and smallest normal number of the dtypes whose forward pass is checked besides float64. The half types
# accumulate in ways that torch does not specify, so only the float64 copy of such a module is checked.
FORMATS = {"torch.float32": (2.0**-24, 2.0**-126), "torch.float64": (2.0**-53, 2.0**-1022)}
EXACT_IN_FLOAT64 = ("torch.float16", "torch.bfloat16", "torch.float32", "torch.float64")


@dataclass
class _Step:
    """How one layer's own evaluation may round: |W|, |b| with all it is computed from, and the number of roundings."""

    size: F64  # matrix (out, in) or diagonal (n,)
    offset: F64
    roundings: int


@dataclass
class _Reader:
    shape: tuple[int, ...]  # of the current value, without the batch dimension
    nodes: list[AffineNode | HingeNode] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)

    @property
    def width(self) -> int:
        return int(np.prod(self.shape))

    def affine(self, matrix: F64, bias: F64, step: _Step) -> None:
        self.nodes.append(AffineNode(((len(self.nodes), matrix),), bias))
        self.steps.append(step)

    def identity(self) -> None:
        ones, zeros = np.ones(self.width), np.zeros(self.width)
        self.affine(ones, zeros, _Step(ones, zeros, 0))

    def hinge(self, low: float) -> None:
        if not self.nodes or isinstance(self.nodes[-1], HingeNode):
            self.identity()  # a hinge reads an affine node
        slopes, zeros = np.full(self.width, low), np.zeros(self.width)
        self.nodes.append(HingeNode(len(self.nodes), slopes, np.ones(self.width)))
        self.steps.append(_Step(np.maximum(np.abs(slopes), 1.0), zeros, 2 if low else 0))


@plain_floats()
def from_torch(module: nn.Module, input_shape: int | tuple[int, ...], *, check_points: int = 32) -> Network:
    """The network that a torch module computes, its stored weights taken exactly.

    Layers: Linear, ReLU, LeakyReLU, Dropout and BatchNorm1d in evaluation, Flatten, Identity, and nested Sequential.
    Batch normalisation becomes a diagonal affine stage of its own: ``scale = weight / sqrt(running_var + eps)`` of the
    stored numbers, correctly rounded to float64, then ``shift = bias - running_mean * scale``, correctly rounded; the
    two are stored weights from then on.

    The result is compared with the module's forward pass on random points, in a float64 copy and in the module's own
    dtype, within rounding bounds propagated through the layers.

    Parameters
    ----------
    module : torch.nn.Module
        Not changed; ``module.eval()`` first if it has dropout or batch normalisation.
    input_shape : int or tuple of int
        Shape of one input without the batch dimension, such as (1, 28, 28).
    check_points : int
        Number of random points of the self-check.

    Returns
    -------
    Network

    Raises
    ------
    UnsupportedLayerError
        Naming the path of a module that is not supported, has hooks, or would use random numbers or batch statistics.
    MismatchError
        If the network does not compute what the module computes.
    ValueError
        If a weight is NaN or infinite, or ``input_shape`` does not fit.

    Examples
    --------
    >>> import pytest; torch = pytest.importorskip("torch")
    >>> import pyregions as pr
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> pr.from_torch(model, input_shape=(2, 2))
    Network(4 inputs, stages of units: 3; 2 outputs)
    """
    shape = (int(input_shape),) if isinstance(input_shape, (int, np.integer)) else tuple(int(n) for n in input_shape)
    if not shape or min(shape) < 1:
        raise ValueError(f"input_shape must be positive numbers, got {input_shape!r}")
    if check_points < 1:
        raise ValueError(f"check_points must be at least 1, got {check_points}")
    reader = _Reader(shape)
    _read(_plain_copy(module), "", reader)
    if not reader.nodes or isinstance(reader.nodes[-1], HingeNode):
        reader.identity()
    network = Network(int(np.prod(shape)), reader.nodes, shape)
    _check(module, network, reader.steps, shape, check_points)
    return network


# ---- reading


def _plain_copy(module: nn.Module) -> nn.Module:
    """A copy in which parametrized and pruned weights are plain tensors, with the values that forward would use."""
    from torch import nn
    from torch.nn.utils import parametrize, prune

    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(module).__name__}")
    for path, child in module.named_modules():
        _refuse_hooks(path, child)
    plain = _copy(module)
    part: Any
    for part in plain.modules():
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                hook(part, ())  # an optimizer step leaves the masked weight stale until the next forward pass
                hook.remove(part)
        part._forward_pre_hooks.clear()
        if parametrize.is_parametrized(part):
            # torch's own removal would delete the property from the class, which the copy shares with the original.
            values = {name: getattr(part, name).detach().clone() for name in part.parametrizations}
            del part._modules["parametrizations"]
            part.__class__ = type(part).__bases__[0]
            for name, value in values.items():
                part.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return plain


def _copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU. Torch refuses to copy a masked weight, no leaf of its graph, so that goes in detached."""
    import copy

    held = (value for part in module.modules() for value in vars(part).values())
    results: list[Any] = [value for value in held if getattr(value, "is_leaf", True) is False]
    return copy.deepcopy(module, {id(value): value.detach().clone() for value in results}).cpu()


def _refuse_hooks(path: str, part: nn.Module) -> None:
    from torch.nn.utils import prune

    before = [hook for hook in part._forward_pre_hooks.values() if not isinstance(hook, prune.BasePruningMethod)]
    if before or part._forward_hooks:
        raise UnsupportedLayerError(path, f"{type(part).__name__} has forward hooks, which may change what it computes")
    if "forward" in vars(part):
        raise UnsupportedLayerError(path, "its forward method was replaced on the instance")


def _is(part: nn.Module, kind: type[nn.Module]) -> bool:
    """Of this class, or of a subclass that computes the same: forward and the call are inherited."""
    own, calls = type(part), ("forward", "__call__", "_call_impl")
    return isinstance(part, kind) and all(getattr(own, name) is getattr(kind, name) for name in calls)


def _read(part: Any, path: str, reader: _Reader) -> None:
    from torch import nn

    if _is(part, nn.Sequential):
        for name, child in part._modules.items():  # named_children() would list a module that is used twice only once
            if child is not None:
                _read(child, f"{path}.{name}" if path else name, reader)
    elif _is(part, nn.Linear):
        _read_linear(part, path, reader)
    elif _is(part, nn.BatchNorm1d):
        _read_batch_norm(part, path, reader)
    elif _is(part, nn.ReLU):
        reader.hinge(0.0)
    elif _is(part, nn.LeakyReLU):
        slope = float(part.negative_slope)
        if not np.isfinite(slope):
            raise ValueError(f"module {path!r}: negative_slope is {slope}")
        reader.hinge(slope)
    elif _is(part, nn.Flatten):
        _read_flatten(part, path, reader)
    elif _is(part, nn.Dropout):
        if part.training and part.p > 0:
            raise UnsupportedLayerError(path, "Dropout in training mode is a random function; call eval() first")
    elif not _is(part, nn.Identity):
        known = "Linear, ReLU, LeakyReLU, Dropout, BatchNorm1d, Flatten, Identity and Sequential"
        raise UnsupportedLayerError(
            path, f"{type(part).__name__} is not supported, nor is a forward method of one's own; supported are {known}"
        )


def _numbers(tensor: Any, path: str, name: str) -> F64:
    """A stored tensor as float64, exactly."""
    if str(tensor.dtype) not in EXACT_IN_FLOAT64:
        raise UnsupportedLayerError(path, f"its {name} has dtype {tensor.dtype}, which is not taken")
    if not hasattr(tensor, "detach") or tensor.is_meta or "Uninitialized" in type(tensor).__name__:
        raise UnsupportedLayerError(path, f"its {name} holds no numbers yet; run the module once")
    out: F64 = np.array(tensor.detach().double().cpu().numpy())
    if not np.isfinite(out).all():
        raise ValueError(f"module {path!r}: its {name} holds NaN or infinite numbers")
    return out


def _read_linear(part: Any, path: str, reader: _Reader) -> None:
    W = _numbers(part.weight, path, "weight")
    b = np.zeros(len(W)) if part.bias is None else _numbers(part.bias, path, "bias")
    if len(reader.shape) != 1:
        raise UnsupportedLayerError(path, f"Linear after a value of shape {reader.shape}; put a Flatten before it")
    if reader.shape != (W.shape[1],):
        raise ValueError(f"module {path!r} takes {W.shape[1]} numbers, but {reader.width} arrive; check input_shape")
    reader.affine(W, b, _Step(np.abs(W), np.abs(b), W.shape[1] + 2))
    reader.shape = (len(W),)


def _read_flatten(part: Any, path: str, reader: _Reader) -> None:
    full = (1, *reader.shape)
    start, end = int(part.start_dim) % len(full), int(part.end_dim) % len(full)
    if start == 0:
        raise UnsupportedLayerError(path, "Flatten with start_dim 0 mixes the points of a batch")
    merged = int(np.prod(full[start : end + 1]))
    reader.shape = (*full[1:start], merged, *full[end + 1 :])


def _read_batch_norm(part: Any, path: str, reader: _Reader) -> None:
    if part.running_mean is None or part.running_var is None:
        raise UnsupportedLayerError(path, "BatchNorm1d without running statistics uses those of the batch")
    if part.training:
        raise UnsupportedLayerError(path, "BatchNorm1d in training mode uses batch statistics; call eval() first")
    mean, var = _numbers(part.running_mean, path, "running_mean"), _numbers(part.running_var, path, "running_var")
    if len(reader.shape) not in (1, 2) or reader.shape[0] != len(mean):
        raise ValueError(f"module {path!r}: BatchNorm1d({len(mean)}) after a value of shape {reader.shape}")
    weight = np.ones(len(mean)) if part.weight is None else _numbers(part.weight, path, "weight")
    bias = np.zeros(len(mean)) if part.bias is None else _numbers(part.bias, path, "bias")
    eps = float(part.eps)
    scale = np.array([rounded_scale(w, v, eps, path) for w, v in zip(weight, var, strict=True)])
    triples = zip(bias, mean, scale, strict=True)
    shift = np.array([float(Fraction(b) - Fraction(m) * Fraction(s)) for b, m, s in triples])
    repeat = reader.width // len(mean)  # the channels come first: (C,) or (C, L)
    size, offset = np.abs(scale), np.abs(bias) + np.abs(mean) * np.abs(scale)
    # var + eps, its root, the quotient and its product with the weight, mean * scale, the differences and the products
    # with x, in any of the orders in use, plus eps cast to the dtype and our own two roundings: fewer than 16.
    step = _Step(np.repeat(size, repeat), np.repeat(offset, repeat), 16)
    reader.affine(np.repeat(scale, repeat), np.repeat(shift, repeat), step)


def rounded_scale(weight: float, variance: float, eps: float, path: str = "") -> float:
    """``weight / sqrt(variance + eps)`` of these doubles as exact numbers, correctly rounded to double.

    Examples
    --------
    >>> rounded_scale(1.0, 2.0, 0.0) == 0.5**0.5, rounded_scale(-3.0, 4.0, 0.0)
    (True, -1.5)
    """
    total = Fraction(float(variance)) + Fraction(float(eps))
    if total <= 0:
        raise ValueError(f"module {path!r}: running_var + eps is {float(total)}, which has no positive root")
    square = Fraction(float(weight)) ** 2 / total
    if square == 0:
        return 0.0
    # 2^shift scales the root to at least 2^64, so that the floor of it holds more than the 53 bits of a double and one
    # sticky bit behind it rounds as the exact root does. (A subnormal quotient of these bits still rounds only once.)
    shift = max(0, 66 + (square.denominator.bit_length() - square.numerator.bit_length()) // 2)
    scaled = square.numerator << (2 * shift)
    floor = isqrt(scaled // square.denominator)
    sticky = int(floor * floor * square.denominator != scaled)
    root = float(Fraction(2 * floor + sticky, 1 << (shift + 1)))
    return root if weight > 0 else -root


# ---- checking


def _check(module: nn.Module, network: Network, steps: list[_Step], shape: tuple[int, ...], count: int) -> None:
    """Compares with the module's own forward pass in float64 and, where it has one format, in its own dtype."""
    import torch

    generator = np.random.default_rng(0)
    # Points of several sizes, float32 numbers so that they are the same in both formats; the last one is 0.
    points = generator.standard_normal((count, int(np.prod(shape)))) * 2.0 ** generator.integers(-3, 4, (count, 1))
    points = points.astype(np.float32).astype(np.float64)
    points[-1] = 0.0
    with np.errstate(all="ignore"):
        expected, error = network.forward(points)
    plain = _plain_copy(module)
    dtypes = {str(t.dtype) for t in [*plain.parameters(), *plain.buffers()] if t.is_floating_point()}
    trials: list[tuple[Any, Any]] = [(plain.double(), torch.float64)]
    if dtypes == {"torch.float32"}:
        trials.append((_copy(module), torch.float32))
    for trial, dtype in trials:
        with torch.no_grad():
            inputs = torch.from_numpy(points.copy()).to(dtype).reshape(count, *shape)
            try:
                found = trial(inputs)
            except (RuntimeError, ValueError, TypeError) as problem:
                reason = f"the module's own forward pass failed on shape {tuple(inputs.shape)}: {problem}"
                raise MismatchError(reason) from problem
        found = found.double().reshape(count, -1).numpy()
        unit, tiny = FORMATS[str(dtype)]
        bound = error + _rounding(steps, points, unit, tiny)
        _compare(expected, found, bound, str(dtype))


def _rounding(steps: list[_Step], points: F64, unit: float, tiny: float) -> F64:
    """Bounds of the difference between a float evaluation of the layers and the exact network, (M, m).

    With |x| <= X and an error e in x, a layer with at most k roundings on any path gives an error of at most
    |W| e + gamma(k) (|W| (X + e) + |b|) plus one underflow of k terms; hinges with slopes at most L multiply by L.
    The doubled constant covers the rounding of this very computation.
    """
    size, error = np.abs(points), np.zeros_like(points)
    for step in steps:
        before, passed = _apply(step, size + error), _apply(step, error)
        size = _apply(step, size) + step.offset
        error = passed + gamma(2 * step.roundings, unit) * (before + step.offset) + 2 * step.roundings * tiny
    return 2 * error


def _apply(step: _Step, values: F64) -> F64:
    return values @ step.size.T if step.size.ndim == 2 else values * step.size


def _compare(expected: F64, found: F64, bound: F64, dtype: str) -> None:
    if found.shape != expected.shape:
        raise MismatchError(f"the module puts out {found.shape[1]} numbers per point, the network {expected.shape[1]}")
    gap = np.abs(expected - found)
    wrong = ~(gap <= bound)  # also where either is NaN
    if wrong.any():
        k, j = map(int, np.argwhere(wrong)[0])
        raise MismatchError(
            f"output {j} at a random point is {found[k, j]} in the module's own {dtype} forward pass, but "
            f"{expected[k, j]} in the network read from it (allowed difference {bound[k, j]:.3g})"
        )
