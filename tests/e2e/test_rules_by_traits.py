"""Rules that look at who writes, at tags and at content types: what they decide, and that everything stays readable."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.crypto.sealed.marker import MARKER
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import Credentials, S3Client
from lab.sealing import WRAPPING_KEY
from lab.seaweed import SeaweedFS
from tests.e2e.stage import fails
from tests.e2e.wire import Key

_SEALER = "SEALGATELABSEALER001"


class Mixed:
    """A gateway in front of one bucket that four rules are about.

    Attributes:
        client: an identity that no rule names.
        sealer: one whose objects are sealed.
        direct: boto3 straight to the store.
    """

    def __init__(
        self, directory: Path, authority: CertificateAuthority, store: SeaweedFS, vault: OpenBao, bucket: str
    ) -> None:
        vault.put_secret(f"s3/{bucket}", {"key": "Nm4vK2h1b1B3eFkzZlJ2Y0w5c0F0UTdnRDFqWkJlTWs="})
        upstream = {
            "kind": "static",
            "access_key_id": store.credentials.access_key,
            "secret_access_key": "env:SEALGATE_LAB_STORE_SECRET",
        }
        client = Credentials("SEALGATELABCLIENT001")
        identity = {"secret_access_key": "env:SEALGATE_LAB_CLIENT_SECRET", "upstream_credentials": upstream}
        where = {"buckets": [bucket]}
        self.bucket = bucket
        self.gateway = Gateway(
            directory,
            authority,
            store,
            vault=vault,
            customer_keys={"lab": f"s3/{bucket}"},
            sealing=directory / "sealing",
            credentials=client,
            rules=[
                {"name": "sealed", **where, "identities": ["sealer"], "mode": "cse", "wrapping_key": WRAPPING_KEY},
                {"name": "secret", **where, "tags": {"class": "secret*"}, "mode": "sse-c", "customer_key": "lab"},
                {"name": "pictures", **where, "content_types": ["image/*"], "mode": "none"},
                {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
            ],
            options={
                "identities": [
                    {"name": "lab", "access_key_id": client.access_key, **identity},
                    {"name": "sealer", "access_key_id": _SEALER, **identity},
                ]
            },
        )
        self.client: S3Client = self.gateway.client()
        self.sealer: S3Client = self.gateway.client(Credentials(_SEALER, client.secret_key))
        self.direct: S3Client = store.client()
        self.direct.create_bucket(Bucket=bucket)

    def stored(self, key: str) -> str:
        """The encryption of an object, as the store itself shows it."""
        try:
            head = self.direct.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400  # noqa: PT017  # not a test
            return "sse-c"
        if MARKER.removeprefix("x-amz-meta-") in head["Metadata"]:
            return "cse"
        return "none" if "ServerSideEncryption" not in head else "sse-s3"


@pytest.fixture(scope="module")
def mixed(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[Mixed]:
    running = Mixed(lab_directory / "mixed", authority, seaweed, openbao, "e2e-mixed")
    running.gateway.start()
    yield running
    running.gateway.stop()


_WRITES: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "sse-s3"),
    "tagged": ({"Tagging": "class=secret-1&x=y"}, "sse-c"),
    "otherwise": ({"Tagging": "class=open"}, "sse-s3"),
    "picture": ({"ContentType": "image/png"}, "none"),
    "tagged picture": ({"ContentType": "image/png", "Tagging": "class=secret"}, "sse-c"),
}


@pytest.mark.parametrize("name", list(_WRITES))
def test_a_rule_decides_by_what_the_request_says(mixed: Mixed, name: str) -> None:
    """And both identities read what either wrote, under whichever rule."""
    said, expected = _WRITES[name]
    for client, key, encryption in ((mixed.client, name, expected), (mixed.sealer, f"sealed {name}", "cse")):
        client.put_object(Bucket=mixed.bucket, Key=key, Body=name.encode(), **said)
        assert mixed.stored(key) == encryption
        for reader in (mixed.client, mixed.sealer):
            answer = reader.get_object(Bucket=mixed.bucket, Key=key)
            assert answer["Body"].read() == name.encode()
            assert reader.head_object(Bucket=mixed.bucket, Key=key)["ContentLength"] == len(name)


@pytest.mark.parametrize(("said", "expected"), _WRITES.values(), ids=list(_WRITES))
def test_an_upload_in_parts_goes_on_under_the_rule_that_it_began_with(
    mixed: Mixed, said: dict[str, Any], expected: str
) -> None:
    for client, encryption in ((mixed.client, expected), (mixed.sealer, "cse")):
        where = {"Bucket": mixed.bucket, "Key": f"parts {encryption}"}
        upload = where | {"UploadId": client.create_multipart_upload(**where, **said)["UploadId"]}
        etag = client.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
        assert mixed.stored(where["Key"]) == encryption
        assert mixed.client.get_object(**where)["Body"].read() == b"part"


def test_listings_show_the_sizes_of_sealed_and_other_objects(mixed: Mixed) -> None:
    for client, key in ((mixed.client, "list/plain"), (mixed.sealer, "list/sealed")):
        client.put_object(Bucket=mixed.bucket, Key=key, Body=b"12345")
    listed = mixed.client.list_objects_v2(Bucket=mixed.bucket, Prefix="list/")["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed} == {"list/plain": 5, "list/sealed": 5}


def test_conditions_name_the_object_that_is_there(mixed: Mixed) -> None:
    """Whoever overwrites, sealed or not, the ETag that was shown is the one that has to match."""
    where = {"Bucket": mixed.bucket, "Key": "condition"}
    shown = mixed.client.put_object(**where, Body=b"1")["ETag"]
    assert fails(lambda: mixed.sealer.put_object(**where, Body=b"2", IfMatch='"0123"'))[0] == 412
    shown = mixed.sealer.put_object(**where, Body=b"2", IfMatch=shown)["ETag"]
    mixed.sealer.put_object(**where, Body=b"3", IfMatch=shown)
    assert mixed.client.get_object(**where)["Body"].read() == b"3"


_SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "sse-s3"),
    "tagged": ({"Tagging": "class=secret"}, "sse-c"),
    "otherwise": ({"Tagging": "class=open"}, "sse-s3"),
    "picture": ({"ContentType": "image/png"}, "none"),
    "tagged picture": ({"ContentType": "IMAGE/PNG; q=1", "Tagging": "class=secret"}, "sse-c"),
}


@pytest.mark.parametrize("sealed", [False, True], ids=["stored by S3", "sealed"])
@pytest.mark.parametrize("name", list(_SOURCES))
def test_a_copy_falls_under_the_rule_for_what_it_takes_from_its_source(mixed: Mixed, name: str, sealed: bool) -> None:
    """The source is asked, under whatever encryption it is stored."""
    said, expected = _SOURCES[name]
    source = {"Bucket": mixed.bucket, "Key": f"source {name} {sealed}"}
    (mixed.sealer if sealed else mixed.client).put_object(**source, Body=b"data", **said)
    copy = {"Bucket": mixed.bucket, "Key": f"copy of {name} {sealed}"}
    mixed.client.copy_object(**copy, CopySource=source)
    assert mixed.stored(copy["Key"]) == expected
    answer = mixed.client.get_object(**copy)
    assert (answer["Body"].read(), answer.get("TagCount", 0)) == (b"data", int("Tagging" in said))
    mixed.sealer.copy_object(**copy | {"Key": "by the sealer"}, CopySource=source)
    assert mixed.stored("by the sealer") == "cse"


def test_a_copy_that_states_what_it_becomes_is_taken_at_its_word(mixed: Mixed) -> None:
    source = {"Bucket": mixed.bucket, "Key": "source plain"}
    mixed.client.put_object(**source, Body=b"x", ContentType="image/png")
    copy = {"Bucket": mixed.bucket, "Key": "stated", "CopySource": source}
    told = {"TaggingDirective": "REPLACE", "MetadataDirective": "REPLACE", "ContentType": "text/plain"}
    mixed.client.copy_object(**copy, **told, Tagging="class=secret")
    assert mixed.stored("stated") == "sse-c"
    mixed.client.copy_object(**copy, **told)
    assert mixed.stored("stated") == "sse-s3"


def test_a_copy_is_not_guessed_when_its_source_can_not_be_read(mixed: Mixed) -> None:
    own = Key(b"q" * 32)
    source = {"Bucket": mixed.bucket, "Key": "under a client's key"}
    mixed.client.put_object(**source, Body=b"x", **own.arguments())
    copy = {"Bucket": mixed.bucket, "Key": "not guessed", "CopySource": source}
    status, code, message = fails(lambda: mixed.client.copy_object(**copy))
    assert (status, code) == (400, "InvalidRequest")
    assert "x-amz-tagging-directive" in message
    mixed.client.copy_object(**copy, **own.copy_source_arguments())
    assert mixed.stored("not guessed") == "sse-s3"


def test_a_copy_elsewhere_asks_nothing_of_its_source(mixed: Mixed) -> None:
    """No rule there looks at more than the place."""
    source = {"Bucket": mixed.bucket, "Key": "source elsewhere"}
    mixed.client.put_object(**source, Body=b"x", Tagging="class=secret")
    mixed.direct.create_bucket(Bucket="e2e-mixed-copies")
    mixed.client.copy_object(Bucket="e2e-mixed-copies", Key="copy", CopySource=source)
    assert mixed.client.get_object(Bucket="e2e-mixed-copies", Key="copy")["Body"].read() == b"x"
