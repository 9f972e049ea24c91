"""What a request is judged by: nothing when nothing could come of it, else files, buckets and the default."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config.policies import PolicyFile
from gateway.policy.iam.decision import Effect
from gateway.policy.permission import Permission, PolicyDenied, Standing
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers
from gateway.server.policies.files import PolicyFiles
from gateway.server.policies.policies import Policies

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_CREDENTIAL = Credential("SEALGATETEST00000001", SecretStr("a secret of tests"))
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Silent:
    """Counts nothing."""

    def policy_files_read(self, *, worked: bool, when: datetime) -> None:
        """Every reading comes by here."""


def _request(method: str, path: str, **fields: str) -> VerifiedRequest:
    headers = Headers((("host", "gateway"), *((name.replace("_", "-"), value) for name, value in fields.items())))
    raw = RawRequest(method, path, "", headers, "https", "192.0.2.1", "0123456789ABCDEF")
    if method != "OPTIONS":
        signed = sign_headers(method, path, "", headers, _CREDENTIAL, "us-east-1", "s3", _NOW, _EMPTY_SHA256)
        raw = RawRequest(method, path, "", signed, "https", "192.0.2.1", "0123456789ABCDEF")
    identities = {_CREDENTIAL.access_key_id: Identity("ann", _CREDENTIAL)}
    return authenticate(parse_request(raw, ()), identities, _NOW, AuthSettings())


def _policies(directory: Path, *statements: dict[str, object], default: Effect = Effect.ALLOW) -> Policies:
    files = []
    if statements:
        everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [everything | one for one in statements]})
        (directory / "p.json").write_text(text)
        files.append(PolicyFile(name="p", file=str(directory / "p.json")))
    standing = Standing("arn:aws:iam::000000000000:user/ann", default)
    return Policies(PolicyFiles(files, Silent(), lambda: _NOW), None, {"ann": standing}, lambda: _NOW)


async def test_without_policies_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert await _policies(tmp_path).judge(_request("GET", "/bucket/key"), "TLSv1.3") is None


async def test_a_default_that_denies_needs_no_policy(tmp_path: Path) -> None:
    judge = await _policies(tmp_path, default=Effect.DENY).judge(_request("GET", "/bucket/key"), "TLSv1.3")
    assert judge is not None
    with pytest.raises(PolicyDenied):
        judge.permit()


@pytest.mark.parametrize(
    ("condition", "denied"),
    [
        ({"StringEquals": {"aws:username": "ann"}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::000000000000:user/ann"}}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.3"}}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.4"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-05-01T12:00:01Z"}}, False),
    ],
    ids=str,
)
async def test_a_policy_sees_the_clients_side(tmp_path: Path, condition: dict[str, object], denied: bool) -> None:
    judge = await _policies(tmp_path, {"Condition": condition}).judge(_request("GET", "/bucket/key"), "TLSv1.3")
    assert judge is not None
    if denied:
        with pytest.raises(PolicyDenied):
            judge.permit()
    else:
        assert judge.permit() == Permission(Effect.ALLOW)


async def test_a_preflight_is_nobodys(tmp_path: Path) -> None:
    """It has no identity to have a default, and asks for no action."""
    policies = _policies(tmp_path, {}, default=Effect.DENY)
    judge = await policies.judge(_request("OPTIONS", "/bucket/key", origin="https://app"), "TLSv1.3")
    assert judge is not None
    assert judge.permit() == Permission(Effect.ALLOW)


async def test_a_request_is_judged_by_one_state_of_the_files(tmp_path: Path) -> None:
    policies = _policies(tmp_path, {})
    judge = await policies.judge(_request("GET", "/bucket/key"), None)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    (tmp_path / "p.json").write_text(json.dumps({"Statement": allow}))
    policies.reload()
    assert judge is not None
    with pytest.raises(PolicyDenied):
        judge.permit()
    again = await policies.judge(_request("GET", "/bucket/key"), None)
    assert again is not None
    assert again.permit().rule == "p/0"
