"""The ways to log in to a vault: each one says where, and proves who the gateway is.

Source: OpenBao API documentation, "AppRole auth method", "Kubernetes auth method" and "JWT/OIDC auth method", "Login".
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_settings import AppRoleAuth, JwtAuth, KubernetesAuth
from gateway.redact import SecretStr

#: Largest file with a JSON web token. Kubernetes makes them of about 1 KiB.
MAX_JWT_BYTES = 64 * 1024

#: Source: RFC 7519, section 3, with the compact serialisation of RFC 7515, section 7.1.
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class LoginMethod(Protocol):
    """One way to log in."""

    @property
    def name(self) -> str:
        """The method's label in metrics, such as ``approle``."""

    @property
    def title(self) -> str:
        """The method's name in messages, such as ``AppRole``."""

    @property
    def mount(self) -> str:
        """Where the method is enabled in the vault, without ``auth/``."""

    @property
    def refusal(self) -> str:
        """What is likely wrong when the vault refuses the login."""

    async def body(self) -> Mapping[str, object]:
        """What a login sends; made anew each time, because files change while the gateway runs.

        Raises:
            VaultError: there is nothing to prove who the gateway is.
        """


class AppRoleLogin:
    """Logs in with a role id and a secret id."""

    name = "approle"
    title = "AppRole"
    refusal = "role_id or secret_id is wrong or has expired"

    def __init__(self, auth: AppRoleAuth) -> None:
        self.mount = auth.mount
        self._auth = auth

    async def body(self) -> Mapping[str, object]:
        """Both ids; see :class:`LoginMethod`."""
        return {"role_id": self._auth.role_id, "secret_id": self._auth.secret_id.reveal()}


class KubernetesLogin:
    """Logs in with the token of the pod's service account, which Kubernetes replaces while the pod runs."""

    name = "kubernetes"
    title = "Kubernetes"
    refusal = "the role does not exist or does not allow this service account, or the account's token is not valid"

    def __init__(self, auth: KubernetesAuth) -> None:
        self.mount = auth.mount
        self._auth = auth

    async def body(self) -> Mapping[str, object]:
        """The role and the token; see :class:`LoginMethod`."""
        return {"role": self._auth.role, "jwt": (await read_jwt(self._auth.token_file)).reveal()}


class JwtLogin:
    """Logs in with a JSON web token that somebody else writes to a file and keeps fresh."""

    name = "jwt"
    title = "JWT"
    refusal = "the role does not exist or does not allow this token, or the token is not valid or has expired"

    def __init__(self, auth: JwtAuth) -> None:
        self.mount = auth.mount
        self._auth = auth

    async def body(self) -> Mapping[str, object]:
        """The role and the token; see :class:`LoginMethod`."""
        return {"role": self._auth.role, "jwt": (await read_jwt(self._auth.token_file)).reveal()}


def login_method(auth: AppRoleAuth | KubernetesAuth | JwtAuth) -> LoginMethod:
    """The method for a way of authentication."""
    if isinstance(auth, AppRoleAuth):
        return AppRoleLogin(auth)
    if isinstance(auth, KubernetesAuth):
        return KubernetesLogin(auth)
    return JwtLogin(auth)


async def read_jwt(path: Path) -> SecretStr:
    """The JSON web token in a file; white space around it does not matter.

    Raises:
        VaultError: the file can not be read, or holds something else. It passes by itself: whoever writes the file may
            be about to.
    """
    try:
        data = await asyncio.to_thread(_read_start, path)
    except OSError as error:
        raise VaultError(f"token file {path}: {error.strerror}", VaultResult.INVALID) from None
    text = data.decode("ascii", "replace").strip()
    if len(data) > MAX_JWT_BYTES or not _JWT.fullmatch(text):
        raise VaultError(f"token file {path} does not hold a JSON web token", VaultResult.INVALID)
    return SecretStr(text)


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_JWT_BYTES + 1)
