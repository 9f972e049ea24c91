"""Mode ``cse`` at constant memory: one huge object in parts, and many streams at once.

The slow run moves 2 GiB. ``SEALGATE_TEST_BIG=1`` makes it 10 GiB, which takes minutes and 10 GiB of disk.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.sealing import sealed_rule, sealing_options
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, signer
from tests.faults.wire import connected

_BIG = os.environ.get("SEALGATE_TEST_BIG") == "1"

pytestmark = [pytest.mark.slow, pytest.mark.memory, pytest.mark.alone, pytest.mark.timeout(1_800 if _BIG else 300)]

_BUCKET = "sealed-memory"
_MIB = 2**20
_GIB = 2**30
_OBJECT_BYTES = (10 if _BIG else 2) * _GIB
_PART = 256 * _MIB
_BLOCK = random.Random(5).randbytes(_MIB)
_STREAMS = 32
_STREAM_BYTES = 24 * _MIB
_GROWTH_BYTES = 64 * _MIB
_GROWTH_OF_A_STREAM = _MIB


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, store: SeaweedFS
) -> Iterator[Gateway]:
    directory: Path = tmp_path_factory.mktemp("sealed-memory")
    server = Gateway(directory, authority, store, rules=[sealed_rule("*")], options=sealing_options(directory))
    server.start()
    server.client().create_bucket(Bucket=_BUCKET)
    _warm_up(server.client())
    yield server
    server.stop()


def _warm_up(client: S3Client) -> None:
    """What a process allocates once: code, connections, buffers."""
    for _ in range(3):
        client.put_object(Bucket=_BUCKET, Key="warm", Body=_BLOCK * 4)
        assert len(client.get_object(Bucket=_BUCKET, Key="warm")["Body"].read()) == 4 * _MIB


@contextmanager
def _watched(gateway: Gateway) -> Iterator[list[int]]:
    """The growth of the peak of resident memory is put into the list, bytes. The kernel keeps the peak itself."""
    process = Path(f"/proc/{gateway.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak begins anew: proc(5)
    before = gateway.process.resident_bytes()
    growth: list[int] = []
    yield growth
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    growth.append(int(line.split()[1]) * 1024 - before)


def _send(gateway: Gateway, path: str, size: int, query: dict[str, str] | None = None) -> str:
    """PUT this many bytes, block by block; the ETag comes back."""
    target, fields, _ = signer(gateway).signed("PUT", path, {}, query or {}, "UNSIGNED-PAYLOAD")
    head = [f"PUT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.settimeout(300)
        wire.socket.sendall("\r\n".join([*head, f"Content-Length: {size}", "", ""]).encode())
        for _ in range(size // _MIB):
            wire.socket.sendall(_BLOCK)
        answer = wire.answer()
    assert answer.status == 200, answer.body
    return answer.headers["etag"]


def _receive(client: S3Client, key: str, size: int) -> None:
    """GET, and every byte compared."""
    body = client.get_object(Bucket=_BUCKET, Key=key)["Body"]
    for _ in range(size // _MIB):
        assert body.read(_MIB) == _BLOCK
    assert body.read(1) == b""


def test_a_huge_object_in_parts(gateway: Gateway) -> None:
    """Written and read: the gateway's memory grows by less than 64 MiB."""
    client = gateway.client(**ONCE, read_timeout=600)
    where = {"Bucket": _BUCKET, "Key": "huge"}
    started = time.monotonic()
    with _watched(gateway) as up:
        upload = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
        parts = []
        for number in range(1, _OBJECT_BYTES // _PART + 1):
            query = {"partNumber": str(number), "uploadId": upload["UploadId"]}
            parts.append({"PartNumber": number, "ETag": _send(gateway, f"/{_BUCKET}/huge", _PART, query)})
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    middle = time.monotonic()
    assert client.head_object(**where)["ContentLength"] == _OBJECT_BYTES
    with _watched(gateway) as down:
        _receive(client, "huge", _OBJECT_BYTES)
    print(  # noqa: T201 - the figures, for who asks with -s
        f"\n{_OBJECT_BYTES // _GIB} GiB up {middle - started:.1f} s, +{up[0] / _MIB:.1f} MiB; "
        f"down {time.monotonic() - middle:.1f} s, +{down[0] / _MIB:.1f} MiB"
    )
    client.delete_object(**where)
    assert up[0] < _GROWTH_BYTES
    assert down[0] < _GROWTH_BYTES


def test_many_streams_at_once(gateway: Gateway) -> None:
    """32 uploads, then 32 downloads: less than 64 MiB and 1 MiB for each."""
    keys = [f"stream/{number}" for number in range(_STREAMS)]
    with _watched(gateway) as up:
        _at_once([partial(_send, gateway, f"/{_BUCKET}/{key}", _STREAM_BYTES) for key in keys])
    readers = [partial(_receive, gateway.client(**ONCE), key, _STREAM_BYTES) for key in keys]
    with _watched(gateway) as down:
        _at_once(readers)
    print(  # noqa: T201 - the figures, for who asks with -s
        f"\n{_STREAMS} streams: up +{up[0] / _MIB:.1f} MiB, down +{down[0] / _MIB:.1f} MiB"
    )
    for growth in (up[0], down[0]):
        assert growth < _GROWTH_BYTES + _STREAMS * _GROWTH_OF_A_STREAM


def _at_once(works: Sequence[Callable[[], object]]) -> None:
    """Run all of these in threads; the first error is raised."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
