"""The encryption of a new object, where a rule limits what its client may ask for."""

import json
from base64 import b64encode

import pytest

from gateway.policy.default_encryption import EncryptionSource, chosen_encryption
from gateway.policy.permission import PolicyDenied
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes
from gateway.s3.encryption_headers import CustomerKeyHeaders, RequestedEncryption

KEY, ALLOWED, OTHER = (f"arn:aws:kms:eu-central-1:111122223333:key/{name}" for name in ("own", "allowed", "other"))
SUBJECT = ("bucket", "key", "ann")
CLIENT, INJECTED = EncryptionSource.CLIENT, EncryptionSource.INJECTED


def _context(**pairs: str) -> str:
    return b64encode(json.dumps(pairs).encode()).decode()


NOTHING = RequestedEncryption()
AES = RequestedEncryption(sse="AES256")
CUSTOMER = RequestedEncryption(customer=CustomerKeyHeaders.of(SecretBytes(b"c" * 32)))


def _kms(key: str | None = None, *, sse: str = "aws:kms", context: str | None = None) -> RequestedEncryption:
    return RequestedEncryption(sse=sse, kms_key_id=key, context=context)


def _rule(mode: ModeName, *, refuse: bool = False, allowed: tuple[str, ...] = ()) -> EncryptionRule:
    kms = mode in {ModeName.SSE_KMS, ModeName.DSSE_KMS}
    return EncryptionRule(
        "rule",
        ("*",),
        (),
        mode,
        kms_key_arn=KEY if kms else None,
        encryption_context=(("by", "{identity}"),) if kms else (),
        refuse_others=refuse,
        allowed_kms_keys=allowed,
    )


@pytest.mark.parametrize(
    ("rule", "requested", "mode", "source"),
    [
        # Nothing asked for: the rule's own, however it limits clients.
        (_rule(ModeName.SSE_KMS, refuse=True), NOTHING, ModeName.SSE_KMS, INJECTED),
        (_rule(ModeName.CSE, refuse=True), NOTHING, ModeName.CSE, INJECTED),
        # The rule's own encryption named, in full or in part: it comes with the rule's key and context.
        (_rule(ModeName.SSE_S3, refuse=True), AES, ModeName.SSE_S3, INJECTED),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(), ModeName.SSE_KMS, INJECTED),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY), ModeName.SSE_KMS, INJECTED),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY, context=_context(by="ann")), ModeName.SSE_KMS, INJECTED),
        (_rule(ModeName.DSSE_KMS, refuse=True), _kms(KEY, sse="aws:kms:dsse"), ModeName.DSSE_KMS, INJECTED),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(), ModeName.SSE_KMS, INJECTED),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(KEY), ModeName.SSE_KMS, INJECTED),
        # Allowed keys.
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(ALLOWED), ModeName.SSE_KMS, CLIENT),
        (_rule(ModeName.SSE_KMS, refuse=True, allowed=(ALLOWED,)), _kms(ALLOWED), ModeName.SSE_KMS, CLIENT),
        (_rule(ModeName.SSE_S3, refuse=True, allowed=(ALLOWED,)), _kms(ALLOWED), ModeName.SSE_KMS, CLIENT),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(KEY, sse="aws:kms:dsse"), ModeName.DSSE_KMS, CLIENT),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), AES, ModeName.SSE_S3, CLIENT),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), CUSTOMER, ModeName.SSE_C, CLIENT),
        (_rule(ModeName.NONE, allowed=(ALLOWED,)), _kms(ALLOWED), ModeName.SSE_KMS, CLIENT),
        (_rule(ModeName.CSE, allowed=(ALLOWED,)), _kms(ALLOWED), ModeName.CSE, INJECTED),
    ],
)
def test_accepted(
    rule: EncryptionRule, requested: RequestedEncryption, mode: ModeName, source: EncryptionSource
) -> None:
    assert chosen_encryption(requested, rule, SUBJECT) == (mode, source)


@pytest.mark.parametrize(
    ("rule", "requested", "reason"),
    [
        (_rule(ModeName.SSE_KMS, refuse=True), AES, "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), CUSTOMER, "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(OTHER), "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY.rpartition("/")[2]), "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms("alias/own"), "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY, sse="aws:kms:dsse"), "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY, context=_context(by="bob")), "every other"),
        (_rule(ModeName.SSE_KMS, refuse=True), _kms(KEY, context=_context()), "every other"),
        (_rule(ModeName.DSSE_KMS, refuse=True), _kms(KEY), "every other"),
        (_rule(ModeName.SSE_S3, refuse=True), _kms(), "every other"),
        (_rule(ModeName.SSE_C, refuse=True), CUSTOMER, "every other"),
        (_rule(ModeName.CSE, refuse=True), AES, "every other"),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(OTHER), "certain KMS keys"),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms("allowed"), "certain KMS keys"),
        (_rule(ModeName.SSE_KMS, allowed=(ALLOWED,)), _kms(sse="aws:kms:dsse"), "certain KMS keys"),
        (_rule(ModeName.SSE_S3, allowed=(ALLOWED,)), _kms(), "certain KMS keys"),
        (_rule(ModeName.CSE, allowed=(ALLOWED,)), _kms(OTHER), "certain KMS keys"),
        (_rule(ModeName.SSE_S3, refuse=True, allowed=(ALLOWED,)), _kms(OTHER), "certain KMS keys"),
        (_rule(ModeName.SSE_S3, refuse=True, allowed=(ALLOWED,)), CUSTOMER, "every other"),
    ],
)
def test_refused(rule: EncryptionRule, requested: RequestedEncryption, reason: str) -> None:
    with pytest.raises(PolicyDenied) as caught:
        chosen_encryption(requested, rule, SUBJECT)
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
    assert caught.value.permission.rule == "encryption rule rule"
    assert "'rule'" in caught.value.message
    assert reason in caught.value.message
