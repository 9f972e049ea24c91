"""One byte changed, missing or too many anywhere in an upload: an error, and no object, no part, no overwrite."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.sealing import sealed_rule, sealing_options
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, keys_in, signer
from tests.faults.wire import FORMS, Answer, Form, Upload, connected, exchange

_BUCKET = "tampering"
_CODES = {
    "BadDigest", "IncompleteBody", "InvalidChunkSizeError", "InvalidRequest", "MalformedTrailerError",
    "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_SMALL = os.urandom(20_000)
#: Beyond what the gateway holds whole, so it is on its way upstream when its end turns out to be wrong.
_LARGE = os.urandom(200_000)


@dataclass
class Side:
    """A gateway with one way of protecting bodies upstream, and the store behind it.

    Attributes:
        sealed: whether the store gets ciphertext.
    """

    gateway: Gateway
    client: S3Client
    direct: S3Client
    sealed: bool

    def upload(self, key: str, payload: bytes, form: Form, query: dict[str, str] | None = None) -> Upload:
        chunk_bytes = 8192 if len(payload) < 65_536 else 65_536
        return signer(self.gateway).upload(f"/{_BUCKET}/{key}", payload, form, chunk_bytes=chunk_bytes, query=query)

    def send(self, upload: Upload) -> Answer:
        return exchange(self.gateway.endpoint, self.gateway.ca_file, upload)

    def send_part_of(self, upload: Upload, size: int) -> None:
        """Send the head and some of the body, and hang up."""
        with connected(self.gateway.endpoint, self.gateway.ca_file) as wire:
            wire.socket.sendall(upload.head + upload.body[:size])

    def content(self, key: str) -> bytes:
        """What was stored under a key, as its reader gets it."""
        stored: bytes = self.direct.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        if not self.sealed:
            return stored
        assert stored.startswith(b"sealgate")
        found: bytes = self.client.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return found

    def is_idle(self) -> bool:
        return self.gateway.metric("sealgate_requests_in_flight") == 0


@pytest.fixture(scope="module", params=["trailer", "unsigned", "sealed"])
def side(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    seaweed: SeaweedFS,
) -> Iterator[Side]:
    directory = tmp_path_factory.mktemp("tampering")
    sealed = request.param == "sealed"
    gateway = Gateway(
        directory,
        authority,
        seaweed,
        rules=[sealed_rule("*") if sealed else {"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        options=sealing_options(directory) if sealed else {"upstream": {"payload": request.param}},
    )
    gateway.start()
    side = Side(gateway, gateway.client(**ONCE), seaweed.client(**ONCE), sealed)
    if _BUCKET in [bucket["Name"] for bucket in side.direct.list_buckets()["Buckets"]]:
        # What another side wrote under the same keys.
        for key in keys_in(side.direct, _BUCKET):
            side.direct.delete_object(Bucket=_BUCKET, Key=key)
    if _BUCKET not in [bucket["Name"] for bucket in side.direct.list_buckets()["Buckets"]]:
        side.direct.create_bucket(Bucket=_BUCKET)
    yield side
    gateway.stop()


def _positions(upload: Upload) -> dict[str, int]:
    """First, middle and last byte of everything that the body consists of."""
    found: dict[str, int] = {}
    for name, (start, end) in upload.marks.items():
        found |= {f"{name} first": start, f"{name} middle": (start + end) // 2, f"{name} last": end - 1}
    unique = {position: name for name, position in found.items()}
    return {name: position for position, name in unique.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payload", [_SMALL, _LARGE], ids=["held", "streamed"])
def test_untouched_uploads_arrive(side: Side, form: Form, payload: bytes) -> None:
    """The uploads that the other tests bend are right by themselves."""
    key = f"whole/{form}-{len(payload)}"
    answer = side.send(side.upload(key, payload, form))
    assert (answer.status, answer.code) == (200, "")
    assert side.content(key) == payload


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payload", [_SMALL, _LARGE], ids=["held", "streamed"])
def test_a_changed_byte_leaves_no_object(side: Side, form: Form, payload: bytes) -> None:
    """Whatever byte is changed, of data, chunk headers, signatures, trailers or line ends: an error and no object."""
    prefix = f"flipped/{form}-{len(payload)}/"
    wrong = {}
    for name, position in _positions(side.upload(prefix, payload, form)).items():
        answer = side.send(side.upload(f"{prefix}{name.replace(' ', '-')}", payload, form).flipped(position))
        if answer.code not in _CODES or not 400 <= answer.status < 500:
            wrong[name] = (answer.status, answer.code)
    assert wrong == {}
    assert keys_in(side.direct, _BUCKET, prefix) == []


@pytest.mark.parametrize("form", ["chunks", "chunks-trailer"])
def test_a_changed_letter_case_changes_no_object(side: Side, form: Form) -> None:
    """Bytes that may mean the same in another letter case: the object is the one that was signed, or there is none."""
    prefix = f"case/{form}/"
    for name, position in _positions(side.upload(prefix, _SMALL, form)).items():
        key = f"{prefix}{name.replace(' ', '-')}"
        side.send(side.upload(key, _SMALL, form).flipped(position, 0x20))
    for key in keys_in(side.direct, _BUCKET, prefix):
        assert side.content(key) == _SMALL


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payload", [_SMALL, _LARGE], ids=["held", "streamed"])
def test_a_body_of_another_length_leaves_no_object(side: Side, form: Form, payload: bytes) -> None:
    """A body shorter or longer than what was signed, with a Content-Length that says so: an error, no object."""
    prefix = f"length/{form}-{len(payload)}/"
    whole = side.upload(prefix, payload, form).body
    changes = {
        "without its last byte": -1,
        "without its last line": -2,
        "without its last chunk": -90,
        "half": -len(whole) // 2,
        "nothing": -len(whole),
        "one byte more": 1,
        "a chunk more": 70_000,
    }
    wrong = {}
    for name, change in changes.items():
        upload = side.upload(f"{prefix}{name.replace(' ', '-')}", payload, form)
        body = upload.body[:change] if change < 0 else upload.body + bytes(change)
        answer = side.send(upload.with_body(body))
        if answer.code not in _CODES or not 400 <= answer.status < 500:
            wrong[name] = (answer.status, answer.code)
    assert wrong == {}
    assert keys_in(side.direct, _BUCKET, prefix) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payload", [_SMALL, _LARGE], ids=["held", "streamed"])
def test_a_client_that_hangs_up_leaves_no_object(side: Side, form: Form, payload: bytes) -> None:
    """A connection that ends before the body does, at any place: no object, and the gateway lets go of the request."""
    prefix = f"hung-up/{form}-{len(payload)}/"
    size = len(side.upload(prefix, payload, form).body)
    for sent in (0, 1, size // 3, size // 2, size - 100, size - 1):
        side.send_part_of(side.upload(f"{prefix}{sent}", payload, form), sent)
    wait_until(side.is_idle, seconds=10, what="the end of every request")
    assert keys_in(side.direct, _BUCKET, prefix) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_body_keeps_what_was_there(side: Side, form: Form) -> None:
    """An overwrite that fails, held or streamed, leaves the old object as it was."""
    key = f"old/{form}"
    side.client.put_object(Bucket=_BUCKET, Key=key, Body=b"the old content")
    for payload in (_SMALL, _LARGE):
        upload = side.upload(key, payload, form)
        assert side.send(upload.flipped(len(upload.body) // 2)).code in _CODES
        assert side.send(upload.with_body(upload.body[:-1])).code in _CODES
        side.send_part_of(upload, len(upload.body) - 1)
    wait_until(side.is_idle, seconds=10, what="the end of every request")
    assert side.content(key) == b"the old content"


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_part_is_no_part(side: Side, form: Form) -> None:
    """UploadPart holds to the same: no part is listed after a wrong one, and a right one is listed and completes."""
    key = f"parts/{form}"
    upload_id = side.client.create_multipart_upload(Bucket=_BUCKET, Key=key)["UploadId"]
    query = {"partNumber": "1", "uploadId": upload_id}
    for payload in (_SMALL, _LARGE):
        upload = side.upload(key, payload, form, query)
        for position in list(_positions(upload).values())[::4]:
            assert side.send(upload.flipped(position)).code in _CODES
        assert side.send(upload.with_body(upload.body[:-1])).code in _CODES
        side.send_part_of(upload, len(upload.body) // 2)
    wait_until(side.is_idle, seconds=10, what="the end of every request")
    assert "Parts" not in side.client.list_parts(Bucket=_BUCKET, Key=key, UploadId=upload_id)
    at_store = upload_id.partition(".sg1-")[0]
    assert "Parts" not in side.direct.list_parts(Bucket=_BUCKET, Key=key, UploadId=at_store)
    answer = side.send(side.upload(key, _LARGE, form, query))
    assert answer.status == 200
    parts = [{"PartNumber": 1, "ETag": answer.headers["etag"]}]
    side.client.complete_multipart_upload(Bucket=_BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert side.content(key) == _LARGE


def test_a_changed_head_leaves_no_object(side: Side) -> None:
    """A changed header field that is signed, an added one of Amazon's own, and a changed path are refused unread."""
    upload = side.upload("head/field", _SMALL, "checksum")
    changed = upload.with_fields(x_amz_checksum_crc32="AAAAAA==")
    added = side.upload("head/added", _SMALL, "literal").with_fields(x_amz_acl="public-read")
    moved = side.upload("head/a", _SMALL, "literal")
    moved = Upload(moved.target.replace("head/a", "head/b"), moved.fields, moved.body, moved.marks)
    assert [side.send(bent).status for bent in (changed, added, moved)] == [403, 403, 403]
    assert keys_in(side.direct, _BUCKET, "head/") == []


def test_a_body_that_follows_a_refusal_is_no_request(side: Side) -> None:
    """A body that holds another request, behind a head that is refused, is never taken for one."""
    inner = side.upload("smuggled/inner", b"x", "literal")
    outer = side.upload("smuggled/outer", inner.head + inner.body, "literal").with_fields(x_amz_acl="public-read")
    with connected(side.gateway.endpoint, side.gateway.ca_file) as wire:
        wire.send(outer)
        assert wire.answer().status == 403
        wire.send(signer(side.gateway).get(f"/{_BUCKET}/smuggled/inner"))
        assert wire.answer("GET").code == "NoSuchKey"  # the answer to the GET, not to a PUT inside the body
    assert keys_in(side.direct, _BUCKET, "smuggled/") == []


_WRONG_CLAIMS = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA==", "x-amz-checksum-crc32": "AAAAAA=="}


def _form(side: Side, key: str, payload: bytes, fields: dict[str, str] | None = None) -> Upload:
    """A form as a browser sends it, signed by boto3."""
    signer = side.gateway.client(signature_version="s3v4")
    conditions = [{name: text} for name, text in (fields or {}).items()]
    signed = signer.generate_presigned_post(_BUCKET, key, Fields=dict(fields or {}), Conditions=conditions)
    parts: dict[str, Any] = {**signed["fields"], "file": ("file", payload, "application/octet-stream")}
    body, media_type = urllib3.encode_multipart_formdata(parts)
    host = side.gateway.endpoint.partition("//")[2]
    head = {"Host": host, "Content-Type": media_type, "Content-Length": str(len(body))}
    return Upload(f"/{_BUCKET}", head, body, {}, method="POST")


@pytest.mark.parametrize("payload", [_SMALL, _LARGE], ids=["held", "streamed"])
def test_a_wrong_form_leaves_no_object(side: Side, payload: bytes) -> None:
    """Claims that do not hold, bodies that end early, clients that hang up: an error, no object, and the old one stays.

    The same form as it should be is taken.
    """
    prefix = f"form/{len(payload)}/"
    for name, value in _WRONG_CLAIMS.items():
        answer = side.send(_form(side, f"{prefix}{name}", payload, {name: value}))
        assert (answer.status, answer.code) == (400, "BadDigest"), name
    size = len(_form(side, prefix, payload).body)
    # Without its last line end it is still a form.
    for removed in (3, 40, size // 2):
        whole = _form(side, f"{prefix}short", payload)
        answer = side.send(whole.with_body(whole.body[:-removed]))
        assert 400 <= answer.status < 500, removed
        side.send_part_of(whole, size - removed)
    wait_until(side.is_idle, seconds=10, what="the end of every request")
    assert keys_in(side.direct, _BUCKET, prefix) == []
    assert side.send(_form(side, f"{prefix}right", payload)).status == 204
    side.send_part_of(_form(side, f"{prefix}right", payload[::-1]), size - 100)
    wait_until(side.is_idle, seconds=10, what="the end of every request")
    assert side.content(f"{prefix}right") == payload
