"""AWS Signature Version 4: canonical form, string to sign, signing key, and signing of our own requests.

Sources: "Signature Calculations for the Authorization Header" (Amazon S3 API Reference) and "Create a signed AWS API
request" (IAM User Guide). S3 differs from other services in one point: the path is percent-encoded once and is never
normalised.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from gateway.redact import SecretBytes, SecretStr
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers

ALGORITHM = "AWS4-HMAC-SHA256"
SCOPE_TERMINATOR = "aws4_request"

#: Header fields that a hop between signer and verifier may add, drop or change. The AWS SDKs leave the same ones out.
UNSIGNED_HEADERS = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)

#: Signing keys kept. One entry per access key, day, region and service in use; a client may name any region.
SIGNING_KEY_CACHE_SIZE = 1024

_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_UNRESERVED = "-_.~"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-_.~/]*", re.ASCII)
_NOTHING_TO_ENCODE = re.compile(r"[A-Za-z0-9\-_.~]*", re.ASCII)
_BLANK = " \t"
_BLANKS = re.compile(r"[ \t]+")
#: The fields that authenticate a request of ours; older ones are replaced.
_AUTHENTICATING = frozenset({"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"})


def to_bytes(text: str) -> bytes:
    """The bytes that a header value or a request target arrived as.

    Lone surrogates that no decoder produces become ``?``, so that no text at all makes this raise.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def parse_timestamp(value: str) -> datetime | None:
    """The moment that ``YYYYMMDDTHHMMSSZ`` names, or None when ``value`` is not of that form."""
    if not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def render_timestamp(moment: datetime) -> str:
    """``YYYYMMDDTHHMMSSZ`` of an aware ``moment``."""
    text = moment.astimezone(UTC).isoformat("T", "seconds")  # not strftime: it asks for the time zone's file each time
    return f"{text[:4]}{text[5:7]}{text[8:13]}{text[14:16]}{text[17:19]}Z"


def canonical_path(raw_path: str) -> str:
    """``raw_path`` with every segment decoded and encoded again: only ``A-Za-z0-9-_.~`` stay as they are.

    ``%2F`` stays ``%2F``, and empty, ``.`` and ``..`` segments stay too: they are part of the object key.
    """
    if not raw_path:
        return "/"
    if _PLAIN_PATH.fullmatch(raw_path):
        return raw_path
    return "/".join(_reencode(segment) for segment in raw_path.split("/"))


def canonical_query(raw_query: str, *, without: frozenset[str] = frozenset()) -> str:
    """The query in canonical form: re-encoded, sorted by name then value, ``name=`` for a name without a value.

    A ``+`` is a space, as S3 reads it, and becomes ``%20``.

    Args:
        raw_query: the query as sent.
        without: canonical names of parameters to leave out, such as ``X-Amz-Signature``.
    """
    if not raw_query:
        return ""
    pairs = []
    for parameter in raw_query.split("&"):
        if not parameter:
            continue
        raw_name, _, raw_value = parameter.partition("=")
        name = _reencode(raw_name.replace("+", " "))
        if name not in without:
            pairs.append((name, _reencode(raw_value.replace("+", " "))))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


def canonical_request(
    method: str, path: str, query: str, headers: Headers, signed_headers: Iterable[str], payload_hash: str
) -> str:
    """The canonical request.

    Args:
        method: the HTTP method.
        path: the path in the form that was signed, see :func:`canonical_path`.
        query: the result of :func:`canonical_query`.
        headers: the header fields of the request.
        signed_headers: lower-case names, sorted; a name that ``headers`` lacks counts as empty.
        payload_hash: the value of ``x-amz-content-sha256``, or ``UNSIGNED-PAYLOAD``.
    """
    values = (_trimmed(headers) if headers.repeats else headers).joined()
    names = tuple(signed_headers)
    lines = "".join([f"{name}:{values.get(name, '').strip(_BLANK)}\n" for name in names])
    if "  " in lines or "\t" in lines:
        values = _trimmed(headers).joined()
        lines = "".join([f"{name}:{values.get(name, '')}\n" for name in names])
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload_hash}"


def string_to_sign(timestamp: str, scope: str, canonical: str) -> str:
    """The text that the signature covers: ``scope`` is ``YYYYMMDD/region/service/aws4_request``."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(to_bytes(canonical)).hexdigest()}"


def credential_scope(date: str, region: str, service: str) -> str:
    """``date/region/service/aws4_request``."""
    return f"{date}/{region}/{service}/{SCOPE_TERMINATOR}"


@lru_cache(maxsize=SIGNING_KEY_CACHE_SIZE)
def signing_key(secret: SecretStr, date: str, region: str, service: str) -> SecretBytes:
    """The key for one day, region and service.

    The cache compares secrets by object identity, so looking a key up neither hashes nor compares secret bytes, and a
    credential that was replaced never meets a key of its predecessor.
    """
    derived = b"AWS4" + to_bytes(secret.reveal())
    for step in (date, region, service, SCOPE_TERMINATOR):
        derived = hmac.digest(derived, to_bytes(step), "sha256")
    return SecretBytes(derived)


def sign(key: SecretBytes, text: str) -> str:
    """The signature of ``text``: lower-case hexadecimal HMAC-SHA256."""
    return hmac.digest(key.reveal(), to_bytes(text), "sha256").hex()


def sign_headers(  # noqa: PLR0913, PLR0917 - the parts of a request, each a plain value
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Headers,
    credential: Credential,
    region: str,
    service: str,
    now: datetime,
    payload_hash: str,
) -> Headers:
    """``headers`` with the four fields that authenticate a request of ours.

    Sets ``x-amz-date``, ``x-amz-content-sha256``, ``x-amz-security-token`` (temporary credentials only) and
    ``authorization``, and signs every field that is present except :data:`UNSIGNED_HEADERS`.

    Args:
        method: the HTTP method.
        raw_path: the path as it will be sent; S3 decodes and encodes it again before it verifies, and so does this.
        raw_query: the query as it will be sent, without ``?``.
        headers: the header fields to be sent; ``host`` is among them.
        credential: who signs.
        region: the region in the credential scope.
        service: ``s3`` or ``sts``.
        now: the current time, aware.
        payload_hash: hexadecimal SHA-256 of the body, ``UNSIGNED-PAYLOAD`` or a streaming value.

    Raises:
        ValueError: ``headers`` lacks ``host``.
    """
    if "host" not in headers:
        raise ValueError("a signed request needs its host header")
    timestamp = render_timestamp(now)
    fields = [field for field in headers.fields if field[0] not in _AUTHENTICATING]
    fields += (("x-amz-date", timestamp), ("x-amz-content-sha256", payload_hash))
    if credential.session_token is not None:
        fields.append(("x-amz-security-token", credential.session_token.reveal()))
    unsigned = Headers.of(fields)
    names = tuple(sorted(unsigned.names() - UNSIGNED_HEADERS))
    canonical = canonical_request(
        method, canonical_path(raw_path), canonical_query(raw_query), unsigned, names, payload_hash
    )
    scope = credential_scope(timestamp[:8], region, service)
    key = signing_key(credential.secret_access_key, timestamp[:8], region, service)
    signature = sign(key, string_to_sign(timestamp, scope, canonical))
    authorization = (
        f"{ALGORITHM} Credential={credential.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return Headers.of((*fields, ("authorization", authorization)))


def _reencode(text: str) -> str:
    if _NOTHING_TO_ENCODE.fullmatch(text):
        return text
    return quote(unquote_to_bytes(to_bytes(text)), safe=_UNRESERVED)


def _trimmed(headers: Headers) -> Headers:
    """Without blanks around the values, and with one space for several inside them."""
    return Headers.of([(name, _BLANKS.sub(" ", value.strip(_BLANK))) for name, value in headers.fields])
