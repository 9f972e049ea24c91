"""Decoder of aws-chunked bodies.

    <hex size>[;chunk-signature=<64 hex>] CRLF <data> CRLF ... 0[;chunk-signature=<64 hex>] CRLF [<trailers>] CRLF

Sans-IO: bytes in, pieces of payload out. Every byte of the framing is checked and nothing is skipped. The payload never
grows past the size announced in ``x-amz-decoded-content-length``, and the last piece of a signed chunk is released only
after the chunk's signature was verified. Memory use does not depend on the sizes of chunks.

Line ends are CRLF. The one exception: S3 also takes a bare LF after a trailer's value, which AWS's documentation and
minio-go use (``name:value LF CRLF``).

Sources: Amazon S3 API Reference, "Signature calculations for the authorization header: transferring payload in multiple
chunks (chunked upload)" and "... including trailing headers (chunked upload)".
"""

import hashlib
import re
from enum import Enum, auto
from typing import Final, Protocol

from gateway.errors import S3Error
from gateway.s3.content_sha256 import EMPTY_SHA256

#: Most hex digits of a chunk size; leading zeros count.
MAX_SIZE_DIGITS: Final = 16
#: Most bytes of a chunk header with its CRLF: size, ``;chunk-signature=``, 64 digits.
MAX_CHUNK_HEADER_BYTES: Final = MAX_SIZE_DIGITS + 17 + 64 + 2
#: Fewest bytes of a chunk that is not the last one. Source: S3's InvalidChunkSizeError.
MIN_CHUNK_BYTES: Final = 8192
#: Most bytes of one trailer line with its line end; ``x-amz-trailer-signature`` needs 90.
MAX_TRAILER_LINE_BYTES: Final = 256

TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"

_CHUNK_HEADER: Final = re.compile(rb"([0-9A-Fa-f]{1,%d})(?:;chunk-signature=([0-9a-f]{64}))?\r\n" % MAX_SIZE_DIGITS)
_TRAILER: Final = re.compile(rb"([0-9A-Za-z-]+):([\x21-\x7e]+)\r?\n")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_CRLF: Final = b"\r\n"


class ChunkVerifier(Protocol):
    """Checks the chain of signatures of one signed body; each call continues from the one before."""

    def verify_chunk(self, sha256_hex: str, signature: str) -> None:
        """Check the next chunk.

        Args:
            sha256_hex: SHA-256 of the chunk's data, lower-case hex.
            signature: the chunk's signature as sent, 64 lower-case hex digits.

        Raises:
            S3Error: ``SignatureDoesNotMatch``.
        """

    def verify_trailer(self, canonical_trailers_sha256_hex: str, signature: str) -> None:
        """Check the trailer, after the last chunk.

        Args:
            canonical_trailers_sha256_hex: SHA-256 of ``name:value LF`` of every trailer, lower-case hex.
            signature: the trailer's signature as sent, 64 lower-case hex digits.

        Raises:
            S3Error: ``SignatureDoesNotMatch``.
        """


class _State(Enum):
    HEADER = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()
    FAILED = auto()


class AwsChunkedDecoder:
    """Decodes one body.

    Args:
        payload_size: bytes of payload announced; any other sum is refused.
        trailer: lower-case name of the one trailer announced, or None. It must come, and no other may.
        verifier: checks the signatures; with None, no chunk may carry one.
        signed_trailer: whether ``x-amz-trailer-signature`` must end the trailer; needs a verifier.
    """

    def __init__(
        self,
        payload_size: int,
        *,
        trailer: str | None = None,
        verifier: ChunkVerifier | None = None,
        signed_trailer: bool = False,
    ) -> None:
        if signed_trailer and verifier is None:
            raise ValueError("internal error: a signed trailer needs a verifier")
        self._payload_size = payload_size
        self._trailer = trailer
        self._verifier = verifier
        self._signed_trailer = signed_trailer
        self._state = _State.HEADER
        self._line = b""
        self._received = 0
        self._chunk_count = 0
        self._chunk_size = 0
        self._remaining = 0
        self._signature = ""
        self._sha256 = hashlib.sha256()
        self._trailers: dict[str, str] = {}
        self._bare_line_feed = False

    @property
    def trailer_value(self) -> str | None:
        """The announced trailer's value, once it was read."""
        return self._trailers.get(self._trailer) if self._trailer is not None else None

    def feed(self, data: bytes) -> list[bytes]:
        """Take in the next bytes of the body and return the payload in them, in order, without empty pieces.

        Raises:
            S3Error: ``IncompleteBody`` for wrong framing or size, ``InvalidChunkSizeError``, ``MalformedTrailerError``,
                ``SignatureDoesNotMatch``. The decoder is of no further use then.
        """
        pieces: list[bytes] = []
        position = 0
        try:
            while position < len(data):
                if self._state is _State.DATA:
                    position = self._read_data(data, position, pieces)
                else:
                    position = self._read_line(data, position)
        except S3Error:
            self._state = _State.FAILED
            raise
        return pieces

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            S3Error: ``IncompleteBody`` unless the last byte of the framing was read.
        """
        if self._state is not _State.END or self._line:
            raise bad_framing()

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take payload from ``data``; at the end of a signed chunk, verify it before its last piece is released."""
        end = min(position + self._remaining, len(data))
        piece = data[position:end]  # the whole of data is returned as it is, without a copy
        self._remaining -= len(piece)
        self._received += len(piece)
        if self._verifier is not None:
            self._sha256.update(piece)
        if self._remaining == 0:
            if self._verifier is not None:
                self._verifier.verify_chunk(self._sha256.hexdigest(), self._signature)
            self._state = _State.DATA_END
        pieces.append(piece)
        return end

    def _read_line(self, data: bytes, position: int) -> int:
        """Take one line, or the part of it that is here, and act on it when it is complete."""
        limit = _LINE_LIMITS[self._state]
        line_feed = data.find(b"\n", position, position + limit - len(self._line))
        end = len(data) if line_feed < 0 else line_feed + 1
        if line_feed < 0 and len(self._line) + end - position >= limit:
            raise _line_error(self._state)
        line = self._line + data[position:end] if self._line else data[position:end]
        if line_feed < 0:
            self._line = line
        else:
            self._line = b""
            self._take_line(line)
        return end

    def _take_line(self, line: bytes) -> None:
        if self._state is _State.HEADER:
            self._take_chunk_header(line)
        elif self._state is _State.TRAILER:
            self._take_trailer(line)
        elif self._state is _State.DATA_END and line == _CRLF:
            self._state = _State.HEADER
        elif self._state is _State.END and line == _CRLF and self._bare_line_feed:
            self._bare_line_feed = False
        else:
            raise bad_framing()

    def _take_chunk_header(self, line: bytes) -> None:
        match = _CHUNK_HEADER.fullmatch(line)
        if match is None or (match[2] is None) != (self._verifier is None):
            raise bad_framing()
        size = int(match[1], 16)
        self._chunk_count += 1
        if size and self._chunk_count > 1 and self._chunk_size < MIN_CHUNK_BYTES:
            raise S3Error(
                "InvalidChunkSizeError",
                f"Only the last chunk is allowed to have a size less than {MIN_CHUNK_BYTES} bytes",
                details=(("Chunk", str(self._chunk_count)), ("BadChunkSize", str(self._chunk_size))),
            )
        if self._received + size > self._payload_size or (size == 0 and self._received < self._payload_size):
            raise wrong_size(self._payload_size, self._received + size)
        if self._verifier is not None:
            self._signature = match[2].decode("ascii")
            self._sha256 = hashlib.sha256()
            if size == 0:
                self._verifier.verify_chunk(EMPTY_SHA256, self._signature)
        self._chunk_size = self._remaining = size
        self._state = _State.DATA if size else _State.TRAILER

    def _take_trailer(self, line: bytes) -> None:
        """One line after the last chunk: a trailer, or the empty line that ends the body."""
        if line == _CRLF:
            self._take_empty_line()
            return
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise malformed_trailer()
        name = match[1].decode("ascii").lower()
        if name not in self._expected_trailers() - self._trailers.keys() or TRAILER_SIGNATURE in self._trailers:
            raise malformed_trailer()
        self._trailers[name] = match[2].decode("ascii")
        self._bare_line_feed = not line.endswith(_CRLF)

    def _take_empty_line(self) -> None:
        if self._trailers.keys() == self._expected_trailers():
            if self._signed_trailer:
                self._verify_trailer()
            self._state = _State.END
        elif self._bare_line_feed:
            self._bare_line_feed = False  # "name:value LF CRLF" is one trailer with an odd line end
        else:
            raise malformed_trailer()

    def _expected_trailers(self) -> set[str]:
        expected = {self._trailer} if self._trailer is not None else set()
        return expected | {TRAILER_SIGNATURE} if self._signed_trailer else expected

    def _verify_trailer(self) -> None:
        signature = self._trailers[TRAILER_SIGNATURE]
        if self._verifier is None or not _SIGNATURE.fullmatch(signature):
            raise malformed_trailer()
        canonical = f"{self._trailer}:{self.trailer_value}\n" if self._trailer is not None else ""
        self._verifier.verify_trailer(hashlib.sha256(canonical.encode("ascii")).hexdigest(), signature)


_LINE_LIMITS: Final = {
    _State.HEADER: MAX_CHUNK_HEADER_BYTES,
    _State.DATA_END: len(_CRLF),
    _State.TRAILER: MAX_TRAILER_LINE_BYTES,
    _State.END: len(_CRLF),
    _State.FAILED: len(_CRLF),
}


def _line_error(state: _State) -> S3Error:
    return malformed_trailer() if state is _State.TRAILER else bad_framing()


def bad_framing() -> S3Error:
    """The body ended early, or its framing is not aws-chunked; S3 answers both alike."""
    return S3Error("IncompleteBody", "The request body terminated unexpectedly")


def wrong_size(expected: int, provided: int) -> S3Error:
    """The payload has another size than announced."""
    return S3Error(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
        details=(("NumberBytesExpected", str(expected)), ("NumberBytesProvided", str(provided))),
    )


def malformed_trailer() -> S3Error:
    """The trailer is not well-formed, or not the one that ``x-amz-trailer`` announced."""
    return S3Error(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
