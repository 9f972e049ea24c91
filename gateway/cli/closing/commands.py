"""The options of ``sealgate policy generate``, ``diff`` and ``apply``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.closing import applying
from gateway.cli.closing.applying import Access
from gateway.cli.closing.wanted import Wanted, prepare
from gateway.errors import ConfigError
from gateway.policy.bucket_policy import render_policy
from gateway.policy.closing import Dialect, Part


class _Tls(StrEnum):
    """Versions of TLS that S3 tells apart and still takes."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]
BucketOption = Annotated[str, typer.Option("--bucket", help="The bucket.", show_default=False)]
RoleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gateway-role",
        metavar="ARN",
        help="A role or user that the gateway signs as, beside those that it assumes; can be given several times.",
        show_default=False,
    ),
]
TlsOption = Annotated[_Tls, typer.Option("--minimum-tls", help="The oldest version of TLS.")]
DialectOption = Annotated[Dialect, typer.Option("--for", help="The server that evaluates the policy.")]
LeaveOutOption = Annotated[
    list[Part] | None,
    typer.Option("--leave-out", help="A part to leave out; can be given several times.", show_default=False),
]
ReadsOption = Annotated[bool, typer.Option("--deny-reads", help="Deny reads by anybody but the gateway too.")]
IdentityOption = Annotated[
    str | None,
    typer.Option("--identity", help="Whose upstream credentials are used; the first.", show_default=False),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", help="A profile of the shared AWS files that is used instead.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Make them commands of ``app``."""
    app.command("generate")(generate_command)
    app.command("diff")(diff_command)
    app.command("apply")(apply_command)


def generate_command(
    *,
    config: ConfigOption,
    bucket: BucketOption,
    gateway_role: RoleOption = None,
    minimum_tls: TlsOption = _Tls.TLS_1_2,
    dialect: DialectOption = Dialect.AWS,
    leave_out: LeaveOutOption = None,
    deny_reads: ReadsOption = False,
) -> None:
    """Print the bucket policy that makes direct access useless: JSON for PutBucketPolicy, notes on the standard error.

    It denies requests without TLS or with an old version of it, writes by anybody but the gateway, writes with another
    encryption than the rules ask for, and SSE-C where no rule uses it. It allows nothing. The owner of the bucket can
    always read, replace and delete it over TLS.

    Nothing is connected to. Exit status 1: the configuration has faults, or the policy is too large for S3.
    """
    wanted = _wanted(config, bucket, gateway_role, minimum_tls, dialect, leave_out, deny_reads=deny_reads)
    try:
        prepared = prepare(wanted)
        text = render_policy(prepared.closed.document)
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1) from None
    prepared.tell()
    typer.echo(text)


def diff_command(  # noqa: PLR0913 - one argument for each option
    *,
    config: ConfigOption,
    bucket: BucketOption,
    gateway_role: RoleOption = None,
    minimum_tls: TlsOption = _Tls.TLS_1_2,
    dialect: DialectOption = Dialect.AWS,
    leave_out: LeaveOutOption = None,
    deny_reads: ReadsOption = False,
    identity: IdentityOption = None,
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the policy that a bucket has with the one that `generate` prints, by meaning: order and spelling aside.

    Only statements whose Sid begins with `Sealgate` are compared. Exit status 1: they differ, or the policy could not
    be read.
    """
    wanted = _wanted(config, bucket, gateway_role, minimum_tls, dialect, leave_out, deny_reads=deny_reads)
    raise typer.Exit(applying.diff(wanted, Access(identity, profile), as_json=as_json))


def apply_command(  # noqa: PLR0913 - one argument for each option
    *,
    config: ConfigOption,
    bucket: BucketOption,
    gateway_role: RoleOption = None,
    minimum_tls: TlsOption = _Tls.TLS_1_2,
    dialect: DialectOption = Dialect.AWS,
    leave_out: LeaveOutOption = None,
    deny_reads: ReadsOption = False,
    identity: IdentityOption = None,
    profile: ProfileOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show the difference, ask, and write the policy that `generate` prints into the bucket's policy.

    Statements whose Sid begins with `Sealgate` are replaced, all others stay as they are. The policy is read again just
    before it is written, so that a change by somebody else is not lost, and read back afterwards.

    Exit status 1: nothing was written, or the bucket has another policy than was written.
    """
    wanted = _wanted(config, bucket, gateway_role, minimum_tls, dialect, leave_out, deny_reads=deny_reads)
    raise typer.Exit(applying.apply(wanted, Access(identity, profile), yes=yes))


def _wanted(
    config: Path,
    bucket: str,
    roles: list[str] | None,
    minimum_tls: _Tls,
    dialect: Dialect,
    leave_out: list[Part] | None,
    *,
    deny_reads: bool,
) -> Wanted:
    if dialect is Dialect.CEPH and minimum_tls is not _Tls.TLS_1_2:
        raise typer.BadParameter("Ceph can not evaluate versions of TLS", param_hint="--minimum-tls with --for ceph")
    left_out = frozenset(leave_out or ())
    return Wanted(config, bucket, tuple(roles or ()), minimum_tls.value, dialect, left_out, deny_reads)
