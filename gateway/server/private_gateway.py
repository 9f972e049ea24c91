"""The data path of the gateway inside a command: copies that give stored objects the encryption of today's rules.

Requests go through the very pipeline that serves clients, by a listener on the loopback interface that nobody else can
use: its port and its one key pair are made up at the start and never leave the process. No customer key and no data key
passes through it; the plaintext of an object does only when it is read to be verified.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.config.build import data_key_limits, encryption_rules, upstream_settings
from gateway.config.model import Config
from gateway.config.resolve import Resolved, resolve
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.data_keys import DataKeys
from gateway.keys.provider import KeyProvider
from gateway.keys.version_cache import VersionCache
from gateway.observe.access_log import AccessLog
from gateway.observe.metrics import Metrics
from gateway.policy.rules import EncryptionRule
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings
from gateway.s3.credentials import Credential, Identity
from gateway.server.app import sources_by_rule
from gateway.server.connection import ConnectionInfo
from gateway.server.copy_knowledge import CopyKnowledge
from gateway.server.key_ring import KeyRing
from gateway.server.pipeline import Pipeline
from gateway.server.sealed.layouts import DEFAULT_CAPACITY, LayoutCache
from gateway.server.sealed.services import SealedServices
from gateway.server.sealed.staging_absent import AbsentStaging
from gateway.server.services import Services
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import StaticCredentials
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.settings import UpstreamSettings

#: A server may copy a large object for long without a word, seconds.
_LONGEST_COPY = 3_600.0
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PrivateGateway:
    """A data path and what is behind it.

    Attributes:
        services: what requests are served with.
        identity: the name of the identity whose upstream credentials are used.
        wrapping_keys: the key providers of mode ``cse`` by name.
        customer_keys: the customer keys by name, without derivation.
        sources: the customer keys of the ``sse-c`` rules, by the rule's name.
    """

    services: Services
    identity: str
    wrapping_keys: Mapping[str, KeyProvider]
    customer_keys: Mapping[str, CustomerKeySource]
    sources: Mapping[str, CustomerKeySource]
    _client: UpstreamClient
    _credentials: StaticCredentials

    def ask(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request through the data path, as a client would."""
        return self._client.send(request, self._credentials)

    def ask_store(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request to the store itself."""
        return self.services.upstream.send(request, self.services.upstream_credentials[self.identity])


@asynccontextmanager
async def private_gateway(config: Config, identity: str | None = None) -> AsyncIterator[PrivateGateway]:
    """Open a data path; everything is closed and forgotten in the end.

    Args:
        config: the configuration; its listeners and its staging store are not used.
        identity: the identity whose upstream credentials are used; None for the only one, or the first.

    Raises:
        ConfigError: there is no such identity, or a secret, file or variable is missing or unsuitable.
        KeyUnavailable: a vault does not give a secret that the configuration needs.
    """
    name = config.identity_named(identity).name
    async with AsyncExitStack() as opened:
        metrics = Metrics(CollectorRegistry())
        resolved = await resolve(config, metrics)
        opened.push_async_callback(resolved.aclose)
        upstream = UpstreamClient(upstream_settings(config), metrics)
        await upstream.start()
        opened.push_async_callback(upstream.close)
        own = Credential(secrets.token_hex(10).upper(), SecretStr(secrets.token_urlsafe(30)))
        services, sources = _services(config, resolved, upstream, metrics, Identity(name, own))
        opened.push_async_callback(services.sealed.data_keys.aclose)
        port = await _listen(Pipeline(services), opened)
        client = UpstreamClient(
            UpstreamSettings(
                endpoint=f"http://{_LOOPBACK}:{port}",
                first_byte_timeout_seconds=_LONGEST_COPY,
                retries=0,
                allow_insecure_plain_http_upstream=True,
            )
        )
        await client.start()
        opened.push_async_callback(client.close)
        yield PrivateGateway(
            services, name, resolved.wrapping_keys, resolved.customer_keys, sources, client, StaticCredentials(own)
        )


def _services(
    config: Config, resolved: Resolved, upstream: UpstreamClient, metrics: Metrics, identity: Identity
) -> tuple[Services, Mapping[str, CustomerKeySource]]:
    rules: tuple[EncryptionRule, ...] = encryption_rules(config)
    sources = sources_by_rule(rules, resolved)
    data_keys = DataKeys(resolved.wrapping_keys, data_key_limits(config), metrics)
    services = Services(
        domains=(),
        identities={identity.credential.access_key_id: identity},
        authentication=AuthSettings(),
        rules=rules,
        key_ring=KeyRing(sources, rules, VersionCache()),
        upstream=upstream,
        upstream_credentials=resolved.upstream_credentials,
        policies=None,
        refused_operations=frozenset(),
        copies=CopyKnowledge(always_stream=config.upstream.copies == "stream", reencrypts=True),
        sealed=SealedServices(data_keys, LayoutCache(DEFAULT_CAPACITY, metrics), AbsentStaging()),
        metrics=metrics,
        access_log=AccessLog(None),
        now=lambda: datetime.now(UTC),
    )
    return services, sources


async def _listen(pipeline: Pipeline, opened: AsyncExitStack) -> int:
    """Serve the data path on a port of the loopback interface, which comes back."""
    connection = ConnectionInfo(listener="private", scheme="http", client_address=_LOOPBACK)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return await pipeline.handle(request, connection)

    server = web.Server(serve, handler_cancellation=True, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, _LOOPBACK, 0)
    opened.push_async_callback(server.shutdown, 1.0)
    opened.callback(listening.close)
    port: int = listening.sockets[0].getsockname()[1]
    return port
