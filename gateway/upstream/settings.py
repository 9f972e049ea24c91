"""What one upstream S3 server is, and how the gateway speaks to it."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

Addressing = Literal["path", "virtual"]
PayloadStrategy = Literal["auto", "trailer", "unsigned"]

#: Stands for the region in an endpoint, such as ``https://s3.{region}.amazonaws.com``.
REGION_PLACEHOLDER: Final = "{region}"

#: The form of a region's name. Names that a server tells are held to it too, because they become part of a host name.
REGION_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)

#: Domains under which trailing checksums are known to work.
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn")

_MAX_RETRIES = 10

_PLAIN_HTTP = (
    "endpoint: a plain http:// upstream is refused, because objects and signatures would cross the network readable "
    "and changeable; allow_insecure_plain_http_upstream accepts that"
)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One upstream.

    Attributes:
        endpoint: ``https://host[:port]``; ``{region}`` in it is replaced by the region of the bucket asked for.
        region: the region that requests are signed for until a bucket turns out to be elsewhere.
        addressing: where the bucket goes: into the path, or in front of the host name.
        ca_bundle: a PEM file of the only authorities to trust; None for those of the system.
        payload: how a streamed body is protected. ``trailer`` sends a checksum behind it (AWS and recent servers),
            ``unsigned`` relies on TLS alone (every server), ``auto`` takes ``trailer`` for AWS and ``unsigned`` for
            others.
        connect_timeout_seconds: until a connection is there, waiting for a free one included.
        first_byte_timeout_seconds: from the last byte of the request to the head of the answer. Completing a large
            upload or copying a large object takes servers long.
        idle_timeout_seconds: without a byte of an answer's body, or without the server taking a byte of a request's.
        max_connections: connections open at a time; further requests wait for ``connect_timeout_seconds``.
        keepalive_seconds: how long an unused connection is kept. A server that closes an unused connection in the
            moment of its reuse makes a write fail that can not be repeated; 10 seconds is below what servers and
            balancers wait (15 s and more), so that the gateway is the one that closes.
        retries: further attempts after the first one, where a repetition is harmless.
        allow_insecure_plain_http_upstream: accept an ``http://`` endpoint. Objects and signatures then cross the
            network readable and changeable. Customer keys (SSE-C) are not sent to such an upstream even so.
    """

    endpoint: str
    region: str = "us-east-1"
    addressing: Addressing = "path"
    ca_bundle: Path | None = None
    payload: PayloadStrategy = "auto"
    connect_timeout_seconds: float = 5.0
    first_byte_timeout_seconds: float = 60.0
    idle_timeout_seconds: float = 60.0
    max_connections: int = 512
    keepalive_seconds: float = 10.0
    retries: int = 3
    allow_insecure_plain_http_upstream: bool = False

    @property
    def uses_tls(self) -> bool:
        """Whether the endpoint is an ``https`` one."""
        return self.endpoint.lower().startswith("https://")

    @property
    def names_region(self) -> bool:
        """Whether the endpoint differs by region."""
        return REGION_PLACEHOLDER in self.endpoint

    @property
    def sends_trailers(self) -> bool:
        """Whether streamed bodies carry a trailing checksum."""
        if self.payload != "auto":
            return self.payload == "trailer"
        host = urlsplit(self.endpoint).hostname or ""
        return host.endswith(_AWS_DOMAINS)

    def faults(self) -> tuple[str, ...]:
        """Everything that makes these settings unusable, each fault with the option it concerns; empty when sound."""
        found = [*self._endpoint_faults()]
        if REGION_NAME.fullmatch(self.region) is None:
            found.append(f"region: {self.region!r} is not the name of a region")
        found.extend(
            f"{name}_seconds: must be more than 0"
            for name in ("connect_timeout", "first_byte_timeout", "idle_timeout", "keepalive")
            if not getattr(self, f"{name}_seconds") > 0
        )
        if self.max_connections < 1:
            found.append("max_connections: must be at least 1")
        if not 0 <= self.retries <= _MAX_RETRIES:
            found.append(f"retries: must be from 0 to {_MAX_RETRIES}")
        return tuple(found)

    def _endpoint_faults(self) -> list[str]:
        if self.endpoint.count(REGION_PLACEHOLDER) > 1:
            return ["endpoint: {region} may occur once"]
        try:
            parts = urlsplit(self.endpoint.replace(REGION_PLACEHOLDER, "us-east-1"))
            sound = bool(parts.hostname) and parts.port != 0 and _is_origin(parts)
        except ValueError:
            return ["endpoint: not a URL"]
        if parts.scheme not in {"https", "http"} or not sound:
            return ["endpoint: must be https://host or https://host:port, without user, path or query"]
        if parts.scheme == "http" and not self.allow_insecure_plain_http_upstream:
            return [_PLAIN_HTTP]
        return []


def is_ip_address(host: str) -> bool:
    """Whether ``host`` is an IP address rather than a name; brackets around IPv6 are allowed."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_origin(parts: SplitResult) -> bool:
    """Whether a URL consists of a scheme, a host and perhaps a port."""
    plain = re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", parts.netloc, re.ASCII) is not None
    return plain and parts.path in {"", "/"} and not parts.query and not parts.fragment
