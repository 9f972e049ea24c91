"""A gateway that seals with the key of a service, and clients that ask it as fast as a test wants."""

import asyncio
import contextlib
import re
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE
from tests.faults.key_services import KeyService, merged

#: In every object; wherever it is found at the store, something was written in the clear.
MARK = b"marked plaintext that no store may ever see "
_CODE = re.compile(r"<Code>([A-Za-z.]+)</Code>")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended.

    Attributes:
        key: the object key.
        status: HTTP status.
        code: S3's error code, empty when there is none.
        body: the body of a GET.
        seconds: how long it took.
        ended: when, on the monotonic clock.
        retry_after: the answer's Retry-After.
    """

    key: str
    status: int
    code: str
    body: bytes
    seconds: float
    ended: float
    retry_after: str

    @property
    def good(self) -> bool:
        return self.status == 200


class KeyStage:
    """The gateway.

    Attributes:
        client: boto3 through the gateway, which shows every error.
        direct: boto3 straight to the store.
    """

    def __init__(
        self,
        directory: Path,
        authority: CertificateAuthority,
        store: SeaweedFS,
        service: KeyService,
        *,
        bucket: str,
        workers: int = 2,
        messages: int = 10_000,
        requests_per_second: float | None = None,
        name: str = "gateway",
    ) -> None:
        self.service = service
        self.bucket = bucket
        rule = {"name": "sealed", "buckets": [bucket], "mode": "cse", "wrapping_key": service.wrapping_key}
        options: dict[str, Any] = {"workers": workers, "data_keys": {"maximum_messages": messages}}
        self.gateway = Gateway(
            directory,
            authority,
            store,
            rules=[rule, {"name": "rest", "buckets": ["*"], "mode": "none"}],
            sealing=directory / "sealing",
            options=merged(options, service.options(directory, requests_per_second=requests_per_second)),
            name=name,
        )
        self.direct: S3Client = store.client()
        self.client: S3Client = self.gateway.client(**ONCE)
        self._signing: S3Client = self.gateway.client(
            signature_version="s3v4", request_checksum_calculation="when_required"
        )
        self._tls = ssl.create_default_context(cafile=str(authority.ca_file))
        with contextlib.suppress(self.direct.exceptions.BucketAlreadyOwnedByYou):
            self.direct.create_bucket(Bucket=bucket)

    def restart(self) -> None:
        """Another process: it has asked for nothing yet."""
        self.gateway.stop()
        self.gateway.start()

    def counted(self, **labels: str) -> int:
        """Requests to key services as the metrics of all workers have them."""
        return int(self.gateway.metric("sealgate_kms_requests_total", **labels))

    def urls(self, method: str, keys: Iterable[str]) -> dict[str, str]:
        """Presigned URLs by object key."""
        operation = {"PUT": "put_object", "GET": "get_object"}[method]
        return {
            key: self._signing.generate_presigned_url(operation, {"Bucket": self.bucket, "Key": key}) for key in keys
        }

    def session(self, connections: int = 32) -> aiohttp.ClientSession:
        """A client of the gateway for :func:`ask`."""
        connector = aiohttp.TCPConnector(limit=connections, ssl=self._tls)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))

    async def all_of(self, method: str, keys: Iterable[str], *, connections: int = 32) -> list[Outcome]:
        """One request for each key, so many at a time."""
        urls = self.urls(method, keys)
        async with self.session(connections) as session:
            return list(await asyncio.gather(*(ask(session, method, key, url) for key, url in urls.items())))

    async def ask_together(self, url: str, key: str, times: int) -> list[Outcome]:
        """The same GET many times at once, each on a connection of its own."""
        async with self.session(times) as session:
            return list(await asyncio.gather(*(ask(session, "GET", key, url) for _ in range(times))))

    def marks_at_store(self) -> list[str]:
        """Object keys of whatever the store has in the clear."""
        found = []
        for page in self.direct.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                stored = self.direct.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                if MARK in stored or content(entry["Key"]) in stored:
                    found.append(entry["Key"])
        return found


def content(key: str) -> bytes:
    """What the object with this key contains."""
    return MARK + key.encode()


async def ask(session: aiohttp.ClientSession, method: str, key: str, url: str) -> Outcome:
    """One request."""
    began = time.monotonic()
    async with session.request(method, url, data=content(key) if method == "PUT" else None) as answer:
        body = await answer.read()
    code = _CODE.search(body.decode(errors="replace")) if answer.status >= 400 else None
    ended = time.monotonic()
    retry_after = answer.headers.get("Retry-After", "")
    return Outcome(key, answer.status, code[1] if code else "", body, ended - began, ended, retry_after)


async def at_a_rate(per_second: float, seconds: float, send: Callable[[int], Awaitable[Outcome]]) -> list[Outcome]:
    """Requests at even distances, however long each of them takes: clients that do not wait for each other."""
    began = time.monotonic()
    tasks = []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        tasks.append(asyncio.ensure_future(send(number)))
    return list(await asyncio.gather(*tasks))


def summary(outcomes: Iterable[Outcome]) -> Counter[str]:
    """What the requests ended with, counted."""
    return Counter(f"{one.status} {one.code}".strip() for one in outcomes)
