"""``sealgate open`` on files: everything verified, or a named fault and no file."""

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.crypto.sealed.geometry import sealed_size
from tests.cli.stored_under_test import Sealing, sealgate, write_keyring
from tests.crypto.vector import BUCKET, OBJECT_KEY, WRAPPING_KEYS, Vector, read_vectors

VECTORS = read_vectors()
#: Without a place there is nothing to compare a location with, and without metadata there is no marker.
NEEDS_PLACE = ("location_other", "location_moved", "location_alias", "marker_")


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    return write_keyring(tmp_path / "keyring.json")


def write(vector: Vector, directory: Path) -> Path:
    path = directory / "stored"
    path.write_bytes(vector.stored)
    return path


def is_expected(vector: Vector, opened: bytes) -> bool:
    return vector.expect == f"plaintext {len(opened)} {hashlib.sha256(opened).hexdigest()}"


def place_of(vector: Vector) -> list[str]:
    if vector.bucket is None or vector.object_key is None:
        return []
    marker = [] if vector.marker is None else ["--marker", vector.marker]
    return ["--bucket", vector.bucket, "--key", vector.object_key, *marker]


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.wrapping_keys == WRAPPING_KEYS])
@pytest.mark.parametrize("place_known", [True, False])
def test_vector(name: str, place_known: bool, keyring: Path, tmp_path: Path) -> None:
    vector = VECTORS[name]
    stored, out = write(vector, tmp_path), tmp_path / "out"
    result = sealgate("open", stored, "-o", out, "--keyring", keyring, *(place_of(vector) if place_known else ()))
    expected = vector.expect.removeprefix("fault ")
    if expected != vector.expect and (place_known or not name.startswith(NEEDS_PLACE)):
        assert result.exit_code == (2 if re.match(r"marker_(?!size_wrong)", name) else 1)
        if expected not in ("key_unavailable", "marker"):
            assert f"{stored}: fault {expected}: " in result.stderr
        assert result.stdout == ""
        assert sorted(path.name for path in tmp_path.iterdir()) == ["keyring.json", "stored"]
    else:
        assert (result.exit_code, result.output) == (0, "")
        assert out.stat().st_mode & 0o777 == 0o600
        if expected == vector.expect:
            assert is_expected(vector, out.read_bytes())


def test_to_the_standard_output(keyring: Path, tmp_path: Path) -> None:
    vector = VECTORS["whole_16385"]
    result = sealgate("open", write(vector, tmp_path), "--keyring", keyring)
    assert (result.exit_code, result.stderr) == (0, "")
    assert is_expected(vector, result.stdout_bytes)


def test_the_standard_output_gets_verified_bytes_only(keyring: Path, tmp_path: Path) -> None:
    plaintext = os.urandom(3_000_000)
    stored = bytearray(Sealing(keyring).whole("b", "k", plaintext))
    stored[2_500_000] ^= 1
    (tmp_path / "stored").write_bytes(stored)
    result = sealgate("open", tmp_path / "stored", "--keyring", keyring)
    assert result.exit_code == 1
    assert "fault chunk: " in result.stderr
    assert len(result.stdout_bytes) < 2_500_000
    assert plaintext.startswith(result.stdout_bytes)


@pytest.mark.parametrize("name", ["whole_16385", "multipart_chunk_borders", "multipart_empty_parts_between"])
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("0-0", slice(0, 1)),
        ("5-8", slice(5, 9)),
        ("3-", slice(3, None)),
        ("-4", slice(-4, None)),
        ("2-99999999", slice(2, None)),
        ("0-", slice(None)),
    ],
)
def test_ranges(name: str, text: str, part: slice, keyring: Path, tmp_path: Path) -> None:
    stored, out = write(VECTORS[name], tmp_path), tmp_path / "out"
    whole = sealgate("open", stored, "--keyring", keyring).stdout_bytes
    assert sealgate("open", stored, "-o", out, "--keyring", keyring, "--range", text).exit_code == 0
    assert out.read_bytes() == whole[part]


def test_a_range_needs_only_its_chunks_to_be_sound(keyring: Path, tmp_path: Path) -> None:
    plaintext = os.urandom(200_000)
    stored = bytearray(Sealing(keyring).multipart("b", "k", [plaintext[:100_000], plaintext[100_000:]]))
    stored[600] ^= 1
    (tmp_path / "stored").write_bytes(stored)
    result = sealgate("open", tmp_path / "stored", "--keyring", keyring, "--range", "150000-160000")
    assert result.exit_code == 0
    assert result.stdout_bytes == plaintext[150_000:160_001]
    assert sealgate("open", tmp_path / "stored", "--keyring", keyring, "--range", "100-200").exit_code == 1


@pytest.mark.parametrize(
    ("text", "status"), [("16385-", 1), ("-0", 1), ("5-3", 2), ("x", 2), ("1-2,4-5", 2), ("", 2), ("-", 2)]
)
def test_ranges_that_are_none(text: str, status: int, keyring: Path, tmp_path: Path) -> None:
    stored = write(VECTORS["whole_16385"], tmp_path)
    result = sealgate("open", stored, "-o", tmp_path / "out", "--keyring", keyring, f"--range={text}")
    assert (result.exit_code, result.stdout) == (status, "")
    assert not (tmp_path / "out").exists()


def test_an_alias_proof_by_itself(keyring: Path, tmp_path: Path) -> None:
    vector = VECTORS["multipart_alias"]
    assert vector.marker is not None
    stored, place = write(vector, tmp_path), ("--bucket", BUCKET, "--key", OBJECT_KEY)
    proof = vector.marker.removeprefix("v1;alias=")
    assert sealgate("open", stored, "--keyring", keyring, *place, "--alias", proof).exit_code == 0
    result = sealgate("open", stored, "--keyring", keyring, *place)
    assert result.exit_code == 1
    assert "fault location: " in result.stderr


def test_keys_from_a_configuration(tmp_path: Path) -> None:
    """Nothing else of it is used: no secret is there, and no certificate."""
    keyring = write_keyring(tmp_path / "keyring.json", ["local:vectors-2"])
    config = tmp_path / "sealgate.yaml"
    identity = {"name": "app", "access_key_id": "AKIDAPP", "secret_access_key": "env:NOT_THERE"}
    credentials = {"kind": "static", "access_key_id": "AKIDSTORE", "secret_access_key": "env:NOT_THERE"}
    document = {
        "listeners": {"https": [{"certificate": "/not/there.pem", "private_key": "/not/there.key"}]},
        "identities": [{**identity, "upstream_credentials": credentials}],
        "upstream": {"endpoint": "https://localhost:1"},
        "wrapping_keys": {"one": {"provider": "local", "keyring": str(keyring)}},
        "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
    }
    config.write_text(json.dumps(document))
    vector = VECTORS["whole_second_wrapping_key"]
    result = sealgate("open", write(vector, tmp_path), "--config", config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert is_expected(vector, result.stdout_bytes)
    config.write_text("rules: 7")
    result = sealgate("open", write(vector, tmp_path), "--config", config)
    assert result.exit_code == 1
    assert "rules" in result.stderr


def test_several_keyrings(tmp_path: Path) -> None:
    rings = [write_keyring(tmp_path / f"{uri[-1]}.json", [uri]) for uri in WRAPPING_KEYS]
    stored = write(VECTORS["multipart_three_data_keys"], tmp_path)
    assert sealgate("open", stored, "--keyring", rings[0], "--keyring", rings[1]).exit_code == 0
    result = sealgate("open", stored, "--keyring", rings[0])
    assert result.exit_code == 1
    assert "local:vectors-2" in result.stderr


def test_a_keyring_that_others_can_read_is_refused(keyring: Path, tmp_path: Path) -> None:
    keyring.chmod(0o640)
    result = sealgate("open", write(VECTORS["whole_1"], tmp_path), "--keyring", keyring)
    assert result.exit_code == 1
    assert "0640" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bucket", "b"], "belong together"),
        (["--key", "k"], "belong together"),
        (["--alias", "A" * 43], "needs --bucket and --key"),
        (["--marker", "v3"], "malformed"),
        (["--marker", "v1", "--alias", "A" * 43], "in the marker"),
        (["--anywhere", "--bucket", "b", "--key", "k"], "exclude"),
        (["--endpoint-url", "https://localhost"], "for s3:// only"),
        (["--version-id", "1"], "for s3:// only"),
    ],
)
def test_options_that_do_not_fit_together(arguments: list[str], words: str, keyring: Path, tmp_path: Path) -> None:
    result = sealgate("open", write(VECTORS["whole_1"], tmp_path), "--keyring", keyring, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_what_can_not_be_read_or_written(keyring: Path, tmp_path: Path) -> None:
    stored = write(VECTORS["whole_1"], tmp_path)
    for source in (tmp_path / "missing", tmp_path):
        assert sealgate("open", source, "--keyring", keyring).exit_code == 1
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for out in (tmp_path / "no" / "directory", tmp_path, Path("/dev/null"), tmp_path / "link"):
        result = sealgate("open", stored, "--keyring", keyring, "-o", out)
        assert result.exit_code == 1
        assert str(out) in result.stderr
    assert Path("/dev/null").is_char_device()
    result = sealgate("open", stored)
    assert result.exit_code == 1
    assert "--keyring" in result.stderr


def test_what_was_there_stays_until_everything_is_verified(keyring: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before")
    damaged = VECTORS["chunk_tag_changed"]
    assert sealgate("open", write(damaged, tmp_path), "--keyring", keyring, "-o", out).exit_code == 1
    assert out.read_bytes() == b"before"
    assert sealgate("open", write(VECTORS["whole_1"], tmp_path), "--keyring", keyring, "-o", out).exit_code == 0
    assert len(out.read_bytes()) == 1


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keyring(tmp_path_factory.mktemp("ring") / "keyring.json")


@pytest.fixture(scope="module")
def large(ring: Path) -> Path:
    path = ring.parent / "large"
    path.write_bytes(Sealing(ring).whole("b", "k", bytes(256 * 1024 * 1024)))
    return path


@pytest.mark.slow
class TestProgram:
    """The program itself, as a process."""

    COMMAND = (sys.executable, "-m", "gateway", "open")

    def test_memory_is_constant(self, large: Path, ring: Path, tmp_path: Path) -> None:
        """256 MiB through an address space that has not room for them."""
        out = tmp_path / "out"

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (192 * 1024 * 1024,) * 2)

        subprocess.run(
            [*self.COMMAND, large, "-o", out, "--keyring", ring],
            check=True,
            preexec_fn=limit,
        )
        assert out.stat().st_size == 256 * 1024 * 1024
        assert large.stat().st_size == sealed_size(out.stat().st_size)

    def test_a_reader_that_goes_away(self, large: Path, ring: Path) -> None:
        with subprocess.Popen(
            [*self.COMMAND, large, "--keyring", ring], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.wait() == 1
            assert process.stderr.read().decode() == f"{large}: the reader of the output is gone\n"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_nothing_is_left_of_an_output_that_was_broken_off(
        self, number: signal.Signals, large: Path, ring: Path, tmp_path: Path
    ) -> None:
        command: list[str | Path] = [*self.COMMAND, large, "-o", tmp_path / "out", "--keyring", ring]

        def take_signals() -> None:
            """Whoever started the tests may ignore SIGINT, as a shell does for what it runs in the background."""
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=take_signals) as process:  # noqa: PLW1509
            deadline = time.monotonic() + 60
            while not list(tmp_path.iterdir()):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(number)
            assert process.wait() not in (0, 1)
        assert list(tmp_path.iterdir()) == []
