"""Listings: versions 1 and 2, and of versions."""

from tests.conformance.case import Case, Step, case

_V1 = {
    "all": "",
    "prefix": "?prefix=dir/",
    "prefix-encoded": "?prefix=dir%2F",
    "prefix-of-nothing": "?prefix=nothing",
    "prefix-containing-uploads": "?prefix=uploads",
    "prefix-uploads-and-delimiter": "?prefix=uploads/&delimiter=/",
    "prefix-utf8": "?prefix=%C3%A4",
    "prefix-percent": "?prefix=z%25",
    "prefix-plus": "?prefix=a%2B",
    "prefix-space-as-plus": "?prefix=a+",
    "prefix-empty": "?prefix=",
    "delimiter": "?delimiter=/",
    "delimiter-encoded": "?delimiter=%2F",
    "delimiter-other": "?delimiter=i",
    "prefix-and-delimiter": "?prefix=dir/&delimiter=/",
    "encoding-type": "?encoding-type=url",
    "encoding-type-and-delimiter": "?encoding-type=url&delimiter=%20",
    "encoding-type-unknown": "?encoding-type=base64",
    "max-keys": "?max-keys=2",
    "max-keys-zero": "?max-keys=0",
    "max-keys-negative": "?max-keys=-1",
    "max-keys-not-a-number": "?max-keys=x",
    "max-keys-huge": "?max-keys=100000",
    "marker": "?marker=dir/1",
    "marker-within-common-prefix": "?marker=dir/1&delimiter=/",
    "parameter-order": "?prefix=dir&max-keys=5&delimiter=/",
    "unknown-parameter": "?something=else",
}
_V2 = {
    "all": "",
    "prefix": "&prefix=dir/",
    "delimiter": "&delimiter=/",
    "start-after": "&start-after=dir/1",
    "start-after-with-prefix": "&prefix=dir/&start-after=dir/1",
    "fetch-owner": "&fetch-owner=true",
    "no-fetch-owner": "&fetch-owner=false",
    "encoding-type": "&encoding-type=url",
    "max-keys-zero": "&max-keys=0",
    "token-not-made-here": "&continuation-token=nonsense",
    "optional-attributes": "&prefix=dir/1",
}
_VERSIONS = {
    "all": "",
    "prefix": "&prefix=twice",
    "delimiter": "&delimiter=i",
    "max-keys": "&max-keys=1",
    "encoding-type": "&encoding-type=url",
    "key-marker": "&key-marker=gone",
}


def _paged() -> Case:
    """Page by page with the tokens that come back."""
    first = Step("GET", "/${bucket}?list-type=2&max-keys=4", take={"token": "NextContinuationToken"})
    following = Step(
        "GET", "/${bucket}?list-type=2&max-keys=4&continuation-token=${token}", take={"token": "NextContinuationToken"}
    )
    return case("list-v2-paged", first, following, following, world="listing")


CASES = (
    *(case(f"list-v1-{name}", Step("GET", "/${bucket}" + query), world="listing") for name, query in _V1.items()),
    *(
        case(f"list-v2-{name}", Step("GET", "/${bucket}?list-type=2" + query), world="listing")
        for name, query in _V2.items()
    ),
    *(
        case(f"list-versions-{name}", Step("GET", "/${bucket}?versions" + query), world="versioned-list")
        for name, query in _VERSIONS.items()
    ),
    _paged(),
    case("list-v1-trailing-slash", Step("GET", "/${bucket}/?delimiter=/"), world="listing"),
    case("list-v1-of-empty", Step("GET", "/${bucket}"), world="empty"),
    case("list-v2-of-empty", Step("GET", "/${bucket}?list-type=2&delimiter=/"), world="empty"),
    case("list-versions-of-plain-bucket", Step("GET", "/${bucket}?versions"), world="listing"),
    case("list-head", Step("HEAD", "/${bucket}"), world="listing"),
    case(
        "list-v1-paged",
        Step("GET", "/${bucket}?max-keys=4&delimiter=/", take={"next": "NextMarker"}),
        Step("GET", "/${bucket}?max-keys=4&delimiter=/&marker=${next}"),
        world="listing",
    ),
)
