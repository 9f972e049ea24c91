"""The options of ``sealgate policy explain``, ``test`` and ``lint``."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.policy import case_runs, explain, lint
from gateway.cli.policy.imagined import ImaginedRequest, Proof
from gateway.config.load import load_config
from gateway.errors import ConfigError

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class _Scheme(StrEnum):
    HTTPS = "https"
    HTTP = "http"


def add_to(app: typer.Typer) -> None:
    """Make them commands of ``app``."""
    app.command("explain")(explain_command)
    app.command("test")(run_cases_command)
    app.command("lint")(lint_command)


def explain_command(  # noqa: PLR0913 - one argument for each option
    *,
    config: ConfigOption,
    method: Annotated[str, typer.Option("--method", help="The HTTP method.")] = "GET",
    bucket: Annotated[str | None, typer.Option("--bucket", help="The bucket.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option("--key", help="The object key, not encoded.", show_default=False)] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="'NAME: VALUE'", help="A header field; several times.", show_default=False),
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="NAME[=VALUE]", help="A query parameter; several times.", show_default=False),
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", help="Who asks; the first identity.", show_default=False)
    ] = None,
    scheme: Annotated[_Scheme, typer.Option("--scheme", help="How the client connects.")] = _Scheme.HTTPS,
    source_ip: Annotated[str, typer.Option("--source-ip", help="The client's address, or unix.")] = "127.0.0.1",
    tls: Annotated[str, typer.Option("--tls", help="Version of TLS: 1.2, 1.3, or unknown.")] = "1.3",
    proof: Annotated[
        Proof, typer.Option("--proof", help="How it is signed; the fields of a form are its --header.")
    ] = Proof.HEADER,
    age: Annotated[int, typer.Option("--age", min=0, help="Seconds since it was signed.")] = 0,
    bucket_policy: Annotated[
        Path | None,
        typer.Option("--bucket-policy", help="The policy that the bucket has itself.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what the gateway would do with a request: transport, identity, policy, default, transform, upstream, answer.

    Nothing is sent, and no secret is read. The functions are the gateway's own. The policy that the bucket has itself
    is not asked for at the upstream; give it with --bucket-policy.

    Exit status 1: the configuration has faults.
    """
    asked = ImaginedRequest(
        method=method.upper(),
        bucket=bucket,
        object_key=key,
        headers=tuple(_field(text) for text in header or ()),
        query=tuple(_parameter(text) for text in query or ()),
        identity=identity or _first_identity(config),
        scheme=scheme.value,
        source_ip=source_ip,
        tls_version=None if tls == "unknown" or scheme is _Scheme.HTTP else tls,
        proof=proof,
        age=timedelta(seconds=age),
    )
    raise typer.Exit(explain.run(config, asked, bucket_policy, datetime.now(UTC), as_json=as_json))


def run_cases_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Tables of cases.", show_default=False)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Run tables of cases: requests, and what the policies and rules have to make of them.

    The tables are YAML; config/policy-cases.example.yaml explains them. Nothing is connected to, and no secret is read.

    Exit status 1: a case came out otherwise. Exit status 2: a table, a policy or the configuration has faults.
    """
    raise typer.Exit(case_runs.run(files, as_json=as_json))


def lint_command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Policies in files.", show_default=False)
    ] = None,
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="A configuration: its policies and rules.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find contradictions: what never applies, means something else than it seems, or refuses what rules give.

    Exit status 1: there are failures; warnings alone are not.
    """
    if not files and config is None:
        raise typer.BadParameter("name a policy file, or a configuration with --config")
    raise typer.Exit(lint.run(config, files or [], datetime.now(UTC), as_json=as_json))


def _first_identity(config: Path) -> str:
    """The name of the configuration's first identity; empty when it has faults, which are told later."""
    try:
        return load_config(config).identities[0].name
    except ConfigError:
        return ""


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter("must be 'NAME: VALUE'", param_hint="--header")
    return name.strip(), value.strip()


def _parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise typer.BadParameter("must be NAME=VALUE or NAME", param_hint="--query")
    return name, value if equals else None
