"""The program's own log: one form for our events and for libraries, tracebacks without values."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.event_log import EventLog
from gateway.observe.log import LogSettings, configure_logging
from gateway.redact import SecretStr


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_and_libraries_in_one_form() -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings())
    EventLog("gateway.server").warning("something", listener="https")
    logging.getLogger("some.library").warning("told %s", "this")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["listener"], ours["level"], ours["logger"]) == (
        "something", "https", "warning", "gateway.server",
    )  # fmt: skip
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("told this", "warning", "some.library")
    for line in (ours, theirs):
        assert "worker" not in line
        told = datetime.strptime(str(line["time"]), "%Y-%m-%dT%H:%M:%S.%f%z")
        assert abs(datetime.now(UTC) - told).total_seconds() < 60


@pytest.mark.parametrize("form", ["json", "console"])
def test_every_line_has_the_number_of_the_worker(form: str) -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings(form=form), worker=3)  # type: ignore[arg-type]  # one of the two
    EventLog("gateway.server").warning("something")
    logging.getLogger("some.library").warning("told")
    assert [bool(re.search(r'"worker": 3|worker=3', line)) for line in stream.getvalue().splitlines()] == [True, True]


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level: str, count: int) -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings(level=level))  # type: ignore[arg-type]  # one of the four
    log = EventLog("gateway.test")
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert len(lines(stream)) == count


def test_fields_forge_nothing() -> None:
    """Neither a line nor what a line always has; an event is no format; values without JSON are shown as repr()."""
    stream = io.StringIO()
    configure_logging(stream, LogSettings())
    EventLog("gateway.test").info(
        "100 %s", reason='"}\n{"event": "forged"', level="debug", logger="other", secret=SecretStr("sesame"), at={1}
    )
    (line,) = lines(stream)
    assert line.pop("time")
    assert line == {
        "event": "100 %s", "reason": '"}\n{"event": "forged"', "level": "info", "logger": "gateway.test",
        "secret": "**redacted**", "at": "{1}",
    }  # fmt: skip


def test_console_form_is_one_line_with_quoted_values() -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings(form="console"))
    EventLog("gateway.test").warning("something", reason="a\n\x1b[31mb", count=2)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r'[gateway.test] reason="a\n\u001b[31mb" count=2')
    assert re.match(r"\S+Z warning  something ", line)


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal(), True), (io.StringIO(), False)], ids=["terminal", "file"])
def test_colours_are_for_terminals(stream: io.StringIO, *, coloured: bool) -> None:
    configure_logging(stream, LogSettings(form="console"))
    EventLog("gateway.test").error("something")
    assert ("\x1b[" in stream.getvalue()) is coloured


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_show_no_values(form: str) -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings(form=form))  # type: ignore[arg-type]  # one of the two

    def fail(customer_key: str) -> None:
        copied = customer_key * 2
        raise ValueError(len(copied))

    try:
        fail("sesame")
    except ValueError as error:
        EventLog("gateway.test").error("failed", exc_info=error)
        logging.getLogger("some.library").exception("failed")
    text = stream.getvalue()
    assert text.count("ValueError") >= 2
    assert "sesamesesame" not in text
    assert "customer_key = " not in text
