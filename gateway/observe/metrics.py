"""The gateway's counters. Callers name what happened; Prometheus's names and labels stay here and in ``families``."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from gateway import __version__
from gateway.observe.families import (
    TLS_VERSIONS,
    DependencyFamilies,
    EncryptionFamilies,
    RequestFamilies,
    SealedFamilies,
    TransportFamilies,
)
from gateway.observe.key_metrics import KeyServiceMetrics
from gateway.observe.policy_metrics import PolicyMetrics
from gateway.observe.series import Add, Observing, adding
from gateway.s3.operation import Operation

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_UNKNOWN: Final = "Unknown"
_OPERATIONS: Final = frozenset(operation.value for operation in Operation)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})


class CompletedRequest(Protocol):
    """What is counted of a request that was answered."""

    @property
    def operation(self) -> str:
        """S3's name of the operation."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def mode(self) -> str:
        """The encryption that the object got or has."""

    @property
    def status(self) -> int:
        """The HTTP status; 0 when the client went away before there was one."""

    @property
    def bytes_in(self) -> int:
        """Body bytes read from the client."""

    @property
    def bytes_out(self) -> int:
        """Body bytes written to the client."""

    @property
    def key_attempts(self) -> int:
        """Customer keys tried."""

    def seconds(self) -> float:
        """Seconds since the request arrived."""


class Metrics(KeyServiceMetrics):
    """Every counter of one process.

    Also the observer of the upstream client, of vaults and key services, of data keys and layouts.

    Args:
        registry: where the families are registered.
        clock: the time in seconds, for what is shown per time; never goes back.

    Attributes:
        policies: what counts policies and their decisions.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library annotates only a part of itself
        super().__init__(registry, clock)
        self._requests = RequestFamilies(registry)
        self._encryption = EncryptionFamilies(registry)
        self.policies = PolicyMetrics(registry)
        self._sealed = SealedFamilies(registry)
        self._transport = TransportFamilies(registry)
        self._dependencies = DependencyFamilies(registry)
        self._request_children: dict[tuple[str, str, int, str], tuple[Add, Observing]] = {}
        # The series that every request counts in. Looking one up among its family's takes longer than counting: without
        # these, 4 % of the CPU time of a small request.
        self._injected = _series_of(self._encryption.injected)
        self._written = _series_of(self._encryption.written)
        self._read = _series_of(self._encryption.read)
        self._data_keys = _series_of(self._sealed.data_keys)
        self._upstream = _series_of(self._dependencies.upstream)
        self._upstream_seconds = _histograms_of(self._dependencies.upstream_seconds)
        self._upstream_first_byte = _histograms_of(self._dependencies.upstream_first_byte)
        self._in_flight = adding(self._requests.in_flight)
        self._bytes_in = adding(self._requests.bytes.labels("in"))
        self._bytes_out = adding(self._requests.bytes.labels("out"))
        self._dependencies.build.labels(__version__).set(1)

    # --------------------------------------------------------------------------------------------------------- requests

    def request_begun(self) -> None:
        """A request is being served; :meth:`request_ended` follows in any case."""
        self._in_flight(1)

    def request_ended(self) -> None:
        """A request is not being served any more."""
        self._in_flight(-1)

    def request_done(self, request: CompletedRequest) -> None:
        """A request was answered, or its client went away."""
        key = (request.operation, request.method, request.status // 100, request.mode)
        children = self._request_children.get(key)
        if children is None:
            bounded = _bounded(*key)
            children = self._children(*bounded)
            if bounded == key:
                self._request_children[key] = children
        add, seconds = children
        add(1)
        seconds.observe(request.seconds())
        if request.bytes_in:
            self._bytes_in(request.bytes_in)
        if request.bytes_out:
            self._bytes_out(request.bytes_out)
        if request.key_attempts:
            self._encryption.key_attempts.inc(request.key_attempts)

    def _children(self, operation: str, method: str, status_class: int, mode: str) -> tuple[Add, Observing]:
        """The series of one kind of request; looking them up by label takes longer than counting."""
        status = f"{status_class}xx" if status_class else "none"
        return (
            adding(self._requests.requests.labels(operation, method, status, mode)),
            Observing(self._requests.seconds.labels(operation)),
        )

    def auth_failure(self, code: str) -> None:
        """A request was refused because of who asked; ``code`` is S3's."""
        self._requests.auth_failures.labels(code).inc()

    # ------------------------------------------------------------------------------------------------------- encryption

    def encryption_injected(self, mode: str) -> None:
        """A rule gave an object its encryption."""
        self._injected(mode)(1)

    def encryption_overridden(self, from_mode: str, to_mode: str) -> None:
        """A rule replaced the encryption that a client asked for."""
        self._encryption.overridden.labels(from_mode, to_mode).inc()

    def encryption_unproven(self, mode: str) -> None:
        """A success of the upstream did not prove the encryption asked for."""
        self._encryption.unproven.labels(mode).inc()

    def copy_unproven(self, mode: str) -> None:
        """A server-side copy did not prove its encryption and is done again by streaming."""
        self._encryption.copies_unproven.labels(mode).inc()

    def copy_streamed(self, operation: Operation) -> None:
        """A copy went through the gateway."""
        self._encryption.copies_streamed.labels(operation.value).inc()

    def object_written(self, mode: str) -> None:
        """An object was written, and the answer proved ``mode``."""
        self._written(mode)(1)

    def object_read(self, mode: str) -> None:
        """An object was read; the answer's headers said ``mode``."""
        self._read(mode)(1)

    def sse_c_blocked(self) -> None:
        """A write failed because its bucket blocks SSE-C."""
        self._encryption.sse_c_blocked.inc()

    # --------------------------------------------------------------------------------------------------- sealed objects

    def sealed(self, bytes_: int) -> None:
        """An object, a part or a closing was sealed and stored; ``bytes_`` of plaintext."""
        self._sealed.sealed_objects.inc()
        self._sealed.sealed_bytes.inc(bytes_)

    def opened(self, bytes_: int) -> None:
        """A read of a sealed object ended; ``bytes_`` of plaintext were released."""
        self._sealed.opened_objects.inc()
        self._sealed.opened_bytes.inc(bytes_)

    def integrity_failure(self, fault: str) -> None:
        """A stored object was refused; ``fault`` is that of the :class:`~gateway.errors.IntegrityError`."""
        self._sealed.integrity_failures.labels(fault).inc()

    def layout_lookup(self, *, hit: bool) -> None:
        """A layout was looked for."""
        self._sealed.layouts.labels("hit" if hit else "miss").inc()

    def staging_swept(self, uploads: int) -> None:
        """Old uploads and drafts were removed from the staging store."""
        self._sealed.staging.labels("swept").inc(uploads)

    def staging(self, operation: Literal["put", "get", "swept"], bytes_: int = 0) -> None:
        """A part was put into the staging store (``bytes_`` long), read from it, or swept out of it."""
        self._sealed.staging.labels(operation).inc()
        if operation == "put":
            self._sealed.staged_bytes.inc(bytes_)

    def data_key_lookup(self, operation: Literal["seal", "open"], *, hit: bool) -> None:
        """A data key was asked for."""
        self._data_keys(operation, "hit" if hit else "miss")(1)

    def data_key_evicted(self, reason: Literal["age", "messages", "bytes", "capacity"]) -> None:
        """A data key was dropped because it reached a limit."""
        self._sealed.evictions.labels(reason).inc()

    # -------------------------------------------------------------------------------------------------------- transport

    def plain_http_refused(self, reason: str) -> None:
        """A request over plain HTTP was refused; ``reason`` is what it exposed."""
        self._transport.plain_http.labels(reason).inc()

    def connection_opened(self, tls_version: str | None) -> None:
        """A client connected; ``tls_version`` is None without TLS."""
        label = "none" if tls_version is None else tls_version if tls_version in TLS_VERSIONS else "unknown"
        self._transport.opened.labels(label).inc()

    def connection_timed_out(self, waited_for: Literal["header", "idle", "body", "reader"]) -> None:
        """A connection was ended because nothing happened."""
        self._transport.timed_out.labels(waited_for).inc()

    def bad_request(self, reason: str) -> None:
        """Something arrived that is no usable HTTP request."""
        self._transport.bad_requests.labels(reason).inc()

    def shed(self, reason: Literal["requests", "connections"]) -> None:
        """Something was turned away because a limit was reached."""
        self._transport.shed.labels(reason).inc()

    def certificate_expires(self, listener: str, when: datetime) -> None:
        """When the certificate that a listener uses now expires."""
        self._transport.certificate_expiry.labels(listener).set(when.timestamp())

    def certificate_reloaded(self, *, worked: bool) -> None:
        """Certificate files were read again."""
        self._transport.certificate_reloads.labels("ok" if worked else "failed").inc()

    # ----------------------------------------------------------------------------------------------------- dependencies

    def on_vault_request(self, result: str, seconds: float) -> None:
        """A request to a vault ended."""
        self._dependencies.vault.labels(result).inc()
        self._dependencies.vault_seconds.observe(seconds)

    def on_request(self, operation: str, status: int | Literal["error"], seconds: float) -> None:
        """An attempt upstream ended."""
        self._upstream(operation, str(status))(1)
        self._upstream_seconds(operation).observe(seconds)

    def on_first_byte(self, operation: str, seconds: float) -> None:
        """The head of an upstream answer arrived."""
        self._upstream_first_byte(operation).observe(seconds)

    def on_retry(self, operation: str, reason: str) -> None:
        """An upstream request is sent again."""
        del operation
        self._dependencies.upstream_retries.labels(reason).inc()


def _series_of(family: Counter) -> Callable[..., Add]:
    """What adds to the series of these label values."""
    return cache(lambda *labels: adding(family.labels(*labels)))


def _histograms_of(family: Histogram) -> Callable[..., Observing]:
    """The histogram of these label values."""
    return cache(lambda *labels: Observing(family.labels(*labels)))


def _bounded(operation: str, method: str, status_class: int, mode: str) -> tuple[str, str, int, str]:
    """The labels, with what only a client could have made up replaced."""
    return (
        operation if operation in _OPERATIONS else _UNKNOWN,
        method if method in _METHODS else _UNKNOWN,
        status_class,
        mode,
    )


def share_values(directory: Path, slot: int) -> None:
    """Keep this process's values in files, so that another process can merge them.

    It has to be called before :class:`Metrics` is made. Files belong to the worker's slot, not to its process id: a
    worker that replaces a dead one continues its counters, and no files pile up.

    Args:
        directory: of all workers.
        slot: the worker's number.
    """
    os.environ[_DIRECTORY_VARIABLE] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # as above


def forget_worker(directory: Path, slot: int) -> None:
    """Drop what only a live process has, such as its requests in flight; its counters stay."""
    mark_process_dead(slot, str(directory))  # type: ignore[no-untyped-call]  # as above


def exposition(registry: CollectorRegistry) -> Callable[[], bytes]:
    """Renders one process's metrics."""
    return lambda: generate_latest(registry)


def merged_exposition(directory: Path, own: CollectorRegistry) -> Callable[[], bytes]:
    """Renders the workers' metrics as one, and then the supervisor's own."""

    def render() -> bytes:
        merged = CollectorRegistry()
        MultiProcessCollector(merged, path=str(directory))  # type: ignore[no-untyped-call]  # as above
        return generate_latest(merged) + generate_latest(own)

    return render
