"""Who a statement is about.

Source: AWS IAM User Guide, "AWS JSON policy elements: Principal": an account stands for everybody in it, a role for all
of its sessions, and ``*`` for everybody; no other wildcard is allowed. Requests to the gateway come from identities, so
services, federated and canonical users are understood and never match.
"""

import re
from dataclasses import dataclass

from gateway.policy.iam.arn import parse_arn
from gateway.policy.iam.element import Element
from gateway.policy.iam.faults import shown

#: Everybody, also who is not authenticated.
EVERYBODY = "*"

#: Accounts have twelve digits; other S3 servers have tenants with names, or none.
_ACCOUNT = r"(?:[0-9]{12}|(?![0-9]+:)[A-Za-z0-9_.-]{0,128})"
_NAME = r"[^\x00-\x1f\x7f*?]{1,1024}"
_AWS = re.compile(
    r"\*|[0-9]{12}"
    rf"|arn:aws[a-z-]*:iam::(?:[0-9]{{12}}|[A-Za-z][A-Za-z0-9_.-]{{0,127}}):root"
    rf"|arn:aws[a-z-]*:iam::{_ACCOUNT}:(?:user|role)/{_NAME}"
    rf"|arn:aws[a-z-]*:sts::{_ACCOUNT}:(?:assumed-role/[^\x00-\x1f\x7f*?/]{{1,64}}/{_NAME}|federated-user/{_NAME})"
    # What is left of a user or role that was deleted; nobody has it.
    r"|A(?:IDA|ROA)[A-Z0-9]{16,124}"
)
_OTHERS = {
    "Service": re.compile(r"[A-Za-z0-9.-]{1,256}"),
    "Federated": re.compile(_NAME),
    "CanonicalUser": re.compile(r"[0-9A-Za-z]{1,128}"),
}
_KINDS = {"AWS": _AWS, **_OTHERS}
_ROLE = "role/"
_SESSION = "assumed-role/"


@dataclass(frozen=True, slots=True)
class Principals:
    """The principals of one statement.

    Attributes:
        values: each with its kind: ``AWS``, ``Service``, ``Federated`` or ``CanonicalUser``.
        negated: whether the statement is about everybody else: ``NotPrincipal``.
    """

    values: tuple[tuple[str, str], ...]
    negated: bool = False

    def match(self, principal: str) -> bool:
        """Whether the statement is about this principal, given by ARN; ``*`` is nobody in particular."""
        named = any(kind == "AWS" and _is(value, principal) for kind, value in self.values)
        return named != self.negated


def parse_principals(element: Element, *, negated: bool) -> Principals:
    """The principals of a ``Principal`` or ``NotPrincipal`` element; what is wrong becomes faults."""
    if element.node.value == EVERYBODY:
        return Principals((("AWS", EVERYBODY),), negated)
    if isinstance(element.node.value, str):
        element.fault('has to be "*" or an object such as {"AWS": "arn:aws:iam::111122223333:user/name"}')
        return Principals((), negated)
    members = element.members()
    if members is not None and not members:
        element.fault("is empty")
    values: list[tuple[str, str]] = []
    for kind, member in (members or {}).items():
        pattern = _KINDS.get(kind)
        if pattern is None:
            member.fault(f"is none of {', '.join(_KINDS)}")
            continue
        for item, text in member.texts():
            if not pattern.fullmatch(text):
                item.fault(f"{shown(text)} {_what_is_wrong(text)}")
            values.append((kind, text))
    return Principals(tuple(values), negated)


def _what_is_wrong(text: str) -> str:
    if "*" in text or "?" in text:
        return "has a wildcard, which a principal can not have; * alone is everybody"
    return "is no principal"


def _is(value: str, principal: str) -> bool:
    """Whether a principal of a policy stands for the one who asks."""
    if value in (EVERYBODY, principal):
        return True
    arn = parse_arn(principal)
    if arn is None:
        return False
    account = arn[4]
    wanted = parse_arn(value)
    if wanted is None:
        return value == account
    if wanted[1] != arn[1] or wanted[4] != account:
        return False
    if wanted[5] == "root":
        return True
    return wanted[5].startswith(_ROLE) and _role_of(arn[5]) == wanted[5].rpartition("/")[2]


def _role_of(resource: str) -> str | None:
    """The role of a session; the ARN of a session does not have the role's path."""
    return resource.split("/")[1] if resource.startswith(_SESSION) else None
