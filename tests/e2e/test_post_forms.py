"""Browser forms: signed by boto3, sent as a browser sends them."""

import base64
import json
import random
from typing import Any

import pytest
import urllib3

from tests.e2e.stage import ENCRYPTIONS, ENFORCED_KMS, NONE, SSE_C, SSE_S3, Stage, expected_at_store, stored_encryption

_DATA = random.Random(3).randbytes(20 * 1024 * 1024)


def _form(
    stage: Stage,
    encryption: str,
    key: str,
    *,
    fields: dict[str, str] | None = None,
    conditions: list[Any] | None = None,
) -> tuple[str, dict[str, str]]:
    """URL and fields of a form that boto3 signed."""
    signed = stage.gateway.client(signature_version="s3v4").generate_presigned_post(
        stage.bucket(encryption), key, Fields=dict(fields or {}), Conditions=conditions or []
    )
    return signed["url"], signed["fields"]


def _send(
    stage: Stage, url: str, fields: dict[str, str], data: bytes, filename: str = "file.bin"
) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        parts: dict[str, Any] = {**fields, "file": (filename, data, "application/octet-stream")}
        return http.request("POST", url, fields=parts, redirect=False)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 - 1, 64 * 1024 + 1, len(_DATA)])
@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_a_form_writes_an_object_under_its_rules_encryption(stage: Stage, encryption: str, size: int) -> None:
    if size == len(_DATA) and encryption not in {SSE_C, NONE}:
        size //= 4
    key = f"post/{size} ä+%"
    url, fields = _form(stage, encryption, key)
    answer = _send(stage, url, fields, _DATA[:size])
    assert answer.status == 204, answer.data
    assert stage.client.get_object(Bucket=stage.bucket(encryption), Key=key)["Body"].read() == _DATA[:size]
    assert stored_encryption(stage, encryption, key) == expected_at_store(encryption)


@pytest.mark.parametrize("status", ["200", "201", "204"])
def test_a_form_chooses_the_status_of_its_success(stage: Stage, status: str) -> None:
    chosen = {"success_action_status": status}
    url, fields = _form(stage, SSE_S3, "chosen", fields=chosen, conditions=[chosen])
    answer = _send(stage, url, fields, b"x")
    assert answer.status == int(status)
    assert ((b"<PostResponse" in answer.data) and (b"<Key>chosen</Key>" in answer.data)) == (status == "201")


def test_a_form_sends_its_browser_on_after_success(stage: Stage) -> None:
    chosen = {"success_action_redirect": "https://example.com/done?from=form"}
    url, fields = _form(stage, SSE_C, "redirected", fields=chosen, conditions=[chosen])
    answer = _send(stage, url, fields, b"x")
    assert answer.status == 303
    location = answer.headers["Location"]
    assert location.startswith("https://example.com/done?from=form&bucket=")
    assert "key=redirected" in location


def test_fields_of_a_form_become_metadata_and_its_filename_the_key(stage: Stage) -> None:
    wanted = {"x-amz-meta-purpose": "form", "Content-Type": "text/x-form"}
    conditions = [{name: value} for name, value in wanted.items()]
    url, fields = _form(stage, SSE_C, "user/${filename}", fields=wanted, conditions=conditions)
    assert _send(stage, url, fields, b"named", filename="näme 1.txt").status == 204
    got = stage.client.get_object(Bucket=stage.bucket(SSE_C), Key="user/näme 1.txt")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"named", {"purpose": "form"}, "text/x-form")


@pytest.mark.parametrize(
    ("size", "code"),
    [(9, "EntityTooSmall"), (100_001, "EntityTooLarge"), (1_000_000, "EntityTooLarge"), (10, None), (100_000, None)],
)
def test_the_policys_length_range_is_kept(stage: Stage, size: int, code: str | None) -> None:
    key = f"range/{size}"
    url, fields = _form(stage, SSE_C, key, conditions=[["content-length-range", 10, 100_000]])
    answer = _send(stage, url, fields, _DATA[:size])
    if code is None:
        assert answer.status == 204
        return
    assert answer.status == 400
    assert f"<Code>{code}</Code>".encode() in answer.data
    assert "Contents" not in stage.client.list_objects_v2(Bucket=stage.bucket(SSE_C), Prefix=key)


def _widened(policy: str) -> str:
    """The same policy for any key."""
    document = json.loads(base64.b64decode(policy))
    document["conditions"] = [["starts-with", "$key", ""], *document["conditions"]]
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda fields: fields | {"policy": _widened(fields["policy"])}, b"SignatureDoesNotMatch"),
        (lambda fields: fields | {"x-amz-signature": "0" * 64}, b"SignatureDoesNotMatch"),
        (lambda fields: fields | {"key": "tampered/other"}, b"AccessDenied"),
        (lambda fields: fields | {"x-amz-meta-extra": "1"}, b"AccessDenied"),
        (lambda fields: {name: value for name, value in fields.items() if name != "policy"}, b""),
        (
            lambda fields: fields | {"x-amz-credential": "NOBODY/" + fields["x-amz-credential"].partition("/")[2]},
            b"AccessDenied",  # its own field no longer equals the policy's
        ),
    ],
    ids=["policy", "signature", "key", "field", "no-policy", "credential"],
)  # fmt: skip
def test_a_tampered_form_writes_nothing(stage: Stage, change: Any, code: bytes) -> None:
    url, fields = _form(stage, SSE_C, "tampered/own")
    answer = _send(stage, url, change(fields), b"evil")
    assert answer.status in {400, 403}
    assert code in answer.data or b"InvalidAccessKeyId" in answer.data
    assert "Contents" not in stage.client.list_objects_v2(Bucket=stage.bucket(SSE_C), Prefix="tampered/")


def test_an_expired_form_is_refused(stage: Stage) -> None:
    signed = stage.gateway.client(signature_version="s3v4").generate_presigned_post(
        stage.bucket(SSE_C), "expired", ExpiresIn=-10
    )
    answer = _send(stage, signed["url"], signed["fields"], b"late")
    assert answer.status == 403
    assert b"<Code>AccessDenied</Code>" in answer.data


@pytest.mark.parametrize(("encryption", "stored"), [(NONE, "sse-s3"), (ENFORCED_KMS, "sse-kms")])
def test_a_form_may_ask_for_an_encryption_where_the_rule_lets_it(stage: Stage, encryption: str, stored: str) -> None:
    asked = {"x-amz-server-side-encryption": "AES256"}
    url, fields = _form(stage, encryption, "asked", fields=asked, conditions=[asked])
    assert _send(stage, url, fields, b"x").status == 204
    assert stored_encryption(stage, encryption, "asked") == stored
