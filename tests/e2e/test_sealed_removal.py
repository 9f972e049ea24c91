"""Removing sealed objects, on condition and without: the store compares ETags, so it has to be told its own."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS
from tests.e2e.between import Between
from tests.e2e.stage import CSE, CSE_PLAINTEXT, NONE, Stage


@pytest.fixture(scope="module")
def between(seaweed: SeaweedFS, authority: CertificateAuthority) -> Iterator[Between]:
    server = Between(seaweed, authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stage(
    between: Between, seaweed: SeaweedFS, lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao
) -> Iterator[Stage]:
    """A gateway whose requests to the store are seen on their way: SeaweedFS itself ignores these conditions."""
    running = Stage(lab_directory / "removal", authority, between, openbao, prefix="e2e-removal")
    running.start()
    running.direct = seaweed.client()
    yield running
    running.gateway.stop()


def _place(stage: Stage, key: str, encryption: str = CSE) -> dict[str, str]:
    return {"Bucket": stage.bucket(encryption), "Key": key}


def _exists(stage: Stage, place: dict[str, str]) -> bool:
    listed = stage.direct.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"])
    return bool(listed.get("Contents"))


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()  # noqa: S324 - what the header is


def _sent(stage: Stage, between: Between, place: dict[str, str], etag: str) -> str:
    """The condition that reaches the store."""
    with between.counting() as seen, suppress(ClientError):
        stage.client.delete_object(**place, IfMatch=etag)
    (passed,) = [one for one in seen if one.method == "DELETE"]
    return passed.headers["if-match"]


@pytest.mark.parametrize("encryption", [CSE, CSE_PLAINTEXT])
def test_a_removal_names_the_etag_that_the_store_knows(stage: Stage, between: Between, encryption: str) -> None:
    place = _place(stage, "one", encryption)
    shown = stage.client.put_object(**place, Body=b"sealed")["ETag"]
    stored = stage.direct.head_object(**place)["ETag"]
    assert shown == f'{stored[:-1]}-1"'
    assert _sent(stage, between, place, shown) == stored
    assert not _exists(stage, place)


def test_other_conditions_stay_as_they_are(stage: Stage, between: Between) -> None:
    plain = _place(stage, "plain", CSE_PLAINTEXT)
    stage.direct.put_object(**plain, Body=b"plain")
    assert _sent(stage, between, plain, '"0-1"') == '"0-1"'
    elsewhere = _place(stage, "elsewhere", NONE)
    assert _sent(stage, between, elsewhere, '"0-1"') == '"0-1"'
    assert _sent(stage, between, _place(stage, "any"), "*") == "*"


def test_several_objects_are_removed_at_once(stage: Stage) -> None:
    places = [_place(stage, f"many/{number} ä&<") for number in range(3)]
    for place in places:
        stage.client.put_object(**place, Body=b"sealed")
    objects = [{"Key": place["Key"]} for place in places]
    answer = stage.client.delete_objects(Bucket=places[0]["Bucket"], Delete={"Objects": objects})
    assert {entry["Key"] for entry in answer["Deleted"]} == {place["Key"] for place in places}
    assert not any(_exists(stage, place) for place in places)


@pytest.mark.parametrize("encryption", [CSE, CSE_PLAINTEXT])
def test_conditions_of_many_removals_are_the_stores_too(stage: Stage, between: Between, encryption: str) -> None:
    first, second = _place(stage, "conditions/1", encryption), _place(stage, "conditions/2", encryption)
    etag = stage.client.put_object(**first, Body=b"sealed")["ETag"]
    stored = stage.direct.head_object(**first)["ETag"]
    stage.direct.put_object(**second, Body=b"plain")
    other = '"0-1"' if encryption == CSE_PLAINTEXT else '"0"'

    def document(etag: str, of_second: str) -> bytes:
        return (
            f"<Delete><Object><Key>{first['Key']}</Key><ETag>{etag}</ETag></Object>"
            f"<Object><Key>{second['Key']}</Key><ETag>{of_second}</ETag></Object></Delete>"
        ).encode()

    sent = document(etag, '"0-1"')
    with between.counting() as seen:
        answer = stage.ask("POST", f"/{first['Bucket']}?delete", headers={"content-md5": _md5(sent)}, body=sent)
    assert answer.status == 200, answer.body
    (passed,) = [one for one in seen if one.method == "POST"]
    shown_as = {True: '"0-1"', False: other.replace('"', "&quot;")}[encryption == CSE_PLAINTEXT]
    assert passed.headers["content-md5"] == _md5(document(stored.replace('"', "&quot;"), shown_as))


def test_a_document_without_conditions_goes_on_byte_for_byte(stage: Stage, between: Between) -> None:
    sent = b"<Delete>\n<Object><Key>none</Key></Object></Delete>"
    with between.counting() as seen:
        answer = stage.ask("POST", f"/{stage.bucket(CSE)}?delete", headers={"content-md5": _md5(sent)}, body=sent)
    assert answer.status == 200
    assert [one.headers["content-md5"] for one in seen] == [_md5(sent)]
