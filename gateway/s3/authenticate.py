"""Who sent a request? The only place that makes a :class:`VerifiedRequest`.

A request proves its sender by Signature Version 4, in a header or in its query, or not at all: then it is refused. The
one exception is a CORS preflight, which browsers send without any proof and which S3 answers to anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.errors import S3Error
from gateway.s3 import sigv4
from gateway.s3.authorization import parse_authorization
from gateway.s3.chunk_signature import ChunkSigner
from gateway.s3.content_sha256 import HEADER as CONTENT_SHA256
from gateway.s3.content_sha256 import UNSIGNED, ContentSha256, parse_content_sha256
from gateway.s3.credentials import Identity
from gateway.s3.operation import Operation
from gateway.s3.presigned import is_presigned, parse_presigned
from gateway.s3.request import S3Request
from gateway.s3.signature_errors import (
    access_denied,
    unsupported_asymmetric_signature,
    unsupported_signature_version,
)
from gateway.s3.signature_verification import SignatureClaim, verify_claim
from gateway.s3.sigv2 import VERSION as SIGV2
from gateway.s3.sigv2 import is_presigned_v2, verify_header_v2, verify_presigned_v2

#: How a request proved its sender, in the words of the condition key ``s3:authType``; ``NONE`` for a CORS preflight.
AuthType = Literal["REST-HEADER", "REST-QUERY-STRING", "POST", "NONE"]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How strictly signatures are checked.

    Attributes:
        allow_sigv2: whether Signature Version 2 is verified; S3 itself refuses it in all newer regions.
        max_skew_seconds: how far a request's time may lie from now. S3 allows 15 minutes.
    """

    allow_sigv2: bool = False
    max_skew_seconds: int = 900


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedRequest:
    """A request whose sender is known. Made by :func:`authenticate` and, for POST forms, by :func:`verified_form`.

    Attributes:
        request: the request.
        identity: who sent it; None for a CORS preflight only.
        auth_type: how it proved that.
        signature_version: ``AWS4-HMAC-SHA256`` or ``AWS``, as in ``s3:signatureversion``; empty for a CORS preflight.
        content_sha256: how the client vouches for its body.
        chunk_signer: verifies the signatures inside the body; None unless ``content_sha256`` announces them.
        signed_at: when the request was signed, or None where the signature does not say.
    """

    request: S3Request
    identity: Identity | None
    auth_type: AuthType
    signature_version: str
    content_sha256: ContentSha256
    chunk_signer: ChunkSigner | None
    signed_at: datetime | None = None

    def __repr__(self) -> str:
        """Neither the query, which may hold a signature and a customer key, nor anything derived from a secret."""
        name = None if self.identity is None else self.identity.name
        return f"VerifiedRequest({self.request.operation.value}, identity={name!r}, auth_type={self.auth_type!r})"


def authenticate(
    request: S3Request, identities: Mapping[str, Identity], now: datetime, settings: AuthSettings
) -> VerifiedRequest:
    """Find out who sent ``request``, or refuse it.

    Args:
        request: the request; a POST form is verified elsewhere, its proof is in its body.
        identities: who may speak to the gateway, by access key id.
        now: the current time, aware.
        settings: how strictly to check.

    Raises:
        S3Error: S3's own answer to whatever is missing or wrong.
    """
    if request.operation is Operation.CORS_PREFLIGHT:
        return VerifiedRequest(request, None, "NONE", "", UNSIGNED, None)
    if request.operation is Operation.POST_OBJECT:
        raise access_denied()
    headers = request.raw.headers
    in_query, in_query_v2 = is_presigned(request.query), is_presigned_v2(request.query)
    if ("authorization" in headers) + in_query + in_query_v2 > 1 or len(headers.all("authorization")) > 1:
        raise _several_mechanisms()
    if in_query:
        claim = parse_presigned(request.query, headers, now, settings.max_skew_seconds)
        return _verified(request, claim, identities, "REST-QUERY-STRING")
    if in_query_v2:
        if not settings.allow_sigv2:
            raise unsupported_signature_version()
        return _verified_v2(request, verify_presigned_v2(request, identities, now), "REST-QUERY-STRING")
    if "authorization" in headers:
        return _authenticate_header(request, identities, now, settings)
    raise access_denied()


def verified_form(request: S3Request, identity: Identity, signature_version: str) -> VerifiedRequest:
    """The PutObject that a POST form asks for, once its policy and signature are verified."""
    return VerifiedRequest(request, identity, "POST", signature_version, UNSIGNED, None)


def _authenticate_header(
    request: S3Request, identities: Mapping[str, Identity], now: datetime, settings: AuthSettings
) -> VerifiedRequest:
    mechanism = (request.raw.headers.get("authorization") or "").partition(" ")[0]
    if mechanism == sigv4.ALGORITHM:
        claim = parse_authorization(request.raw.headers, now, settings.max_skew_seconds)
        return _verified(request, claim, identities, "REST-HEADER")
    if mechanism == "AWS4-ECDSA-P256-SHA256":
        raise unsupported_asymmetric_signature()
    if mechanism == SIGV2:
        if not settings.allow_sigv2:
            raise unsupported_signature_version()
        identity = verify_header_v2(request, identities, now, settings.max_skew_seconds)
        return _verified_v2(request, identity, "REST-HEADER")
    raise S3Error("InvalidArgument", "Unsupported Authorization Type", details=(("ArgumentName", "Authorization"),))


def _verified(
    request: S3Request, claim: SignatureClaim, identities: Mapping[str, Identity], auth_type: AuthType
) -> VerifiedRequest:
    content_sha256 = parse_content_sha256(claim.payload_hash)
    identity, key = verify_claim(request.raw, claim, identities)
    chunk_signer = None
    if content_sha256.signed_chunks:
        chunk_signer = ChunkSigner(
            key, claim.scope.render(), claim.timestamp, claim.signature, claim.scope.access_key_id
        )
    return VerifiedRequest(request, identity, auth_type, sigv4.ALGORITHM, content_sha256, chunk_signer, claim.signed_at)


def _verified_v2(request: S3Request, identity: Identity, auth_type: AuthType) -> VerifiedRequest:
    values = request.raw.headers.all(CONTENT_SHA256)
    content_sha256 = parse_content_sha256(",".join(values)) if values else UNSIGNED
    if content_sha256.signed_chunks:
        raise S3Error("InvalidRequest", "Signed chunks need a Signature Version 4. Please use AWS4-HMAC-SHA256.")
    return VerifiedRequest(request, identity, auth_type, SIGV2, content_sha256, None)


def _several_mechanisms() -> S3Error:
    return S3Error(
        "InvalidArgument",
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified",
        details=(("ArgumentName", "Authorization"),),
    )
