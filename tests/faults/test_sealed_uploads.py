"""Random multipart uploads in mode ``cse`` against a model, through two gateways, one of which is killed now and then.

An object is exactly what CompleteMultipartUpload listed, or the call failed and the object is what it was before.
Every sequence comes from a seed; a failure prints the seed and the steps so far.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.sealing import sealed_rule, sealing_options
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

_BUCKET = "model"
_MIB = 2**20
_MINIMUM = 5 * _MIB
#: Everything that is uploaded is a stretch of this.
_POOL = random.Random(3).randbytes(12 * _MIB)
_LARGE = (_MINIMUM, _MINIMUM + 1, _MINIMUM + 16_384, _MINIMUM + 100_001)
_SMALL = (0, 1, 1_000, 16_383, 16_384, 16_385, 100_000, _MINIMUM - 1)
_NUMBERS = (1, 2, 3, 4, 7, 9_999, 10_000)
_LAST = 10_000
_Down = (ClientError, BotoCoreError, OSError)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some content, and the ETag of the part that it was sent as."""

    start: int
    size: int
    etag: str = ""

    @property
    def data(self) -> bytes:
        return _POOL[self.start : self.start + self.size]


@dataclass
class Upload:
    """What the model knows of an upload.

    Attributes:
        parts: what was acknowledged last, by part number.
        outdated: ETags that were replaced, by part number.
    """

    upload_id: str
    parts: dict[int, Piece] = field(default_factory=dict)
    outdated: dict[int, list[str]] = field(default_factory=dict)


@dataclass
class Twins:
    """Two gateways before one store, with one staging directory and one keyring."""

    gateways: tuple[Gateway, Gateway]
    clients: tuple[S3Client, S3Client]

    def restart(self, number: int) -> None:
        self.gateways[number].kill()
        self.gateways[number].start()


@pytest.fixture(scope="module")
def twins(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS
) -> Iterator[Twins]:
    directory: Path = tmp_path_factory.mktemp("model")
    options = sealing_options(directory)
    rules = [sealed_rule("*")]
    first, second = (
        Gateway(directory / name, authority, seaweed, rules=rules, options=options, name=name)
        for name in ("first", "second")
    )
    first.start()
    second.start()
    if _BUCKET not in [bucket["Name"] for bucket in first.client().list_buckets()["Buckets"]]:
        first.client().create_bucket(Bucket=_BUCKET)
    yield Twins((first, second), (first.client(**ONCE), second.client(**ONCE)))
    for gateway in (first, second):
        gateway.stop()


class Model:
    """One random sequence for one object key.

    Args:
        twins: the gateways.
        seed: where all chance comes from.
        kills: whether gateways are killed.
    """

    def __init__(self, twins: Twins, seed: int, *, kills: bool) -> None:
        self._twins = twins
        self._random = random.Random(seed)
        self._kills = kills
        self._where = {"Bucket": _BUCKET, "Key": f"model/{seed} ä"}
        self._content: bytes | None = None
        self._upload: Upload | None = None
        self.steps: list[str] = []
        self.completed = 0

    def run(self, steps: int) -> None:
        """Take this many steps, each of which checks what it can."""
        for _ in range(steps):
            if self._upload is None:
                self._begin()
                continue
            step: Callable[[Upload], None] = self._random.choices(
                [self._send, self._send_wrongly, self._list, self._complete, self._abort, self._kill],
                [60, 8, 8, 18, 3, 4 if self._kills else 0],
            )[0]
            step(self._upload)
        if self._upload is not None:
            self._complete(self._upload)
        self._check_object()

    # ----------------------------------------------------------------------------------------------------------- steps

    def _client(self) -> S3Client:
        number = self._random.randrange(2)
        self.steps.append(f"  through {number}")
        return self._twins.clients[number]

    def _say(self, text: str) -> None:
        self.steps.append(text)

    def _begin(self) -> None:
        self._say("create")
        self._upload = Upload(self._client().create_multipart_upload(**self._where)["UploadId"])

    def _send(self, upload: Upload) -> None:
        number = self._random.choice(_NUMBERS)
        # Mostly parts that may stand anywhere, so that most lists can be completed.
        sizes = _LARGE if self._random.random() < 0.6 else _SMALL
        size = self._random.choice(sizes)
        piece = Piece(self._random.randrange(len(_POOL) - size), size)
        self._say(f"part {number}: {size} bytes from {piece.start}")
        if number == _LAST and size >= _MINIMUM:
            # Behind it there would be no place for the closing.
            with pytest.raises(ClientError):
                self._client().upload_part(**self._of(upload), PartNumber=number, Body=piece.data)
            return
        etag = self._client().upload_part(**self._of(upload), PartNumber=number, Body=piece.data)["ETag"]
        if number in upload.parts:
            upload.outdated.setdefault(number, []).append(upload.parts[number].etag)
        upload.parts[number] = Piece(piece.start, size, etag)

    def _send_wrongly(self, upload: Upload) -> None:
        """A part whose checksum is another one's: it changes nothing."""
        number = self._random.choice(_NUMBERS)
        size = self._random.choice((*_LARGE, *_SMALL))
        self._say(f"wrong part {number}: {size} bytes")
        with pytest.raises(ClientError) as refused:
            self._client().upload_part(
                **self._of(upload), PartNumber=number, Body=_POOL[:size], ChecksumCRC32="AAAAAQ=="
            )
        assert refused.value.response["Error"]["Code"] == "BadDigest"

    def _list(self, upload: Upload) -> None:
        self._say("list parts")
        self._check_parts(upload)

    def _abort(self, upload: Upload) -> None:
        self._say("abort")
        self._client().abort_multipart_upload(**self._of(upload))
        self._upload = None
        with pytest.raises(ClientError) as refused:
            self._client().upload_part(**self._of(upload), PartNumber=1, Body=b"late")
        assert refused.value.response["Error"]["Code"] == "NoSuchUpload"

    def _kill(self, upload: Upload) -> None:
        """Kill one gateway: between two requests, in the middle of a part, or in the middle of Complete."""
        moment = self._random.choice(["between", "part", "complete"])
        self._say(f"kill 0: {moment}")
        if moment == "between":
            self._twins.restart(0)
        elif moment == "part":
            self._kill_during_part(upload)
        else:
            self._kill_during_complete(upload)

    def _kill_during_part(self, upload: Upload) -> None:
        number = self._random.choice(_NUMBERS[:-1])
        piece = Piece(self._random.randrange(_MIB), _LARGE[0])

        def send(client: S3Client) -> str:
            found: str = client.upload_part(**self._of(upload), PartNumber=number, Body=piece.data)["ETag"]
            return found

        etag = self._killed_during(send)
        if etag is not None:
            upload.parts[number] = Piece(piece.start, piece.size, etag)
            return
        # It is there or it is not; what is there is whole.
        listed = {part["PartNumber"]: part for part in self._parts(upload)}
        known = upload.parts.get(number)
        if number in listed and (known is None or listed[number]["ETag"] != known.etag):
            assert listed[number]["Size"] == piece.size
            upload.parts[number] = Piece(piece.start, piece.size, listed[number]["ETag"])

    def _kill_during_complete(self, upload: Upload) -> None:
        numbers = self._completable(upload)
        if not numbers:
            return
        content = self._expected(upload, numbers)
        listed = self._listed(upload, numbers)
        done = self._killed_during(
            lambda client: client.complete_multipart_upload(**self._of(upload), MultipartUpload={"Parts": listed})
        )
        found = self._read()
        self._say(f"  answered: {done is not None}, new content: {found == content}")
        assert found in ({content} if done is not None else {content, self._content})
        if done is None and found != content:
            # Sent again, as a client does.
            self._client().complete_multipart_upload(**self._of(upload), MultipartUpload={"Parts": listed})
        self._content, self._upload = content, None
        self.completed += 1
        self._check_object()

    def _killed_during(self, call: Callable[[S3Client], Any]) -> Any:
        """What ``call`` returns although its gateway is killed meanwhile; None when it fails."""
        found: list[Any] = []

        def run() -> None:
            try:
                found.append(call(self._twins.clients[0]))
            except _Down:
                found.append(None)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(self._random.choice((0.005, 0.02, 0.04, 0.08, 0.15)))
        self._twins.restart(0)
        thread.join(60)
        assert found, "the call did not end"
        return found[0]

    def _complete(self, upload: Upload) -> None:
        numbers = sorted(self._random.sample(sorted(upload.parts), self._random.randint(0, len(upload.parts))))
        listed = self._listed(upload, numbers)
        fault = self._random.choice(["none", "none", "none", "outdated", "order", "unknown", "etag"])
        if fault == "outdated" and (old := [number for number in numbers if upload.outdated.get(number)]):
            next(part for part in listed if part["PartNumber"] == old[0])["ETag"] = upload.outdated[old[0]][0]
        elif fault == "order" and len(listed) > 1:
            listed.reverse()
        elif fault == "unknown" and _LAST not in numbers:
            listed.append({"PartNumber": max(numbers, default=0) + 1, "ETag": '"0123456789abcdef0123456789abcdef"'})
        elif fault == "etag" and listed:
            listed[-1] = listed[-1] | {"ETag": '"0123456789abcdef0123456789abcdef"'}
        else:
            fault = "none"
        valid = fault == "none" and bool(numbers) and self._fits(upload, numbers)
        self._say(f"complete {numbers}, fault {fault}, expected to {'succeed' if valid else 'fail'}")
        request = {"MultipartUpload": {"Parts": listed}}
        if not valid:
            with pytest.raises(ClientError) as refused:
                self._client().complete_multipart_upload(**self._of(upload), **request)
            self._say(f"  {refused.value.response['Error']['Code']}")
            assert 400 <= refused.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
            self._check_object()
            self._check_parts(upload)
            return
        answer = self._client().complete_multipart_upload(**self._of(upload), **request)
        self._content, self._upload = self._expected(upload, numbers), None
        self.completed += 1
        self._check_object(answer["ETag"])

    # ---------------------------------------------------------------------------------------------------------- checks

    def _of(self, upload: Upload) -> dict[str, str]:
        return self._where | {"UploadId": upload.upload_id}

    @staticmethod
    def _fits(upload: Upload, numbers: list[int]) -> bool:
        return all(upload.parts[number].size >= _MINIMUM for number in numbers[:-1])

    @staticmethod
    def _completable(upload: Upload) -> list[int]:
        """Every part that is large enough, and the last one whatever its size."""
        last = max(upload.parts, default=0)
        return sorted(number for number in upload.parts if number == last or upload.parts[number].size >= _MINIMUM)

    @staticmethod
    def _expected(upload: Upload, numbers: list[int]) -> bytes:
        return b"".join(upload.parts[number].data for number in numbers)

    @staticmethod
    def _listed(upload: Upload, numbers: list[int]) -> list[dict[str, Any]]:
        return [{"PartNumber": number, "ETag": upload.parts[number].etag} for number in numbers]

    def _parts(self, upload: Upload) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client().list_parts(**self._of(upload)).get("Parts", [])
        return found

    def _check_parts(self, upload: Upload) -> None:
        listed = {part["PartNumber"]: (part["Size"], part["ETag"]) for part in self._parts(upload)}
        assert listed == {number: (piece.size, piece.etag) for number, piece in upload.parts.items()}

    def _read(self) -> bytes | None:
        try:
            body: bytes = self._client().get_object(**self._where)["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"  # noqa: PT017 - every other error fails
            return None
        return body

    def _check_object(self, etag: str | None = None) -> None:
        """Bytes, size, a range and the listing, through either gateway."""
        assert self._read() == self._content
        if self._content is None:
            return
        head = self._client().head_object(**self._where)
        assert head["ContentLength"] == len(self._content)
        assert etag in {None, head["ETag"]}
        (entry,) = self._client().list_objects_v2(Bucket=_BUCKET, Prefix=self._where["Key"])["Contents"]
        assert (entry["Size"], entry["ETag"]) == (len(self._content), head["ETag"])
        if self._content:
            first = self._random.randrange(len(self._content))
            last = min(len(self._content), first + self._random.choice((1, 20_000, 6 * _MIB)))
            part = self._client().get_object(**self._where, Range=f"bytes={first}-{last - 1}")["Body"].read()
            assert part == self._content[first:last]


def _run(twins: Twins, seed: int, steps: int, *, kills: bool) -> int:
    model = Model(twins, seed, kills=kills)
    try:
        model.run(steps)
    except BaseException:
        print("\n".join([f"seed {seed}", *model.steps]))  # noqa: T201 - what leads to the failure
        raise
    return model.completed


def test_a_random_upload_is_what_was_completed(twins: Twins) -> None:
    assert _run(twins, 1, 30, kills=False) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_random_uploads_are_what_was_completed(twins: Twins, seed: int) -> None:
    _run(twins, seed, 60, kills=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 206))
def test_random_uploads_are_what_was_completed_although_a_gateway_is_killed(twins: Twins, seed: int) -> None:
    _run(twins, seed, 60, kills=True)
