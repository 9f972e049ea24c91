"""The chain of chunk signatures, against the two examples that AWS published."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authenticate import AuthSettings, authenticate
from gateway.s3.chunk_signature import ChunkSigner
from gateway.s3.content_sha256 import EMPTY_SHA256
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SCOPE = "20130524/us-east-1/s3/aws4_request"
TIMESTAMP = "20130524T000000Z"

# Amazon S3 API Reference, "Transferring Payload in Multiple Chunks (Chunked Upload)": 65 KiB of "a".
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = [
    (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]

# The same upload with a trailer: "Signature calculations for trailing headers (chunked uploads)".
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_CHUNKS = [
    (b"a" * 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (b"a" * 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (b"", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
]
TRAILER = b"x-amz-checksum-crc32c:sOO8/Q==\n"
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def signer(seed: str) -> ChunkSigner:
    return ChunkSigner(sigv4.signing_key(SECRET, "20130524", "us-east-1", "s3"), SCOPE, TIMESTAMP, seed, ACCESS_KEY)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_the_chunks_that_aws_published_are_verified() -> None:
    chain = signer(SEED)
    for data, signature in CHUNKS:
        chain.verify_chunk(digest(data), signature)


def test_the_trailer_that_aws_published_is_verified() -> None:
    chain = signer(TRAILER_SEED)
    for data, signature in TRAILER_CHUNKS:
        chain.verify_chunk(digest(data), signature)
    chain.verify_trailer(digest(TRAILER), TRAILER_SIGNATURE)


@pytest.mark.parametrize(
    ("payload_hash", "trailer", "length", "seed", "chunks"),
    [
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", [], [("content-length", "66824")], SEED, CHUNKS),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            [("x-amz-trailer", "x-amz-checksum-crc32c")],
            [],
            TRAILER_SEED,
            TRAILER_CHUNKS,
        ),
    ],
)
def test_authenticating_the_published_upload_gives_the_signer_of_its_chunks(
    payload_hash: str,
    trailer: list[tuple[str, str]],
    length: list[tuple[str, str]],
    seed: str,
    chunks: list[tuple[bytes, str]],
) -> None:
    signed = [
        ("content-encoding", "aws-chunked"),
        *length,
        ("host", "s3.amazonaws.com"),
        ("x-amz-content-sha256", payload_hash),
        ("x-amz-date", TIMESTAMP),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        *trailer,
    ]
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE},"
        f"SignedHeaders={';'.join(name for name, _ in signed)},Signature={seed}"
    )
    raw = RawRequest(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        Headers([*signed, ("authorization", authorization)]),
        "https",
        "192.0.2.1",
        "0123456789ABCDEF",
    )
    identities = {ACCESS_KEY: Identity("alice", Credential(ACCESS_KEY, SECRET))}
    verified = authenticate(parse_request(raw, ()), identities, datetime(2013, 5, 24, tzinfo=UTC), AuthSettings())
    assert verified.chunk_signer is not None
    for data, signature in chunks:
        verified.chunk_signer.verify_chunk(digest(data), signature)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_changed_chunk_is_refused(changed: int) -> None:
    chain = signer(SEED)
    for data, signature in CHUNKS[:changed]:
        chain.verify_chunk(digest(data), signature)
    data, signature = CHUNKS[changed]
    with pytest.raises(S3Error) as caught:
        chain.verify_chunk(digest(data + b"b"), signature)
    assert caught.value.code == "SignatureDoesNotMatch"
    assert dict(caught.value.details)["AWSAccessKeyId"] == ACCESS_KEY
    assert dict(caught.value.details)["SignatureProvided"] == signature


@pytest.mark.parametrize(
    "order", [(1,), (2,), (0, 0), (0, 2)], ids=["second-first", "last-first", "twice", "one-dropped"]
)
def test_chunks_out_of_order_are_refused(order: tuple[int, ...]) -> None:
    chain = signer(SEED)
    *before, last = (CHUNKS[index] for index in order)
    for data, signature in before:
        chain.verify_chunk(digest(data), signature)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        chain.verify_chunk(digest(last[0]), last[1])


@pytest.mark.parametrize("signature", ["", "0" * 64, CHUNKS[0][1].upper(), CHUNKS[0][1] + "0", "é\udcff"])
def test_a_wrong_chunk_signature_is_refused(signature: str) -> None:
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        signer(SEED).verify_chunk(digest(CHUNKS[0][0]), signature)


@pytest.mark.parametrize(
    ("trailer", "signature"),
    [(TRAILER, "0" * 64), (b"x-amz-checksum-crc32c:AAAAAA==\n", TRAILER_SIGNATURE), (b"", TRAILER_SIGNATURE)],
)
def test_a_wrong_trailer_is_refused(trailer: bytes, signature: str) -> None:
    chain = signer(TRAILER_SEED)
    for data, chunk_signature in TRAILER_CHUNKS:
        chain.verify_chunk(digest(data), chunk_signature)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        chain.verify_trailer(digest(trailer), signature)


def test_a_trailer_signature_is_no_chunk_signature() -> None:
    """The two kinds of text begin differently, so one can not stand for the other."""
    chain = signer(TRAILER_SEED)
    for data, signature in TRAILER_CHUNKS:
        chain.verify_chunk(digest(data), signature)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        chain.verify_chunk(EMPTY_SHA256, TRAILER_SIGNATURE)


def test_a_signer_does_not_print_its_key() -> None:
    key = sigv4.signing_key(SECRET, "20130524", "us-east-1", "s3").reveal()
    assert key.hex() not in repr(signer(SEED))
    assert repr(key) not in repr(signer(SEED))
