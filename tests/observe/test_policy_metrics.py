"""What policies decided, and where they come from."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from gateway.observe.policy_metrics import BUCKET_POLICY_RESULTS, PolicyMetrics
from gateway.server.policies.buckets import ReadResult

_NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_zeros_are_there_from_the_start(registry: CollectorRegistry) -> None:
    PolicyMetrics(registry)
    for effect in ("allow", "deny"):
        labels = {"effect": effect, "rule": "default"}
        assert registry.get_sample_value("sealgate_policy_decisions_total", labels) == 0
    for result in ("ok", "failed"):
        assert registry.get_sample_value("sealgate_policy_reads_total", {"result": result}) == 0
    for result in BUCKET_POLICY_RESULTS:
        assert registry.get_sample_value("sealgate_bucket_policy_reads_total", {"result": result}) == 0


def test_decisions(registry: CollectorRegistry) -> None:
    metrics = PolicyMetrics(registry)
    for effect, rule in (("deny", "p/Sid"), ("deny", "p/Sid"), ("allow", "default")):
        metrics.decision(effect, rule)
    for effect, rule, times in (("deny", "p/Sid", 2), ("allow", "default", 1), ("deny", "default", 0)):
        labels = {"effect": effect, "rule": rule}
        assert registry.get_sample_value("sealgate_policy_decisions_total", labels) == times


def test_broken_files_show_until_they_are_mended(registry: CollectorRegistry) -> None:
    """The time is that of the policies in use."""
    metrics = PolicyMetrics(registry)
    metrics.policy_files_read(worked=True, when=_NOW)
    metrics.policy_files_read(worked=False, when=_NOW.replace(year=2027))
    assert registry.get_sample_value("sealgate_policy_files_broken") == 1
    assert registry.get_sample_value("sealgate_policy_files_loaded_timestamp_seconds") == _NOW.timestamp()
    metrics.policy_files_read(worked=True, when=_NOW.replace(year=2028))
    assert registry.get_sample_value("sealgate_policy_files_broken") == 0
    assert (registry.get_sample_value("sealgate_policy_files_loaded_timestamp_seconds") or 0) > _NOW.timestamp()


def test_every_result_of_the_reader_is_known(registry: CollectorRegistry) -> None:
    metrics = PolicyMetrics(registry)
    assert set(BUCKET_POLICY_RESULTS) == {result.value for result in ReadResult}
    for result in ReadResult:
        metrics.bucket_policy_read(result)
        assert registry.get_sample_value("sealgate_bucket_policy_reads_total", {"result": result.value}) == 1


def test_unencrypted_rules(registry: CollectorRegistry) -> None:
    PolicyMetrics(registry).unencrypted_rules(2)
    assert registry.get_sample_value("sealgate_unencrypted_rules") == 2
