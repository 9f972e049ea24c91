"""Values that must never be printed: secrets show as ``**redacted**`` wherever Python would render them.

``reveal()`` is the one way in, so a search for it lists every place where a secret is used.
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


class SecretBytes:
    """Secret bytes, such as a data key."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The secret itself. Keep it out of anything that outlives the call."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return _REDACTED

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not pickled")
