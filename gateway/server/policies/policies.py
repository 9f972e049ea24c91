"""Everything that requests are judged by."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from gateway.modes.upload_id import asked_for_upload
from gateway.policy.iam.actions import accesses_of, deletion_accesses
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Effect
from gateway.policy.iam.request_facts import RequestFacts
from gateway.policy.permission import Judge, Standing, bucket_of
from gateway.s3.authenticate import VerifiedRequest
from gateway.server.policies.files import PolicyFiles

#: A CORS preflight has no sender and asks for nothing that a policy could be about.
_NOBODY = Standing("*", Effect.ALLOW)


class BucketPolicySource(Protocol):
    """Where the policies of the upstream's buckets come from."""

    async def of(self, bucket: str) -> CompiledPolicies | None:
        """The policy of a bucket; None when it has none."""

    def look_again(self) -> None:
        """Ask for every policy anew when it is needed next."""

    async def aclose(self) -> None:
        """Stop asking."""


class Policies:
    """The policies of one worker.

    Args:
        files: those of files.
        buckets: those of the upstream's buckets; None where they are not read.
        standings: who each identity is to policies, by its name.
        now: the time, aware.
    """

    def __init__(
        self,
        files: PolicyFiles,
        buckets: BucketPolicySource | None,
        standings: Mapping[str, Standing],
        now: Callable[[], datetime],
    ) -> None:
        self.files = files
        self._buckets = buckets
        self._standings = standings
        self._now = now
        self._all_allowed = all(standing.default is Effect.ALLOW for standing in standings.values())

    async def judge(self, verified: VerifiedRequest, tls_version: str | None) -> Judge | None:
        """What one request is judged by; None when nothing could come of it.

        Args:
            verified: the request.
            tls_version: of the client's connection, when it is known.

        Raises:
            S3Error: the request contradicts itself, or a bucket's policy can not be read.
        """
        if self._all_allowed and self._buckets is None and not self.files.policies:
            return None
        request = verified.request
        accesses = accesses_of(request)
        standing = _NOBODY if verified.identity is None else self._standings[verified.identity.name]
        facts = RequestFacts(
            verified,
            now=self._now(),
            tls_version=tls_version,
            principal=standing.principal,
            asked=asked_for_upload(request),
        )
        # Taken before anything is waited for, so that one request is judged by one state of the files.
        policies = self.files.current
        return Judge(
            facts=facts,
            accesses=accesses,
            policies=policies,
            bucket_policies=await self._of_buckets(accesses, request.bucket),
            default=standing.default,
            deletion=partial(deletion_accesses, request),
        )

    def reload(self) -> None:
        """Read everything again, changed or not."""
        self.files.reload()
        if self._buckets is not None:
            self._buckets.look_again()

    async def aclose(self) -> None:
        """Stop asking the upstream."""
        if self._buckets is not None:
            await self._buckets.aclose()

    async def _of_buckets(
        self, accesses: tuple[Access, ...], bucket: str | None
    ) -> Mapping[str, CompiledPolicies | None]:
        if self._buckets is None:
            return {}
        names = {bucket or "", *map(bucket_of, accesses)} - {""}
        return {name: await self._buckets.of(name) for name in sorted(names)}
