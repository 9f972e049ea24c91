"""What this process has learned about the upstream server's own copies."""

from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation


class CopyKnowledge:
    """Whether the server's copy is worth trying.

    A server that once copied without proving the encryption will do so again, and leave an unencrypted copy for a
    moment each time; it is not asked a second time.

    Args:
        always_stream: never ask the server.
    """

    def __init__(self, *, always_stream: bool) -> None:
        self._always_stream = always_stream
        self._unproven: set[tuple[Operation, ModeName]] = set()

    def by_server(self, operation: Operation, mode: ModeName) -> bool:
        """Whether to ask the server for a copy into ``mode``."""
        return not self._always_stream and (operation, mode) not in self._unproven

    def note_unproven(self, operation: Operation, mode: ModeName) -> None:
        """The server copied into ``mode`` without proof."""
        self._unproven.add((operation, mode))
