"""The errors of pyregions: one base class, and one class for each thing a caller may want to handle by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from . import _core


class Label(NamedTuple):
    """Where a row comes from: the unit and the piece that takes over beyond it, or a row of the domain.

    For a unit: ``stage`` and ``unit`` count from 0, ``piece`` is the piece on the far side (0 where z < 0, 1 where
    z > 0). For the domain ``stage`` is -1, ``unit`` the index k and ``piece`` the side: 0 the lower bound of
    coordinate k, 1 its upper bound, 2 the general row k.

    Examples
    --------
    >>> str(Label(0, 3, 1)), str(Label(-1, 5, 0)), Label(0, 3, 1).is_unit
    ('unit 3 of stage 0 (to piece 1)', 'lower bound of coordinate 5', True)
    """

    stage: int
    unit: int
    piece: int

    @property
    def is_unit(self) -> bool:
        """True for the row of a unit, False for a row of the domain."""
        return self.stage >= 0

    def __str__(self) -> str:
        if self.stage >= 0:
            return f"unit {self.unit} of stage {self.stage} (to piece {self.piece})"
        names = ("lower bound of coordinate", "upper bound of coordinate", "domain row")
        return f"{names[self.piece]} {self.unit}"


class PyregionsError(Exception):
    """Base of every error that pyregions defines."""


class UnsupportedLayerError(PyregionsError):
    """A layer that cannot be taken exactly; ``path`` names the module, as in ``named_modules()``."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"module {path!r}: {reason}" if path else f"the module itself: {reason}")


class MismatchError(PyregionsError):
    """The network read from a module does not compute what the module computes."""


class OnBoundaryError(PyregionsError):
    """The point lies exactly on a hyperplane and so in several regions; ``labels`` lists the rows that vanish there."""

    def __init__(self, message: str, labels: Sequence[Label] = ()) -> None:
        self.labels = list(labels)
        super().__init__(message)


class UndecidedError(PyregionsError):
    """A decision stayed open within the budget; ``rows`` lists the rows concerned. Nothing was guessed."""

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        self.rows = list(rows)
        super().__init__(message)


class OutsideDomainError(PyregionsError, ValueError):
    """The point is not in the domain that the question is asked in."""


class EmptyDomainError(PyregionsError, ValueError):
    """The domain is empty or flat, so no region in it has an interior; ``certificate`` proves it where there is one."""

    def __init__(self, message: str, certificate: object = None) -> None:
        self.certificate = certificate
        super().__init__(message)


class VerificationError(PyregionsError):
    """A certificate did not pass its replay; ``claim`` names the claim."""

    def __init__(self, claim: str, reason: str) -> None:
        self.claim = claim
        self.reason = reason
        super().__init__(f"{claim}: {reason}")


def _on_boundary(error: BaseException) -> OnBoundaryError:
    labels = [Label(*map(int, label)) for label in getattr(error, "labels", ())]
    names = ", ".join(str(label) for label in labels[:4]) + (", ..." if len(labels) > 4 else "")
    return OnBoundaryError(
        f"the point lies exactly on {len(labels)} hyperplane(s): {names}. It belongs to several regions; "
        "pass tie='any' to take one of them, or move the point",
        labels,
    )


def translate(error: BaseException) -> BaseException:
    """Returns the public error for one that the compiled core raised; any other error comes back as it is."""
    if isinstance(error, _core.OnBoundaryError):
        return _on_boundary(error)
    if isinstance(error, _core.UndecidedError):
        rows: Any = getattr(error, "rows", ())
        return UndecidedError(str(error), [int(row) for row in rows])
    return error


@contextmanager
def core_errors() -> Iterator[None]:
    """Within this context errors of the compiled core come out as their public counterparts."""
    try:
        yield
    except (_core.OnBoundaryError, _core.UndecidedError) as error:
        raise translate(error) from None
