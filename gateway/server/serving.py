"""What all listeners of one worker process share."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.observe.metrics import Metrics
from gateway.server.admission import Admission
from gateway.server.connection import ConnectionInfo
from gateway.server.limits import ConnectionTable, LimitSettings


class RequestHandler(Protocol):
    """The data path: everything that happens to a request after its listener accepted it."""

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        """Answer one request.

        It is cancelled when the client goes away. ``Expect: 100-continue`` was not answered yet. A body that stalls
        raises :class:`gateway.errors.S3Error` ``RequestTimeout`` from ``request.content``.
        """


@dataclass(frozen=True, slots=True)
class Serving:
    """The state and the counters of one worker process.

    Attributes:
        handler: the data path.
        limits: what clients may use.
        table: the open connections.
        admission: the requests under way, and those waiting for their turn.
        metrics: the counters.
    """

    handler: RequestHandler
    limits: LimitSettings
    table: ConnectionTable
    admission: Admission
    metrics: Metrics


def serving(handler: RequestHandler, limits: LimitSettings, metrics: Metrics) -> Serving:
    """The state of a process that just started."""
    return Serving(
        handler=handler,
        limits=limits,
        table=ConnectionTable(limits.max_connections),
        admission=Admission(limits.max_concurrent_requests, limits.queue_seconds),
        metrics=metrics,
    )
