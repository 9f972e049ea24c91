"""The keyring of a running gateway: rotation, a lost key, changed wrapped keys, and no key in what is written."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.crypto.sealed.envelope import Envelope
from gateway.crypto.sealed.geometry import ENVELOPE_BYTES
from gateway.keys.keyring_editing import add_key, use_key
from gateway.keys.local_keyring import read_keyring
from lab.binaries import LabError
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.sealing import keyring_in, sealed_rule
from lab.seaweed import SeaweedFS
from tests.e2e.stage import fails, mentions

pytestmark = pytest.mark.slow

BUCKET = "e2e-keyring"
BODY = b"kept under lock and key " * 1000


class Keyed:
    """A gateway with a keyring of its own."""

    def __init__(self, directory: Path, authority: CertificateAuthority, store: SeaweedFS) -> None:
        self.keyring = keyring_in(directory / "sealing")
        self.gateway = Gateway(directory, authority, store, rules=[sealed_rule("*")], sealing=directory / "sealing")
        self.direct: S3Client = store.client()
        self.client: S3Client = self.gateway.client()

    def restart(self) -> None:
        self.gateway.stop()
        self.gateway.start()
        self.client = self.gateway.client()

    def put(self, key: str) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=BODY)

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def envelope(self, key: str) -> Envelope:
        return Envelope.parse(self.direct.get_object(Bucket=BUCKET, Key=key)["Body"].read(ENVELOPE_BYTES))

    def wrapping_key(self, key: str) -> str:
        """What the stored object names, without the gateway."""
        return self.envelope(key).wrapping_key


@pytest.fixture
def keyed(tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS) -> Iterator[Keyed]:
    made = Keyed(tmp_path, authority, seaweed)
    made.gateway.start()
    if BUCKET not in [bucket["Name"] for bucket in made.direct.list_buckets()["Buckets"]]:
        made.direct.create_bucket(Bucket=BUCKET)
    yield made
    made.gateway.stop()


def test_rotation_and_sealing_again(keyed: Keyed) -> None:
    """New objects use the new key, old ones open under theirs, and a copy onto itself brings one under the new."""
    keyed.put("old")
    add_key(keyed.keyring, "next", make_current=False)
    keyed.restart()
    keyed.put("between")
    use_key(keyed.keyring, "next")
    keyed.restart()
    keyed.put("new")
    assert [keyed.wrapping_key(key) for key in ("old", "between", "new")] == [
        "local:lab-1", "local:lab-1", "local:next",
    ]  # fmt: skip
    assert keyed.get("old") == keyed.get("between") == keyed.get("new") == BODY
    keyed.client.copy_object(Bucket=BUCKET, Key="old", CopySource={"Bucket": BUCKET, "Key": "old"})
    assert keyed.wrapping_key("old") == "local:next"
    assert keyed.get("old") == BODY


def test_one_data_key_for_many_objects_and_none_twice(keyed: Keyed) -> None:
    """Objects share a wrapped data key, and a restart begins another one."""
    keyed.put("a")
    keyed.put("b")
    keyed.restart()
    keyed.put("c")
    wrapped = [keyed.envelope(key).wrapped_data_key for key in ("a", "b", "c")]
    assert wrapped[0] == wrapped[1] != wrapped[2]
    assert keyed.get("a") == keyed.get("b") == keyed.get("c") == BODY
    unwrapped = {"provider": "local", "operation": "unwrap", "result": "ok"}
    assert keyed.gateway.metric("sealgate_kms_requests_total", **unwrapped) == 1
    assert keyed.gateway.metric("sealgate_data_key_cache_total", operation="open", result="hit") >= 2


def test_a_key_that_is_lost(keyed: Keyed) -> None:
    keyed.put("lost")
    keyed.keyring.unlink()
    add_key(keyed.keyring, "another")
    keyed.restart()
    for call in (keyed.client.get_object, keyed.client.head_object):
        assert fails(lambda call=call: call(Bucket=BUCKET, Key="lost"))[0] == 400  # type: ignore[misc]  # bound early
    status, code, message = fails(lambda: keyed.client.get_object(Bucket=BUCKET, Key="lost"))
    assert (status, code) == (400, "KMS.NotFoundException")
    assert "local:lab-1" in message


def test_a_wrapped_data_key_that_was_changed(keyed: Keyed) -> None:
    keyed.put("changed")
    found = keyed.direct.get_object(Bucket=BUCKET, Key="changed")
    stored = bytearray(found["Body"].read())
    stored[stored.index(b"local:lab-1") + len(b"local:lab-1") + 20] ^= 1
    keyed.direct.put_object(Bucket=BUCKET, Key="changed", Body=bytes(stored), Metadata=found["Metadata"])
    status, code, message = fails(lambda: keyed.client.get_object(Bucket=BUCKET, Key="changed"))
    assert (status, code) == (403, "AccessDenied")
    assert "was not made by wrapping key 'local:lab-1'" in message
    failed = {"provider": "local", "operation": "unwrap", "result": "denied"}
    assert keyed.gateway.metric("sealgate_kms_requests_total", **failed) == 1


def test_no_key_is_written_anywhere(keyed: Keyed, tmp_path: Path) -> None:
    """Not to the log, the metrics, the configuration or the staging store, also when things go wrong."""
    keyed.put("secret")
    assert keyed.get("secret") == BODY
    keyed.restart()
    fails(lambda: keyed.client.get_object(Bucket=BUCKET, Key="not there"))
    with urllib.request.urlopen(f"{keyed.gateway.admin_endpoint}/metrics", timeout=10) as answer:  # noqa: S310 - ours
        written = answer.read().decode()
    keyring = read_keyring(keyed.keyring)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != keyed.keyring:
            written += path.read_text(errors="replace")
    assert "sealgate_sealed_objects_total" in written
    assert not [key for key in keyring.keys.values() if mentions(written, bytes(key.key.reveal()))]


def test_a_keyring_that_others_can_open_stops_the_start(keyed: Keyed, tmp_path: Path) -> None:
    keyed.gateway.stop()
    keyed.keyring.chmod(0o640)
    with pytest.raises(LabError, match="ended while it was starting"):
        keyed.gateway.start()
    assert "chmod 0600" in (tmp_path / "gateway.log").read_text()
    keyed.keyring.chmod(0o600)
    keyed.gateway.start()
