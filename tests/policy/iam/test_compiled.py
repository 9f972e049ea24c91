"""Decisions over all policies: what applies, what wins, what is reported."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Decision, Effect
from gateway.policy.iam.document import Policy
from gateway.policy.iam.memo import MAXIMUM_ANSWERS, MAXIMUM_QUESTION, Memo
from gateway.policy.iam.operators import OPERATORS, parse_operator
from tests.policy.iam.asking import PUT, Request, decide, policy, request, statement

BUCKET = "arn:aws:s3:::bucket"


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("s3:PutObject", "s3:PutObject", True),
        ("s3:putobject", "s3:PutObject", True),
        ("S3:PUTOBJECT", "s3:PutObject", True),
        ("s3:PutObject", "s3:PutObjectAcl", False),
        ("s3:PutObject*", "s3:PutObjectAcl", True),
        ("s3:Put*", "s3:PutObject", True),
        ("s3:Put*", "s3:GetObject", False),
        ("s3:*", "s3:GetObject", True),
        ("s3:*", "kms:Decrypt", False),
        ("*", "s3:GetObject", True),
        ("s3:*Object", "s3:GetObject", True),
        ("s3:*Object", "s3:GetObjectAcl", False),
        ("s3:?etObject", "s3:GetObject", True),
        ("s3:?etObject", "s3:etObject", False),
        (["s3:GetObject", "s3:PutObject"], "s3:PutObject", True),
        (["s3:GetObject", "s3:PutObject"], "s3:DeleteObject", False),
    ],
)
def test_actions(pattern: str | list[str], action: str, expected: bool) -> None:
    """And NotAction is about every other action."""
    access = Access(action, f"{BUCKET}/key")
    assert (decide(policy(statement(Action=pattern)), request(), access).effect is Effect.DENY) is expected
    negated = policy(statement(Action=None, NotAction=pattern))
    assert (decide(negated, request(), access).effect is Effect.DENY) is not expected


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("*", BUCKET, True),
        ("*", f"{BUCKET}/a", True),
        ("*", "*", True),
        ("arn:aws:s3:::*", "arn:aws:s3:::x/y", True),
        ("arn:aws:s3:::*", "*", False),
        (BUCKET, BUCKET, True),
        (BUCKET, f"{BUCKET}/a", False),
        (BUCKET, f"{BUCKET}2", False),
        (f"{BUCKET}*", f"{BUCKET}2/a", True),
        (f"{BUCKET}/*", f"{BUCKET}/a/b", True),
        (f"{BUCKET}/*", f"{BUCKET}/", True),
        (f"{BUCKET}/*", BUCKET, False),
        (f"{BUCKET}/*", f"{BUCKET}2/a", False),
        (f"{BUCKET}/a", f"{BUCKET}/a", True),
        (f"{BUCKET}/a", f"{BUCKET}/A", False),
        (f"{BUCKET}/a", f"{BUCKET}/a/b", False),
        (f"{BUCKET}/a/*", f"{BUCKET}/a/b/c", True),
        (f"{BUCKET}/a/*", f"{BUCKET}/a", False),
        (f"{BUCKET}/a/*", f"{BUCKET}/b/a/", False),
        (f"{BUCKET}/*/x", f"{BUCKET}/a/b/x", True),
        (f"{BUCKET}/*/x", f"{BUCKET}/a/b/xy", False),
        (f"{BUCKET}/a?c", f"{BUCKET}/abc", True),
        (f"{BUCKET}/a?c", f"{BUCKET}/a/c", True),
        (f"{BUCKET}/a?c", f"{BUCKET}/ac", False),
        ("arn:aws:s3:::*/x", f"{BUCKET}/x", True),
        ("arn:aws:s3:::*/x", f"{BUCKET}/y", False),
        ("arn:aws:s3:::b?cket/*", f"{BUCKET}/y", True),
        ("arn:*:s3:::bucket/*", f"{BUCKET}/y", True),
        ("arn:aws:s3:*:*:bucket/*", f"{BUCKET}/y", True),
        ("arn:aws:s3:*:1:bucket/*", f"{BUCKET}/y", False),
        ("arn:aws:s3:*:x:y", "arn:aws:s3:::z:x:y", False),
        ("arn:aws:sns:*:*:*", f"{BUCKET}/y", False),
        (f"{BUCKET}/\U0010ffff*", f"{BUCKET}/\U0010ffffa", True),
        (f"{BUCKET}/\U0010ffff*", f"{BUCKET}/a", False),
        ([f"{BUCKET}/a*", f"{BUCKET}/*z"], f"{BUCKET}/bz", True),
        ([f"{BUCKET}/a*", f"{BUCKET}/*z"], f"{BUCKET}/ab", True),
        ([f"{BUCKET}/a*", f"{BUCKET}/*z"], f"{BUCKET}/bb", False),
    ],
)
def test_resources(pattern: str | list[str], resource: str, expected: bool) -> None:
    """And NotResource is about every other resource."""
    access = Access("s3:PutObject", resource)
    assert (decide(policy(statement(Resource=pattern)), request(), access).effect is Effect.DENY) is expected
    negated = policy(statement(Resource=None, NotResource=pattern))
    assert (decide(negated, request(), access).effect is Effect.DENY) is not expected


def test_no_policy_and_no_matching_statement_are_neutral() -> None:
    assert decide([], request()) == Decision(Effect.NEUTRAL)
    assert decide(policy(statement("Allow")), request(), Access("s3:GetObject", f"{BUCKET}/a")).rule == "default"


def test_allow_and_deny() -> None:
    """Deny wins before and after, within a policy and across policies."""
    allow, deny = statement("Allow", Sid="yes"), statement("Deny", Sid="no")
    for policies in (
        [policy(allow, deny)],
        [policy(deny, allow)],
        [policy(allow), policy(deny)],
        [policy(deny), policy(allow)],
    ):
        found = decide(policies, request())
        assert (found.effect, found.sid) == (Effect.DENY, "no")
    assert decide(policy(allow), request()).effect is Effect.ALLOW


def test_the_first_statement_that_decides_is_reported() -> None:
    first = policy(statement("Allow"), statement("Deny", Action="s3:GetObject"), name="first")
    second = policy(statement("Allow", Sid="a"), statement(), statement(Sid="last"), name="second")
    assert decide([first, second], request()) == Decision(Effect.DENY, "second", 1, None)
    assert decide([first, second], request()).rule == "second/1"
    allowed = decide([first, policy(statement("Allow", Sid="x"))], request())
    assert allowed == Decision(Effect.ALLOW, "first", 0, None)


def test_the_same_question_is_answered_alike_each_time() -> None:
    """Also after a great many others, when nothing is remembered any more, and for what is too long to remember."""
    compiled = CompiledPolicies(
        [policy(statement(Condition={"StringLike": {"s3:a": ["x*z", "??"]}, "StringNotEquals": {"s3:b": "1"}}))]
    )
    asked = [request({"s3:a": "xyz"}), request({"s3:a": "xy"}), request({"s3:a": "x" * 9000 + "z"}), request()]
    before = [compiled.decide(each, PUT).effect for each in asked]
    assert before == [Effect.DENY, Effect.DENY, Effect.DENY, Effect.NEUTRAL]
    for number in range(2 * MAXIMUM_ANSWERS + 10):
        other = request({"s3:a": f"other-{number}", "s3:b": str(number)}, principal=f"arn:aws:iam::1:user/{number}")
        assert compiled.decide(other, Access(f"s3:Put{number}", f"{BUCKET}/{number}")).effect is Effect.NEUTRAL
        assert compiled.decide(other, PUT).effect is Effect.NEUTRAL
    assert [compiled.decide(each, PUT).effect for each in asked] == before


def test_memo_is_bounded() -> None:
    """It forgets everything rather than grow, and does not remember long questions."""
    memo: Memo[str, int] = Memo()
    for number in range(MAXIMUM_ANSWERS):
        assert memo.keep(str(number), number, 1) == number
    assert memo.recall("0") == 0
    memo.keep("one more", 1, 1)
    assert memo.recall("0") is None
    assert memo.recall("one more") == 1
    assert memo.keep("long", 2, MAXIMUM_QUESTION + 1) == 2
    assert memo.recall("long") is None


@pytest.mark.timeout(10)
def test_matching_stays_cheap_for_hostile_values() -> None:
    """Patterns on which backtracking would never end, asked about long values."""
    many = "*a" * 300 + "*b"
    asked = policy(
        statement(Condition={"StringLike": {"s3:a": "*" + "?" * 36 + "-a??a" * 20 + "-*"}}),
        statement(Condition={"StringLike": {"s3:a": "*" + "a?" * 900 + "b*"}}),
        statement(Resource=f"{BUCKET}/{many}"),
        statement(Condition={"StringLike": {"s3:a": many}, "ArnNotLike": {"s3:a": f"arn:a:a:::{many}"}}),
        statement(Resource=f"{BUCKET}/{many}${{s3:a}}"),
    )
    compiled = CompiledPolicies([asked])
    for number in range(20):
        value = f"{number}" + "a" * 8000
        keys = request({"s3:a": value, "s3:b": f"arn:a:a:::{value}"})
        assert compiled.decide(keys, Access("s3:PutObject", f"{BUCKET}/{value[:1024]}")).effect is Effect.NEUTRAL


_KEYS = ["s3:a", "s3:b", "aws:username"]
_STRINGS = st.sampled_from(["a", "b", "ab", "a*", "*", "1", "10", "", "true", "10.0.0.1", "2026-01-01", "YQ=="])
_FITTING = {
    "String": st.one_of(_STRINGS, st.just("${aws:username}"), st.just("${s3:b, 'a'}*")),
    "Numeric": st.sampled_from(["1", "9.5", "10", "-3"]),
    "Date": st.sampled_from(["2026-01-01", "1000000000", "2026-01-01T00:00:01Z"]),
    "Bool": st.sampled_from(["true", "false"]),
    "Null": st.sampled_from(["true", "false"]),
    "Ip": st.sampled_from(["10.0.0.0/8", "10.0.0.1", "::/0"]),
    "NotIp": st.sampled_from(["10.0.0.0/8", "10.0.0.2"]),
    "Arn": st.sampled_from(["arn:aws:iam::1:user/*", "arn:aws:iam::*:user/a", "arn:aws:iam::1:user/${aws:username}"]),
    "Binary": st.sampled_from(["YQ==", ""]),
}


@st.composite
def _operator_names(draw: st.DrawFn) -> str:
    base = draw(st.sampled_from(sorted(OPERATORS)))
    if base == "Null":
        return base
    prefix = draw(st.sampled_from(["", "ForAnyValue:", "ForAllValues:"]))
    return f"{prefix}{base}{draw(st.sampled_from(['', 'IfExists']))}"


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for name in draw(st.lists(_operator_names(), max_size=3, unique=True)):
        base = parse_operator(name).base
        fitting = next(values for start, values in _FITTING.items() if base.startswith(start))
        keys = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=2, unique=True))
        conditions[name] = {key: draw(st.lists(fitting, min_size=1, max_size=3)) for key in keys}
    return conditions


@st.composite
def _statements(draw: st.DrawFn) -> dict[str, Any]:
    resources = st.sampled_from(
        ["*", BUCKET, f"{BUCKET}/*", f"{BUCKET}/a*", f"{BUCKET}/*a", f"{BUCKET}/${{aws:username}}", f"{BUCKET}/a"]
    )
    negation = st.sampled_from(["", "Not"])
    return {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        f"{draw(negation)}Principal": draw(st.sampled_from(["*", {"AWS": "1" * 12}, {"AWS": "2" * 12}])),
        f"{draw(negation)}Action": draw(st.sampled_from(["*", "s3:PutObject", "s3:Put*", "s3:GetObject"])),
        f"{draw(negation)}Resource": draw(st.lists(resources, min_size=1, max_size=2)),
        "Condition": draw(_conditions()),
    }


_VALUES = st.one_of(st.none(), st.lists(st.one_of(_STRINGS, st.just("arn:aws:iam::1:user/a")), max_size=3).map(tuple))
_REQUESTS = st.builds(
    lambda keys, principal: Request({k: v for k, v in keys.items() if v is not None}, principal),
    st.fixed_dictionaries(dict.fromkeys(_KEYS, _VALUES)),
    st.sampled_from(["*", "arn:aws:iam::" + "1" * 12 + ":user/a"]),
)
_ACCESSES = st.builds(
    Access,
    st.sampled_from(["s3:PutObject", "s3:GetObject"]),
    st.sampled_from([BUCKET, f"{BUCKET}/a", f"{BUCKET}/ba", f"{BUCKET}/*", "*"]),
)


def _alone(statements: list[dict[str, Any]], asked: Request, access: Access) -> list[Effect]:
    """What each statement says when it is the only one."""
    return [decide(policy(each), asked, access).effect for each in statements]


@given(st.lists(_statements(), max_size=5), _REQUESTS, _ACCESSES)
def test_together_statements_say_what_each_says_alone(
    statements: list[dict[str, Any]], asked: Request, access: Access
) -> None:
    """An explicit deny always wins, then an allow; the first one of its effect is reported."""
    alone = _alone(statements, asked, access)
    found = decide(policy(*statements) if statements else [], asked, access)
    expected = next((each for each in (Effect.DENY, Effect.ALLOW) if each in alone), Effect.NEUTRAL)
    assert found.effect is expected
    assert found.statement == (None if expected is Effect.NEUTRAL else alone.index(expected))


@given(st.lists(_statements(), min_size=1, max_size=5), _REQUESTS, _ACCESSES, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    statements: list[dict[str, Any]], asked: Request, access: Access, chance: random.Random
) -> None:
    """Neither that of statements nor that of policies, nor how statements are spread over policies."""
    expected = decide(policy(*statements), asked, access).effect
    shuffled = list(statements)
    chance.shuffle(shuffled)
    assert decide(policy(*shuffled), asked, access).effect is expected
    policies: list[Policy] = [policy(each) for each in shuffled]
    assert decide(policies, asked, access).effect is expected


@given(st.lists(_statements(), min_size=1, max_size=4), st.lists(_REQUESTS, min_size=2, max_size=4), _ACCESSES)
def test_what_is_remembered_changes_nothing(
    statements: list[dict[str, Any]], asked: list[Request], access: Access
) -> None:
    """Policies that were asked before answer as policies that were not."""
    compiled = CompiledPolicies([policy(*statements)])
    for each in (*asked, *asked):
        assert compiled.decide(each, access) == decide(policy(*statements), each, access)


@given(st.sampled_from(["Allow", "Deny"]), _operator_names(), st.data())
def test_unknown_key(effect: str, name: str, data: st.DataObject) -> None:
    """A key that nobody knows is an absent one; what that means, the operator alone says."""
    operator = parse_operator(name)
    fitting = next(values for start, values in _FITTING.items() if operator.base.startswith(start))
    wanted = data.draw(st.lists(fitting, min_size=1, max_size=3))
    found = decide(policy(statement(effect, Condition={name: {"x:NoSuchKey": wanted}})), request({"s3:a": "a"}))
    applies = "true" in wanted if name == "Null" else operator.when_absent
    assert found.effect.value == (effect.lower() if applies else "neutral")
