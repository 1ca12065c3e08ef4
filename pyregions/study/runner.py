"""The study itself: train, measure and store network after network, then judge the claims and write the report."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import platform
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import __version__, store
from ..errors import PyregionsError
from ..store import OutputError
from . import aggregate, claims, data, measure, train, verdicts
from .config import RunKey, StudyConfig

# Version of the layout and meaning of the stored rows; a study continues only what has the same.
FORMAT = 2
# Imported module and the name of its distribution.
EXTRAS = {
    "torch": "torch",
    "scipy": "scipy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "matplotlib": "matplotlib",
    "jinja2": "jinja2",
    "rich": "rich",
    "threadpoolctl": "threadpoolctl",
}
OWN_FILES = ("config.json", "summary.json", "report.html", "regions.parquet")
OWN_FOLDERS = ("networks", "figures")


class MissingExtraError(PyregionsError, ImportError):
    """A component of the study is not installed."""


class Progress(Protocol):
    """What is told while a study runs."""

    def start(self, total: int, finished: int) -> None:
        """`finished` of `total` networks were found in the folder."""

    def step(self, network: str, step: str) -> None:
        """A step of a network begins."""

    def finish(self, network: str, accuracy: float) -> None:
        """A network is finished and stored."""

    def write(self, step: str) -> None:
        """A step after the last network begins."""


class Silence:
    """Tells nothing."""

    def start(self, total: int, finished: int) -> None: ...

    def step(self, network: str, step: str) -> None: ...

    def finish(self, network: str, accuracy: float) -> None: ...

    def write(self, step: str) -> None: ...


@dataclass(frozen=True)
class StudyResult:
    """A finished study.

    Attributes
    ----------
    folder
        Where report.html, figures/, regions.parquet and summary.json are.
    points
        One row per network, domain and point (a pandas DataFrame; the content of regions.parquet).
    networks
        One row per network, domain and sort of inputs (a pandas DataFrame).
    findings
        The claims with every effect and verdict.
    summary
        The content of summary.json.
    """

    config: StudyConfig
    folder: Path
    points: Any
    networks: Any
    findings: list[verdicts.Finding]
    summary: dict[str, Any]


def require_extras() -> None:
    """Raise MissingExtraError if a component of the study is missing."""
    missing = []
    for module, distribution in EXTRAS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(distribution)
    if missing:
        raise MissingExtraError(f'the study needs {", ".join(missing)}: pip install "pyregions[study]"')


def run(config: StudyConfig | None = None, *, overwrite: bool = False, progress: Progress | None = None) -> StudyResult:
    """Run a study, or continue one that was interrupted.

    Parameters
    ----------
    config
        What to do; the default study without it.
    overwrite
        Remove the results of another configuration from the folder instead of refusing.
    progress
        Told what happens; nobody without it.

    Returns
    -------
    StudyResult
        Also written to `config.folder`: report.html, figures/, regions.parquet, summary.json, networks/.

    Raises
    ------
    MissingExtraError
        If a component is not installed.
    DataError
        If the data set is not installed or malformed.
    OutputError
        If the folder cannot be written or holds a study of another configuration; both before training.

    Examples
    --------
    >>> from pyregions import study
    >>> result = study.run(study.StudyConfig.quick_version(out="study"))  # doctest: +SKIP
    """
    config, progress = config or StudyConfig(), progress or Silence()
    require_extras()
    folder = config.folder
    dataset = data.load(config.data)
    config = config.resolved(dataset.inputs)
    store.ensure_writable(folder)
    claim_folder(folder, identity(config, dataset), overwrite)
    keys = config.runs()
    open_keys = [key for key in keys if not _is_finished(folder, key)]
    progress.start(len(keys), len(keys) - len(open_keys))
    # Networks are trained one after the other on a thread of its own, while those before them are measured.
    trainer = ThreadPoolExecutor(1)
    try:
        jobs = [trainer.submit(trained_network, folder, key, config, dataset) for key in open_keys]
        for key, job in zip(open_keys, jobs, strict=True):
            step = partial(progress.step, key.name)
            step("training")
            record = run_network(folder, key, config, dataset, job.result(), step)
            progress.finish(key.name, record["test_accuracy"])
    finally:
        trainer.shutdown(cancel_futures=True)
    return conclude(config, dataset, progress)


def identity(config: StudyConfig, dataset: data.Dataset) -> dict[str, Any]:
    """What the stored results depend on: configuration, data and version."""
    fingerprint = hashlib.blake2b(digest_size=16)
    for array in (dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y):
        fingerprint.update(np.ascontiguousarray(array).tobytes())
    return {
        "format": FORMAT,
        "pyregions": __version__,
        "config": config.identity(),
        "data_fingerprint": fingerprint.hexdigest(),
    }


def claim_folder(folder: Path, wanted: dict[str, Any], overwrite: bool) -> None:
    """Make `folder` that of this study: new, or the same study's, or another one's that may be overwritten.

    Raises
    ------
    OutputError
        If it belongs to another study and `overwrite` is not set.
    """
    path = folder / "config.json"
    if path.exists():
        found = None if overwrite else store.read_json(path)
        if found == store.plain(wanted):
            return
        if not overwrite:
            raise OutputError(
                f"{str(folder)!r} holds a study of another configuration ({_difference(found, wanted)}); "
                "give another --out, or --overwrite to remove it"
            )
        _remove_results(folder)
    store.write_json(path, wanted)


def _difference(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        return "its config.json is not one of ours"
    flat = [{**side["config"], **{k: v for k, v in side.items() if k != "config"}} for side in (found, wanted)]
    names = sorted(name for name in {*flat[0], *flat[1]} if flat[0].get(name) != store.plain(flat[1].get(name)))
    return "; ".join(f"{name}: {flat[0].get(name)!r} there, {flat[1].get(name)!r} now" for name in names)


def _remove_results(folder: Path) -> None:
    # Only what a study writes: the folder may be one where the user keeps other things.
    for name in OWN_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in OWN_FILES:
        (folder / name).unlink(missing_ok=True)


def _files(folder: Path, key: RunKey) -> tuple[Path, Path, Path]:
    stem = folder / "networks" / key.name
    return Path(f"{stem}.npz"), Path(f"{stem}.parquet"), Path(f"{stem}.json")


def examples_file(folder: Path, key: RunKey) -> Path:
    """Where the examples of a network are: images and the nearest input of another class in the same region."""
    return folder / "networks" / f"{key.name}-examples.npz"


def _is_finished(folder: Path, key: RunKey) -> bool:
    # The record is written last, so it stands for the weights and the rows as well.
    return all(path.exists() for path in (*_files(folder, key), examples_file(folder, key)))


@dataclass(frozen=True)
class Trained:
    """A trained module, in evaluation mode, its accuracies and the time that training took."""

    model: Any
    test_accuracy: float
    train_accuracy: float
    seconds: float


def trained_network(folder: Path, key: RunKey, config: StudyConfig, dataset: data.Dataset) -> Trained:
    """Train one network and store its weights, or load them where they are stored."""
    weights = _files(folder, key)[0]
    start = time.perf_counter()
    if weights.exists():
        model = train.restore(key, config, dataset, store.read_arrays(weights))
    else:
        model = train.train(key, config, dataset)
        store.write_arrays(weights, train.state_arrays(model))
    seconds = time.perf_counter() - start
    test = train.accuracy(model, dataset.test_x, dataset.test_y)
    return Trained(model, test, train.accuracy(model, dataset.train_x, dataset.train_y), seconds)


def run_network(
    folder: Path,
    key: RunKey,
    config: StudyConfig,
    dataset: data.Dataset,
    trained: Trained,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """Measure and store one trained network; returns its record."""
    import pandas

    from ..from_torch import from_torch

    _, table, record_file = _files(folder, key)
    start = time.perf_counter()
    network = from_torch(trained.model, input_shape=(dataset.inputs,))
    points = measure.choose_points(config, dataset, key.seed)
    rows = measure.measure(network, points, key, config, step)
    store.write_arrays(examples_file(folder, key), measure.take_examples(rows, points))
    record = {
        "kind": key.kind,
        "learning_rate": key.learning_rate,
        "seed": key.seed,
        "test_accuracy": trained.test_accuracy,
        "train_accuracy": trained.train_accuracy,
        "layers": list(network.stage_widths),
        "seconds_training": trained.seconds,
        "seconds_measuring": time.perf_counter() - start,
    }
    store.write_table(table, pandas.DataFrame(rows))
    store.write_json(record_file, record)
    return record


def conclude(config: StudyConfig, dataset: data.Dataset, progress: Progress) -> StudyResult:
    """Judge the stored networks and write regions.parquet, summary.json, the figures and the report."""
    import pandas

    from . import figures, report

    folder = config.folder
    keys = config.runs()
    records = [store.read_json(_files(folder, key)[2]) for key in keys]
    tables = [store.read_table(_files(folder, key)[1]) for key in keys]
    groups = {}
    for rate, seed in {(key.learning_rate, key.seed): None for key in keys}:
        own = [k for k, key in enumerate(keys) if (key.learning_rate, key.seed) == (rate, seed)]
        groups[rate, seed] = verdicts.Group(
            {keys[k].kind: tables[k] for k in own}, {keys[k].kind: records[k]["test_accuracy"] for k in own}
        )
    points = pandas.concat(tables, ignore_index=True)
    networks = aggregate.network_lines(points)
    findings = verdicts.evaluate(claims.claims(config.depth), groups, config.quick)
    summary = summarise(config, dataset, points, networks, records, findings)
    result = StudyResult(config, folder, points, networks, findings, summary)
    progress.write("figures and report")
    store.write_table(folder / "regions.parquet", points)
    store.write_json(folder / "summary.json", summary)
    drawn = figures.draw_all(result, dataset)
    report.write(result, dataset, drawn)
    return result


def summarise(
    config: StudyConfig,
    dataset: data.Dataset,
    points: Any,
    networks: Any,
    records: list[dict[str, Any]],
    findings: list[verdicts.Finding],
) -> dict[str, Any]:
    """The content of summary.json."""
    lines = networks.to_dict("records")
    for record in records:
        own = [line for line in lines if all(line[name] == record[name] for name in aggregate.KEY[:3])]
        record["regions"] = [{k: v for k, v in line.items() if k not in aggregate.KEY[:3]} for line in own]
    return {
        "format": FORMAT,
        "config": {**config.identity(), "epochs_used": config.epochs_for(len(dataset.train_y))},
        "data": {
            "name": dataset.name,
            "description": dataset.description,
            "inputs": dataset.inputs,
            "classes": dataset.classes,
            "training_images": len(dataset.train_y),
            "test_images": len(dataset.test_y),
        },
        "versions": versions(),
        "undecided": aggregate.undecided_counts(points),
        "claims": [_claim_summary(finding) for finding in findings],
        "networks": records,
    }


def _claim_summary(finding: verdicts.Finding) -> dict[str, Any]:
    return {
        "key": finding.claim.key,
        "claim": finding.claim.text,
        "how": finding.claim.how,
        "verdict": finding.verdict,
        "notes": list(finding.notes),
        "measures": [
            {
                "name": effect.measure.name,
                "unit": effect.measure.unit,
                "claimed_sign": effect.measure.expected,
                "deciding": effect.measure.deciding,
                "verdict": effect.verdict,
                "by_learning_rate": [
                    {
                        "learning_rate": rate,
                        "values": list(values),
                        "mean": effect.intervals[rate].mean,
                        "interval": [effect.intervals[rate].low, effect.intervals[rate].high],
                    }
                    for rate, values in effect.values.items()
                ],
            }
            for effect in finding.effects
        ],
    }


def versions() -> dict[str, str]:
    """Versions of everything that the results may depend on."""
    names = ("numpy", "torch", "highspy", "scipy-openblas32", "scipy", "scikit-learn", "pandas")
    return {"pyregions": __version__, "python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
