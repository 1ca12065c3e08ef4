"""Layer 4. The command line: `pyregions count`, `pyregions plot` and `pyregions study`."""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, is_zipfile

from . import __version__
from .errors import PyregionsError
from .picture_colors import COLORS

if TYPE_CHECKING:
    from .complex import RegionComplex
    from .network import Network
    from .polyhedron import Box

# What a shell reports for a command that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130
STUDY_HELP = """\
Train small image classifiers in three ways (plain, batch normalisation, dropout), measure exactly how each of them cuts
up the input, and write a report. Without options: 30 networks of MNIST's 784 pixels, within 15 minutes on two cores.
Finished networks are stored: the same command continues an interrupted study.
"""


COUNT_HELP = """\
Count the linear regions of a network exactly. The count is all that is printed; with --verify the regions are kept and
a second, independent method proves that none is missing.
"""
PLOT_HELP = """\
Draw the linear regions of a network with 1, 2 or 3 inputs: a picture (.png), or a page to turn, zoom and point at in a
browser (.html). Without a box, regions are clipped to a window around their vertices, and the title says so.
"""
NETWORK_HELP = "a file that Network.save wrote"
FORMATS = (".png", ".html")
# More take minutes and cannot be told apart.
MOST_DRAWN = 100_000


class CommandError(PyregionsError):
    """A command cannot be done as asked; the message is all that the user sees."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="pyregions", description="Exact geometry of the linear regions of neural networks."
    )
    parser.add_argument("--version", action="store_true", help="show the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_count(commands)
    _add_plot(commands)
    _add_study(commands)
    return parser


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument("network", type=Path, metavar="NETWORK.npz", help=NETWORK_HELP)
    command.add_argument(
        "--box", nargs=2, metavar=("LOW", "HIGH"), help="only where LOW <= x <= HIGH in every input (default: all)"
    )


def _add_count(commands: Any) -> None:
    count = commands.add_parser("count", help="count the regions of a network", description=COUNT_HELP)
    _add_network(count)
    count.add_argument("--workers", type=int, metavar="N", help="threads (default: all CPUs)")
    count.add_argument("--verify", action="store_true", help="prove the count and print the proof")
    count.add_argument("--progress", action="store_true", help="report on standard error")


def _add_plot(commands: Any) -> None:
    plot = commands.add_parser("plot", help="draw the regions of a network", description=PLOT_HELP)
    _add_network(plot)
    plot.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture.png or picture.html")
    plot.add_argument("--color", choices=COLORS, default="pattern", help="what colours mean (default: pattern)")
    plot.add_argument("--no-boundary", action="store_true", help="leave the decision boundary out")
    plot.add_argument(
        "--most", type=int, default=MOST_DRAWN, metavar="N", help=f"draw no more than N regions (default: {MOST_DRAWN})"
    )


def _add_study(commands: Any) -> None:
    study = commands.add_parser(
        "study",
        help="the study of linear regions on real images",
        description=STUDY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study.add_argument(
        "--data", metavar="DATA", help="mnist (default), digits, fashion, or a folder of IDX files; never downloaded"
    )
    study.add_argument(
        "--model",
        nargs=3,
        metavar=("mlp", "WIDTH", "DEPTH"),
        help="a perceptron with DEPTH hidden layers (default: mlp 256 3, up to 100 inputs mlp 64 3)",
    )
    study.add_argument("--seeds", type=int, metavar="N", help="networks of seeds 0 to N-1 (default: 5)")
    study.add_argument("--lr", type=float, nargs="+", metavar="RATE", help="learning rates (default: 0.001 0.003)")
    study.add_argument(
        "--points",
        type=int,
        nargs="+",
        metavar="N",
        help="test images, and optionally random inputs, measured per network (default: 12 4, up to 100 inputs 40 24)",
    )
    study.add_argument(
        "--box-facets",
        type=int,
        metavar="N",
        help="of the test images, those whose facets in the pixel box are measured (default: 2, up to 100 inputs all)",
    )
    study.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: about 1,500 steps)")
    study.add_argument("--workers", type=int, metavar="N", help="threads that measure (default: all CPUs)")
    study.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: study-DATA)")
    study.add_argument(
        "--quick", action="store_true", help='the digits, about a minute; every verdict is "not resolved"'
    )
    study.add_argument(
        "--overwrite",
        action="store_true",
        help="remove the results of another configuration from DIR instead of refusing",
    )


def study_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a StudyConfig that the command line sets."""
    from .study import ConfigError

    options: dict[str, Any] = {}
    for name in ("data", "out", "box_facets", "epochs", "workers"):
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


def load_network(path: Path) -> Network:
    """The network of a file.

    Raises
    ------
    CommandError
        If the file cannot be read or holds no network.
    """
    from .network import Network

    try:
        with path.open("rb") as file:
            archive = is_zipfile(file)
        if archive:
            return Network.load(path)
    except OSError as error:
        raise CommandError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, IndexError, EOFError, BadZipFile, zlib.error):
        pass
    raise CommandError(f"{str(path)!r} does not hold a network that Network.save wrote")


def box_of(ends: Sequence[str] | None) -> Box | None:
    """The box of the two words after --box, None without them."""
    from .polyhedron import Box

    if ends is None:
        return None
    given = " ".join(map(str.strip, ends))
    try:
        low, high = map(float, ends)
    except ValueError:
        raise CommandError(f"--box takes two numbers, not {given}") from None
    try:
        return Box(low, high)
    except ValueError as error:
        raise CommandError(f"--box {given}: {error}") from None


def run_count(arguments: argparse.Namespace) -> int:
    """`pyregions count`: returns the exit code."""
    from .all_regions import count_regions

    box, workers = box_of(arguments.box), arguments.workers
    if workers is not None and workers < 1:
        raise CommandError(f"--workers must be at least 1, not {workers}")
    network = load_network(arguments.network)
    _check_inputs(network)
    if arguments.verify:
        regions = _all_regions(network, box, workers=workers, progress=arguments.progress)
        print(len(regions))
        print(regions.verify(workers=workers))
    else:
        print(count_regions(network, box, workers=workers, progress=arguments.progress))
    return 0


def run_plot(arguments: argparse.Namespace) -> int:
    """`pyregions plot`: returns the exit code."""
    from . import picture, plot, store
    from .picture_interactive import html
    from .picture_shapes import check_drawable

    out, box, most = arguments.out, box_of(arguments.box), arguments.most
    if most < 1:
        raise CommandError(f"--most must be at least 1, not {most}")
    if out.suffix.lower() not in FORMATS or out.is_dir():
        raise CommandError(f"--out must be a file that ends in {' or '.join(FORMATS)}, not {str(out)!r}")
    network = load_network(arguments.network)
    try:
        check_drawable(network)
    except ValueError as error:
        raise CommandError(str(error)) from None
    store.ensure_writable(out.parent)
    regions = _all_regions(network, box, max_regions=most + 1)
    if len(regions) > most:
        raise CommandError(f"there are more than {most} regions: draw a part with --box LOW HIGH, or all with --most N")
    options = {"color": arguments.color, "boundary": not arguments.no_boundary}
    if out.suffix.lower() == ".html":
        page = html(picture.plot_interactive(regions, **options)).encode("utf-8")
    else:
        try:
            page = plot.png(picture.plot_regions(regions, **options))
        except ModuleNotFoundError as error:
            raise CommandError(f'pictures need {error.name}: pip install "pyregions[plot]"') from None
    try:
        store.write_bytes(out, page)
    except OSError as error:
        raise CommandError(f"cannot write {str(out)!r}: {error.strerror or error}") from None
    print(f"{len(regions)} regions, drawn in {out}")
    return 0


def _check_inputs(network: Network) -> None:
    from ._core import most_inputs

    if network.inputs > most_inputs:
        raise CommandError(f"the network has {network.inputs} inputs; regions are counted for at most {most_inputs}")


def _all_regions(network: Network, box: Box | None, **options: Any) -> RegionComplex:
    """All regions, or as many as max_regions; what Ctrl-C left incomplete is an interrupt here."""
    from .all_regions import enumerate_regions

    regions = enumerate_regions(network, box, **options)
    if not regions.complete and len(regions) < options.get("max_regions", float("inf")):
        raise KeyboardInterrupt
    return regions


def _numbers(words: Sequence[str]) -> list[str]:
    """The words with a space before negative numbers such as -1e-3 and -inf, which argparse would take for options."""
    out = []
    for word in words:
        try:
            float(word)
        except ValueError:
            out.append(word)
        else:
            out.append(f" {word}" if word.startswith("-") and not word[1:].replace(".", "").isdigit() else word)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = build_parser()
    arguments = parser.parse_args(_numbers(sys.argv[1:] if argv is None else argv))
    if arguments.version:
        print(f"pyregions {__version__}")
        return 0
    if arguments.command is None:
        parser.print_help()
        return 0
    run = {"count": run_count, "plot": run_plot, "study": run_study}[arguments.command]
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PyregionsError as error:
        print(f"pyregions: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
