"""The upload ids that clients see: S3's own, followed by the encryption that the upload began with.

Every part of an upload needs the very customer key that the upload began with, also when the key was rotated in the
vault in between, when another replica serves the part, or when the gateway was restarted; and every part has to prove
the upload's encryption, because several servers prove nothing when an upload is created. No replica keeps state, so
what is needed travels with the one thing that every request of an upload carries: its id. S3 calls the id opaque, and
clients send it back as it is.

    client's id = upstream's id ".sg1-" mode "-" tag (8 hex digits) "-" version (decimal)

The tag is the fingerprint of the key source for an injected customer key, the hash of the MD5 header for a client's own
customer key, the hash of the KMS key id for the KMS modes, the hash of
the wrapping key's configured name for ``cse``, and zeros otherwise; the version is the injected customer
key's, and zero otherwise. The id needs no signature: whoever changes it can only spoil an upload of their own.
"""

import hashlib
import re
from dataclasses import dataclass

from gateway.modes.registry import mode_shown_by
from gateway.policy.rules import ModeName
from gateway.s3.encryption_headers import SSE_KMS_KEY_ID
from gateway.s3.headers import Headers
from gateway.s3.kms_key_id import bare_key_id
from gateway.s3.query import Query

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
_SUFFIX = re.compile(r"\.sg1-(" + "|".join(_CODES) + r")-([0-9a-f]{8})-(0|[1-9][0-9]{0,8})\Z")


@dataclass(frozen=True, slots=True)
class UploadId:
    """An upload id and the encryption that its upload began with.

    Attributes:
        upstream: the id that the upstream server gave.
        mode: the upload's encryption; ``none`` when the gateway promised none.
        tag: see the module's text.
        version: the injected customer key's version; 0 when none is injected.
    """

    upstream: str
    mode: ModeName = ModeName.NONE
    tag: str = _NO_TAG
    version: int = 0

    @property
    def injected_key(self) -> tuple[str, int] | None:
        """Fingerprint and version of the customer key that the gateway injects into the upload's requests."""
        return (self.tag, self.version) if self.version else None

    def render(self) -> str:
        """The id as a client sees it."""
        if self.mode is ModeName.NONE:
            return self.upstream
        return f"{self.upstream}.sg1-{_CODE_OF[self.mode]}-{self.tag}-{self.version}"

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
    return UploadId(text[: found.start()], _CODES[found[1]], found[2], int(found[3]))


def upload_id_of(query: Query) -> UploadId:
    """The upload id of a request about an upload."""
    return parse_upload_id(query.get(UPLOAD_ID) or "")


def with_upstream_upload_id(query: Query, upload_id: UploadId) -> Query:
    """The query as the upstream server knows the upload; untouched when the ids are the same."""
    if upload_id.mode is ModeName.NONE:
        return query
    return query.with_values(((UPLOAD_ID, upload_id.upstream),))
