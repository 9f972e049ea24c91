"""One bucket for every mode, the rules that encrypt them, and what the store itself has to say about an object."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from lab.s3_server import S3Server
from lab.sealing import WRAPPING_KEY

#: Buckets are named after these. ``sse-c-derived`` is SSE-C with a key of its own for every object.
MODES = ("none", "sse-s3", "sse-kms", "sse-c", "sse-c-derived", "cse")
#: The customer key's name in the configuration and its path in the vault.
CUSTOMER_KEYS = {"clients": "sealgate/clients"}


def bucket_of(mode: str) -> str:
    """The bucket whose objects get this mode."""
    return f"clients-{mode}"


def rules(server: S3Server) -> list[dict[str, Any]]:
    """The encryption rules of a gateway in front of ``server``."""
    settings: Mapping[str, Mapping[str, Any]] = {
        "none": {"mode": "none"},
        "sse-s3": {"mode": "sse-s3"},
        "sse-kms": {
            "mode": "sse-kms",
            **_kms_key(server.kms_key_id),
            "encryption_context": {"bucket": "{bucket}"},
        },
        "sse-c": {"mode": "sse-c", "customer_key": "clients", "derive_per_object": False},
        "sse-c-derived": {"mode": "sse-c", "customer_key": "clients", "derive_per_object": True},
        "cse": {"mode": "cse", "wrapping_key": WRAPPING_KEY},
    }
    found = [{"name": mode, "buckets": [bucket_of(mode)], **settings[mode]} for mode in MODES]
    return [*found, {"name": "rest", "buckets": ["*"], "mode": "none"}]


def _kms_key(key_id: str) -> dict[str, str]:
    """The option that names a key: a real ARN, or a name, which MinIO puts a prefix of its own before."""
    if ":key/" in key_id:
        return {"kms_key_arn": key_id}
    return {"kms_key_name": key_id.removeprefix("arn:aws:kms:")}


def stored_encryption(server: S3Server, bucket: str, key: str) -> str:
    """How the store holds an object, asked directly and without any key: a mode, or ``refused`` when it takes a key.

    It is ``cse`` when the store does not know of any encryption, and the bytes are a sealed object's.
    """
    try:
        answer = server.client().head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 400:
            return "refused"
        raise
    algorithm = answer.get("ServerSideEncryption")
    if algorithm == "aws:kms":
        assert answer["SSEKMSKeyId"] == server.kms_key_id
    if algorithm is None and "sealgate" in answer["Metadata"]:
        first = server.client().get_object(Bucket=bucket, Key=key, Range="bytes=0-9")["Body"].read()
        assert first.startswith(b"sealgate\x01")
        return "cse"
    return {None: "none", "AES256": "sse-s3", "aws:kms": "sse-kms"}[algorithm]


def expected_encryption(mode: str) -> str:
    """What :func:`stored_encryption` must find for an object written under a mode."""
    return "refused" if mode.startswith("sse-c") else mode
