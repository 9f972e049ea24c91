"""The Credential of a signature: what it consists of, in whatever place it stood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.credential_scope import CredentialScope, ScopeFault, parse_credential

FAULT = ScopeFault("InvalidArgument", "Prefix;", "Mismatch ")
TIMESTAMP = "20130524T000000Z"
PIECES = st.text(st.characters(exclude_characters="/"), min_size=1)


@given(access_key_id=st.text(min_size=1), region=PIECES)
def test_access_key_and_region_may_be_anything(access_key_id: str, region: str) -> None:
    scope = parse_credential(f"{access_key_id}/20130524/{region}/s3/aws4_request", TIMESTAMP, FAULT)
    assert scope == CredentialScope(access_key_id, "20130524", region)
    assert scope.render() == f"20130524/{region}/s3/aws4_request"


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        ("", "Prefix; the Credential is mal-formed"),
        ("a/20130524/r/s3", "Prefix; the Credential is mal-formed"),
        ("/20130524/r/s3/aws4_request", "Prefix; the Credential is mal-formed"),
        ("a/2013052/r/s3/aws4_request", "Prefix; incorrect date format"),
        ("a/٢٠١٣٠٥٢٤/r/s3/aws4_request", "Prefix; incorrect date format"),
        ("a/20130524/r/S3/aws4_request", "Prefix; incorrect service"),
        ("a/20130524/r/s3/AWS4_REQUEST", "Prefix; incorrect terminal"),
        ("a/20130525/r/s3/aws4_request", "Mismatch Invalid credential date"),
    ],
)
def test_a_bad_credential_is_answered_in_the_words_of_its_place(credential: str, message: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_credential(credential, TIMESTAMP, FAULT)
    assert caught.value.code == "InvalidArgument"
    assert caught.value.message.startswith(message)


@given(st.text(st.characters(exclude_categories=())))
def test_garbage_is_refused_in_words_that_can_be_sent(credential: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_credential(credential, TIMESTAMP, FAULT)
    assert caught.value.message.encode()
