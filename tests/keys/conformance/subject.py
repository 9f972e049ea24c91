"""What the suite needs to know about a provider that it tests: how to open one, and how to break its service."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from gateway.keys.provider import KeyProvider
from lab.fault_proxy import Fault


class Key(StrEnum):
    """The wrapping keys that every subject has."""

    MAIN = "main"
    OTHER = "other"
    ROTATED = "rotated"
    DISABLED = "disabled"
    DELETED = "deleted"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Refusals:
    """The S3 codes that permanent faults become; they differ where services differ."""

    disabled: str = "KMS.DisabledException"
    deleted: str = "KMS.NotFoundException"
    missing: str = "KMS.NotFoundException"
    foreign: frozenset[str] = frozenset({"AccessDenied"})


@dataclass(slots=True)
class Subject(ABC):
    """One kind of provider with its service.

    Attributes:
        secrets: texts that nothing may show: tokens, secret keys.
        remote: whether there is a service that can fail and counts requests.
        versions: whether a rotated key says which version wrapped a data key.
        contexts: whether an encryption context protects.
    """

    secrets: list[str] = field(default_factory=list, repr=False)
    remote: ClassVar[bool] = True
    versions: ClassVar[bool] = False
    contexts: ClassVar[bool] = False
    kind: ClassVar[str]
    scope: ClassVar[str] = ""
    refusals: ClassVar[Refusals] = Refusals()

    @abstractmethod
    async def open(self, key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        """A bare provider of one key. It belongs to the running event loop; whoever opens it closes it.

        Args:
            key: which.
            context: a word for the encryption context; the subject's own when empty.
            timeout_seconds: how long it waits for its service.
        """

    @abstractmethod
    def rotate(self) -> None:
        """A new version of :attr:`Key.ROTATED`; providers that were open before need not see it."""

    @abstractmethod
    def disable(self) -> None:
        """From now on :attr:`Key.DISABLED` is disabled and :attr:`Key.DELETED` deleted."""

    @abstractmethod
    async def close(self) -> None:
        """Close what belongs to the event loop beside the providers."""

    def during(self, fault: Fault) -> AbstractContextManager[None]:
        """The service has this fault meanwhile."""
        return nullcontext()

    def calls(self) -> int:
        """Requests about keys that the service saw so far, answered or not."""
        return 0
