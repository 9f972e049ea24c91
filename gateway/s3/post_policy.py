"""The policy document of a POST form: which fields the form may have, with which values, until when.

Source: "Creating a POST Policy" (Signature Version 4), Amazon S3 API Reference. Messages are those of Amazon S3. A
policy is trusted only after its signature was verified; until then it is hostile input.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.errors import S3Error
from gateway.s3.signature_errors import SECRET_NAMES, printable

#: Fields that no condition needs to cover: the proof itself, and the file.
UNCOVERED_FIELDS = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
#: Fields with this prefix are for the page's own use.
IGNORED_PREFIX = "x-ignore-"

_EXPIRATION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand on one field.

    Attributes:
        operator: ``eq`` or ``starts-with``.
        field: the field's name in lower case.
        value: what it must be, or begin with.
    """

    operator: Literal["eq", "starts-with"]
    field: str
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether a form with these fields meets the condition. A field that is missing never does."""
        actual = fields.get(self.field)
        if actual is None:
            return False
        if self.operator == "eq":
            return actual == self.value
        if self.field == "content-type":
            # S3 reads commas in this field as a list, all of whose members have to fit.
            return all(part.strip().startswith(self.value) for part in actual.split(","))
        return actual.startswith(self.value)

    def describe(self) -> str:
        """The condition as S3 writes it in errors; secrets are left out."""
        value = "..." if self.field in SECRET_NAMES else self.value
        return json.dumps([self.operator, f"${self.field}", value], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A parsed policy document.

    Attributes:
        expiration: until when forms with it are taken.
        conditions: what the fields must be.
        minimum_size: bytes that the file must have at least.
        maximum_size: bytes that the file may have at most, or None for no limit of its own.
    """

    expiration: datetime
    conditions: tuple[Condition, ...]
    minimum_size: int = 0
    maximum_size: int | None = None

    def check(self, fields: Mapping[str, str], now: datetime) -> None:
        """Hold a form against the policy.

        Args:
            fields: the form's fields, names in lower case, variables expanded; ``bucket`` is among them.
            now: the current time, aware.

        Raises:
            S3Error: ``AccessDenied`` when the policy has expired, when a condition does not hold, or when a field is
                covered by none.
        """
        if now >= self.expiration:
            raise _against_policy("Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                raise _against_policy(f"Policy Condition failed: {condition.describe()}")
        covered = UNCOVERED_FIELDS.union(condition.field for condition in self.conditions)
        extra = sorted(name for name in fields if name not in covered and not name.startswith(IGNORED_PREFIX))
        if extra:
            raise _against_policy(f"Extra input fields: {', '.join(extra)}")

    def check_size(self, size: int) -> None:
        """Hold the file's size, in bytes, against the policy.

        Raises:
            S3Error: ``EntityTooSmall`` or ``EntityTooLarge``.
        """
        if size < self.minimum_size:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                details=(("ProposedSize", str(size)), ("MinSizeAllowed", str(self.minimum_size))),
            )
        if self.maximum_size is not None and size > self.maximum_size:
            raise S3Error(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                details=(("ProposedSize", str(size)), ("MaxSizeAllowed", str(self.maximum_size))),
            )


def parse_policy(encoded: str) -> PostPolicy:
    """Parse the ``policy`` field of a form.

    Raises:
        S3Error: ``InvalidPolicyDocument``.
    """
    try:
        document = json.loads(base64.b64decode(encoded.encode("ascii"), validate=True).decode("utf-8"))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    if "conditions" not in document:
        raise _invalid("Policy missing conditions.")
    if not isinstance(document["conditions"], list):
        raise _invalid("Invalid 'conditions' value: a list is expected.")
    expiration = _parse_expiration(document)
    conditions: list[Condition] = []
    minimum_size, maximum_size = 0, None
    for item in document["conditions"]:
        parsed = _parse_condition(item)
        if isinstance(parsed, Condition):
            conditions.append(parsed)
        else:
            minimum_size = max(minimum_size, parsed[0])
            maximum_size = parsed[1] if maximum_size is None else min(maximum_size, parsed[1])
    return PostPolicy(expiration, tuple(conditions), minimum_size, maximum_size)


def _parse_expiration(document: Mapping[str, object]) -> datetime:
    value = document.get("expiration")
    if not isinstance(value, str):
        raise _invalid("Policy missing expiration.")
    match = _EXPIRATION.fullmatch(value)
    try:
        return datetime.strptime(match[1] if match else "", "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{value}'") from None


def _parse_condition(item: object) -> Condition | tuple[int, int]:
    """A condition on a field, or the bounds of a ``content-length-range``."""
    if isinstance(item, dict):
        if len(item) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        ((name, value),) = item.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", name.lower(), value)
    if not isinstance(item, list) or len(item) != 3 or not isinstance(item[0], str):
        raise _invalid("Invalid Condition: a list of three elements or an object is expected.")
    operator, first, second = item
    operator = operator.lower()
    if operator == "content-length-range":
        return _parse_size(first), _parse_size(second)
    if operator not in {"eq", "starts-with"}:
        raise _invalid(f"Invalid Condition: unknown operation '{operator}'.")
    if not (isinstance(first, str) and first.startswith("$") and isinstance(second, str)):
        raise _invalid("Invalid Condition: a field named with $ and a string are expected.")
    return Condition("eq" if operator == "eq" else "starts-with", first[1:].lower(), second)


def _parse_size(value: object) -> int:
    """A bound in bytes; pages write it as a number or as a string."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _SIZE.fullmatch(text):
        raise _invalid("Invalid content-length-range: sizes must be non-negative integers.")
    return int(text)


def _invalid(problem: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", printable(f"Invalid Policy: {problem}"))


def _against_policy(problem: str) -> S3Error:
    return S3Error("AccessDenied", printable(f"Invalid according to Policy: {problem}"))
