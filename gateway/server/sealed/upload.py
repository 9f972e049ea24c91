"""An upload whose id says that its parts are sealed: what every request about it needs, and how a part is written.

Nothing about an upload is kept between two requests but small parts: see :mod:`gateway.server.sealed.staging`. What the
rule says now does not matter, the id says what the upload began with.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from gateway.crypto.sealed.geometry import MAX_PARTS, MIN_PART_BYTES, sealed_size
from gateway.errors import S3Error, UpstreamUnavailable
from gateway.modes.upload_id import UPLOAD_ID, UploadId, upload_id_of, wrapping_key_tag
from gateway.policy.rules import ModeName
from gateway.s3.encryption_headers import CUSTOMER_HEADERS
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.sealed.sealing import SealingTarget, require_sealable, sealed_body
from gateway.server.sealed.staging import Draft, StagedUpload
from gateway.upstream.body import Body, EmptyBody
from gateway.upstream.request import UpstreamRequest

_EMPTY: Final = EmptyBody()


@dataclass(frozen=True, slots=True)
class SealedUpload:
    """One upload.

    Attributes:
        call: the request about it.
        upload_id: its id.
        wrapping_key: the configured name of the wrapping key that it began with.
        encryption: the encryption header fields that every request about it needs.
    """

    call: Call
    upload_id: UploadId
    wrapping_key: str
    encryption: Headers

    @property
    def staged(self) -> StagedUpload:
        """The upload as the staging store knows it."""
        return StagedUpload(self.call.bucket, self.call.object_key, self.upload_id.upstream)

    def target(self, part_number: int) -> SealingTarget:
        """What a part of the upload is sealed as."""
        return SealingTarget.part(
            self.wrapping_key, self.call.bucket, self.call.object_key, self.upload_id.upstream, part_number
        )

    def request(
        self,
        operation: Operation,
        *,
        query: Query = EMPTY_QUERY,
        headers: Headers | None = None,
        body: Body = _EMPTY,
    ) -> UpstreamRequest:
        """A request about the upload.

        Args:
            operation: what to do.
            query: the query; the upload id is added.
            headers: all header fields; None for no more than the encryption's.
            body: the body.
        """
        return UpstreamRequest(
            operation=operation,
            method=operation.info.method,
            bucket=self.call.request.bucket,
            raw_object_key=self.call.request.raw_object_key,
            query=query.with_values(((UPLOAD_ID, self.upload_id.upstream),)),
            headers=self.encryption if headers is None else headers,
            body=body,
        )


def is_sealed_upload(call: Call) -> bool:
    """Whether a request is about an upload whose parts are sealed."""
    return upload_id_of(call.request.query).mode is ModeName.CSE


def sealed_upload_of(call: Call) -> SealedUpload:
    """The upload that a request is about.

    Raises:
        S3Error: NoSuchUpload: the wrapping key that it began with is not configured any more.
    """
    upload_id = upload_id_of(call.request.query)
    call.exchange.mode = upload_id.mode
    names = call.services.sealed.data_keys.names
    found = next((name for name in sorted(names) if wrapping_key_tag(name) == upload_id.tag), None)
    if found is None:
        raise S3Error(
            "NoSuchUpload",
            "The specified upload does not exist. The wrapping key that it began with is not configured.",
        )
    enforced = any(rule.mode is ModeName.CSE and rule.enforce for rule in call.authorized.possible)
    requested = encryption_headers_of(call.request.raw.headers)
    # A rule that is enforced leaves S3's own encryption to the bucket; otherwise a customer key goes with each request.
    encryption = Headers(() if enforced else ((name, value) for name, value in requested if name in CUSTOMER_HEADERS))
    return SealedUpload(call, upload_id, found, encryption)


def require_part_sealable(part_number: int, plaintext_bytes: int) -> None:
    """Refuse a part that no object could have.

    Raises:
        S3Error: EntityTooLarge.
    """
    require_sealable(plaintext_bytes)
    if part_number == MAX_PARTS and plaintext_bytes >= MIN_PART_BYTES:
        raise S3Error(
            "EntityTooLarge",
            f"Part {MAX_PARTS} has to be smaller than 5 MiB: the object is encrypted by the gateway, which stores its "
            "list of parts behind a last part of that size.",
            details=(("ProposedSize", str(plaintext_bytes)), ("MaxSizeAllowed", str(MIN_PART_BYTES - 1))),
        )


async def write_part(
    upload: SealedUpload, part_number: int, plaintext_bytes: int, pieces: AsyncIterator[bytes], headers: Headers
) -> Headers | Refusal:
    """Seal one part and upload it.

    Args:
        upload: the upload.
        part_number: 1 to 10,000.
        plaintext_bytes: the exact size of the part's plaintext.
        pieces: the plaintext; its last piece comes only when all of it is right.
        headers: all header fields to send; none may be about the plaintext's bytes.

    Returns:
        The header fields of the upstream's answer, or its refusal.

    Raises:
        GatewayError: the part is too large, ``pieces`` raised, or the key provider, the staging store or the upstream
            failed. There is no such part then.
    """
    require_part_sealable(part_number, plaintext_bytes)
    sealed = upload.call.services.sealed
    size = sealed_size(plaintext_bytes)
    draft: Draft | None = None
    if plaintext_bytes < MIN_PART_BYTES:
        draft = await sealed.staging.draft(upload.staged, part_number, size)
    try:
        target = upload.target(part_number)
        body = await sealed_body(sealed.data_keys, target, plaintext_bytes, pieces, draft)
        return await _send_part(upload, part_number, headers, body, draft, (plaintext_bytes, size))
    finally:
        if draft is not None:
            await draft.discard()


async def _send_part(
    upload: SealedUpload, part_number: int, headers: Headers, body: Body, draft: Draft | None, sizes: tuple[int, int]
) -> Headers | Refusal:
    call = upload.call
    plaintext_bytes, stored_bytes = sizes
    query = EMPTY_QUERY.with_values((("partNumber", str(part_number)),))
    request = upload.request(Operation.UPLOAD_PART, query=query, headers=headers, body=body)
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await read_refusal(answer)
        etag = answer.headers.get("etag")
        if not etag:
            raise UpstreamUnavailable("the upstream server took a part without giving its ETag")
        if draft is not None:
            await draft.publish(etag)
            call.services.metrics.staging("put", stored_bytes)
        call.services.metrics.sealed(plaintext_bytes)
        return answer.headers
