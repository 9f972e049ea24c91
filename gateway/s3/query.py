"""The query string of a request, kept byte for byte.

The client signed the query as sent, so nothing here re-encodes a pair that nobody changed. Names and values are decoded
only for looking at them: ``%XX`` and ``+`` (a space, as S3 and HTML forms have it), UTF-8 with ``surrogateescape``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import S3Error

#: More parameters than any S3 operation has. A client that sends more is refused before they are looked at.
MAX_PARAMETERS = 256

#: What a request target may consist of: printable ASCII. RFC 3986 allows less; ``#`` is refused because it would start
#: a fragment and cut the target short on the next hop.
_FORBIDDEN_CHARACTER = re.compile(r"[^\x21\x22\x24-\x7e]")
_BROKEN_PERCENT_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = "-_.~"


def check_request_target(text: str) -> None:
    """Refuse what cannot be part of a request target.

    Raises:
        S3Error: InvalidURI for a control character, a space, a byte beyond ASCII, ``#``, or a broken ``%XX``.
    """
    if _FORBIDDEN_CHARACTER.search(text) or ("%" in text and _BROKEN_PERCENT_ENCODING.search(text)):
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")


def encode_value(text: str) -> str:
    """``text`` percent-encoded as SigV4's UriEncode does: all but unreserved characters, upper-case hexadecimal."""
    return quote(text, safe=_UNRESERVED, errors="surrogateescape")


class Query:
    """Query parameters in the order received. Immutable.

    Attributes:
        pairs: names and values still encoded; the value is None when the pair had no ``=``.
    """

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str | None]] = ()) -> None:
        self.pairs: tuple[tuple[str, str | None], ...] = tuple(pairs)
        values: dict[str, str] = {}
        for name, value in self.pairs:
            if name or value is not None:
                values.setdefault(_decode(name), _decode(value or ""))
        self._values = values

    @classmethod
    def parse(cls, raw_query: str) -> "Query":
        """The parameters of ``raw_query``, the request target after ``?``.

        Raises:
            S3Error: InvalidURI for characters or percent-encodings that no URI has, or for too many parameters.
        """
        if not raw_query:
            return EMPTY_QUERY
        check_request_target(raw_query)
        if raw_query.count("&") >= MAX_PARAMETERS:
            raise S3Error("InvalidURI", "Couldn't parse the specified URI.")
        return cls(_split_pair(pair) for pair in raw_query.split("&"))

    def get(self, name: str) -> str | None:
        """The decoded value of the first ``name``: None when absent, empty when it has no value."""
        return self._values.get(name)

    def names(self) -> frozenset[str]:
        """The decoded names present."""
        return frozenset(self._values)

    def items(self) -> Iterator[tuple[str, str]]:
        """Decoded ``(name, value)`` of every pair in order, repeated names included."""
        return ((_decode(name), _decode(value or "")) for name, value in self.pairs if name or value is not None)

    def repeated(self) -> frozenset[str]:
        """The decoded names that occur more than once."""
        if len(self._values) == len(self.pairs):
            return frozenset()
        count = Counter(name for name, _ in self.items())
        return frozenset(name for name, times in count.items() if times > 1)

    def without(self, names: Iterable[str]) -> "Query":
        """A copy that lacks every pair whose decoded name is in ``names``."""
        dropped = frozenset(names)
        return Query(pair for pair in self.pairs if _decode(pair[0]) not in dropped)

    def with_values(self, values: Iterable[tuple[str, str | None]]) -> "Query":
        """A copy with ``values`` (decoded; None for a name without ``=``).

        A name already present is replaced where it first stood, and its repetitions go; a new one is appended.
        """
        new = dict(values)
        pairs: list[tuple[str, str | None]] = []
        placed: set[str] = set()
        for raw_name, raw_value in self.pairs:
            name = _decode(raw_name)
            if name not in new:
                pairs.append((raw_name, raw_value))
            elif name not in placed:
                placed.add(name)
                pairs.append(_encode_pair(name, new[name]))
        pairs.extend(_encode_pair(name, value) for name, value in new.items() if name not in placed)
        return Query(pairs)

    def render(self) -> str:
        """The raw query string, without ``?``."""
        return "&".join(name if value is None else f"{name}={value}" for name, value in self.pairs)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        """Names only: values carry signatures and keys."""
        return f"Query({', '.join(name for name, _ in self.pairs)})"


def _split_pair(pair: str) -> tuple[str, str | None]:
    name, equals, value = pair.partition("=")
    return (name, value) if equals else (name, None)


def _encode_pair(name: str, value: str | None) -> tuple[str, str | None]:
    return encode_value(name), None if value is None else encode_value(value)


def _decode(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


EMPTY_QUERY = Query()
