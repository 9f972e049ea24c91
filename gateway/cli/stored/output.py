"""Where opened bytes go: to a file that appears complete or not at all, or to the standard output."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gateway.errors import GatewayError


class OutputUnavailable(GatewayError):
    """The output can not be written."""


@contextmanager
def output(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """What writes the output; None for the standard output.

    A file is written beside its place and moved there when the block ends well. It is readable by its owner only. When
    the block ends otherwise nothing is left of it, and what was at its place stays.

    Raises:
        OutputUnavailable: it can not be written.
    """
    try:
        if path is None:
            yield sys.stdout.buffer.write
            sys.stdout.buffer.flush()
            return
        with _complete_file(path) as file:
            yield file.write
    except BrokenPipeError:
        _forget_standard_output()
        raise OutputUnavailable("the reader of the output is gone") from None
    except OSError as error:
        raise OutputUnavailable(f"{'the output' if path is None else path}: {error.strerror}") from None


@contextmanager
def _complete_file(path: Path) -> Iterator[BinaryIO]:
    with suppress(FileNotFoundError):
        # Moving a file onto a device or a directory would not write to it.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OutputUnavailable(f"{path} is there already, and is not a regular file")
    descriptor, temporary = tempfile.mkstemp(prefix=".sealgate-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _forget_standard_output() -> None:
    """Python would report the broken pipe once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
