"""Options of the S3 server behind the gateway."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.config.values import AbsolutePath, Region, RegionalUrl, Seconds, Section
from gateway.s3.operation import Operation
from gateway.upstream.settings import is_ip_address

_OPERATION_NAMES = frozenset(operation.value for operation in Operation)


def _known_operation(name: str) -> str:
    if name not in _OPERATION_NAMES:
        raise ValueError("is not the name of an S3 operation")
    return name


OperationName = Annotated[str, AfterValidator(_known_operation)]


class Upstream(Section):
    """The S3 server that requests continue to."""

    endpoint: RegionalUrl = Field(
        default="https://s3.{region}.amazonaws.com", description="URL of the server; `{region}` stands for the region."
    )
    region: Region = Field(default="us-east-1", description="Region requests are signed for.")
    addressing: Literal["path", "virtual-host"] = Field(
        default="path", description="Whether the bucket goes into the path or into the host name."
    )
    ca_bundle: AbsolutePath | None = Field(
        default=None, description="PEM file of the authorities its certificate may come from; unset: the system's."
    )
    payload: Literal["auto", "trailer", "unsigned"] = Field(
        default="auto",
        description="How uploads are protected on this hop: `trailer` adds a checksum after the body, or before "
        "it when the body is held whole and is more than 32 KiB; `unsigned` "
        "relies on TLS alone, as servers need that do not know trailers (Ceph RGW). `auto`: trailer for AWS only.",
    )
    copies: Literal["attempt", "stream"] = Field(
        default="attempt",
        description="Whether copies between encryptions are tried on the server first (`attempt`) or always go through "
        "the gateway (`stream`).",
    )
    refused_operations: tuple[OperationName, ...] = Field(
        default=(),
        description="S3 operations, such as `DeleteBucketEncryption`, that are refused with 501 because the server "
        "takes them for something else (Ceph RGW 16 takes that one for `DeleteBucket`).",
    )
    allow_insecure_plain_http_upstream: bool = Field(
        default=False, description="Whether an `http://` endpoint is used: data then crosses the network in clear."
    )
    connect_timeout_seconds: Seconds = Field(
        default=5.0, description="Longest wait for a connection, for a free one too."
    )
    first_byte_timeout_seconds: Seconds = Field(
        default=60.0, description="Longest wait for an answer to begin after the request was sent."
    )
    idle_timeout_seconds: Seconds = Field(
        default=60.0, description="Longest silence within a body in either direction."
    )
    maximum_connections: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=512, description="Most connections of one worker to the server."
    )
    keepalive_seconds: Seconds = Field(
        default=10.0,
        description="How long an unused connection is kept: less than the server keeps it, or writes fail at times.",
    )
    maximum_retries: Annotated[int, Field(ge=0, le=10)] = Field(
        default=3, description="Most repetitions of a request that may be sent twice without harm."
    )

    @property
    def is_aws(self) -> bool:
        """Whether the endpoint is Amazon's own."""
        return (urlsplit(self.endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))

    @property
    def is_tls(self) -> bool:
        """Whether connections to the endpoint are encrypted."""
        return self.endpoint.startswith("https://")

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if not self.is_tls and not self.allow_insecure_plain_http_upstream:
            yield "endpoint", "is plain HTTP: use https://, or allow_insecure_plain_http_upstream: true"
        if self.addressing == "virtual-host" and is_ip_address(urlsplit(self.endpoint).hostname or ""):
            yield (
                "addressing",
                "virtual-host needs an endpoint with a host name: no bucket can stand before an IP address",
            )
