"""Queries are looked at decoded and sent on as received."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.query import EMPTY_QUERY, MAX_PARAMETERS, Query, encode_value

URI_TEXT = st.text(
    st.one_of(
        st.sampled_from("&=+%2Fab;?/"), st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")
    )
)


def parsed_or_refused(raw: str) -> Query | None:
    try:
        return Query.parse(raw)
    except S3Error:
        return None


@given(URI_TEXT)
def test_render_gives_back_every_byte(raw: str) -> None:
    query = parsed_or_refused(raw)
    if query is not None:
        assert query.render() == raw


@given(st.text())
def test_garbage_is_refused_with_an_s3_error(raw: str) -> None:
    query = parsed_or_refused(raw)
    assert query is None or query.render() == raw


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.text()), max_size=20))
def test_values_put_in_come_out(values: dict[str, str | None]) -> None:
    query = EMPTY_QUERY.with_values(values.items())
    again = Query.parse(query.render())
    assert again.names() == frozenset(values)
    assert {name: again.get(name) for name in values} == {name: value or "" for name, value in values.items()}


@given(st.binary())
def test_bytes_that_are_no_utf8_survive_decoding_and_encoding(value: bytes) -> None:
    raw = "prefix=" + "".join(f"%{byte:02X}" for byte in value)
    decoded = Query.parse(raw).get("prefix")
    assert decoded is not None
    assert decoded.encode("utf-8", "surrogateescape") == value
    assert Query.parse(f"prefix={encode_value(decoded)}").get("prefix") == decoded


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "&",
        "&&a",
        "a&",
        "=",
        "=v",
        "a=",
        "a==b",
        "a=b=c",
        "a&a&a=1",
        "%41=%42",
        "a=+%2B+",
        "a=?b",
        "x=/y;z",
        "a=\"'|\\^`{}",
    ],
)
def test_odd_queries_are_kept(raw: str) -> None:
    assert Query.parse(raw).render() == raw


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        ("uploads", "uploads", ""),
        ("uploads=", "uploads", ""),
        ("u%70loads", "uploads", ""),
        ("prefix=a+b%2Bc%20d", "prefix", "a b+c d"),
        ("prefix=%D0%BA%E2%82%AC", "prefix", "к€"),
        ("prefix=a%2Fb/c", "prefix", "a/b/c"),
        ("prefix=x&prefix=y", "prefix", "x"),
        ("a=b=c", "a", "b=c"),
        ("prefix=uploads", "uploads", None),
        ("prefix=a%26uploads", "uploads", None),
        ("Uploads", "uploads", None),
        ("", "uploads", None),
        ("&&", "", None),
        ("=v", "", "v"),
    ],
)
def test_values_are_decoded(raw: str, name: str, value: str | None) -> None:
    query = Query.parse(raw)
    assert query.get(name) == value
    assert (name in query) is (value is not None)
    assert (name in query.names()) is (value is not None)


@pytest.mark.parametrize(
    "raw",
    ["a=%", "a=%4", "a=%zz", "%", "a=%u0041", "a b", "a=\t", "a=\r\nHost: x", "a=\0", "a=é", "a#b", "a=\udcff", "\x7f"],
)
def test_what_no_request_target_has_is_refused(raw: str) -> None:
    with pytest.raises(S3Error) as caught:
        Query.parse(raw)
    assert caught.value.code == "InvalidURI"


def test_the_number_of_parameters_is_limited() -> None:
    assert len(Query.parse("&".join(["a=1"] * MAX_PARAMETERS))) == MAX_PARAMETERS
    with pytest.raises(S3Error):
        Query.parse("&".join(["a=1"] * (MAX_PARAMETERS + 1)))


def test_repeated_names_are_told() -> None:
    assert Query.parse("a=1&b=2&%61=3&b&c").repeated() == {"a", "b"}
    assert Query.parse("a=1&&b=2").repeated() == frozenset()
    assert Query.parse("a=1&b=2").repeated() == frozenset()


def test_without_drops_by_decoded_name_and_keeps_the_rest_as_it_was() -> None:
    assert Query.parse("a=%7e&X%2DAmz=1&X-Amz=2&b").without({"X-Amz"}).render() == "a=%7e&b"


def test_with_values_replaces_in_place_and_appends() -> None:
    query = Query.parse("a=%7e&uploadId=old&b&upload%49d=older")
    assert (
        query.with_values((("uploadId", "n/e w"), ("c", None), ("d", ""))).render() == "a=%7e&uploadId=n%2Fe%20w&b&c&d="
    )


def test_items_list_every_pair_decoded() -> None:
    assert list(Query.parse("a=1&&a=%32&b").items()) == [("a", "1"), ("a", "2"), ("b", "")]


def test_queries_are_values() -> None:
    assert Query.parse("a=1&b") == Query((("a", "1"), ("b", None)))
    assert Query.parse("a=1&b") != Query.parse("b&a=1")
    assert Query.parse("a") != "a"
    assert len({Query.parse("a=1"), Query.parse("a=1")}) == 1


def test_repr_shows_no_values() -> None:
    assert repr(Query.parse("X-Amz-Signature=deadbeef&a")) == "Query(X-Amz-Signature, a)"
