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
from lab.s3_server import S3Client, S3Server
from lab.sealing import sealed_rule, sealing_options
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
        outdated: what that replaced, by part number.
    """

    upload_id: str
    parts: dict[int, Piece] = field(default_factory=dict)
    outdated: dict[int, list[Piece]] = field(default_factory=dict)

    def add(self, number: int, piece: Piece) -> None:
        """A part was sent, perhaps again."""
        if number in self.parts:
            self.outdated.setdefault(number, []).append(self.parts[number])
        self.parts[number] = piece

    def variants(self, number: int) -> list[Piece]:
        """Everything that was sent as this part."""
        return [*self.outdated.get(number, []), *([self.parts[number]] if number in self.parts else [])]


@dataclass
class Twins:
    """Two gateways before one store, with one staging directory and one keyring."""

    gateways: tuple[Gateway, Gateway]
    clients: tuple[S3Client, S3Client]
    #: Whether the store forgets a part that is sent again; SeaweedFS lists and takes every variant.
    forgets_outdated: bool
    #: Whether Complete may leave parts out; Ceph RGW refuses it.
    takes_subsets: bool

    def restart(self, number: int) -> None:
        self.gateways[number].kill()
        self.gateways[number].start()


@pytest.fixture(scope="module", params=["seaweedfs", pytest.param("rgw", marks=pytest.mark.slow)])
def twins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority
) -> Iterator[Twins]:
    store: S3Server = request.getfixturevalue({"seaweedfs": "seaweed"}.get(request.param, request.param))
    directory: Path = tmp_path_factory.mktemp("model")
    options = sealing_options(directory)
    rules = [sealed_rule("*")]
    first, second = (
        Gateway(directory / name, authority, store, rules=rules, options=options, name=name)
        for name in ("first", "second")
    )
    first.start()
    second.start()
    if _BUCKET not in [bucket["Name"] for bucket in first.client().list_buckets()["Buckets"]]:
        first.client().create_bucket(Bucket=_BUCKET)
    yield Twins(
        (first, second),
        (first.client(**ONCE), second.client(**ONCE)),
        forgets_outdated=request.param != "seaweedfs",
        takes_subsets=request.param != "rgw",
    )
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
        upload.add(number, Piece(piece.start, size, etag))

    def _send_wrongly(self, upload: Upload) -> None:
        """A part whose checksum is another one's: it changes nothing."""
        number = self._random.choice(_NUMBERS)
        size = self._random.choice((*_LARGE, *_SMALL))
        self._say(f"wrong part {number}: {size} bytes")
        with pytest.raises(ClientError) as refused:
            self._client().upload_part(
                **self._of(upload), PartNumber=number, Body=_POOL[:size], ChecksumCRC32="AAAAAQ=="
            )
        too_large = number == _LAST and size >= _MINIMUM
        assert refused.value.response["Error"]["Code"] == ("EntityTooLarge" if too_large else "BadDigest")

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
            upload.add(number, Piece(piece.start, piece.size, etag))
            return
        # It is there or it is not; what is there is whole.
        known = {variant.etag for variant in upload.variants(number)}
        for part in self._parts(upload):
            if part["PartNumber"] == number and part["ETag"] not in known:
                assert part["Size"] == piece.size
                upload.add(number, Piece(piece.start, piece.size, part["ETag"]))

    def _kill_during_complete(self, upload: Upload) -> None:
        numbers = self._completable(upload)
        if not numbers or (not self._twins.takes_subsets and len(numbers) < len(upload.parts)):
            return
        pieces = {number: upload.parts[number] for number in numbers}
        content = b"".join(piece.data for piece in pieces.values())
        listed = [{"PartNumber": number, "ETag": piece.etag} for number, piece in pieces.items()]
        done = self._killed_during(
            lambda client: client.complete_multipart_upload(**self._of(upload), MultipartUpload={"Parts": listed})
        )
        found = self._read()
        self._say(f"  answered: {done is not None}, new content: {found == content}")
        assert found in ({content} if done is not None else {content, self._content})
        if done is None and found != content and not self._complete_again(upload, listed):
            return
        self._content, self._upload = content, None
        self.completed += 1
        self._check_object()

    def _complete_again(self, upload: Upload, listed: list[dict[str, Any]]) -> bool:
        """As a client does after no answer. Where all parts have to be listed, the lost closing may be one too many."""
        try:
            self._client().complete_multipart_upload(**self._of(upload), MultipartUpload={"Parts": listed})
        except ClientError as error:
            if self._twins.takes_subsets or error.response["Error"]["Code"] != "InvalidPart":
                raise
            self._say("  the upload is spoiled")
            self._check_object()
            self._abort(upload)
            return False
        return True

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
        count = len(upload.parts)
        # All of them often enough, because some servers take no less.
        count = self._random.choice((count, self._random.randint(0, count)))
        numbers = sorted(self._random.sample(sorted(upload.parts), count))
        pieces = {number: upload.parts[number] for number in numbers}
        fault = self._random.choice(["none", "none", "none", "outdated", "order", "unknown", "etag"])
        old = [number for number in numbers if upload.outdated.get(number)]
        if fault == "outdated" and old:
            pieces[old[0]] = self._random.choice(upload.outdated[old[0]])
        listed = [{"PartNumber": number, "ETag": piece.etag} for number, piece in pieces.items()]
        if fault == "order" and len(listed) > 1:
            listed.reverse()
        elif fault == "unknown" and _LAST not in numbers:
            listed.append({"PartNumber": max(numbers, default=0) + 1, "ETag": '"0123456789abcdef0123456789abcdef"'})
        elif fault == "etag" and listed:
            listed[-1] = listed[-1] | {"ETag": '"0123456789abcdef0123456789abcdef"'}
        elif fault != "outdated" or not old:
            fault = "none"
        valid = fault == "none" or (fault == "outdated" and not self._twins.forgets_outdated)
        valid = valid and (self._twins.takes_subsets or len(numbers) == len(upload.parts))
        valid = valid and bool(numbers) and all(piece.size >= _MINIMUM for piece in list(pieces.values())[:-1])
        if valid and numbers[-1] == _LAST - 1 and _LAST in upload.parts:
            # No number is left for the closing, unless it goes with a small last part.
            valid = pieces[_LAST - 1].size < _MINIMUM
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
        self._content, self._upload = b"".join(piece.data for piece in pieces.values()), None
        self.completed += 1
        self._check_object(answer["ETag"])

    # ---------------------------------------------------------------------------------------------------------- checks

    def _of(self, upload: Upload) -> dict[str, str]:
        return self._where | {"UploadId": upload.upload_id}

    @staticmethod
    def _completable(upload: Upload) -> list[int]:
        """Every part that is large enough, and the last one whatever its size."""
        last = max(upload.parts, default=0)
        return sorted(number for number in upload.parts if number == last or upload.parts[number].size >= _MINIMUM)

    def _parts(self, upload: Upload) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client().list_parts(**self._of(upload)).get("Parts", [])
        return found

    def _check_parts(self, upload: Upload) -> None:
        listed = {(part["PartNumber"], part["Size"], part["ETag"]) for part in self._parts(upload)}
        current = {(number, piece.size, piece.etag) for number, piece in upload.parts.items()}
        if self._twins.forgets_outdated:
            assert listed == current
            return
        sent = {(number, piece.size, piece.etag) for number in upload.parts for piece in upload.variants(number)}
        assert current <= listed <= sent

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
        # Ceph RGW answers Complete with an empty one.
        assert etag in {None, "", head["ETag"]}
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
@pytest.mark.parametrize("seed", range(100, 104))
def test_random_uploads_are_what_was_completed(twins: Twins, seed: int) -> None:
    _run(twins, seed, 50, kills=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 204))
def test_random_uploads_are_what_was_completed_although_a_gateway_is_killed(twins: Twins, seed: int) -> None:
    _run(twins, seed, 40, kills=True)
