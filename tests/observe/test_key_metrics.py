"""What requests to key services use of quotas and cost, and the zeros that a rate needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gateway.keys.metering import KeyCall, KeyCallResult
from gateway.keys.quota import QuotaKind
from gateway.keys.wrapping import KeyOperation
from gateway.observe.key_families import KEY_OPERATIONS, KEY_RESULTS, QUOTA_KINDS, S3_OPERATIONS
from gateway.observe.key_metrics import BUCKET_KEY_PART, WatchedService
from gateway.observe.metrics import Metrics, merged_exposition
from gateway.observe.request_rate import WINDOW_SECONDS, RequestRate
from gateway.s3.headers import Headers
from gateway.s3.kms_requests import KmsOperation
from gateway.s3.operation import Operation
from gateway.upstream.observer import UpstreamObserver

KMS = WatchedService("aws-kms", "eu-west-1", ("orders", "bills (eu-west-1)"), 100.0, 0.01)
TRANSIT = WatchedService("vault-transit", "main", ("archive",), None, 0.0)
LOCAL = WatchedService("local", "", ("disk",), None, 0.0)
S3 = WatchedService("aws-kms", "eu-west-1", (), 100.0, 0.01)
ANSWERED = (("x-amz-server-side-encryption", "aws:kms"),)
WITH_BUCKET_KEY = (*ANSWERED, ("x-amz-server-side-encryption-bucket-key-enabled", "true"))


class Stage:
    """Metrics with a clock."""

    def __init__(self) -> None:
        self.now = 1000.5
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, lambda: self.now)
        self.metrics.watch_key_services((KMS, TRANSIT, LOCAL), S3)
        self.metrics.watch_vaults({"main": "approle", "second": None})

    def value(self, name: str, **labels: str) -> float | None:
        self.metrics.refresh_usage()
        return self.registry.get_sample_value(f"sealgate_{name}", labels)

    def call(self, times: int, service: WatchedService = KMS, result: KeyCallResult = "ok") -> None:
        for _ in range(times):
            call = KeyCall(service.provider, service.scope, "generate", service.keys[0], result, 0.01)
            self.metrics.key_call(call)

    def answer(self, operation: Operation, fields: tuple[tuple[str, str], ...]) -> None:
        upstream: UpstreamObserver = self.metrics
        upstream.on_success(operation, Headers(), Headers(fields))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_closed_sets_are_those_of_their_rooms() -> None:
    assert set(KEY_OPERATIONS) == set(KeyOperation.__args__)  # type: ignore[attr-defined]  # a Literal has them
    assert set(KEY_RESULTS) == set(KeyCallResult.__args__)  # type: ignore[attr-defined]
    assert set(QUOTA_KINDS) == set(QuotaKind.__args__)  # type: ignore[attr-defined]
    assert set(S3_OPERATIONS) == set(KmsOperation.__args__)  # type: ignore[attr-defined]


def test_zeros_are_there_from_the_start(stage: Stage) -> None:
    for service in (KMS, TRANSIT, LOCAL):
        for operation in KEY_OPERATIONS:
            call = {"provider": service.provider, "operation": operation}
            assert stage.value("kms_request_duration_seconds_count", **call) == 0
            for key in service.keys:
                for result in KEY_RESULTS:
                    assert stage.value("kms_requests_total", **call, key=key, result=result) == 0
        for key in service.keys:
            assert stage.value("kms_breaker_open", key=key) == 0
    place = {"provider": "aws-kms", "scope": "eu-west-1"}
    assert stage.value("kms_throttled_total", **place) == 0
    assert stage.value("kms_throttled_total", provider="vault-transit", scope="main") == 0
    for kind in QUOTA_KINDS:
        assert stage.value("kms_quota_refused_total", **place, kind=kind) == 0
    for source in ("own", "estimated_s3"):
        assert stage.value("kms_quota_ratio", **place, source=source) == 0
        assert stage.value("kms_cost_per_hour", source=source) == 0
    for operation in S3_OPERATIONS:
        for mode, bucket_key in (("sse-kms", "yes"), ("sse-kms", "no"), ("dsse-kms", "no")):
            labels = {"operation": operation, "mode": mode, "bucket_key": bucket_key}
            assert stage.value("kms_estimated_s3_requests_total", **labels) == 0
    assert stage.value("vault_logins_total", vault="main", method="approle", result="denied") == 0
    assert stage.value("vault_renewals_total", vault="second", result="ok") == 0


def test_what_has_no_quota_has_no_ratio_and_what_has_no_service_no_scope(stage: Stage) -> None:
    assert stage.value("kms_quota_ratio", provider="vault-transit", scope="main", source="own") is None
    assert stage.value("kms_throttled_total", provider="local", scope="") is None
    assert stage.value("kms_quota_refused_total", provider="vault-transit", scope="main", kind="read") is None


def test_own_requests_use_quota_and_cost_money_and_are_forgotten_after_a_minute(stage: Stage) -> None:
    stage.call(1500)
    stage.now += 30
    stage.call(1500, result="throttled")
    stage.call(700, TRANSIT)
    own = {"provider": "aws-kms", "scope": "eu-west-1", "source": "own"}
    assert stage.value("kms_quota_ratio", **own) == 0.5  # 50 a second of 100
    assert stage.value("kms_cost_per_hour", source="own") == 50 * 3600 * 0.01
    assert stage.value("kms_cost_per_hour", source="estimated_s3") == 0
    stage.now += 31
    assert stage.value("kms_quota_ratio", **own) == 0.25
    stage.now += 30
    assert stage.value("kms_quota_ratio", **own) == 0
    assert stage.value("kms_cost_per_hour", source="own") == 0


def test_requests_of_s3_are_estimated(stage: Stage) -> None:
    for _ in range(600):
        stage.answer(Operation.PUT_OBJECT, ANSWERED)
        stage.answer(Operation.GET_OBJECT, WITH_BUCKET_KEY)
    estimated = "kms_estimated_s3_requests_total"
    assert stage.value(estimated, operation="GenerateDataKey", mode="sse-kms", bucket_key="no") == 600
    read = stage.value(estimated, operation="Decrypt", mode="sse-kms", bucket_key="yes")
    assert read == pytest.approx(600 * BUCKET_KEY_PART) == pytest.approx(6)
    assert stage.value(estimated, operation="Decrypt", mode="sse-kms", bucket_key="no") == 0
    place = {"provider": "aws-kms", "scope": "eu-west-1"}
    ratio = stage.value("kms_quota_ratio", **place, source="estimated_s3")
    assert ratio == pytest.approx(606 / WINDOW_SECONDS / 100)
    assert stage.value("kms_quota_ratio", **place, source="own") == 0
    assert stage.value("kms_cost_per_hour", source="estimated_s3") == pytest.approx(606 * 60 * 0.01)
    stage.now += 61
    assert stage.value("kms_quota_ratio", **place, source="estimated_s3") == 0


def test_a_rate_holds_no_more_than_its_window() -> None:
    now = 0.0
    rate = RequestRate(lambda: now)
    for second in range(300):
        now = float(second)
        rate.add(2)
        assert rate.per_second <= 2
    assert rate.per_second == 2
    assert len(rate._seconds) == WINDOW_SECONDS


WORK = """
import sys
from pathlib import Path
from gateway.observe.metrics import Metrics, share_values
share_values(Path(sys.argv[1]), int(sys.argv[2]))
from prometheus_client import CollectorRegistry
from gateway.keys.metering import KeyCall
from gateway.observe.key_metrics import WatchedService
metrics = Metrics(CollectorRegistry())
service = WatchedService("aws-kms", "eu-west-1", ("orders",), 100.0, 0.01)
metrics.watch_key_services((service,), service)
for _ in range(int(sys.argv[3])):
    metrics.key_call(KeyCall("aws-kms", "eu-west-1", "generate", "orders", "ok", 0.1))
metrics.refresh_usage()
"""


def test_workers_together(tmp_path: Path) -> None:
    for slot, calls in ((0, 600), (1, 1200)):
        subprocess.run([sys.executable, "-c", WORK, str(tmp_path), str(slot), str(calls)], check=True)
    text = merged_exposition(tmp_path, CollectorRegistry())().decode()
    values = {
        (sample.name, sample.labels.get("source")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in {"sealgate_kms_quota_ratio", "sealgate_kms_cost_per_hour"}
    }
    assert values["sealgate_kms_quota_ratio", "own"] == pytest.approx(30 / 100)
    assert values["sealgate_kms_cost_per_hour", "own"] == pytest.approx(30 * 3600 * 0.01)
    assert values["sealgate_kms_quota_ratio", "estimated_s3"] == 0
