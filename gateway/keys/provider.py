"""What every provider of data keys can do; one file per provider beside this one.

A provider wraps data keys under wrapping keys that never leave it. Each wrapping key has a URI such as
``local:2026-a1b2c3``, which every sealed object carries beside its wrapped data key: so the object says itself which
wrapping key opens it, and new objects can use another one meanwhile.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import KeyUnavailable
from gateway.redact import SecretBytes

#: Data keys are AES-256 keys.
DATA_KEY_BYTES = 32
#: What an envelope has room for: the URI of the wrapping key and the wrapped data key together. Source: docs/format.md.
MAX_WRAPPING_BYTES = 436

_URI = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that seals objects, and what a sealed object keeps of it.

    Attributes:
        key: 32 random bytes.
        wrapping_key: the URI of the wrapping key.
        wrapped: the data key wrapped under it.

    Raises:
        KeyUnavailable: it is no AES-256 key, or an envelope has no room for it.
    """

    key: SecretBytes
    wrapping_key: str
    wrapped: bytes

    def __post_init__(self) -> None:
        if len(self.key) != DATA_KEY_BYTES:
            raise KeyUnavailable(
                f"wrapping key {self.wrapping_key!r} gave a data key of {len(self.key)} bytes instead of "
                f"{DATA_KEY_BYTES}",
                code="InvalidArgument",
            )
        if not _URI.fullmatch(self.wrapping_key):
            raise KeyUnavailable(
                f"the URI of wrapping key {self.wrapping_key!r} is not visible ASCII", code="InvalidArgument"
            )
        size = len(self.wrapping_key) + len(self.wrapped)
        if not self.wrapped or size > MAX_WRAPPING_BYTES:
            raise KeyUnavailable(
                f"wrapping key {self.wrapping_key!r} and its wrapped data key take {size} bytes; an envelope has room "
                f"for {MAX_WRAPPING_BYTES}",
                code="InvalidArgument",
            )


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A wrapped data key and who unwraps it.

    Attributes:
        wrapping_key: the URI of the wrapping key.
        wrapped: the data key wrapped under it.
    """

    wrapping_key: str
    wrapped: bytes


class KeyProvider(Protocol):
    """Makes data keys and unwraps them again.

    A provider that asks a service makes exactly one request per call of :meth:`generate`, :meth:`unwrap` and
    :meth:`rewrap`; asking again, limiting, counting and falling back are wrappers around it.
    """

    @property
    def kind(self) -> str:
        """The kind of provider, such as ``local``: the scheme of its URIs and the label of metrics."""

    @property
    def scope(self) -> str:
        """Who shares a quota with this provider: its AWS Region, or the name of its vault; empty without a service."""

    @property
    def current(self) -> str:
        """The URI of the wrapping key that new data keys are wrapped under."""

    async def generate(self) -> DataKey:
        """A new data key, wrapped under :attr:`current`.

        Raises:
            KeyUnavailable: the provider gives none.
        """

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """The data key of a sealed object.

        Args:
            wrapping_key: a URI that this provider handles.
            wrapped: the wrapped data key. It comes from the storage and may be anything.

        Raises:
            KeyUnavailable: the wrapping key is gone, or did not wrap this.
        """

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """The same data key, wrapped under the newest version of :attr:`current`, without the gateway seeing it.

        Args:
            wrapping_key: a URI that this provider handles.
            wrapped: the wrapped data key.

        Raises:
            KeyUnavailable: as :meth:`unwrap`.
        """

    def handles(self, wrapping_key: str) -> bool:
        """Whether this provider may be asked about a wrapping key."""

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        """Which version of the wrapping key wrapped this, such as ``3``; empty where that can not be seen.

        Never raises: what comes from the storage may be anything.
        """

    async def aclose(self) -> None:
        """Forget keys and close connections."""
