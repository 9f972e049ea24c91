"""Every condition operator, value by value.

In the tables, ``-`` is a key that the request does not have, ``[]`` one that it has without values, ``""`` the empty
text, and ``;`` stands between several values.
"""

from typing import Any

import pytest

from gateway.policy.iam.decision import Effect
from gateway.policy.iam.operators import OPERATORS, parse_operator
from tests.policy.iam.asking import Request, decide, policy, statement

# operator | values in the policy | values in the request | whether the condition holds
CASES = """
StringEquals | a | a | yes
StringEquals | a | A | no
StringEquals | a | b | no
StringEquals | a | ab | no
StringEquals | a;b | b | yes
StringEquals | a;b | c | no
StringEquals | a | - | no
StringEquals | a | [] | no
StringEquals | "" | "" | yes
StringEquals | "" | - | no
StringEquals | a | "" | no
StringEquals | a* | abc | no
StringEquals | a* | a* | yes
StringEquals | a? | a? | yes
StringEquals | a? | ab | no
StringEquals | é | é | yes
StringEquals | a | a;b | yes
StringEquals | a | b;c | no
StringNotEquals | a | b | yes
StringNotEquals | a | a | no
StringNotEquals | a | A | yes
StringNotEquals | a;b | b | no
StringNotEquals | a;b | c | yes
StringNotEquals | a | - | yes
StringNotEquals | a | [] | yes
StringNotEquals | a | "" | yes
StringNotEquals | a | a;b | no
StringNotEquals | a | b;c | yes
StringEqualsIgnoreCase | aws:kms | AWS:KMS | yes
StringEqualsIgnoreCase | AWS:kms | aws:KMS | yes
StringEqualsIgnoreCase | a | b | no
StringEqualsIgnoreCase | a;B | b | yes
StringEqualsIgnoreCase | a | - | no
StringEqualsIgnoreCase | É | é | yes
StringEqualsIgnoreCase | a* | A* | yes
StringEqualsIgnoreCase | a* | ab | no
StringNotEqualsIgnoreCase | a | A | no
StringNotEqualsIgnoreCase | a | b | yes
StringNotEqualsIgnoreCase | a;b | B | no
StringNotEqualsIgnoreCase | a | - | yes
StringLike | a* | abc | yes
StringLike | a* | a | yes
StringLike | a* | ba | no
StringLike | a* | Abc | no
StringLike | *c | abc | yes
StringLike | a*c | abbc | yes
StringLike | a*c | ac | yes
StringLike | a*c | acb | no
StringLike | a?c | abc | yes
StringLike | a?c | ac | no
StringLike | a?c | abbc | no
StringLike | * | "" | yes
StringLike | ? | "" | no
StringLike | * | - | no
StringLike | abc | abc | yes
StringLike | abc | abcd | no
StringLike | a*;b* | bc | yes
StringLike | a*;b* | cb | no
StringLike | data/*/x | data/1/2/x | yes
StringLike | [a] | a | no
StringLike | [a] | [a] | yes
StringNotLike | a* | abc | no
StringNotLike | a* | b | yes
StringNotLike | a*;b* | bc | no
StringNotLike | a*;b* | c | yes
StringNotLike | * | x | no
StringNotLike | * | - | yes
NumericEquals | 10 | 10 | yes
NumericEquals | 10 | 10.0 | yes
NumericEquals | 10 | 010 | yes
NumericEquals | 10 | +10 | yes
NumericEquals | 10 | 11 | no
NumericEquals | -1.5 | -1.50 | yes
NumericEquals | 10;20 | 20 | yes
NumericEquals | 10;20 | 30 | no
NumericEquals | 10 | ten | no
NumericEquals | 10 | 1e1 | no
NumericEquals | 10 | 0x0a | no
NumericEquals | 10 | ١٠ | no
NumericEquals | 10 | "" | no
NumericEquals | 0 | NaN | no
NumericEquals | 10 | - | no
NumericEquals | 9007199254740993 | 9007199254740993 | yes
NumericEquals | 9007199254740993 | 9007199254740992 | no
NumericNotEquals | 10 | 11 | yes
NumericNotEquals | 10 | 10.0 | no
NumericNotEquals | 10;20 | 20 | no
NumericNotEquals | 10;20 | 30 | yes
NumericNotEquals | 10 | ten | yes
NumericNotEquals | 10 | - | yes
NumericLessThan | 1.2 | 1.1 | yes
NumericLessThan | 1.2 | 1.2 | no
NumericLessThan | 1.2 | 1.3 | no
NumericLessThan | 1.2;5 | 4 | yes
NumericLessThan | 10 | 9 | yes
NumericLessThan | 10 | -11 | yes
NumericLessThan | 10 | low | no
NumericLessThan | 10 | - | no
NumericLessThanEquals | 10 | 10 | yes
NumericLessThanEquals | 10 | 10.01 | no
NumericLessThanEquals | 10 | 9 | yes
NumericLessThanEquals | 10 | - | no
NumericGreaterThan | 600000 | 600001 | yes
NumericGreaterThan | 600000 | 600000 | no
NumericGreaterThan | 600000 | 599999 | no
NumericGreaterThan | 9 | 10 | yes
NumericGreaterThan | 600000 | old | no
NumericGreaterThan | 600000 | - | no
NumericGreaterThan | 5;50 | 20 | yes
NumericGreaterThanEquals | 10 | 10 | yes
NumericGreaterThanEquals | 10 | 9.99 | no
NumericGreaterThanEquals | 10 | 11 | yes
NumericGreaterThanEquals | 10 | - | no
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00Z | yes
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T09:00:00+01:00 | yes
DateEquals | 2026-11-30T08:00:00Z | 1796025600 | yes
DateEquals | 1796025600 | 2026-11-30T08:00:00Z | yes
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00.000Z | yes
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00.5Z | no
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00Z | yes
DateEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00 | no
DateEquals | 2026-11-30 | 2026-11-30T00:00:00Z | yes
DateEquals | 2026-11 | 2026-11-01T00:00:00Z | yes
DateEquals | 2026-11-30 | 2026-11-31 | no
DateEquals | 2026-11-30 | tomorrow | no
DateEquals | 2026-11-30 | 2026-11-30T24:00:00Z | no
DateEquals | 2026-11-30 | - | no
DateEquals | 2026-11-30;2026-12-01 | 2026-12-01 | yes
DateNotEquals | 2026-11-30 | 2026-11-30 | no
DateNotEquals | 2026-11-30 | 2026-11-29 | yes
DateNotEquals | 2026-11-30 | never | yes
DateNotEquals | 2026-11-30 | - | yes
DateLessThan | 2026-11-30T08:00:00Z | 2026-11-30T07:59:59Z | yes
DateLessThan | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00Z | no
DateLessThan | 2026-11-30T08:00:00Z | 2026-11-30T08:30:00+01:00 | yes
DateLessThan | 2026-11-30T08:00:00Z | 0 | yes
DateLessThan | 2026-11-30T08:00:00Z | - | no
DateLessThanEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00Z | yes
DateLessThanEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:01Z | no
DateLessThanEquals | 2026-11-30T08:00:00Z | - | no
DateGreaterThan | 2026-11-30T08:00:00Z | 2026-11-30T08:00:01Z | yes
DateGreaterThan | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00Z | no
DateGreaterThan | 2026-11-30T08:00:00Z | soon | no
DateGreaterThan | 2026-11-30T08:00:00Z | - | no
DateGreaterThanEquals | 2026-11-30T08:00:00Z | 2026-11-30T08:00:00Z | yes
DateGreaterThanEquals | 2026-11-30T08:00:00Z | 2026-11-30T07:00:00Z | no
DateGreaterThanEquals | 2026-11-30T08:00:00Z | - | no
Bool | true | true | yes
Bool | true | TRUE | yes
Bool | True | true | yes
Bool | true | false | no
Bool | false | false | yes
Bool | false | true | no
Bool | false | - | no
Bool | true | - | no
Bool | true | yes | no
Bool | true | 1 | no
Bool | false | "" | no
Null | true | - | yes
Null | true | [] | yes
Null | true | x | no
Null | true | "" | no
Null | false | - | no
Null | false | [] | no
Null | false | x | yes
Null | false | "" | yes
Null | FALSE | x | yes
Null | true;false | x | yes
IpAddress | 203.0.113.0/24 | 203.0.113.7 | yes
IpAddress | 203.0.113.0/24 | 203.0.113.0 | yes
IpAddress | 203.0.113.0/24 | 203.0.113.255 | yes
IpAddress | 203.0.113.0/24 | 203.0.114.0 | no
IpAddress | 203.0.113.0/24 | 203.0.112.255 | no
IpAddress | 203.0.113.9/24 | 203.0.113.1 | yes
IpAddress | 203.0.113.7 | 203.0.113.7 | yes
IpAddress | 203.0.113.7 | 203.0.113.8 | no
IpAddress | 203.0.113.7/32 | 203.0.113.7 | yes
IpAddress | 0.0.0.0/0 | 203.0.113.7 | yes
IpAddress | 0.0.0.0/0 | 2001:db8::1 | no
IpAddress | 10.0.0.0/8;203.0.113.0/24 | 203.0.113.7 | yes
IpAddress | 10.0.0.0/8;192.168.0.0/16 | 203.0.113.7 | no
IpAddress | 203.0.113.0/24 | ::ffff:203.0.113.7 | yes
IpAddress | 203.0.113.0/24 | 203.0.113 | no
IpAddress | 203.0.113.0/24 | 203.0.113.07 | no
IpAddress | 203.0.113.0/24 | client | no
IpAddress | 203.0.113.0/24 | - | no
IpAddress | 2001:db8::/32 | 2001:db8:1::5 | yes
IpAddress | 2001:db8::/32 | 2001:DB8:0:0::5 | yes
IpAddress | 2001:db8::/32 | 2001:db9::5 | no
IpAddress | 2001:db8::/32 | 203.0.113.7 | no
IpAddress | ::/0 | 2001:db8::1 | yes
IpAddress | ::/0 | 203.0.113.7 | no
IpAddress | fe80::/10 | fe80::1%eth0 | yes
NotIpAddress | 203.0.113.0/24 | 203.0.113.7 | no
NotIpAddress | 203.0.113.0/24 | 198.51.100.1 | yes
NotIpAddress | 203.0.113.0/24 | ::ffff:203.0.113.7 | no
NotIpAddress | 10.0.0.0/8;203.0.113.0/24 | 203.0.113.7 | no
NotIpAddress | 203.0.113.0/24 | 2001:db8::1 | yes
NotIpAddress | 203.0.113.0/24 | client | yes
NotIpAddress | 203.0.113.0/24 | - | yes
ArnEquals | arn:aws:iam::1:user/a | arn:aws:iam::1:user/a | yes
ArnEquals | arn:aws:iam::1:user/a | arn:aws:iam::1:user/A | no
ArnEquals | arn:aws:iam::1:user/* | arn:aws:iam::1:user/a | yes
ArnEquals | arn:aws:iam::1:user/a | - | no
ArnLike | arn:aws:iam::*:user/a | arn:aws:iam::1:user/a | yes
ArnLike | arn:aws:iam::1:* | arn:aws:iam::1:role/x/y | yes
ArnLike | arn:aws:iam::1:* | arn:aws:iam::2:role/x | no
ArnLike | arn:aws:iam::1:role/?x | arn:aws:iam::1:role/ax | yes
ArnLike | arn:aws:iam::1:role/?x | arn:aws:iam::1:role/x | no
ArnLike | arn:aws:*:*:*:* | arn:aws:s3:::bucket | yes
ArnLike | arn:aws:iam:*:user/a:* | arn:aws:iam::1:user/a | no
ArnLike | arn:aws:sns:*:1:t | arn:aws:sns:eu:x:1:t | no
ArnLike | arn:aws:sns:eu:1:* | arn:aws:sns:eu:1:topic:sub | yes
ArnLike | arn:*:s3:::b | arn:aws-cn:s3:::b | yes
ArnLike | arn:aws:iam::1:user/a | alias/data | no
ArnLike | arn:aws:iam::1:user/a | arn:aws:iam::1 | no
ArnLike | arn:aws:iam::1:user/a | x:aws:iam::1:user/a | no
ArnLike | arn:aws:iam::1:user/a;arn:aws:iam::2:user/b | arn:aws:iam::2:user/b | yes
ArnLike | arn:aws:iam::1:user/a | - | no
ArnNotEquals | arn:aws:iam::1:user/a | arn:aws:iam::1:user/a | no
ArnNotEquals | arn:aws:iam::1:user/a | arn:aws:iam::1:user/b | yes
ArnNotEquals | arn:aws:iam::1:user/* | arn:aws:iam::1:user/b | no
ArnNotEquals | arn:aws:iam::1:user/a | nothing | yes
ArnNotEquals | arn:aws:iam::1:user/a | - | yes
ArnNotLike | arn:aws:iam::1:* | arn:aws:iam::1:user/a | no
ArnNotLike | arn:aws:iam::1:* | arn:aws:iam::2:user/a | yes
ArnNotLike | arn:aws:iam::1:*;arn:aws:iam::2:* | arn:aws:iam::2:user/a | no
ArnNotLike | arn:aws:iam::1:* | - | yes
BinaryEquals | aGVsbG8= | aGVsbG8= | yes
BinaryEquals | aGVsbG8= | aGVsbG9= | yes
BinaryEquals | aGVsbG8= | aGVsbA== | no
BinaryEquals | aGVsbG8= | hello | no
BinaryEquals | aGVsbG8= | aGVsbG8 | no
BinaryEquals | aGVsbG8= | aGVs bG8= | no
BinaryEquals | aGVsbG8= | é | no
BinaryEquals | "" | "" | yes
BinaryEquals | aGVsbG8=;aGVsbA== | aGVsbA== | yes
BinaryEquals | aGVsbG8= | - | no
StringEqualsIfExists | a | a | yes
StringEqualsIfExists | a | b | no
StringEqualsIfExists | a | - | yes
StringEqualsIfExists | a | "" | no
StringNotEqualsIfExists | a | a | no
StringNotEqualsIfExists | a | b | yes
StringNotEqualsIfExists | a | - | yes
StringLikeIfExists | a* | b | no
StringLikeIfExists | a* | ab | yes
StringLikeIfExists | a* | - | yes
StringNotLikeIfExists | a* | ab | no
StringNotLikeIfExists | a* | - | yes
NumericLessThanIfExists | 10 | 11 | no
NumericLessThanIfExists | 10 | 9 | yes
NumericLessThanIfExists | 10 | low | no
NumericLessThanIfExists | 10 | - | yes
DateGreaterThanIfExists | 2026-11-30 | 2026-11-29 | no
DateGreaterThanIfExists | 2026-11-30 | - | yes
BoolIfExists | true | false | no
BoolIfExists | true | true | yes
BoolIfExists | true | - | yes
IpAddressIfExists | 10.0.0.0/8 | 11.0.0.1 | no
IpAddressIfExists | 10.0.0.0/8 | - | yes
NotIpAddressIfExists | 10.0.0.0/8 | 10.0.0.1 | no
NotIpAddressIfExists | 10.0.0.0/8 | - | yes
ArnLikeIfExists | arn:aws:iam::1:* | arn:aws:iam::2:user/a | no
ArnLikeIfExists | arn:aws:iam::1:* | - | yes
BinaryEqualsIfExists | aGVsbG8= | aGVsbA== | no
BinaryEqualsIfExists | aGVsbG8= | - | yes
ForAnyValue:StringEquals | a;b | b;c | yes
ForAnyValue:StringEquals | a;b | c;d | no
ForAnyValue:StringEquals | a | a | yes
ForAnyValue:StringEquals | a | - | no
ForAnyValue:StringEquals | a | [] | no
ForAnyValue:StringNotEquals | a;b | b;c | yes
ForAnyValue:StringNotEquals | a;b | a;b | no
ForAnyValue:StringNotEquals | a | - | no
ForAnyValue:StringNotEquals | a | [] | no
ForAnyValue:StringLike | a* | x;ab | yes
ForAnyValue:StringLike | a* | x;y | no
ForAnyValue:StringNotLike | a* | ab;ac | no
ForAnyValue:StringNotLike | a* | ab;x | yes
ForAnyValue:StringEqualsIgnoreCase | A | x;a | yes
ForAnyValue:NumericGreaterThan | 10 | 1;11 | yes
ForAnyValue:NumericGreaterThan | 10 | 1;x | no
ForAnyValue:IpAddress | 10.0.0.0/8 | 11.0.0.1;10.0.0.1 | yes
ForAnyValue:NotIpAddress | 10.0.0.0/8 | 10.0.0.1;10.0.0.2 | no
ForAnyValue:ArnLike | arn:aws:iam::1:* | x;arn:aws:iam::1:user/a | yes
ForAnyValue:Bool | true | false;true | yes
ForAnyValue:StringEqualsIfExists | a | - | yes
ForAnyValue:StringEqualsIfExists | a | b;c | no
ForAllValues:StringEquals | a;b | a;b | yes
ForAllValues:StringEquals | a;b | a | yes
ForAllValues:StringEquals | a;b | a;c | no
ForAllValues:StringEquals | a | - | yes
ForAllValues:StringEquals | a | [] | yes
ForAllValues:StringEquals | a | "" | no
ForAllValues:StringNotEquals | a;b | c;d | yes
ForAllValues:StringNotEquals | a;b | b;c | no
ForAllValues:StringNotEquals | a | - | yes
ForAllValues:StringLike | a*;b* | ab;bc | yes
ForAllValues:StringLike | a*;b* | ab;c | no
ForAllValues:StringNotLike | a* | b;c | yes
ForAllValues:StringNotLike | a* | b;ac | no
ForAllValues:NumericLessThan | 10 | 1;9 | yes
ForAllValues:NumericLessThan | 10 | 1;x | no
ForAllValues:DateLessThan | 2026-11-30 | 2026-11-29;2026-11-28 | yes
ForAllValues:Bool | true | true;false | no
ForAllValues:BinaryEquals | aGVsbG8= | aGVsbG8=;aGVsbG8= | yes
ForAllValues:ArnNotLike | arn:aws:iam::1:* | arn:aws:iam::2:user/a;x | yes
ForAllValues:StringEqualsIfExists | a | - | yes
ForAllValues:StringEqualsIfExists | a | a;b | no
"""


def _values(text: str) -> list[str]:
    return ["" if value == '""' else value for value in text.split(";")]


def _cases() -> list[Any]:
    rows = [line for line in CASES.splitlines() if line]
    return [pytest.param(*(cell.strip() for cell in row.split("|")), id=row) for row in rows]


@pytest.mark.parametrize(
    ("operator", "wanted", "given"),
    [
        ("NumericEquals", "1", "1." + "0" * 30 + "0" * 100),
        ("DateEquals", "2026-11-30", "2026-11-30" + "0" * 120),
        ("IpAddress", "::/0", "::" + "0" * 130),
        ("Bool", "true", "true" * 1000),
    ],
)
def test_values_that_are_too_long_are_not_read(operator: str, wanted: str, given: str) -> None:
    assert not _holds({operator: {"s3:key": wanted}}, (given,))


def _holds(condition: dict[str, Any], values: tuple[str, ...] | None) -> bool:
    asked = Request({} if values is None else {"s3:key": values})
    return decide(policy(statement(Condition=condition)), asked).effect is Effect.DENY


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), _cases())
def test_operator(operator: str, wanted: str, given: str, expected: str) -> None:
    values = {"-": None, "[]": ()}.get(given, tuple(_values(given)))
    assert _holds({operator: {"s3:Key": _values(wanted)}}, values) is (expected == "yes")


def test_table_is_large_enough_and_knows_every_operator() -> None:
    """At least 300 cases, none twice, and every operator among them plain."""
    rows = [line for line in CASES.splitlines() if line]
    assert len(rows) >= 300
    assert len(set(rows)) == len(rows)
    assert {row.partition(" ")[0] for row in rows} >= OPERATORS


NEGATED = {
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
    "NumericNotEquals",
    "DateNotEquals",
    "NotIpAddress",
    "ArnNotEquals",
    "ArnNotLike",
}


@pytest.mark.parametrize("base", sorted(OPERATORS - {"Null"}))
def test_absent_key(base: str) -> None:
    """Absent keys fail positive operators and pass negated ones, IfExists, and ForAllValues."""
    assert parse_operator(base).when_absent is (base in NEGATED)
    assert parse_operator(f"{base}IfExists").when_absent
    assert not parse_operator(f"ForAnyValue:{base}").when_absent
    assert parse_operator(f"ForAllValues:{base}").when_absent
    assert parse_operator(f"ForAnyValue:{base}IfExists").when_absent
    assert parse_operator(f"ForAllValues:{base}IfExists").when_absent


@pytest.mark.parametrize(
    ("condition", "keys", "expected"),
    [
        pytest.param({"StringEquals": {"s3:a": "1", "s3:b": "2"}}, {"s3:a": "1", "s3:b": "2"}, True, id="both keys"),
        pytest.param({"StringEquals": {"s3:a": "1", "s3:b": "2"}}, {"s3:a": "1"}, False, id="one key of two"),
        pytest.param(
            {"StringEquals": {"s3:a": "1"}, "NumericEquals": {"s3:a": 1}}, {"s3:a": "1"}, True, id="both operators"
        ),
        pytest.param(
            {"StringEquals": {"s3:a": "1"}, "NumericLessThan": {"s3:a": 1}}, {"s3:a": "1"}, False, id="one of two"
        ),
        pytest.param({"StringLike": {"S3:A": "1*"}}, {"s3:a": "12"}, True, id="case of keys does not count"),
        pytest.param({"Bool": {"s3:a": False}}, {"s3:a": "false"}, True, id="a boolean without quotes"),
        pytest.param({"Null": {"s3:a": False}}, {"s3:a": "x"}, True, id="Null without quotes"),
        pytest.param({"NumericLessThan": {"s3:a": 1.2}}, {"s3:a": "1.1"}, True, id="a number without quotes"),
        pytest.param({"StringEquals": {"s3:a": 12}}, {"s3:a": "12"}, True, id="a number as text"),
        pytest.param({}, {}, True, id="no condition at all"),
    ],
)
def test_several_conditions(condition: dict[str, Any], keys: dict[str, str], expected: bool) -> None:
    """Operators and keys are all required; case does not count in keys; quotes are optional."""
    asked = Request({key: (value,) for key, value in keys.items()})
    found = decide(policy(statement(Condition=condition)), asked)
    assert (found.effect is Effect.DENY) is expected
