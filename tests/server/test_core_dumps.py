"""No process that holds keys writes its memory to a file when it dies."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_REPORT = (
    "import ctypes, resource; "
    "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
)
_COMMAND = (
    "import sys, gateway.cli.main\n"
    "sys.argv = ['sealgate', 'version']\n"
    "try:\n"
    "    gateway.cli.main.main()\n"
    "except SystemExit:\n"
    f"    {_REPORT}\n"
)
_FUNCTION = f"from gateway.server.core_dumps import forbid_core_dumps; forbid_core_dumps(); {_REPORT}"


def _allow_core_dumps() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _ran(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=_allow_core_dumps,
    ).stdout.splitlines()[-1]


def test_a_process_is_dumpable_by_default() -> None:
    """Else the tests below would prove nothing."""
    assert _ran(_REPORT).endswith(" 1")


@pytest.mark.parametrize("program", [_FUNCTION, _COMMAND], ids=["function", "command"])
def test_no_core_of_limit_or_pipe(program: str) -> None:
    assert _ran(program) == "(0, 0) 0"


def test_a_process_that_aborts_dumps_nothing() -> None:
    program = "import os; from gateway.server.core_dumps import forbid_core_dumps; forbid_core_dumps(); os.abort()"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, preexec_fn=_allow_core_dumps)  # noqa: PLW1509
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
