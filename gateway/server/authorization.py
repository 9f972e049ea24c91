"""Steps three and four for whoever serves a request: decide, and remember what let it happen."""

from functools import partial

from gateway.policy.authorize import AuthorizedRequest, DependsOnSource, authorize
from gateway.policy.permission import Judge
from gateway.s3.authenticate import VerifiedRequest
from gateway.server.exchange import Exchange
from gateway.server.services import Services
from gateway.server.source_traits import source_traits


async def authorize_request(verified: VerifiedRequest, services: Services, exchange: Exchange) -> AuthorizedRequest:
    """The request, when it may go upstream.

    Raises:
        GatewayError: as :func:`~gateway.policy.authorize.authorize`, or a bucket's policy can not be read.
    """
    judge = None
    if services.policies is not None:
        judge = await services.policies.judge(verified, exchange.tls_version)
    authorized = await _authorized(verified, services, judge)
    exchange.note_authorized(authorized)
    services.metrics.policies.decision(authorized.permission.effect, authorized.permission.counted_as)
    return authorized


async def _authorized(verified: VerifiedRequest, services: Services, judge: Judge | None) -> AuthorizedRequest:
    """The decision; the source of a copy is asked only where the rule depends on it, and after the policies."""
    decide = partial(authorize, verified, services.rules, services.refused_operations, judge)
    try:
        return decide()
    except DependsOnSource:
        inherited = await source_traits(verified, services)
        return decide(inherited)
