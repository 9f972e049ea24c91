"""Access-log lines: JSON, these fields and no others, and nothing can be forged."""

import io
import json
from dataclasses import dataclass
from datetime import datetime

import pytest

from gateway.observe.access_log import AccessLog
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.rules import ModeName


@dataclass
class Request:
    """A request that was answered."""

    request_id: str = "0123456789ABCDEF"
    client_address: str = "192.0.2.7"
    identity: str | None = "app"
    access_key_id: str | None = "AKIAIOSFODNN7EXAMPLE"
    method: str = "PUT"
    operation: str = "PutObject"
    bucket: str | None = "b"
    object_key: str | None = "dir/k"
    status: int = 200
    error_code: str | None = None
    mode: ModeName = ModeName.SSE_C
    source: EncryptionSource = EncryptionSource.INJECTED
    policy_effect: str | None = "allow"
    policy_rule: str | None = "require-kms/OnlyKms"
    bytes_in: int = 5
    bytes_out: int = 0
    upstream_status: int | None = 200
    upstream_request_id: str | None = "UP"

    def seconds(self) -> float:
        return 0.0123456789


def written(request: Request) -> dict[str, object]:
    stream = io.StringIO()
    AccessLog(stream).write(request)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert text.isascii()
    line: dict[str, object] = json.loads(text)
    return line


def test_the_whole_line() -> None:
    line = written(Request())
    assert datetime.fromisoformat(str(line.pop("time"))).tzinfo is not None
    assert line == {
        "event": "request",
        "request_id": "0123456789ABCDEF",
        "client_address": "192.0.2.7",
        "identity": "app",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "method": "PUT",
        "operation": "PutObject",
        "bucket": "b",
        "object_key": "dir/k",
        "status": 200,
        "error_code": None,
        "mode": "sse-c",
        "encryption_source": "injected",
        "policy_effect": "allow",
        "policy_rule": "require-kms/OnlyKms",
        "bytes_in": 5,
        "bytes_out": 0,
        "duration_seconds": 0.012346,
        "upstream_status": 200,
        "upstream_request_id": "UP",
    }


@pytest.mark.parametrize(
    "key", ['k"}\n{"event": "request"', "\x1b[31m", "ключ", "\udcff\udc80", "a\u2028b", "\r\n", "\x00"]
)
def test_keys_can_not_forge_lines(key: str) -> None:
    assert written(Request(object_key=key))["object_key"] == key


def test_it_can_be_off() -> None:
    AccessLog(None).write(Request())
