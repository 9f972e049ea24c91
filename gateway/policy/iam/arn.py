"""Amazon Resource Names as six parts, each matched by itself.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators", ARN condition operators: each of the six
colon-delimited components is checked separately and may include wildcards; and "IAM JSON policy elements: Resource": a
wildcard in the last part goes past a colon.
"""

from typing import TypeAlias

from gateway.policy.glob import PieceGlob
from gateway.policy.iam.variables import Lookup, Template, mask_variables

#: ``arn``, partition, service, region, account, resource.
ARN_PARTS = 6

Arn: TypeAlias = tuple[str, ...]


def parse_arn(text: str) -> Arn | None:
    """The six parts of an ARN in a request; None when it is none."""
    parts = tuple(text.split(":", ARN_PARTS - 1))
    return parts if len(parts) == ARN_PARTS and parts[0] == "arn" else None


class ArnTemplate:
    """An ARN of a policy, with wildcards and variables in its parts.

    Args:
        text: the ARN as written.
        variables: whether the policy's version has variables.

    Attributes:
        dynamic: whether it has variables.

    Raises:
        ValueError: it has fewer than six parts, does not begin with ``arn``, names no partition or service, or has a
            variable that is not written as one.
    """

    __slots__ = ("_templates", "dynamic")

    def __init__(self, text: str, *, variables: bool) -> None:
        parts = split_arn(text, variables=variables)
        self._templates = tuple(Template(part, variables=variables, wildcards=True) for part in parts)
        self.dynamic = any(template.dynamic for template in self._templates)

    def bounds(self) -> tuple[Arn, ...] | None:
        """ARNs among which the place of another ARN says whether it is matched; None when there are none such."""
        bounds = [template.bounds() for template in self._templates]
        head = tuple(found[0] for found in bounds[:-1] if found is not None and len(found) == 1)
        if len(head) < ARN_PARTS - 1 or bounds[-1] is None:
            return None
        return tuple((*head, last) for last in bounds[-1])

    def globs(self, lookup: Lookup) -> tuple[PieceGlob, ...] | None:
        """What each part matches in one request; None when a variable has no value there."""
        globs = [template.glob(lookup) for template in self._templates]
        found = tuple(glob for glob in globs if glob is not None)
        return found if len(found) == len(globs) else None


def arn_matches(globs: tuple[PieceGlob, ...], arn: Arn) -> bool:
    """Whether every part of an ARN is what its glob describes."""
    return all(glob.matches(part) for glob, part in zip(globs, arn, strict=True))


def split_arn(text: str, *, variables: bool) -> Arn:
    """The six parts of an ARN in a policy; colons inside of variables do not count.

    Raises:
        ValueError: it is none.
    """
    lengths = [len(part) for part in mask_variables(text, variables=variables).split(":", ARN_PARTS - 1)]
    parts: list[str] = []
    position = 0
    for length in lengths:
        parts.append(text[position : position + length])
        position += length + 1
    if len(parts) != ARN_PARTS or parts[0] != "arn" or not parts[1] or not parts[2]:
        raise ValueError("is no ARN: arn:partition:service:region:account:resource")
    return tuple(parts)
