"""The signatures inside an ``aws-chunked`` body: each chunk's signature covers the one before it.

Source: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and "Signature
calculations for trailing headers", Amazon S3 API Reference.
"""

import hmac

from gateway.redact import SecretBytes
from gateway.s3 import sigv4
from gateway.s3.content_sha256 import EMPTY_SHA256
from gateway.s3.signature_errors import signature_does_not_match

_CHUNK_ALGORITHM = "AWS4-HMAC-SHA256-PAYLOAD"
_TRAILER_ALGORITHM = "AWS4-HMAC-SHA256-TRAILER"


class ChunkSigner:
    """The chain of chunk signatures of one request. Feed it the chunks in order, the empty last one included.

    Args:
        signing_key: the key that signed the request's headers.
        scope: the credential scope, ``YYYYMMDD/region/s3/aws4_request``.
        timestamp: the request's time, ``YYYYMMDDTHHMMSSZ``.
        seed_signature: the signature of the request's headers, already verified.
        access_key_id: who signed; named in errors.
    """

    __slots__ = ("_access_key_id", "_previous_signature", "_scope", "_signing_key", "_timestamp")

    def __init__(
        self, signing_key: SecretBytes, scope: str, timestamp: str, seed_signature: str, access_key_id: str
    ) -> None:
        self._access_key_id = access_key_id
        self._signing_key = signing_key
        self._scope = scope
        self._timestamp = timestamp
        self._previous_signature = seed_signature

    def verify_chunk(self, sha256_hex: str, signature: str) -> None:
        """Check the next chunk.

        Args:
            sha256_hex: lower-case hexadecimal SHA-256 of the chunk's data.
            signature: the chunk's ``chunk-signature``.

        Raises:
            S3Error: ``SignatureDoesNotMatch``.
        """
        self._verify(f"{self._head(_CHUNK_ALGORITHM)}\n{EMPTY_SHA256}\n{sha256_hex}", signature)

    def verify_trailer(self, canonical_trailers_sha256_hex: str, signature: str) -> None:
        """Check the trailer, after the empty last chunk.

        Args:
            canonical_trailers_sha256_hex: lower-case hexadecimal SHA-256 of the trailing fields, each as
                ``name:value`` and a line feed, sorted by lower-case name.
            signature: the value of ``x-amz-trailer-signature``.

        Raises:
            S3Error: ``SignatureDoesNotMatch``.
        """
        self._verify(f"{self._head(_TRAILER_ALGORITHM)}\n{canonical_trailers_sha256_hex}", signature)

    def _head(self, algorithm: str) -> str:
        return f"{algorithm}\n{self._timestamp}\n{self._scope}\n{self._previous_signature}"

    def _verify(self, string_to_sign: str, signature: str) -> None:
        expected = sigv4.sign(self._signing_key, string_to_sign)
        if not hmac.compare_digest(expected.encode(), sigv4.to_bytes(signature)):
            raise signature_does_not_match(self._access_key_id, signature, string_to_sign)
        self._previous_signature = expected
