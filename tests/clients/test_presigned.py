"""URLs that clients presign with their default settings, used by somebody who has nothing else."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from tests.clients.conftest import Stand
from tests.clients.modes import CUSTOMER_KEYS, MODES, bucket_of, expected_encryption, rules, stored_encryption
from tests.clients.programs.catalogue import CLIENTS, DEFAULT_CLIENTS
from tests.clients.programs.client import Client

pytestmark = pytest.mark.clients

_CONTENT = b"presigned " * 1000
_PRESIGNED = [
    pytest.param(kind, method, id=f"{kind.name}-{method}", marks=[] if kind in DEFAULT_CLIENTS else pytest.mark.slow)
    for kind in CLIENTS
    for method in sorted(kind.presigns)
]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


@pytest.fixture(scope="session")
def lenient(
    stand: Stand, authority: CertificateAuthority, openbao: OpenBao, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A second gateway to the same store that still verifies Signature Version 2."""
    directory = tmp_path_factory.mktemp("lenient")
    gateway = Gateway(
        directory,
        authority,
        stand.server,
        rules=rules(stand.server),
        vault=openbao,
        customer_keys=CUSTOMER_KEYS,
        sealing=directory,
        options={"authentication": {"allow_signature_v2": True}},
        credentials=stand.gateway.credentials,
    )
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


@pytest.mark.parametrize("mode", MODES)
def test_boto3_presigns_reading_and_writing_with_signature_version_4(stand: Stand, mode: str) -> None:
    """What is written by a presigned URL is stored under its bucket's mode, and read by another."""
    bucket, key = bucket_of(mode), "presigned/boto3 v4"
    signer = stand.gateway.client(signature_version="s3v4")
    parameters = {"Bucket": bucket, "Key": key}
    written = _use(stand.gateway, "PUT", signer.generate_presigned_url("put_object", Params=parameters))
    if mode == "sse-s3" and not stand.server.traits.sse_s3:
        assert (written.status, b"did not confirm the encryption sse-s3" in written.body) == (501, True)
        return
    assert written.status == 200
    assert stored_encryption(stand.server, bucket, key) == expected_encryption(mode)
    read = _use(stand.gateway, "GET", signer.generate_presigned_url("get_object", Params=parameters))
    assert read == _Answer(200, _CONTENT)


@pytest.mark.parametrize("mode", ["none", "sse-c-derived"])
@pytest.mark.parametrize(("client_kind", "method"), _PRESIGNED, indirect=["client_kind"])
def test_urls_are_presigned_by_default_settings(
    client: Client, stand: Stand, mode: str, method: str, request: pytest.FixtureRequest
) -> None:
    """Signature Version 4 works; the retired version 2 is refused, and works where the gateway allows it."""
    bucket, key = bucket_of(mode), f"presigned/{client.name}+{method}"
    reference = stand.gateway.client()
    if method == "GET":
        reference.put_object(Bucket=bucket, Key=key, Body=_CONTENT)
    url, gateway = client.presign(method, bucket, key), stand.gateway
    if "X-Amz-Signature=" not in url:
        assert "AWSAccessKeyId=" in url
        refused = _use(gateway, method, url)
        assert (refused.status, b"<Code>InvalidRequest</Code>" in refused.body) == (400, True)
        gateway = request.getfixturevalue("lenient")
    answer = _use(gateway, method, url)
    assert answer == _Answer(200, _CONTENT if method == "GET" else b"")
    assert reference.get_object(Bucket=bucket, Key=key)["Body"].read() == _CONTENT
    assert stored_encryption(stand.server, bucket, key) == expected_encryption(mode)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_changed_presigned_url_is_refused(stand: Stand, method: str) -> None:
    """A URL for one object is none for another."""
    signer = stand.gateway.client(signature_version="s3v4")
    operation = {"GET": "get_object", "PUT": "put_object"}[method]
    url = signer.generate_presigned_url(operation, Params={"Bucket": bucket_of("none"), "Key": "presigned/this"})
    answer = _use(stand.gateway, method, url.replace("presigned/this", "presigned/that"))
    assert (answer.status, b"<Code>SignatureDoesNotMatch</Code>" in answer.body) == (403, True)


def _use(gateway: Gateway, method: str, url: str) -> _Answer:
    """Read or write by a URL, at this gateway wherever it points (version 2 does not sign the host)."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(gateway.ca_file))
    body = _CONTENT if method == "PUT" else None
    # urllib adds a Content-Type to every body, which version 2 signs.
    headers = {"Content-Type": ""} if body else {}
    address = f"{gateway.endpoint}{parts.path}?{parts.query}"
    request = urllib.request.Request(address, data=body, headers=headers, method=method)  # noqa: S310 - ours, and https
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310 - the same
            return _Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, error.read())
