"""Step four of a request: the encryption that its new object gets, from what was asked for and what the rule says."""

import json
from base64 import b64decode
from enum import StrEnum

from gateway.policy.permission import denied_by_rule
from gateway.policy.rules import KMS_MODES, EncryptionRule, ModeName
from gateway.s3.encryption_headers import RequestedEncryption


class EncryptionSource(StrEnum):
    """Who chose the encryption of an object."""

    CLIENT = "client"
    INJECTED = "injected"
    OVERRIDDEN = "overridden"
    NONE = "none"


def chosen_encryption(
    requested: RequestedEncryption, rule: EncryptionRule, subject: tuple[str, str, str]
) -> tuple[ModeName, EncryptionSource]:
    """The mode of a new object, and who chose it.

    Args:
        requested: what the client asked for.
        rule: the rule about the object.
        subject: bucket, object key and identity, which an encryption context may name.

    Raises:
        PolicyDenied: the rule does not let the client ask for that.
    """
    if requested.mode is None:
        injected = EncryptionSource.NONE if rule.mode is ModeName.NONE else EncryptionSource.INJECTED
        return rule.mode, injected
    if rule.enforce:
        return rule.mode, EncryptionSource.OVERRIDDEN
    asked = ModeName(requested.mode)
    if _names_the_rules_own(requested, asked, rule, subject):
        return rule.mode, EncryptionSource.INJECTED
    _refuse_others(requested, asked, rule)
    if rule.mode is ModeName.CSE:
        # Sealing does not replace what the client asked S3 for: S3 encrypts the ciphertext once more.
        return rule.mode, EncryptionSource.INJECTED
    return asked, EncryptionSource.CLIENT


def _names_the_rules_own(
    requested: RequestedEncryption, asked: ModeName, rule: EncryptionRule, subject: tuple[str, str, str]
) -> bool:
    """Whether a client of a binding rule asks for what the rule gives anyway, perhaps with less detail.

    S3 would take the account's own key where a client names ``aws:kms`` and no key; the rule's key comes instead.
    """
    if not rule.binds_clients or asked is not rule.mode or asked is ModeName.SSE_C:
        return False
    if requested.kms_key_id is not None and requested.kms_key_id != rule.kms_key_arn:
        return False
    return requested.context is None or _context(requested.context) == dict(rule.context_for(*subject))


def _refuse_others(requested: RequestedEncryption, asked: ModeName, rule: EncryptionRule) -> None:
    allowed = rule.allowed_kms_keys
    if asked in KMS_MODES and allowed:
        own = None if rule.refuse_others else rule.kms_key_arn
        if requested.kms_key_id is None or requested.kms_key_id not in {*allowed, own}:
            raise denied_by_rule(
                rule.name, "lets clients name only certain KMS keys, each by its full ARN as the rule has it"
            )
    elif rule.refuse_others:
        raise denied_by_rule(rule.name, f"refuses every other encryption than its own, which is {rule.mode.value}")


def _context(encoded: str) -> object:
    """An encryption context as sent; it was checked to be base64 of a JSON object."""
    return json.loads(b64decode(encoded))
