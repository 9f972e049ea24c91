"""What is compared: the store itself, nginx in front of it, and gateways in front of it, one for each mode."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import Processors
from bench.nginx import Nginx
from bench.prepare import build_program
from bench.processes import pin
from bench.stub import StubStore
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import Credentials, S3Server
from lab.sealing import WRAPPING_KEY
from lab.seaweed import SeaweedFS

DIRECT: Final = "direct"
NGINX: Final = "nginx"
_VAULT_KEY: Final = "s3/bench"
_RULES: Final[Mapping[str, Mapping[str, object]]] = {
    "none": {"mode": "none"},
    "sse-s3": {"mode": "sse-s3"},
    "sse-c": {"mode": "sse-c", "customer_key": "bench"},
    "cse": {"mode": "cse", "wrapping_key": WRAPPING_KEY},
}
MODES: Final = tuple(_RULES)
NAMES: Final = (DIRECT, NGINX, *MODES)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Where requests go.

    Attributes:
        name: one of :data:`NAMES`.
        endpoint: ``https://localhost:PORT``.
        credentials: what requests are signed with.
        bucket: its own: objects of one contestant are no other's.
        ca_file: verifies ``endpoint``.
        pid: the proxy whose CPU time and memory are counted; None without one.
        admin_endpoint: where a gateway tells its health.
    """

    name: str
    endpoint: str
    credentials: Credentials
    bucket: str
    ca_file: Path
    pid: int | None
    admin_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Arena:
    """A store and the contestants in front of it, running."""

    store: str
    store_pid: int
    contestants: tuple[Contestant, ...]


@contextmanager
def stub_arena(
    directory: Path,
    processors: Processors,
    names: tuple[str, ...],
    recorder: Sequence[str | Path] = (),
    workers: int = 1,
) -> Iterator[Arena]:
    """Contestants in front of the stub store.

    Args:
        directory: everything is written there.
        processors: who runs where.
        names: the contestants.
        recorder: arguments of the interpreter that run gateways under a profiler, if any.
        workers: of each gateway; one, when there is one processor for it.
    """
    authority = CertificateAuthority(directory / "tls")
    program = build_program("store", directory / "bin")
    store = StubStore(directory / "stub", authority, program, len(processors.others))
    with _arena(directory, authority, store, processors, names, recorder, workers) as arena:
        yield arena


@contextmanager
def realistic_arena(directory: Path, processors: Processors, names: tuple[str, ...]) -> Iterator[Arena]:
    """Contestants in front of SeaweedFS, which stores what it is sent."""
    authority = CertificateAuthority(directory / "tls")
    with _arena(directory, authority, SeaweedFS(directory / "store", authority), processors, names) as arena:
        yield arena


@contextmanager
def _arena(
    directory: Path,
    authority: CertificateAuthority,
    store: S3Server,
    processors: Processors,
    names: tuple[str, ...],
    recorder: Sequence[str | Path] = (),
    workers: int = 1,
) -> Iterator[Arena]:
    with ExitStack() as cleanup:
        vault = OpenBao(directory / "vault", authority)
        cleanup.callback(vault.kill)
        vault.start()
        vault.put_random_key(_VAULT_KEY)
        cleanup.callback(store.kill)
        store.start()
        pin(store.pid, processors.others)
        pin(vault.pid, processors.others)
        contestants = tuple(
            _contestant(name, directory, authority, store, vault, cleanup, recorder, workers) for name in names
        )
        for contestant in contestants:
            if contestant.pid is not None:
                pin(contestant.pid, processors.proxy)
        client = store.client()
        for contestant in contestants:
            client.create_bucket(Bucket=contestant.bucket)
        client.close()
        yield Arena(store.name, store.pid, contestants)


def _contestant(
    name: str,
    directory: Path,
    authority: CertificateAuthority,
    store: S3Server,
    vault: OpenBao,
    cleanup: ExitStack,
    recorder: Sequence[str | Path],
    workers: int,
) -> Contestant:
    bucket = f"bench-{name}"
    if name == DIRECT:
        return Contestant(name, store.endpoint, store.credentials, bucket, authority.ca_file, None)
    if name == NGINX:
        nginx = Nginx(directory / "nginx", authority, store)
        cleanup.callback(nginx.stop)
        nginx.start()
        return Contestant(name, nginx.endpoint, store.credentials, bucket, authority.ca_file, nginx.pid)
    gateway = Gateway(
        directory / name,
        authority,
        store,
        rules=[{"name": name, "buckets": ["*"], **_RULES[name]}],
        vault=vault,
        customer_keys={"bench": _VAULT_KEY},
        sealing=directory / "sealing",
        # nginx writes no log either.
        options={"log": {"access_log": False}, "workers": workers},
    )
    gateway.process.command[1:1] = map(str, recorder)
    cleanup.callback(gateway.stop)
    gateway.start()
    pid, admin = gateway.process.pid, gateway.admin_endpoint
    return Contestant(name, gateway.endpoint, gateway.credentials, bucket, authority.ca_file, pid, admin)
