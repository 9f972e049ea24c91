"""What each of the seven steps makes of a request, in words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gateway.cli.policy.imagined import ImaginedRequest
from gateway.cli.policy.offline import Outcome
from gateway.cli.policy.sent_upstream import expected_proof, sent_upstream
from gateway.config.model import Config
from gateway.errors import S3Error
from gateway.policy.authorize import CREATES_OBJECT, AuthorizedRequest
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.iam.actions import accesses_of
from gateway.policy.permission import Permission
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.server.plain_http import refuse

Verdict = Literal["passed", "refused", "depends", "not reached"]

NAMES = ("transport", "identity", "policy", "default", "transform", "upstream", "answer")
_POLICY, _DEFAULT = 3, 4
_ON_SOURCE = (
    "which rule is about the copy depends on tags or a content type that it takes from its source;",
    "the gateway looks at the source, this command does not",
)
_CHOSEN_BY = {
    EncryptionSource.CLIENT: "the client asks for it",
    EncryptionSource.INJECTED: "the rule gives it",
    EncryptionSource.OVERRIDDEN: "the rule replaces what the client asks for",
    EncryptionSource.NONE: "nobody asks for any",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        number: 1 to 7.
        verdict: what came out.
        lines: what was seen, or why.
    """

    number: int
    verdict: Verdict
    lines: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Its name."""
        return NAMES[self.number - 1]


def steps_of(asked: ImaginedRequest, outcome: Outcome, config: Config) -> list[Step]:
    """The seven steps of a request.

    Args:
        asked: the request.
        outcome: what became of it.
        config: the configuration.
    """
    refusal = transport_refusal(asked, config) or outcome.refusal
    steps = list(_served(asked, outcome, config))
    if refusal is not None:
        asks: tuple[str, ...] = ()
        if outcome.verified is not None and len(steps) + 1 == _POLICY:
            asks = _asks_of(outcome.verified)
        steps.append(Step(len(steps) + 1, "refused", (*asks, *_refusal_lines(refusal))))
        steps.extend(Step(number, "not reached") for number in range(len(steps) + 1, len(NAMES)))
        steps.append(Step(len(NAMES), "refused", (f"{refusal.status} {refusal.code}: {refusal.message}",)))
    steps.extend(Step(number, "not reached") for number in range(len(steps) + 1, len(NAMES) + 1))
    return steps


def transport_refusal(asked: ImaginedRequest, config: Config) -> S3Error | None:
    """What a request over plain HTTP is answered where no listener serves it."""
    if asked.scheme == "https" or config.listeners.plain_http_loopback:
        return None
    return refuse(f"/{asked.bucket or ''}", asked.headers).error


def _served(asked: ImaginedRequest, outcome: Outcome, config: Config) -> Iterator[Step]:
    """The steps that let the request pass, in order."""
    if transport_refusal(asked, config) is not None:
        return
    yield Step(1, "passed", (_hop(asked),))
    if outcome.verified is None:
        return
    verified = outcome.verified
    name = "nobody" if verified.identity is None else verified.identity.name
    yield Step(2, "passed", (f"{name}, {verified.auth_type} {verified.signature_version}".rstrip(),))
    if outcome.authorized is None:
        if outcome.refused_by_rules:
            yield Step(_POLICY, "passed", _asks_of(verified))
        if outcome.undecided is not None:
            yield Step(_POLICY, "passed", (*_asks_of(verified), *_permission_lines(verified, outcome.undecided)))
            yield Step(_DEFAULT, "depends", _ON_SOURCE)
        return
    authorized = outcome.authorized
    yield Step(_POLICY, "passed", (*_asks_of(verified), *_permission_lines(verified, authorized.permission)))
    yield Step(_DEFAULT, "passed", tuple(_default_lines(authorized)))
    yield Step(5, "passed", tuple(sent_upstream(authorized)))
    yield Step(6, "passed", tuple(_upstream_lines(authorized, config)))
    yield Step(7, "passed", tuple(expected_proof(authorized)))


def _hop(asked: ImaginedRequest) -> str:
    if asked.scheme == "http":
        return f"plain HTTP from {asked.source_ip}; only an exempted listener serves it"
    version = "of a version that is not known" if asked.tls_version is None else asked.tls_version
    return f"TLS {version} from {asked.source_ip}"


def _asks_of(verified: VerifiedRequest) -> tuple[str, ...]:
    """What policies are asked about a request; nothing when it can not be understood."""
    try:
        accesses = accesses_of(verified.request)
    except S3Error:
        return ()
    return tuple(f"asks for {access.action} on {access.resource}" for access in accesses)


def _permission_lines(verified: VerifiedRequest, permission: Permission) -> Iterator[str]:
    yield f"{permission.effect.value} by {permission.rule}"
    if verified.request.operation is Operation.DELETE_OBJECTS:
        yield "each key of the document is asked for by itself, as DELETE of that key"


def _default_lines(authorized: AuthorizedRequest) -> Iterator[str]:
    rule = authorized.rule
    if authorized.request.operation in CREATES_OBJECT and rule is not None:
        yield f"rule {rule.name}: {authorized.mode.value}, {_CHOSEN_BY[authorized.source]}"
    elif rule is not None:
        yield f"nothing to decide; objects here are expected as rule {rule.name} has them, {rule.mode.value}"
    else:
        yield "nothing to decide: not about an object"


def _upstream_lines(authorized: AuthorizedRequest, config: Config) -> Iterator[str]:
    upstream = config.upstream
    yield f"{upstream.endpoint.replace('{region}', upstream.region)}, signed for {upstream.region}"
    identity = authorized.verified.identity
    if identity is not None:
        kinds = {each.name: each.upstream_credentials.kind for each in config.identities}
        yield f"with the {kinds[identity.name]} credentials of identity {identity.name}"


def _refusal_lines(refusal: S3Error) -> tuple[str, ...]:
    details = Headers(refusal.details)
    argument = details.get("argumentname")
    return (refusal.message, *(() if argument is None else (f"argument {argument}",)))
