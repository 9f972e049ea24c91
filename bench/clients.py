"""The load generators: h2load for requests, s5cmd for multipart uploads, curl for first bytes.

Requests are signed here, before the clock starts, with the signature in the header as SDKs do it. h2load reads bodies
from files and sends as many requests as it is told over as many connections, each with one request at a time.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as SigningCredentials

from bench.contestants import Contestant
from bench.figures import percentile
from bench.loads import KIB, Kind, Load
from bench.machine import Processors
from bench.stub import KEPT_PREFIX
from gateway.s3.aws_chunked_encoder import AwsChunkedEncoder
from gateway.s3.checksums import Algorithm
from lab.binaries import LabError, require_binary
from lab.s3_server import REGION

#: A range that begins and ends inside segments of a sealed object.
_RANGE_FIRST: Final = 100_000_001
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run of a load generator saw.

    Attributes:
        requests: how many were answered.
        seconds: how long all of them took.
        latencies_ms: ascending.
    """

    requests: int
    seconds: float
    latencies_ms: Sequence[float]

    @property
    def p50_ms(self) -> float:
        return percentile(self.latencies_ms, 50)

    @property
    def p99_ms(self) -> float:
        return percentile(self.latencies_ms, 99)


class Clients:
    """Runs load generators on their own processors.

    Args:
        directory: for bodies and logs.
        processors: where they run.
    """

    def __init__(self, directory: Path, processors: Processors) -> None:
        self._directory = directory
        self._pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(processors.others)))]
        directory.mkdir(parents=True, exist_ok=True)

    def run(self, load: Load, contestant: Contestant, requests: int) -> Taken:
        """Send ``requests`` requests.

        Raises:
            LabError: one of them failed.
        """
        match load.kind:
            case Kind.MULTIPART:
                return self._s5cmd(load, contestant, requests)
            case Kind.FIRST_BYTE:
                return self._curl(load, contestant, requests)
            case _:
                return self._h2load(load, contestant, requests)

    def store_objects(self, loads: Iterable[Load], contestant: Contestant) -> None:
        """Write the objects that loads read, through the contestant."""
        reading = {load.size for load in loads if load.kind in {Kind.GET, Kind.RANGE, Kind.FIRST_BYTE}}
        for size in sorted(reading):
            url, headers = signed_request(contestant, "PUT", kept_path(contestant, size), {})
            command = ["curl", "--silent", "--show-error", "--fail", "--cacert", contestant.ca_file]
            self._do([*command, *_fields(headers), "--upload-file", self._body(Kind.PUT, size), url])

    def _h2load(self, load: Load, contestant: Contestant, requests: int) -> Taken:
        method, path, extra, body = self._request(load, contestant)
        url, headers = signed_request(contestant, method, path, extra)
        log = self._directory / "h2load.log"
        log.unlink(missing_ok=True)
        command = ["h2load", "--h1", f"--requests={requests}", f"--clients={load.connections}", "--threads=1"]
        data = [] if body is None else [f"--data={body}"]
        self._do([*command, f"--log-file={log}", *data, "--header", f":method: {method}", *_fields(headers), url])
        return parse_log(log.read_text(), requests)

    def _request(self, load: Load, contestant: Contestant) -> tuple[str, str, dict[str, str], Path | None]:
        """Method, path, header fields and body of a load's requests."""
        written = f"/{contestant.bucket}/written-{load.size}"
        match load.kind:
            case Kind.PUT:
                return "PUT", written, {}, self._body(load.kind, load.size)
            case Kind.PUT_TRAILER:
                return "PUT", written, _trailer_fields(load.size), self._body(load.kind, load.size)
            case Kind.RANGE:
                last = _RANGE_FIRST + load.payload_bytes - 1
                return "GET", kept_path(contestant, load.size), {"range": f"bytes={_RANGE_FIRST}-{last}"}, None
            case Kind.LIST:
                return "GET", f"/{contestant.bucket}?list-type=2", {}, None
            case _:
                return "GET", kept_path(contestant, load.size), {}, None

    def _curl(self, load: Load, contestant: Contestant, requests: int) -> Taken:
        """Over one connection; the time from the end of a request to the first byte of its answer."""
        url, headers = signed_request(contestant, "GET", kept_path(contestant, load.size), {})
        command = ["curl", "--silent", "--show-error", "--fail", "--cacert", contestant.ca_file]
        shown = ["--write-out", r"%{stderr}%{time_pretransfer} %{time_starttransfer}\n", "--output", "/dev/null"]
        # Globbing repeats the request; the fragment that counts is not sent.
        started = time.perf_counter()
        printed = self._do([*command, *_fields(headers), *shown, f"{url}#[1-{requests}]"])
        seconds = time.perf_counter() - started
        pairs = [line.split() for line in printed.splitlines()]
        latencies = sorted((float(begun) - float(sent)) * 1000 for sent, begun in pairs)
        return Taken(len(latencies), seconds, latencies)

    def _s5cmd(self, load: Load, contestant: Contestant, requests: int) -> Taken:
        latencies = []
        for _ in range(requests):
            started = time.perf_counter()
            target = f"s3://{contestant.bucket}/multipart"
            command = [require_binary("s5cmd"), "--endpoint-url", contestant.endpoint, "cp", "--part-size", "16"]
            body = self._body(Kind.PUT, load.size)
            environment = {
                "AWS_ACCESS_KEY_ID": contestant.credentials.access_key,
                "AWS_SECRET_ACCESS_KEY": contestant.credentials.secret_key,
                "AWS_CA_BUNDLE": str(contestant.ca_file),
                "AWS_REGION": REGION,
            }
            self._do([*command, "--concurrency", load.connections, body, target], environment)
            latencies.append((time.perf_counter() - started) * 1000)
        return Taken(requests, sum(latencies) / 1000, sorted(latencies))

    def _body(self, kind: Kind, size: int) -> Path:
        path = self._directory / f"{kind.name.lower()}-{size}"
        if not path.exists():
            data = os.urandom(size)
            path.write_bytes(data if kind is Kind.PUT else _framed(data))
        return path

    def _do(self, command: Sequence[object], environment: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._pinned, *map(str, command)],
            env=os.environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stderr


def parse_log(text: str, requests: int) -> Taken:
    """The log of h2load: for each request when it began (µs), its status, and how long it took (µs).

    Raises:
        LabError: a request had no answer or one that is no success.
    """
    began: list[int] = []
    took: list[int] = []
    statuses: set[str] = set()
    for line in text.splitlines():
        start, status, microseconds = line.split("\t")
        began.append(int(start))
        took.append(int(microseconds))
        statuses.add(status)
    if len(took) != requests or any(not status.startswith("2") for status in statuses):
        raise LabError(f"{len(took)} of {requests} requests were answered, with {', '.join(sorted(statuses))}")
    ends = [start + duration for start, duration in zip(began, took, strict=True)]
    return Taken(requests, (max(ends) - min(began)) / 1e6, [duration / 1000 for duration in sorted(took)])


def signed_request(
    contestant: Contestant, method: str, path: str, extra: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """The URL and the header fields of a request, signed now."""
    request = AWSRequest(method, contestant.endpoint + path, headers=dict(extra))
    # Over TLS, bodies are not signed: the default of the SDKs.
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    if "x-amz-trailer" in extra:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    credentials = SigningCredentials(contestant.credentials.access_key, contestant.credentials.secret_key)
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    return contestant.endpoint + path, dict(request.headers.items())


def _fields(headers: Mapping[str, str]) -> list[str]:
    return [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]


def kept_path(contestant: Contestant, size: int) -> str:
    """The path of the object of this size that loads read."""
    return f"/{contestant.bucket}/{KEPT_PREFIX}{size}"


def _trailer_fields(size: int) -> dict[str, str]:
    return {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(size),
        "x-amz-trailer": Algorithm.CRC32.header,
        "x-amz-sdk-checksum-algorithm": "CRC32",
    }


def _framed(data: bytes) -> bytes:
    encoder = AwsChunkedEncoder(len(data), Algorithm.CRC32)
    pieces = [encoder.encode(data[start : start + 64 * KIB]) for start in range(0, len(data), 64 * KIB)]
    return b"".join([*pieces, encoder.finish()])
