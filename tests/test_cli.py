"""The command line: help, versions, options to configuration, errors and exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pyregions as pr
from pyregions import __version__, cli, enumeration, store
from pyregions import study as study_module
from pyregions.study import StudyConfig


def config_of(*words: str) -> StudyConfig:
    arguments = cli.build_parser().parse_args(["study", *words])
    make = StudyConfig.quick_version if arguments.quick else StudyConfig
    return make(**cli.study_options(arguments))


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "study" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"pyregions {__version__}\n"


def test_defaults() -> None:
    assert config_of() == StudyConfig()
    assert config_of("--quick") == StudyConfig.quick_version()


def test_every_option(tmp_path: Path) -> None:
    words = "--data mnist --model mlp 32 2 --seeds 3 --lr 0.01 0.1 --points 5 2 --box-facets 3 --epochs 4".split()
    assert config_of(*words, "--workers", "1", "--out", str(tmp_path)) == StudyConfig(
        data="mnist", width=32, depth=2, seeds=(0, 1, 2), learning_rates=(0.01, 0.1), images=5, random=2, box_facets=3,
        epochs=4, workers=1, out=tmp_path,
    )  # fmt: skip
    quick = config_of("--quick", "--points", "3")
    assert (quick.data, quick.sizes(64)[1:], quick.seeds, quick.quick) == ("digits", (3, 4, 3), (0, 1), True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "cnn", "3", "3"], "mlp WIDTH DEPTH"),
        (["--model", "mlp", "3", "x"], "mlp WIDTH DEPTH"),
        (["--model", "mlp", "0", "3"], "width"),
        (["--seeds", "0"], "--seeds"),
        (["--lr", "-1"], "learning_rates"),
        (["--lr", "0.1", "0.1"], "distinct"),
        (["--points", "1", "2", "3"], "--points"),
        (["--points", "0"], "images"),
        (["--data", "/no/such/folder"], "no data set"),
    ],
)
def test_bad_options_end_with_a_message(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["study", *words, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyregions: ") and message in error and "Traceback" not in error


def test_missing_extra_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert cli.main(["study", "--out", str(tmp_path / "out")]) == 2
    assert 'jinja2: pip install "pyregions[study]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_interrupt_says_how_to_continue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study_module, "run", interrupted)
    assert cli.main(["study", "--out", str(tmp_path)]) == 130
    assert "the same command continues" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_keeps_finished_networks(tmp_path: Path) -> None:
    words = ["study", "--out", str(tmp_path), "--data", "digits"]
    words += ["--model", "mlp", "16", "2", "--points", "4", "2", "--epochs", "3"]
    # A shell that runs in the background hands down an ignored SIGINT; a terminal does not.
    command = [sys.executable, "-c", "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
               "from pyregions.cli import main; sys.exit(main(sys.argv[1:]))", *words]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("networks/*.json")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED, error
    assert "the same command continues" in error and "Traceback" not in error
    assert list(tmp_path.glob("networks/*.json")) and not (tmp_path / "report.html").exists()


# ---- count and plot


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return saved(tmp_path / "network.npz", [2, 6, 6, 1])


def saved(path: Path, sizes: list[int]) -> Path:
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]
    pr.Network.from_arrays(layers).save(path)
    return path


def test_count_prints_the_number_only(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = pr.Network.load(network)
    boxes = {"": None, "--box -1 1": pr.Box(-1, 1), "--box -1e-1 inf": pr.Box(-0.1, np.inf)}
    for words, box in boxes.items():
        assert cli.main(["count", str(network), *words.split(), "--workers", "1"]) == 0
        assert capsys.readouterr() == (f"{pr.count_regions(net, box)}\n", "")


def test_count_with_proof_and_progress(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    regions = pr.enumerate_regions(pr.Network.load(network), pr.Box(-1, 1))
    assert cli.main(["count", str(network), "--box", "-1", "1", "--verify", "--progress"]) == 0
    out, error = capsys.readouterr()
    assert out == f"{len(regions)}\n{regions.verify()}\n" and "proven by facet pairing" in out
    assert f"regions: {len(regions)}" in error


@pytest.mark.parametrize("suffix", [".png", ".html"])
@pytest.mark.parametrize("words", [["--box", "-1", "1"], ["--color", "facets", "--no-boundary"]])
def test_plot_writes_the_file(
    network: Path, tmp_path: Path, suffix: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / f"picture{suffix}"
    assert cli.main(["plot", str(network), "--out", str(out), *words]) == 0
    start = {".png": b"\x89png", ".html": b"<!doctype html>"}[suffix]
    assert out.read_bytes()[:15].lower().startswith(start)
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    assert f"regions, drawn in {out}" in capsys.readouterr().out


def bad_files(folder: Path) -> dict[str, Path]:
    """Files that are no networks, by what is wrong with them."""
    contents = {"empty": b"", "text": b"hello", "torn": b"PK\x03\x04 garbage"}
    found = {name: folder / f"{name}.npz" for name in contents}
    for name, path in found.items():
        path.write_bytes(contents[name])
    np.savez(folder / "other.npz", a=np.ones(2))
    np.save(folder / "array.npy", np.ones(2))
    return {**found, "other": folder / "other.npz", "array": folder / "array.npy"}


@pytest.mark.parametrize("command", ["count", "plot"])
def test_files_that_are_no_networks(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path / "picture.png")] if command == "plot" else []
    for path in bad_files(tmp_path).values():
        assert cli.main([command, str(path), *words]) == 2
        message = f"pyregions: {str(path)!r} does not hold a network that Network.save wrote\n"
        assert capsys.readouterr() == ("", message)
    for path in (tmp_path / "absent.npz", tmp_path):
        assert cli.main([command, str(path), *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"pyregions: cannot read {str(path)!r}: ") and error.count("\n") == 1
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["count", "{2}", "--box", "1", "0"], "--box 1 0: the box is empty"),
        (["count", "{2}", "--box", "-1e-3", "x"], "--box takes two numbers, not -1e-3 x"),
        (["count", "{2}", "--box", "nan", "1"], "NaN"),
        (["count", "{2}", "--workers", "0"], "--workers must be at least 1"),
        (["count", "{9}"], "9 inputs; regions are counted for at most 8"),
        (["count", "{9}", "--verify"], "9 inputs; regions are counted for at most 8"),
        (["plot", "{4}", "--out", "{folder}/picture.png"], "4 inputs; regions are drawn for 1, 2 or 3"),
        (["plot", "{2}", "--out", "{folder}/picture.gif"], ".png or .html"),
        (["plot", "{2}", "--out", "{folder}/picture.png", "--most", "3"], "more than 3 regions"),
        (["plot", "{2}", "--out", "{folder}/picture.png", "--most", "0"], "--most must be at least 1, not 0"),
        (["plot", "{2}", "--out", "{folder}"], ".png or .html"),
        (["plot", "{2}", "--out", "{2}/picture.png"], "cannot write to the output folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {f"{{{d}}}": str(saved(tmp_path / f"{d}.npz", [d, 4, 1])) for d in (2, 4, 9)}
    places["{folder}"] = str(tmp_path)
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    assert cli.main(words) == 2
    out, error = capsys.readouterr()
    assert error.startswith("pyregions: ") and message in error and error.count("\n") == 1 and not out


def test_a_file_that_cannot_be_replaced(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_bytes", full)
    assert cli.main(["plot", str(network), "--out", str(tmp_path / "picture.png")]) == 2
    assert "picture.png': No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "suffix"), [("plotly.graph_objects", ".html"), ("matplotlib", ".png")])
def test_missing_plot_extra(
    network: Path, tmp_path: Path, module: str, suffix: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["plot", str(network), "--out", str(tmp_path / f"picture{suffix}")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyregions: ") and 'pip install "pyregions[plot]"' in error


@pytest.mark.parametrize("words", [["count"], ["count", "--verify"], ["plot", "--out", "picture.png"]])
def test_an_interrupt_ends_with_130(
    network: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The core comes back early from Ctrl-C, with what it has: a part of the regions is no answer here."""
    monkeypatch.chdir(network.parent)
    core = enumeration._core

    def interrupted(net: object, rows: object, subtrees: np.ndarray, *rest: object) -> dict[str, object]:
        found = core.enumerate(net, rows, subtrees, *rest)
        return {**found, "interrupted": True, "open": subtrees}

    monkeypatch.setattr(enumeration, "_core", SimpleNamespace(**{**vars(core), "enumerate": interrupted}))
    assert cli.main([words[0], str(network), *words[1:]]) == 130
    assert capsys.readouterr() == ("", "") and not Path("picture.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_stops_a_count(tmp_path: Path) -> None:
    path = saved(tmp_path / "large.npz", [6, 40, 40, 40, 1])
    code = (
        "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pyregions.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "count", str(path), "--progress"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        try:
            assert process.stderr is not None and process.stderr.read(8) == b"\rregions"  # it has begun
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == cli.INTERRUPTED, error
    assert not out and b"Traceback" not in error
