"""A client that sends exactly the bytes it is told to and shows exactly what came back; botocore signs."""

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from lab.s3_server import REGION, Credentials
from tests.conformance.case import Signing

_SERVICE = "s3"
_SECONDS = 30
_CHUNK = 64 * 1024
_EMPTY = hashlib.sha256(b"").hexdigest()
_PAYLOAD_HASHES: Mapping[Signing, str] = {
    "unsigned-payload": "UNSIGNED-PAYLOAD",
    "chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "chunks-trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "wrong-hash": hashlib.sha256(b"another body").hexdigest(),
}
_FRAMED: frozenset[Signing] = frozenset({"chunks", "chunks-trailer", "trailer"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came.

    Attributes:
        status: HTTP status.
        headers: header fields in order, names in lower case.
        body: the body without transfer coding.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The values of a field, or None."""
        values = [value for field, value in self.headers if field == name]
        return ", ".join(values) if values else None


class _Auth(botocore.auth.S3SigV4Auth):
    """SigV4 with a given payload hash; the target is signed in S3's canonical spelling, however it is sent."""

    def __init__(self, credentials: botocore.credentials.Credentials, payload_hash: str) -> None:
        super().__init__(credentials, _SERVICE, REGION)
        self._payload_hash = payload_hash

    def payload(self, request: botocore.awsrequest.AWSRequest) -> str:
        return self._payload_hash

    def _normalize_url_path(self, path: str) -> str:
        return "/".join(quote(unquote_to_bytes(segment), safe="-_.~") for segment in path.split("/"))

    def canonical_query_string(self, request: botocore.awsrequest.AWSRequest) -> str:
        pairs = (pair.partition("=") for pair in urlsplit(str(request.url)).query.split("&") if pair)
        encoded = ((_encoded_parameter(name), _encoded_parameter(value)) for name, _, value in pairs)
        return "&".join(f"{name}={value}" for name, value in sorted(encoded))


class RawClient:
    """Requests to one endpoint, each on a connection of its own.

    Args:
        endpoint: ``https://host:port``.
        ca_file: verifies it.
        credentials: what to sign with.
    """

    def __init__(self, endpoint: str, ca_file: Path, credentials: Credentials) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._tls = ssl.create_default_context(cafile=str(ca_file))

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        signing: Signing = "header",
        trailer: tuple[str, str] | None = None,
        sends_length: bool = True,
    ) -> Answer:
        """Send one request and read its answer to the end."""
        fields = dict(headers)
        if signing in _FRAMED:
            fields["x-amz-decoded-content-length"] = str(len(body))
            fields["Content-Encoding"] = ",".join(filter(None, ("aws-chunked", fields.get("Content-Encoding"))))
            if trailer is not None:
                fields["x-amz-trailer"] = trailer[0]
        target, fields, sign = self._signed(method, target, fields, body, signing)
        if signing in _FRAMED:
            body = _framed(body, trailer, sign)
        if sends_length and (body or method in {"PUT", "POST"}):
            fields["Content-Length"] = str(len(body))
        return self._exchange(method, target, fields, body if sends_length else b"")

    def _signed(
        self, method: str, target: str, headers: dict[str, str], body: bytes, signing: Signing
    ) -> tuple[str, dict[str, str], "_ChunkSigner | None"]:
        """Target and header fields with a signature, and what signs the chunks."""
        if signing == "anonymous":
            return target, headers, None
        access_key = "NOSUCHACCESSKEY00000" if signing == "unknown-key" else self._credentials.access_key
        secret = "wrong" if signing == "wrong-secret" else self._credentials.secret_key
        credentials = botocore.credentials.Credentials(access_key, secret)
        asked = botocore.awsrequest.AWSRequest(method, self._endpoint + target, headers)
        if signing in {"presigned", "expired"}:
            auth: botocore.auth.SigV4Auth = botocore.auth.S3SigV4QueryAuth(credentials, _SERVICE, REGION, expires=60)
        else:
            payload_hash = _PAYLOAD_HASHES.get(signing) or hashlib.sha256(body).hexdigest()
            auth = _Auth(credentials, payload_hash)
        _sign(auth, asked, age=timedelta(hours=1) if signing in {"expired", "skewed"} else timedelta())
        parts = urlsplit(str(asked.url))
        signed = {str(name): str(value) for name, value in asked.headers.items()}
        seed = signed.get("Authorization", "").rpartition("Signature=")[2]
        chunked = signing in {"chunks", "chunks-trailer"}
        chunk_signer = _ChunkSigner(secret, signed["X-Amz-Date"], seed) if chunked else None
        return parts.path + (f"?{parts.query}" if parts.query else ""), signed, chunk_signer

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(self._endpoint)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=_SECONDS, context=self._tls)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in ({"Host": parts.netloc} | dict(headers)).items():
                connection.putheader(name, value.encode())
            connection.endheaders(body or None)
            answer = connection.getresponse()
            fields = tuple((name.lower(), value) for name, value in answer.getheaders())
            return Answer(answer.status, fields, answer.read())
        finally:
            connection.close()


def _encoded_parameter(raw: str) -> str:
    return quote(unquote_to_bytes(raw.replace("+", " ")), safe="-_.~")


def _sign(auth: Any, asked: botocore.awsrequest.AWSRequest, *, age: timedelta) -> None:
    """Sign as ``auth`` does, ``age`` ago."""
    if not age:
        auth.add_auth(asked)
        return
    now = datetime.now(UTC) - age
    # botocore asks for the time inside add_auth; these are the steps of add_auth with another time.
    asked.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(asked)
    signature = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    auth._inject_signature_to_request(asked, signature)


class _ChunkSigner:
    """Signatures of chunks and trailers, each over the one before.

    Source: Amazon S3 API Reference, "Signature calculations for the Authorization header: transferring payload in
    multiple chunks".
    """

    def __init__(self, secret: str, timestamp: str, seed: str) -> None:
        self._timestamp = timestamp
        self._scope = f"{timestamp[:8]}/{REGION}/{_SERVICE}/aws4_request"
        key = f"AWS4{secret}".encode()
        for word in self._scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._key = key
        self._previous = seed

    def sign(self, algorithm: str, *digests: str) -> str:
        """The next signature."""
        lines = (algorithm, self._timestamp, self._scope, self._previous, *digests)
        self._previous = hmac.digest(self._key, "\n".join(lines).encode(), "sha256").hex()
        return self._previous


def _framed(payload: bytes, trailer: tuple[str, str] | None, signer: _ChunkSigner | None) -> bytes:
    """``payload`` in aws-chunked framing."""
    out = []
    for start in range(0, len(payload) + _CHUNK, _CHUNK):
        data = payload[start : start + _CHUNK]
        if not data and start < len(payload):
            continue
        extension = ""
        if signer is not None:
            signature = signer.sign("AWS4-HMAC-SHA256-PAYLOAD", _EMPTY, hashlib.sha256(data).hexdigest())
            extension = f";chunk-signature={signature}"
        out.append(f"{len(data):x}{extension}\r\n".encode())
        if data:
            out.append(data + b"\r\n")
        else:
            break
    if trailer is not None:
        line = f"{trailer[0]}:{trailer[1]}"
        out.append(f"{line}\r\n".encode())
        if signer is not None:
            digest = hashlib.sha256(f"{line}\n".encode()).hexdigest()
            out.append(f"x-amz-trailer-signature:{signer.sign('AWS4-HMAC-SHA256-TRAILER', digest)}\r\n".encode())
    return b"".join((*out, b"\r\n"))
