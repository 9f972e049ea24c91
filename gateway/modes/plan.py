"""Step five of a request: what exactly goes upstream, and what the answer has to prove."""

from dataclasses import dataclass, replace

from gateway.modes.registry import MODES
from gateway.policy.authorize import AuthorizedRequest
from gateway.policy.rules import ModeName
from gateway.s3.forwarding import forwarded_headers, forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.query import Query
from gateway.s3.request import S3Request


@dataclass(frozen=True, slots=True)
class Plan:
    """A request as it goes upstream, but for its body and its signature. Made by :func:`plan` only.

    Attributes:
        request: the client's request.
        query: the query parameters to send.
        headers: the header fields to send.
        mode: the encryption that a success has to prove.
    """

    request: S3Request
    query: Query
    headers: Headers
    mode: ModeName

    def proven_by(self, answered: Headers) -> bool:
        """Whether a successful answer shows the encryption that this plan asks for."""
        return MODES[self.mode].proven_by(self.headers, answered)

    def adding(self, fields: Headers) -> "Plan":
        """A copy that sends further fields, such as those that describe its body."""
        return replace(self, headers=self.headers.replacing(fields)) if fields else self


def plan(authorized: AuthorizedRequest, encryption: Headers, query: Query | None = None) -> Plan:
    """The plan of one request.

    Args:
        authorized: the request.
        encryption: every encryption header field to send; the client's own are not added here.
        query: replaces the client's query, for instance when an upload id has to be translated.
    """
    request = authorized.request
    sent = request.query if query is None else query
    headers = forwarded_headers(request.raw.headers).replacing(encryption)
    return Plan(request, forwarded_query(sent), headers, authorized.mode)
