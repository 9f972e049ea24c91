"""Whether the upstream server answers, accepts the credentials, and agrees about the time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

from gateway.cli.findings import Finding, failure, ok, warning
from gateway.config.build import upstream_settings
from gateway.config.model import Config
from gateway.errors import GatewayError, S3Error, UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query
from gateway.s3.xml import ErrorAnswer, parse_error, parse_xml
from gateway.upstream.body import EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import CredentialSource
from gateway.upstream.request import UpstreamRequest

#: S3 refuses requests whose time differs more: RequestTimeTooSkewed.
#: Source: Amazon S3 API Reference, "Error responses".
LARGEST_SKEW = timedelta(minutes=15)
#: A clock that is kept by NTP differs less, also with the whole seconds of the Date header.
USUAL_SKEW = timedelta(seconds=5)

_ANSWER_SECONDS = 30.0
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_REFUSED = 403


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the upstream.

    Attributes:
        status: the HTTP status.
        body: the body.
        error: what the body says when it is an error document.
    """

    status: int
    body: bytes
    error: ErrorAnswer | None

    def __str__(self) -> str:
        if self.error is None:
            return f"HTTP {self.status}"
        return f"HTTP {self.status}, {self.error.code}: {self.error.message}"


class UpstreamCheck:
    """Asks the upstream with every identity's credentials. Use it with ``async with``.

    Args:
        config: the configuration.
        credentials: the credentials by identity name.

    Attributes:
        reached: whether the server answered, after :meth:`findings`.
        accepted: the credentials that the server accepted, after :meth:`findings`.
        buckets: the buckets that they list, after :meth:`findings`.

    Raises:
        ConfigError: the CA bundle can not be read.
    """

    def __init__(self, config: Config, credentials: Mapping[str, CredentialSource]) -> None:
        settings = upstream_settings(config)
        # Nobody waits minutes for a diagnosis, and the first answer is the interesting one.
        seconds = min(settings.first_byte_timeout_seconds, _ANSWER_SECONDS)
        self._settings = replace(settings, retries=0, first_byte_timeout_seconds=seconds)
        self._client = UpstreamClient(self._settings)
        self._credentials = credentials
        self._skew: timedelta | None = None
        self.reached = False
        self.accepted: list[CredentialSource] = []
        self.buckets: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._client.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.close()

    async def findings(self) -> AsyncIterator[Finding]:
        """The server, the credentials of each identity, and the clock."""
        if not self._settings.uses_tls:
            yield warning("upstream", "is plain HTTP: data and signatures cross the network in clear")
        for name, source in self._credentials.items():
            subject = f"identity {name}"
            try:
                await source.current()
            except GatewayError as error:
                yield failure(subject, str(error))
                continue
            try:
                answer = await self.ask(Operation.LIST_BUCKETS, None, EMPTY_QUERY, source)
            except (UpstreamUnavailable, S3Error) as error:
                yield failure("upstream", str(error), "Check endpoint, network, and the CA bundle of the upstream.")
                return
            if not self.reached:
                self.reached = True
                yield ok("upstream", f"{self._settings.endpoint} answers" + self._transport())
            yield self._credential_finding(subject, source, answer)
        if self._skew is not None:
            yield _clock_finding(self._skew)

    async def ask(
        self, operation: Operation, bucket: str | None, query: Query, credentials: CredentialSource
    ) -> Answer:
        """The answer to one GET without a body.

        Raises:
            S3Error: the bucket's region can not be served.
            UpstreamUnavailable: there is no answer.
        """
        request = UpstreamRequest(operation, "GET", bucket, None, query, Headers(), EmptyBody())
        sent = datetime.now(UTC)
        async with self._client.send(request, credentials) as response:
            self._note_time(response.headers.get("date"), sent, datetime.now(UTC))
            body = await response.read(_MAX_ANSWER_BYTES)
            return Answer(response.status, body, parse_error(body) if response.status >= 300 else None)

    def _transport(self) -> str:
        return " over TLS with a certificate that is trusted" if self._settings.uses_tls else ""

    def _note_time(self, date: str | None, sent: datetime, received: datetime) -> None:
        """Compare the server's clock with ours, taken in the middle of the exchange."""
        if date is None:
            return
        with suppress(ValueError):
            theirs = parsedate_to_datetime(date)
            if theirs.tzinfo is not None:
                self._skew = theirs - (sent + (received - sent) / 2)

    def _credential_finding(self, subject: str, source: CredentialSource, answer: Answer) -> Finding:
        if answer.status < 300:
            names = _bucket_names(answer.body)
            self.accepted.append(source)
            self.buckets.update(names)
            return ok(subject, f"its upstream credentials are valid; they list {len(names)} buckets")
        if answer.status == _REFUSED and answer.error is not None and answer.error.code == "AccessDenied":
            self.accepted.append(source)
            return ok(subject, "its upstream credentials are valid; they may not list buckets")
        return failure(subject, f"its upstream credentials are not accepted ({answer})")


def _clock_finding(skew: timedelta) -> Finding:
    seconds = abs(skew.total_seconds())
    message = f"differs from the upstream's by {seconds:.0f} s"
    if abs(skew) > LARGEST_SKEW:
        return failure("clock", message, "S3 refuses every request beyond 15 minutes: synchronise the clock (NTP).")
    if abs(skew) > USUAL_SKEW:
        return warning("clock", message, "Synchronise the clock (NTP).")
    return ok("clock", "agrees with the upstream's")


def _bucket_names(body: bytes) -> tuple[str, ...]:
    try:
        root = parse_xml(body, _MAX_ANSWER_BYTES)
    except S3Error:
        return ()
    return tuple(element.text or "" for element in root.findall("{*}Buckets/{*}Bucket/{*}Name"))
