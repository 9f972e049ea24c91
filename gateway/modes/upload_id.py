"""The upload ids that clients see: S3's own, followed by the encryption that the upload began with.

Every part of an upload needs the very customer key that the upload began with, also when the key was rotated in the
vault in between, when another replica serves the part, or when the gateway was restarted; and every part has to prove
the upload's encryption, because several servers prove nothing when an upload is created. No replica keeps state, so
what is needed travels with the one thing that every request of an upload carries: its id. S3 calls the id opaque, and
clients send it back as it is.

    client's id = upstream's id ".sg1-" mode "-" tag (8 hex digits) "-" version (decimal) ["-" asked ["-" key id]]

The tag is the fingerprint of the key source for an injected customer key, the hash of the MD5 header for a client's own
customer key, the hash of the KMS key id for the KMS modes, the hash of
the wrapping key's configured name for ``cse``, and zeros otherwise; the version is the injected customer
key's, and zero otherwise. What the client asked for itself, before any default, follows when it asked for anything:
the method and the KMS key id in base64url. Bucket policies judge the upload's further requests by it. The id needs no
signature: whoever changes it can only spoil an upload of their own.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from gateway.modes.registry import mode_shown_by
from gateway.policy.rules import ModeName
from gateway.s3.asked_encryption import CONTINUES_UPLOAD, NOTHING_ASKED, AskedEncryption
from gateway.s3.encryption_headers import SSE_KMS_KEY_ID
from gateway.s3.headers import Headers
from gateway.s3.kms_key_id import bare_key_id
from gateway.s3.query import Query
from gateway.s3.request import S3Request

UPLOAD_ID = "uploadId"

_NO_TAG = "00000000"
_CODES = {
    "s3": ModeName.SSE_S3,
    "kms": ModeName.SSE_KMS,
    "dsse": ModeName.DSSE_KMS,
    "c": ModeName.SSE_C,
    "cse": ModeName.CSE,
}
_CODE_OF = {mode: code for code, mode in _CODES.items()}
_METHOD_CODES = {"s3": "AES256", "kms": "aws:kms", "dsse": "aws:kms:dsse"}
_CODE_OF_METHOD = {method: code for code, method in _METHOD_CODES.items()}
#: Longer than any key id that KMS takes (AWS KMS API Reference, DescribeKey: at most 2,048 characters). What does not
#: fit is left out, and a policy that looks for it refuses the parts.
_MAX_KEY_ID_BYTES = 2048
_SUFFIX = re.compile(
    r"\.sg1-(" + "|".join(_CODES) + r")-([0-9a-f]{8})-(0|[1-9][0-9]{0,8})"
    r"(?:-(" + "|".join(_METHOD_CODES) + r")(?:-((?:[A-Za-z0-9_-]{4}){0,682}(?:[A-Za-z0-9_-]{2,4})))?)?\Z"
)


@dataclass(frozen=True, slots=True)
class UploadId:
    """An upload id and the encryption that its upload began with.

    Attributes:
        upstream: the id that the upstream server gave.
        mode: the upload's encryption; ``none`` when the gateway promised none.
        tag: see the module's text.
        version: the injected customer key's version; 0 when none is injected.
        asked: what the client asked for itself.
    """

    upstream: str
    mode: ModeName = ModeName.NONE
    tag: str = _NO_TAG
    version: int = 0
    asked: AskedEncryption = NOTHING_ASKED

    @property
    def injected_key(self) -> tuple[str, int] | None:
        """Fingerprint and version of the customer key that the gateway injects into the upload's requests."""
        return (self.tag, self.version) if self.version else None

    def render(self) -> str:
        """The id as a client sees it."""
        if self.mode is ModeName.NONE:
            return self.upstream
        return f"{self.upstream}.sg1-{_CODE_OF[self.mode]}-{self.tag}-{self.version}{_render_asked(self.asked)}"

    def contradicted_by(self, answered: Headers) -> bool:
        """Whether an answer shows another encryption than the upload began with. Silence is no contradiction."""
        shown = mode_shown_by(answered)
        return shown not in (ModeName.NONE, self.mode)

    def proven_by(self, answered: Headers) -> bool:
        """Whether the answer to a part shows the upload's mode and KMS key.

        Which customer key was used is the business of :class:`~gateway.modes.sse_c.SseC`, which sees the key that was
        sent.
        """
        if self.mode is ModeName.NONE:
            return True
        if mode_shown_by(answered) is not self.mode:
            return False
        return self.tag == _NO_TAG or self.version > 0 or self.tag == kms_tag(answered.get(SSE_KMS_KEY_ID))


def kms_tag(kms_key_id: str | None) -> str:
    """The tag of a KMS key; zeros for none and for aliases, which an answer never names."""
    if not kms_key_id or "alias/" in kms_key_id:
        return _NO_TAG
    return hashlib.sha256(bare_key_id(kms_key_id).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def customer_tag(key_md5: str) -> str:
    """The tag of a customer key that the client sends itself, by the MD5 that goes with it."""
    return hashlib.sha256(b"sse-c:" + key_md5.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def wrapping_key_tag(name: str) -> str:
    """The tag of a wrapping key, by its configured name."""
    return hashlib.sha256(b"cse:" + name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def parse_upload_id(text: str) -> UploadId:
    """Read an id that a client sent; one without the gateway's suffix is the upstream's own."""
    found = _SUFFIX.search(text)
    if found is None:
        return UploadId(text)
    mode, tag, version, method, encoded_key_id = found.groups()
    asked = NOTHING_ASKED
    if method is not None:
        asked = AskedEncryption(_METHOD_CODES[method], _decode_key_id(encoded_key_id))
    return UploadId(text[: found.start()], _CODES[mode], tag, int(version), asked)


def upload_id_of(query: Query) -> UploadId:
    """The upload id of a request about an upload."""
    return parse_upload_id(query.get(UPLOAD_ID) or "")


def asked_for_upload(request: S3Request) -> AskedEncryption:
    """What the client asked for when it began the upload that a request continues; nothing for any other request."""
    return upload_id_of(request.query).asked if request.operation in CONTINUES_UPLOAD else NOTHING_ASKED


def with_upstream_upload_id(query: Query, upload_id: UploadId) -> Query:
    """The query as the upstream server knows the upload; untouched when the ids are the same."""
    if upload_id.mode is ModeName.NONE:
        return query
    return query.with_values(((UPLOAD_ID, upload_id.upstream),))


def _render_asked(asked: AskedEncryption) -> str:
    if asked.sse is None:
        return ""
    key_id = (asked.kms_key_id or "").encode("utf-8", "surrogateescape")
    encoded = urlsafe_b64encode(key_id).decode("ascii").rstrip("=") if len(key_id) <= _MAX_KEY_ID_BYTES else ""
    return f"-{_CODE_OF_METHOD[asked.sse]}" + (f"-{encoded}" if encoded else "")


def _decode_key_id(encoded: str | None) -> str | None:
    if encoded is None:
        return None
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("utf-8", "surrogateescape")
