"""What the suite needs to know about a service that keeps customer keys: how to write them, and how to break it."""

import base64
import secrets
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.keys.customer_keys import CustomerKeySource
from lab.fault_proxy import Fault, FaultProxy

#: Generous: a busy machine is no fault.
_TIMEOUT_SECONDS = 20.0


@dataclass(slots=True)
class SecretSubject(ABC):
    """One kind of service.

    Attributes:
        proxy: stands in front of it, counts and breaks things.
        secrets: texts that nothing may show: credentials, and whatever was written.
    """

    proxy: FaultProxy
    secrets: list[str] = field(default_factory=list, repr=False)
    kind: ClassVar[str]

    @abstractmethod
    async def open(self, name: str, *, timeout_seconds: float = _TIMEOUT_SECONDS, **settings: Any) -> CustomerKeySource:
        """A source of the keys in a secret. Whoever opens it closes it.

        Args:
            name: of the secret.
            timeout_seconds: how long it waits for its service.
            settings: of CustomerKeySettings.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close what belongs to the event loop beside the sources."""

    @abstractmethod
    def put(self, name: str, text: str) -> None:
        """Write a new version of a secret, which is the newest from now on."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a secret with all versions, so that it can still be restored."""

    @abstractmethod
    def deny(self, name: str) -> None:
        """From now on nobody may read the secret."""

    @abstractmethod
    def missing(self) -> str:
        """The name of a secret that does not exist."""

    @abstractmethod
    def calls(self) -> int:
        """Requests about secrets that the service saw so far, answered or not."""

    def new_name(self) -> str:
        """A name that no secret has."""
        return f"conformance-{secrets.token_hex(6)}"

    def write(self, name: str, text: str) -> None:
        """Write a new version, which nothing may show."""
        if len(text) > 4:
            self.secrets.append(text)
        self.put(name, text)

    def rotate(self, name: str) -> bytes:
        """Write a fresh key as the newest version; it comes back."""
        raw = secrets.token_bytes(32)
        self.secrets += [raw.hex(), repr(raw)[2:-1]]
        self.write(name, base64.b64encode(raw).decode())
        return raw

    def during(self, fault: Fault) -> AbstractContextManager[None]:
        """The service has this fault meanwhile."""
        return self.proxy.during(fault)
