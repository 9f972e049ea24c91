"""Data keys from AWS KMS, as moto has it; and from services that answer what KMS would not."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys import aws_access
from gateway.keys.aws_access import AwsAccess, AwsCaller
from gateway.keys.aws_kms import AwsKmsProvider
from gateway.keys.metering import KeyCall, Metered, NotAsked
from gateway.keys.provider import MAX_WRAPPING_BYTES
from gateway.redact import SecretStr
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer

REGION = "eu-central-1"
ARN = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
REPLICA = ARN.replace("eu-central-1", "eu-west-1")


def access(endpoint: str, region: str = REGION, timeout_seconds: float = 5.0) -> AwsAccess:
    return AwsAccess(
        region=region,
        endpoint_url=endpoint,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SecretStr(SECRET_ACCESS_KEY),
        timeout_seconds=timeout_seconds,
        allow_plain_http=True,
    )


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def caller(moto: MotoServer) -> AsyncIterator[AwsCaller]:
    made = AwsCaller(access(moto.endpoint), "kms")
    yield made
    await made.aclose()


async def test_round_trip_and_rewrap(moto: MotoServer, caller: AwsCaller) -> None:
    arn = moto.create_key(REGION)
    provider = AwsKmsProvider(caller, arn, encryption_context={"team": "storage"})
    assert (provider.kind, provider.scope, provider.current) == ("aws-kms", REGION, f"aws-kms:{arn}")
    data_key = await provider.generate()
    assert data_key.wrapping_key == provider.current
    assert len(data_key.wrapping_key) + len(data_key.wrapped) <= MAX_WRAPPING_BYTES
    assert (await provider.unwrap(provider.current, data_key.wrapped)).reveal() == data_key.key.reveal()
    rewrapped = await provider.rewrap(provider.current, data_key.wrapped)
    assert rewrapped.wrapped != data_key.wrapped
    assert (await provider.unwrap(rewrapped.wrapping_key, rewrapped.wrapped)).reveal() == data_key.key.reveal()
    assert (await provider.generate()).key.reveal() != data_key.key.reveal()
    assert provider.version_of(provider.current, data_key.wrapped) == ""


async def test_the_context_and_the_key_must_be_the_same(moto: MotoServer, caller: AwsCaller) -> None:
    arn, other_arn = moto.create_key(REGION), moto.create_key(REGION)
    provider = AwsKmsProvider(caller, arn, encryption_context={"team": "storage"})
    wrapped = (await provider.generate()).wrapped
    for stranger in (
        AwsKmsProvider(caller, arn),
        AwsKmsProvider(caller, arn, encryption_context={"team": "Storage"}),
        AwsKmsProvider(caller, other_arn, encryption_context={"team": "storage"}),
    ):
        with pytest.raises(KeyUnavailable) as caught:
            await stranger.unwrap(stranger.current, wrapped)
        assert caught.value.code == "AccessDenied"
    for garbage in (b"\x00", wrapped[:-1], wrapped + b"x", b""):
        with pytest.raises(KeyUnavailable) as caught:
            await provider.unwrap(provider.current, garbage)
        assert caught.value.permanent


async def test_a_key_that_is_not_there(moto: MotoServer, caller: AwsCaller) -> None:
    missing = moto.create_key(REGION)[:-12] + "000000000000"
    with pytest.raises(KeyUnavailable) as caught:
        await AwsKmsProvider(caller, missing).generate()
    assert caught.value.code == "KMS.NotFoundException"


async def test_two_hundred_at_once(moto: MotoServer, caller: AwsCaller) -> None:
    provider = AwsKmsProvider(caller, moto.create_key(REGION))
    data_keys = await asyncio.gather(*(provider.generate() for _ in range(200)))
    assert len({bytes(data_key.key.reveal()) for data_key in data_keys}) == 200


async def test_another_uri_is_not_asked_about(caller: AwsCaller) -> None:
    provider = AwsKmsProvider(caller, ARN, related=frozenset({ARN, REPLICA}))
    assert provider.handles(f"aws-kms:{ARN}")
    assert provider.handles(f"aws-kms:{REPLICA}")
    assert not provider.handles(f"local:{ARN}")
    with pytest.raises(KeyUnavailable) as caught:
        await provider.unwrap("aws-kms:" + ARN.replace("1111", "9999"), b"x")
    assert caught.value.code == "KMS.NotFoundException"


@pytest.mark.parametrize(
    "text", ["", "alias/key", "arn:aws:kms:eu-central-1:111122223333:alias/key", ARN + "/x", ARN[:-50]]
)
async def test_only_full_key_arns(caller: AwsCaller, text: str) -> None:
    with pytest.raises(ConfigError, match="is not the full ARN"):
        AwsKmsProvider(caller, text)


# ------------------------------------------------------------------------------------------ services that are not well

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture
async def asked() -> AsyncIterator[Callable[..., Awaitable[AwsKmsProvider]]]:
    """Makes a provider whose service is one function, and remembers the requests."""
    opened: list[tuple[TestServer, AwsCaller]] = []

    async def make(handler: Handler, timeout_seconds: float = 5.0) -> AwsKmsProvider:
        application = web.Application()
        application.router.add_post("/", handler)
        server = TestServer(application)
        await server.start_server()
        caller = AwsCaller(access(str(server.make_url("")), timeout_seconds=timeout_seconds), "kms")
        # Making the client may take longer than a short time-out.
        await asyncio.to_thread(caller._ready_client)
        opened.append((server, caller))
        return AwsKmsProvider(caller, ARN, grant_tokens=(SecretStr("grant-token-value"),), related=frozenset({REPLICA}))

    yield make
    for server, caller in opened:
        await caller.aclose()
        await server.close()


def answer(status: int, body: object) -> Handler:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())

    return handler


def given(key: bytes = bytes(32), key_id: str = ARN, blob: bytes = b"wrapped") -> dict[str, str]:
    return {
        "KeyId": key_id,
        "Plaintext": base64.b64encode(key).decode(),
        "CiphertextBlob": base64.b64encode(blob).decode(),
    }


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (answer(400, {"__type": "ThrottlingException", "message": "secret-text"}), "SlowDown"),
        (answer(400, {"__type": "com.amazonaws.kms#ThrottlingException"}), "SlowDown"),
        (answer(429, b""), "SlowDown"),
        (answer(500, {"__type": "KMSInternalException"}), "ServiceUnavailable"),
        (answer(500, {"__type": "KeyUnavailableException"}), "ServiceUnavailable"),
        (answer(503, b"<html>secret-text</html>"), "ServiceUnavailable"),
        (answer(400, {"__type": "AccessDeniedException", "message": "secret-text"}), "AccessDenied"),
        (answer(400, {"__type": "InvalidCiphertextException"}), "AccessDenied"),
        (answer(400, {"__type": "IncorrectKeyException"}), "AccessDenied"),
        (answer(400, {"__type": "InvalidGrantTokenException"}), "AccessDenied"),
        (answer(400, {"__type": "NotFoundException"}), "KMS.NotFoundException"),
        (answer(400, {"__type": "DisabledException"}), "KMS.DisabledException"),
        (answer(400, {"__type": "KMSInvalidStateException"}), "KMS.KMSInvalidStateException"),
        (answer(400, {"__type": "InvalidKeyUsageException"}), "InvalidArgument"),
        (answer(400, b"garbage"), "ServiceUnavailable"),
        (answer(200, b"garbage"), "ServiceUnavailable"),
        (answer(200, b'{"KeyId"'), "ServiceUnavailable"),
        (answer(200, [1]), "ServiceUnavailable"),
        (answer(200, {}), "ServiceUnavailable"),
        (answer(200, {"KeyId": 5}), "ServiceUnavailable"),
        (answer(200, given(key=bytes(31))), "ServiceUnavailable"),
        (answer(200, given(key_id=ARN.replace("mrk-1", "mrk-2"))), "ServiceUnavailable"),
        (answer(200, given(blob=b"")), "ServiceUnavailable"),
    ],
)
async def test_faults_of_the_service(
    asked: Callable[..., Awaitable[AwsKmsProvider]], handler: Handler, code: str
) -> None:
    requests: list[str] = []

    async def counted(request: web.BaseRequest) -> web.StreamResponse:
        requests.append(request.headers["X-Amz-Target"])
        return await handler(request)

    provider = await asked(counted)
    with pytest.raises(KeyUnavailable) as caught:
        await provider.generate()
    assert caught.value.code == code
    for secret in ("secret-text", "grant-token-value", SECRET_ACCESS_KEY):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__dict__) + repr(caught.value.__context__)
    assert requests == ["TrentService.GenerateDataKey"]


async def test_a_replica_may_answer_for_a_multi_region_key(
    asked: Callable[..., Awaitable[AwsKmsProvider]],
) -> None:
    provider = await asked(answer(200, given(key_id=REPLICA)))
    assert (await provider.unwrap(f"aws-kms:{REPLICA}", b"wrapped")).reveal() == bytes(32)


async def test_what_is_sent(asked: Callable[..., Awaitable[AwsKmsProvider]]) -> None:
    sent: list[dict[str, object]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        sent.append(json.loads(await request.read()))
        return web.json_response(given())

    provider = await asked(handler)
    await provider.generate()
    await provider.unwrap(f"aws-kms:{REPLICA}", b"wrapped")
    assert sent[0] == {"KeyId": ARN, "KeySpec": "AES_256", "GrantTokens": ["grant-token-value"]}
    assert sent[1]["KeyId"] == ARN


async def test_a_slow_service_and_one_that_is_gone(asked: Callable[..., Awaitable[AwsKmsProvider]]) -> None:
    async def slow(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(2)
        return web.json_response(given())

    provider = await asked(slow, timeout_seconds=0.5)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(KeyUnavailable) as caught:
        await provider.generate()
    assert asyncio.get_running_loop().time() - begun < 1.5
    assert caught.value.code == "ServiceUnavailable"
    gone = AwsCaller(access("http://127.0.0.1:9", timeout_seconds=0.5), "kms")
    with pytest.raises(KeyUnavailable, match="AWS KMS in eu-central-1"):
        await AwsKmsProvider(gone, ARN).generate()
    await gone.aclose()
    with pytest.raises(KeyUnavailable, match="shutting down"):
        await AwsKmsProvider(gone, ARN).generate()


# -------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint_url": "http://kms.example.com"}, "must be https"),
        ({"endpoint_url": "kms.example.com"}, "must look like"),
        ({"endpoint_url": "https://user@kms.example.com"}, "must look like"),
        ({"endpoint_url": "https://kms.example.com", "fips": True}, "fips is for"),
        ({"access_key_id": "a"}, "belong together"),
        ({"timeout_seconds": 0}, "greater than 0"),
        ({"ca_bundle": Path("/nowhere/ca.pem")}, "no such file"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AwsAccess(region=REGION, **options)  # type: ignore[arg-type]  # a table of options


def test_the_fips_endpoint_is_used() -> None:
    caller = AwsCaller(
        AwsAccess(region="us-east-1", fips=True, access_key_id="a", secret_access_key=SecretStr("b")), "kms"
    )
    assert caller._ready_client().meta.endpoint_url == "https://kms-fips.us-east-1.amazonaws.com"


# ------------------------------------------------------------------------------------- calls that nobody waits for


class Counted:
    """Metrics of a provider."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def key_call(self, call: KeyCall) -> None:
        self.results.append(call.result)


async def test_a_call_that_finds_no_thread_is_not_counted_and_not_sent_later(
    asked: Callable[..., Awaitable[AwsKmsProvider]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight calls keep all threads busy; the ninth is given up while it waits for one."""
    monkeypatch.setattr(aws_access, "_PATIENCE", 0.5)
    seen: list[str] = []

    async def slow(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["X-Amz-Target"])
        await asyncio.sleep(0.4)
        return web.json_response(given())

    observer = Counted()
    provider = Metered(await asked(slow, timeout_seconds=0.5), "orders", observer)
    calls = [asyncio.create_task(provider.generate()) for _ in range(aws_access.THREADS)]
    while len(seen) < aws_access.THREADS:  # noqa: ASYNC110 - the requests come in other threads
        await asyncio.sleep(0.01)
    with pytest.raises(NotAsked, match="could not be asked"):
        await provider.generate()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, KeyUnavailable) for outcome in outcomes)
    await asyncio.sleep(0.5)
    assert len(seen) == aws_access.THREADS
    assert observer.results == ["unavailable"] * aws_access.THREADS


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_call_that_waits_for_credentials_is_not_sent_after_it_was_given_up(
    asked: Callable[..., Awaitable[AwsKmsProvider]], monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """It has a thread already, but the signature takes too long."""
    monkeypatch.setattr(aws_access, "_PATIENCE", 0.5)
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["X-Amz-Target"])
        return web.json_response(given())

    provider = await asked(handler, timeout_seconds=0.5)
    observer = Counted()
    metered = Metered(provider, "orders", observer)
    signing, done = threading.Event(), threading.Event()

    def sign(**_: object) -> None:
        signing.wait(5)
        done.set()

    provider._caller._ready_client().meta.events.register_first("before-sign", sign)
    call = asyncio.create_task(metered.generate())
    if cancelled:
        await asyncio.sleep(0.1)
        call.cancel()
    with pytest.raises(asyncio.CancelledError if cancelled else NotAsked):
        await call
    signing.set()
    assert await asyncio.to_thread(done.wait, 5)
    assert (await provider.generate()).wrapped == b"wrapped"
    await asyncio.sleep(0.1)
    assert seen == ["TrentService.GenerateDataKey"]
    assert observer.results == (["cancelled"] if cancelled else [])


async def test_without_credentials_nothing_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    caller = AwsCaller(AwsAccess(region=REGION, endpoint_url="https://127.0.0.1:9"), "kms")
    observer = Counted()
    with pytest.raises(NotAsked, match="NoCredentials"):
        await Metered(AwsKmsProvider(caller, ARN), "orders", observer).generate()
    assert observer.results == []
    await caller.aclose()
