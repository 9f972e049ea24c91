"""A gateway with everything that mode ``cse`` can meet: two wrapping keys, other encryptions, plaintext beside.

Its requests to the store are counted on their way.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gateway.s3.kms_key_id import bare_key_id
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import S3Client, S3Server
from lab.sealing import WRAPPING_KEY, keyring_in
from tests.e2e.between import Between

SEALED, SECOND, OTHER_KEY, MIGRATING, MIXED = "sealed", "second", "other-key", "migrating", "mixed"
PLAIN, KMS, CUSTOMER = "plain", "kms", "customer"
BUCKETS = (SEALED, SECOND, OTHER_KEY, MIGRATING, MIXED, PLAIN, KMS, CUSTOMER)
#: In the bucket ``mixed``, only objects below this prefix are sealed.
SEALED_PREFIX = "sealed/"

MIB = 1024 * 1024


class SealingStage:
    """A running gateway, the store behind it, and what goes between them.

    Attributes:
        client: boto3 through the gateway.
        direct: boto3 straight to the store.
        between: counts requests.
    """

    def __init__(
        self,
        directory: Path,
        authority: CertificateAuthority,
        store: S3Server,
        vault: OpenBao,
        *,
        name: str,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.name = name
        self.between = Between(store, authority)
        key_path = f"s3/{name}"
        vault.put_secret(key_path, {"key": "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="})
        keyring = keyring_in(directory / "other")
        keyring.write_text(keyring.read_text().replace('"lab-1"', '"other-1"'))
        other = {"provider": "local", "keyring": str(keyring)}
        self.gateway = Gateway(
            directory,
            authority,
            self.between,
            rules=self._rules(),
            vault=vault,
            customer_keys={"lab": key_path},
            sealing=directory / "sealing",
            options={"wrapping_keys": {"other": other}} | dict(options or {}),
        )
        self.client: S3Client = self.gateway.client(max_pool_connections=20)
        self.direct: S3Client = store.client(max_pool_connections=20, request_checksum_calculation="when_required")

    def start(self) -> None:
        """Make the buckets and start the gateway."""
        for kind in BUCKETS:
            with suppress(ClientError):
                self.direct.create_bucket(Bucket=self.bucket(kind))
        self.between.start()
        self.gateway.start()

    def stop(self) -> None:
        self.gateway.stop()
        self.between.stop()

    def bucket(self, kind: str) -> str:
        """The bucket of this kind."""
        return f"{self.name}-{kind}"

    def _rules(self) -> list[dict[str, Any]]:
        key_id = self.store.kms_key_id
        named = {"kms_key_arn": key_id} if ":key/" in key_id else {"kms_key_name": bare_key_id(key_id)}
        sealed = {"mode": "cse", "wrapping_key": WRAPPING_KEY}
        rules: dict[str, dict[str, Any]] = {
            SEALED: sealed,
            SECOND: sealed,
            OTHER_KEY: sealed | {"wrapping_key": "other"},
            MIGRATING: sealed | {"existing": "plaintext"},
            MIXED: sealed | {"prefixes": [SEALED_PREFIX]},
            KMS: {"mode": "sse-kms", **named},
            CUSTOMER: {"mode": "sse-c", "customer_key": "lab"},
        }
        written = [{"name": kind, "buckets": [self.bucket(kind)], **rule} for kind, rule in rules.items()]
        return [*written, {"name": "rest", "buckets": ["*"], "mode": "none"}]

    def put_parts(self, bucket: str, key: str, *parts: bytes, **arguments: Any) -> str:
        """A multipart object through the gateway; its ETag."""
        where = {"Bucket": bucket, "Key": key}
        upload = where | {"UploadId": self.client.create_multipart_upload(**where, **arguments)["UploadId"]}
        listed = [
            {"PartNumber": number, "ETag": self.client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
            for number, part in enumerate(parts, 1)
        ]
        done = self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
        etag: str = done["ETag"]
        return etag

    def read(self, bucket: str, key: str, **arguments: Any) -> bytes:
        """An object's bytes through the gateway."""
        data: bytes = self.client.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()
        return data
