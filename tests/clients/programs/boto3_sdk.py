"""boto3 with its transfer manager."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from lab.s3_server import s3_client
from tests.clients.programs.client import Attributes, ClientFailed, Service

_OPERATIONS = {"GET": "get_object", "PUT": "put_object"}


class Boto3:
    """boto3 in this process."""

    name: ClassVar[str] = "boto3"
    program: ClassVar[str | None] = None
    reads_ranges: ClassVar[bool] = True
    copies_attributes: ClassVar[bool] = True
    presigns: ClassVar[frozenset[str]] = frozenset(_OPERATIONS)

    def __init__(self, service: Service) -> None:
        self._client = s3_client(service.endpoint, service.ca_file, service.credentials)

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        extra = {"ContentType": attributes.content_type, "Metadata": dict(attributes.metadata)}
        for file in sorted(folder.iterdir()):
            with _errors():
                self._client.upload_file(str(file), bucket, prefix + file.name, ExtraArgs=extra)

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        for key in self.sizes(bucket, prefix):
            with _errors():
                self._client.download_file(bucket, key, str(folder / key.removeprefix(prefix)))

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        with _errors():
            return bytes(self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-")["Body"].read())

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        with _errors():
            answer = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for entry in answer.get("Contents", [])}

    def copy(self, bucket: str, source: str, target: str) -> None:
        with _errors():
            self._client.copy({"Bucket": bucket, "Key": source}, bucket, target)

    def delete(self, bucket: str, key: str) -> None:
        with _errors():
            self._client.delete_object(Bucket=bucket, Key=key)

    def presign(self, method: str, bucket: str, key: str) -> str:
        parameters = {"Bucket": bucket, "Key": key}
        return str(self._client.generate_presigned_url(_OPERATIONS[method], Params=parameters))


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise ClientFailed(str(error)) from error
