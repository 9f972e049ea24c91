"""The key pairs that requests to the upstream are signed with: fixed, the environment's, boto3's, or those of a role.

boto3 is imported here and nowhere else in this room, and only for credentials that need it: it takes 10 MiB. It blocks,
so it runs in a thread, off the path of requests.
"""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.errors import ConfigError
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.upstream.refreshing import CredentialSource, Lease, RefreshingCredentials

if TYPE_CHECKING:
    from botocore.credentials import Credentials

__all__ = [
    "AssumedRole",
    "AssumedRoleCredentials",
    "CredentialSource",
    "DefaultChainCredentials",
    "EnvironmentCredentials",
    "StaticCredentials",
]

#: A role is assumed anew this long before its session ends, or earlier. STS sessions live 15 minutes at least.
REFRESH_MARGIN = timedelta(minutes=5)
#: Spread of that moment, so that many gateways do not ask STS at the same time.
REFRESH_SPREAD = timedelta(minutes=5)
#: boto3 is asked this often whether its credentials changed. It refreshes them itself, 15 minutes before they end.
CHAIN_INTERVAL = timedelta(seconds=60)

#: What is known about the end of boto3's credentials, which it tells only as an answer to "within so many seconds?".
_CHAIN_HORIZONS = (900, 600, 300, 120, 60, 0)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class StaticCredentials:
    """Always the same credentials."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def current(self) -> Credential:
        """The credentials."""
        return self._credential


class EnvironmentCredentials(StaticCredentials):
    """What ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN`` held at the start.

    Raises:
        ConfigError: one of the first two is missing or empty.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)]
        if missing:
            raise ConfigError(tuple(f"the environment variable {name} is not set" for name in missing))
        token = environment.get("AWS_SESSION_TOKEN")
        super().__init__(
            _credential(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token or None)
        )


class DefaultChainCredentials(RefreshingCredentials):
    """What boto3 finds: environment, shared files, web identity, container or instance role.

    Args:
        profile: a profile of the shared files; None for the default.
        clock: the current time, aware.
        chance: random numbers from 0 to 1.
    """

    def __init__(
        self,
        profile: str | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        from boto3 import Session

        super().__init__(self._ask_chain, clock=clock, chance=chance)
        self._session = Session
        self._profile = profile
        self._found: Credentials | None = None

    def _ask_chain(self, _: Credential | None) -> Lease:
        """What the chain gives now. Runs in a thread."""
        from botocore.credentials import RefreshableCredentials

        if self._found is None:
            self._found = self._session(profile_name=self._profile).get_credentials()
        found = self._found
        frozen = None if found is None else found.get_frozen_credentials()
        if found is None or frozen is None or frozen.access_key is None or frozen.secret_key is None:
            raise NoCredentials
        credential = _credential(frozen.access_key, frozen.secret_key, frozen.token)
        if not isinstance(found, RefreshableCredentials):
            return Lease(credential, refresh_at=None, expires=None)
        now = self._clock()
        horizon = next((seconds for seconds in _CHAIN_HORIZONS if not found.refresh_needed(seconds)), 0)
        refresh_at = now + CHAIN_INTERVAL * (0.5 + self._chance() / 2)
        return Lease(credential, refresh_at, now + timedelta(seconds=horizon))


class NoCredentials(Exception):
    """boto3's chain is empty."""


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """A role and how to assume it.

    Attributes:
        role_arn: the role.
        session_name: shown in CloudTrail.
        external_id: what the role's trust policy asks for, if it does.
        duration_seconds: life of a session.
        sts_region: the region of STS.
        sts_endpoint: the URL of STS; None for AWS's own in ``sts_region``.
        sts_ca_bundle: a PEM file of the authorities of that endpoint; None for boto3's.
    """

    role_arn: str
    session_name: str = "sealgate"
    external_id: SecretStr | None = None
    duration_seconds: int = 3600
    sts_region: str = "us-east-1"
    sts_endpoint: str | None = None
    sts_ca_bundle: Path | None = None


class AssumedRoleCredentials(RefreshingCredentials):
    """The credentials of a role, assumed through STS and assumed anew at least five minutes before they end.

    Args:
        role: the role.
        base: the credentials that may assume it.
        clock: the current time, aware.
        chance: random numbers from 0 to 1.

    Raises:
        ConfigError: the STS endpoint is plain HTTP: its answers are secret keys.
    """

    def __init__(
        self,
        role: AssumedRole,
        base: CredentialSource,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        endpoint = urlsplit(role.sts_endpoint or "https://sts")
        if endpoint.scheme != "https" and endpoint.hostname not in _LOOPBACK:
            raise ConfigError(("sts_endpoint: must be https://, because STS answers with secret keys",))
        from boto3 import Session
        from botocore.config import Config

        super().__init__(self._assume, base=base, clock=clock, chance=chance)
        self._session = Session
        self._timeouts = Config(
            connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}
        )
        self._role = role

    def _assume(self, base: Credential | None) -> Lease:
        """Ask STS. Runs in a thread."""
        if base is None:
            raise AssertionError("internal error: no credentials to assume a role with")
        role = self._role
        token = base.session_token
        client = self._session(
            aws_access_key_id=base.access_key_id,
            aws_secret_access_key=base.secret_access_key.reveal(),
            aws_session_token=None if token is None else token.reveal(),
            region_name=role.sts_region,
        ).client(
            "sts",
            endpoint_url=role.sts_endpoint,
            verify=None if role.sts_ca_bundle is None else str(role.sts_ca_bundle),
            config=self._timeouts,
        )
        external_id = {} if role.external_id is None else {"ExternalId": role.external_id.reveal()}
        try:
            answer = client.assume_role(
                RoleArn=role.role_arn,
                RoleSessionName=role.session_name,
                DurationSeconds=role.duration_seconds,
                **external_id,
            )["Credentials"]
        finally:
            client.close()
        credential = _credential(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return self._lease_until(credential, answer["Expiration"])

    def _lease_until(self, credential: Credential, expires: datetime) -> Lease:
        life = max(expires - self._clock(), timedelta(0))
        margin = REFRESH_MARGIN + REFRESH_SPREAD * self._chance()
        return Lease(credential, expires - min(margin, life / 2), expires)


def _credential(access_key_id: str, secret_access_key: str, session_token: str | None) -> Credential:
    return Credential(
        access_key_id, SecretStr(secret_access_key), None if session_token is None else SecretStr(session_token)
    )
