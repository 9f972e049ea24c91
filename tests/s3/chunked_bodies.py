"""Makes aws-chunked bodies for tests, signed with nothing but hmac, and feeds bodies in slices."""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from gateway.errors import S3Error
from gateway.redact import SecretBytes
from gateway.s3.chunk_signature import ChunkSigner

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TIMESTAMP = "20130524T000000Z"
SCOPE = "20130524/us-east-1/s3/aws4_request"
SEED_SIGNATURE = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _signing_key() -> bytes:
    key = b"AWS4" + SECRET_KEY.encode()
    for step in SCOPE.split("/"):
        key = _hmac(key, step)
    return key


def verifier(seed: str = SEED_SIGNATURE) -> ChunkSigner:
    """The gateway's own verifier for bodies signed here."""
    return ChunkSigner(SecretBytes(_signing_key()), SCOPE, TIMESTAMP, seed, "AKIAIOSFODNN7EXAMPLE")


@dataclass
class ClientSigner:
    """The client's side of the chain of signatures."""

    previous: str = SEED_SIGNATURE
    key: bytes = field(default_factory=_signing_key)

    def chunk(self, data: bytes) -> str:
        self.previous = self._sign("PAYLOAD", f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(data).hexdigest()}")
        return self.previous

    def trailer(self, canonical: bytes) -> str:
        return self._sign("TRAILER", hashlib.sha256(canonical).hexdigest())

    def _sign(self, kind: str, hashes: str) -> str:
        return _hmac(self.key, f"AWS4-HMAC-SHA256-{kind}\n{TIMESTAMP}\n{SCOPE}\n{self.previous}\n{hashes}").hex()


def frame(chunks: Iterable[bytes], trailer: bytes = b"", signer: ClientSigner | None = None) -> bytes:
    """Frame ``chunks`` and the empty last one; ``trailer`` is ``name:value`` without a line end."""
    body = b""
    for chunk in (*chunks, b""):
        signature = f";chunk-signature={signer.chunk(chunk)}".encode() if signer else b""
        body += b"%x%b\r\n%b" % (len(chunk), signature, chunk + b"\r\n" if chunk else b"")
    if trailer:
        body += trailer + b"\r\n"
        if signer:
            body += b"x-amz-trailer-signature:%b\r\n" % signer.trailer(trailer + b"\n").encode()
    return body + b"\r\n"


class Feedable(Protocol):
    """A sans-IO parser that returns payload."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take in ``data``."""

    def finish(self) -> object:
        """Take note of the end."""


def feed(parser: Feedable, body: bytes, step: int) -> bytes:
    """Feed ``body`` in slices of ``step`` bytes, all at once for 0; returns the payload."""
    step = step or max(len(body), 1)
    return b"".join(piece for at in range(0, len(body), step) for piece in parser.feed(body[at : at + step]))


def read(parser: Feedable, body: bytes, step: int) -> bytes:
    """Feed ``body`` as :func:`feed` does, and finish."""
    payload = feed(parser, body, step)
    parser.finish()
    return payload


def feed_at(parser: Feedable, body: bytes, cuts: list[int]) -> bytes:
    """Feed ``body`` cut at the positions in ``cuts`` (taken modulo its length)."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return b"".join(piece for first, last in pairwise(edges) for piece in parser.feed(body[first:last]))


def outcome(action: Callable[[], object]) -> S3Error | None:
    """The S3 error that ``action`` ends with; any other exception is a failure of the test."""
    try:
        action()
    except S3Error as error:
        return error
    return None
