"""from_torch: exact weights, batch normalisation rounded once, the self-check; unsupported layers named by path."""

from __future__ import annotations

import importlib
import inspect
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

import pyregions as pr
from pyregions.from_torch import rounded_scale

torch = pytest.importorskip("torch")
nn = torch.nn
prune = importlib.import_module("torch.nn.utils.prune")
parametrizations = importlib.import_module("torch.nn.utils.parametrizations")


def seeded(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(layer() for layer in layers))


def with_batch_norm(channels=6, **options):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(channels, **options)
    model = nn.Sequential(nn.Linear(4, channels), norm, nn.ReLU(), nn.Linear(channels, 3))
    if norm.running_mean is not None:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 3.0)
    if norm.weight is not None:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return model


def agrees(net, model, shape, tolerance=1e-5):
    x = torch.randn(7, *shape, dtype=next((p.dtype for p in model.parameters()), torch.float32))
    with torch.no_grad():
        expected = model(x).double().numpy().reshape(7, -1)
    assert np.allclose(net(x.numpy()), expected, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nested_sequential(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 8), nn.Identity(), nn.LeakyReLU(0.2), nn.Linear(8, 5, bias=False)),
        nn.Sequential(nn.LeakyReLU(0.0), nn.Dropout(0.0)),
        nn.Linear(5, 4),
    ).to(dtype)
    net = pr.from_torch(model, input_shape=(3, 2, 2))
    assert (net.inputs, net.stage_widths, net.outputs, net.input_shape) == (12, [8, 5], 4, (3, 2, 2))
    agrees(net, model, (3, 2, 2))
    weight = model[1][0].weight.detach().double().numpy()
    assert (net.nodes[0].terms[0][1] == weight).all()
    r = net.region(torch.randn(3, 2, 2))
    assert r.contains(r.point) and r.verify().total > 0


def test_layers_in_unusual_places():
    torch.manual_seed(0)
    relu = nn.ReLU()
    model = nn.Sequential(relu, nn.Linear(3, 4), nn.Linear(4, 4), relu, relu, nn.Linear(4, 2), nn.ReLU(inplace=True))
    net = pr.from_torch(model, 3)
    assert net.stage_widths == [3, 4, 4, 2] and net.outputs == 2  # two linear layers in a row stay two exact stages
    agrees(net, model, (3,))
    assert pr.from_torch(nn.Linear(3, 2), (3,)).units == 0
    assert pr.from_torch(nn.ReLU(), (2,)).stage_widths == [2]

    class Small(nn.Sequential):
        """Only an __init__: computes what Sequential computes."""

        def __init__(self):
            super().__init__(nn.Linear(3, 2), nn.ReLU())

    assert pr.from_torch(Small(), 3).stage_widths == [2]


def test_a_network_without_units_has_one_region():
    net = pr.from_torch(nn.Linear(2, 2), 2)
    r = net.region([0.5, 0.25], domain=pr.Box(0, 1))
    assert r.pattern.shape == (0,) and len(r.facets) == 4 and r.chebyshev.radius == pytest.approx(0.5)
    assert r.verify().counts["facets"] == 4


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"eps": 0.1}])
def test_batch_norm_is_a_diagonal_stage_rounded_once(options):
    model = with_batch_norm(**options).eval()
    net = pr.from_torch(model, 4)
    norm, (_, scale), shift = model[1], net.nodes[1].terms[0], net.nodes[1].bias
    assert scale.shape == (6,)
    weight = np.ones(6) if norm.weight is None else norm.weight.detach().double().numpy()
    bias = np.zeros(6) if norm.bias is None else norm.bias.detach().double().numpy()
    mean, var = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
    for k in range(6):
        with localcontext() as context:
            context.prec = 60  # far beyond 53 bits: the nearest double of this value is the nearest of the exact one
            total = Decimal(float(var[k])) + Decimal(norm.eps)
            assert scale[k] == float(Decimal(float(weight[k])) / total.sqrt())
        assert shift[k] == float(Fraction(float(bias[k])) - Fraction(float(mean[k])) * Fraction(float(scale[k])))
    agrees(net, model, (4,))


def test_rounded_scale_is_correctly_rounded():
    rng = np.random.default_rng(0)
    for _ in range(200):
        w, v, e = rng.normal() * 10.0 ** rng.integers(-30, 30), rng.uniform() * 10.0 ** rng.integers(-20, 20), 1e-5
        s, square = Fraction(rounded_scale(w, v, e)), Fraction(w) ** 2 / (Fraction(v) + Fraction(e))
        half = Fraction(float(np.spacing(float(abs(s))))) / 2
        assert (abs(s) - half) ** 2 <= square <= (abs(s) + half) ** 2 and (s > 0) == (w > 0)
    assert rounded_scale(0.0, 1.0, 0.0) == 0.0
    with pytest.raises(ValueError, match="no positive root"):
        rounded_scale(1.0, 0.0, 0.0)


def test_batch_norm_over_channels_and_length():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(6, 2)).eval()
    model[0].running_mean.normal_()
    agrees(pr.from_torch(model, (3, 2)), model, (3, 2))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return torch.relu(self.inner(x))


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked():
    model = seeded(lambda: nn.Linear(3, 3), nn.ReLU)
    model[0].register_forward_hook(lambda module, inputs, output: output + 1)
    return model


def pre_hooked():
    model = seeded(lambda: nn.Linear(3, 3), nn.ReLU)
    model[1].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    return model


def patched():
    model = seeded(lambda: nn.Linear(3, 3))
    model[0].forward = lambda x: x
    return model


@pytest.mark.parametrize(
    ("make", "path", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Tanh())), "1.0", "Tanh is not supported"),
        (lambda: nn.Sequential(nn.Linear(3, 3), Functional()), "1", "forward method of one's own"),
        (Functional, "", "Functional is not supported"),
        (lambda: nn.Sequential(Doubled(3, 3)), "0", "Doubled is not supported"),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), "1", "Softmax"),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)), "1", "random function; call eval"),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "1", "batch statistics; call eval"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)).eval(), "0", "running statistics"),
        (hooked, "0", "forward hooks"),
        (pre_hooked, "1", "forward hooks"),
        (patched, "0", "replaced on the instance"),
        (lambda: nn.Sequential(nn.Linear(3, 3, dtype=torch.complex64)), "0", "complex64"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "0", "hooks|not supported"),
        (lambda: nn.Sequential(nn.Flatten(0), nn.Linear(3, 3)), "0", "mixes the points of a batch"),
        (lambda: nn.Sequential(nn.ReLU6()), "0", "ReLU6"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_unsupported_layers_are_named(make, path, message):
    with pytest.raises(pr.UnsupportedLayerError, match=message) as caught:
        pr.from_torch(make(), 3)
    assert caught.value.path == path and isinstance(caught.value, pr.PyregionsError)


def test_linear_on_an_image_needs_a_flatten():
    with pytest.raises(pr.UnsupportedLayerError, match="put a Flatten before it"):
        pr.from_torch(nn.Sequential(nn.Linear(2, 2)), (2, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[0].weight.data.fill_(float("nan")), "'0': its weight holds NaN"),
        (lambda m: m[2].bias.data.fill_(float("inf")), "'2': its bias holds NaN or infinite"),
        (lambda m: setattr(m, "1", nn.LeakyReLU(float("nan"))), "negative_slope is nan"),
    ],
)
def test_bad_weights(change, message):
    model = seeded(lambda: nn.Linear(3, 3), nn.ReLU, lambda: nn.Linear(3, 2))
    change(model)
    with pytest.raises(ValueError, match=message):
        pr.from_torch(model, 3)


@pytest.mark.parametrize("shape", [4, (3, 1, 2), 0, ()])
def test_bad_input_shapes(shape):
    model = seeded(nn.Flatten, lambda: nn.Linear(3, 2))
    with pytest.raises(ValueError, match="check input_shape|input_shape must be"):
        pr.from_torch(model, shape)


def test_not_a_module():
    with pytest.raises(TypeError, match="expected a torch.nn.Module, got list"):
        pr.from_torch([1, 2], 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_are_exact_in_float64(dtype):
    model = seeded(lambda: nn.Linear(3, 4), nn.ReLU, lambda: nn.Linear(4, 2)).to(dtype)
    net = pr.from_torch(model, 3)
    assert (net.nodes[0].terms[0][1] == model[0].weight.detach().double().numpy()).all()


def test_pruned_and_parametrized_weights_are_those_of_forward():
    model = seeded(lambda: nn.Linear(6, 5), nn.ReLU, lambda: nn.Linear(5, 2))
    prune.random_unstructured(model[0], "weight", amount=0.5)
    with torch.no_grad():
        model[0].weight_orig.mul_(2.0)  # as an optimizer step: the masked weight is stale until the next forward pass
    net = pr.from_torch(model, 6)
    agrees(net, model, (6,))
    assert (net.nodes[0].terms[0][1] == 0).sum() == 15
    assert "weight_orig" in dict(model[0].named_parameters())  # the module is left as it was
    plain = seeded(lambda: nn.Linear(6, 5), nn.ReLU, lambda: nn.Linear(5, 2))
    parametrizations.weight_norm(plain[0])
    agrees(pr.from_torch(plain, 6), plain, (6,))
    assert nn.utils.parametrize.is_parametrized(plain[0]) and plain[0].weight.shape == (5, 6)


def test_the_module_is_not_changed():
    model = with_batch_norm().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pr.from_torch(model, 4)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before) and not model.training


@pytest.mark.parametrize("wrong", ["weight", "slope", "scale", "order"])
def test_the_self_check_refuses_a_wrong_reading(monkeypatch, wrong):
    reader = inspect.unwrap(pr.from_torch).__globals__["_Reader"]
    model = with_batch_norm().eval()
    honest = reader.affine

    def affine(self, matrix, bias, step):
        if wrong == "weight" and len(self.nodes) == 0:
            matrix = matrix.copy()
            matrix[0, 0] += 1e-3
        if wrong == "scale" and matrix.ndim == 1:
            matrix = matrix * (1 + 1e-9)  # seen in float64, invisible in float32
        if wrong == "order" and matrix.ndim == 1:
            matrix = matrix[::-1].copy()
        honest(self, matrix, bias, step)

    monkeypatch.setattr(reader, "affine", affine)
    if wrong == "slope":
        hinge = reader.hinge
        monkeypatch.setattr(reader, "hinge", lambda self, low: hinge(self, low + 0.01))
    with pytest.raises(pr.MismatchError, match="own torch.float64 forward pass"):
        pr.from_torch(model, 4)


def test_the_self_check_is_neither_loose_nor_false_on_deep_networks():
    torch.manual_seed(0)
    layers = []
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10)).eval()
    for part in model:
        if isinstance(part, nn.BatchNorm1d):
            part.running_var.uniform_(1e-6, 1e-2)
    net = pr.from_torch(model, 64, check_points=64)
    agrees(net, model.double(), (64,), tolerance=1e-6)


def test_check_points_must_be_positive():
    with pytest.raises(ValueError, match="check_points"):
        pr.from_torch(nn.Linear(2, 2), 2, check_points=0)
