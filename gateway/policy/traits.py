"""What a request tells about the object that it creates, as far as some rule asks."""

from collections.abc import Mapping, Sequence

from gateway.errors import S3Error
from gateway.policy.rules import EncryptionRule, ObjectTraits
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.copied_metadata import METADATA_DIRECTIVE, TAGGING_DIRECTIVE, replaces
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.tagging import requested_tags

#: What S3 stores for a request without a content type. Source: Amazon S3 API Reference, PutObject.
_NO_CONTENT_TYPE = "binary/octet-stream"


def new_object_traits(
    verified: VerifiedRequest, possible: Sequence[EncryptionRule], inherited: ObjectTraits | None = None
) -> ObjectTraits:
    """The traits of the object that a request creates.

    A copy takes tags and content type from its source, unless its directives say otherwise.

    Args:
        verified: the request.
        possible: the rules that may be about the place; what none of them asks for is not looked at.
        inherited: tags and content type of a copy's source; None when they are not known.

    Raises:
        S3Error: InvalidArgument or InvalidRequest, when a field that a rule asks for is not in S3's form.
    """
    tagged, typed = any(rule.tags for rule in possible), any(rule.content_types for rule in possible)
    headers, is_copy = verified.request.raw.headers, verified.request.operation is Operation.COPY_OBJECT
    tags, content_type = None, None
    if tagged:
        taken = is_copy and not replaces(headers, TAGGING_DIRECTIVE)
        tags = _inherited_tags(inherited) if taken else requested_tags(headers)
    if typed:
        taken = is_copy and not replaces(headers, METADATA_DIRECTIVE)
        content_type = _inherited_type(inherited) if taken else media_type(headers)
    return ObjectTraits(identity_of(verified), tags, content_type)


def identity_of(verified: VerifiedRequest) -> str:
    """The name of who sent a request; empty for nobody, which no rule names."""
    return "" if verified.identity is None else verified.identity.name


def media_type(headers: Headers) -> str:
    """The media type of an object, in lower case and without parameters.

    Args:
        headers: of the request that creates it, or of the answer to one that reads it.

    Raises:
        S3Error: InvalidRequest, when there are several.
    """
    values = headers.all("content-type")
    if len(values) > 1:
        raise S3Error("InvalidRequest", "The header content-type must not be repeated.")
    value = values[0] if values else ""
    return value.partition(";")[0].strip(" \t").lower() or _NO_CONTENT_TYPE


def _inherited_tags(inherited: ObjectTraits | None) -> Mapping[str, str] | None:
    return None if inherited is None else inherited.tags


def _inherited_type(inherited: ObjectTraits | None) -> str | None:
    return None if inherited is None else inherited.content_type
