"""Checksums of object data: the ``x-amz-checksum-*`` family and Content-MD5.

CRC32C and CRC64NVME come from awscrt and CRC32 from zlib-ng, which use the processor's instructions (over 40 GiB/s a
core). awscrt's CRC32 and zlib's do not (below 6 GiB/s): an upload with a trailing CRC32, which is computed when it
comes and when it leaves, took 11 % more CPU time with zlib. The hashes come from hashlib.

Source: Amazon S3 User Guide, "Checking object integrity".
"""

import base64
import functools
import hashlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol

from zlib_ng import zlib_ng

from gateway.errors import S3Error

_PREFIX: Final = "x-amz-checksum-"
_MD5_SIZE: Final = 16

#: Header fields of the family that do not carry a checksum.
NOT_VALUES: Final = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})

#: Checksums that S3 knows and the gateway does not compute.
UNSUPPORTED_HEADERS: Final = frozenset(_PREFIX + name for name in ("md5", "sha512", "xxhash64", "xxhash3", "xxhash128"))


class Algorithm(Enum):
    """A checksum algorithm; the value is its name in ``x-amz-checksum-algorithm``."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"

    @property
    def header(self) -> str:
        """The header or trailer field that carries its value, lower case."""
        return _HEADERS[self]

    @property
    def digest_size(self) -> int:
        """Length of a digest, in bytes."""
        return _DIGEST_SIZES[self]


_HEADERS: Final = {algorithm: _PREFIX + algorithm.value.lower() for algorithm in Algorithm}
_DIGEST_SIZES: Final = {
    Algorithm.CRC32: 4,
    Algorithm.CRC32C: 4,
    Algorithm.CRC64NVME: 8,
    Algorithm.SHA1: 20,
    Algorithm.SHA256: 32,
}
#: The supported ``x-amz-checksum-*`` fields.
BY_HEADER: Final = {header: algorithm for algorithm, header in _HEADERS.items()}


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def digest(self) -> bytes:
        """The checksum of everything taken in so far."""


class _CrcDigest:
    """A running CRC."""

    __slots__ = ("_crc", "_size", "_value")

    def __init__(self, function: Callable[[bytes, int], int], size: int) -> None:
        self._crc = function
        self._size = size
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._crc(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new_digest(algorithm: Algorithm) -> Digest:
    """A running checksum of ``algorithm``, at the state of no bytes."""
    function = _crc(algorithm)
    if function is not None:
        return _CrcDigest(function, algorithm.digest_size)
    return hashlib.new(algorithm.value, usedforsecurity=algorithm is Algorithm.SHA256)


@functools.cache
def _crc(algorithm: Algorithm) -> Callable[[bytes, int], int] | None:
    """The function that continues a CRC; None for what is none."""
    if algorithm is Algorithm.CRC32:
        return zlib_ng.crc32
    if algorithm not in (Algorithm.CRC32C, Algorithm.CRC64NVME):
        return None
    # With the first upload that needs it: it takes 5 MiB of a process, and 35 ms, once.
    from awscrt import checksums as crc

    return crc.crc32c if algorithm is Algorithm.CRC32C else crc.crc64nvme


def new_md5() -> Digest:
    """A running MD5, for Content-MD5 and ETags only."""
    return hashlib.md5(usedforsecurity=False)


def encode_digest(digest: bytes) -> str:
    """A digest as header fields carry it: standard base64 with padding."""
    return base64.b64encode(digest).decode("ascii")


def checksum(algorithm: Algorithm, data: bytes) -> str:
    """The checksum of ``data`` at once, in base64."""
    digest = new_digest(algorithm)
    digest.update(data)
    return encode_digest(digest.digest())


def parse_checksum_value(algorithm: Algorithm, value: str, *, trailing: bool = False) -> str:
    """The base64 of a client's checksum, checked to be one of ``algorithm``.

    Args:
        algorithm: the algorithm that the field's name announced.
        value: the field's value.
        trailing: whether the field came after the body.

    Raises:
        S3Error: ``InvalidRequest`` unless ``value`` is canonical base64 of the right length.
    """
    if not _is_base64_of(value, algorithm.digest_size):
        where = "trailing header" if trailing else "header"
        raise S3Error("InvalidRequest", f"Value for {algorithm.header} {where} is invalid.")
    return value


def parse_content_md5(value: str) -> str:
    """The base64 of a Content-MD5 header (RFC 1864), checked.

    Raises:
        S3Error: ``InvalidDigest``.
    """
    if not _is_base64_of(value, _MD5_SIZE):
        raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.", details=(("Content-MD5", value),))
    return value


def composite_checksum(algorithm: Algorithm, part_checksums: Sequence[str]) -> str:
    """The composite checksum of a multipart object: the checksum of its parts' digests, then ``-`` and their number.

    Args:
        algorithm: any but CRC64NVME, which S3 defines for whole objects only.
        part_checksums: base64 values of the parts, in part order.
    """
    digests = b"".join(base64.b64decode(value) for value in part_checksums)
    return f"{checksum(algorithm, digests)}-{len(part_checksums)}"


def _is_base64_of(value: str, size: int) -> bool:
    """Whether ``value`` is the one canonical base64 spelling of some ``size`` bytes."""
    try:
        decoded = base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return len(decoded) == size and encode_digest(decoded) == value
