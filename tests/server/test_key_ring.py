"""Which customer key goes with which request, with keys in a real vault."""

import base64
import secrets
from collections.abc import AsyncIterator

import pytest

from gateway.errors import S3Error
from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource, Derivation
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvKeys
from gateway.keys.vault_settings import TokenAuth, VaultSettings
from gateway.keys.version_cache import VersionCache
from gateway.modes.upload_id import UploadId
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes, SecretStr
from gateway.s3.encryption_headers import CustomerKeyHeaders
from gateway.server.key_ring import KeyAttempt, KeyRing
from lab.openbao import OpenBao

_CLIENT = CustomerKeyHeaders.of(SecretBytes(b"c" * 32))


class NoObserver:
    """Counts nothing."""

    def on_vault_request(self, result: str, seconds: float) -> None:
        """Every request comes by here."""

    def on_vault_login(self, vault: str, method: str, result: str) -> None:
        """Every login comes by here."""

    def on_vault_renewal(self, vault: str, result: str) -> None:
        """Every renewal comes by here."""


def _rule(name: str, bucket: str, mode: ModeName = ModeName.SSE_C, *, enforce: bool = False) -> EncryptionRule:
    return EncryptionRule(name, (bucket,), (), mode, enforce)


_SHARED, _DERIVED = _rule("shared", "shared"), _rule("derived", "derived")
_STRICT = _rule("strict", "strict", enforce=True)
_PLAIN = _rule("plain", "*", ModeName.SSE_S3)


class World:
    """A ring over one secret of a vault."""

    def __init__(self, vault: OpenBao, client: VaultClient) -> None:
        self.vault = vault
        self.path = f"ring/{secrets.token_hex(6)}"
        self.raw: list[bytes] = []
        self.rotate()
        self.rotate()
        keys = KvKeys(client, "secret", self.path)
        plain = CustomerKeySettings(hold_seconds=0.2, refresh_seconds=0.1)
        derived = CustomerKeySettings(derivation=Derivation.HKDF_SHA256, hold_seconds=0.2, refresh_seconds=0.1)
        self.sources = {
            "shared": CustomerKeySource(keys, plain),
            "strict": CustomerKeySource(keys, plain),
            "derived": CustomerKeySource(keys, derived),
        }
        self.ring = KeyRing(self.sources, (_SHARED, _DERIVED, _STRICT, _PLAIN), VersionCache(10))

    def rotate(self) -> None:
        """Write a new version."""
        self.raw.append(secrets.token_bytes(32))
        self.vault.put_secret(self.path, {"key": base64.b64encode(self.raw[-1]).decode()})

    async def attempts(
        self, rule: EncryptionRule | None, bucket: str, client: CustomerKeyHeaders | None = None
    ) -> list[KeyAttempt]:
        """Every way to ask for an object."""
        return [attempt async for attempt in self.ring.attempts(rule, bucket, "object", client)]


@pytest.fixture
async def world(openbao: OpenBao) -> AsyncIterator[World]:
    settings = VaultSettings(
        name="main", address=openbao.address, ca_bundle=openbao.ca_file, auth=TokenAuth(SecretStr(openbao.root_token))
    )
    client = VaultClient(settings, NoObserver())
    made = World(openbao, client)
    yield made
    for source in made.sources.values():
        await source.aclose()
    await client.aclose()


def _seen(attempts: list[KeyAttempt]) -> list[int | str | None]:
    """Attempts as versions, ``client`` or None."""
    return [
        attempt.object_key.version if attempt.object_key else ("client" if attempt.customer else None)
        for attempt in attempts
    ]


async def test_a_new_object_gets_the_newest_key(world: World) -> None:
    found = await world.ring.for_new_object(_SHARED, "shared", "object")
    assert (found.version, bytes(found.key.reveal())) == (2, world.raw[1])
    derived = await world.ring.for_new_object(_DERIVED, "derived", "object")
    assert derived.version == 2
    assert derived.key.reveal() not in world.raw
    assert derived.fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("rule", "bucket", "client", "expected"),
    [
        (_SHARED, "shared", None, [2, 1, None]),
        (_SHARED, "shared", _CLIENT, ["client"]),
        (_STRICT, "strict", _CLIENT, [2, 1, "client", None]),
        (_PLAIN, "elsewhere", None, [None]),
        (_PLAIN, "elsewhere", _CLIENT, ["client"]),
        (None, "elsewhere", None, [None]),
    ],
)
async def test_a_read_tries_what_is_likely_first(
    world: World,
    rule: EncryptionRule | None,
    bucket: str,
    client: CustomerKeyHeaders | None,
    expected: list[int | str | None],
) -> None:
    assert _seen(await world.attempts(rule, bucket, client)) == expected
    # Now the keys are in memory.
    assert _seen(await world.attempts(rule, bucket, client)) == expected


async def test_an_object_whose_rule_changed_is_still_found_under_its_old_key(world: World) -> None:
    assert _seen(await world.attempts(_PLAIN, "shared")) == [None, 2, 1]


async def test_the_version_that_fitted_is_tried_first_the_next_time(world: World) -> None:
    attempts = await world.attempts(_SHARED, "shared")
    old = attempts[1].object_key
    assert old is not None
    world.ring.remember("shared", "object", old)
    assert _seen(await world.attempts(_SHARED, "shared")) == [1, 2, None]


async def test_dead_versions_are_not_tried(world: World) -> None:
    world.vault.destroy_versions(world.path, [2])
    assert _seen(await world.attempts(_SHARED, "shared")) == [1, None]


async def test_a_version_that_is_no_key_is_passed_over(world: World) -> None:
    world.vault.put_secret(world.path, {"key": base64.b64encode(b"short").decode()})
    assert _seen(await world.attempts(_SHARED, "shared")) == [2, 1, None]


async def test_an_upload_goes_on_with_the_key_that_it_began_with(world: World) -> None:
    old = (await world.attempts(_SHARED, "shared"))[1].object_key
    assert old is not None
    found = await world.ring.for_upload(UploadId("id", ModeName.SSE_C, old.fingerprint, 1), "shared", "object")
    assert found is not None
    assert found.key.reveal() == world.raw[0]


async def test_an_upload_without_a_key_of_the_gateway_gets_none(world: World) -> None:
    assert await world.ring.for_upload(UploadId("id", ModeName.SSE_C, "0a0a0a0a", 0), "shared", "object") is None
    assert await world.ring.for_upload(UploadId("id"), "shared", "object") is None


async def test_an_upload_under_a_key_that_is_not_configured_does_not_exist(world: World) -> None:
    with pytest.raises(S3Error) as caught:
        await world.ring.for_upload(UploadId("id", ModeName.SSE_C, "ffffffff", 1), "shared", "object")
    assert caught.value.code == "NoSuchUpload"


def test_only_objects_of_rules_with_customer_keys_may_need_one() -> None:
    ring = KeyRing({}, (_PLAIN,), VersionCache(1))
    assert not ring.may_hold("elsewhere", "object")


async def test_who_stops_early_leaves_nothing_behind(world: World) -> None:
    attempts = world.ring.attempts(_SHARED, "shared", "object", None)
    assert _seen([await anext(attempts)]) == [2]
    await attempts.aclose()
    assert [attempt async for attempt in attempts] == []
