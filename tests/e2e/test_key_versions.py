"""Customer keys from the vault: one per object where asked for, every live version still reads, dead ones do not."""

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.keys.customer_key import CustomerKey
from gateway.keys.derivation import derive
from gateway.redact import SecretBytes
from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.seaweed import SeaweedFS
from tests.e2e.stage import DERIVED, SSE_C, Stage, fails, rotate_and_wait
from tests.e2e.wire import Key


@pytest.fixture
def own(tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao) -> Iterator[Stage]:
    """A gateway with a secret of its own, in which versions may be destroyed."""
    running = Stage(
        tmp_path,
        authority,
        seaweed,
        openbao,
        prefix=f"e2e-{secrets.token_hex(4)}",
    )
    running.start()
    yield running
    running.gateway.stop()


def _put(stage: Stage, encryption: str, key: str, body: bytes = b"body") -> str:
    put = stage.client.put_object(Bucket=stage.bucket(encryption), Key=key, Body=body)
    md5: str = put["SSECustomerKeyMD5"]
    return md5


def _get(stage: Stage, encryption: str, key: str) -> bytes:
    body: bytes = stage.client.get_object(Bucket=stage.bucket(encryption), Key=key)["Body"].read()
    return body


def test_one_key_for_all_objects_is_the_vaults_own(own: Stage) -> None:
    raw = own.rotate()
    wait_until(lambda: _put(own, SSE_C, "probe") == Key(raw).md5, seconds=10, what="the new key")
    assert _put(own, SSE_C, "one") == _put(own, SSE_C, "two") == Key(raw).md5
    own.direct.get_object(Bucket=own.bucket(SSE_C), Key="one", **Key(raw).arguments())


def test_derived_keys_differ_by_object_and_follow_the_documented_derivation(own: Stage) -> None:
    raw = own.rotate()
    bucket = own.bucket(DERIVED)
    expected = {
        key: Key(bytes(derive(CustomerKey(2, SecretBytes(raw)), bucket, key).key.reveal()))
        for key in ("one", "two", "a/ä")
    }
    wait_until(lambda: _put(own, DERIVED, "one") == expected["one"].md5, seconds=10, what="the new key")
    assert {key: _put(own, DERIVED, key) for key in expected} == {key: own_.md5 for key, own_ in expected.items()}
    assert len({own_.raw for own_ in expected.values()} | {raw}) == 4
    got = own.direct.get_object(Bucket=bucket, Key="two", **expected["two"].arguments())
    assert got["Body"].read() == b"body"
    refused = fails(lambda: own.direct.get_object(Bucket=bucket, Key="two", **expected["one"].arguments()))
    assert refused[0] == 403
    assert fails(lambda: own.direct.get_object(Bucket=bucket, Key="two", **Key(raw).arguments()))[0] == 403
    own.client.copy_object(Bucket=bucket, Key="a/ä", CopySource={"Bucket": bucket, "Key": "two"})
    own.direct.get_object(Bucket=bucket, Key="a/ä", **expected["a/ä"].arguments())


@pytest.mark.parametrize("encryption", [SSE_C, DERIVED])
def test_old_versions_still_read_and_are_remembered(own: Stage, encryption: str) -> None:
    _put(own, encryption, "old", b"old")
    for _ in range(2):
        rotate_and_wait(own)
    # Another process: it has not seen the object being written.
    own.gateway.stop()
    own.gateway.start()
    start = own.key_attempts()
    assert _get(own, encryption, "old") == b"old"
    wait_until(lambda: own.key_attempts() - start == 3, seconds=5, what="the count of 3 attempts")
    assert _get(own, encryption, "old") == b"old"
    assert own.client.head_object(Bucket=own.bucket(encryption), Key="old")["ContentLength"] == 3
    wait_until(lambda: own.key_attempts() - start == 5, seconds=5, what="the count of 5 attempts")
    _put(own, encryption, "new", b"new")
    assert _get(own, encryption, "new") == b"new"
    wait_until(lambda: own.key_attempts() - start == 6, seconds=5, what="the count of 6 attempts")


@pytest.mark.slow
def test_an_object_written_again_moves_to_the_newest_version(own: Stage) -> None:
    first = _put(own, SSE_C, "again", b"1")
    rotate_and_wait(own)
    assert _get(own, SSE_C, "again") == b"1"
    assert _put(own, SSE_C, "again", b"2") != first
    assert _get(own, SSE_C, "again") == b"2"


def test_a_destroyed_version_reads_no_more_and_the_others_still_do(own: Stage) -> None:
    _put(own, SSE_C, "first", b"1")
    rotate_and_wait(own)
    _put(own, SSE_C, "second", b"2")
    own.vault.destroy_versions(own.key_path, [1])

    def is_gone() -> bool:
        try:
            own.client.head_object(Bucket=own.bucket(SSE_C), Key="first")
        except own.client.exceptions.ClientError:
            return True
        return False

    wait_until(is_gone, seconds=15, what="the loss of the destroyed key")
    assert fails(lambda: _get(own, SSE_C, "first"))[0] == 400
    assert _get(own, SSE_C, "second") == b"2"
    assert own.gateway.is_ready()


@pytest.mark.slow
def test_a_deleted_newest_version_is_not_written_with(own: Stage) -> None:
    first = _put(own, SSE_C, "kept", b"1")
    rotate_and_wait(own)
    own.vault.request("POST", f"secret/delete/{own.key_path}", {"versions": [2]})
    wait_until(lambda: _put(own, SSE_C, "after") == first, seconds=15, what="the return to the version before")
    assert _get(own, SSE_C, "kept") == b"1"


@pytest.mark.slow
def test_a_version_that_is_no_key_stops_writes_and_not_reads(own: Stage) -> None:
    _put(own, SSE_C, "before", b"1")
    own.vault.put_secret(own.key_path, {"key": base64.b64encode(b"s" * 31).decode()})

    def refuses() -> bool:
        try:
            _put(own, SSE_C, "short")
        except own.client.exceptions.ClientError as error:
            return bool(error.response["Error"]["Code"] == "InvalidArgument")
        return False

    wait_until(refuses, seconds=15, what="the refusal of a short key")
    assert _get(own, SSE_C, "before") == b"1"
    assert "Contents" not in own.client.list_objects_v2(Bucket=own.bucket(SSE_C), Prefix="refused")
