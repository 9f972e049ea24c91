"""What can go wrong between the gateway and an upstream server, in the transport's own words.

None of these carries a header field's value: the server's bytes and the request's stay out of errors and logs.
"""


class Unreachable(Exception):
    """No connection came about; the server saw nothing of the request."""


class CertificateRefused(Exception):
    """The server's certificate is not trusted."""


class HandshakeFailed(Exception):
    """The server is there, but no TLS connection came about."""


class ConnectTimeout(TimeoutError):
    """No connection came about in time."""


class ConnectionBroken(Exception):
    """The connection was lost after the request may have been sent."""


class AnswerInvalid(Exception):
    """What the server sent is no answer, or one that could be understood in two ways."""
