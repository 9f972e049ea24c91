"""Rotated keys: every object gets the newest version, while clients write, however often the command is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.sealing import WRAPPING_KEY
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE
from tests.faults.key_services import TransitService

_CUSTOMER = "faults/rewrapped"
_PART = 5 * 2**20
#: Above the time for which a gateway uses a data key, and for which the laboratory's holds a customer key.
_SEEN_SECONDS = 3.3


def sealgate(gateway: Gateway, *arguments: str) -> dict[str, Any]:
    """Run a command with a gateway's configuration; the last line of its JSON comes back."""
    done = CliRunner().invoke(app, _options(gateway, *arguments), env=gateway.environment)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _options(gateway: Gateway, *arguments: str) -> list[str]:
    return [*arguments, "--config", str(gateway.config_file), "--json"]


def _started(gateway: Gateway, *arguments: str) -> subprocess.Popen[bytes]:
    """The same command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *_options(gateway, *arguments)],
        env={**os.environ, **gateway.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _done(summary: dict[str, Any]) -> dict[str, int]:
    """What became of the objects, without what happened to none."""
    names = ("reencrypted", "skipped", "known", "changed_meanwhile", "planned", "failed")
    return {name: summary["summary"][name] for name in names if summary["summary"][name]}


def _needed(status: dict[str, Any]) -> dict[str, int]:
    return {f"{row['mode']} {row['version']}".strip(): row["objects"] for row in status["keys"]}


# ----------------------------------------------------------------------------- other keys, other modes


def _rules(bucket: str, modes: dict[str, dict[str, Any]], behind: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    named = [{"name": name, "buckets": [bucket], "prefixes": [f"{name}/"], **rule} for name, rule in modes.items()]
    return [*named, *behind, {"name": "rest", "buckets": ["*"], "mode": "none"}]


_CSE = {"mode": "cse", "wrapping_key": WRAPPING_KEY, "existing": "plaintext"}
_SSE_C = {"mode": "sse-c", "customer_key": "customer"}
_SSE_S3 = {"mode": "sse-s3"}
#: Before and after.
_MODES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "key": (_SSE_C, _SSE_C),
    "sealed": ({"mode": "none"}, _CSE),
    "unsealed": (_CSE, _SSE_S3),
    "server": (_SSE_C, _SSE_S3),
    "customer": (_CSE, _SSE_C),
    "bare": (_CSE, {"mode": "none"}),
    "same": (_SSE_S3, _SSE_S3),
}


def test_other_keys_and_other_modes(
    tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS
) -> None:
    bucket, direct = "rewrapped-modes", seaweed.client(**ONCE)
    direct.create_bucket(Bucket=bucket)
    openbao.put_random_key(_CUSTOMER)
    # A rule further down keeps the keys of what was written before.
    behind = ({"name": "behind", "buckets": [bucket], **_SSE_C},)
    before, after = (
        Gateway(
            tmp_path / name,
            authority,
            seaweed,
            rules=_rules(bucket, {prefix: both[number] for prefix, both in _MODES.items()}, behind),
            vault=openbao,
            customer_keys={"customer": _CUSTOMER},
            sealing=tmp_path / "sealing",
        )
        for number, name in enumerate(("before", "after"))
    )
    about = {"ContentType": "text/plain", "Metadata": {"colour": "blue"}, "Tagging": "a=1&b=2"}
    written = {f"{prefix}/{size} +ü": random.randbytes(size) for prefix in _MODES for size in (0, 70_000)}
    before.start()
    try:
        client = before.client(**ONCE)
        for key, data in written.items():
            client.put_object(Bucket=bucket, Key=key, Body=data, **about)
        large = _upload(client, bucket, "key/large")
    finally:
        before.stop()
    written["key/large"] = large
    openbao.put_random_key(_CUSTOMER)
    location = f"s3://{bucket}/"
    assert _needed(sealgate(after, "keys", "status", location)) == {"none": 2, "sse-s3": 2, "sse-c 1": 5, "cse": 6}
    assert _done(sealgate(after, "rewrap", location, "--dry-run")) == {"planned": 13, "skipped": 2}
    assert _done(sealgate(after, "rewrap", location)) == {"reencrypted": 13, "skipped": 2}
    status = sealgate(after, "keys", "status", location)
    assert _needed(status) == {"none": 2, "sse-s3": 6, "sse-c 2": 5, "cse": 2}
    assert sum(row["to_be_rewrapped"] for row in status["keys"]) == 0
    assert _done(sealgate(after, "rewrap", location)) == {"skipped": 15}
    after.start()
    try:
        client = after.client(**ONCE)
        for key, data in written.items():
            found = client.get_object(Bucket=bucket, Key=key)
            assert found["Body"].read() == data, key
            if key != "key/large":
                assert (found["ContentType"], found["Metadata"]) == (about["ContentType"], about["Metadata"]), key
                tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
                assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "2"}, key
    finally:
        after.stop()


def test_an_interrupted_run_finishes_what_it_began(
    tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS
) -> None:
    bucket, direct, state = "rewrapped-interrupted", seaweed.client(**ONCE), tmp_path / "state"
    direct.create_bucket(Bucket=bucket)
    for number in range(20):
        direct.put_object(Bucket=bucket, Key=f"{number}", Body=b"data")
    gateway = Gateway(
        tmp_path,
        authority,
        seaweed,
        rules=[{"name": "sealed", "buckets": ["*"], **_CSE}],
        sealing=tmp_path / "sealing",
    )
    rewrap = ("rewrap", f"s3://{bucket}", "--state", str(state), "--concurrency", "2")
    running = _started(gateway, *rewrap, "--rate", "5/s")
    wait_until(lambda: state.exists() and len(state.read_bytes().splitlines()) > 2, seconds=30, what="progress")
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate()
    summary = json.loads(output.splitlines()[-1])
    assert (running.returncode, summary["summary"]["interrupted"]) == (130, True)
    done = _done(summary)["reencrypted"]
    assert 2 <= done < 10
    assert _done(sealgate(gateway, *rewrap)) == {"known": done, "reencrypted": 20 - done}


def _upload(client: S3Client, bucket: str, key: str, between: Callable[[], None] = lambda: None) -> bytes:
    """An object in two parts, and what happens between them."""
    data = random.randbytes(_PART + 100_000)
    about = {"Bucket": bucket, "Key": key}
    upload = {**about, "UploadId": client.create_multipart_upload(**about)["UploadId"]}
    parts = []
    for number, part in enumerate((data[:_PART], data[_PART:]), 1):
        etag = client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
        if number == 1:
            between()
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return data


# ---------------------------------------------------------------------------------- a key of a service


@dataclass
class Writers:
    """Clients that overwrite objects; what each object has to contain is known, whoever else rewrites it."""

    gateway: Gateway
    bucket: str
    keys: list[str]
    last: dict[str, bytes] = field(default_factory=dict)
    writes: int = 0
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        # Each key has one writer, so that it is known which write was the last one.
        self._threads = [threading.Thread(target=self._write, args=(self.keys[number::2],)) for number in range(2)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _write(self, keys: list[str]) -> None:
        client = self.gateway.client(**ONCE)
        try:
            while not self._stop.wait(0.02):
                key, data = random.choice(keys), random.randbytes(random.choice((0, 900, 40_000)))
                client.put_object(Bucket=self.bucket, Key=key, Body=data)
                self.last[key] = data
                self.writes += 1
                looked_at = random.choice([key for key in keys if key in self.last])
                if client.get_object(Bucket=self.bucket, Key=looked_at)["Body"].read() != self.last[looked_at]:
                    self.faults.append(f"{looked_at}: a write was lost")
        except Exception as error:  # noqa: BLE001 - whatever a client meets is a failure, and is shown
            self.faults.append(repr(error))


@pytest.fixture
def service(openbao: OpenBao, authority: CertificateAuthority) -> Iterator[TransitService]:
    found = TransitService(openbao, authority)
    yield found
    found.stop()


@pytest.fixture
def transit_gateway(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, service: TransitService
) -> Iterator[Gateway]:
    (tmp_path / "staging").mkdir(mode=0o700)
    sealed = {"name": "sealed", "buckets": ["rewrapped*"], "mode": "cse", "wrapping_key": service.wrapping_key}
    options = {
        **service.options(tmp_path),
        # A gateway that seals with an old version for long after a rotation would make the test long.
        "data_keys": {"maximum_age_seconds": 3},
        "staging": {"location": (tmp_path / "staging").as_uri()},
        "workers": 2,
    }
    rules = [sealed, {"name": "rest", "buckets": ["*"], "mode": "none"}]
    gateway = Gateway(tmp_path, authority, seaweed, rules=rules, options=options)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.mark.slow
def test_a_transit_key_is_rotated_while_clients_write(
    tmp_path: Path, openbao: OpenBao, seaweed: SeaweedFS, service: TransitService, transit_gateway: Gateway
) -> None:
    """Three rotations and two kills; nothing is done twice, no write is lost, and the old versions can be given up."""
    gateway, client, direct = transit_gateway, transit_gateway.client(**ONCE), seaweed.client(**ONCE)
    bucket, busy, state = "rewrapped-still", "rewrapped-busy", tmp_path / "state"
    for name in (bucket, busy):
        direct.create_bucket(Bucket=name)
    # Each write leaves a version behind: so they can be counted.
    direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    still = {f"still/{number:03}": random.randbytes(random.choice((0, 1_000, 60_000))) for number in range(120)}
    for key, data in still.items():
        client.put_object(Bucket=bucket, Key=key, Body=data)
    rewrap = ("rewrap", f"s3://{bucket}/still/", "--state", str(state))
    writers = Writers(gateway, busy, [f"busy/{number}" for number in range(20)])
    writers.start()
    try:
        still["still/large"] = _upload(client, bucket, "still/large", lambda: _rotate(openbao, service))
        for _ in range(2):
            _rotate(openbao, service)
            _rewrap_busy(gateway, busy, writers)
        assert set(_needed(sealgate(gateway, "keys", "status", f"s3://{bucket}/"))) == {"cse 1", "cse 2"}
        for count in (30, 70):
            _killed(gateway, state, count, *rewrap, "--rate", "40/s")
        done = _done(sealgate(gateway, *rewrap))
        _rewrap_busy(gateway, busy, writers)
    finally:
        writers.stop()
    assert (writers.faults, writers.writes > 100) == ([], True)
    # What was under way when it was killed may have been finished, and is then left alone.
    assert set(done) <= {"known", "skipped", "reencrypted"}
    assert (done["known"] >= 70, sum(done.values())) == (True, len(still))
    assert _versions(direct, bucket) == dict.fromkeys(still, 2)
    calls = service.count()
    assert (_done(sealgate(gateway, *rewrap)), service.count() - calls) == ({"known": len(still)}, 1)
    for name, keys in ((bucket, still), (busy, writers.last)):
        assert _needed(sealgate(gateway, "keys", "status", f"s3://{name}/")) == {"cse 4": len(keys)}
    every = sealgate(gateway, "keys", "status", f"s3://{bucket}/", "--versions")
    assert _needed(every) == {"cse 1": len(still), "cse 2": 1, "cse 4": len(still)}
    openbao.set_min_decryption_version(service.name, 4)
    gateway.stop()
    gateway.start()
    for name, keys in ((bucket, still), (busy, writers.last)):
        for key, data in keys.items():
            assert client.get_object(Bucket=name, Key=key)["Body"].read() == data, key


def _rotate(openbao: OpenBao, service: TransitService) -> None:
    """A new version, which every gateway seals with when this returns."""
    openbao.rotate_transit_key(service.name)
    time.sleep(_SEEN_SECONDS)


def _rewrap_busy(gateway: Gateway, bucket: str, writers: Writers) -> None:
    """Rewrap what clients overwrite at the same time."""
    seen = writers.writes
    assert not sealgate(gateway, "rewrap", f"s3://{bucket}/")["summary"]["failed"]
    wait_until(lambda: writers.writes > seen + 20 or bool(writers.faults), seconds=30, what="writes")


def _killed(gateway: Gateway, state: Path, count: int, *arguments: str) -> None:
    """Run a command until so many objects are in its state file, and ``kill -9`` it."""
    running = _started(gateway, *arguments)
    try:
        wait_until(lambda: state.exists() and len(state.read_bytes().splitlines()) > count, seconds=60, what="progress")
        assert running.poll() is None
    finally:
        running.kill()
        running.communicate()


def _versions(direct: S3Client, bucket: str) -> dict[str, int]:
    """How often each object was written."""
    pages = direct.get_paginator("list_object_versions").paginate(Bucket=bucket)
    return dict(Counter(entry["Key"] for page in pages for entry in page.get("Versions", ())))
