"""From a POST form to the PutObject that it asks for.

A browser uploads a file with a form instead of a signed request. Once the form's policy is verified, the rest of the
gateway sees an ordinary PutObject; only the answer differs, see :class:`SuccessAction`.

Source: "POST Object" and "Browser-Based Uploads Using POST", Amazon S3 API Reference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

from gateway.errors import S3Error
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, verified_form
from gateway.s3.credentials import Identity
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.post_policy import IGNORED_PREFIX, PostPolicy
from gateway.s3.post_signature import missing_field, verify_post
from gateway.s3.request import RawRequest, S3Request
from gateway.s3.tagging import MAX_TAGS
from gateway.s3.xml import local_name, parse_xml

#: Stands for the name of the file on the sender's machine, in any field.
FILENAME_VARIABLE = "${filename}"

_PROOF_FIELDS = frozenset(
    {
        "awsaccesskeyid", "policy", "signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date",
        "x-amz-security-token", "x-amz-signature",
    }
)  # fmt: skip
_FORM_ONLY_FIELDS = frozenset({"bucket", "file", "key", "redirect", "success_action_redirect", "success_action_status"})
#: Fields that are header fields of PutObject under another name.
_RENAMED_FIELDS = {"acl": "x-amz-acl", "x-amz-checksum-algorithm": "x-amz-sdk-checksum-algorithm"}
_HEADER_FIELDS = frozenset(
    {
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type",
        "expires", "if-none-match", "x-amz-acl", "x-amz-expected-bucket-owner", "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm", "x-amz-storage-class", "x-amz-website-redirect-location",
    }
)  # fmt: skip
#: An explicit list: any other field, such as ``x-amz-copy-source``, would make the request something else upstream.
_HEADER_PREFIXES = (
    "x-amz-checksum-", "x-amz-grant-", "x-amz-meta-", "x-amz-object-lock-", "x-amz-server-side-encryption",
)  # fmt: skip
#: Header fields of the form's own request that policies look at.
_KEPT_HEADERS = frozenset({"host", "origin", "referer", "user-agent"})

_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_NOT_IN_FIELD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_URL = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class SuccessAction:
    """How a form wants success to be answered.

    Attributes:
        status: 200, 201 (with a document) or 204; what counts when there is no redirect.
        redirect: the URL to send the browser to with 303, or None.
    """

    status: int = 204
    redirect: str | None = None

    def location(self, bucket: str, object_key: str, etag: str) -> str | None:
        """The ``Location`` of the redirect, which tells the page what was stored, or None without one."""
        if self.redirect is None:
            return None
        url, hash_mark, fragment = self.redirect.partition("#")
        parameters = urlencode({"bucket": bucket, "key": object_key, "etag": etag}, quote_via=quote)
        return f"{url}{'&' if '?' in url else '?'}{parameters}{hash_mark}{fragment}"


@dataclass(frozen=True, slots=True)
class PostUpload:
    """A verified form, before its file was read.

    Attributes:
        verified: the PutObject; it has no Content-Length yet.
        policy: the form's policy.
        success: how to answer.
    """

    verified: VerifiedRequest
    policy: PostPolicy
    success: SuccessAction

    def with_file_size(self, size: int) -> VerifiedRequest:
        """The PutObject of a file of ``size`` bytes.

        Raises:
            S3Error: ``EntityTooSmall`` or ``EntityTooLarge`` when the policy does not allow that size.
        """
        self.policy.check_size(size)
        request = self.verified.request
        headers = request.raw.headers.replacing([("content-length", str(size))])
        return replace(self.verified, request=replace(request, raw=replace(request.raw, headers=headers)))


def put_object_from_form(
    form: S3Request,
    fields: Mapping[str, str],
    filename: str | None,
    identities: Mapping[str, Identity],
    now: datetime,
    settings: AuthSettings,
) -> PostUpload:
    """Verify a form and turn it into a PutObject.

    Args:
        form: the request that carries the form.
        fields: the fields before the file, names in lower case.
        filename: the file's name as sent, possibly with a path, or None.
        identities: who may speak to the gateway, by access key id.
        now: the current time, aware.
        settings: how strictly to check.

    Raises:
        S3Error: those of :func:`gateway.s3.post_signature.verify_post`, and S3's own for a bad key or field.
    """
    if form.operation is not Operation.POST_OBJECT or form.bucket is None:
        raise AssertionError("internal error: not a form upload")
    if "key" not in fields:
        raise missing_field("key")
    expanded = _expand(fields, filename or "")
    verified = verify_post(expanded, form.bucket, identities, now, settings)
    if not expanded["key"]:
        raise _bad_field("key", "User key must have a length greater than 0.")
    raw = RawRequest(
        method="PUT",
        raw_path=f"/{form.bucket}/{quote(expanded['key'], safe='/-_.~')}",
        raw_query="",
        headers=_headers(form.raw.headers, expanded),
        scheme=form.raw.scheme,
        client_address=form.raw.client_address,
        request_id=form.raw.request_id,
    )
    request = parse_request(raw, ())
    return PostUpload(
        verified_form(request, verified.identity, verified.signature_version), verified.policy, _success(expanded)
    )


def _expand(fields: Mapping[str, str], filename: str) -> dict[str, str]:
    """The fields with the file's name in place of its variable; S3 does this before it looks at the policy."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return {field: value.replace(FILENAME_VARIABLE, name) for field, value in fields.items()}


def _headers(received: Headers, fields: Mapping[str, str]) -> Headers:
    headers = {name: value for name, value in received if name in _KEPT_HEADERS}
    for field, value in fields.items():
        if field in _PROOF_FIELDS or field in _FORM_ONLY_FIELDS or field.startswith(IGNORED_PREFIX):
            continue
        name, text = _RENAMED_FIELDS.get(field, field), value.strip(" \t")
        if field == "tagging":
            name, text = "x-amz-tagging", _tagging(value)
        elif name.startswith("x-amz-") and name not in _HEADER_FIELDS and not name.startswith(_HEADER_PREFIXES):
            raise S3Error("NotImplemented", "A field you provided is not supported.", details=(("Header", name),))
        elif name not in _HEADER_FIELDS and not name.startswith(_HEADER_PREFIXES):
            continue
        if not _FIELD_NAME.fullmatch(name) or _NOT_IN_FIELD_VALUE.search(text):
            raise _bad_field(field, "A form field is not a valid header.")
        if headers.setdefault(name, text) != text:
            raise _bad_field(field, "Conflicting values provided in form fields.")
    return Headers(headers.items())


def _tagging(document: str) -> str:
    """The form's ``Tagging`` document as PutObject has it in a header: ``key=value&key=value``."""
    root = parse_xml(document.encode("utf-8", "replace"))
    tags = [(tag.findtext("{*}Key") or "", tag.findtext("{*}Value") or "") for tag in root.findall("{*}TagSet/{*}Tag")]
    if local_name(root) != "Tagging" or not all(key for key, _ in tags):
        raise S3Error(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    if len(tags) > MAX_TAGS:
        raise S3Error("InvalidArgument", f"Object tags cannot be greater than {MAX_TAGS}")
    return urlencode(tags, quote_via=quote, safe="")


def _success(fields: Mapping[str, str]) -> SuccessAction:
    """S3 treats a status or a URL that it can not use as if the form had none."""
    status = {"200": 200, "201": 201}.get(fields.get("success_action_status", ""), 204)
    url = fields.get("success_action_redirect", fields.get("redirect", ""))
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not _NOT_IN_URL.search(url)
    except ValueError:
        usable = False
    return SuccessAction(status, url if usable else None)


def _bad_field(name: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, details=(("ArgumentName", name), ("ArgumentValue", "")))
