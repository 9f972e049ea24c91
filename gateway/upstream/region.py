"""Which region a bucket is in, learned from the upstream's own answers.

Redirects are never followed: a redirect would take signatures and customer keys to a host that nobody configured.
Only the name of a region is taken from an answer, checked for its form, and put into the configured endpoint.

Source: Amazon S3 API Reference, "Error responses" (PermanentRedirect, TemporaryRedirect, AuthorizationHeaderMalformed).
"""

import re
from collections import OrderedDict
from collections.abc import Mapping

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.xml import MAX_ERROR_BYTES, local_name, parse_xml
from gateway.upstream.settings import REGION_NAME

#: Buckets whose region is remembered.
MAX_BUCKETS = 10_000

_REGION_FIELD = "x-amz-bucket-region"
_MALFORMED = "AuthorizationHeaderMalformed"
#: The endpoints that S3 names in redirects: ``bucket.s3-eu-west-1.amazonaws.com`` and
#: ``bucket.s3.eu-west-1.amazonaws.com``.
_AWS_ENDPOINT = re.compile(r"(?:.+\.)?s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?", re.ASCII)


class RegionCache:
    """A bounded memory of buckets' regions; the bucket that was asked for longest ago goes first."""

    def __init__(self, limit: int = MAX_BUCKETS) -> None:
        self._limit = limit
        self._regions: OrderedDict[str, str] = OrderedDict()

    def region_of(self, bucket: str) -> str | None:
        """The region learned for ``bucket``, or None."""
        region = self._regions.get(bucket)
        if region is not None:
            self._regions.move_to_end(bucket)
        return region

    def learn(self, bucket: str, region: str) -> None:
        """Remember that ``bucket`` is in ``region``."""
        self._regions[bucket] = region
        self._regions.move_to_end(bucket)
        if len(self._regions) > self._limit:
            self._regions.popitem(last=False)

    def forget(self, bucket: str) -> None:
        """Forget ``bucket``: it may be created elsewhere next."""
        self._regions.pop(bucket, None)

    def __len__(self) -> int:
        return len(self._regions)


def is_redirect(status: int) -> bool:
    """Whether an answer sends the client elsewhere. 304 is no redirect."""
    return 300 <= status < 400 and status != 304


def region_told(headers: Headers) -> str | None:
    """The bucket's region that an answer's header fields tell, if any."""
    return _checked(headers.get(_REGION_FIELD))


def region_wanted(status: int, headers: Headers, body: bytes) -> str | None:
    """The region that a refusal asks for, or None when the answer is no refusal for a wrong region.

    Args:
        status: the HTTP status.
        headers: the header fields.
        body: the error document; empty for HEAD, whose answers tell the region in a header field only.
    """
    error = _error_elements(body)
    if status == 400 and body and error.get("Code") != _MALFORMED:
        return None
    if status != 400 and not is_redirect(status):
        return None
    return region_told(headers) or _checked(error.get("Region")) or _region_of_endpoint(error.get("Endpoint", ""))


def is_wrong_region(status: int, body: bytes) -> bool:
    """Whether an answer is a refusal because of the region or the host, which a client must not see."""
    return is_redirect(status) or (status == 400 and _error_elements(body).get("Code") == _MALFORMED)


def _error_elements(body: bytes) -> Mapping[str, str]:
    """The texts of an error document's elements; nothing when it is none."""
    if not body:
        return {}
    try:
        root = parse_xml(body, MAX_ERROR_BYTES)
    except S3Error:
        return {}
    return {local_name(element): element.text or "" for element in root}


def _region_of_endpoint(endpoint: str) -> str | None:
    match = _AWS_ENDPOINT.fullmatch(endpoint)
    return _checked(match[1]) if match else None


def _checked(name: str | None) -> str | None:
    return name if name and REGION_NAME.fullmatch(name) else None
