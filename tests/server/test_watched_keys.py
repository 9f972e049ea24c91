"""Which key services and vaults the metrics show for a configuration."""

from typing import Any

from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.observe.key_metrics import WatchedService
from gateway.server.watched_keys import login_methods, watched_s3, watched_services

KEY = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
REPLICA = KEY.replace("eu-west-1", "us-east-2")


def config_of(**options: Any) -> Config:
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": [
                {
                    "name": "a",
                    "access_key_id": "AKIDA",
                    "secret_access_key": "env:PATH",
                    "upstream_credentials": {"kind": "default-chain"},
                }
            ],
            "staging": {"location": "file:///var/lib/sealgate/staging"},
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
            **options,
        }
    )


def test_services_with_their_keys_quotas_and_prices() -> None:
    config = config_of(
        upstream={"region": "eu-west-1"},
        vaults={
            "main": {"address": "https://vault:8200", "token": "env:T"},
            "second": {"address": "https://vault2:8200", "approle": {"role_id": "env:R", "secret_id": "env:S"}},
        },
        wrapping_keys={
            "orders": {"provider": "aws-kms", "key_arn": KEY, "replica_arns": [REPLICA]},
            "bills": {"provider": "aws-kms", "key_arn": REPLICA},
            "archive": {"provider": "vault-transit", "vault": "main", "key": "archive"},
            "disk": {"provider": "local", "keyring": "/keyring.json"},
        },
        key_quotas=[
            {
                "provider": "aws-kms",
                "scope": "us-east-2",
                "requests_per_second": 500,
                "share": 0.1,
                "price_per_10000_requests": 1,
            }
        ],
    )
    assert watched_services(config) == (
        WatchedService("aws-kms", "eu-west-1", ("orders",), 100_000.0, 0.03 / 10_000),
        # The whole quota, not the gateway's share: S3 and others use it too.
        WatchedService("aws-kms", "us-east-2", ("orders (us-east-2)", "bills"), 500.0, 1 / 10_000),
        WatchedService("vault-transit", "main", ("archive",), None, 0.0),
        WatchedService("local", "", ("disk",), None, 0.0),
    )
    assert watched_s3(config) == WatchedService("aws-kms", "eu-west-1", (), 100_000.0, 0.03 / 10_000)
    assert login_methods(config) == {"main": None, "second": "approle"}


def test_s3_alone() -> None:
    assert watched_services(config_of()) == ()
    assert watched_s3(config_of(upstream={"region": "eu-north-1"})).requests_per_second == 10_000.0
