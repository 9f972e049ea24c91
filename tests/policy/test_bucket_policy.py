"""The policy that a bucket has: which statements are the gateway's, and what counts as a difference."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.policy.bucket_policy import (
    Kind,
    LivePolicy,
    differences,
    merged,
    parse_live_policy,
    render_policy,
    same_policy,
)
from gateway.policy.closing import Closing, Part, closing_policy
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES
from gateway.policy.rules import EncryptionRule, ModeName

_OWN: dict[str, Any] = {
    "Sid": "SealgateWriters",
    "Effect": "Deny",
    "Principal": "*",
    "Action": ["s3:PutObject*", "s3:DeleteObject*"],
    "Resource": "arn:aws:s3:::bucket/*",
    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/a"]}},
}
_FOREIGN: dict[str, Any] = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Odd": [1, None]}
_POLICY: dict[str, Any] = {"Version": "2012-10-17", "Statement": [_OWN]}


def _live(*statements: dict[str, Any], **members: Any) -> LivePolicy:
    return parse_live_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements), **members}))


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Action": ["s3:deleteobject*", "S3:PutObject*", "s3:PutObject*"]},
        {"Resource": ["arn:aws:s3:::bucket/*"]},
        {"Condition": {"ArnNotEquals": {"AWS:principalarn": "arn:aws:iam::111122223333:role/a"}}},
    ],
    ids=["principal", "principal-list", "actions", "resources", "condition"],
)
def test_the_same_in_another_spelling(change: dict[str, Any]) -> None:
    live = _live({**_OWN, **change})
    assert differences(live, _POLICY) == ()
    assert same_policy(live.document or {}, _POLICY)


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "111122223333"}},
        {"Action": ["s3:PutObject*"]},
        {"Resource": "arn:aws:s3:::Bucket/*"},
        {"Condition": {"ArnNotLike": _OWN["Condition"]["ArnNotEquals"]}},
        {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/A"]}}},
        {"Condition": {**_OWN["Condition"], "Bool": {"aws:SecureTransport": "true"}}},
    ],
    ids=["effect", "principal", "actions", "resource", "operator", "value", "more"],
)
def test_another_meaning(change: dict[str, Any]) -> None:
    live = _live({**_OWN, **change})
    [found] = differences(live, _POLICY)
    assert (found.kind, found.sid, found.live, found.wanted) == (
        Kind.DIFFERENT,
        "SealgateWriters",
        {**_OWN, **change},
        _OWN,
    )
    assert not same_policy(live.document or {}, _POLICY)


def test_numbers_and_booleans_without_quotes() -> None:
    texts = {**_OWN, "Condition": {"Bool": {"aws:SecureTransport": "false"}, "NumericLessThan": {"s3:TlsVersion": "2"}}}
    plain = {**_OWN, "Condition": {"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:TlsVersion": 2}}}
    assert differences(_live(plain), {**_POLICY, "Statement": [texts]}) == ()


def test_an_account_is_its_root() -> None:
    root = {**_OWN, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}
    account = {**_OWN, "Principal": {"AWS": ["111122223333"]}}
    assert differences(_live(account), {**_POLICY, "Statement": [root]}) == ()


def test_missing_and_extra_statements() -> None:
    extra = {**_OWN, "Sid": "SealgateOld"}
    found = differences(_live(_FOREIGN, extra), _POLICY)
    assert [(each.kind, each.sid) for each in found] == [
        (Kind.EXTRA, "SealgateOld"),
        (Kind.MISSING, "SealgateWriters"),
    ]
    assert [each.kind for each in differences(LivePolicy(None), _POLICY)] == [Kind.MISSING]
    # A second one with the same Sid, as servers take it that do not look.
    assert [each.kind for each in differences(_live(_OWN, {**_OWN, "Effect": "Allow"}), _POLICY)] == [Kind.EXTRA]


def test_statements_of_others_stay_as_they_are() -> None:
    live = _live(_FOREIGN, {**_OWN, "Sid": "SealgateOld"}, {"Effect": "Deny"}, Id="theirs")
    document = merged(live, _POLICY)
    assert document == {
        "Version": "2012-10-17",
        "Id": "theirs",
        "Statement": [_FOREIGN, {"Effect": "Deny"}, _OWN],
    }
    assert differences(parse_live_policy(json.dumps(document)), _POLICY) == ()


def test_one_statement_without_a_list() -> None:
    live = parse_live_policy(json.dumps({"Version": "2012-10-17", "Statement": _FOREIGN}))
    assert merged(live, _POLICY)["Statement"] == [_FOREIGN, _OWN]


def test_an_old_version_of_the_language() -> None:
    """Under today's, text of others would become variables; without any it makes no difference."""
    old = parse_live_policy(json.dumps({"Version": "2008-10-17", "Statement": [{**_FOREIGN, "Resource": "${a}"}]}))
    with pytest.raises(ConfigError, match="2012-10-17"):
        merged(old, _POLICY)
    plain = parse_live_policy(json.dumps({"Statement": [_FOREIGN]}))
    assert merged(plain, _POLICY)["Version"] == "2012-10-17"
    dollar = {**_OWN, "Resource": "arn:aws:s3:::bucket/${$}{x}*"}
    same = parse_live_policy(json.dumps({"Version": "2008-10-17", "Statement": [dollar]}))
    assert [each.kind for each in differences(same, {**_POLICY, "Statement": [dollar]})] == [Kind.DIFFERENT]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"Statement": [1]}',
        '{"Statement": "x"}',
        '{"Statement": [], "Statement": []}',
        "NaN",
        "[" * 100_000,
    ],
    ids=["empty", "null", "list", "open", "number", "text", "twice", "nan", "deep"],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(ConfigError, match="can not be read"):
        parse_live_policy(text)


@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(chance: random.Random) -> None:
    rules = [
        EncryptionRule("a", ("*",), ("a/", "b/"), ModeName.SSE_C, customer_key="k"),
        EncryptionRule("rest", ("*",), (), ModeName.SSE_S3),
    ]
    document = closing_policy(Closing("bucket", rules, ("arn:1", "arn:2"), frozenset(Part))).document
    shuffled = _shuffled(json.loads(json.dumps(document)), chance)
    assert differences(parse_live_policy(json.dumps(shuffled)), document) == ()
    assert same_policy(shuffled, document)


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(name, _shuffled(each, chance)) for name, each in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return chance.sample([_shuffled(each, chance) for each in value], len(value))
    return value


def test_the_size_that_s3_takes() -> None:
    """Up to there it is printed to be read, then without blanks, then not at all."""

    def policy(size: int) -> dict[str, Any]:
        return {"Statement": ["x" * 20] * size}

    sizes = [len(render_policy(policy(count))) for count in (1, 700, 850)]
    assert all(size <= MAXIMUM_BUCKET_POLICY_BYTES for size in sizes)
    assert "\n" in render_policy(policy(600))
    assert "\n" not in render_policy(policy(850))
    with pytest.raises(ConfigError, match="20,480"):
        render_policy(policy(900))
