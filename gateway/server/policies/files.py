"""Policies from files, read again while the gateway runs.

New files take effect together or not at all. Files that can not be used leave the policies as they were; every fault is
logged with its line and field, and a metric says so until somebody has mended them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.config.policies import PolicyFile
from gateway.config.policy_files import read_policies
from gateway.errors import ConfigError
from gateway.event_log import get_logger
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.document import Policy
from gateway.server.file_identity import FileIdentity, file_identity

_log = get_logger("gateway.server.policies.files")


class PolicyFilesObserver(Protocol):
    """Whoever shows how reading went."""

    def policy_files_read(self, *, worked: bool, when: datetime) -> None:
        """The files were read; ``worked`` says whether they are in use now."""


class PolicyFiles:
    """The policies of the configured files.

    Args:
        files: what to read.
        observer: told of every reading.
        now: the time, aware.

    Attributes:
        current: the policies in use.

    Raises:
        ConfigError: they can not be used; with every fault.
    """

    def __init__(self, files: Sequence[PolicyFile], observer: PolicyFilesObserver, now: Callable[[], datetime]) -> None:
        self._files = tuple(files)
        self._observer = observer
        self._now = now
        # Before they are read: what changes meanwhile is read once more.
        self._seen = self._identities()
        self.policies: tuple[Policy, ...] = read_policies(self._files)
        self.current = CompiledPolicies(self.policies)
        self._observer.policy_files_read(worked=True, when=now())

    def reload(self) -> bool:
        """Read the files again.

        Returns:
            Whether what they say is in use.
        """
        self._seen = self._identities()
        try:
            policies = read_policies(self._files)
        except ConfigError as error:
            for fault in error.faults:
                _log.error("policy_fault", fault=fault)
            _log.error("policy_reload_failed", faults=len(error.faults))
            self._observer.policy_files_read(worked=False, when=self._now())
            return False
        if policies != self.policies:
            self.policies, self.current = policies, CompiledPolicies(policies)
        _log.info("policies_reloaded", policies=[policy.name for policy in policies])
        self._observer.policy_files_read(worked=True, when=self._now())
        return True

    def reload_if_changed(self) -> None:
        """Read the files again when any of them is not the one read last."""
        if self._identities() != self._seen:
            self.reload()

    def _identities(self) -> tuple[FileIdentity | None, ...]:
        return tuple(file_identity(Path(file.file)) for file in self._files)
