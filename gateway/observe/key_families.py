"""The metric families of key services and vaults: requests that cost money, quotas, and what protects them."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.observe.families import VAULT_SECONDS

KEY_OPERATIONS: Final = ("generate", "unwrap", "rewrap")
#: How a request to a key service ended.
KEY_RESULTS: Final = (
    "ok", "throttled", "unavailable", "denied", "not_found", "disabled", "invalid", "cancelled",
)  # fmt: skip
QUOTA_KINDS: Final = ("read", "write")
#: Who makes requests: the gateway, which counts them, or S3, whose requests are estimated.
SOURCES: Final = ("own", "estimated_s3")
#: Operations that S3 asks AWS KMS for.
S3_OPERATIONS: Final = ("GenerateDataKey", "Decrypt")
#: Modes with a KMS key, and whether S3 uses a bucket key; DSSE has none.
S3_MODES: Final = (("sse-kms", "no"), ("sse-kms", "yes"), ("dsse-kms", "no"))


class KeyServiceFamilies:
    """Requests to key services, exactly as many as the services see, and logins to vaults.

    Label values are configured names and closed sets; none comes from a client or from the storage.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sealgate_kms_requests",
            "Requests to key services.",
            ("provider", "operation", "key", "result"),
            registry=registry,
        )
        self.seconds = Histogram(
            "sealgate_kms_request_duration_seconds",
            "Time of requests to key services.",
            ("provider", "operation"),
            registry=registry,
            buckets=VAULT_SECONDS,
        )
        self.throttled = Counter(
            "sealgate_kms_throttled", "Requests that a key service throttled.", ("provider", "scope"), registry=registry
        )
        self.quota_refused = Counter(
            "sealgate_kms_quota_refused",
            "Requests not made because the quota was used up.",
            ("provider", "scope", "kind"),
            registry=registry,
        )
        self.breaker_open = Gauge(
            "sealgate_kms_breaker_open",
            "Whether a key service is left alone because it failed.",
            ("key",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.logins = Counter(
            "sealgate_vault_logins", "Logins to vaults.", ("vault", "method", "result"), registry=registry
        )
        self.renewals = Counter(
            "sealgate_vault_renewals", "Renewals of vault tokens.", ("vault", "result"), registry=registry
        )


class KeyUsageFamilies:
    """What requests to key services use of quotas and cost, those that S3 makes included.

    Each process shows its own part, so that the values of all workers, and of all gateways, can be added.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.estimated = Counter(
            "sealgate_kms_estimated_s3_requests",
            "Requests to AWS KMS that S3 probably made, estimated from its answers.",
            ("operation", "mode", "bucket_key"),
            registry=registry,
        )
        for operation in S3_OPERATIONS:
            for mode, bucket_key in S3_MODES:
                self.estimated.labels(operation, mode, bucket_key)
        self.quota_ratio = Gauge(
            "sealgate_kms_quota_ratio",
            "Part of a key service's quota that was used in the last minute.",
            ("provider", "scope", "source"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.cost_per_hour = Gauge(
            "sealgate_kms_cost_per_hour",
            "What an hour of requests to key services costs at the rate of the last minute.",
            ("source",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        for source in SOURCES:
            self.cost_per_hour.labels(source)
