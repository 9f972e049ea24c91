"""PostObject: a browser's form becomes a PutObject, under the same rules as any other.

The form's proof is inside its body, so here ``100 Continue`` comes before identity; at most 20 KiB are read before the
policy is verified.
"""

from aiohttp import web

from gateway.errors import S3Error
from gateway.s3.form import MultipartFormParser
from gateway.s3.post_object import PostUpload, put_object_from_form
from gateway.s3.request import S3Request
from gateway.s3.xml import render_post_response
from gateway.server.authorization import authorize_request
from gateway.server.client_body import accept_body
from gateway.server.exchange import Exchange
from gateway.server.form_body import FormBody
from gateway.server.handlers.call import Call
from gateway.server.handlers.write import put_data
from gateway.server.respond import forwarded_answer_headers
from gateway.server.services import Services
from gateway.upstream.response import UpstreamResponse

_CREATED = 201
_SEE_OTHER = 303


async def post_object(
    http: web.BaseRequest, form: S3Request, services: Services, exchange: Exchange
) -> web.StreamResponse:
    """Answer a POST form.

    Raises:
        GatewayError: the form is not what its policy allows, or writing the object failed.
    """
    length = form.raw.headers.get("content-length")
    if length is None or not length.isdigit():
        raise S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.")
    body = FormBody(http, MultipartFormParser(form.raw.headers.get("content-type")), int(length), exchange)
    await accept_body(http)
    await body.read_fields()
    try:
        upload = put_object_from_form(
            form, body.fields, body.filename, services.identities, services.now(), services.authentication
        )
    except S3Error as error:
        services.metrics.auth_failure(error.code)
        raise
    exchange.note_verified(upload.verified)
    exchange.note_request(upload.verified.request)
    verified = upload.with_file_size(await body.file_size())
    authorized = await authorize_request(verified, services, exchange)
    call = Call(http, authorized, services, exchange)
    return await put_data(call, lambda answer: _succeed(call, upload, answer), body.pieces())


async def _succeed(call: Call, upload: PostUpload, answer: UpstreamResponse) -> web.StreamResponse:
    """The answer that the form asked for."""
    etag = answer.headers.get("etag") or ""
    headers = forwarded_answer_headers(answer.headers.without(("content-length", "content-type")))
    redirect = upload.success.location(call.bucket, call.object_key, etag)
    if redirect is not None:
        headers["Location"] = redirect
        return web.Response(status=_SEE_OTHER, headers=headers)
    raw = call.request.raw
    location = f"{raw.scheme}://{raw.headers.get('host')}{raw.raw_path}"
    headers["Location"] = location
    if upload.success.status != _CREATED:
        return web.Response(status=upload.success.status, headers=headers)
    document = render_post_response(location=location, bucket=call.bucket, object_key=call.object_key, etag=etag)
    headers["Content-Type"] = "application/xml"
    return web.Response(status=_CREATED, body=document, headers=headers)
