"""Whether a file is still the one that was read."""

from pathlib import Path
from typing import TypeAlias

#: What changes when a file is rewritten or replaced: the time, the size, the inode.
FileIdentity: TypeAlias = tuple[int, int, int]


def file_identity(path: Path) -> FileIdentity | None:
    """What tells the present file; None when there is none. Symbolic links are followed, as mounted files use them."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
