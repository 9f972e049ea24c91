"""What a source of customer keys (SSE-C) asks of a service that keeps secrets in versions."""

from typing import Protocol

from gateway.keys.customer_key import CustomerKey


class VersionedSecret(Protocol):
    """One secret whose versions are 32-byte keys.

    Versions have numbers from 1 to 999,999,999: the ids of multipart uploads carry up to nine digits. A number means
    the same version for ever and in every process, and no two live versions have the same.

    Every fault is a :class:`~gateway.errors.KeyUnavailable`: ``KMS.NotFoundException`` for what does not exist, is
    deleted or destroyed, ``InvalidArgument`` for what is no usable key, ``AccessDenied``, ``SlowDown``, and
    ``ServiceUnavailable`` for what passes by itself. No message quotes a secret or an answer.
    """

    @property
    def parts(self) -> tuple[str, ...]:
        """What tells this secret from every other one of the configuration. No two kinds have equally many parts."""

    async def live_versions(self) -> tuple[int, ...]:
        """The numbers of the versions that can be read, at least one: first the one that encrypts, then newest first.

        Raises:
            KeyUnavailable: the service did not say, or there is none.
        """

    async def key(self, version: int) -> CustomerKey:
        """The key in one version.

        Raises:
            KeyUnavailable: there is no such version, it is no usable key, or the service did not answer.
        """
