"""Random requests, as a description to explain and as bytes to send."""

import http.client
import random
import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, urlsplit

from gateway.cli.policy.imagined import ImaginedRequest, Proof
from gateway.s3.credentials import Credential

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_SSE = "x-amz-server-side-encryption"
_KEYS = ("people/a.csv", "people/ä b+%/../c", "logs/2026/x", "tmp/*", "a")
_UPLOAD_IDS = ("begun-elsewhere", "u.sg1-s3-00000000-0", "u.sg1-s3-00000000-0-s3", "u.sg1-kms-0a0a0a0a-0-kms-a2V5")

#: Method, whether it is about an object, query.
_Asked: TypeAlias = tuple[str, bool, dict[str, str | None]]
_PLAIN_UPLOADS: tuple[_Asked, ...] = (("PUT", True, {}),) * 12
_OPERATIONS: tuple[_Asked, ...] = (
    *_PLAIN_UPLOADS,
    ("POST", True, {"uploads": None}),
    ("POST", True, {"uploads": None}),
    ("PUT", True, {"partNumber": "1", "uploadId": ""}),
    ("PUT", True, {"partNumber": "1", "uploadId": ""}),
    ("POST", True, {"uploadId": ""}),
    ("DELETE", True, {"uploadId": ""}),
    ("PUT", True, {"acl": None}),
    ("PUT", True, {"tagging": None}),
    ("PUT", True, {"encryption": None}),
    ("PUT", True, {"retention": None}),
    ("GET", True, {}),
    ("GET", True, {}),
    ("HEAD", True, {}),
    ("GET", True, {"versionId": "v1"}),
    ("GET", True, {"attributes": None}),
    ("DELETE", True, {}),
    ("OPTIONS", True, {}),
    ("GET", False, {"prefix": "logs/", "delimiter": "/"}),
    ("GET", False, {"list-type": "2", "prefix": "people/", "max-keys": "7"}),
    ("GET", False, {"versions": None}),
    ("GET", False, {"uploads": None}),
    ("GET", False, {"encryption": None}),
    ("DELETE", False, {"encryption": None}),
    ("PUT", False, {"policy": None}),
    ("PUT", False, {"website": None}),
    ("HEAD", False, {}),
)
_HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_SSE, ("AES256", "AES256", "aws:kms", "aws:kms", "aws:kms:dsse", "AWS:KMS", "")),
    (f"{_SSE}-aws-kms-key-id", (ARN, "alias/mine", ARN.partition("/")[2])),
    (f"{_SSE}-customer-algorithm", ("AES256",)),
    ("x-amz-acl", ("private", "public-read", "")),
    ("x-amz-grant-read", ("id=1",)),
    ("x-amz-storage-class", ("STANDARD", "GLACIER")),
    ("x-amz-tagging", ("team=a", "team=b&class=internal", "team=a&team=b", "%")),
    ("x-amz-metadata-directive", ("COPY", "REPLACE")),
    ("x-amz-object-lock-mode", ("GOVERNANCE",)),
    ("x-amz-object-lock-retain-until-date", ("2099-01-01T00:00:00Z", "soon")),
    ("x-amz-bypass-governance-retention", ("true", "false")),
    ("content-type", ("text/plain", "image/png")),
    ("if-none-match", ("*",)),
    ("user-agent", ("curl/8", "")),
)


def random_request(chance: random.Random, buckets: list[str], identities: list[str]) -> ImaginedRequest:
    """One request; a body is never needed for what is decided about it."""
    method, about_object, query = chance.choice(_OPERATIONS)
    query = {name: chance.choice(_UPLOAD_IDS) if name == "uploadId" else value for name, value in query.items()}
    headers = {
        name: chance.choice(values) for name, values in _HEADERS if chance.random() < (0.4 if name == _SSE else 0.08)
    }
    if method == "PUT" and about_object and set(query) <= {"partNumber", "uploadId"} and chance.random() < 0.25:
        headers["x-amz-copy-source"] = f"{chance.choice(buckets)}/{quote(chance.choice(_KEYS))}"
    request = ImaginedRequest(
        method=method,
        bucket=chance.choice(buckets),
        object_key=chance.choice(_KEYS) if about_object else None,
        headers=tuple(headers.items()),
        query=tuple(query.items()),
        identity=chance.choice(identities),
        tls_version=chance.choice(("1.2", "1.3")),
    )
    if method == "OPTIONS":
        return request
    return _proven(chance, request)


def _proven(chance: random.Random, request: ImaginedRequest) -> ImaginedRequest:
    """Signed in one of the three ways."""
    way = chance.random()
    if way < 0.25:
        moved = tuple(field for field in request.headers if field[0].startswith("x-amz-") and chance.random() < 0.5)
        kept = tuple(field for field in request.headers if field not in moved)
        age = timedelta(seconds=chance.choice((0, 900)))
        query = (*request.query, *moved)
        return replace(request, headers=kept, query=query, proof=Proof.PRESIGNED, age=age)
    if (
        way < 0.35
        and request.method == "PUT"
        and not request.query
        and "x-amz-copy-source" not in dict(request.headers)
    ):
        fields = tuple(
            field for field in request.headers if field[0].startswith((_SSE, "x-amz-acl", "x-amz-storage", "content-"))
        )
        return replace(request, method="POST", headers=fields, proof=Proof.FORM)
    return request


class Sender:
    """A client of a gateway that sends requests as they are described."""

    def __init__(self, endpoint: str, ca_file: Path, credentials: Mapping[str, Credential]) -> None:
        """Nothing is connected yet.

        Args:
            endpoint: the gateway.
            ca_file: verifies it.
            credentials: what each identity signs with, by its name.
        """
        self._host = urlsplit(endpoint).netloc
        self._ca_file = ca_file
        self._credentials = credentials
        self._connections = {version: self._connect(version) for version in ("1.2", "1.3")}

    def send(self, request: ImaginedRequest) -> None:
        """Send a request and read its answer; what came out is in the gateway's log."""
        credential, now = self._credentials[request.identity], datetime.now(UTC)
        if request.proof is Proof.FORM:
            raw = request.form(self._host)
            body = _form_body(request.form_fields(credential, now))
        else:
            raw, body = request.signed(credential, self._host, now), b""
        target = f"{raw.raw_path}?{raw.raw_query}" if raw.raw_query else raw.raw_path
        connection = self._connections[request.tls_version or ""]
        connection.putrequest(raw.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in (*raw.headers, ("content-length", str(len(body)))):
            connection.putheader(name, value.encode("utf-8", "surrogateescape"))
        connection.endheaders(body)
        connection.getresponse().read()

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections.values():
            connection.close()

    def _connect(self, version: str) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._ca_file))
        number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
        context.minimum_version = context.maximum_version = number
        host, _, port = self._host.partition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=60, context=context)


def _form_body(fields: Mapping[str, str]) -> bytes:
    """A form with a file of one byte, as browsers send it."""
    parts = [f'--form\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    file = 'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: text/plain\r\n\r\nx'
    return f"{''.join(parts)}--form\r\n{file}\r\n--form--\r\n".encode()
