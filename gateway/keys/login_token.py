"""A vault token that the gateway obtains itself, by logging in.

It is renewed for as long as the vault allows, and replaced by another login before it ends or after the vault refused
it. All of that is bounded: one login or renewal at a time, after a failure only when a growing pause is over, and after
refused tokens only a few times a minute.

Source: OpenBao API documentation, "Token auth method", "Renew a token (self)": a renewal ends at the token's maximum
life at the latest, so that renewals near it become shorter and shorter.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping

from gateway.keys.single_flight import SingleFlight
from gateway.keys.vault_error import SilentObserver, VaultError, VaultObserver, VaultResult
from gateway.keys.vault_http import VaultAnswer, VaultHttp, classify_answer, says
from gateway.keys.vault_login import LoginMethod
from gateway.keys.vault_pause import Pause
from gateway.keys.vault_token import Grant, parse_grant
from gateway.redact import SecretStr

#: Logins that refused tokens may cause, per minute. A token is refused when it was revoked, but also when its policy
#: does not allow what was asked, which no login repairs.
MAX_REPLACEMENTS_PER_MINUTE = 3
#: A replacement that is refused this soon is not revoked: its policy does not allow what was asked.
MIN_REPLACEMENT_SECONDS = 1.0
#: Longest pause after failed logins that may pass by themselves: a vault that is down or sealed.
MAX_PAUSE_SECONDS = 2.0
#: Longest pause after logins refused by the vault, which locks a role after five of them.
MAX_REFUSED_PAUSE_SECONDS = 30.0
#: A renewal that gave at most this part of what the login gave has come near the token's maximum life.
MIN_RENEWED_PART = 0.5

_NOT_WELL = frozenset({VaultResult.SEALED, VaultResult.UNAVAILABLE, VaultResult.THROTTLED})
_FLIGHT = "token"


class LoginToken:
    """Tokens from logins of one method.

    Args:
        http: the vault.
        vault_name: its name in messages and metrics.
        method: how to log in.
        observer: told of every login and renewal.
    """

    def __init__(
        self, http: VaultHttp, vault_name: str, method: LoginMethod, observer: VaultObserver | None = None
    ) -> None:
        self._http = http
        self._vault_name = vault_name
        self._method = method
        self._observer: VaultObserver = observer or SilentObserver()
        self._grant: Grant | None = None
        self._login_seconds = 0.0
        self._flights: SingleFlight[str, Grant] = SingleFlight()
        self._pause = Pause()
        self._failure: VaultError | None = None
        self._replacements: deque[float] = deque(maxlen=MAX_REPLACEMENTS_PER_MINUTE)

    async def current(self) -> SecretStr:
        """The token held, or a new one; see :class:`~gateway.keys.vault_token.TokenSource`."""
        now = asyncio.get_running_loop().time()
        grant = self._grant
        if grant is None or now >= grant.expires_at:
            return (await self._new_grant()).token
        if now >= grant.renew_at and self._pause.remaining() <= 0:
            self._flights.start(_FLIGHT, self._refresh)  # in the background: the token at hand is still good
        return grant.token

    async def replace(self, refused: SecretStr) -> SecretStr | None:
        """A token newer than the refused one; see :class:`~gateway.keys.vault_token.TokenSource`."""
        grant = self._grant
        if grant is not None and not grant.token.matches(refused.reveal()):
            return grant.token  # somebody else's request has replaced it meanwhile
        if self._flights.busy(_FLIGHT):
            newer = (await self._flights.run(_FLIGHT, self._log_in)).token
            # A renewal that was under way brings back the token that was just refused.
            return None if newer.matches(refused.reveal()) else newer
        if not self._may_replace(now := asyncio.get_running_loop().time()):
            return None
        newer = (await self._new_grant()).token
        self._replacements.append(now)  # only logins that worked: the pauses limit the others
        return newer

    async def aclose(self) -> None:
        """Stop a login or renewal that is under way."""
        await self._flights.aclose()

    def _may_replace(self, now: float) -> bool:
        """Whether a login may help against a refused token, and is not one too many."""
        if not self._replacements:
            return True
        if now - self._replacements[-1] < MIN_REPLACEMENT_SECONDS:
            return False
        return len(self._replacements) < MAX_REPLACEMENTS_PER_MINUTE or now - self._replacements[0] >= 60

    async def _new_grant(self) -> Grant:
        if self._failure is not None and self._pause.remaining() > 0:
            raise self._failure.again()
        return await self._flights.run(_FLIGHT, self._log_in)

    async def _refresh(self) -> Grant:
        """Renew the token while that gives it a life worth having, else log in."""
        grant = self._grant
        if grant is None or not grant.renewable:
            return await self._log_in()
        renewed = await self._renew(grant)
        if renewed is None:
            return await self._log_in()
        self._keep(renewed)
        return renewed

    async def _renew(self, grant: Grant) -> Grant | None:
        """The same token with a longer life; None when the vault does not give it one worth having.

        Raises:
            VaultError: the vault is not well. A login would not work either.
        """
        try:
            answer = await self._http.exchange(
                "POST", "auth/token/renew-self", token=grant.token, body={}, classify=_classify_renewal
            )
            if answer.result in _NOT_WELL:
                raise VaultError(
                    f"vault {self._vault_name!r} answered a token's renewal with HTTP {answer.status}", answer.result
                )
        except VaultError as error:
            self._observer.on_vault_renewal(self._vault_name, error.result.value)
            self._failed(error)
            raise
        self._observer.on_vault_renewal(self._vault_name, answer.result.value)
        if answer.result is not VaultResult.OK:
            return None
        renewed = parse_grant(answer, asyncio.get_running_loop().time())
        # A life without an end is what a life of no seconds looks like.
        if renewed is None or not self._login_seconds * MIN_RENEWED_PART < renewed.seconds < math.inf:
            return None
        return renewed

    async def _log_in(self) -> Grant:
        try:
            answer = await self._http.exchange(
                "POST",
                f"auth/{self._method.mount}/login",
                body=await self._method.body(),
                classify=_classify_login,
            )
            grant = self._grant_of(answer)
        except VaultError as error:
            self._observer.on_vault_login(self._vault_name, self._method.name, error.result.value)
            self._failed(error)
            raise
        self._observer.on_vault_login(self._vault_name, self._method.name, VaultResult.OK.value)
        self._login_seconds = grant.seconds
        self._keep(grant)
        return grant

    def _keep(self, grant: Grant) -> None:
        self._pause.reset()
        self._failure = None
        self._grant = grant

    def _failed(self, error: VaultError) -> None:
        refused = error.result is VaultResult.DENIED
        self._pause.grow(MAX_REFUSED_PAUSE_SECONDS if refused else MAX_PAUSE_SECONDS)
        self._failure = error.again()

    def _grant_of(self, answer: VaultAnswer) -> Grant:
        where, title = f"vault {self._vault_name!r}", self._method.title
        if answer.result is VaultResult.OK:
            grant = parse_grant(answer, asyncio.get_running_loop().time())
            if grant is None:
                raise VaultError(f"{where} answered the {title} login without a usable token", VaultResult.INVALID)
            return grant
        words = {
            VaultResult.SEALED: "is sealed",
            VaultResult.DENIED: f"refused the {title} login at auth/{self._method.mount} (HTTP {answer.status}): "
            f"{self._method.refusal}",
            VaultResult.NOT_FOUND: f"has no {title} method at auth/{self._method.mount}, or its namespace is wrong",
        }.get(answer.result, f"answered the {title} login with HTTP {answer.status}")
        raise VaultError(f"{where} {words}", answer.result)


def _classify_login(status: int, body: Mapping[str, object]) -> VaultResult:
    # A vault answers 400 to a wrong role, role id or secret id.
    return VaultResult.DENIED if status == 400 else classify_answer(status, body)


def _classify_renewal(status: int, body: Mapping[str, object]) -> VaultResult:
    # OpenBao answers so to the renewal of a token that has reached its maximum life; a login helps.
    return VaultResult.DENIED if status == 500 and says(body, "max ttl") else classify_answer(status, body)
