"""A configuration with policies, for the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SSE = "s3:x-amz-server-side-encryption"

REQUIRE_KMS: dict[str, Any] = {
    "Sid": "RequireKms",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::payroll/*",
    "Condition": {"StringNotEquals": {SSE: "aws:kms"}},
}
RULES: list[dict[str, Any]] = [
    {"name": "payroll", "buckets": ["payroll"], "mode": "sse-kms", "kms_key_arn": ARN},
    {"name": "own", "buckets": ["own"], "mode": "sse-c", "customer_key": "key", "enforce": True},
    {"name": "sealed", "buckets": ["sealed"], "mode": "cse", "wrapping_key": "wrap"},
    {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
]

Configured = Callable[..., Path]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Writes a configuration with the given statements and returns its file."""

    def write(*statements: dict[str, Any], rules: list[dict[str, Any]] | None = None, **options: Any) -> Path:
        policy = tmp_path / "policy.json"
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=1))
        identity = {
            "access_key_id": "SEALGATEBILLING00001",
            "secret_access_key": "env:NOT_READ",
            "upstream_credentials": {"kind": "environment"},
        }
        document = {
            "listeners": {"https": [{"certificate": "/not/read.pem", "private_key": "/not/read.pem"}]},
            "identities": [
                identity | {"name": "billing"},
                identity | {"name": "auditor", "access_key_id": "SEALGATEAUDITOR00001", "policy_default": "deny"},
            ],
            "policies": [{"name": "policy", "file": str(policy)}],
            "vaults": {"main": {"address": "https://vault.example", "token": "env:NOT_READ"}},
            "customer_keys": {"key": {"vault": "main", "path": "s3/key"}},
            "wrapping_keys": {"wrap": {"provider": "local", "keyring": "/not/read.json"}},
            "rules": RULES if rules is None else rules,
        } | options
        file = tmp_path / "sealgate.yaml"
        file.write_text(json.dumps(document))
        return file

    return write
