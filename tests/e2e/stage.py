"""One store, one vault and one gateway whose buckets have one encryption each."""

import base64
import contextlib
import json
import re
import secrets
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gateway.s3.kms_key_id import bare_key_id
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.s3_server import S3Client, S3Server
from lab.sealing import WRAPPING_KEY
from tests.e2e.wire import Answer, ask

#: The encryptions that an object can have, by the last part of its bucket's name.
NONE, SSE_S3, SSE_KMS, SSE_C, DERIVED = "none", "sse-s3", "sse-kms", "sse-c", "derived"
ENCRYPTIONS = (NONE, SSE_S3, SSE_KMS, SSE_C, DERIVED)
#: Further buckets: rules that override clients, and an encryption that the store may not know.
ENFORCED_S3, ENFORCED_KMS, ENFORCED_C, DSSE = "enforced-s3", "enforced-kms", "enforced-c", "dsse"
#: Objects that the gateway seals itself; in the last one plaintext may exist beside them.
CSE, ENFORCED_CSE, CSE_PLAINTEXT = "cse", "enforced-cse", "cse-plaintext"
CONTEXT = {"department": "e2e"}

_FURTHER = (ENFORCED_S3, ENFORCED_KMS, ENFORCED_C, DSSE, CSE, ENFORCED_CSE, CSE_PLAINTEXT)


class Stage:
    """A running gateway with its buckets.

    Attributes:
        sealing: where the keyring is that the gateway seals with.
        client: boto3 through the gateway.
        direct: boto3 straight to the store.
    """

    def __init__(
        self,
        directory: Path,
        authority: CertificateAuthority,
        store: S3Server,
        vault: OpenBao,
        *,
        prefix: str,
        options: Mapping[str, Any] | None = None,
        key_path: str | None = None,
        sealing: Path | None = None,
        name: str = "gateway",
    ) -> None:
        self.store = store
        self.vault = vault
        self.prefix = prefix
        self.key_path = key_path or f"s3/{prefix}"
        if key_path is None:
            self.rotate()
        self.sealing = sealing or directory / "sealing"
        self.gateway = Gateway(
            directory,
            authority,
            store,
            rules=self._rules(),
            vault=vault,
            customer_keys={"lab": self.key_path},
            sealing=self.sealing,
            options=options,
            name=name,
        )
        self.direct: S3Client = store.client()
        self.client: S3Client = self.gateway.client()

    def start(self) -> None:
        """Make the buckets and start the gateway."""
        for encryption in (*ENCRYPTIONS, *_FURTHER):
            with contextlib.suppress(ClientError):  # a second stage over the same buckets
                self.direct.create_bucket(Bucket=self.bucket(encryption))
        self.gateway.start()

    def _rules(self) -> list[dict[str, Any]]:
        key_id = self.store.kms_key_id
        named = {"kms_key_arn": key_id} if ":key/" in key_id else {"kms_key_name": bare_key_id(key_id)}
        kms: dict[str, Any] = {"mode": "sse-kms", **named}
        customer: dict[str, Any] = {"mode": "sse-c", "customer_key": "lab"}
        sealed: dict[str, Any] = {"mode": "cse", "wrapping_key": WRAPPING_KEY}
        rules: dict[str, dict[str, Any]] = {
            NONE: {"mode": "none"},
            SSE_S3: {"mode": "sse-s3"},
            SSE_KMS: kms | {"encryption_context": CONTEXT},
            SSE_C: customer,
            DERIVED: customer | {"derive_per_object": True},
            ENFORCED_S3: {"mode": "sse-s3", "enforce": True},
            ENFORCED_KMS: kms | {"enforce": True},
            ENFORCED_C: customer | {"enforce": True},
            DSSE: kms | {"mode": "dsse-kms"},
            CSE: sealed,
            ENFORCED_CSE: sealed | {"enforce": True},
            CSE_PLAINTEXT: sealed | {"existing": "plaintext"},
        }
        written = [{"name": name, "buckets": [self.bucket(name)], **rule} for name, rule in rules.items()]
        return [*written, {"name": "rest", "buckets": ["*"], "mode": "none"}]

    def bucket(self, encryption: str) -> str:
        """The bucket with this encryption."""
        return f"{self.prefix}-{encryption}"

    def rotate(self) -> bytes:
        """Write a new version of the customer key; the key comes back."""
        raw = secrets.token_bytes(32)
        self.vault.put_secret(self.key_path, {"key": base64.b64encode(raw).decode()})
        return raw

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        now: datetime | None = None,
    ) -> Answer:
        """One request through the gateway, byte by byte, signed."""
        gateway = self.gateway
        return ask(
            gateway.endpoint, gateway.ca_file, gateway.credentials, method, target, headers=headers, body=body, now=now
        )

    def scrape(self) -> str:
        """All metrics."""
        with urllib.request.urlopen(f"{self.gateway.admin_endpoint}/metrics", timeout=10) as answer:  # noqa: S310 - ours
            text: str = answer.read().decode()
            return text

    def last_logged(self, operation: str, bucket: str, object_key: str) -> dict[str, Any]:
        """The newest line of the access log about one object."""
        return logged(self.gateway, operation=operation, bucket=bucket, object_key=object_key)

    def key_attempts(self) -> float:
        """Ways that reads asked the store in so far."""
        return self.gateway.metric("sealgate_sse_c_key_attempts_total")


def logged(gateway: Gateway, **wanted: Any) -> dict[str, Any]:
    """The newest line of the access log with these values. It is written after the client has its answer."""

    def fitting() -> list[dict[str, Any]]:
        return [line for line in gateway.access_log() if wanted.items() <= line.items()]

    wait_until(lambda: bool(fitting()), seconds=10, what=f"the log line {wanted}")
    return fitting()[-1]


def fails(call: Callable[[], object]) -> tuple[int, str, str]:
    """Status, code and message of the error that a call of boto3 ends with."""
    try:
        call()
    except ClientError as error:
        status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status, error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    raise AssertionError("the request succeeded")


def stored_encryption(stage: Stage, encryption: str, object_key: str) -> str:
    """What the store itself says of an object's encryption, asked without the gateway and without a key."""
    try:
        head = stage.direct.head_object(Bucket=stage.bucket(encryption), Key=object_key)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return "sse-c" if status == 400 else f"unknown: the store answers {status}"
    return {None: "none", "AES256": "sse-s3", "aws:kms": "sse-kms"}[head.get("ServerSideEncryption")]


def expected_at_store(encryption: str) -> str:
    """The encryption of a bucket's objects as the store names it."""
    return {DERIVED: "sse-c", ENFORCED_S3: "sse-s3", ENFORCED_KMS: "sse-kms", ENFORCED_C: "sse-c"}.get(
        encryption, encryption
    )


def log_events(stage: Stage) -> list[dict[str, Any]]:
    """What the gateway wrote beside its access log."""
    lines = stage.gateway.log_file.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and '"operation"' not in line]


def mentions(text: str, secret: bytes) -> bool:
    """Whether a text contains a secret in any of its usual spellings."""
    encoded = base64.b64encode(secret).decode()
    spellings = (encoded, encoded.rstrip("="), secret.hex(), base64.urlsafe_b64encode(secret).decode().rstrip("="))
    return any(re.search(re.escape(spelling), text) for spelling in spellings)


def rotate_and_wait(stage: Stage) -> None:
    """Rotate the customer key and wait until every rule writes with the new version."""
    before = {encryption: _key_in_use(stage, encryption) for encryption in (SSE_C, DERIVED, ENFORCED_C)}
    stage.rotate()
    for encryption, key_md5 in before.items():
        wait_until(partial(_uses_another_key, stage, encryption, key_md5), seconds=10, what="the use of a new key")


def _uses_another_key(stage: Stage, encryption: str, key_md5: str) -> bool:
    return _key_in_use(stage, encryption) != key_md5


def _key_in_use(stage: Stage, encryption: str) -> str:
    put = stage.client.put_object(Bucket=stage.bucket(encryption), Key="rotation.probe", Body=b"")
    key_md5: str = put["SSECustomerKeyMD5"]
    return key_md5
