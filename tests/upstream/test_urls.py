"""Where requests go: path and virtual-host addressing, keys and queries with every odd byte."""

from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.query import Query
from gateway.s3.sigv4 import canonical_path, canonical_query
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.urls import Endpoint, encode_key, encode_query

NO_QUERY = Query()


@pytest.mark.parametrize(
    ("endpoint", "addressing", "bucket", "key", "host", "path"),
    [
        ("https://s3.test", "path", None, None, "s3.test", "/"),
        ("https://s3.test/", "path", "b-1", None, "s3.test", "/b-1"),
        ("https://s3.test:443", "path", "b-1", "k", "s3.test", "/b-1/k"),
        ("http://s3.test:80", "path", "b-1", "k", "s3.test", "/b-1/k"),
        ("https://s3.test:80", "path", "b-1", "k", "s3.test:80", "/b-1/k"),
        ("https://S3.Test:9000", "path", "b-1", "", "s3.test:9000", "/b-1/"),
        ("https://s3.{region}.test", "path", "b-1", "k", "s3.eu-west-1.test", "/b-1/k"),
        ("https://s3.{region}.test", "virtual", "b-1", "k", "b-1.s3.eu-west-1.test", "/k"),
        ("https://s3.test:9000", "virtual", "b-1", None, "b-1.s3.test:9000", "/"),
        ("https://s3.test", "virtual", "b-1", "", "b-1.s3.test", "/"),
        ("https://s3.test", "virtual", "b-1", "/k", "b-1.s3.test", "//k"),
        ("https://s3.test", "virtual", None, None, "s3.test", "/"),
        ("https://s3.test", "virtual", "b.1", "k", "s3.test", "/b.1/k"),
        ("http://s3.test", "virtual", "b.1", "k", "b.1.s3.test", "/k"),
        ("https://s3.test", "virtual", "Bucket_1", "k", "s3.test", "/Bucket_1/k"),
        ("https://s3.test", "virtual", "evil.example/x", "k", "s3.test", "/evil.example/x/k"),
        ("https://127.0.0.1:9000", "virtual", "b-1", "k", "127.0.0.1:9000", "/b-1/k"),
        ("https://[::1]", "virtual", "b-1", "k", "[::1]", "/b-1/k"),
        ("https://[::1]:9000", "virtual", "b-1", "k", "[::1]:9000", "/b-1/k"),
    ],
)
def test_addresses(endpoint: str, addressing: Any, bucket: str | None, key: str | None, host: str, path: str) -> None:
    settings = UpstreamSettings(endpoint, addressing=addressing)
    location = Endpoint(settings).locate(bucket, key, NO_QUERY, "eu-west-1")
    assert (location.host, location.path, location.query) == (host, path, "")
    assert location.target == path
    origin = location.origin
    assert origin.uses_tls == endpoint.lower().startswith("https:")
    port = "" if origin.port == (443 if origin.uses_tls else 80) else f":{origin.port}"
    assert (f"[{origin.host}]" if ":" in origin.host else origin.host) + port == host


@given(st.binary(max_size=40), st.sampled_from(["", "/"]))
def test_keys_keep_their_bytes(key: bytes, prefix: str) -> None:
    """Whatever the client's encoding was: none, the canonical one, or one of every byte."""
    key = prefix.encode() + key
    spellings = (
        quote(key, safe="-_.~/"),
        quote(key, safe="-_.~/!*'(),:=@+$&;"),
        "".join(f"%{byte:02x}" for byte in key),
        key.replace(b"%", b"%25").decode("utf-8", "surrogateescape"),
    )
    assert len({encode_key(spelling) for spelling in spellings}) == 1
    encoded = encode_key(spellings[0])
    assert unquote_to_bytes(encoded) == key
    assert canonical_path("/" + encoded) == "/" + encoded, "what is sent is what is signed"
    location = Endpoint(UpstreamSettings("https://s3.test")).locate("b", spellings[2], NO_QUERY, "r")
    assert location.target == location.path == f"/b/{encoded}"


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        ("", ""),
        ("uploads", "uploads"),
        ("uploads=", "uploads="),
        ("list-type=2&prefix=a+b%2fc&delimiter=/", "list-type=2&prefix=a%20b%2Fc&delimiter=%2F"),
        ("a=b=c&a=%C3%BC&x", "a=b%3Dc&a=%C3%BC&x"),
        ("prefix=%FF%2B", "prefix=%FF%2B"),
    ],
)
def test_queries(raw: str, sent: str) -> None:
    assert encode_query(Query.parse(raw)) == sent
    assert canonical_query(sent) == canonical_query(raw)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))))
def test_queries_keep_their_values(pairs: list[tuple[str, str]]) -> None:
    query = Query().with_values(pairs)
    assert tuple(Query.parse(encode_query(query)).items()) == tuple(query.items())
