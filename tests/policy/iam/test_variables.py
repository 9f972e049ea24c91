"""Policy variables in resources and in the values of conditions."""

from typing import Any

import pytest

from gateway.policy.iam.decision import Access, Effect
from gateway.policy.iam.variables import Template
from tests.policy.iam.asking import Request, decide, policy, statement

BUCKET = "arn:aws:s3:::bucket/"


def _about(resource: str, object_key: str, keys: dict[str, tuple[str, ...]], **options: Any) -> bool:
    version = options.pop("version", "2012-10-17")
    asked = policy(statement(**{options.pop("element", "Resource"): BUCKET + resource}, **options), version=version)
    return decide(asked, Request(keys), Access("s3:PutObject", BUCKET + object_key)).effect is Effect.DENY


@pytest.mark.parametrize(
    ("resource", "object_key", "keys", "expected"),
    [
        ("${aws:username}/*", "ann/x", {"aws:username": ("ann",)}, True),
        ("${aws:username}/*", "bob/x", {"aws:username": ("ann",)}, False),
        ("${AWS:UserName}/*", "ann/x", {"aws:username": ("ann",)}, True),
        ("${aws:username}/*", "ann/x", {}, False),
        ("${aws:username}/*", "/x", {}, False),
        ("${aws:username}/*", "/x", {"aws:username": ("",)}, True),
        ("${aws:username}/*", "ann/x", {"aws:username": ()}, False),
        ("${aws:username}/*", "ann/x", {"aws:username": ("ann", "bob")}, False),
        ("${aws:username}", "*", {"aws:username": ("*",)}, True),
        ("${aws:username}", "ann", {"aws:username": ("*",)}, False),
        ("${aws:username}/*", "ann/x", {"aws:username": ("a?n",)}, False),
        ("${aws:username}/*", "ann/x", {"aws:username": ("${aws:userid}",), "aws:userid": ("ann",)}, False),
        ("home/${aws:username}", "home/ann", {"aws:username": ("ann",)}, True),
        ("*/${aws:username}-?", "a/b/ann-1", {"aws:username": ("ann",)}, True),
        ("*/${aws:username}-?", "a/b/ann-12", {"aws:username": ("ann",)}, False),
        ("${aws:username}-${aws:userid}", "ann-7", {"aws:username": ("ann",), "aws:userid": ("7",)}, True),
        ("${aws:username}-${aws:userid}", "ann-7", {"aws:username": ("ann",)}, False),
        ("${aws:PrincipalTag/team, 'all'}/*", "blue/x", {"aws:principaltag/team": ("blue",)}, True),
        ("${aws:PrincipalTag/team, 'all'}/*", "all/x", {}, True),
        ("${aws:PrincipalTag/team, 'all'}/*", "blue/x", {}, False),
        ("${aws:PrincipalTag/team,'a*'}/*", "a*/x", {}, True),
        ("${aws:PrincipalTag/team,'a*'}/*", "ab/x", {}, False),
        ("${aws:PrincipalTag/team, ''}x", "x", {}, True),
        ("a${*}c", "a*c", {}, True),
        ("a${*}c", "abc", {}, False),
        ("a${?}c", "a?c", {}, True),
        ("a${?}c", "abc", {}, False),
        ("a${$}{b}", "a${b}", {}, True),
        ("a$b", "a$b", {}, True),
        ("a$*", "a$bc", {}, True),
        ("a$$", "a$$", {}, True),
        ("*${*}?", "x*y", {}, True),
        ("*${*}?", "xzy", {}, False),
    ],
)
def test_variables_in_resources(
    resource: str, object_key: str, keys: dict[str, tuple[str, ...]], expected: bool
) -> None:
    assert _about(resource, object_key, keys) is expected


def test_one_resource_without_value_leaves_the_others() -> None:
    asked = policy(statement(Resource=[BUCKET + "${aws:userid}", BUCKET + "ann", "arn:aws:s3:::other/*"]))
    assert decide(asked, Request(), Access("s3:PutObject", BUCKET + "ann")).effect is Effect.DENY
    assert decide(asked, Request(), Access("s3:PutObject", BUCKET + "bob")).effect is Effect.NEUTRAL


@pytest.mark.parametrize(
    ("object_key", "keys", "expected"),
    [
        ("ann", {"aws:username": ("ann",)}, False),
        ("bob", {"aws:username": ("ann",)}, True),
        ("bob", {}, False),
    ],
)
def test_everything_else_is_nothing_without_a_value(
    object_key: str, keys: dict[str, tuple[str, ...]], expected: bool
) -> None:
    """A statement whose NotResource can not be known does not apply."""
    assert _about("${aws:username}", object_key, keys, element="NotResource", Resource=None) is expected


def test_variables_in_other_parts_of_an_arn() -> None:
    """A value stays within its part, colons and all."""
    asked = policy(statement(Action="*", Resource="arn:aws:sns:*:${aws:PrincipalAccount}:topic"))
    for account, resource, effect in (
        ("1", "arn:aws:sns:eu:1:topic", Effect.DENY),
        ("2", "arn:aws:sns:eu:1:topic", Effect.NEUTRAL),
        ("1:topic", "arn:aws:sns:eu:1:topic:topic", Effect.NEUTRAL),
        ("1", "*", Effect.NEUTRAL),
    ):
        assert decide(asked, Request({"aws:principalaccount": (account,)}), Access("a", resource)).effect is effect
    assert decide(asked, Request(), Access("a", "arn:aws:sns:eu:1:topic")).effect is Effect.NEUTRAL


def test_before_2012_a_variable_is_text() -> None:
    old = "2008-10-17"
    assert _about("${aws:username}", "${aws:username}", {"aws:username": ("ann",)}, version=old)
    assert not _about("${aws:username}", "ann", {"aws:username": ("ann",)}, version=old)
    assert _about("${", "${", {}, version=old)
    assert _about("${a*}", "${ab}", {}, version=old)


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("StringEquals", "${aws:username}", "ann", True),
        ("StringEquals", "${aws:username}", "bob", False),
        ("StringEquals", "${aws:username}*", "ann*", True),
        ("StringEquals", "${aws:username}*", "annie", False),
        ("StringEquals", "${aws:userid}", "ann", False),
        ("StringEquals", ["${aws:userid}", "x"], "x", True),
        ("StringEquals", "${aws:userid, 'ann'}", "ann", True),
        ("StringEquals", "${*}", "*", True),
        ("StringEqualsIgnoreCase", "${aws:username}", "ANN", True),
        ("StringNotEquals", "${aws:username}", "bob", True),
        ("StringNotEquals", "${aws:username}", "ann", False),
        ("StringNotEquals", "${aws:userid}", "bob", False),
        ("StringNotEquals", ["${aws:userid}", "x"], "bob", False),
        ("StringNotEquals", "${aws:userid}", None, True),
        ("StringNotEqualsIfExists", "${aws:userid}", None, True),
        ("StringLike", "${aws:username}/*", "ann/x", True),
        ("StringLike", "${aws:username}/*", "bob/x", False),
        ("StringLike", "${s3:star}/*", "bob/x", False),
        ("StringLike", "a${*}*", "a*b", True),
        ("StringLike", "a${*}*", "ab", False),
        ("StringNotLike", "${aws:username}/*", "bob/x", True),
        ("StringNotLike", "${aws:userid}/*", "bob/x", False),
        ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/ann", True),
        ("ArnLike", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/bob", False),
        ("ArnLike", "arn:aws:iam::1:user/${aws:userid}", "arn:aws:iam::1:user/ann", False),
        ("ArnNotEquals", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/bob", True),
        ("Bool", "${s3:flag}", "true", True),
        ("Bool", "${s3:flag}", "false", False),
        ("Bool", "${aws:username}", "true", False),
        ("ForAnyValue:StringEquals", "${aws:username}", "ann", True),
        ("ForAllValues:StringLike", "${aws:username}*", "bob", False),
    ],
)
def test_variables_in_conditions(operator: str, wanted: Any, given: str | None, expected: bool) -> None:
    """A value that is not there matches nothing, and makes a negated condition fail."""
    keys: dict[str, tuple[str, ...]] = {"aws:username": ("ann",), "s3:star": ("*",), "s3:flag": ("TRUE",)}
    if given is not None:
        keys["s3:a"] = (given,)
    asked = policy(statement(Condition={operator: {"s3:a": wanted}}))
    assert (decide(asked, Request(keys)).effect is Effect.DENY) is expected


def test_deny_with_variables_is_asked_after_everything_else() -> None:
    """Which of several denials is reported does not depend on how they are evaluated."""
    first = statement(Sid="variable", Resource=BUCKET + "${aws:username}")
    second = statement(Sid="fixed")
    keys = {"aws:username": ("key",)}
    assert decide(policy(first, second), Request(keys)).sid == "variable"
    assert decide(policy(second, first), Request(keys)).sid == "fixed"
    assert decide(policy(first, second), Request()).sid == "fixed"


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("abc", ("abc",)),
        ("", ("",)),
        ("ab*", ("ab", "ac")),
        ("a\U0010ffff*", None),
        ("*", None),
        ("a*b", None),
        ("a?", None),
        ("a${s3:b}", None),
        ("a${*}", ("a*",)),
    ],
)
def test_bounds_of_a_template(text: str, bounds: tuple[str, ...] | None) -> None:
    assert Template(text, variables=True, wildcards=True).bounds() == bounds
