"""Values that must never be printed: secrets show as ``**redacted**`` wherever Python would render them.

``reveal()`` is the one way in, so a search for it lists every place where a secret is used.

Secret bytes are overwritten when nothing refers to them any more. What Python makes of a secret on its way cannot be:
texts and ``bytes`` (an environment variable, a line of a keyring, an answer of a vault, a header field) are only freed.
"""

import hmac

_REDACTED = "**redacted**"


class SecretStr:
    """A secret text."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Keep it out of anything that outlives the call."""
        return self._value

    def matches(self, other: str) -> bool:
        """Whether ``other`` equals the secret, in a time that does not depend on where they differ."""
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
        )

    def __repr__(self) -> str:
        return _REDACTED

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")


class _Wiped(bytearray):
    """Bytes that are overwritten with zeros at their end. A view puts the end off, so nobody ever reads the zeros."""

    __slots__ = ()

    def __del__(self) -> None:
        self[:] = bytes(len(self))


class SecretBytes:
    """Secret bytes, such as a data key. Overwritten when the last reference to them, and to what is revealed, is gone.

    Args:
        value: the secret, which is copied.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        self._value = _Wiped(value)

    def reveal(self) -> memoryview:
        """The secret itself, to be read. Keep it out of anything that outlives the call."""
        return memoryview(self._value).toreadonly()

    def matches(self, other: "SecretBytes") -> bool:
        """Whether both are the same secret, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self._value, other._value)  # noqa: SLF001 - the same class

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return _REDACTED

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")
