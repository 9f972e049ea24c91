"""What a request may ask of encryption, and S3's words for what it may not."""

import json
from base64 import b64encode
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretBytes
from gateway.s3.encryption_headers import (
    COPY_SOURCE_CUSTOMER_HEADERS,
    CUSTOMER_HEADERS,
    ENCRYPTION_HEADERS,
    SSE,
    SSE_BUCKET_KEY,
    SSE_CONTEXT,
    SSE_KMS_KEY_ID,
    CustomerKeyHeaders,
    RequestedEncryption,
    requested_encryption,
)
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation

RAW_KEY = b"a" * 32
KEY = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
KEY_MD5 = "Xsqb0+sHwAbNQ65I395/0w=="
#: Two key pairs published with the Ceph S3 tests.
PUBLISHED = [
    ("pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=", "DWygnHRtgiJ77HCm+1rvHw=="),
    ("6b+WOZ1T3cqZMxgThRcXAQBrS5mXKdDUphvpxptl9/4=", "arxBvwY2V4SiOne6yppVPQ=="),
]
ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = b64encode(json.dumps({"team": "é"}).encode()).decode()
CREATORS = [Operation.PUT_OBJECT, Operation.COPY_OBJECT, Operation.CREATE_MULTIPART_UPLOAD]
READERS = [Operation.GET_OBJECT, Operation.HEAD_OBJECT, Operation.GET_OBJECT_ATTRIBUTES]
PARTS = [Operation.UPLOAD_PART, Operation.UPLOAD_PART_COPY]
COPIES = [Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY]

BY_CUSTOMER_KEY = "Requests specifying Server Side Encryption with Customer provided keys must provide"
KMS_ONLY = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
BAD_CONTEXT = (
    "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
    "represents a string-string map"
)


def trio(
    algorithm: str | None = "AES256", key: str | None = KEY, key_md5: str | None = KEY_MD5, *, prefix: str = "x-amz-"
) -> dict[str, str]:
    stem = f"{prefix}server-side-encryption-customer-"
    fields = {f"{stem}algorithm": algorithm, f"{stem}key": key, f"{stem}key-MD5": key_md5}
    return {name: value for name, value in fields.items() if value is not None}


def copy_trio(algorithm: str | None = "AES256", key: str | None = KEY, key_md5: str | None = KEY_MD5) -> dict[str, str]:
    return trio(algorithm, key, key_md5, prefix="x-amz-copy-source-")


def requested(operation: Operation, fields: dict[str, str]) -> RequestedEncryption:
    return requested_encryption(operation, Headers(fields.items()))


def refusal(operation: Operation, fields: dict[str, str]) -> S3Error:
    with pytest.raises(S3Error) as caught:
        requested(operation, fields)
    return caught.value


def sized(count: int) -> dict[str, str]:
    """A trio whose key has ``count`` bytes and a fitting MD5."""
    raw = b"k" * count
    return trio(key=b64encode(raw).decode(), key_md5=b64encode(md5(raw, usedforsecurity=False).digest()).decode())


def test_the_header_names() -> None:
    assert len(ENCRYPTION_HEADERS) == 10
    assert {name.lower() for name in trio()} == CUSTOMER_HEADERS
    assert {name.lower() for name in copy_trio()} == COPY_SOURCE_CUSTOMER_HEADERS
    assert {
        *CUSTOMER_HEADERS,
        *COPY_SOURCE_CUSTOMER_HEADERS,
        SSE,
        SSE_KMS_KEY_ID,
        SSE_CONTEXT,
        SSE_BUCKET_KEY,
    } == ENCRYPTION_HEADERS


@pytest.mark.parametrize("operation", CREATORS)
@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, None),
        ({SSE: "AES256"}, "sse-s3"),
        ({SSE: "aws:kms"}, "sse-kms"),
        ({SSE: "aws:kms", SSE_KMS_KEY_ID: ARN, SSE_CONTEXT: CONTEXT, SSE_BUCKET_KEY: "true"}, "sse-kms"),
        ({SSE: "aws:kms", SSE_KMS_KEY_ID: "alias/a"}, "sse-kms"),
        ({SSE: "aws:kms:dsse", SSE_KMS_KEY_ID: ARN}, "dsse-kms"),
        ({SSE_BUCKET_KEY: "True"}, None),
        (trio(), "sse-c"),
    ],
)
def test_modes(operation: Operation, fields: dict[str, str], mode: str | None) -> None:
    found = requested(operation, fields)
    assert found.mode == mode
    assert found.sse == fields.get(SSE)
    assert found.kms_key_id == fields.get(SSE_KMS_KEY_ID)
    assert found.context == fields.get(SSE_CONTEXT)
    assert found.bucket_key == (True if SSE_BUCKET_KEY in fields else None)
    assert (found.customer is not None) == (mode == "sse-c")


@pytest.mark.parametrize(("value", "flag"), [("true", True), ("TRUE", True), ("false", False), ("False", False)])
def test_bucket_key_flags(value: str, flag: bool) -> None:
    assert requested(Operation.PUT_OBJECT, {SSE: "aws:kms", SSE_BUCKET_KEY: value}).bucket_key is flag


@pytest.mark.parametrize(
    ("fields", "code", "message", "name", "value"),
    [
        # Method and customer key together is looked at before either.
        (
            {SSE: "AES256", **trio()},
            "InvalidArgument",
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            SSE,
            "AES256",
        ),
        (
            {SSE: "nonsense", **trio(algorithm="AES128", key="x")},
            "InvalidArgument",
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            SSE,
            "nonsense",
        ),
        (
            {SSE: "aws:kms", **trio(algorithm=None, key=None)},
            "InvalidArgument",
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            SSE,
            "aws:kms",
        ),
        # Methods.
        ({SSE: ""}, "InvalidArgument", "The encryption method specified is not supported", SSE, ""),
        ({SSE: "aes256"}, "InvalidArgument", "The encryption method specified is not supported", SSE, "aes256"),
        ({SSE: "aes:kms"}, "InvalidArgument", "The encryption method specified is not supported", SSE, "aes:kms"),
        ({SSE: "aws:fsx"}, "InvalidArgument", "The encryption method specified is not supported", SSE, "aws:fsx"),
        ({SSE: " AES256"}, "InvalidArgument", "The encryption method specified is not supported", SSE, " AES256"),
        (
            {SSE: "x", SSE_KMS_KEY_ID: ARN},
            "InvalidArgument",
            "The encryption method specified is not supported",
            SSE,
            "x",
        ),
        # KMS parameters without KMS.
        ({SSE_KMS_KEY_ID: ARN}, "InvalidArgument", KMS_ONLY, SSE, "null"),
        ({SSE: "AES256", SSE_KMS_KEY_ID: ARN}, "InvalidArgument", KMS_ONLY, SSE, "AES256"),
        ({SSE_CONTEXT: CONTEXT}, "InvalidArgument", KMS_ONLY, SSE, "null"),
        ({SSE_KMS_KEY_ID: ARN, **trio()}, "InvalidArgument", KMS_ONLY, SSE, "null"),
        # Contexts.
        ({SSE: "aws:kms", SSE_CONTEXT: "{}"}, "InvalidArgument", BAD_CONTEXT, SSE_CONTEXT, "{}"),
        ({SSE: "aws:kms", SSE_CONTEXT: ""}, "InvalidArgument", BAD_CONTEXT, SSE_CONTEXT, ""),
        ({SSE: "aws:kms", SSE_CONTEXT: "W10="}, "InvalidArgument", BAD_CONTEXT, SSE_CONTEXT, "W10="),
        ({SSE: "aws:kms", SSE_CONTEXT: "eyJhIjoxfQ=="}, "InvalidArgument", BAD_CONTEXT, SSE_CONTEXT, "eyJhIjoxfQ=="),
        ({SSE: "aws:kms", SSE_CONTEXT: "/w=="}, "InvalidArgument", BAD_CONTEXT, SSE_CONTEXT, "/w=="),
        (
            {SSE: "aws:kms", SSE_BUCKET_KEY: "yes"},
            "InvalidArgument",
            f"The header '{SSE_BUCKET_KEY}' shall be true or false",
            SSE_BUCKET_KEY,
            "yes",
        ),
    ],
)
def test_refused_methods(fields: dict[str, str], code: str, message: str, name: str, value: str) -> None:
    for operation in CREATORS:
        error = refusal(operation, fields)
        assert (error.code, error.status, error.message) == (code, 400, message)
        assert error.details == (("ArgumentName", name), ("ArgumentValue", value))


def test_a_deeply_nested_context_is_refused() -> None:
    value = b64encode(b'{"a":' * 100_000).decode()
    assert refusal(Operation.PUT_OBJECT, {SSE: "aws:kms", SSE_CONTEXT: value}).message == BAD_CONTEXT


CUSTOMER_FAULTS = [
    # algorithm, key, key_md5, code, message, argument value
    (None, KEY, KEY_MD5, "InvalidArgument", f"{BY_CUSTOMER_KEY} a valid encryption algorithm.", "null"),
    (None, KEY, None, "InvalidArgument", f"{BY_CUSTOMER_KEY} a valid encryption algorithm.", "null"),
    (None, None, KEY_MD5, "InvalidArgument", f"{BY_CUSTOMER_KEY} a valid encryption algorithm.", "null"),
    ("AES256", None, None, "InvalidArgument", f"{BY_CUSTOMER_KEY} an appropriate secret key.", "null"),
    ("AES256", None, KEY_MD5, "InvalidArgument", f"{BY_CUSTOMER_KEY} an appropriate secret key.", "null"),
    ("", None, None, "InvalidArgument", f"{BY_CUSTOMER_KEY} an appropriate secret key.", "null"),
    ("AES256", KEY, None, "InvalidArgument", f"{BY_CUSTOMER_KEY} the client calculated MD5 of the secret key.", "null"),
    *(
        (
            algorithm,
            KEY,
            KEY_MD5,
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            algorithm,
        )
        for algorithm in ("", "aes256", "AES128", "aws:kms")
    ),
    *(
        (
            "AES256",
            key,
            key_md5,
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            "null",
        )
        # The last is too short as well: the hash is looked at first.
        for key, key_md5 in [(KEY, ""), (KEY, KEY_MD5[:-1]), (KEY, PUBLISHED[0][1]), (KEY, "é"), ("YWE=", KEY_MD5)]
    ),
    *(
        ("AES256", key, KEY_MD5, "InvalidArgument", "The secret key was invalid for the specified algorithm.", "null")
        for key in (f"{KEY}!", KEY[:-1], f" {KEY}", "é", f"{KEY[:20]}\n{KEY[20:]}")
    ),
]


@pytest.mark.parametrize(("algorithm", "key", "key_md5", "code", "message", "value"), CUSTOMER_FAULTS)
def test_refused_customer_keys(
    algorithm: str | None, key: str | None, key_md5: str | None, code: str, message: str, value: str
) -> None:
    """Reads and writes, the object's own key and the copy source's: S3 words them alike."""
    errors = [
        refusal(operation, trio(algorithm, key, key_md5))
        for operation in (*CREATORS, *READERS, *PARTS, Operation.COMPLETE_MULTIPART_UPLOAD, Operation.LIST_PARTS)
    ]
    errors += [refusal(operation, copy_trio(algorithm, key, key_md5)) for operation in COPIES]
    for error in errors:
        assert (error.code, error.status, error.message) == (code, 400, message)
        assert error.details == (("ArgumentName", SSE), ("ArgumentValue", value))


@pytest.mark.parametrize("count", [1, 16, 24, 31, 33, 64])
def test_a_customer_key_has_32_bytes(count: int) -> None:
    error = refusal(Operation.PUT_OBJECT, sized(count))
    assert error.message == "The secret key was invalid for the specified algorithm."
    assert requested(Operation.PUT_OBJECT, sized(32)).mode == "sse-c"


@pytest.mark.parametrize("operation", READERS + PARTS)
def test_methods_are_refused_where_they_cannot_change(operation: Operation) -> None:
    for fields in ({SSE: "AES256"}, {SSE: "AES256", **trio()}):
        error = refusal(operation, fields)
        assert (error.code, error.status) == ("InvalidArgument", 400)
        assert error.message == "x-amz-server-side-encryption header is not supported for this operation."
        assert error.details == (("ArgumentName", SSE), ("ArgumentValue", "AES256"))
    error = refusal(operation, {SSE_KMS_KEY_ID: ARN})
    assert (error.message, error.details) == (KMS_ONLY, (("ArgumentName", SSE), ("ArgumentValue", "null")))


@pytest.mark.parametrize("operation", READERS + PARTS)
def test_customer_keys_are_taken_on_reads_and_parts(operation: Operation) -> None:
    found = requested(operation, trio())
    assert found.mode == "sse-c"
    assert found.customer is not None
    assert found.customer.key.reveal() == RAW_KEY


@pytest.mark.parametrize("operation", COPIES)
def test_a_copy_has_two_customer_keys(operation: Operation) -> None:
    (key, key_md5), (source_key, source_md5) = PUBLISHED
    found = requested(operation, {**trio(key=key, key_md5=key_md5), **copy_trio(key=source_key, key_md5=source_md5)})
    assert found.customer is not None
    assert found.copy_source_customer is not None
    assert dict(found.customer.render())["x-amz-server-side-encryption-customer-key"] == key
    assert found.copy_source_customer.key_md5 == source_md5
    alone = requested(operation, copy_trio())
    assert (alone.mode, alone.customer) == (None, None)
    assert alone.copy_source_customer is not None


def test_a_copy_may_combine_a_method_with_the_key_of_its_source() -> None:
    found = requested(Operation.COPY_OBJECT, {SSE: "aws:kms", SSE_KMS_KEY_ID: ARN, **copy_trio()})
    assert found.mode == "sse-kms"
    assert found.copy_source_customer is not None


@pytest.mark.parametrize("operation", [each for each in Operation if not each.info.sse])
def test_operations_without_encryption_do_not_look_at_it(operation: Operation) -> None:
    """SDKs configured with default parameters send them everywhere."""
    fields = {SSE: "nonsense", SSE_KMS_KEY_ID: ARN, **trio(algorithm="x"), **copy_trio(key=None)}
    assert requested(operation, fields) == RequestedEncryption()


def test_the_key_of_a_copy_source_is_not_looked_at_elsewhere() -> None:
    assert requested(Operation.PUT_OBJECT, copy_trio(key="x")) == RequestedEncryption()


def test_a_repeated_field_is_refused() -> None:
    headers = Headers([(SSE, "AES256"), ("X-Amz-Server-Side-Encryption", "aws:kms")])
    with pytest.raises(S3Error) as caught:
        requested_encryption(Operation.PUT_OBJECT, headers)
    assert caught.value.code == "InvalidRequest"


@pytest.mark.parametrize(("key", "key_md5"), [*PUBLISHED, (KEY, KEY_MD5)])
def test_rendered_keys_are_what_was_parsed(key: str, key_md5: str) -> None:
    fields = trio(key=key, key_md5=key_md5)
    customer = requested(Operation.GET_OBJECT, fields).customer
    assert customer is not None
    assert dict(customer.render()) == {name.lower(): value for name, value in fields.items()}
    source = {name.lower(): value for name, value in copy_trio(key=key, key_md5=key_md5).items()}
    assert dict(customer.render_copy_source()) == source
    assert CustomerKeyHeaders.of(customer.key).key_md5 == key_md5


def test_keys_are_never_shown() -> None:
    found = requested(Operation.COPY_OBJECT, {**trio(), **copy_trio()})
    for text in (repr(found), str(found.customer), repr(CustomerKeyHeaders.of(SecretBytes(RAW_KEY)))):
        assert KEY not in text
        assert "aaaa" not in text
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
    for fields in (trio(key=secret), trio(key=f"{secret}="), trio(algorithm="x", key=secret), trio(None, key=secret)):
        error = refusal(Operation.PUT_OBJECT, fields)
        assert secret not in f"{error!r} {error.details} {error.__cause__!r}"


FIELD_TEXT = st.one_of(st.sampled_from(["", "AES256", "aws:kms", "true", KEY, KEY_MD5, CONTEXT, ARN]), st.text())


@given(st.sampled_from(list(Operation)), st.dictionaries(st.sampled_from(sorted(ENCRYPTION_HEADERS)), FIELD_TEXT))
def test_garbage_is_refused_with_an_s3_error(operation: Operation, fields: dict[str, str]) -> None:
    try:
        found = requested(operation, fields)
    except S3Error as error:
        assert error.status == 400  # noqa: PT017 - either outcome is right
        return
    assert found.mode in {None, "sse-s3", "sse-kms", "dsse-kms", "sse-c"}
