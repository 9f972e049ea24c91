"""Plain HTTP is refused: answered with an S3 error, never redirected, the body unread.

By the time a redirect could be sent, the signature, the session token, a presigned URL or an SSE-C key already crossed
the network in clear, and clients would follow the redirect silently for years. So a request gets an error before
``100 Continue``, and what it exposed is counted by kind and logged with the access-key id, never the key.

No HTTP library reads these connections: the request's head, bounded and timed, is all that is looked at.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_plus

from gateway.errors import S3Error
from gateway.event_log import get_logger
from gateway.server.connection import UNIX_CLIENT, peer_address, stream_transport
from gateway.server.early_answer import new_request_id, render_early_answer
from gateway.server.serving import Serving

_log = get_logger("gateway.server.plain_http")

#: Bytes of a refused body that are taken and thrown away. Beyond, the client's window is left to fill.
LINGER_BYTES: Final = 1_048_576

_KEY_FIELDS: Final = frozenset(
    {"x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key"}
)
_CREDENTIAL_FIELDS: Final = frozenset({"authorization", "x-amz-security-token"})
_PRESIGNED_PARAMETERS: Final = frozenset({"x-amz-signature", "x-amz-credential", "x-amz-security-token", "signature"})
_TLS_HANDSHAKE: Final = 0x16  # ContentType handshake, RFC 8446 section 5.1
_REQUEST_LINE: Final = re.compile(rb"([A-Z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.[01]")
# Strict, so that a secret in the wrong place is not logged as if it were a name.
_SCOPED: Final = r"([\w.-]{3,64})/\d{8}/[\w-]+/\w+/aws4_request"
_HEADER_CREDENTIAL: Final = re.compile(rf"AWS4-[\w-]+ +.*?Credential={_SCOPED}", re.ASCII)
_HEADER_CREDENTIAL_V2: Final = re.compile(r"AWS ([\w.-]{3,64}):.*", re.ASCII)
_QUERY_CREDENTIAL: Final = re.compile(_SCOPED, re.ASCII)
_QUERY_CREDENTIAL_V2: Final = re.compile(r"([\w.-]{3,64})", re.ASCII)


class Exposure(StrEnum):
    """What a refused request exposed to the network; the label of the metric."""

    SSE_C_KEY = "sse_c_key"
    CREDENTIALS = "credentials"
    PRESIGNED = "presigned"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to one request that came over plain HTTP.

    Attributes:
        exposure: what the request carried in clear.
        access_key_id: whose it was, where the request says so.
        error: what the client is told.
    """

    exposure: Exposure
    access_key_id: str | None
    error: S3Error


def refuse(target: str, fields: Iterable[tuple[str, str]]) -> Refusal:
    """The refusal of a request.

    Args:
        target: the request target as sent.
        fields: the header fields as sent.
    """
    headers = {name.strip().lower(): value.strip() for name, value in fields}
    parameters = {
        unquote_plus(name).lower(): value
        for name, _, value in (pair.partition("=") for pair in target.partition("?")[2].split("&"))
    }
    access_key_id = _access_key_id(headers.get("authorization", ""), parameters)
    if _KEY_FIELDS & (headers.keys() | parameters.keys()):
        # Source: the answer of S3-compatible servers; AWS documents only that such requests are rejected.
        message = (
            "Requests specifying Server Side Encryption with Customer provided keys "
            "must be made over a secure connection."
        )
        return Refusal(Exposure.SSE_C_KEY, access_key_id, S3Error("InvalidRequest", message))
    exposure = Exposure.ANONYMOUS
    if _CREDENTIAL_FIELDS & headers.keys():
        exposure = Exposure.CREDENTIALS
    elif _PRESIGNED_PARAMETERS & parameters.keys():
        exposure = Exposure.PRESIGNED
    message = (
        "This gateway requires HTTPS. The request was refused, and what it carried has crossed the network in clear."
    )
    return Refusal(exposure, access_key_id, S3Error("AccessDenied", message))


def report_refusal(refusal: Refusal, serving: Serving, listener: str, client_address: str, request_id: str) -> None:
    """Count and log a refusal."""
    serving.metrics.plain_http_refused(refusal.exposure)
    log = _log.info if refusal.exposure is Exposure.ANONYMOUS else _log.warning
    log(
        "plain_http_refused",
        exposed=refusal.exposure.value,
        access_key_id=refusal.access_key_id,
        client_address=client_address,
        listener=listener,
        request_id=request_id,
    )


def _access_key_id(authorization: str, parameters: dict[str, str]) -> str | None:
    """Whose request it was, as far as it says so in one of the four forms that S3 knows."""
    scoped, plain = (unquote_plus(parameters.get(name, "")) for name in ("x-amz-credential", "awsaccesskeyid"))
    found = (
        _HEADER_CREDENTIAL.match(authorization)
        or _HEADER_CREDENTIAL_V2.fullmatch(authorization)
        or _QUERY_CREDENTIAL.fullmatch(scoped)
        or _QUERY_CREDENTIAL_V2.fullmatch(plain)
    )
    return found.group(1) if found is not None else None


class PlainHttpRefusal(asyncio.Protocol):
    """One connection that is refused.

    Args:
        serving: the process's limits and counters.
        listener: the listener's name.
        client_address: the client behind a balancer; the peer itself when None.
    """

    def __init__(self, serving: Serving, listener: str, client_address: str | None = None) -> None:
        self._serving = serving
        self._listener = listener
        self._client_address = client_address
        self._head = bytearray()
        self._answered = False
        self._discarded = 0
        self._since = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        transport = stream_transport(transport)
        self._transport = transport
        self._since = asyncio.get_running_loop().time()
        if self._client_address is None:
            self._client_address = str(peer_address(transport) or UNIX_CLIENT)
        if not self._serving.table.add(self):
            self._serving.metrics.shed("connections")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._transport = None
        self._serving.table.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read the head; throw away what follows it."""
        if self._transport is None:
            return
        if self._answered:
            self._discard(len(data), self._transport)
            return
        self._head += data
        if self._head[0] == _TLS_HANDSHAKE:
            # An HTTPS client on the wrong port: no answer that it could read exists.
            self._serving.metrics.bad_request("tls_on_plain_http")
            self._transport.close()
            return
        if b"\r\n\r\n" in self._head or len(self._head) > self._serving.limits.max_header_bytes:
            self._answer(self._transport)

    def eof_received(self) -> None:
        """The client is done; the transport closes by itself."""

    def sweep(self, now: float) -> None:
        """End the connection when the head or the farewell takes too long."""
        limits = self._serving.limits
        if self._transport is None:
            return
        if now - self._since > (limits.linger_seconds if self._answered else limits.header_seconds):
            if not self._answered:
                self._serving.metrics.connection_timed_out("header")
            self._transport.abort()

    def finish(self) -> None:
        """End the connection unless a head is on its way."""
        if self._transport is not None and (self._answered or not self._head):
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, transport: asyncio.Transport) -> None:
        """Answer, say that nothing more comes, and keep reading a little.

        Closing at once would make the kernel answer the unread body with a reset, which can overtake the answer. With
        the sending side shut down the client reads the answer even if its own next write fails.
        """
        head, _, _ = bytes(self._head).partition(b"\r\n\r\n")
        self._head.clear()
        request_line, *lines = head.split(b"\r\n")
        request = _REQUEST_LINE.fullmatch(request_line)
        if request is None:
            self._serving.metrics.bad_request("not_http")
            transport.close()
            return
        method, target = (part.decode("latin-1") for part in request.groups())
        pairs = (line.decode("latin-1").partition(":") for line in lines)
        refusal = refuse(target, ((name, value) for name, _, value in pairs))
        request_id = new_request_id()
        report_refusal(refusal, self._serving, self._listener, self._client_address or UNIX_CLIENT, request_id)
        self._answered = True
        self._since = asyncio.get_running_loop().time()
        transport.write(render_early_answer(refusal.error, method, target.partition("?")[0], request_id))
        transport.write_eof()

    def _discard(self, size: int, transport: asyncio.Transport) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            transport.pause_reading()
