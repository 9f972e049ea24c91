"""Logins with the token of a service account and with a JSON web token, against a real vault."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_login import MAX_JWT_BYTES, read_jwt
from gateway.keys.vault_settings import JwtAuth, KubernetesAuth
from lab.certificates import CertificateAuthority
from lab.kubernetes import AUDIENCE, Kubernetes, TokenIssuer
from lab.openbao import OpenBao
from tests.keys.conftest import READ_EVERYTHING, Counts, RawServer, http_answer

Connect = Callable[..., VaultClient]
PATH = "secret/data/logins"
ACCOUNT = "storage:gateway"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """The TokenReview API of a cluster."""
    server = Kubernetes(CertificateAuthority(tmp_path_factory.mktemp("cluster")))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mount() -> str:
    """A mount of the test's own."""
    return f"login-{secrets.token_hex(4)}"


class Proof:
    """Who the gateway is, in a file: ``write`` renews it."""

    def __init__(self, issuer: TokenIssuer, file: Path) -> None:
        self.issuer = issuer
        self.file = file
        self.write()

    def write(self, account: str = "gateway", *, seconds: int = 600, audience: str = AUDIENCE) -> None:
        token = self.issuer.service_account_token("storage", account, seconds=seconds, audience=audience)
        self.file.write_text(token + "\n")


@pytest.fixture
def kubernetes(bao: OpenBao, cluster: Kubernetes, mount: str, tmp_path: Path) -> tuple[KubernetesAuth, Proof]:
    """A role of a vault that trusts the cluster."""
    bao.put_secret("logins", {"text": "hello"})
    bao.write_policy("logins", READ_EVERYTHING)
    bao.enable_kubernetes_logins(cluster, mount=mount)
    bao.create_kubernetes_role("gateway", ACCOUNT, ["logins"], mount=mount)
    cluster.deleted.clear()
    proof = Proof(cluster.issuer, tmp_path / "token")
    return KubernetesAuth("gateway", proof.file, mount), proof


@pytest.fixture
def jwt(bao: OpenBao, mount: str, tmp_path: Path) -> tuple[JwtAuth, Proof]:
    """A role of a vault that trusts the key of an issuer."""
    issuer = TokenIssuer()
    bao.put_secret("logins", {"text": "hello"})
    bao.write_policy("logins", READ_EVERYTHING)
    bao.enable_jwt_logins(issuer.public_key, mount=mount)
    bao.create_jwt_role("gateway", f"system:serviceaccount:{ACCOUNT}", AUDIENCE, ["logins"], mount=mount)
    proof = Proof(issuer, tmp_path / "token")
    return JwtAuth("gateway", proof.file, mount), proof


@pytest.fixture(params=["kubernetes", "jwt"])
def login(request: pytest.FixtureRequest) -> tuple[KubernetesAuth | JwtAuth, Proof]:
    """Both ways to log in."""
    found: tuple[KubernetesAuth | JwtAuth, Proof] = request.getfixturevalue(request.param)
    return found


async def fault_of(client: VaultClient) -> VaultError:
    with pytest.raises(VaultError) as caught:
        await client.read(PATH)
    return caught.value


def method_of(auth: KubernetesAuth | JwtAuth) -> str:
    return "kubernetes" if isinstance(auth, KubernetesAuth) else "jwt"


async def test_a_login_reads(
    login: tuple[KubernetesAuth | JwtAuth, Proof], bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    auth, _ = login
    client = connect(bao, auth=auth)
    answers = await asyncio.gather(*(client.read(PATH) for _ in range(20)))
    assert {answer.result for answer in answers} == {VaultResult.OK}
    assert counts.logins == {("main", method_of(auth), "ok"): 1}


async def test_the_file_is_read_again_at_each_login(
    login: tuple[KubernetesAuth | JwtAuth, Proof], bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    auth, proof = login
    proof.write(seconds=-300)  # leeways are below this
    client = connect(bao, auth=auth)
    assert (await fault_of(client)).code == "AccessDenied"
    proof.write()
    await asyncio.sleep(0.5)  # the first pause
    assert (await client.read(PATH)).result is VaultResult.OK
    proof.file.unlink()
    assert (await client.read(PATH)).result is VaultResult.OK
    assert counts.logins["main", method_of(auth), "ok"] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof.write("somebody-else"),
        lambda proof: proof.write(seconds=-300),
        lambda proof: Proof(TokenIssuer(), proof.file),
    ],
    ids=["another account", "expired", "signed by somebody else"],
)
async def test_logins_that_a_vault_refuses(
    spoil: Callable[[Proof], None],
    login: tuple[KubernetesAuth | JwtAuth, Proof],
    bao: OpenBao,
    connect: Connect,
    counts: Counts,
) -> None:
    auth, proof = login
    spoil(proof)
    client = connect(bao, auth=auth)
    faults = [await fault_of(client) for _ in range(20)]
    assert {fault.code for fault in faults} == {"AccessDenied"}
    assert f"refused the {'Kubernetes' if isinstance(auth, KubernetesAuth) else 'JWT'} login at auth/{auth.mount}" in (
        str(faults[0])
    )
    assert not any(part in str(faults[0]) for part in proof.file.read_text().strip().split("."))
    assert counts.logins == {("main", method_of(auth), "denied"): 1}


async def test_a_token_for_another_audience(
    jwt: tuple[JwtAuth, Proof], bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    auth, proof = jwt
    proof.write(audience="https://somebody.example")
    assert (await fault_of(connect(bao, auth=auth))).code == "AccessDenied"
    assert counts.logins == {("main", "jwt", "denied"): 1}


async def test_a_service_account_that_was_deleted(
    kubernetes: tuple[KubernetesAuth, Proof], cluster: Kubernetes, bao: OpenBao, connect: Connect
) -> None:
    auth, _ = kubernetes
    cluster.deleted.add(ACCOUNT)
    assert (await fault_of(connect(bao, auth=auth))).code == "AccessDenied"


async def test_a_role_that_does_not_exist(
    login: tuple[KubernetesAuth | JwtAuth, Proof], bao: OpenBao, connect: Connect
) -> None:
    auth, proof = login
    fault = await fault_of(connect(bao, auth=type(auth)("never-created", proof.file, auth.mount)))
    assert (fault.code, "the role does not exist" in str(fault)) == ("AccessDenied", True)


async def test_a_method_that_is_not_there(bao: OpenBao, connect: Connect, jwt: tuple[JwtAuth, Proof]) -> None:
    _, proof = jwt
    for auth in (KubernetesAuth("gateway", proof.file, "never"), JwtAuth("gateway", proof.file, "never")):
        assert "auth/never" in str(await fault_of(connect(bao, auth=auth)))


async def test_revoked_tokens_cost_one_login(
    login: tuple[KubernetesAuth | JwtAuth, Proof], bao: OpenBao, connect: Connect, counts: Counts
) -> None:
    auth, _ = login
    client = connect(bao, auth=auth)
    await client.read(PATH)
    bao.revoke_logins(auth.mount)
    answers = await asyncio.gather(*(client.read(PATH) for _ in range(40)))
    assert {answer.result for answer in answers} == {VaultResult.OK}
    assert counts.logins == {("main", method_of(auth), "ok"): 2}


async def test_what_a_login_sends(raw: RawServer, connect: Connect, tmp_path: Path) -> None:
    raw.reply = lambda head: http_answer(403, {"errors": []})
    (tmp_path / "token").write_text("  aaa.bbb.ccc\n")
    for auth in (KubernetesAuth("one", tmp_path / "token"), JwtAuth("two", tmp_path / "token", "team/jwt")):
        await fault_of(connect(raw.address, auth=auth))
    assert [head.split()[1] for head in raw.heads] == ["/v1/auth/kubernetes/login", "/v1/auth/team/jwt/login"]
    assert raw.bodies == [b'{"role": "one", "jwt": "aaa.bbb.ccc"}', b'{"role": "two", "jwt": "aaa.bbb.ccc"}']
    assert "X-Vault-Token" not in "".join(raw.heads)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"s.token-of-a-vault",
        b"aaa.bbb",
        b"aaa.bbb.ccc.ddd",
        b"aaa.b b.ccc",
        b"aaa.\xc3\xbc.ccc",
        b"a." + b"b" * MAX_JWT_BYTES + b".c",
    ],
)
async def test_files_without_a_token_ask_nobody(
    content: bytes | None, raw: RawServer, connect: Connect, counts: Counts, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    fault = await fault_of(connect(raw.address, auth=KubernetesAuth("gateway", file)))
    assert (fault.code, fault.permanent) == ("ServiceUnavailable", False)
    assert str(fault).startswith(f"token file {file}")
    assert "bbb" not in str(fault)
    assert raw.heads == []
    assert counts.logins == {("main", "kubernetes", "invalid"): 1}


async def test_a_token_is_no_text_that_shows(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("aaa.bbb.ccc")
    token = await read_jwt(tmp_path / "token")
    assert token.reveal() == "aaa.bbb.ccc"
    assert "bbb" not in repr(token)
