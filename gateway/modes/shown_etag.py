"""ETags of sealed objects, as clients see them and as the server knows them.

A client that knows the MD5 of what it sent takes an ETag of 32 hexadecimal digits for it, and would report damage.
ETags with a part count are never compared. So the ETag of an object that one PutObject stored gets the count 1, and so
does that of a part, because some clients (s3cmd) compare those as well. The rare upload that really has one part gets a
count that S3 can not have: the way back has to be unique, because conditions that clients send are translated and
evaluated by the server.

    server's      client's
    "<hex>"       "<hex>-1"
    "<hex>-1"     "<hex>-10001"
    "<hex>-N"     "<hex>-N"
"""

import re

#: Only where there is a hyphen: most ETags have none, and searching one takes 1 us, 2,000 times for one listing.
_COUNTED = re.compile(r'(.*[^-])-([1-9][0-9]{0,4})("?)', re.DOTALL)
_ETAG = re.compile(r'(?:W/)?"[^"]*"|[^\s",][^\s,]*')
#: One more than the most parts that an upload can have.
_COUNT_OF_ONE_PART = "10001"


def shown_etag(etag: str) -> str:
    """The server's ETag of a sealed object as a client sees it; quotes stay as they are."""
    counted = _COUNTED.fullmatch(etag) if "-" in etag else None
    if counted is None:
        return f'{etag[:-1]}-1"' if etag.endswith('"') else f"{etag}-1"
    if counted[2] == "1":
        return f"{counted[1]}-{_COUNT_OF_ONE_PART}{counted[3]}"
    return etag


def stored_etag(etag: str) -> str:
    """The server's ETag for one that a client was shown."""
    counted = _COUNTED.fullmatch(etag) if "-" in etag else None
    if counted is None or counted[2] not in {"1", _COUNT_OF_ONE_PART}:
        return etag
    return f"{counted[1]}{counted[3]}" if counted[2] == "1" else f"{counted[1]}-1{counted[3]}"


def stored_condition(value: str) -> str:
    """The value of If-Match or If-None-Match (``*`` or a list of ETags) in the server's terms."""
    return value if value.strip() == "*" else _ETAG.sub(lambda found: stored_etag(found[0]), value)


def counts_parts(etag: str) -> bool:
    """Whether a server's ETag is that of a multipart upload."""
    return "-" in etag and _COUNTED.fullmatch(etag) is not None
