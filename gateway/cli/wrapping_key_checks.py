"""Whether wrapping keys wrap data keys, unwrap them, wrap them again, and refuse another encryption context."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from gateway.cli.findings import Finding, failure, ok, warning
from gateway.cli.key_policies import wrapping_key_policy
from gateway.config.model import Config
from gateway.config.open_vaults import open_vaults
from gateway.config.open_wrapping_keys import WrappingKeyOpener, vaults_of_wrapping_keys
from gateway.config.secrets import Secrets
from gateway.config.wrapping_keys import AwsKmsKey, VaultTransitKey, WrappingKey
from gateway.errors import ConfigError, GatewayError, KeyUnavailable
from gateway.keys.provider import DataKey, KeyProvider
from gateway.keys.secret_reference import SecretResolver

#: Added to a configured context, to see that the service refuses it.
_OTHER_CONTEXT = {"sealgate-doctor": "another context"}


async def wrapping_key_findings(config: Config) -> AsyncIterator[Finding]:
    """A data key made by every wrapping key, unwrapped, wrapped again, and unwrapped once more.

    Each request is sent once, without the patience that the gateway has, so that a fault shows. Keys whose keyring,
    vault or secrets can not be used are left out: that is told with the files, the vaults and the secrets.
    """
    async with AsyncExitStack() as opened:
        try:
            vaults = open_vaults(config, opened, names=vaults_of_wrapping_keys(config))
        except ConfigError:
            return
        for name, options in config.wrapping_keys.items():
            secrets = Secrets(SecretResolver(vaults))
            opener = WrappingKeyOpener(vaults, secrets, opened)
            providers = await opener.bare(name, options)
            other = _with_other_context(options)
            strangers = await opener.bare(name, other) if other is not None else (None,) * len(providers)
            try:
                secrets.raise_faults()
            except ConfigError:
                continue
            except KeyUnavailable as error:
                yield failure(f"wrapping_keys.{name}", str(error))
                continue
            for provider, stranger in zip(providers, strangers, strict=True):
                # One entry asks several Regions when it has replicas.
                subject = f"wrapping_keys.{name}" + (f" ({provider.scope})" if len(providers) > 1 else "")
                async for finding in _findings(subject, options, provider, stranger):
                    yield finding


async def _findings(
    subject: str, options: WrappingKey, provider: KeyProvider, stranger: KeyProvider | None
) -> AsyncIterator[Finding]:
    """What one provider does with a data key.

    Args:
        subject: what it is called.
        options: how it is configured.
        provider: asked for everything.
        stranger: the same with another encryption context, which must not open the data key.
    """
    policy = wrapping_key_policy(options)
    remedy = f"It has to allow at least:\n{policy}" if policy else ""
    try:
        data_key = await provider.generate()
        opens = await _opens(provider, data_key)
        bound = stranger is None or await _is_refused(stranger, data_key)
    except GatewayError as error:
        yield failure(subject, str(error), remedy)
        return
    if not opens:
        yield failure(subject, f"{data_key.wrapping_key} unwraps another data key than it wrapped")
        return
    if not bound:
        yield failure(
            subject,
            f"{data_key.wrapping_key} ignores the encryption context: any other one opens its data keys",
            "Make a transit key with derived=true; only such a key knows contexts.",
        )
        return
    try:
        rewrapped = await provider.rewrap(data_key.wrapping_key, data_key.wrapped)
        opens = await _opens(provider, DataKey(data_key.key, rewrapped.wrapping_key, rewrapped.wrapped))
    except GatewayError as error:
        yield warning(subject, f"seals and opens, but `sealgate rewrap` would fail: {error}", remedy)
        return
    if not opens:
        yield failure(subject, f"{data_key.wrapping_key} makes another data key of one that it wraps again")
        return
    context = "" if stranger is None else "; another encryption context is refused"
    yield ok(subject, f"{data_key.wrapping_key} wraps data keys, unwraps them and wraps them again{context}")


async def _opens(provider: KeyProvider, data_key: DataKey) -> bool:
    unwrapped = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
    return unwrapped.matches(data_key.key)


async def _is_refused(stranger: KeyProvider, data_key: DataKey) -> bool:
    """Whether another context does not open the data key.

    Raises:
        KeyUnavailable: that was not to be found out now.
    """
    try:
        await stranger.unwrap(data_key.wrapping_key, data_key.wrapped)
    except KeyUnavailable as error:
        if error.permanent:
            return True
        raise
    return False


def _with_other_context(options: WrappingKey) -> WrappingKey | None:
    """The same key with another encryption context, where one is configured."""
    if isinstance(options, AwsKmsKey | VaultTransitKey) and options.encryption_context:
        return options.model_copy(update={"encryption_context": {**options.encryption_context, **_OTHER_CONTEXT}})
    return None
