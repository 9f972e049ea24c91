"""The body of an upload and the proof that the client's claims about it hold.

:class:`PayloadReader` takes the body as it arrives, removes the aws-chunked framing, and computes only the digests that
the client claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.errors import S3Error
from gateway.s3.aws_chunked import AwsChunkedDecoder, ChunkVerifier, wrong_size
from gateway.s3.checksums import Algorithm, Digest, encode_digest, new_digest, new_md5, parse_checksum_value
from gateway.s3.payload_claims import PayloadClaims, parse_claims

__all__ = ["PayloadClaims", "PayloadReader", "VerifiedPayload", "parse_claims"]


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """What was found true of a whole body. Made by :meth:`PayloadReader.finish` only.

    Attributes:
        size: bytes of payload.
        checksums: base64 values of the checksums that the client claimed, and no others.
        md5: MD5 in base64, when the client claimed one.
    """

    size: int
    checksums: Mapping[Algorithm, str] = field(default_factory=dict)
    md5: str | None = None


class PayloadReader:
    """Decodes and checks one body while it streams past; memory use does not depend on its size.

    Pieces are handed out before the whole body is verified. A caller that forwards them keeps the last one back until
    :meth:`finish` returned, so that a body that fails its checks never becomes complete elsewhere.

    Args:
        claims: what the client says about the body.
        chunk_signer: checks chunk signatures; required exactly when the claims say that chunks are signed.
    """

    def __init__(self, claims: PayloadClaims, chunk_signer: ChunkVerifier | None = None) -> None:
        signed = claims.content_sha256.signed_chunks
        if signed and chunk_signer is None:
            raise ValueError("internal error: signed chunks need a verifier")
        self._claims = claims
        self._received = 0
        self._decoder = (
            AwsChunkedDecoder(
                claims.payload_size,
                trailer=claims.trailer.header if claims.trailer is not None else None,
                verifier=chunk_signer if signed else None,
                signed_trailer=signed and claims.content_sha256.trailing,
            )
            if claims.aws_chunked
            else None
        )
        algorithms = {claims.algorithm} if claims.algorithm is not None else set()
        if claims.content_sha256.digest is not None:
            algorithms.add(Algorithm.SHA256)
        self._digests: dict[Algorithm, Digest] = {algorithm: new_digest(algorithm) for algorithm in algorithms}
        self._md5 = new_md5() if claims.content_md5 is not None else None

    def feed(self, data: bytes) -> list[bytes]:
        """Take in the next bytes of the body and return the payload in them, in order, without empty pieces.

        Raises:
            S3Error: the body is longer than announced, its framing is wrong, or a signature does not match.
        """
        pieces = self._decoder.feed(data) if self._decoder is not None else [data] if data else []
        for piece in pieces:
            self._received += len(piece)
            for digest in self._digests.values():
                digest.update(piece)
            if self._md5 is not None:
                self._md5.update(piece)
        if self._received > self._claims.payload_size:
            raise wrong_size(self._claims.payload_size, self._received)
        return pieces

    def finish(self) -> VerifiedPayload:
        """Check everything that can only be known at the end.

        Raises:
            S3Error: ``IncompleteBody``, ``XAmzContentSHA256Mismatch``, ``BadDigest``, or ``InvalidRequest`` for a
                malformed checksum in the trailer.
        """
        if self._decoder is not None:
            self._decoder.finish()
        if self._received != self._claims.payload_size:
            raise wrong_size(self._claims.payload_size, self._received)
        self._check_content_sha256()
        return VerifiedPayload(size=self._received, checksums=self._check_checksum(), md5=self._check_md5())

    def _check_content_sha256(self) -> None:
        claimed = self._claims.content_sha256.digest
        if claimed is None:
            return
        computed = self._digests[Algorithm.SHA256].digest().hex()
        if computed != claimed:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                details=(("ClientComputedContentSHA256", claimed), ("S3ComputedContentSHA256", computed)),
            )

    def _check_md5(self) -> str | None:
        claimed = self._claims.content_md5
        if claimed is None or self._md5 is None:
            return None
        computed = encode_digest(self._md5.digest())
        if computed != claimed:
            raise S3Error(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
                details=(("ExpectedDigest", claimed), ("CalculatedDigest", computed)),
            )
        return computed

    def _check_checksum(self) -> dict[Algorithm, str]:
        algorithm = self._claims.algorithm
        claimed = self._claimed_checksum()
        if algorithm is None or claimed is None:
            return {}
        computed = encode_digest(self._digests[algorithm].digest())
        if computed != claimed:
            raise S3Error("BadDigest", f"The {algorithm.value} you specified did not match the calculated checksum.")
        return {algorithm: computed}

    def _claimed_checksum(self) -> str | None:
        if self._claims.checksum is not None:
            return self._claims.checksum[1]
        value = self._decoder.trailer_value if self._decoder is not None else None
        if self._claims.trailer is None or value is None:
            return None
        return parse_checksum_value(self._claims.trailer, value, trailing=True)
