"""Upload ids carry the encryption that their upload began with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.modes.upload_id import (
    UploadId,
    asked_for_upload,
    customer_tag,
    kms_tag,
    parse_upload_id,
    with_upstream_upload_id,
)
from gateway.policy.rules import ModeName
from gateway.s3.asked_encryption import NOTHING_ASKED, AskedEncryption
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.query import Query
from gateway.s3.request import RawRequest

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
UPSTREAM_IDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=100)
TAGS = st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}")
ASKED = st.builds(
    AskedEncryption,
    st.sampled_from(["AES256", "aws:kms", "aws:kms:dsse"]),
    st.none() | st.text(min_size=1, max_size=99),
) | st.just(NOTHING_ASKED)
MODES_WITH_TOKEN = st.sampled_from([mode for mode in ModeName if mode is not ModeName.NONE])


@given(UPSTREAM_IDS, MODES_WITH_TOKEN, TAGS, st.integers(0, 10**9 - 1), ASKED)
def test_round_trip(upstream: str, mode: ModeName, tag: str, version: int, asked: AskedEncryption) -> None:
    """What is rendered is read back, whatever the upstream's id looks like."""
    upload_id = UploadId(upstream, mode, tag, version, asked)
    assert parse_upload_id(upload_id.render()) == upload_id
    assert re.fullmatch(r"[A-Za-z0-9._-]*", upload_id.render().removeprefix(upstream))


@given(UPSTREAM_IDS, MODES_WITH_TOKEN, TAGS, st.integers(0, 9))
def test_a_nested_id_loses_one_layer_only(upstream: str, mode: ModeName, tag: str, version: int) -> None:
    """Two gateways in a row each remove their own suffix."""
    inner = UploadId(upstream, mode, tag, version).render()
    assert parse_upload_id(UploadId(inner, ModeName.SSE_S3).render()).upstream == inner


@pytest.mark.parametrize(
    "text",
    [
        "2~abc",
        "",
        "x.sg1-c-0123456-1",
        "x.sg1-c-0123456g-1",
        "x.sg1-c-01234567-01",
        "x.sg1-q-01234567-1",
        "x.sg2-c-01234567-1",
        "x.sg1-c-01234567-1 ",
        "x.sg1-c-01234567-1\n",
        "x.sg1-s3-01234567-0-",
        "x.sg1-s3-01234567-0-c",
        "x.sg1-s3-01234567-0-kms-",
        "x.sg1-s3-01234567-0-kms-a",
        "x.sg1-s3-01234567-0-kms-Zg==",
        f"x.sg1-s3-01234567-0-kms-{'a' * 2736}",
    ],
)
def test_other_ids_are_the_upstreams_own(text: str) -> None:
    """Nothing but the exact suffix is taken for the gateway's."""
    assert parse_upload_id(text) == UploadId(text)


def test_query_is_translated_in_place() -> None:
    """The upstream sees its own id; other parameters keep their bytes."""
    upload_id = UploadId("2~a/b", ModeName.SSE_C, "0123abcd", 3)
    query = Query.parse("partNumber=7&uploadId=2~a%2Fb.sg1-c-0123abcd-3&x-id=UploadPart")
    assert with_upstream_upload_id(query, upload_id).render() == "partNumber=7&uploadId=2~a%2Fb&x-id=UploadPart"


PROOFS = [
    (UploadId("u"), {}, True),
    (UploadId("u", ModeName.SSE_S3), {SSE: "AES256"}, True),
    (UploadId("u", ModeName.SSE_S3), {}, False),
    (UploadId("u", ModeName.SSE_KMS, kms_tag(ARN)), {SSE: "aws:kms", KEY_ID: ARN}, True),
    (UploadId("u", ModeName.SSE_KMS, kms_tag(ARN)), {SSE: "aws:kms", KEY_ID: ARN[:-1] + "c"}, False),
    (UploadId("u", ModeName.SSE_KMS, kms_tag(ARN)), {SSE: "aws:kms"}, False),
    (UploadId("u", ModeName.SSE_KMS, kms_tag("alias/orders")), {SSE: "aws:kms", KEY_ID: ARN}, True),
    (UploadId("u", ModeName.DSSE_KMS, kms_tag(ARN)), {SSE: "aws:kms", KEY_ID: ARN}, False),
]


@pytest.mark.parametrize(("upload_id", "answered", "proven"), PROOFS)
def test_parts_prove_mode_and_kms_key(upload_id: UploadId, answered: dict[str, str], proven: bool) -> None:
    """A part that does not show its upload's encryption proves nothing."""
    assert upload_id.proven_by(Headers(answered.items())) is proven


@pytest.mark.parametrize(
    ("answered", "contradicted"), [({}, False), ({SSE: "AES256"}, False), ({SSE: "aws:kms"}, True)]
)
def test_completion_may_be_silent_but_not_contradict(answered: dict[str, str], contradicted: bool) -> None:
    """Servers that say nothing at the end are believed because every part was proven."""
    assert UploadId("u", ModeName.SSE_S3).contradicted_by(Headers(answered.items())) is contradicted


def test_kms_tag_is_the_same_for_every_spelling_of_a_key() -> None:
    """Servers shorten or lengthen key ids; the tag compares the bare id."""
    assert kms_tag(ARN) == kms_tag("1234abcd-12ab-34cd-56ef-1234567890ab")
    assert kms_tag("lab") == kms_tag("arn:aws:kms:lab")
    assert kms_tag(None) == kms_tag("alias/x") == "00000000"


def test_a_clients_customer_key_is_named_by_its_md5_and_does_not_show_it() -> None:
    tag = customer_tag("Xsqb0+sHwAbNQ65I395/0w==")
    assert re.fullmatch("[0-9a-f]{8}", tag)
    assert tag != customer_tag("DWygnHRtgiJ77HCm+1rvHw==")
    assert parse_upload_id(UploadId("id", ModeName.SSE_C, tag).render()) == UploadId("id", ModeName.SSE_C, tag)


@pytest.mark.parametrize(
    ("suffix", "asked"),
    [
        ("", NOTHING_ASKED),
        (".sg1-kms-01234567-0", NOTHING_ASKED),
        (".sg1-kms-01234567-0-kms", AskedEncryption("aws:kms")),
        (".sg1-s3-00000000-0-dsse-a2V5", AskedEncryption("aws:kms:dsse", "key")),
        (".sg1-cse-01234567-0-s3", AskedEncryption("AES256")),
        ("-kms", NOTHING_ASKED),
    ],
)
def test_what_a_client_asked_for_goes_with_its_upload(suffix: str, asked: AskedEncryption) -> None:
    """With what continues it, and with nothing else: listing or giving up an upload is about no encryption."""
    for method, query, expected in [
        ("PUT", "partNumber=1&", asked),
        ("POST", "", asked),
        ("GET", "", NOTHING_ASKED),
        ("DELETE", "", NOTHING_ASKED),
    ]:
        raw = RawRequest(
            method, "/bucket/key", f"{query}uploadId=u{suffix}", Headers([("host", "h")]), "https", "unix", "0"
        )
        assert asked_for_upload(parse_request(raw, ())) == expected


def test_a_key_id_that_no_service_takes_stays_out() -> None:
    """The id stays short enough for a URL; a policy that looks for the key does not find one."""
    long = UploadId("u", ModeName.SSE_KMS, asked=AskedEncryption("aws:kms", "k" * 2049)).render()
    assert parse_upload_id(long).asked == AskedEncryption("aws:kms")
    longest = UploadId("u", ModeName.SSE_KMS, asked=AskedEncryption("aws:kms", "k" * 2048))
    assert parse_upload_id(longest.render()) == longest
