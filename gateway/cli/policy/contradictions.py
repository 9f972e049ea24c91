"""Policies and rules that contradict each other, found by asking the policies about objects of each rule.

For each rule, and for objects that it and a statement are both about, two uploads are imagined: one as an application
sends it that knows nothing of encryption, and one that asks for exactly what the rule gives. The statements that look
at encryption are asked about both. What they refuse is told with the example, so a finding is never a guess; objects
that no example stands for may still be refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gateway.cli.findings import Finding, failure, warning
from gateway.cli.policy.imagined import ANYBODY, ImaginedRequest
from gateway.cli.policy.known import ENCRYPTION_KEYS, SSE_KEY
from gateway.cli.policy.place import PolicyInFile
from gateway.errors import S3Error
from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.authorize import authorize
from gateway.policy.iam.actions import accesses_of
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.document import Policy
from gateway.policy.iam.request_facts import RequestFacts
from gateway.policy.iam.statements import Statement
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes
from gateway.s3.asked_encryption import NOTHING_ASKED
from gateway.s3.authenticate import AuthSettings
from gateway.s3.encryption_headers import SSE_KMS_KEY_ID
from gateway.s3.headers import Headers

#: Examples of one rule; a configuration with more statements than this is looked at in part.
MAXIMUM_EXAMPLES = 200

_S3_OBJECT = "arn:aws:s3:::"
_EXAMPLE_KEY = SecretBytes(bytes(32))
_PLAIN = AuthSettings()


@dataclass(frozen=True)
class _Suspect:
    """A statement that refuses by what it sees of encryption."""

    source: PolicyInFile
    statement: Statement

    @cached_property
    def compiled(self) -> CompiledPolicies:
        """The statement alone."""
        policy = self.source.policy
        return CompiledPolicies([Policy(policy.name, policy.version, (self.statement,))])

    def denies(self, request: ImaginedRequest, principal: str, now: datetime) -> bool:
        """Whether the statement refuses a request.

        Raises:
            S3Error: no client could send it.
        """
        verified = request.verified(now, _PLAIN)
        facts = RequestFacts(
            verified, now=now, tls_version=request.tls_version, principal=principal, asked=NOTHING_ASKED
        )
        return any(
            self.compiled.decide(facts, access).effect is Effect.DENY for access in accesses_of(verified.request)
        )


@dataclass(frozen=True, slots=True)
class _Example:
    """An upload of one rule's object, without a word about encryption, and who sends it."""

    request: ImaginedRequest
    principal: str

    def asking_for(self, rule: EncryptionRule) -> ImaginedRequest:
        """The same, with the header fields that the rule adds."""
        request = self.request
        subject = Subject(request.bucket or "", request.object_key or "", request.identity, _EXAMPLE_KEY)
        added = MODES[rule.mode].request_headers(rule, subject)
        return _with_headers(request, Headers((*request.headers, *added)))


def contradictions(
    sources: Sequence[PolicyInFile], rules: Sequence[EncryptionRule], identities: Mapping[str, str], now: datetime
) -> Iterator[Finding]:
    """What the policies refuse of what the rules give.

    Args:
        sources: the policies.
        rules: the encryption rules in order.
        identities: the ARN of each identity by name.
        now: the time.
    """
    suspects = [
        _Suspect(source, statement)
        for source in sources
        for statement in source.policy.statements
        if statement.effect is Effect.DENY and any(each.key in ENCRYPTION_KEYS for each in statement.conditions)
    ]
    for rule in rules:
        examples = list(_examples(rule, rules, suspects, identities, now))
        for suspect in suspects:
            finding = next(
                (found for example in examples if (found := _contradiction(suspect, rule, example, now))), None
            )
            if finding is not None:
                yield finding


def _contradiction(suspect: _Suspect, rule: EncryptionRule, example: _Example, now: datetime) -> Finding | None:
    """What one statement makes of one object."""
    where = suspect.source.at(suspect.statement)
    shown = f"{example.request.describe()} by {example.request.identity}"
    asking = example.asking_for(rule)
    if rule.mode not in (ModeName.NONE, ModeName.CSE) and suspect.denies(asking, example.principal, now):
        named = Headers(asking.headers)
        spelling = " Is the key written in the same way in both, as the full ARN?" if SSE_KMS_KEY_ID in named else ""
        return failure(
            where,
            f"refuses what rule '{rule.name}' gives, {rule.mode.value}: {shown} with these header fields is denied, "
            f"and the same policy at the upstream denies the gateway.{spelling}",
            "let the policy and the rule name the same encryption",
        )
    if not suspect.denies(example.request, example.principal, now):
        return None
    if rule.mode is ModeName.CSE:
        return warning(
            where,
            f"demands a header field that sealing does not add: {shown} without one is denied, and the same policy at "
            f"the upstream denies what rule '{rule.name}' sends unless the client asks S3 for an encryption as well",
            "exempt the rule's objects, or let clients send the header field",
        )
    if rule.mode is ModeName.NONE:
        return warning(
            where,
            f"demands an encryption, and rule '{rule.name}' gives none: {shown} without a header field is denied",
            "give the rule a mode, or let clients send the header field",
        )
    return warning(
        where,
        f"demands a header field of the client: {shown} without one is denied although rule '{rule.name}' would give "
        f"{rule.mode.value}, because policies are asked before defaults",
        "let clients send the header field; or let the default decide, and refuse only others: "
        f'"Null": {{"{SSE_KEY}": "false"}} beside the condition',
    )


def _examples(
    rule: EncryptionRule,
    rules: Sequence[EncryptionRule],
    suspects: Sequence[_Suspect],
    identities: Mapping[str, str],
    now: datetime,
) -> Iterator[_Example]:
    """Uploads of objects that a rule is about, where some statement might be about them too."""
    people = {name: arn for name, arn in identities.items() if not rule.identities or name in rule.identities} or {
        ANYBODY: f"arn:aws:iam::000000000000:user/{ANYBODY}"
    }
    headers = _traits(rule)
    found = 0
    for bucket, object_key in _places(rule, suspects):
        for name, principal in people.items():
            request = ImaginedRequest("PUT", bucket, object_key, headers, identity=name)
            if found < MAXIMUM_EXAMPLES and _is_about(rule, rules, request, now):
                found += 1
                yield _Example(request, principal)


def _is_about(rule: EncryptionRule, rules: Sequence[EncryptionRule], request: ImaginedRequest, now: datetime) -> bool:
    try:
        decided = authorize(request.verified(now, _PLAIN), rules).rule
    except S3Error:
        return False
    return decided is not None and decided.name == rule.name


def _traits(rule: EncryptionRule) -> tuple[tuple[str, str], ...]:
    """The header fields by which an object is the rule's, beside its place."""
    headers: list[tuple[str, str]] = []
    if rule.tags:
        headers.append(("x-amz-tagging", "&".join(f"{name}={_filled(glob)}" for name, glob in rule.tags)))
    if rule.content_types:
        headers.append(("content-type", _filled(rule.content_types[0])))
    return tuple(headers)


def _places(rule: EncryptionRule, suspects: Sequence[_Suspect]) -> Iterator[tuple[str, str]]:
    """Buckets and keys of examples: those that the rule spells, and those that statements spell."""
    buckets = dict.fromkeys(_filled(glob) for glob in rule.buckets)
    keys = dict.fromkeys(f"{_filled(glob)}example" for glob in rule.prefixes or ("",))
    for suspect in suspects:
        if suspect.statement.resources.negated:
            continue
        for text in suspect.statement.resources.values:
            bucket, _, object_key = text.removeprefix(_S3_OBJECT).partition("/")
            if text.startswith(_S3_OBJECT) and "$" not in text:
                buckets[_filled(bucket)] = None
                keys[_filled(object_key) or "example"] = None
    for bucket in buckets:
        for object_key in keys:
            if rule.matches(bucket, object_key):
                yield bucket, object_key


def _filled(glob: str) -> str:
    """A text that a glob matches; a star alone becomes a name that a bucket can have."""
    return "example" if glob == "*" else glob.replace("*", "x").replace("?", "x")


def _with_headers(request: ImaginedRequest, headers: Headers) -> ImaginedRequest:
    return ImaginedRequest(
        request.method, request.bucket, request.object_key, headers.fields, identity=request.identity
    )
