"""The policy that a bucket ought to have, from the configuration and the options of a command."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from gateway.config.build import encryption_rules
from gateway.config.identities import AssumedRoleCredentials
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.errors import ConfigError
from gateway.policy.closing import NOT_IN_CEPH, Closed, Closing, Dialect, Part, closing_policy

#: A role or user; sessions have no ARN that stays. Ceph's accounts are tenants, often without a name.
_PRINCIPAL: Final = re.compile(r"arn:(aws[a-z-]*):iam::[A-Za-z0-9_]*:(?:role|user)/[A-Za-z0-9_+=,.@$/-]+")
#: Source: Amazon S3 User Guide, "General purpose bucket naming rules"; older buckets and Ceph have longer names.
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
#: What needs TLS on the way to the store.
_NEED_TLS: Final = frozenset({Part.TRANSPORT, Part.TLS_VERSION})
_NEED_PRINCIPALS: Final = frozenset({Part.WRITERS, Part.READERS})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        config_file: the configuration.
        bucket: the bucket.
        gateway_roles: ARNs of roles or users that the gateway signs as, beside those that the configuration names.
        minimum_tls: the oldest version of TLS.
        dialect: who evaluates the policy.
        left_out: parts that it shall not have.
        deny_reads: whether nobody but the gateway may read.
    """

    config_file: Path
    bucket: str
    gateway_roles: tuple[str, ...] = ()
    minimum_tls: str = "1.2"
    dialect: Dialect = Dialect.AWS
    left_out: frozenset[Part] = frozenset()
    deny_reads: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A policy that is ready, and what there is to say about it.

    Attributes:
        config: the configuration.
        closed: the policy.
        notes: what it does not do.
    """

    config: Config
    closed: Closed
    notes: tuple[str, ...]

    def tell(self) -> None:
        """Print the notes on the standard error."""
        for note in self.notes:
            typer.echo(f"note: {note}", err=True)


def prepare(wanted: Wanted) -> Prepared:
    """The policy.

    Raises:
        ConfigError: the configuration or the options have faults, or do not say who the gateway is.
    """
    config = load_config(wanted.config_file)
    faults = tuple(_faults(config, wanted))
    if faults:
        raise ConfigError(faults)
    parts = frozenset(Part) - wanted.left_out
    if not wanted.deny_reads:
        parts -= {Part.READERS}
    if not config.upstream.is_tls:
        parts -= _NEED_TLS
    principals = _principals(config, wanted) if parts & _NEED_PRINCIPALS else ()
    closing = Closing(
        bucket=wanted.bucket,
        rules=encryption_rules(config),
        principals=principals,
        parts=parts,
        partition=_partition(config.upstream.region),
        minimum_tls=wanted.minimum_tls,
        dialect=wanted.dialect,
    )
    closed = closing_policy(closing)
    return Prepared(config, closed, tuple(_notes(config, closing, closed)))


def _faults(config: Config, wanted: Wanted) -> Iterator[str]:
    if not _BUCKET.fullmatch(wanted.bucket):
        yield "--bucket: is not the name of a bucket"
    for role in wanted.gateway_roles:
        if not _PRINCIPAL.fullmatch(role):
            yield (
                "--gateway-role: the ARN of a role or user is needed, 'arn:aws:iam::ACCOUNT:role/NAME': of a session "
                "that of its role, and without * or ?"
            )
    staging = config.staging.bucket_and_prefix
    if staging is not None and staging[0] == wanted.bucket:
        yield "--bucket: this is the staging store, whose objects no encryption rule is about"


def _principals(config: Config, wanted: Wanted) -> tuple[str, ...]:
    """Who the gateway is at the store.

    Raises:
        ConfigError: the configuration does not say it of every identity, and the options neither.
    """
    assumed = [
        identity.upstream_credentials.role_arn
        for identity in config.identities
        if isinstance(identity.upstream_credentials, AssumedRoleCredentials)
    ]
    unknown = [
        identity.name
        for identity in config.identities
        if not isinstance(identity.upstream_credentials, AssumedRoleCredentials)
    ]
    if unknown and not wanted.gateway_roles:
        reason = (
            "--gateway-role: is needed, because only credentials of the kind 'assumed-role' say who the gateway is, "
            f"and these identities have others: {', '.join(unknown)}"
        )
        raise ConfigError((reason,))
    return tuple(sorted({*assumed, *wanted.gateway_roles}))


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _notes(config: Config, closing: Closing, closed: Closed) -> Iterator[str]:
    if not config.upstream.is_tls:
        yield "the gateway itself comes without TLS (upstream.endpoint), so requests without TLS are not denied"
    if closing.dialect is Dialect.CEPH:
        yield (
            f"Ceph can not evaluate {' and '.join(sorted(NOT_IN_CEPH))}, nor tell writes that name no encryption from "
            "multipart uploads: those are denied to everybody but the gateway's own users"
        )
    for loose in closed.loose:
        yield (
            f"below {loose.pattern!r} the policy takes what any of these rules asks for, because it can not tell which "
            f"of them is about an object: {', '.join(loose.rules)}"
        )
