"""Bodies in and out, with a real HTTP server and client: nothing ends as if it were whole when it is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.s3.form import MultipartFormParser
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.server.client_body import ReceivedBody, piece_bytes
from gateway.server.exchange import Exchange
from gateway.server.form_body import FormBody
from gateway.server.keep_alive import answer_in_time
from gateway.server.respond import buffered, error_response, forwarded_answer_headers, stream
from gateway.server.xml_answer import checked_xml
from gateway.upstream.body import EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.settings import UpstreamSettings

Work = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_ERROR = b"<Error><Code>InternalError</Code><Message>late</Message></Error>"
_RESULT = b"<CompleteMultipartUploadResult><Location>https://store/b/k</Location></CompleteMultipartUploadResult>"


class Front:
    """Serves one handler and asks it."""

    def __init__(self, raw_server: Any, raw_client: Any, opened: AsyncExitStack) -> None:
        self._server = raw_server
        self._client = raw_client
        self._opened = opened
        self.exchange = Exchange("0123456789ABCDEF", "127.0.0.1", "GET")

    async def ask(self, work: Work, method: str = "GET", **options: Any) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and header fields."""
        client = await self._client(await self._server(work))
        async with client.request(method, "/b/k", **options) as answer:
            return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}

    async def upstream(self, work: Work) -> UpstreamResponse:
        """An answer of a real server, as the upstream client hands it over."""
        endpoint = str((await self._server(work)).make_url("/"))
        client = UpstreamClient(UpstreamSettings(endpoint, allow_insecure_plain_http_upstream=True))
        await client.start()
        self._opened.push_async_callback(client.close)
        request = UpstreamRequest(Operation.GET_OBJECT, "GET", "b", "k", EMPTY_QUERY, Headers(), EmptyBody())
        return await self._opened.enter_async_context(client.send(request, None))


@pytest.fixture
async def front(aiohttp_raw_server: Any, aiohttp_client: Any) -> AsyncIterator[Front]:
    async with AsyncExitStack() as opened:
        yield Front(aiohttp_raw_server, aiohttp_client, opened)


def _says(body: bytes, *, announced: bool) -> Work:
    async def work(request: web.BaseRequest) -> web.StreamResponse:
        if announced:
            return web.Response(body=body)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'<?xml version="1.0"?>')
        await response.write(b"   ")
        await response.write(body)
        await response.write_eof()
        return response

    return work


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("body", [_RESULT, _ERROR])
async def test_the_outcome_inside_a_success_is_judged(front: Front, announced: bool, body: bytes) -> None:
    answer = await front.upstream(_says(body, announced=announced))
    successes: list[bool] = []

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return await checked_xml(request, front.exchange, answer, lambda: successes.append(True), "https")

    status, text, _ = await front.ask(work, headers={"Host": "gateway.example"})
    assert status == 200
    assert len(successes) == (body is _RESULT)
    assert front.exchange.failed_after_headers == (body is _ERROR)
    if body is _RESULT:
        assert b"https://gateway.example/b/k" in text
        assert b"https://store/" not in text
    else:
        assert text.endswith(_ERROR)


async def test_an_answer_in_time_is_given_as_it_is(front: Front) -> None:
    async def quick() -> web.Response:
        return web.Response(status=418, body=b"quick")

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return await answer_in_time(request, front.exchange, quick())

    assert (await front.ask(work))[:2] == (418, b"quick")


@pytest.mark.parametrize("fails", [True, False])
async def test_a_late_answer_begins_with_white_space(front: Front, fails: bool) -> None:
    async def slow() -> web.Response:
        await asyncio.sleep(0.05)
        if fails:
            raise S3Error("InternalError", "late")
        return web.Response(body=b'<?xml version="1.0" encoding="UTF-8"?><Result/>')

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return await answer_in_time(request, front.exchange, slow(), quiet_seconds=0.005)

    status, body, _ = await front.ask(work)
    assert status == 200
    assert body.count(b"<?xml") == 1
    assert b"?>\n\n" in body
    assert body.endswith(b"</Error>" if fails else b"<Result/>")
    assert front.exchange.failed_after_headers == fails
    assert front.exchange.error_code == ("InternalError" if fails else None)


async def test_an_error_in_time_is_raised(front: Front) -> None:
    caught: list[S3Error] = []

    async def failing() -> web.Response:
        raise S3Error("AccessDenied", "at once")

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answer_in_time(request, front.exchange, failing())
        except S3Error as error:
            caught.append(error)
            return web.Response(status=403)

    assert (await front.ask(work))[0] == 403
    assert [error.code for error in caught] == ["AccessDenied"]


async def test_a_body_that_fails_before_its_first_byte_is_an_error_and_not_half_an_answer(front: Front) -> None:
    answer = await front.upstream(_says(b"x" * 10, announced=True))

    async def chunks() -> AsyncIterator[bytes]:
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece
        raise UpstreamUnavailable("gone")

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await stream(request, front.exchange, answer, chunks())
        except UpstreamUnavailable as error:
            return error_response(error, front.exchange, "GET", "/b/k", close=False)

    status, body, _ = await front.ask(work)
    assert status == 503
    assert b"<Code>ServiceUnavailable</Code>" in body
    assert not front.exchange.failed_after_headers


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_the_head_of_an_answer_leaves_with_the_beginning_of_its_body(front: Front, chunks: int) -> None:
    answer = await front.upstream(_says(b"x" * 10 * chunks, announced=True))
    writes: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield b"x" * 10

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        write = request.transport.write

        def counted(data: bytes) -> None:
            writes.append(len(data))
            write(data)

        request.transport.write = counted  # type: ignore[method-assign, assignment]
        return await stream(request, front.exchange, answer, pieces())

    status, body, _ = await front.ask(work)
    assert (status, body) == (200, b"x" * 10 * chunks)
    assert len(writes) == max(1, chunks)


@pytest.mark.parametrize(("requests", "size"), [(1, 262_144), (32, 262_144), (33, 65_536), (1_000, 65_536)])
def test_pieces_of_bodies_are_small_when_there_are_many(requests: int, size: int) -> None:
    assert piece_bytes(requests) == size


async def test_a_body_that_breaks_off_upstream_breaks_off_downstream(front: Front) -> None:
    answer = await front.upstream(_says(b"x" * 10, announced=True))

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 5
        raise UpstreamUnavailable("gone")

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return await stream(request, front.exchange, answer, chunks())

    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await front.ask(work)
    assert front.exchange.error_code == "UpstreamBrokeOff"


async def test_the_answer_to_head_keeps_the_length_and_has_no_body(front: Front) -> None:
    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return buffered(request, front.exchange, 404, Headers((("content-length", "300"),)), b"ignored")

    status, body, headers = await front.ask(work, "HEAD")
    assert (status, body, headers["content-length"]) == (404, b"", "300")
    assert front.exchange.bytes_out == 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_errors_become_xml_and_leave_the_record_their_code(front: Front, method: str) -> None:
    async def work(request: web.BaseRequest) -> web.StreamResponse:
        error = S3Error("AccessDenied", "The <key> is not yours.")
        return error_response(error, front.exchange, request.method, "/b/k", close=True)

    status, body, headers = await front.ask(work, method)
    assert (status, front.exchange.error_code) == (403, "AccessDenied")
    assert headers["connection"] == "close"
    assert (b"&lt;key&gt;" in body) == (method == "GET")


def test_fields_of_the_upstream_connection_are_not_passed_on() -> None:
    answered = Headers((("Connection", "close"), ("Transfer-Encoding", "chunked"), ("ETag", '"1"'), ("x", "1")))
    assert dict(forwarded_answer_headers(answered, (("x", "2"),))) == {"etag": '"1"', "x": "2"}


async def test_bytes_received_are_counted(front: Front) -> None:
    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"".join([piece async for piece in ReceivedBody(request, front.exchange)]))

    data = b"d" * 200_000
    assert (await front.ask(work, "PUT", data=data))[1] == data
    assert front.exchange.bytes_in == len(data)


async def test_a_body_that_waits_for_permission_is_let_in(front: Front) -> None:
    async def work(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"".join([piece async for piece in ReceivedBody(request, front.exchange)]))

    assert (await front.ask(work, "PUT", data=b"waited", expect100=True))[1] == b"waited"


def _form(file: bytes, after: bytes = b"") -> bytes:
    head = b'--limit\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n'
    start = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return head + start + file + b"\r\n--limit" + after + b"--\r\n"


@pytest.mark.parametrize("size", [0, 1, 60_000, 70_000, 1_000_000])
async def test_a_forms_file_is_its_size_and_bytes(front: Front, size: int) -> None:
    file = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    sizes: list[int] = []

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        parser = MultipartFormParser(request.headers["Content-Type"])
        form = FormBody(request, parser, int(request.headers["Content-Length"]), front.exchange)
        await form.read_fields()
        assert (form.fields["key"], form.filename) == ("k", "f")
        sizes.append(await form.file_size())
        return web.Response(body=b"".join([piece async for piece in form.pieces()]))

    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    assert (await front.ask(work, "POST", data=_form(file), headers=headers))[1] == file
    assert sizes == [size]


@pytest.mark.parametrize("size", [10, 70_000])
async def test_a_form_with_a_field_after_its_file_gives_no_whole_file(front: Front, size: int) -> None:
    given: list[bytes] = []
    after = b'\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--limit'

    async def work(request: web.BaseRequest) -> web.StreamResponse:
        parser = MultipartFormParser(request.headers["Content-Type"])
        form = FormBody(request, parser, int(request.headers["Content-Length"]), front.exchange)
        await form.read_fields()
        announced = 0
        try:
            announced = await form.file_size()
            async for piece in form.pieces():
                given.append(piece)  # noqa: PERF401 - what came before the error counts
        except S3Error as error:
            return web.Response(status=error.status, text=f"{sum(map(len, given)) < announced}")
        return web.Response(text="whole")

    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    status, body, _ = await front.ask(work, "POST", data=_form(b"f" * size, after), headers=headers)
    if size > 64 * 1024:
        assert (status, body) == (400, b"True")
    else:
        assert body in {b"whole", b"False", b"True"}
        assert b"".join(given) in {b"", b"f" * size}
