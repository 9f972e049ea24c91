"""Everything that the pipeline and its handlers work with, put together once at start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.observe.access_log import AccessLog
from gateway.observe.metrics import Metrics
from gateway.policy.rules import EncryptionRule
from gateway.s3.authenticate import AuthSettings
from gateway.s3.credentials import Identity
from gateway.s3.operation import Operation
from gateway.server.copy_knowledge import CopyKnowledge
from gateway.server.key_ring import KeyRing
from gateway.server.policies.policies import Policies
from gateway.server.sealed.services import SealedServices
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import CredentialSource


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running gateway.

    Attributes:
        domains: base domains of virtual-host style requests.
        identities: the clients by access key id.
        authentication: what signatures are accepted.
        rules: the encryption rules in order.
        key_ring: the customer keys of the ``sse-c`` rules.
        upstream: the S3 server behind the gateway.
        upstream_credentials: what each identity's requests are signed with upstream, by identity name.
        policies: what requests are judged by; None for a data path that only the gateway itself uses.
        refused_operations: what the upstream takes for something else.
        copies: what is known of the server's own copies.
        sealed: what the ``cse`` rules work with.
        metrics: the counters.
        access_log: one line per request.
        now: the time, UTC.
    """

    domains: tuple[str, ...]
    identities: Mapping[str, Identity]
    authentication: AuthSettings
    rules: Sequence[EncryptionRule]
    key_ring: KeyRing
    upstream: UpstreamClient
    upstream_credentials: Mapping[str, CredentialSource]
    policies: Policies | None
    refused_operations: frozenset[Operation]
    copies: CopyKnowledge
    sealed: SealedServices
    metrics: Metrics
    access_log: AccessLog
    now: Callable[[], datetime]
