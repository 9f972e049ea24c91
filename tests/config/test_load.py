"""Loading: every fault is found, named by its option, all at once, and no message repeats a value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.load import MAXIMUM_FILE_BYTES, check_config, load_config, parse_config
from gateway.config.model import Config
from gateway.errors import ConfigError
from gateway.policy.rules import ModeName

ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # nothing is bound
KEY_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

HTTPS = {"certificate": "/tls/c.pem", "private_key": "/tls/k.pem"}
IDENTITY = {
    "name": "app",
    "access_key_id": "AKIDAPP",
    "secret_access_key": "env:APP_SECRET",
    "upstream_credentials": {"kind": "environment"},
}
OTHER_IDENTITY = {**IDENTITY, "name": "other", "access_key_id": "AKIDOTHER"}
VAULT = {"address": "https://vault:8200", "token": "env:TOKEN"}
CUSTOMER_KEY = {"vault": "main", "path": "s3/key"}
TLS_PASSWORD = "listeners.https[0].private_key_password"
REST = {"name": "rest", "buckets": ["*"], "mode": "sse-s3"}
SSE_C = {"name": "c", "buckets": ["c"], "mode": "sse-c", "customer_key": "k"}
WRAPPING_KEY = {"provider": "local", "keyring": "/k.json"}
CSE = {"name": "cse", "buckets": ["cse"], "mode": "cse", "wrapping_key": "w"}
POLICY = {"name": "p", "file": "/p.json"}
KMS = {"name": "kms", "buckets": ["kms"], "mode": "sse-kms", "kms_key_arn": KEY_ARN}


def minimal(**options: Any) -> dict[str, Any]:
    """The smallest configuration, with some top-level options replaced."""
    return {"listeners": {"https": [HTTPS]}, "identities": [IDENTITY], "rules": [REST], **options}


def faults_of(raw: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_config(raw)
    return caught.value.faults


def test_minimal_configuration_takes_defaults() -> None:
    config = check_config(minimal())
    assert config.listeners.https[0].port == 8443
    assert config.upstream.endpoint == "https://s3.{region}.amazonaws.com"
    assert config.rules[0].mode is ModeName.SSE_S3
    assert config.workers == 1
    assert config.authentication.maximum_clock_skew_seconds == 900
    assert config.authentication.allow_signature_v2 is False


def https(**options: Any) -> dict[str, Any]:
    return minimal(listeners={"https": [{**HTTPS, **options}]})


def loopback(**options: Any) -> dict[str, Any]:
    listener = {"address": "127.0.0.1", "port": 80, "allow_plain_http_from_loopback": True, **options}
    return minimal(listeners={"plain_http_loopback": [{k: v for k, v in listener.items() if v is not None}]})


def balancer(**options: Any) -> dict[str, Any]:
    listener = {"trusted_networks": ["10.0.0.0/8"], "scheme_from": "x-forwarded-proto", **options}
    return minimal(listeners={"balancer": [listener]})


def identity(**options: Any) -> dict[str, Any]:
    return minimal(identities=[{**IDENTITY, **options}])


def credentials(**options: Any) -> dict[str, Any]:
    return identity(upstream_credentials=options)


def vault(**options: Any) -> dict[str, Any]:
    merged = {k: v for k, v in {**VAULT, **options}.items() if v is not None}
    return minimal(vaults={"main": merged}, customer_keys={"k": CUSTOMER_KEY})


def customer_key(**options: Any) -> dict[str, Any]:
    return minimal(vaults={"main": VAULT}, customer_keys={"k": {**CUSTOMER_KEY, **options}})


def rules(*some: Mapping[str, Any]) -> dict[str, Any]:
    return minimal(
        vaults={"main": VAULT},
        customer_keys={"k": CUSTOMER_KEY},
        wrapping_keys={"w": WRAPPING_KEY},
        rules=list(some),
    )


def rule(base: Mapping[str, Any] = KMS, **options: Any) -> dict[str, Any]:
    return rules({k: v for k, v in {**base, **options}.items() if v is not None}, REST)


def wrapping_key(**options: Any) -> dict[str, Any]:
    return minimal(wrapping_keys={"w": {**WRAPPING_KEY, **options}}, rules=[CSE, REST])


def staging(location: str, **options: Any) -> dict[str, Any]:
    return minimal(staging={"location": location, **options})


def bucket_policies(**options: Any) -> dict[str, Any]:
    return minimal(authorization={"bucket_policies": options})


def upstream(**options: Any) -> dict[str, Any]:
    return minimal(upstream=options)


ROLE = {"kind": "assumed-role", "role_arn": "arn:aws:iam::111122223333:role/r"}

GOOD: tuple[dict[str, Any], ...] = (
    https(client_certificates="required", client_ca="/tls/ca.pem", minimum_tls=1.3),
    https(address="::1", port=0),
    loopback(),
    loopback(address="::1"),
    loopback(address=None, port=None, unix_socket="/run/s.sock"),
    balancer(),
    identity(session_token="file:/t", secret_access_key="vault:main/secret/a/b#c") | {"vaults": {"main": VAULT}},
    credentials(kind="static", access_key_id="AKID", secret_access_key="env:A"),
    credentials(kind="default-chain", profile="p"),
    credentials(**ROLE, duration_seconds=900, external_id="env:E", sts_endpoint="https://sts:1"),
    credentials(**{**ROLE, "role_arn": "arn:aws:iam:::role/on-ceph"}),
    vault(address="http://localhost:8200", allow_plain_http_vault=True),
    vault(token=None, approle={"role_id": "env:R", "secret_id": "file:/s"}),
    customer_key(hold_seconds=30, refresh_seconds=30),
    rule(SSE_C, derive_per_object=True, enforce=True),
    rule(bucket_key=False, encryption_context={"a": "{bucket}-{object_key}-{identity}"}),
    rule(mode="dsse-kms", kms_key_arn="arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234"),
    rule(kms_key_arn=None, kms_key_name="testkey-1") | {"upstream": {"endpoint": "https://rgw:7443"}},
    rules({**REST, "mode": "none"}),
    rule(identities=["app"], tags={"class": "secret*"}, content_types=["image/*"]),
    rule(refuse_other_encryption=True, allowed_kms_keys=[KEY_ARN]),
    rule(refuse_other_encryption=True, enforce=False),
    rule(REST, name="x", buckets=["x"], allowed_kms_key_names=["a/b"]) | {"upstream": {"endpoint": "https://rgw:7443"}},
    minimal(policies=[POLICY, {**POLICY, "name": "other"}], authorization={"default": "deny"}),
    bucket_policies(upstream_credentials={"kind": "environment"}, refresh_seconds=600, maximum_age_seconds=600),
    identity(principal_arn="arn:aws:sts::111122223333:assumed-role/r/s", policy_default="deny"),
    rules({**CSE, "enforce": True, "existing": "plaintext"}, REST),
    rules({**CSE, "buckets": ["*"], "existing": "none"}),
    rule(CSE) | {"upstream": {"endpoint": "http://s3", "allow_insecure_plain_http_upstream": True}},
    wrapping_key(key_id="a.b_c-1"),
    minimal(data_keys={"maximum_age_seconds": 1, "maximum_messages": 1, "maximum_bytes": 1}),
    staging("file:///x%20y"),
    staging("s3://a.bucket-1", upstream_credentials={"kind": "environment"}),
    staging("s3://bucket/a/b/", upstream_credentials={"kind": "default-chain"}, maximum_age_seconds=60),
    rules(SSE_C, {**REST, "buckets": ["a", "*"], "prefixes": ["*"]}),
    upstream(endpoint="http://127.0.0.1:9000", allow_insecure_plain_http_upstream=True),
    upstream(endpoint="https://s3.example.com/", addressing="virtual-host"),
    upstream(endpoint="https://[::1]:9000"),
    minimal(virtual_host_domains=["s3.example.com", "localhost"], workers=2, admin={"address": "::", "port": 9}),
)


@pytest.mark.parametrize("raw", GOOD)
def test_accepted(raw: dict[str, Any]) -> None:
    assert isinstance(check_config(raw), Config)


#: Configuration, path of the option at fault, and a part of the message.
FAULTS: tuple[tuple[dict[str, Any], str, str], ...] = (
    # listeners
    (minimal(listeners={}), "listeners", "no client could be served"),
    (minimal(listeners={"plain_http_refusal": [{}]}), "listeners", "no client could be served"),
    (https(certificate=None), "listeners.https[0].certificate", "must be a text"),
    (https(certificate="tls.pem"), "listeners.https[0].certificate", "absolute path"),
    (https(address="localhost"), "listeners.https[0].address", "IP address"),
    (https(port=65536), "listeners.https[0].port", "at most 65535"),
    (https(port="8443"), "listeners.https[0].port", "whole number"),
    (https(port=True), "listeners.https[0].port", "whole number"),
    (https(minimum_tls="1.1"), "listeners.https[0].minimum_tls", "'1.2' or '1.3'"),
    (https(client_certificates="yes"), "listeners.https[0].client_certificates", "'off', 'optional' or 'required'"),
    (https(private_key_password="vault:v/m/p#f") | {"vaults": {"v": VAULT}}, TLS_PASSWORD, "before any vault"),
    (https(client_certificates="required"), "listeners.https[0].client_ca", "must be set when"),
    (https(client_ca="/ca.pem"), "listeners.https[0].client_ca", "no effect"),
    (https(prot=1), "listeners.https[0].prot", "did you mean 'port'?"),
    (minimal(listeners={"https": [HTTPS, HTTPS]}), "listeners.https[1]", "same address and port as listeners.https[0]"),
    (
        minimal(listeners={"https": [{**HTTPS, "address": "127.0.0.1", "port": 9090}]}, admin={"address": ANY_ADDRESS}),
        "admin",
        "same address and port as listeners.https[0]",
    ),
    (minimal(workers=2, listeners={"https": [{**HTTPS, "port": 0}]}), "listeners.https[0].port", "fixed port"),
    (
        loopback(allow_plain_http_from_loopback=False),
        "listeners.plain_http_loopback[0].allow_plain_http_from_loopback",
        "must be true",
    ),
    (
        loopback(allow_plain_http_from_loopback=None),
        "listeners.plain_http_loopback[0].allow_plain_http_from_loopback",
        "must be true",
    ),
    (loopback(address="10.0.0.1"), "listeners.plain_http_loopback[0].address", "loopback"),
    (loopback(address=ANY_ADDRESS), "listeners.plain_http_loopback[0].address", "loopback"),
    (loopback(unix_socket_mode="0600"), "listeners.plain_http_loopback[0].unix_socket_mode", "goes with unix_socket"),
    (loopback(port=None), "listeners.plain_http_loopback[0].port", "together with address"),
    (loopback(unix_socket="/s"), "listeners.plain_http_loopback[0]", "either address and port or unix_socket"),
    (loopback(address=None, port=None), "listeners.plain_http_loopback[0]", "either address and port or unix_socket"),
    (loopback(address=None, unix_socket="/s"), "listeners.plain_http_loopback[0].port", "goes with address"),
    (
        minimal(
            listeners={"plain_http_loopback": [{"unix_socket": "/s", "allow_plain_http_from_loopback": True}] * 2},
        ),
        "listeners.plain_http_loopback[1].unix_socket",
        "same as listeners.plain_http_loopback[0]",
    ),
    (balancer(trusted_networks=[]), "listeners.balancer[0].trusted_networks", "must not be empty"),
    (balancer(trusted_networks=["0.0.0.0/0"]), "listeners.balancer[0].trusted_networks[0]", "trusts every address"),
    (balancer(trusted_networks=["10.0.0.1/8"]), "listeners.balancer[0].trusted_networks[0]", "network"),
    (balancer(scheme_from="forwarded"), "listeners.balancer[0].scheme_from", "proxy-protocol-v2"),
    (minimal(virtual_host_domains=["S3.example.com"]), "virtual_host_domains[0]", "lower case"),
    # identities
    (minimal(identities=[]), "identities", "must not be empty"),
    (identity(access_key_id="a/b,c"), "identities[0].access_key_id", "access key id"),
    (identity(access_key_id=12345), "identities[0].access_key_id", "in quotes"),
    (identity(secret_access_key="hunter2"), "identities[0].secret_access_key", "env:NAME"),
    (identity(secret_access_key="env:1A"), "identities[0].secret_access_key", "name of a variable"),
    (identity(secret_access_key="file:rel"), "identities[0].secret_access_key", "absolute path"),
    (identity(secret_access_key="vault:v/m/p"), "identities[0].secret_access_key", "vault:"),
    (identity(secret_access_key="vault:v/m/p#f"), "identities[0].secret_access_key", "'v' is not an entry of vaults"),
    (
        credentials(kind="static", access_key_id="AKID", secret_access_key="vault:v/m/p#f"),
        "identities[0].upstream_credentials.secret_access_key",
        "'v' is not an entry of vaults",
    ),
    (identity(name=""), "identities[0].name", "a name has"),
    (minimal(identities=[IDENTITY, {**OTHER_IDENTITY, "name": "app"}]), "identities[1].name", "identities[0].name"),
    (
        minimal(identities=[IDENTITY, {**OTHER_IDENTITY, "access_key_id": "AKIDAPP"}]),
        "identities[1].access_key_id",
        "identities[0].access_key_id",
    ),
    (credentials(), "identities[0].upstream_credentials", "'kind'"),
    (credentials(kind="magic"), "identities[0].upstream_credentials", "assumed-role"),
    (
        credentials(kind="static", access_key_id="AKID"),
        "identities[0].upstream_credentials.secret_access_key",
        "must be",
    ),
    (credentials(kind="environment", profil="x"), "identities[0].upstream_credentials.profil", "unknown option"),
    (credentials(kind="default-chain", profil="x"), "identities[0].upstream_credentials.profil", "mean 'profile'?"),
    (credentials(**{**ROLE, "role_arn": "r"}), "identities[0].upstream_credentials.role_arn", "role's ARN"),
    (credentials(**ROLE, duration_seconds=60), "identities[0].upstream_credentials.duration_seconds", "900"),
    (credentials(**ROLE, session_name="a b"), "identities[0].upstream_credentials.session_name", "not possible"),
    (
        minimal(authentication={"maximum_clock_skew_seconds": 0}),
        "authentication.maximum_clock_skew_seconds",
        "at least 1",
    ),
    (minimal(authentication={"allow_signature_v2": "no"}), "authentication.allow_signature_v2", "true or false"),
    (
        credentials(**ROLE, sts_endpoint="http://sts:80"),
        "identities[0].upstream_credentials.sts_endpoint",
        "must be https://",
    ),
    (
        credentials(**ROLE, base={"kind": "assumed-role"}),
        "identities[0].upstream_credentials.base",
        "'default-chain'",
    ),
    (
        credentials(**ROLE, base={"kind": "static", "access_key_id": "AKID", "secret_access_key": "vault:v/m/p#f"}),
        "identities[0].upstream_credentials.base.secret_access_key",
        "'v' is not an entry",
    ),
    # upstream
    (upstream(endpoint="http://s3:80"), "upstream.endpoint", "allow_insecure_plain_http_upstream"),
    (upstream(endpoint="s3.example.com"), "upstream.endpoint", "URL"),
    (upstream(endpoint="ftp://s3"), "upstream.endpoint", "URL"),
    (upstream(endpoint="https://s3:99999"), "upstream.endpoint", "URL"),
    (upstream(endpoint="https://user:pw@s3"), "upstream.endpoint", "without user name or password"),
    (upstream(endpoint="https://s3/path"), "upstream.endpoint", "ends after host and port"),
    (upstream(endpoint="https://{region}.{region}"), "upstream.endpoint", "once"),
    (upstream(region="EU Central"), "upstream.region", "region's name"),
    (upstream(endpoint="https://127.0.0.1", addressing="virtual-host"), "upstream.addressing", "IP address"),
    (upstream(payload="signed"), "upstream.payload", "'auto', 'trailer' or 'unsigned'"),
    (upstream(refused_operations=["DropBucket"]), "upstream.refused_operations[0]", "not the name of an S3 operation"),
    (upstream(copies="never"), "upstream.copies", "'attempt' or 'stream'"),
    (upstream(connect_timeout_seconds=0), "upstream.connect_timeout_seconds", "greater than 0"),
    (upstream(idle_timeout_seconds=float("inf")), "upstream.idle_timeout_seconds", "finite"),
    (upstream(maximum_retries=11), "upstream.maximum_retries", "at most 10"),
    (upstream(ca_bundle="ca.pem"), "upstream.ca_bundle", "absolute path"),
    # vaults and customer keys
    (vault(address="http://vault:8200"), "vaults.main.address", "plain HTTP"),
    (vault(address="vault"), "vaults.main.address", "URL"),
    (vault(token=None), "vaults.main", "exactly one of token, approle, kubernetes and jwt"),
    (
        vault(approle={"role_id": "env:R", "secret_id": "env:S"}),
        "vaults.main",
        "exactly one of token, approle, kubernetes and jwt",
    ),
    (vault(token="vault:main/secret/x#y"), "vaults.main.token", "can not come from one"),
    (
        vault(token=None, approle={"role_id": "env:R", "secret_id": "vault:main/a/b#c"}),
        "vaults.main.approle.secret_id",
        "can not come from one",
    ),
    (vault(namespace="../x"), "vaults.main.namespace", "plain segments"),
    (vault(timeout_seconds=-1), "vaults.main.timeout_seconds", "greater than 0"),
    (minimal(vaults={"a/b": VAULT}), "vaults.a/b", "a name has"),
    (customer_key(vault="other"), "customer_keys.k.vault", "'other' is not an entry of vaults"),
    (customer_key(path="/s3//key"), "customer_keys.k.path", "plain segments"),
    (customer_key(refresh_seconds=301), "customer_keys.k.refresh_seconds", "not be longer than hold_seconds"),
    (customer_key(maximum_versions=0), "customer_keys.k.maximum_versions", "at least 1"),
    # rules
    (minimal(rules=[]), "rules", "must not be empty"),
    (rules(SSE_C), "rules", "last rule must fit every object"),
    (rules({**REST, "prefixes": ["a/"]}), "rules", "last rule must fit every object"),
    (rules(REST, SSE_C), "rules[1]", "never reached: rules[0]"),
    (rules(SSE_C, {**REST, "name": "c"}), "rules[1].name", "same as rules[0].name"),
    (rule(mode=None), "rules[0].mode", "must be set"),
    (rule(mode="sse-x"), "rules[0].mode", "'sse-kms'"),
    (rule(buckets=[]), "rules[0].buckets", "must not be empty"),
    (rule(buckets="kms"), "rules[0].buckets", "list"),
    (rule(buckets=["x" * 1025]), "rules[0].buckets[0]", "at most 1024 characters"),
    (rule(kms_key_arn=None), "rules[0].kms_key_arn", "must be set for mode sse-kms"),
    (
        rule(kms_key_name="x") | {"upstream": {"endpoint": "https://rgw"}},
        "rules[0].kms_key_arn",
        "not both",
    ),
    (rule(kms_key_arn=None, kms_key_name="x"), "rules[0].kms_key_name", "the upstream is AWS"),
    (rule(kms_key_arn="alias/x"), "rules[0].kms_key_arn", "an alias is refused"),
    (rule(kms_key_arn=KEY_ARN.replace("key/", "alias/")), "rules[0].kms_key_arn", "an alias is refused"),
    (rule(kms_key_arn="1234abcd"), "rules[0].kms_key_arn", "bare key id is not enough"),
    (rule(REST, kms_key_arn=KEY_ARN, buckets=["x"], name="x"), "rules[0].kms_key_arn", "no meaning for mode sse-s3"),
    (rule(mode="dsse-kms", bucket_key=True), "rules[0].bucket_key", "S3 has no bucket keys"),
    (rule(encryption_context={"a": "{user}"}), "rules[0].encryption_context.a", "{identity}"),
    (rule(encryption_context={"aws:s3:arn": "x"}), "rules[0].encryption_context.aws:s3:arn", "aws:"),
    (rule(encryption_context={"a": 1}), "rules[0].encryption_context.a", "must be a text"),
    (rule(SSE_C, customer_key=None), "rules[0].customer_key", "must be set for mode sse-c"),
    (rule(REST, name="x", buckets=["x"], mode="none", enforce=True), "rules[0].enforce", "would remove the encryption"),
    (rule(identities=["ann"]), "rules[0].identities[0]", "'ann' is not the name of an identity"),
    (rule(tags={"": "x"}), "rules[0].tags", "at least 1 character"),
    (rule(tags={"x" * 129: "x"}), f"rules[0].tags.{'x' * 129}", "at most 128 characters"),
    (rule(tags={f"t{n}": "x" for n in range(11)}), "rules[0].tags", "at most 10 entries"),
    (rule(tags={"t": ""}), "rules[0].tags.t", "at least 1 character"),
    (rule(content_types="image/*"), "rules[0].content_types", "list"),
    (rules({**REST, "identities": ["app"]}), "rules", "last rule must fit every object"),
    (rules({**REST, "tags": {"a": "b"}}), "rules", "last rule must fit every object"),
    (rules({**REST, "content_types": ["*"]}), "rules", "last rule must fit every object"),
    (rule(enforce=True, refuse_other_encryption=True), "rules[0].refuse_other_encryption", "contradicts enforce"),
    (rule(enforce=True, allowed_kms_keys=[KEY_ARN]), "rules[0].allowed_kms_keys", "no meaning with enforce"),
    (rule(allowed_kms_keys=["alias/x"]), "rules[0].allowed_kms_keys[0]", "an alias is refused"),
    (rule(allowed_kms_key_names=["x"]), "rules[0].allowed_kms_key_names", "the upstream is AWS"),
    (
        rule(REST, name="x", buckets=["x"], mode="none", refuse_other_encryption=True),
        "rules[0].refuse_other_encryption",
        "would refuse the encryption",
    ),
    # policies
    (minimal(policies=[POLICY, POLICY]), "policies[1].name", "same as policies[0].name"),
    (minimal(policies=[{"name": "p"}]), "policies[0].file", "must be set"),
    (minimal(policies=[{**POLICY, "file": "p.json"}]), "policies[0].file", "absolute path"),
    (minimal(authorization={"default": "maybe"}), "authorization.default", "'allow' or 'deny'"),
    (minimal(authorization={"account_id": "1234"}), "authorization.account_id", "12 digits"),
    (
        bucket_policies(refresh_seconds=60, maximum_age_seconds=59),
        "authorization.bucket_policies.maximum_age_seconds",
        "at least refresh_seconds",
    ),
    (identity(principal_arn="app"), "identities[0].principal_arn", "principal's ARN"),
    (rule(SSE_C, customer_key="nope"), "rules[0].customer_key", "'nope' is not an entry of customer_keys"),
    (rule(SSE_C, encryption_context={"a": "b"}), "rules[0].encryption_context", "no meaning for mode sse-c"),
    (rule(derive_per_object=True), "rules[0].derive_per_object", "no meaning for mode sse-kms"),
    (
        rule(SSE_C) | {"upstream": {"endpoint": "http://s3", "allow_insecure_plain_http_upstream": True}},
        "rules[0].mode",
        "never cross a connection that is not TLS",
    ),
    (rule(CSE, wrapping_key=None), "rules[0].wrapping_key", "must be set for mode cse"),
    (rule(CSE, wrapping_key="nope"), "rules[0].wrapping_key", "'nope' is not an entry of wrapping_keys"),
    (rule(wrapping_key="w"), "rules[0].wrapping_key", "no meaning for mode sse-kms"),
    (rule(SSE_C, existing="plaintext"), "rules[0].existing", "no meaning for mode sse-c"),
    (rule(CSE, existing="all"), "rules[0].existing", "'none' or 'plaintext'"),
    (rule(CSE, customer_key="k"), "rules[0].customer_key", "no meaning for mode cse"),
    (rule(CSE, kms_key_arn=KEY_ARN), "rules[0].kms_key_arn", "no meaning for mode cse"),
    # wrapping keys, data keys, staging
    (
        wrapping_key(provider="lokal"),
        "wrapping_keys.w",
        "its option 'provider' must be one of 'local', 'aws-kms', 'vault-transit'",
    ),
    (
        wrapping_key(provider=None),
        "wrapping_keys.w",
        "its option 'provider' must be one of 'local', 'aws-kms', 'vault-transit'",
    ),
    (wrapping_key(keyring="k.json"), "wrapping_keys.w.keyring", "absolute path"),
    (wrapping_key(keyring=None), "wrapping_keys.w.keyring", "must be a text"),
    (wrapping_key(key_id="a b"), "wrapping_keys.w.key_id", "a key id has"),
    (wrapping_key(key_id=""), "wrapping_keys.w.key_id", "a key id has"),
    (wrapping_key(key="x"), "wrapping_keys.w.key", "unknown option; did you mean 'key_id'?"),
    (minimal(wrapping_keys={"a/b": WRAPPING_KEY}), "wrapping_keys.a/b", "a name has"),
    (minimal(wrapping_keys=[WRAPPING_KEY]), "wrapping_keys", "group of names"),
    (minimal(data_keys={"maximum_age_seconds": 0}), "data_keys.maximum_age_seconds", "greater than 0"),
    (minimal(data_keys={"maximum_messages": 0}), "data_keys.maximum_messages", "at least 1"),
    (minimal(data_keys={"maximum_bytes": 1.5}), "data_keys.maximum_bytes", "whole number"),
    *(
        (staging(location), "staging.location", "file:///absolute/directory or s3://bucket/prefix")
        for location in (
            "",
            "/staging",
            "file:",
            "file:///",
            "file:/",
            "file://host/dir",
            "file:///a?b",
            "file:///a#b",
            "file:///a%00b",
            "s3://",
            "s3://B",
            "s3://b",
            "s3://bucket/a b",
            "s3://bucket/ä",
            "s3:/bucket/a",
            "https://host/x",
            "s3://[",
        )
    ),
    (staging("s3://bucket"), "staging.upstream_credentials", "must be set for an s3:// location"),
    (
        staging("file:///x", upstream_credentials={"kind": "environment"}),
        "staging.upstream_credentials",
        "for s3:// only",
    ),
    (
        staging("s3://bucket", upstream_credentials={"kind": "environment"}, maximum_age_seconds=1),
        "staging.maximum_age_seconds",
        "at least 60",
    ),
    (
        staging(
            "s3://bucket",
            upstream_credentials={"kind": "static", "access_key_id": "AKID", "secret_access_key": "vault:v/m/p#f"},
        ),
        "staging.upstream_credentials.secret_access_key",
        "'v' is not an entry of vaults",
    ),
    # the rest
    (minimal(admin={"port": -1}), "admin.port", "at least 0"),
    (minimal(limits={"maximum_header_bytes": 10}), "limits.maximum_header_bytes", "at least 1024"),
    (minimal(limits={"drain_second": 10}), "limits.drain_second", "did you mean 'drain_seconds'?"),
    (minimal(workers=0), "workers", "at least 1"),
    (minimal(log={"level": "loud"}), "log.level", "'debug'"),
    (minimal(log=[]), "log", "group of options"),
    (minimal(vaults=[]), "vaults", "group of names"),
    (minimal(upstreams={}), "upstreams", "did you mean 'upstream'?"),
)


@pytest.mark.parametrize(("raw", "path", "part"), FAULTS, ids=[f"{path}: {part}" for _, path, part in FAULTS])
def test_fault(raw: dict[str, Any], path: str, part: str) -> None:
    """Every fault names its option by path, and is the only one."""
    faults = faults_of(raw)
    assert len(faults) == 1, faults
    assert faults[0].startswith(f"{path}: ")
    assert part in faults[0].removeprefix(f"{path}: ")


@pytest.mark.parametrize("option", ["listeners", "identities", "rules"])
def test_required_option(option: str) -> None:
    raw = minimal()
    del raw[option]
    assert faults_of(raw) == (f"{option}: must be set",)


def test_all_faults_at_once() -> None:
    """A bad number, a bad combination, an unknown name and a bad order are told in one run."""
    raw = minimal(
        listeners={"https": [{**HTTPS, "port": 99999}], "plain_http_loopback": [{"address": "10.0.0.1", "port": 1}]},
        identities=[{**IDENTITY, "secret_access_key": "vault:gone/a/b#c"}, {**OTHER_IDENTITY, "name": "app"}],
        upstream={"endpoint": "http://s3", "regin": "x"},
        vaults={"main": {**VAULT, "timeout_seconds": 0}},
        customer_keys={"k": {**CUSTOMER_KEY, "vault": "main", "hold_seconds": 1}},
        rules=[{**SSE_C, "customer_key": "gone"}, REST, {**KMS, "kms_key_arn": "alias/x"}],
    )
    assert [fault.partition(": ")[0] for fault in sorted(faults_of(raw))] == [
        "customer_keys.k.refresh_seconds",
        "identities[0].secret_access_key",
        "identities[1].name",
        "listeners.https[0].port",
        "listeners.plain_http_loopback[0].address",
        "listeners.plain_http_loopback[0].allow_plain_http_from_loopback",
        "rules[0].customer_key",
        "rules[2].kms_key_arn",
        "upstream.regin",
        "vaults.main.timeout_seconds",
    ]


@pytest.mark.parametrize("raw", [None, [], "text", 3])
def test_not_a_mapping(raw: object) -> None:
    assert faults_of(raw) == ("the configuration must be a mapping of options",)


SECRET = "zqjXsecretXzqj"


@pytest.mark.parametrize(
    "raw",
    [
        identity(secret_access_key=SECRET),
        identity(access_key_id=f"{SECRET}/"),
        identity(name=f"{SECRET}!"),
        credentials(kind=SECRET),
        upstream(endpoint=f"https://u:{SECRET}@s3"),
        upstream(payload=SECRET),
        upstream(region=f"{SECRET} "),
        vault(token=SECRET),
        vault(address=SECRET),
        rule(kms_key_arn=SECRET),
        wrapping_key(keyring=SECRET),
        wrapping_key(provider=SECRET),
        wrapping_key(key_id=f"{SECRET} "),
        staging(SECRET),
        rule(mode=SECRET),
        minimal(listeners=SECRET),
        minimal(limits={"maximum_connections": SECRET}),
        minimal(log={"level": SECRET}),
    ],
)
def test_no_message_repeats_a_value(raw: dict[str, Any]) -> None:
    """A secret in the wrong place does not come out again."""
    assert SECRET not in "\n".join(faults_of(raw))


@pytest.mark.parametrize(
    "text", [f"a: '{SECRET}", f"a: *{SECRET}", f"a: !{SECRET} x", f"{SECRET}: 1\n{SECRET}: 2", f"%{SECRET}"]
)
def test_no_yaml_message_repeats_the_file(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert SECRET not in str(caught.value)


def test_representation_shows_references_only() -> None:
    assert "env:APP_SECRET" in repr(check_config(minimal()))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Config.model_fields, "kind", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), PLAIN))
def test_nonsense_is_told_by_config_error_only(raw: dict[str, Any]) -> None:
    """Whatever stands in the file, the answer is a list of faults."""
    with pytest.raises(ConfigError):
        check_config(raw)


@given(st.sampled_from(sorted(minimal())), PLAIN)
def test_nonsense_in_one_place_is_told_by_config_error_only(option: str, value: object) -> None:
    with pytest.raises(ConfigError):
        check_config(minimal(**{option: value}))


def test_load_config_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sealgate.yaml"
    file.write_text(
        "listeners: {https: [{certificate: /c, private_key: /k, client_certificates: off, minimum_tls: 1.2}]}\n"
        "identities:\n"
        "- {name: a, access_key_id: AKID, secret_access_key: 'env:A', upstream_credentials: {kind: environment}}\n"
        "rules: [{name: r, buckets: ['*'], mode: none}]\n"
    )
    config = load_config(file)
    assert config.listeners.https[0].client_certificates == "off"
    assert config.listeners.https[0].minimum_tls == "1.2"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "No such file"),
        (b"\xff", "not UTF-8"),
        (b" " * (MAXIMUM_FILE_BYTES + 1), "larger than"),
        (b"a: [", "line 1"),
        (b"workers: 1\nworkers: 2\n", "line 2, column 1: an option stands twice"),
        (b"a: 1\n---\nb: 2\n", "line 2"),
        (b"", "mapping"),
        (b"\x00", "not YAML"),
    ],
)
def test_load_config_unreadable_file(tmp_path: Path, content: bytes | None, part: str) -> None:
    file = tmp_path / "sealgate.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=part):
        load_config(file)
