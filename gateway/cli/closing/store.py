"""The policy of a bucket at the store: read, and written so that nobody else's change is lost unseen."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from gateway.cli.stored.source import SourceUnavailable
from gateway.config.build import upstream_settings
from gateway.config.credentials import CredentialMaker
from gateway.config.model import Config
from gateway.config.open_vaults import open_vaults, vaults_of
from gateway.config.secrets import Secrets
from gateway.errors import GatewayError
from gateway.keys.secret_reference import SecretResolver
from gateway.policy.bucket_policy import LivePolicy, parse_live_policy
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import parse_error
from gateway.upstream.body import Body, BufferedBody, EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import CredentialSource, DefaultChainCredentials
from gateway.upstream.request import UpstreamRequest

_QUERY: Final = EMPTY_QUERY.with_values((("policy", None),))
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_NO_POLICY: Final = "NoSuchBucketPolicy"


class PolicyChanged(GatewayError):
    """Somebody else wrote the policy meanwhile."""


class BucketPolicyStore:
    """One bucket's policy.

    Args:
        client: asks the store.
        credentials: what requests are signed with.
        bucket: the bucket.
    """

    def __init__(self, client: UpstreamClient, credentials: CredentialSource, bucket: str) -> None:
        self._client = client
        self._credentials = credentials
        self._bucket = bucket

    async def read(self) -> LivePolicy:
        """The policy that the bucket has now.

        Raises:
            SourceUnavailable: the store does not give it.
            ConfigError: it is not a policy.
            GatewayError: the store gave no answer.
        """
        status, body = await self._ask(Operation.GET_BUCKET_POLICY, "GET", EmptyBody(), missing=_NO_POLICY)
        if status == 404:
            return LivePolicy(None)
        try:
            return parse_live_policy(body.decode())
        except UnicodeDecodeError:
            raise SourceUnavailable("the store's answer is not UTF-8") from None

    async def replace(self, seen: LivePolicy, text: str) -> None:
        """Write a policy in place of the one that was seen.

        S3 takes no condition here, so the policy is read once more just before: what comes between the two is lost.

        Args:
            seen: what was read before.
            text: the JSON of the new policy.

        Raises:
            PolicyChanged: it is not the same any more; nothing was written.
            SourceUnavailable: the store refuses it.
            GatewayError: the store gave no answer.
        """
        if await self.read() != seen:
            raise PolicyChanged("somebody else changed the bucket's policy meanwhile: look again")
        await self._ask(Operation.PUT_BUCKET_POLICY, "PUT", BufferedBody(text.encode()))

    async def _ask(self, operation: Operation, method: str, body: Body, missing: str = "") -> tuple[int, bytes]:
        headers = Headers()
        if isinstance(body, BufferedBody):
            digest = hashlib.md5(body.data, usedforsecurity=False).digest()
            headers = Headers(
                (("content-type", "application/json"), ("content-md5", base64.b64encode(digest).decode()))
            )
        request = UpstreamRequest(operation, method, self._bucket, None, _QUERY, headers, body)
        async with self._client.send(request, self._credentials) as answer:
            data = await answer.read(_MAX_ANSWER_BYTES)
            status = answer.status
        if 200 <= status < 300:
            return status, data
        error = parse_error(data)
        if error is not None and missing and error.code == missing:
            return 404, b""
        reason = f"HTTP {status}" if error is None else f"{error.code}: {error.message}"
        raise SourceUnavailable(f"{operation.value} was refused: {reason}")


@asynccontextmanager
async def bucket_policy_store(
    config: Config, bucket: str, *, identity: str | None, profile: str | None
) -> AsyncIterator[BucketPolicyStore]:
    """The policy of a bucket at the upstream.

    Args:
        config: the configuration.
        bucket: the bucket.
        identity: whose upstream credentials are used; None for the first identity's.
        profile: a profile of the shared AWS files that is used instead.

    Raises:
        ConfigError: there is no such identity, or a secret is missing.
        KeyUnavailable: a vault does not give a secret.
    """
    async with AsyncExitStack() as opened:
        credentials = await _credentials(config, identity, profile, opened)
        client = UpstreamClient(upstream_settings(config))
        await client.start()
        opened.push_async_callback(client.close)
        yield BucketPolicyStore(client, credentials, bucket)


async def _credentials(
    config: Config, identity: str | None, profile: str | None, opened: AsyncExitStack
) -> CredentialSource:
    if profile is not None:
        found = DefaultChainCredentials(profile)
        opened.callback(found.close)
        return found
    options = config.identity_named(identity)
    vaults = open_vaults(config, opened, names=vaults_of([options.upstream_credentials]))
    secrets = Secrets(SecretResolver(vaults))
    maker = CredentialMaker(config.upstream.region, secrets, opened)
    path = f"identities[{config.identities.index(options)}].upstream_credentials"
    source = await maker.source(options.upstream_credentials, path)
    secrets.raise_faults()
    return source
