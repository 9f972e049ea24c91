"""A client that is as wrong as a test wants it to be: uploads signed by hand, every byte of them within reach.

Nothing of the gateway is used here, so an error of its signing code can not hide behind itself.
"""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from lab.s3_server import REGION, Credentials

Form = Literal["literal", "md5", "checksum", "chunks", "chunks-trailer", "trailer", "presigned"]
FORMS: tuple[Form, ...] = ("literal", "md5", "checksum", "chunks", "chunks-trailer", "trailer", "presigned")

_SECONDS = 30
_EMPTY = hashlib.sha256(b"").hexdigest()
_TRAILER = "x-amz-checksum-crc32"
_STREAMING: Mapping[Form, str] = {
    "chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "chunks-trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}


class BrokenOffError(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read to its end.

    Attributes:
        status: HTTP status.
        headers: header fields, names in lower case.
        body: the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """S3's error code; empty when the body is no error."""
        if not self.body.startswith(b"<?xml"):
            return ""
        return ElementTree.fromstring(self.body).findtext("Code") or ""  # noqa: S314 - of our own gateway


@dataclass(frozen=True, slots=True)
class Upload:
    """One request as bytes.

    Attributes:
        target: the request target.
        fields: its header fields.
        body: its body as it is on the wire.
        marks: start and end of what the body consists of, by name.
        method: its method.
    """

    target: str
    fields: Mapping[str, str]
    body: bytes
    marks: Mapping[str, tuple[int, int]]
    method: str = "PUT"

    @property
    def head(self) -> bytes:
        """Request line and header section."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def with_body(self, body: bytes) -> "Upload":
        """The same head, but for its length, and another body."""
        return replace(self, body=body, fields=dict(self.fields) | {"Content-Length": str(len(body))})

    def with_fields(self, **fields: str) -> "Upload":
        """With more header fields, which are not signed."""
        return replace(self, fields=dict(self.fields) | {name.replace("_", "-"): text for name, text in fields.items()})

    def flipped(self, position: int, mask: int = 1) -> "Upload":
        """With one byte changed."""
        body = bytearray(self.body)
        body[position] ^= mask
        return replace(self, body=bytes(body))


class Signer:
    """SigV4 by hand.

    Args:
        credentials: what to sign with.
        host: value of the field Host.
    """

    def __init__(self, credentials: Credentials, host: str) -> None:
        self._credentials = credentials
        self._host = host

    def upload(
        self,
        path: str,
        payload: bytes,
        form: Form,
        *,
        query: Mapping[str, str] | None = None,
        chunk_bytes: int = 65_536,
        extra: Mapping[str, str] | None = None,
    ) -> Upload:
        """A PUT of ``payload``, its body protected in one way."""
        fields = {"host": self._host, **(extra or {})} | _claims(form, payload)
        signed = self._presigned(path, fields, query or {}) if form == "presigned" else None
        if signed is not None:
            target, fields = signed
            return Upload(target, fields | {"Content-Length": str(len(payload))}, payload, {"data": (0, len(payload))})
        digest = hashlib.sha256(payload).hexdigest() if form == "literal" else _STREAMING.get(form, "UNSIGNED-PAYLOAD")
        target, fields, chunks = self.signed("PUT", path, fields, query or {}, digest)
        if form not in _STREAMING:
            return Upload(target, fields | {"Content-Length": str(len(payload))}, payload, {"data": (0, len(payload))})
        body, marks = _framed(payload, chunk_bytes, form, None if form == "trailer" else chunks)
        return Upload(target, fields | {"Content-Length": str(len(body))}, body, marks)

    def signed(
        self, method: str, path: str, fields: Mapping[str, str], query: Mapping[str, str], digest: str
    ) -> tuple[str, dict[str, str], "_Chain"]:
        """Target, header fields with a signature, and the beginning of the chain of chunk signatures."""
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        fields = {"host": self._host, **fields, "x-amz-date": now, "x-amz-content-sha256": digest}
        names = ";".join(sorted(fields))
        chain = _Chain(self._credentials.secret_key, now)
        text = _canonical(method, path, query, fields)
        signature = chain.begin(f"{text}\n{digest}")
        credential = f"{self._credentials.access_key}/{chain.scope}"
        fields["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        )
        return _target(path, query), fields, chain

    def get(self, path: str) -> Upload:
        """A GET."""
        target, fields, _ = self.signed("GET", path, {}, {}, _EMPTY)
        return Upload(target, fields, b"", {}, method="GET")

    def _presigned(self, path: str, fields: dict[str, str], query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        chain = _Chain(self._credentials.secret_key, now)
        query = dict(query) | {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._credentials.access_key}/{chain.scope}",
            "X-Amz-Date": now,
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": ";".join(sorted(fields)),
        }
        signature = chain.begin(_canonical("PUT", path, query, fields) + "\nUNSIGNED-PAYLOAD")
        return _target(path, query | {"X-Amz-Signature": signature}), fields


class _Chain:
    """Signatures, each over the one before. Source: Amazon S3 API Reference, "Transferring payload in chunks"."""

    def __init__(self, secret: str, timestamp: str) -> None:
        self._timestamp = timestamp
        self.scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
        key = f"AWS4{secret}".encode()
        for word in self.scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._key = key
        self._previous = ""

    def begin(self, canonical: str) -> str:
        return self._sign("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest())

    def chunk(self, data: bytes) -> str:
        digests = f"{self._previous}\n{_EMPTY}\n{hashlib.sha256(data).hexdigest()}"
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", digests)

    def trailer(self, line: bytes) -> str:
        return self._sign("AWS4-HMAC-SHA256-TRAILER", f"{self._previous}\n{hashlib.sha256(line).hexdigest()}")

    def _sign(self, kind: str, rest: str) -> str:
        text = f"{kind}\n{self._timestamp}\n{self.scope}\n{rest}"
        self._previous = hmac.digest(self._key, text.encode(), "sha256").hex()
        return self._previous


def _target(path: str, query: Mapping[str, str]) -> str:
    return path + (f"?{urlencode(sorted(query.items()), quote_via=quote, safe='')}" if query else "")


def _canonical(method: str, path: str, query: Mapping[str, str], fields: Mapping[str, str]) -> str:
    head = "".join(f"{name}:{value}\n" for name, value in sorted(fields.items()))
    encoded = urlencode(sorted(query.items()), quote_via=quote, safe="")
    return "\n".join([method, path, encoded, head, ";".join(sorted(fields))])


def _crc32(payload: bytes) -> str:
    return base64.b64encode(zlib.crc32(payload).to_bytes(4, "big")).decode()


def _claims(form: Form, payload: bytes) -> dict[str, str]:
    """What the header section says about the body, besides its SHA-256."""
    match form:
        case "md5" | "presigned":
            return {"content-md5": base64.b64encode(hashlib.md5(payload, usedforsecurity=False).digest()).decode()}
        case "checksum":
            return {_TRAILER: _crc32(payload)}
        case "literal":
            return {}
        case _:
            chunked = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(payload))}
            return chunked if form == "chunks" else chunked | {"x-amz-trailer": _TRAILER}


def _framed(
    payload: bytes, chunk_bytes: int, form: Form, chain: _Chain | None
) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """``payload`` in aws-chunked framing, and where everything is in it."""
    body = b""
    marks: dict[str, tuple[int, int]] = {}

    def add(name: str, piece: bytes) -> None:
        nonlocal body
        marks[name] = (len(body), len(body) + len(piece))
        body += piece

    starts = [*range(0, len(payload), chunk_bytes), len(payload)]
    for number, start in enumerate(starts):
        data = payload[start : start + chunk_bytes]
        add(f"size {number}", b"%x" % len(data))
        if chain is not None:
            add(f"extension {number}", b";chunk-signature=")
            add(f"signature {number}", chain.chunk(data).encode())
        add(f"head end {number}", b"\r\n")
        if data:
            add(f"data {number}", data)
            add(f"data end {number}", b"\r\n")
    if form != "chunks":
        value = _crc32(payload)
        add("trailer name", f"{_TRAILER}:".encode())
        add("trailer value", value.encode())
        add("trailer end", b"\r\n")
        if chain is not None:
            add("trailer signature name", b"x-amz-trailer-signature:")
            add("trailer signature", chain.trailer(f"{_TRAILER}:{value}\n".encode()).encode())
            add("trailer signature end", b"\r\n")
    add("body end", b"\r\n")
    return body, marks


class Wire:
    """One connection to a server.

    Attributes:
        socket: the connection; tests may do anything to it.
    """

    def __init__(self, endpoint: str, ca_file: Path | None = None, *, receive_bytes: int | None = None) -> None:
        """Connect.

        Args:
            endpoint: URL.
            ca_file: verifies an https endpoint.
            receive_bytes: size of the kernel's receive buffer, where it should be small.
        """
        parts = urlsplit(endpoint)
        plain = socket.socket()
        plain.settimeout(_SECONDS)
        if receive_bytes is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.connect(("127.0.0.1", parts.port or 443))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = plain
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(ca_file))
            # A connection that ends without TLS's own farewell is an error, not an end.
            self.socket = context.wrap_socket(plain, server_hostname=parts.hostname, suppress_ragged_eofs=False)

    def send(self, upload: Upload) -> None:
        """Send a request. A server that stops reading may have answered, so this is no error here."""
        with suppress(OSError):
            self.socket.sendall(upload.head + upload.body)

    def answer(self, method: str = "PUT") -> Answer:
        """Read one answer to its end.

        Raises:
            BrokenOffError: there is none, or not all of it.
        """
        response = http.client.HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOffError(f"{type(error).__name__}: {error}") from error
        finally:
            response.close()
        return Answer(response.status, {name.lower(): text for name, text in response.getheaders()}, body)

    def close(self) -> None:
        self.socket.close()


@contextmanager
def connected(endpoint: str, ca_file: Path | None = None, *, receive_bytes: int | None = None) -> Iterator[Wire]:
    """A connection that is closed at the end."""
    wire = Wire(endpoint, ca_file, receive_bytes=receive_bytes)
    try:
        yield wire
    finally:
        wire.close()


def exchange(endpoint: str, ca_file: Path | None, upload: Upload) -> Answer:
    """Send one request on a connection of its own and read its answer."""
    with connected(endpoint, ca_file) as wire:
        wire.send(upload)
        return wire.answer(upload.method)
