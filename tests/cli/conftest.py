"""A bucket at a real store, and the credentials of boto3 for the commands that ask the store themselves."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.crypto.sealed.marker import Marker
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.cli.stored_under_test import Sealing, write_keyring


@dataclass(frozen=True)
class StoredBucket:
    """A bucket, and what objects in it are sealed with."""

    name: str
    endpoint: str
    client: S3Client
    keyring: Path
    sealing: Sealing

    def put(self, key: str, stored: bytes, marker: str | None) -> dict[str, Any]:
        """Stored bytes, as they are."""
        metadata = {} if marker is None else {"sealgate": marker}
        answer: dict[str, Any] = self.client.put_object(Bucket=self.name, Key=key, Body=stored, Metadata=metadata)
        return answer

    def put_whole(self, key: str, plaintext: bytes) -> bytes:
        """A sealed object; returns the stored bytes."""
        stored = self.sealing.whole(self.name, key, plaintext)
        self.put(key, stored, Marker(len(plaintext)).render())
        return stored

    def put_multipart(self, key: str, parts: list[bytes]) -> bytes:
        """A sealed multipart object; returns the stored bytes."""
        stored = self.sealing.multipart(self.name, key, parts)
        self.put(key, stored, "v1")
        return stored

    def url(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"


@pytest.fixture
def stored_bucket(seaweed: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredBucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.credentials.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(seaweed.ca_file))
    client = seaweed.client()
    name = f"stored-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    keyring = write_keyring(tmp_path / "keyring.json")
    return StoredBucket(name, seaweed.endpoint, client, keyring, Sealing(keyring))
