"""From options to the settings that the other rooms take. Nothing is opened, read or resolved here."""

from pathlib import Path

from gateway.config.customer_keys import CustomerKey
from gateway.config.key_quotas import KeyQuota
from gateway.config.model import Config
from gateway.config.rules import Rule
from gateway.keys.customer_keys import CustomerKeySettings, Derivation
from gateway.keys.data_keys import DataKeyLimits
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.request_facts import identity_arn
from gateway.policy.permission import Standing
from gateway.policy.rules import EncryptionRule
from gateway.s3.authenticate import AuthSettings
from gateway.s3.operation import Operation
from gateway.upstream.settings import UpstreamSettings


def encryption_rules(config: Config) -> tuple[EncryptionRule, ...]:
    """The encryption rules in order; the last one fits every object."""
    return tuple(encryption_rule(rule) for rule in config.rules)


def encryption_rule(rule: Rule) -> EncryptionRule:
    """One rule, as the other rooms know it."""
    return EncryptionRule(
        name=rule.name,
        buckets=rule.buckets,
        prefixes=rule.prefixes,
        mode=rule.mode,
        enforce=rule.enforce,
        kms_key_arn=rule.kms_key_arn or rule.kms_key_name,
        bucket_key=rule.bucket_key,
        encryption_context=tuple(rule.encryption_context.items()),
        customer_key=rule.customer_key,
        derive_per_object=rule.derive_per_object,
        wrapping_key=rule.wrapping_key,
        existing=rule.existing,
        identities=rule.identities,
        tags=tuple(rule.tags.items()),
        content_types=rule.content_types,
        refuse_others=rule.refuse_other_encryption,
        allowed_kms_keys=rule.allowed_kms_keys + rule.allowed_kms_key_names,
    )


def refused_operations(config: Config) -> frozenset[Operation]:
    """The operations that are not for this upstream."""
    return frozenset(Operation(name) for name in config.upstream.refused_operations)


def auth_settings(config: Config) -> AuthSettings:
    """How strictly signatures are checked."""
    return AuthSettings(
        allow_sigv2=config.authentication.allow_signature_v2,
        max_skew_seconds=config.authentication.maximum_clock_skew_seconds,
    )


def standings(config: Config) -> dict[str, Standing]:
    """Who each identity is to policies, and what happens to its requests that none is about, by its name."""
    settings = config.authorization
    return {
        identity.name: Standing(
            identity.principal_arn or identity_arn(settings.account_id, identity.name),
            Effect(identity.policy_default or settings.default),
        )
        for identity in config.identities
    }


def upstream_settings(config: Config) -> UpstreamSettings:
    """The S3 server behind the gateway."""
    upstream = config.upstream
    return UpstreamSettings(
        endpoint=upstream.endpoint,
        region=upstream.region,
        addressing="virtual" if upstream.addressing == "virtual-host" else "path",
        ca_bundle=path_or_none(upstream.ca_bundle),
        payload=upstream.payload,
        connect_timeout_seconds=upstream.connect_timeout_seconds,
        first_byte_timeout_seconds=upstream.first_byte_timeout_seconds,
        idle_timeout_seconds=upstream.idle_timeout_seconds,
        max_connections=upstream.maximum_connections,
        keepalive_seconds=upstream.keepalive_seconds,
        retries=upstream.maximum_retries,
        allow_insecure_plain_http_upstream=upstream.allow_insecure_plain_http_upstream,
    )


def customer_key_settings(options: CustomerKey, derivation: Derivation = Derivation.NONE) -> CustomerKeySettings:
    """How the keys of one secret are used.

    Args:
        options: the entry of ``customer_keys``.
        derivation: what becomes of a key before an object is encrypted with it.
    """
    return CustomerKeySettings(
        derivation=derivation,
        hold_seconds=options.hold_seconds,
        refresh_seconds=options.refresh_seconds,
        max_versions=options.maximum_versions,
    )


def data_key_limits(config: Config) -> DataKeyLimits:
    """How data keys are used."""
    limits = config.data_keys
    return DataKeyLimits(
        max_age_seconds=limits.maximum_age_seconds,
        max_messages=limits.maximum_messages,
        max_bytes=limits.maximum_bytes,
    )


def key_quota(config: Config, provider: str, scope: str) -> KeyQuota | None:
    """The quota of a key service: as configured, or as it is by default.

    Args:
        config: the configuration.
        provider: the kind of provider.
        scope: its Region or vault.

    Returns:
        The quota, or None for a provider that asks no service.
    """
    for quota in config.key_quotas:
        if (quota.provider, quota.scope) == (provider, scope):
            return quota
    if provider == "aws-kms":
        return KeyQuota(provider="aws-kms", scope=scope)
    return KeyQuota(provider="vault-transit", scope=scope) if provider == "vault-transit" else None


def path_or_none(value: str | None) -> Path | None:
    """An optional path."""
    return None if value is None else Path(value)
