"""Credentials that are fixed, found or assumed; STS is a small server that speaks its XML."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from gateway.errors import ConfigError, UpstreamUnavailable
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.upstream.credentials import (
    REFRESH_MARGIN,
    AssumedRole,
    AssumedRoleCredentials,
    DefaultChainCredentials,
    EnvironmentCredentials,
    StaticCredentials,
)
from gateway.upstream.refreshing import CredentialSource, Lease, RefreshingCredentials
from tests.upstream.conftest import eventually

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
BASE = Credential("AKIDBASE", SecretStr("base-secret"))


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Fetch:
    """Hands out leases of an hour, numbered, and counts how often it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = 0
        self.running = 0
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.base: Credential | None = None

    def __call__(self, base: Credential | None) -> Lease:
        self.calls += 1
        self.running += 1
        assert self.running == 1, "one call at a time"
        self.base = base
        try:
            self.go_on.wait(5)
            if self.fails:
                raise OSError("STS is down")
            now = self.clock.now
            credential = Credential(f"AKID{self.calls}", SecretStr("s"))
            return Lease(credential, now + timedelta(minutes=50), now + timedelta(minutes=60))
        finally:
            self.running -= 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fetch(clock: Clock) -> Fetch:
    return Fetch(clock)


@pytest.fixture
def source(clock: Clock, fetch: Fetch) -> Iterator[RefreshingCredentials]:
    source = RefreshingCredentials(fetch, base=StaticCredentials(BASE), clock=clock, chance=lambda: 0.0)
    yield source
    fetch.go_on.set()
    source.close()


async def name_of(source: CredentialSource) -> str:
    return (await source.current()).access_key_id


async def test_many_requests_share_the_first_call(source: RefreshingCredentials, fetch: Fetch) -> None:
    assert await asyncio.gather(*(name_of(source) for _ in range(20))) == ["AKID1"] * 20
    assert await name_of(source) == "AKID1"
    assert fetch.calls == 1
    assert fetch.base is BASE


async def test_a_refresh_runs_beside_the_requests(source: RefreshingCredentials, fetch: Fetch, clock: Clock) -> None:
    await source.current()
    clock.now += timedelta(minutes=51)
    fetch.go_on.clear()
    for _ in range(20):
        assert await name_of(source) == "AKID1"
    await eventually(lambda: fetch.calls == 2)
    fetch.go_on.set()
    await eventually(lambda: source._pending is None)
    assert await name_of(source) == "AKID2"
    assert fetch.calls == 2


async def test_a_failed_refresh_leaves_the_old_credentials_until_they_end(
    source: RefreshingCredentials, fetch: Fetch, clock: Clock
) -> None:
    await source.current()
    fetch.fails = True
    clock.now += timedelta(minutes=51)
    for _ in range(20):
        assert await name_of(source) == "AKID1"
        await eventually(lambda: source._pending is None)
    assert fetch.calls == 2, "a failure is followed by a pause"
    clock.now += timedelta(seconds=5)
    assert await name_of(source) == "AKID1"
    await eventually(lambda: source._pending is None)
    assert fetch.calls == 3
    clock.now = START + timedelta(minutes=60)
    with pytest.raises(UpstreamUnavailable, match="no valid credentials"):
        await source.current()
    fetch.fails = False
    with pytest.raises(UpstreamUnavailable):
        await source.current()
    clock.now += timedelta(seconds=5)
    assert await name_of(source) == "AKID5"


async def test_a_cancelled_request_takes_nothing_from_the_others(source: RefreshingCredentials, fetch: Fetch) -> None:
    fetch.go_on.clear()
    first, second = asyncio.create_task(source.current()), asyncio.create_task(name_of(source))
    await eventually(lambda: fetch.calls == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    fetch.go_on.set()
    assert await second == "AKID1"
    assert fetch.calls == 1


async def test_the_environment() -> None:
    names = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_SESSION_TOKEN": ""}
    credential = await EnvironmentCredentials(names).current()
    assert (credential.access_key_id, credential.secret_access_key.reveal()) == ("AKID", "hidden")
    assert credential.session_token is None
    credential = await EnvironmentCredentials({**names, "AWS_SESSION_TOKEN": "token"}).current()
    assert credential.session_token is not None
    assert credential.session_token.reveal() == "token"
    assert "hidden" not in repr(credential)


def test_an_incomplete_environment() -> None:
    with pytest.raises(ConfigError) as caught:
        EnvironmentCredentials({"AWS_ACCESS_KEY_ID": ""})
    assert len(caught.value.faults) == 2


@pytest.fixture
def shared_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without credentials, and no instance role to ask."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


async def test_the_chain_reads_shared_files(shared_files: Path) -> None:
    (shared_files / "credentials").write_text("[other]\naws_access_key_id = AKID\naws_secret_access_key = secret\n")
    source = DefaultChainCredentials("other")
    credential = await source.current()
    assert (credential.access_key_id, credential.secret_access_key.reveal()) == ("AKID", "secret")
    assert await source.current() is credential
    source.close()


@pytest.mark.parametrize("profile", [None, "missing"])
async def test_an_empty_chain(shared_files: Path, profile: str | None) -> None:
    source = DefaultChainCredentials(profile)
    with pytest.raises(UpstreamUnavailable, match="no valid credentials"):
        await source.current()
    source.close()


async def test_the_chain_refreshes_what_ends(shared_files: Path) -> None:
    """A program that hands out credentials; boto3 asks it again in the last 15 minutes."""
    count = shared_files / "count"
    expires = (datetime.now(UTC) + timedelta(minutes=11)).isoformat()
    answer = {"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}
    (shared_files / "answer").write_text(json.dumps(answer))
    program = shared_files / "program"
    program.write_text(f"#!/bin/sh\necho x >> {count}\ncat {shared_files / 'answer'}\n")
    program.chmod(0o700)
    (shared_files / "config").write_text(f"[default]\ncredential_process = {program}\n")
    clock = Clock()
    clock.now = datetime.now(UTC)
    source = DefaultChainCredentials(clock=clock, chance=lambda: 0.0)
    first = await source.current()
    assert first.session_token is not None
    asked = len(count.read_text())
    assert await source.current() is first
    assert len(count.read_text()) == asked
    clock.now += timedelta(seconds=31)
    assert await source.current() is first
    await eventually(lambda: source._pending is None)
    assert (await source.current()).access_key_id == "AKID"
    assert len(count.read_text()) > asked
    source.close()


class Sts:
    """STS: AssumeRole, answered as the real one does."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.authorizations: list[str] = []
        self.life = timedelta(hours=1)
        self.fails = False
        self.url = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        form = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        self.requests.append({name: values[0] for name, values in parse_qs(form).items()})
        self.authorizations.append(environ["HTTP_AUTHORIZATION"])
        if self.fails:
            start_response("403 Forbidden", [("Content-Type", "text/xml")])
            return [b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>"]
        expires = (datetime.now(UTC) + self.life).strftime("%Y-%m-%dT%H:%M:%SZ")
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [
            b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
            b"<AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>"
            b"<SessionToken>role-token</SessionToken><Expiration>%s</Expiration>"
            b"</Credentials></AssumeRoleResult></AssumeRoleResponse>" % (len(self.requests), expires.encode())
        ]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sts() -> Iterator[Sts]:
    application = Sts()
    with make_server("127.0.0.1", 0, application, WSGIServer, QuietHandler) as server:
        application.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield application
        server.shutdown()
        thread.join()


@pytest.fixture
async def role(sts: Sts, shared_files: Path, clock: Clock) -> AsyncIterator[AssumedRoleCredentials]:
    clock.now = datetime.now(UTC)
    settings = AssumedRole(
        "arn:aws:iam::123456789012:role/gateway",
        session_name="gateway-1",
        external_id=SecretStr("external"),
        duration_seconds=1800,
        sts_region="eu-west-1",
        sts_endpoint=sts.url,
    )
    source = AssumedRoleCredentials(settings, StaticCredentials(BASE), clock=clock, chance=lambda: 0.0)
    yield source
    source.close()


async def test_a_role_is_assumed(role: AssumedRoleCredentials, sts: Sts) -> None:
    credential = await role.current()
    assert credential.access_key_id == "ASIA1"
    assert credential.secret_access_key.reveal() == "role-secret"
    assert credential.session_token is not None
    assert credential.session_token.reveal() == "role-token"
    assert sts.requests == [
        {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": "arn:aws:iam::123456789012:role/gateway",
            "RoleSessionName": "gateway-1",
            "DurationSeconds": "1800",
            "ExternalId": "external",
        }
    ]
    assert "Credential=AKIDBASE/" in sts.authorizations[0]
    assert "/eu-west-1/sts/aws4_request" in sts.authorizations[0]


async def test_a_role_is_assumed_anew_five_minutes_before_its_session_ends(
    role: AssumedRoleCredentials, sts: Sts, clock: Clock
) -> None:
    await role.current()
    clock.now += sts.life - REFRESH_MARGIN - timedelta(seconds=10)
    assert await name_of(role) == "ASIA1"
    await asyncio.sleep(0.05)
    assert len(sts.requests) == 1
    clock.now += timedelta(seconds=15)
    assert await name_of(role) == "ASIA1"
    await eventually(lambda: role._pending is None)
    assert await name_of(role) == "ASIA2"


async def test_a_refused_role_is_no_credentials(role: AssumedRoleCredentials, sts: Sts) -> None:
    sts.fails = True
    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(UpstreamUnavailable, match="no valid credentials"):
            await role.current()
    assert len(sts.requests) == 1
    assert time.monotonic() - started < 5


def test_sts_has_to_be_tls() -> None:
    with pytest.raises(ConfigError, match="sts_endpoint"):
        AssumedRoleCredentials(AssumedRole("arn", sts_endpoint="http://sts.example.com"), StaticCredentials(BASE))
