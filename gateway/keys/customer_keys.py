"""Customer keys (SSE-C) by version, from one named secret of a vault or of another service that keeps secrets.

The versions of the secret are the versions of the key: the newest encrypts new objects, every live one still reads.
Keys are held in memory for a bounded time; the list of versions is read again more often, so that a rotation is seen
soon. While the service does not answer, keys go on being used until their time is over, and then requests fail.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.customer_key import CustomerKey
from gateway.keys.derivation import derive
from gateway.keys.expiring import ExpiringMap
from gateway.keys.single_flight import SingleFlight
from gateway.keys.versioned_secret import VersionedSecret

#: How long a key stays in memory, unless configured otherwise.
DEFAULT_HOLD_SECONDS = 300.0
#: How old the list of versions may be, unless configured otherwise; a rotation is seen within this time.
DEFAULT_REFRESH_SECONDS = 30.0
#: Versions that are tried for a read, newest first, unless configured otherwise. A KV engine keeps 10 by default.
DEFAULT_MAX_VERSIONS = 16
#: How old the list of versions may be once no version on it has fitted. It bounds the requests to the service that
#: objects stored under foreign keys cause.
FRESH_SECONDS = 1.0
#: How long "no" is remembered, so that a wrong policy does not send every client's request to the service.
REFUSAL_SECONDS = 5.0
#: The same for faults that pass by themselves.
OUTAGE_SECONDS = 1.0

_LISTING = 0  # the key of the list of versions among the version numbers, which start at 1


class Derivation(StrEnum):
    """What becomes of a secret's key before an object is encrypted with it."""

    NONE = "none"
    HKDF_SHA256 = "hkdf-sha256"


@dataclass(frozen=True, slots=True)
class CustomerKeySettings:
    """How the keys of a secret are used, and how long they are held.

    Attributes:
        derivation: one key for all objects, or one per object.
        hold_seconds: longest time a key stays in memory.
        refresh_seconds: longest time until a new version is used.
        max_versions: how many live versions are considered, newest first.

    Raises:
        ConfigError: listing every fault.
    """

    derivation: Derivation = Derivation.NONE
    hold_seconds: float = DEFAULT_HOLD_SECONDS
    refresh_seconds: float = DEFAULT_REFRESH_SECONDS
    max_versions: int = DEFAULT_MAX_VERSIONS

    def __post_init__(self) -> None:
        faults = []
        if self.hold_seconds <= 0:
            faults.append("hold_seconds must be greater than 0")
        if not 0 < self.refresh_seconds <= self.hold_seconds:
            faults.append("refresh_seconds must be greater than 0 and at most hold_seconds")
        if self.max_versions < 1:
            faults.append("max_versions must be at least 1")
        if faults:
            raise ConfigError(tuple(f"customer key: {fault}" for fault in faults))


@dataclass(frozen=True, slots=True)
class _Listing:
    """The live versions, newest first, and when they were read."""

    numbers: tuple[int, ...]
    read_at: float


class CustomerKeySource:
    """The keys of one secret. Belongs to one event loop; close it with :meth:`aclose`.

    Args:
        secret: gives the keys.
        settings: what becomes of them, and the times.

    Attributes:
        fingerprint: 8 hexadecimal digits that name the secret and its derivation, not the key, for logs and caches.
    """

    def __init__(self, secret: VersionedSecret, settings: CustomerKeySettings) -> None:
        self._settings = settings
        self._secret = secret
        self._keys: ExpiringMap[int, CustomerKey] = ExpiringMap(settings.max_versions)
        self._refusals: ExpiringMap[int, KeyUnavailable] = ExpiringMap(settings.max_versions + 1)
        self._listing: _Listing | None = None
        self._outage = False
        self._fetches: SingleFlight[int, CustomerKey] = SingleFlight()
        self._refreshes: SingleFlight[int, tuple[int, ...]] = SingleFlight()
        self.fingerprint = _fingerprint(secret.parts, settings.derivation)

    async def newest(self) -> CustomerKey:
        """The key for new objects.

        A newest version that is not a usable key is an error: going back to the version before would undo a rotation.

        Raises:
            KeyUnavailable: there is no key to encrypt with now.
        """
        try:
            return await self.version((await self.version_numbers())[0])
        except KeyUnavailable as error:
            if error.code != "KMS.NotFoundException" or self._listing is None:
                raise
        # Deleted since the list was read: once more, with a new list.
        self._listing = None
        return await self.version((await self.version_numbers())[0])

    async def version(self, number: int) -> CustomerKey:
        """The key of one version.

        Raises:
            KeyUnavailable: the service does not give it, or it is not a usable key.
        """
        held = self._keys.get(number)
        if held is not None:
            return held
        self._raise_refusal(number)
        return await self._fetches.run(number, lambda: self._fetch(number))

    def first_held(self, preferred: int | None) -> CustomerKey | None:
        """The key that a read tries first, when it is in memory and the list of versions is new enough.

        Args:
            preferred: the version to try first, if there is such a one; otherwise it is the newest.
        """
        listing = self._usable_listing()
        if listing is None or self._age(listing) >= self._settings.refresh_seconds:
            return None
        return self._keys.get(preferred if preferred in listing.numbers else listing.numbers[0])

    async def versions(self) -> list[CustomerKey]:
        """Every usable key, newest first: what a read tries. At least one.

        Versions that are deleted, destroyed or no usable keys are left out: no object can need them.

        Raises:
            KeyUnavailable: the service does not answer, or none is usable.
        """
        keys = []
        fault: KeyUnavailable | None = None
        for number in await self.version_numbers():
            try:
                keys.append(await self.version(number))
            except KeyUnavailable as error:
                if error.code not in {"InvalidArgument", "KMS.NotFoundException"}:
                    raise
                fault = fault or error
        if not keys and fault is not None:
            raise fault
        return keys

    async def version_numbers(self, max_age_seconds: float | None = None) -> tuple[int, ...]:
        """The live versions, newest first: at least one, at most ``max_versions``. Most calls cost no request.

        Args:
            max_age_seconds: how old the list may be, where that is less than ``refresh_seconds``. A reader for whom no
                version fits asks again with a short one: another process may have seen a rotation earlier and written
                the object with a version that this one does not know yet.

        Raises:
            KeyUnavailable: the service did not say, and its last word is too old.
        """
        refresh_seconds = self._settings.refresh_seconds
        max_age = refresh_seconds if max_age_seconds is None else min(refresh_seconds, max_age_seconds)
        listing = self._usable_listing()
        if listing is not None:
            if self._age(listing) < max_age:
                return listing.numbers
            if self._outage:
                # The service was not well a moment ago: do not make every request wait for it, ask in the background.
                if self._refusals.get(_LISTING) is None:
                    self._refreshes.start(_LISTING, self._refresh)
                return listing.numbers
        self._raise_refusal(_LISTING)
        try:
            return await self._refreshes.run(_LISTING, self._refresh)
        except KeyUnavailable:
            listing = self._usable_listing()
            if listing is None:
                raise
            return listing.numbers

    async def newer_version_numbers(self) -> tuple[int, ...]:
        """The live versions as the service has them after this call began, for a reader for whom no known one fitted.

        Another process may have seen a rotation a moment ago. Such readers wait for their turn: however many ask, the
        service is asked once per second.

        Raises:
            KeyUnavailable: as :meth:`version_numbers`.
        """
        listing = self._usable_listing()
        if listing is not None:
            await asyncio.sleep(max(0.0, FRESH_SECONDS - self._age(listing)))
        return await self.version_numbers(FRESH_SECONDS)

    def key_for(self, customer_key: CustomerKey, bucket: str, object_key: str) -> CustomerKey:
        """The key that encrypts one object: the secret's, or the one derived from it, as configured.

        Args:
            customer_key: a key of this source.
            bucket: the bucket's name.
            object_key: the object key, decoded.
        """
        if self._settings.derivation is Derivation.HKDF_SHA256:
            return derive(customer_key, bucket, object_key)
        return customer_key

    async def aclose(self) -> None:
        """Stop background work and forget every key."""
        await self._fetches.aclose()
        await self._refreshes.aclose()
        self._forget()
        self._refusals.keep_only(frozenset())

    async def _fetch(self, number: int) -> CustomerKey:
        try:
            key = await self._secret.key(number)
        except KeyUnavailable as error:
            self._remember_refusal(number, error)
            raise
        self._keys.put(number, key, self._settings.hold_seconds)
        return key

    async def _refresh(self) -> tuple[int, ...]:
        try:
            numbers = (await self._secret.live_versions())[: self._settings.max_versions]
        except KeyUnavailable as error:
            self._remember_refusal(_LISTING, error)
            self._outage = not error.permanent
            if error.permanent:
                self._forget()  # permission was taken back, or the secret was removed
            raise
        self._outage = False
        self._listing = _Listing(numbers, asyncio.get_running_loop().time())
        self._keys.keep_only(frozenset(numbers))
        return numbers

    def _usable_listing(self) -> _Listing | None:
        listing = self._listing
        return listing if listing is not None and self._age(listing) < self._settings.hold_seconds else None

    def _age(self, listing: _Listing) -> float:
        return asyncio.get_running_loop().time() - listing.read_at

    def _forget(self) -> None:
        self._listing = None
        self._keys.keep_only(frozenset())

    def _remember_refusal(self, number: int, error: KeyUnavailable) -> None:
        self._refusals.put(number, error.again(), REFUSAL_SECONDS if error.permanent else OUTAGE_SECONDS)

    def _raise_refusal(self, number: int) -> None:
        refusal = self._refusals.get(number)
        if refusal is not None:
            raise refusal.again()


def _fingerprint(parts: tuple[str, ...], derivation: Derivation) -> str:
    """Changed never: the ids of multipart uploads that are under way carry it."""
    digest = hashlib.sha256()
    for part in (*parts, derivation.value):
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()[:8]
