"""The condition keys of one request, as it was received: on the client's hop, before the gateway adds anything.

A header field counts wherever it was sent: in the head, in the query of a presigned URL, or in a POST form. How values
are read, so that a policy and the upstream server can not see different things:

- A field in two places with two values is refused, and so is one of ``x-amz-`` that comes twice, even with one value.
- Names are compared without regard to case; blanks around a value do not count; an empty header field is no field,
  which is how servers take it, so ``Null`` calls it absent. An empty query parameter is there and empty.
- A value that can not be understood (a copy's source, tags, a date) refuses the request as S3 would.

The encryption of an upload is decided by CreateMultipartUpload, whose header fields a policy sees as they are. Its
parts and its completion may carry none, but are ``s3:PutObject`` as well. For them the keys ``s3:x-amz-server-side-
encryption`` and ``...-aws-kms-key-id`` have what the client asked for in CreateMultipartUpload, which the upload id
carries; they are absent when it asked for nothing, or when the upload did not begin through the gateway. So a policy
judges each request of an upload as it judged the first: what began lawfully can go on, and an upload that began behind
the gateway's back can not. A forged id gains nothing that its forger could not have had: it names a mode, and each part
has to prove that mode. The customer-key fields go with every request of an upload, and are looked at as sent.

Never there, because nobody can know them before the request is served: ``s3:ExistingObjectTag``, ``aws:ResourceTag``,
and what is in a body, such as ``s3:LocationConstraint`` or the tags of PutObjectTagging. ``aws:userid`` is a number
that only AWS gives out.
"""

from datetime import datetime

from gateway.policy.iam.condition_keys import NOBODY, Received, Values, refuse_repeated, values_of
from gateway.s3.asked_encryption import AskedEncryption
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.hoist import hoist_query


class RequestFacts:
    """What a policy may know about one request; computed when asked, once.

    Args:
        verified: the request.
        now: the time, aware.
        tls_version: the version of TLS on the client's hop, such as ``TLSv1.3``, or None when it is not known. Then
            ``s3:TlsVersion`` is absent.
        principal: the ARN of the request's identity, see :func:`identity_arn`; for a request without one it is not
            looked at.
        asked: what the upload that the request continues began with:
            :func:`gateway.modes.upload_id.asked_for_upload`.

    Raises:
        S3Error: InvalidRequest for header fields that contradict each other.
    """

    __slots__ = ("_received", "_values")

    def __init__(
        self,
        verified: VerifiedRequest,
        *,
        now: datetime,
        tls_version: str | None,
        principal: str,
        asked: AskedEncryption,
    ) -> None:
        request = hoist_query(verified.request)
        refuse_repeated(request.raw.headers)
        known = NOBODY if verified.identity is None else principal
        self._received = Received(verified, request, now, tls_version, known, asked)
        self._values: dict[str, Values] = {}

    @property
    def principal(self) -> str:
        """The ARN of the identity; ``*`` for a CORS preflight."""
        return self._received.principal

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key (lower case), or None when the request does not have it.

        Raises:
            S3Error: the request's own value can not be understood.
        """
        known = self._values
        if key not in known:
            known[key] = values_of(self._received, key)
        return known[key]

    def __repr__(self) -> str:
        """The request's own repr shows no secret."""
        return f"RequestFacts({self._received.verified!r})"


def identity_arn(account: str, name: str) -> str:
    """The ARN of an identity of the gateway, as policies name it."""
    return f"arn:aws:iam::{account}:user/{name}"
