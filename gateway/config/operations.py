"""Options of running the gateway: limits, admin listener, log."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.values import Address, Port, Seconds, Section


class Limits(Section):
    """What one worker process gives to its clients at most."""

    maximum_header_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = Field(
        default=65_536,
        description="Largest header section of a request. S3 itself takes 8 KiB of header fields.",
    )
    maximum_header_count: Annotated[int, Field(ge=16, le=1000)] = Field(
        default=100, description="Most header fields of a request."
    )
    maximum_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=4096, description="Most client connections of one worker at a time."
    )
    maximum_concurrent_requests: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1024,
        description="Most requests of one worker under way at a time; further ones wait for their turn.",
    )
    queue_timeout_seconds: Seconds = Field(
        default=2.0,
        description="Wait of a request for its turn after which it gets 503 SlowDown, which SDKs retry.",
    )
    header_timeout_seconds: Seconds = Field(
        default=15.0, description="Longest time for a request's header section to arrive, TLS handshake included."
    )
    idle_timeout_seconds: Seconds = Field(
        default=60.0,
        description="Longest silence between two requests, and longest time in which a reader takes nothing.",
    )
    body_timeout_seconds: Seconds = Field(default=60.0, description="Longest silence within the body of a request.")
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=30.0, description="After SIGTERM: longest time for running requests to end before they are broken off."
    )


class Admin(Section):
    """The listener of `/livez`, `/readyz` and `/metrics`: plain HTTP, no secrets, no S3."""

    address: Address = Field(default="127.0.0.1", description="IP address to listen on.")
    port: Port = Field(default=9090, description="TCP port.")
    probe_timeout_seconds: Seconds = Field(
        default=3.0, description="Longest wait of `/readyz` for the upstream, and for each vault."
    )


class Log(Section):
    """The log, on standard error, and the access log, on standard output."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severity written.")
    format: Literal["json", "console"] = Field(default="json", description="JSON lines, or colours for a person.")
    access_log: bool = Field(default=True, description="Whether every request gets a JSON line on standard output.")
