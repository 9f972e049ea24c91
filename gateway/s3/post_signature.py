"""The proof inside a POST form: a signature over the base64 text of its policy.

Source: "Authenticating Requests in Browser-Based Uploads Using POST" (Signature Version 4), Amazon S3 API Reference.
There is no canonical request; what the signature does not say, the policy's conditions must.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authenticate import AuthSettings
from gateway.s3.credential_scope import SERVICE, ScopeFault, parse_credential
from gateway.s3.credentials import Identity
from gateway.s3.post_policy import PostPolicy, parse_policy
from gateway.s3.signature_errors import (
    access_denied,
    signature_does_not_match,
    unknown_access_key,
    unsupported_asymmetric_signature,
    unsupported_signature_version,
)
from gateway.s3.signature_verification import NOBODY, check_session_token
from gateway.s3.sigv2 import VERSION as SIGV2
from gateway.s3.sigv2 import sign_text_v2

_FAULT = ScopeFault("InvalidArgument", "Error parsing the X-Amz-Credential parameter;", "")
#: The fields of a proof by Signature Version 4, as S3 spells them.
_REQUIRED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature", "Policy")
_REQUIRED_V2 = ("AWSAccessKeyId", "Signature", "Policy")


@dataclass(frozen=True, slots=True)
class VerifiedPolicy:
    """A policy whose signature is right and which the form meets.

    Attributes:
        identity: who signed it.
        policy: the policy; its size limits are yet to be checked.
        signature_version: ``AWS4-HMAC-SHA256`` or ``AWS``.
    """

    identity: Identity
    policy: PostPolicy
    signature_version: str


def verify_post(
    fields: Mapping[str, str], bucket: str, identities: Mapping[str, Identity], now: datetime, settings: AuthSettings
) -> VerifiedPolicy:
    """Verify the proof and the policy of a form.

    Args:
        fields: the fields before the file, names in lower case, variables expanded.
        bucket: the bucket that the form was sent to; the policy has to name it.
        identities: who may speak to the gateway, by access key id.
        now: the current time, aware.
        settings: how strictly to check.

    Raises:
        S3Error: ``AccessDenied`` for a form without proof or against its policy, ``InvalidArgument`` for an incomplete
            or malformed proof, ``InvalidPolicyDocument``, and those of a wrong signature.
    """
    version_4 = any(name.lower() in fields for name in _REQUIRED[:4])
    version_2 = "awsaccesskeyid" in fields or "signature" in fields
    if version_4 and version_2:
        raise S3Error("InvalidArgument", "Only one auth mechanism allowed.")
    if version_4:
        identity = _verify_v4(fields, identities)
    elif version_2:
        if not settings.allow_sigv2:
            raise unsupported_signature_version()
        identity = _verify_v2(fields, identities)
    else:
        raise access_denied()
    policy = parse_policy(fields["policy"])
    policy.check({**fields, "bucket": bucket}, now)
    return VerifiedPolicy(identity, policy, sigv4.ALGORITHM if version_4 else SIGV2)


def _verify_v4(fields: Mapping[str, str], identities: Mapping[str, Identity]) -> Identity:
    _require(fields, _REQUIRED)
    if fields["x-amz-algorithm"] == "AWS4-ECDSA-P256-SHA256":
        raise unsupported_asymmetric_signature()
    if fields["x-amz-algorithm"] != sigv4.ALGORITHM:
        raise S3Error("InvalidArgument", f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}"')
    timestamp = fields["x-amz-date"]
    if sigv4.parse_timestamp(timestamp) is None:
        raise S3Error("InvalidArgument", "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    scope = parse_credential(fields["x-amz-credential"], timestamp, _FAULT)
    identity = identities.get(scope.access_key_id, NOBODY)
    key = sigv4.signing_key(identity.credential.secret_access_key, scope.date, scope.region, SERVICE)
    expected = sigv4.sign(key, fields["policy"])
    return _decide(identity, scope.access_key_id, expected, fields["x-amz-signature"], fields)


def _verify_v2(fields: Mapping[str, str], identities: Mapping[str, Identity]) -> Identity:
    _require(fields, _REQUIRED_V2)
    access_key_id = fields["awsaccesskeyid"]
    identity = identities.get(access_key_id, NOBODY)
    expected = sign_text_v2(identity.credential.secret_access_key, fields["policy"])
    return _decide(identity, access_key_id, expected, fields["signature"], fields)


def _decide(
    identity: Identity, access_key_id: str, expected: str, signature: str, fields: Mapping[str, str]
) -> Identity:
    """The string to sign is not shown: the policy in it may hold a session token or a customer key."""
    matches = hmac.compare_digest(expected.encode(), sigv4.to_bytes(signature))
    if identity is NOBODY:
        raise unknown_access_key(access_key_id)
    if not matches:
        raise signature_does_not_match(access_key_id, signature)
    token = fields.get("x-amz-security-token")
    check_session_token(identity, None if token is None else SecretStr(token))
    return identity


def _require(fields: Mapping[str, str], names: tuple[str, ...]) -> None:
    for name in names:
        if name.lower() not in fields:
            raise missing_field(name)


def missing_field(name: str) -> S3Error:
    """``InvalidArgument`` for a field that every form needs; S3 spells its name with an article before it."""
    return S3Error(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.",
        details=(("ArgumentName", name), ("ArgumentValue", "")),
    )
