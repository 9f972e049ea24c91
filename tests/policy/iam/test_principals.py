"""Who a statement is about."""

from typing import Any

import pytest

from gateway.policy.iam.decision import Effect
from tests.policy.iam.asking import PUT, Request, decide, policy, statement

ONE = "111122223333"
TWO = "444455556666"
USER = f"arn:aws:iam::{ONE}:user/billing"
ROLE = f"arn:aws:iam::{ONE}:role/gateway"
SESSION = f"arn:aws:sts::{ONE}:assumed-role/gateway/session-1"
NOBODY = "*"


@pytest.mark.parametrize(
    ("named", "principal", "expected"),
    [
        ("*", USER, True),
        ("*", NOBODY, True),
        ({"AWS": "*"}, USER, True),
        ({"AWS": "*"}, NOBODY, True),
        ({"AWS": USER}, USER, True),
        ({"AWS": USER}, f"{USER}2", False),
        ({"AWS": USER}, USER.upper(), False),
        ({"AWS": USER}, NOBODY, False),
        ({"AWS": USER}, USER.replace(ONE, TWO), False),
        ({"AWS": ONE}, USER, True),
        ({"AWS": ONE}, ROLE, True),
        ({"AWS": ONE}, SESSION, True),
        ({"AWS": ONE}, NOBODY, False),
        ({"AWS": TWO}, USER, False),
        ({"AWS": f"arn:aws:iam::{ONE}:root"}, USER, True),
        ({"AWS": f"arn:aws:iam::{ONE}:root"}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{ONE}:root"}, f"arn:aws:iam::{ONE}:root", True),
        ({"AWS": f"arn:aws:iam::{TWO}:root"}, USER, False),
        ({"AWS": f"arn:aws-cn:iam::{ONE}:root"}, USER, False),
        ({"AWS": ROLE}, ROLE, True),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{ONE}:role/path/to/gateway"}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{ONE}:role/other"}, SESSION, False),
        ({"AWS": f"arn:aws:iam::{ONE}:role/gateway/other"}, SESSION, False),
        ({"AWS": f"arn:aws:iam::{TWO}:role/gateway"}, SESSION, False),
        ({"AWS": f"arn:aws:iam::{ONE}:user/gateway"}, SESSION, False),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": SESSION}, SESSION.replace("session-1", "session-2"), False),
        ({"AWS": SESSION}, ROLE, False),
        ({"AWS": f"arn:aws:sts::{ONE}:federated-user/ann"}, f"arn:aws:sts::{ONE}:federated-user/ann", True),
        ({"AWS": "AIDACKCEVSQ6C2EXAMPLE"}, USER, False),
        ({"AWS": "arn:aws:iam:::user/rgw"}, "arn:aws:iam:::user/rgw", True),
        ({"AWS": "arn:aws:iam::tenant:user/rgw"}, "arn:aws:iam::tenant:user/rgw", True),
        ({"AWS": "arn:aws:iam::tenant:root"}, "arn:aws:iam::tenant:user/rgw", True),
        ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}, USER, False),
        ({"AWS": [ROLE, USER]}, USER, True),
        ({"Service": "logging.s3.amazonaws.com"}, USER, False),
        ({"Service": "logging.s3.amazonaws.com"}, NOBODY, False),
        ({"Federated": f"arn:aws:iam::{ONE}:saml-provider/x"}, USER, False),
        ({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}, USER, False),
        ({"Service": "s3.amazonaws.com", "AWS": USER}, USER, True),
    ],
)
def test_principals(named: Any, principal: str, expected: bool) -> None:
    """And NotPrincipal is about everybody else."""
    asked = Request(principal=principal)
    assert (decide(policy(statement(Principal=named)), asked).effect is Effect.DENY) is expected
    negated = statement(Principal=None, NotPrincipal=named)
    assert (decide(policy(negated), asked, PUT).effect is Effect.DENY) is not expected
