import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.keys import login_token
from gateway.keys.login_token import MAX_REPLACEMENTS_PER_MINUTE
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_http import VaultAnswer
from gateway.keys.vault_settings import AppRoleAuth
from gateway.keys.vault_token import parse_grant
from gateway.redact import SecretStr
from tests.keys.conftest import RawServer, http_answer

Connect = Callable[..., VaultClient]
ROLE = {"auth": AppRoleAuth("role-of-the-gateway", SecretStr("secret-of-the-gateway"), mount="team/approle")}
DENIED = http_answer(403, {"errors": ["permission denied"]})
FOUND = http_answer(200, {"data": {}})


class Vault:
    """A vault whose logins and reads the test decides."""

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.ttl_seconds = 3600
        self.login: bytes | None = None
        self.allowed: Callable[[str], bool] = lambda token: True
        server.reply = self.reply

    def reply(self, head: str) -> bytes:
        if "/login" in head:
            auth = {"client_token": f"token-{self.logins}", "lease_duration": self.ttl_seconds}
            return http_answer(200, {"auth": auth}) if self.login is None else self.login
        token = head.split("X-Vault-Token: ")[1].split("\r\n", maxsplit=1)[0]
        return FOUND if self.allowed(token) else DENIED

    @property
    def logins(self) -> int:
        return sum("/login" in head for head in self.server.heads)


@pytest.fixture
def vault(raw: RawServer) -> Vault:
    return Vault(raw)


async def hammer(client: VaultClient, reads: int) -> list[VaultError]:
    """Ask as fast as possible, eight at a time."""
    faults = []

    async def one() -> None:
        for _ in range(reads // 8):
            try:
                await client.read("secret/data/a")
            except VaultError as fault:
                faults.append(fault)
            await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(8)))
    return faults


async def test_what_a_login_sends(vault: Vault, connect: Connect) -> None:
    await connect(vault.server.address, namespace="team", **ROLE).read("secret/data/a")
    assert vault.server.heads[0].startswith("POST /v1/auth/team/approle/login HTTP/1.1\r\n")
    assert "X-Vault-Namespace: team" in vault.server.heads[0]
    assert "X-Vault-Token" not in vault.server.heads[0]
    assert json.loads(vault.server.bodies[0]) == {
        "role_id": "role-of-the-gateway",
        "secret_id": "secret-of-the-gateway",
    }
    assert "X-Vault-Token: token-1" in vault.server.heads[1]


async def test_many_readers_share_the_first_login(vault: Vault, connect: Connect) -> None:
    client = connect(vault.server.address, **ROLE)
    await asyncio.gather(*(client.read("secret/data/a") for _ in range(50)))
    assert vault.logins == 1


async def test_refused_tokens_cause_a_bounded_number_of_logins(
    vault: Vault, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy once did 44,097 logins in 7 seconds."""
    monkeypatch.setattr(login_token, "MIN_REPLACEMENT_SECONDS", 0.0)
    vault.allowed = lambda token: False
    client = connect(vault.server.address, **ROLE)
    faults = await hammer(client, 400)
    assert len(faults) == 400
    assert {fault.code for fault in faults} == {"AccessDenied"}
    assert vault.logins == 1 + MAX_REPLACEMENTS_PER_MINUTE


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (http_answer(400, {"errors": ["invalid role or secret ID"]}), "AccessDenied"),
        (DENIED, "AccessDenied"),
        (http_answer(404, {"errors": []}), "KMS.NotFoundException"),
        (http_answer(503, {"errors": ["Vault is sealed"]}), "ServiceUnavailable"),
        (http_answer(500, {"errors": []}), "ServiceUnavailable"),
        (http_answer(200, {"auth": None}), "ServiceUnavailable"),
        (b"", "ServiceUnavailable"),
    ],
    ids=["wrong secret id", "denied", "no such method", "sealed", "broken", "no token", "nothing"],
)
async def test_failing_logins_are_few(answer: bytes, code: str, vault: Vault, connect: Connect) -> None:
    vault.login = answer
    faults = await hammer(connect(vault.server.address, **ROLE), 400)
    assert len(faults) == 400
    assert {fault.code for fault in faults} == {code}
    assert vault.logins <= 4


async def test_a_token_of_one_second_does_not_make_a_loop(vault: Vault, connect: Connect) -> None:
    vault.ttl_seconds = 1
    client = connect(vault.server.address, **ROLE)
    started = time.monotonic()
    while time.monotonic() - started < 2.5:
        assert await hammer(client, 80) == []
    assert 3 <= vault.logins <= 2 * (time.monotonic() - started) + 1


async def test_a_token_that_is_still_good_is_used_while_logins_fail(
    vault: Vault, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_token, "MAX_PAUSE_SECONDS", 0.5)
    vault.ttl_seconds = 3
    client = connect(vault.server.address, **ROLE)
    await client.read("secret/data/a")
    vault.login = http_answer(500, {})
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert await hammer(client, 40) == []
    assert 2 <= vault.logins <= 5
    await asyncio.sleep(0.6)
    with pytest.raises(VaultError, match="answered the AppRole login with HTTP 500"):
        await client.read("secret/data/a")
    vault.login = None
    await asyncio.sleep(login_token.MAX_PAUSE_SECONDS)
    assert (await client.read("secret/data/a")).result is VaultResult.OK


async def test_a_token_that_was_replaced_meanwhile_costs_no_login(vault: Vault, connect: Connect) -> None:
    client = connect(vault.server.address, **ROLE)
    await client.read("secret/data/a")
    vault.allowed = lambda token: token != "token-1"
    await asyncio.gather(*(client.read("secret/data/a") for _ in range(20)))
    assert vault.logins == 2


@pytest.mark.parametrize(
    "auth",
    [
        None,
        {},
        {"client_token": "t"},
        {"client_token": "", "lease_duration": 60},
        {"client_token": "a\r\nX-Evil: 1", "lease_duration": 60},
        {"client_token": "a b", "lease_duration": 60},
        {"client_token": "t" * 8193, "lease_duration": 60},
        {"client_token": 7, "lease_duration": 60},
        {"client_token": "t", "lease_duration": -1},
        {"client_token": "t", "lease_duration": True},
        {"client_token": "t", "lease_duration": "60"},
        {"client_token": "t", "lease_duration": 1.5},
    ],
)
def test_grants_that_are_none(auth: Any) -> None:
    assert parse_grant(VaultAnswer(200, VaultResult.OK, {"auth": auth}), 100.0) is None


def test_when_a_grant_is_renewed_and_over() -> None:
    for _ in range(50):
        grant = parse_grant(
            VaultAnswer(200, VaultResult.OK, {"auth": {"client_token": "s.t", "lease_duration": 100}}), 1000.0
        )
        assert grant is not None
        assert 1060 <= grant.renew_at <= 1080
        assert grant.expires_at == 1100
        assert "s.t" not in repr(grant)
    endless = parse_grant(VaultAnswer(200, VaultResult.OK, {"auth": {"client_token": "s.t", "lease_duration": 0}}), 0.0)
    assert endless is not None
    assert endless.renew_at == endless.expires_at == float("inf")


async def test_a_closed_client_asks_nobody(vault: Vault, connect: Connect) -> None:
    unused, used = connect(vault.server.address, **ROLE), connect(vault.server.address, **ROLE)
    await used.read("secret/data/a")
    requests = len(vault.server.heads)
    for client in (unused, used):
        await client.aclose()
        with pytest.raises(VaultError, match="shutting down"):
            await client.read("secret/data/a")
        assert not (await client.probe()).usable
    assert len(vault.server.heads) == requests


async def test_closing_stops_a_login(vault: Vault, connect: Connect) -> None:
    vault.server.pace_seconds = 0.05
    client = connect(vault.server.address, **ROLE)
    reading = asyncio.ensure_future(client.read("secret/data/a"))
    await asyncio.sleep(0.1)
    await client.aclose()
    with pytest.raises(Exception, match="shutting down"):
        await reading
