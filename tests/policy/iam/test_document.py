"""Policies are read strictly; every fault is reported, with its line and field."""

import json
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Effect, PolicyError
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES, MAXIMUM_POLICY_BYTES, Policy, parse_policy
from gateway.policy.iam.element import MAXIMUM_ITEMS, MAXIMUM_TEXT
from gateway.policy.iam.faults import MAXIMUM_FAULTS
from gateway.policy.iam.json_tree import MAXIMUM_DEPTH
from tests.policy.iam.asking import PUT, USER, document, request, statement


def _faults(text: str | bytes, **options: Any) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p", **options)
    return caught.value.faults


def test_everything_that_is_allowed() -> None:
    """A policy with every element, as data."""
    text = """{
      "Version": "2012-10-17",
      "Id": "all",
      "Statement": [
        {
          "Sid": "First one",
          "Effect": "Allow",
          "Principal": {"AWS": ["111122223333", "arn:aws:iam::111122223333:role/a/b"], "Service": "s3.amazonaws.com"},
          "Action": ["s3:Get*", "s3:PutObject"],
          "NotResource": "arn:aws:s3:::bucket/${aws:username}/*",
          "Condition": {"StringLike": {"S3:Prefix": ["a*", "b"]}, "BoolIfExists": {"aws:SecureTransport": true}}
        },
        {"Sid": "", "Effect": "Deny", "NotPrincipal": "*", "NotAction": "*", "Resource": "*"}
      ]
    }"""
    first, second = parse_policy(text.encode(), "p").statements
    assert (first.number, first.line, first.sid, first.effect) == (0, 5, "First one", Effect.ALLOW)
    assert first.principals.values == (
        ("AWS", "111122223333"),
        ("AWS", "arn:aws:iam::111122223333:role/a/b"),
        ("Service", "s3.amazonaws.com"),
    )
    assert (first.actions.values, first.actions.negated) == (("s3:Get*", "s3:PutObject"), False)
    assert (first.resources.values, first.resources.negated) == (("arn:aws:s3:::bucket/${aws:username}/*",), True)
    assert [(each.operator.name, each.key, each.values, each.line) for each in first.conditions] == [
        ("StringLike", "s3:prefix", ("a*", "b"), 11),
        ("BoolIfExists", "aws:securetransport", ("true",), 11),
    ]
    assert (second.number, second.line, second.sid, second.effect) == (1, 13, None, Effect.DENY)
    assert (second.principals.negated, second.actions.negated, second.resources.negated) == (True, True, False)


def test_one_statement_needs_no_list_and_a_policy_no_version() -> None:
    policy = parse_policy(json.dumps({"Statement": statement()}), "p")
    assert len(policy.statements) == 1
    assert not policy.variables


FAULTS = [
    ("", "line 1: not JSON: Expecting value"),
    ("{", "line 1: not JSON: expected a name in double quotes"),
    ("{}", "line 1: Statement is missing"),
    ("[]", "line 1: has to be an object"),
    ('"text"', "line 1: has to be an object"),
    ("null", "line 1: has to be an object"),
    ("NaN", "line 1: not JSON: NaN is no number"),
    ("-Infinity", "line 1: not JSON: -Infinity is no number"),
    ('{"a" 1}', "line 1: not JSON: expected ':'"),
    ('{"a": 1 "b": 2}', "line 1: not JSON: expected ','"),
    ('{"a": 1,}', "line 1: not JSON: expected a name in double quotes"),
    ("[1,]", "line 1: not JSON: Expecting value"),
    ("[01]", "line 1: not JSON: expected ','"),
    ("{'a': 1}", "line 1: not JSON: expected a name in double quotes"),
    ('{\n"a\n": 1}', "line 2: not JSON: Invalid control character at"),
    ('{\n"a": "\\x"}', "line 2: not JSON: Invalid \\escape"),
    ("{} {}", "line 1: something follows the end of the policy"),
    ("\ufeff{}", "line 1: not JSON: Expecting value"),
    ('{\n\n"a": "\\ud800"}', "line 3: holds half a surrogate pair, which is no character"),
    ('{"a": "\ud800"}', "line 1: holds half a surrogate pair, which is no character"),
    ("[" * (MAXIMUM_DEPTH + 1), f"line 1: nested more than {MAXIMUM_DEPTH} deep"),
    ('{"a":' * 100_000, f"line 1: nested more than {MAXIMUM_DEPTH} deep"),
    ('{"Statement": [],\n"Statement": []}', "line 2: 'Statement' is given twice"),
    ('{"Statement": []}', "line 1: Statement: is empty"),
    ('{"Statement": "x"}', "line 1: Statement: has to be an object"),
    ('{"Statement": [\n1]}', "line 2: Statement[0]: has to be an object"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_text_that_is_no_policy(text: str, fault: str) -> None:
    assert f"p, {fault}" in _faults(text)


POLICY_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"Version": "2012-10-18"}, "Version: '2012-10-18' is none of 2012-10-17, 2008-10-17"),
    ({"Version": 2012}, "Version: has to be a text"),
    ({"Id": 5}, "Id: has to be a text"),
    ({"id": "x"}, "id: is no element of the policy language"),
    ({"Statements": []}, "Statements: is no element of the policy language"),
]


@pytest.mark.parametrize(("elements", "fault"), POLICY_FAULTS, ids=[fault for _, fault in POLICY_FAULTS])
def test_faults_of_a_policy(elements: dict[str, Any], fault: str) -> None:
    assert f"p, line 1: {fault}" in _faults(json.dumps({"Statement": [statement()], **elements}))


STATEMENT_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"Effect": None}, "S: Effect is missing"),
    ({"Effect": "deny"}, "S.Effect: 'deny' is none of Allow, Deny"),
    ({"Effect": ["Deny"]}, "S.Effect: has to be a text"),
    ({"Sid": 7}, "S.Sid: has to be a text"),
    ({"Sid": "x" * 129}, "S.Sid: has to be at most 128 printable characters"),
    ({"Sid": "a\nb"}, "S.Sid: has to be at most 128 printable characters"),
    ({"Effects": "Deny"}, "S.Effects: is no element of the policy language"),
    ({"Principal": None}, "S: has neither Principal nor NotPrincipal"),
    ({"NotPrincipal": "*"}, "S: has both Principal and NotPrincipal"),
    ({"Principal": "111122223333"}, 'S.Principal: has to be "*" or an object such as {"AWS": "' + USER[:-7] + 'name"}'),
    ({"Principal": {}}, "S.Principal: is empty"),
    ({"Principal": []}, "S.Principal: has to be an object"),
    ({"Principal": {"aws": "*"}}, "S.Principal.aws: is none of AWS, Service, Federated, CanonicalUser"),
    ({"Principal": {"AWS": []}}, "S.Principal.AWS: is empty"),
    ({"Principal": {"AWS": 111122223333}}, "S.Principal.AWS: has to be a text"),
    ({"Principal": {"AWS": "11112222333"}}, "S.Principal.AWS: '11112222333' is no principal"),
    (
        {"Principal": {"AWS": "arn:aws:iam::11112222333:user/x"}},
        "S.Principal.AWS: 'arn:aws:iam::1111222*is no principal",
    ),
    ({"Principal": {"AWS": "arn:aws:s3:::bucket"}}, "S.Principal.AWS: 'arn:aws:s3:::bucket' is no principal"),
    ({"Principal": {"AWS": "arn:aws:iam:::root"}}, "S.Principal.AWS: 'arn:aws:iam:::root' is no principal"),
    ({"Principal": {"AWS": ["*", "arn:aws:iam::111122223333:user/*"]}}, "S.Principal.AWS[[]1]: *has a wildcard*"),
    ({"Principal": {"AWS": "arn:aws:iam::111122223333:role/?"}}, "S.Principal.AWS: *has a wildcard*"),
    ({"Principal": {"Service": "*"}}, "S.Principal.Service: '*' has a wildcard*"),
    ({"Principal": {"CanonicalUser": "no-hex"}}, "S.Principal.CanonicalUser: 'no-hex' is no principal"),
    ({"Action": None}, "S: has neither Action nor NotAction"),
    ({"NotAction": "s3:GetObject"}, "S: has both Action and NotAction"),
    ({"Action": []}, "S.Action: is empty"),
    ({"Action": {}}, "S.Action: has to be a text"),
    ({"Action": ["s3:PutObject", "PutObject"]}, "S.Action[[]1]: 'PutObject' is no action*"),
    ({"Action": "s3:"}, "S.Action: 's3:' is no action*"),
    ({"Action": "s*:PutObject"}, "S.Action: 's[*]:PutObject' is no action*"),
    ({"Action": "s3:${aws:username}"}, "S.Action: * is no action*"),
    ({"Resource": None}, "S: has neither Resource nor NotResource"),
    ({"NotResource": "*"}, "S: has both Resource and NotResource"),
    ({"Resource": "bucket/*"}, "S.Resource: 'bucket/[*]' is no ARN*"),
    ({"Resource": "arn:aws:s3::bucket"}, "S.Resource: 'arn:aws:s3::bucket' is no ARN*"),
    ({"Resource": "arn:::::x"}, "S.Resource: 'arn:::::x' is no ARN*"),
    ({"Resource": ["*", "arn:aws:s3:::b/${aws:username"]}, "S.Resource[[]1]: * a variable begins with ${ and*"),
    ({"Resource": "arn:aws:s3:::b/${}"}, "S.Resource: * ${} is no variable*"),
    ({"Resource": "arn:aws:s3:::b/${user name}"}, "S.Resource: * ${user name} is no variable*"),
    ({"Resource": "arn:aws:s3:::b/${aws:username, x}"}, "S.Resource: * is no variable*"),
    ({"Resource": "arn:aws:s3:::" + "b" * MAXIMUM_TEXT}, f"S.Resource: is longer than {MAXIMUM_TEXT} characters"),
    ({"Condition": []}, "S.Condition: has to be an object"),
    ({"Condition": {"StringEquals": {}}}, "S.Condition.StringEquals: is empty"),
    ({"Condition": {"StringEquals": "x"}}, "S.Condition.StringEquals: has to be an object"),
    ({"Condition": {"stringequals": {"s3:a": "x"}}}, "S.Condition.stringequals: is no condition operator"),
    ({"Condition": {"StringEqual": {"s3:a": "x"}}}, "S.Condition.StringEqual: is no condition operator"),
    (
        {"Condition": {"ForAll:StringEquals": {"s3:a": "x"}}},
        "S.Condition.ForAll:StringEquals: is no condition operator",
    ),
    ({"Condition": {":StringEquals": {"s3:a": "x"}}}, "S.Condition.:StringEquals: is no condition operator"),
    ({"Condition": {"NullIfExists": {"s3:a": "true"}}}, "S.Condition.NullIfExists: Null takes neither*"),
    ({"Condition": {"ForAnyValue:Null": {"s3:a": "true"}}}, "S.Condition.ForAnyValue:Null: Null takes neither*"),
    ({"Condition": {"StringEquals": {"a": "x"}}}, "S.Condition.StringEquals.a: is no condition key: service:name"),
    ({"Condition": {"StringEquals": {"s3:a": []}}}, "S.Condition.StringEquals.s3:a: is empty"),
    ({"Condition": {"StringEquals": {"s3:a": {}}}}, "S.Condition.StringEquals.s3:a: has to be a text, a number*"),
    ({"Condition": {"StringEquals": {"s3:a": ["x", None]}}}, "S.Condition.StringEquals.s3:a[[]1]: has to be a text, *"),
    ({"Condition": {"StringEquals": {"s3:a": "1", "S3:A": "2"}}}, "S.Condition.StringEquals.S3:A: is given twice*"),
    ({"Condition": {"NumericEquals": {"s3:a": "ten"}}}, "S.Condition.NumericEquals.s3:a: 'ten' is no number"),
    ({"Condition": {"NumericEquals": {"s3:a": "${s3:b}"}}}, "S.Condition.NumericEquals.s3:a: *is no number"),
    ({"Condition": {"DateEquals": {"s3:a": "2026-13-01"}}}, "S.Condition.DateEquals.s3:a: '2026-13-01' is no date"),
    ({"Condition": {"DateEquals": {"s3:a": "2026-11-30T08:00"}}}, "S.Condition.DateEquals.s3:a: *is no date"),
    ({"Condition": {"Bool": {"s3:a": "yes"}}}, "S.Condition.Bool.s3:a: 'yes' is neither true nor false"),
    ({"Condition": {"Null": {"s3:a": "0"}}}, "S.Condition.Null.s3:a: '0' is neither true nor false"),
    ({"Condition": {"Null": {"s3:a": "${s3:b}"}}}, "S.Condition.Null.s3:a: * is a variable, which Null does not take"),
    ({"Condition": {"IpAddress": {"s3:a": "10.0.0.0/33"}}}, "S.Condition.IpAddress.s3:a: * is neither an IP address*"),
    ({"Condition": {"IpAddress": {"s3:a": "::ffff:10.0.0.1"}}}, "S.Condition.IpAddress.s3:a: * is an IPv4 address*"),
    ({"Condition": {"ArnLike": {"s3:a": "user/x"}}}, "S.Condition.ArnLike.s3:a: 'user/x' is no ARN*"),
    ({"Condition": {"BinaryEquals": {"s3:a": "%"}}}, "S.Condition.BinaryEquals.s3:a: '%' is no base64"),
    ({"Condition": {"StringLike": {"s3:a": "${"}}}, "S.Condition.StringLike.s3:a: * a variable begins with ${ and*"),
]


@pytest.mark.parametrize(("elements", "pattern"), STATEMENT_FAULTS, ids=range(len(STATEMENT_FAULTS)))
def test_faults_of_a_statement(elements: dict[str, Any], pattern: str) -> None:
    """One fault, at the statement that has it. The patterns are the shell's; ``S`` is the statement."""
    (fault,) = _faults(document(statement(), statement(**elements)))
    assert fnmatchcase(fault, "p, line 1: " + pattern.replace("S", "Statement[[]1]", 1))


def test_every_fault_has_its_own_line() -> None:
    text = """{
      "Version": "2012",
      "Statement": [
        {
          "Effect": "Maybe",
          "Principal": {"AWS":
            ["x"]},
          "Action": "s3:*",
          "Resource":
            "bucket",
          "Condition": {
            "StringEquals": {
              "s3:a": ["x",
                       {}]}}}]}"""
    assert [fault.partition(": ")[0] for fault in _faults(text)] == [
        "p, line 2",
        "p, line 5",
        "p, line 7",
        "p, line 9",
        "p, line 14",
    ]


def test_sids_are_unique_within_a_policy() -> None:
    """Case counts; statements without a Sid, or with an empty one, are not the same statement."""
    faults = _faults(document(*[statement(Sid=sid) for sid in ("a", "b", "a", "A", "", "", None)]))
    assert faults == ("p, line 1: Statement[2]: the Sid 'a' belongs to an earlier statement",)


def test_faults_are_bounded() -> None:
    faults = _faults(document(*["x"] * (MAXIMUM_FAULTS + 7)))
    assert len(faults) == MAXIMUM_FAULTS + 1
    assert faults[-1] == "p: 7 more faults"


def test_faults_show_little_of_long_values_and_no_odd_characters() -> None:
    (fault,) = _faults(document(statement(Effect="\u202e" + "x" * 1000)))
    assert fault.isascii()
    assert len(fault) < 160


def test_items_are_bounded() -> None:
    actions = ["s3:GetObject"] * MAXIMUM_ITEMS
    parse_policy(document(statement(Action=actions)), "p")
    (fault,) = _faults(document(statement(Action=[*actions, "s3:PutObject"])))
    assert fault.endswith(f"has more than {MAXIMUM_ITEMS} items")
    (fault,) = _faults(document(*[statement()] * (MAXIMUM_ITEMS + 1)))
    assert fault.endswith(f"has more than {MAXIMUM_ITEMS} items")


@pytest.mark.parametrize("limit", [MAXIMUM_BUCKET_POLICY_BYTES, MAXIMUM_POLICY_BYTES])
def test_size_is_bounded(limit: int) -> None:
    """Bytes count, not characters."""
    text = document(statement())
    fits = text + " " * (limit - len(text))
    for form in (fits, fits.encode()):
        assert parse_policy(form, "p", limit).statements
    for form in (fits + " ", fits.encode() + b" ", text + "\u00e9" * (limit // 2)):
        assert _faults(form, maximum_bytes=limit) == (f"p, line 1: is larger than {limit} bytes",)


def test_bytes_have_to_be_utf_8() -> None:
    assert _faults(b'{\n"Id": "\xff"}') == ("p, line 2: is not UTF-8",)
    assert _faults("{}".encode("utf-16")) == ("p, line 1: is not UTF-8",)


def test_numbers_of_any_length_are_read_and_bounded() -> None:
    """Python itself refuses to read a number of many digits; a policy's numbers stay texts."""
    assert _faults('{"Version": %s}' % ("9" * 100_000))[0] == "p, line 1: Version: has to be a text"
    condition = '{"NumericEquals": {"s3:a": %s}}' % ("9" * 5000)
    text = document(statement(Condition={})).replace("{}", condition)
    assert _faults(text) == (
        f"p, line 1: Statement[0].Condition.NumericEquals.s3:a: is longer than {MAXIMUM_TEXT} characters",
    )


def _parse(text: str | bytes) -> Policy | None:
    with suppress(PolicyError):
        return parse_policy(text, "p")
    return None


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.text('{}[]",:\\u0d8 truefalsnE1-.', max_size=60)))
def test_garbage_raises_only_policy_errors(text: str | bytes) -> None:
    assert _parse(text) is None


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["*", "Allow", "Deny", "2012-10-17", "s3:*", "arn:aws:s3:::b/${aws:username}", USER, "1", "true"]),
)
_ELEMENTS = "Version Id Statement Sid Effect Principal NotPrincipal Action NotAction Resource NotResource Condition"
_NAMES = st.sampled_from([*_ELEMENTS.split(), "AWS", "Service", "StringLike", "Null", "ForAnyValue:Bool", "s3:a"])
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(_NAMES, st.text(max_size=5)), inner, max_size=5)
    ),
    max_leaves=30,
)


@given(_TREES)
def test_any_json_is_a_policy_or_a_policy_error(tree: Any) -> None:
    """Whatever is accepted can be compiled and asked."""
    found = _parse(json.dumps(tree))
    if found is not None:
        CompiledPolicies([found]).decide(request(), PUT)


@given(
    st.fixed_dictionaries(
        {"Effect": st.sampled_from(["Allow", "Deny"]), "Principal": st.just("*")},
        optional={
            "Action": _TREES,
            "NotAction": st.just("s3:Get*"),
            "Resource": st.one_of(_TREES, st.text("*?${}:/ab'", max_size=30).map("arn:aws:s3:::".__add__)),
            "Condition": st.dictionaries(
                st.sampled_from(["StringLike", "ArnLike", "DateEquals", "NumericEquals", "IpAddress", "BinaryEquals"]),
                st.dictionaries(st.just("s3:a"), st.one_of(_SCALARS, st.text("*?${}:/ab'", max_size=30)), max_size=1),
                max_size=3,
            ),
        },
    )
)
def test_any_statement_is_a_policy_or_a_policy_error(tree: Any) -> None:
    found = _parse(document(tree))
    if found is not None:
        CompiledPolicies([found]).decide(request({"s3:a": "x"}), PUT)
