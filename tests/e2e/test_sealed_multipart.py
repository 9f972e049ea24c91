"""Multipart uploads under mode ``cse``: the object is exactly what CompleteMultipartUpload named, or there is none."""

import base64
import random
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.modes.shown_etag import shown_etag
from lab.process import wait_until
from lab.s3_server import S3Client
from tests.e2e.opened_offline import open_stored
from tests.e2e.stage import CSE, ENFORCED_CSE, NONE, SSE_S3, Stage, fails
from tests.e2e.wire import Answer, Key

_MIB = 1024 * 1024
_FIVE = 5 * _MIB
_DATA = random.Random(13).randbytes(17 * _MIB)


@pytest.fixture(
    scope="module",
    params=[
        "stage",
        pytest.param("rgw_stage", marks=pytest.mark.slow),
        pytest.param("minio_stage", marks=pytest.mark.slow),
    ],
)
def world(request: pytest.FixtureRequest) -> Stage:
    """A gateway before each store in turn."""
    found: Stage = request.getfixturevalue(request.param)
    return found


class Upload:
    """One upload through the gateway.

    Attributes:
        parts: what the client was told of its parts.
        sent: their bytes.
    """

    def __init__(self, stage: Stage, key: str, encryption: str = CSE, **options: Any) -> None:
        self.stage = stage
        self.place = {"Bucket": stage.bucket(encryption), "Key": key}
        self.created = stage.client.create_multipart_upload(**self.place, **options)
        self.upload_id = self.created["UploadId"]
        self.where = self.place | {"UploadId": self.upload_id}
        self.parts: dict[int, str] = {}
        self.sent: dict[int, bytes] = {}

    def put(self, number: int, data: bytes, client: S3Client | None = None, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (client or self.stage.client).upload_part(
            **self.where, PartNumber=number, Body=data, **options
        )
        self.parts[number], self.sent[number] = answer["ETag"], data
        return answer

    def complete(self, *numbers: int, client: S3Client | None = None, **options: Any) -> dict[str, Any]:
        chosen = numbers or tuple(sorted(self.parts))
        listed = [{"PartNumber": number, "ETag": self.parts[number]} for number in chosen]
        answer: dict[str, Any] = (client or self.stage.client).complete_multipart_upload(
            **self.where, MultipartUpload={"Parts": listed}, **options
        )
        return answer

    def listed(self, **options: Any) -> list[tuple[int, str, int]]:
        answer = self.stage.client.list_parts(**self.where, **options)
        assert answer["UploadId"] == self.upload_id
        assert not [name for name in answer if name.startswith("Checksum")]
        assert not [name for part in answer.get("Parts", []) for name in part if name.startswith("Checksum")]
        return [(part["PartNumber"], part["ETag"], part["Size"]) for part in answer.get("Parts", [])]

    def stored_parts(self) -> list[tuple[int, str]]:
        """Numbers and ETags, as clients are shown them, of the parts that the store has."""
        upstream = self.place | {"UploadId": self.upload_id.partition(".sg1-")[0]}
        return [
            (part["PartNumber"], shown_etag(part["ETag"]))
            for part in self.stage.direct.list_parts(**upstream).get("Parts", [])
        ]

    def opened(self, *numbers: int, **arguments: Any) -> Any:
        """The stored object, which has to be these parts."""
        opened = open_stored(self.stage, self.place["Bucket"], self.place["Key"], **arguments)
        chosen = numbers or tuple(sorted(self.sent))
        assert opened.plaintext == b"".join(self.sent[number] for number in chosen)
        assert opened.table is not None
        assert [(part.number, part.plaintext_bytes) for part in opened.table.parts()] == [
            (number, len(self.sent[number])) for number in chosen
        ]
        return opened

    def is_absent(self) -> bool:
        return fails(lambda: self.stage.direct.head_object(**self.place))[0] == 404

    def ask_to_complete(self, document: bytes, headers: dict[str, str] | None = None) -> Answer:
        target = f"/{self.place['Bucket']}/{quote(self.place['Key'])}?uploadId={self.upload_id}"
        return self.stage.ask("POST", target, headers=headers, body=document)


def _document(*parts: tuple[int, str]) -> bytes:
    """What a client sends to complete an upload."""
    named = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
    return f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()


def _require_subsets(stage: Stage) -> None:
    if stage.store.name == "rgw":
        pytest.skip("Ceph RGW completes an upload with all of its parts only")


def staged(stage: Stage) -> list[Path]:
    """What is in the staging directory."""
    return [path for path in (stage.sealing / "staging").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "sizes",
    [
        (0,),
        (1,),
        (_FIVE - 1,),
        (_FIVE,),
        (_FIVE, 0),
        (_FIVE, 1),
        (_FIVE, 16_384),
        (_FIVE + 1, _FIVE, 6 * _MIB),
        (_FIVE, _FIVE, _FIVE - 1),
    ],
    ids=lambda sizes: "+".join(map(str, sizes)),
)
def test_any_sizes_become_one_object(world: Stage, sizes: tuple[int, ...]) -> None:
    upload = Upload(world, f"sizes/{'+'.join(map(str, sizes))}", ContentType="text/x-own", Metadata={"a": "b"})
    assert re.search(r"\.sg1-cse-[0-9a-f]{8}-0\Z", upload.upload_id)
    for number, size in enumerate(sizes, 1):
        upload.put(number, _DATA[number : number + size])
    expected = [(number, upload.parts[number], size) for number, size in enumerate(sizes, 1)]
    assert upload.listed() == expected
    done = upload.complete()
    opened = upload.opened()
    assert opened.head["Metadata"] == {"a": "b", "sealgate": "v1"}
    assert opened.head["ContentType"] == "text/x-own"
    if world.store.name != "rgw":  # Ceph RGW 16 answers with an empty ETag
        stored = opened.head["ETag"]
        assert done["ETag"] == stored.replace("-1", "-10001") if stored.endswith('-1"') else done["ETag"] == stored
    assert done["Location"].startswith(world.gateway.endpoint)
    assert not [name for name in done if name.startswith("Checksum")]


def test_parts_in_any_order_at_once_and_again(world: Stage) -> None:
    upload = Upload(world, "order")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: upload.put(number, _DATA[number : number + _FIVE + number]), (7, 3, 9, 1)))
    upload.put(3, _DATA[100 : 100 + 6 * _MIB])
    upload.put(10, b"an old tail")
    upload.put(10, b"the tail")
    upload.complete()
    upload.opened()


def test_a_part_sent_twice_is_sealed_with_other_keys(stage: Stage) -> None:
    upload = Upload(stage, "twice")
    first = upload.put(1, _DATA[:_FIVE])["ETag"]
    assert upload.put(1, _DATA[:_FIVE])["ETag"] != first
    upload.complete()
    upload.opened()


def test_a_subset_of_the_parts_becomes_the_object(world: Stage) -> None:
    _require_subsets(world)
    upload = Upload(world, "subset")
    for number in (1, 2, 3, 4):
        upload.put(number, _DATA[number : number + _FIVE])
    upload.put(5, b"a tail that is not wanted")
    upload.complete(2, 4)
    upload.opened(2, 4)


def test_a_small_part_in_the_middle_may_be_the_last_one_of_a_subset(world: Stage) -> None:
    _require_subsets(world)
    upload = Upload(world, "middle")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, b"small")
    upload.put(3, _DATA[:_FIVE])
    assert fails(lambda: upload.complete(1, 2, 3))[:2] == (400, "EntityTooSmall")
    upload.complete(1, 2)
    upload.opened(1, 2)


def test_errors_are_those_of_s3(stage: Stage) -> None:
    upload = Upload(stage, "errors")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, b"tail")
    listed = upload.listed()
    etags = upload.parts

    for document, code in (
        (b"<nonsense/>", "MalformedXML"),
        (_document(), "MalformedXML"),
        (_document((2, etags[2]), (1, etags[1])), "InvalidPartOrder"),
        (_document((1, etags[1]), (3, etags[2])), "InvalidPart"),
        (_document((1, etags[2])), "InvalidPart"),
        (_document((1, etags[1]), (2, '"0123"')), "InvalidPart"),
        (_document((0, etags[1])), "InvalidArgument"),
    ):
        answer = upload.ask_to_complete(document)
        assert (answer.status, answer.code) == (400, code), document
    small = Upload(stage, "errors")
    small.put(1, b"small")
    small.put(2, b"tail")
    answer = small.ask_to_complete(_document((1, small.parts[1]), (2, small.parts[2])))
    assert (answer.code, answer.text_of("ProposedSize"), answer.text_of("PartNumber")) == ("EntityTooSmall", "5", "1")
    assert answer.text_of("MinSizeAllowed") == str(_FIVE)
    assert upload.listed() == listed
    assert sorted(upload.stored_parts()) == sorted(upload.parts.items())
    assert upload.is_absent()
    upload.complete()
    upload.opened()


def test_completing_once_more_gives_the_same_answer(world: Stage) -> None:
    upload = Upload(world, "once more")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, b"tail")
    done = upload.complete()
    again = upload.complete()
    assert again["Location"] == done["Location"]
    assert again["ETag"] == (done["ETag"] or world.client.head_object(**upload.place)["ETag"])
    assert fails(lambda: upload.complete(1))[:2] == (404, "NoSuchUpload")
    world.client.put_object(**upload.place, Body=b"another object")
    assert fails(upload.complete)[:2] == (404, "NoSuchUpload")
    world.client.delete_object(**upload.place)
    assert fails(upload.complete)[:2] == (404, "NoSuchUpload")


def test_etags_without_quotes_are_accepted(stage: Stage) -> None:
    upload = Upload(stage, "quotes")
    upload.put(1, b"tail")
    upload.parts[1] = upload.parts[1].strip('"')
    upload.complete()
    upload.opened()


@pytest.mark.parametrize("again", ["as it was", "with another tail", "without the tail"])
def test_a_failed_condition_leaves_the_upload_as_it_was(world: Stage, again: str) -> None:
    upload = Upload(world, f"condition/{again}")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, b"tail")
    listed = upload.listed()
    if world.store.name == "rgw":
        pytest.skip("Ceph RGW 16 knows no conditions on CompleteMultipartUpload")
    world.client.put_object(**upload.place, Body=b"there first")
    assert fails(lambda: upload.complete(IfNoneMatch="*"))[0] in {409, 412}
    assert open_stored(world, **_named(upload)).plaintext == b"there first"
    assert upload.listed() == listed  # what the closing took the place of is what it was to the client
    (own,) = {etag for _, etag in upload.stored_parts()} - set(upload.parts.values())
    for number in (2, 3):
        assert upload.ask_to_complete(_document((1, upload.parts[1]), (number, own))).code == "InvalidPart"
    assert fails(lambda: upload.complete(IfNoneMatch="*"))[0] in {409, 412}
    assert upload.listed() == listed
    if again == "as it was":
        upload.complete()
        upload.opened(1, 2)
        return
    if again == "with another tail":
        upload.put(2, b"another tail")
        upload.complete()
        upload.opened(1, 2)
        return
    upload.put(3, b"the client's own part 3")
    assert {part[0] for part in upload.listed()} == {1, 2, 3}
    upload.complete(1, 3)
    upload.opened(1, 3)


def _named(upload: Upload) -> dict[str, str]:
    return {"bucket": upload.place["Bucket"], "key": upload.place["Key"]}


def test_conditions_of_a_completion_mean_the_shown_etags(stage: Stage) -> None:
    place = {"Bucket": stage.bucket(CSE), "Key": "conditions of a completion"}
    shown = stage.client.put_object(**place, Body=b"first")["ETag"]
    upload = Upload(stage, place["Key"])
    upload.put(1, b"second")
    assert fails(lambda: upload.complete(IfMatch='"0-1"'))[0] == 412
    upload.complete(IfMatch=shown)
    upload.opened()


@pytest.mark.parametrize("size", [_FIVE - 1, _FIVE])
def test_parts_up_to_the_last_number(world: Stage, size: int) -> None:
    upload = Upload(world, f"last number/{size}")
    upload.put(9_999, _DATA[:size])
    if size == _FIVE:
        upload.put(10_000, b"the very last")
    upload.complete()
    upload.opened()


def test_a_small_last_part_of_a_subset_takes_its_own_place_when_no_number_is_free(stage: Stage) -> None:
    upload = Upload(stage, "no number is free")
    upload.put(9_999, b"the last")
    upload.put(10_000, b"not wanted")
    upload.complete(9_999)
    upload.opened(9_999)


def test_the_last_number_has_no_room_for_a_large_part(stage: Stage) -> None:
    upload = Upload(stage, "too late")
    status, code, message = fails(lambda: upload.put(10_000, _DATA[:_FIVE]))
    assert (status, code) == (400, "EntityTooLarge")
    assert "5 MiB" in message
    assert upload.listed() == []
    upload.put(9_999, _DATA[:_FIVE])
    upload.put(10_000, b"in the way")
    assert fails(lambda: upload.complete(9_999))[:2] == (400, "InvalidRequest")
    assert sorted(part[0] for part in upload.listed()) == [9_999, 10_000]  # SeaweedFS sorts them as text
    assert sorted(upload.stored_parts()) == sorted(upload.parts.items())


@pytest.mark.parametrize("number", ["0", "10001", "x", ""])
def test_other_part_numbers_are_refused(stage: Stage, number: str) -> None:
    upload = Upload(stage, "numbers")
    target = f"/{upload.place['Bucket']}/numbers?partNumber={number}&uploadId={upload.upload_id}"
    answer = stage.ask("PUT", target, body=b"x")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_part_beyond_the_limit_is_refused_before_its_body(stage: Stage) -> None:
    upload = Upload(stage, "large part")
    target = f"/{upload.place['Bucket']}/large%20part?partNumber=1&uploadId={upload.upload_id}"
    fields = {
        "content-length": str(5 * 1024**3), "expect": "100-continue", "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }  # fmt: skip
    answer = stage.ask("PUT", target, headers=fields)
    assert (answer.status, answer.code) == (400, "EntityTooLarge")
    assert "5 GiB less" in answer.message


def test_more_parts_than_one_page(stage: Stage) -> None:
    upload = Upload(stage, "pages")
    client = stage.gateway.client(max_pool_connections=16)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: upload.put(number, b"%d" % number, client), range(2, 1_103)))
    upload.put(1, _DATA[:_FIVE])
    assert [part[0] for part in upload.listed(MaxParts=1000)] == list(range(1, 1_001))
    assert [part[0] for part in upload.listed(PartNumberMarker=1000)] == list(range(1_001, 1_103))
    upload.complete(1, 1_102)
    upload.opened(1, 1_102)


# ------------------------------------------------------------------------------------------------------------ checksums


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        ({}, {}),
        ({"ChecksumAlgorithm": "CRC32"}, {"ChecksumAlgorithm": "CRC32", "ChecksumType": "COMPOSITE"}),
        ({"ChecksumAlgorithm": "CRC64NVME"}, {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}),
        (
            {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"},
            {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"},
        ),
        ({"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}),
    ],
)
def test_the_clients_checksums_are_verified_and_echoed(
    stage: Stage, asked: dict[str, str], echoed: dict[str, str]
) -> None:
    client = stage.gateway.client(request_checksum_calculation="when_required")
    place = {"Bucket": stage.bucket(CSE), "Key": f"checksums/of {'-'.join(asked.values())}"}
    created = client.create_multipart_upload(**place, **asked)
    assert {name: value for name, value in created.items() if name.startswith("Checksum")} == echoed
    upload = Upload(stage, place["Key"])
    upload.where = place | {"UploadId": created["UploadId"]}
    upload.upload_id = created["UploadId"]
    parts = []
    for number, data in ((1, _DATA[:_FIVE]), (2, b"tail")):
        sent = {"ChecksumAlgorithm": asked["ChecksumAlgorithm"]} if asked else {}
        answer = upload.put(number, data, client, **sent)
        shown = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        assert set(shown) == ({f"Checksum{asked['ChecksumAlgorithm']}"} if asked else set())
        if asked.get("ChecksumAlgorithm") == "CRC32":
            assert shown["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()
        parts.append({"PartNumber": number, "ETag": answer["ETag"]} | shown)
    upload.listed()
    client.complete_multipart_upload(**upload.where, MultipartUpload={"Parts": parts})
    upload.opened()


@pytest.mark.parametrize(
    "asked",
    [
        {"x-amz-checksum-algorithm": "MD4"},
        {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"},
        {"x-amz-checksum-type": "COMPOSITE"},
    ],
)
def test_checksums_that_do_not_exist_are_refused(stage: Stage, asked: dict[str, str]) -> None:
    answer = stage.ask("POST", f"/{stage.bucket(CSE)}/no-such-checksum?uploads", headers=asked)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_a_wrong_checksum_leaves_no_part(stage: Stage) -> None:
    upload = Upload(stage, "wrong")
    for data in (b"small", _DATA[:100_000], _DATA[:_FIVE]):
        assert fails(partial(upload.put, 1, data, ChecksumCRC32="AAAAAA=="))[:2] == (400, "BadDigest")
    assert upload.listed() == []
    assert not [path for path in staged(stage) if path.parent.name == "drafts"]


def test_the_checksum_of_the_whole_object_is_not_implemented(stage: Stage) -> None:
    upload = Upload(stage, "whole checksum")
    upload.put(1, b"tail")
    status, code, message = fails(lambda: upload.complete(ChecksumCRC32="AAAAAA=="))
    assert (status, code) == (501, "NotImplemented")
    assert "can not be verified" in message
    assert upload.is_absent()
    upload.complete(ChecksumType="FULL_OBJECT", MpuObjectSize=4)
    upload.opened()


def test_the_size_that_a_client_expects_is_that_of_the_plaintext(stage: Stage) -> None:
    upload = Upload(stage, "expected size")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, b"tail")
    assert fails(lambda: upload.complete(MpuObjectSize=_FIVE + 5))[:2] == (400, "InvalidRequest")
    upload.complete(MpuObjectSize=_FIVE + 4)
    upload.opened()


# -------------------------------------------------------------------------------------------------------------- staging


def test_only_small_parts_are_staged_and_completing_clears_them(stage: Stage) -> None:
    before = set(staged(stage))
    upload = Upload(stage, "staged")
    puts = stage.gateway.metric("sealgate_staging_total", operation="put")
    upload.put(1, _DATA[:_FIVE])
    assert set(staged(stage)) == before
    upload.put(2, _DATA[:300_000])
    (path,) = set(staged(stage)) - before
    content = path.read_bytes()
    assert _DATA[:64] not in content
    assert content.startswith(b"sealgate")
    assert stage.gateway.metric("sealgate_staging_total", operation="put") == puts + 1
    upload.complete()
    upload.opened()
    assert set(staged(stage)) == before


def test_aborting_clears_what_was_staged(stage: Stage) -> None:
    before = set(staged(stage))
    upload = Upload(stage, "aborted")
    upload.put(1, b"small")
    assert set(staged(stage)) != before
    stage.client.abort_multipart_upload(**upload.where)
    assert set(staged(stage)) == before
    assert fails(lambda: upload.complete(1))[:2] == (404, "NoSuchUpload")
    assert fails(lambda: upload.put(1, b"small"))[:2] == (404, "NoSuchUpload")
    assert set(staged(stage)) == before


@pytest.mark.parametrize("damage", ["gone", "cut", "changed", "exchanged"])
def test_a_staged_part_that_was_lost_or_damaged_has_to_be_sent_again(stage: Stage, damage: str) -> None:
    before = set(staged(stage))
    upload = Upload(stage, f"damaged/{damage}")
    upload.put(1, _DATA[:_FIVE])
    upload.put(2, _DATA[:200_000])
    (path,) = set(staged(stage)) - before
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "changed":
        content[100_000] ^= 1
        path.write_bytes(content)
    else:
        upload.put(3, _DATA[1:200_001])
        (other,) = set(staged(stage)) - before - {path}
        path.write_bytes(other.read_bytes())
    answer = fails(lambda: upload.complete(1, 2))
    assert answer[:2] == (400, "InvalidPart")
    assert "upload it again" in answer[2]
    assert upload.is_absent()
    upload.put(2, _DATA[:200_000])
    upload.complete(1, 2)
    upload.opened(1, 2)


def test_an_aborted_request_leaves_no_draft(stage: Stage) -> None:
    upload = Upload(stage, "hung up")
    target = f"/{upload.place['Bucket']}/hung%20up?partNumber=1&uploadId={upload.upload_id}"
    answer = stage.ask("PUT", target, headers={"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, body=_DATA[: 2 * _MIB])
    assert answer.code == "BadDigest"
    wait_until(lambda: not list((stage.sealing / "staging" / "drafts").iterdir()), seconds=5, what="no draft")
    assert upload.listed() == []


# ---------------------------------------------------------------------------------------------------- ids and the rules


@pytest.mark.parametrize("encryption", [CSE, ENFORCED_CSE])
def test_only_an_id_that_says_so_may_write_under_the_rule(stage: Stage, encryption: str) -> None:
    place = {"Bucket": stage.bucket(encryption), "Key": "foreign"}
    upstream = stage.direct.create_multipart_upload(**place)["UploadId"]
    for foreign in (upstream, f"{upstream}.sg1-s3-00000000-0", f"{upstream}.sg1-cse-00000000-0"):
        upload = place | {"UploadId": foreign}
        for call in (
            lambda upload=upload: stage.client.upload_part(**upload, PartNumber=1, Body=b"plain"),
            lambda upload=upload: stage.client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "e"}]}
            ),
            lambda upload=upload: stage.client.upload_part_copy(
                **upload, PartNumber=1, CopySource={"Bucket": stage.bucket(NONE), "Key": "any"}
            ),
        ):
            assert fails(call)[:2] == (404, "NoSuchUpload")
    assert "Parts" not in stage.direct.list_parts(**place, UploadId=upstream)


def test_an_id_that_says_cse_is_sealed_whatever_the_rule_says(stage: Stage) -> None:
    """As after a change of the rule in the middle of an upload."""
    sealed = Upload(stage, "changed rule")
    tag = sealed.upload_id.partition(".sg1-")[2]
    place = {"Bucket": stage.bucket(SSE_S3), "Key": "changed rule"}
    upstream = stage.direct.create_multipart_upload(**place, Metadata={"sealgate": "v1"})["UploadId"]
    sealed.place, sealed.where = place, place | {"UploadId": f"{upstream}.sg1-{tag}"}
    sealed.put(1, b"still sealed")
    sealed.complete()
    sealed.opened()


def test_an_upload_under_a_clients_customer_key(stage: Stage) -> None:
    own = Key.new().arguments()
    upload = Upload(stage, "customer", **own)
    upload.put(1, _DATA[:_FIVE], **own)
    upload.put(2, b"tail", **own)
    assert [size for _, _, size in upload.listed()] == [_FIVE, 4]
    upload.complete(**own)
    upload.opened(**own)
