"""What a measurement hands to the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What was wanted of a figure, and what it was."""

    name: str
    wanted: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One measurement.

    Attributes:
        title: of its table.
        text: how it was measured, and what it can not show.
        head: of its table.
        rows: of its table.
        targets: those it says something about.
        raw: its figures.
    """

    title: str
    text: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: Sequence[Target]
    raw: Mapping[str, Any]
