"""``sealgate policy explain`` and a running gateway come to the same conclusions."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.cli.policy.explain import as_values
from gateway.cli.policy.offline import OfflineGateway
from gateway.cli.policy.steps import steps_of
from gateway.config.load import load_config
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.seaweed import SeaweedFS
from tests.e2e.policy_requests import ARN, Sender, random_request

_IDENTITIES = ("billing", "reports", "auditor")
_BUCKETS = ("agree-kms", "agree-free", "agree-strict", "agree-any")
_SSE = "s3:x-amz-server-side-encryption"


def _deny(sid: str, bucket: str, actions: list[str], condition: dict[str, Any], **more: Any) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": resources}
    return statement | ({"Condition": condition} if condition else {}) | more


_PUT = ["s3:PutObject"]
_POLICIES = {
    "encryption": [
        _deny("RequireKms", "agree-kms", _PUT, {"StringNotEquals": {_SSE: "aws:kms"}}),
        _deny(
            "RefuseWrong",
            "agree-free",
            _PUT,
            {"StringNotEquals": {_SSE: ["aws:kms", "aws:kms:dsse"]}, "Null": {_SSE: "false"}},
        ),
        _deny("RequireKey", "agree-strict", _PUT, {"StringNotEqualsIfExists": {f"{_SSE}-aws-kms-key-id": ARN}}),
        _deny("ForbidOwnKeys", "*", _PUT, {"Null": {f"{_SSE}-customer-algorithm": "false"}}),
    ],
    "requests": [
        _deny("NoOldUrls", "agree-*", ["s3:*"], {"NumericGreaterThan": {"s3:signatureAge": 600_000}}),
        _deny("NoForms", "agree-strict", _PUT, {"StringEquals": {"s3:authType": "POST"}}),
        _deny("NoPublicLists", "*", ["s3:PutObjectAcl"], {"StringLike": {"s3:x-amz-acl": "public-*"}}),
        _deny("OnlyTls13", "agree-any", ["s3:Delete*", _PUT[0]], {"NumericLessThan": {"s3:TlsVersion": "1.3"}}),
        _deny("OwnPrefixes", "agree-any", ["s3:ListBucket"], {"StringNotLike": {"s3:prefix": "people/*"}}),
        _deny("Tagged", "agree-free", _PUT, {"StringEquals": {"s3:RequestObjectTag/team": "b"}}),
        _deny("NoForeignCopies", "agree-any", _PUT, {"StringLike": {"s3:x-amz-copy-source": "agree-kms/*"}}),
        _deny("NoGlacier", "*", _PUT, {"StringEquals": {"s3:x-amz-storage-class": "GLACIER"}}),
        _deny("Curl", "agree-strict", ["s3:Get*"], {"StringLike": {"aws:UserAgent": "curl/*"}}),
        _deny("NoVersions", "*", ["s3:GetObjectVersion"], {}, Principal={"AWS": "arn:aws:iam::111122223333:role/a"}),
        _deny("Own", "agree-*", ["s3:DeleteObject"], {"StringNotEquals": {"aws:username": "${aws:username}"}}),
        _deny("Later", "*", ["s3:*"], {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}),
    ],
    "allows": [
        {
            "Sid": "Auditor",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:role/a"},
            "Action": ["s3:Get*", "s3:List*"],
            "Resource": "*",
        },
        {
            "Sid": "MayOpen",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::000000000000:user/billing"},
            "Action": ["s3:PutBucketWebsite", "s3:UpdateObjectEncryption", "s3:PutObject"],
            "Resource": [
                "arn:aws:s3:::agree-strict",
                "arn:aws:s3:::agree-strict/${aws:username}*",
                "arn:aws:s3:::*/tmp/*",
            ],
        },
    ],
}
_RULES: list[dict[str, Any]] = [
    {"name": "tagged", "buckets": ["agree-free"], "tags": {"class": "internal*"}, "mode": "sse-s3"},
    {"name": "text", "buckets": ["agree-any"], "content_types": ["text/*"], "mode": "none"},
    {"name": "strict", "buckets": ["agree-strict"], "mode": "sse-s3", "refuse_other_encryption": True},
    {"name": "enforced", "buckets": ["agree-any"], "prefixes": ["logs/"], "mode": "sse-s3", "enforce": True},
    {"name": "kms", "buckets": ["agree-kms"], "mode": "sse-kms", "kms_key_arn": ARN},
    {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
]


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS
) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("agree")
    policies = []
    for name, statements in _POLICIES.items():
        file = directory / f"{name}.json"
        file.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1))
        policies.append({"name": name, "file": str(file)})
    options = {"policies": policies, "identities": _identities(seaweed)}
    made = Gateway(directory, authority, seaweed, rules=_RULES, options=options, name="agree")
    direct = seaweed.client()
    for bucket in _BUCKETS:
        direct.create_bucket(Bucket=bucket)
    made.start()
    yield made
    made.stop()


def _identities(store: SeaweedFS) -> list[dict[str, Any]]:
    """Three clients with the laboratory's secret; the last may do only what a statement allows."""
    upstream = {
        "kind": "static",
        "access_key_id": store.credentials.access_key,
        "secret_access_key": "env:SEALGATE_LAB_STORE_SECRET",
    }
    identities: list[dict[str, Any]] = [
        {
            "name": name,
            "access_key_id": f"SEALGATELAB{name.upper()}",
            "secret_access_key": "env:SEALGATE_LAB_CLIENT_SECRET",
            "upstream_credentials": upstream,
        }
        for name in _IDENTITIES
    ]
    identities[-1] |= {"principal_arn": "arn:aws:iam::111122223333:role/a", "policy_default": "deny"}
    return identities


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 300), pytest.param(2, 1000, marks=pytest.mark.slow)], ids=["300 requests", "1000 requests"]
)
def test_explain_and_the_gateway_agree(gateway: Gateway, seed: int, count: int) -> None:
    chance = random.Random(seed)
    requests = [random_request(chance, list(_BUCKETS), list(_IDENTITIES)) for _ in range(count)]
    config = load_config(gateway.config_file)
    offline = OfflineGateway.of(config)
    secret = SecretStr(gateway.credentials.secret_key)
    sender = Sender(
        gateway.endpoint,
        gateway.ca_file,
        {name: Credential(f"SEALGATELAB{name.upper()}", secret) for name in _IDENTITIES},
    )
    before = len(gateway.access_log())
    kinds: Counter[str] = Counter()
    for request in requests:
        sender.send(request)
    sender.close()
    wait_until(lambda: len(gateway.access_log()) >= before + count, seconds=10, what="every line of the access log")
    for request, line in zip(requests, gateway.access_log()[before:], strict=True):
        now = datetime.now(UTC)
        outcome = asyncio.run(offline.outcome(request, now))
        explained = as_values(request, outcome, config, steps_of(request, outcome, config))
        assert _differences(explained, line) == {}, (request, line)
        kinds[f"{explained['effect']} {explained['statement']}"] += 1
    _assert_varied(kinds)


def _differences(explained: Any, line: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What the two say differently."""
    if _depends(explained) and line["error_code"] == "InvalidRequest":
        return {}  # the source can not be read, so nobody knows the rule
    said = {"policy_effect": explained["effect"], "policy_rule": explained["statement"]}
    if explained["error"] is not None:
        said |= {"error_code": explained["error"]["code"], "status": explained["error"]["status"]}
    elif not _depends(explained):
        said |= {"encryption_source": explained["source"]}
    if (
        explained["error"] is None
        and not _depends(explained)
        and line["operation"] in {"PutObject", "CopyObject", "CreateMultipartUpload"}
    ):
        said |= {"mode": explained["mode"]}
    return {name: (value, line[name]) for name, value in said.items() if line[name] != value}


def _depends(explained: Any) -> bool:
    """Whether only the gateway knows the rule: it looks at the source of a copy."""
    return any(step["verdict"] == "depends" for step in explained["steps"])


def _assert_varied(kinds: Counter[str]) -> None:
    """The requests are decided in many ways; else agreeing would mean little."""
    assert len(kinds) >= 14, kinds
    assert kinds["allow default"] >= sum(kinds.values()) / 10, kinds
    assert any(kind.startswith("deny encryption rule") for kind in kinds), kinds
    assert any(kind.startswith("allow allows/") for kind in kinds), kinds
