"""Where a request goes: the URL of a bucket or an object on the upstream.

Keys keep their bytes. They are sent in the one encoding that servers that compare raw paths and servers that decode and
encode again both verify: everything but ``A-Za-z0-9-_.~/`` is percent-encoded. ``//``, ``.`` and ``..`` are parts of
a key like any other and stay. Source: "Signature Calculations for the Authorization Header" (Amazon S3 API
Reference), UriEncode.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes, urlsplit

from gateway.s3.query import Query
from gateway.upstream.connecting import Origin
from gateway.upstream.settings import REGION_PLACEHOLDER, UpstreamSettings, is_ip_address

_DEFAULT_PORTS = {"https": 443, "http": 80}
_UNRESERVED = "-_.~"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9\-_.~/]*", re.ASCII)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9\-_.~]*", re.ASCII)
#: A bucket's name that may stand in a host name. Source: Amazon S3 User Guide, "Bucket naming rules".
_HOST_LABELS = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Location:
    """Where one request goes.

    Attributes:
        origin: the server.
        host: the value of the ``Host`` field, without a default port.
        path: the encoded path.
        query: the encoded query, without ``?``.
        target: path and query as they are sent.
    """

    origin: Origin
    host: str
    path: str
    query: str
    target: str


class Endpoint:
    """The addresses of one upstream.

    Args:
        settings: without faults.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        parts = urlsplit(settings.endpoint)
        self._scheme = parts.scheme
        self._authority = _without_default_port(parts.netloc.lower(), parts.scheme)
        name = self._authority.rsplit(":", 1)[0] if not self._authority.endswith("]") else self._authority
        self._virtual = settings.addressing == "virtual" and not is_ip_address(name)

    def locate(self, bucket: str | None, raw_object_key: str | None, query: Query, region: str) -> Location:
        """The address of a bucket or an object, or of the server itself when ``bucket`` is None.

        Args:
            bucket: the bucket's name.
            raw_object_key: the object key percent-encoded in any way; None for the bucket itself.
            query: the query parameters.
            region: the bucket's region.
        """
        host = self._authority.replace(REGION_PLACEHOLDER, region)
        path = "/" if raw_object_key is None else "/" + encode_key(raw_object_key)
        if bucket is not None:
            if self._virtual and self._may_be_host(bucket):
                host = f"{bucket}.{host}"
            else:
                path = "/" + encode_key(bucket) + (path if raw_object_key is not None else "")
        rendered = encode_query(query)
        target = f"{path}?{rendered}" if rendered else path
        return Location(_origin(host, self._scheme), host, path, rendered, target)

    def _may_be_host(self, bucket: str) -> bool:
        """Whether a bucket's name can be part of the host name; with TLS no dots: a wildcard covers one label."""
        return _HOST_LABELS.fullmatch(bucket) is not None and not (self._scheme == "https" and "." in bucket)


def encode_key(raw: str) -> str:
    """An object key's bytes in canonical encoding; ``raw`` is percent-encoded in any way, or not at all."""
    if _PLAIN_KEY.fullmatch(raw):
        return raw
    return quote(unquote_to_bytes(raw.encode("utf-8", "surrogateescape")), safe=_UNRESERVED + "/")


def encode_query(query: Query) -> str:
    """The query in canonical encoding, order and names without a value kept; ``+`` is a space, as S3 reads it."""
    if not query:
        return ""
    return "&".join(
        _encode_value(name) if value is None else f"{_encode_value(name)}={_encode_value(value)}"
        for name, value in query.pairs
    )


def _encode_value(raw: str) -> str:
    if _PLAIN_VALUE.fullmatch(raw):
        return raw
    return quote(unquote_to_bytes(raw.replace("+", " ").encode("utf-8", "surrogateescape")), safe=_UNRESERVED)


@lru_cache(maxsize=1024)
def _origin(authority: str, scheme: str) -> Origin:
    parts = urlsplit(f"//{authority}")
    if not parts.hostname:
        raise AssertionError("internal error: an endpoint without a host")
    return Origin(parts.hostname, parts.port or _DEFAULT_PORTS[scheme], scheme == "https")


def _without_default_port(authority: str, scheme: str) -> str:
    return authority.removesuffix(f":{_DEFAULT_PORTS[scheme]}").removesuffix(":")
