"""Who asks: presigned URLs and signatures that do not fit."""

from tests.conformance.case import Signing, Step, case

_REFUSED: tuple[Signing, ...] = ("anonymous", "wrong-secret", "unknown-key", "skewed", "expired")

CASES = (
    case("presigned-get", Step("GET", "/${bucket}/ten", signing="presigned")),
    case("presigned-get-range", Step("GET", "/${bucket}/ten", {"Range": "bytes=1-2"}, signing="presigned")),
    case("presigned-get-override", Step("GET", "/${bucket}/ten?response-content-type=text%2Fx", signing="presigned")),
    case("presigned-head", Step("HEAD", "/${bucket}/ten", signing="presigned")),
    case("presigned-list", Step("GET", "/${bucket}?list-type=2&prefix=d", signing="presigned"), world="listing"),
    case(
        "presigned-put",
        Step(
            "PUT",
            "/${bucket}/pre%20signed",
            {"Content-Type": "text/plain", "x-amz-meta-a": "1"},
            b"presigned",
            "presigned",
        ),
        Step("GET", "/${bucket}/pre%20signed"),
    ),
    case(
        "presigned-put-large",
        Step("PUT", "/${bucket}/pre-large", {}, b"p" * 100_000, "presigned"),
        Step("HEAD", "/${bucket}/pre-large"),
    ),
    case("presigned-delete", Step("DELETE", "/${bucket}/pre-deleted", signing="presigned")),
    *(case(f"identity-{signing}-get", Step("GET", "/${bucket}/ten", signing=signing)) for signing in _REFUSED),
    *(case(f"identity-{signing}-head", Step("HEAD", "/${bucket}/ten", signing=signing)) for signing in _REFUSED),
    *(
        case(
            f"identity-{signing}-put",
            Step("PUT", "/${bucket}/refused", {}, b"x", signing),
            Step("HEAD", "/${bucket}/refused"),
        )
        for signing in _REFUSED
    ),
    case("identity-anonymous-service", Step("GET", "/", signing="anonymous")),
)
