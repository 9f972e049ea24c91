"""The policy document of a form: its parser, its conditions, and S3's words for each fault."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.post_policy import Condition, PostPolicy, parse_policy

EXPIRATION = "2015-12-30T12:00:00.000Z"
EXPIRES_AT = datetime(2015, 12, 30, 12, tzinfo=UTC)
NOW = EXPIRES_AT - timedelta(hours=1)


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def policy_with(*conditions: object) -> PostPolicy:
    return parse_policy(encoded({"expiration": EXPIRATION, "conditions": list(conditions)}))


def invalid(text: str) -> S3Error:
    with pytest.raises(S3Error) as caught:
        parse_policy(text)
    assert caught.value.code == "InvalidPolicyDocument"
    assert caught.value.message.startswith("Invalid Policy: ")
    assert caught.value.message.encode()
    return caught.value


def test_both_forms_of_conditions_are_read() -> None:
    policy = policy_with(
        {"acl": "public-read"},
        ["eq", "$Success_Action_Status", "201"],
        ["starts-with", "$key", "user/"],
        ["Starts-With", "$X-Amz-Meta-Tag", ""],
        ["content-length-range", 1, "1024"],
    )
    assert policy.expiration == EXPIRES_AT
    assert policy.conditions == (
        Condition("eq", "acl", "public-read"),
        Condition("eq", "success_action_status", "201"),
        Condition("starts-with", "key", "user/"),
        Condition("starts-with", "x-amz-meta-tag", ""),
    )
    assert (policy.minimum_size, policy.maximum_size) == (1, 1024)


def test_the_narrowest_size_range_counts() -> None:
    policy = policy_with(["content-length-range", 1, 10], ["content-length-range", 5, 100])
    assert (policy.minimum_size, policy.maximum_size) == (5, 10)
    unlimited = policy_with()
    assert (unlimited.minimum_size, unlimited.maximum_size) == (0, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid JSON."),
        ("!", "Invalid JSON."),
        ("é", "Invalid JSON."),
        ("e30", "Invalid JSON."),
        (base64.b64encode(b"{").decode(), "Invalid JSON."),
        (base64.b64encode(b'{"a": "\xff"}').decode(), "Invalid JSON."),
        (base64.b64encode(b"[" * 15000).decode(), "Invalid JSON."),
        (base64.b64encode(b"9" * 15000).decode(), "Invalid JSON."),
        (encoded([]), "Invalid JSON."),
        (encoded({}), "Policy missing conditions."),
        (encoded({"expiration": EXPIRATION}), "Policy missing conditions."),
        (
            encoded({"expiration": EXPIRATION, "conditions": {}}),
            "Invalid 'conditions' value: a list is expected.",
        ),
        (encoded({"conditions": []}), "Policy missing expiration."),
        (encoded({"expiration": 5, "conditions": []}), "Policy missing expiration."),
        (encoded({"expiration": "soon", "conditions": []}), "Invalid 'expiration' value: 'soon'"),
        (
            encoded({"expiration": "2015-02-30T12:00:00Z", "conditions": []}),
            "Invalid 'expiration' value: '2015-02-30T12:00:00Z'",
        ),
        (
            encoded({"expiration": "2015-12-30T12:00:00+01:00", "conditions": []}),
            "Invalid 'expiration' value: '2015-12-30T12:00:00+01:00'",
        ),
        (encoded({"expiration": "\ud800", "conditions": []}), "Invalid 'expiration' value: '?'"),
    ],
)
def test_a_malformed_document_is_refused(text: str, problem: str) -> None:
    assert invalid(text).message == f"Invalid Policy: {problem}"


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"acl": "a", "key": "b"},
        {"acl": 1},
        {"acl": None},
        "eq",
        5,
        [],
        ["eq", "$key"],
        ["eq", "$key", "a", "b"],
        [1, "$key", "a"],
        ["ends-with", "$key", "a"],
        ["eq", "key", "a"],
        ["eq", "$key", 1],
        ["eq", 1, "a"],
        ["content-length-range", -1, 10],
        ["content-length-range", 1.5, 10],
        ["content-length-range", True, 10],
        ["content-length-range", "a", "b"],
        ["content-length-range", "٣", "9"],
        ["content-length-range", 0, 10**16],
    ],
)
def test_a_malformed_condition_is_refused(condition: object) -> None:
    invalid(encoded({"expiration": EXPIRATION, "conditions": [condition]}))


@given(st.text() | st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
def test_garbage_is_refused_with_an_s3_error(text: str) -> None:
    with pytest.raises(S3Error, match="InvalidPolicyDocument"):
        parse_policy(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, min_size=1, max_size=3))
def test_conditions_of_any_shape_are_parsed_or_refused(conditions: list[object]) -> None:
    assert outcome(*conditions) in {"parsed", "InvalidPolicyDocument"}


def outcome(*conditions: object) -> str:
    try:
        policy_with(*conditions)
    except S3Error as error:
        return error.code
    return "parsed"


@pytest.mark.parametrize(
    ("condition", "fields", "holds"),
    [
        (Condition("eq", "key", "a"), {"key": "a"}, True),
        (Condition("eq", "key", "a"), {"key": "A"}, False),
        (Condition("eq", "key", "a"), {"key": "ab"}, False),
        (Condition("eq", "key", ""), {}, False),
        (Condition("starts-with", "key", "user/"), {"key": "user/a"}, True),
        (Condition("starts-with", "key", "user/"), {"key": "use"}, False),
        (Condition("starts-with", "key", ""), {"key": ""}, True),
        (Condition("starts-with", "key", ""), {}, False),
        (Condition("starts-with", "content-type", "image/"), {"content-type": "image/png, image/gif"}, True),
        (Condition("starts-with", "content-type", "image/"), {"content-type": "image/png,text/html"}, False),
        (Condition("starts-with", "key", "a,"), {"key": "a,b"}, True),
    ],
)
def test_conditions(condition: Condition, fields: dict[str, str], holds: bool) -> None:
    assert condition.holds(fields) is holds


def refusal(policy: PostPolicy, fields: dict[str, str], now: datetime = NOW) -> str:
    with pytest.raises(S3Error) as caught:
        policy.check(fields, now)
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
    return caught.value.message


def test_a_policy_expires() -> None:
    policy = policy_with()
    policy.check({}, EXPIRES_AT - timedelta(seconds=1))
    assert refusal(policy, {}, EXPIRES_AT) == "Invalid according to Policy: Policy expired."


def test_a_condition_that_does_not_hold_is_named() -> None:
    policy = policy_with({"acl": "private"}, ["starts-with", "$key", "üser/"])
    assert refusal(policy, {"acl": "public-read", "key": "üser/a"}) == (
        'Invalid according to Policy: Policy Condition failed: ["eq", "$acl", "private"]'
    )
    assert refusal(policy, {"acl": "private", "key": "a"}) == (
        'Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "üser/"]'
    )


@pytest.mark.parametrize(
    "field",
    [
        "x-amz-security-token",
        "X-Amz-Server-Side-Encryption-Customer-Key",
        "x-amz-copy-source-server-side-encryption-customer-key",
    ],
)
def test_a_secret_in_a_condition_is_not_repeated(field: str) -> None:
    assert "s3cret" not in refusal(policy_with({field: "s3cret"}), {})


def test_every_field_must_be_covered() -> None:
    policy = policy_with(["starts-with", "$key", ""])
    policy.check(
        {
            "key": "a",
            "policy": "p",
            "x-amz-signature": "s",
            "signature": "s",
            "awsaccesskeyid": "k",
            "file": "f",
            "x-ignore-a": "b",
        },
        NOW,
    )
    assert refusal(policy, {"key": "a", "x-amz-meta-b": "1", "acl": "public-read"}) == (
        "Invalid according to Policy: Extra input fields: acl, x-amz-meta-b"
    )


@pytest.mark.parametrize(
    ("size", "code", "details"),
    [
        (0, "EntityTooSmall", (("ProposedSize", "0"), ("MinSizeAllowed", "1"))),
        (1, None, ()),
        (10, None, ()),
        (11, "EntityTooLarge", (("ProposedSize", "11"), ("MaxSizeAllowed", "10"))),
    ],
)
def test_the_size_of_the_file_is_held_against_the_policy(
    size: int, code: str | None, details: tuple[tuple[str, str], ...]
) -> None:
    policy = policy_with(["content-length-range", 1, 10])
    if code is None:
        policy.check_size(size)
        return
    with pytest.raises(S3Error) as caught:
        policy.check_size(size)
    assert (caught.value.code, caught.value.details) == (code, details)


def test_without_a_range_any_size_is_allowed() -> None:
    policy_with().check_size(0)
    policy_with().check_size(10**15)
