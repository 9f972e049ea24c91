"""The aws-chunked decoder: every case whole, byte by byte and with bytes after its end."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.aws_chunked import MAX_CHUNK_HEADER_BYTES, MAX_TRAILER_LINE_BYTES, MIN_CHUNK_BYTES, AwsChunkedDecoder
from tests.s3.chunked_bodies import ClientSigner, feed, feed_at, frame, outcome, read, verifier

STEPS = [0, 1, 2, 7]
CRC32 = "x-amz-checksum-crc32"
HELLO = b"5\r\nhello\r\n0\r\n"
LARGE = random.Random(1).randbytes(MIN_CHUNK_BYTES)


def unsigned(payload_size: int, trailer: str | None = None) -> AwsChunkedDecoder:
    return AwsChunkedDecoder(payload_size, trailer=trailer)


def signed(payload_size: int, trailer: str | None = None) -> AwsChunkedDecoder:
    return AwsChunkedDecoder(payload_size, trailer=trailer, verifier=verifier(), signed_trailer=trailer is not None)


def refusal(decoder: AwsChunkedDecoder, body: bytes, step: int = 0) -> S3Error:
    with pytest.raises(S3Error) as caught:
        read(decoder, body, step)
    return caught.value


ACCEPTED = {
    # The first two were captured from botocore.
    "trailer": (HELLO + b"x-amz-checksum-crc32:NhCmhg==\r\n\r\n", b"hello", CRC32, "NhCmhg=="),
    "empty": (b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", b"", CRC32, "AAAAAA=="),
    "no trailer": (HELLO + b"\r\n", b"hello", None, None),
    "trailer name in capitals": (HELLO + b"X-Amz-Checksum-CRC32:NhCmhg==\r\n\r\n", b"hello", CRC32, "NhCmhg=="),
    "line feed and one empty line": (HELLO + b"x-amz-checksum-crc32:NhCmhg==\n\r\n", b"hello", CRC32, "NhCmhg=="),
    "minio-go": (HELLO + b"x-amz-checksum-crc32:NhCmhg==\n\r\n\r\n", b"hello", CRC32, "NhCmhg=="),
    "capital hex": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", None, None),
    "sixteen digits": (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello", None, None),
    "two chunks": (frame([LARGE, b"tail"]), LARGE + b"tail", None, None),
    "line ends in the data": (b"6\r\n\r\n0\r\n\n\r\n0\r\n\r\n", b"\r\n0\r\n\n", None, None),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("body", "payload", "trailer", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(body: bytes, payload: bytes, trailer: str | None, value: str | None, step: int) -> None:
    decoder = unsigned(len(payload), trailer)
    assert feed(decoder, body, step) == payload
    decoder.finish()
    assert decoder.trailer_value == value


@pytest.mark.parametrize("garbage", [b"\r\n\r\n", b"\n", b"\r", b"x", b"0\r\n\r\n", b"\x00" * 500])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("body", "payload", "trailer", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_bytes_after_the_end_are_refused(
    body: bytes, payload: bytes, trailer: str | None, value: str | None, step: int, garbage: bytes
) -> None:
    assert refusal(unsigned(len(payload), trailer), body + garbage, step).code == "IncompleteBody"


@pytest.mark.parametrize(("body", "payload", "trailer", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_body_cut_anywhere_is_refused(body: bytes, payload: bytes, trailer: str | None, value: str | None) -> None:
    whole = {body, body.removesuffix(b"\r\n")} if body.endswith(b"\n\r\n\r\n") and b"=\n" in body else {body}
    for end in range(max(0, len(body) - 200), len(body)):
        if body[:end] not in whole:
            assert refusal(unsigned(len(payload), trailer), body[:end]).code == "IncompleteBody"


TRAILER_LINE = b"x-amz-checksum-crc32:NhCmhg==\r\n"
REFUSED = {
    "nothing": (b"", None, "IncompleteBody"),
    "no size": (b"\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "not hex": (b"5g\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "prefix": (b"0x5\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "sign": (b"+5\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "negative": (b"-5\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "space before": (b" 5\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "space after": (b"5 \r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "underscore": (b"0_5\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "seventeen digits": (b"00000000000000005\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "seventeen zeros": (b"5\r\nhello\r\n" + b"0" * 17 + b"\r\n\r\n", None, "IncompleteBody"),
    "line feed alone": (b"5\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "header without end": (b"0" * MAX_CHUNK_HEADER_BYTES, None, "IncompleteBody"),
    "unknown extension": (b"5;a=b\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"),
    "signature of an unsigned chunk": (
        b"5;chunk-signature=" + b"a" * 64 + b"\r\nhello\r\n0\r\n\r\n", None, "IncompleteBody"
    ),
    "no line end after data": (b"5\r\nhello0\r\n\r\n", None, "IncompleteBody"),
    "line feed after data": (b"5\r\nhello\n0\r\n\r\n", None, "IncompleteBody"),
    "data too long for its chunk": (b"5\r\nhello!\r\n0\r\n\r\n", None, "IncompleteBody"),
    "data too short for its chunk": (b"5\r\nhell\r\n0\r\n\r\n", None, "IncompleteBody"),
    "more than announced": (b"6\r\nhello!\r\n0\r\n\r\n", None, "IncompleteBody"),
    "far more than announced": (b"ffffffffffffffff\r\nhello", None, "IncompleteBody"),
    "less than announced": (b"4\r\nhell\r\n0\r\n\r\n", None, "IncompleteBody"),
    "trailer nobody announced": (HELLO + TRAILER_LINE + b"\r\n", None, "MalformedTrailerError"),
    "trailer missing": (HELLO + b"\r\n", CRC32, "MalformedTrailerError"),
    "another trailer": (HELLO + b"x-amz-checksum-crc32c:NhCmhg==\r\n\r\n", CRC32, "MalformedTrailerError"),
    "trailer twice": (HELLO + TRAILER_LINE * 2 + b"\r\n", CRC32, "MalformedTrailerError"),
    "two trailers": (HELLO + TRAILER_LINE + b"x-amz-meta-a:b\r\n\r\n", CRC32, "MalformedTrailerError"),
    "trailer signature in an unsigned body": (
        HELLO + TRAILER_LINE + b"x-amz-trailer-signature:" + b"a" * 64 + b"\r\n\r\n", CRC32, "MalformedTrailerError"
    ),
    "no colon": (HELLO + b"x-amz-checksum-crc32NhCmhg==\r\n\r\n", CRC32, "MalformedTrailerError"),
    "no name": (HELLO + b":NhCmhg==\r\n\r\n", CRC32, "MalformedTrailerError"),
    "no value": (HELLO + b"x-amz-checksum-crc32:\r\n\r\n", CRC32, "MalformedTrailerError"),
    "space in the value": (HELLO + b"x-amz-checksum-crc32: NhCmhg==\r\n\r\n", CRC32, "MalformedTrailerError"),
    "control in the value": (HELLO + b"x-amz-checksum-crc32:NhCm\x00g==\r\n\r\n", CRC32, "MalformedTrailerError"),
    "carriage return in the value": (HELLO + b"x-amz-checksum-crc32:Nh\rC\r\n\r\n", CRC32, "MalformedTrailerError"),
    "two stray line feeds": (HELLO + b"x-amz-checksum-crc32:NhCmhg==\n\n\r\n", CRC32, "MalformedTrailerError"),
    "trailer line without end": (HELLO + b"x" * MAX_TRAILER_LINE_BYTES, CRC32, "MalformedTrailerError"),
}  # fmt: skip


@pytest.mark.parametrize("garbage", [b"", b"\x00garbage\r\n" * 99])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("body", "trailer", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: bytes, trailer: str | None, code: str, step: int, garbage: bytes) -> None:
    """The announced payload is ``hello``, five bytes."""
    assert refusal(unsigned(5, trailer), body + garbage, step).code == code


def test_a_wrong_size_is_named() -> None:
    error = refusal(unsigned(3), HELLO + b"\r\n")
    assert error.details == (("NumberBytesExpected", "3"), ("NumberBytesProvided", "5"))


@pytest.mark.parametrize("step", STEPS)
def test_lines_at_the_limits(step: int) -> None:
    """The longest header and the longest trailer line are read; one byte more is refused."""
    longest = MAX_TRAILER_LINE_BYTES - len("x-amz-checksum-crc32:\r\n")
    for length, accepted in ((longest, True), (longest + 1, False)):
        decoder = unsigned(5, CRC32)
        body = HELLO + b"x-amz-checksum-crc32:" + b"A" * length + b"\r\n\r\n"
        if accepted:
            feed(decoder, body, step)
            decoder.finish()
            assert decoder.trailer_value == "A" * length
        else:
            assert refusal(decoder, body, step).code == "MalformedTrailerError"
    decoder = signed(5)
    body = frame([b"hello"], signer=ClientSigner())
    padded = b"0" * (MAX_CHUNK_HEADER_BYTES - len(body.partition(b"\n")[0]) - 1) + body
    assert feed(decoder, padded, step) == b"hello"
    decoder.finish()


@pytest.mark.parametrize("signer", [None, ClientSigner()])
def test_only_the_last_chunk_may_be_small(signer: ClientSigner | None) -> None:
    """S3 names the chunk that shows the fault, and the size of the one before it."""
    sizes = [MIN_CHUNK_BYTES, MIN_CHUNK_BYTES - 1, 1]
    body = frame([b"a" * size for size in sizes], signer=signer)
    error = refusal(unsigned(sum(sizes)) if signer is None else signed(sum(sizes)), body)
    assert (error.code, error.status) == ("InvalidChunkSizeError", 403)
    assert error.details == (("Chunk", "3"), ("BadChunkSize", str(MIN_CHUNK_BYTES - 1)))


def test_data_inside_one_chunk_is_not_copied() -> None:
    decoder = unsigned(len(LARGE))
    assert decoder.feed(b"2000\r\n") == []
    assert decoder.feed(LARGE)[0] is LARGE


def test_a_failed_decoder_stays_failed() -> None:
    decoder = unsigned(5)
    with pytest.raises(S3Error):
        decoder.feed(b"x\r\n")
    assert refusal(decoder, HELLO + b"\r\n").code == "IncompleteBody"


# Amazon S3 API Reference, the examples of "Transferring Payload in Multiple Chunks (Chunked Upload)", without and with
# trailing headers: 66,560 bytes of "a" in chunks of 64 KiB.
AWS_PAYLOAD = b"a" * 66560
AWS_EXAMPLES = [
    (
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        (
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ),
        "",
    ),
    (
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        (
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ),
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
    ),
]


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\n\r\n"])
@pytest.mark.parametrize("step", [0, 1, 4099])
@pytest.mark.parametrize(("seed", "signatures", "trailer_signature"), AWS_EXAMPLES)
def test_aws_published_examples(
    seed: str, signatures: tuple[str, str, str], trailer_signature: str, step: int, line_end: str
) -> None:
    body = b""
    for chunk, signature in zip((AWS_PAYLOAD[:65536], AWS_PAYLOAD[65536:], b""), signatures, strict=True):
        body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + (chunk + b"\r\n" if chunk else b"")
    trailer = "x-amz-checksum-crc32c" if trailer_signature else None
    if trailer_signature:
        body += f"{trailer}:sOO8/Q=={line_end}x-amz-trailer-signature:{trailer_signature}\r\n".encode()
    decoder = AwsChunkedDecoder(
        len(AWS_PAYLOAD), trailer=trailer, verifier=verifier(seed), signed_trailer=trailer is not None
    )
    assert feed(decoder, body + b"\r\n", step) == AWS_PAYLOAD
    decoder.finish()
    assert decoder.trailer_value == ("sOO8/Q==" if trailer else None)


SIGNED_CHUNKS = [LARGE, b"the tail"]
SIGNED_SIZE = len(LARGE) + 8


def signed_body(*, trailing: bool) -> bytes:
    return frame(SIGNED_CHUNKS, b"x-amz-checksum-crc32:NhCmhg==" if trailing else b"", ClientSigner())


@pytest.mark.parametrize("mask", [0x01, 0x80])
@pytest.mark.parametrize("trailing", [False, True])
def test_a_flip_of_any_byte_is_refused(trailing: bool, mask: int) -> None:
    body = signed_body(trailing=trailing)
    feed(signed(SIGNED_SIZE, CRC32 if trailing else None), body, 0)
    for position in range(len(body)):
        flipped = bytearray(body)
        flipped[position] ^= mask
        error = refusal(signed(SIGNED_SIZE, CRC32 if trailing else None), bytes(flipped))
        assert error.code in {
            "IncompleteBody",
            "InvalidChunkSizeError",
            "MalformedTrailerError",
            "SignatureDoesNotMatch",
        }, position


@pytest.mark.parametrize("trailing", [False, True])
def test_a_signed_body_cut_anywhere_is_refused(trailing: bool) -> None:
    body = signed_body(trailing=trailing)
    for end in (*range(200), *range(len(LARGE), len(body))):
        assert refusal(signed(SIGNED_SIZE, CRC32 if trailing else None), body[:end]).code == "IncompleteBody"


def test_chunks_in_another_order_are_refused() -> None:
    """Every signature covers the one before it."""
    parts = [LARGE[:4096] + b"1" * 4096, LARGE[:4096] + b"2" * 4096]
    body = frame(parts, signer=ClientSigner())
    length = (len(body) - len(b"0;chunk-signature=\r\n\r\n") - 64) // 2
    swapped = body[length : 2 * length] + body[:length] + body[2 * length :]
    assert refusal(signed(16384), swapped).code == "SignatureDoesNotMatch"
    repeated = body[:length] * 2 + body[2 * length :]
    assert refusal(signed(16384), repeated).code == "SignatureDoesNotMatch"
    assert feed(signed(16384), body, 0) == b"".join(parts)


def test_the_end_of_a_chunk_waits_for_its_signature() -> None:
    decoder = signed(5)
    header = b"5;chunk-signature=" + b"a" * 64 + b"\r\n"
    assert decoder.feed(header + b"hell") == [b"hell"]
    with pytest.raises(S3Error) as caught:
        decoder.feed(b"o")
    assert caught.value.code == "SignatureDoesNotMatch"


SIGNED_HELLO = frame([b"hello"], b"x-amz-checksum-crc32:NhCmhg==", ClientSigner())
SIGNATURE_LINE = SIGNED_HELLO[SIGNED_HELLO.index(b"x-amz-trailer-signature") : -2]
SIGNED_REFUSED = {
    "no signature": (HELLO + b"\r\n", "IncompleteBody"),
    "last chunk not signed": (SIGNED_HELLO[: SIGNED_HELLO.rindex(b"0;")] + b"0\r\n\r\n", "IncompleteBody"),
    "short signature": (b"5;chunk-signature=" + b"a" * 63 + b"\r\nhello\r\n", "IncompleteBody"),
    "long signature": (b"5;chunk-signature=" + b"a" * 65 + b"\r\nhello\r\n", "IncompleteBody"),
    "capital signature": (b"5;chunk-signature=" + b"A" * 64 + b"\r\nhello\r\n", "IncompleteBody"),
    "wrong signature": (b"5;chunk-signature=" + b"a" * 64 + b"\r\nhello\r\n", "SignatureDoesNotMatch"),
    "no trailer signature": (SIGNED_HELLO.replace(SIGNATURE_LINE, b""), "MalformedTrailerError"),
    "trailer signature alone": (SIGNED_HELLO.replace(TRAILER_LINE, b""), "MalformedTrailerError"),
    "trailer signature first": (
        SIGNED_HELLO.replace(TRAILER_LINE, b"").replace(SIGNATURE_LINE, SIGNATURE_LINE + TRAILER_LINE),
        "MalformedTrailerError",
    ),
    "trailer signature after two empty lines": (
        SIGNED_HELLO.replace(b"==\r\n", b"==\n\r\n\r\n"), "MalformedTrailerError"
    ),
    "trailer signature twice": (SIGNED_HELLO.replace(SIGNATURE_LINE, SIGNATURE_LINE * 2), "MalformedTrailerError"),
    "trailer signature of another length": (
        SIGNED_HELLO.replace(SIGNATURE_LINE, b"x-amz-trailer-signature:abc\r\n"), "MalformedTrailerError"
    ),
    "another trailer value": (SIGNED_HELLO.replace(b"NhCmhg==", b"AAAAAA=="), "SignatureDoesNotMatch"),
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("body", "code"), SIGNED_REFUSED.values(), ids=SIGNED_REFUSED.keys())
def test_signed_refused(body: bytes, code: str, step: int) -> None:
    assert refusal(signed(5, CRC32), body, step).code == code


def test_a_signed_trailer_needs_a_verifier() -> None:
    with pytest.raises(ValueError, match="internal error"):
        AwsChunkedDecoder(0, signed_trailer=True)


@settings(deadline=None)
@given(
    st.lists(st.integers(MIN_CHUNK_BYTES, 3 * MIN_CHUNK_BYTES), max_size=3),
    st.integers(0, 99),
    st.lists(st.integers(0, 10**5), max_size=40),
    st.booleans(),
)
def test_any_split_of_any_framing_gives_the_payload(sizes: list[int], rest: int, cuts: list[int], sign: bool) -> None:
    edges = [0, *(sum(sizes[: index + 1]) for index in range(len(sizes))), sum(sizes) + rest]
    payload = random.Random(rest).randbytes(edges[-1])
    chunks = [payload[first:last] for first, last in pairwise(edges) if last > first]
    body = frame(chunks, b"x-amz-checksum-crc32:NhCmhg==", ClientSigner() if sign else None)
    decoder = signed(len(payload), CRC32) if sign else unsigned(len(payload), CRC32)
    assert feed_at(decoder, body, cuts) == payload
    decoder.finish()
    assert decoder.trailer_value == "NhCmhg=="


FRAGMENTS = [
    b"0",
    b"5",
    b"\r",
    b"\n",
    b"\r\n",
    b"hello",
    b";chunk-signature=",
    b"a" * 64,
    b"x-amz-checksum-crc32:",
    b"A=",
]


@given(
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=9)), max_size=20).map(b"".join),
    st.lists(st.integers(0, 200), max_size=5),
    st.integers(0, 10),
    st.booleans(),
)
def test_garbage_raises_only_s3_errors(body: bytes, cuts: list[int], size: int, sign: bool) -> None:
    decoder = signed(size, CRC32) if sign else unsigned(size, CRC32)
    released: list[bytes] = []
    error = outcome(lambda: released.append(feed_at(decoder, body, cuts))) or outcome(decoder.finish)
    if error is None:
        assert len(released[0]) == size
    else:
        assert error.status in {400, 403}
