"""Which buckets need SSE-C, decided from the rules alone."""

import pytest

from gateway.cli.bucket_checks import sse_c_buckets
from gateway.policy.rules import EncryptionRule, ModeName

LISTED = {"a", "b", "c-1", "other"}


def rule(mode: ModeName, *buckets: str, prefixes: tuple[str, ...] = ()) -> EncryptionRule:
    return EncryptionRule(f"{mode} {buckets}", buckets, prefixes, mode)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), set()),
        ((rule(ModeName.SSE_S3, "*"),), set()),
        ((rule(ModeName.SSE_C, "*"),), LISTED),
        ((rule(ModeName.SSE_C, "a", "missing"),), {"a", "missing"}),
        ((rule(ModeName.SSE_C, "c-*"),), {"c-1"}),
        ((rule(ModeName.SSE_S3, "a"), rule(ModeName.SSE_C, "a", "b")), {"b"}),
        ((rule(ModeName.SSE_S3, "a", prefixes=("x/",)), rule(ModeName.SSE_C, "a")), {"a"}),
        ((rule(ModeName.SSE_C, "a", prefixes=("x/",)), rule(ModeName.NONE, "*")), {"a"}),
    ],
)
def test_sse_c_buckets(rules: tuple[EncryptionRule, ...], expected: set[str]) -> None:
    """Named or listed, and not taken whole by an earlier rule of another mode."""
    assert sse_c_buckets(rules, LISTED) == expected
