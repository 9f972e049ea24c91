import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys.vault_client import HealthState, VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_settings import AppRoleAuth, TokenAuth
from gateway.redact import SecretStr
from lab.openbao import OpenBao, VaultAnswerError
from lab.process import wait_until
from tests.keys.conftest import Counts, make_role

Connect = Callable[..., VaultClient]
PATH = "secret/data/reading"


async def fault_of(client: VaultClient, path: str = PATH) -> VaultError:
    with pytest.raises(VaultError) as caught:
        await client.read(path)
    return caught.value


async def test_a_token_reads(bao: OpenBao, connect: Connect, counts: Counts) -> None:
    bao.put_secret("reading", {"text": "hello"})
    answer = await connect(bao).read(PATH)
    assert answer.section("data")["data"] == {"text": "hello"}
    assert counts.results["ok"] >= 1
    assert "hello" not in repr(answer)


async def test_a_wrong_token_is_denied_in_plain_words(
    bao: OpenBao, connect: Connect, counts: Counts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(bao, auth=TokenAuth(SecretStr("s.wrong-token-1234")))
    fault = await fault_of(client)
    assert (fault.code, fault.result, fault.permanent) == ("AccessDenied", VaultResult.DENIED, True)
    assert str(fault) == (
        "vault 'main' refused to read secret/data/reading (HTTP 403): the token is wrong or has expired, or its policy "
        "does not allow reading this path"
    )
    assert counts.results["denied"] >= 1
    assert "wrong-token" not in caplog.text + repr(fault) + repr(client.__dict__)


async def test_a_periodic_token_is_kept_alive(bao: OpenBao, connect: Connect) -> None:
    bao.put_secret("reading", {"text": "hello"})
    token = bao.request("POST", "auth/token/create", {"period": "2s", "policies": ["root"]})["auth"]["client_token"]
    client = connect(bao, auth=TokenAuth(SecretStr(token)))
    await client.read(PATH)
    await asyncio.sleep(4.5)
    assert (await client.read(PATH)).result is VaultResult.OK


async def test_approle_goes_on_across_the_expiry_of_its_token(bao: OpenBao, connect: Connect, counts: Counts) -> None:
    bao.put_secret("reading", {"text": "hello"})
    role = make_role(bao, "short", ttl="2s")
    client = connect(bao, auth=role)
    reads = 0
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert (await client.read(PATH)).result is VaultResult.OK
        reads += 1
        await asyncio.sleep(0.05)
    assert set(counts.logins) == {("main", "approle", "ok")}
    assert 2 <= counts.logins.total() <= 6
    assert counts.total == reads + counts.logins.total() + counts.renewals.total()
    assert counts.results["ok"] == counts.total - counts.renewals["main", "denied"]  # renewals past the maximum life


async def test_approle_logs_in_again_after_an_idle_time_longer_than_its_token(bao: OpenBao, connect: Connect) -> None:
    bao.put_secret("reading", {"text": "hello"})
    role = make_role(bao, "idle", ttl="1s")
    client = connect(bao, auth=role)
    await client.read(PATH)
    await asyncio.sleep(1.5)
    assert (await client.read(PATH)).result is VaultResult.OK


async def test_a_revoked_approle_token_is_replaced_at_once(bao: OpenBao, connect: Connect) -> None:
    bao.put_secret("reading", {"text": "hello"})
    role = make_role(bao, "revoked", ttl="1h")
    client = connect(bao, auth=role)
    await client.read(PATH)
    bao.request("POST", "sys/leases/revoke-prefix/auth/approle/login")
    assert (await client.read(PATH)).result is VaultResult.OK


async def test_a_wrong_secret_id_is_denied_and_tried_again_only_slowly(
    bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    role = dataclasses.replace(make_role(bao, "refused"), secret_id=SecretStr("not-the-secret-id"))
    client = connect(bao, auth=role)
    for _ in range(50):
        fault = await fault_of(client)
        assert fault.code == "AccessDenied"
        assert "refused the AppRole login at auth/approle" in str(fault)
        assert "not-the-secret-id" not in str(fault)
    assert counts.total <= 2


async def test_a_missing_approle_method_is_named(bao: OpenBao, connect: Connect) -> None:
    client = connect(bao, auth=AppRoleAuth("role", SecretStr("secret"), mount="elsewhere"))
    assert "auth/elsewhere" in str(await fault_of(client))


async def test_a_policy_that_does_not_allow_the_path_causes_few_logins(
    bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    role = make_role(bao, "narrow", {"secret/data/other": ["read"]})
    client = connect(bao, auth=role)
    faults = await asyncio.gather(*(fault_of(client) for _ in range(40)))
    for _ in range(20):
        faults.append(await fault_of(client))
    assert {fault.code for fault in faults} == {"AccessDenied"}
    assert counts.logins == {("main", "approle", "ok"): 2}  # the first one and one replacement: it came at once


async def test_a_sealed_vault_is_told_apart_and_used_again_once_unsealed(
    own_bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    own_bao.put_secret("reading", {"text": "hello"})
    client = connect(own_bao)
    assert (await client.probe()).state is HealthState.ACTIVE
    await client.read(PATH)
    own_bao.seal()
    fault = await fault_of(client)
    assert (str(fault), fault.code, fault.result) == (
        "vault 'main' is sealed; unseal it",
        "ServiceUnavailable",
        VaultResult.SEALED,
    )
    health = await client.probe()
    assert (health.state, health.usable) == (HealthState.SEALED, False)
    assert health.explanation == "vault 'main' is sealed; unseal it"
    own_bao.unseal()
    assert (await client.read(PATH)).result is VaultResult.OK
    assert (await client.probe()).usable
    assert counts.results["sealed"] >= 2


async def test_a_vault_that_was_killed_is_used_again_once_it_is_back(
    own_bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    own_bao.put_secret("reading", {"text": "hello"})
    role = make_role(own_bao, "killed", ttl="1s")
    client = connect(own_bao, auth=role, timeout_seconds=2)
    await client.read(PATH)
    own_bao.kill()
    before = counts.total
    end = time.monotonic() + 2
    while time.monotonic() < end:
        fault = await fault_of(client)
        assert fault.code == "ServiceUnavailable"
        await asyncio.sleep(0.01)
    # While the token lives each read is one attempt; once it is over, only the growing pauses allow logins.
    assert (await client.probe()).state is HealthState.UNREACHABLE
    assert counts.results["unavailable"] == counts.total - before
    own_bao.start()
    end = time.monotonic() + 8
    while True:
        try:
            answer = await client.read(PATH)
        except KeyUnavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        else:
            assert answer.result is VaultResult.OK
            break


async def test_a_certificate_of_an_unknown_authority_is_refused(bao: OpenBao, connect: Connect) -> None:
    client = connect(bao, ca_bundle=None)
    fault = await fault_of(client)
    assert fault.code == "ServiceUnavailable"
    assert "its certificate is not trusted" in str(fault)
    assert (await client.probe()).state is HealthState.UNREACHABLE


def make_namespace(bao: OpenBao, name: str) -> None:
    """A namespace with a secret in it."""
    bao.request("POST", f"sys/namespaces/{name}", {})
    bao.request("POST", f"{name}/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})

    def written() -> bool:
        try:
            bao.request("POST", f"{name}/secret/data/reading", {"data": {"text": f"of the {name}"}})
        except VaultAnswerError:  # a new KV engine upgrades itself for a moment
            return False
        return True

    wait_until(written, seconds=10, what="the KV engine's upgrade")


async def test_a_namespace_that_does_not_exist_finds_nothing(bao: OpenBao, connect: Connect) -> None:
    bao.put_secret("reading", {"text": "hello"})
    client = connect(bao, namespace="team")
    assert (await client.read(PATH)).result is VaultResult.NOT_FOUND
    assert (await client.probe()).state is HealthState.ACTIVE
    make_namespace(bao, "team")
    assert (await client.read(PATH)).section("data")["data"] == {"text": "of the team"}


async def test_approle_logs_in_inside_its_namespace(bao: OpenBao, connect: Connect) -> None:
    make_namespace(bao, "crew")
    bao.request("POST", "crew/sys/auth/approle", {"type": "approle"})
    policy = 'path "secret/*" { capabilities = ["read"] }'
    bao.request("POST", "crew/sys/policies/acl/all", {"policy": policy})
    bao.request("POST", "crew/auth/approle/role/r", {"token_policies": ["all"]})
    role_id = bao.request("GET", "crew/auth/approle/role/r/role-id")["data"]["role_id"]
    secret_id = bao.request("POST", "crew/auth/approle/role/r/secret-id", {})["data"]["secret_id"]
    client = connect(bao, namespace="crew", auth=AppRoleAuth(role_id, SecretStr(secret_id)))
    assert (await client.read(PATH)).section("data")["data"] == {"text": "of the crew"}


async def test_a_hanging_vault_is_given_up_after_the_timeout(
    own_bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    own_bao.put_secret("reading", {"text": "hello"})
    client = connect(own_bao, timeout_seconds=0.5)
    await client.read(PATH)
    own_bao.pause()
    started = time.monotonic()
    fault = await fault_of(client)
    assert time.monotonic() - started < 1.5
    assert (str(fault), fault.code) == ("vault 'main' did not answer within 0.5 s", "ServiceUnavailable")
    own_bao.resume()
    assert (await client.read(PATH)).result is VaultResult.OK
    assert counts.results["timeout"] >= 1
