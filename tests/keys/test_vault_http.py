import gzip
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.keys.vault_client import HealthState, VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_http import MAX_ANSWER_BYTES
from gateway.keys.vault_settings import AppRoleAuth
from gateway.redact import SecretStr
from lab.certificates import CertificateAuthority
from tests.keys.conftest import Counts, RawServer, http_answer

Connect = Callable[..., VaultClient]
TOKEN = "token-of-the-gateway"
LOGIN = {"auth": {"client_token": "token-from-login", "lease_duration": 60}}

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SPACES = b"10000\r\n" + b" " * 65536 + b"\r\n"
HOSTILE = {
    "nothing": (b"", VaultResult.UNAVAILABLE),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", VaultResult.INVALID),
    "a page": (http_answer(200, b"<html>hello</html>"), VaultResult.INVALID),
    "an array": (http_answer(200, []), VaultResult.INVALID),
    "a number": (http_answer(200, 7), VaultResult.INVALID),
    "nothing in 200": (http_answer(200, b""), VaultResult.INVALID),
    "JSON and garbage": (http_answer(200, b'{"data": {}} x'), VaultResult.INVALID),
    "deep JSON": (http_answer(200, b"[" * 500_000), VaultResult.INVALID),
    "not UTF-8": (http_answer(200, b'{"data": "\xff"}'), VaultResult.INVALID),
    "compressed": (http_answer(200, gzip.compress(b"{}"), "Content-Encoding: gzip"), VaultResult.INVALID),
    "huge": (http_answer(200, b"{}" + b" " * MAX_ANSWER_BYTES), VaultResult.INVALID),
    "huge in chunks": (CHUNKED + b"2\r\n{}\r\n" + SPACES * 17 + b"0\r\n\r\n", VaultResult.INVALID),
    "huge field": (http_answer(200, {}, "X-Long: " + "x" * 100_000), VaultResult.INVALID),
    "cut off": (http_answer(200, {"data": {}})[:-3], VaultResult.INVALID),
    "bad request": (http_answer(400, {"errors": ["no"]}), VaultResult.INVALID),
    "rate limit": (http_answer(429, {"errors": ["over quota"]}), VaultResult.THROTTLED),
    "late standby": (http_answer(412, {"errors": ["required index state not present"]}), VaultResult.UNAVAILABLE),
    "standby": (http_answer(473, {}), VaultResult.UNAVAILABLE),
    "broken": (http_answer(500, {"errors": ["internal error"]}), VaultResult.UNAVAILABLE),
    "page of a balancer": (http_answer(503, b"<html>no backend</html>"), VaultResult.UNAVAILABLE),
    "sealed": (http_answer(503, {"errors": ["Vault is sealed"]}), VaultResult.SEALED),
    "odd errors": (http_answer(503, {"errors": {"sealed": 1}}), VaultResult.UNAVAILABLE),
}


def always(answer: bytes) -> Callable[[str], bytes]:
    return lambda head: answer


async def fault_of(client: VaultClient) -> VaultError:
    with pytest.raises(VaultError) as caught:
        await client.read("secret/data/a")
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_no_vault_says_passes_by_itself(name: str, raw: RawServer, connect: Connect, counts: Counts) -> None:
    answer, result = HOSTILE[name]
    # AppRole with a login that works, so that no renewal of a token disturbs the counts
    raw.reply = lambda head: http_answer(200, LOGIN) if "/login" in head else answer
    fault = await fault_of(connect(raw.address, auth=AppRoleAuth("role", SecretStr("secret"))))
    code = "SlowDown" if result is VaultResult.THROTTLED else "ServiceUnavailable"
    assert (fault.result, fault.code) == (result, code)
    assert str(fault).startswith("vault 'main' ")
    assert counts.results == {"ok": 1, result.value: 1}


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_denied(status: int, raw: RawServer, connect: Connect) -> None:
    raw.reply = lambda head: http_answer(status, {"errors": ["permission denied"]})
    fault = await fault_of(connect(raw.address))
    assert (fault.result, fault.code) == (VaultResult.DENIED, "AccessDenied")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    status: int, raw: RawServer, connect: Connect, start_raw_server: Callable[..., Awaitable[RawServer]]
) -> None:
    thief = await start_raw_server()
    raw.reply = lambda head: http_answer(status, b"", f"Location: {thief.address}/v1/secret/data/a")
    fault = await fault_of(connect(raw.address))
    assert (fault.result, fault.code) == (VaultResult.UNAVAILABLE, "ServiceUnavailable")
    assert "redirect" in str(fault)
    assert thief.heads == []


async def test_an_answer_that_drips_is_given_up(raw: RawServer, connect: Connect, counts: Counts) -> None:
    raw.reply = lambda head: http_answer(200, {"data": {}})
    raw.pace_seconds = 0.05
    started = time.monotonic()
    fault = await fault_of(connect(raw.address, timeout_seconds=0.4))
    assert fault.result is VaultResult.TIMEOUT
    assert time.monotonic() - started < 1.5
    assert counts.results["timeout"] >= 1


async def test_a_vault_that_is_not_there(raw: RawServer, connect: Connect) -> None:
    fault = await fault_of(connect("http://127.0.0.1:1"))
    assert str(fault) == "vault 'main' can not be reached, or closed the connection"
    assert "address is not usable" in str(await fault_of(connect("http://127.1:1")))


async def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, connect: Connect, start_raw_server: Callable[..., Awaitable[RawServer]]
) -> None:
    authority = CertificateAuthority(tmp_path)
    server = await start_raw_server(authority.issue_server("other", hosts=("vault.example",), addresses=()))
    fault = await fault_of(connect(server.address, ca_bundle=authority.ca_file))
    assert "its certificate is not trusted" in str(fault)
    assert server.heads == []


async def everything_shown(client: VaultClient) -> str:
    """All that a log could get hold of."""
    try:
        return repr(await client.read("secret/data/a"))
    except VaultError as error:
        fault = error
    assert fault.__cause__ is None  # aiohttp's exceptions know the request with its header fields
    assert fault.__context__ is None
    return f"{fault} {fault!r} {''.join(traceback.format_exception(fault))}"


async def test_neither_token_nor_secret_is_in_any_error_or_log(
    raw: RawServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [TOKEN, "secret-id-of-the-gateway", "token-from-login", "key-in-the-vault"]
    texts = []
    echo = {"errors": secrets, "data": {"data": {"key": "key-in-the-vault"}}, **LOGIN}
    for status in (200, 302, 400, 403, 418, 500, 503):
        for tail in ((), ("Content-Encoding: gzip",), ("Content-Length: 7",)):
            answer = http_answer(status, json.dumps(echo).encode(), *tail)
            for auth in ({}, {"auth": AppRoleAuth("role", SecretStr("secret-id-of-the-gateway"))}):
                raw.reply = always(answer)
                texts.append(await everything_shown(connect(raw.address, **auth)))
    text = "\n".join(texts) + caplog.text
    assert [secret for secret in secrets if secret in text] == []


async def test_what_a_request_carries(raw: RawServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    raw.reply = lambda head: http_answer(200, {"data": {}}, "Set-Cookie: a=b; Path=/")
    # Cookies are kept for names only, not for addresses.
    client = connect(raw.address.replace("127.0.0.1", "localhost") + "/vaults/one/", namespace="team/storage")
    await client.read("secret/data/a b+c/ü", {"version": "3"})
    await client.read("secret/data/a b+c/ü", {"version": "3"})
    head = next(head for head in raw.heads if "data/a" in head)
    assert head.startswith("GET /vaults/one/v1/secret/data/a%20b+c/%C3%BC?version=3 HTTP/1.1\r\n")
    for line in (f"X-Vault-Token: {TOKEN}", "X-Vault-Namespace: team/storage", "X-Vault-Request: true"):
        assert f"\r\n{line}\r\n" in head
    assert "Accept-Encoding: identity" in head
    assert "Cookie" not in raw.heads[-1]


async def test_a_health_check_carries_neither_token_nor_namespace(raw: RawServer, connect: Connect) -> None:
    raw.reply = lambda head: http_answer(200, {"initialized": True, "sealed": False, "standby": False})
    assert (await connect(raw.address, namespace="team").probe()).state is HealthState.ACTIVE
    assert raw.heads[0].startswith("GET /v1/sys/health HTTP/1.1\r\n")
    assert "X-Vault-Token" not in raw.heads[0]
    assert "X-Vault-Namespace" not in raw.heads[0]


HEALTH = [
    (200, {"initialized": True, "sealed": False}, HealthState.ACTIVE, True),
    (429, {"initialized": True, "sealed": False, "standby": True}, HealthState.STANDBY, True),
    (473, {"initialized": True, "sealed": False, "performance_standby": True}, HealthState.STANDBY, True),
    (472, {"initialized": True, "sealed": False}, HealthState.UNREACHABLE, False),
    (501, {"initialized": False, "sealed": True}, HealthState.UNINITIALISED, False),
    (503, {"initialized": True, "sealed": True}, HealthState.SEALED, False),
    (503, b"<html>no backend</html>", HealthState.UNREACHABLE, False),
    (200, {"status": "up"}, HealthState.UNREACHABLE, False),
    (200, b"welcome", HealthState.UNREACHABLE, False),
    (418, {"sealed": False}, HealthState.UNREACHABLE, False),
    (302, b"", HealthState.UNREACHABLE, False),
]


@pytest.mark.parametrize(("status", "body", "state", "usable"), HEALTH)
async def test_health_is_told_apart(
    status: int, body: object, state: HealthState, usable: bool, raw: RawServer, connect: Connect
) -> None:
    raw.reply = lambda head: http_answer(status, body)
    health = await connect(raw.address).probe()
    assert (health.state, health.usable) == (state, usable)
    assert health.explanation.startswith("vault 'main' ")


def test_a_ca_bundle_that_is_none_is_a_configuration_error(tmp_path: Path, connect: Connect) -> None:
    bundle = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match="No such file"):
        connect("https://localhost:1", ca_bundle=bundle)
    bundle.write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"not a PEM file|no certificate"):
        connect("https://localhost:1", ca_bundle=bundle)
