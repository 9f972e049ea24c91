"""A configured vault token, kept alive.

Tokens for services are usually periodic: they live for ever as long as somebody renews them. The gateway asks the token
once how long it lives and renews it from then on, also while no request needs the vault.

Source: OpenBao API documentation, "Token auth method", "Lookup a token (self)" and "Renew a token (self)".
"""

import asyncio
import random

from gateway.keys.single_flight import SingleFlight
from gateway.keys.vault_error import SilentObserver, VaultError, VaultObserver, VaultResult
from gateway.keys.vault_http import VaultAnswer, VaultHttp
from gateway.keys.vault_settings import TokenAuth
from gateway.keys.vault_token import RENEW_FROM, RENEW_TO
from gateway.redact import SecretStr

#: Shortest time between two renewals of a token, or two attempts at one.
MIN_RENEWAL_SECONDS = 1.0
#: Longest time between two attempts after a failed renewal.
MAX_RETRY_SECONDS = 30.0


class StaticToken:
    """A token from the configuration.

    Args:
        http: the vault.
        vault_name: its name in metrics.
        auth: the token.
        observer: told of every renewal.
    """

    def __init__(
        self, http: VaultHttp, vault_name: str, auth: TokenAuth, observer: VaultObserver | None = None
    ) -> None:
        self._http = http
        self._vault_name = vault_name
        self._observer: VaultObserver = observer or SilentObserver()
        self._token = auth.token
        self._flights: SingleFlight[str, None] = SingleFlight()
        self._started = False

    async def current(self) -> SecretStr:
        """The configured token. The first call starts the renewals."""
        if not self._started:
            self._started = True
            self._flights.start("renewal", self._keep_alive)
        return self._token

    async def replace(self, refused: SecretStr) -> SecretStr | None:  # noqa: ARG002 - the protocol's shape
        """None: there is no other token."""
        return None

    async def aclose(self) -> None:
        """Stop renewing. The token lives on until its time is over."""
        await self._flights.aclose()

    async def _keep_alive(self) -> None:
        """Renew until the token says that it can not be renewed, or the vault does not know it."""
        retry_seconds = MIN_RENEWAL_SECONDS
        method, path = "GET", "auth/token/lookup-self"
        while True:
            try:
                answer = await self._http.exchange(method, path, token=self._token)
                result = answer.result
            except VaultError as error:
                answer, result = None, error.result
            if method == "POST":
                self._observer.on_vault_renewal(self._vault_name, result.value)
            if answer is not None and result is VaultResult.OK:
                seconds = _renewable_seconds(answer)
                if seconds is None:
                    return
                retry_seconds = MIN_RENEWAL_SECONDS
                method, path = "POST", "auth/token/renew-self"
                await asyncio.sleep(max(MIN_RENEWAL_SECONDS, seconds * random.uniform(RENEW_FROM, RENEW_TO)))
                continue
            # A refused renewal is tried again too, slowly: an operator may repair a policy while the token lives.
            retry_seconds = min(MAX_RETRY_SECONDS, retry_seconds * 2)
            await asyncio.sleep(retry_seconds * random.uniform(0.5, 1.0))


def _renewable_seconds(answer: VaultAnswer) -> int | None:
    """How long the token still lives, from a renewal (``auth``) or a lookup (``data``); None: it is not renewable."""
    section = answer.section("auth") or answer.section("data")
    seconds = section.get("lease_duration", section.get("ttl"))
    if section.get("renewable") is not True or not isinstance(seconds, int) or seconds <= 0:
        return None
    return seconds
