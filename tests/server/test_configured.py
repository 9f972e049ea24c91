"""Options become the server's own settings, one by one."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.admin.settings import AdminSettings
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.errors import ConfigError
from gateway.redact import SecretStr
from gateway.server.addresses import TcpAddress, UnixAddress
from gateway.server.configured import bucket_policy_settings, server_settings
from gateway.server.listeners import BalancerListener, HttpsListener, LoopbackListener, RefusingListener
from gateway.server.policies.buckets import BucketPolicySettings
from gateway.server.runtime import ServerSettings

EXAMPLE = Path(__file__).parents[2] / "config" / "sealgate.example.yaml"


@pytest.fixture
def config() -> Config:
    return load_config(EXAMPLE)


def test_listeners(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every listener of the example, named after its place."""
    monkeypatch.setenv("SEALGATE_TLS_KEY_PASSWORD", "opensesame")
    https, refusing, loopback, unix, balancer = server_settings(config).listeners
    assert isinstance(https, HttpsListener)
    assert (https.name, https.address) == ("https[0]", TcpAddress("0.0.0.0", 8443))  # noqa: S104  # nothing is bound
    assert https.tls.certificate_file == Path("/etc/sealgate/tls/tls.crt")
    assert https.tls.private_key_file == Path("/etc/sealgate/tls/tls.key")
    assert isinstance(https.tls.private_key_password, SecretStr)
    assert https.tls.private_key_password.reveal() == "opensesame"
    assert https.tls.client_certificates == "optional"
    assert https.tls.client_ca_file == Path("/etc/sealgate/tls/clients.crt")
    assert https.tls.minimum_version == "1.2"
    assert refusing == RefusingListener("plain_http_refusal[0]", TcpAddress("0.0.0.0", 8080))  # noqa: S104
    assert loopback == LoopbackListener(
        "plain_http_loopback[0]", TcpAddress("127.0.0.1", 8000), allow_plain_http_from_loopback=True
    )
    assert unix == LoopbackListener(
        "plain_http_loopback[1]",
        UnixAddress(Path("/run/sealgate/s3.sock"), 0o660),
        allow_plain_http_from_loopback=True,
    )
    assert balancer == BalancerListener(
        "balancer[0]",
        TcpAddress("0.0.0.0", 8081),  # noqa: S104  # nothing is bound
        (ip_network("10.0.0.0/24"),),
        "proxy-protocol-v2",
    )


def test_missing_key_password_is_told_by_its_option(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEALGATE_TLS_KEY_PASSWORD", raising=False)
    with pytest.raises(ConfigError) as caught:
        server_settings(config)
    assert caught.value.faults == (
        "listeners.https[0].private_key_password: env:SEALGATE_TLS_KEY_PASSWORD is not set or empty",
    )


def test_process(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, admin address and the rest reach the settings under their own names."""
    monkeypatch.setenv("SEALGATE_TLS_KEY_PASSWORD", "opensesame")
    limits = {
        "maximum_header_bytes": 20_001,
        "maximum_header_count": 22,
        "maximum_connections": 23,
        "maximum_concurrent_requests": 24,
        "queue_timeout_seconds": 24.5,
        "header_timeout_seconds": 25.0,
        "idle_timeout_seconds": 26.0,
        "body_timeout_seconds": 27.0,
        "drain_seconds": 28.0,
    }
    changed = config.model_copy(
        update={
            "workers": 3,
            "limits": config.limits.model_copy(update=limits),
            "admin": config.admin.model_copy(update={"address": "127.0.0.2", "port": 9, "probe_timeout_seconds": 0.5}),
            "log": config.log.model_copy(update={"level": "error", "format": "console"}),
            "listeners": config.listeners.model_copy(update={"certificate_check_seconds": 29.0}),
            "authorization": config.authorization.model_copy(update={"check_seconds": 30.0}),
        }
    )
    settings = server_settings(changed)
    assert settings.workers == 3
    assert settings.drain_seconds == 28.0
    assert settings.certificate_check_seconds == 29.0
    assert settings.policy_check_seconds == 30.0
    assert (settings.log.level, settings.log.form) == ("error", "console")
    assert settings.admin is not None
    assert (settings.admin.host, settings.admin.port, settings.admin.probe_seconds) == ("127.0.0.2", 9, 0.5)
    made = settings.limits
    assert (made.max_header_bytes, made.max_header_count, made.max_connections) == (20_001, 22, 23)
    assert (made.max_concurrent_requests, made.queue_seconds) == (24, 24.5)
    assert (made.header_seconds, made.idle_seconds, made.body_seconds) == (25.0, 26.0, 27.0)


def test_defaults_are_those_of_the_server_room() -> None:
    """A default exists twice; both are the same."""
    config = load_config(EXAMPLE.parent / "profiles" / "sidecar.yaml")
    settings = server_settings(config)
    assert settings == ServerSettings(settings.listeners, admin=AdminSettings())


def test_bucket_policies(config: Config) -> None:
    """Every option reaches the settings under its own name."""
    options = {
        "refresh_seconds": 11.0,
        "maximum_age_seconds": 12.0,
        "allow_when_unavailable": True,
        "maximum_buckets": 13,
    }
    policies = config.authorization.bucket_policies.model_copy(update=options)
    changed = config.model_copy(
        update={"authorization": config.authorization.model_copy(update={"bucket_policies": policies})}
    )
    assert bucket_policy_settings(changed) == BucketPolicySettings(11.0, 12.0, True, 13)
