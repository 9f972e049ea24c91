"""The HTTP client session that all requests to one upstream share: its pool, its TLS, its limits."""

import asyncio
import ssl
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection

from gateway.errors import ConfigError
from gateway.upstream.settings import UpstreamSettings

#: Longest line and field of an answer, in bytes. S3 returns at most 8 KiB of fields; other servers add their own.
MAX_LINE_BYTES = 64 * 1024
#: Most header fields of an answer: 2 KiB of user metadata can be hundreds of them.
MAX_FIELDS = 1024
#: Bytes of an answer that wait in memory for a slow client, before the connection is no longer read. aiohttp lets twice
#: as much arrive before it stops.
READ_BUFFER_BYTES = 128 * 1024

#: Fields that aiohttp would add by itself and that nobody signed or asked for.
_AUTOMATIC_FIELDS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class ConnectionBroken(Exception):
    """The connection was lost after the request may have been sent."""


def tls_context(settings: UpstreamSettings) -> ssl.SSLContext:
    """Verified TLS 1.2 or newer to the authorities that the settings name.

    Raises:
        ConfigError: the CA bundle can not be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError((f"ca_bundle: {settings.ca_bundle} can not be loaded: {error}",)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def open_session(
    settings: UpstreamSettings, context: ssl.SSLContext, resolver: AbstractResolver | None
) -> aiohttp.ClientSession:
    """The session of one upstream. aiohttp sets TCP_NODELAY on every connection; a test holds it to that."""
    connector = aiohttp.TCPConnector(
        ssl=context,
        limit=settings.max_connections,
        keepalive_timeout=settings.keepalive_seconds,
        resolver=resolver,
    )
    timeout = aiohttp.ClientTimeout(
        total=None,
        connect=settings.connect_timeout_seconds,
        sock_connect=settings.connect_timeout_seconds,
        sock_read=settings.first_byte_timeout_seconds,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTOMATIC_FIELDS,
        trust_env=False,
        read_bufsize=READ_BUFFER_BYTES,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
        max_headers=MAX_FIELDS,
        middlewares=(_one_attempt,),
        request_class=_Request,
    )


class _Request(aiohttp.ClientRequest):
    """A request that can be broken off."""

    _transport: asyncio.Transport | None = None

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send the request on ``conn``."""
        self._transport = conn.transport
        return await super().send(conn)

    def break_off(self) -> None:
        """Close the request's connection at once, see :func:`break_off`."""
        break_off(self._transport)


def break_off(transport: asyncio.Transport | None) -> None:
    """Close a connection at once.

    An orderly end of TLS waits up to 30 seconds for the peer's consent. Until then a server that is in the middle of an
    answer goes on sending, and one that waits for the rest of a body goes on waiting.
    """
    if transport is not None:
        transport.abort()


async def _one_attempt(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again by itself, and break the connection off when the request fails.

    aiohttp repeats GET, HEAD, PUT and DELETE once when the connection breaks, in the belief that they may be repeated.
    A conditional PUT may not, a streamed body can not, and what may be is for :mod:`gateway.upstream.retry` to decide.
    It does so on two of its own errors only, so they become an error of ours here.
    """
    try:
        return await handler(request)
    except BaseException as error:
        if isinstance(request, _Request):
            request.break_off()
        repeated = isinstance(error, (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError))
        if repeated and not isinstance(error, aiohttp.ClientConnectorError):
            raise ConnectionBroken(f"the connection broke: {error}") from error
        raise
