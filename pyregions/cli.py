"""Layer 4. The command line: `pyregions study`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .errors import PyregionsError

# What a shell reports for a command that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130
STUDY_HELP = """\
Train small image classifiers in three ways (plain, batch normalisation, dropout), measure exactly how each of them cuts
up the input, and write a report. Finished networks are stored: the same command continues an interrupted study.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="pyregions", description="Exact geometry of the linear regions of neural networks."
    )
    parser.add_argument("--version", action="store_true", help="show the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    study = commands.add_parser(
        "study",
        help="the study of linear regions on real images",
        description=STUDY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study.add_argument(
        "--data", metavar="DATA", help="digits (default), mnist, fashion, or a folder of IDX files; never downloaded"
    )
    study.add_argument(
        "--model",
        nargs=3,
        metavar=("mlp", "WIDTH", "DEPTH"),
        help="a perceptron with DEPTH hidden layers (default: mlp 64 3)",
    )
    study.add_argument("--seeds", type=int, metavar="N", help="networks of seeds 0 to N-1 (default: 5)")
    study.add_argument("--lr", type=float, nargs="+", metavar="RATE", help="learning rates (default: 0.001 0.003)")
    study.add_argument(
        "--points",
        type=int,
        nargs="+",
        metavar="N",
        help="test images, and optionally random inputs, measured per network (default: 40 24)",
    )
    study.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: about 1,500 steps)")
    study.add_argument("--workers", type=int, metavar="N", help="threads that measure (default: all CPUs)")
    study.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: study-DATA)")
    study.add_argument("--quick", action="store_true", help='about a minute; every verdict is "not resolved"')
    study.add_argument(
        "--overwrite",
        action="store_true",
        help="remove the results of another configuration from DIR instead of refusing",
    )
    return parser


def study_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a StudyConfig that the command line sets."""
    from .study import ConfigError

    options: dict[str, Any] = {}
    for name in ("data", "out", "epochs", "workers"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if arguments.seeds is not None:
        if arguments.seeds < 1:
            raise ConfigError(f"--seeds must be at least 1, not {arguments.seeds}")
        options["seeds"] = tuple(range(arguments.seeds))
    if arguments.lr is not None:
        options["learning_rates"] = tuple(arguments.lr)
    if arguments.points is not None:
        if len(arguments.points) > 2:
            raise ConfigError("--points takes one or two numbers: test images and random inputs")
        options.update(zip(("images", "random"), arguments.points, strict=False))
    if arguments.model is not None:
        options.update(_model(arguments.model))
    return options


def _model(words: Sequence[str]) -> dict[str, int]:
    from .study import ConfigError

    try:
        name, width, depth = words
        if name == "mlp":
            return {"width": int(width), "depth": int(depth)}
    except ValueError:
        pass
    raise ConfigError(f"--model must be: mlp WIDTH DEPTH, not {' '.join(words)!r}")


def run_study(arguments: argparse.Namespace) -> int:
    """`pyregions study`: returns the exit code."""
    from . import study

    options = study_options(arguments)
    config = study.StudyConfig.quick_version(**options) if arguments.quick else study.StudyConfig(**options)
    study.require_extras()
    from rich.console import Console

    from .study import terminal

    console = Console()
    console.print(f"{len(config.runs())} networks, results in {config.folder}", highlight=False, soft_wrap=True)
    try:
        with terminal.TerminalProgress(console) as progress:
            result = study.run(config, overwrite=arguments.overwrite, progress=progress)
    except KeyboardInterrupt:
        print("\nInterrupted. Finished networks are kept; the same command continues.", file=sys.stderr)
        return INTERRUPTED
    terminal.show(result, console)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        print(f"pyregions {__version__}")
        return 0
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return run_study(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PyregionsError as error:
        print(f"pyregions: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
