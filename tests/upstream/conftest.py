"""Clients and servers for the tests of this room; every test ends with no connection left in use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import Query
from gateway.upstream.body import Body, EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import StaticCredentials
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.settings import UpstreamSettings
from tests.upstream.raw_server import Behave, RawServer

CREDENTIALS = StaticCredentials(Credential("AKIDEXAMPLE", SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")))


@dataclass
class Observed:
    """What the client told its observer."""

    requests: list[tuple[str, int | str]] = field(default_factory=list)
    retries: list[tuple[str, str]] = field(default_factory=list)
    successes: list[Operation] = field(default_factory=list)
    first_bytes: list[str] = field(default_factory=list)
    retried: asyncio.Event = field(default_factory=asyncio.Event)

    def on_request(self, operation: str, status: int | str, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((operation, status))

    def on_first_byte(self, operation: str, seconds: float) -> None:
        assert seconds >= 0
        self.first_bytes.append(operation)

    def on_success(self, operation: Operation, requested: Headers, answered: Headers) -> None:
        self.successes.append(operation)

    def on_retry(self, operation: str, reason: str) -> None:
        self.retries.append((operation, reason))
        self.retried.set()


class Loopback(AbstractResolver):
    """Every name is this machine's."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.append(host)
        if host == "unknown.test":
            raise OSError(None, "Name or service not known")
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


def make_request(
    operation: Operation = Operation.GET_OBJECT,
    body: Body | None = None,
    *,
    bucket: str | None = "bucket",
    key: str | None = "key",
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    payload_sha256: str | None = None,
) -> UpstreamRequest:
    return UpstreamRequest(
        operation,
        operation.info.method,
        bucket,
        key,
        Query.parse(query),
        Headers(headers),
        body if body is not None else EmptyBody(),
        payload_sha256,
    )


def connections(client: UpstreamClient) -> tuple[int, int]:
    """How many connections are in use, and how many wait in the pool."""
    pool = client._pool
    assert pool is not None
    return pool.in_use, pool.unused


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something that happens elsewhere has happened."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


async def settle(client: UpstreamClient) -> None:
    """Let closed connections be noticed."""
    await eventually(lambda: connections(client)[0] == 0)


MakeClient = Callable[..., Awaitable[UpstreamClient]]
MakeServer = Callable[[Behave], Awaitable[RawServer]]


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
async def make_client(observed: Observed) -> AsyncIterator[MakeClient]:
    clients: list[UpstreamClient] = []

    async def make(endpoint: str, **options: Any) -> UpstreamClient:
        resolver = options.pop("resolver", None)
        options.setdefault("allow_insecure_plain_http_upstream", True)
        client = UpstreamClient(
            UpstreamSettings(endpoint=endpoint, **options), observed, chance=lambda: 0.0, resolver=resolver
        )
        await client.start()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await settle(client)  # fails when a connection leaked
        await client.close()


@pytest.fixture
async def make_server() -> AsyncIterator[MakeServer]:
    servers: list[RawServer] = []

    async def make(behave: Behave) -> RawServer:
        server = RawServer(behave)
        await server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        await server.stop()
