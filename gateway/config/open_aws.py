"""From the options of key services of AWS to what calls them."""

from contextlib import AsyncExitStack

from gateway.config.aws import AwsService, ServiceCredentials, ServiceRoleCredentials
from gateway.config.build import path_or_none
from gateway.config.identities import StaticCredentials
from gateway.config.secrets import Secrets
from gateway.keys.aws_access import AwsAccess, AwsCaller, ServiceName
from gateway.redact import SecretStr


class AwsCallers:
    """Makes callers; equal options share one with its threads and connections.

    Args:
        secrets: resolves references and collects faults.
        opened: takes what has to be closed.
    """

    def __init__(self, secrets: Secrets, opened: AsyncExitStack) -> None:
        self._secrets = secrets
        self._opened = opened
        self._made: dict[tuple[object, ...], AwsCaller] = {}

    async def caller(self, service: ServiceName, region: str, options: AwsService, path: str) -> AwsCaller:
        """What calls one service in one Region.

        Args:
            service: the service.
            region: the Region.
            options: how it is reached.
            path: where the options stand, for faults.

        Raises:
            ConfigError: the options do not fit together.
        """
        common = tuple(getattr(options, option) for option in AwsService.model_fields)
        made = self._made.get((service, region, *common))
        if made is None:
            access = await self._access(region, options, path)
            made = self._made[(service, region, *common)] = AwsCaller(access, service)
            self._opened.push_async_callback(made.aclose)
        return made

    async def _access(self, region: str, options: AwsService, path: str) -> AwsAccess:
        path = f"{path}.credentials"
        credentials = options.credentials
        role, external_id = None, None
        if isinstance(credentials, ServiceRoleCredentials):
            role = credentials
            external_id = await self._secrets.get_optional(role.external_id, f"{path}.external_id")
            key_id, secret, token = await self._key_pair(role.base, f"{path}.base")
        else:
            key_id, secret, token = await self._key_pair(credentials, path)
        return AwsAccess(
            region=region,
            endpoint_url=None if options.endpoint_url is None else options.endpoint_url.replace("{region}", region),
            fips=options.fips,
            ca_bundle=path_or_none(options.ca_bundle),
            access_key_id=key_id,
            secret_access_key=secret,
            session_token=token,
            role_arn=None if role is None else role.role_arn,
            external_id=external_id,
            role_session_name="sealgate" if role is None else role.session_name,
            timeout_seconds=options.timeout_seconds,
            allow_plain_http=options.allow_plain_http_endpoint,
        )

    async def _key_pair(
        self, credentials: ServiceCredentials, path: str
    ) -> tuple[str | None, SecretStr | None, SecretStr | None]:
        """Access key id, secret access key and session token; all None for the default chain."""
        if not isinstance(credentials, StaticCredentials):
            return None, None, None
        secret = await self._secrets.get(credentials.secret_access_key, f"{path}.secret_access_key")
        token = await self._secrets.get_optional(credentials.session_token, f"{path}.session_token")
        return credentials.access_key_id, secret, token
