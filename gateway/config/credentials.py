"""From the options of upstream credentials to their sources."""

from contextlib import AsyncExitStack

from gateway.config.build import path_or_none
from gateway.config.identities import AssumedRoleCredentials as AssumedRoleOptions
from gateway.config.identities import DefaultChainCredentials as DefaultChainOptions
from gateway.config.identities import EnvironmentCredentials as EnvironmentOptions
from gateway.config.identities import StaticCredentials as StaticOptions
from gateway.config.secrets import Secrets
from gateway.errors import ConfigError
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.upstream.credentials import (
    AssumedRole,
    AssumedRoleCredentials,
    CredentialSource,
    DefaultChainCredentials,
    EnvironmentCredentials,
    StaticCredentials,
)
from gateway.upstream.refreshing import RefreshingCredentials

CredentialOptions = StaticOptions | EnvironmentOptions | DefaultChainOptions | AssumedRoleOptions


class CredentialMaker:
    """Makes credential sources; equal options share one, so that a role is assumed once for all its identities.

    Args:
        region: the region of STS where the options name none.
        secrets: resolves their references.
        opened: takes the sources that have to be closed.
    """

    def __init__(self, region: str, secrets: Secrets, opened: AsyncExitStack) -> None:
        self._region = region
        self._secrets = secrets
        self._opened = opened
        self._made: dict[CredentialOptions, CredentialSource] = {}

    async def source(self, options: CredentialOptions, path: str) -> CredentialSource:
        """The source for ``options``, which stand at ``path``.

        Faults are collected with the secrets'; the source is of no use then.
        """
        made = self._made.get(options)
        if made is None:
            made = self._made[options] = await self._make(options, path)
            if isinstance(made, RefreshingCredentials):
                self._opened.callback(made.close)
        return made

    async def _make(self, options: CredentialOptions, path: str) -> CredentialSource:
        if isinstance(options, StaticOptions):
            secret = await self._secrets.get(options.secret_access_key, f"{path}.secret_access_key")
            token = await self._secrets.get_optional(options.session_token, f"{path}.session_token")
            return StaticCredentials(Credential(options.access_key_id, secret, token))
        if isinstance(options, DefaultChainOptions):
            return DefaultChainCredentials(options.profile)
        if isinstance(options, AssumedRoleOptions):
            return await self._assumed_role(options, path)
        try:
            return EnvironmentCredentials()
        except ConfigError as error:
            self._secrets.add(error, path)
            return StaticCredentials(Credential("", SecretStr("")))

    async def _assumed_role(self, options: AssumedRoleOptions, path: str) -> CredentialSource:
        role = AssumedRole(
            role_arn=options.role_arn,
            session_name=options.session_name,
            external_id=await self._secrets.get_optional(options.external_id, f"{path}.external_id"),
            duration_seconds=options.duration_seconds,
            sts_region=options.sts_region or self._region,
            sts_endpoint=options.sts_endpoint,
            sts_ca_bundle=path_or_none(options.sts_ca_bundle),
        )
        return AssumedRoleCredentials(role, await self.source(options.base, f"{path}.base"))
