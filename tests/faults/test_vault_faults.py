"""Whatever is wrong with the vault: a clear S3 error, nothing written, all else works, and it heals by itself."""

import base64
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, Refused, fresh_key, keys_in, refused

_HELD_SECONDS = 1.0
#: Held keys expire; "no" is remembered for 5 seconds.
_WAIT_SECONDS = 20
_POLICY = "sealgate-faults"
_BAD_KEYS = {
    "missing": None,
    "short": base64.b64encode(secrets.token_bytes(31)).decode(),
    "zero": base64.b64encode(bytes(32)).decode(),
    "nonsense": "not base64 at all!",
}


@dataclass
class Stage:
    """The vault with a token of our choice, the store and the gateway between."""

    vault: OpenBao
    store: SeaweedFS
    gateway: Gateway
    token: str
    client: S3Client
    direct: S3Client

    def grant(self) -> None:
        """Let the vault know the gateway's token (again)."""
        body = {"id": self.token, "policies": [_POLICY], "ttl": "1h", "no_parent": True}
        self.vault.request("POST", "auth/token/create", body)

    def put(self, bucket: str, key: str) -> Refused | None:
        return refused(lambda: self.client.put_object(Bucket=bucket, Key=key, Body=b"secret"))

    def get(self, bucket: str, key: str) -> Refused | None:
        return refused(lambda: self.client.get_object(Bucket=bucket, Key=key))


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, vault: OpenBao, seaweed: SeaweedFS
) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("vault-faults")
    token = f"sealgate-{secrets.token_hex(12)}"
    token_file = directory / "token"
    token_file.write_text(token)
    names = ("good", *_BAD_KEYS)
    paths = {name: f"faults/{name}" for name in names}
    vault.put_secret(paths["good"], {"key": fresh_key()})
    for name, text in _BAD_KEYS.items():
        if text is not None:
            vault.put_secret(paths[name], {"key": text})
    vault.write_policy(_POLICY, {f"secret/{kind}/faults/*": ["read"] for kind in ("data", "metadata")})
    rules = [{"name": name, "buckets": [f"vf-{name}"], "mode": "sse-c", "customer_key": name} for name in names]
    gateway = Gateway(
        directory,
        authority,
        seaweed,
        rules=[*rules, {"name": "rest", "buckets": ["*"], "mode": "sse-s3"}],
        vault=vault,
        customer_keys=paths,
        options={
            "vaults": {"lab": {"token": f"file:{token_file}", "timeout_seconds": 1}},
            "customer_keys": {name: {"hold_seconds": _HELD_SECONDS, "refresh_seconds": 0.5} for name in names},
        },
    )
    gateway.start()
    stage = Stage(vault, seaweed, gateway, token, gateway.client(**ONCE), seaweed.client(**ONCE))
    for name in (*names, "plain"):
        stage.direct.create_bucket(Bucket=f"vf-{name}")
    yield stage
    gateway.stop()


def _revoke(stage: Stage) -> None:
    stage.vault.revoke_token(stage.token)


@dataclass(frozen=True)
class Fault:
    """How to break the vault, what clients are told meanwhile, and how to mend it."""

    begin: Callable[[Stage], object]
    mend: Callable[[Stage], object]
    code: str
    status: int
    words: str
    ready: bool = False


_FAULTS = {
    "token revoked": Fault(_revoke, Stage.grant, "AccessDenied", 403, "the token is wrong or has expired"),
    "sealed": Fault(
        lambda stage: stage.vault.seal(), lambda stage: stage.vault.unseal(), "ServiceUnavailable", 503, "is sealed"
    ),
    "killed": Fault(
        lambda stage: stage.vault.kill(),
        lambda stage: stage.vault.start(),
        "ServiceUnavailable",
        503,
        "can not be reached",
    ),
    "hangs": Fault(
        lambda stage: stage.vault.pause(),
        lambda stage: stage.vault.resume(),
        "ServiceUnavailable",
        503,
        "did not answer within 1 s",
    ),
}


def _serves(stage: Stage, key: str) -> bool:
    return stage.put("vf-good", key) is None


def test_a_token_that_the_vault_does_not_know_is_told_and_heals_when_it_does(stage: Stage) -> None:
    """A wrong token from the start: 403 with the path, not ready, and no restart is needed once it is right."""
    found = stage.put("vf-good", "wrong-token")
    assert found is not None
    assert (found.code, found.status) == ("AccessDenied", 403)
    assert "secret/metadata/faults/good" in found.message
    assert stage.token not in found.message
    assert not stage.gateway.is_ready()
    assert stage.put("vf-plain", "wrong-token") is None
    stage.grant()
    wait_until(lambda: _serves(stage, "right-token"), seconds=_WAIT_SECONDS, what="the recovery")
    wait_until(stage.gateway.is_ready, seconds=_WAIT_SECONDS, what="readiness")
    assert keys_in(stage.direct, "vf-good", "wrong-token") == []


@pytest.mark.parametrize("name", _FAULTS)
def test_a_vault_that_fails_is_told_and_heals(stage: Stage, name: str) -> None:
    """Reads and writes fail with the fault's own code, nothing is written, other buckets work, it heals by itself."""
    fault = _FAULTS[name]
    before, refused_key, after = (f"{name}/{part}" for part in ("before", "refused", "after"))
    wait_until(lambda: _serves(stage, before), seconds=_WAIT_SECONDS, what="a working vault")
    fault.begin(stage)
    try:
        _check_broken(stage, fault, before, refused_key)
    finally:
        fault.mend(stage)
    wait_until(lambda: _serves(stage, after), seconds=_WAIT_SECONDS, what="the recovery")
    wait_until(stage.gateway.is_ready, seconds=_WAIT_SECONDS, what="readiness")
    assert stage.get("vf-good", before) is None
    assert keys_in(stage.direct, "vf-good", refused_key) == []


def _check_broken(stage: Stage, fault: Fault, before: str, refused_key: str) -> None:
    # While a key is held, requests still work; the keys they use are overwritten later by nobody.
    wait_until(lambda: stage.get("vf-good", before) is not None, seconds=_WAIT_SECONDS, what="the end of held keys")
    for found in (stage.put("vf-good", refused_key), stage.get("vf-good", before)):
        assert found is not None
        assert (found.code, found.status) == (fault.code, fault.status)
        assert fault.words in found.message
        assert stage.token not in found.message
    found = refused(lambda: stage.client.create_multipart_upload(Bucket="vf-good", Key=refused_key))
    assert found is not None
    assert (found.code, found.status) == (fault.code, fault.status)
    assert stage.put("vf-plain", before) is None
    assert stage.get("vf-plain", before) is None
    wait_until(lambda: not stage.gateway.is_ready(), seconds=_WAIT_SECONDS, what="the end of readiness")
    assert stage.gateway.is_live()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing", "KMS.NotFoundException", "secret/faults/missing does not exist"),
        ("short", "InvalidArgument", "it has 31 bytes instead of 32"),
        ("zero", "InvalidArgument", "its bytes are not random"),
        ("nonsense", "InvalidArgument", "it is not standard base64"),
    ],
)
def test_a_secret_that_is_no_key_is_told_and_heals(stage: Stage, name: str, code: str, words: str) -> None:
    """A missing, short, zero or malformed key: 400 that names the path and the fault, never the value; nothing written.

    The gateway stays ready: its other buckets work.
    """
    wait_until(lambda: _serves(stage, "working"), seconds=_WAIT_SECONDS, what="a working vault")
    bucket = f"vf-{name}"
    text = _BAD_KEYS[name]
    customer_key = secrets.token_bytes(32)
    stage.direct.put_object(
        Bucket=bucket, Key="foreign", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=customer_key
    )
    for found in (stage.put(bucket, "refused"), stage.get(bucket, "foreign")):
        assert found is not None
        assert (found.code, found.status) == (code, 400)
        assert words in found.message
        assert text is None or text not in found.message
    assert keys_in(stage.direct, bucket) == ["foreign"]
    assert stage.put("vf-plain", name) is None
    assert stage.gateway.is_ready()
    stage.vault.put_secret(f"faults/{name}", {"key": fresh_key()})
    wait_until(lambda: stage.put(bucket, "healed") is None, seconds=_WAIT_SECONDS, what="the recovery")
    assert stage.get(bucket, "healed") is None


def test_no_secret_is_in_the_log(stage: Stage) -> None:
    """After all these faults the log holds neither the vault's token nor a key nor a client's secret."""
    log = stage.gateway.log_file.read_text()
    unwanted = (stage.token, stage.gateway.credentials.secret_key, stage.store.credentials.secret_key)
    for text in (*unwanted, *filter(None, _BAD_KEYS.values()), *_live_keys(stage.vault)):
        assert text not in log
    assert Path(stage.gateway.log_file).stat().st_size > 0


def _live_keys(vault: OpenBao) -> list[str]:
    return [str(vault.request("GET", f"secret/data/faults/{name}")["data"]["data"]["key"]) for name in ("good", "zero")]
