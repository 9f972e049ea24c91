"""What a copy takes from its source, where that decides which rule is about the copy.

It is looked at before the copy is made. Whoever changes the source in between could as well change the copy afterwards:
rules decide by what is said of an object when it is written.
"""

from contextlib import AbstractAsyncContextManager

from gateway.errors import S3Error
from gateway.policy.choice import stored_rule
from gateway.policy.rules import ObjectTraits
from gateway.policy.traits import media_type
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.copied_metadata import parse_tagging
from gateway.s3.copy_source import CopySource, parse_copy_source
from gateway.s3.encryption_headers import requested_encryption
from gateway.s3.hoist import hoist_query
from gateway.s3.operation_table import COPY_SOURCE_HEADER
from gateway.server.handlers.call import is_success
from gateway.server.handlers.copy_source_key import source_head
from gateway.server.handlers.refusal import may_want_another_key
from gateway.server.services import Services
from gateway.server.stored_tags import Send, tagging_document
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse


async def source_traits(verified: VerifiedRequest, services: Services) -> ObjectTraits | None:
    """Tags and content type of a copy's source; None when it can not be read.

    Args:
        verified: the copy, which the policies let happen.
        services: what requests are served with.

    Raises:
        GatewayError: the upstream or a vault failed.
    """
    request = hoist_query(verified.request)
    source = parse_copy_source(request.raw.headers.get(COPY_SOURCE_HEADER) or "")
    identity = verified.identity
    credentials = None if identity is None else services.upstream_credentials[identity.name]

    def send(question: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        return services.upstream.send(question, credentials)

    client = requested_encryption(request.operation, request.raw.headers).copy_source_customer
    rule = stored_rule(services.rules, source.bucket, source.object_key)
    async for attempt in services.key_ring.attempts(rule, source.bucket, source.object_key, client):
        async with send(source_head(source, attempt)) as answer:
            if may_want_another_key(answer.status, keyed=attempt.customer is not None):
                continue
            if not is_success(answer.status):
                return None
            content_type = media_type(answer.headers)
        return ObjectTraits(tags=await _tags(send, source), content_type=content_type)
    return None


async def _tags(send: Send, source: CopySource) -> dict[str, str] | None:
    """The source's tags; None when they can not be read."""
    try:
        return dict(parse_tagging(await tagging_document(send, source)))
    except S3Error:
        return None
