"""docs/format.md says what the code does: names, numbers, and the values of its worked example."""

import hashlib
import re
from pathlib import Path

import pytest

from gateway.crypto.sealed import geometry
from gateway.crypto.sealed.envelope import FORMAT_VERSION, MAX_KEY_FIELDS_BYTES
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.message import MessageHead
from gateway.redact import SecretBytes
from tests.crypto.raw_sealing import alias_proof, location
from tests.crypto.vector import BUCKET, OBJECT_KEY, UPLOAD_ID, read_vectors

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "format.md").read_text()


def test_every_fault_is_named_once() -> None:
    section = DOCUMENT.split("## Faults", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Fault)


def test_the_version() -> None:
    assert DOCUMENT.startswith(f"# The sealed object format, version {FORMAT_VERSION}\n")


@pytest.mark.parametrize(
    "number",
    [
        geometry.ENVELOPE_BYTES,
        geometry.HEAD_BYTES,
        geometry.SEALED_CHUNK_BYTES,
        geometry.SUFFIX_BYTES,
        geometry.CHUNK_BYTES,
        geometry.MAX_PLAINTEXT_BYTES,
        geometry.MAX_PARTS,
        MAX_KEY_FIELDS_BYTES,
    ],
)
def test_numbers(number: int) -> None:
    assert f"{number:,}" in DOCUMENT or str(number) in DOCUMENT


def test_the_vectors_are_named_where_they_are_and_the_decoder_is_short() -> None:
    for path in ("tests/vectors/sealed/", "tests/crypto/reference_decoder.py", "tests/crypto/make_vectors.py"):
        assert path in DOCUMENT
        assert (ROOT / path).exists()
    decoder = (ROOT / "tests" / "crypto" / "reference_decoder.py").read_text()
    assert len(decoder.splitlines()) <= 100
    assert "gateway" not in re.sub(r'""".*?"""', "", decoder, flags=re.DOTALL)


def test_the_worked_example() -> None:
    """Every value in the table of the example, in its order."""
    vector = read_vectors()["whole_alias"]
    assert vector.data_key is not None
    head = MessageHead.parse(vector.stored[:568])
    keys = head.unlock(SecretBytes(vector.data_key))
    envelope = head.envelope
    values = {
        "wrapping key": vector.wrapping_keys[envelope.wrapping_key],
        "wrapped data key": envelope.wrapped_data_key,
        "data key": vector.data_key,
        "object id": envelope.object_id,
        "location that it was sealed for": location("archive", "old.csv"),
        "SHA-256 of the envelope": hashlib.sha256(vector.stored[:512]).digest(),
        "salt": head.salt,
        "base nonce": keys.base_nonce.to_bytes(12, "big"),
        "commitment": head.commitment,
        "the only chunk": vector.stored[568:],
        "plaintext": keys.open_chunk(0, vector.stored[568:]),
        "location of the copy": location(BUCKET, OBJECT_KEY),
        "alias proof": alias_proof(vector.data_key, envelope.object_id, location(BUCKET, OBJECT_KEY)),
        f"object id of the upload `{UPLOAD_ID}`": hashlib.sha256(b"sealgate upload" + UPLOAD_ID.encode()).digest()[:16],
    }
    assert envelope.location == values["location that it was sealed for"]
    table = "".join(f"| {name} | `{value.hex()}` |\n" for name, value in values.items())
    assert table in DOCUMENT, table
