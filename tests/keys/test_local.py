import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.sealed.envelope import MAX_KEY_FIELDS_BYTES
from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys import local
from gateway.keys.local import LocalKeyProvider
from gateway.keys.local_keyring import Keyring, WrappingKey, render_keyring
from gateway.keys.provider import MAX_WRAPPING_BYTES, DataKey, KeyProvider
from gateway.redact import SecretBytes

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def ring(*ids: str, current: str | None = None) -> Keyring:
    keys = {key_id: WrappingKey(key_id, NOW, SecretBytes(secrets.token_bytes(32))) for key_id in ids}
    return Keyring(keys, current or ids[-1])


async def test_round_trip_under_every_key() -> None:
    keyring = ring("a", "b")
    for key_id in ("a", "b"):
        provider: KeyProvider = LocalKeyProvider(keyring, key_id)
        assert (provider.kind, provider.current) == ("local", f"local:{key_id}")
        data_key = await provider.generate()
        assert data_key.wrapping_key == f"local:{key_id}"
        assert len(data_key.wrapped) == 60
        # Whichever key is current, all open.
        opened = await LocalKeyProvider(keyring).unwrap(data_key.wrapping_key, data_key.wrapped)
        assert opened.reveal() == data_key.key.reveal()


async def test_what_is_wrapped_is_what_the_format_says() -> None:
    """Nonce, then AES-256-GCM with the key id as associated data: opened here without the provider."""
    keyring = ring("some.id")
    data_key = await LocalKeyProvider(keyring).generate()
    cipher = AESGCM(keyring.keys["some.id"].key.reveal())
    assert cipher.decrypt(data_key.wrapped[:12], data_key.wrapped[12:], b"some.id") == data_key.key.reveal()


async def test_nothing_repeats() -> None:
    provider = LocalKeyProvider(ring("a"))
    made = [await provider.generate() for _ in range(200)]
    assert len({bytes(key.key.reveal()) for key in made}) == len({key.wrapped[:12] for key in made}) == 200


async def test_the_current_key_is_the_keyrings_unless_named() -> None:
    keyring = ring("a", "b", current="a")
    assert LocalKeyProvider(keyring).current == "local:a"
    assert LocalKeyProvider(keyring, "b").current == "local:b"
    with pytest.raises(ConfigError, match="no key 'c'"):
        LocalKeyProvider(keyring, "c")


async def test_handles_what_it_has() -> None:
    provider = LocalKeyProvider(ring("a"))
    assert [provider.handles(uri) for uri in ("local:a", "local:b", "local:", "a", "LOCAL:a", "aws-kms:a")] == [
        True, False, False, False, False, False,
    ]  # fmt: skip


async def test_every_change_is_refused() -> None:
    """Each byte of the wrapped key, its length, and the name it is stored with."""
    keyring = ring("a", "b")
    provider = LocalKeyProvider(keyring)
    data_key = await provider.generate()
    wrapped = data_key.wrapped
    changed = [wrapped[:at] + bytes((wrapped[at] ^ 1,)) + wrapped[at + 1 :] for at in range(len(wrapped))]
    for bad in (*changed, b"", wrapped[:-1], wrapped + b"\0", bytes(60)):
        with pytest.raises(KeyUnavailable, match="was not made by") as caught:
            await provider.unwrap("local:b", bad)
        assert caught.value.code == "AccessDenied"
    with pytest.raises(KeyUnavailable, match="was not made by"):
        await provider.unwrap("local:a", wrapped)
    with pytest.raises(KeyUnavailable, match="does not have") as caught:
        await provider.unwrap("local:c", wrapped)
    assert caught.value.code == "KMS.NotFoundException"


async def test_the_key_id_is_bound() -> None:
    """The same key under another id does not unwrap: the name in an envelope can not be exchanged."""
    key = SecretBytes(secrets.token_bytes(32))
    one = LocalKeyProvider(Keyring({"a": WrappingKey("a", NOW, key)}, "a"))
    other = LocalKeyProvider(Keyring({"b": WrappingKey("b", NOW, key)}, "b"))
    data_key = await one.generate()
    with pytest.raises(KeyUnavailable):
        await other.unwrap("local:b", data_key.wrapped)


def test_the_cipher_is_tested_first(monkeypatch: pytest.MonkeyPatch) -> None:
    local.check_cipher()
    monkeypatch.setattr(local, "_KNOWN_CIPHERTEXT", bytes(76))
    with pytest.raises(ConfigError, match="wrong results"):
        LocalKeyProvider(ring("a"))


def test_a_cipher_that_accepts_anything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless:
        def __init__(self, key: bytes) -> None:
            self._real = AESGCM(key)

        def encrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
            return self._real.encrypt(nonce, data, aad)

        def decrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
            return data[:-16]

    monkeypatch.setattr(local, "AESGCM", Careless)
    with pytest.raises(ConfigError, match="accepts damaged data"):
        LocalKeyProvider(ring("a"))


async def test_random_source_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = LocalKeyProvider(ring("a"))
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    with pytest.raises(KeyUnavailable, match="not random"):
        await provider.generate()


async def test_closing_forgets_the_keys() -> None:
    provider = LocalKeyProvider(ring("a"))
    await provider.aclose()
    assert not provider.handles("local:a")
    with pytest.raises(KeyUnavailable, match="closed"):
        await provider.generate()


async def test_open_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keyring"
    file.touch(mode=0o600)
    file.write_bytes(render_keyring(ring("a", "b")))
    assert LocalKeyProvider.open(file, "a").current == "local:a"
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod"):
        LocalKeyProvider.open(file)


@pytest.mark.parametrize(
    ("uri", "wrapped", "key", "part"),
    [
        ("local:a", b"w", b"k" * 31, "31 bytes"),
        ("local:a", b"", b"k" * 32, "room"),
        ("u" * 37, b"w" * 400, b"k" * 32, "437 bytes"),
        ("local:ü", b"w", b"k" * 32, "visible ASCII"),
        ("local: a", b"w", b"k" * 32, "visible ASCII"),
        ("", b"w", b"k" * 32, "visible ASCII"),
    ],
)
def test_data_key_that_no_envelope_holds(uri: str, wrapped: bytes, key: bytes, part: str) -> None:
    with pytest.raises(KeyUnavailable, match=part):
        DataKey(SecretBytes(key), uri, wrapped)


def test_largest_data_key() -> None:
    assert MAX_WRAPPING_BYTES == MAX_KEY_FIELDS_BYTES
    data_key = DataKey(SecretBytes(b"k" * 32), "u" * 36, b"w" * (MAX_WRAPPING_BYTES - 36))
    assert "kkk" not in repr(data_key)
