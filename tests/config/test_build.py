"""Options reach the settings of the other rooms under their own names."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.build import (
    auth_settings,
    customer_key_settings,
    data_key_limits,
    encryption_rules,
    upstream_settings,
)
from gateway.config.load import check_config, load_config
from gateway.config.model import Config
from gateway.keys.customer_keys import CustomerKeySettings, Derivation
from gateway.keys.data_keys import DataKeyLimits
from gateway.policy.choice import possible_rules
from gateway.policy.rules import EncryptionRule, Existing, ModeName, ObjectTraits
from gateway.s3.authenticate import AuthSettings
from gateway.upstream.settings import UpstreamSettings

EXAMPLE = Path(__file__).parents[2] / "config" / "sealgate.example.yaml"
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY_ARN = KEY_ARN.replace("1234abcd", "5678efab")


@pytest.fixture(scope="module")
def example() -> Config:
    return load_config(EXAMPLE)


def with_options(**options: Any) -> Config:
    base: dict[str, Any] = {
        "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
        "identities": [
            {
                "name": "app",
                "access_key_id": "AKID",
                "secret_access_key": "env:S",
                "upstream_credentials": {"kind": "environment"},
            }
        ],
        "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
    }
    return check_config(base | options)


def test_encryption_rules(example: Config) -> None:
    """Every field of every rule of the example."""
    payroll, billing, records, archive, website, rest = encryption_rules(example)
    assert payroll == EncryptionRule(
        name="payroll",
        buckets=("payroll", "payroll-*"),
        prefixes=("people/", "contracts/*"),
        mode=ModeName.SSE_C,
        enforce=True,
        customer_key="payroll",
        derive_per_object=True,
        identities=("billing",),
    )
    assert billing == EncryptionRule(
        name="billing",
        buckets=("billing",),
        prefixes=(),
        mode=ModeName.SSE_KMS,
        kms_key_arn=KEY_ARN,
        bucket_key=True,
        encryption_context=(("department", "billing"), ("written-by", "{identity}")),
        tags=(("classification", "internal*"),),
        content_types=("text/*", "application/pdf"),
        refuse_others=True,
        allowed_kms_keys=(OTHER_KEY_ARN,),
    )
    assert (records.mode, records.kms_key_arn) == (ModeName.DSSE_KMS, KEY_ARN)
    assert archive == EncryptionRule("sealed archive", ("archive",), (), ModeName.CSE, wrapping_key="records")
    assert archive.existing is Existing.NONE
    assert website == EncryptionRule("public website", ("website",), (), ModeName.NONE)
    assert rest == EncryptionRule("everything else", ("*",), (), ModeName.SSE_S3)


def test_order_of_rules_is_kept(example: Config) -> None:
    rules = encryption_rules(example)
    for bucket, object_key, expected in [
        ("payroll-2026", "people/ann", "payroll"),
        ("payroll-2026", "public/a", "everything else"),
        ("billing", "x", "billing"),
        ("new", "x", "everything else"),
    ]:
        written = ObjectTraits("billing", {"classification": "internal"}, "text/html")
        assert [rule.name for rule in possible_rules(rules, bucket, object_key, written)] == [expected]


def test_key_name_of_a_server_without_arns() -> None:
    config = with_options(
        upstream={"endpoint": "https://rgw:7443"},
        rules=[{"name": "r", "buckets": ["*"], "mode": "sse-kms", "kms_key_name": "testkey-1"}],
    )
    assert encryption_rules(config)[0].kms_key_arn == "testkey-1"


def test_objects_that_are_not_sealed() -> None:
    config = with_options(
        wrapping_keys={"k": {"provider": "local", "keyring": "/k"}},
        rules=[{"name": "r", "buckets": ["*"], "mode": "cse", "wrapping_key": "k", "existing": "plaintext"}],
    )
    assert encryption_rules(config)[0].existing is Existing.PLAINTEXT


def test_data_key_limits() -> None:
    limits = {"maximum_age_seconds": 60, "maximum_messages": 1, "maximum_bytes": 5}
    assert data_key_limits(with_options(data_keys=limits)) == DataKeyLimits(60.0, 1, 5)
    assert data_key_limits(with_options()) == DataKeyLimits()


def test_auth_settings() -> None:
    config = with_options(authentication={"allow_signature_v2": True, "maximum_clock_skew_seconds": 60})
    assert auth_settings(config) == AuthSettings(allow_sigv2=True, max_skew_seconds=60)
    assert auth_settings(with_options()) == AuthSettings()


def test_upstream_settings() -> None:
    """Every option, each with a value of its own."""
    config = with_options(
        upstream={
            "endpoint": "http://store.example.com:9000/",
            "region": "eu-north-1",
            "addressing": "virtual-host",
            "ca_bundle": "/ca.pem",
            "payload": "trailer",
            "allow_insecure_plain_http_upstream": True,
            "connect_timeout_seconds": 1,
            "first_byte_timeout_seconds": 2,
            "idle_timeout_seconds": 3,
            "maximum_connections": 4,
            "keepalive_seconds": 5,
            "maximum_retries": 6,
        }
    )
    assert upstream_settings(config) == UpstreamSettings(
        endpoint="http://store.example.com:9000",
        region="eu-north-1",
        addressing="virtual",
        ca_bundle=Path("/ca.pem"),
        payload="trailer",
        allow_insecure_plain_http_upstream=True,
        connect_timeout_seconds=1.0,
        first_byte_timeout_seconds=2.0,
        idle_timeout_seconds=3.0,
        max_connections=4,
        keepalive_seconds=5.0,
        retries=6,
    )


def test_defaults_are_those_of_the_upstream_room() -> None:
    """A default exists twice; both are the same."""
    settings = upstream_settings(with_options())
    assert settings == UpstreamSettings(endpoint="https://s3.{region}.amazonaws.com")
    assert settings.faults() == ()


def test_customer_key_settings(example: Config) -> None:
    for name in ("payroll", "pensions"):
        assert customer_key_settings(example.customer_keys[name]) == CustomerKeySettings(max_versions=10)
    config = with_options(
        vaults={"v": {"address": "https://v", "token": "env:T"}},
        customer_keys={
            "k": {"vault": "v", "path": "a/b", "hold_seconds": 20, "refresh_seconds": 10, "maximum_versions": 3}
        },
    )
    assert customer_key_settings(config.customer_keys["k"], Derivation.HKDF_SHA256) == CustomerKeySettings(
        derivation=Derivation.HKDF_SHA256, hold_seconds=20.0, refresh_seconds=10.0, max_versions=3
    )
