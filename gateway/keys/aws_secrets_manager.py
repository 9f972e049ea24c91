"""Customer keys (SSE-C) in a secret of AWS Secrets Manager: provider ``aws-secretsmanager``.

The version with the label AWSCURRENT encrypts new objects. All others that the service still lists are read with, the
newest first; also those without a label, which it calls deprecated and removes some day when there are many.

Versions have ids that are texts, and customer keys have numbers. The number of a version is

    1 + (the first 8 bytes of SHA-256(version id), big-endian) mod 999,999,999

so every process gets the same one without being told. The version id is chosen by whoever writes the version and is no
secret. Should two versions ever share a number, none is used: what was encrypted with which would be a guess.

Sources: AWS Secrets Manager API Reference, "GetSecretValue", "ListSecretVersionIds"; User Guide, "Version".
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.aws_access import AwsCaller
from gateway.keys.customer_key import CustomerKey, customer_key_of, parse_customer_key
from gateway.redact import SecretStr

KIND: Final = "aws-secretsmanager"
#: The numbers of versions: 1 to this. Ids of multipart uploads carry up to nine digits.
MAX_NUMBER: Final = 999_999_999
#: Characters of a secret; the service takes no more bytes. Source: User Guide, "AWS Secrets Manager quotas".
MAX_SECRET_CHARACTERS: Final = 65_536
#: Versions that are considered: the service lists 100 at once, and keeps about as many of a secret.
PAGE_VERSIONS: Final = 100
MAX_PAGES: Final = 10
#: How long after a list of versions another one may be asked for, for a number that is on none.
UNKNOWN_NUMBER_SECONDS: Final = 1.0

_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"
_SECRET_ID: Final = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}", re.ASCII)
_VERSION_ID: Final = re.compile(r"[!-~]{32,64}", re.ASCII)
_MAX_TOKEN_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class _Version:
    """One version as the service lists it."""

    version_id: str
    stages: frozenset[str]
    created: datetime

    def age_order(self) -> tuple[bool, datetime, bool, str]:
        """Greatest for the version that encrypts, then for the newest."""
        return _CURRENT in self.stages, self.created, _PREVIOUS in self.stages, self.version_id


def version_number(version_id: str) -> int:
    """The number of a version; see the module's text."""
    return 1 + int.from_bytes(hashlib.sha256(version_id.encode()).digest()[:8], "big") % MAX_NUMBER


class AwsSecret:
    """The keys in one secret: a :class:`~gateway.keys.versioned_secret.VersionedSecret`.

    Belongs to one event loop. Each version that is read is one request, and so is each 100 versions listed.

    Args:
        caller: calls Secrets Manager in the secret's Region. It stays open.
        name: of the key in the configuration: secrets of two accounts may have the same name.
        secret_id: name or ARN of the secret.
        field: the field of a secret that is JSON; None when the secret is the key, as base64 or as 32 bytes.

    Raises:
        ConfigError: listing every fault.
    """

    def __init__(self, caller: AwsCaller, name: str, secret_id: str, field: str | None = None) -> None:
        faults = []
        if _SECRET_ID.fullmatch(secret_id) is None:
            faults.append(f"{secret_id!r} is not the name or the ARN of a secret")
        if field == "":
            faults.append("field is empty")
        if faults:
            raise ConfigError(tuple(faults))
        self._caller = caller
        self._secret_id = secret_id
        self._field = field
        self._parts = (KIND, name, caller.region, secret_id, "text" if field is None else "json", field or "")
        self._ids: Mapping[int, str] = {}
        self._asked_at = float("-inf")
        self._fault: KeyUnavailable | None = None
        self._asking = asyncio.Lock()

    @property
    def parts(self) -> tuple[str, ...]:
        """Kind, configured name, Region, secret, form and field."""
        return self._parts

    @property
    def where(self) -> str:
        """The secret's place for messages: ``AWS Secrets Manager in eu-central-1: team/key``."""
        return f"AWS Secrets Manager in {self._caller.region}: {self._secret_id}"

    async def live_versions(self) -> tuple[int, ...]:
        """The numbers of all listed versions: AWSCURRENT, then the others by the time of their creation, newest first.

        Raises:
            KeyUnavailable: the service did not say, there is none, or two share a number.
        """
        async with self._asking:
            return await self._list()

    async def key(self, version: int) -> CustomerKey:
        """The key in one version.

        A number that is on no list yet may be that of a version that another process saw first, so the list is read
        again: for however many such numbers, once per second.

        Raises:
            KeyUnavailable: there is no such version, it is no usable key, or the service did not answer.
        """
        version_id = self._ids.get(version) or await self._newly_listed(version)
        answer = await self._call("get_secret_value", f" version {version}", VersionId=version_id)
        if answer.get("VersionId") != version_id:
            raise self._senseless(f"asked for version {version} it answered with another one")
        return self._key_in(answer, version)

    async def _newly_listed(self, version: int) -> str:
        """The id of a version that was on no list so far."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(max(0.0, self._asked_at + UNKNOWN_NUMBER_SECONDS - began))
        async with self._asking:
            if version not in self._ids and self._asked_at < began:
                await self._list()
        found = self._ids.get(version)
        if found is not None:
            return found
        if self._fault is not None:
            raise self._fault.again()
        raise KeyUnavailable(
            f"{self.where} version {version} does not exist: it was never written, or the service has removed it",
            code="KMS.NotFoundException",
        )

    async def _list(self) -> tuple[int, ...]:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            ids = self._numbered(await self._versions())
        except KeyUnavailable as error:
            self._fault = error.again()
            raise
        self._fault = None
        self._ids = ids
        return tuple(ids)

    async def _versions(self) -> list[_Version]:
        """Every version, in the service's order."""
        versions: list[_Version] = []
        page: dict[str, object] = {}
        for _ in range(MAX_PAGES):
            answer = await self._call(
                "list_secret_version_ids", "", IncludeDeprecated=True, MaxResults=PAGE_VERSIONS, **page
            )
            listed = answer.get("Versions")
            if not isinstance(listed, list) or len(listed) > PAGE_VERSIONS:
                raise self._no_list()
            versions += [self._listed(entry) for entry in listed]
            token = answer.get("NextToken")
            if not token:
                return versions
            if not isinstance(token, str) or len(token) > _MAX_TOKEN_CHARACTERS:
                raise self._no_list()
            page = {"NextToken": token}
        raise self._senseless("it has more versions than Secrets Manager allows")

    def _listed(self, entry: object) -> _Version:
        if not isinstance(entry, dict):
            raise self._no_list()
        version_id, stages, created = entry.get("VersionId"), entry.get("VersionStages", []), entry.get("CreatedDate")
        if not isinstance(version_id, str) or _VERSION_ID.fullmatch(version_id) is None:
            raise self._no_list()
        if not isinstance(stages, list) or not isinstance(created, datetime):
            raise self._no_list()
        if created.tzinfo is None:
            created = created.replace(tzinfo=UTC)
        return _Version(version_id, frozenset(stage for stage in stages if isinstance(stage, str)), created)

    def _numbered(self, versions: Sequence[_Version]) -> dict[int, str]:
        """Number to version id, the version that encrypts first, then newest first."""
        current = sum(_CURRENT in version.stages for version in versions)
        if current > 1:
            raise self._no_list()
        if not current:
            raise KeyUnavailable(f"{self.where}: no version has the label {_CURRENT}", code="KMS.NotFoundException")
        ids: dict[int, str] = {}
        for version in sorted(versions, key=_Version.age_order, reverse=True):
            number = version_number(version.version_id)
            if ids.setdefault(number, version.version_id) != version.version_id:
                raise KeyUnavailable(
                    f"{self.where}: the ids of two versions give the same number, {number}; put the newer key into "
                    "another version",
                    code="KMS.KMSInvalidStateException",
                )
        return ids

    def _key_in(self, answer: Mapping[str, Any], version: int) -> CustomerKey:
        text, binary = answer.get("SecretString"), answer.get("SecretBinary")
        if isinstance(text, str) and binary is None:
            return self._key_in_text(text, version)
        if not isinstance(binary, bytes) or not binary or text is not None:
            raise self._senseless(f"for version {version} it sent neither a text nor bytes")
        if self._field is not None:
            raise self._unusable(version, f"it is bytes, so it has no field {self._field!r}")
        return customer_key_of(binary, version, self.where)

    def _key_in_text(self, text: str, version: int) -> CustomerKey:
        if len(text) > MAX_SECRET_CHARACTERS:
            raise self._unusable(version, f"it has more than {MAX_SECRET_CHARACTERS} characters")
        if self._field is None:
            if text.lstrip().startswith("{"):
                raise self._unusable(version, "it is JSON; the option field says which field holds the key")
            return parse_customer_key(SecretStr(text), version, self.where)
        document = _json_object(text)
        if document is None:
            raise self._unusable(version, f"it is not JSON with the field {self._field!r}")
        if self._field not in document:
            raise KeyUnavailable(
                f"{self.where} version {version}: there is no field {self._field!r}", code="KMS.NotFoundException"
            )
        value = document[self._field]
        if not isinstance(value, str) or not value:
            raise self._unusable(version, f"field {self._field!r} is empty or not a text")
        return parse_customer_key(SecretStr(value), version, f"{self.where}, field {self._field!r}")

    async def _call(self, operation: str, which: str, **parameters: object) -> Mapping[str, Any]:
        try:
            return await self._caller.call(operation, {"SecretId": self._secret_id, **parameters})
        except KeyUnavailable as error:
            reason = (
                "; it does not exist, or is deleted or about to be" if error.code == "KMS.NotFoundException" else ""
            )
            raise KeyUnavailable(f"{error} ({self._secret_id}{which}{reason})", code=error.code) from None

    def _unusable(self, version: int, why: str) -> KeyUnavailable:
        return KeyUnavailable(
            f"The secret key was invalid for the specified algorithm. ({self.where} version {version}: {why})",
            code="InvalidArgument",
        )

    def _no_list(self) -> KeyUnavailable:
        return self._senseless("its answer about the versions makes no sense")

    def _senseless(self, what: str) -> KeyUnavailable:
        return KeyUnavailable(f"{self.where}: {what}")


def _json_object(text: str) -> dict[str, object] | None:
    """The object that a JSON text is; None when it is none, or names a field twice. No error quotes the text."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields
