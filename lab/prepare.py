"""Gets what no Python package brings: ``python -m lab.prepare`` before the slow tests.

Builds MinIO where Go is, installs the AWS SDK for JavaScript where npm is, and says what is missing and how to get it.
What is there already is not made again.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lab.minio
import lab.rgw
from lab.binaries import LabError

#: Where the JavaScript client of the tests has its package.json and, after :func:`install_javascript`, its modules.
JAVASCRIPT = Path(__file__).parent.parent / "tests" / "clients" / "javascript"
_NPM_SECONDS = 600


def install_javascript() -> Path:
    """The locked AWS SDK for JavaScript in ``JAVASCRIPT``/node_modules.

    Raises:
        LabError: there is no Node.js with npm, or the installation failed.
    """
    modules = JAVASCRIPT / "node_modules"
    installed = modules / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= (JAVASCRIPT / "package-lock.json").stat().st_mtime:
        return modules
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise LabError("the AWS SDK for JavaScript needs node and npm on PATH")
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=JAVASCRIPT,
        capture_output=True,
        text=True,
        timeout=_NPM_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"npm ci failed:\n{done.stderr[-2000:]}")
    return modules


def _find_rgw() -> Path:
    if not lab.rgw.is_available():
        raise LabError("apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common")
    return Path(shutil.which("radosgw") or "radosgw")


def main() -> int:
    """Prepare everything; a missing part is reported and is no failure, a part that could not be made is."""
    parts: dict[str, tuple[bool, Callable[[], Path]]] = {
        "Ceph RGW": (lab.rgw.is_available(), _find_rgw),
        "MinIO": (lab.minio.is_available(), lab.minio.build_minio),
        "AWS SDK for JavaScript": (shutil.which("npm") is not None, install_javascript),
    }
    failed = False
    for name, (possible, make) in parts.items():
        try:
            print(f"{name}: {make()}", flush=True)
        except LabError as error:
            failed = failed or possible
            print(f"{name}: {'FAILED' if possible else 'not here, its tests are skipped'}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
