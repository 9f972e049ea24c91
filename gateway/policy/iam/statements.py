"""Statements: who, which actions, which resources, under which conditions, and what then.

Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy element reference".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.policy.iam.arn import ArnTemplate
from gateway.policy.iam.conditions import Condition, parse_conditions
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.element import Element
from gateway.policy.iam.faults import shown
from gateway.policy.iam.principals import Principals, parse_principals

#: Every action, every resource.
EVERYTHING = "*"

_MAXIMUM_SID = 128
_ACTION = re.compile(r"\*|[A-Za-z0-9-]{1,64}:[A-Za-z0-9*?]{1,128}")
_EFFECTS = {"Allow": Effect.ALLOW, "Deny": Effect.DENY}
_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Actions or resources of one statement.

    Attributes:
        values: the patterns as written.
        negated: whether the statement is about everything else: ``NotAction``, ``NotResource``.
    """

    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        number: its number in the policy, from 0.
        line: where it stands, from 1.
        sid: its Sid; None when it has none or an empty one.
        effect: allow or deny.
        principals: who it is about.
        actions: which actions it is about.
        resources: which resources it is about.
        conditions: all of them have to hold.
    """

    number: int
    line: int
    sid: str | None
    effect: Effect
    principals: Principals
    actions: Selection
    resources: Selection
    conditions: tuple[Condition, ...] = ()


def parse_statement(number: int, element: Element, *, variables: bool) -> Statement | None:
    """One statement; what is wrong becomes faults, and None when it is no object.

    Args:
        number: its number in the policy.
        element: the statement.
        variables: whether the policy's version has variables.
    """
    members = element.members(known=_ELEMENTS)
    if members is None:
        return None
    return Statement(
        number=number,
        line=element.node.line,
        sid=_sid(members),
        effect=_effect(element, members),
        principals=_principals(element, members),
        actions=_selection(element, members, "Action", _check_action),
        resources=_selection(element, members, "Resource", lambda text: check_resource(text, variables=variables)),
        conditions=parse_conditions(members["Condition"], variables=variables) if "Condition" in members else (),
    )


def check_resource(text: str, *, variables: bool) -> None:
    """Whether a text is a resource of a policy.

    Raises:
        ValueError: it is none.
    """
    if text != EVERYTHING:
        ArnTemplate(text, variables=variables)


def _check_action(text: str) -> None:
    if not _ACTION.fullmatch(text):
        raise ValueError("is no action: service:Name with * and ? in the name, or *")


def _sid(members: Mapping[str, Element]) -> str | None:
    """The Sid. It goes into answers, logs and metrics, so it is one short line."""
    text = members["Sid"].text() if "Sid" in members else None
    if text is not None and (len(text) > _MAXIMUM_SID or not text.isprintable()):
        members["Sid"].fault(f"has to be at most {_MAXIMUM_SID} printable characters")
    return text or None


def _effect(element: Element, members: Mapping[str, Element]) -> Effect:
    if "Effect" not in members:
        element.fault("Effect is missing")
        return Effect.DENY
    return _EFFECTS[members["Effect"].choice(*_EFFECTS) or "Deny"]


def _one_of_pair(element: Element, members: Mapping[str, Element], name: str) -> tuple[Element, bool] | None:
    """An element or its negation and whether it is the negation; a fault and None when both or neither are there."""
    given = [(members[spelling], spelling != name) for spelling in (name, f"Not{name}") if spelling in members]
    if len(given) == 1:
        return given[0]
    element.fault(f"has {'both' if given else 'neither'} {name} {'and' if given else 'nor'} Not{name}")
    return None


def _principals(element: Element, members: Mapping[str, Element]) -> Principals:
    found = _one_of_pair(element, members, "Principal")
    return Principals(()) if found is None else parse_principals(found[0], negated=found[1])


def _selection(element: Element, members: Mapping[str, Element], name: str, check: Callable[[str], None]) -> Selection:
    found = _one_of_pair(element, members, name)
    if found is None:
        return Selection(())
    values: list[str] = []
    for item, text in found[0].texts():
        try:
            check(text)
        except ValueError as error:
            item.fault(f"{shown(text)} {error}")
        values.append(text)
    return Selection(tuple(values), found[1])
