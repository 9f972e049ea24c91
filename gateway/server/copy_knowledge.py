"""What this process has learned about the upstream server's own copies."""

from typing import Final

from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation

#: A server's own copy would keep the stored bytes of a sealed object; and it takes a copy of an object onto itself
#: without any encryption for no change.
_ALWAYS_ANEW: Final = frozenset({ModeName.CSE, ModeName.NONE})


class CopyKnowledge:
    """Whether the server's copy is worth trying.

    A server that once copied without proving the encryption will do so again, and leave an unencrypted copy for a
    moment each time; it is not asked a second time.

    Args:
        always_stream: never ask the server.
        reencrypts: every copy is there for the encryption of the new object: sealed objects are sealed anew and never
            copied as they are, and nothing that changes the encryption is too small a change.

    Attributes:
        reencrypts: the same.
    """

    def __init__(self, *, always_stream: bool, reencrypts: bool = False) -> None:
        self.reencrypts = reencrypts
        self._always_stream = always_stream
        self._unproven: set[tuple[Operation, ModeName]] = set()

    def by_server(self, operation: Operation, mode: ModeName) -> bool:
        """Whether to ask the server for a copy into ``mode``."""
        if self.reencrypts and mode in _ALWAYS_ANEW:
            return False
        return not self._always_stream and (operation, mode) not in self._unproven

    def note_unproven(self, operation: Operation, mode: ModeName) -> None:
        """The server copied into ``mode`` without proof, or without looking at a condition."""
        self._unproven.add((operation, mode))
