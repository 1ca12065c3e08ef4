"""The command line: help, versions, options to configuration, errors and exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyregions import __version__, cli
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
    words = "--data mnist --model mlp 32 2 --seeds 3 --lr 0.01 0.1 --points 5 2 --epochs 4 --workers 1 --out".split()
    assert config_of(*words, str(tmp_path)) == StudyConfig(
        data="mnist", width=32, depth=2, seeds=(0, 1, 2), learning_rates=(0.01, 0.1), images=5, random=2, epochs=4,
        workers=1, out=tmp_path,
    )  # fmt: skip
    quick = config_of("--quick", "--points", "3")
    assert (quick.images, quick.random, quick.seeds, quick.quick) == (3, 4, (0, 1), True)


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
    words = ["study", "--out", str(tmp_path), "--model", "mlp", "16", "2", "--points", "4", "2", "--epochs", "3"]
    # A shell that runs in the background hands down an ignored SIGINT; a terminal does not.
    command = [sys.executable, "-c", "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
               "from pyregions.cli import main; sys.exit(main(sys.argv[1:]))", *words]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("networks/*.json")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED, error
    assert "the same command continues" in error and "Traceback" not in error
    assert list(tmp_path.glob("networks/*.json")) and not (tmp_path / "report.html").exists()
