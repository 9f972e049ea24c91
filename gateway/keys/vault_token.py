"""Where the token of a request comes from, and what a vault grants with a login."""

import random
import re
from dataclasses import dataclass
from typing import Protocol

from gateway.keys.vault_http import VaultAnswer
from gateway.redact import SecretStr

#: A token is renewed when between these parts of its life have passed; where exactly is chance, so that the workers of
#: a gateway do not all ask at the same moment.
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
    """A token and how long it is good.

    Attributes:
        token: the token.
        seconds: how long it lived when it was granted.
        renew_at: the event loop's time at which it should be renewed or replaced.
        expires_at: the event loop's time at which it is over.
        renewable: whether the vault renews it.
    """

    token: SecretStr
    seconds: float
    renew_at: float
    expires_at: float
    renewable: bool


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
        return Grant(SecretStr(token), _FOREVER, _FOREVER, _FOREVER, renewable=False)
    renew_at = now + seconds * random.uniform(RENEW_FROM, RENEW_TO)
    return Grant(SecretStr(token), seconds, renew_at, now + seconds, renewable=auth.get("renewable") is True)
