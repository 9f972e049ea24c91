"""What a request tells about its object, and what a copy takes from its source."""

from datetime import UTC, datetime

import pytest

from gateway.errors import S3Error
from gateway.policy.rules import EncryptionRule, ModeName, ObjectTraits
from gateway.policy.traits import media_type, new_object_traits
from gateway.redact import SecretStr
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.content_sha256 import UNSIGNED
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest

_NOW = datetime(2026, 5, 1, tzinfo=UTC)
_TAGS = EncryptionRule("tags", ("*",), (), ModeName.SSE_S3, tags=(("class", "*"),))
_TYPES = EncryptionRule("types", ("*",), (), ModeName.SSE_S3, content_types=("*",))
_BOTH = (_TAGS, _TYPES)
_SOURCE = ObjectTraits(None, {"class": "inherited"}, "image/inherited")
_COPY = {"x-amz-copy-source": "bucket/other"}
_GIVEN = {"x-amz-tagging": "class=given", "content-type": "text/given"}


def _verified(headers: dict[str, str]) -> VerifiedRequest:
    raw = RawRequest(
        "PUT", "/bucket/key", "", Headers((("host", "gateway"), *headers.items())), "https", "127.0.0.1", "0" * 16
    )
    identity = Identity("ann", Credential("SEALGATETEST00000001", SecretStr("x")))
    return VerifiedRequest(parse_request(raw, ()), identity, "REST-HEADER", "AWS4-HMAC-SHA256", UNSIGNED, None, _NOW)


@pytest.mark.parametrize(
    ("headers", "rules", "inherited", "expected"),
    [
        (_GIVEN, (), None, ObjectTraits("ann")),
        (_GIVEN, (_TAGS,), None, ObjectTraits("ann", {"class": "given"})),
        (_GIVEN, (_TYPES,), None, ObjectTraits("ann", None, "text/given")),
        ({}, _BOTH, None, ObjectTraits("ann", {}, "binary/octet-stream")),
        # Only a copy inherits.
        (_GIVEN, _BOTH, _SOURCE, ObjectTraits("ann", {"class": "given"}, "text/given")),
        (_COPY | _GIVEN, _BOTH, None, ObjectTraits("ann")),
        (_COPY | _GIVEN, _BOTH, _SOURCE, ObjectTraits("ann", {"class": "inherited"}, "image/inherited")),
        (
            _COPY | _GIVEN | {"x-amz-tagging-directive": "REPLACE"},
            _BOTH,
            _SOURCE,
            ObjectTraits("ann", {"class": "given"}, "image/inherited"),
        ),
        (
            _COPY | _GIVEN | {"x-amz-metadata-directive": "REPLACE"},
            _BOTH,
            _SOURCE,
            ObjectTraits("ann", {"class": "inherited"}, "text/given"),
        ),
    ],
)
def test_traits(
    headers: dict[str, str],
    rules: tuple[EncryptionRule, ...],
    inherited: ObjectTraits | None,
    expected: ObjectTraits,
) -> None:
    assert new_object_traits(_verified(headers), rules, inherited) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/html", "text/html"),
        (" Text/HTML ; charset=utf-8", "text/html"),
        ("", "binary/octet-stream"),
        (";", "binary/octet-stream"),
    ],
)
def test_media_type(value: str, expected: str) -> None:
    assert media_type(Headers((("content-type", value),))) == expected


def test_two_content_types_are_none() -> None:
    with pytest.raises(S3Error) as caught:
        media_type(Headers((("content-type", "a/b"), ("content-type", "c/d"))))
    assert caught.value.code == "InvalidRequest"
