"""The policies that the upstream's own buckets have, read with GetBucketPolicy and remembered for a while.

A policy that can not be read is not a policy that allows everything: what was read last is used until it is too old,
and then requests about the bucket are refused, unless the configuration says otherwise.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from gateway.errors import GatewayError, S3Error, UpstreamUnavailable
from gateway.event_log import get_logger
from gateway.keys.single_flight import SingleFlight
from gateway.policy.closing import without_closing
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import PolicyError
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES, parse_policy
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import error_code
from gateway.upstream.body import EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import CredentialSource
from gateway.upstream.request import UpstreamRequest

#: How soon a policy that could not be read is asked for again, seconds.
_PAUSE_SECONDS: Final = 5.0
#: The answers that say that there is no policy. Source: Amazon S3 API Reference, "Error responses".
_NONE_CODES: Final = frozenset({"NoSuchBucketPolicy", "NoSuchBucket"})
_RETRY_AFTER: Final = (("Retry-After", "1"),)

_log = get_logger("gateway.server.policies.buckets")


class ReadResult(StrEnum):
    """How asking for a bucket's policy went."""

    OK = "ok"
    NONE = "none"
    FAILED = "failed"


class BucketPoliciesObserver(Protocol):
    """Whoever shows how reading went."""

    def bucket_policy_read(self, result: ReadResult) -> None:
        """A bucket's policy was asked for."""


@dataclass(frozen=True, slots=True)
class BucketPolicySettings:
    """How long policies are used.

    Attributes:
        refresh_seconds: how soon a changed policy is seen.
        maximum_age_seconds: how long one is used while it can not be read again.
        allow_when_unavailable: whether requests are served without the policy after that, instead of being refused.
        maximum_buckets: whose policies are remembered; the one that was not used for longest makes room.
    """

    refresh_seconds: float = 60.0
    maximum_age_seconds: float = 600.0
    allow_when_unavailable: bool = False
    maximum_buckets: int = 1000


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a bucket.

    Attributes:
        policies: its policy; None when it has none.
        digest: tells the document.
        read: when it was read; None when it never was.
        next_look: when it is asked for again.
    """

    policies: CompiledPolicies | None
    digest: bytes
    read: float | None
    next_look: float


class BucketPolicies:
    """The policies of the upstream's buckets, for one event loop.

    Args:
        upstream: the S3 server.
        credentials: what GetBucketPolicy is signed with.
        settings: how long policies are used.
        observer: told of every question.
        clock: seconds that only grow; None: the loop's.
    """

    def __init__(
        self,
        upstream: UpstreamClient,
        credentials: CredentialSource,
        settings: BucketPolicySettings,
        observer: BucketPoliciesObserver,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._upstream = upstream
        self._credentials = credentials
        self._settings = settings
        self._observer = observer
        self._clock = clock or asyncio.get_running_loop().time
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: SingleFlight[str, _Known] = SingleFlight()

    async def of(self, bucket: str) -> CompiledPolicies | None:
        """The policy of a bucket; None when it has none.

        Raises:
            S3Error: ServiceUnavailable, when nobody can know at present.
        """
        known = self._known.get(bucket)
        if known is None or self._clock() >= known.next_look:
            known = await self._reading.run(bucket, lambda: self._read(bucket))
        else:
            self._known.move_to_end(bucket)
        if known.read is not None and self._clock() - known.read < self._settings.maximum_age_seconds:
            return known.policies
        if self._settings.allow_when_unavailable:
            return None
        raise S3Error(
            "ServiceUnavailable", "The policy of the bucket can not be read at present.", headers=_RETRY_AFTER
        )

    def look_again(self) -> None:
        """Ask for every policy anew when it is needed next."""
        for bucket, known in self._known.items():
            self._known[bucket] = _Known(known.policies, known.digest, known.read, self._clock())

    async def aclose(self) -> None:
        """Stop asking."""
        await self._reading.aclose()

    async def _read(self, bucket: str) -> _Known:
        begun, before = self._clock(), self._known.get(bucket)
        try:
            body = await self._document(bucket)
            known = self._understood(bucket, body, before, begun)
        except GatewayError as error:
            faults = error.faults if isinstance(error, PolicyError) else (str(error),)
            for fault in faults:
                _log.error("bucket_policy_unusable", bucket=bucket, fault=fault)
            self._observer.bucket_policy_read(ReadResult.FAILED)
            pause = self._clock() + min(_PAUSE_SECONDS, self._settings.refresh_seconds)
            known = (
                _Known(None, b"", None, pause)
                if before is None
                else _Known(before.policies, before.digest, before.read, pause)
            )
        else:
            self._observer.bucket_policy_read(ReadResult.NONE if body is None else ReadResult.OK)
        self._known[bucket] = known
        self._known.move_to_end(bucket)
        while len(self._known) > self._settings.maximum_buckets:
            self._known.popitem(last=False)
        return known

    def _understood(self, bucket: str, body: bytes | None, before: _Known | None, begun: float) -> _Known:
        """What a document says; one that is the same as before is not compiled again.

        Raises:
            PolicyError: it can not be used.
        """
        next_look = begun + self._settings.refresh_seconds
        if body is None:
            return _Known(None, b"", begun, next_look)
        digest = hashlib.sha256(body).digest()
        if before is not None and before.digest == digest:
            return _Known(before.policies, digest, begun, next_look)
        return _Known(parse_bucket_policy(body, bucket), digest, begun, next_look)

    async def _document(self, bucket: str) -> bytes | None:
        """The bucket's policy as JSON; None when it has none.

        Raises:
            GatewayError: the server does not say.
        """
        request = UpstreamRequest(
            operation=Operation.GET_BUCKET_POLICY,
            method="GET",
            bucket=bucket,
            raw_object_key=None,
            query=EMPTY_QUERY.with_values((("policy", None),)),
            headers=Headers(),
            body=EmptyBody(),
        )
        async with self._upstream.send(request, self._credentials) as answer:
            body = await answer.read(MAXIMUM_BUCKET_POLICY_BYTES)
        if answer.status == 200:
            return body
        code = error_code(body)
        if answer.status == 404 and code in _NONE_CODES:
            return None
        raise UpstreamUnavailable(f"the upstream server answers GetBucketPolicy with {answer.status} {code or ''}")


def parse_bucket_policy(body: bytes, bucket: str) -> CompiledPolicies:
    """The policy that a bucket has itself, without the statements that close the way around the gateway.

    Raises:
        PolicyError: it can not be used.
    """
    policy = parse_policy(body, f"bucket policy of {bucket}", MAXIMUM_BUCKET_POLICY_BYTES)
    return CompiledPolicies((without_closing(policy),))
