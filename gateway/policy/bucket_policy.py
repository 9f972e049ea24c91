"""A bucket's policy as it stands at the store: which statements are the gateway's, and in what it differs from another.

Statements of others are kept as they are and need not be understood. What has two meanings is refused: a policy that
names a member twice, or one of the older version whose text would get variables under today's.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import ConfigError
from gateway.policy.closing import SID_PREFIX, Json
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES, VERSION_WITH_VARIABLES

#: An account stands for its root. Source: AWS IAM User Guide, "AWS JSON policy elements: Principal".
_ACCOUNT_DIGITS: Final = 12
_ACTIONS: Final = frozenset({"Action", "NotAction"})
_PRINCIPALS: Final = frozenset({"Principal", "NotPrincipal"})


class Kind(StrEnum):
    """How a statement differs."""

    #: It is not in the bucket's policy.
    MISSING = "missing"
    #: It is, with another meaning.
    DIFFERENT = "different"
    #: It is in the bucket's policy and ought not to be.
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Difference:
    """One statement in which two policies differ.

    Attributes:
        kind: how.
        sid: which statement.
        live: the bucket's; None when there is none.
        wanted: what it ought to be; None when there ought to be none.
    """

    kind: Kind
    sid: str
    live: Json | None
    wanted: Json | None


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """The policy of a bucket.

    Attributes:
        document: the whole of it; None when the bucket has none.
    """

    document: Json | None

    @property
    def statements(self) -> Sequence[Json]:
        """All statements."""
        return _statements(self.document or {})

    @property
    def own(self) -> Sequence[Json]:
        """Those of the gateway, by their Sid."""
        return [statement for statement in self.statements if _is_own(statement)]

    @property
    def foreign(self) -> Sequence[Json]:
        """Those of others."""
        return [statement for statement in self.statements if not _is_own(statement)]


def parse_live_policy(text: str) -> LivePolicy:
    """The policy that a store gave.

    Raises:
        ConfigError: it is not the JSON of a policy.
    """
    try:
        document = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise ConfigError((f"the bucket's policy can not be read: {error}",)) from None
    if not isinstance(document, dict) or not all(isinstance(each, dict) for each in _statements(document)):
        raise ConfigError(("the bucket's policy can not be read: it is not an object with statements",))
    return LivePolicy(document)


def merged(live: LivePolicy, own: Json) -> Json:
    """The statements of others as they are, then the gateway's.

    Args:
        live: the bucket's policy.
        own: the gateway's.

    Raises:
        ConfigError: another version of the language would change what the statements of others mean.
    """
    document = live.document or {}
    if document.get("Version") != VERSION_WITH_VARIABLES and "${" in json.dumps(live.foreign):
        reason = (
            f"the bucket's policy has not the Version {VERSION_WITH_VARIABLES} and '${{' in a statement, which would "
            f"begin a variable in it: bring that policy to {VERSION_WITH_VARIABLES} first"
        )
        raise ConfigError((reason,))
    identifier = {"Id": document["Id"]} if "Id" in document else {}
    return {"Version": VERSION_WITH_VARIABLES, **identifier, "Statement": [*live.foreign, *_statements(own)]}


def differences(live: LivePolicy, own: Json) -> tuple[Difference, ...]:
    """The statements of the gateway that the bucket's policy has not, or has otherwise; order and spelling aside."""
    missing = {str(statement["Sid"]): statement for statement in _statements(own)}
    without_variables = (live.document or {}).get("Version") != VERSION_WITH_VARIABLES
    found = []
    for statement in live.own:
        sid = str(statement["Sid"])
        wanted = missing.pop(sid, None)
        if wanted is None:
            found.append(Difference(Kind.EXTRA, sid, statement, None))
        elif normal_form(statement) != normal_form(wanted) or (without_variables and "${" in json.dumps(wanted)):
            found.append(Difference(Kind.DIFFERENT, sid, statement, wanted))
    return (*found, *(Difference(Kind.MISSING, sid, None, statement) for sid, statement in missing.items()))


def same_policy(one: Json, other: Json) -> bool:
    """Whether two policies have statements of the same meaning, in whatever order."""
    return one.get("Version") == other.get("Version") and _meaning(one) == _meaning(other)


def normal_form(statement: Json) -> Json:
    """A statement in the one form of all that mean the same: lists sorted, one value as a list, keys in lower case."""
    return {name: _normal_member(name, value) for name, value in sorted(statement.items())}


def render_policy(document: Json) -> str:
    """The JSON of a policy, on lines of its own as long as S3 takes it so.

    Raises:
        ConfigError: it is larger than S3 takes.
    """
    for text in (json.dumps(document, indent=2), json.dumps(document, separators=(",", ":"))):
        if len(text) <= MAXIMUM_BUCKET_POLICY_BYTES:
            return text
    reason = (
        f"the policy has {len(text):,} bytes and S3 takes {MAXIMUM_BUCKET_POLICY_BYTES:,}: use fewer rules or prefixes "
        "for this bucket, or leave parts of the policy out"
    )
    raise ConfigError((reason,))


def _statements(document: Mapping[str, object]) -> list[Json]:
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]  # type: ignore[list-item] # checked by whoever parses


def _is_own(statement: Json) -> bool:
    sid = statement.get("Sid")
    return isinstance(sid, str) and sid.startswith(SID_PREFIX)


def _members(pairs: list[tuple[str, object]]) -> Json:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"it has {twice[0]!r} twice")
    return dict(pairs)


def _meaning(document: Json) -> list[str]:
    return sorted(json.dumps(normal_form(statement), sort_keys=True) for statement in _statements(document))


def _normal_member(name: str, value: object) -> object:
    if name == "Condition" and isinstance(value, dict):
        return {operator: _normal_keys(keys) for operator, keys in sorted(value.items())}
    if name in _PRINCIPALS:
        return _normal_principals(value)
    texts = _texts(value)
    return sorted({text.lower() for text in texts} if name in _ACTIONS else set(texts))


def _normal_keys(keys: object) -> object:
    """Names of condition keys have no case; numbers and booleans may stand without quotes."""
    if not isinstance(keys, dict):
        return keys
    return {name.lower(): sorted(set(_texts(values))) for name, values in sorted(keys.items())}


def _normal_principals(value: object) -> object:
    """``*`` is everybody, however it is written, and an account is its root."""
    kinds = value if isinstance(value, dict) else {"AWS": value}
    return {kind: sorted({_principal(text) for text in _texts(texts)}) for kind, texts in sorted(kinds.items())}


def _principal(text: str) -> str:
    if len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isdigit():
        return f"arn:aws:iam::{text}:root"
    return text


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each, sort_keys=True) for each in values]
