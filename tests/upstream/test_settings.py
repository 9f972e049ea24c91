"""Which settings of an upstream are refused, and what they mean."""

from typing import Any

import pytest

from gateway.upstream.settings import UpstreamSettings, is_ip_address


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"endpoint": "http://s3.example.com"}, "endpoint"),
        ({"endpoint": "ftp://s3.example.com"}, "endpoint"),
        ({"endpoint": "s3.example.com"}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "https://s3.example.com/path"}, "endpoint"),
        ({"endpoint": "https://s3.example.com?x=y"}, "endpoint"),
        ({"endpoint": "https://s3.example.com#x"}, "endpoint"),
        ({"endpoint": "https://user:secret@s3.example.com"}, "endpoint"),
        ({"endpoint": "https://s3.example.com:99999"}, "endpoint"),
        ({"endpoint": "https://s3.example.com:0"}, "endpoint"),
        ({"endpoint": "https://s3.exam ple.com"}, "endpoint"),
        ({"endpoint": "https://[::1"}, "endpoint"),
        ({"endpoint": "https://{region}.{region}.com"}, "endpoint"),
        ({"endpoint": "https://s3.{zone}.com"}, "endpoint"),
        ({"region": "eu west"}, "region"),
        ({"region": "evil.example/"}, "region"),
        ({"region": ""}, "region"),
        ({"connect_timeout_seconds": 0}, "connect_timeout_seconds"),
        ({"first_byte_timeout_seconds": -1}, "first_byte_timeout_seconds"),
        ({"idle_timeout_seconds": float("nan")}, "idle_timeout_seconds"),
        ({"keepalive_seconds": 0}, "keepalive_seconds"),
        ({"max_connections": 0}, "max_connections"),
        ({"retries": -1}, "retries"),
        ({"retries": 11}, "retries"),
    ],
)
def test_faults(options: dict[str, Any], option: str) -> None:
    (fault,) = UpstreamSettings(**{"endpoint": "https://s3.example.com", **options}).faults()
    assert fault.startswith(f"{option}: ")
    assert "secret" not in fault


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.example.com", "https://s3.example.com/", "https://s3.example.com:9000", "https://127.0.0.1:8334",
        "https://[::1]:8334", "https://s3.{region}.amazonaws.com", "HTTPS://S3.example.com", "https://my_s3",
    ],
)  # fmt: skip
def test_sound_endpoints(endpoint: str) -> None:
    settings = UpstreamSettings(endpoint)
    assert settings.faults() == ()
    assert settings.uses_tls


def test_all_faults_are_told_at_once() -> None:
    assert len(UpstreamSettings("nothing", region="-", retries=99, max_connections=0).faults()) == 4


def test_plain_http_has_to_be_asked_for() -> None:
    settings = UpstreamSettings("http://s3.example.com", allow_insecure_plain_http_upstream=True)
    assert settings.faults() == ()
    assert not settings.uses_tls


@pytest.mark.parametrize(
    ("endpoint", "payload", "trailers"),
    [
        ("https://s3.{region}.amazonaws.com", "auto", True),
        ("https://s3.eu-west-1.amazonaws.com:443", "auto", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", "auto", True),
        ("https://s3.example.com", "auto", False),
        ("https://amazonaws.com.example.com", "auto", False),
        ("https://xamazonaws.com", "auto", False),
        ("https://s3.example.com", "trailer", True),
        ("https://s3.eu-west-1.amazonaws.com", "unsigned", False),
    ],
)
def test_trailers(endpoint: str, payload: Any, trailers: bool) -> None:
    assert UpstreamSettings(endpoint, payload=payload).sends_trailers is trailers


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", True), ("[::1]", True), ("::1", True), ("a.b", False)])
def test_ip_addresses(host: str, address: bool) -> None:
    assert is_ip_address(host) is address
