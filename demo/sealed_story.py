"""What the demonstration shows of client-side encryption: the stored bytes, a flipped bit, and opening them offline."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError

from demo.application import INVOICE
from demo.stage import Stage
from lab.s3_server import S3Client

_BUCKET = "cse"
_KEY = "2026/invoice 4711.txt"
_LARGE_KEY = "2026/archive.bin"
_REPORT_KEY = "2026/report.bin"
_REPORT_BYTES = 2 * 1024 * 1024
#: Envelope, salt and commitment; the chunks come behind. Source: docs/format.md.
_HEAD_BYTES = 568
_ENVELOPE_BYTES = 512
_PROJECT = Path(__file__).resolve().parent.parent


class SealedStory:
    """Tells the part about bucket ``cse``.

    Args:
        stage: the running parts; the application has written its objects already.
        head: prints a headline.
        line: prints a line.
    """

    def __init__(self, stage: Stage, head: Callable[[str], None], line: Callable[[str], None]) -> None:
        self._stage = stage
        self._head = head
        self._line = line
        self._client = stage.gateway.client()
        self._direct = stage.store.client()

    def tell(self) -> None:
        self.stored_bytes()
        self.flipped_bit()
        self.flipped_bit_far_inside()
        self.opened_offline()

    def stored_bytes(self) -> None:
        self._head("Bucket cse: what the store has is ciphertext that the gateway made")
        stored = self._stored(_KEY)
        assert stored.startswith(b"sealgate")
        assert b"local:" in stored[:_ENVELOPE_BYTES]
        assert INVOICE not in stored
        self._line(
            f"  {len(INVOICE)} bytes of the application, {len(stored)} at the store. They begin with the envelope,"
        )
        self._line("  which names the wrapping key, and carries the data key wrapped under it:")
        self._dump(stored, 0, 160)
        self._line("  ... and then the invoice, sealed:")
        self._dump(stored, _HEAD_BYTES, len(stored))
        listed = {item["Key"]: item["Size"] for item in self._client.list_objects_v2(Bucket=_BUCKET)["Contents"]}
        head = self._client.head_object(Bucket=_BUCKET, Key=_KEY)
        assert listed[_KEY] == head["ContentLength"] == len(INVOICE)
        assert "sealgate" not in head["Metadata"]
        self._line(f"  The application sees {head['ContentLength']} bytes in HEAD, GET and LIST, and none of this.")

    def flipped_bit(self) -> None:
        self._head("Somebody flips one bit at the store")
        found = self._direct.get_object(Bucket=_BUCKET, Key=_KEY)
        stored, metadata = found["Body"].read(), found["Metadata"]
        flipped = bytearray(stored)
        flipped[_HEAD_BYTES] ^= 1
        self._direct.put_object(Bucket=_BUCKET, Key=_KEY, Body=bytes(flipped), Metadata=metadata)
        self._line(f"  byte {_HEAD_BYTES} was {stored[_HEAD_BYTES]:02x}, is {flipped[_HEAD_BYTES]:02x}")
        for words, options in (("GET", {}), ("GET of bytes 3-5", {"Range": "bytes=3-5"})):
            refused = self._refused(self._client, options)
            self._line(f"  {words} through the gateway: {refused}")
        self._direct.put_object(Bucket=_BUCKET, Key=_KEY, Body=stored, Metadata=metadata)
        assert self._client.get_object(Bucket=_BUCKET, Key=_KEY)["Body"].read() == INVOICE
        self._line("  The bit is put back, and the invoice reads again.")

    def flipped_bit_far_inside(self) -> None:
        self._head("... and one bit in the middle of an object that is being streamed already")
        original = os.urandom(_REPORT_BYTES)
        self._client.put_object(Bucket=_BUCKET, Key=_REPORT_KEY, Body=original)
        found = self._direct.get_object(Bucket=_BUCKET, Key=_REPORT_KEY)
        stored = bytearray(found["Body"].read())
        stored[len(stored) // 2] ^= 1
        self._direct.put_object(Bucket=_BUCKET, Key=_REPORT_KEY, Body=bytes(stored), Metadata=found["Metadata"])
        body = self._client.get_object(Bucket=_BUCKET, Key=_REPORT_KEY)["Body"]
        released = b""
        try:
            while piece := body.read(4096):
                released += piece
        except (ResponseStreamingError, IncompleteReadError):
            assert len(released) <= _REPORT_BYTES // 2
            assert original.startswith(released)
            self._line(
                f"  {len(released):,} of {_REPORT_BYTES:,} bytes arrive, every one of them right, then the connection"
            )
            self._line("  breaks: the client has an error, and no wrong byte.")
        else:
            raise AssertionError("a damaged object ended cleanly")
        self._client.delete_object(Bucket=_BUCKET, Key=_REPORT_KEY)

    def opened_offline(self) -> None:
        self._head("Without the gateway: a raw copy of the stored bytes, and the keyring")
        for key in (_KEY, _LARGE_KEY):
            copy = self._stage.directory / "copy.sealed"
            copy.write_bytes(self._stored(key))
            opened = self._stage.directory / "opened"
            opened.unlink(missing_ok=True)
            self._open(copy, opened)
            expected = self._client.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
            assert opened.read_bytes() == expected
            digest = hashlib.sha256(expected).hexdigest()[:16]
            self._line(f"  sealgate open --keyring keyring.json {copy.name} -o {opened.name}")
            self._line(f"    {key}: {len(expected):,} bytes, SHA-256 {digest}..., equal to what the gateway gives")

    def _stored(self, key: str) -> bytes:
        stored: bytes = self._direct.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return stored

    def _dump(self, data: bytes, begin: int, end: int) -> None:
        for offset in range(begin, end, 16):
            row = data[offset : min(offset + 16, end)]
            shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
            self._line(f"    {offset:04x}  {row.hex(' '):<47}  {shown}")

    def _refused(self, client: S3Client, options: dict[str, str]) -> str:
        try:
            client.get_object(Bucket=_BUCKET, Key=_KEY, **options)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            details = error.response["Error"]
            assert (status, details["Code"]) == (403, "AccessDenied")
            return f"{status} {details['Code']}: {details['Message']}"
        raise AssertionError("a damaged object was released")

    def _open(self, copy: Path, opened: Path) -> None:
        """Another process that has nothing but two files: no configuration, no network address, no credentials."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        arguments = ["open", "--keyring", str(self._stage.keyring), str(copy), "-o", str(opened)]
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            env=environment,
            cwd=_PROJECT,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
