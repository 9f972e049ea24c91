"""Tables of cases for policies and rules: requests, and what has to come out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.cli.policy.imagined import ANYBODY, ImaginedRequest, Proof
from gateway.cli.policy.offline import OfflineGateway, read_bucket_policy, read_policy_files
from gateway.config.build import encryption_rule
from gateway.config.load import check_section, load_config, read_text
from gateway.config.policies import Authorization, PolicyFile
from gateway.config.rules import Rule
from gateway.config.values import Name, PolicyDefault, PrincipalArn, Section
from gateway.config.yaml import parse_yaml
from gateway.errors import ConfigError
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.request_facts import identity_arn
from gateway.policy.permission import Standing
from gateway.policy.rules import ModeName

#: More cases than this in one table are a mistake.
MAXIMUM_CASES = 10_000

_Text = Annotated[str, Field(max_length=8192)]


class CaseRequest(Section):
    """A request that is imagined."""

    method: Annotated[str, Field(pattern=r"^[A-Z]{3,7}$")] = Field(default="PUT", description="The HTTP method.")
    bucket: _Text | None = Field(default=None, description="The bucket; unset: the service.")
    key: _Text | None = Field(default=None, description="The object key, not encoded; unset: the bucket.")
    headers: dict[_Text, _Text] = Field(default={}, description="Header fields; of a form, its fields.")
    query: dict[_Text, _Text | None] = Field(
        default={}, description="Query parameters; nothing for one without `=`, such as `uploads:`."
    )
    identity: Name | None = Field(default=None, description="Who asks; unset: the first identity.")
    scheme: Literal["https", "http"] = Field(default="https", description="How the client connects.")
    source_ip: _Text = Field(default="127.0.0.1", description="The client's address, or `unix`.")
    tls: Literal["1.2", "1.3", "unknown"] = Field(default="1.3", description="Version of TLS, in quotes.")
    proof: Literal["header", "presigned", "form"] = Field(default="header", description="How it is signed.")
    age_seconds: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=0, description="How long ago it was signed."
    )
    time: _Text | None = Field(default=None, description="When it arrives, ISO 8601 with a zone; unset: now.")
    upload_began_with: dict[_Text, _Text] | None = Field(
        default=None,
        description="Header fields of the CreateMultipartUpload of the same object; its id becomes `uploadId`.",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if self.key is not None and self.bucket is None:
            yield "bucket", "must be set, because key is"
        if self.proof == "form" and (self.key is None or self.query):
            yield "proof", "a form has a key, and no query"
        if self.time is not None and moment(self.time) is None:
            yield "time", "must be such as 2026-05-01T12:00:00Z"


class Expected(Section):
    """What has to come out; what is unset may be anything."""

    effect: Literal["allow", "deny"] | None = Field(
        default=None, description="Whether it may go upstream; `deny` is any answer of 4xx or 5xx."
    )
    statement: _Text | None = Field(
        default=None,
        description="What decided: `POLICY/SID`, `POLICY/NUMBER` without a Sid, `default`, or `encryption rule NAME`.",
    )
    error: _Text | None = Field(default=None, description="S3's error code, such as AccessDenied.")
    rule: Name | None = Field(default=None, description="The encryption rule about the object.")
    mode: ModeName | None = Field(default=None, description="The encryption that the new object gets.")
    source: Literal["client", "injected", "overridden", "none"] | None = Field(
        default=None, description="Who chose it."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """A case that can not fail."""
        if not self.model_fields_set:
            yield "", "expects nothing"


class Case(Section):
    """One case."""

    name: _Text = Field(description="What it shows.")
    request: CaseRequest = Field(description="The request.")
    expect: Expected = Field(description="What has to come out.")


class CaseIdentity(Section):
    """Somebody who asks, in a table without a configuration."""

    name: Name = Field(description="The name.")
    principal_arn: PrincipalArn | None = Field(default=None, description="Who it is in policies.")
    policy_default: PolicyDefault | None = Field(default=None, description="What happens where no statement applies.")


class CasePolicy(Section):
    """A policy, in a table without a configuration."""

    name: Name = Field(description="Its name.")
    file: _Text = Field(description="The JSON document; relative to the table.")


class CaseBucketPolicy(Section):
    """A policy that a bucket has itself."""

    bucket: _Text = Field(description="The bucket.")
    file: _Text = Field(description="The document that GetBucketPolicy answers; relative to the table.")


class CaseTable(Section):
    """A table of cases."""

    config: _Text | None = Field(default=None, description="A configuration, relative to the table.")
    policies: tuple[CasePolicy, ...] = Field(default=(), description="Policies, instead of a configuration.")
    bucket_policies: tuple[CaseBucketPolicy, ...] = Field(
        default=(), description="Policies that buckets have themselves, beside the others."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="Encryption rules; unset: one that encrypts nothing.")
    identities: tuple[CaseIdentity, ...] = Field(default=(), description="Who asks; unset: one with the name `client`.")
    authorization: Authorization = Field(default=Authorization(), description="How policies are evaluated.")
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=MAXIMUM_CASES)] = Field(description="The cases.")

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options of two kinds of tables, and names that stand twice."""
        if self.config is not None:
            for option in ("policies", "rules", "identities", "authorization"):
                if option in self.model_fields_set:
                    yield option, "is the configuration's; remove one of them"
        names = [case.name for case in self.cases]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"cases[{number}].name", "stands twice"


def load_cases(file: Path) -> CaseTable:
    """The table in a YAML file.

    Raises:
        ConfigError: with every fault.
    """
    try:
        return check_section(CaseTable, parse_yaml(read_text(file)), "table")
    except ConfigError as error:
        raise ConfigError(tuple(_in_file(file, fault) for fault in error.faults)) from None


def gateway_of(table: CaseTable, file: Path) -> OfflineGateway:
    """What the cases of a table are tried on.

    Raises:
        ConfigError: the configuration or a policy has faults; with all of them.
    """
    given = {each.bucket: read_bucket_policy(file.parent / each.file, each.bucket) for each in table.bucket_policies}
    if table.config is not None:
        return replace(OfflineGateway.of(load_config(file.parent / table.config)), bucket_policies=given)
    policies = [
        PolicyFile(name=policy.name, file=str((file.parent / policy.file).absolute())) for policy in table.policies
    ]
    rules = table.rules or (Rule(name="all", buckets=("*",), mode=ModeName.NONE),)
    authorization = table.authorization
    people = table.identities or (CaseIdentity(name=ANYBODY),)
    return OfflineGateway(
        files=read_policy_files(policies),
        rules=tuple(encryption_rule(rule) for rule in rules),
        standings={
            each.name: Standing(
                each.principal_arn or identity_arn(authorization.account_id, each.name),
                Effect(each.policy_default or authorization.default),
            )
            for each in people
        },
        bucket_policies=given,
    )


def imagined(request: CaseRequest, identity: str) -> ImaginedRequest:
    """The request of a case, for whoever asks unless it says."""
    return ImaginedRequest(
        method="POST" if request.proof == "form" else request.method,
        bucket=request.bucket,
        object_key=request.key,
        headers=tuple(request.headers.items()),
        query=tuple(request.query.items()),
        identity=request.identity or identity,
        scheme=request.scheme,
        source_ip=request.source_ip,
        tls_version=None if request.tls == "unknown" or request.scheme == "http" else request.tls,
        proof=Proof(request.proof),
        age=timedelta(seconds=request.age_seconds),
    )


def moment(text: str) -> datetime | None:
    """A time with a zone; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)


def _in_file(file: Path, fault: str) -> str:
    return fault if fault.startswith(str(file)) else f"{file}: {fault}"
