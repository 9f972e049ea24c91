"""The seven steps of a request, in order. Nothing else happens here.

1 transport  the listener refused plain HTTP already; what arrives here may be served
2 identity   who signed the request
3 policy     may it happen, on the request as it was received
4 default    which encryption the object gets
5 transform  what goes upstream: the handler's plan
6 upstream   signed again, sent over verified TLS
7 answer     S3's status, headers and body
"""

from aiohttp import web

from gateway.errors import GatewayError, S3Error
from gateway.policy.permission import PolicyDenied
from gateway.s3.authenticate import authenticate
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.server.authorization import authorize_request
from gateway.server.client_body import piece_bytes
from gateway.server.connection import ConnectionInfo
from gateway.server.early_answer import new_request_id
from gateway.server.exchange import Exchange
from gateway.server.handlers.call import Call
from gateway.server.handlers.dispatch import handler_of
from gateway.server.handlers.post_form import post_object
from gateway.server.respond import error_response
from gateway.server.services import Services


class Pipeline:
    """The data path of the gateway.

    Args:
        services: everything that requests are served with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._in_flight = 0

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        """Answer one request. Every outcome is counted and logged, a client that went away included."""
        services = self._services
        self._in_flight += 1
        exchange = Exchange(
            new_request_id(),
            connection.client_address,
            request.method,
            connection.tls_version,
            piece_bytes(self._in_flight),
        )
        services.metrics.request_begun()
        try:
            response = await self._answer(request, connection, exchange)
            exchange.note_status(response.status)
            return response
        finally:
            self._in_flight -= 1
            services.metrics.request_ended()
            services.metrics.request_done(exchange)
            services.access_log.write(exchange)

    async def _answer(
        self, http: web.BaseRequest, connection: ConnectionInfo, exchange: Exchange
    ) -> web.StreamResponse:
        try:
            return await self._serve(http, connection, exchange)
        except GatewayError as error:
            if isinstance(error, PolicyDenied):
                exchange.note_permission(error.permission)
                self._services.metrics.policies.decision(error.permission.effect, error.permission.counted_as)
            return error_response(
                error,
                exchange,
                method=http.method,
                resource=http.raw_path.partition("?")[0],
                close=not http.content.is_eof(),
            )

    async def _serve(self, http: web.BaseRequest, connection: ConnectionInfo, exchange: Exchange) -> web.StreamResponse:
        services = self._services
        request = parse_request(receive(http, connection, exchange.request_id), services.domains)
        exchange.note_request(request)
        if request.operation is Operation.POST_OBJECT:
            return await post_object(http, request, services, exchange)
        try:
            verified = authenticate(request, services.identities, services.now(), services.authentication)
        except S3Error as error:
            services.metrics.auth_failure(error.code)
            raise
        exchange.note_verified(verified)
        authorized = await authorize_request(verified, services, exchange)
        return await handler_of(authorized.request.operation)(Call(http, authorized, services, exchange))


def receive(http: web.BaseRequest, connection: ConnectionInfo, request_id: str) -> RawRequest:
    """The request as it was received, byte for byte."""
    raw_path, _, raw_query = http.raw_path.partition("?")
    return RawRequest(
        method=http.method,
        raw_path=raw_path,
        raw_query=raw_query,
        headers=Headers.received(http.raw_headers),
        scheme=connection.scheme,
        client_address=connection.client_address,
        request_id=request_id,
    )
