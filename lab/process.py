"""One server process: started with its log in a file, waited for, stopped or killed by its own id.

No process outlives the program that started it. It is stopped when the program ends (``atexit``), and where
``setpriv`` is on the machine the kernel kills it as soon as the thread that started it is gone, ``kill -9`` included.
So servers are to be started from the main thread.
"""

import atexit
import os
import shutil
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.binaries import LabError

_POLL_SECONDS = 0.05
_LOG_TAIL_BYTES = 3_000

_running: "weakref.WeakSet[ServerProcess]" = weakref.WeakSet()


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask ``condition`` again and again until it holds.

    Raises:
        LabError: it did not hold within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not happen within {seconds:g} s")
        time.sleep(_POLL_SECONDS)


class ServerProcess:
    """A program that runs until it is told to stop. Its output goes to ``log_file``, one file over all restarts."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            name: for the log's name and for messages.
            command: program and arguments.
            directory: working directory; the log is written here. It is made when it is missing.
            environment: additions to the environment of this process.
        """
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = directory
        self.log_file = directory / f"{name}.log"
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} pid={self._process.pid if self._process else None}>"

    @property
    def pid(self) -> int:
        """The id of the running process.

        Raises:
            LabError: it was never started, or was stopped.
        """
        if self._process is None:
            raise LabError(f"{self.name} is not running")
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        """Start the program and wait until ``ready`` holds.

        Raises:
            LabError: it ended, or was not ready within ``seconds``; the message ends with the last lines of its log.
        """
        if self.is_alive():
            raise LabError(f"{self.name} is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*_die_with_parent(), *self.command],
                cwd=self.directory,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(self)
        try:
            wait_until(lambda: not self.is_alive() or ready(), seconds=seconds, what=f"the start of {self.name}")
        except LabError as error:
            self.kill()
            raise LabError(f"{error}\n{self.log_tail()}") from None
        if not self.is_alive():
            self._process = None
            raise LabError(f"{self.name} ended while it was starting\n{self.log_tail()}")

    def stop(self, *, seconds: float = 10) -> None:
        """Ask it to end (SIGTERM), kill it when it has not ended after ``seconds``. Does nothing when not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, *, seconds: float) -> int:
        """Wait until it has ended by itself; its exit status, negative for a signal.

        Raises:
            LabError: it runs on.
        """
        if self._process is None:
            raise LabError(f"{self.name} is not running")
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {seconds:g} s") from None
        self._process = None
        return status

    def kill(self) -> None:
        """``kill -9``, and wait until it is gone. Does nothing when not running."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stop it from running without ending it (SIGSTOP): a server that hangs.

        A signal stops each thread when it next enters the kernel: until then one may still answer a request.
        """
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(self._is_stopped, seconds=5, what=f"the stop of {self.name}")

    def _is_stopped(self) -> bool:
        """Whether every thread is stopped. Source: proc(5), the state behind the name in ``stat``."""
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{self.pid}/task").iterdir()]
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    def resume(self) -> None:
        """Let a paused process run again."""
        os.kill(self.pid, signal.SIGCONT)

    def resident_bytes(self) -> int:
        """Resident memory of the process, from /proc, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise LabError(f"/proc says nothing about the memory of {self.name}")

    def log_tail(self) -> str:
        """The end of what the program printed."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")


def _die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


@atexit.register
def _kill_all() -> None:
    for process in list(_running):
        process.kill()
