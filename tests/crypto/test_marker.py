"""The metadata entry that marks sealed objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.marker import Marker
from gateway.errors import IntegrityError

PROOF = bytes(range(32))
IN_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        (Marker(), "v1"),
        (Marker(0), "v1;size=0"),
        (Marker(5_497_558_138_880), "v1;size=5497558138880"),
        (Marker(10, PROOF), f"v1;size=10;alias={IN_TEXT}"),
        (Marker(None, PROOF), f"v1;alias={IN_TEXT}"),
    ],
)
def test_texts(marker: Marker, text: str) -> None:
    assert marker.render() == text
    assert Marker.parse(text) == marker


@given(st.none() | st.integers(0, 10**16 - 1), st.none() | st.binary(min_size=32, max_size=32))
def test_what_is_rendered_is_read_back(size: int | None, alias: bytes | None) -> None:
    assert Marker.parse(Marker(size, alias).render()) == Marker(size, alias)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v2",
        "V1",
        " v1",
        "v1 ",
        "v1\n",
        "v1;",
        "v1;size=",
        "v1;size=01",
        "v1;size=-1",
        "v1;size=+1",
        "v1;size=1e3",
        "v1;size=١",
        "v1;size=10000000000000000",
        "v1;size=1;size=1",
        "v1; size=1",
        "v1;Size=1",
        "v1;size=1;",
        "v1;alias=",
        f"v1;alias={IN_TEXT}=",
        f"v1;alias={IN_TEXT[:-1]}",
        f"v1;alias={IN_TEXT}A",
        f"v1;alias={IN_TEXT[:-1]}9",
        f"v1;alias={IN_TEXT[:-1]}+",
        f"v1;alias={IN_TEXT};size=10",
        "v1,v1",
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Marker.parse(text)
    assert caught.value.fault == "marker"


@given(st.text(max_size=80) | st.text(max_size=60).map(lambda rest: f"v1;{rest}"))
def test_garbage_is_an_integrity_error_or_canonical(text: str) -> None:
    try:
        marker = Marker.parse(text)
    except IntegrityError:
        return
    assert marker.render() == text
