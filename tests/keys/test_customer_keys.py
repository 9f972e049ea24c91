import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.errors import ConfigError, KeyUnavailable, as_s3_error
from gateway.keys import customer_keys
from gateway.keys.customer_key import CustomerKey
from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource, Derivation
from gateway.keys.derivation import derive
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvKeys
from gateway.keys.vault_settings import TokenAuth
from gateway.redact import SecretStr
from lab.openbao import OpenBao
from tests.keys.conftest import Counts, RawServer, http_answer, make_role, new_key_text

Connect = Callable[..., VaultClient]
MakeSource = Callable[..., CustomerKeySource]


@pytest.fixture
async def source_of(connect: Connect) -> AsyncIterator[MakeSource]:
    """``source_of(server, path, **settings)``; ``login`` gives another way to log in."""
    sources = []

    def make(
        server: OpenBao | str,
        path: str,
        *,
        field: str = "key",
        connection: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        keys = KvKeys(connect(server, **(connection or {})), "secret", path, field)
        source = CustomerKeySource(keys, CustomerKeySettings(**options))
        sources.append(source)
        return source

    yield make
    for source in sources:
        await source.aclose()


@pytest.fixture
def login(bao: OpenBao) -> dict[str, Any]:
    """AppRole: its only request beside reads is one login, so requests can be counted."""
    return {"auth": make_role(bao, "keys")}


async def fault_of(work: Any) -> KeyUnavailable:
    with pytest.raises(KeyUnavailable) as caught:
        await work
    return caught.value


def put_key(server: OpenBao, path: str, text: str | None = None) -> str:
    text = text or new_key_text()
    server.put_secret(path, {"key": text})
    return text


def text_of(key: CustomerKey) -> str:
    return base64.b64encode(key.key.reveal()).decode()


async def test_the_newest_version_and_every_older_one(bao: OpenBao, source_of: MakeSource) -> None:
    texts = [put_key(bao, "keys/plain") for _ in range(3)]
    source = source_of(bao, "keys/plain")
    newest = await source.newest()
    assert (newest.version, text_of(newest)) == (3, texts[2])
    assert [(key.version, text_of(key)) for key in await source.versions()] == [
        (3, texts[2]),
        (2, texts[1]),
        (1, texts[0]),
    ]
    assert text_of(await source.version(2)) == texts[1]
    assert await source.version_numbers() == (3, 2, 1)


async def test_another_field_and_a_newline_at_the_end(bao: OpenBao, source_of: MakeSource) -> None:
    text = new_key_text()
    bao.put_secret("keys/field", {"other": text + "\n"})
    assert text_of(await source_of(bao, "keys/field", field="other").newest()) == text


KEY = bytes(range(100, 132))
UNUSABLE = {
    "31 bytes": (base64.b64encode(KEY[:31]).decode(), "it has 31 bytes instead of 32"),
    "33 bytes": (base64.b64encode(KEY + b"x").decode(), "it has 33 bytes instead of 32"),
    "16 bytes": (base64.b64encode(KEY[:16]).decode(), "it has 16 bytes instead of 32"),
    "only a newline": ("\n", "it has 0 bytes instead of 32"),
    "zeros": (base64.b64encode(bytes(32)).decode(), "its bytes are not random"),
    "one byte": (base64.b64encode(b"a" * 32).decode(), "its bytes are not random"),
    "a pattern": (base64.b64encode(b"abc1" * 8).decode(), "its bytes are not random"),
    "hexadecimal": (KEY.hex(), "it has 48 bytes instead of 32"),
    "URL base64": (base64.urlsafe_b64encode(b"\xff" * 16 + KEY[:16]).decode(), "it is not standard base64"),
    "no padding": (base64.b64encode(KEY).decode().rstrip("="), "it is not standard base64"),
    "stray bits": (base64.b64encode(KEY).decode()[:-2] + "N=", "it is not standard base64"),
    "two newlines": (base64.b64encode(KEY).decode() + "\n\n", "it is not standard base64"),
    "a space in it": (" " + base64.b64encode(KEY).decode(), "it is not standard base64"),
    "a passphrase": ("correct horse battery staple", "it is not standard base64"),
    "not ASCII": ("schlüssel", "it is not standard base64"),
    "raw bytes": ("\x00" * 32, "it is not standard base64"),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_is_not_a_key_is_refused(name: str, bao: OpenBao, source_of: MakeSource) -> None:
    text, why = UNUSABLE[name]
    path = "keys/unusable"
    number = bao.put_secret(path, {"key": text})
    fault = await fault_of(source_of(bao, path).newest())
    assert (fault.code, fault.permanent) == ("InvalidArgument", True)
    assert str(fault) == (
        "The secret key was invalid for the specified algorithm. "
        f"(vault 'main': secret/keys/unusable, field 'key' version {number}: {why})"
    )
    assert as_s3_error(fault).status == 400
    if len(text) > 4:
        assert text.strip() not in str(fault) + repr(fault)


@pytest.mark.parametrize("fields", [{}, {"other": "x"}, {"key": ""}, {"key": 7}, {"key": None}, {"key": ["x"]}])
async def test_a_field_that_is_missing_or_no_text(fields: Any, bao: OpenBao, source_of: MakeSource) -> None:
    bao.put_secret("keys/fields", fields)
    fault = await fault_of(source_of(bao, "keys/fields").newest())
    assert fault.code == ("InvalidArgument" if "key" in fields else "KMS.NotFoundException")
    assert "secret/keys/fields" in str(fault)
    assert "'key'" in str(fault)


async def test_a_secret_that_does_not_exist(bao: OpenBao, source_of: MakeSource) -> None:
    fault = await fault_of(source_of(bao, "keys/nowhere").newest())
    assert fault.code == "KMS.NotFoundException"
    assert "vault 'main': secret/keys/nowhere does not exist" in str(fault)
    assert as_s3_error(fault).status == 400
    assert "does not exist" in str(await fault_of(source_of(bao, "keys/nowhere").version(1)))


async def test_an_unusable_newest_version_stops_writes_but_not_reads(bao: OpenBao, source_of: MakeSource) -> None:
    good = put_key(bao, "keys/mixed")
    put_key(bao, "keys/mixed", base64.b64encode(bytes(32)).decode())
    source = source_of(bao, "keys/mixed")
    assert (await fault_of(source.newest())).code == "InvalidArgument"
    assert [text_of(key) for key in await source.versions()] == [good]


async def test_deleted_and_destroyed_versions_are_left_out(bao: OpenBao, source_of: MakeSource) -> None:
    for _ in range(4):
        put_key(bao, "keys/deleted")
    bao.destroy_versions("keys/deleted", [1])
    bao.request("POST", "secret/delete/keys/deleted", {"versions": [3, 4]})
    source = source_of(bao, "keys/deleted")
    assert (await source.newest()).version == 2
    assert [key.version for key in await source.versions()] == [2]
    for gone in (1, 3, 4, 9):
        fault = await fault_of(source.version(gone))
        assert fault.code == "KMS.NotFoundException"
        assert f"version {gone} does not exist" in str(fault)
    bao.destroy_versions("keys/deleted", [2])
    fault = await fault_of(source_of(bao, "keys/deleted").newest())
    assert (fault.code, "every version is deleted or destroyed" in str(fault)) == ("KMS.NotFoundException", True)


async def test_a_destroyed_version_leaves_memory_with_the_next_list(bao: OpenBao, source_of: MakeSource) -> None:
    for _ in range(2):
        put_key(bao, "keys/leaves")
    source = source_of(bao, "keys/leaves", refresh_seconds=0.1)
    assert [key.version for key in await source.versions()] == [2, 1]
    bao.destroy_versions("keys/leaves", [1])
    await asyncio.sleep(0.15)
    assert await source.version_numbers() == (2,)
    assert (await fault_of(source.version(1))).code == "KMS.NotFoundException"


async def test_a_deletion_that_lies_ahead_is_none_yet(bao: OpenBao, source_of: MakeSource) -> None:
    bao.request("POST", "secret/metadata/keys/ahead", {"delete_version_after": "2s"})
    put_key(bao, "keys/ahead")
    source = source_of(bao, "keys/ahead", refresh_seconds=0.1)
    assert (await source.newest()).version == 1
    await asyncio.sleep(2.2)
    assert (await fault_of(source.newest())).code == "KMS.NotFoundException"


async def test_a_version_deleted_between_two_lists_is_not_used(bao: OpenBao, source_of: MakeSource) -> None:
    first = put_key(bao, "keys/between")
    put_key(bao, "keys/between")
    source = source_of(bao, "keys/between")
    assert await source.version_numbers() == (2, 1)
    bao.destroy_versions("keys/between", [2])
    assert text_of(await source.newest()) == first


async def test_only_so_many_versions_are_considered(bao: OpenBao, source_of: MakeSource) -> None:
    for _ in range(5):
        put_key(bao, "keys/many")
    source = source_of(bao, "keys/many", max_versions=2)
    assert [key.version for key in await source.versions()] == [5, 4]
    for number in (5, 4, 3, 2, 1):
        await source.version(number)
    assert len(source._keys) == 2


async def test_a_rotation_is_seen_within_the_refresh_time_and_not_by_asking_each_time(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    put_key(bao, "keys/rotated")
    source = source_of(bao, "keys/rotated", connection=login, refresh_seconds=0.5)
    assert (await source.newest()).version == 1
    assert counts.total == 3  # login, list of versions, version 1
    second = put_key(bao, "keys/rotated")
    rotated, seen = time.monotonic(), None
    while seen is None:
        newest = await source.newest()
        if newest.version == 2:
            seen = time.monotonic()
            assert text_of(newest) == second
        await asyncio.sleep(0.01)
    assert seen - rotated < 0.7
    assert counts.total == 5  # one more list, and version 2
    assert (await source.version(1)).version == 1
    assert counts.total == 5


async def test_a_reader_can_ask_for_a_fresher_list(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    """Another process wrote an object with version 2 before this one has seen the rotation."""
    put_key(bao, "keys/fresher")
    source = source_of(bao, "keys/fresher", connection=login)
    assert await source.version_numbers() == (1,)
    put_key(bao, "keys/fresher")
    assert await source.version_numbers() == (1,)
    await asyncio.sleep(0.1)
    assert await asyncio.gather(*(source.version_numbers(max_age_seconds=0.1) for _ in range(50))) == [(2, 1)] * 50
    assert await source.version_numbers(max_age_seconds=60) == (2, 1)
    assert counts.total == 3  # login, and the list twice


async def test_200_readers_at_once_are_one_request(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    put_key(bao, "keys/shared")
    source = source_of(bao, "keys/shared", connection=login)
    keys = await asyncio.gather(*(source.version(1) for _ in range(200)))
    assert len({text_of(key) for key in keys}) == 1
    assert counts.total == 2  # login and version 1
    await asyncio.gather(*(source.newest() for _ in range(200)))
    assert counts.total == 3  # the list of versions


async def test_a_cancelled_reader_takes_nothing_from_the_others(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    text = put_key(bao, "keys/cancelled")
    source = source_of(bao, "keys/cancelled", connection=login)
    first, *others = (asyncio.ensure_future(source.newest()) for _ in range(5))
    await asyncio.sleep(0)
    first.cancel()
    others.pop().cancel()
    keys = await asyncio.gather(*others[:3])
    assert {text_of(key) for key in keys} == {text}
    assert counts.total == 3
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_keys_leave_memory_when_their_time_is_over_though_nobody_asks(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    put_key(bao, "keys/held")
    source = source_of(bao, "keys/held", connection=login, hold_seconds=0.4, refresh_seconds=0.4)
    await source.newest()
    await source.newest()
    assert (len(source._keys), counts.total) == (1, 3)
    await asyncio.sleep(0.5)
    assert len(source._keys) == 0
    await source.newest()
    assert counts.total == 5


async def test_closing_forgets_every_key(bao: OpenBao, source_of: MakeSource) -> None:
    put_key(bao, "keys/closed")
    source = source_of(bao, "keys/closed")
    await source.newest()
    await source.aclose()
    assert len(source._keys) == 0


async def test_no_is_remembered_for_a_short_time_only(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert customer_keys.REFUSAL_SECONDS <= 5
    monkeypatch.setattr(customer_keys, "REFUSAL_SECONDS", 0.3)
    source = source_of(bao, "keys/late", connection=login)
    for _ in range(50):
        await fault_of(source.newest())
        await fault_of(source.version(1))
    assert counts.results == {"ok": 1, "not_found": 2}
    text = put_key(bao, "keys/late")
    await asyncio.sleep(0.35)
    assert text_of(await source.newest()) == text


async def test_a_policy_without_the_list_of_versions_is_denied(bao: OpenBao, source_of: MakeSource) -> None:
    put_key(bao, "keys/narrow")
    role = make_role(bao, "data-only", {"secret/data/keys/narrow": ["read"]})
    source = source_of(bao, "keys/narrow", connection={"auth": role})
    fault = await fault_of(source.newest())
    assert (fault.code, as_s3_error(fault).status) == ("AccessDenied", 403)
    assert "secret/metadata/keys/narrow" in str(fault)
    assert (await source.version(1)).version == 1


async def test_a_permission_taken_back_ends_the_use_of_held_keys(bao: OpenBao, source_of: MakeSource) -> None:
    put_key(bao, "keys/taken")
    bao.write_policy("taken", {"secret/*": ["read"]})
    token = bao.create_token(["taken"])
    source = source_of(bao, "keys/taken", connection={"auth": TokenAuth(SecretStr(token))}, refresh_seconds=0.2)
    await source.newest()
    bao.revoke_token(token)
    await asyncio.sleep(0.25)
    assert (await fault_of(source.newest())).code == "AccessDenied"
    assert len(source._keys) == 0


async def test_keys_are_used_while_the_vault_is_away_until_their_time_is_over(
    own_bao: OpenBao, source_of: MakeSource, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_keys, "OUTAGE_SECONDS", 0.2)
    text = put_key(own_bao, "keys/away")
    source = source_of(own_bao, "keys/away", hold_seconds=1.5, refresh_seconds=0.2)
    await source.newest()
    read_at = time.monotonic()
    own_bao.kill()
    faults = []
    while time.monotonic() < read_at + 2.5:
        try:
            assert text_of(await source.newest()) == text
            assert time.monotonic() < read_at + 1.6
        except KeyUnavailable as fault:
            faults.append((fault.code, time.monotonic() - read_at))
        await asyncio.sleep(0.02)
    assert {code for code, _ in faults} == {"ServiceUnavailable"}
    assert min(after for _, after in faults) > 1.2
    assert len(source._keys) == 0
    assert (await fault_of(source.version_numbers())).code == "ServiceUnavailable"
    assert counts.results["unavailable"] < 25  # not one for each of more than a hundred calls
    own_bao.start()
    await asyncio.sleep(0.3)
    assert text_of(await source.newest()) == text


async def test_a_sealed_vault_gives_service_unavailable_and_recovers(
    own_bao: OpenBao, source_of: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_keys, "OUTAGE_SECONDS", 0.1)
    put_key(own_bao, "keys/sealed")
    source = source_of(own_bao, "keys/sealed")
    own_bao.seal()
    fault = await fault_of(source.newest())
    assert (fault.code, "sealed" in str(fault), as_s3_error(fault).status) == ("ServiceUnavailable", True, 503)
    own_bao.unseal()
    await asyncio.sleep(0.15)
    assert (await source.newest()).version == 1


async def test_a_hanging_vault_delays_one_call_and_no_more(
    own_bao: OpenBao, source_of: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_keys, "OUTAGE_SECONDS", 0.1)
    put_key(own_bao, "keys/hanging")
    source = source_of(own_bao, "keys/hanging", connection={"timeout_seconds": 0.5}, refresh_seconds=0.1)
    await source.newest()
    own_bao.pause()
    await asyncio.sleep(0.15)
    waits = []
    for _ in range(100):
        started = time.monotonic()
        assert (await source.newest()).version == 1
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.01)
    own_bao.resume()
    assert sum(wait > 0.3 for wait in waits) == 1
    # Once the vault answers again, its answers count again.
    put_key(own_bao, "keys/hanging")
    end = time.monotonic() + 3
    while (await source.newest()).version != 2:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


LISTINGS = [
    {},
    {"data": None},
    {"data": {"versions": None}},
    {"data": {"versions": []}},
    {"data": {"versions": {"one": {"deletion_time": "", "destroyed": False}}}},
    {"data": {"versions": {"-1": {"deletion_time": "", "destroyed": False}}}},
    {"data": {"versions": {"٣": {"deletion_time": "", "destroyed": False}}}},
    {"data": {"versions": {"1" * 5000: {"deletion_time": "", "destroyed": False}}}},
    {"data": {"versions": {"1": True}}},
    {"data": {"versions": {"1": {"destroyed": False}}}},
    {"data": {"versions": {"1": {"deletion_time": 7, "destroyed": False}}}},
]


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_list_of_versions_that_makes_no_sense(listing: Any, raw: RawServer, source_of: MakeSource) -> None:
    raw.reply = lambda head: http_answer(200, listing)
    fault = await fault_of(source_of(raw.address, "keys/a").newest())
    assert fault.code == "ServiceUnavailable"
    assert "makes no sense" in str(fault)


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00", "yesterday", "0000-00-00"])
async def test_a_deletion_time_that_is_past_or_unclear_is_a_deletion(
    moment: str, raw: RawServer, source_of: MakeSource
) -> None:
    listing = {"data": {"versions": {"1": {"deletion_time": moment, "destroyed": False}}}}
    raw.reply = lambda head: http_answer(200, listing)
    assert "every version is deleted" in str(await fault_of(source_of(raw.address, "keys/a").newest()))


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"key": base64.b64encode(KEY).decode()}},
        {"data": {"data": {"key": base64.b64encode(KEY).decode()}}},
        {"data": {"data": {"key": base64.b64encode(KEY).decode()}, "metadata": {"version": 2}}},
        {"data": {"data": None, "metadata": {"version": 1}}},
    ],
)
async def test_a_secret_that_is_not_the_version_asked_for(answer: Any, raw: RawServer, source_of: MakeSource) -> None:
    raw.reply = lambda head: http_answer(200, answer)
    fault = await fault_of(source_of(raw.address, "keys/a").version(1))
    assert fault.code == "ServiceUnavailable"


async def test_the_fingerprint_names_the_secret_and_not_the_key(connect: Connect) -> None:
    client = connect("http://127.0.0.1:1")

    def fingerprint(mount: str = "secret", path: str = "a", field: str = "key", **options: Any) -> str:
        return CustomerKeySource(KvKeys(client, mount, path, field), CustomerKeySettings(**options)).fingerprint

    assert fingerprint() == fingerprint(hold_seconds=60.0) == "b7927a84"
    different: list[dict[str, Any]] = [
        {"mount": "kv"},
        {"path": "b"},
        {"field": "other"},
        {"derivation": Derivation.HKDF_SHA256},
    ]
    assert len({fingerprint(), *(fingerprint(**options) for options in different)}) == 5
    assert fingerprint(mount="a", path="b/c") != fingerprint(mount="a/b", path="c")


async def test_derivation_is_an_option(bao: OpenBao, source_of: MakeSource) -> None:
    put_key(bao, "keys/derived")
    plain, derived = source_of(bao, "keys/derived"), source_of(bao, "keys/derived", derivation=Derivation.HKDF_SHA256)
    key = await plain.newest()
    assert plain.key_for(key, "bucket", "a") is key
    assert text_of(derived.key_for(key, "bucket", "a")) == text_of(derive(key, "bucket", "a")) != text_of(key)


@pytest.mark.parametrize(
    "options",
    [
        {"hold_seconds": 0.0},
        {"refresh_seconds": 0.0},
        {"refresh_seconds": 301.0},
        {"max_versions": 0},
    ],
)
def test_settings_that_are_refused(options: Any) -> None:
    with pytest.raises(ConfigError, match="customer key"):
        CustomerKeySettings(**options)


@pytest.mark.parametrize("options", [{"mount": ""}, {"path": "a//b"}, {"path": "../sys"}, {"field": ""}])
async def test_secrets_that_are_refused(options: Any, connect: Connect) -> None:
    with pytest.raises(ConfigError, match="customer key"):
        KvKeys(connect("http://127.0.0.1:1"), **{"mount": "secret", "path": "a", **options})


async def test_no_key_in_any_repr(bao: OpenBao, source_of: MakeSource) -> None:
    text = put_key(bao, "keys/shown")
    source = source_of(bao, "keys/shown")
    key = await source.newest()
    shown = repr(key) + str(key) + repr(vars(source))
    assert text not in shown
    assert repr(key.key.reveal())[2:-1] not in shown


async def test_a_rotation_right_after_the_list_was_read_is_seen_by_who_waits(
    bao: OpenBao, login: Any, source_of: MakeSource, counts: Counts
) -> None:
    """A list that is a moment old does not hide a newer version; many readers cost one request."""
    put_key(bao, "keys/newer")
    source = source_of(bao, "keys/newer", connection=login)
    assert await source.version_numbers() == (1,)
    put_key(bao, "keys/newer")
    assert await asyncio.gather(*(source.newer_version_numbers() for _ in range(50))) == [(2, 1)] * 50
    assert counts.total == 3  # login, and the list twice
