"""What is repeated, what is not, and that nothing repeats behind our back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.s3.operation import Operation
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.retry import BASE_PAUSE_SECONDS, MAX_PAUSE_SECONDS, Fault, pause_seconds, repeatable
from lab.ports import free_port
from tests.upstream.conftest import CREDENTIALS, MakeClient, MakeServer, Observed, connections, make_request, settle
from tests.upstream.raw_server import Turn


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def streamed(*pieces: bytes) -> StreamedBody:
    return StreamedBody(sum(map(len, pieces)), pieces_of(*pieces))


GET = Operation.GET_OBJECT
PUT = Operation.PUT_OBJECT
#: Writes that may be done twice. PutObject is none: on a bucket with versioning it makes a version each time.
TAG = Operation.PUT_OBJECT_TAGGING
PART = Operation.UPLOAD_PART
DELETE = Operation.DELETE_OBJECT
COMPLETE = Operation.COMPLETE_MULTIPART_UPLOAD
CREATE = Operation.CREATE_MULTIPART_UPLOAD
ALL, NONE = frozenset(Fault) - {Fault.FINAL}, frozenset[Fault]()
NOT_SENT = frozenset({Fault.NOT_SENT})


@pytest.mark.parametrize(
    ("operation", "body", "headers", "touched", "faults"),
    [
        (GET, EmptyBody(), (), False, ALL),
        (Operation.HEAD_OBJECT, EmptyBody(), (("if-match", '"e"'),), False, ALL),
        (TAG, BufferedBody(b"x"), (), False, ALL),
        (PART, BufferedBody(b"x"), (), False, ALL),
        (PUT, BufferedBody(b"x"), (), False, NOT_SENT),
        (DELETE, EmptyBody(), (), False, NOT_SENT),
        (TAG, BufferedBody(b"x"), (("if-none-match", "*"),), False, NOT_SENT),
        (TAG, BufferedBody(b"x"), (("if-match", '"e"'),), False, NOT_SENT),
        (CREATE, EmptyBody(), (), False, NOT_SENT),
        (PART, streamed(), (), False, ALL),
        (PUT, streamed(), (), False, NOT_SENT),
        (PUT, streamed(), (), True, NONE),
        (PART, streamed(), (), True, NONE),
    ],
)
def test_what_may_be_repeated(
    operation: Operation,
    body: Body,
    headers: tuple[tuple[str, str], ...],
    touched: bool,
    faults: frozenset[Fault],
) -> None:
    request = make_request(operation, body, headers=headers)
    assert {fault for fault in Fault if repeatable(request, fault, body_touched=touched)} == faults


@pytest.mark.parametrize("operation", [op for op in Operation if op.info.write and not op.info.idempotent])
def test_writes_that_are_not_idempotent_are_repeated_only_when_not_sent(operation: Operation) -> None:
    request = make_request(operation, BufferedBody(b"x"))
    assert {fault for fault in Fault if repeatable(request, fault, body_touched=False)} == NOT_SENT


@given(st.integers(0, 20), st.floats(0, 1))
def test_pauses_have_full_jitter_and_a_bound(retry: int, chance: float) -> None:
    pause = pause_seconds(retry, chance)
    assert 0 <= pause <= MAX_PAUSE_SECONDS
    assert pause == chance * pause_seconds(retry, 1)
    assert pause_seconds(0, 1) == BASE_PAUSE_SECONDS
    assert pause_seconds(retry, 1) <= pause_seconds(retry + 1, 1)


async def hang_up_on_second_use(turn: Turn) -> None:
    """Answer the first request; take the second and close without a word."""
    await turn.read_body()
    if turn.number == 1:
        await turn.answer(200, b"ok")
    else:
        turn.close()


CONDITION = (("if-none-match", "*"),)


@pytest.mark.parametrize(
    ("operation", "body", "headers"),
    [
        (PUT, streamed(b"abc"), ()),
        (PART, streamed(b"abc"), ()),
        (PUT, BufferedBody(b"abc"), ()),
        (PUT, EmptyBody(), CONDITION),
        (DELETE, EmptyBody(), ()),
        (CREATE, EmptyBody(), ()),
    ],
)
async def test_nothing_is_sent_twice_on_a_connection_that_breaks(
    make_client: MakeClient,
    make_server: MakeServer,
    operation: Operation,
    body: Body,
    headers: tuple[tuple[str, str], ...],
) -> None:
    server = await make_server(hang_up_on_second_use)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        await response.read(2)
    with pytest.raises(UpstreamUnavailable, match="closed the connection"):
        async with client.send(make_request(operation, body, headers=headers), CREDENTIALS):
            pytest.fail("there is no answer")
    assert [seen.method for seen in server.seen] == ["GET", operation.info.method]
    assert server.connections == 1


async def test_even_a_get_is_repeated_by_us_alone(
    make_client: MakeClient, make_server: MakeServer, observed: Observed
) -> None:
    async def hang_up(turn: Turn) -> None:
        turn.close()

    server = await make_server(hang_up)
    client = await make_client(server.url, retries=2)
    with pytest.raises(UpstreamUnavailable):
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    assert len(server.seen) == 3
    assert observed.retries == [("GetObject", "disconnected")] * 2
    assert observed.requests == [("GetObject", "error")] * 3


async def test_a_reused_connection_that_was_closed_meanwhile_is_not_used(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def once(turn: Turn) -> None:
        await turn.read_body()
        await turn.answer(200, b"ok")
        turn.close()

    server = await make_server(once)
    client = await make_client(server.url)
    for _ in range(3):
        async with client.send(make_request(PUT, streamed(b"abc")), CREDENTIALS) as response:
            assert await response.read(2) == b"ok"
        await asyncio.sleep(0.2)
    assert server.connections == 3


async def test_unused_connections_are_closed_by_us_first(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        await turn.answer(200, b"ok")

    server = await make_server(behave)
    client = await make_client(server.url, keepalive_seconds=0.1)
    for _ in range(2):
        async with client.send(make_request(), CREDENTIALS) as response:
            await response.read(2)
        await asyncio.sleep(0.2)
    assert server.connections == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_passing_faults_are_repeated(
    make_client: MakeClient, make_server: MakeServer, observed: Observed, status: int
) -> None:
    async def twice_busy(turn: Turn) -> None:
        await turn.read_body()
        await (turn.answer(status, b"<Error/>") if turn.number <= 2 else turn.answer(200, b"ok"))

    server = await make_server(twice_busy)
    client = await make_client(server.url)
    async with client.send(make_request(PART, BufferedBody(b"abc")), CREDENTIALS) as response:
        assert (response.status, await response.read(2)) == (200, b"ok")
    assert [bytes(seen.body) for seen in server.seen] == [b"abc"] * 3
    assert server.connections == 1, "answers that nobody wants are read, so that the connection can be used again"
    assert observed.retries == [("UploadPart", str(status))] * 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 501])
async def test_other_answers_are_not_repeated(make_client: MakeClient, make_server: MakeServer, status: int) -> None:
    async def behave(turn: Turn) -> None:
        await turn.answer(status, b"<Error/>")

    server = await make_server(behave)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        assert (response.status, await response.read(100)) == (status, b"<Error/>")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("operation", "body", "headers"),
    [
        (PART, streamed(b"abc"), ()),
        (PUT, BufferedBody(b"abc"), ()),
        (TAG, BufferedBody(b"abc"), CONDITION),
        (CREATE, EmptyBody(), ()),
    ],
)
async def test_a_busy_server_s_answer_is_delivered_where_repeating_could_harm(
    make_client: MakeClient,
    make_server: MakeServer,
    operation: Operation,
    body: Body,
    headers: tuple[tuple[str, str], ...],
) -> None:
    async def busy(turn: Turn) -> None:
        await turn.read_body()
        await turn.answer(503, b"<Error/>")

    server = await make_server(busy)
    client = await make_client(server.url)
    async with client.send(make_request(operation, body, headers=headers), CREDENTIALS) as response:
        assert (response.status, await response.read(100)) == (503, b"<Error/>")
    assert len(server.seen) == 1


async def test_the_last_answer_of_a_busy_server_is_delivered(make_client: MakeClient, make_server: MakeServer) -> None:
    async def busy(turn: Turn) -> None:
        await turn.answer(503, b"<Error/>")

    server = await make_server(busy)
    client = await make_client(server.url, retries=1)
    async with client.send(make_request(), CREDENTIALS) as response:
        assert (response.status, await response.read(100)) == (503, b"<Error/>")
    assert len(server.seen) == 2


@pytest.mark.parametrize("operation", [GET, PUT, CREATE, COMPLETE])
async def test_a_refused_connection_is_tried_again_for_everything(
    make_client: MakeClient, observed: Observed, operation: Operation
) -> None:
    client = await make_client(f"http://127.0.0.1:{free_port()}", retries=2)
    asked = False

    async def source() -> AsyncIterator[bytes]:
        nonlocal asked
        asked = True
        yield b"abc"

    body: Body = StreamedBody(3, source()) if operation is PUT else EmptyBody()
    with pytest.raises(UpstreamUnavailable, match="can not be reached"):
        async with client.send(make_request(operation, body), CREDENTIALS):
            pytest.fail("there is no answer")
    assert observed.retries == [(operation.value, "not-sent")] * 2
    assert not asked


async def test_a_streamed_body_survives_a_refused_connection(
    make_client: MakeClient, make_server: MakeServer, observed: Observed
) -> None:
    async def behave(turn: Turn) -> None:
        await turn.read_body()
        await turn.answer(200)

    server = await make_server(behave)
    port = server.port
    await server.stop()
    client = await make_client(server.url, retries=10)
    client._chance = lambda: 0.5

    async def come_back() -> None:
        await observed.retried.wait()
        server._server = await asyncio.start_server(server._serve, "127.0.0.1", port)

    back = asyncio.create_task(come_back())
    async with client.send(make_request(PUT, streamed(b"abc", b"def")), CREDENTIALS) as response:
        assert response.status == 200
    await back
    assert server.seen[0].body == b"abcdef"
    assert observed.retries[0] == ("PutObject", "not-sent")


async def test_an_error_of_ours_is_not_repeated(
    make_client: MakeClient, make_server: MakeServer, observed: Observed
) -> None:
    async def read(turn: Turn) -> None:
        await turn.read_until_end()

    async def source() -> AsyncIterator[bytes]:
        yield b"abc"
        raise S3Error("BadDigest", "no")

    server = await make_server(read)
    client = await make_client(server.url)
    with pytest.raises(S3Error, match="BadDigest"):
        async with client.send(make_request(PUT, StreamedBody(6, source())), CREDENTIALS):
            pytest.fail("there is no answer")
    assert observed.retries == []
    await settle(client)
    assert connections(client) == (0, 0)
