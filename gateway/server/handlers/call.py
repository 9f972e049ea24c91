"""What the handlers share: one authorised request and the way upstream."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from aiohttp import web

from gateway.errors import S3Error
from gateway.modes.plan import Plan
from gateway.policy.authorize import AuthorizedRequest
from gateway.policy.rules import ModeName
from gateway.s3.encryption_headers import SSE_C_ALGORITHM
from gateway.s3.request import S3Request
from gateway.server.exchange import Exchange
from gateway.server.services import Services
from gateway.upstream.body import Body, EmptyBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

#: The largest XML or JSON document that is read from a client or from upstream, bytes. CompleteMultipartUpload with
#: 10,000 parts and a SHA-256 checksum each stays below 3 MiB.
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
#: The largest error answer that is read from upstream, bytes.
MAX_ERROR_BYTES = 64 * 1024

_EMPTY = EmptyBody()


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request on its way through a handler."""

    http: web.BaseRequest
    authorized: AuthorizedRequest
    services: Services
    exchange: Exchange
    #: The S3 request. Handlers look at it a dozen times.
    request: S3Request = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "request", self.authorized.verified.request)

    @property
    def bucket(self) -> str:
        """The bucket's name; only for operations about a bucket or an object."""
        if self.request.bucket is None:
            raise AssertionError("internal error: an operation without a bucket")
        return self.request.bucket

    @property
    def object_key(self) -> str:
        """The decoded object key; only for operations about an object."""
        if self.request.object_key is None:
            raise AssertionError("internal error: an operation without an object key")
        return self.request.object_key

    def send(
        self, plan: Plan, body: Body = _EMPTY, *, payload_sha256: str | None = None
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Send a plan upstream.

        Args:
            plan: what to send.
            body: its body.
            payload_sha256: the body's SHA-256 in hexadecimal, when the client stated it.
        """
        request = plan.request
        return self.send_request(
            UpstreamRequest(
                operation=request.operation,
                method=request.raw.method,
                bucket=request.bucket,
                raw_object_key=request.raw_object_key,
                query=plan.query,
                headers=plan.headers,
                body=body,
                payload_sha256=payload_sha256,
            )
        )

    def send_request(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request that the gateway made itself."""
        identity = self.authorized.verified.identity
        credentials = None if identity is None else self.services.upstream_credentials[identity.name]
        return self.services.upstream.send(request, credentials)

    def note_answer(self, answer: UpstreamResponse) -> None:
        """Remember the upstream's answer for the access log."""
        self.exchange.upstream_status = answer.status
        self.exchange.upstream_request_id = answer.headers.get("x-amz-request-id")


def is_success(status: int) -> bool:
    """Whether an HTTP status is a success."""
    return 200 <= status < 300


def require_proof(call: Call, mode: ModeName, *, proven: bool) -> None:
    """Refuse a success that does not show the encryption that was asked for.

    A server that does not know an encryption header ignores it and stores the data in the clear. The client must not
    take that for success.

    Raises:
        S3Error: NotImplemented, which SDKs do not retry.
    """
    if proven:
        return
    call.services.metrics.encryption_unproven(mode)
    call.exchange.mode = mode
    raise S3Error(
        "NotImplemented",
        f"The upstream server answered with success but did not confirm the encryption {mode.value}. "
        "Treat what it stored as not encrypted.",
    )


def sends_customer_key(plan: Plan) -> bool:
    """Whether the plan carries a customer key for the object."""
    return SSE_C_ALGORITHM in plan.headers
