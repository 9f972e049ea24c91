from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.binaries import LabError
from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao, VaultAnswerError


@pytest.fixture
def own(tmp_path: Path, authority: CertificateAuthority) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path, authority)
    server.start()
    yield server
    server.kill()


def test_secrets_have_versions(openbao: OpenBao) -> None:
    assert openbao.put_secret("lab/versions", {"key": "one"}) == 1
    assert openbao.put_secret("lab/versions", {"key": "two"}) == 2
    assert openbao.request("GET", "secret/data/lab/versions?version=1")["data"]["data"] == {"key": "one"}


def test_a_token_may_do_what_its_policy_says_and_no_more(openbao: OpenBao) -> None:
    openbao.put_secret("lab/allowed", {"key": "value"})
    openbao.put_secret("lab/forbidden", {"key": "value"})
    openbao.write_policy("lab-reader", {"secret/data/lab/allowed": ["read"]})
    token = openbao.create_token(["lab-reader"])
    assert openbao.request("GET", "secret/data/lab/allowed", token=token)["data"]["data"] == {"key": "value"}
    with pytest.raises(VaultAnswerError) as refused:
        openbao.request("GET", "secret/data/lab/forbidden", token=token)
    assert refused.value.status == 403
    openbao.revoke_token(token)
    with pytest.raises(VaultAnswerError) as revoked:
        openbao.request("GET", "secret/data/lab/allowed", token=token)
    assert revoked.value.status == 403


def test_an_approle_logs_in(openbao: OpenBao) -> None:
    openbao.write_policy("lab-role", {"secret/data/lab/*": ["read"]})
    role_id, secret_id = openbao.create_approle("lab-role", ["lab-role"], token_ttl="20s")
    answer = openbao.request("POST", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id})
    assert answer["auth"]["lease_duration"] == 20
    assert "lab-role" in answer["auth"]["policies"]


def test_a_sealed_vault_answers_503_until_it_is_unsealed(own: OpenBao) -> None:
    own.put_secret("kept", {"key": "value"})
    own.seal()
    with pytest.raises(VaultAnswerError) as sealed:
        own.request("GET", "secret/data/kept")
    assert sealed.value.status == 503
    own.unseal()
    assert own.request("GET", "secret/data/kept")["data"]["data"] == {"key": "value"}


def test_secrets_survive_a_kill(own: OpenBao) -> None:
    own.put_secret("kept", {"key": "value"})
    own.kill()
    with pytest.raises(LabError, match="cannot be reached"):
        own.request("GET", "secret/data/kept")
    own.start()
    assert own.request("GET", "secret/data/kept")["data"]["data"] == {"key": "value"}
