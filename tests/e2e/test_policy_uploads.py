"""A policy that demands an encryption judges the parts of an upload by what the upload began with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.s3.kms_key_id import bare_key_id
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.e2e.stage import fails

_BUCKET = "policy-uploads"
_DENIED = (403, "AccessDenied")
_SSE = "s3:x-amz-server-side-encryption"


class _World:
    """A gateway whose one policy demands one KMS key, and the store behind it."""

    def __init__(self, gateway: Gateway, store: SeaweedFS) -> None:
        self.client: S3Client = gateway.client()
        self.direct: S3Client = store.client()
        self.key = bare_key_id(store.kms_key_id)

    def begin(self, client: S3Client, key: str, **encryption: str) -> dict[str, Any]:
        """Where an upload is, as boto3 names it."""
        where = {"Bucket": _BUCKET, "Key": key}
        made = client.create_multipart_upload(**where, **encryption)
        return where | {"UploadId": made["UploadId"]}


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS
) -> Iterator[_World]:
    directory = tmp_path_factory.mktemp("policy-uploads")
    key = bare_key_id(seaweed.kms_key_id)
    conditions = [{_SSE: "aws:kms"}, {f"{_SSE}-aws-kms-key-id": key}]
    statements = [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{_BUCKET}/*",
            "Condition": {"StringNotEquals": condition},
        }
        for sid, condition in zip(("RequireKms", "RequireKey"), conditions, strict=True)
    ]
    policy = directory / "policy.json"
    policy.write_text(json.dumps({"Statement": statements}))
    gateway = Gateway(
        directory,
        authority,
        seaweed,
        rules=[{"name": "rest", "buckets": ["*"], "mode": "none"}],
        options={"policies": [{"name": "policy", "file": str(policy)}]},
        name="policy-uploads",
    )
    seaweed.client().create_bucket(Bucket=_BUCKET)
    gateway.start()
    yield _World(gateway, seaweed)
    gateway.stop()


def test_what_began_as_demanded_goes_on(world: _World) -> None:
    """Its parts, a copied part and its completion carry no header field, as SDKs send them."""
    world.client.put_object(
        Bucket=_BUCKET, Key="source", Body=b"c", ServerSideEncryption="aws:kms", SSEKMSKeyId=world.key
    )
    where = world.begin(world.client, "lawful", ServerSideEncryption="aws:kms", SSEKMSKeyId=world.key)
    size = 5 * 1024 * 1024
    first = world.client.upload_part(**where, PartNumber=1, Body=b"a" * size)
    second = world.client.upload_part_copy(**where, PartNumber=2, CopySource=f"{_BUCKET}/source")
    parts = [
        {"PartNumber": 1, "ETag": first["ETag"]},
        {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]},
    ]
    assert [part["PartNumber"] for part in world.client.list_parts(**where)["Parts"]] == [1, 2]
    world.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    head = world.direct.head_object(Bucket=_BUCKET, Key="lawful")
    assert (head["ContentLength"], head.get("ServerSideEncryption")) == (size + 1, "aws:kms")


@pytest.mark.parametrize(
    "encryption",
    [{}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}],
    ids=["nothing", "another method", "no key"],
)
def test_what_may_not_begin_does_not(world: _World, encryption: dict[str, str]) -> None:
    assert fails(lambda: world.begin(world.client, "unlawful", **encryption))[:2] == _DENIED


def test_what_began_behind_the_gateway_does_not_go_on(world: _World) -> None:
    """An upload without encryption, begun at the store itself; its bare id says that nobody asked for any."""
    where = world.begin(world.direct, "behind")
    part = world.direct.upload_part(**where, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert fails(lambda: world.client.upload_part(**where, PartNumber=1, Body=b"x"))[:2] == _DENIED
    completed = fails(lambda: world.client.complete_multipart_upload(**where, MultipartUpload=parts))
    assert completed[:2] == _DENIED
    assert fails(lambda: world.direct.head_object(Bucket=_BUCKET, Key="behind"))[0] == 404


def test_a_forged_id_does_not_make_a_part_lawful(world: _World) -> None:
    """It names the encryption that the policy demands, and then the part has to prove it."""
    where = world.begin(world.direct, "forged")
    lawful = world.begin(world.client, "forged", ServerSideEncryption="aws:kms", SSEKMSKeyId=world.key)
    suffix = lawful["UploadId"].partition(".sg1-")[2]
    forged = where | {"UploadId": f"{where['UploadId']}.sg1-{suffix}"}
    status, code, message = fails(lambda: world.client.upload_part(**forged, PartNumber=1, Body=b"x"))
    assert (status, code) == (501, "NotImplemented")
    assert "did not confirm the encryption sse-kms" in message
