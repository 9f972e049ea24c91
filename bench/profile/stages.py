"""Micro-benchmarks: what each stage of one request costs in this process, in microseconds, beside its budget.

A request of 1 KiB with the header fields of SDKs goes through every pure stage in turn; then come answers that list
1,000 objects, versions and parts, which are corrected where objects are sealed. Each figure is the lowest of several
rounds: what a stage needs when nothing else is in the way.
"""

import io
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from bench.profile.listings import objects_answer, parts_answer, show_objects, show_own_parts, versions_answer
from gateway.crypto.sealed.envelope import OBJECT_ID_BYTES, Envelope, Kind
from gateway.crypto.sealed.geometry import HEAD_BYTES
from gateway.crypto.sealed.identity import location_of
from gateway.crypto.sealed.message import MessageHead, MessageOpener, seal_message
from gateway.modes.plan import plan
from gateway.observe.access_log import AccessLog
from gateway.observe.metrics import Metrics
from gateway.policy.authorize import authorize
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes, SecretStr
from gateway.s3.authenticate import AuthSettings, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers
from gateway.server.exchange import Exchange
from gateway.server.respond import forwarded_answer_headers
from gateway.upstream.body import BufferedBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.signing import choose_framing, sign_request
from gateway.upstream.urls import Endpoint

_ROUNDS: Final = 7
_ROUND_SECONDS: Final = 0.05
_BODY: Final = bytes(range(256)) * 4
_NOW: Final = datetime.now(UTC)
_CREDENTIAL: Final = Credential("SEALGATEBENCH0000001", SecretStr("not a secret: nobody listens"))
_RULES: Final = (EncryptionRule("rest", ("*",), (), ModeName.SSE_S3),)
_DATA_KEY: Final = SecretBytes(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        name: what it does.
        budget: microseconds that it may take. All stages of a PUT or a GET, the access log aside, may together take
            half of the 200 us that 5,000 requests a second leave for each. What lists 1,000 entries may take six times
            what expat takes for it without a word of Python.
        run: does it once.
    """

    name: str
    budget: float
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timed:
    """A stage and what it took.

    Attributes:
        stage: the stage.
        microseconds: of one run.
    """

    stage: Stage
    microseconds: float


def measure_stages() -> list[Timed]:
    return [Timed(stage, _microseconds(stage.run)) for stage in stages()]


def stages() -> list[Stage]:
    """The stages of a PUT of 1 KiB in mode ``sse-s3``, sealing and opening 1 KiB, and long answers."""
    raw = _raw_request()
    domains = ("s3.example.com",)
    request = parse_request(raw, domains)
    identities = {_CREDENTIAL.access_key_id: Identity("bench", _CREDENTIAL)}
    settings = AuthSettings()
    verified = authenticate(request, identities, _NOW, settings)
    authorized = authorize(verified, _RULES)
    encryption = Headers((("x-amz-server-side-encryption", "AES256"),))
    planned = plan(authorized, encryption)
    upstream = UpstreamRequest(
        operation=request.operation,
        method="PUT",
        bucket=request.bucket,
        raw_object_key=request.raw_object_key,
        query=planned.query,
        headers=planned.headers,
        body=BufferedBody(_BODY),
    )
    endpoint = Endpoint(UpstreamSettings("https://s3.eu-central-1.amazonaws.com"))
    envelope = _envelope()
    sealed = seal_message(_DATA_KEY, envelope, _BODY)
    answered = Headers(_ANSWER)
    metrics = Metrics(CollectorRegistry())
    log = AccessLog(io.StringIO())
    objects, versions, parts = objects_answer(), versions_answer(), parts_answer()
    return [
        Stage("receive and parse", 12, lambda: parse_request(_received(), domains)),
        Stage("verify the signature", 28, lambda: authenticate(request, identities, _NOW, settings)),
        Stage("policy and rule", 6, lambda: authorize(verified, _RULES)),
        Stage("plan", 6, lambda: plan(authorized, encryption)),
        Stage("sign", 31, lambda: _sign(endpoint, upstream)),
        Stage("answer", 1, lambda: forwarded_answer_headers(answered)),
        Stage("count", 10, lambda: _count(metrics)),
        Stage("line of the access log", 11, lambda: log.write(_exchange())),
        Stage("seal 1 KiB", 12, lambda: seal_message(_DATA_KEY, envelope, _BODY)),
        Stage("open 1 KiB", 20, lambda: _open(sealed)),
        Stage("correct a list of 1,000 objects", 6_000, lambda: show_objects(objects)),
        Stage("correct a list of 1,000 versions", 6_000, lambda: show_objects(versions)),
        Stage("correct a list of 1,000 parts", 8_000, lambda: show_own_parts(parts)),
    ]


_FIELDS: Final = (
    ("Host", "bucket.s3.example.com"),
    ("User-Agent", "aws-sdk-java/2.31.0 md/io#sync md/http#Apache ua/2.1 os/Linux#6.8 lang/java#21"),
    ("Content-Type", "application/octet-stream"),
    ("Content-Length", str(len(_BODY))),
    ("x-amz-meta-department", "accounting"),
    ("amz-sdk-invocation-id", "6b1f3f0e-8f0a-4e38-9d5f-2b9a8f4f7a11"),
    ("amz-sdk-request", "attempt=1; max=3"),
)
_ANSWER: Final = (
    ("x-amz-id-2", "LriYPLdmOdAiIfgSm/F1YsViT1LW94/xUQxMsF7xiEb1a0wiIOIxl+zbwZ163pt7"),
    ("x-amz-request-id", "0A49CE4060975EAC"),
    ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("ETag", '"1b2cf535f27731c974343645a3985328"'),
    ("x-amz-server-side-encryption", "AES256"),
    ("x-amz-version-id", "43jfkodU8493jnFJD9fjj3HHNVfdsQUIFDNsidf038jfdsjGFDSIRp"),
    ("Content-Length", "0"),
    ("Server", "AmazonS3"),
)
_PATH: Final = "/invoices/2026/01/0f3c5b7e.json"


def _raw_request() -> RawRequest:
    signed = sign_headers(
        "PUT", _PATH, "", Headers(_FIELDS), _CREDENTIAL, "eu-central-1", "s3", _NOW, "UNSIGNED-PAYLOAD"
    )
    return RawRequest("PUT", _PATH, "", signed, "https", "192.0.2.1", "0A49CE4060975EAC")


_WIRE: Final = tuple((name.encode(), value.encode()) for name, value in _raw_request().headers)


def _received() -> RawRequest:
    headers = Headers((n.decode(), v.decode()) for n, v in _WIRE)
    return RawRequest("PUT", _PATH, "", headers, "https", "192.0.2.1", "0A49CE4060975EAC")


def _sign(endpoint: Endpoint, request: UpstreamRequest) -> CIMultiDict[str]:
    framing = choose_framing(request, sends_trailers=True, over_tls=True)
    location = endpoint.locate(request.bucket, request.raw_object_key, request.query, "eu-central-1")
    signed = sign_request(
        request, framing, location, credential=_CREDENTIAL, region="eu-central-1", now=datetime.now(UTC)
    )
    return CIMultiDict(signed.fields)


def _exchange() -> Exchange:
    """The record of a PUT that was answered."""
    exchange = Exchange("0A49CE4060975EAC", "192.0.2.1", "PUT", "TLSv1.3", bytes_in=len(_BODY), status=200)
    exchange.operation, exchange.bucket, exchange.object_key = "PutObject", "bucket", _PATH[1:]
    exchange.mode, exchange.source = ModeName.SSE_S3, EncryptionSource.INJECTED
    return exchange


def _count(metrics: Metrics) -> None:
    """Everything that is counted of a PUT."""
    metrics.request_begun()
    metrics.policies.decision("allow", "default")
    metrics.encryption_injected("sse-s3")
    metrics.on_first_byte("PutObject", 0.001)
    metrics.on_request("PutObject", 200, 0.001)
    metrics.object_written("sse-s3")
    metrics.request_ended()
    metrics.request_done(_exchange())


def _open(sealed: bytes) -> bytes:
    """What a GET of a small object does with its message."""
    opener = MessageOpener(_DATA_KEY, MessageHead.parse(sealed[:HEAD_BYTES]))
    return opener.update(memoryview(sealed)[HEAD_BYTES:]) + opener.finish()


def _envelope() -> Envelope:
    return Envelope(
        kind=Kind.WHOLE,
        part_number=0,
        plaintext_bytes=len(_BODY),
        object_id=bytes(OBJECT_ID_BYTES),
        location=location_of("bucket", "invoices/2026/01/0f3c5b7e.json"),
        wrapping_key="bench-1",
        wrapped_data_key=bytes(60),
    )


def _microseconds(run: Callable[[], object]) -> float:
    """The lowest of several rounds, in CPU time of this process."""
    timer = timeit.Timer(run, timer=time.process_time)
    count, _ = timer.autorange()
    count = max(1, round(count * _ROUND_SECONDS / 0.2))
    return min(timer.repeat(_ROUNDS, count)) / count * 1e6
