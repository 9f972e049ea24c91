"""The log of the program itself, as those who write it see it: named events with fields.

Where they go, and in what form, is decided in :mod:`gateway.observe.log`. This is the standard library's logging with
fields; structlog does the same and more, for 4 MiB of every process, most of them for colours.
"""

import logging


class EventLog:
    """Writes events.

    Args:
        name: of the logger, such as ``gateway.server.tls``.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Something that helps to find a fault."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something that is as it should be."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Something that somebody should look at."""
        self._write(logging.WARNING, event, fields, exc_info)

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Something that does not work."""
        self._write(logging.ERROR, event, fields, exc_info)

    def _write(self, level: int, event: str, fields: dict[str, object], exc_info: BaseException | None = None) -> None:
        self._logger.log(level, event, exc_info=exc_info, extra={"fields": fields})
