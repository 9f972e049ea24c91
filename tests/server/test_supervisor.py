"""Real processes: workers on one port, one of them killed, signals, merged metrics."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.server.assigned import EXIT_CONFIG, Assignment
from lab.certificates import CertificateAuthority
from lab.ports import free_port
from tests.server.conftest import eventually

ROOT = Path(__file__).parents[2]
RUN = (
    "import sys; from gateway.server.runtime import RuntimeReference; from gateway.server.supervisor import run; "
    "sys.exit(run(RuntimeReference('tests.server.runtime_under_test:build', (sys.argv[1],))))"
)


class Served:
    """A running gateway, with one or more workers."""

    def __init__(self, control: Path, workers: int, **options: Any) -> None:
        control.mkdir(exist_ok=True)
        self.control = control
        self.workers = workers
        self.port, self.admin_port = free_port(), free_port()
        given = {
            "port": self.port, "admin_port": self.admin_port, "workers": workers, "control": str(control), **options
        }  # fmt: skip
        self.log = control / "log"
        self._log_file = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, json.dumps(given)], cwd=ROOT, stderr=self._log_file, stdout=self._log_file
        )

    def wait_until_ready(self) -> "Served":
        eventually(lambda: self.process.poll() is not None or self._all_ready(), within=20)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def _all_ready(self) -> bool:
        return self.status("/readyz") == 200 and len(self.checks()) == self.workers

    def get(self, path: str, port: int | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def refuses_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    def status(self, path: str) -> int:
        try:
            return self.get(path, self.admin_port)[0]
        except OSError:
            return 0

    def checks(self) -> dict[str, str]:
        checks: dict[str, str] = json.loads(self.get("/readyz", self.admin_port)[1])["checks"]
        return checks

    def pid(self) -> int:
        return int(json.loads(self.get("/pid")[1])[0])

    def pids(self, count: int) -> set[int]:
        """The workers' process ids; the kernel chooses which one answers."""
        found: set[int] = set()

        def ask() -> bool:
            found.add(self.pid())
            return len(found) >= count

        eventually(ask, within=10)
        return found

    def sample(self, series: str) -> float:
        text = self.get("/metrics", self.admin_port)[1].decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else -1

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = 15) -> int:
        self.process.send_signal(number)
        return self.process.wait(within)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._log_file.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    running: list[Served] = []

    def serve_with(workers: int, **options: Any) -> Served:
        running.append(Served(tmp_path / "control", workers, **options))
        return running[-1]

    yield serve_with
    for served in running:
        served.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_workers_share_a_port_and_their_metrics_are_merged(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    pids = served.pids(2)
    assert served.process.pid not in pids
    before = served.sample('sealgate_objects_read_total{mode="none"}')
    for _ in range(20):
        served.get("/pid")
    assert served.sample('sealgate_objects_read_total{mode="none"}') == before + 20
    assert served.sample("sealgate_workers") == 2
    assert served.sample('sealgate_objects_read_total{mode="sse-c"}') == 0
    assert set(served.checks()) == {"worker 0: vault", "worker 1: vault"}
    assert served.end() == 0
    assert {f"closed-{pid}" for pid in pids} <= {path.name for path in served.control.iterdir()}


def test_workers_leave_no_core(serve: Callable[..., Served]) -> None:
    """Keys are in their memory."""
    for pid in serve(2).wait_until_ready().pids(2):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if "core file size" in line] == [["0", "0"]]


def test_a_killed_worker_is_replaced_and_its_counters_stay(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    pids = served.pids(2)
    victim = min(pids)
    waiting = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    waiting.request("GET", "/wait")
    eventually(lambda: served.sample("sealgate_requests_in_flight") == 1)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    waiting.close()
    served.wait_until_ready()
    replaced = served.pids(2)
    assert not replaced & pids
    assert not is_alive(victim)
    assert served.sample("sealgate_worker_restarts_total") == 2
    counted = served.sample('sealgate_objects_read_total{mode="none"}')
    assert counted > 2  # what the dead workers counted is still there
    assert served.sample("sealgate_requests_in_flight") == 0  # and what only a live one has is gone
    assert served.end() == 0


def test_sigterm_drains_all_workers(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    served.pids(2)
    waiting = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    waiting.request("GET", "/wait")
    eventually(lambda: served.sample("sealgate_requests_in_flight") == 1)
    served.process.send_signal(signal.SIGTERM)
    eventually(lambda: served.status("/readyz") == 503)
    assert served.checks() == {"process": "draining"}
    assert served.status("/livez") == 200
    eventually(served.refuses_connections)
    (served.control / "release").touch()
    answer = waiting.getresponse()
    assert (answer.status, answer.getheader("connection")) == (200, "close")
    answer.read()
    waiting.close()
    assert served.process.wait(10) == 0


def test_a_second_sigterm_does_not_wait(serve: Serve) -> None:
    served = serve(2, drain_seconds=60).wait_until_ready()
    waiting = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    waiting.request("GET", "/wait")
    eventually(lambda: served.sample("sealgate_requests_in_flight") == 1)
    served.process.send_signal(signal.SIGTERM)
    eventually(lambda: served.status("/readyz") == 503)
    begun = time.monotonic()
    assert served.end() == 0
    assert time.monotonic() - begun < 10
    waiting.close()


def test_workers_do_not_outlive_a_killed_supervisor(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    pids = served.pids(2)
    served.process.kill()
    served.process.wait(10)
    eventually(lambda: not any(is_alive(pid) for pid in pids), within=10)


def test_not_ready_when_the_vault_is_down_and_ready_again(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    (served.control / "vault_down").touch()
    eventually(lambda: set(served.checks().values()) == {"the vault is sealed"})
    assert served.status("/readyz") == 503
    (served.control / "vault_down").unlink()
    eventually(lambda: served.status("/readyz") == 200)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unusable_configuration_ends_it_with_every_fault(serve: Serve, tmp_path: Path, workers: int) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "unusable").touch()
    served = serve(workers)
    assert served.process.wait(15) == EXIT_CONFIG
    log = served.log.read_text()
    assert "sealgate: rules[0].mode: unknown mode 'x'" in log
    assert "sealgate: upstream.endpoint: is missing" in log


def test_a_configuration_that_became_unusable_ends_nothing(serve: Serve) -> None:
    """A worker that died waits for a configuration that it can use; the other one serves."""
    served = serve(2).wait_until_ready()
    unusable = served.control / "unusable"
    unusable.touch()
    victim = served.pid()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: served.sample("sealgate_worker_restarts_total") >= 2)
    assert served.pid() != victim
    assert served.status("/readyz") == 200
    unusable.unlink()
    served.wait_until_ready()
    assert served.end() == 0


def test_without_any_worker_an_unusable_configuration_ends_it(serve: Serve) -> None:
    served = serve(2).wait_until_ready()
    (served.control / "unusable").touch()
    for pid in served.pids(2):
        os.kill(pid, signal.SIGKILL)
    assert served.process.wait(20) == EXIT_CONFIG


def test_workers_that_can_not_start_are_tried_again(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "vault_down_at_start").touch()
    served = serve(2)
    eventually(
        lambda: served.sample("sealgate_worker_restarts_total") >= 2 if served.status("/livez") else 0, within=20
    )
    assert served.status("/readyz") == 503
    (tmp_path / "control" / "vault_down_at_start").unlink()
    served.wait_until_ready()
    assert served.end() == 0


def test_one_worker_that_can_not_start_says_why(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "vault_down_at_start").touch()
    served = serve(1)
    assert served.process.wait(15) == 1
    assert "sealgate: the vault is down" in served.log.read_text()


def test_one_worker_is_one_process(serve: Serve) -> None:
    served = serve(1).wait_until_ready()
    assert served.pid() == served.process.pid
    assert served.checks() == {"vault": "ok"}
    assert served.sample('sealgate_objects_read_total{mode="none"}') == 1
    assert served.sample("process_resident_memory_bytes") > 0
    assert served.end(signal.SIGINT) == 0
    assert (served.control / f"closed-{served.process.pid}").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unix_socket_is_shared_and_removed(serve: Serve, tmp_path: Path, workers: int) -> None:
    path = tmp_path / "s3.sock"
    served = serve(workers, unix=str(path)).wait_until_ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /pid HTTP/1.0\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.0 200")
    assert served.end() == 0
    assert not path.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_reaches_the_data_path_of_every_worker(serve: Serve, workers: int) -> None:
    served = serve(workers).wait_until_ready()
    served.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(list(served.control.glob("reloaded-*"))) == workers)
    assert served.end() == 0


def test_sighup_renews_the_certificate_of_every_worker(
    serve: Serve, tls_authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    files = tls_authority.issue_server("server")
    https_port = free_port()
    served = serve(2, certificate=str(files.certificate), key=str(files.key), https_port=https_port).wait_until_ready()

    def certificates() -> set[bytes]:
        found: set[bytes] = set()
        for _ in range(12):
            plain = socket.create_connection(("127.0.0.1", https_port))
            with trusting.wrap_socket(plain, server_hostname="localhost") as client:
                found.add(client.getpeercert(binary_form=True) or b"")
        return found

    before = certificates()
    renewed = tls_authority.issue_server("renewed")
    shutil.copy(renewed.certificate, files.certificate)
    shutil.copy(renewed.key, files.key)
    served.process.send_signal(signal.SIGHUP)
    new = ssl.PEM_cert_to_DER_cert(renewed.certificate.read_text().partition("-----END CERTIFICATE-----")[0]
                                   + "-----END CERTIFICATE-----\n")  # fmt: skip
    eventually(lambda: certificates() == {new})
    assert before != {new}
    eventually(lambda: served.sample('sealgate_certificate_reloads_total{result="ok"}') == 2)
    assert served.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_told_at_start(serve: Serve, workers: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        served = serve(workers, port=taken.getsockname()[1])
        assert served.process.wait(15) == EXIT_CONFIG
    assert "can not bind" in served.log.read_text()


def test_assignments_survive_the_command_line() -> None:
    assignment = Assignment("module:function", ("/etc/sealgate.yaml",), 3, "/run/x", {"https": 8443}, {"unix": 7})
    assert Assignment.parse(assignment.render()) == assignment
