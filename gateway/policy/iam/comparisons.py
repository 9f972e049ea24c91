"""What the condition operators compare: how a value of a request is read, and what a value of a policy matches.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators", which also says for each family whether
policy variables are supported: they are in texts, booleans and ARNs, and not in numbers, dates, binary values and
addresses.

A value of a request that can not be read (a number that is none) equals nothing and lies in no range.
"""

import base64
import binascii
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Any, Generic, TypeAlias, TypeVar

from gateway.policy.iam.arn import ArnTemplate, arn_matches, parse_arn
from gateway.policy.iam.variables import Lookup, Template, nothing

Read = TypeVar("Read")

#: Whether a value of a request, as it was read, is one that the policy means.
Matcher: TypeAlias = Callable[[Read], bool]
#: What a value of a policy means in one request; None when a variable in it has no value there.
Meaning: TypeAlias = Callable[[Lookup], Matcher[Read] | None]

#: The version of IP, and the address as a number.
_Address: TypeAlias = tuple[int, int]

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_EPOCH = re.compile(r"[0-9]{1,11}")
#: The W3C's profile of ISO 8601; a year alone would be read as epoch seconds and is none of it here.
_DATE = re.compile(r"(\d{4}-\d\d)(?:(-\d\d)(?:T(\d\d:\d\d)(?:(:\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d))?)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
#: Longer values are neither a number, a date nor an address.
_MAXIMUM_SCALAR = 128


@dataclass(frozen=True, slots=True)
class PolicyValue(Generic[Read]):
    """One value of a policy, compiled.

    Attributes:
        meaning: what it means in one request.
        bounds: what is enough to know about a value of a request: where it lies among these. None when it has
            wildcards or variables.
        dynamic: whether what it means depends on the request: it has variables.
    """

    meaning: Meaning[Read]
    bounds: tuple[Read, ...] | None
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Comparison(Generic[Read]):
    """What one operator compares, negations and suffixes aside.

    Attributes:
        read: a value of a request as what is compared; None when it can not be read.
        compile: a value of a policy, and whether its version has variables; raises ValueError when it is malformed.
    """

    read: Callable[[str], Read | None]
    compile: Callable[[str, bool], PolicyValue[Read]]


def _as_it_is(text: str) -> str:
    return text


def _number(text: str) -> Decimal | None:
    return Decimal(text) if len(text) <= _MAXIMUM_SCALAR and _NUMBER.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    """A moment in ISO 8601 or in seconds since 1970; a day or month stands for its beginning in UTC."""
    if len(text) > _MAXIMUM_SCALAR:
        return None
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    month, day, minutes, seconds, fraction, zone = found.groups()
    whole = f"{month}{day or '-01'}T{minutes or '00:00'}{seconds or ':00'}.{(fraction or '')[:6]:0<6}{zone or 'Z'}"
    try:
        return datetime.fromisoformat(whole).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


def _binary(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _address(text: str) -> _Address | None:
    """An address; one of IPv4 inside of IPv6, as dual-stack sockets report it, is the IPv4 address."""
    if len(text) > _MAXIMUM_SCALAR:
        return None
    try:
        if ":" not in text:
            return 4, int(IPv4Address(text))
        address = IPv6Address(text)
    except ValueError:
        return None
    return (6, int(address)) if address.ipv4_mapped is None else (4, int(address.ipv4_mapped))


def _fixed(matcher: Matcher[Read], *bounds: Read) -> PolicyValue[Read]:
    return PolicyValue(lambda _lookup: matcher, bounds)


def _ordered(read: Callable[[str], Read | None], kind: str, compare: Callable[[Read, Read], bool]) -> Comparison[Read]:
    """Comparison with a number, a date, or bytes."""

    def compile_value(text: str, _variables: bool) -> PolicyValue[Read]:  # noqa: FBT001  # a callback
        bound = read(text)
        if bound is None:
            raise ValueError(f"is no {kind}")
        return _fixed(lambda value: compare(value, bound), bound)

    return Comparison(read, compile_value)


def _equal_texts(read: Callable[[str], Read | None]) -> Comparison[Read]:
    """Equality of texts after both are read alike; variables are filled in before."""

    def compile_value(text: str, variables: bool) -> PolicyValue[Read]:  # noqa: FBT001  # a callback
        template = Template(text, variables=variables, wildcards=False)

        def meaning(lookup: Lookup) -> Matcher[Read] | None:
            filled = template.text(lookup)
            wanted = None if filled is None else read(filled)
            return None if wanted is None else lambda value: value == wanted

        if template.dynamic:
            return PolicyValue(meaning, None, dynamic=True)
        wanted = read(template.text(nothing) or "")
        if wanted is None:
            raise ValueError("is neither true nor false")
        return _fixed(lambda value: value == wanted, wanted)

    return Comparison(read, compile_value)


def _like(text: str, variables: bool) -> PolicyValue[str]:  # noqa: FBT001  # a callback
    template = Template(text, variables=variables, wildcards=True)

    def meaning(lookup: Lookup) -> Matcher[str] | None:
        glob = template.glob(lookup)
        return None if glob is None else glob.matches

    return PolicyValue(meaning, template.bounds(), template.dynamic)


def _arn_like(text: str, variables: bool) -> PolicyValue[tuple[str, ...]]:  # noqa: FBT001  # a callback
    template = ArnTemplate(text, variables=variables)

    def meaning(lookup: Lookup) -> Matcher[tuple[str, ...]] | None:
        globs = template.globs(lookup)
        return None if globs is None else lambda arn: arn_matches(globs, arn)

    return PolicyValue(meaning, template.bounds(), template.dynamic)


def _in_network(text: str, _variables: bool) -> PolicyValue[_Address]:  # noqa: FBT001  # a callback
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is neither an IP address nor a CIDR block") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError("is an IPv4 address inside of IPv6; write the IPv4 address")
    first = (network.version, int(network.network_address))
    last = (network.version, int(network.broadcast_address))
    return _fixed(lambda address: first <= address <= last, first, last)


_ARN = Comparison(parse_arn, _arn_like)

#: Every operator that is not the negation of another.
COMPARISONS: dict[str, Comparison[Any]] = {
    "StringEquals": _equal_texts(_as_it_is),
    "StringEqualsIgnoreCase": _equal_texts(str.lower),
    "StringLike": Comparison(_as_it_is, _like),
    "NumericEquals": _ordered(_number, "number", operator.eq),
    "NumericLessThan": _ordered(_number, "number", operator.lt),
    "NumericLessThanEquals": _ordered(_number, "number", operator.le),
    "NumericGreaterThan": _ordered(_number, "number", operator.gt),
    "NumericGreaterThanEquals": _ordered(_number, "number", operator.ge),
    "DateEquals": _ordered(_date, "date", operator.eq),
    "DateLessThan": _ordered(_date, "date", operator.lt),
    "DateLessThanEquals": _ordered(_date, "date", operator.le),
    "DateGreaterThan": _ordered(_date, "date", operator.gt),
    "DateGreaterThanEquals": _ordered(_date, "date", operator.ge),
    "Bool": _equal_texts(_boolean),
    "BinaryEquals": _ordered(_binary, "base64", operator.eq),
    "IpAddress": Comparison(_address, _in_network),
    "ArnEquals": _ARN,
    "ArnLike": _ARN,
}
