"""Steps five to seven in words: what goes upstream, and what the answer has to prove."""

from collections.abc import Iterator

from gateway.modes.added_encryption import keeps_requested, needs_customer_key, new_object_headers
from gateway.modes.plan import Plan, plan
from gateway.modes.upload_id import UploadId, upload_id_of
from gateway.policy.authorize import CREATES_OBJECT, AuthorizedRequest
from gateway.policy.rules import ModeName
from gateway.redact import SecretBytes
from gateway.s3.asked_encryption import CONTINUES_UPLOAD
from gateway.s3.encryption_headers import ENCRYPTION_HEADERS, SSE, SSE_C_ALGORITHM, SSE_KMS_KEY_ID
from gateway.s3.forwarding import encryption_headers_of

#: Stands for the key that a vault would give; it is not shown.
_SOME_KEY = SecretBytes(bytes(32))
#: The fields whose values say how an object is encrypted, and are no secret.
_SHOWN_VALUES = frozenset({SSE, SSE_KMS_KEY_ID, SSE_C_ALGORITHM}) | {
    name for name in ENCRYPTION_HEADERS if name.endswith(("-context", "-bucket-key-enabled", "-customer-algorithm"))
}


def sent_upstream(authorized: AuthorizedRequest) -> Iterator[str]:
    """Step five: the request as it goes upstream."""
    operation = authorized.request.operation
    if operation in CONTINUES_UPLOAD:
        yield from _upload_lines(upload_id_of(authorized.request.query), authorized)
        return
    planned = _planned(authorized)
    if operation in CREATES_OBJECT and authorized.mode is ModeName.CSE:
        name = "" if authorized.rule is None else f" with wrapping key {authorized.rule.wrapping_key}"
        yield f"the body is sealed{name}; the upstream sees ciphertext only"
    shown = [
        f"{name}: {value if name in _SHOWN_VALUES else '(not shown)'}"
        for name, value in planned.headers
        if name in ENCRYPTION_HEADERS
    ]
    origin = "the client's own" if keeps_requested(authorized) else "added by the gateway"
    yield from (f"{line} ({origin})" for line in shown)
    if not shown:
        yield "no encryption header fields"


def expected_proof(authorized: AuthorizedRequest) -> Iterator[str]:
    """Step seven: what a success of the upstream has to show."""
    operation = authorized.request.operation
    mode = upload_id_of(authorized.request.query).mode if operation in CONTINUES_UPLOAD else authorized.mode
    if operation not in CREATES_OBJECT | CONTINUES_UPLOAD or mode is ModeName.NONE:
        yield "the upstream's answer; sizes and ranges are the plaintext's"
    elif mode is ModeName.CSE:
        yield "the upstream's answer; nothing has to be proven, only ciphertext left the gateway"
    else:
        yield f"the upstream's answer, if it confirms {mode.value}; else 501 NotImplemented"


def _planned(authorized: AuthorizedRequest) -> Plan:
    if authorized.request.operation not in CREATES_OBJECT:
        return plan(authorized, encryption_headers_of(authorized.request.raw.headers))
    return plan(authorized, new_object_headers(authorized, _SOME_KEY if needs_customer_key(authorized) else None))


def _upload_lines(upload_id: UploadId, authorized: AuthorizedRequest) -> Iterator[str]:
    if upload_id.mode is ModeName.NONE:
        yield "the upload did not begin with an encryption of the gateway, or not through the gateway"
        if any(rule.mode is not ModeName.NONE for rule in authorized.possible):
            yield "where the rule asks for an encryption, that is answered with 404 NoSuchUpload"
    elif upload_id.mode is ModeName.CSE:
        yield "the part is sealed under the key that its upload began with"
    else:
        yield f"a part of an upload that began with {upload_id.mode.value}; S3 encrypts it as it began"
