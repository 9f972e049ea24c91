"""A real OpenBao, a hostile vault, and clients of them that are closed after the test."""

import asyncio
import base64
import collections
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_settings import AppRoleAuth, TokenAuth, VaultSettings
from gateway.redact import SecretStr
from lab.certificates import CertificateAuthority, CertificateFiles
from lab.openbao import OpenBao

READ_EVERYTHING = {"secret/*": ["read"]}


class Counts:
    """Counts requests, logins and renewals, as the metrics do."""

    def __init__(self) -> None:
        self.results: collections.Counter[str] = collections.Counter()
        self.logins: collections.Counter[tuple[str, str, str]] = collections.Counter()
        self.renewals: collections.Counter[tuple[str, str]] = collections.Counter()

    def on_vault_request(self, result: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.results[result] += 1

    def on_vault_login(self, vault: str, method: str, result: str) -> None:
        self.logins[vault, method, result] += 1

    def on_vault_renewal(self, vault: str, result: str) -> None:
        self.renewals[vault, result] += 1

    @property
    def total(self) -> int:
        return self.results.total()


@pytest.fixture
def bao(openbao: OpenBao) -> OpenBao:
    """A server that stays well; tests use secrets of their own."""
    return openbao


@pytest.fixture
def own_bao(tmp_path: Path, authority: CertificateAuthority) -> Iterator[OpenBao]:
    """A server that the test may break."""
    server = OpenBao(tmp_path, authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def connect(counts: Counts) -> AsyncIterator[Callable[..., VaultClient]]:
    """Makes clients: ``connect(server, token="...")``; further arguments are those of VaultSettings."""
    clients = []

    def make(server: OpenBao | str, **options: Any) -> VaultClient:
        if isinstance(server, OpenBao):
            options = {"address": server.address, "ca_bundle": server.ca_file, **options}
            options.setdefault("auth", TokenAuth(SecretStr(server.root_token)))
        else:
            options = {"address": server, "allow_plain_http": True, **options}
            options.setdefault("auth", TokenAuth(SecretStr("token-of-the-gateway")))
        client = VaultClient(VaultSettings(name="main", **options), counts)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()
    await asyncio.sleep(0.01)  # asyncio closes the socket of a failed TLS handshake some rounds later


class RawServer:
    """Speaks to whoever connects exactly the bytes that a test wants.

    Attributes:
        heads: the heads of the requests received, as text.
        bodies: their bodies.
        reply: from the head of a request to the bytes of the answer; the connection is closed then.
        pace_seconds: pause after each byte of the answer.
    """

    def __init__(self) -> None:
        self.address = ""
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.reply: Callable[[str], bytes] = lambda head: b""
        self.pace_seconds = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
            answer = self.reply(head)
            step = 1 if self.pace_seconds else max(len(answer), 1)
            for start in range(0, len(answer), step):
                writer.write(answer[start : start + step])
                await writer.drain()
                await asyncio.sleep(self.pace_seconds)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()


@pytest.fixture
async def start_raw_server() -> AsyncIterator[Callable[..., Awaitable[RawServer]]]:
    """Starts raw servers: ``await start_raw_server(tls_files)``."""
    listeners = []

    async def start(files: CertificateFiles | None = None) -> RawServer:
        context = None
        if files is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(files.certificate, files.key)
        server = RawServer()
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
        listeners.append(listener)
        port = listener.sockets[0].getsockname()[1]
        server.address = f"https://localhost:{port}" if files else f"http://127.0.0.1:{port}"
        return server

    yield start
    for listener in listeners:
        listener.close()
        await listener.wait_closed()


@pytest.fixture
async def raw(start_raw_server: Callable[..., Awaitable[RawServer]]) -> RawServer:
    return await start_raw_server()


def http_answer(status: int, body: object = None, *fields: str) -> bytes:
    """An HTTP answer; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}", "Connection: close", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def make_role(
    server: OpenBao, name: str, rules: Mapping[str, Sequence[str]] = READ_EVERYTHING, *, ttl: str = "1h"
) -> AppRoleAuth:
    """A way to log in with AppRole; every token ends after ``ttl``."""
    server.write_policy(name, rules)
    role_id, secret_id = server.create_approle(name, [name], token_ttl=ttl)
    server.request("POST", f"auth/approle/role/{name}", {"token_max_ttl": ttl})
    return AppRoleAuth(role_id, SecretStr(secret_id))


def new_key_text() -> str:
    """A fresh key as it is stored in a vault."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
