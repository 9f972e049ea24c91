"""GetObjectAttributes of a sealed object: sizes and parts come from its layout, so any server will do."""

from aiohttp import web

from gateway.s3.headers import Headers
from gateway.s3.object_attributes import ObjectAttributes, render_object_attributes, requested_attributes
from gateway.server.handlers.call import Call
from gateway.server.respond import buffered
from gateway.server.sealed.answers import shown_headers
from gateway.server.sealed.layouts import Layout

#: What GetObjectAttributes answers with besides its document.
_ATTRIBUTES_HEADERS = frozenset(
    {
        "date", "last-modified", "server", "x-amz-delete-marker", "x-amz-id-2", "x-amz-request-charged",
        "x-amz-request-id", "x-amz-version-id",
    }
)  # fmt: skip


def attributes_answer(call: Call, requested: Headers, layout: Layout, answered: Headers) -> web.Response:
    """The answer to GetObjectAttributes.

    Args:
        call: the request.
        requested: its header fields.
        layout: the object's layout.
        answered: the upstream's header fields about the object.

    Raises:
        S3Error: the request asks for nothing, or for something that there is not.
    """
    wanted = requested_attributes(requested)
    headers = shown_headers(answered)
    table = layout.table
    document = render_object_attributes(
        wanted,
        ObjectAttributes(
            etag=headers.get("etag") or "",
            size=layout.plaintext_bytes,
            storage_class=headers.get("x-amz-storage-class") or "STANDARD",
            part_count=None if table is None else table.part_count,
            parts=() if table is None else ((part.number, part.plaintext_bytes) for part in table.parts()),
        ),
    )
    kept = Headers((name, value) for name, value in headers if name in _ATTRIBUTES_HEADERS)
    return buffered(call.http, call.exchange, 200, kept.replacing((("content-type", "application/xml"),)), document)
