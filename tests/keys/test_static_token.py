import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.keys import static_token
from gateway.keys.vault_client import VaultClient
from tests.keys.conftest import Counts, RawServer, http_answer

Connect = Callable[..., VaultClient]


def renewals(raw: RawServer) -> int:
    return sum("renew-self" in head for head in raw.heads)


def lookups(raw: RawServer) -> int:
    return sum("lookup-self" in head for head in raw.heads)


@pytest.fixture
def vault(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> RawServer:
    """A vault that answers lookups and renewals with ``token``; quick ones, so that the test is."""
    monkeypatch.setattr(static_token, "MIN_RENEWAL_SECONDS", 0.05)
    monkeypatch.setattr(static_token, "MAX_RETRY_SECONDS", 0.2)
    return raw


def answer_with(lookup: Any, renewal: Any) -> Callable[[str], bytes]:
    def reply(head: str) -> bytes:
        if "lookup-self" in head:
            return http_answer(200, lookup) if isinstance(lookup, dict) else http_answer(lookup, {})
        if "renew-self" in head:
            return http_answer(200, renewal) if isinstance(renewal, dict) else http_answer(renewal, {})
        return http_answer(200, {"data": {}})

    return reply


RENEWABLE = {"data": {"ttl": 1, "renewable": True}}
RENEWED = {"auth": {"lease_duration": 1, "renewable": True}}


async def test_a_renewable_token_is_renewed_also_when_nobody_reads(
    vault: RawServer, connect: Connect, counts: Counts
) -> None:
    vault.reply = answer_with(RENEWABLE, RENEWED)
    await connect(vault.address).read("secret/data/a")
    await asyncio.sleep(1.8)
    assert (lookups(vault), renewals(vault)) == (1, 2)
    assert counts.renewals == {("main", "ok"): 2}
    assert not counts.logins
    assert "X-Vault-Token: token-of-the-gateway" in vault.heads[-1]


@pytest.mark.parametrize(
    "lookup",
    [
        {"data": {"ttl": 0, "renewable": False}},
        {"data": {"ttl": 3600, "renewable": False}},
        {"data": {"ttl": 0, "renewable": True}},
        {"data": {"ttl": "1", "renewable": True}},
        {"data": None},
    ],
)
async def test_a_token_that_can_not_be_renewed_is_left_alone(lookup: Any, vault: RawServer, connect: Connect) -> None:
    vault.reply = answer_with(lookup, RENEWED)
    await connect(vault.address).read("secret/data/a")
    await asyncio.sleep(0.3)
    assert (lookups(vault), renewals(vault)) == (1, 0)


@pytest.mark.parametrize("failure", [403, 500, 503])
async def test_a_failed_renewal_is_tried_again_but_not_in_a_loop(
    failure: int, vault: RawServer, connect: Connect, counts: Counts
) -> None:
    vault.reply = answer_with(RENEWABLE, failure)
    await connect(vault.address).read("secret/data/a")
    await asyncio.sleep(1.8)
    failed = renewals(vault)
    assert 3 <= failed <= 15
    result = {403: "denied", 500: "unavailable", 503: "unavailable"}[failure]
    assert counts.renewals == {("main", result): failed}
    vault.reply = answer_with(RENEWABLE, {"auth": {"lease_duration": 3600, "renewable": True}})
    await asyncio.sleep(0.4)
    assert renewals(vault) == failed + 1


async def test_closing_ends_the_renewals(vault: RawServer, connect: Connect) -> None:
    vault.reply = answer_with(RENEWABLE, RENEWED)
    client = connect(vault.address)
    await client.read("secret/data/a")
    await asyncio.sleep(0.1)
    await client.aclose()
    await asyncio.sleep(1)
    assert renewals(vault) == 0
