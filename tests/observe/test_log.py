"""The program's own log: one form for our events and for libraries, tracebacks without values."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway.observe.log import LogSettings, configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_and_libraries_in_one_form() -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings())
    structlog.get_logger("gateway.server").warning("something", listener="https")
    logging.getLogger("some.library").warning("told %s", "this")
    ours, theirs = lines(stream)
    assert (ours["event"], ours["listener"], ours["level"], ours["logger"]) == (
        "something", "https", "warning", "gateway.server",
    )  # fmt: skip
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("told this", "warning", "some.library")
    assert all("time" in line for line in (ours, theirs))


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level: str, count: int) -> None:
    stream = io.StringIO()
    configure_logging(stream, LogSettings(level=level))  # type: ignore[arg-type]  # one of the four
    log = structlog.get_logger("gateway.test")
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert len(lines(stream)) == count


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
        structlog.get_logger("gateway.test").error("failed", exc_info=error)
        logging.getLogger("some.library").exception("failed")
    text = stream.getvalue()
    assert text.count("ValueError") >= 2
    assert "sesamesesame" not in text
    assert "customer_key = " not in text
