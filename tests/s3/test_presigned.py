"""The parameters of presigned URLs: what each must be, and S3's own words when it is not."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.presigned import MAX_EXPIRES_SECONDS, is_presigned, parse_presigned
from gateway.s3.query import Query

NOW = datetime(2013, 5, 24, tzinfo=UTC)
CODE = "AuthorizationQueryParametersError"
GOOD = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
    "X-Amz-Date": "20130524T000000Z",
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "0" * 64,
}
MISSING = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
    "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


def query_of(**changes: str | None) -> Query:
    values = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return Query.parse(
        "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value is not None)
    )


def refusal(query: Query, now: datetime = NOW, headers: Headers = Headers()) -> S3Error:  # noqa: B008 - immutable
    with pytest.raises(S3Error) as caught:
        parse_presigned(query, headers, now, 900)
    return caught.value


def test_a_claim_has_what_the_url_says() -> None:
    claim = parse_presigned(query_of(X_Amz_SignedHeaders="Range;host"), Headers(), NOW, 900)
    assert claim.scope.access_key_id == "AKIAIOSFODNN7EXAMPLE"
    assert claim.scope.render() == "20130524/us-east-1/s3/aws4_request"
    assert claim.timestamp == "20130524T000000Z"
    assert claim.signed_headers == ("host", "range")
    assert claim.signature == "0" * 64
    assert claim.payload_hash == "UNSIGNED-PAYLOAD"
    assert claim.session_token is None
    assert claim.unsigned_parameters == {"X-Amz-Signature"}


@pytest.mark.parametrize("name", GOOD)
def test_every_parameter_is_required(name: str) -> None:
    query = query_of(**{name.replace("-", "_"): None})
    assert is_presigned(query)
    error = refusal(query)
    assert (error.code, error.message) == (CODE, MISSING)


@pytest.mark.parametrize("name", [*GOOD, "X-Amz-Security-Token", "X-Amz-Content-Sha256"])
def test_no_parameter_may_be_repeated(name: str) -> None:
    values = GOOD | {"X-Amz-Security-Token": "t", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
    twice = Query.parse("&".join(f"{each}={quote(values[each], safe='')}" for each in [*values, name]))
    error = refusal(twice)
    assert (error.code, error.message) == (CODE, f"{name} must be given once.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X_Amz_Algorithm": "AWS4-HMAC-SHA512"}, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"'),
        (
            {"X_Amz_Credential": "AKID/20130524/us-east-1/s3"},
            (
                "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
                '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
            ),
        ),
        (
            {"X_Amz_Credential": "AKID/2013-05-24/us-east-1/s3/aws4_request"},
            (
                'Error parsing the X-Amz-Credential parameter; incorrect date format "2013-05-24". This date in the '
                'credential must be in the format "yyyyMMdd".'
            ),
        ),
        (
            {"X_Amz_Credential": "AKID/20130524/us-east-1/ec2/aws4_request"},
            'Error parsing the X-Amz-Credential parameter; incorrect service "ec2". This endpoint belongs to "s3".',
        ),
        (
            {"X_Amz_Credential": "AKID/20130524/us-east-1/s3/aws5_request"},
            (
                'Error parsing the X-Amz-Credential parameter; incorrect terminal "aws5_request". This endpoint uses '
                '"aws4_request".'
            ),
        ),
        (
            {"X_Amz_Credential": "AKID/20130523/us-east-1/s3/aws4_request"},
            'Invalid credential date "20130523". This date is not the same as X-Amz-Date: "20130524".',
        ),
        (
            {"X_Amz_Date": "2013-05-24T00:00:00Z"},
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ),
        ({"X_Amz_Expires": ""}, "X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": "1h"}, "X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": "1.5"}, "X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": "٣"}, "X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": "9" * 100}, "X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": "-1"}, "X-Amz-Expires must be non-negative"),
        ({"X_Amz_Expires": "0"}, "X-Amz-Expires must be at least 1 second"),
        (
            {"X_Amz_Expires": "604801"},
            (
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                "than 604800 seconds"
            ),
        ),
    ],
)
def test_a_bad_parameter_is_answered_as_s3_does(changes: dict[str, str], message: str) -> None:
    error = refusal(query_of(**changes))
    assert (error.code, error.status, error.message) == (CODE, 400, message)


def test_signature_version_4a_is_not_implemented() -> None:
    assert refusal(query_of(X_Amz_Algorithm="AWS4-ECDSA-P256-SHA256")).code == "NotImplemented"


@pytest.mark.parametrize("expires", [1, 900, MAX_EXPIRES_SECONDS])
def test_a_url_lasts_as_long_as_it_says_and_not_a_second_longer(expires: int) -> None:
    query = query_of(X_Amz_Expires=str(expires))
    end = NOW + timedelta(seconds=expires)
    parse_presigned(query, Headers(), end, 900)
    error = refusal(query, end + timedelta(seconds=1))
    assert (error.code, error.status, error.message) == ("AccessDenied", 403, "Request has expired")
    assert error.details == (
        ("X-Amz-Expires", str(expires)),
        ("Expires", end.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("ServerTime", (end + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")),
    )


def test_a_url_may_be_used_a_quarter_of_an_hour_before_its_time_and_not_sooner() -> None:
    parse_presigned(query_of(), Headers(), NOW - timedelta(seconds=900), 900)
    error = refusal(query_of(), NOW - timedelta(seconds=901))
    assert (error.code, error.message) == ("AccessDenied", "Request is not yet valid")
    assert error.details == (
        ("X-Amz-Date", "1369353600000"),
        ("Expires", "2013-05-25T00:00:00Z"),
        ("ServerTime", "2013-05-23T23:44:59Z"),
    )


def test_the_end_of_the_calendar_is_no_reason_to_fail() -> None:
    late = query_of(X_Amz_Date="99991231T235959Z", X_Amz_Credential="AKID/99991231/r/s3/aws4_request")
    assert refusal(late).message == "Request is not yet valid"


@pytest.mark.parametrize(
    ("in_query", "in_headers", "taken"),
    [
        (None, None, "UNSIGNED-PAYLOAD"),
        ("UNSIGNED-PAYLOAD", None, "UNSIGNED-PAYLOAD"),
        (None, "ab" * 32, "ab" * 32),
        ("ab" * 32, "ab" * 32, "ab" * 32),
    ],
)
def test_the_payload_hash_may_stand_in_either_place(in_query: str | None, in_headers: str | None, taken: str) -> None:
    headers = Headers([] if in_headers is None else [("x-amz-content-sha256", in_headers)])
    assert parse_presigned(query_of(X_Amz_Content_Sha256=in_query), headers, NOW, 900).payload_hash == taken


def test_two_different_payload_hashes_are_refused() -> None:
    headers = Headers([("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])
    assert refusal(query_of(X_Amz_Content_Sha256="ab" * 32), headers=headers).code == "InvalidRequest"


@pytest.mark.parametrize(
    ("in_query", "in_headers", "taken"), [("q", None, "q"), (None, "h", "h"), ("q", "h", "q"), ("", "h", "")]
)
def test_the_session_token_may_stand_in_either_place(in_query: str | None, in_headers: str | None, taken: str) -> None:
    headers = Headers([] if in_headers is None else [("x-amz-security-token", in_headers)])
    claim = parse_presigned(query_of(X_Amz_Security_Token=in_query), headers, NOW, 900)
    assert claim.session_token is not None
    assert claim.session_token.reveal() == taken
    assert taken == "" or taken not in repr(claim.session_token)


@pytest.mark.parametrize("raw_query", ["", "prefix=X-Amz-Signature", "x-amz-expires-after=1", "versionId=1"])
def test_other_queries_are_not_presigned(raw_query: str) -> None:
    assert not is_presigned(Query.parse(raw_query))
