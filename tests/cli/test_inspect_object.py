"""``sealgate inspect``: the layout without keys, and what can be seen to be wrong without them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stored_under_test import sealgate
from tests.crypto.vector import BUCKET, OBJECT_KEY, read_vectors

VECTORS = read_vectors()


def inspected(name: str, directory: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    stored = directory / "stored"
    stored.write_bytes(VECTORS[name].stored)
    result = sealgate("inspect", stored, "--json", *arguments)
    assert result.stderr == ""
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.expect.startswith("plaintext")])
def test_every_good_vector(name: str, tmp_path: Path) -> None:
    status, found = inspected(name, tmp_path, "--parts", "300")
    assert status == 0
    assert found["verified"] is False
    assert found["fault"] is None
    assert found["plaintext_bytes"] == int(VECTORS[name].expect.split()[1])
    assert found["stored_bytes"] == len(VECTORS[name].stored)
    assert (found["closing"] is None) is name.startswith("whole")


def test_the_layout_of_an_upload(tmp_path: Path) -> None:
    status, found = inspected("multipart_gaps", tmp_path, "--bucket", BUCKET, "--key", OBJECT_KEY)
    assert status == 0
    assert found["sealed_for_this_place"] is True
    assert [message["part_number"] for message in found["messages"]] == [3, 4, 7, 10_000]
    assert [message["offset"] for message in found["messages"]] == [0, 634, 1_268, 1_902]
    assert [message["stored_bytes"] for message in found["messages"]] == [634, 634, 634, 585]
    assert (found["closing"]["kind"], found["closing"]["offset"]) == ("closing", 2_487)
    assert {message["wrapping_key"] for message in found["messages"]} == {"local:vectors-1"}


def test_as_many_parts_as_asked_for(tmp_path: Path) -> None:
    _, found = inspected("multipart_gaps", tmp_path, "--parts", "2")
    assert len(found["messages"]) == 2
    assert found["more_parts"] is True
    assert found["plaintext_bytes"] is None
    _, found = inspected("multipart_gaps", tmp_path, "--parts", "4")
    assert found["more_parts"] is False


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("not_sealed_plaintext", "not_sealed"),
        ("not_sealed_empty", "not_sealed"),
        ("envelope_padding_not_zero", "envelope"),
        ("envelope_head_cut", "envelope"),
        ("version_2", "version"),
        ("kind_closing_first", "kind"),
        ("kind_part_as_closing", "kind"),
        ("kind_whole_as_part", "kind"),
        ("size_cut", "size"),
        ("size_extended", "size"),
        ("size_part_cut", "size"),
        ("part_order", "part"),
        ("size_part_twice", "part"),
        ("trailer_missing", "trailer"),
        ("trailer_size_beyond_the_object", "trailer"),
    ],
)
def test_what_is_wrong_without_keys(name: str, fault: str, tmp_path: Path) -> None:
    status, found = inspected(name, tmp_path)
    assert status == 1
    assert found["fault"]["name"] == fault


def test_every_faulty_vector_is_looked_at_without_failing(tmp_path: Path) -> None:
    for name in VECTORS:
        assert inspected(name, tmp_path)[0] in (0, 1)


def test_for_people(tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.write_bytes(VECTORS["multipart_gaps"].stored)
    result = sealgate("inspect", stored, "--bucket", BUCKET, "--key", "other", "--parts", "3")
    assert result.exit_code == 0
    for line in (
        "wrapping key     local:vectors-1",
        "part 7           50 bytes, stored 634 at 1,268",
        "more parts follow",
    ):
        assert line in result.stdout
    assert "which is not this place" in result.stdout
    assert "Nothing of this is proven" in result.stdout
    stored.write_bytes(b"plain")
    result = sealgate("inspect", stored)
    assert result.exit_code == 1
    assert "fault            not_sealed: " in result.stdout


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = sealgate("inspect", tmp_path / "missing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file" in result.stderr
