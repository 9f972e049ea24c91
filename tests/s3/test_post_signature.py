"""The proof inside a form: AWS's published example, botocore's forms, and what is missing or wrong."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.client import Config
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authenticate import AuthSettings
from gateway.s3.credentials import Credential, Identity
from gateway.s3.post_signature import VerifiedPolicy, verify_post

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "session/token+with=signs"
ALICE = Identity("alice", Credential(ACCESS_KEY, SecretStr(SECRET_KEY)))
BOB = Identity("bob", Credential("ASIATEMPORARY", SecretStr("other-secret"), SecretStr(TOKEN)))
IDENTITIES = {each.credential.access_key_id: each for each in (ALICE, BOB)}
STRICT = AuthSettings()
WITH_SIGV2 = AuthSettings(allow_sigv2=True)
NOW = datetime(2015, 12, 29, 1, tzinfo=UTC)

# Amazon S3 API Reference, "Example: Browser-Based Upload using HTTP POST (Using Signature Version 4)".
POLICY = """{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}""".replace("\n", "\r\n")
FIELDS = {
    "key": "user/user1/photo.jpg",
    "acl": "public-read",
    "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
    "content-type": "image/jpeg",
    "x-amz-meta-uuid": "14365123651274",
    "x-amz-server-side-encryption": "AES256",
    "x-amz-credential": f"{ACCESS_KEY}/20151229/us-east-1/s3/aws4_request",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-date": "20151229T000000Z",
    "x-amz-meta-tag": "",
    "policy": base64.b64encode(POLICY.encode()).decode(),
    "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}


def verify(
    fields: Mapping[str, str],
    bucket: str = "sigv4examplebucket",
    now: datetime = NOW,
    settings: AuthSettings = STRICT,
    identities: Mapping[str, Identity] = IDENTITIES,
) -> VerifiedPolicy:
    return verify_post(fields, bucket, identities, now, settings)


def refusal(
    fields: Mapping[str, str],
    bucket: str = "sigv4examplebucket",
    now: datetime = NOW,
    settings: AuthSettings = STRICT,
    identities: Mapping[str, Identity] = IDENTITIES,
) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verify(fields, bucket, now, settings, identities)
    return caught.value


def test_the_form_that_aws_published_is_verified() -> None:
    verified = verify(FIELDS)
    assert verified.identity is ALICE
    assert verified.signature_version == "AWS4-HMAC-SHA256"
    assert verified.policy.expiration == datetime(2015, 12, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "user/user2/a"}, 'Policy Condition failed: ["starts-with", "$key", "user/user1/"]'),
        ({"acl": "private"}, 'Policy Condition failed: ["eq", "$acl", "public-read"]'),
        ({"content-type": "text/html"}, 'Policy Condition failed: ["starts-with", "$content-type", "image/"]'),
        ({"x-amz-meta-b": "1"}, "Extra input fields: x-amz-meta-b"),
        ({"x-amz-server-side-encryption-aws-kms-key-id": "k"},
         "Extra input fields: x-amz-server-side-encryption-aws-kms-key-id"),
        ({"x-amz-security-token": "t"}, None),
    ],
)  # fmt: skip
def test_a_changed_form_is_refused(changes: dict[str, str], message: str | None) -> None:
    error = refusal(FIELDS | changes)
    if message is None:
        assert error.code == "InvalidToken"
    else:
        assert (error.code, error.message) == ("AccessDenied", f"Invalid according to Policy: {message}")


@pytest.mark.parametrize("name", ["key", "acl", "x-amz-meta-tag", "success_action_redirect"])
def test_a_field_that_the_policy_names_must_be_there(name: str) -> None:
    error = refusal({field: value for field, value in FIELDS.items() if field != name})
    assert error.message.startswith("Invalid according to Policy: Policy Condition failed: ")


def test_a_policy_is_for_one_bucket() -> None:
    assert refusal(FIELDS, bucket="other").message == (
        'Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "sigv4examplebucket"]'
    )
    assert refusal(FIELDS | {"bucket": "sigv4examplebucket"}, bucket="other").code == "AccessDenied"


def test_a_policy_that_names_no_bucket_is_refused() -> None:
    fields = signed_form('{"expiration": "2015-12-30T12:00:00Z", "conditions": [%s]}')
    assert refusal(fields, bucket="any").message == "Invalid according to Policy: Extra input fields: bucket"


def test_an_expired_policy_is_refused() -> None:
    error = refusal(FIELDS, now=datetime(2015, 12, 30, 12, tzinfo=UTC))
    assert (error.code, error.message) == ("AccessDenied", "Invalid according to Policy: Policy expired.")


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": base64.b64encode(POLICY.replace("user1", "user2").encode()).decode()},
        {"policy": base64.b64encode(b"{").decode()},
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": ""},
        {"x-amz-signature": "é"},
        {"x-amz-credential": f"{ACCESS_KEY}/20151229/eu-west-1/s3/aws4_request"},
    ],
)
def test_a_wrong_signature_is_refused_before_the_policy_is_read(changes: dict[str, str]) -> None:
    error = refusal(FIELDS | changes)
    assert error.code == "SignatureDoesNotMatch"
    assert [name for name, _ in error.details] == ["AWSAccessKeyId", "SignatureProvided"]


def test_unknown_keys_are_named() -> None:
    assert refusal(FIELDS, identities={}).details == (("AWSAccessKeyId", ACCESS_KEY),)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x-amz-algorithm", "X-Amz-Algorithm"),
        ("x-amz-credential", "X-Amz-Credential"),
        ("x-amz-date", "X-Amz-Date"),
        ("x-amz-signature", "X-Amz-Signature"),
        ("policy", "Policy"),
    ],
)
def test_an_incomplete_proof_is_refused(name: str, shown: str) -> None:
    error = refusal({field: value for field, value in FIELDS.items() if field != name})
    assert error.code == "InvalidArgument"
    assert error.message == (
        f"Bucket POST must contain a field named '{shown}'.  If it is specified, please check the order of the fields."
    )
    assert error.details == (("ArgumentName", shown), ("ArgumentValue", ""))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"}, "NotImplemented"),
        ({"x-amz-algorithm": "AWS4-HMAC-SHA1"}, "InvalidArgument"),
        ({"x-amz-date": "2015-12-29"}, "InvalidArgument"),
        ({"x-amz-date": "20151230T000000Z"}, "InvalidArgument"),
        ({"x-amz-credential": "a/b"}, "InvalidArgument"),
        ({"x-amz-credential": f"{ACCESS_KEY}/20151229/us-east-1/ec2/aws4_request"}, "InvalidArgument"),
        ({"awsaccesskeyid": ACCESS_KEY}, "InvalidArgument"),
        ({"signature": "a"}, "InvalidArgument"),
    ],
)
def test_a_malformed_proof_is_refused(changes: dict[str, str], code: str) -> None:
    assert refusal(FIELDS | changes, settings=WITH_SIGV2).code == code


@pytest.mark.parametrize("fields", [{}, {"key": "a"}, {"key": "a", "policy": FIELDS["policy"]}])
def test_a_form_without_proof_is_denied(fields: dict[str, str]) -> None:
    error = refusal(fields)
    assert (error.code, error.message) == ("AccessDenied", "Access Denied")


def signed_form(policy: str, identity: Identity = ALICE) -> dict[str, str]:
    """A form of nothing but its proof; ``%s`` in the policy becomes the conditions about that."""
    credential = identity.credential
    proof = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{credential.access_key_id}/20151229/us-east-1/s3/aws4_request",
        "x-amz-date": "20151229T000000Z",
    }
    conditions = ", ".join(f'{{"{name}": "{value}"}}' for name, value in proof.items())
    encoded = base64.b64encode((policy % conditions).encode()).decode()
    key = sigv4.signing_key(credential.secret_access_key, "20151229", "us-east-1", "s3")
    return proof | {"policy": encoded, "x-amz-signature": sigv4.sign(key, encoded)}


def test_an_invalid_policy_is_refused_even_when_it_is_signed() -> None:
    assert refusal(signed_form("{%s")).code == "InvalidPolicyDocument"


def botocore_form(
    identity: Identity, version: str, bucket: str, key: str, fields: dict[str, str], extra: list[object]
) -> dict[str, str]:
    token = identity.credential.session_token
    session = Session()
    session.set_credentials(
        identity.credential.access_key_id,
        identity.credential.secret_access_key.reveal(),
        None if token is None else token.reveal(),
    )
    client: Any = session.create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url="https://s3.example.com",
        config=Config(signature_version=version),
    )
    form = client.generate_presigned_post(
        Bucket=bucket,
        Key=key,
        Fields=dict(fields),
        Conditions=[*({name: value} for name, value in fields.items()), *extra],
    )
    return {name.lower(): value for name, value in form["fields"].items()}


@settings(max_examples=15, deadline=None)
@given(
    version=st.sampled_from(["s3v4", "s3"]),
    identity=st.sampled_from([ALICE, BOB]),
    key=st.text(min_size=1, max_size=20).filter(lambda key: "$" not in key),
    fields=st.dictionaries(
        st.from_regex(r"(x-amz-meta-[a-z]{1,5}|acl|Content-Type|success_action_status)", fullmatch=True),
        st.text(max_size=8).filter(lambda value: "$" not in value),
        max_size=3,
    ),
)
def test_the_forms_that_botocore_makes_are_verified(
    version: str, identity: Identity, key: str, fields: dict[str, str]
) -> None:
    form = botocore_form(identity, version, "bucket", key, fields, [["content-length-range", 2, 5]])
    verified = verify(form, "bucket", datetime.now(UTC), WITH_SIGV2)
    assert verified.identity is identity
    assert verified.signature_version == ("AWS4-HMAC-SHA256" if version == "s3v4" else "AWS")
    assert (verified.policy.minimum_size, verified.policy.maximum_size) == (2, 5)
    assert refusal(form | {"key": f"{key}2"}, "bucket", datetime.now(UTC), WITH_SIGV2).code == "AccessDenied"
    assert refusal(form | {"x-amz-meta-added": "1"}, "bucket", datetime.now(UTC), WITH_SIGV2).code == "AccessDenied"


def test_forms_of_version_2_are_refused_unless_allowed() -> None:
    form = botocore_form(ALICE, "s3", "bucket", "key", {}, [])
    now = datetime.now(UTC)
    assert refusal(form, "bucket", now).code == "InvalidRequest"
    assert verify(form, "bucket", now, WITH_SIGV2).signature_version == "AWS"
    assert refusal(form | {"signature": "wrong"}, "bucket", now, WITH_SIGV2).code == "SignatureDoesNotMatch"
    without_key = {name: value for name, value in form.items() if name != "awsaccesskeyid"}
    assert refusal(without_key, "bucket", now, WITH_SIGV2).code == "InvalidArgument"
    assert refusal(form, "bucket", now, WITH_SIGV2, {}).code == "InvalidAccessKeyId"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_session_tokens_must_be_the_identitys_own(version: str) -> None:
    form = botocore_form(BOB, version, "bucket", "key", {}, [])
    key = BOB.credential.access_key_id
    for token in (None, SecretStr("other")):
        known = {key: replace(BOB, credential=replace(BOB.credential, session_token=token))}
        error = refusal(form, "bucket", datetime.now(UTC), WITH_SIGV2, known)
        assert error.code == "InvalidToken"
        assert TOKEN not in f"{error} {error.details}"
