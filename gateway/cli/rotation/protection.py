"""What protects one stored object: its encryption, and every version of every key that reading it needs."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from gateway.cli.stored.opening import read_closing
from gateway.cli.stored.source import SourceUnavailable
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES, TRAILER_BYTES, sealed_size
from gateway.crypto.sealed.marker import MARKER
from gateway.crypto.sealed.message import MessageHead
from gateway.errors import IntegrityError
from gateway.modes.registry import mode_shown_by
from gateway.policy.choice import stored_rule
from gateway.policy.rules import ModeName
from gateway.s3.copy_source import CopySource
from gateway.s3.encryption_headers import SSE_KMS_KEY_ID
from gateway.s3.headers import Headers
from gateway.s3.ranges import range_field
from gateway.server.handlers.refusal import may_want_another_key
from gateway.server.key_ring import KeyAttempt
from gateway.server.private_gateway import PrivateGateway
from gateway.server.sealed.asking import ask_again
from gateway.server.sealed.stored import StoredObject

_NOT_FOUND = frozenset({404, 405})
#: Stands for the customer key of a client, which the gateway does not know.
FOREIGN = "a client's own key"


class Gone(SourceUnavailable):
    """There is no such object, or not any more."""


@dataclass(frozen=True, slots=True, order=True)
class Guard:
    """A key version that an object needs.

    Attributes:
        mode: the encryption.
        key: the wrapping key's URI, the KMS key, or the name of the customer key; empty when there is none to name.
        version: the version of the key; empty where that can not be seen.
    """

    mode: ModeName
    key: str = ""
    version: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.mode.value, self.key, f"v{self.version}" * bool(self.version)) if part)


@dataclass(frozen=True, slots=True)
class Protected:
    """An object and what protects it.

    Attributes:
        place: bucket, object key and version.
        headers: the store's answer to HEAD.
        guards: what reading it needs: one, or several when parts of it were sealed under different versions.
        stored: how it is asked for, with the customer key that fits.
        foreign: whether it is encrypted with a customer key that only a client has.
    """

    place: CopySource
    headers: Headers = field(repr=False)
    guards: frozenset[Guard]
    stored: StoredObject = field(repr=False)
    foreign: bool = False

    @property
    def etag(self) -> str:
        """The store's ETag."""
        return self.headers.get("etag") or ""

    @property
    def protection(self) -> str:
        """What protects it, in words."""
        return ", ".join(str(guard) for guard in sorted(self.guards))

    @property
    def sealed(self) -> bool:
        """Whether it is sealed."""
        return MARKER in self.headers

    @property
    def stored_bytes(self) -> int:
        """Its stored size."""
        length = self.headers.get("content-length") or "0"
        return int(length) if length.isdigit() else 0

    @property
    def modified(self) -> int:
        """When it was written, in seconds since 1970; 0 when the store does not say."""
        with suppress(ValueError):
            return int(parsedate_to_datetime(self.headers.get("last-modified") or "").timestamp())
        return 0


class Examiner:
    """Looks at stored objects. Envelopes are read without keys: what they say is not proven here.

    Args:
        gateway: asks the store.
        customer_keys: the names of customer keys by the fingerprint of their source.
    """

    def __init__(self, gateway: PrivateGateway, customer_keys: dict[str, str]) -> None:
        self._gateway = gateway
        self._customer_keys = customer_keys

    async def examine(self, place: CopySource) -> Protected:
        """What protects an object now.

        Raises:
            Gone: it is not there.
            SourceUnavailable: the store refuses to say.
            IntegrityError: it is marked as sealed and is not.
            GatewayError: a key is not available, or the store gave no answer.
        """
        services = self._gateway.services
        rule = stored_rule(services.rules, place.bucket, place.object_key)
        status = 0
        async for attempt in services.key_ring.attempts(rule, place.bucket, place.object_key, None):
            stored = _stored(place, attempt)
            async with self._gateway.ask_store(stored.head()) as answer:
                status, headers = answer.status, answer.headers
            if may_want_another_key(status, keyed=attempt.customer is not None):
                continue
            if status in _NOT_FOUND:
                raise Gone(f"the store answered {status}")
            if status != 200:
                break
            if attempt.object_key is not None:
                services.key_ring.remember(place.bucket, place.object_key, attempt.object_key)
            return Protected(place, headers, await self._guards(stored, headers, attempt), stored)
        if status == 400:
            guards = frozenset({Guard(ModeName.SSE_C, FOREIGN)})
            return Protected(place, Headers(), guards, _stored(place, KeyAttempt(None)), foreign=True)
        raise SourceUnavailable(f"the store answered {status} to HEAD")

    async def _guards(self, stored: StoredObject, headers: Headers, attempt: KeyAttempt) -> frozenset[Guard]:
        if MARKER in headers:
            source = _Stored(self._gateway, stored, headers)
            return frozenset([self._wrapping(envelope) async for envelope in envelopes(source)])
        mode = mode_shown_by(headers)
        if mode is ModeName.SSE_C and attempt.object_key is not None:
            return frozenset({self.guard_of_customer(attempt.object_key.fingerprint, attempt.object_key.version)})
        return frozenset({Guard(mode, headers.get(SSE_KMS_KEY_ID) or "")})

    def _wrapping(self, envelope: Envelope) -> Guard:
        return self.guard_of(envelope.wrapping_key, envelope.wrapped_data_key)

    def guard_of_customer(self, fingerprint: str, version: int) -> Guard:
        """What opens objects under a version of a customer key."""
        return Guard(ModeName.SSE_C, self._customer_keys.get(fingerprint, fingerprint), str(version))

    def guard_of(self, wrapping_key: str, wrapped: bytes) -> Guard:
        """What opens a wrapped data key."""
        for provider in self._gateway.wrapping_keys.values():
            if provider.handles(wrapping_key):
                return Guard(ModeName.CSE, wrapping_key, provider.version_of(wrapping_key, wrapped))
        return Guard(ModeName.CSE, wrapping_key)


async def envelopes(source: "_Stored") -> AsyncIterator[Envelope]:
    """The envelopes of a sealed object: one, or those of all parts and of the closing. Nothing is authenticated.

    Raises:
        IntegrityError: it is not what a sealed object consists of.
        GatewayError: it can not be read.
    """
    first = await source.envelope(0)
    yield first
    if first.kind is Kind.WHOLE:
        return
    closing = await read_closing(source)
    end = source.stored_bytes - TRAILER_BYTES - len(closing)
    yield MessageHead.parse(closing[:HEAD_BYTES]).envelope
    offset = sealed_size(first.plaintext_bytes)
    while offset < end:
        part = await source.envelope(offset)
        yield part
        offset += sealed_size(part.plaintext_bytes)
    if offset != end:
        raise IntegrityError(Fault.SIZE, "its last part does not end where its closing begins")


class _Stored:
    """The stored bytes of one object, held to its ETag."""

    def __init__(self, gateway: PrivateGateway, stored: StoredObject, headers: Headers) -> None:
        self._gateway = gateway
        self._stored = stored
        self.etag = headers.get("etag") or ""
        length = headers.get("content-length") or "0"
        self.stored_bytes = int(length) if length.isdigit() else 0

    async def read(self, first: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``first`` on."""
        request = self._stored.get(range_field(first, first + size - 1), etag=self.etag)
        return await ask_again(self._gateway.ask_store, request, first, size)

    async def envelope(self, offset: int) -> Envelope:
        """The envelope of the message that begins here."""
        data = await self.read(offset, min(HEAD_BYTES, self.stored_bytes - offset))
        return MessageHead.parse(data).envelope


def _stored(place: CopySource, attempt: KeyAttempt) -> StoredObject:
    encryption = Headers() if attempt.customer is None else Headers(attempt.customer.render())
    return StoredObject(place.bucket, place.object_key, place.raw_object_key, place.version_id, encryption)
