"""Policies from JSON, strictly: what is not understood is a fault, and all faults are reported together.

Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language". Every statement names its principals, as in a
bucket policy. S3 takes bucket policies of 20 KB (Amazon S3 User Guide, "Bucket policies for Amazon S3"); a file of the
gateway may be about many buckets and is allowed to be larger.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.policy.iam.element import Element
from gateway.policy.iam.faults import Faults, shown
from gateway.policy.iam.json_tree import parse_json
from gateway.policy.iam.statements import Statement, parse_statement

#: What S3 takes as a bucket policy.
MAXIMUM_BUCKET_POLICY_BYTES = 20 * 1024
#: What the gateway takes from a file.
MAXIMUM_POLICY_BYTES = 1024 * 1024

#: The version with policy variables, and the older one, which is meant when none is named.
#: Source: AWS IAM User Guide, "IAM JSON policy elements: Version".
VERSION_WITH_VARIABLES = "2012-10-17"
OLD_VERSION = "2008-10-17"

_ELEMENTS = frozenset({"Version", "Id", "Statement"})


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy.

    Attributes:
        name: what logs and metrics call it.
        version: the version of the language.
        statements: in the order written.
    """

    name: str
    version: str
    statements: tuple[Statement, ...]

    @property
    def variables(self) -> bool:
        """Whether ``${...}`` means anything in it."""
        return self.version == VERSION_WITH_VARIABLES


def parse_policy(text: str | bytes, name: str, maximum_bytes: int = MAXIMUM_POLICY_BYTES) -> Policy:
    """A policy from its JSON.

    Args:
        text: the document; bytes are UTF-8.
        name: what faults, logs and metrics call it.
        maximum_bytes: more is a fault.

    Raises:
        PolicyError: with every fault that it has, each with its line and field.
    """
    faults = Faults(name)
    root = Element(parse_json(_decoded(text, faults, maximum_bytes), faults), "", faults)
    policy = _policy(root, name)
    if faults.found:
        raise faults.error()
    return policy


def _decoded(text: str | bytes, faults: Faults, maximum_bytes: int) -> str:
    """The text, when it is one and no longer than allowed."""
    # No text has more characters than bytes, so a long one is refused before it is encoded.
    if len(text) > maximum_bytes or (isinstance(text, str) and len(text.encode(errors="replace")) > maximum_bytes):
        faults.add(1, "", f"is larger than {maximum_bytes} bytes")
        raise faults.error()
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        faults.add(text.count(b"\n", 0, error.start) + 1, "", "is not UTF-8")
        raise faults.error() from None


def _policy(root: Element, name: str) -> Policy:
    members = root.members(known=_ELEMENTS) or {}
    version = members["Version"].choice(VERSION_WITH_VARIABLES, OLD_VERSION) if "Version" in members else OLD_VERSION
    if "Id" in members:
        members["Id"].text()
    # A version that is none is a fault already; variables are looked at as today's version has them.
    version = version or VERSION_WITH_VARIABLES
    statements = _statements(root, members, variables=version == VERSION_WITH_VARIABLES)
    return Policy(name, version, statements)


def _statements(root: Element, members: Mapping[str, Element], *, variables: bool) -> tuple[Statement, ...]:
    if "Statement" not in members:
        root.fault("Statement is missing")
        return ()
    statements: list[Statement] = []
    sids: set[str] = set()
    for number, element in enumerate(members["Statement"].items()):
        statement = parse_statement(number, element, variables=variables)
        if statement is None:
            continue
        if statement.sid is not None:
            if statement.sid in sids:
                element.fault(f"the Sid {shown(statement.sid)} belongs to an earlier statement")
            sids.add(statement.sid)
        statements.append(statement)
    return tuple(statements)
