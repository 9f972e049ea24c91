"""Buckets in other regions: found out from the upstream's answers, never by following them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.upstream.body import BufferedBody, StreamedBody
from gateway.upstream.region import RegionCache, is_redirect, is_wrong_region, region_wanted
from tests.upstream.conftest import CREDENTIALS, MakeClient, MakeServer, Observed, make_request
from tests.upstream.raw_server import Behave, Turn

ENDPOINT = b"<Endpoint>bucket.s3-eu-west-1.amazonaws.com</Endpoint>"
REDIRECT = b"<?xml version='1.0'?><Error><Code>PermanentRedirect</Code>" + ENDPOINT + b"</Error>"
MALFORMED = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "region"),
    [
        (301, (), REDIRECT, "eu-west-1"),
        (301, (), REDIRECT.replace(b"s3-eu", b"s3.eu"), "eu-west-1"),
        (301, (("x-amz-bucket-region", "us-west-2"),), REDIRECT, "us-west-2"),
        (307, (), REDIRECT, "eu-west-1"),
        (301, (("x-amz-bucket-region", "us-west-2"),), b"", "us-west-2"),
        (400, (("x-amz-bucket-region", "us-west-2"),), b"", "us-west-2"),
        (400, (), MALFORMED, "eu-west-1"),
        (301, (), REDIRECT.replace(b"amazonaws.com", b"evil.example"), None),
        (301, (), REDIRECT.replace(b"bucket.s3-eu-west-1.amazonaws.com", b"evil.example/.s3.x.amazonaws.com"), "x"),
        (400, (), MALFORMED.replace(b"eu-west-1", b"evil.example/"), None),
        (400, (("x-amz-bucket-region", "a.b"),), b"", None),
        (400, (("x-amz-bucket-region", "us-west-2"),), b"<Error><Code>InvalidRequest</Code></Error>", None),
        (403, (("x-amz-bucket-region", "us-west-2"),), b"", None),
        (304, (("x-amz-bucket-region", "us-west-2"),), b"", None),
        (200, (("x-amz-bucket-region", "us-west-2"),), b"", None),
        (301, (), b"not XML", None),
    ],
)
def test_the_region_that_a_refusal_asks_for(
    status: int, headers: tuple[tuple[str, str], ...], body: bytes, region: str | None
) -> None:
    assert region_wanted(status, Headers(headers), body) == region


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 400, 200])
def test_what_clients_must_not_see(status: int) -> None:
    redirect = status in {300, 301, 302, 303, 307, 308}
    assert is_redirect(status) is redirect
    assert is_wrong_region(status, b"") is redirect
    assert is_wrong_region(status, MALFORMED) is (redirect or status == 400)


def test_the_cache_forgets_the_bucket_asked_for_longest_ago() -> None:
    cache = RegionCache(limit=2)
    cache.learn("a", "eu-west-1")
    cache.learn("b", "eu-west-2")
    assert cache.region_of("a") == "eu-west-1"
    cache.learn("c", "eu-west-3")
    assert [cache.region_of(bucket) for bucket in "abc"] == ["eu-west-1", None, "eu-west-3"]
    cache.forget("a")
    assert cache.region_of("a") is None
    assert len(cache) == 1


class Loopback(AbstractResolver):
    """Every name is this machine; remembers which names were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked.append(host)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def region_of(turn: Turn) -> str:
    return (turn.seen.headers.get("authorization") or "").split("/")[2]


def serving(home: str, *, redirects: bool) -> Behave:
    """A behaviour: the bucket lives in ``home``; other regions refuse as S3 does."""

    async def behave(turn: Turn) -> None:
        await turn.read_body()
        signed, host = region_of(turn), turn.seen.headers.get("host") or ""
        fields = {"x_amz_bucket_region": home}
        if redirects and f".{home}." not in host:
            await turn.answer(301, REDIRECT.replace(b"eu-west-1", home.encode()), **fields)
        elif signed != home:
            await turn.answer(400, MALFORMED.replace(b"eu-west-1", home.encode()))
        else:
            await turn.answer(200, b"ok", **fields)

    return behave


@pytest.mark.parametrize("operation", [Operation.GET_OBJECT, Operation.PUT_OBJECT, Operation.HEAD_OBJECT])
async def test_a_buffered_request_is_signed_anew_for_the_right_region(
    make_client: MakeClient, make_server: MakeServer, observed: Observed, operation: Operation
) -> None:
    server = await make_server(serving("eu-west-1", redirects=True))
    resolver = Loopback()
    client = await make_client(f"http://s3.{{region}}.test:{server.port}", resolver=resolver)
    body = BufferedBody(b"abc") if operation is Operation.PUT_OBJECT else None
    for _ in range(2):
        async with client.send(make_request(operation, body), CREDENTIALS) as response:
            assert response.status == 200
            await response.read(2)
    assert [seen.headers.get("host") for seen in server.seen] == [
        f"s3.{region}.test:{server.port}" for region in ("us-east-1", "eu-west-1", "eu-west-1")
    ]
    assert set(resolver.asked) == {"s3.us-east-1.test", "s3.eu-west-1.test"}
    assert observed.retries == []


async def test_a_large_buffered_body_is_sent_again(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(serving("garage", redirects=False))
    client = await make_client(server.url)
    data = b"x" * 1_000_000
    async with client.send(make_request(Operation.PUT_OBJECT, BufferedBody(data)), CREDENTIALS) as response:
        assert response.status == 200
    assert [seen.body == data for seen in server.seen] == [True, True]


async def test_a_server_behind_one_address_is_signed_for_anew(make_client: MakeClient, make_server: MakeServer) -> None:
    """A server of another maker that insists on its own region's name."""
    server = await make_server(serving("garage", redirects=False))
    client = await make_client(server.url)
    for _ in range(2):
        async with client.send(make_request(), CREDENTIALS) as response:
            assert await response.read(2) == b"ok"
    assert len(server.seen) == 3


async def pieces() -> AsyncIterator[bytes]:
    yield b"abc"


async def test_a_streamed_body_waits_for_its_bucket_s_region(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(serving("eu-west-1", redirects=True))
    client = await make_client(f"http://s3.{{region}}.test:{server.port}", resolver=Loopback())

    async def put() -> int:
        async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(3, pieces())), CREDENTIALS) as response:
            return response.status

    assert await asyncio.gather(*(put() for _ in range(5))) == [200] * 5
    assert [seen.method for seen in server.seen] == ["HEAD", "PUT", "PUT", "PUT", "PUT", "PUT"]
    assert all(bytes(seen.body) == b"abc" for seen in server.seen[1:])


async def test_a_success_tells_the_region_too(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(serving("us-east-1", redirects=True))
    client = await make_client(f"http://s3.{{region}}.test:{server.port}", resolver=Loopback())
    async with client.send(make_request(), CREDENTIALS) as response:
        await response.read(2)
    async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(3, pieces())), CREDENTIALS):
        pass
    assert [seen.method for seen in server.seen] == ["GET", "PUT"]


async def test_a_streamed_body_that_met_the_wrong_region_is_asked_for_again(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    server = await make_server(serving("garage", redirects=False))
    client = await make_client(server.url)
    with pytest.raises(S3Error, match="try again") as caught:
        async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(3, pieces())), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.status == 503
    async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(3, pieces())), CREDENTIALS) as response:
        assert response.status == 200


@pytest.mark.parametrize(("status", "body"), [(301, REDIRECT), (307, REDIRECT), (302, b""), (308, REDIRECT)])
async def test_redirects_are_not_followed_and_not_shown(
    make_client: MakeClient, make_server: MakeServer, status: int, body: bytes
) -> None:
    """An endpoint without {region} can not reach another region."""

    async def redirect(turn: Turn) -> None:
        await turn.answer(status, body, location=f"{turn.server.url}/elsewhere")

    server = await make_server(redirect)
    client = await make_client(server.url)
    with pytest.raises(S3Error) as caught:
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.code == "InvalidRequest"
    assert "amazonaws" not in str(caught.value)
    assert len(server.seen) == 1


async def test_regions_that_contradict_each_other_end(make_client: MakeClient, make_server: MakeServer) -> None:
    async def contrary(turn: Turn) -> None:
        other = {"us-east-1": "eu-west-1", "eu-west-1": "us-east-1"}[region_of(turn)]
        await turn.answer(400, MALFORMED.replace(b"eu-west-1", other.encode()))

    server = await make_server(contrary)
    client = await make_client(server.url)
    with pytest.raises(S3Error, match="try again"):
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    assert len(server.seen) == 2


async def test_an_ordinary_400_is_delivered_whole(make_client: MakeClient, make_server: MakeServer) -> None:
    body = b"<Error><Code>InvalidArgument</Code>" + b"<x/>" * 50_000 + b"</Error>"

    async def behave(turn: Turn) -> None:
        await turn.answer(400, body if turn.number == 1 else b"")

    server = await make_server(behave)
    client = await make_client(server.url)
    for expected in (body, b""):
        async with client.send(make_request(), CREDENTIALS) as response:
            assert (response.status, await response.read(1_000_000)) == (400, expected)


async def test_creating_and_deleting_a_bucket_uses_no_memory_of_it(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    server = await make_server(serving("us-east-1", redirects=True))
    client = await make_client(f"http://s3.{{region}}.test:{server.port}", resolver=Loopback())
    client._regions.learn("bucket", "eu-west-1")
    async with client.send(make_request(Operation.CREATE_BUCKET, key=None), CREDENTIALS) as response:
        assert response.status == 200
    client._regions.learn("bucket", "us-east-1")
    async with client.send(make_request(Operation.DELETE_BUCKET, key=None), CREDENTIALS) as response:
        assert response.status == 200
    assert client._regions.region_of("bucket") is None
