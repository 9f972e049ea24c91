"""How bodies are framed and requests signed; the signature is checked by botocore, which knows nothing of ours."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.redact import SecretStr
from gateway.s3.aws_chunked_encoder import encoded_size
from gateway.s3.checksums import Algorithm, checksum
from gateway.s3.content_sha256 import EMPTY_SHA256
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.signing import Framing, choose_framing, sign_request
from gateway.upstream.urls import Endpoint
from tests.upstream.conftest import make_request

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CREDENTIAL = Credential("AKID", SecretStr("secret"), SecretStr("token"))
UNSIGNED, STREAMING = "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
HASH = hashlib.sha256(b"known").hexdigest()
PUT, PART, GET = Operation.PUT_OBJECT, Operation.UPLOAD_PART, Operation.GET_OBJECT
DELETE = Operation.DELETE_OBJECTS
#: One byte more than is hashed.
LARGE = BufferedBody(b"x" * 32_769)
LARGE_CHECKSUM = ("x-amz-checksum-crc64nvme", checksum(Algorithm.CRC64NVME, LARGE.data))


class NoPieces:
    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


def stream(size: int = 10, algorithm: Algorithm | None = None) -> StreamedBody:
    return StreamedBody(size, NoPieces(), algorithm)


def trailing(size: int, algorithm: Algorithm) -> Framing:
    return Framing(STREAMING, encoded_size(size, algorithm), algorithm)


@pytest.mark.parametrize(
    ("operation", "body", "headers", "known", "sends_trailers", "framing"),
    [
        (GET, EmptyBody(), (), None, True, Framing(EMPTY_SHA256, None)),
        (PUT, EmptyBody(), (), None, True, Framing(EMPTY_SHA256, 0)),
        (PUT, BufferedBody(b"known"), (), None, True, Framing(HASH, 5)),
        (PUT, BufferedBody(b"known"), (), HASH, False, Framing(HASH, 5)),
        (PUT, LARGE, (), HASH, True, Framing(HASH, 32_769)),
        (PUT, LARGE, (), None, True, Framing(UNSIGNED, 32_769, checksum=LARGE_CHECKSUM)),
        (PUT, LARGE, (("content-md5", "x"),), None, True, Framing(UNSIGNED, 32_769)),
        (PUT, stream(), (), None, False, Framing(UNSIGNED, 10)),
        (PUT, stream(10, Algorithm.CRC32), (), None, False, Framing(UNSIGNED, 10)),
        (PUT, stream(), (), HASH, False, Framing(HASH, 10)),
        (PUT, stream(), (), HASH, True, Framing(HASH, 10)),
        (PUT, stream(), (), None, True, trailing(10, Algorithm.CRC64NVME)),
        (PUT, stream(0), (), None, True, trailing(0, Algorithm.CRC64NVME)),
        (PUT, stream(10, Algorithm.SHA1), (), None, True, trailing(10, Algorithm.SHA1)),
        (PART, stream(10, Algorithm.CRC32), (), None, True, trailing(10, Algorithm.CRC32)),
        (PART, stream(), (), None, True, Framing(UNSIGNED, 10)),
        (PUT, stream(), (("content-md5", "x"),), None, True, Framing(UNSIGNED, 10)),
        (PUT, stream(), (("x-amz-checksum-sha256", "x"),), None, True, Framing(UNSIGNED, 10)),
        (PUT, stream(), (("x-amz-checksum-xxhash64", "x"),), None, True, Framing(UNSIGNED, 10)),
        (PUT, stream(), (("x-amz-checksum-type", "x"),), None, True, trailing(10, Algorithm.CRC64NVME)),
    ],
)
def test_framing(
    operation: Operation,
    body: Body,
    headers: tuple[tuple[str, str], ...],
    known: str | None,
    sends_trailers: bool,
    framing: Framing,
) -> None:
    request = make_request(operation, body, headers=headers, payload_sha256=known)
    assert choose_framing(request, sends_trailers=sends_trailers, over_tls=True) == framing


@pytest.mark.parametrize(
    ("operation", "body", "sends_trailers", "over_tls"),
    [(PUT, LARGE, False, True), (PUT, LARGE, True, False), (PART, LARGE, True, True), (DELETE, LARGE, True, True)],
)
def test_where_a_large_buffered_body_is_hashed(
    operation: Operation, body: BufferedBody, sends_trailers: bool, over_tls: bool
) -> None:
    hashed = Framing(hashlib.sha256(body.data).hexdigest(), len(body.data))
    assert choose_framing(make_request(operation, body), sends_trailers=sends_trailers, over_tls=over_tls) == hashed


@pytest.mark.parametrize("own", [None, "content-md5", "x-amz-checksum-sha256", "x-amz-checksum-crc64nvme"])
def test_a_large_buffered_body_has_one_checksum(own: str | None) -> None:
    headers = signed(PUT, LARGE, () if own is None else ((own, "x"),), trailers=True)
    assert headers.get("x-amz-content-sha256") == UNSIGNED
    assert headers.get("x-amz-checksum-crc64nvme") == (
        checksum(Algorithm.CRC64NVME, LARGE.data) if own is None else "x" if own.endswith("nvme") else None
    )
    assert own is None or headers.all(own) == ("x",)
    signed_names = (headers.get("authorization") or "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert (own or "x-amz-checksum-crc64nvme") in signed_names


def signed(operation: Operation, body: Body, headers: tuple[tuple[str, str], ...], **options: Any) -> Headers:
    request = make_request(operation, body, headers=headers, key="a%20b", query="versionId=1")
    location = Endpoint(UpstreamSettings("https://s3.test:9000")).locate("bucket", "a%20b", request.query, "eu-west-1")
    framing = choose_framing(request, sends_trailers=options.get("trailers", False), over_tls=True)
    return sign_request(request, framing, location, credential=CREDENTIAL, region="eu-west-1", now=NOW)


@pytest.mark.parametrize(
    ("encoding", "sent"), [(None, "aws-chunked"), ("gzip", "aws-chunked,gzip"), ("a, b", "aws-chunked,a, b")]
)
def test_the_fields_of_a_trailer(encoding: str | None, sent: str) -> None:
    own = (("content-encoding", encoding),) if encoding else ()
    headers = signed(PUT, stream(7, Algorithm.CRC32C), own, trailers=True)
    assert headers.all("content-encoding") == (sent,)
    assert headers.get("x-amz-decoded-content-length") == "7"
    assert headers.get("x-amz-trailer") == "x-amz-checksum-crc32c"
    assert headers.get("x-amz-content-sha256") == STREAMING
    assert headers.all("content-length") == (str(encoded_size(7, Algorithm.CRC32C)),)


def test_a_plain_body_keeps_its_encoding() -> None:
    headers = signed(PUT, stream(), (("content-encoding", "gzip"), ("x-amz-trailer", "x"), ("content-length", "99")))
    assert headers.all("content-encoding") == ("gzip",)
    assert headers.all("content-length") == ("10",)
    assert "x-amz-trailer" not in headers


@pytest.mark.parametrize(
    ("operation", "body", "trailers"),
    [
        (GET, EmptyBody(), False),
        (PUT, BufferedBody(b"x"), False),
        (PUT, LARGE, True),
        (PUT, stream(), False),
        (PUT, stream(), True),
    ],
)
def test_botocore_comes_to_the_same_signature(operation: Operation, body: Body, trailers: bool) -> None:
    headers = signed(operation, body, (("x-amz-meta-a", "  1   2 "), ("content-type", "text/plain")), trailers=trailers)
    authorization = headers.get("authorization") or ""
    assert "Credential=AKID/20260304/eu-west-1/s3/aws4_request" in authorization
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert set(headers.names()) - set(names) == {"authorization"} | ({"content-length"} & headers.names())
    assert headers.get("host") == "s3.test:9000"
    assert headers.get("x-amz-security-token") == "token"
    ours = authorization.partition("Signature=")[2]

    request = AWSRequest(operation.info.method, "https://s3.test:9000/bucket/a%20b?versionId=1")
    for name in names:
        request.headers[name] = headers.get(name) or ""
    request.context["timestamp"] = "20260304T050607Z"
    signer = S3SigV4Auth(Credentials("AKID", "secret", "token"), "s3", "eu-west-1")
    canonical = signer.canonical_request(request)
    assert signer.signature(signer.string_to_sign(request, canonical), request) == ours


def test_a_hash_that_is_none_is_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError):
        choose_framing(
            make_request(PUT, stream(), payload_sha256="UNSIGNED-PAYLOAD"), sends_trailers=False, over_tls=True
        )
