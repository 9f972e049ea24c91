"""Requests that nobody sent, for asking what the gateway would do with them.

An imagined request is signed with a key pair made up for it and goes through the same parser and the same verification
as a real one, so whatever they refuse is refused here too.
"""

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, authenticate
from gateway.s3.content_sha256 import HEADER as CONTENT_SHA256
from gateway.s3.content_sha256 import UNSIGNED_PAYLOAD
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.post_object import put_object_from_form
from gateway.s3.presigned import MAX_EXPIRES_SECONDS
from gateway.s3.query import encode_value
from gateway.s3.request import RawRequest

#: Who asks when nobody is named.
ANYBODY = "client"

_HOST = "sealgate.invalid"
_REGION = "us-east-1"
_CREDENTIAL = Credential("SEALGATEIMAGINED0001", SecretStr("made up for a request that is never sent"))
_REQUEST_ID = "0" * 16


class Proof(StrEnum):
    """How the sender proves who it is."""

    HEADER = "header"
    PRESIGNED = "presigned"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class ImaginedRequest:
    """One request.

    Attributes:
        method: the HTTP method; a form is a POST whatever stands here.
        bucket: the bucket, or None for the service.
        object_key: the object key, or None for the bucket.
        headers: header fields; of a form, its fields.
        query: query parameters; None for one without ``=``.
        identity: the name of who asks.
        scheme: ``https`` or ``http``.
        source_ip: the client's address; ``unix`` for a unix socket.
        tls_version: such as ``1.3``, or None when it is not known.
        proof: how it is signed.
        age: how long ago it was signed.
    """

    method: str
    bucket: str | None = None
    object_key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str | None], ...] = ()
    identity: str = ANYBODY
    scheme: str = "https"
    source_ip: str = "127.0.0.1"
    tls_version: str | None = "1.3"
    proof: Proof = Proof.HEADER
    age: timedelta = timedelta(0)

    def describe(self) -> str:
        """The request in one line, without what could be a secret."""
        place = "/".join(part for part in (self.bucket, self.object_key) if part is not None)
        names = sorted(name for name, _ in self.query)
        return f"{self.method} s3://{place}" + (f" ({', '.join(names)})" if names else "")

    def verified(self, now: datetime, settings: AuthSettings) -> VerifiedRequest:
        """The request as the gateway has it after its second step.

        Raises:
            S3Error: it can not be parsed, or its sender's proof is refused.
        """
        identities = {_CREDENTIAL.access_key_id: Identity(self.identity, _CREDENTIAL)}
        if self.proof is Proof.FORM:
            form = parse_request(self.form(_HOST), ())
            fields = self.form_fields(_CREDENTIAL, now)
            return put_object_from_form(form, fields, None, identities, now, settings).verified
        return authenticate(parse_request(self.signed(_CREDENTIAL, _HOST, now), ()), identities, now, settings)

    def signed(self, credential: Credential, host: str, now: datetime) -> RawRequest:
        """The request as it is sent, when it is no form. A CORS preflight has no signature.

        Args:
            credential: what it is signed with.
            host: where it is sent to.
            now: the time.
        """
        raw = self._raw(host)
        if self.method == "OPTIONS":
            return raw
        sign = _presigned if self.proof is Proof.PRESIGNED else _signed
        return sign(raw, credential, now - self.age)

    def form(self, host: str) -> RawRequest:
        """The request that carries the form, when it is one."""
        headers = Headers((("host", host), ("content-type", "multipart/form-data; boundary=form")))
        return RawRequest("POST", f"/{self.bucket}", "", headers, self.scheme, self.source_ip, _REQUEST_ID)

    def form_fields(self, credential: Credential, now: datetime) -> dict[str, str]:
        """The fields of the form, with a policy that allows them, signed."""
        fields = {name.lower(): value for name, value in self.headers} | {"key": self.object_key or ""}
        timestamp = sigv4.render_timestamp(now)
        fields |= {
            "x-amz-algorithm": sigv4.ALGORITHM,
            "x-amz-credential": _scoped(credential, timestamp),
            "x-amz-date": timestamp,
        }
        conditions = [["starts-with", "$bucket", ""], *(["starts-with", f"${name}", ""] for name in fields)]
        expiration = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = json.dumps({"expiration": expiration, "conditions": conditions})
        policy = base64.b64encode(document.encode()).decode("ascii")
        return {**fields, "policy": policy, "x-amz-signature": _signature(policy, credential, timestamp)}

    def _raw(self, host: str) -> RawRequest:
        """The request without a signature."""
        path = "/" if self.bucket is None else f"/{self.bucket}"
        if self.object_key is not None:
            path += "/" + quote(self.object_key, safe="/-_.~", errors="surrogateescape")
        pairs = (
            encode_value(name) + ("" if value is None else f"={encode_value(value)}") for name, value in self.query
        )
        headers = Headers((("host", host), *self.headers))
        return RawRequest(self.method, path, "&".join(pairs), headers, self.scheme, self.source_ip, _REQUEST_ID)


def _signed(raw: RawRequest, credential: Credential, signed_at: datetime) -> RawRequest:
    payload = raw.headers.get(CONTENT_SHA256) or UNSIGNED_PAYLOAD
    headers = sigv4.sign_headers(
        raw.method, raw.raw_path, raw.raw_query, raw.headers, credential, _REGION, "s3", signed_at, payload
    )
    return replace(raw, headers=headers)


def _presigned(raw: RawRequest, credential: Credential, signed_at: datetime) -> RawRequest:
    timestamp = sigv4.render_timestamp(signed_at)
    signed_names = tuple(sorted(raw.headers.names() - sigv4.UNSIGNED_HEADERS))
    parameters = {
        "X-Amz-Algorithm": sigv4.ALGORITHM,
        "X-Amz-Credential": _scoped(credential, timestamp),
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(MAX_EXPIRES_SECONDS),
        "X-Amz-SignedHeaders": ";".join(signed_names),
    }
    added = [f"{name}={encode_value(value)}" for name, value in parameters.items()]
    query = "&".join(([raw.raw_query] if raw.raw_query else []) + added)
    payload = raw.headers.get(CONTENT_SHA256) or UNSIGNED_PAYLOAD
    canonical = sigv4.canonical_request(
        raw.method, sigv4.canonical_path(raw.raw_path), sigv4.canonical_query(query), raw.headers, signed_names, payload
    )
    scope = sigv4.credential_scope(timestamp[:8], _REGION, "s3")
    signature = _signature(sigv4.string_to_sign(timestamp, scope, canonical), credential, timestamp)
    return replace(raw, raw_query=f"{query}&X-Amz-Signature={signature}")


def _scoped(credential: Credential, timestamp: str) -> str:
    return f"{credential.access_key_id}/{sigv4.credential_scope(timestamp[:8], _REGION, 's3')}"


def _signature(text: str, credential: Credential, timestamp: str) -> str:
    return sigv4.sign(sigv4.signing_key(credential.secret_access_key, timestamp[:8], _REGION, "s3"), text)
