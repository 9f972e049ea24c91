"""Keeps the memory of a process, in which keys are, out of files.

A limit of zero bytes forbids the kernel to write a core file itself. A core that is piped to a program
(``core_pattern`` with ``|``) ignores that limit, so the process is marked as not dumpable too; then other processes of
its user can not trace it either.

Source: Linux manual pages core(5), "Piping core dumps to a program", and prctl(2), ``PR_SET_DUMPABLE``.
"""

import contextlib
import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Let this process end without a core dump, whatever happens to it. Its children inherit the limit only."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Other systems than Linux have no such call.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
