"""What every S3 server of the laboratory offers: an endpoint with TLS, two users, and what it can and cannot do."""

import secrets
import ssl
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import boto3
from botocore.config import Config

REGION = "us-east-1"
_PROBE_SECONDS = 5

#: boto3 makes its clients at run time from data files; there is no class to name.
S3Client: TypeAlias = Any


def _random_secret() -> str:
    return secrets.token_urlsafe(30)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key of a test user. The secret is made anew for every server."""

    access_key: str
    secret_key: str = field(default_factory=_random_secret, repr=False)


@dataclass(frozen=True, slots=True)
class Traits:
    """Where real servers differ from Amazon S3, measured.

    Attributes:
        trailing_checksums: takes ``STREAMING-UNSIGNED-PAYLOAD-TRAILER`` and keeps ``x-amz-checksum-*``.
        sse_s3: ``x-amz-server-side-encryption: AES256`` encrypts; otherwise it is ignored without a word.
        dsse_kms: knows ``aws:kms:dsse``.
        copies_encrypted: CopyObject takes an encrypted source.
        copy_encrypts: CopyObject encrypts a plain source when it is asked to.
        bucket_encryption: knows the sub-resource ``?encryption``.
    """

    trailing_checksums: bool
    sse_s3: bool
    dsse_kms: bool
    copies_encrypted: bool
    copy_encrypts: bool
    bucket_encryption: bool


class S3Server(ABC):
    """A real S3 server on loopback.

    Attributes:
        name: for messages and test ids.
        traits: where it differs from Amazon S3.
        endpoint: ``https://localhost:PORT``.
        http_endpoint: the same without TLS, or None when it listens with TLS only.
        ca_file: the CA bundle that verifies ``endpoint``.
        credentials: the user that owns the buckets of tests.
        other_credentials: a second, separate user.
        kms_key_id: a key for SSE-KMS, in the form that this server takes.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]
    endpoint: str
    http_endpoint: str | None = None
    ca_file: Path
    credentials: Credentials
    other_credentials: Credentials
    kms_key_id: str

    def __repr__(self) -> str:
        return f"<{self.name} {self.endpoint}>"

    @property
    @abstractmethod
    def pid(self) -> int:
        """The id of the process that serves S3."""

    @abstractmethod
    def start(self) -> None:
        """Start it, or start it again on the same ports with the data it had."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it. The data stays."""

    @abstractmethod
    def kill(self) -> None:
        """``kill -9`` of the process that serves S3."""

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, credentials: Credentials | None = None, **config: Any) -> S3Client:
        """A boto3 S3 client straight to this server, as ``credentials`` or the first user.

        Args:
            credentials: another user.
            config: settings of ``botocore.config.Config``; path-style addressing unless said otherwise.
        """
        return s3_client(self.endpoint, self.ca_file, credentials or self.credentials, **config)

    def _answers(self) -> bool:
        """Whether the TLS endpoint answers HTTP, with any status below 500."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(self.endpoint, timeout=_PROBE_SECONDS, context=context):  # noqa: S310 - ours, and https
                return True
        except urllib.error.HTTPError as error:
            with error:
                return error.code < 500
        except OSError:
            return False


def s3_client(endpoint: str, ca_file: Path, credentials: Credentials, **config: Any) -> S3Client:
    """A boto3 S3 client with default settings but for endpoint, CA and path-style addressing."""
    settings = {"s3": {"addressing_style": "path"}} | config
    # A session of its own: boto3's default session is shared and not safe to create clients from in threads.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        verify=str(ca_file),
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        region_name=REGION,
        config=Config(**settings),
    )
