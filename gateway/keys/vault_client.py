"""A client of one HashiCorp Vault or OpenBao server: reading, writing, and asking for its health."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.keys.login_token import LoginToken
from gateway.keys.metering import NotAsked
from gateway.keys.static_token import StaticToken
from gateway.keys.vault_error import VaultError, VaultObserver, VaultResult
from gateway.keys.vault_http import VaultAnswer, VaultHttp
from gateway.keys.vault_login import login_method
from gateway.keys.vault_settings import TokenAuth, VaultSettings
from gateway.keys.vault_token import TokenSource


class HealthState(StrEnum):
    """What a vault says about itself, or that it says nothing."""

    ACTIVE = "active"
    STANDBY = "standby"
    SEALED = "sealed"
    UNINITIALISED = "uninitialised"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class VaultHealth:
    """The answer to a probe.

    Attributes:
        state: the state in one word.
        explanation: one sentence for a person, naming the vault.
    """

    state: HealthState
    explanation: str

    @property
    def usable(self) -> bool:
        """Whether secrets can be read; a standby passes requests on to the active node."""
        return self.state in {HealthState.ACTIVE, HealthState.STANDBY}


#: Source: OpenBao API documentation, "/sys/health", default response codes.
_HEALTH_BY_STATUS: Mapping[int, tuple[HealthState, str]] = {
    200: (HealthState.ACTIVE, "is unsealed and active"),
    429: (HealthState.STANDBY, "is an unsealed standby"),
    472: (HealthState.UNREACHABLE, "is a disaster recovery secondary, which serves no secrets"),
    473: (HealthState.STANDBY, "is a performance standby"),
    501: (HealthState.UNINITIALISED, "is not initialised; run `operator init`"),
    503: (HealthState.SEALED, "is sealed; unseal it"),
}


class VaultClient:
    """Reads from one vault and writes to it. Close it with :meth:`aclose`; it belongs to one event loop.

    Args:
        settings: where the vault is and how to log in.
        observer: told of every HTTP request, login and renewal.

    Raises:
        ConfigError: the CA bundle can not be loaded.
    """

    def __init__(self, settings: VaultSettings, observer: VaultObserver | None = None) -> None:
        self.name = settings.name
        self._http = VaultHttp(settings, observer)
        self._tokens: TokenSource
        if isinstance(settings.auth, TokenAuth):
            self._tokens = StaticToken(self._http, settings.name, settings.auth, observer)
        else:
            self._tokens = LoginToken(self._http, settings.name, login_method(settings.auth), observer)

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> VaultAnswer:
        """Read ``path`` (below ``/v1/``). The answer's result is OK or NOT_FOUND.

        A refused token is replaced at most once.

        Raises:
            VaultError: anything else.
        """
        token = await self._tokens.current()
        answer = await self._http.exchange("GET", path, token=token, query=query)
        if answer.result is VaultResult.DENIED:
            newer = await self._tokens.replace(token)
            if newer is not None:
                answer = await self._http.exchange("GET", path, token=newer, query=query)
        if answer.result in {VaultResult.OK, VaultResult.NOT_FOUND}:
            return answer
        raise VaultError(f"vault {self.name!r} {_refusal(answer, 'read', path)}", answer.result)

    async def write(self, path: str, body: Mapping[str, object]) -> VaultAnswer:
        """Post ``body`` to ``path`` (below ``/v1/``) in exactly one request; it is never sent twice.

        The answer's result is OK or NOT_FOUND, or INVALID when the vault refused with status 400 and said why.

        Raises:
            NotAsked: there is no token.
            VaultError: anything else. Of a refused token the code is ServiceUnavailable when there is another one by
                now, so that asking again helps, else AccessDenied.
        """
        try:
            token = await self._tokens.current()
        except VaultError as error:
            # There is no token, so the request that was asked for is not made, and is not one of those that count.
            raise NotAsked(str(error), code=error.code) from None
        answer = await self._http.exchange("POST", path, token=token, body=body)
        if answer.result in {VaultResult.OK, VaultResult.NOT_FOUND}:
            return answer
        if answer.result is VaultResult.INVALID and answer.status == 400 and answer.explained:
            return answer
        code = None
        if answer.result is VaultResult.DENIED and await self._tokens.replace(token) is not None:
            code = "ServiceUnavailable"
        raise VaultError(f"vault {self.name!r} {_refusal(answer, 'write', path)}", answer.result, code=code)

    async def probe(self) -> VaultHealth:
        """Ask the vault for its health. Needs no token, sends none, never raises for a vault that is not well."""
        try:
            # The health is the server's, not a namespace's.
            answer = await self._http.exchange("GET", "sys/health", namespaced=False, classify=_classify_health)
        except VaultError as error:
            return VaultHealth(HealthState.UNREACHABLE, str(error))
        state, words = _HEALTH_BY_STATUS.get(answer.status, (HealthState.UNREACHABLE, ""))
        if not words or not isinstance(answer.body.get("sealed"), bool):
            # Such as the 503 of a balancer in front of the vault.
            words = f"did not answer its health check as a vault does (HTTP {answer.status})"
            state = HealthState.UNREACHABLE
        return VaultHealth(state, f"vault {self.name!r} {words}")

    async def aclose(self) -> None:
        """Stop background work and close the connections."""
        await self._tokens.aclose()
        await self._http.aclose()


def _refusal(answer: VaultAnswer, verb: str, path: str) -> str:
    """Why a request failed, in plain words."""
    if answer.result is VaultResult.DENIED:
        doing = {"read": "reading this path", "write": "updating this path"}[verb]
        return (
            f"refused to {verb} {path} (HTTP {answer.status}): the token is wrong or has expired, or its policy does "
            f"not allow {doing}"
        )
    if answer.result is VaultResult.SEALED:
        return "is sealed; unseal it"
    if answer.result is VaultResult.THROTTLED:
        return f"limits the rate of requests to {path}"
    return f"answered the {verb} of {path} with HTTP {answer.status}"


def _classify_health(status: int, body: Mapping[str, object]) -> VaultResult:
    if body.get("sealed") is True:
        return VaultResult.SEALED
    return VaultResult.OK if status in {200, 429, 473} else VaultResult.UNAVAILABLE
