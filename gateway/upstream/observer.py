"""What the upstream client tells about its work, for metrics."""

from typing import Literal, Protocol

from gateway.s3.headers import Headers
from gateway.s3.operation import Operation


class UpstreamObserver(Protocol):
    """Told about every attempt; implementations are quick and do not raise."""

    def on_request(self, operation: str, status: int | Literal["error"], seconds: float) -> None:
        """One attempt ended: the answer was read or given up after ``seconds``, or there was none (``error``)."""

    def on_first_byte(self, operation: str, seconds: float) -> None:
        """The head of an answer arrived, ``seconds`` after the attempt began."""

    def on_success(self, operation: Operation, requested: Headers, answered: Headers) -> None:
        """The server did what it was asked for; ``requested`` and ``answered`` are header fields."""

    def on_retry(self, operation: str, reason: str) -> None:
        """Another attempt follows; ``reason`` is a status or a :class:`gateway.upstream.retry.Fault`."""


class SilentObserver:
    """Listens to nothing."""

    def on_request(self, operation: str, status: int | Literal["error"], seconds: float) -> None:
        """Ignore it."""

    def on_first_byte(self, operation: str, seconds: float) -> None:
        """Ignore it."""

    def on_success(self, operation: Operation, requested: Headers, answered: Headers) -> None:
        """Ignore it."""

    def on_retry(self, operation: str, reason: str) -> None:
        """Ignore it."""
