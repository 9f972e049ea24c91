"""structlog as this project uses it: the log of the program itself, whose lines are named events with fields.

Everything that writes events imports structlog from here. Where they go, and in what form, is decided in
:mod:`gateway.observe.log`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["get_logger", "structlog"]


@contextmanager
def _as_if_missing(module: str) -> Iterator[None]:
    """Let nobody import a module meanwhile that nobody has imported yet.

    Source: https://docs.python.org/3/reference/import.html#the-module-cache (a None in the cache of modules).
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # as documented there
    try:
        yield
    finally:
        del sys.modules[module]


# structlog draws tracebacks with rich wherever it finds it, which is not wanted here (they would show the values of
# variables), and which takes 3.5 MiB of every process.
with _as_if_missing("rich"):
    import structlog

get_logger = structlog.get_logger
