"""The log of the program itself: structured events of this project and of its libraries, in one form.

JSON escapes control characters and every byte that is not ASCII, so that no field can forge a line. Tracebacks come
without local variables: those hold keys.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# Select Graphic Rendition, ECMA-48 section 8.3.117.
_PLAIN: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_COLOURS: Final = {
    logging.DEBUG: "\x1b[32m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how.

    Attributes:
        level: the least severity written.
        form: JSON lines, or text with colours for a person.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["json", "console"] = "json"


def configure_logging(stream: TextIO, settings: LogSettings, worker: int | None = None) -> None:
    """Send every event of this process to ``stream``, such as standard error.

    Args:
        stream: written line by line.
        settings: what, and how.
        worker: the number of the process among several, which every line then has.
    """
    constant = {} if worker is None else {"worker": worker}
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JsonFormatter(constant) if settings.form == "json" else ConsoleFormatter(constant, colours=stream.isatty())
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[settings.level])
    # Libraries tell their routine work at INFO.
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    logging.getLogger("botocore").setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """One JSON object for each event.

    Args:
        constant: fields of every line.
    """

    def __init__(self, constant: Mapping[str, object]) -> None:
        super().__init__()
        self._constant = dict(constant)

    def format(self, record: logging.LogRecord) -> str:
        """The line of an event."""
        line = _fields(record) | {
            "event": record.getMessage(),
            **self._constant,
            "logger": record.name,
            "level": record.levelname.lower(),
            "time": _time(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


class ConsoleFormatter(logging.Formatter):
    """Text for a person: time, level, event, logger, fields; below it the traceback.

    Args:
        constant: fields of every line.
        colours: whether the terminal shows any.
    """

    def __init__(self, constant: Mapping[str, object], *, colours: bool) -> None:
        super().__init__()
        self._constant = dict(constant)
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """The lines of an event."""
        level = self._coloured(f"{record.levelname.lower():<8}", _COLOURS.get(record.levelno, _PLAIN))
        event = self._coloured(f"{record.getMessage():<30}", _BOLD)
        fields = _fields(record) | self._constant
        shown = (f"{name}={json.dumps(value, default=repr)}" for name, value in fields.items())
        line = " ".join((_time(record), level, event, f"[{record.name}]", *shown))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """The fields of an event; those of libraries have none."""
    fields: dict[str, object] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
