"""What the rules of today ask for, and whether an object has it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.cli.rotation.protection import Examiner, Guard, Protected
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.choice import possible_rules
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.copy_source import CopySource
from gateway.s3.kms_key_id import bare_key_id
from gateway.server.private_gateway import PrivateGateway

#: A ``none`` rule asks the server for nothing, so whatever the server did on its own is right.
_WITHOUT_GATEWAY = frozenset({ModeName.NONE, ModeName.SSE_S3, ModeName.SSE_KMS, ModeName.DSSE_KMS})


class Difference(StrEnum):
    """In what an object differs from what its rule asks for; what comes first weighs most."""

    #: It is encrypted with a key that only a client has.
    CLIENTS_OWN_KEY = "clients_own_key"
    #: It is encrypted in another way, or not at all.
    MODE = "mode"
    #: It is encrypted with another KMS key, customer key or wrapping key.
    KEY = "key"
    #: It needs an older version of the key.
    KEY_VERSION = "key_version"
    #: Nobody could say.
    NOT_KNOWN = "not_known"


class NoRule(GatewayError):
    """No encryption rule is about an object."""


class SeveralRules(GatewayError):
    """Which rule is about an object depends on what nobody can see any more, such as who wrote it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an object shall be protected with.

    Attributes:
        rule: the rule that says so.
        guard: the encryption, and the newest version of the key at the start.
        others: what other rules would give the object; one of them may have written it.
    """

    rule: EncryptionRule
    guard: Guard
    others: tuple["Target", ...] = ()

    def require_certain(self) -> None:
        """Refuse to choose one of several rules.

        Raises:
            SeveralRules: there are several, and they differ.
        """
        if self.others:
            names = ", ".join(f"'{target.rule.name}'" for target in (self, *self.others))
            raise SeveralRules(
                f"several encryption rules may be about this object, depending on who wrote it or how: {names}"
            )


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
        possible = possible_rules(self._gateway.services.rules, place.bucket, place.object_key)
        if not possible:
            raise NoRule("no encryption rule is about this object")
        different = {rule.outcome: rule for rule in reversed(possible)}
        first, *others = [await self._under(rule) for rule in possible if different[rule.outcome] is rule]
        return replace(first, others=tuple(others)) if others else first

    async def _under(self, rule: EncryptionRule) -> Target:
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
        for other in target.others:
            if await self.is_met(found, other):
                return True
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


def difference(found: Protected, target: Target) -> Difference:
    """In what an object differs that is not as its target says."""
    wanted = target.guard
    if found.foreign:
        return Difference.CLIENTS_OWN_KEY
    if any(guard.mode is not wanted.mode for guard in found.guards):
        return Difference.MODE
    if all(_key_of(guard) == _key_of(wanted) for guard in found.guards):
        return Difference.KEY_VERSION
    return Difference.KEY


def _key_of(guard: Guard) -> str:
    """The key. Servers shorten the ids of KMS keys, or lengthen them."""
    return guard.key if guard.mode in {ModeName.CSE, ModeName.SSE_C} else bare_key_id(guard.key)


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
