"""The content encoding that is stored with an object. Source: Amazon S3 API Reference, PutObject."""

from gateway.s3.headers import Headers


def stored_content_encoding(headers: Headers) -> str | None:
    """The Content-Encoding without its ``aws-chunked`` tokens, which belong to the transfer and not to the object."""
    if "content-encoding" not in headers:
        return None
    value = ",".join(headers.all("content-encoding"))
    tokens = [token.strip() for token in value.split(",")]
    kept = [token for token in tokens if token.lower() != "aws-chunked"]
    if len(kept) == len(tokens):
        return value or None
    return ",".join(kept) or None
