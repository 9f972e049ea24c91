from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.keys.vault_settings import AppRoleAuth, JwtAuth, KubernetesAuth, TokenAuth, VaultSettings, is_path
from gateway.redact import SecretStr

TOKEN = TokenAuth(SecretStr("s.token"))


def settings(**options: Any) -> VaultSettings:
    return VaultSettings(**{"name": "main", "address": "https://vault:8200", "auth": TOKEN, **options})


@pytest.mark.parametrize(
    "address", ["https://vault", "https://vault:8200/", "https://[::1]:8200", "https://balancer/vaults/a"]
)
def test_addresses_that_are_taken(address: str) -> None:
    assert settings(address=address).address == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://vault:8200", "must be https://"),
        ("vault:8200", "must look like"),
        ("https://", "must look like"),
        ("ftp://vault", "must look like"),
        ("https://user:secret@vault", "user name"),
        ("https://vault?token=x", "must look like"),
        ("https://vault#x", "must look like"),
        ("https://vault:port", "not a URL"),
        ("https://vault:99999", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://vault/../x", "plain segments"),
        ("https://vault/%2e", "plain segments"),
        ("", "must look like"),
    ],
)
def test_addresses_that_are_refused(address: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        settings(address=address)
    assert "secret" not in str(caught.value)


def test_plain_http_has_to_be_asked_for() -> None:
    assert settings(address="http://127.0.0.1:8200", allow_plain_http=True).allow_plain_http


@pytest.mark.parametrize(
    "options",
    [
        {"auth": TokenAuth(SecretStr(""))},
        {"auth": TokenAuth(SecretStr("with\nnewline"))},
        {"auth": TokenAuth(SecretStr("with space"))},
        {"auth": AppRoleAuth("", SecretStr("x"))},
        {"auth": AppRoleAuth("x", SecretStr(""))},
        {"auth": AppRoleAuth("x", SecretStr("x"), mount="../sys")},
        {"auth": AppRoleAuth("x", SecretStr("x"), mount="")},
        {"auth": KubernetesAuth("")},
        {"auth": KubernetesAuth("role", mount="../sys")},
        {"auth": JwtAuth("", Path("token"))},
        {"auth": JwtAuth("role", Path("token"), mount="a//b")},
        {"namespace": ""},
        {"namespace": "a\nb"},
        {"namespace": "a//b"},
        {"timeout_seconds": 0},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        settings(**options)


def test_where_kubernetes_puts_its_token() -> None:
    auth = KubernetesAuth("role")
    assert settings(auth=auth).auth is auth
    assert (str(auth.token_file), auth.mount) == ("/var/run/secrets/kubernetes.io/serviceaccount/token", "kubernetes")


def test_faults_name_the_method() -> None:
    with pytest.raises(ConfigError, match="the JWT role is empty") as caught:
        settings(auth=JwtAuth("", Path("token"), mount=""))
    assert caught.value.faults[1] == "vault 'main': the JWT mount must consist of plain segments, such as jwt"


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(address="http://vault", auth=TokenAuth(SecretStr("")), namespace="", timeout_seconds=-1)
    assert len(caught.value.faults) == 4


def test_no_secret_in_a_repr() -> None:
    shown = repr((settings(), settings(auth=AppRoleAuth("role", SecretStr("s.secret")))))
    assert "s.token" not in shown
    assert "s.secret" not in shown


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("a", True),
        ("a/b-c_d.e/ü f", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        (".", False),
        ("a/../b", False),
        ("a?b", False),
        ("a#b", False),
        ("a%2fb", False),
        ("a\\b", False),
        ("a\nb", False),
        ("a\x7fb", False),
    ],
)
def test_paths(path: str, good: bool) -> None:
    assert is_path(path) is good
