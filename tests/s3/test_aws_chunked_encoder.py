"""The aws-chunked encoder, read back with the decoder."""

import random
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.s3.aws_chunked import AwsChunkedDecoder
from gateway.s3.aws_chunked_encoder import CHUNK_SIZE, AwsChunkedEncoder, encoded_size
from gateway.s3.checksums import Algorithm, checksum

PAYLOAD = random.Random(7).randbytes(3 * CHUNK_SIZE + 1)


def encode(payload: bytes, algorithm: Algorithm, cuts: list[int]) -> bytes:
    encoder = AwsChunkedEncoder(len(payload), algorithm)
    edges = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    body = b"".join(encoder.encode(payload[a:b]) for a, b in pairwise(edges))
    return body + encoder.finish()


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        # Captured from botocore, without the HTTP chunking around it.
        (b"hello", b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"),
        (b"", b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
    ],
)
def test_it_frames_as_botocore_does(payload: bytes, body: bytes) -> None:
    assert encode(payload, Algorithm.CRC32, []) == body
    assert encoded_size(len(payload), Algorithm.CRC32) == len(body)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(
        [0, 1, 15, 16, 4096, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 3 * CHUNK_SIZE + 1]
    ),
    st.lists(st.integers(0, 2**32), max_size=12),
    st.sampled_from(Algorithm),
)
@example(2 * CHUNK_SIZE, [CHUNK_SIZE], Algorithm.CRC64NVME)
def test_size_and_payload_survive_any_feeding(size: int, cuts: list[int], algorithm: Algorithm) -> None:
    payload = PAYLOAD[:size]
    body = encode(payload, algorithm, cuts)
    assert len(body) == encoded_size(size, algorithm)
    assert body == encode(payload, algorithm, [])
    decoder = AwsChunkedDecoder(size, trailer=algorithm.header)
    assert b"".join(decoder.feed(body)) == payload
    decoder.finish()
    assert decoder.trailer_value == checksum(algorithm, payload)


def test_a_piece_inside_a_chunk_is_not_copied() -> None:
    encoder = AwsChunkedEncoder(300, Algorithm.CRC32)
    assert encoder.encode(b"a" * 100) == b"12c\r\n" + b"a" * 100
    piece = b"b" * 100
    assert encoder.encode(piece) is piece
    assert encoder.encode(b"c" * 100) == b"c" * 100 + b"\r\n"


@pytest.mark.parametrize("fed", [0, 4])
def test_too_little_payload_is_a_defect(fed: int) -> None:
    encoder = AwsChunkedEncoder(5, Algorithm.CRC32)
    encoder.encode(b"x" * fed)
    with pytest.raises(ValueError, match="less payload"):
        encoder.finish()


def test_too_much_payload_is_a_defect() -> None:
    encoder = AwsChunkedEncoder(5, Algorithm.CRC32)
    with pytest.raises(ValueError, match="more payload"):
        encoder.encode(b"123456")
