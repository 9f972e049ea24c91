"""Copies through the gateway: the source is read, decrypted by S3, and written again with the destination's encryption.

The bytes pass at constant memory; the destination appears only when the source was read to its end.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from aiohttp import web

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.modes.plan import Plan
from gateway.s3.copied_metadata import (
    TAGGING_DIRECTIVE,
    copied_headers,
    copied_tagging,
    replaces,
    source_conditions,
)
from gateway.s3.copy_source import CopySource
from gateway.s3.copy_source_range import COPY_SOURCE_RANGE, check_copy_source_range, parse_copy_source_range
from gateway.s3.encryption_headers import ENCRYPTION_HEADERS, CustomerKeyHeaders
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query
from gateway.s3.xml import render_copy_result
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success, require_proof
from gateway.server.handlers.multipart import require_part_proof
from gateway.server.handlers.refusal import pass_refusal
from gateway.server.handlers.upload_body import BUFFERED_BODY_BYTES
from gateway.server.respond import forwarded_answer_headers
from gateway.server.stored_tags import tagging_document
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

_NOT_MODIFIED = 304
_PRECONDITION_FAILED = 412
COPY_SOURCE = "x-amz-copy-source"

CopyResult = Literal["CopyObjectResult", "CopyPartResult"]


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a copy.

    Attributes:
        place: bucket, object key and version.
        customer: the customer key that it is stored under, or None.
    """

    place: CopySource
    customer: CustomerKeyHeaders | None

    def copy_headers(self) -> Headers:
        """The source and its key as a copy request carries them.

        The name is rendered anew: a server that reads the client's spelling in another way would copy another object
        than the one that was decided on.
        """
        key = () if self.customer is None else self.customer.render_copy_source()
        return Headers(((COPY_SOURCE, self.place.render()), *key))

    def read_headers(self) -> Headers:
        """The source's key as a GET carries it."""
        return Headers() if self.customer is None else Headers(self.customer.render())

    def query(self) -> Query:
        """The query that names the source's version."""
        version_id = self.place.version_id
        return EMPTY_QUERY if version_id is None else EMPTY_QUERY.with_values((("versionId", version_id),))


async def stream_object(call: Call, source: Source, planned: Plan) -> web.Response:
    """Do CopyObject.

    Raises:
        GatewayError: the vault or the upstream failed, or the copy's encryption was not proven.
    """
    call.services.metrics.copy_streamed(call.request.operation)
    async with call.send_request(_get(call, source)) as found:
        if not is_success(found.status):
            return await _refuse_source(call, found)
        tagging = await source_tagging(call, source)
        headers = copied_headers(planned.headers, found.headers).replacing(tagging)
        request = _request(call, Operation.PUT_OBJECT, "PUT", EMPTY_QUERY, headers, await _copied_body(found))
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                return await pass_refusal(call, answer)
            require_proof(call, planned.mode, proven=planned.proven_by(answer.headers))
            return _result(call, "CopyObjectResult", found, answer)


async def stream_part(call: Call, source: Source, planned: Plan) -> web.Response:
    """Do UploadPartCopy.

    Raises:
        GatewayError: the vault or the upstream failed, or the part's encryption was not proven.
    """
    call.services.metrics.copy_streamed(call.request.operation)
    async with call.send_request(_get(call, source)) as found:
        if not is_success(found.status):
            return await _refuse_source(call, found)
        _require_whole_range(call.request.raw.headers.get(COPY_SOURCE_RANGE), found)
        headers = Headers((name, value) for name, value in planned.headers if name in ENCRYPTION_HEADERS)
        request = _request(call, Operation.UPLOAD_PART, "PUT", planned.query, headers, await _copied_body(found))
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                return await pass_refusal(call, answer)
            require_part_proof(call, planned, answer)
            return _result(call, "CopyPartResult", found, answer)


async def remove_version(call: Call, version_id: str) -> None:
    """Delete one version of the destination: a copy that the server made without the encryption it was asked for."""
    query = EMPTY_QUERY.with_values((("versionId", version_id),))
    request = _request(call, Operation.DELETE_OBJECT, "DELETE", query, Headers(), EmptyBody())
    async with call.send_request(request) as answer:
        await answer.read(MAX_DOCUMENT_BYTES)


async def _refuse_source(call: Call, found: UpstreamResponse) -> web.Response:
    """The answer when the source can not be read."""
    if found.status in (_NOT_MODIFIED, _PRECONDITION_FAILED):
        raise S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    return await pass_refusal(call, found)


def _get(call: Call, source: Source) -> UpstreamRequest:
    return UpstreamRequest(
        operation=Operation.GET_OBJECT,
        method="GET",
        bucket=source.place.bucket,
        raw_object_key=source.place.raw_object_key,
        query=source.query(),
        headers=source_conditions(call.request.raw.headers).replacing(source.read_headers()),
        body=EmptyBody(),
    )


def _request(
    call: Call, operation: Operation, method: str, query: Query, headers: Headers, body: Body
) -> UpstreamRequest:
    return UpstreamRequest(
        operation=operation,
        method=method,
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=query,
        headers=headers,
        body=body,
    )


async def _copied_body(found: UpstreamResponse) -> Body:
    """The source's bytes; a body that ends early breaks the destination off."""
    length = found.headers.get("content-length")
    if length is None or not length.isdigit():
        raise UpstreamUnavailable("The upstream server did not state the size of the source of a copy.")
    size = int(length)
    if size <= BUFFERED_BODY_BYTES:
        return BufferedBody(await found.read(size))
    return StreamedBody(size, found.iter_chunks(), None)


def _require_whole_range(value: str | None, found: UpstreamResponse) -> None:
    """S3 refuses a range that reaches past the source's end, where a GET would answer with less.

    Raises:
        S3Error: InvalidArgument.
        UpstreamUnavailable: the server did not answer with the range that it was asked for.
    """
    if value is None:
        return
    wanted = parse_copy_source_range(value)
    span, _, size = (found.headers.get("content-range") or "").removeprefix("bytes ").partition("/")
    if size.isdigit():
        check_copy_source_range(wanted, int(size))
    if span != f"{wanted.first}-{wanted.last}":
        raise UpstreamUnavailable("The upstream server did not answer with the range of the source of a copy.")


async def source_tagging(call: Call, source: Source) -> Headers:
    """The source's tags as the destination's, unless the client gives its own.

    Raises:
        S3Error: AccessDenied, when they can not be read.
    """
    if replaces(call.request.raw.headers, TAGGING_DIRECTIVE):
        return Headers()
    return copied_tagging(await tagging_document(call.send_request, source.place))


def _result(call: Call, element: CopyResult, found: UpstreamResponse, answer: UpstreamResponse) -> web.Response:
    """S3's answer to a copy, from the answer to the upload that did it."""
    date = answer.headers.get("date")
    modified = call.services.now() if date is None else parsedate_to_datetime(date)
    body = render_copy_result(element, etag=answer.headers.get("etag") or "", last_modified=modified)
    headers = forwarded_answer_headers(answer.headers.without(("etag", "content-length", "content-type")))
    headers["Content-Type"] = "application/xml"
    version = found.headers.get("x-amz-version-id")
    if version is not None:
        headers["x-amz-copy-source-version-id"] = version
    call.exchange.bytes_out += len(body)
    return web.Response(status=200, body=body, headers=headers)
