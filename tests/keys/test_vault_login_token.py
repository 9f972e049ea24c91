"""How long tokens from logins are renewed, and how the gateway recovers when it loses them."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys import login_token, vault_token
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultResult
from gateway.keys.vault_settings import AppRoleAuth
from gateway.keys.vault_transit import VaultTransitProvider
from gateway.redact import SecretBytes, SecretStr
from lab.openbao import OpenBao
from tests.keys.conftest import Counts, RawServer, http_answer, make_role

Connect = Callable[..., VaultClient]
PATH = "secret/data/a"
ROLE = {"auth": AppRoleAuth("role", SecretStr("secret"))}
FOUND = http_answer(200, {"data": {}})
DENIED = http_answer(403, {"errors": ["permission denied"]})
TRANSIT = {f"transit/{operation}/*": ["update"] for operation in ("datakey/plaintext", "decrypt", "rewrap")}


class Vault:
    """A vault whose tokens live 1 s unless told otherwise, and whose answers to renewals the test decides."""

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.renewable = True
        self.login_seconds = 1
        self.renewal: bytes | None = None
        self.allowed: Callable[[str], bool] = lambda token: True
        server.reply = self.reply

    def reply(self, head: str) -> bytes:
        if "/login" in head:
            return self.grant(self.login_seconds, f"token-{self.asked('/login')}")
        if "/renew-self" in head:
            return self.grant(1, _token_of(head)) if self.renewal is None else self.renewal
        return FOUND if self.allowed(_token_of(head)) else DENIED

    def grant(self, seconds: int, token: str = "token-1") -> bytes:
        auth = {"client_token": token, "lease_duration": seconds, "renewable": self.renewable}
        return http_answer(200, {"auth": auth})

    def asked(self, what: str) -> int:
        return sum(what in head for head in self.server.heads)


def _token_of(head: str) -> str:
    return head.split("X-Vault-Token: ")[1].split("\r\n", maxsplit=1)[0]


@pytest.fixture
def vault(raw: RawServer) -> Vault:
    return Vault(raw)


async def read_for(client: VaultClient, seconds: float) -> None:
    """Read all the time; every read has to work."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert (await client.read(PATH)).result is VaultResult.OK
        await asyncio.sleep(0.02)


async def test_a_token_is_renewed_instead_of_replaced(vault: Vault, connect: Connect, counts: Counts) -> None:
    await read_for(connect(vault.server.address, **ROLE), 2.5)
    assert counts.logins == {("main", "approle", "ok"): 1}
    assert 2 <= counts.renewals["main", "ok"] <= 5
    assert counts.renewals.total() == vault.asked("/renew-self")
    renewal = next(i for i, head in enumerate(vault.server.heads) if "/renew-self" in head)
    assert vault.server.heads[renewal].startswith("POST /v1/auth/token/renew-self ")
    assert json.loads(vault.server.bodies[renewal]) == {}


@pytest.mark.parametrize(
    ("renewal", "result"),
    [
        (http_answer(200, {"auth": {"client_token": "token-1", "lease_duration": 0, "renewable": True}}), "ok"),
        (http_answer(200, {"auth": None}), "ok"),
        (DENIED, "denied"),
        (http_answer(400, {"errors": ["lease is not renewable"]}), "invalid"),
        (http_answer(500, {"errors": ["1 error occurred:\n\t* past the max TTL, cannot renew\n\n"]}), "denied"),
    ],
    ids=["no life left", "no token", "denied", "not renewable", "past the maximum life"],
)
async def test_a_token_that_is_not_renewed_is_replaced(
    renewal: bytes, result: str, vault: Vault, connect: Connect, counts: Counts
) -> None:
    vault.renewal = renewal
    await read_for(connect(vault.server.address, **ROLE), 1.2)
    assert 2 <= vault.asked("/login") <= 3
    assert set(counts.renewals) == {("main", result)}
    assert counts.renewals.total() <= 2


async def test_a_token_near_its_maximum_life_is_replaced(
    vault: Vault, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_token, "RENEW_FROM", 0.01)
    monkeypatch.setattr(vault_token, "RENEW_TO", 0.02)
    vault.login_seconds = 10
    client = connect(vault.server.address, **ROLE)
    await client.read(PATH)
    for seconds, logins in ((10, 1), (6, 1), (5, 2)):
        vault.renewal = vault.grant(seconds, f"token-{logins}")
        before = vault.asked("/renew-self")
        while vault.asked("/renew-self") == before:
            await read_for(client, 0.05)
        vault.renewal = vault.grant(10, f"token-{logins}")
        await read_for(client, 0.05)
        assert vault.asked("/login") == logins


async def test_a_token_that_can_not_be_renewed_is_replaced(vault: Vault, connect: Connect, counts: Counts) -> None:
    vault.renewable = False
    await read_for(connect(vault.server.address, **ROLE), 1.2)
    assert 2 <= vault.asked("/login") <= 3
    assert not counts.renewals


async def test_failing_renewals_are_few_and_the_token_is_used_meanwhile(
    vault: Vault, connect: Connect, counts: Counts
) -> None:
    vault.renewal = http_answer(503, {"errors": ["Vault is sealed"]})
    await read_for(connect(vault.server.address, **ROLE), 0.9)
    assert 1 <= counts.renewals["main", "sealed"] <= 2
    assert vault.asked("/login") == 1


async def test_a_fresh_token_that_is_refused_is_not_replaced(vault: Vault, connect: Connect, counts: Counts) -> None:
    """A policy that does not allow a path is no reason to log in for each request."""
    vault.allowed = lambda token: False
    client = connect(vault.server.address, **ROLE)
    codes = []
    for _ in range(5):
        with pytest.raises(KeyUnavailable) as caught:
            await client.write("transit/decrypt/k", {})
        codes.append(caught.value.code)
    assert codes == ["ServiceUnavailable", *["AccessDenied"] * 4]
    assert counts.logins.total() == 2
    assert vault.asked("/transit/") == 5


async def test_logins_that_fail_do_not_use_up_the_replacements(
    vault: Vault, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a token revoked while the vault is unwell would stay refused for a minute."""
    monkeypatch.setattr(login_token, "MAX_PAUSE_SECONDS", 0.05)
    client = connect(vault.server.address, **ROLE)
    await client.read(PATH)
    vault.allowed = lambda token: token != "token-1"
    well = vault.server.reply
    vault.server.reply = lambda head: http_answer(500, {}) if "/login" in head else well(head)
    for _ in range(10):
        with pytest.raises(KeyUnavailable) as caught:
            await client.read(PATH)
        assert caught.value.code == "ServiceUnavailable"
        await asyncio.sleep(0.06)
    vault.server.reply = well
    for _ in range(20):  # on a busy machine the last pause may not be over yet
        with suppress(KeyUnavailable):
            assert (await client.read(PATH)).result is VaultResult.OK
            return
        await asyncio.sleep(0.06)
    pytest.fail("it does not recover")


async def asking(provider: VaultTransitProvider, stop: asyncio.Event) -> list[KeyUnavailable]:
    """Ask for data keys until told to stop; the faults met."""
    faults = []
    while not stop.is_set():
        try:
            await provider.generate()
        except KeyUnavailable as fault:
            faults.append(fault)
            await asyncio.sleep(0.02)
    return faults


async def test_a_token_revoked_amid_traffic_costs_one_login(bao: OpenBao, connect: Connect, counts: Counts) -> None:
    name = f"amid-{secrets.token_hex(4)}"
    bao.create_transit_key(name)
    provider = VaultTransitProvider(connect(bao, auth=make_role(bao, name, TRANSIT)), "transit", name)
    await provider.generate()
    stop = asyncio.Event()
    traffic = [asyncio.ensure_future(asking(provider, stop)) for _ in range(8)]
    await asyncio.sleep(0.2)
    await asyncio.to_thread(bao.revoke_logins, "approle")
    await asyncio.sleep(0.5)
    stop.set()
    faults = [fault for faults in await asyncio.gather(*traffic) for fault in faults]
    await provider.generate()
    assert 1 <= len(faults) <= 8
    assert {fault.permanent for fault in faults} == {False}
    assert counts.logins == {("main", "approle", "ok"): 2}


async def test_a_vault_restarted_with_its_tokens_gone_is_used_again(
    own_bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    own_bao.create_transit_key("k")
    client = connect(own_bao, auth=make_role(own_bao, "restarted", TRANSIT), timeout_seconds=2)
    provider = VaultTransitProvider(client, "transit", "k")
    made = await provider.generate()
    own_bao.revoke_logins("approle")
    own_bao.seal()
    stop = asyncio.Event()
    traffic = asyncio.ensure_future(asking(provider, stop))
    await asyncio.sleep(1)
    await asyncio.to_thread(own_bao.unseal)
    unsealed = time.monotonic()
    opened: list[SecretBytes] = []
    while not opened:
        assert time.monotonic() - unsealed < 5
        with contextlib.suppress(KeyUnavailable):
            opened.append(await provider.unwrap(made.wrapping_key, made.wrapped))
        await asyncio.sleep(0.05)
    assert opened[0].reveal() == made.key.reveal()
    stop.set()
    faults = await traffic
    assert {fault.permanent for fault in faults} == {False}
    assert "vault 'main' is sealed; unseal it" in {str(fault) for fault in faults}
    assert counts.logins["main", "approle", "ok"] == 2
    assert counts.logins.total() <= 5
