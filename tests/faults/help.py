"""What the tests of faults share."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lab.gateway import Gateway
from lab.s3_server import S3Client
from tests.faults.wire import Signer

#: A client that shows every error instead of trying again.
ONCE: dict[str, Any] = {"retries": {"total_max_attempts": 1}}


def fresh_key() -> str:
    """32 random bytes as the vault holds them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class Refused:
    """An error as boto3 shows it."""

    code: str
    status: int
    message: str


def refused(action: Callable[[], object]) -> Refused | None:
    """The S3 error that ``action`` ends with; None when it succeeds. A broken connection is not an answer: it fails."""
    try:
        action()
    except ClientError as error:
        answer = error.response
        return Refused(
            answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message", "")
        )
    return None


def keys_in(client: S3Client, bucket: str, prefix: str = "") -> list[str]:
    """The keys that a bucket lists."""
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def signer(gateway: Gateway) -> Signer:
    """Signs for a gateway with the identity that it knows."""
    return Signer(gateway.credentials, gateway.endpoint.partition("//")[2])
