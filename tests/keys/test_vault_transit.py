import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_settings import TokenAuth
from gateway.keys.vault_transit import VaultTransitProvider
from gateway.redact import SecretStr
from lab.openbao import OpenBao
from tests.keys.conftest import Counts, RawServer, http_answer, make_role

Connect = Callable[..., VaultClient]
RULES = {f"transit/{operation}/*": ["update"] for operation in ("datakey/plaintext", "decrypt", "rewrap")}
CONTEXT = {"tenant": "blue", "app": "süd"}
#: What the vault computes the context from; changed text would make existing objects unreadable.
CONTEXT_ON_THE_WIRE = base64.b64encode(b'{"app":"s\\u00fcd","tenant":"blue"}').decode()
WRAPPED = b"vault:v1:" + base64.b64encode(bytes(60))


@pytest.fixture
def key(bao: OpenBao) -> str:
    """A transit key of the test's own."""
    name = f"k-{secrets.token_hex(4)}"
    bao.create_transit_key(name)
    return name


async def fault_of(work: Any) -> KeyUnavailable:
    with pytest.raises(KeyUnavailable) as caught:
        await work
    return caught.value


async def test_a_data_key_goes_round(bao: OpenBao, connect: Connect, key: str, counts: Counts) -> None:
    bao.write_policy("transit-user", RULES)
    client = connect(bao, auth=TokenAuth(SecretStr(bao.create_token(["transit-user"], renewable=False))))
    provider = VaultTransitProvider(client, "transit", key)
    made = await provider.generate()
    assert (provider.kind, provider.scope) == ("vault-transit", "main")
    assert made.wrapping_key == provider.current == f"vault-transit:transit/{key}"
    assert provider.handles(made.wrapping_key)
    assert made.wrapped.startswith(b"vault:v1:")
    assert len(made.key) == 32
    opened = await provider.unwrap(made.wrapping_key, made.wrapped)
    assert opened.reveal() == made.key.reveal()
    assert (await provider.generate()).key.reveal() != made.key.reveal()
    assert made.key.reveal().hex() not in repr((made, opened))


async def test_rotation(bao: OpenBao, connect: Connect, key: str) -> None:
    provider = VaultTransitProvider(connect(bao), "transit", key)
    old = await provider.generate()
    bao.rotate_transit_key(key)
    assert (await provider.unwrap(old.wrapping_key, old.wrapped)).reveal() == old.key.reveal()
    new = await provider.rewrap(old.wrapping_key, old.wrapped)
    assert provider.version_of(old.wrapping_key, old.wrapped) == "1"
    assert provider.version_of(new.wrapping_key, new.wrapped) == "2"
    assert (await provider.generate()).wrapped.startswith(b"vault:v2:")
    bao.set_min_decryption_version(key, 2)
    assert (await provider.unwrap(new.wrapping_key, new.wrapped)).reveal() == old.key.reveal()
    for refused in (provider.unwrap, provider.rewrap):
        fault = await fault_of(refused(old.wrapping_key, old.wrapped))
        assert fault.code == "AccessDenied"
        assert "min_decryption_version" in str(fault)


async def test_every_call_is_one_request_that_the_vault_counts_too(bao: OpenBao, connect: Connect, key: str) -> None:
    provider = VaultTransitProvider(connect(bao), "transit", key)
    keys = await asyncio.gather(*(provider.generate() for _ in range(20)))
    await asyncio.gather(*(provider.unwrap(one.wrapping_key, one.wrapped) for one in keys[:7]))
    await provider.rewrap(keys[0].wrapping_key, keys[0].wrapped)
    await fault_of(provider.unwrap(provider.current, WRAPPED))
    assert bao.transit_calls(key) == {"datakey": 20, "decrypt": 8, "rewrap": 1}


async def test_a_derived_key_opens_with_its_context_only(bao: OpenBao, connect: Connect, key: str) -> None:
    bao.create_transit_key(derived := f"{key}-derived", derived=True)
    client = connect(bao)
    provider = VaultTransitProvider(client, "transit", derived, encryption_context=CONTEXT)
    made = await provider.generate()
    reordered = VaultTransitProvider(
        client, "transit", derived, encryption_context=dict(reversed(list(CONTEXT.items())))
    )
    assert (await reordered.unwrap(made.wrapping_key, made.wrapped)).reveal() == made.key.reveal()
    bao.rotate_transit_key(derived)
    new = await provider.rewrap(made.wrapping_key, made.wrapped)
    assert (await provider.unwrap(new.wrapping_key, new.wrapped)).reveal() == made.key.reveal()
    other = VaultTransitProvider(client, "transit", derived, encryption_context={"tenant": "red"})
    for refused in (other.unwrap, other.rewrap):
        fault = await fault_of(refused(made.wrapping_key, made.wrapped))
        assert fault.code == "AccessDenied"
        assert "another context" in str(fault)
        assert "blue" not in str(fault)
    without = VaultTransitProvider(client, "transit", derived)
    fault = await fault_of(without.generate())
    assert (fault.code, "needs an encryption context" in str(fault)) == ("InvalidArgument", True)


async def test_what_a_context_looks_like(raw: RawServer, connect: Connect) -> None:
    data = {"plaintext": base64.b64encode(secrets.token_bytes(32)).decode(), "ciphertext": WRAPPED.decode()}
    raw.reply = lambda head: http_answer(200, {"data": data})
    client = connect(raw.address)
    await VaultTransitProvider(client, "team/transit", "k", encryption_context=CONTEXT).generate()
    await VaultTransitProvider(client, "transit", "k").unwrap("vault-transit:transit/k", WRAPPED)
    sent = {head.split()[1]: body for head, body in zip(raw.heads, raw.bodies, strict=True)}
    assert f'"context": "{CONTEXT_ON_THE_WIRE}"'.encode() in sent["/v1/team/transit/datakey/plaintext/k"]
    assert b'"bits": 256' in sent["/v1/team/transit/datakey/plaintext/k"]
    assert b"context" not in sent["/v1/transit/decrypt/k"]


async def test_what_is_no_wrapped_data_key_is_refused_without_a_request(raw: RawServer, connect: Connect) -> None:
    provider = VaultTransitProvider(connect(raw.address), "transit", "k")
    body = base64.b64encode(bytes(60))
    for wrapped in (
        b"",
        b"garbage",
        b"vault:v1:",
        body,
        b"vault:v0:" + body,
        b"vault:v01:" + body,
        b"vault:v-1:" + body,
        b"vault:v1:" + body + b"\n",
        b" vault:v1:" + body,
        b"vault:v1:" + body[:-1],
        b"vault:v1:a===",
        b"vault:v1:" + body + b"@",
        "vault:v１:".encode() + body,
        b"vault:v1:" + base64.b64encode(bytes(400)),
    ):
        for call in (provider.unwrap, provider.rewrap):
            fault = await fault_of(call(provider.current, wrapped))
            assert (fault.code, fault.permanent) == ("AccessDenied", True), wrapped
        assert provider.version_of(provider.current, b"vault:v7:") == ""
    fault = await fault_of(provider.unwrap("vault-transit:transit/other", WRAPPED))
    assert fault.code == "KMS.NotFoundException"
    assert provider.version_of("vault-transit:transit/other", WRAPPED) == ""
    assert raw.heads == []


@pytest.mark.parametrize(("mount", "name"), [("transit", "never-created"), ("elsewhere", "k")])
async def test_keys_that_do_not_exist(mount: str, name: str, bao: OpenBao, connect: Connect) -> None:
    provider = VaultTransitProvider(connect(bao), mount, name)
    for work in (
        provider.generate(),
        provider.unwrap(provider.current, WRAPPED),
        provider.rewrap(provider.current, WRAPPED),
    ):
        fault = await fault_of(work)
        assert (fault.code, fault.permanent) == ("KMS.NotFoundException", True)
        assert f"transit key {mount}/{name} of vault 'main' does not exist" in str(fault)


async def test_wrapped_by_another_key_or_damaged(bao: OpenBao, connect: Connect, key: str) -> None:
    bao.create_transit_key(other := f"{key}-other")
    client = connect(bao)
    provider = VaultTransitProvider(client, "transit", key)
    foreign = (await VaultTransitProvider(client, "transit", other).generate()).wrapped
    future = (await provider.generate()).wrapped.replace(b":v1:", b":v9:")
    short = b"vault:v1:" + base64.b64encode(b"short")
    for wrapped in (foreign, future, short, WRAPPED):
        fault = await fault_of(provider.unwrap(provider.current, wrapped))
        assert (fault.code, fault.permanent) == ("AccessDenied", True)
        assert wrapped.decode() not in str(fault)


async def test_a_key_that_can_not_encrypt(bao: OpenBao, connect: Connect, key: str) -> None:
    bao.request("POST", f"transit/keys/{key}-signing", {"type": "ed25519"})
    fault = await fault_of(VaultTransitProvider(connect(bao), "transit", f"{key}-signing").generate())
    assert (fault.code, "does not encrypt" in str(fault)) == ("InvalidArgument", True)


async def test_a_policy_that_does_not_allow_it(bao: OpenBao, connect: Connect, key: str) -> None:
    bao.write_policy("reader", {"secret/*": ["read"]})
    token = bao.create_token(["reader"], renewable=False)
    fault = await fault_of(
        VaultTransitProvider(connect(bao, auth=TokenAuth(SecretStr(token))), "transit", key).generate()
    )
    assert (fault.code, fault.permanent) == ("AccessDenied", True)
    assert f"refused to write transit/datakey/plaintext/{key}" in str(fault)


async def test_a_vault_that_limits_the_rate(bao: OpenBao, connect: Connect, key: str, counts: Counts) -> None:
    bao.request("POST", f"sys/mounts/{key}", {"type": "transit"})
    bao.request("POST", f"{key}/keys/k")
    bao.request("POST", f"sys/quotas/rate-limit/{key}", {"path": f"{key}/", "rate": 1, "interval": "60s"})
    provider = VaultTransitProvider(connect(bao), key, "k")
    await provider.generate()
    fault = await fault_of(provider.generate())
    assert (fault.code, fault.throttled, fault.permanent) == ("SlowDown", True, False)
    assert counts.results["throttled"] == 1


async def test_a_revoked_token_is_replaced_and_the_caller_told_to_ask_again(
    bao: OpenBao, connect: Connect, key: str
) -> None:
    provider = VaultTransitProvider(connect(bao, auth=make_role(bao, f"role-{key}", RULES)), "transit", key)
    made = await provider.generate()
    bao.request("POST", "sys/leases/revoke-prefix/auth/approle/login")
    fault = await fault_of(provider.unwrap(made.wrapping_key, made.wrapped))
    assert isinstance(fault, VaultError)
    assert (fault.result, fault.code, fault.permanent) == (VaultResult.DENIED, "ServiceUnavailable", False)
    assert (await provider.unwrap(made.wrapping_key, made.wrapped)).reveal() == made.key.reveal()
    assert bao.transit_calls(key) == {"datakey": 1, "decrypt": 2}


GOOD_KEY = base64.b64encode(hashlib.sha256(b"a data key").digest()).decode()


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"plaintext": GOOD_KEY},
        {"ciphertext": WRAPPED.decode()},
        {"plaintext": GOOD_KEY, "ciphertext": "vault:v1:"},
        {"plaintext": GOOD_KEY, "ciphertext": 7},
        {"plaintext": GOOD_KEY, "ciphertext": "vault:v1:" + "A" * 440},
        {"plaintext": GOOD_KEY, "ciphertext": "\udc00"},
        {"plaintext": 7, "ciphertext": WRAPPED.decode()},
        {"plaintext": "", "ciphertext": WRAPPED.decode()},
        {"plaintext": GOOD_KEY[:-4], "ciphertext": WRAPPED.decode()},
        {"plaintext": GOOD_KEY + "!", "ciphertext": WRAPPED.decode()},
        {"plaintext": base64.b64encode(bytes(32)).decode(), "ciphertext": WRAPPED.decode()},
        {"plaintext": base64.b64encode(bytes(range(31))).decode(), "ciphertext": WRAPPED.decode()},
        {"plaintext": "\udc00", "ciphertext": WRAPPED.decode()},
    ],
)
async def test_answers_that_make_no_sense(data: object, raw: RawServer, connect: Connect) -> None:
    raw.reply = lambda head: http_answer(200, {"data": data})
    provider = VaultTransitProvider(connect(raw.address), "transit", "k")
    fault = await fault_of(provider.generate())
    assert (fault.code, fault.permanent) == ("ServiceUnavailable", False)
    assert GOOD_KEY not in str(fault)
    assert sum("/datakey/" in head for head in raw.heads) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"errors": ["something quite new: SECRET"]}, "InvalidArgument"),
        (400, {"errors": ["refusing to use soft-deleted key: SECRET"]}, "KMS.DisabledException"),
        (400, b"<html>SECRET</html>", "ServiceUnavailable"),
        (405, {"errors": ["SECRET"]}, "ServiceUnavailable"),
        (429, {"errors": ["SECRET"]}, "SlowDown"),
        (412, {"errors": ["SECRET"]}, "ServiceUnavailable"),
        (473, {"errors": ["SECRET"]}, "ServiceUnavailable"),
        (307, {"errors": ["SECRET"]}, "ServiceUnavailable"),
        (500, {"errors": ["SECRET"]}, "ServiceUnavailable"),
        (503, {"errors": ["Vault is sealed"]}, "ServiceUnavailable"),
        (200, b"half an ans", "ServiceUnavailable"),
    ],
)
async def test_refusals_are_told_apart_and_never_quoted(
    status: int, body: object, code: str, raw: RawServer, connect: Connect
) -> None:
    raw.reply = lambda head: http_answer(status, body)
    provider = VaultTransitProvider(connect(raw.address), "transit", "k")
    for work in (provider.generate(), provider.unwrap(provider.current, WRAPPED)):
        fault = await fault_of(work)
        assert fault.code == code
        assert "SECRET" not in str(fault)
    assert sum("/transit/" in head for head in raw.heads) == 2


async def test_a_standby_that_became_active_is_used_at_once(raw: RawServer, connect: Connect) -> None:
    provider = VaultTransitProvider(connect(raw.address), "transit", "k")
    raw.reply = lambda head: http_answer(500, {"errors": ["local node not active but active cluster node not found"]})
    assert not (await fault_of(provider.generate())).permanent
    raw.reply = lambda head: http_answer(200, {"data": {"plaintext": GOOD_KEY, "ciphertext": WRAPPED.decode()}})
    assert (await provider.generate()).wrapped == WRAPPED


async def test_two_hundred_at_once(bao: OpenBao, connect: Connect, key: str) -> None:
    provider = VaultTransitProvider(connect(bao, timeout_seconds=20), "transit", key)
    keys = await asyncio.gather(*(provider.generate() for _ in range(200)))
    opened = await asyncio.gather(*(provider.unwrap(one.wrapping_key, one.wrapped) for one in keys))
    assert [one.reveal() for one in opened] == [one.key.reveal() for one in keys]
    assert bao.transit_calls(key) == {"datakey": 200, "decrypt": 200}


async def test_half_an_answer(raw: RawServer, connect: Connect) -> None:
    raw.reply = lambda head: http_answer(200, {"data": {"plaintext": GOOD_KEY, "ciphertext": WRAPPED.decode()}})[:-40]
    fault = await fault_of(VaultTransitProvider(connect(raw.address), "transit", "k").generate())
    assert (fault.code, fault.permanent) == ("ServiceUnavailable", False)


@pytest.mark.parametrize(
    ("mount", "name"), [("", "k"), ("transit", ""), ("transit", "a/b"), ("a b", "k"), ("../sys", "k"), ("t", "ü")]
)
def test_names_that_no_uri_takes(mount: str, name: str, connect: Connect) -> None:
    with pytest.raises(ConfigError):
        VaultTransitProvider(connect("http://127.0.0.1:1"), mount, name)
