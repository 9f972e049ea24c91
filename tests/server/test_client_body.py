"""The body of a request as it is passed on: the same bytes, and never the last of them before all were verified."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers
from gateway.server.client_body import ClientBody

_CREDENTIAL = Credential("AKIDBODY", SecretStr("not a secret: nobody listens"))
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _verified(size: int, content_sha256: str) -> VerifiedRequest:
    """An upload whose body has this size and digest, as its client says."""
    fields = Headers((("host", "localhost"), ("content-length", str(size))))
    signed = sign_headers("PUT", "/bucket/k", "", fields, _CREDENTIAL, "us-east-1", "s3", _NOW, content_sha256)
    request = parse_request(RawRequest("PUT", "/bucket/k", "", signed, "https", "192.0.2.1", "0" * 16), ())
    identities = {_CREDENTIAL.access_key_id: Identity("someone", _CREDENTIAL)}
    return authenticate(request, identities, _NOW, AuthSettings())


async def _source(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _take_all(pieces: AsyncIterator[bytes], taken: list[bytes]) -> None:
    async for piece in pieces:
        taken.append(piece)  # noqa: PERF401 - what came before a fault counts


_PIECES = st.lists(st.binary(max_size=20), max_size=6)


@given(_PIECES)
async def test_a_body_that_is_what_it_claims_comes_through(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    verified = _verified(len(data), hashlib.sha256(data).hexdigest())
    passed_on = ClientBody(verified, _source(pieces))
    assert [piece async for piece in passed_on.pieces()] == [piece for piece in pieces if piece]
    assert passed_on.payload is not None
    assert passed_on.payload.size == len(data)
    assert await ClientBody(verified, _source(pieces)).read(len(data)) == data


@given(_PIECES, st.sampled_from(["digest", "shorter", "longer"]))
async def test_a_body_that_is_not_is_never_whole(pieces: list[bytes], fault: str) -> None:
    data = b"".join(pieces)
    digest = hashlib.sha256(data + (b"!" if fault == "digest" else b"")).hexdigest()
    size = len(data) + {"digest": 0, "shorter": 1, "longer": -1}[fault]
    if size < 0:
        return
    verified = _verified(size, digest)
    released: list[bytes] = []
    body = ClientBody(verified, _source(pieces))
    with pytest.raises(S3Error) as whole:
        await ClientBody(verified, _source(pieces)).read(100_000)
    passed_on = body.pieces()
    with pytest.raises(S3Error) as streamed:
        await _take_all(passed_on, released)
    assert (streamed.value.code, streamed.value.details) == (whole.value.code, whole.value.details)
    assert body.payload is None
    assert sum(map(len, released)) < max(size, 1)
    with pytest.raises(S3Error):
        await anext(passed_on)


async def test_a_body_over_the_limit_is_not_asked_for() -> None:
    body = ClientBody(_verified(5, "UNSIGNED-PAYLOAD"), _source([b"never taken"]))
    with pytest.raises(S3Error, match="exceeds"):
        await body.read(4)
