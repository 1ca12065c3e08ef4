"""Reads the cases of corpus/*.txt (the format is described in corpus/README.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from oracle import Domain, Label, Net, box

FOLDER = Path(__file__).parent / "corpus"


@dataclass
class Case:
    name: str
    stored: list[tuple[list[list[float]], list[float]]] = field(default_factory=list)
    scales: list[int] = field(default_factory=list)
    slope: float = 0.0
    bounds: tuple[list[float], list[float]] | None = None
    at: list[float] | None = None
    given: list[int] | None = None
    pattern: list[int] | None = None
    facets: list[tuple[list[Label], list[int] | None]] = field(default_factory=list)
    zero: list[int] = field(default_factory=list)
    bounded: bool | None = None
    modulo_lineality: bool | None = None
    radius: float | None = None
    pairs: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    empty: bool = False
    boundary: list[tuple[int, int]] = field(default_factory=list)
    any_pattern: list[int] | None = None
    regions: int | None = None
    rung: str | None = None
    later: bool = False
    later_modulo: bool = False

    @cached_property
    def layers(self) -> list[tuple[list[list[float]], list[float]]]:
        """The layers with their scales, which are powers of two, so that nothing is rounded."""
        powers = [2.0**k for k in self.scales] or [1.0] * len(self.stored)
        return [
            ([[s * w for w in row] for row in W], [s * v for v in b])
            for (W, b), s in zip(self.stored, powers, strict=True)
        ]

    @property
    def net(self) -> Net:
        return Net.from_arrays(self.layers, self.slope)

    @property
    def domain(self) -> Domain:
        return box(*self.bounds) if self.bounds else []


def number(text: str) -> float:
    return float.fromhex(text) if "0x" in text else float(text)


def label(text: str) -> Label:
    stage, unit, piece = text.rsplit(".", 2)
    return int(stage), int(unit), int(piece)


def pieces(words: list[str]) -> list[int]:
    return [int(w) for w in words]


def layer(text: str) -> tuple[list[list[float]], list[float]]:
    matrix, bias = text.split("|")
    return [[number(w) for w in row.split()] for row in matrix.split("/")], [number(w) for w in bias.split()]


def read_line(case: Case, key: str, rest: str) -> None:
    words = rest.split()
    if key in ("layer", "output"):
        case.stored.append(layer(rest))
    elif key == "scale":
        case.scales = [int(w) for w in words]
    elif key == "domain":
        if words != ["all"]:
            sides = [w.split("..") for w in words]
            case.bounds = [number(lo) for lo, _ in sides], [number(up) for _, up in sides]
    elif key == "facet":
        labels, across = rest.split("->")
        case.facets.append(
            ([label(w) for w in labels.split()], None if across.strip() == "domain" else pieces(across.split()))
        )
    elif key == "pair":
        case.pairs[int(words[0]), int(words[1])] = set(words[2:]) - {"none"}
    elif key == "boundary":
        case.boundary = [(int(s), int(u)) for s, u in (w.split(".") for w in words)]
    elif key == "at":
        case.at = [number(w) for w in words]
    elif key in ("slope", "radius"):
        setattr(case, key, number(rest))
    elif key in ("bounded", "modulo-lineality"):
        setattr(case, key.replace("-", "_"), {"yes": True, "no": False}[rest])
    elif key in ("given", "pattern", "zero", "any"):
        setattr(case, "any_pattern" if key == "any" else key, pieces(words))
    elif key == "regions":
        case.regions = int(rest)
    elif key == "rung" and rest in ("triage", "exact"):
        case.rung = rest
    elif key == "later" and rest == "modulo-lineality":
        case.later_modulo = True
    elif key in ("empty", "later") and not rest:
        setattr(case, key, True)
    else:
        raise ValueError(f"{case.name}: cannot read {key!r} {rest!r}")


def load() -> list[Case]:
    cases: list[Case] = []
    for path in sorted(FOLDER.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.split("#")[0].strip()
            key, _, rest = text.partition(" ")
            if key == "case":
                cases.append(Case(rest.strip()))
            elif key:
                read_line(cases[-1], key, rest.strip())
    return cases
