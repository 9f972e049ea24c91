"""The head of a request as it goes over the wire."""

from gateway.s3.headers import Headers


def render_head(method: str, target: str, headers: Headers) -> bytes:
    """Request line and header fields, up to and including the empty line.

    Args:
        method: the HTTP method.
        target: path and query, encoded.
        headers: every field to send.
    """
    lines = [f"{method} {target} HTTP/1.1\r\n", *[f"{name}: {value}\r\n" for name, value in headers.fields], "\r\n"]
    head = "".join(lines)
    # Values were refused before they were signed, and keys are encoded. Should that ever fail, no line is added here.
    if head.count("\r") != len(lines) or head.count("\n") != len(lines) or "\0" in head or target.find(" ") >= 0:
        raise AssertionError("internal error: a header field would have become two")
    return head.encode()
