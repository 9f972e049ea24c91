"""What a decision costs: 200 statements, one million decisions."""

import pytest

from bench.policy import DECISIONS, measure, on_one_bucket, over_buckets, requests
from gateway.policy.iam.compiled import CompiledPolicies

MAXIMUM_MICROSECONDS = 20.0


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("policies", "buckets"),
    [
        pytest.param(over_buckets(), 20, id="over 20 buckets"),
        pytest.param(on_one_bucket(), 1, id="on one bucket, each with conditions of its own"),
    ],
)
def test_median_decision_is_fast(policies: CompiledPolicies, buckets: int) -> None:
    """The clock's own time is part of what is measured, and so are garbage collection and other programs."""
    assert measure(policies, requests(buckets), DECISIONS).median <= MAXIMUM_MICROSECONDS
