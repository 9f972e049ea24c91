"""The orderly end of a process: no new connections, running requests finish, the rest is broken off."""

import asyncio
from typing import Final

from gateway.event_log import get_logger
from gateway.server.listeners import Listeners
from gateway.server.serving import Serving

_log = get_logger("gateway.server.drain")

_POLL_SECONDS: Final = 0.02
#: How long handlers may take to clean up after their connection was broken off.
_CANCELLED_SECONDS: Final = 5.0


async def drain(listeners: Listeners, serving: Serving, seconds: float, at_once: asyncio.Event) -> None:
    """End all connections.

    Idle connections are closed at once. A connection that is serving a request closes after the answer, which says
    ``Connection: close`` where its headers were not sent yet.

    Args:
        listeners: closed first.
        serving: whose connections end.
        seconds: how long running requests may take.
        at_once: when set, nothing is waited for any longer.
    """
    listeners.close()
    _log.info("draining", connections=len(serving.table), requests=serving.admission.in_flight, seconds=seconds)
    await _wait_until_empty(serving, seconds, at_once)
    if broken_off := len(serving.table):
        _log.warning("connections_broken_off", connections=broken_off, requests=serving.admission.in_flight)
    for connection in serving.table.snapshot():
        connection.abort()
    await _wait_until_empty(serving, _CANCELLED_SECONDS, asyncio.Event())


async def _wait_until_empty(serving: Serving, seconds: float, at_once: asyncio.Event) -> None:
    """Wait until no connection and no request is left, or until there is no more time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while serving.table or serving.admission.in_flight:
        for connection in serving.table.snapshot():
            connection.finish()
        if at_once.is_set() or loop.time() >= deadline:
            return
        await asyncio.sleep(_POLL_SECONDS)
