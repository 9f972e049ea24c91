"""Whether 32 bytes can be a random key.

Randomness can not be proven, but what people use for keys by mistake can be told from it: zeros, one repeated byte, a
short pattern, counted-up bytes, a passphrase. Each test refuses fewer than one of 2^45 random keys.
"""

from itertools import pairwise

from gateway.keys.customer_key import MIN_DIFFERENT_BYTES

#: Wrapping keys and data keys are AES-256 keys.
KEY_BYTES = 32


def weakness_of(key: bytes) -> str | None:
    """Why ``key`` is no random key of 32 bytes, in words that do not describe the key further; None when it may be."""
    if len(key) != KEY_BYTES:
        return f"it has {len(key)} bytes instead of {KEY_BYTES}"
    if not any(key):
        return "it is all zeros"
    if len(set(key)) < MIN_DIFFERENT_BYTES:
        return "it repeats few bytes"
    if key[: KEY_BYTES // 2] == key[KEY_BYTES // 2 :]:
        return "its halves are the same"
    if len({(after - before) % 256 for before, after in pairwise(key)}) < MIN_DIFFERENT_BYTES:
        return "its bytes follow a pattern"
    if all(0x20 <= byte < 0x7F for byte in key):
        return "it is a text"
    return None
