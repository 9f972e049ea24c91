"""One bounded HTTP exchange with a vault.

Answers are limited in size and time, redirects are not followed (a redirect would carry the token to another server),
and everything that can go wrong becomes a :class:`VaultError` here and nowhere else.

Source: HashiCorp Vault and OpenBao API documentation, "HTTP status codes" and "/sys/health".
"""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.errors import ConfigError
from gateway.keys.vault_error import SilentObserver, VaultError, VaultObserver, VaultResult
from gateway.keys.vault_settings import VaultSettings
from gateway.redact import SecretStr

#: Largest answer that is read. A KV secret is at most 1 MiB in the vault's own default storage; ours are far smaller.
MAX_ANSWER_BYTES = 1024 * 1024
#: Requests to one vault at the same time; more wait.
MAX_CONNECTIONS = 8

Classify = Callable[[int, Mapping[str, object]], VaultResult]


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """What a vault answered. ``body`` may hold secrets and stays out of the repr."""

    status: int
    result: VaultResult
    body: Mapping[str, object] = field(repr=False)

    def section(self, name: str) -> Mapping[str, object]:
        """The JSON object called ``name`` in the body; empty when there is none."""
        value = self.body.get(name)
        return value if isinstance(value, dict) else {}

    def says(self, text: str) -> bool:
        """Whether one of the vault's error texts contains ``text``, given in small letters."""
        return says(self.body, text)

    @property
    def explained(self) -> bool:
        """Whether the answer lists errors as a vault does."""
        return says(self.body, "")


def classify_answer(status: int, body: Mapping[str, object]) -> VaultResult:
    """The kind of an answer to an ordinary request."""
    if status in {200, 204}:
        return VaultResult.OK
    if status in {401, 403}:
        return VaultResult.DENIED
    if status == 404:
        return VaultResult.NOT_FOUND
    if status == 429:  # over a rate limit quota
        return VaultResult.THROTTLED
    if status == 503 and says(body, "sealed"):
        return VaultResult.SEALED
    # 412 and 472/473: a standby that is behind or does not serve reads.
    if status in {412, 472, 473} or status >= 500:
        return VaultResult.UNAVAILABLE
    return VaultResult.INVALID


class VaultHttp:
    """The HTTP connections to one vault.

    Raises:
        ConfigError: the CA bundle can not be loaded.
    """

    def __init__(self, settings: VaultSettings, observer: VaultObserver | None = None) -> None:
        self._settings = settings
        self._observer: VaultObserver = observer or SilentObserver()
        self._tls = _tls_context(settings)
        self._base = URL(settings.address.rstrip("/") + "/v1/", encoded=True)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        token: SecretStr | None = None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        namespaced: bool = True,
        classify: Classify = classify_answer,
    ) -> VaultAnswer:
        """Send one request and read its answer.

        Args:
            method: the HTTP method.
            path: the path below ``/v1/``, not percent-encoded.
            token: the vault token, or None for the requests that need none.
            query: parameters, values not encoded.
            body: sent as JSON.
            namespaced: whether the configured namespace applies to the path.
            classify: tells the kind of an answer from its status and body.

        Raises:
            VaultError: there was no answer, or none that makes sense. An answer that says no is returned.
        """
        started = time.monotonic()
        headers = self._headers(token, namespaced=namespaced)
        outcome = await self._attempt(method, self._url(path, query), headers, body, classify)
        self._observer.on_vault_request(outcome.result.value, time.monotonic() - started)
        if isinstance(outcome, VaultError):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        """Close the connections. Whoever asks later is told so."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _attempt(
        self, method: str, url: URL, headers: Mapping[str, str], body: Mapping[str, object] | None, classify: Classify
    ) -> VaultAnswer | VaultError:
        if self._closed:
            return self._fault(VaultResult.UNAVAILABLE, "is not asked any more: the gateway is shutting down")
        # Faults are returned, not raised: aiohttp's exceptions hold the request's header fields, the token among them,
        # and would stay attached to an exception that is raised while they are handled.
        try:
            async with self._open_session().request(
                method, url, headers=headers, json=body, allow_redirects=False, ssl=self._tls
            ) as response:
                data = await _read_bounded(response)
                status = response.status
        except TimeoutError:
            return self._fault(VaultResult.TIMEOUT, f"did not answer within {self._settings.timeout_seconds:g} s")
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            return self._fault(VaultResult.UNAVAILABLE, f"failed the TLS handshake{_tls_reason(error)}")
        except (aiohttp.ClientConnectionError, OSError):
            return self._fault(VaultResult.UNAVAILABLE, "can not be reached, or closed the connection")
        except aiohttp.InvalidURL:
            return self._fault(VaultResult.UNAVAILABLE, "can not be reached: its address is not usable")
        except aiohttp.ClientError:
            return self._fault(VaultResult.INVALID, "sent an answer that is not HTTP as it should be")
        return self._answer(status, data, classify)

    def _answer(self, status: int, data: bytes | None, classify: Classify) -> VaultAnswer | VaultError:
        if data is None:
            return self._fault(VaultResult.INVALID, f"sent an answer larger than {MAX_ANSWER_BYTES} bytes")
        if 300 <= status < 400:
            return self._fault(
                VaultResult.UNAVAILABLE,
                f"answered with a redirect ({status}), which is not followed; its address should be that of the active "
                "node or of a balancer",
            )
        body = _parse_object(data)
        if body is None:
            if status == 200:
                return self._fault(VaultResult.INVALID, "sent an answer that is not a JSON object")
            body = {}  # such as the page of a proxy: its status says enough
        return VaultAnswer(status, classify(status, body), body)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a few compressed bytes could unfold beyond any limit
                headers={"Accept-Encoding": "identity"},
                trust_env=False,
            )
        return self._session

    def _headers(self, token: SecretStr | None, *, namespaced: bool) -> dict[str, str]:
        headers = {"X-Vault-Request": "true"}  # a vault agent may insist on it, against request forgery
        if namespaced and self._settings.namespace is not None:
            headers["X-Vault-Namespace"] = self._settings.namespace
        if token is not None:
            headers["X-Vault-Token"] = token.reveal()
        return headers

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        return self._base.joinpath(*path.split("/")).with_query(query)

    def _fault(self, result: VaultResult, what: str) -> VaultError:
        return VaultError(f"vault {self._settings.name!r} {what}", result)


def _tls_context(settings: VaultSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_bundle)
    except OSError as error:
        reason = error.strerror or "it is not a PEM file of certificates"
        raise ConfigError((f"vault {settings.name!r}: CA bundle {settings.ca_bundle}: {reason}",)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def says(body: Mapping[str, object], text: str) -> bool:
    """Whether one of the error texts in the body of an answer contains ``text``, given in small letters."""
    errors = body.get("errors")
    return isinstance(errors, list) and any(isinstance(error, str) and text in error.lower() for error in errors)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None when it is longer than allowed."""
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            response.close()
            return None
    return bytes(data)


def _parse_object(data: bytes) -> Mapping[str, object] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _tls_reason(error: Exception) -> str:
    """OpenSSL's own words for a certificate that was refused."""
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f": its certificate is not trusted, {cause.verify_message}"
    return ""
