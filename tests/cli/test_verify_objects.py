"""``sealgate verify`` at a real store: every object is opened, everything wrong is named."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.cli.conftest import StoredBucket
from tests.cli.stored_under_test import sealgate, write_keyring


def verified(bucket: StoredBucket, prefix: str = "", *arguments: str | Path, keyring: Path | None = None) -> Result:
    return sealgate(
        "verify",
        bucket.url(prefix),
        "--keyring",
        keyring or bucket.keyring,
        "--endpoint-url",
        bucket.endpoint,
        *arguments,
    )


def lines_of(result: Result) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Troubles by object key, and the summary."""
    *troubles, last = [json.loads(line) for line in result.stdout.splitlines()]
    return {trouble["object_key"]: trouble for trouble in troubles}, last["summary"]


def test_a_sound_bucket(stored_bucket: StoredBucket) -> None:
    for number in range(12):
        stored_bucket.put_whole(f"whole/{number}", os.urandom(number * 10_000))
    stored_bucket.put_multipart("many", [os.urandom(300_000)] * 3)
    result = verified(stored_bucket, "", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    troubles, summary = lines_of(result)
    assert troubles == {}
    assert summary == {
        "sealed": 13,
        "not_sealed": 0,
        "faulty": 0,
        "unreadable": 0,
        "gone": 0,
        "plaintext_bytes": 660_000 + 900_000,
        "passed": True,
    }
    assert lines_of(verified(stored_bucket, "whole/1", "--json"))[1]["sealed"] == 3


def test_everything_wrong_is_named(stored_bucket: StoredBucket) -> None:
    name, sealing = stored_bucket.name, stored_bucket.sealing
    good = stored_bucket.put_whole("good", os.urandom(50_000))
    flipped = bytearray(sealing.whole(name, "flipped", bytes(50_000)))
    flipped[40_000] ^= 1
    stored_bucket.put("flipped", bytes(flipped), "v1;size=50000")
    stored_bucket.put("moved", good, "v1;size=50000")
    stored_bucket.put("cut", sealing.whole(name, "cut", bytes(50_000))[:-1], "v1;size=50000")
    stored_bucket.put("no-marker", sealing.whole(name, "no-marker", b"x"), None)
    stored_bucket.put("size", sealing.whole(name, "size", b"x"), "v1;size=2")
    stored_bucket.put("downgraded", b"plaintext instead", "v1;size=17")
    stored_bucket.put("emptied", b"", "v1;size=17")
    parts = [sealing.part(name, "order", number, bytes(100)) for number in (1, 2)]
    stored_bucket.put("order", parts[1] + parts[0] + sealing.closing(name, "order", [100, 100]), "v1")
    stored_bucket.put("plain", b"never sealed", None)
    stored_bucket.put("plain-empty", b"", None)
    expected = {
        "flipped": "chunk",
        "moved": "location",
        "cut": "size",
        "no-marker": "marker",
        "size": "marker",
        "downgraded": "not_sealed",
        "emptied": "not_sealed",
        "order": "part",
    }
    result = verified(stored_bucket, "", "--json", "--concurrency", "3")
    assert result.exit_code == 1
    troubles, summary = lines_of(result)
    assert {key: trouble["fault"] for key, trouble in troubles.items()} == expected
    assert {trouble["result"] for trouble in troubles.values()} == {"faulty"}
    counts = [summary[name] for name in ("sealed", "not_sealed", "faulty", "unreadable", "passed")]
    assert counts == [1, 2, 8, 0, False]
    troubles, summary = lines_of(verified(stored_bucket, "", "--json", "--all-sealed"))
    assert troubles["plain"]["fault"] == troubles["plain-empty"]["fault"] == "not_sealed"
    assert summary["faulty"] == 10


def test_for_people(stored_bucket: StoredBucket) -> None:
    stored_bucket.put_whole("a", b"x")
    stored_bucket.put("b\nc", stored_bucket.sealing.whole("other", "b", b"x"), "v1;size=1")
    result = verified(stored_bucket)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "faulty location  b\\nc  it was sealed for another bucket or object key",
        "1 sealed, 0 not sealed, 1 faulty, 0 unreadable, 0 gone; 1 bytes of plaintext verified",
    ]


def test_a_key_that_is_missing_is_no_fault_and_no_success(stored_bucket: StoredBucket, tmp_path: Path) -> None:
    stored_bucket.put_whole("a", b"x")
    other = write_keyring(tmp_path / "other.json", ["local:vectors-2"])
    result = verified(stored_bucket, "", "--json", keyring=other)
    assert result.exit_code == 1
    troubles, summary = lines_of(result)
    assert (troubles["a"]["result"], troubles["a"]["fault"]) == ("unreadable", None)
    assert "local:vectors-1" in troubles["a"]["message"]
    assert (summary["unreadable"], summary["faulty"], summary["passed"]) == (1, 0, False)


def test_nothing_there(stored_bucket: StoredBucket) -> None:
    result = verified(stored_bucket, "nowhere/", "--json")
    assert result.exit_code == 0
    assert lines_of(result)[1]["sealed"] == 0


def test_more_objects_than_a_page_has(stored_bucket: StoredBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.stored.s3_source.PAGE_KEYS", 7)
    for number in range(30):
        stored_bucket.put_whole(f"{number:03}", b"x")
    assert lines_of(verified(stored_bucket, "", "--json"))[1]["sealed"] == 30


def test_a_bucket_that_can_not_be_listed(stored_bucket: StoredBucket) -> None:
    result = sealgate(
        "verify",
        "s3://no-such-bucket-here",
        "--keyring",
        stored_bucket.keyring,
        "--endpoint-url",
        stored_bucket.endpoint,
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("s3://no-such-bucket-here: ")


def test_a_file_is_refused(stored_bucket: StoredBucket, tmp_path: Path) -> None:
    result = sealgate("verify", tmp_path, "--keyring", stored_bucket.keyring)
    assert result.exit_code == 1
    assert "s3://BUCKET/PREFIX is needed" in result.stderr
