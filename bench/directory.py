"""Where a benchmark writes: in memory, because disks are not what is measured."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_directory() -> Iterator[Path]:
    """A directory in memory where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - the directory is made with a name of its own and mode 0700
    with tempfile.TemporaryDirectory(prefix="sealgate-bench-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
