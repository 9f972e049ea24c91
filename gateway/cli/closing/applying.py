"""``sealgate policy diff`` and ``apply``: a bucket's policy compared with the one it ought to have, and written."""

import difflib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

import typer

from gateway.cli.closing.store import BucketPolicyStore, bucket_policy_store
from gateway.cli.closing.wanted import Prepared, Wanted, prepare
from gateway.cli.stored.naming import shown
from gateway.cli.stored.running import run_command
from gateway.cli.stored.source import SourceUnavailable
from gateway.policy.bucket_policy import (
    Difference,
    LivePolicy,
    differences,
    merged,
    normal_form,
    render_policy,
    same_policy,
)
from gateway.policy.closing import Json


@dataclass(frozen=True, slots=True)
class Access:
    """Whose credentials are used at the store.

    Attributes:
        identity: the identity whose upstream credentials they are; None for the first.
        profile: a profile of the shared AWS files that is used instead.
    """

    identity: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """What is about to be written.

    Attributes:
        prepared: the policy that the bucket ought to have.
        live: the one that it has.
        document: the one that is written.
        text: its JSON.
    """

    prepared: Prepared
    live: LivePolicy
    document: Json
    text: str


def diff(wanted: Wanted, access: Access, *, as_json: bool) -> int:
    """Print in what the bucket's policy differs, and return the exit status: 1 when it does."""
    return run_command(f"s3://{wanted.bucket}", _compared(wanted, access, as_json=as_json))


def apply(wanted: Wanted, access: Access, *, yes: bool) -> int:
    """Write what differs, and return the exit status: 1 when the bucket has not the policy that it ought to have.

    Args:
        wanted: the policy.
        access: whose credentials are used.
        yes: whether nobody has to be asked.
    """
    subject = f"s3://{wanted.bucket}"
    changes: list[_Change] = []
    status = run_command(subject, _looked(wanted, access, changes.append))
    if not changes:
        return status
    # Nothing is open while somebody thinks, and an interruption ends the command at once.
    if not yes and not _is_confirmed(changes[0], wanted):
        typer.echo("nothing was written", err=True)
        return 1
    return run_command(subject, _written(changes[0], wanted, access))


async def _compared(wanted: Wanted, access: Access, *, as_json: bool) -> int:
    prepared = prepare(wanted)
    async with _store(prepared, wanted, access) as store:
        live = await store.read()
    found = differences(live, prepared.closed.document)
    if as_json:
        typer.echo(json.dumps({"differences": [asdict(each) for each in found], "kept": len(live.foreign)}))
    else:
        prepared.tell()
        _print(live, found)
    return 1 if found else 0


async def _looked(wanted: Wanted, access: Access, note: Callable[[_Change], None]) -> int:
    prepared = prepare(wanted)
    async with _store(prepared, wanted, access) as store:
        live = await store.read()
    found = differences(live, prepared.closed.document)
    prepared.tell()
    _print(live, found)
    if found:
        document = merged(live, prepared.closed.document)
        note(_Change(prepared, live, document, render_policy(document)))
    return 0


async def _written(change: _Change, wanted: Wanted, access: Access) -> int:
    async with _store(change.prepared, wanted, access) as store:
        await store.replace(change.live, change.text)
        await _verify(store, change.document)
    typer.echo(f"the policy of {wanted.bucket} was written and read back")
    return 0


def _store(prepared: Prepared, wanted: Wanted, access: Access) -> AbstractAsyncContextManager[BucketPolicyStore]:
    return bucket_policy_store(prepared.config, wanted.bucket, identity=access.identity, profile=access.profile)


def _is_confirmed(change: _Change, wanted: Wanted) -> bool:
    if not sys.stdin.isatty():
        typer.echo("--yes is needed where no terminal can be asked", err=True)
        return False
    return typer.confirm(f"Write this to the policy of {wanted.bucket} at {change.prepared.config.upstream.endpoint}?")


async def _verify(store: BucketPolicyStore, document: Json) -> None:
    """Read the policy back.

    Raises:
        SourceUnavailable: it is not the one that was written.
    """
    after = await store.read()
    if after.document is None or not same_policy(after.document, document):
        raise SourceUnavailable("the policy that is read back is not the one that was written: look at it with diff")


def _print(live: LivePolicy, found: Sequence[Difference]) -> None:
    for difference in found:
        typer.echo(f"{difference.kind:<9}  {shown(difference.sid)}")
        for line in _lines(difference):
            typer.echo(f"    {line}")
    own = len(live.own)
    typer.echo(
        f"{len(found)} differences; the bucket's policy has {own} statements of the gateway and {len(live.foreign)} of "
        "others, which stay"
    )


def _lines(difference: Difference) -> list[str]:
    """What there is with a minus, what there ought to be with a plus."""
    before, after = (
        [] if statement is None else json.dumps(normal_form(statement), indent=2).splitlines()
        for statement in (difference.live, difference.wanted)
    )
    return [line for line in difflib.ndiff(before, after) if not line.startswith("?")]
