"""``sealgate open`` and ``sealgate inspect`` of objects at a real store."""

import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.cli.stored import s3_source
from tests.cli.conftest import StoredBucket
from tests.cli.stored_under_test import sealgate

KIB = 1024


def opened(bucket: StoredBucket, url: str, *arguments: str | Path) -> Result:
    return sealgate("open", url, "--keyring", bucket.keyring, "--endpoint-url", bucket.endpoint, *arguments)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The requests of the command to the store: operation and range."""
    requests: list[tuple[str, str | None]] = []
    make: Callable[..., Any] = s3_source.s3_client

    def observed(*arguments: Any) -> Any:
        client = make(*arguments)

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            requests.append((model.name, params["headers"].get("Range")))

        client.meta.events.register("before-call.s3", note)
        return client

    monkeypatch.setattr("gateway.cli.stored.naming.s3_client", observed)
    return requests


@pytest.mark.parametrize("size", [0, 1, 16_384, 3_000_000])
def test_a_whole_object(size: int, stored_bucket: StoredBucket, tmp_path: Path) -> None:
    plaintext, key = os.urandom(size), "dir/größe + 100%?#.bin"
    stored_bucket.put_whole(key, plaintext)
    result = opened(stored_bucket, stored_bucket.url(key), "-o", tmp_path / "out")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "out").read_bytes() == plaintext


def test_a_multipart_object(stored_bucket: StoredBucket) -> None:
    parts = [os.urandom(size) for size in (700_000, 700_000, 0, 5)]
    stored_bucket.put_multipart("many", parts)
    result = opened(stored_bucket, stored_bucket.url("many"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes == b"".join(parts)


@pytest.mark.parametrize("multipart", [False, True])
def test_a_range_costs_little(
    multipart: bool, stored_bucket: StoredBucket, asked: list[tuple[str, str | None]]
) -> None:
    parts = [os.urandom(2_000_000), os.urandom(2_000_000)]
    if multipart:
        stored_bucket.put_multipart("large", parts)
    else:
        stored_bucket.put_whole("large", b"".join(parts))
    result = opened(stored_bucket, stored_bucket.url("large"), "--range", "3000000-3065535")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"".join(parts)[3_000_000:3_065_536]
    ranges = [part.removeprefix("bytes=").split("-") for _, part in asked if part is not None]
    assert len(ranges) == len(asked) == (4 if multipart else 2)
    assert sum(int(last) - int(first) + 1 for first, last in ranges) <= 96 * KIB


def test_a_version(stored_bucket: StoredBucket) -> None:
    stored_bucket.client.put_bucket_versioning(Bucket=stored_bucket.name, VersioningConfiguration={"Status": "Enabled"})
    stored = stored_bucket.sealing.whole(stored_bucket.name, "k", b"first")
    version = stored_bucket.put("k", stored, "v1;size=5")["VersionId"]
    stored_bucket.put_whole("k", b"second")
    assert opened(stored_bucket, stored_bucket.url("k")).stdout_bytes == b"second"
    assert opened(stored_bucket, stored_bucket.url("k"), "--version-id", version).stdout_bytes == b"first"


def test_the_place_is_checked(stored_bucket: StoredBucket) -> None:
    stored = stored_bucket.put_whole("right", b"secret")
    stored_bucket.put("wrong", stored, "v1;size=6")
    url = stored_bucket.url("wrong")
    result = opened(stored_bucket, url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "fault location: " in result.stderr
    assert opened(stored_bucket, url, "--anywhere").stdout_bytes == b"secret"
    assert opened(stored_bucket, url, "--bucket", stored_bucket.name, "--key", "right").stdout_bytes == b"secret"
    alias = stored_bucket.sealing.alias(stored_bucket.name, "wrong")
    stored_bucket.put("wrong", stored, f"v1;size=6;alias={urlsafe_b64encode(alias).decode().rstrip('=')}")
    assert opened(stored_bucket, url).stdout_bytes == b"secret"


@pytest.mark.parametrize("marker", ["v1;size=7", "v2", "v1;alias=x"])
def test_the_marker_is_checked(marker: str, stored_bucket: StoredBucket) -> None:
    stored_bucket.put("k", stored_bucket.sealing.whole(stored_bucket.name, "k", b"secret"), marker)
    result = opened(stored_bucket, stored_bucket.url("k"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "fault marker: " in result.stderr


def test_a_copy_that_lost_its_metadata(stored_bucket: StoredBucket) -> None:
    stored_bucket.put("k", stored_bucket.sealing.whole(stored_bucket.name, "k", b"secret"), None)
    assert opened(stored_bucket, stored_bucket.url("k")).stdout_bytes == b"secret"


@pytest.mark.parametrize("stored", [b"", b"plain"])
def test_what_is_not_sealed(stored: bytes, stored_bucket: StoredBucket) -> None:
    stored_bucket.put("k", stored, None)
    result = opened(stored_bucket, stored_bucket.url("k"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "fault not_sealed: " in result.stderr


def test_a_damaged_object(stored_bucket: StoredBucket, tmp_path: Path) -> None:
    stored = bytearray(stored_bucket.put_multipart("k", [bytes(100_000), bytes(3)]))
    stored[90_000] ^= 1
    stored_bucket.put("k", bytes(stored), "v1")
    result = opened(stored_bucket, stored_bucket.url("k"), "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "fault chunk: " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "url", ["s3://{bucket}/missing", "s3://{bucket}/", "s3://{bucket}", "s3://", "s3:///x", "s3://no-such/k"]
)
def test_what_is_not_there(url: str, stored_bucket: StoredBucket) -> None:
    result = opened(stored_bucket, url.format(bucket=stored_bucket.name))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("s3://")
    assert "Traceback" not in result.stderr


def test_a_store_that_is_not_there(stored_bucket: StoredBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = sealgate("open", "s3://b/k", "--keyring", stored_bucket.keyring, "--endpoint-url", "https://localhost:1")
    assert result.exit_code == 1
    assert "localhost:1" in result.stderr


def test_credentials_that_are_refused(stored_bucket: StoredBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_bucket.put_whole("k", b"secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    result = opened(stored_bucket, stored_bucket.url("k"))
    assert (result.exit_code, result.stdout) == (1, "")


def test_inspect(stored_bucket: StoredBucket) -> None:
    stored_bucket.put_multipart("k", [bytes(1000)] * 5)
    found = sealgate(
        "inspect", stored_bucket.url("k"), "--endpoint-url", stored_bucket.endpoint, "--json", "--parts", "3"
    )
    assert (found.exit_code, found.stderr) == (0, "")
    document = json.loads(found.stdout)
    assert document["marker"] == "v1"
    assert document["sealed_for_this_place"] is True
    assert [message["part_number"] for message in document["messages"]] == [1, 2, 3]
    assert document["more_parts"] is True
