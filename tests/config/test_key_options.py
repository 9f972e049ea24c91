"""Options of wrapping keys, customer keys, logins to vaults and quotas: what is accepted, and what every fault says."""

from typing import Any

import pytest

from gateway.config.build import key_quota
from gateway.config.customer_keys import AwsCustomerKey, VaultCustomerKey
from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.config.wrapping_keys import AwsKmsKey, LocalKey, VaultTransitKey
from gateway.errors import ConfigError

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{KEY}"
MRK = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234"
REPLICA = MRK.replace("eu-central-1", "eu-west-1")
LOCAL = {"provider": "local", "keyring": "/k.json"}
KMS = {"provider": "aws-kms", "key_arn": ARN}
TRANSIT = {"provider": "vault-transit", "vault": "main", "key": "objects"}
VAULT = {"address": "https://vault:8200", "token": "env:TOKEN"}
AWS_KEY = {"provider": "aws-secretsmanager", "secret_id": "team/key", "region": "eu-central-1"}
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/key-AbCdEf"
STATIC = {"kind": "static", "access_key_id": "AKID", "secret_access_key": "env:S"}
ROLE = {"kind": "assumed-role", "role_arn": "arn:aws:iam::111122223333:role/r"}


def minimal(**options: Any) -> dict[str, Any]:
    return {
        "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
        "identities": [
            {
                "name": "app",
                "access_key_id": "AKIDAPP",
                "secret_access_key": "env:APP",
                "upstream_credentials": {"kind": "environment"},
            }
        ],
        "vaults": {"main": VAULT},
        "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
        **options,
    }


def keys(*wrapping_keys: dict[str, Any]) -> dict[str, Any]:
    return minimal(wrapping_keys={f"k{number}": key for number, key in enumerate(wrapping_keys)})


def kms(**options: Any) -> dict[str, Any]:
    return keys({**KMS, **options})


def transit(**options: Any) -> dict[str, Any]:
    return keys({**TRANSIT, **options})


def secret(**options: Any) -> dict[str, Any]:
    return minimal(customer_keys={"c": {**AWS_KEY, **options}})


def vault(**options: Any) -> dict[str, Any]:
    return minimal(vaults={"main": {"address": "https://vault:8200", **options}})


def quotas(*some: dict[str, Any]) -> dict[str, Any]:
    return minimal(key_quotas=list(some))


@pytest.mark.parametrize(
    "raw",
    [
        keys(LOCAL, KMS, TRANSIT),
        kms(key_arn=MRK, replica_arns=[REPLICA, MRK.replace("eu-central-1", "us-east-1")]),
        kms(encryption_context={"application": "sealgate", "note": "{braces} of one's own"}),
        kms(grant_tokens=["env:GRANT", "vault:main/secret/grants#token"]),
        kms(fips=True, timeout_seconds=1, ca_bundle="/ca.pem"),
        kms(endpoint_url="https://vpce-1.kms.{region}.vpce.amazonaws.com", credentials=STATIC),
        kms(endpoint_url="http://localhost:5000", allow_plain_http_endpoint=True),
        kms(credentials={**ROLE, "base": STATIC, "external_id": "vault:main/secret/a#b"}),
        keys(KMS, dict(KMS)),
        transit(mount="team/transit", encryption_context={"a": "b"}),
        secret(),
        secret(secret_id=SECRET_ARN, field="key"),
        minimal(customer_keys={"c": {"provider": "vault-kv", "vault": "main", "path": "a"}}),
        vault(kubernetes={"role": "sealgate"}),
        vault(jwt={"role": "sealgate", "token_file": "/t", "mount": "team/jwt"}),
        quotas(
            {"provider": "aws-kms", "scope": "eu-central-1", "requests_per_second": 50, "share": 1},
            {"provider": "aws-kms", "scope": "us-gov-west-1"},
            {"provider": "vault-transit", "scope": "main", "requests_per_second": 100.5},
        ),
    ],
)
def test_accepted(raw: dict[str, Any]) -> None:
    assert isinstance(check_config(raw), Config)


def test_entries_become_what_their_provider_says() -> None:
    config = check_config(
        keys(LOCAL, KMS, TRANSIT) | {"customer_keys": {"v": {"vault": "main", "path": "a"}, "s": AWS_KEY}}
    )
    assert [type(key) for key in config.wrapping_keys.values()] == [LocalKey, AwsKmsKey, VaultTransitKey]
    assert [type(key) for key in config.customer_keys.values()] == [VaultCustomerKey, AwsCustomerKey]
    assert config.vault_of_customer_key("v") == "main"
    assert config.vault_of_customer_key("s") is None


PROVIDERS = "its option 'provider' must be one of 'local', 'aws-kms', 'vault-transit'"


@pytest.mark.parametrize(
    ("raw", "path", "part"),
    [
        (keys({"keyring": "/k"}), "wrapping_keys.k0", "needs its option 'provider'"),
        (keys({**KMS, "provider": "gcp-kms"}), "wrapping_keys.k0", PROVIDERS),
        # what one provider knows is unknown for another, and not proposed
        (kms(keyring="/k"), "wrapping_keys.k0.keyring", "unknown option"),
        (keys({**LOCAL, "key_arm": ARN}), "wrapping_keys.k0.key_arm", "unknown option"),
        (kms(replica_arn=[]), "wrapping_keys.k0.replica_arn", "did you mean 'replica_arns'?"),
        (transit(contect={}), "wrapping_keys.k0.contect", "unknown option"),
        (kms(key_arn="alias/x"), "wrapping_keys.k0.key_arn", "alias"),
        (kms(key_arn=KEY), "wrapping_keys.k0.key_arn", "full key ARN"),
        (kms(replica_arns=[ARN]), "wrapping_keys.k0.replica_arns", "only a multi-Region key"),
        (kms(key_arn=MRK, replica_arns=[REPLICA[:-1] + "5"]), "wrapping_keys.k0.replica_arns[0]", "no replica"),
        (
            kms(key_arn=MRK, replica_arns=[REPLICA.replace("111122223333", "444455556666")]),
            "wrapping_keys.k0.replica_arns[0]",
            "account and key id must be the same",
        ),
        (kms(key_arn=MRK, replica_arns=[MRK]), "wrapping_keys.k0.replica_arns[0]", "Region of its own"),
        (kms(key_arn=MRK, replica_arns=[REPLICA, REPLICA]), "wrapping_keys.k0.replica_arns[1]", "Region of its own"),
        (kms(endpoint_url="http://kms"), "wrapping_keys.k0.endpoint_url", "plain HTTP"),
        (kms(endpoint_url="https://kms", fips=True), "wrapping_keys.k0.fips", "endpoint_url can not be set"),
        (kms(endpoint_url="https://kms/path"), "wrapping_keys.k0.endpoint_url", "ends after host and port"),
        (kms(grant_tokens=["plain"]), "wrapping_keys.k0.grant_tokens[0]", ""),
        (kms(grant_tokens=["vault:gone/a/b#c"]), "wrapping_keys.k0.grant_tokens[0]", "'gone' is not an entry"),
        (kms(grant_tokens=["env:G"] * 11), "wrapping_keys.k0.grant_tokens", "at most 10"),
        (kms(encryption_context={"aws:x": "1"}), "wrapping_keys.k0.encryption_context.aws:x", "'aws:'"),
        (kms(encryption_context={"b": "{bucket}"}), "wrapping_keys.k0.encryption_context.b", "objects share data keys"),
        (kms(encryption_context={"b": "x" * 8192}), "wrapping_keys.k0.encryption_context", "8192 characters"),
        (kms(credentials={"kind": "environment"}), "wrapping_keys.k0.credentials", "its option 'kind' must be one of"),
        (kms(credentials={**ROLE, "base": ROLE}), "wrapping_keys.k0.credentials.base", "'kind' must be one of"),
        (
            kms(credentials={**STATIC, "secret_access_key": "vault:gone/a/b#c"}),
            "wrapping_keys.k0.credentials.secret_access_key",
            "'gone' is not an entry of vaults",
        ),
        (
            keys(KMS, {**KMS, "encryption_context": {"a": "b"}}),
            "wrapping_keys.k1.encryption_context",
            "differs from that of wrapping_keys.k0, which is the same key",
        ),
        (transit(vault="gone"), "wrapping_keys.k0.vault", "'gone' is not an entry of vaults"),
        (transit(key="a/b"), "wrapping_keys.k0.key", "name of a transit key"),
        (transit(mount="/transit"), "wrapping_keys.k0.mount", "plain segments"),
        (keys(TRANSIT, {**TRANSIT, "encryption_context": {"a": "b"}}), "wrapping_keys.k1.key", "mount and name of"),
        (secret(provider="aws-ssm"), "customer_keys.c", "'provider' must be one of 'vault-kv', 'aws-secretsmanager'"),
        (secret(provider=None), "customer_keys.c", "'provider' must be one of 'vault-kv', 'aws-secretsmanager'"),
        (secret(vault="main"), "customer_keys.c.vault", "unknown option"),
        (secret(region="Frankfurt"), "customer_keys.c.region", "region's name"),
        (secret(secret_id="a b"), "customer_keys.c.secret_id", "characters"),
        (secret(secret_id="arn:aws:iam::111122223333:role/r"), "customer_keys.c.secret_id", "not one of a secret"),
        (secret(secret_id=SECRET_ARN, region="eu-west-1"), "customer_keys.c.region", "secret's ARN, eu-central-1"),
        (secret(endpoint_url="http://s"), "customer_keys.c.endpoint_url", "plain HTTP"),
        (secret(hold_seconds=10), "customer_keys.c.refresh_seconds", "not be longer than hold_seconds"),
        (minimal(customer_keys={"c": {"vault": "gone", "path": "a"}}), "customer_keys.c.vault", "'gone' is not"),
        (minimal(customer_keys={"c": {"vault": "main"}}), "customer_keys.c.path", "must be set"),
        (vault(), "vaults.main", "exactly one of"),
        (vault(token="env:T", jwt={"role": "r", "token_file": "/t"}), "vaults.main", "exactly one of"),
        (vault(jwt={"role": "r"}), "vaults.main.jwt.token_file", "must be set"),
        (vault(kubernetes={"role": "a/b"}), "vaults.main.kubernetes.role", "name of a role"),
        (vault(kubernetes={"role": "r", "token_file": "t"}), "vaults.main.kubernetes.token_file", "absolute path"),
        (quotas({"provider": "local", "scope": "x"}), "key_quotas[0].provider", "'aws-kms' or 'vault-transit'"),
        (quotas({"provider": "aws-kms", "scope": "Frankfurt"}), "key_quotas[0].scope", "Region's name"),
        (quotas({"provider": "vault-transit", "scope": "gone"}), "key_quotas[0].scope", "'gone' is not an entry"),
        (
            quotas(*[{"provider": "aws-kms", "scope": "eu-west-1"}] * 2),
            "key_quotas[1].scope",
            "is the same as key_quotas[0].scope",
        ),
        (
            quotas({"provider": "aws-kms", "scope": "eu-west-1", "requests_per_second": 1}),
            "key_quotas[0].share",
            "less than one request",
        ),
        (quotas({"provider": "aws-kms", "scope": "eu-west-1", "share": 1.5}), "key_quotas[0].share", "at most 1"),
    ],
)
def test_fault(raw: dict[str, Any], path: str, part: str) -> None:
    """Every fault names its option by path, and is the only one."""
    with pytest.raises(ConfigError) as caught:
        check_config(raw)
    assert len(caught.value.faults) == 1, caught.value.faults
    assert caught.value.faults[0].startswith(f"{path}: ")
    assert part in caught.value.faults[0].removeprefix(f"{path}: ")


def test_context_of_a_replica_is_the_same_key() -> None:
    """The ARN of a replica in a second entry names the same key as in the first one."""
    raw = keys(
        {**KMS, "key_arn": MRK, "replica_arns": [REPLICA]},
        {**KMS, "key_arn": REPLICA, "encryption_context": {"a": "b"}},
    )
    with pytest.raises(ConfigError, match="which is the same key"):
        check_config(raw)


def test_two_vaults_with_the_same_transit_key() -> None:
    """Sealed objects name mount and key only, so they could not say which vault opens them."""
    raw = keys(TRANSIT, {**TRANSIT, "vault": "second"}) | {"vaults": {"main": VAULT, "second": VAULT}}
    with pytest.raises(ConfigError, match="another vault"):
        check_config(raw)
    raw["wrapping_keys"]["k1"]["mount"] = "transit2"
    check_config(raw)


@pytest.mark.parametrize(
    ("provider", "scope", "limit", "price"),
    [
        ("aws-kms", "eu-west-1", 50_000.0, 0.000003),
        ("aws-kms", "eu-central-1", 10_000.0, 0.000003),
        ("aws-kms", "sa-east-1", 5_000.0, 0.000003),
        ("aws-kms", "us-east-1", 25.0, 0.00001),
        ("vault-transit", "main", None, 0.0),
        ("vault-transit", "second", 40.0, 0.0),
    ],
)
def test_quota(provider: str, scope: str, limit: float | None, price: float) -> None:
    """As configured, or AWS's own default for the Region; a vault has none."""
    config = check_config(
        quotas(
            {
                "provider": "aws-kms",
                "scope": "us-east-1",
                "requests_per_second": 50,
                "price_per_10000_requests": 0.1,
            },
            {"provider": "vault-transit", "scope": "second", "requests_per_second": 100, "share": 0.4},
        )
        | {"vaults": {"main": VAULT, "second": VAULT}}
    )
    quota = key_quota(config, provider, scope)
    assert quota is not None
    assert quota.own_limit == limit
    assert quota.price_per_request == pytest.approx(price)


def test_a_keyring_has_no_quota() -> None:
    assert key_quota(check_config(minimal()), "local", "") is None
