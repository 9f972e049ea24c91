"""Quota and cost as two workers show them, against what the key service saw."""

import asyncio
import time
from pathlib import Path

import pytest

from gateway.observe.request_rate import WINDOW_SECONDS
from lab.certificates import CertificateAuthority
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService
from tests.faults.key_stage import KeyStage

pytestmark = pytest.mark.slow

QUOTA = 1000


async def test_the_gauges_of_two_workers_are_what_the_service_saw_and_sink_to_nothing(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, key_service: KeyService
) -> None:
    bucket = f"usage-{time.monotonic_ns()}"
    stage = KeyStage(tmp_path, authority, seaweed, key_service, bucket=bucket, messages=1, requests_per_second=QUOTA)
    place = {"provider": key_service.kind, "source": "own"}
    metric = stage.gateway.metric
    stage.gateway.start()
    try:
        assert metric("sealgate_kms_requests_total", key=key_service.wrapping_key) == 0
        before = len(key_service.calls())
        await stage.all_of("PUT", [str(number) for number in range(40)], connections=8)
        plain = {"Bucket": f"{bucket}-kms", "Key": "by the store"}
        stage.direct.create_bucket(Bucket=plain["Bucket"])
        for _ in range(5):
            stage.client.put_object(**plain, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=seaweed.kms_key_id)
        for _ in range(3):
            stage.client.get_object(**plain)["Body"].read()
            stage.client.head_object(**plain)
        await asyncio.sleep(2.5)
        seen = len(key_service.calls()) - before
        assert seen >= 40
        assert stage.counted() == seen
        assert metric("sealgate_kms_quota_ratio", **place) == pytest.approx(seen / WINDOW_SECONDS / QUOTA)
        price = 0.03 / 10_000 if key_service.kind == "aws-kms" else 0
        assert metric("sealgate_kms_cost_per_hour", source="own") == pytest.approx(seen * 60 * price)
        estimated = "sealgate_kms_estimated_s3_requests_total"
        assert metric(estimated, operation="GenerateDataKey", mode="sse-kms", bucket_key="no") == 5
        assert metric(estimated, operation="Decrypt", mode="sse-kms", bucket_key="no") >= 3
        s3_cost = metric("sealgate_kms_cost_per_hour", source="estimated_s3")
        assert s3_cost == pytest.approx(metric(estimated) * 60 * 0.03 / 10_000)
        await asyncio.sleep(WINDOW_SECONDS + 2)
        assert metric("sealgate_kms_quota_ratio", **place) == 0
        assert metric("sealgate_kms_cost_per_hour") == 0
    finally:
        stage.gateway.stop()
