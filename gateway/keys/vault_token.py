"""Where the token of a request comes from: configured, or obtained by logging in.

Logins are bounded, because a loop of them takes a vault down: one at a time, after a failure only when a growing pause
is over, and after a refused token only a few times a minute.
"""

import asyncio
import random
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.keys.single_flight import SingleFlight
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_http import VaultAnswer, VaultHttp, classify_answer
from gateway.keys.vault_settings import AppRoleAuth
from gateway.redact import SecretStr

#: Logins that refused tokens may cause, per minute. A token is refused when it was revoked, but also when its policy
#: does not allow what was asked, which no login repairs.
MAX_REPLACEMENTS_PER_MINUTE = 6
#: Longest pause after failed logins that may pass by themselves: a vault that is down or sealed.
MAX_PAUSE_SECONDS = 5.0
#: Longest pause after logins refused by the vault, which locks a role after five of them.
MAX_REFUSED_PAUSE_SECONDS = 30.0
#: A login starts when between these parts of the token's life have passed; where exactly is chance, so that the workers
#: of a gateway do not all log in at the same moment.
RENEW_FROM, RENEW_TO = 0.6, 0.8

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_FOREVER = float("inf")


class TokenSource(Protocol):
    """Gives the token for the next request."""

    async def current(self) -> SecretStr:
        """A token that should be valid now.

        Raises:
            VaultError: there is none and none can be had.
        """

    async def replace(self, refused: SecretStr) -> SecretStr | None:
        """Another token after the vault answered 403 to ``refused``, or None when there is none to try.

        Raises:
            VaultError: a new token was needed and the login failed.
        """

    async def aclose(self) -> None:
        """Stop whatever runs in the background."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and the points in the event loop's time at which it should be replaced and at which it is over."""

    token: SecretStr
    renew_at: float
    expires_at: float


class Pause:
    """The growing pause between failed attempts; :meth:`reset` ends it."""

    __slots__ = ("_failures", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """Seconds until the next attempt is allowed; 0 or less when it is."""
        return self._until - asyncio.get_running_loop().time()

    def grow(self, longest_seconds: float) -> None:
        """Note a failure: the pause doubles up to ``longest_seconds``, less up to half of it by chance."""
        seconds = min(longest_seconds, 0.5 * 2 ** min(self._failures, 16))
        self._failures += 1
        self._until = asyncio.get_running_loop().time() + seconds * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Note a success."""
        self._failures = 0
        self._until = 0.0


class AppRoleToken:
    """Tokens from AppRole logins.

    Source: OpenBao API documentation, "AppRole auth method", "Login with AppRole".
    """

    def __init__(self, http: VaultHttp, vault_name: str, auth: AppRoleAuth) -> None:
        self._http = http
        self._vault_name = vault_name
        self._auth = auth
        self._grant: Grant | None = None
        self._flights: SingleFlight[str, Grant] = SingleFlight()
        self._pause = Pause()
        self._failure: VaultError | None = None
        self._replacements: deque[float] = deque(maxlen=MAX_REPLACEMENTS_PER_MINUTE)

    async def current(self) -> SecretStr:
        """The token held, or a new one; see :class:`TokenSource`."""
        now = asyncio.get_running_loop().time()
        grant = self._grant
        if grant is None or now >= grant.expires_at:
            return (await self._new_grant()).token
        if now >= grant.renew_at and self._pause.remaining() <= 0:
            self._flights.start("login", self._log_in)  # in the background: the token at hand is still good
        return grant.token

    async def replace(self, refused: SecretStr) -> SecretStr | None:
        """A token newer than the refused one; see :class:`TokenSource`."""
        grant = self._grant
        if grant is not None and not grant.token.matches(refused.reveal()):
            return grant.token  # somebody else's request has replaced it meanwhile
        now = asyncio.get_running_loop().time()
        spent = len(self._replacements) == MAX_REPLACEMENTS_PER_MINUTE and now - self._replacements[0] < 60
        if spent and not self._flights.busy("login"):
            return None
        if not self._flights.busy("login"):
            self._replacements.append(now)
        return (await self._new_grant()).token

    async def aclose(self) -> None:
        """Stop a login that is under way."""
        await self._flights.aclose()

    async def _new_grant(self) -> Grant:
        if self._failure is not None and self._pause.remaining() > 0:
            raise self._failure.again()
        return await self._flights.run("login", self._log_in)

    async def _log_in(self) -> Grant:
        try:
            answer = await self._http.exchange(
                "POST",
                f"auth/{self._auth.mount}/login",
                body={"role_id": self._auth.role_id, "secret_id": self._auth.secret_id.reveal()},
                classify=_classify_login,
            )
            grant = self._grant_of(answer)
        except VaultError as error:
            refused = error.result is VaultResult.DENIED
            self._pause.grow(MAX_REFUSED_PAUSE_SECONDS if refused else MAX_PAUSE_SECONDS)
            self._failure = error.again()
            raise
        self._pause.reset()
        self._failure = None
        self._grant = grant
        return grant

    def _grant_of(self, answer: VaultAnswer) -> Grant:
        where = f"vault {self._vault_name!r}"
        if answer.result is VaultResult.SEALED:
            raise VaultError(f"{where} is sealed", VaultResult.SEALED)
        if answer.result is VaultResult.DENIED:
            raise VaultError(
                f"{where} refused the AppRole login at auth/{self._auth.mount} (HTTP {answer.status}): role_id or "
                "secret_id is wrong or has expired",
                VaultResult.DENIED,
            )
        if answer.result is VaultResult.NOT_FOUND:
            raise VaultError(
                f"{where} has no AppRole method at auth/{self._auth.mount}, or its namespace is wrong",
                VaultResult.NOT_FOUND,
            )
        if answer.result is not VaultResult.OK:
            raise VaultError(f"{where} answered the AppRole login with HTTP {answer.status}", answer.result)
        grant = parse_grant(answer, asyncio.get_running_loop().time())
        if grant is None:
            raise VaultError(f"{where} answered the AppRole login without a usable token", VaultResult.INVALID)
        return grant


def parse_grant(answer: VaultAnswer, now: float) -> Grant | None:
    """The token in the ``auth`` section of an answer, or None when there is no usable one.

    A ``lease_duration`` of 0 marks a token that does not expire.
    """
    auth = answer.section("auth")
    token, seconds = auth.get("client_token"), auth.get("lease_duration")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        return None
    if seconds == 0:
        return Grant(SecretStr(token), _FOREVER, _FOREVER)
    return Grant(SecretStr(token), now + seconds * random.uniform(RENEW_FROM, RENEW_TO), now + seconds)


def _classify_login(status: int, body: Mapping[str, object]) -> VaultResult:
    # A vault answers 400 to a wrong role id or secret id.
    return VaultResult.DENIED if status == 400 else classify_answer(status, body)
