"""A provider whose answers are written down beforehand, for what stands around providers."""

from collections.abc import Iterable

from gateway.errors import KeyUnavailable
from gateway.keys.provider import DataKey, WrappedKey
from gateway.redact import SecretBytes

URI = "scripted:key"
DOWN = KeyUnavailable("down")
THROTTLED = KeyUnavailable("slow down", code="SlowDown")
DENIED = KeyUnavailable("no", code="AccessDenied")


class ScriptedProvider:
    """Fails as scripted, then works.

    Attributes:
        script: the faults of the next requests; None is a success.
        asked: the operations that reached it.
    """

    def __init__(self, script: Iterable[KeyUnavailable | None] = (), scope: str = "region") -> None:
        self.script = list(script)
        self.scope = scope
        self.asked: list[str] = []
        self.closed = False

    kind = "scripted"
    current = URI

    def _next(self, operation: str) -> None:
        self.asked.append(operation)
        fault = self.script.pop(0) if self.script else None
        if fault is not None:
            raise fault.again()

    async def generate(self) -> DataKey:
        self._next("generate")
        return DataKey(SecretBytes(bytes(range(32))), URI, b"wrapped")

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        self._next("unwrap")
        return SecretBytes(bytes(range(32)))

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        self._next("rewrap")
        return WrappedKey(URI, wrapped + b"+")

    def handles(self, wrapping_key: str) -> bool:
        return wrapping_key == URI

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        return "7"

    async def aclose(self) -> None:
        self.closed = True
