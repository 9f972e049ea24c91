"""Requests byte by byte: what no SDK would send, signed at any time with any credentials."""

import base64
import hashlib
import http.client
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers
from gateway.s3.sigv4 import sign_headers
from lab.s3_server import REGION, Credentials

_SSE_C = "x-amz-server-side-encryption-customer-"
_COPY_SSE_C = "x-amz-copy-source-server-side-encryption-customer-"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def text_of(self, element: str) -> str | None:
        """The text of the first XML element of this name."""
        found = re.search(rf"<{element}>([^<]*)</{element}>", self.body.decode())
        return None if found is None else found[1]

    @property
    def code(self) -> str | None:
        """The error's code."""
        return self.text_of("Code")

    @property
    def message(self) -> str:
        """The error's message, or nothing."""
        return self.text_of("Message") or ""


@dataclass(frozen=True, slots=True)
class Key:
    """A customer key of a client."""

    raw: bytes

    @classmethod
    def new(cls) -> "Key":
        """A random one."""
        return cls(secrets.token_bytes(32))

    @property
    def base64(self) -> str:
        """As the key header has it."""
        return base64.b64encode(self.raw).decode()

    @property
    def md5(self) -> str:
        """As the MD5 header has it."""
        return base64.b64encode(hashlib.md5(self.raw).digest()).decode()  # noqa: S324 - S3's own

    def fields(self, prefix: str = _SSE_C) -> dict[str, str]:
        """The three header fields."""
        return {f"{prefix}algorithm": "AES256", f"{prefix}key": self.base64, f"{prefix}key-MD5": self.md5}

    def copy_source_fields(self) -> dict[str, str]:
        """The three header fields of the source of a copy."""
        return self.fields(_COPY_SSE_C)

    def arguments(self) -> dict[str, str]:
        """The arguments of boto3."""
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.base64, "SSECustomerKeyMD5": self.md5}

    def copy_source_arguments(self) -> dict[str, str]:
        """The arguments of boto3 about the source of a copy."""
        return {f"CopySource{name}": value for name, value in self.arguments().items()}


def send(
    endpoint: str,
    ca_file: Path,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One request exactly as given, on a connection of its own."""
    url = urlsplit(endpoint)
    host, port = url.hostname or "", url.port
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=str(ca_file))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=60, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request(method, target, body=body or None, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def signed_fields(
    endpoint: str,
    credentials: Credentials,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime | None = None,
    session_token: str | None = None,
) -> dict[str, str]:
    """Header fields with a SigV4 signature."""
    path, _, query = target.partition("?")
    host = urlsplit(endpoint).netloc
    signed = sign_headers(
        method=method,
        raw_path=path,
        raw_query=query,
        headers=Headers((("host", host), *headers.items())),
        credential=Credential(
            credentials.access_key,
            SecretStr(credentials.secret_key),
            None if session_token is None else SecretStr(session_token),
        ),
        region=REGION,
        service="s3",
        now=now or datetime.now(UTC),
        payload_hash=hashlib.sha256(body).hexdigest(),
    )
    return dict(signed)


def ask(
    endpoint: str,
    ca_file: Path,
    credentials: Credentials,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    now: datetime | None = None,
    session_token: str | None = None,
) -> Answer:
    """One signed request."""
    fields = signed_fields(endpoint, credentials, method, target, headers or {}, body, now, session_token)
    return send(endpoint, ca_file, method, target, headers=fields, body=body)
