"""The client against real S3 servers over TLS; boto3, straight to the server, says what is really stored."""

import secrets
from collections.abc import AsyncIterator

import pytest
from botocore.exceptions import ClientError

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3.checksums import Algorithm
from gateway.s3.credentials import Credential
from gateway.s3.operation import Operation
from gateway.upstream.body import BufferedBody, StreamedBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import StaticCredentials
from gateway.upstream.settings import PayloadStrategy
from lab.s3_server import S3Client, S3Server
from tests.upstream.conftest import MakeClient, make_request

SIZES = [0, 1, 65_536, 5 * 1024 * 1024 + 3]
KEYS = [
    ("plain", "plain"),
    ("a%20b%2Bc", "a b+c"),
    ("a+b(1)!*'@=$&;,:", "a+b(1)!*'@=$&;,:"),
    ("%c3%bc/%E2%82%AC", "ü/€"),
    ("100%25", "100%"),
    ("deep/er/x%2fy", "deep/er/x/y"),
]


@pytest.fixture(
    params=["seaweed", pytest.param("minio", marks=pytest.mark.slow), pytest.param("rgw", marks=pytest.mark.slow)]
)
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"upstream-{secrets.token_hex(4)}"
    server.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def credentials(server: S3Server) -> StaticCredentials:
    user = server.credentials
    return StaticCredentials(Credential(user.access_key, SecretStr(user.secret_key)))


@pytest.fixture(params=["unsigned", "trailer"])
async def client(request: pytest.FixtureRequest, server: S3Server, make_client: MakeClient) -> UpstreamClient:
    payload: PayloadStrategy = request.param
    if payload == "trailer" and not server.traits.trailing_checksums:
        pytest.skip(f"{server.name} takes no trailing checksums")
    return await make_client(
        server.endpoint, ca_bundle=server.ca_file, payload=payload, allow_insecure_plain_http_upstream=False
    )


async def pieces_of(data: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]
    if error is not None:
        raise error


def stored(direct: S3Client, bucket: str, key: str) -> bytes:
    data: bytes = direct.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


@pytest.mark.parametrize("algorithm", [None, Algorithm.CRC32, Algorithm.SHA256])
async def test_streamed_objects_round_trip(
    client: UpstreamClient, server: S3Server, bucket: str, credentials: StaticCredentials, algorithm: Algorithm | None
) -> None:
    for size in SIZES:
        data = secrets.token_bytes(size)
        put = make_request(
            Operation.PUT_OBJECT,
            StreamedBody(size, pieces_of(data), algorithm),
            bucket=bucket,
            key=f"{size}",
            headers=(("content-type", "text/x-test"), ("content-encoding", "gzip"), ("x-amz-meta-color", "ü")),
        )
        async with client.send(put, credentials) as response:
            assert response.status == 200, await response.read(10_000)
        get = make_request(Operation.GET_OBJECT, bucket=bucket, key=f"{size}")
        async with client.send(get, credentials) as response:
            assert response.status == 200
            assert response.headers.get("content-length") == str(size)
            assert response.headers.get("content-type") == "text/x-test"
            assert b"".join([chunk async for chunk in response.iter_chunks()]) == data
        assert stored(server.client(), bucket, f"{size}") == data


async def test_odd_keys(client: UpstreamClient, server: S3Server, bucket: str, credentials: StaticCredentials) -> None:
    for raw, key in KEYS:
        put = make_request(Operation.PUT_OBJECT, BufferedBody(key.encode()), bucket=bucket, key=raw)
        async with client.send(put, credentials) as response:
            assert response.status == 200, (raw, await response.read(10_000))
        assert stored(server.client(), bucket, key) == key.encode()
        listing = make_request(
            Operation.LIST_OBJECTS_V2,
            bucket=bucket,
            key=None,
            query=f"list-type=2&prefix={raw.replace('+', '%2B').replace('&', '%26')}",
        )
        async with client.send(listing, credentials) as response:
            assert b"<KeyCount>1</KeyCount>" in await response.read(100_000), raw


async def test_a_body_that_fails_verification_leaves_no_object(
    client: UpstreamClient, server: S3Server, bucket: str, credentials: StaticCredentials
) -> None:
    """The source fails after its very last byte."""
    for size in (0, 1, 1_500_000):
        error = S3Error("BadDigest", "no")
        body = StreamedBody(size, pieces_of(b"x" * size, error))
        with pytest.raises(S3Error) as caught:
            async with client.send(
                make_request(Operation.PUT_OBJECT, body, bucket=bucket, key=f"bad{size}"), credentials
            ):
                pytest.fail("there is no answer")
        assert caught.value is error
        with pytest.raises(ClientError, match="404"):
            server.client().head_object(Bucket=bucket, Key=f"bad{size}")


async def test_a_refused_upload_is_answered(client: UpstreamClient, server: S3Server, bucket: str) -> None:
    """Whether the server answers at once and closes, or takes the body first."""
    stranger = StaticCredentials(Credential("nobody0000000000000", SecretStr("wrong")))
    for _ in range(5):
        body = StreamedBody(20_000_000, pieces_of(b"x" * 20_000_000))
        async with client.send(make_request(Operation.PUT_OBJECT, body, bucket=bucket), stranger) as response:
            assert response.status == 403
            assert b"InvalidAccessKeyId" in await response.read(10_000)
