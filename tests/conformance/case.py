"""What a case of the differential suite is: steps, written as the HTTP requests they are.

Texts may name values as ``${name}``: ``${bucket}`` is the bucket of the case's world, ``${fresh}`` a bucket of its own
that does not exist yet, and whatever an earlier step of the case or of its world took with ``take`` has the name given
there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Signing = Literal[
    "header",  # the body's SHA-256 is signed
    "unsigned-payload",
    "presigned",
    "expired",  # presigned, an hour too long ago
    "chunks",  # aws-chunked, every chunk signed
    "chunks-trailer",  # aws-chunked, chunks and trailer signed
    "trailer",  # aws-chunked, nothing signed, with a trailer
    "anonymous",
    "wrong-secret",
    "unknown-key",
    "skewed",  # an hour ago
    "wrong-hash",  # signed, but the SHA-256 is another body's
]

_NAMED = re.compile(r"\$\{([a-z0-9-]+)\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    Attributes:
        method: HTTP method.
        target: path and query, sent as they stand here.
        headers: header fields.
        body: the body, or the payload that ``signing`` frames.
        signing: how it is signed.
        trailer: the checksum field behind the body, name and value.
        take: values to keep from the answer: name -> "header:NAME" or the name of an XML element.
        sends_length: whether there is a Content-Length.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    signing: Signing = "header"
    trailer: tuple[str, str] | None = None
    take: Mapping[str, str] = field(default_factory=dict)
    sends_length: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """Requests whose answers have to be the same, directly and through the gateway.

    Attributes:
        name: the rule, in words with dashes; the test's id.
        steps: the requests in order.
        world: the shared setup that its bucket went through.
    """

    name: str
    steps: tuple[Step, ...]
    world: str = "plain"


def case(name: str, *steps: Step, world: str = "plain") -> Case:
    """A case of these steps."""
    return Case(name, steps, world)


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every ``${name}`` replaced.

    Raises:
        KeyError: a name that no step has taken.
    """
    return _NAMED.sub(lambda found: values[found[1]], text)
