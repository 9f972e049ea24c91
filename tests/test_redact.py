"""Secrets do not show, and secret bytes do not outlive their use."""

import copy
import ctypes
import pickle
import secrets
import traceback

import pytest

from gateway.redact import SecretBytes, SecretStr

#: Small enough for Python's own allocator, which keeps what it has mapped, so that a freed place can be looked at.
_BYTES = 400


def _address_of(secret: SecretBytes) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(secret._value))


@pytest.mark.parametrize("secret", [SecretStr("hunter2"), SecretBytes(b"hunter2")], ids=["text", "bytes"])
def test_a_secret_does_not_show(secret: SecretStr | SecretBytes) -> None:
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]!r}", "%s" % secret]  # noqa: UP031 - loggers do that
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown += traceback.format_exception(error)
    assert "**redacted**" in shown[0]
    assert not [text for text in shown if "hunter2" in text]
    for leaves in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leaves(secret)


def test_secret_bytes_are_overwritten_with_their_last_reference() -> None:
    value = secrets.token_bytes(_BYTES)
    secret = SecretBytes(value)
    address = _address_of(secret)
    assert value[100:300] in ctypes.string_at(address, _BYTES)
    del secret
    assert value[100:300] not in ctypes.string_at(address, _BYTES)


def test_what_is_in_use_is_not_overwritten() -> None:
    """Whoever evicts a key does not know who is just about to use it; zeros must never become a key."""
    value = secrets.token_bytes(_BYTES)
    secret = SecretBytes(value)
    address = _address_of(secret)
    revealed = secret.reveal()
    del secret
    assert revealed == value
    part = revealed[8:]
    del revealed
    assert part == value[8:]
    del part
    assert value[100:300] not in ctypes.string_at(address, _BYTES)


def test_what_is_revealed_can_only_be_read() -> None:
    with pytest.raises(TypeError, match="read-only"):
        SecretBytes(b"hunter2").reveal()[0] = 0


def test_the_source_may_change_afterwards() -> None:
    source = bytearray(b"hunter2")
    secret = SecretBytes(source)
    source[:] = bytes(7)
    assert bytes(secret.reveal()) == b"hunter2"


def test_comparisons() -> None:
    assert SecretBytes(b"hunter2").matches(SecretBytes(b"hunter2"))
    assert not SecretBytes(b"hunter2").matches(SecretBytes(b"hunter3"))
    assert not SecretBytes(b"hunter2").matches(SecretBytes(b""))
    assert SecretStr("hunter2").matches("hunter2")
    assert not SecretStr("hunter2").matches("hunter3")
