"""The well-known bucket policies about encryption, each for the header absent, right, wrong and odd."""

from typing import Any

import pytest

from gateway.policy.iam.decision import Access, Effect
from tests.policy.iam.asking import decide, policy, request, statement

KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SSE = "s3:x-amz-server-side-encryption"
KEY_ID = "s3:x-amz-server-side-encryption-aws-kms-key-id"
CUSTOMER = "s3:x-amz-server-side-encryption-customer-algorithm"
TLS = "aws:SecureTransport"
TLS_VERSION = "s3:TlsVersion"
AGE = "s3:signatureAge"

BUCKET_AND_OBJECTS = ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
REQUIRE_KMS = [statement(Condition={"StringNotEquals": {SSE: "aws:kms"}})]
REQUIRE_HEADER = [statement(Condition={"Null": {SSE: "true"}})]
KMS_OR_DEFAULT = [statement(Condition={"StringNotEquals": {SSE: "aws:kms"}, "Null": {SSE: "false"}})]
IF_EXISTS = [statement(Condition={"StringNotEqualsIfExists": {SSE: "aws:kms"}})]
ONE_KEY = [statement(Condition={"StringNotEquals": {KEY_ID: KEY_ARN}})]
ONE_KEY_OR_DEFAULT = [statement(Condition={"StringNotEquals": {KEY_ID: KEY_ARN}, "Null": {KEY_ID: "false"}})]
TLS_ONLY = [statement(Action="s3:*", Resource=BUCKET_AND_OBJECTS, Condition={"Bool": {TLS: "false"}})]
TLS_FLOOR = [statement(Condition={"NumericLessThan": {TLS_VERSION: "1.2"}, "Bool": {TLS: "true"}})]
REQUIRE_CUSTOMER_KEY = [statement(Condition={"Null": {CUSTOMER: "true"}})]
FORBID_CUSTOMER_KEY = [statement(Condition={"Null": {CUSTOMER: "false"}})]
PRESIGNED_AGE = [statement(Action="s3:*", Condition={"NumericGreaterThan": {AGE: 600000}})]


@pytest.mark.parametrize(
    ("statements", "keys", "denied"),
    [
        pytest.param(REQUIRE_KMS, {}, True, id="1 require KMS: absent"),
        pytest.param(REQUIRE_KMS, {SSE: "aws:kms"}, False, id="1 require KMS: right"),
        pytest.param(REQUIRE_KMS, {SSE: "AES256"}, True, id="1 require KMS: wrong"),
        pytest.param(REQUIRE_KMS, {SSE: "AWS:KMS"}, True, id="1 require KMS: case counts"),
        pytest.param(REQUIRE_KMS, {SSE: "aws:kms:dsse"}, True, id="1 require KMS: dual layer is another"),
        pytest.param(REQUIRE_KMS, {SSE: ""}, True, id="1 require KMS: empty"),
        pytest.param(REQUIRE_HEADER, {}, True, id="2 require header: absent"),
        pytest.param(REQUIRE_HEADER, {SSE: "aws:kms"}, False, id="2 require header: present"),
        pytest.param(REQUIRE_HEADER, {SSE: "nonsense"}, False, id="2 require header: wrong is present"),
        pytest.param(REQUIRE_HEADER + REQUIRE_KMS, {}, True, id="1 and 2: absent"),
        pytest.param(REQUIRE_HEADER + REQUIRE_KMS, {SSE: "AES256"}, True, id="1 and 2: wrong"),
        pytest.param(REQUIRE_HEADER + REQUIRE_KMS, {SSE: "aws:kms"}, False, id="1 and 2: right"),
        pytest.param(KMS_OR_DEFAULT, {}, False, id="3 KMS or default: absent"),
        pytest.param(KMS_OR_DEFAULT, {SSE: "aws:kms"}, False, id="3 KMS or default: right"),
        pytest.param(KMS_OR_DEFAULT, {SSE: "AES256"}, True, id="3 KMS or default: wrong"),
        pytest.param(IF_EXISTS, {}, True, id="3 IfExists under Deny: absent is denied"),
        pytest.param(IF_EXISTS, {SSE: "aws:kms"}, False, id="3 IfExists under Deny: right"),
        pytest.param(IF_EXISTS, {SSE: "AES256"}, True, id="3 IfExists under Deny: wrong"),
        pytest.param(ONE_KEY, {}, True, id="4 one key: absent"),
        pytest.param(ONE_KEY, {KEY_ID: KEY_ARN}, False, id="4 one key: right"),
        pytest.param(ONE_KEY, {KEY_ID: KEY_ARN.upper()}, True, id="4 one key: wrong"),
        pytest.param(ONE_KEY, {KEY_ID: "alias/data"}, True, id="4 one key: an alias is no ARN"),
        pytest.param(ONE_KEY, {KEY_ID: KEY_ARN.rpartition("/")[2]}, True, id="4 one key: a bare id is no ARN"),
        pytest.param(ONE_KEY_OR_DEFAULT, {}, False, id="4 one key or default: absent"),
        pytest.param(ONE_KEY_OR_DEFAULT, {KEY_ID: KEY_ARN}, False, id="4 one key or default: right"),
        pytest.param(ONE_KEY_OR_DEFAULT, {KEY_ID: "other"}, True, id="4 one key or default: wrong"),
        pytest.param(TLS_ONLY, {}, False, id="5 TLS only: absent"),
        pytest.param(TLS_ONLY, {TLS: "true"}, False, id="5 TLS only: TLS"),
        pytest.param(TLS_ONLY, {TLS: "false"}, True, id="5 TLS only: plain"),
        pytest.param(TLS_FLOOR, {}, False, id="5 TLS floor: absent"),
        pytest.param(TLS_FLOOR, {TLS: "true", TLS_VERSION: "1.2"}, False, id="5 TLS floor: at it"),
        pytest.param(TLS_FLOOR, {TLS: "true", TLS_VERSION: "1.3"}, False, id="5 TLS floor: above"),
        pytest.param(TLS_FLOOR, {TLS: "true", TLS_VERSION: "1.1"}, True, id="5 TLS floor: below"),
        pytest.param(TLS_FLOOR, {TLS: "false"}, False, id="5 TLS floor: plain is for another statement"),
        pytest.param(REQUIRE_CUSTOMER_KEY, {}, True, id="6 require customer key: absent"),
        pytest.param(REQUIRE_CUSTOMER_KEY, {CUSTOMER: "AES256"}, False, id="6 require customer key: present"),
        pytest.param(FORBID_CUSTOMER_KEY, {}, False, id="6 forbid customer key: absent"),
        pytest.param(FORBID_CUSTOMER_KEY, {CUSTOMER: "AES256"}, True, id="6 forbid customer key: present"),
        pytest.param(PRESIGNED_AGE, {}, False, id="7 presigned age: absent"),
        pytest.param(PRESIGNED_AGE, {AGE: "600000"}, False, id="7 presigned age: at it"),
        pytest.param(PRESIGNED_AGE, {AGE: "600001"}, True, id="7 presigned age: older"),
        pytest.param(PRESIGNED_AGE, {AGE: "old"}, False, id="7 presigned age: no number"),
    ],
)
def test_well_known_policies(statements: list[dict[str, Any]], keys: dict[str, str], denied: bool) -> None:
    """A policy that only denies is neutral about what it does not deny."""
    expected = Effect.DENY if denied else Effect.NEUTRAL
    assert decide(policy(*statements), request(keys)).effect is expected


@pytest.mark.parametrize("resource", ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key"])
def test_tls_only_is_about_bucket_and_objects(resource: str) -> None:
    access = Access("s3:ListBucket", resource)
    assert decide(policy(*TLS_ONLY), request({TLS: "false"}), access).effect is Effect.DENY
