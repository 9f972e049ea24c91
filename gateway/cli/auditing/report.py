"""The findings of an audit, one after the other as they are made: lines for people, JSON lines, or CSV.

Object keys are chosen by whoever may write to a bucket, and so are hostile: control characters can steer a terminal,
bytes that are no UTF-8 break what reads them, and a spreadsheet takes a cell that begins with ``=`` for a formula. In
lines and in CSV all of these are escaped as Python's ``unicode_escape`` does it, a backslash by another one, so that a
name can be had back exactly. JSON has escapes of its own for all of them.

Source: OWASP, "CSV Injection": formulas may also begin behind a separator that the program takes for one.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, Protocol

import typer

from gateway.cli.auditing.finding import Finding, Summary
from gateway.cli.rotation.protection import Guard
from gateway.cli.rotation.shown import print_line, print_table
from gateway.cli.stored.naming import shown

COLUMNS: Final = (
    "status",
    "bucket",
    "object_key",
    "version_id",
    "rule",
    "difference",
    "found",
    "wanted",
    "stored_bytes",
    "modified",
    "message",
)
_INTERRUPTED: Final = "; interrupted, run it again"
#: What begins a formula, in its wide form too, where a cell begins or may be taken to begin.
_FORMULA: Final = re.compile(
    "(?:^|(?<=[,;|\"' ]))[=+@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}-]"
)


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Report(Protocol):
    """Takes findings as they are made, and their summary in the end."""

    def add(self, finding: Finding) -> None:
        """Write one finding."""

    def close(self, summary: Summary, *, interrupted: bool) -> None:
        """Write what they come to."""


def report_as(form: Format) -> Report:
    """A report on the standard output."""
    match form:
        case Format.TABLE:
            return Lines()
        case Format.JSON:
            return JsonLines()
        case Format.CSV:
            return Csv()


def cell(text: str) -> str:
    """A text as a cell of CSV: on one line, in printable characters, and nothing that a spreadsheet would compute."""
    return _FORMULA.sub(lambda found: _escaped(found[0]), shown(text))


class Lines:
    """One line for each finding, and a table of their kinds."""

    def add(self, finding: Finding) -> None:
        """See :class:`Report`."""
        place = finding.listed.place
        version = "" if place.version_id is None else f"  version {shown(place.version_id)}"
        found, wanted = map(shown, finding.change)
        about = shown(finding.message) if finding.wanted is None else f"{found} -> {wanted}"
        reason = f"  ({shown(finding.message)})" if finding.message and finding.wanted is not None else ""
        print_line(f"{finding.status:<9}  {shown(place.object_key)}{version}  {about}{reason}")

    def close(self, summary: Summary, *, interrupted: bool) -> None:
        """See :class:`Report`."""
        if summary.changes:
            print_table(("status", "difference", "found", "wanted", "objects", "stored_bytes"), summary.rows())
        typer.echo(f"{summary}{_INTERRUPTED * interrupted}")


class JsonLines:
    """A JSON object on a line for each finding, then ``{"summary": ...}``. ASCII only."""

    def add(self, finding: Finding) -> None:
        """See :class:`Report`."""
        print_line(json.dumps(_columns(finding), default=_guard))

    def close(self, summary: Summary, *, interrupted: bool) -> None:
        """See :class:`Report`."""
        typer.echo(json.dumps({"summary": {**summary.as_dict(), "interrupted": interrupted}}))


class Csv:
    """A head and a row for each finding, every cell in quotes; the summary goes to the standard error."""

    def __init__(self) -> None:
        _print_row(COLUMNS)

    def add(self, finding: Finding) -> None:
        """See :class:`Report`."""
        _print_row(cell(_text(value)) for value in _columns(finding).values())

    def close(self, summary: Summary, *, interrupted: bool) -> None:
        """See :class:`Report`."""
        typer.echo(f"{summary}{_INTERRUPTED * interrupted}", err=True)


def _columns(finding: Finding) -> Mapping[str, object]:
    """The values by column; None for what there is not, or nobody knows."""
    place = finding.listed.place
    values = (
        finding.status.value,
        place.bucket,
        place.object_key,
        place.version_id,
        finding.rule or None,
        None if finding.difference is None else finding.difference.value,
        finding.found,
        finding.wanted,
        finding.stored_bytes,
        finding.modified or None,
        finding.message or None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _print_row(cells: Iterable[str]) -> None:
    """Print a row. Lines end as RFC 4180 has it, but on a terminal."""
    row = io.StringIO(newline="")
    csv.writer(row, quoting=csv.QUOTE_ALL, lineterminator="" if sys.stdout.isatty() else "\r").writerow(cells)
    print_line(row.getvalue())


def _guard(guard: Guard) -> Mapping[str, str]:
    return {"mode": guard.mode.value, "key": guard.key, "version": guard.version}


def _text(value: object) -> str:
    """A value as a text; several are separated by commas."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
