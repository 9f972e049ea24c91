"""The Authorization header of Signature Version 4: its three components, its date, and S3's words for each fault."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import S3Error
from gateway.s3.authorization import parse_authorization, request_time
from gateway.s3.headers import Headers

NOW = datetime(2013, 5, 24, tzinfo=UTC)
CREDENTIAL = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
SIGNED = "SignedHeaders=host;x-amz-date"
SIGNATURE = f"Signature={'0' * 64}"
MALFORMED = "The authorization header is malformed;"


def headers_with(authorization: str, date: str = "20130524T000000Z") -> Headers:
    return Headers(
        [("authorization", authorization), ("x-amz-date", date), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
    )


def test_a_claim_has_what_the_header_says() -> None:
    headers = headers_with(f"AWS4-HMAC-SHA256 {CREDENTIAL}, {SIGNED}, {SIGNATURE}")
    claim = parse_authorization(headers.replacing([("x-amz-security-token", "token")]), NOW, 900)
    assert claim.scope.access_key_id == "AKIAIOSFODNN7EXAMPLE"
    assert claim.scope.region == "us-east-1"
    assert claim.signed_headers == ("host", "x-amz-date")
    assert claim.signature == "0" * 64
    assert claim.payload_hash == "UNSIGNED-PAYLOAD"
    assert claim.session_token is not None
    assert claim.session_token.reveal() == "token"
    assert "token'" not in repr(claim)


@pytest.mark.parametrize(
    "components",
    [
        (SIGNATURE, SIGNED, CREDENTIAL),
        (CREDENTIAL.replace("AKIAIOSFODNN7EXAMPLE", "tenant/user"), SIGNED, SIGNATURE),
    ],
)
def test_components_may_come_in_any_order_and_access_keys_may_hold_a_slash(components: tuple[str, ...]) -> None:
    claim = parse_authorization(headers_with(f"AWS4-HMAC-SHA256 {','.join(components)}"), NOW, 900)
    assert claim.scope.access_key_id in {"AKIAIOSFODNN7EXAMPLE", "tenant/user"}


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ((), f"{MALFORMED} the authorization component is malformed."),
        ((CREDENTIAL, SIGNED, "Signature"), f"{MALFORMED} the authorization component is malformed."),
        ((CREDENTIAL, SIGNED, SIGNATURE, SIGNATURE), f"{MALFORMED} the authorization component is malformed."),
        ((CREDENTIAL, SIGNED, SIGNATURE, "Extra=1"), f"{MALFORMED} the authorization component is malformed."),
        (
            (CREDENTIAL, SIGNED),
            (
                f"{MALFORMED} the authorization header requires three components: Credential, SignedHeaders, and "
                "Signature."
            ),
        ),
        (
            ("Credential=AKID/20130524/s3/aws4_request", SIGNED, SIGNATURE),
            f'{MALFORMED} the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        ),
        (
            ("Credential=/20130524/us-east-1/s3/aws4_request", SIGNED, SIGNATURE),
            f'{MALFORMED} the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        ),
        (
            (CREDENTIAL.replace("20130524", "201305240"), SIGNED, SIGNATURE),
            (
                f'{MALFORMED} incorrect date format "201305240". This date in the credential must be in the format '
                '"yyyyMMdd".'
            ),
        ),
        (
            (CREDENTIAL.replace("/s3/", "/s3express/"), SIGNED, SIGNATURE),
            f'{MALFORMED} incorrect service "s3express". This endpoint belongs to "s3".',
        ),
        (
            (CREDENTIAL.replace("aws4_request", "aws4"), SIGNED, SIGNATURE),
            f'{MALFORMED} incorrect terminal "aws4". This endpoint uses "aws4_request".',
        ),
        (
            (CREDENTIAL.replace("20130524", "20130523"), SIGNED, SIGNATURE),
            f'{MALFORMED} Invalid credential date "20130523". This date is not the same as X-Amz-Date: "20130524".',
        ),
    ],
)
def test_a_malformed_header_is_answered_as_s3_does(components: tuple[str, ...], message: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_authorization(headers_with(f"AWS4-HMAC-SHA256 {', '.join(components)}"), NOW, 900)
    assert (caught.value.code, caught.value.message) == ("AuthorizationHeaderMalformed", message)


@pytest.mark.parametrize(
    ("fields", "moment"),
    [
        ([("x-amz-date", "20130524T010203Z")], NOW + timedelta(hours=1, minutes=2, seconds=3)),
        ([("x-amz-date", "20130524T000000Z"), ("date", "Sat, 25 May 2013 00:00:00 GMT")], NOW),
        ([("date", "Fri, 24 May 2013 00:00:00 GMT")], NOW),
        ([("date", "Fri, 24 May 2013 02:00:00 +0200")], NOW),
        ([("date", "Fri, 24 May 2013 00:00:00 -0000")], NOW),
        ([("date", "20130524T000000Z")], NOW),
    ],
)
def test_the_time_of_a_request(fields: list[tuple[str, str]], moment: datetime) -> None:
    assert request_time(Headers(fields)) == moment


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("date", "")],
        [("date", "yesterday")],
        [("date", "Fri, 99 May 2013 00:00:00 GMT")],
        [("date", "Fri, 31 Dec 9999 23:59:59 -2359")],
        [("x-amz-date", "2013-05-24T00:00:00Z")],
        [("x-amz-date", "garbage"), ("date", "Fri, 24 May 2013 00:00:00 GMT")],
    ],
)
def test_a_request_without_a_valid_time_is_denied(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(S3Error) as caught:
        request_time(Headers(fields))
    assert caught.value.code == "AccessDenied"
    assert caught.value.message == "AWS authentication requires a valid Date or x-amz-date header"
