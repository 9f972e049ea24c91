"""Every metric family, created at start, with zeros where the set of label values is closed.

Names follow prometheus.io's conventions: base units, ``_total`` on counters, no label whose values a client can choose.
Gauges say how the values of several processes become one.
"""

from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.crypto.sealed.faults import Fault
from gateway.policy.rules import ModeName

#: S3 requests take from a millisecond (HEAD) to minutes (5 GiB parts); the client library's defaults end at 10 s.
REQUEST_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
VAULT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

MODES: Final = tuple(mode.value for mode in ModeName)
PLAIN_HTTP_REASONS: Final = ("sse_c_key", "credentials", "presigned", "anonymous")
VAULT_RESULTS: Final = ("ok", "denied", "not_found", "throttled", "sealed", "unavailable", "timeout", "invalid")
AUTH_CODES: Final = (
    "AccessDenied", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError",
    "InvalidAccessKeyId", "InvalidRequest", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch",
)  # fmt: skip
SHED_REASONS: Final = ("requests", "connections")
TIMED_OUT: Final = ("header", "idle", "body", "reader")
BAD_REQUESTS: Final = ("header_too_large", "not_http", "connect", "tls_on_plain_http", "proxy_protocol")
COPY_OPERATIONS: Final = ("CopyObject", "UploadPartCopy")
FAULTS: Final = tuple(fault.value for fault in Fault)
DATA_KEY_OPERATIONS: Final = ("seal", "open")
EVICTION_REASONS: Final = ("age", "messages", "bytes", "capacity")
STAGING_OPERATIONS: Final = ("put", "get", "swept")
RELOAD_RESULTS: Final = ("ok", "failed")
TLS_VERSIONS: Final = ("TLSv1.3", "TLSv1.2", "unknown", "none")


class FamilyMaker:
    """Creates families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, labels: Iterable[str] = (), zeros: Iterable[str] = ()) -> Counter:
        """A counter; ``zeros`` are the values of its only label that exist from the start."""
        family = Counter(f"sealgate_{name}", text, tuple(labels), registry=self._registry)
        for value in zeros:
            family.labels(value)
        return family

    def gauge(
        self, name: str, text: str, labels: Iterable[str] = (), *, merge: Literal["livesum", "livemin", "livemax"]
    ) -> Gauge:
        """A gauge; ``merge`` is how the values of live processes become one."""
        return Gauge(f"sealgate_{name}", text, tuple(labels), registry=self._registry, multiprocess_mode=merge)

    def histogram(
        self, name: str, text: str, labels: Iterable[str] = (), buckets: Iterable[float] = REQUEST_SECONDS
    ) -> Histogram:
        """A histogram of seconds."""
        return Histogram(f"sealgate_{name}", text, tuple(labels), registry=self._registry, buckets=tuple(buckets))


class RequestFamilies:
    """What clients asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self.requests = make.counter("requests", "Requests answered.", ("operation", "method", "status_class", "mode"))
        self.seconds = make.histogram("request_duration_seconds", "Time from head to last byte.", ("operation",))
        self.in_flight = make.gauge("requests_in_flight", "Requests being served.", merge="livesum")
        self.bytes = make.counter("request_bytes", "Body bytes of clients.", ("direction",), ("in", "out"))
        self.auth_failures = make.counter("auth_failures", "Requests refused by identity.", ("code",), AUTH_CODES)


class EncryptionFamilies:
    """What happened to objects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self.injected = make.counter("encryption_injected", "Requests given an encryption by a rule.", ("mode",), MODES)
        self.overridden = make.counter(
            "encryption_overridden", "Requests whose own encryption a rule replaced.", ("from_mode", "to_mode")
        )
        for before in MODES:
            for after in MODES:
                self.overridden.labels(before, after)
        self.unproven = make.counter(
            "encryption_unproven", "Successes that did not prove the encryption asked for.", ("mode",), MODES
        )
        self.copies_unproven = make.counter(
            "copies_unproven", "Copies done again by streaming because the server's proved nothing.", ("mode",), MODES
        )
        self.copies_streamed = make.counter(
            "copies_streamed", "Copies streamed through the gateway.", ("operation",), COPY_OPERATIONS
        )
        self.written = make.counter("objects_written", "Objects written, by proven encryption.", ("mode",), MODES)
        self.read = make.counter("objects_read", "Objects read, by proven encryption.", ("mode",), MODES)
        self.sse_c_blocked = make.counter("sse_c_blocked", "Writes refused because the bucket blocks SSE-C.")
        self.key_attempts = make.counter("sse_c_key_attempts", "Customer keys tried on reads.")


class SealedFamilies:
    """Objects that the gateway seals and opens itself, and the keys for it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self.sealed_objects = make.counter("sealed_objects", "Messages sealed: objects, parts and closings.")
        self.sealed_bytes = make.counter("sealed_bytes", "Plaintext bytes sealed.")
        self.opened_objects = make.counter("opened_objects", "Reads of sealed objects that were answered.")
        self.opened_bytes = make.counter("opened_bytes", "Plaintext bytes opened and released.")
        self.integrity_failures = make.counter(
            "integrity_failures", "Stored objects refused, by what is wrong with them.", ("fault",), FAULTS
        )
        self.data_keys = make.counter(
            "data_key_cache", "Data keys asked for; a hit took no request to a provider.", ("operation", "result")
        )
        self.evictions = make.counter(
            "data_key_evictions", "Data keys dropped at a limit.", ("reason",), EVICTION_REASONS
        )
        self.layouts = make.counter("layout_lookups", "Layouts looked for.", ("result",), ("hit", "miss"))
        self.staged_bytes = make.counter("staged_bytes", "Sealed bytes put into the staging store.")
        self.staging = make.counter("staging", "Parts staged, read back and swept.", ("operation",), STAGING_OPERATIONS)
        for operation in DATA_KEY_OPERATIONS:
            for result in ("hit", "miss"):
                self.data_keys.labels(operation, result)


class TransportFamilies:
    """Connections of clients."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self.plain_http = make.counter(
            "plaintext_http_refused", "Refused plain HTTP by what it exposed.", ("reason",), PLAIN_HTTP_REASONS
        )
        self.opened = make.counter("connections_opened", "Connections by TLS version.", ("tls_version",), TLS_VERSIONS)
        self.timed_out = make.counter("connections_timed_out", "Connections ended by time.", ("waited_for",), TIMED_OUT)
        self.bad_requests = make.counter("bad_requests", "What was not a usable request.", ("reason",), BAD_REQUESTS)
        self.shed = make.counter("shed", "What was turned away by a limit.", ("reason",), SHED_REASONS)
        self.certificate_expiry = make.gauge(
            "tls_certificate_expiry_timestamp_seconds", "When the certificate in use expires.", ("listener",),
            merge="livemin",
        )  # fmt: skip
        self.certificate_reloads = make.counter(
            "certificate_reloads", "Certificate reloads.", ("result",), RELOAD_RESULTS
        )


class DependencyFamilies:
    """The upstream server and the vaults."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self.vault = make.counter("vault_requests", "Requests to vaults.", ("result",), VAULT_RESULTS)
        self.vault_seconds = make.histogram("vault_request_duration_seconds", "Vault latency.", (), VAULT_SECONDS)
        self.upstream = make.counter(
            "upstream_requests", "Attempts by status, 'error' without one.", ("operation", "status")
        )
        self.upstream_seconds = make.histogram("upstream_request_duration_seconds", "Attempts whole.", ("operation",))
        self.upstream_first_byte = make.histogram(
            "upstream_first_byte_seconds", "Attempts to the head.", ("operation",)
        )
        self.upstream_retries = make.counter("upstream_retries", "Attempts repeated.", ("reason",))
        self.build = make.gauge("build_info", "The program's version.", ("version",), merge="livemax")
