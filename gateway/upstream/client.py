"""The client of one upstream S3 server: signs, sends, repeats where that is harmless, and finds a bucket's region.

It never follows a redirect, never sends a customer key over a connection that is not TLS, and never repeats a write
that the server may have applied unless doing it twice is the same as doing it once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp.abc import AbstractResolver

from gateway.errors import ConfigError, S3Error, UpstreamUnavailable
from gateway.s3.encryption_headers import COPY_SSE_C_KEY, SSE_C_KEY
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import MAX_ERROR_BYTES
from gateway.upstream.body import EmptyBody, StreamedBody
from gateway.upstream.connecting import tls_context
from gateway.upstream.exchange import Exchange, Failure, exchange
from gateway.upstream.observer import SilentObserver, UpstreamObserver
from gateway.upstream.pool import ConnectionPool
from gateway.upstream.refreshing import CredentialSource
from gateway.upstream.region import RegionCache, is_redirect, is_wrong_region, region_told, region_wanted
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.retry import RETRIABLE_STATUSES, Fault, pause_seconds, repeatable, replayable
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.signing import choose_framing, sign_request
from gateway.upstream.urls import Endpoint

#: Header fields that carry a customer's key.
_CUSTOMER_KEY_FIELDS = (SSE_C_KEY, COPY_SSE_C_KEY)
_RETRY_SOON = (("Retry-After", "1"),)


class UpstreamClient:
    """One upstream and its connections. Usable between :meth:`start` and :meth:`close`.

    Args:
        settings: the upstream.
        observer: told about every attempt.
        clock: the current time, aware.
        chance: random numbers from 0 to 1, for the pauses between attempts.
        resolver: finds the addresses of host names; None asks the system.

    Raises:
        ConfigError: the settings have faults, or the CA bundle can not be read.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        observer: UpstreamObserver | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        resolver: AbstractResolver | None = None,
    ) -> None:
        faults = settings.faults()
        if faults:
            raise ConfigError(faults)
        self._settings = settings
        self._sends_trailers = settings.sends_trailers
        self._observer: UpstreamObserver = observer or SilentObserver()
        self._clock = clock
        self._chance = chance
        self._resolver = resolver
        self._tls = tls_context(settings)
        self._endpoint = Endpoint(settings)
        self._regions = RegionCache()
        self._probes: dict[str, asyncio.Lock] = {}
        self._pool: ConnectionPool | None = None

    async def start(self) -> None:
        """Open the pool. No connection is made yet."""
        if self._pool is None:
            self._pool = ConnectionPool(self._settings, self._tls, self._resolver)

    async def close(self) -> None:
        """Close every connection, those in use included."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, credentials: CredentialSource | None
    ) -> AsyncIterator[UpstreamResponse]:
        """Send ``request``; the answer is valid inside the ``async with`` block.

        Leaving the block before the answer was read to its end closes the connection.

        Args:
            request: what to ask.
            credentials: what to sign with; None leaves the request unsigned, as a CORS preflight is.

        Raises:
            S3Error: the request can not be sent, or its region can not be served. Whatever the source of a streamed
                body raised comes out unchanged.
            UpstreamUnavailable: the server gave no answer.
        """
        _refuse_key_without_tls(request, self._settings)
        answered = await self._answered(request, credentials)
        try:
            if answered.response.status < 300:
                self._observer.on_success(request.operation, request.headers, answered.response.headers)
            yield answered.response
        finally:
            answered.close()

    async def _answered(self, request: UpstreamRequest, credentials: CredentialSource | None) -> Exchange:
        """The answer to ``request`` from the region that its bucket is in."""
        region = await self._region_for(request, credentials)
        answered = await self._persist(request, credentials, region)
        wanted = await self._region_wanted(request, answered, region)
        if wanted is not None and replayable(request, body_touched=answered.body_touched):
            await answered.discard()
            answered = await self._persist(request, credentials, wanted)
            wanted = await self._region_wanted(request, answered, wanted)
        if wanted is not None:
            await answered.discard()
            raise S3Error(
                "ServiceUnavailable",
                "The bucket's region has just been learned. Please try again.",
                headers=_RETRY_SOON,
            )
        return answered

    async def _persist(self, request: UpstreamRequest, credentials: CredentialSource | None, region: str) -> Exchange:
        """The answer to ``request``, after as many attempts as are harmless and wanted."""
        for retry in range(self._settings.retries):
            outcome = await self._attempt(request, credentials, region)
            reason = _reason_to_repeat(request, outcome)
            if reason is None:
                return _answer_of(outcome)
            if isinstance(outcome, Exchange):
                await outcome.discard()
            self._observer.on_retry(request.operation.value, reason)
            await asyncio.sleep(pause_seconds(retry, self._chance()))
        return _answer_of(await self._attempt(request, credentials, region))

    async def _attempt(
        self, request: UpstreamRequest, credentials: CredentialSource | None, region: str
    ) -> Exchange | Failure:
        """Sign ``request`` for ``region`` and send it once."""
        credential = None if credentials is None else await credentials.current()
        pool = self._pool
        if pool is None:
            raise UpstreamUnavailable("the gateway is shutting down")
        framing = choose_framing(request, sends_trailers=self._sends_trailers, over_tls=self._settings.uses_tls)
        location = self._endpoint.locate(request.bucket, request.raw_object_key, request.query, region)
        headers = sign_request(request, framing, location, credential=credential, region=region, now=self._clock())
        return await exchange(pool, self._settings, self._observer, request, framing, location, headers)

    async def _region_for(self, request: UpstreamRequest, credentials: CredentialSource | None) -> str:
        """The region to sign for: the bucket's, as far as it is known or has to be.

        A streamed body can not be sent again after a refusal, so its bucket's region is asked for first.
        """
        bucket = request.bucket
        if bucket is None or request.operation is Operation.CREATE_BUCKET:
            return self._settings.region
        known = self._regions.region_of(bucket)
        if known is not None:
            return known
        if self._settings.names_region and isinstance(request.body, StreamedBody):
            await self._probe(bucket, credentials)
        return self._regions.region_of(bucket) or self._settings.region

    async def _probe(self, bucket: str, credentials: CredentialSource | None) -> None:
        """Learn the region of ``bucket``; one question at a time for each bucket."""
        lock = self._probes.setdefault(bucket, asyncio.Lock())
        async with lock:
            try:
                if self._regions.region_of(bucket) is None:
                    await self._ask_region(bucket, credentials)
            finally:
                self._probes.pop(bucket, None)

    async def _ask_region(self, bucket: str, credentials: CredentialSource | None) -> None:
        head = UpstreamRequest(Operation.HEAD_BUCKET, "HEAD", bucket, None, EMPTY_QUERY, Headers(), EmptyBody())
        region = self._settings.region
        outcome = await self._attempt(head, credentials, region)
        if isinstance(outcome, Failure):
            return  # the request itself will find out
        told = region_told(outcome.response.headers)
        if told is not None or outcome.response.status < 300:
            self._regions.learn(bucket, told or region)
        await outcome.discard()

    async def _region_wanted(self, request: UpstreamRequest, answered: Exchange, region: str) -> str | None:
        """The region that ``request`` should have been signed for, or None when ``region`` was accepted.

        Raises:
            S3Error: the bucket is where the configured endpoint does not reach.
        """
        response = answered.response
        if response.status != 400 and not is_redirect(response.status):
            self._note_region(request, response.status, region)
            return None
        try:
            body = b"" if request.method == "HEAD" else await response.peek(MAX_ERROR_BYTES)
            wanted = region_wanted(response.status, response.headers, body)
            if wanted not in {None, region} and (response.status == 400 or self._settings.names_region):
                if request.bucket is not None:
                    self._regions.learn(request.bucket, wanted)
                return wanted
            if is_wrong_region(response.status, body):
                raise S3Error("InvalidRequest", "The bucket is not in a region that this gateway's upstream serves.")
        except BaseException:
            answered.close()
            raise
        return None

    def _note_region(self, request: UpstreamRequest, status: int, region: str) -> None:
        """Remember what a success says about a bucket's region."""
        if request.bucket is None or status >= 300:
            return
        if request.operation is Operation.DELETE_BUCKET:
            self._regions.forget(request.bucket)
        elif self._settings.names_region and request.operation is not Operation.CREATE_BUCKET:
            self._regions.learn(request.bucket, region)


def _reason_to_repeat(request: UpstreamRequest, outcome: Exchange | Failure) -> str | None:
    """Why ``request`` should be sent again, or None when it should or must not."""
    if isinstance(outcome, Failure):
        return outcome.fault.value if repeatable(request, outcome.fault, body_touched=outcome.body_touched) else None
    status = outcome.response.status
    if status in RETRIABLE_STATUSES and repeatable(request, Fault.ANSWER, body_touched=outcome.body_touched):
        return str(status)
    return None


def _answer_of(outcome: Exchange | Failure) -> Exchange:
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def _refuse_key_without_tls(request: UpstreamRequest, settings: UpstreamSettings) -> None:
    """Keep customer keys off connections that are not TLS, whatever else was allowed.

    Raises:
        S3Error: InvalidRequest.
    """
    if not settings.uses_tls and any(name in request.headers for name in _CUSTOMER_KEY_FIELDS):
        raise S3Error(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "
            "connection.",
        )
