import secrets

import pytest

from gateway.keys.key_quality import weakness_of


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (b"", "0 bytes"),
        (bytes.fromhex("fb7378d016e28635b1d857f3fe5f6c70a734b29a7c6ec50cb9a4387a51e0db"), "31 bytes"),
        (bytes.fromhex("79f57ad6787af55b7703199c3fbb1c17fd1c7fb58e08bb4bf05f51088fec8c30c2"), "33 bytes"),
        (bytes.fromhex("3a414ff697c57ecb2ce3b7319ea545b1"), "16 bytes"),
        (bytes(32), "zeros"),
        (b"\xff" * 32, "repeats"),
        (b"\x01\x02" * 16, "repeats"),
        (bytes(31) + b"\x01", "repeats"),
        (bytes.fromhex("feffe9928665731c6d6a8f9467308308") * 2, "halves"),
        (bytes(range(32)), "pattern"),
        (bytes(range(255, 223, -1)), "pattern"),
        (bytes(7 * n % 256 for n in range(32)), "pattern"),
        (b"correct horse battery staple, 32", "text"),
        (b"9f1c04be77d2a58310ce6b4d2f90a1e8", "text"),
    ],
)
def test_what_people_use_by_mistake(key: bytes, part: str) -> None:
    weakness = weakness_of(key)
    assert weakness is not None
    assert part in weakness


def test_random_keys_pass() -> None:
    assert {weakness_of(secrets.token_bytes(32)) for _ in range(2000)} == {None}
