"""``sealgate policy test``: cases that come out otherwise than their table says."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from gateway.cli.policy.cases import Case, CaseRequest, Expected, gateway_of, imagined, load_cases, moment
from gateway.cli.policy.imagined import ImaginedRequest
from gateway.cli.policy.offline import OfflineGateway, Outcome
from gateway.errors import ConfigError
from gateway.modes.upload_id import UPLOAD_ID, UploadId
from gateway.policy.rules import ModeName
from gateway.s3.asked_encryption import asked_encryption

_FAILED, _FAULTS = 1, 2


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case came out.

    Attributes:
        table: the file.
        name: the case.
        differences: what came out otherwise; empty when all is as expected.
    """

    table: Path
    name: str
    differences: tuple[str, ...]


def run(files: Sequence[Path], *, as_json: bool) -> int:
    """Run every table, print what came out otherwise, and return the exit status."""
    results: list[CaseResult] = []
    faults: list[str] = []
    for file in files:
        try:
            results.extend(asyncio.run(run_table(file)))
        except ConfigError as error:
            faults.extend(error.faults)
    failed = [result for result in results if result.differences]
    if as_json:
        typer.echo(json.dumps([_as_values(result) for result in results], indent=2))
    else:
        for result in failed:
            typer.echo(f"{result.table}: {result.name}")
            for difference in result.differences:
                typer.echo(f"    {difference}")
    for fault in faults:
        typer.echo(fault, err=True)
    typer.echo(f"{len(results)} cases, {len(failed)} failed", err=True)
    if faults:
        return _FAULTS
    return _FAILED if failed else 0


async def run_table(file: Path) -> list[CaseResult]:
    """The results of one table.

    Raises:
        ConfigError: the table, its configuration or a policy has faults.
    """
    table = load_cases(file)
    gateway = gateway_of(table, file)
    anybody = next(iter(gateway.standings))
    unknown = [
        f"{file}: cases[{number}].request.identity: there is no identity {case.request.identity}"
        for number, case in enumerate(table.cases)
        if case.request.identity is not None and case.request.identity not in gateway.standings
    ]
    if unknown:
        raise ConfigError(tuple(unknown))
    now = datetime.now(UTC)
    return [CaseResult(file, case.name, tuple(await _differences(gateway, case, anybody, now))) for case in table.cases]


async def _differences(gateway: OfflineGateway, case: Case, anybody: str, now: datetime) -> list[str]:
    request = case.request
    arrives = (moment(request.time) if request.time is not None else None) or now
    asked = imagined(request, anybody)
    if request.upload_began_with is not None:
        begun = await _begun(gateway, request, asked, arrives)
        if isinstance(begun, str):
            return [begun]
        asked = replace(asked, query=(*asked.query, (UPLOAD_ID, begun.render())))
    return list(_compared(case.expect, await gateway.outcome(asked, arrives)))


async def _begun(
    gateway: OfflineGateway, request: CaseRequest, asked: ImaginedRequest, arrives: datetime
) -> UploadId | str:
    """The id of the upload that a request continues; a difference when it could not begin."""
    beginning = replace(
        asked, method="POST", query=(("uploads", None),), headers=tuple((request.upload_began_with or {}).items())
    )
    outcome = await gateway.outcome(beginning, arrives)
    if outcome.authorized is None:
        refusal = outcome.refusal
        return f"upload_began_with: CreateMultipartUpload is refused: {refusal}"
    return UploadId("upload", outcome.authorized.mode, asked=asked_encryption(outcome.authorized.requested))


def _compared(expected: Expected, outcome: Outcome) -> Iterator[str]:
    """What came out otherwise."""
    came = _came(outcome)
    for option in Expected.model_fields:
        wanted = getattr(expected, option)
        if option in expected.model_fields_set and wanted != came[option]:
            yield f"{option}: expected {_shown(wanted)}, came {_shown(came[option])}{_reason(option, outcome)}"


def _came(outcome: Outcome) -> dict[str, object]:
    permission, authorized = outcome.permission, outcome.authorized
    return {
        "effect": "deny" if outcome.refusal is not None else "allow",
        "statement": None if permission is None else permission.rule,
        "error": None if outcome.refusal is None else outcome.refusal.code,
        "rule": None if authorized is None or authorized.rule is None else authorized.rule.name,
        "mode": None if authorized is None else authorized.mode,
        "source": None if authorized is None else authorized.source.value,
    }


def _shown(value: object) -> str:
    return value.value if isinstance(value, ModeName) else "nothing" if value is None else str(value)


def _reason(option: str, outcome: Outcome) -> str:
    """Why a request is refused, beside the effect."""
    return f" ({outcome.refusal})" if option == "effect" and outcome.refusal is not None else ""


def _as_values(result: CaseResult) -> dict[str, object]:
    return {
        "table": str(result.table),
        "case": result.name,
        "passed": not result.differences,
        "differences": list(result.differences),
    }
