"""Encoder of aws-chunked bodies with a trailing checksum, for uploads of known size over TLS.

The framing depends on sizes alone: chunks of :data:`CHUNK_SIZE` and a shorter last one, whatever the pieces fed. So
:func:`encoded_size` knows the Content-Length before the first byte.

Source: Amazon S3 API Reference, ``STREAMING-UNSIGNED-PAYLOAD-TRAILER``.
"""

from typing import Final

from gateway.s3.checksums import Algorithm, encode_digest, new_digest

#: Bytes of data in every chunk but the last. It is botocore's size; S3 asks for 8 KiB, MinIO allows at most 16 MiB.
CHUNK_SIZE: Final = 1024 * 1024

_CRLF: Final = b"\r\n"


def encoded_size(payload_size: int, algorithm: Algorithm) -> int:
    """Bytes that :class:`AwsChunkedEncoder` emits for ``payload_size`` bytes."""
    full, rest = divmod(payload_size, CHUNK_SIZE)
    size = full * _chunk_bytes(CHUNK_SIZE) + len(_last_chunk(algorithm, bytes(algorithm.digest_size)))
    return size + _chunk_bytes(rest) if rest else size


class AwsChunkedEncoder:
    """Frames one payload.

    Args:
        payload_size: bytes that will be fed, exactly.
        algorithm: the checksum to compute on the way and to send as the trailer.
    """

    def __init__(self, payload_size: int, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._digest = new_digest(algorithm)
        self._unfed = payload_size
        self._chunk_left = 0

    def encode(self, piece: bytes) -> bytes:
        """Frame the next bytes of the payload. A piece inside one chunk is returned as it is.

        Raises:
            ValueError: more than ``payload_size`` bytes were fed.
        """
        if len(piece) > self._unfed:
            raise ValueError("internal error: more payload than announced")
        self._digest.update(piece)
        if len(piece) < self._chunk_left:
            self._chunk_left -= len(piece)
            self._unfed -= len(piece)
            return piece
        return b"".join(self._frame(piece))

    def finish(self) -> bytes:
        """The last chunk and the trailer.

        Raises:
            ValueError: fewer than ``payload_size`` bytes were fed.
        """
        if self._unfed:
            raise ValueError("internal error: less payload than announced")
        return _last_chunk(self._algorithm, self._digest.digest())

    def _frame(self, piece: bytes) -> list[bytes]:
        """``piece`` with the chunk borders that fall into it."""
        framed: list[bytes] = []
        position = 0
        while position < len(piece):
            if self._chunk_left == 0:
                self._chunk_left = min(CHUNK_SIZE, self._unfed)
                framed.append(b"%x\r\n" % self._chunk_left)
            data = piece[position : position + self._chunk_left]
            position += len(data)
            self._chunk_left -= len(data)
            self._unfed -= len(data)
            framed.append(data)
            if self._chunk_left == 0:
                framed.append(_CRLF)
        return framed


def _chunk_bytes(size: int) -> int:
    """Bytes of a chunk with ``size`` bytes of data, framing included."""
    return len(b"%x" % size) + len(_CRLF) + size + len(_CRLF)


def _last_chunk(algorithm: Algorithm, digest: bytes) -> bytes:
    return f"0\r\n{algorithm.header}:{encode_digest(digest)}\r\n\r\n".encode("ascii")
