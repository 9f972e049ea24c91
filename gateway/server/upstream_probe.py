"""Whether the upstream server answers: what readiness asks."""

from gateway.errors import UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.server.services import Services
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_SERVER_ERROR = 500


async def probe_upstream(services: Services) -> None:
    """Ask the upstream for the list of buckets, as the first identity.

    A refusal is an answer: whoever may not list buckets can still store objects.

    Raises:
        UpstreamUnavailable: it does not answer, or answers with an error of its own.
    """
    identity = next(iter(services.identities.values()))
    request = UpstreamRequest(
        operation=Operation.LIST_BUCKETS,
        method="GET",
        bucket=None,
        raw_object_key=None,
        query=EMPTY_QUERY,
        headers=Headers(),
        body=EmptyBody(),
    )
    async with services.upstream.send(request, services.upstream_credentials[identity.name]) as answer:
        await answer.read(_MAX_ANSWER_BYTES)
        if answer.status >= _SERVER_ERROR:
            raise UpstreamUnavailable(f"the upstream server answers with status {answer.status}")
