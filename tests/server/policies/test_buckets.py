"""Policies of a real server's buckets: read once, remembered, refreshed, and never taken for none when nobody knows."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.errors import S3Error
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Effect
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.server.policies.buckets import BucketPolicies, BucketPolicySettings, ReadResult
from gateway.upstream.client import UpstreamClient
from gateway.upstream.settings import UpstreamSettings
from lab.s3_server import REGION
from lab.seaweed import SeaweedFS

_SETTINGS = BucketPolicySettings(refresh_seconds=60, maximum_age_seconds=600, maximum_buckets=3)


class Nothing:
    """A request that has no condition key."""

    principal = "arn:aws:iam::000000000000:user/ann"

    def values(self, key: str) -> None:
        return None


@dataclass
class World:
    """A server, and what the gateway's side of it is.

    Attributes:
        credential: what GetBucketPolicy is signed with.
        now: the clock.
        results: how every question went.
    """

    server: SeaweedFS
    upstream: UpstreamClient
    credential: Credential
    now: float = 1000.0
    results: list[ReadResult] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)

    async def current(self) -> Credential:
        return self.credential

    def bucket_policy_read(self, result: ReadResult) -> None:
        self.results.append(result)

    def policies(self, settings: BucketPolicySettings = _SETTINGS) -> BucketPolicies:
        return BucketPolicies(self.upstream, self, settings, self, lambda: self.now)

    def bucket(self, effect: str | None = None) -> str:
        """A new bucket, with a policy that has this effect on reads."""
        name = f"policies-{secrets.token_hex(6)}"
        self.server.client().create_bucket(Bucket=name)
        self.buckets.append(name)
        if effect is not None:
            self.put(name, effect)
        return name

    def put(self, bucket: str, effect: str) -> None:
        statement = {
            "Sid": "Reads",
            "Effect": effect,
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.server.client().put_bucket_policy(Bucket=bucket, Policy=document)

    def lock_out(self) -> None:
        """From now on the server refuses what is signed."""
        self.credential = Credential(self.credential.access_key_id, SecretStr("another secret"))


@pytest.fixture
async def world(seaweed: SeaweedFS) -> AsyncIterator[World]:
    upstream = UpstreamClient(UpstreamSettings(seaweed.endpoint, REGION, ca_bundle=seaweed.ca_file, retries=0))
    await upstream.start()
    credential = Credential(seaweed.credentials.access_key, SecretStr(seaweed.credentials.secret_key))
    made = World(seaweed, upstream, credential)
    yield made
    await upstream.close()
    for bucket in made.buckets:
        seaweed.client().delete_bucket(Bucket=bucket)


def _effect(policies: CompiledPolicies | None, bucket: str) -> Effect | None:
    access = Access("s3:GetObject", f"arn:aws:s3:::{bucket}/key")
    return None if policies is None else policies.decide(Nothing(), access).effect


async def test_a_policy_is_read_once_until_it_is_refreshed(world: World) -> None:
    bucket, policies = world.bucket("Deny"), world.policies()
    assert _effect(await policies.of(bucket), bucket) is Effect.DENY
    world.put(bucket, "Allow")
    world.now += 59
    assert _effect(await policies.of(bucket), bucket) is Effect.DENY
    assert world.results == [ReadResult.OK]
    world.now += 1
    assert _effect(await policies.of(bucket), bucket) is Effect.ALLOW
    assert world.results == [ReadResult.OK] * 2


async def test_the_same_document_is_not_compiled_again(world: World) -> None:
    bucket, policies = world.bucket("Deny"), world.policies()
    first = await policies.of(bucket)
    world.now += 60
    assert await policies.of(bucket) is first
    assert world.results == [ReadResult.OK] * 2


async def test_many_requests_share_one_question(world: World) -> None:
    bucket, policies = world.bucket("Deny"), world.policies()
    found = await asyncio.gather(*(policies.of(bucket) for _ in range(50)))
    assert {_effect(one, bucket) for one in found} == {Effect.DENY}
    assert world.results == [ReadResult.OK]


async def test_no_policy_and_no_bucket_are_no_policy(world: World) -> None:
    policies = world.policies()
    assert await policies.of(world.bucket()) is None
    assert await policies.of("policies-no-such-bucket") is None
    assert world.results == [ReadResult.NONE] * 2


async def test_a_policy_that_can_not_be_read_is_used_until_it_is_too_old(world: World) -> None:
    bucket, policies = world.bucket("Allow"), world.policies()
    await policies.of(bucket)
    world.lock_out()
    world.now += 599
    assert _effect(await policies.of(bucket), bucket) is Effect.ALLOW
    assert world.results == [ReadResult.OK, ReadResult.FAILED]
    world.now += 1
    with pytest.raises(S3Error) as caught:
        await policies.of(bucket)
    assert (caught.value.code, caught.value.status) == ("ServiceUnavailable", 503)
    assert "Retry-After" in dict(caught.value.headers)


async def test_a_policy_that_never_could_be_read_refuses(world: World) -> None:
    """And is not asked for again by every request."""
    bucket, policies = world.bucket(), world.policies()
    world.lock_out()
    for _ in range(3):
        with pytest.raises(S3Error):
            await policies.of(bucket)
    assert world.results == [ReadResult.FAILED]
    world.now += 5
    with pytest.raises(S3Error):
        await policies.of(bucket)
    assert world.results == [ReadResult.FAILED] * 2


async def test_the_owner_may_choose_to_go_on_without(world: World) -> None:
    bucket = world.bucket("Deny")
    policies = world.policies(BucketPolicySettings(maximum_age_seconds=60, allow_when_unavailable=True))
    await policies.of(bucket)
    world.lock_out()
    world.now += 61
    assert await policies.of(bucket) is None


async def test_a_reload_asks_anew(world: World) -> None:
    bucket, policies = world.bucket("Deny"), world.policies()
    await policies.of(bucket)
    world.put(bucket, "Allow")
    policies.look_again()
    assert _effect(await policies.of(bucket), bucket) is Effect.ALLOW


async def test_the_bucket_that_was_not_used_for_longest_makes_room(world: World) -> None:
    """Clients choose the names of buckets; a forgotten policy is read again and not taken for none."""
    bucket, policies = world.bucket("Deny"), world.policies()
    await policies.of(bucket)
    for number in range(3):
        await policies.of(f"policies-none-{number}")
    assert _effect(await policies.of(bucket), bucket) is Effect.DENY
    assert world.results.count(ReadResult.OK) == 2


async def test_a_policy_that_is_not_understood_refuses(world: World) -> None:
    """The server takes more than the gateway; a statement left out could be the one that denies."""
    bucket = world.bucket()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    twice = {"Version": "2012-10-17", "Statement": [statement | {"Sid": "Same"}] * 2}
    world.server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(twice))
    with pytest.raises(S3Error) as caught:
        await world.policies().of(bucket)
    assert caught.value.code == "ServiceUnavailable"
    assert world.results == [ReadResult.FAILED]
