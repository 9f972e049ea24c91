"""What no Python package brings: Debian's nginx, h2load and curl, and the programs written in Go.

``make bench`` installs them where it may: as root on Debian. Elsewhere it says what is missing.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from lab.binaries import LabError

_PACKAGES: Final = {"nginx": "nginx-light", "h2load": "nghttp2-client", "curl": "curl"}
_SOURCES: Final = Path(__file__).parent
_INSTALL_SECONDS: Final = 300
_BUILD_SECONDS: Final = 300


def prepare() -> None:
    """Install the missing programs.

    Raises:
        LabError: one is missing and can not be installed.
    """
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(
            f"the benchmark needs more programs: apt-get install --no-install-recommends {' '.join(missing)}"
        )
    print(f"installing {', '.join(missing)}", flush=True)
    run_program(["apt-get", "update", "--quiet"], _INSTALL_SECONDS)
    run_program(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing], _INSTALL_SECONDS)


def build_program(name: str, target: Path) -> Path:
    """A Go program of the benchmark, built from its source into ``target``.

    Args:
        name: its directory below ``bench``.
        target: is made when it is missing.

    Raises:
        LabError: there is no Go, or the build failed.
    """
    go = shutil.which("go")
    if go is None:
        raise LabError(f"the benchmark's {name} is a Go program, and there is no go on PATH")
    target.mkdir(parents=True, exist_ok=True)
    program = target / name
    run_program([go, "build", "-o", str(program), "."], _BUILD_SECONDS, directory=_SOURCES / name)
    return program


def run_program(command: list[str], seconds: float, directory: Path | None = None) -> None:
    """Run a program to its end.

    Raises:
        LabError: it failed.
    """
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
