"""Does a Signature Version 4 match the request that carries it, and whose is it?"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.redact import SecretBytes, SecretStr
from gateway.s3 import sigv4
from gateway.s3.credential_scope import SERVICE, CredentialScope
from gateway.s3.credentials import Credential, Identity
from gateway.s3.request import RawRequest
from gateway.s3.signature_errors import (
    carries_secret,
    headers_not_signed,
    invalid_token,
    signature_does_not_match,
    unknown_access_key,
)

#: Stands in for an access key that nobody has, so that such a request takes the same work to refuse as any other.
NOBODY = Identity("", Credential("", SecretStr("")))


@dataclass(frozen=True, slots=True)
class SignatureClaim:
    """What a request says about its own signature; nothing of it is verified yet.

    Attributes:
        scope: who signs, for which day and region.
        timestamp: when, ``YYYYMMDDTHHMMSSZ``.
        signed_at: the same moment.
        signed_headers: lower-case names, sorted.
        signature: hexadecimal.
        payload_hash: the last line of the canonical request.
        session_token: the token that came along, or None.
        unsigned_parameters: canonical names of the query parameters that the signature does not cover.
    """

    scope: CredentialScope
    timestamp: str
    signed_at: datetime
    signed_headers: tuple[str, ...]
    signature: str
    payload_hash: str
    session_token: SecretStr | None
    unsigned_parameters: frozenset[str] = frozenset()


def parse_signed_headers(value: str) -> tuple[str, ...]:
    """The names in a ``SignedHeaders`` list, in canonical order."""
    return tuple(sorted(value.lower().split(";")))


def verify_claim(
    raw: RawRequest, claim: SignatureClaim, identities: Mapping[str, Identity]
) -> tuple[Identity, SecretBytes]:
    """Verify a request's signature.

    Args:
        raw: the request as received.
        claim: what it says about its signature.
        identities: who may speak to the gateway, by access key id.

    Returns:
        Who signed, and the signing key, which chunks of the body may be signed with too.

    Raises:
        S3Error: ``AccessDenied`` with ``HeadersNotSigned``, ``SignatureDoesNotMatch``, ``InvalidAccessKeyId``,
            ``InvalidToken``.
    """
    _check_signed_headers(raw, claim.signed_headers)
    scope = claim.scope
    identity = identities.get(scope.access_key_id, NOBODY)
    key = sigv4.signing_key(identity.credential.secret_access_key, scope.date, scope.region, SERVICE)
    mismatch = _mismatch(raw, claim, key)
    if identity is NOBODY:
        raise unknown_access_key(scope.access_key_id)
    if mismatch is not None:
        shown = (None, None) if carries_secret(raw) else mismatch
        raise signature_does_not_match(scope.access_key_id, claim.signature, *shown)
    check_session_token(identity, claim.session_token)
    return identity, key


def check_session_token(identity: Identity, session_token: SecretStr | None) -> None:
    """Hold the session token of a request against the identity's.

    Raises:
        S3Error: ``InvalidToken`` when one of them has a token and the other none, or when they differ.
    """
    expected = identity.credential.session_token
    if expected is None and session_token is None:
        return
    if expected is None or session_token is None or not expected.matches(session_token.reveal()):
        raise invalid_token()


def _check_signed_headers(raw: RawRequest, signed_headers: tuple[str, ...]) -> None:
    """S3 demands that ``host`` and every ``x-amz-*`` field of the request are signed."""
    unsigned = {name for name, _ in raw.headers.fields if name.startswith("x-amz-") and name not in signed_headers}
    if "host" not in signed_headers:
        unsigned.add("host")
    if unsigned:
        raise headers_not_signed(tuple(sorted(unsigned)))


def _mismatch(raw: RawRequest, claim: SignatureClaim, key: SecretBytes) -> tuple[str, str] | None:
    """None when the signature is right, else the string to sign and the canonical request it was compared with."""
    missing = not raw.headers.names().issuperset(claim.signed_headers)
    query = sigv4.canonical_query(raw.raw_query, without=claim.unsigned_parameters)
    signature = sigv4.to_bytes(claim.signature)
    scope = claim.scope.render()
    string_to_sign = canonical = ""
    for path in _signed_paths(raw.raw_path):
        canonical = sigv4.canonical_request(
            raw.method, path, query, raw.headers, claim.signed_headers, claim.payload_hash
        )
        string_to_sign = sigv4.string_to_sign(claim.timestamp, scope, canonical)
        if hmac.compare_digest(sigv4.sign(key, string_to_sign).encode(), signature) and not missing:
            return None
    return string_to_sign, canonical


def _signed_paths(raw_path: str) -> Iterator[str]:
    """The path as sent, then re-encoded: some clients send ``+ ( ) ! * ' , : = @`` raw and sign them encoded.

    Both forms name the same object key.
    """
    yield raw_path
    canonical = sigv4.canonical_path(raw_path)
    if canonical != raw_path:
        yield canonical
