"""Where health and metrics are shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The admin listener: plain HTTP, no secrets, no S3, an address of its own.

    Attributes:
        host: IP address.
        port: TCP port; 0 lets the system choose one.
        probe_seconds: longest time for one readiness probe.
        cache_seconds: how long the result of the probes is shown again, so that whoever asks often does not make the
            gateway hammer its vault and its upstream.
    """

    host: str = "127.0.0.1"
    port: int = 9090
    probe_seconds: float = 3.0
    cache_seconds: float = 1.0
