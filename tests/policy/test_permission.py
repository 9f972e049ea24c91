"""What files, the bucket's own policy and the default say together."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Effect
from gateway.policy.iam.document import parse_policy
from gateway.policy.permission import Judge, Permission, PolicyDenied, bucket_of, denied_by_rule

ALLOW, DENY, NEUTRAL = Effect.ALLOW, Effect.DENY, Effect.NEUTRAL
PUT = Access("s3:PutObject", "arn:aws:s3:::bucket/key")
GET_OTHER = Access("s3:GetObject", "arn:aws:s3:::other/key")


class Nothing:
    """A request that has no condition key."""

    principal = "arn:aws:iam::000000000000:user/ann"

    def values(self, key: str) -> None:
        return None


def _policies(name: str, *statements: Mapping[str, str]) -> CompiledPolicies:
    written = [{"Principal": "*", "Action": "s3:*", "Resource": "*", **statement} for statement in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": written})
    return CompiledPolicies((parse_policy(text, name),))


def _of(effect: Effect, name: str) -> CompiledPolicies:
    statement = {"Effect": effect.value.capitalize(), "Sid": "Said"}
    return CompiledPolicies(()) if effect is NEUTRAL else _policies(name, statement)


def _judge(
    files: CompiledPolicies,
    buckets: Mapping[str, CompiledPolicies | None] | None = None,
    *accesses: Access,
    default: Effect = ALLOW,
) -> Judge:
    return Judge(
        Nothing(),
        accesses or (PUT,),
        files,
        buckets or {},
        default,
        lambda key, version: (Access(f"s3:DeleteObject{'Version' * bool(version)}", f"arn:aws:s3:::bucket/{key}"),),
    )


@pytest.mark.parametrize(
    ("files", "bucket", "default", "expected"),
    [
        (NEUTRAL, NEUTRAL, ALLOW, Permission(ALLOW)),
        (NEUTRAL, NEUTRAL, DENY, Permission(DENY)),
        (ALLOW, NEUTRAL, DENY, Permission(ALLOW, "file/Said", "file/Said")),
        (NEUTRAL, ALLOW, DENY, Permission(ALLOW, "own/Said", "bucket policy")),
        (ALLOW, ALLOW, DENY, Permission(ALLOW, "file/Said", "file/Said")),
        (DENY, ALLOW, ALLOW, Permission(DENY, "file/Said", "file/Said")),
        (ALLOW, DENY, ALLOW, Permission(DENY, "own/Said", "bucket policy")),
        (DENY, DENY, ALLOW, Permission(DENY, "file/Said", "file/Said")),
        (DENY, NEUTRAL, ALLOW, Permission(DENY, "file/Said", "file/Said")),
        (NEUTRAL, DENY, ALLOW, Permission(DENY, "own/Said", "bucket policy")),
    ],
)
def test_permission(files: Effect, bucket: Effect, default: Effect, expected: Permission) -> None:
    """An explicit deny of either wins, then an explicit allow of either, then the default."""
    judge = _judge(_of(files, "file"), {"bucket": _of(bucket, "own")}, default=default)
    if expected.effect is ALLOW:
        assert judge.permit() == expected
    else:
        with pytest.raises(PolicyDenied) as caught:
            judge.permit()
        assert (caught.value.permission, caught.value.status) == (expected, 403)
    # That a bucket's own policy allows the gateway everything says nothing about what its clients may do.
    assert judge.explicitly_allows(PUT) is (files is ALLOW)


def test_a_buckets_own_policy_is_about_that_bucket_only() -> None:
    """Whoever may change the policy of one bucket must not decide about another one, whatever Resource it names."""
    buckets = {"other": _policies("other's", {"Effect": "Deny"}), "bucket": None}
    assert _judge(CompiledPolicies(()), buckets).permit() == Permission(ALLOW)
    with pytest.raises(PolicyDenied):
        _judge(CompiledPolicies(()), buckets, PUT, GET_OTHER).permit()
    allows = {"other": _policies("other's", {"Effect": "Allow"})}
    with pytest.raises(PolicyDenied, match="No policy allows s3:PutObject"):
        _judge(CompiledPolicies(()), allows, GET_OTHER, PUT, default=DENY).permit()


def test_everything_that_a_request_wants_has_to_be_allowed() -> None:
    files = _policies("p", {"Effect": "Allow", "Sid": "Puts", "Action": "s3:PutObject"})
    assert _judge(files, None, PUT, default=DENY).permit().rule == "p/Puts"
    with pytest.raises(PolicyDenied, match="No policy allows s3:GetObject here"):
        _judge(files, None, PUT, GET_OTHER, default=DENY).permit()


def test_message_names_policy_and_statement() -> None:
    with pytest.raises(PolicyDenied) as named:
        _judge(_policies("p", {"Effect": "Deny", "Sid": "NoPuts"})).permit()
    assert named.value.message == "s3:PutObject is denied by statement 'NoPuts' of policy 'p'."
    with pytest.raises(PolicyDenied) as numbered:
        _judge(_policies("p", {"Effect": "Allow"}, {"Effect": "Deny"})).permit()
    assert numbered.value.message == "s3:PutObject is denied by statement number 1 of policy 'p'."
    assert numbered.value.permission.rule == "p/1"


def test_deletions_are_asked_one_by_one() -> None:
    files = _policies(
        "p",
        {"Effect": "Deny", "Sid": "Keep", "Resource": "arn:aws:s3:::bucket/keep/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObjectVersion"},
    )
    judge = _judge(files)
    assert judge.permit_deletion("k", None) == Permission(ALLOW)
    for key, version in (("keep/k", None), ("k", "v")):
        with pytest.raises(PolicyDenied):
            judge.permit_deletion(key, version)


def test_nothing_asked_is_allowed() -> None:
    """A CORS preflight, which S3 answers from the bucket's CORS configuration."""
    judge = Judge(Nothing(), (), CompiledPolicies(()), {}, DENY, lambda *_: ())
    assert judge.permit() == Permission(ALLOW)


@pytest.mark.parametrize(
    ("resource", "bucket"),
    [("arn:aws:s3:::b/k/l", "b"), ("arn:aws:s3:::b", "b"), ("*", ""), ("arn:aws:s3:::b/arn:aws:s3:::c", "b")],
)
def test_bucket_of(resource: str, bucket: str) -> None:
    assert bucket_of(Access("s3:GetObject", resource)) == bucket


def test_denied_by_rule() -> None:
    denied = denied_by_rule("payroll", "refuses that")
    assert denied.message == "The gateway's encryption rule 'payroll' refuses that."
    assert denied.permission == Permission(DENY, "encryption rule payroll", "encryption rule payroll")


_EFFECTS = st.sampled_from([ALLOW, DENY, NEUTRAL])


@given(_EFFECTS, _EFFECTS, st.sampled_from([ALLOW, DENY]))
def test_an_explicit_deny_always_wins(files: Effect, bucket: Effect, default: Effect) -> None:
    judge = _judge(_of(files, "file"), {"bucket": _of(bucket, "own")}, default=default)
    try:
        permitted = judge.permit().effect is ALLOW
    except PolicyDenied:
        permitted = False
    if DENY in {files, bucket}:
        assert not permitted
    elif ALLOW in {files, bucket}:
        assert permitted
    else:
        assert permitted is (default is ALLOW)
