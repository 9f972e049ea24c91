"""Removing sealed objects, on condition and without."""

import base64
import hashlib

import pytest

from tests.e2e.stage import CSE, CSE_PLAINTEXT, NONE, Stage, fails


def _put(stage: Stage, key: str, encryption: str = CSE) -> tuple[dict[str, str], str]:
    place = {"Bucket": stage.bucket(encryption), "Key": key}
    return place, stage.client.put_object(**place, Body=b"sealed")["ETag"]


def _exists(stage: Stage, place: dict[str, str]) -> bool:
    listed = stage.direct.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"])
    return bool(listed.get("Contents"))


@pytest.mark.parametrize("encryption", [CSE, CSE_PLAINTEXT])
def test_a_sealed_object_is_removed_while_it_has_the_shown_etag(minio_stage: Stage, encryption: str) -> None:
    place, etag = _put(minio_stage, "removal/one", encryption)
    if fails_to_know_conditions(minio_stage):
        pytest.skip("the store knows no conditions on DeleteObject")
    assert fails(lambda: minio_stage.client.delete_object(**place, IfMatch='"0-1"'))[0] == 412
    minio_stage.client.delete_object(**place, IfMatch=etag)
    assert not _exists(minio_stage, place)


def fails_to_know_conditions(stage: Stage) -> bool:
    """Whether the store removes an object whatever its ETag."""
    place = {"Bucket": stage.bucket(NONE), "Key": "removal/probe"}
    stage.direct.put_object(**place, Body=b"x")
    try:
        stage.direct.delete_object(**place, IfMatch='"00000000000000000000000000000000"')
    except stage.direct.exceptions.ClientError:
        return False
    return True


def test_several_objects_are_removed_at_once(stage: Stage) -> None:
    places = [_put(stage, f"removal/many/{number} ä&<")[0] for number in range(3)]
    objects = [{"Key": place["Key"]} for place in places]
    answer = stage.client.delete_objects(Bucket=places[0]["Bucket"], Delete={"Objects": objects})
    assert {entry["Key"] for entry in answer["Deleted"]} == {place["Key"] for place in places}
    assert not any(_exists(stage, place) for place in places)


def test_conditions_of_many_removals_reach_the_store_in_its_terms(stage: Stage) -> None:
    """SeaweedFS does not look at them, but it checks the sum of the document that they are in."""
    (first, etag), (second, _) = _put(stage, "removal/conditions/1"), _put(stage, "removal/conditions/2")
    document = (
        f"<Delete><Object><Key>{first['Key']}</Key><ETag>{etag}</ETag></Object>"
        f"<Object><Key>{second['Key']}</Key></Object></Delete>"
    ).encode()
    digest = base64.b64encode(hashlib.md5(document).digest()).decode()  # noqa: S324 - what the header is
    answer = stage.ask("POST", f"/{first['Bucket']}?delete", headers={"content-md5": digest}, body=document)
    assert answer.status == 200, answer.body
    assert not _exists(stage, first)
    assert not _exists(stage, second)
