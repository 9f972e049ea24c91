"""What the rules of today ask for, and whether an object has it."""

from dataclasses import dataclass

from gateway.cli.rotation.protection import Examiner, Guard, Protected
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.rules import EncryptionRule, ModeName, first_match
from gateway.s3.copy_source import CopySource
from gateway.server.private_gateway import PrivateGateway

#: A ``none`` rule asks the server for nothing, so whatever the server did on its own is right.
_WITHOUT_GATEWAY = frozenset({ModeName.NONE, ModeName.SSE_S3, ModeName.SSE_KMS, ModeName.DSSE_KMS})


class NoRule(GatewayError):
    """No encryption rule is about an object."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an object shall be protected with.

    Attributes:
        rule: the rule that says so.
        guard: the encryption, and the newest version of the key at the start.
    """

    rule: EncryptionRule
    guard: Guard


class Targets:
    """The targets of all objects. Each wrapping key is asked for one data key, to learn its newest version.

    Args:
        gateway: has the rules and the keys.
        examiner: reads versions.
    """

    def __init__(self, gateway: PrivateGateway, examiner: Examiner) -> None:
        self._gateway = gateway
        self._examiner = examiner
        self._wrapping: dict[str, Guard] = {}

    async def of(self, place: CopySource) -> Target:
        """The target of an object.

        Raises:
            NoRule: there is none.
            KeyUnavailable: its newest key is not available.
        """
        rule = first_match(self._gateway.services.rules, place.bucket, place.object_key)
        if rule is None:
            raise NoRule("no encryption rule is about this object")
        if rule.wrapping_key is not None:
            return Target(rule, await self.newest_wrapping(rule.wrapping_key))
        if rule.mode is ModeName.SSE_C:
            source = self._gateway.sources[rule.name]
            return Target(rule, self._examiner.guard_of_customer(source.fingerprint, (await source.newest()).version))
        return Target(rule, Guard(rule.mode, rule.kms_key_arn or ""))

    async def newest_wrapping(self, name: str) -> Guard:
        """What seals new objects under a wrapping key.

        Raises:
            KeyUnavailable: it gives no data key.
        """
        if name not in self._wrapping:
            data_key = await self._gateway.services.sealed.data_keys.for_sealing(name, 0)
            self._wrapping[name] = self._examiner.guard_of(data_key.wrapping_key, data_key.wrapped)
        return self._wrapping[name]

    async def is_met(self, found: Protected, target: Target) -> bool:
        """Whether an object is protected as its target says, or with a newer version of the key.

        Raises:
            KeyUnavailable: its newest key is not available.
        """
        wanted, place = target.guard, found.place
        if wanted.mode is ModeName.NONE:
            return found.foreign or {guard.mode for guard in found.guards} <= _WITHOUT_GATEWAY
        if found.foreign or found.sealed != (wanted.mode is ModeName.CSE):
            return False
        if wanted.mode is ModeName.SSE_C:
            # Not every source counts its versions upwards.
            return found.guards == {wanted}
        if wanted.mode is ModeName.CSE:
            return all(_reaches(guard, wanted) for guard in found.guards)
        subject = Subject(place.bucket, place.object_key, self._gateway.identity)
        return MODES[wanted.mode].proven_by(MODES[wanted.mode].request_headers(target.rule, subject), found.headers)


def customer_key_names(config: Config, gateway: PrivateGateway) -> dict[str, str]:
    """The names of customer keys by the fingerprint of their source."""
    names = {
        rule.name: f"{rule.customer_key}{', derived' * rule.derive_per_object}"
        for rule in config.rules
        if rule.customer_key is not None
    }
    return {source.fingerprint: names[rule] for rule, source in gateway.sources.items()}


def _reaches(found: Guard, wanted: Guard) -> bool:
    if (found.mode, found.key) != (wanted.mode, wanted.key):
        return False
    if found.version == wanted.version:
        return True
    numbers = found.version.isdigit() and wanted.version.isdigit()
    return numbers and int(found.version) > int(wanted.version)
