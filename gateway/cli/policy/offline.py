"""Identity, policy and default encryption of a request without a running gateway: the same functions, in its order.

What only a running gateway has is left out: secrets and listeners. Policies that the upstream's buckets have themselves
are not read there; they can be given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.policy.imagined import ImaginedRequest
from gateway.config.build import auth_settings, encryption_rules, refused_operations, standings
from gateway.config.load import read_text
from gateway.config.model import Config
from gateway.config.policies import PolicyFile
from gateway.errors import S3Error
from gateway.policy.authorize import AuthorizedRequest, DependsOnSource, authorize
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.permission import Permission, PolicyDenied, Standing
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.authenticate import AuthSettings, VerifiedRequest
from gateway.s3.operation import Operation
from gateway.server.policies.buckets import parse_bucket_policy
from gateway.server.policies.files import PolicyFiles
from gateway.server.policies.policies import Policies

_NO_OPINION = (EncryptionRule("all", ("*",), (), ModeName.NONE),)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        verified: the request, when its sender is known.
        authorized: the request, when it may go upstream.
        refusal: what the client is answered, when it may not.
        refused_by_rules: whether the encryption rules refuse it, and not what comes before them.
        undecided: what let a copy happen whose rule depends on what the copy takes from its source, which only a
            running gateway can look at; else None.
    """

    verified: VerifiedRequest | None = None
    authorized: AuthorizedRequest | None = None
    refusal: S3Error | None = None
    refused_by_rules: bool = False
    undecided: Permission | None = None

    @property
    def permission(self) -> Permission | None:
        """What decided that it may happen, or that it may not; None when it did not come so far."""
        if self.authorized is not None:
            return self.authorized.permission
        if self.undecided is not None:
            return self.undecided
        return self.refusal.permission if isinstance(self.refusal, PolicyDenied) else None


class _Unobserved:
    """Nobody counts what a command reads."""

    def policy_files_read(self, *, worked: bool, when: datetime) -> None:
        """Nothing is kept."""


class _GivenPolicies:
    """Policies of buckets that were given."""

    def __init__(self, policies: Mapping[str, CompiledPolicies]) -> None:
        self._policies = policies

    async def of(self, bucket: str) -> CompiledPolicies | None:
        """The policy of a bucket; None when none was given."""
        return self._policies.get(bucket)

    def look_again(self) -> None:
        """There is nowhere to look."""

    async def aclose(self) -> None:
        """Nothing is open."""


def read_bucket_policy(file: Path, bucket: str) -> CompiledPolicies:
    """The policy that a bucket has itself, as GetBucketPolicy answers it.

    Raises:
        ConfigError: with every fault.
    """
    return parse_bucket_policy(read_text(file).encode(), bucket)


def read_policy_files(files: Sequence[PolicyFile]) -> PolicyFiles:
    """The policies of some files.

    Raises:
        ConfigError: with every fault of every file.
    """
    return PolicyFiles(files, _Unobserved(), lambda: datetime.now(UTC))


@dataclass(frozen=True)
class OfflineGateway:
    """What requests are judged by.

    Attributes:
        files: the policies.
        rules: the encryption rules in order.
        standings: who each identity is to policies, by its name.
        authentication: what signatures are accepted.
        refused: operations that are switched off.
        bucket_policies: the policies that buckets have themselves, as far as they are given.
    """

    files: PolicyFiles
    rules: tuple[EncryptionRule, ...]
    standings: Mapping[str, Standing]
    authentication: AuthSettings = field(default_factory=AuthSettings)
    refused: frozenset[Operation] = frozenset()
    bucket_policies: Mapping[str, CompiledPolicies] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> "OfflineGateway":
        """The gateway of a configuration.

        Raises:
            ConfigError: a policy file can not be used; with every fault.
        """
        return cls(
            files=read_policy_files(config.policies),
            rules=encryption_rules(config),
            standings=standings(config),
            authentication=auth_settings(config),
            refused=refused_operations(config),
        )

    async def outcome(self, asked: ImaginedRequest, now: datetime) -> Outcome:
        """What becomes of a request at a moment."""
        try:
            verified = asked.verified(now, self.authentication)
        except S3Error as refusal:
            return Outcome(refusal=refusal)
        buckets = _GivenPolicies(self.bucket_policies) if self.bucket_policies else None
        policies = Policies(self.files, buckets, self.standings, lambda: now)
        try:
            judge = await policies.judge(verified, asked.tls_version)
            try:
                return Outcome(verified, authorize(verified, self.rules, self.refused, judge))
            except DependsOnSource:
                undecided = authorize(verified, _NO_OPINION, self.refused, judge).permission
                return Outcome(verified, undecided=undecided)
            except S3Error as refusal:
                # Would the request get so far if no rule had an opinion?
                by_rules = _passes(lambda: authorize(verified, _NO_OPINION, self.refused, judge))
                return Outcome(verified, refusal=refusal, refused_by_rules=by_rules)
        except S3Error as refusal:
            return Outcome(verified, refusal=refusal)


def _passes(call: Callable[[], object]) -> bool:
    try:
        call()
    except S3Error:
        return False
    return True
