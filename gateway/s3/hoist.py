"""Header fields that arrive as query parameters.

Signers of presigned URLs may move ``x-amz-*`` header fields into the query: Signature Version 2 moves them all, and
some SDKs do so under Version 4. S3 reads them in both places and refuses contradictions. Source: Amazon S3 API
Reference, "Authenticating requests: using query parameters".
"""

import re
from dataclasses import replace

from gateway.errors import S3Error
from gateway.s3.request import S3Request

#: Parameters that authenticate the request and therefore stay in the query, lower case.
AUTHENTICATION_PARAMETERS: frozenset[str] = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)

#: Checksums of the body. A URL is presigned before there is a body: SDKs put the checksum of an empty one into it, and
#: S3 does not check it (https://github.com/aws/aws-sdk-go-v2/issues/2610). As header fields they are checked.
IGNORED_PARAMETERS: frozenset[str] = frozenset(
    {
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "x-amz-sdk-checksum-algorithm",
    }
)

_FIELD_NAME = re.compile(r"x-amz-[a-z0-9!#$%&'*+.^_`|~-]+")
_NOT_IN_FIELD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def hoist_query(request: S3Request) -> S3Request:
    """A copy of ``request`` whose ``x-amz-*`` query parameters have become header fields, but for the ignored ones.

    To be called once the signature is verified, which covers the query as it was sent. The copy's ``raw`` has the
    merged header fields and lacks the moved parameters, so that a customer key in a URL goes no further.

    Raises:
        S3Error: InvalidRequest for values that contradict each other or that no header field can have.
    """
    if not request.query:
        return request
    moved = {name for name in request.query.names() if _is_header(name)}
    if not moved:
        return request
    fields: dict[str, str] = {}
    for name, value in request.query.items():
        if name in moved and name.lower() not in IGNORED_PARAMETERS:
            _add(fields, name.lower(), value.strip(" \t"))
    headers = request.raw.headers
    for name, value in fields.items():
        if any(sent.strip(" \t") != value for sent in headers.all(name)):
            raise _conflict()
    query = request.query.without(moved)
    merged = headers.replacing(fields.items())
    return replace(request, raw=replace(request.raw, headers=merged, raw_query=query.render()), query=query)


def _is_header(name: str) -> bool:
    lower = name.lower()
    return lower.startswith("x-amz-") and lower not in AUTHENTICATION_PARAMETERS


def _add(fields: dict[str, str], name: str, value: str) -> None:
    if not _FIELD_NAME.fullmatch(name) or _NOT_IN_FIELD_VALUE.search(value):
        raise S3Error("InvalidRequest", "A query parameter you provided is not a valid header.")
    if fields.setdefault(name, value) != value:
        raise _conflict()


def _conflict() -> S3Error:
    return S3Error("InvalidRequest", "Conflicting values provided in HTTP headers and query parameters")
