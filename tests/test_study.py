"""The study: verdicts on synthetic effects, configuration, folders, statistics, and one tiny study from end to end."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import pyregions as pr
from pyregions import analysis, store, study
from pyregions.store import OutputError
from pyregions.study import ConfigError, RunKey, StudyConfig, aggregate, describe, figures, measure, runner, train
from pyregions.study.claims import claims
from pyregions.study.verdicts import OPEN

STEADY = [1.0, 1.1, 0.9, 1.05, 0.95]


# Configuration and folders


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"width": 0}, "width"), ({"depth": 1.5}, "depth"), ({"seeds": ()}, "seeds"), ({"seeds": (1, 1)}, "seeds"),
        ({"seeds": (-1,)}, "seeds"), ({"learning_rates": (math.nan,)}, "learning_rates"), ({"images": True}, "images"),
        ({"dropout": 1.0}, "dropout"), ({"epochs": 0}, "epochs"), ({"data": ""}, "data"), ({"workers": 0}, "workers"),
        ({"learning_rates": ("fast",)}, "learning_rates"), ({"box_facets": -1}, "box_facets"),
        ({"exact_budget": -1.0}, "exact_budget"), ({"exact_budget": math.nan}, "exact_budget"),
    ],
)  # fmt: skip
def test_bad_configuration_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        StudyConfig(**changes)


def test_configuration_survives_json() -> None:
    config = StudyConfig(out=Path("x"), workers=3)
    assert json.loads(json.dumps(config.identity())) == StudyConfig().identity()
    assert len(config.runs()) == 30 and len({key.name for key in config.runs()}) == 30


def test_sizes_follow_the_number_of_inputs() -> None:
    assert StudyConfig().data == "mnist" and StudyConfig.quick_version().data == "digits"
    large, small = StudyConfig().sizes(784), StudyConfig().sizes(64)
    assert (large.width, small.width) == (256, 64)
    assert 0 < large.box_facets < large.images < small.images == small.box_facets
    assert StudyConfig(width=5, images=3, random=0).sizes(784) == (5, 3, 0, min(3, large.box_facets))
    assert StudyConfig(images=2, box_facets=9).sizes(784).box_facets == 2
    config = StudyConfig(width=5).resolved(784)
    assert config.resolved(64) == config and config.sizes(784) == (5, *large[1:])


def test_folder_is_refused_to_another_configuration(tmp_path: Path) -> None:
    wanted = {"format": 1, "config": {"width": 64}}
    runner.claim_folder(tmp_path, wanted, overwrite=False)
    (tmp_path / "networks").mkdir()
    (tmp_path / "mine.txt").write_text("kept")
    runner.claim_folder(tmp_path, wanted, overwrite=False)
    other = {"format": 1, "config": {"width": 32}}
    with pytest.raises(OutputError, match="width: 64 there, 32 now"):
        runner.claim_folder(tmp_path, other, overwrite=False)
    assert (tmp_path / "networks").exists()
    runner.claim_folder(tmp_path, other, overwrite=True)
    assert not (tmp_path / "networks").exists() and (tmp_path / "mine.txt").exists()


def test_unwritable_out_is_found_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("training started")

    monkeypatch.setattr(train, "train", forbidden)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        study.run(StudyConfig(data="digits", out=tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write"):
        study.run(StudyConfig(data="digits", out=tmp_path / "file" / "deeper"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        study.run(StudyConfig(data="digits", out=tmp_path))


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    def failing(file: Any) -> None:
        file.write(b"half")
        raise RuntimeError("no")

    store.write_text(tmp_path / "a", "first")
    with pytest.raises(RuntimeError):
        store.write_atomically(tmp_path / "a", failing)
    assert (tmp_path / "a").read_text() == "first" and os.listdir(tmp_path) == ["a"]


def test_json_is_strict(tmp_path: Path) -> None:
    store.write_json(tmp_path / "a.json", {"x": [math.nan, math.inf, np.float64(2), np.arange(2)], 3: True})
    assert store.read_json(tmp_path / "a.json") == {"x": [None, "inf", 2.0, [0, 1]], "3": True}
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        store.read_json(tmp_path / "a.json")


# Statistics


def test_mean_abs_cosine_against_all_pairs() -> None:
    normals = np.random.default_rng(1).normal(size=(7, 5))
    pairs = [
        abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) for i, a in enumerate(normals) for b in normals[:i]
    ]  # fmt: skip
    assert analysis.mean_abs_cosine(normals) == pytest.approx(np.mean(pairs))
    assert analysis.mean_abs_cosine(np.eye(4)) == 0
    assert math.isnan(analysis.mean_abs_cosine(normals[:1]))


def test_random_abs_cosine() -> None:
    # In the plane the mean of |cos| over the circle is 2 / pi; in space 1 / 2.
    assert analysis.random_abs_cosine(2) == pytest.approx(2 / math.pi)
    assert analysis.random_abs_cosine(3) == pytest.approx(1 / 2)


def test_layers_of_rows() -> None:
    rows = np.array([0, 3, 4, 5, 6, 99])
    assert analysis.layers_of_rows([4, 2], rows).tolist() == [1, 1, 2, 2, 0, 0]


def test_map_similarities() -> None:
    W = np.random.default_rng(2).normal(size=(3, 4, 5))
    whole, per_class, change = analysis.whole_cosines(W), analysis.class_cosines(W), analysis.relative_changes(W)
    for a in range(3):
        for b in range(3):
            rows = [W[a, k] @ W[b, k] / np.linalg.norm(W[a, k]) / np.linalg.norm(W[b, k]) for k in range(4)]
            assert per_class[a, b] == pytest.approx(np.mean(rows))
            assert whole[a, b] == pytest.approx(np.sum(W[a] * W[b]) / np.linalg.norm(W[a]) / np.linalg.norm(W[b]))
            assert change[a, b] == pytest.approx(np.linalg.norm(W[a] - W[b]) / np.linalg.norm(W[a]), abs=1e-7)


def test_nearest_other_class_in_a_square() -> None:
    # One unit that is on in the whole box; outputs x, y - 1/4 and -10: class 0 where x > y - 1/4.
    layers = [(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([8.0, 8.0])),
              (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([-8.0, -8.25, -10.0]))]  # fmt: skip
    network = pr.Network.from_arrays(layers)
    x = np.array([0.5, 0.5])
    region = network.region(x, domain=pr.Box(0, 1))
    other = analysis.nearest_other_class(region, x)
    assert other and other.label == 1 and other.distance == pytest.approx(0.25 / math.sqrt(2), rel=1e-6)
    assert region.contains(other.point)
    tight = network.region(x, domain=pr.Box(0.45, 0.55))
    assert not analysis.nearest_other_class(tight, x)
    assert not tight.decision_boundaries().crossed


def test_points_do_not_depend_on_the_network() -> None:
    dataset, config = study.load("digits"), StudyConfig(images=6, random=3)
    points = measure.choose_points(config, dataset, 1)
    assert len(points) == 9 and points.inputs == ["image"] * 6 + ["random"] * 3
    assert points.box_facets == [True] * 6 + [False] * 3
    few = measure.choose_points(StudyConfig(images=6, random=3, box_facets=2), dataset, 1)
    assert few.box_facets == [True] * 2 + [False] * 7 and np.array_equal(few.x, points.x)
    assert np.array_equal(points.x[0], dataset.test_x[points.index[0]])
    assert np.array_equal(points.x, measure.choose_points(config, dataset, 1).x)
    assert not np.array_equal(points.x, measure.choose_points(config, dataset, 2).x)


@pytest.mark.parametrize("kind", study.KINDS)
def test_training_is_repeatable_and_leaves_torch_alone(kind: str) -> None:
    import torch

    dataset, config = study.load("digits"), StudyConfig(width=8, depth=2, epochs=1)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = train.train(RunKey(kind, 1e-3, 3), config, dataset)
    assert torch.equal(torch.rand(1), expected)
    again = train.train(RunKey(kind, 1e-3, 3), config, dataset)
    restored = train.restore(RunKey(kind, 1e-3, 3), config, dataset, train.state_arrays(first))
    images = torch.from_numpy(dataset.test_x)
    with torch.no_grad():
        assert torch.equal(first(images), again(images)) and torch.equal(first(images), restored(images))


@pytest.mark.parametrize("seed", range(6))
def test_classes_in_the_box_as_all_pairs_say(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = [3, 6, 6, 4]
    network = pr.Network.from_arrays(
        [(generator.normal(size=(m, n)), generator.normal(size=m)) for n, m in zip(sizes, sizes[1:])]
    )
    for x in generator.uniform(size=(6, 3)):
        whole = network.region(x, domain=pr.Box(0, 1))
        nearest = analysis.nearest_other_class(whole, x)
        crossed = whole.decision_boundaries().crossed
        assert crossed == bool(nearest)
        rows = describe.describe(network, x, image=True, box_facets=False, budget=1.0)["box"].row
        assert rows["crossed"] == crossed and rows["other_class"] == nearest.label and "facets" not in rows
        assert rows["other_class_distance"] == pytest.approx(nearest.distance, rel=1e-6)
        rows = describe.describe(network, x, image=False, box_facets=True, budget=1.0)["box"].row
        assert rows["crossed"] == crossed and "other_class" not in rows and rows["neighbors"] == rows["facets"]


def test_a_network_with_some_outputs_has_the_same_regions() -> None:
    network = pr.Network.from_arrays(
        [([[1.0, 2.0], [3.0, -1.0]], [0.5, 0.0]), ([[1.0, 2.0], [0.0, 1.0], [3.0, 4.0]], [1.0, 2.0, 3.0])]
    )
    few, x = describe.with_outputs(network, [2, 0]), np.array([0.25, 0.5])
    assert np.array_equal(few(x), network(x)[[2, 0]])
    assert np.array_equal(few.region(x).halfspaces.A, network.region(x).halfspaces.A)


def test_a_point_on_a_boundary_is_a_failed_row_in_both_domains() -> None:
    network = pr.Network.from_arrays([([[1.0, 0.0]], [-0.5]), ([[1.0], [-1.0]], [0.0, 0.0])])
    answers = describe.describe(network, np.array([0.5, 0.5]), True, True, 1.0)
    assert all(answer.map is None and "OnBoundaryError" in answer.row["status"] for answer in answers.values())


# From end to end

TINY = {
    "data": "digits", "width": 8, "depth": 2, "seeds": (0, 1), "learning_rates": (1e-3, 3e-3), "epochs": 2, "images": 4,
    "random": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> study.StudyResult:
    return study.run(StudyConfig(**TINY, out=tmp_path_factory.mktemp("study"), workers=1))  # type: ignore[arg-type]


def test_tiny_study_measures_everything(tiny: study.StudyResult) -> None:
    points = tiny.points
    assert len(points) == 12 * 6 * 2 and (points["status"] == "ok").all()
    asked = points["facets"].notna()
    assert (asked == ((points["domain"] == "all") | (points["inputs"] == "image"))).all()
    assert (points.loc[asked, "undecided_rows"] == 0).all()
    assert (points["radius_lower"] <= points["radius"]).all() and (points["radius"] <= points["radius_upper"]).all()
    box, free = points[points["domain"] == "box"], points[points["domain"] == "all"]
    # Parts of regions are not larger, always bounded, and have no more walls made by units.
    assert (box["radius"].to_numpy() <= free["radius_upper"].to_numpy()).all()
    assert (box["undecided_claims"] == 0).all()
    assert (box["bounded"] == 1).all() and (free["bounded"] == 0).all()
    images = box[box["inputs"] == "image"]
    assert (images["facets"].to_numpy() <= free.loc[free["inputs"] == "image", "facets"].to_numpy()).all()
    assert (free["facets_on_domain"] == 0).all() and (box["facets_on_domain"] > 0).any()
    assert (points["facets_layer1"] + points["facets_layer2"] == points["facets"])[asked].all()
    assert (points["neighbors"] == points["facets"])[asked].all()
    # Eight rows in the first layer: no region of R^64 has a larger rank.
    assert (free["rank_upper"] <= 8).all()
    # On a region the network is affine: another class is inside exactly where a decision boundary crosses.
    assert (np.isfinite(images["other_class_distance"]) == (images["crossed"] == 1)).all()
    assert (images["other_class_distance"] > 0).all()


def test_tiny_study_writes_everything(tiny: study.StudyResult) -> None:
    folder = tiny.folder
    pandas.testing.assert_frame_equal(pandas.read_parquet(folder / "regions.parquet"), tiny.points)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["config"]["seeds"] == [0, 1] and summary["versions"]["pyregions"] == pr.__version__
    assert len(summary["networks"]) == 12 and len(summary["claims"]) == len(claims(2))
    assert summary["undecided"]["undecided_rows"] == 0 and summary["undecided"]["rows"] > 0
    assert (folder / "figures" / "radius.png").read_bytes().startswith(b"\x89PNG")
    report = (folder / "report.html").read_text()
    for claim in claims(2):
        assert claim.text in report
    # Self-contained: pictures inside, and nothing is fetched.
    assert report.count("data:image/png;base64,") >= 8
    assert not re.search(r"(src|href)=\"(?!data:|#)", report) and "<script" not in report
    assert "nan" not in re.sub(r"base64,[^\"]*", "", report).lower().split()


def test_no_region_falls_off_the_axes_of_radii(tiny: study.StudyResult, monkeypatch: pytest.MonkeyPatch) -> None:
    points = tiny.points.copy()
    points.loc[points["inputs"] == "random", "log10_radius"] -= 3  # far below the panels of images, which come first
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "png", lambda figure: drawn.append(figure) or b"")
    figures.radius(dataclasses.replace(tiny, points=points), study.load("digits"))
    for axes in drawn[0].axes:
        low, high = axes.get_ylim()
        heights = np.concatenate([dots.get_offsets()[:, 1] for dots in axes.collections if len(dots.get_offsets()) > 1])
        assert len(heights) > 0 and (low < heights).all() and (heights < high).all()


def test_study_continues_where_it_stopped(tiny: study.StudyResult, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, config = tiny.folder, tiny.config
    lost = RunKey("dropout", 3e-3, 1)
    (folder / "networks" / f"{lost.name}.json").unlink()
    (folder / "networks" / f"{lost.name}.npz").unlink()
    measured = []
    original = runner.run_network

    def counted(*arguments: Any) -> dict[str, Any]:
        measured.append(arguments[1])
        return original(*arguments)

    monkeypatch.setattr(runner, "run_network", counted)
    again = study.run(config)
    assert measured == [lost]
    pandas.testing.assert_frame_equal(again.points, tiny.points)


def test_networks_and_rows_do_not_depend_on_threads(tiny: study.StudyResult) -> None:
    # The study trains on a thread of its own, beside the one that measures.
    dataset, key = study.load("digits"), RunKey("batchnorm", 3e-3, 1)
    stored = store.read_arrays(tiny.folder / "networks" / f"{key.name}.npz")
    model = train.train(key, tiny.config, dataset)
    assert all(np.array_equal(stored[name], values) for name, values in train.state_arrays(model).items())
    points = measure.choose_points(tiny.config, dataset, key.seed)
    network = pr.from_torch(model, input_shape=(64,))
    config = StudyConfig(**{**tiny.config.identity(), "workers": 3})
    rows = measure.measure(network, points, key, config)
    measure.take_examples(rows, points)
    expected = pandas.read_parquet(tiny.folder / "networks" / f"{key.name}.parquet")
    pandas.testing.assert_frame_equal(pandas.DataFrame(rows), expected)


def test_smallest_study_on_a_folder_of_idx_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("t10k", 3)):
        labels = np.arange(count) % 3
        images = np.minimum(generator.integers(0, 100, size=(count, 3, 2)) + 50 * labels[:, None, None], 255)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
            (tmp_path / name).write_bytes(header + array.astype(np.uint8).tobytes())
    config = StudyConfig(
        data=str(tmp_path), width=4, depth=1, seeds=(3,), learning_rates=(1e-2,), images=5, random=0, epochs=1,
        batch_size=4, out=tmp_path / "out", box_facets=1,
    )  # fmt: skip
    result = study.run(config)
    # There are only three test images, so three are measured; the facets in the box at the one that was asked for.
    assert len(result.points) == 3 * 3 * 2 and (result.points["status"] == "ok").all()
    assert {finding.verdict for finding in result.findings} == {OPEN}
    assert (result.points[result.points["domain"] == "box"].groupby("kind")["facets"].count() == 1).all()
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Fewer than two seeds" in report and "1 of the" in report


def test_interrupted_study_keeps_finished_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = StudyConfig(**{**TINY, "out": tmp_path, "images": 1, "random": 0, "epochs": 1})  # type: ignore[arg-type]
    original, calls = measure.measure, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments[2])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(measure, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.run(config)
    keys = config.runs()
    assert [runner._is_finished(tmp_path, key) for key in keys[:3]] == [True, False, False]
    # The second network was trained already; only its measuring is repeated.
    assert (tmp_path / "networks" / f"{keys[1].name}.npz").exists()
    with pytest.raises(OutputError, match="images: 1 there, 2 now"):
        study.run(StudyConfig(**{**config.identity(), "images": 2, "out": tmp_path}))


def test_undecided_parts_leave_empty_columns() -> None:
    def open_question(region: Any, x: Any) -> dict[str, Any]:
        raise pr.UndecidedError("open")

    undecided = describe.Undecided()
    assert undecided.ask(open_question, None, None) == {} and undecided.count == 1  # type: ignore[arg-type]


def test_failed_regions_are_counted(tiny: study.StudyResult) -> None:
    points = tiny.points.copy()
    points.loc[0, "status"] = "OnBoundaryError: on 1 hyperplane"
    counts = aggregate.undecided_counts(points)
    assert counts["failed_regions"] == 1 and counts["failures"] == ["OnBoundaryError: on 1 hyperplane"]
    lines = aggregate.network_lines(points)
    assert lines["failed"].sum() == 1
