"""Every way to read a sealed object, and what may come of it when the stored bytes were tampered with.

An answer that ends cleanly has to be the truth to the last byte and header field. Everything else is an error, and the
bytes before it are the truth's first bytes.
"""

import http.client
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, urlsplit

from lab.gateway import Gateway
from tests.e2e.wire import signed_fields

_SECONDS = 60
_BLOCK = 64 * 1024


class Outcome(StrEnum):
    """What came of a read."""

    TRUE = "true"
    REFUSED = "refused"
    BROKEN = "broken off"


class WrongBytes(AssertionError):
    """The gateway released what is not the truth, or ended a false answer cleanly."""


@dataclass(frozen=True, slots=True)
class Got:
    """What a client received.

    Attributes:
        status: HTTP status; 0 when the connection ended before an answer.
        headers: the answer's header fields, names in lower case.
        body: the bytes that came.
        complete: whether the answer ended as HTTP has it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    complete: bool

    @property
    def is_error(self) -> bool:
        """Whether it says that it failed, S3's errors inside a 200 included."""
        return self.status >= 400 or b"<Error>" in self.body[:300]


@dataclass(frozen=True, slots=True)
class Truth:
    """What an object is to its clients.

    Attributes:
        data: its bytes.
        part_sizes: the sizes of its parts; none for an object of one PutObject.
    """

    data: bytes = field(repr=False)
    part_sizes: Sequence[int] = ()

    def part(self, number: int) -> tuple[int, int]:
        """First byte of a part, and the byte behind it."""
        sizes = self.part_sizes or (len(self.data),)
        start = sum(sizes[: number - 1])
        return start, start + sizes[number - 1]


#: A connection to each gateway, kept while its answers end as HTTP has it.
_connections: dict[str, http.client.HTTPSConnection] = {}


def fetch(gateway: Gateway, method: str, target: str, headers: Mapping[str, str] | None = None) -> Got:
    """One signed request without a body, read to whatever end its answer comes to."""
    fields = signed_fields(gateway.endpoint, gateway.credentials, method, target, headers or {}, b"")
    connection = _connections.pop(gateway.endpoint, None) or _connect(gateway)
    body = bytearray()
    try:
        connection.request(method, target, headers=fields)
        answer = connection.getresponse()
        known = {name.lower(): value for name, value in answer.getheaders()}
        try:
            while block := answer.read1(_BLOCK):
                body += block
            # read1 does not tell an early end from a regular one.
            complete = answer.length in {0, None} or method == "HEAD"
            answer.close()
        except (http.client.HTTPException, OSError):
            complete = False
        if complete and not answer.will_close:
            _connections[gateway.endpoint] = connection
        return Got(answer.status, known, bytes(body), complete)
    except (http.client.HTTPException, OSError):
        return Got(0, {}, b"", complete=False)
    finally:
        if gateway.endpoint not in _connections:
            connection.close()


def _connect(gateway: Gateway) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    return http.client.HTTPSConnection(urlsplit(gateway.endpoint).netloc, timeout=_SECONDS, context=context)


def judged(got: Got, expected: bytes, what: str) -> Outcome:
    """What came of a GET whose truth is ``expected``.

    Raises:
        WrongBytes: something else than the truth was released.
    """
    if got.is_error:
        return Outcome.REFUSED
    if not expected.startswith(got.body):
        raise WrongBytes(f"{what}: {got.status}, {len(got.body)} bytes that are not the object's")
    announced = got.headers.get("content-length")
    if got.status and announced is not None and int(announced) != len(expected):
        raise WrongBytes(f"{what}: announces {announced} of {len(expected)} bytes")
    if not got.complete:
        return Outcome.BROKEN
    if len(got.body) != len(expected):
        raise WrongBytes(f"{what}: ended cleanly after {len(got.body)} of {len(expected)} bytes")
    return Outcome.TRUE


Reading = Callable[[Gateway, str, str, Truth], Outcome]


def _whole(gateway: Gateway, bucket: str, key: str, truth: Truth) -> Outcome:
    return judged(fetch(gateway, "GET", _target(bucket, key)), truth.data, "GET")


def _range(name: str, first: Callable[[int], int], last: Callable[[int], int], text: str) -> Reading:
    def read(gateway: Gateway, bucket: str, key: str, truth: Truth) -> Outcome:
        size = len(truth.data)
        start, end = max(0, first(size)), min(size, last(size) + 1)
        if size == 0:
            return Outcome.REFUSED
        asked = text.format(first=start, last=end - 1, suffix=size - start)
        got = fetch(gateway, "GET", _target(bucket, key), {"Range": f"bytes={asked}"})
        outcome = judged(got, truth.data[start:end], f"GET {asked}")
        if outcome is not Outcome.REFUSED and got.status:
            said = got.headers.get("content-range")
            if (got.status, said) != (206, f"bytes {start}-{end - 1}/{size}"):
                raise WrongBytes(f"GET {asked}: {got.status}, Content-Range {said}")
        return outcome

    read.__name__ = name
    return read


def _head(gateway: Gateway, bucket: str, key: str, truth: Truth) -> Outcome:
    got = fetch(gateway, "HEAD", _target(bucket, key))
    if got.status >= 400:
        return Outcome.REFUSED
    said = got.headers.get("content-length")
    if (got.status, said) != (200, str(len(truth.data))):
        raise WrongBytes(f"HEAD: {got.status}, Content-Length {said} of {len(truth.data)}")
    return Outcome.TRUE


def _part(number: int) -> Reading:
    def read(gateway: Gateway, bucket: str, key: str, truth: Truth) -> Outcome:
        count = len(truth.part_sizes) or 1
        wanted = number if number > 0 else count
        start, end = truth.part(wanted)
        got = fetch(gateway, "GET", f"{_target(bucket, key)}?partNumber={wanted}")
        outcome = judged(got, truth.data[start:end], f"GET part {wanted}")
        said = got.headers.get("x-amz-mp-parts-count")
        if outcome is not Outcome.REFUSED and got.status and truth.part_sizes and said != str(count):
            raise WrongBytes(f"GET part {wanted}: parts count {said} of {count}")
        return outcome

    return read


def _attributes(gateway: Gateway, bucket: str, key: str, truth: Truth) -> Outcome:
    wanted = {"x-amz-object-attributes": "ETag,ObjectSize,ObjectParts"}
    got = fetch(gateway, "GET", f"{_target(bucket, key)}?attributes", wanted)
    if got.is_error:
        return Outcome.REFUSED
    if f"<ObjectSize>{len(truth.data)}</ObjectSize>".encode() not in got.body:
        raise WrongBytes(f"GetObjectAttributes: {got.body!r}")
    return Outcome.TRUE


#: Ways to read that need nothing but the object.
READINGS: Mapping[str, Reading] = {
    "whole": _whole,
    "head": _head,
    "first bytes": _range("first bytes", lambda _: 0, lambda _: 99, "{first}-{last}"),
    "middle": _range("middle", lambda size: size // 2, lambda size: size // 2 + 20_000, "{first}-{last}"),
    "open end": _range("open end", lambda size: size // 3, lambda size: size, "{first}-"),
    "suffix": _range("suffix", lambda size: size - 100, lambda size: size, "-{suffix}"),
    "first part": _part(1),
    "last part": _part(-1),
    "attributes": _attributes,
}


#: Enough to see what every other one would show.
FEW_READINGS: Mapping[str, Reading] = {name: READINGS[name] for name in ("whole", "head", "middle", "suffix")}


def copied(gateway: Gateway, source: tuple[str, str], target: tuple[str, str], truth: Truth) -> Outcome:
    """CopyObject, and what a reader of the copy gets."""
    return _copied(gateway, source, target, truth, "")


def copied_as_part(gateway: Gateway, source: tuple[str, str], target: tuple[str, str], truth: Truth) -> Outcome:
    """UploadPartCopy into an upload of one part, and what a reader of the object gets."""
    client = gateway.client()
    where = {"Bucket": target[0], "Key": target[1]}
    upload = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
    query = f"?partNumber=1&uploadId={quote(upload['UploadId'], safe='')}"
    outcome = _copied(gateway, source, target, truth, query)
    if outcome is not Outcome.TRUE:
        client.abort_multipart_upload(**upload)
        return outcome
    (part,) = client.list_parts(**upload)["Parts"]
    listed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(**upload, MultipartUpload=listed)
    return _whole(gateway, *target, truth)


def _copied(gateway: Gateway, source: tuple[str, str], target: tuple[str, str], truth: Truth, query: str) -> Outcome:
    got = fetch(gateway, "PUT", _target(*target) + query, {"x-amz-copy-source": quote("/".join(source))})
    if got.is_error:
        return Outcome.REFUSED
    if not got.complete:
        return Outcome.BROKEN
    return Outcome.TRUE if query else _whole(gateway, *target, truth)


def _target(bucket: str, key: str) -> str:
    return f"/{bucket}/{quote(key)}"
