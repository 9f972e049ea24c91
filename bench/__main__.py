"""``make bench``: what the gateway costs beside direct access to the same store, in one run on this machine.

Loopback only, a few minutes at most. The store is SeaweedFS with TLS; the load is presigned requests over TLS, in
rounds that all contestants take in turns, because the machine is noisy. Figures are medians; CPU is that of the
gateway's processes.
"""

import asyncio
import statistics
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.load import Load, Sample, cpu_seconds, run_load
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS

ROUNDS = 3
_MIB = 1024 * 1024
LOADS = (
    Load("PUT 1 KiB", "PUT", 1024, requests=600, concurrency=16),
    Load("GET 1 KiB", "GET", 1024, requests=1200, concurrency=16),
    Load("PUT 64 MiB", "PUT", 64 * _MIB, requests=4, concurrency=2),
    Load("GET 64 MiB", "GET", 64 * _MIB, requests=8, concurrency=2),
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Where requests go, and the process whose CPU is counted."""

    name: str
    bucket: str
    client: S3Client
    pid: int | None


def main() -> None:
    console = Console()
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="sealgate-bench-")))
        authority = CertificateAuthority(directory / "tls")
        vault = OpenBao(directory / "openbao", authority)
        cleanup.callback(vault.kill)
        vault.start()
        store = SeaweedFS(directory / "seaweedfs", authority, vault=vault)
        cleanup.callback(store.kill)
        store.start()
        vault.put_random_key("s3/bench")
        gateway = Gateway(
            directory / "gateway",
            authority,
            store,
            rules=[
                {"name": "none", "buckets": ["none"], "mode": "none"},
                {"name": "sse-c", "buckets": ["sse-c"], "mode": "sse-c", "customer_key": "bench"},
                {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
            ],
            vault=vault,
            customer_keys={"bench": "s3/bench"},
            options={"log": {"access_log": False}},
        )
        cleanup.callback(gateway.stop)
        gateway.start()
        contestants = [Contestant("direct", "direct", store.client(signature_version="s3v4"), None)]
        contestants += [
            Contestant(f"sealgate {mode}", mode, gateway.client(signature_version="s3v4"), gateway.process.pid)
            for mode in ("none", "sse-s3", "sse-c")
        ]
        for contestant in contestants:
            # boto3 repeats a request that a busy store answered too late; the second one finds the bucket there.
            with suppress(contestant.client.exceptions.BucketAlreadyOwnedByYou):
                contestant.client.create_bucket(Bucket=contestant.bucket)
        samples = _measure(contestants, gateway.ca_file, console)
    console.print(_table(samples))


def _measure(contestants: list[Contestant], ca_file: Path, console: Console) -> dict[tuple[str, str], list[Sample]]:
    samples: dict[tuple[str, str], list[Sample]] = {}
    for number in range(1, ROUNDS + 1):
        for load in LOADS:
            for contestant in contestants:
                url = contestant.client.generate_presigned_url(
                    f"{load.method.lower()}_object",
                    Params={"Bucket": contestant.bucket, "Key": f"object-{load.size}"},
                    ExpiresIn=3600,
                )
                before = cpu_seconds(contestant.pid)
                sample = asyncio.run(run_load(load, url, ca_file))
                sample = sample.with_cpu(cpu_seconds(contestant.pid) - before)
                samples.setdefault((load.name, contestant.name), []).append(sample)
        console.print(f"round {number} of {ROUNDS} done", highlight=False)
    return samples


def _table(samples: dict[tuple[str, str], list[Sample]]) -> Table:
    table = Table("load", "through", "requests/s", "MB/s", "p50 ms", "p99 ms", "CPU s/GiB", "CPU s/1000", "to direct")
    for (load, contestant), rounds in samples.items():
        rate = statistics.median(sample.requests_per_second for sample in rounds)
        direct = statistics.median(sample.requests_per_second for sample in samples[load, "direct"])
        measured = contestant != "direct"
        table.add_row(
            load,
            contestant,
            f"{rate:,.0f}",
            f"{statistics.median(sample.megabytes_per_second for sample in rounds):,.1f}",
            f"{statistics.median(sample.p50_ms for sample in rounds):.1f}",
            f"{statistics.median(sample.p99_ms for sample in rounds):.1f}",
            f"{statistics.median(sample.cpu_seconds_per_gib for sample in rounds):.2f}" if measured else "",
            f"{statistics.median(sample.cpu_seconds_per_1000 for sample in rounds):.2f}" if measured else "",
            f"{rate / direct:.2f}",
        )
    return table


if __name__ == "__main__":
    main()
