"""The metrics: names, zeros from the start, no label that a client can choose, several processes as one."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gateway.crypto.sealed.faults import Fault
from gateway.errors import STATUS_BY_CODE
from gateway.keys.assembled import KeyServiceObserver
from gateway.keys.data_keys import DataKeyObserver
from gateway.keys.metering import KeyCall
from gateway.keys.vault_error import VaultObserver, VaultResult
from gateway.observe.families import AUTH_CODES, MODES, VAULT_RESULTS
from gateway.observe.metrics import CompletedRequest, Metrics, exposition, forget_worker, merged_exposition
from gateway.s3.operation import Operation
from gateway.upstream.observer import UpstreamObserver


@dataclass
class Request:
    """A request that was answered."""

    operation: str = "PutObject"
    method: str = "PUT"
    mode: str = "sse-c"
    status: int = 200
    bytes_in: int = 10
    bytes_out: int = 20
    key_attempts: int = 2

    def seconds(self) -> float:
        return 0.02


def made() -> tuple[Metrics, CollectorRegistry]:
    registry = CollectorRegistry()
    return Metrics(registry), registry


def test_zeros_are_there_from_the_start() -> None:
    """Without them a rate does not see the first error."""
    _, registry = made()
    expected: dict[str, list[dict[str, str]]] = {
        "plaintext_http_refused_total": [{"reason": reason} for reason in ("sse_c_key", "credentials", "presigned")],
        "encryption_injected_total": [{"mode": mode} for mode in MODES],
        "encryption_unproven_total": [{"mode": mode} for mode in MODES],
        "encryption_overridden_total": [{"from_mode": "none", "to_mode": "sse-kms"}],
        "objects_written_total": [{"mode": mode} for mode in MODES],
        "objects_read_total": [{"mode": mode} for mode in MODES],
        "auth_failures_total": [{"code": "SignatureDoesNotMatch"}, {"code": "InvalidAccessKeyId"}],
        "vault_requests_total": [{"result": result} for result in VAULT_RESULTS],
        "shed_total": [{"reason": "requests"}, {"reason": "connections"}],
        "copies_streamed_total": [{"operation": "CopyObject"}, {"operation": "UploadPartCopy"}],
        "certificate_reloads_total": [{"result": "failed"}],
        "request_bytes_total": [{"direction": "in"}, {"direction": "out"}],
        "sse_c_blocked_total": [{}],
        "sealed_objects_total": [{}],
        "sealed_bytes_total": [{}],
        "opened_objects_total": [{}],
        "opened_bytes_total": [{}],
        "integrity_failures_total": [{"fault": fault} for fault in Fault],
        "data_key_cache_total": [{"operation": o, "result": r} for o in ("seal", "open") for r in ("hit", "miss")],
        "data_key_evictions_total": [{"reason": reason} for reason in ("age", "messages", "bytes", "capacity")],
        "layout_lookups_total": [{"result": "hit"}, {"result": "miss"}],
        "staged_bytes_total": [{}],
        "staging_total": [{"operation": operation} for operation in ("put", "get", "swept")],
        "requests_in_flight": [{}],
        "vault_request_duration_seconds_count": [{}],
    }
    for name, label_sets in expected.items():
        for labels in label_sets:
            assert registry.get_sample_value(f"sealgate_{name}", labels) == 0, name


def test_conventions() -> None:
    metrics, registry = made()
    metrics.request_done(Request())
    text = exposition(registry)().decode()
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("sealgate_")
        assert family.documentation
        assert not any(sample.name.endswith("_created") for sample in family.samples)


def test_a_request() -> None:
    metrics, registry = made()
    metrics.request_begun()
    assert registry.get_sample_value("sealgate_requests_in_flight") == 1
    metrics.request_ended()
    assert registry.get_sample_value("sealgate_requests_in_flight") == 0
    metrics.request_done(Request())
    metrics.request_done(Request())
    labels = {"operation": "PutObject", "method": "PUT", "status_class": "2xx", "mode": "sse-c"}
    assert registry.get_sample_value("sealgate_requests_total", labels) == 2
    bucket = {"operation": "PutObject", "le": "0.025"}
    assert registry.get_sample_value("sealgate_request_duration_seconds_bucket", bucket) == 2
    assert registry.get_sample_value("sealgate_request_bytes_total", {"direction": "in"}) == 20
    assert registry.get_sample_value("sealgate_request_bytes_total", {"direction": "out"}) == 40
    assert registry.get_sample_value("sealgate_sse_c_key_attempts_total") == 4


def test_what_a_client_makes_up_is_one_label() -> None:
    metrics, registry = made()
    for number in range(50):
        metrics.request_done(Request(operation=f"Made{number}", method=f"M{number}", status=400))
    labels = {"operation": "Unknown", "method": "Unknown", "status_class": "4xx", "mode": "sse-c"}
    assert registry.get_sample_value("sealgate_requests_total", labels) == 50
    assert len(metrics._request_children) == 0


def test_a_client_that_left_has_no_status() -> None:
    metrics, registry = made()
    metrics.request_done(Request(status=0))
    labels = {"operation": "PutObject", "method": "PUT", "status_class": "none", "mode": "sse-c"}
    assert registry.get_sample_value("sealgate_requests_total", labels) == 1


def test_every_event_counts() -> None:
    metrics, registry = made()
    metrics.encryption_injected("sse-c")
    metrics.encryption_overridden("none", "sse-kms")
    metrics.encryption_unproven("sse-s3")
    metrics.copy_unproven("sse-c")
    metrics.copy_streamed(Operation.COPY_OBJECT)
    metrics.object_written("sse-c")
    metrics.object_read("none")
    metrics.sse_c_blocked()
    metrics.auth_failure("SignatureDoesNotMatch")
    metrics.plain_http_refused("sse_c_key")
    metrics.connection_opened("TLSv1.3")
    metrics.connection_opened("made up")
    metrics.connection_opened(None)
    metrics.connection_timed_out("header")
    metrics.bad_request("not_http")
    metrics.shed("requests")
    metrics.certificate_reloaded(worked=True)
    metrics.certificate_expires("https", datetime(2027, 1, 1, tzinfo=UTC))
    expected = {
        ("encryption_injected_total", "mode", "sse-c"): 1,
        ("encryption_unproven_total", "mode", "sse-s3"): 1,
        ("copies_unproven_total", "mode", "sse-c"): 1,
        ("copies_streamed_total", "operation", "CopyObject"): 1,
        ("objects_written_total", "mode", "sse-c"): 1,
        ("objects_read_total", "mode", "none"): 1,
        ("auth_failures_total", "code", "SignatureDoesNotMatch"): 1,
        ("plaintext_http_refused_total", "reason", "sse_c_key"): 1,
        ("connections_opened_total", "tls_version", "TLSv1.3"): 1,
        ("connections_opened_total", "tls_version", "unknown"): 1,
        ("connections_opened_total", "tls_version", "none"): 1,
        ("connections_timed_out_total", "waited_for", "header"): 1,
        ("bad_requests_total", "reason", "not_http"): 1,
        ("shed_total", "reason", "requests"): 1,
        ("certificate_reloads_total", "result", "ok"): 1,
        ("tls_certificate_expiry_timestamp_seconds", "listener", "https"): 1798761600,
    }
    for (name, label, value), count in expected.items():
        assert registry.get_sample_value(f"sealgate_{name}", {label: value}) == count, name
    overridden = {"from_mode": "none", "to_mode": "sse-kms"}
    assert registry.get_sample_value("sealgate_encryption_overridden_total", overridden) == 1
    assert registry.get_sample_value("sealgate_sse_c_blocked_total") == 1


def test_sealed_objects() -> None:
    metrics, registry = made()
    metrics.sealed(100)
    metrics.sealed(0)
    metrics.opened(7)
    metrics.integrity_failure("chunk")
    metrics.layout_lookup(hit=True)
    metrics.layout_lookup(hit=False)
    metrics.staging("put", 50)
    metrics.staging("get", 50)
    metrics.staging("swept")
    metrics.staging_swept(2)
    keys: DataKeyObserver = metrics
    keys.data_key_lookup("seal", hit=True)
    keys.data_key_evicted("bytes")
    expected: list[tuple[str, dict[str, str], int]] = [
        ("sealed_objects_total", {}, 2),
        ("sealed_bytes_total", {}, 100),
        ("opened_objects_total", {}, 1),
        ("opened_bytes_total", {}, 7),
        ("integrity_failures_total", {"fault": "chunk"}, 1),
        ("integrity_failures_total", {"fault": "size"}, 0),
        ("layout_lookups_total", {"result": "hit"}, 1),
        ("layout_lookups_total", {"result": "miss"}, 1),
        ("staged_bytes_total", {}, 50),
        ("staging_total", {"operation": "put"}, 1),
        ("staging_total", {"operation": "get"}, 1),
        ("staging_total", {"operation": "swept"}, 3),
        ("data_key_cache_total", {"operation": "seal", "result": "hit"}, 1),
        ("data_key_cache_total", {"operation": "open", "result": "hit"}, 0),
        ("data_key_evictions_total", {"reason": "bytes"}, 1),
    ]
    for name, labels, count in expected:
        assert registry.get_sample_value(f"sealgate_{name}", labels) == count, name


def test_it_observes_the_vault_and_the_upstream() -> None:
    metrics, registry = made()
    vault: VaultObserver = metrics
    upstream: UpstreamObserver = metrics
    vault.on_vault_request("sealed", 0.2)
    upstream.on_request("GetObject", 200, 0.3)
    upstream.on_request("GetObject", "error", 0.3)
    upstream.on_first_byte("GetObject", 0.1)
    upstream.on_retry("GetObject", "not-sent")
    assert registry.get_sample_value("sealgate_vault_requests_total", {"result": "sealed"}) == 1
    assert registry.get_sample_value("sealgate_vault_request_duration_seconds_sum") == 0.2
    for status in ("200", "error"):
        labels = {"operation": "GetObject", "status": status}
        assert registry.get_sample_value("sealgate_upstream_requests_total", labels) == 1
    get = {"operation": "GetObject"}
    assert registry.get_sample_value("sealgate_upstream_request_duration_seconds_count", get) == 2
    assert registry.get_sample_value("sealgate_upstream_first_byte_seconds_sum", get) == 0.1
    assert registry.get_sample_value("sealgate_upstream_retries_total", {"reason": "not-sent"}) == 1


def test_it_observes_key_services_and_logins() -> None:
    metrics, registry = made()
    services: KeyServiceObserver = metrics
    services.key_call(KeyCall("aws-kms", "eu-west-1", "generate", "orders", "ok", 0.2))
    services.key_call(KeyCall("aws-kms", "eu-west-1", "unwrap", "orders", "throttled", 0.3))
    services.key_quota_refused("aws-kms", "eu-west-1", "write")
    services.key_breaker("orders", is_open=True)
    vault: VaultObserver = metrics
    vault.on_vault_login("main", "approle", "ok")
    vault.on_vault_renewal("main", "denied")
    call = {"provider": "aws-kms", "key": "orders"}
    place = {"provider": "aws-kms", "scope": "eu-west-1"}
    expected: list[tuple[str, dict[str, str], float]] = [
        ("kms_requests_total", {**call, "operation": "generate", "result": "ok"}, 1),
        ("kms_requests_total", {**call, "operation": "unwrap", "result": "throttled"}, 1),
        ("kms_request_duration_seconds_sum", {"provider": "aws-kms", "operation": "unwrap"}, 0.3),
        ("kms_throttled_total", place, 1),
        ("kms_quota_refused_total", {**place, "kind": "write"}, 1),
        ("kms_breaker_open", {"key": "orders"}, 1),
        ("vault_logins_total", {"vault": "main", "method": "approle", "result": "ok"}, 1),
        ("vault_renewals_total", {"vault": "main", "result": "denied"}, 1),
    ]
    for name, labels, value in expected:
        assert registry.get_sample_value(f"sealgate_{name}", labels) == value, name
    services.key_breaker("orders", is_open=False)
    assert registry.get_sample_value("sealgate_kms_breaker_open", {"key": "orders"}) == 0


def test_closed_sets_are_those_of_their_rooms() -> None:
    assert set(VAULT_RESULTS) == {result.value for result in VaultResult}
    assert set(AUTH_CODES) <= set(STATUS_BY_CODE)
    request: CompletedRequest = Request()
    assert request.seconds() > 0


WORK = """
import sys
from pathlib import Path
from gateway.observe.metrics import Metrics, share_values
share_values(Path(sys.argv[1]), int(sys.argv[2]))
from prometheus_client import CollectorRegistry
metrics = Metrics(CollectorRegistry())
metrics.object_written("sse-c")
metrics._requests.in_flight.inc()
"""


def test_processes_are_merged_and_a_replaced_one_continues(tmp_path: Path) -> None:
    def work(slot: int) -> None:
        subprocess.run([sys.executable, "-c", WORK, str(tmp_path), str(slot)], check=True)

    def value(name: str) -> float:
        families = text_string_to_metric_families(merged_exposition(tmp_path, CollectorRegistry())().decode())
        return sum(
            s.value for f in families for s in f.samples if s.name == name and s.labels in ({}, {"mode": "sse-c"})
        )

    work(0)
    work(1)
    assert value("sealgate_objects_written_total") == 2
    assert value("sealgate_requests_in_flight") == 2
    files = sorted(path.name for path in tmp_path.iterdir())
    forget_worker(tmp_path, 1)
    assert value("sealgate_requests_in_flight") == 1
    work(1)
    assert value("sealgate_objects_written_total") == 3
    assert value("sealgate_requests_in_flight") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == files
