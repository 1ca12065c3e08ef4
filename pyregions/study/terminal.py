"""What a study shows in the terminal: progress while it runs, two tables when it is done."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import aggregate, verdicts
from .config import KINDS, NAMES
from .runner import StudyResult

# Columns of a terminal that has room for ranges beside the means.
WIDE = 120
COLOURS = {verdicts.HOLDS: "green", verdicts.REFUTED: "red", verdicts.OPEN: "yellow"}


class TerminalProgress:
    """A bar over the networks, with the step that runs now; use as a context."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> TerminalProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, total: int, finished: int) -> None:
        self._bar.update(self._task, total=total, completed=finished)
        if finished:
            self._bar.console.print(f"{finished} of {total} networks were finished before and are kept.")

    def step(self, network: str, step: str) -> None:
        self._bar.update(self._task, description=f"{network}: {step}")

    def finish(self, network: str, accuracy: float) -> None:
        self._bar.console.print(f"  {network:<30} test accuracy {accuracy:.1%}", highlight=False)
        self._bar.advance(self._task)

    def write(self, step: str) -> None:
        self._bar.update(self._task, description=step)


# Title, column of the network lines, domain, inputs, how to print it.
QUANTITIES = (
    ("insphere radius (median), R^d", "median_log10_radius", "all", "image", "power"),
    ("insphere radius (median), box", "median_log10_radius", "box", "image", "power"),
    ("insphere radius (median), R^d, random", "median_log10_radius", "all", "random", "power"),
    ("insphere radius (median), box, random", "median_log10_radius", "box", "random", "power"),
    ("infinite insphere radius in R^d", "share_infinite_radius", "all", "image", "share"),
    ("bounded in R^d", "bounded", "all", "image", "share"),
    ("bounded modulo lineality in R^d", "bounded_modulo_lineality", "all", "image", "share"),
    ("distance to the nearest wall", "wall_distance", "all", "image", "number"),
    ("distance to the insphere's centre, box", "center_distance", "box", "image", "number"),
    ("facets in R^d", "facets", "all", "image", "number"),
    ("facets in the box (without the box's)", "facets", "box", "image", "number"),
    ("mean |cos| of normals, pooled, R^d", "cosine_pooled", "all", "image", "number"),
    ("mean |cos| of normals, within layers, R^d", "cosine_within", "all", "image", "number"),
    ("crossed by a decision boundary, R^d", "crossed", "all", "image", "share"),
    ("crossed by a decision boundary, box", "crossed", "box", "image", "share"),
    ("another class in the region, box", "adversarial_share", "box", "image", "share"),
    ("  at distance (median)", "median_other_class_distance", "box", "image", "number"),
    ("cosine of maps, neighbors", "neighbor_cosine", "all", "image", "number"),
    ("cosine of maps, random pairs", "random_cosine", "all", "image", "number"),
    ("relative change of the map, neighbors", "neighbor_change", "all", "image", "number"),
    ("relative change of the map, random pairs", "random_change", "all", "image", "number"),
)


def show(result: StudyResult, console: Console) -> None:
    """Print the table of quantities, the table of claims and what stayed undecided."""
    console.print(_quantities(result, console.width >= WIDE))
    console.print(_claims(result))
    counts = result.summary["undecided"]
    console.print(
        f"Undecided: {counts['undecided_rows']:,} of {counts['rows']:,} rows, "
        f"{counts['undecided_claims']} other claims. "
        f"Not measured: {counts['failed_regions']} of {counts['regions']:,} regions.",
        highlight=False,
    )
    console.print(f"Report: {result.folder / 'report.html'}", highlight=False, soft_wrap=True)


def _quantities(result: StudyResult, wide: bool) -> Table:
    table = Table(
        title="Regions of test images; median over networks" + (" (least - most)" if wide else ""),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("")
    for kind in KINDS:
        table.add_column(NAMES[kind], justify="right", no_wrap=True)
    records = result.summary["networks"]
    accuracies = {kind: [r["test_accuracy"] for r in records if r["kind"] == kind] for kind in KINDS}
    table.add_row("test accuracy", *(spread(accuracies[kind], "share", wide) for kind in KINDS))
    lines = result.networks
    for title, column, domain, inputs, form in QUANTITIES:
        chosen = lines[(lines["domain"] == domain) & (lines["inputs"] == inputs)]
        if column in chosen and len(chosen):
            values = [chosen.loc[chosen["kind"] == kind, column].tolist() for kind in KINDS]
            table.add_row(title, *(spread(of_kind, form, wide) for of_kind in values))
    return table


def spread(values: list[float], form: str, wide: bool) -> str:
    """Median and, on wide terminals, range as text."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    middle, least, most = (one(value, form) for value in (aggregate.median(known), min(known), max(known)))
    return f"{middle} ({least} - {most})" if wide and least != most else middle


def one(value: float, form: str) -> str:
    """One value as text: "share" in per cent, "power" as 10**value, else three digits."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "infinite"
    if form == "share":
        return f"{100 * value:.1f} %"
    return f"{10**value:.3g}" if form == "power" else f"{value:.3g}"


def _claims(result: StudyResult) -> Table:
    title = "Claims of Zhang & Wu (ICLR 2020) in this run; mean and half width of the 95 % interval by learning rate"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim and its deciding measures")
    for rate in result.config.learning_rates:
        table.add_column(f"{rate:g}", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    gaps = [""] * len(result.config.learning_rates)
    for finding in result.findings:
        table.add_row(f"[bold]{finding.claim.text}[/bold]", *gaps, _coloured(finding.verdict, bold=True))
        effects = [effect for effect in finding.effects if effect.measure.deciding]
        for effect in effects:
            cells = [interval(effect, rate) for rate in result.config.learning_rates]
            last = effect is effects[-1]
            table.add_row(f"  {effect.measure.name}", *cells, _coloured(effect.verdict), end_section=last)
    return table


def interval(effect: verdicts.Effect, rate: float) -> str:
    """Mean and half width of the interval of one learning rate as text."""
    found = effect.intervals[rate]
    if math.isnan(found.mean):
        return "not formed"
    if math.isinf(found.low):
        return f"{found.mean:+.3f}"
    return f"{found.mean:+.3f} ±{found.high - found.mean:.3f}"


def _coloured(verdict: str, bold: bool = False) -> str:
    style = ("bold " if bold else "") + COLOURS[verdict]
    return f"[{style}]{verdict}[/{style}]"
