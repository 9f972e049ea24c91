"""The engine beside moto's evaluator and validator of IAM policies, where moto implements the language.

moto evaluates actions, resources with ``*``, effects, and the values of StringEquals. Its answers differ from AWS's
documentation, and are not compared, for:

* conditions that do not hold: moto denies, where the statement does not apply ("IAM JSON policy elements: Condition");
* every operator but StringEquals: moto takes the condition as met; and absent keys: moto does not look at them;
* NotResource: moto allows whatever the action says; principals other than one literal ARN;
* ``?`` in patterns, and the case of actions, which does not count ("IAM JSON policy elements: Action").

moto's validator knows the names of all operators, with their prefixes and suffixes, but not the values they take.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.policy_validation import VALID_CONDITIONS, IAMPolicyDocumentValidator

from gateway.policy.iam.decision import Access, Effect, PolicyError
from gateway.policy.iam.document import parse_policy
from gateway.policy.iam.operators import OPERATORS
from tests.policy.iam.asking import decide, document, policy, request, statement

EFFECTS = {
    PermissionResult.PERMITTED: Effect.ALLOW,
    PermissionResult.DENIED: Effect.DENY,
    PermissionResult.NEUTRAL: Effect.NEUTRAL,
}

_ACTIONS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:ListBucket"]
_ACTION_PATTERNS = ["*", "s3:*", "s3:Put*", "s3:*Object", "s3:*Object*", "s3:P*t*Acl", *_ACTIONS]
_RESOURCES = [f"arn:aws:s3:::{name}" for name in ("a", "a/b", "a/b/c", "ab/b", "b/a/b/c", "b")]
_RESOURCE_PATTERNS = [
    "*",
    *_RESOURCES,
    *(f"arn:aws:s3:::{name}" for name in ("a*", "a/*", "*b", "a/*c", "*a*b*", "b/")),
]
_STATEMENTS = st.builds(
    lambda effect, negation, actions, resources: {
        "Effect": effect,
        "Principal": "*",
        f"{negation}Action": actions,
        "Resource": resources,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["", "Not"]),
    st.one_of(st.sampled_from(_ACTION_PATTERNS), st.lists(st.sampled_from(_ACTION_PATTERNS), min_size=1, max_size=3)),
    st.one_of(
        st.sampled_from(_RESOURCE_PATTERNS), st.lists(st.sampled_from(_RESOURCE_PATTERNS), min_size=1, max_size=3)
    ),
)


@given(st.lists(_STATEMENTS, min_size=1, max_size=4), st.sampled_from(_ACTIONS), st.sampled_from(_RESOURCES))
def test_actions_resources_and_effects(statements: list[dict[str, Any]], action: str, resource: str) -> None:
    text = document(*statements)
    expected = EFFECTS[IAMPolicy(text).is_action_permitted(action, resource)]
    assert decide(parse_policy(text, "p"), request(), Access(action, resource)).effect is expected


@given(st.sampled_from(["Allow", "Deny"]), st.lists(st.text(max_size=5), min_size=1, max_size=3), st.data())
def test_string_equals_that_holds(effect: str, wanted: list[str], data: st.DataObject) -> None:
    given_value = data.draw(st.sampled_from(wanted))
    text = document(statement(effect, Condition={"StringEquals": {"s3:a": wanted}}), version="2008-10-17")
    theirs = IAMPolicy(text).is_action_permitted("s3:PutObject", "arn:aws:s3:::bucket/key", None, {"s3:a": given_value})
    assert decide(parse_policy(text, "p"), request({"s3:a": given_value})).effect is EFFECTS[theirs]


def test_the_same_operators() -> None:
    assert set(VALID_CONDITIONS) == OPERATORS


def _moto_takes(text: str) -> bool:
    """The validator is for policies of identities, which have no Principal."""
    tree = json.loads(text)
    for each in tree["Statement"]:
        each.pop("Principal", None)
    try:
        IAMPolicyDocumentValidator(json.dumps(tree)).validate()
    except MalformedPolicyDocument:
        return False
    return True


@given(st.lists(_STATEMENTS, min_size=1, max_size=4))
def test_what_is_accepted_here_is_accepted_there(statements: list[dict[str, Any]]) -> None:
    policy(*statements)
    assert _moto_takes(document(*statements))


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param({"Effect": "deny"}, id="effect"),
        pytest.param({"Effect": None}, id="no effect"),
        pytest.param({"Unknown": "x"}, id="unknown element"),
        pytest.param({"Action": None}, id="no action"),
        pytest.param({"NotAction": "s3:GetObject"}, id="action and its negation"),
        pytest.param({"NotResource": "*"}, id="resource and its negation"),
        pytest.param({"Action": "PutObject"}, id="no service"),
        pytest.param({"Action": ["s3:GetObject", "s*:Get"]}, id="wildcard in the service"),
        pytest.param({"Resource": "bucket/key"}, id="no ARN"),
        pytest.param({"Resource": "arn:aws:s3:bucket"}, id="half an ARN"),
        pytest.param({"Condition": []}, id="conditions in a list"),
        pytest.param({"Condition": {"StringEqual": {"s3:a": "x"}}}, id="no operator"),
        pytest.param({"Condition": {"StringEquals": "x"}}, id="no key"),
        pytest.param({"Condition": {"DateEquals": {"s3:a": "1.5"}}}, id="no date"),
        pytest.param({"Sid": "twice"}, id="Sid that is not unique"),
    ],
)
def test_what_both_refuse(elements: dict[str, Any]) -> None:
    text = document(statement(Sid="twice"), statement(**elements))
    assert not _moto_takes(text)
    with pytest.raises(PolicyError):
        parse_policy(text, "p")
