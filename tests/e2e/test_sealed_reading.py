"""Reads of sealed objects through a gateway. The objects were put into the store without it."""

import base64
import contextlib
import random
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.response import StreamingBody

from gateway.modes.shown_etag import shown_etag
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.rgw import Rgw
from lab.s3_server import S3Server
from lab.sealing import sealed_rule, sealing_options
from tests.e2e.sealed_store import SealedStore, Stored
from tests.e2e.stage import fails
from tests.e2e.wire import Answer, Key, ask

MIB = 2**20
CHUNK = 16_384
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 300_000]
PART_SIZES = (5 * MIB, 5 * MIB + 1, 123_456)
_BYTES = random.Random(7).randbytes(12 * MIB)
_LATER = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
_EARLIER = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)


class Bench:
    """A gateway with a bucket for each kind of rule, and a way past it.

    Attributes:
        sealed: bucket in which everything is sealed.
        mixed: bucket with objects that are not sealed beside those that are.
        other: bucket without encryption.
        keyed: bucket of sealed objects, once under a rule with customer keys.
        versioned: bucket of sealed objects that keeps versions.
    """

    def __init__(self, directory: Path, authority: CertificateAuthority, server: S3Server, vault: OpenBao) -> None:
        names = ("sealed", "mixed", "other", "keyed", "versioned")
        self.sealed, self.mixed, self.other, self.keyed, self.versioned = (
            f"reading-{server.name}-{name}" for name in names
        )
        self.server = server
        self.customer_key = secrets.token_bytes(32)
        path = f"s3/reading-{server.name}"
        vault.put_secret(path, {"key": base64.b64encode(self.customer_key).decode()})
        self.gateway = Gateway(
            directory,
            authority,
            server,
            rules=[
                sealed_rule(self.sealed, self.versioned, self.keyed),
                sealed_rule(self.mixed, name="mixed", existing="plaintext"),
                {"name": "keyed", "buckets": [self.keyed], "mode": "sse-c", "customer_key": "lab"},
                {"name": "rest", "buckets": ["*"], "mode": "none"},
            ],
            vault=vault,
            customer_keys={"lab": path},
            options=sealing_options(directory),
            name=f"reading-{server.name}",
        )
        # RGW takes no trailing checksums.
        self.direct = server.client(request_checksum_calculation="when_required")
        self.client = self.gateway.client()
        self.store = SealedStore(self.direct, directory)

    def start(self) -> None:
        for bucket in (self.sealed, self.mixed, self.other, self.keyed, self.versioned):
            self.direct.create_bucket(Bucket=bucket)
        self.gateway.start()

    def ask(self, method: str, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        gateway = self.gateway
        return ask(gateway.endpoint, gateway.ca_file, gateway.credentials, method, target, headers=headers)

    def upstream_requests(self) -> float:
        return self.gateway.metric("sealgate_upstream_requests_total")

    def integrity_failures(self, fault: str) -> float:
        return self.gateway.metric("sealgate_integrity_failures_total", fault=fault)

    @contextlib.contextmanager
    def costing(self, requests: int) -> Iterator[None]:
        """Exactly so many requests go upstream meanwhile."""
        before = self.upstream_requests()
        yield
        assert self.upstream_requests() - before == requests


@pytest.fixture(
    scope="module", params=["seaweedfs", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rgw", "minio"))]
)
def bench(
    request: pytest.FixtureRequest, lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao
) -> Iterator[Bench]:
    server = request.getfixturevalue({"seaweedfs": "seaweed"}.get(request.param, request.param))
    running = Bench(lab_directory / f"reading-{server.name}", authority, server, openbao)
    running.start()
    yield running
    running.gateway.stop()


@pytest.fixture(scope="module")
def whole(bench: Bench) -> Stored:
    return bench.store.put(bench.sealed, "whole", _BYTES[:300_000])


@pytest.fixture(scope="module")
def parts(bench: Bench) -> Stored:
    return bench.store.put_parts(bench.sealed, "parts", _cut(PART_SIZES))


def _cut(sizes: tuple[int, ...]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found.append(_BYTES[at : at + size])
        at += size
    return found


# ------------------------------------------------------------------------------------------------------- whole objects


@pytest.mark.parametrize("size", SIZES)
def test_get_and_head_agree(bench: Bench, size: int) -> None:
    key = f"sizes/{size}"
    stored = bench.store.put(bench.sealed, key, _BYTES[:size])
    got = bench.client.get_object(Bucket=bench.sealed, Key=key)
    assert got["Body"].read() == stored.data
    head = bench.client.head_object(Bucket=bench.sealed, Key=key)
    assert got["ContentLength"] == head["ContentLength"] == size
    assert got["ETag"] == head["ETag"] == shown_etag(stored.etag)
    assert got["ETag"] == stored.etag[:-1] + '-1"'
    assert got["LastModified"] == head["LastModified"]
    assert got["AcceptRanges"] == head["AcceptRanges"] == "bytes"
    assert "ContentRange" not in got
    assert "ContentRange" not in head


def test_a_multipart_object(bench: Bench, parts: Stored) -> None:
    got = bench.client.get_object(Bucket=bench.sealed, Key="parts")
    assert got["Body"].read() == parts.data
    head = bench.client.head_object(Bucket=bench.sealed, Key="parts")
    assert got["ContentLength"] == head["ContentLength"] == len(parts.data)
    assert got["ETag"] == head["ETag"] == parts.etag
    assert "PartsCount" not in head


def test_what_else_was_stored_survives(bench: Bench) -> None:
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    described: dict[str, Any] = {
        "Metadata": {"colour": "green", "size": "7"},
        "ContentType": "text/csv",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.csv"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Expires": expires,
    }
    for key, stored in (
        ("described/whole", bench.store.put(bench.sealed, "described/whole", _BYTES[:1000], **described)),
        ("described/parts", bench.store.put_parts(bench.sealed, "described/parts", _cut((1000,)), **described)),
    ):
        where = {"Bucket": bench.sealed, "Key": key}
        for answer in (
            bench.client.get_object(**where),
            bench.client.head_object(**where),
            bench.client.get_object(**where, Range="bytes=5-9"),
            bench.client.get_object(**where, Range="bytes=5-9"),
            bench.client.get_object(**where, PartNumber=1),
        ):
            if "Body" in answer:
                answer["Body"].read()
            assert answer["Metadata"] == described["Metadata"]
            for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage"):
                assert answer[name] == described[name]
            assert answer["ExpiresString"] == format_datetime(expires, usegmt=True)
            shown = answer["ResponseMetadata"]["HTTPHeaders"]
            assert not [name for name in shown if "sealgate" in name or name.startswith("x-amz-checksum")]
        assert bench.client.get_object(**where)["Body"].read() == stored.data


def test_a_checksum_of_the_stored_bytes_is_not_shown(bench: Bench) -> None:
    if not bench.server.traits.trailing_checksums:
        pytest.skip("the store keeps no checksums")
    where = {"Bucket": bench.sealed, "Key": "checksum"}
    bench.store.put(bench.sealed, "checksum", b"abc", ChecksumAlgorithm="SHA256")
    for answer in (
        bench.client.get_object(**where, ChecksumMode="ENABLED"),
        bench.client.head_object(**where, ChecksumMode="ENABLED"),
    ):
        if "Body" in answer:
            assert answer["Body"].read() == b"abc"
        names = answer["ResponseMetadata"]["HTTPHeaders"]
        assert not [name for name in names if name.startswith("x-amz-checksum")]


def test_response_overrides(bench: Bench, whole: Stored) -> None:
    overrides = {"ResponseContentType": "image/png", "ResponseCacheControl": "no-store"}
    for extra in ({}, {"Range": "bytes=0-3"}, {"Range": "bytes=0-3"}):
        got = bench.client.get_object(Bucket=bench.sealed, Key="whole", **overrides, **extra)
        assert (got["ContentType"], got["CacheControl"]) == ("image/png", "no-store")
        assert got["Body"].read() == (whole.data[:4] if extra else whole.data)


@pytest.mark.parametrize("key", ["with space", "a//b/../c", "ü+ä%41", "x" * 1000, "%2F?&=#"])
def test_object_keys(bench: Bench, key: str) -> None:
    try:
        stored = bench.store.put(bench.sealed, key, b"named")
    except ClientError as error:
        pytest.skip(f"the store has no such keys: {error}")
    assert bench.client.get_object(Bucket=bench.sealed, Key=key)["Body"].read() == stored.data
    got = bench.client.get_object(Bucket=bench.sealed, Key=key, Range="bytes=1-2")
    assert got["Body"].read() == b"am"


def test_what_is_not_there(bench: Bench) -> None:
    where = {"Bucket": bench.sealed, "Key": "nothing"}
    for _ in range(2):
        assert fails(lambda: bench.client.get_object(**where))[:2] == (404, "NoSuchKey")
        assert fails(lambda: bench.client.get_object(**where, Range="bytes=0-1"))[:2] == (404, "NoSuchKey")
        assert fails(lambda: bench.client.head_object(**where))[0] == 404
    nowhere = {"Bucket": "reading-no-such-bucket", "Key": "x"}
    assert fails(lambda: bench.client.get_object(**nowhere))[:2] == (404, "NoSuchBucket")


# -------------------------------------------------------------------------------------------------------------- ranges


RANGES = [(0, 0), (0, 99), (CHUNK - 1, CHUNK), (CHUNK, 2 * CHUNK - 1), (100_000, 165_535), (0, None), (299_990, None)]


@pytest.mark.parametrize(("first", "last"), RANGES)
@pytest.mark.parametrize("key", ["whole", "parts"])
def test_a_range(bench: Bench, whole: Stored, parts: Stored, key: str, first: int, last: int | None) -> None:
    data = {"whole": whole, "parts": parts}[key].data
    wanted = data[first:] if last is None else data[first : last + 1]
    asked = f"bytes={first}-" + ("" if last is None else str(last))
    where = {"Bucket": bench.sealed, "Key": key, "Range": asked}
    stated = f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"
    for _ in range(2):
        got = bench.client.get_object(**where)
        assert got["Body"].read() == wanted
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"] == stated
        assert got["ContentLength"] == len(wanted)
    head = bench.client.head_object(**where)
    assert head["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (head["ContentLength"], head["ContentRange"]) == (len(wanted), stated)


@pytest.mark.parametrize("length", [1, 16, 70_000, 6 * MIB, 10 * MIB + 123_456, 99 * MIB])
def test_the_last_bytes(bench: Bench, parts: Stored, length: int) -> None:
    got = bench.client.get_object(Bucket=bench.sealed, Key="parts", Range=f"bytes=-{length}")
    wanted = parts.data[-length:]
    assert got["Body"].read() == wanted
    total = len(parts.data)
    assert got["ContentRange"] == f"bytes {total - len(wanted)}-{total - 1}/{total}"


def test_ranges_over_the_borders_of_parts(bench: Bench, parts: Stored) -> None:
    for first, last in (
        (5 * MIB - 10, 5 * MIB + 10),
        (1, len(parts.data) - 2),
        (5 * MIB - 1, 10 * MIB + 1),
        (10 * MIB, 10 * MIB + 1),
        (5 * MIB, 10 * MIB),
    ):
        got = bench.client.get_object(Bucket=bench.sealed, Key="parts", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == parts.data[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=300000-", "bytes=300000-300005", "bytes=-0"])
def test_a_range_past_the_end(bench: Bench, whole: Stored, asked: str) -> None:
    for _ in range(2):
        answer = bench.ask("GET", f"/{bench.sealed}/whole", {"Range": asked})
        assert (answer.status, answer.code) == (416, "InvalidRange")
        assert answer.text_of("RangeRequested") == asked
        assert answer.text_of("ActualObjectSize") == "300000"
        assert answer.headers["Content-Range"] == "bytes */300000"
        assert bench.ask("HEAD", f"/{bench.sealed}/whole", {"Range": asked}).status == 416


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x-", "bytes=-"])
def test_a_range_that_is_none(bench: Bench, whole: Stored, asked: str) -> None:
    answer = bench.ask("GET", f"/{bench.sealed}/whole", {"Range": asked})
    assert (answer.status, answer.body) == (200, whole.data)
    assert "Content-Range" not in answer.headers


def test_ranges_of_nothing(bench: Bench) -> None:
    bench.store.put(bench.sealed, "empty", b"")
    for asked in ("bytes=0-0", "bytes=0-", "bytes=-1"):
        for _ in range(2):
            answer = bench.ask("GET", f"/{bench.sealed}/empty", {"Range": asked})
            assert (answer.status, answer.code) == (416, "InvalidRange")
            assert answer.headers["Content-Range"] == "bytes */0"


def test_if_range(bench: Bench, whole: Stored) -> None:
    modified = bench.client.head_object(Bucket=bench.sealed, Key="whole")["ResponseMetadata"]["HTTPHeaders"][
        "last-modified"
    ]
    for condition, status in (
        (shown_etag(whole.etag), 206),
        (whole.etag, 200),
        ('"other"', 200),
        (modified, 206),
        (_EARLIER, 200),
    ):
        answer = bench.ask("GET", f"/{bench.sealed}/whole", {"Range": "bytes=7-8", "If-Range": condition})
        assert (answer.status, answer.body) == (status, whole.data[7:9] if status == 206 else whole.data)


# --------------------------------------------------------------------------------------------------------------- parts


def test_parts(bench: Bench, parts: Stored) -> None:
    start = 0
    for number, size in enumerate(PART_SIZES, 1):
        where = {"Bucket": bench.sealed, "Key": "parts", "PartNumber": number}
        wanted = parts.data[start : start + size]
        first, second = bench.client.get_object(**where), bench.client.get_object(**where)
        assert first["Body"].read() == second["Body"].read() == wanted
        for answer in (first, second, bench.client.head_object(**where)):
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert answer["PartsCount"] == 3
            assert answer["ContentLength"] == size
            assert answer["ContentRange"] == f"bytes {start}-{start + size - 1}/{len(parts.data)}"
            assert answer["ETag"] == parts.etag
        start += size


@pytest.mark.parametrize(("key", "number", "count"), [("parts", 4, 3), ("parts", 10_000, 3), ("whole", 2, 1)])
def test_a_part_that_is_not_there(
    bench: Bench, whole: Stored, parts: Stored, key: str, number: int, count: int
) -> None:
    answer = bench.ask("GET", f"/{bench.sealed}/{key}?partNumber={number}")
    assert (answer.status, answer.code) == (416, "InvalidPartNumber")
    assert answer.text_of("PartNumberRequested") == str(number)
    assert answer.text_of("ActualPartCount") == str(count)
    assert bench.ask("HEAD", f"/{bench.sealed}/{key}?partNumber={number}").status == 416


def test_the_one_part_of_a_whole_object(bench: Bench, whole: Stored) -> None:
    answer = bench.ask("GET", f"/{bench.sealed}/whole?partNumber=1")
    assert (answer.status, answer.body) == (206, whole.data)
    assert answer.headers["Content-Range"] == f"bytes 0-{len(whole.data) - 1}/{len(whole.data)}"
    assert "x-amz-mp-parts-count" not in answer.headers


@pytest.mark.parametrize("number", ["0", "10001", "x", "", "-1"])
def test_a_part_number_that_is_none(bench: Bench, whole: Stored, number: str) -> None:
    answer = bench.ask("GET", f"/{bench.sealed}/whole?partNumber={number}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_part_and_a_range(bench: Bench, parts: Stored) -> None:
    answer = bench.ask("GET", f"/{bench.sealed}/parts?partNumber=1", {"Range": "bytes=0-1"})
    assert (answer.status, answer.code) == (400, "InvalidRequest")


# ---------------------------------------------------------------------------------------------------------- conditions


def _conditions(etag: str) -> list[tuple[dict[str, str], int]]:
    """Header fields, and the status of a GET; ``etag`` is the one that clients see."""
    return [
        ({"If-Match": etag}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"0123"'}, 412),
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": '"0123"'}, 200),
        ({"If-Modified-Since": _EARLIER}, 200),
        ({"If-Modified-Since": format_datetime(datetime.now(UTC), usegmt=True)}, 304),
        ({"If-Unmodified-Since": _LATER}, 200),
        ({"If-Unmodified-Since": _EARLIER}, 412),
        ({"If-Match": etag, "If-None-Match": etag}, 304),
    ]


@pytest.mark.parametrize("key", ["whole", "parts"])
@pytest.mark.parametrize("place", ["sealed", "mixed", "other"])
def test_conditions(bench: Bench, key: str, place: str) -> None:
    bucket = {"sealed": bench.sealed, "mixed": bench.mixed, "other": bench.other}[place]
    name = f"conditions/{key}"
    stored = (
        bench.store.put(bucket, name, _BYTES[:40_000])
        if key == "whole"
        else bench.store.put_parts(bucket, name, _cut((5 * MIB, 40_000)))
    )
    shown = shown_etag(stored.etag)
    for fields, status in _conditions(shown):
        if fields.get("If-Match") == "*" and isinstance(bench.server, Rgw):
            continue  # it knows no such condition
        for method, extra in (("GET", {}), ("GET", {"Range": "bytes=5-9"}), ("HEAD", {})):
            answer = bench.ask(method, f"/{bucket}/{name}", fields | extra)
            expected = 206 if status == 200 and extra else status
            assert answer.status == expected, (fields, method, extra)
            if status == 200 and method == "GET":
                assert answer.body == (stored.data[5:10] if extra else stored.data)
            if status == 304 and "ETag" in answer.headers:
                assert answer.headers["ETag"] == shown


# ------------------------------------------------------------------------------------------------------------ versions


def test_versions(bench: Bench) -> None:
    bucket = bench.versioned
    bench.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    stored = [
        bench.store.put(bucket, "v", b"first"),
        bench.store.put_parts(bucket, "v", _cut((5 * MIB, 777))),
        bench.store.put(bucket, "v", b"third, which is longer"),
    ]
    where = {"Bucket": bucket, "Key": "v"}
    assert len({one.version_id for one in stored}) == 3
    for _ in range(2):
        assert bench.client.get_object(**where)["Body"].read() == stored[2].data
        for one in stored:
            version = where | {"VersionId": one.version_id}
            got = bench.client.get_object(**version)
            assert got["Body"].read() == one.data
            assert got["VersionId"] == one.version_id
            got = bench.client.get_object(**version, Range="bytes=2-4")
            assert got["Body"].read() == one.data[2:5]
            assert got["VersionId"] == one.version_id
            head = bench.client.head_object(**version)
            assert (head["ContentLength"], head["VersionId"]) == (len(one.data), one.version_id)
    marker = bench.direct.delete_object(**where)["VersionId"]
    server = bench.server
    for target in (f"/{bucket}/v", f"/{bucket}/v?versionId={marker}"):
        plain = ask(server.endpoint, server.ca_file, server.credentials, "GET", target)
        for method, fields in (("GET", {"Range": "bytes=0-1"}), ("GET", {}), ("HEAD", {})):
            answer = bench.ask(method, target, fields)
            assert answer.status == plain.status
            assert answer.status in {404, 405}
            assert answer.headers["x-amz-delete-marker"] == plain.headers["x-amz-delete-marker"]
    assert bench.client.get_object(**where, VersionId=stored[0].version_id)["Body"].read() == b"first"


def test_an_object_that_was_overwritten(bench: Bench) -> None:
    """What is known of an object is out of date, and nobody notices."""
    where = {"Bucket": bench.sealed, "Key": "overwritten"}
    for data in (b"a" * 50_000, b"b" * 20_000, b"c" * 90_000):
        stored = bench.store.put(bench.sealed, "overwritten", data)
        got = bench.client.get_object(**where, Range="bytes=-10")
        assert got["Body"].read() == stored.data[-10:]
        assert bench.client.get_object(**where, Range=f"bytes={len(data) - 5}-")["Body"].read() == data[-5:]
    stored = bench.store.put_parts(bench.sealed, "overwritten", _cut((5 * MIB, 1)))
    assert bench.client.get_object(**where, PartNumber=2)["Body"].read() == stored.data[-1:]


# --------------------------------------------------------------------------------------------------------------- costs


def test_what_a_range_of_a_whole_object_costs(bench: Bench) -> None:
    stored = bench.store.put(bench.sealed, "cost/whole", _BYTES)
    where = {"Bucket": bench.sealed, "Key": "cost/whole"}
    for turn, first in enumerate((7 * MIB + 12_345, 0, 3 * MIB)):
        with bench.costing(2 if turn == 0 else 1):
            got = bench.client.get_object(**where, Range=f"bytes={first}-{first + 65_535}")
            assert got["Body"].read() == stored.data[first : first + 65_536]


def test_what_a_range_of_a_multipart_object_costs(bench: Bench) -> None:
    stored = bench.store.put_parts(bench.sealed, "cost/parts", _cut(PART_SIZES))
    where = {"Bucket": bench.sealed, "Key": "cost/parts"}
    with bench.costing(2):
        bench.client.head_object(**where)
    for first, cost in ((7 * MIB + 12_345, 2), (7 * MIB, 1), (5 * MIB - 1000, 1), (0, 1)):
        with bench.costing(cost):
            got = bench.client.get_object(**where, Range=f"bytes={first}-{first + 65_535}")
            assert got["Body"].read() == stored.data[first : first + 65_536]
    with bench.costing(1):
        assert bench.client.get_object(**where)["Body"].read() == stored.data


# ---------------------------------------------------------------------------------------------------------- attributes


def test_attributes(bench: Bench, whole: Stored, parts: Stored) -> None:
    everything = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = bench.client.get_object_attributes(Bucket=bench.sealed, Key="whole", ObjectAttributes=everything)
    assert found["ETag"] == shown_etag(whole.etag).strip('"')
    assert found["ObjectSize"] == len(whole.data)
    assert found["StorageClass"] == "STANDARD"
    assert "Checksum" not in found
    assert "ObjectParts" not in found
    assert found["LastModified"]
    found = bench.client.get_object_attributes(Bucket=bench.sealed, Key="parts", ObjectAttributes=everything)
    assert found["ETag"] == parts.etag.strip('"')
    assert found["ObjectParts"]["TotalPartsCount"] == 3
    sizes = {part["PartNumber"]: part["Size"] for part in found["ObjectParts"]["Parts"]}
    assert sizes == dict(enumerate(PART_SIZES, 1))
    page = bench.client.get_object_attributes(
        Bucket=bench.sealed, Key="parts", ObjectAttributes=["ObjectParts"], MaxParts=1, PartNumberMarker=1
    )["ObjectParts"]
    assert ([part["PartNumber"] for part in page["Parts"]], page["IsTruncated"]) == ([2], True)
    assert page["NextPartNumberMarker"] == 2
    answer = bench.ask("GET", f"/{bench.sealed}/whole?attributes", {"x-amz-object-attributes": "ETag,Owner"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_attributes_of_a_sealed_object_elsewhere(bench: Bench) -> None:
    for bucket in (bench.mixed, bench.other):
        bench.store.put(bucket, "attributes", b"x" * 20_000)
        found = bench.client.get_object_attributes(Bucket=bucket, Key="attributes", ObjectAttributes=["ObjectSize"])
        assert found["ObjectSize"] == 20_000


# ------------------------------------------------------------------------------------------- what else lives in buckets


def test_what_is_not_sealed_is_refused(bench: Bench) -> None:
    before = bench.integrity_failures("not_sealed")
    for key, data in (("plain", b"plain" * 1000), ("plain/empty", b"")):
        bench.direct.put_object(Bucket=bench.sealed, Key=key, Body=data)
        where = {"Bucket": bench.sealed, "Key": key}
        for read in (
            lambda: bench.client.get_object(**where),  # noqa: B023 - called at once
            lambda: bench.client.get_object(**where, Range="bytes=0-1"),  # noqa: B023 - called at once
            lambda: bench.client.get_object(**where, PartNumber=1),  # noqa: B023 - called at once
        ):
            status, code, message = fails(read)
            assert (status, code) == (403, "AccessDenied")
            assert "not released" in message
        assert fails(lambda: bench.client.head_object(**where))[0] == 403  # noqa: B023 - called at once
    assert bench.integrity_failures("not_sealed") - before == 8
    assert '"fault": "not_sealed"' in bench.gateway.log_file.read_text()


@pytest.mark.parametrize("place", ["mixed", "other"])
def test_objects_that_are_not_sealed_pass(bench: Bench, place: str) -> None:
    bucket = {"mixed": bench.mixed, "other": bench.other}[place]
    for key, data in (("plain", b"plain" * 1000), ("plain/small", b"s"), ("plain/empty", b"")):
        etag = bench.direct.put_object(Bucket=bucket, Key=key, Body=data)["ETag"]
        where = {"Bucket": bucket, "Key": key}
        for _ in range(2):
            head = bench.client.head_object(**where)
            assert (head["ContentLength"], head["ETag"]) == (len(data), etag)
            if data:
                assert bench.client.get_object(**where, Range="bytes=0-2")["Body"].read() == data[:3]
            got = bench.client.get_object(**where)
            assert (got["Body"].read(), got["ETag"]) == (data, etag)
            assert bench.client.get_object(**where, IfMatch=etag)["Body"].read() == data
            other = '"0123-1"'  # RGW compares the beginning only
            assert fails(lambda: bench.client.get_object(**where, IfMatch=other))[0] == 412  # noqa: B023


@pytest.mark.parametrize("place", ["mixed", "other"])
def test_sealed_objects_elsewhere(bench: Bench, place: str) -> None:
    bucket = {"mixed": bench.mixed, "other": bench.other}[place]
    for key, stored in (
        ("sealed/whole", bench.store.put(bucket, "sealed/whole", _BYTES[:100_000])),
        ("sealed/parts", bench.store.put_parts(bucket, "sealed/parts", _cut((5 * MIB, 100_000)))),
    ):
        where = {"Bucket": bucket, "Key": key}
        for _ in range(2):
            assert bench.client.head_object(**where)["ContentLength"] == len(stored.data)
            got = bench.client.get_object(**where, Range="bytes=-77777")
            assert got["Body"].read() == stored.data[-77_777:]
            got = bench.client.get_object(**where)
            assert (got["Body"].read(), got["ETag"]) == (stored.data, shown_etag(stored.etag))
            beyond = bench.ask("GET", f"/{bucket}/{key}", {"Range": f"bytes={len(stored.stored)}-"})
            assert (beyond.status, beyond.text_of("ActualObjectSize")) == (416, str(len(stored.data)))


def test_a_sealed_object_that_lost_its_marker_is_refused(bench: Bench) -> None:
    before = bench.integrity_failures("marker")
    stored = bench.store.put(bench.mixed, "lost", b"x" * 100_000)
    bench.store.put_stored(bench.mixed, "lost", stored.data, stored.stored, marker=None)
    where = {"Bucket": bench.mixed, "Key": "lost"}
    for read in (
        lambda: bench.client.get_object(**where),
        lambda: bench.client.get_object(**where, Range="bytes=700-709"),
        lambda: bench.client.head_object(**where),
    ):
        assert fails(read)[0] == 403
    assert bench.integrity_failures("marker") - before == 3


# ------------------------------------------------------------------------------------------- damaged, and customer keys


def test_a_damaged_object(bench: Bench) -> None:
    stored = bench.store.put(bench.sealed, "damaged", _BYTES)
    place = 10 * MIB
    at = place // CHUNK * (CHUNK + 16) + 568
    damaged = stored.stored[:at] + bytes([stored.stored[at] ^ 1]) + stored.stored[at + 1 :]
    marker = f"v1;size={len(stored.data)}"
    bench.store.put_stored(bench.sealed, "damaged", stored.data, damaged, marker=marker)
    before = bench.integrity_failures("chunk")
    where = {"Bucket": bench.sealed, "Key": "damaged"}
    received = bytearray()
    with pytest.raises((HTTPClientError, IncompleteReadError)):
        _receive(bench.client.get_object(**where)["Body"], received)
    assert 0 < len(received) <= place
    assert stored.data.startswith(received)
    # A small range around it fails before the answer begins.
    around = f"bytes={place - 9}-{place}"
    assert fails(lambda: bench.client.get_object(**where, Range=around))[:2] == (403, "AccessDenied")
    assert bench.client.get_object(**where, Range="bytes=0-9")["Body"].read() == stored.data[:10]
    wait_until(lambda: bench.integrity_failures("chunk") - before == 2, seconds=5, what="both failures counted")
    assert '"fault": "chunk"' in bench.gateway.log_file.read_text()
    logged = [line for line in bench.gateway.access_log() if line["object_key"] == "damaged"]
    assert "IntegrityFailure" in {line["error_code"] for line in logged}


def _receive(body: StreamingBody, received: bytearray) -> None:
    for piece in body.iter_chunks(65_536):
        received += piece


def test_a_client_that_goes_away_ends_the_request_upstream(bench: Bench) -> None:
    size = 64 * MIB
    bench.store.put(bench.sealed, "large", bytes(size))
    opened = bench.gateway.metric("sealgate_opened_bytes_total")
    before = bench.upstream_requests()
    body = bench.client.get_object(Bucket=bench.sealed, Key="large")["Body"]
    assert body.read(65_536) == bytes(65_536)
    assert bench.upstream_requests() == before, "it goes on, as fast as the client reads"
    body.close()
    wait_until(lambda: bench.upstream_requests() == before + 1, seconds=10, what="the end of the request upstream")
    assert 65_536 <= bench.gateway.metric("sealgate_opened_bytes_total") - opened < size


def test_a_sealed_object_under_a_customer_key(bench: Bench) -> None:
    """S3 encrypted the sealed bytes once more: with the gateway's own key, or with one that the client has."""
    for key, customer, arguments in (
        ("vault", Key(bench.customer_key), {}),
        ("client", Key.new(), None),
    ):
        given = customer.arguments() if arguments is None else {}
        for shape in ("whole", "parts"):
            name = f"{key}/{shape}"
            stored = (
                bench.store.put(bench.keyed, name, _BYTES[:50_000], **customer.arguments())
                if shape == "whole"
                else bench.store.put_parts(bench.keyed, name, _cut((5 * MIB, 50_000)), **customer.arguments())
            )
            where = {"Bucket": bench.keyed, "Key": name} | given
            for _ in range(2):
                got = bench.client.get_object(**where)
                assert got["Body"].read() == stored.data
                assert got["SSECustomerAlgorithm"] == "AES256"
                got = bench.client.get_object(**where, Range="bytes=-49999")
                assert got["Body"].read() == stored.data[-49_999:]
                assert bench.client.head_object(**where)["ContentLength"] == len(stored.data)
            if given:
                with pytest.raises(ClientError):
                    bench.client.get_object(Bucket=bench.keyed, Key=name)
