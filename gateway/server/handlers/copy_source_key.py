"""The customer key that the source of a copy is stored under.

It is found by asking for the source itself, never by trying the copy: some servers copy under a wrong source key and
leave garbage behind. A key that the client sent is asked about as well.
"""

from gateway.errors import S3Error
from gateway.policy.choice import stored_rule
from gateway.s3.copy_source import CopySource
from gateway.s3.encryption_headers import SSE_C_ALGORITHM, CustomerKeyHeaders
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import may_want_another_key
from gateway.server.key_ring import KeyAttempt
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

_FORBIDDEN = 403
_WRONG_KEY = (
    "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."
)


async def find_source_key(call: Call, source: CopySource) -> CustomerKeyHeaders | None:
    """The key to read the source with; None when it needs none, or when the copy itself will say what is wrong.

    Raises:
        GatewayError: the vault or the upstream failed.
        S3Error: AccessDenied, when the client's own key does not fit.
    """
    services = call.services
    client = call.authorized.requested.copy_source_customer
    if client is None and not services.key_ring.may_hold(source.bucket, source.object_key):
        return None
    client_refused = False
    rule = stored_rule(services.rules, source.bucket, source.object_key)
    async for attempt in services.key_ring.attempts(rule, source.bucket, source.object_key, client):
        call.exchange.key_attempts += 1
        async with call.send_request(source_head(source, attempt)) as answer:
            if may_want_another_key(answer.status, keyed=attempt.customer is not None):
                client_refused |= answer.status == _FORBIDDEN and attempt.customer is client
                continue
            if attempt.object_key is None:
                return attempt.customer
            if not is_success(answer.status) or SSE_C_ALGORITHM not in answer.headers:
                return None
            services.key_ring.remember(source.bucket, source.object_key, attempt.object_key)
            return attempt.customer
    if client_refused:
        raise S3Error("AccessDenied", _WRONG_KEY)
    return client


def source_head(source: CopySource, attempt: KeyAttempt) -> UpstreamRequest:
    """The question for the source of a copy, in one of the ways that it may be stored."""
    version = () if source.version_id is None else (("versionId", source.version_id),)
    return UpstreamRequest(
        operation=Operation.HEAD_OBJECT,
        method="HEAD",
        bucket=source.bucket,
        raw_object_key=source.raw_object_key,
        query=EMPTY_QUERY.with_values(version),
        headers=Headers() if attempt.customer is None else Headers(attempt.customer.render()),
        body=EmptyBody(),
    )
