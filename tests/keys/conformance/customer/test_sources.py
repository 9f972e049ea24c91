"""What every source of customer keys does the same, wherever its secret is."""

import asyncio
import base64
import secrets
import time

import pytest

from gateway.keys.customer_key import CustomerKey
from gateway.keys.customer_keys import Derivation
from gateway.keys.derivation import derive
from gateway.modes.upload_id import UploadId, parse_upload_id
from gateway.policy.rules import ModeName
from tests.keys.conformance.customer.conftest import Open
from tests.keys.conformance.customer.secret_checks import refusal, shows_nothing, until
from tests.keys.conformance.customer.secret_subject import SecretSubject

_CALLERS = 200


async def test_new_objects_take_the_newest_and_old_ones_keep_theirs(
    service: SecretSubject, name: str, opened: Open
) -> None:
    raw = [service.rotate(name) for _ in range(4)]
    source = await opened(name)
    newest = await source.newest()
    assert newest.key.reveal() == raw[-1]
    keys = await source.versions()
    assert keys[0].version == newest.version
    assert {bytes(key.key.reveal()) for key in keys} == set(raw)
    assert tuple(key.version for key in keys) == await source.version_numbers()
    for key in keys:
        assert (await source.version(key.version)).key.reveal() == key.key.reveal()


async def test_a_version_has_one_number_for_ever(service: SecretSubject, name: str, opened: Open) -> None:
    """Another process, and the same one after further rotations, know it by the number in an upload's id."""
    raw = service.rotate(name)
    first = await (await opened(name)).newest()
    for _ in range(3):
        service.rotate(name)
    later = await opened(name)
    assert (await later.version(first.version)).key.reveal() == raw
    numbers = await later.version_numbers()
    assert len(set(numbers)) == 4
    assert first.version in numbers
    for number in numbers:
        upload_id = UploadId("upstream", ModeName.SSE_C, later.fingerprint, number)
        assert parse_upload_id(upload_id.render()).injected_key == (later.fingerprint, number)


async def test_a_rotation_is_seen_while_the_source_is_open(service: SecretSubject, name: str, opened: Open) -> None:
    old = service.rotate(name)
    source = await opened(name, refresh_seconds=0.1)
    before = await source.newest()
    new = service.rotate(name)

    async def is_new() -> bool:
        return (await source.newest()).key.reveal() == new

    await until(is_new, seconds=3)
    assert (await source.version(before.version)).key.reveal() == old
    assert [key.key.reveal() for key in await source.versions()] == [new, old]


async def test_a_version_that_another_process_saw_first(service: SecretSubject, name: str, opened: Open) -> None:
    """By number, as a part of an upload asks for it, and by what newer lists have, as a read does."""
    service.rotate(name)
    late, later, early = await opened(name), await opened(name), await opened(name)
    await late.newest()
    await later.newest()
    new = service.rotate(name)
    number = (await early.newest()).version
    assert (await late.version(number)).key.reveal() == new
    assert (await later.version_numbers())[0] != number
    assert (await later.newer_version_numbers())[0] == number


_KEY = bytes(range(100, 132))
UNUSABLE = {
    "31 bytes": (base64.b64encode(_KEY[:31]).decode(), "it has 31 bytes instead of 32"),
    "33 bytes": (base64.b64encode(_KEY + b"x").decode(), "it has 33 bytes instead of 32"),
    "zeros": (base64.b64encode(bytes(32)).decode(), "its bytes are not random"),
    "a pattern": (base64.b64encode(b"abc1" * 8).decode(), "its bytes are not random"),
    "hexadecimal": (_KEY.hex(), "it has 48 bytes instead of 32"),
    "no padding": (base64.b64encode(_KEY).decode().rstrip("="), "it is not standard base64"),
    "a passphrase": ("correct horse battery staple", "it is not standard base64"),
    "not ASCII": ("schlüssel für alles", "it is not standard base64"),
    "half a JSON": ('["a secret that is no key"', "it is not standard base64"),
}


@pytest.mark.parametrize("material", UNUSABLE)
async def test_what_is_not_a_key_is_refused(service: SecretSubject, name: str, opened: Open, material: str) -> None:
    text, why = UNUSABLE[material]
    service.write(name, text)
    error = await refusal(service, (await opened(name)).newest())
    assert error.code == "InvalidArgument"
    assert name in str(error)
    assert why in str(error)


async def test_an_unusable_newest_version_stops_writes_but_not_reads(
    service: SecretSubject, name: str, opened: Open
) -> None:
    good = service.rotate(name)
    service.write(name, base64.b64encode(bytes(32)).decode())
    source = await opened(name)
    assert (await refusal(service, source.newest())).code == "InvalidArgument"
    assert [key.key.reveal() for key in await source.versions()] == [good]


async def test_a_secret_that_does_not_exist(service: SecretSubject, opened: Open) -> None:
    name = service.missing()
    source = await opened(name)
    for action in (source.newest, source.versions, source.version_numbers, lambda: source.version(1)):
        error = await refusal(service, action())
        assert error.code == "KMS.NotFoundException"
        assert name in str(error)


async def test_a_number_that_no_version_has(service: SecretSubject, name: str, opened: Open) -> None:
    """Whoever makes up ids of uploads does not flood the service."""
    service.rotate(name)
    source = await opened(name)
    newest = await source.newest()
    before = service.calls()
    for _ in range(20):
        assert (await refusal(service, source.version(7))).code == "KMS.NotFoundException"
    assert service.calls() - before == 1
    assert (await source.newest()).version == newest.version


async def test_a_deleted_secret(service: SecretSubject, name: str, opened: Open) -> None:
    """Keys in memory are used until their time is over, and no longer."""
    service.rotate(name)
    source = await opened(name, hold_seconds=0.3, refresh_seconds=0.1)
    await source.newest()
    service.delete(name)
    assert (await refusal(service, (await opened(name)).newest())).code == "KMS.NotFoundException"
    await asyncio.sleep(0.35)
    assert (await refusal(service, source.newest())).code == "KMS.NotFoundException"
    assert (await refusal(service, source.versions())).code == "KMS.NotFoundException"


async def test_a_permission_taken_back_ends_the_use_of_held_keys(
    service: SecretSubject, name: str, opened: Open
) -> None:
    service.rotate(name)
    source = await opened(name, refresh_seconds=0.1)
    number = (await source.newest()).version
    service.deny(name)
    await asyncio.sleep(0.15)
    error = await refusal(service, source.newest())
    assert error.code == "AccessDenied"
    assert name in str(error)
    assert (await refusal(service, source.version(number))).code == "AccessDenied"
    assert (await refusal(service, (await opened(name)).newest())).code == "AccessDenied"


async def test_many_at_once_share_the_requests(service: SecretSubject, name: str, opened: Open) -> None:
    raw = service.rotate(name)
    source = await opened(name)
    before = service.calls()
    keys = await asyncio.gather(*(source.newest() for _ in range(_CALLERS)))
    assert {bytes(key.key.reveal()) for key in keys} == {raw}
    assert service.calls() - before == 2  # the list of versions, and the newest
    other = await opened(name)
    before = service.calls()
    keys = await asyncio.gather(*(other.version(keys[0].version) for _ in range(_CALLERS)))
    assert {bytes(key.key.reveal()) for key in keys} == {raw}
    assert service.calls() - before <= 2


async def test_a_warm_source_asks_nothing(service: SecretSubject, name: str, opened: Open) -> None:
    service.rotate(name)
    source = await opened(name)
    newest = await source.newest()
    before = service.calls()
    for _ in range(_CALLERS):
        await source.newest()
        await source.versions()
        await source.version(newest.version)
    assert service.calls() == before


async def test_keys_leave_memory_when_their_time_is_over(service: SecretSubject, name: str, opened: Open) -> None:
    service.rotate(name)
    source = await opened(name, hold_seconds=0.2, refresh_seconds=0.2)
    await source.newest()
    assert len(source._keys) == 1
    await asyncio.sleep(0.25)
    assert len(source._keys) == 0


async def test_a_cancelled_reader_takes_nothing_from_the_others(
    service: SecretSubject, name: str, opened: Open
) -> None:
    raw = service.rotate(name)
    source = await opened(name)
    first, *others = (asyncio.ensure_future(source.newest()) for _ in range(5))
    await asyncio.sleep(0)
    first.cancel()
    assert {bytes(key.key.reveal()) for key in await asyncio.gather(*others)} == {raw}


async def test_the_fingerprint_names_secret_and_derivation(service: SecretSubject, name: str, opened: Open) -> None:
    fingerprints = [
        (await opened(secret, derivation=derivation)).fingerprint
        for secret in (name, service.new_name())
        for derivation in Derivation
    ]
    assert len(set(fingerprints)) == 4
    assert (await opened(name, hold_seconds=60.0)).fingerprint in fingerprints
    assert all(len(bytes.fromhex(fingerprint)) == 4 for fingerprint in fingerprints)


async def test_one_key_per_object(service: SecretSubject, name: str, opened: Open) -> None:
    raw = service.rotate(name)
    source = await opened(name, derivation=Derivation.HKDF_SHA256)
    key: CustomerKey = await source.newest()
    assert key.key.reveal() == raw
    derived = source.key_for(key, "bucket", "object")
    assert derived.key.reveal() == derive(key, "bucket", "object").key.reveal() != raw


async def test_nothing_shows_a_secret(service: SecretSubject, name: str, opened: Open) -> None:
    service.rotate(name)
    source = await opened(name)
    key = await source.newest()
    secret = source._secret
    shown = [repr(key), str(key), repr(source), repr(vars(source)), repr(secret), repr(vars(secret))]
    shows_nothing(service, shown)


async def test_closing(service: SecretSubject, name: str, opened: Open) -> None:
    """Twice is once, and nothing stays in memory."""
    service.rotate(name)
    source = await opened(name)
    await source.newest()
    pending = asyncio.ensure_future(source.version(secrets.randbelow(10**9)))
    await asyncio.sleep(0)
    began = time.monotonic()
    await source.aclose()
    await source.aclose()
    assert time.monotonic() - began < 2
    assert len(source._keys) == 0
    await refusal(service, pending)
