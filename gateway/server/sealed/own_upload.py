"""A multipart upload that the gateway makes itself, for a copy: all of it becomes an object, or nothing stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.modes.upload_id import UPLOAD_ID
from gateway.s3.encryption_headers import CUSTOMER_HEADERS
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query
from gateway.s3.xml import NAMESPACE, element_text, parse_error
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.upstream.body import Body, BufferedBody, EmptyBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

#: Conditions on the object that is there before.
WRITE_CONDITIONS = frozenset({"if-match", "if-none-match"})


class UpstreamRefused(GatewayError):
    """The upstream answered with an error that is the client's answer.

    Args:
        refusal: the answer.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the upstream server answered {refusal.status}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Written:
    """An object or a part that was written.

    Attributes:
        etag: the server's ETag, quotes included.
        headers: the answer's header fields.
        modified: when, as the server's result says; None when it does not.
    """

    etag: str
    headers: Headers
    modified: datetime | None = None


class OwnUpload:
    """One upload under way.

    Args:
        call: the request that it is made for; its object is the one that is written.
        upload_id: the upstream's id.
        headers: what CreateMultipartUpload was sent with.
    """

    def __init__(self, call: Call, upload_id: str, headers: Headers) -> None:
        self.call = call
        self.upload_id = upload_id
        self.completed = False
        self._customer = Headers((name, value) for name, value in headers if name in CUSTOMER_HEADERS)
        self._conditions = Headers((name, value) for name, value in headers if name in WRITE_CONDITIONS)
        self._etags: dict[int, str] = {}

    async def put(self, number: int, body: Body) -> Written:
        """Upload a part.

        Raises:
            UpstreamRefused: the upstream does not take it.
            GatewayError: the upstream failed, or whatever the body raised.
        """
        request = _request(self.call, Operation.UPLOAD_PART, "PUT", self._part_query(number), self._customer, body)
        async with self.call.send_request(request) as answer:
            self.call.note_answer(answer)
            if not is_success(answer.status):
                raise UpstreamRefused(await read_refusal(answer))
            return self._kept(number, answer.headers.get("etag"), answer.headers)

    async def copy(self, number: int, source: Headers) -> Written:
        """Let the server copy a part.

        Args:
            number: the part's number.
            source: the source's header fields, its range and conditions included.

        Raises:
            UpstreamRefused: the upstream does not do it.
        """
        request = _request(
            self.call,
            Operation.UPLOAD_PART_COPY,
            "PUT",
            self._part_query(number),
            self._customer.replacing(source),
            EmptyBody(),
        )
        async with self.call.send_request(request) as answer:
            self.call.note_answer(answer)
            body = await read_result(answer)
            return self._kept(number, element_text(body, "ETag"), answer.headers)

    async def complete(self) -> Written:
        """Make the object of all parts.

        Raises:
            UpstreamRefused: the upstream does not do it, such as when a condition does not hold.
        """
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(self._etags.items())
        )
        document = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{parts}</CompleteMultipartUpload>'
        query = EMPTY_QUERY.with_values(((UPLOAD_ID, self.upload_id),))
        headers = self._customer.replacing((*self._conditions, ("content-type", "application/xml")))
        request = _request(
            self.call,
            Operation.COMPLETE_MULTIPART_UPLOAD,
            "POST",
            query,
            headers,
            BufferedBody(document.encode("utf-8", "surrogateescape")),
        )
        async with self.call.send_request(request) as answer:
            self.call.note_answer(answer)
            body = await read_result(answer)
            self.completed = True
            etag = element_text(body, "ETag")
        return Written(etag or await self._etag_of_object(answer.headers), answer.headers)

    async def abort(self) -> None:
        """Forget the upload and its parts."""
        query = EMPTY_QUERY.with_values(((UPLOAD_ID, self.upload_id),))
        request = _request(self.call, Operation.ABORT_MULTIPART_UPLOAD, "DELETE", query, Headers(), EmptyBody())
        async with self.call.send_request(request) as answer:
            await answer.read(MAX_DOCUMENT_BYTES)

    async def _etag_of_object(self, answered: Headers) -> str:
        """The new object's ETag, asked of the object: Ceph RGW 16 leaves it out of its result."""
        version = answered.get("x-amz-version-id")
        query = EMPTY_QUERY if version is None else EMPTY_QUERY.with_values((("versionId", version),))
        request = _request(self.call, Operation.HEAD_OBJECT, "HEAD", query, self._customer, EmptyBody())
        async with self.call.send_request(request) as answer:
            return answer.headers.get("etag") or ""

    def _part_query(self, number: int) -> Query:
        return EMPTY_QUERY.with_values((("partNumber", str(number)), (UPLOAD_ID, self.upload_id)))

    def _kept(self, number: int, etag: str | None, headers: Headers) -> Written:
        if not etag:
            raise UpstreamUnavailable("the upstream server took a part without giving its ETag")
        self._etags[number] = etag
        return Written(etag, headers)


@asynccontextmanager
async def own_upload(call: Call, headers: Headers) -> AsyncIterator[OwnUpload]:
    """Begin an upload; it is aborted unless it was completed when the block is left.

    Args:
        call: the request that it is made for.
        headers: the new object's header fields, conditions included: those go with CompleteMultipartUpload.

    Raises:
        UpstreamRefused: the upstream does not begin one.
    """
    query = EMPTY_QUERY.with_values((("uploads", ""),))
    sent = headers.without(WRITE_CONDITIONS)
    request = _request(call, Operation.CREATE_MULTIPART_UPLOAD, "POST", query, sent, EmptyBody())
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        body = await read_result(answer)
    upload_id = element_text(body, "UploadId")
    if not upload_id:
        raise UpstreamUnavailable("the upstream server created a multipart upload without an id")
    upload = OwnUpload(call, upload_id, headers)
    try:
        yield upload
    finally:
        if not upload.completed:
            with suppress(GatewayError):  # the failure that led here says more
                await upload.abort()


async def read_result(answer: UpstreamResponse) -> bytes:
    """The document of a success; S3 sends some errors with the status of one."""
    if not is_success(answer.status):
        raise UpstreamRefused(await read_refusal(answer))
    body = await answer.read(MAX_DOCUMENT_BYTES)
    if parse_error(body) is not None:
        raise UpstreamRefused(Refusal(answer.status, answer.headers, body))
    return body


def _request(
    call: Call, operation: Operation, method: str, query: Query, headers: Headers, body: Body
) -> UpstreamRequest:
    request = call.request
    return UpstreamRequest(operation, method, request.bucket, request.raw_object_key, query, headers, body)
