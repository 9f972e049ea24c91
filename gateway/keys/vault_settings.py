"""How to reach one vault and how to prove to it who the gateway is."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import ConfigError
from gateway.redact import SecretStr

#: Longest wait for one answer of a vault, unless configured otherwise.
DEFAULT_TIMEOUT_SECONDS = 5.0
#: Where Kubernetes puts the token of a pod's service account.
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")
_SEGMENT = re.compile(r"[^\x00-\x1f\x7f/?#%\\]+")


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A vault token made by somebody else. It is renewed for as long as the vault allows."""

    token: SecretStr


@dataclass(frozen=True, slots=True)
class AppRoleAuth:
    """AppRole: the gateway logs in itself, and again before each token expires.

    The secret id must allow repeated use (``secret_id_num_uses=0``) and must not expire while the gateway runs.

    Attributes:
        mount: where the AppRole method is enabled in the vault, without ``auth/``.
    """

    role_id: str
    secret_id: SecretStr
    mount: str = "approle"


@dataclass(frozen=True, slots=True)
class KubernetesAuth:
    """The service account of the gateway's pod, which the vault checks with the cluster's TokenReview API.

    Attributes:
        role: the role of the Kubernetes method in the vault.
        token_file: the account's token, read again at each login.
        mount: where the Kubernetes method is enabled in the vault, without ``auth/``.
    """

    role: str
    token_file: Path = SERVICE_ACCOUNT_TOKEN
    mount: str = "kubernetes"


@dataclass(frozen=True, slots=True)
class JwtAuth:
    """A JSON web token, such as the projected token of a pod or of a workload in another cloud.

    Attributes:
        role: the role of the JWT method in the vault.
        token_file: the token, read again at each login.
        mount: where the JWT method is enabled in the vault, without ``auth/``.
    """

    role: str
    token_file: Path
    mount: str = "jwt"


#: Every way to authenticate.
VaultAuth = TokenAuth | AppRoleAuth | KubernetesAuth | JwtAuth

_TITLES = {AppRoleAuth: "AppRole", KubernetesAuth: "Kubernetes", JwtAuth: "JWT"}


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """One HashiCorp Vault or OpenBao server.

    Attributes:
        name: the name that references in the configuration use, as in ``vault:<name>/...``.
        address: the URL of the vault without ``/v1``, such as ``https://vault.example:8200``.
        auth: how the gateway obtains a token.
        namespace: sent as ``X-Vault-Namespace``; None for the root namespace.
        ca_bundle: PEM file of the certificate authorities to trust instead of the system's.
        timeout_seconds: longest wait for one whole answer, connecting included.
        allow_plain_http: accepts an ``http://`` address, over which tokens and keys travel in clear.

    Raises:
        ConfigError: listing every fault.
    """

    name: str
    address: str
    auth: VaultAuth
    namespace: str | None = None
    ca_bundle: Path | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        faults = (
            *_address_faults(self.address, allow_plain_http=self.allow_plain_http),
            *_auth_faults(self.auth),
            *_namespace_faults(self.namespace),
        )
        if self.timeout_seconds <= 0:
            faults = (*faults, "timeout_seconds must be greater than 0")
        if faults:
            raise ConfigError(tuple(f"vault {self.name!r}: {fault}" for fault in faults))


def is_path(text: str) -> bool:
    """Whether ``text`` is a path inside a vault: plain segments, none empty, no ``.`` and no ``..``.

    ``%``, ``?``, ``#`` and control characters are refused, so that the path of a request can not be bent.
    """
    return all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in text.split("/"))


def _address_faults(address: str, *, allow_plain_http: bool) -> tuple[str, ...]:
    try:
        url = urlsplit(address)
        usable = bool(url.hostname) and url.port != 0
    except ValueError:
        return ("the address is not a URL",)
    if url.username is not None or url.password is not None:
        return ("the address must not contain a user name or a password",)
    if url.scheme not in {"https", "http"} or not usable or url.query or url.fragment:
        return ("the address must look like https://host:port",)
    if url.path not in {"", "/"} and not is_path(url.path.strip("/")):
        return ("the path of the address must consist of plain segments",)
    if url.scheme == "http" and not allow_plain_http:
        return ("the address must be https://, because tokens and keys would travel in clear",)
    return ()


def _auth_faults(auth: VaultAuth) -> tuple[str, ...]:
    if isinstance(auth, TokenAuth):
        if not _HEADER_TEXT.fullmatch(auth.token.reveal()):
            return ("the token is empty or contains characters that no token has",)
        return ()
    title = _TITLES[type(auth)]
    if isinstance(auth, AppRoleAuth):
        needed = {"role_id": auth.role_id, "secret_id": auth.secret_id.reveal()}
    else:
        needed = {"role": auth.role}
    faults = [f"the {title} {name} is empty" for name, value in needed.items() if not value]
    if not is_path(auth.mount):
        faults.append(f"the {title} mount must consist of plain segments, such as {title.lower()}")
    return tuple(faults)


def _namespace_faults(namespace: str | None) -> tuple[str, ...]:
    if namespace is None or (_HEADER_TEXT.fullmatch(namespace) and is_path(namespace.strip("/"))):
        return ()
    return ("the namespace must consist of plain segments, such as team/storage",)
