"""What a run of ``sealgate rewrap`` has done, in a file, so that the next one need not look again.

A header and one JSON line for each object that was found or made right. Lines are appended and are on the disk before
the run goes on; one that a crash cut short is ignored. A line counts only as long as the object is still the one that
it names and is to be protected as it says; so a line that is out of date does no harm. There are names in the file and
no secrets.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.protection import Guard, Protected
from gateway.cli.stored.s3_source import S3Location
from gateway.config.model import Config
from gateway.errors import ConfigError

_FORMAT = "sealgate rewrap 1"
#: What is written about the keys of the configuration; secrets in it are references.
_SECTIONS = {"rules", "customer_keys", "wrapping_keys"}

Line = tuple[str, int, str]


def state_header(config: Config, location: S3Location) -> dict[str, str]:
    """What a state file is about: another bucket, prefix or configuration has another one."""
    document = config.model_dump_json(include=_SECTIONS | {"upstream"})
    return {
        "format": _FORMAT,
        "bucket": location.bucket,
        "prefix": location.object_key,
        "configuration": hashlib.sha256(document.encode()).hexdigest(),
    }


class State:
    """One state file, or none. Use it with ``with``.

    Args:
        path: the file, which is made when it is missing; None keeps nothing.
        header: what it is about.

    Raises:
        ConfigError: the file is about something else, is none, or can not be written.
    """

    def __init__(self, path: Path | None, header: Mapping[str, str]) -> None:
        self._lines: dict[str, Line] = {}
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            if not path.exists():
                _create(path, header)
            self._file = path.open("r+b")
            self._take_up(path, self._file, header)
        except OSError as error:
            self.close()
            raise ConfigError((f"--state {path}: {error.strerror}",)) from None
        except ConfigError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the next run have it."""
        if self._file is not None:
            self._file.close()

    def is_done(self, listed: Listed, wanted: Guard) -> bool:
        """Whether an earlier run left this very object as it is to be."""
        line = self._lines.get(listed.place.object_key)
        return line is not None and line == (listed.etag.strip('"'), listed.modified, str(wanted))

    def note(self, found: Protected, wanted: Guard) -> None:
        """Keep that an object is as it is to be."""
        if self._file is None:
            return
        line = (found.etag.strip('"'), found.modified, str(wanted))
        if self._lines.get(found.place.object_key) == line:
            return
        self._lines[found.place.object_key] = line
        self._file.write(_encoded({"key": found.place.object_key, "etag": line[0], "modified": line[1], "as": line[2]}))
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def _take_up(self, path: Path, file: BinaryIO, header: Mapping[str, str]) -> None:
        _lock(path, file)
        data = file.read()
        self._read(path, data, header)
        # What a crash cut short makes room for the next line.
        file.truncate(data.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)

    def _read(self, path: Path, data: bytes, header: Mapping[str, str]) -> None:
        lines = data.split(b"\n")[:-1]
        documents = [_decoded(line) for line in lines]
        first = documents[0] if documents else {}
        different = [name for name, value in header.items() if first.get(name) != value]
        if different:
            raise ConfigError((f"--state {path}: it is about another {different[0]}; take another file",))
        for document in documents[1:]:
            key, etag, modified, target = (document.get(name) for name in ("key", "etag", "modified", "as"))
            if isinstance(key, str) and isinstance(etag, str) and isinstance(modified, int) and isinstance(target, str):
                self._lines[key] = etag, modified, target


def _lock(path: Path, file: BinaryIO) -> None:
    """One run at a time; the lock ends with the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError((f"--state {path}: another run is using it",)) from None


def _create(path: Path, header: Mapping[str, str]) -> None:
    """A file with its header, or no file."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_encoded(header))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _encoded(document: Mapping[str, Any]) -> bytes:
    # ASCII only: names that are not UTF-8 stay what they are.
    return json.dumps(document).encode("ascii") + b"\n"


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
