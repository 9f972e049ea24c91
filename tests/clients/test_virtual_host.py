"""Virtual-host style: the bucket is in the host name."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.binaries import require_binary
from lab.s3_server import REGION, s3_client
from tests.clients.conftest import Stand, service
from tests.clients.modes import MODES, bucket_of
from tests.clients.programs.client import run

pytestmark = pytest.mark.clients

_DOMAIN = "s3.localhost"


@pytest.fixture
def names_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host names below the gateway's domain lead to this machine, as a wildcard record in DNS would have it."""
    resolve: Callable[..., Any] = socket.getaddrinfo

    def resolve_here(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(_DOMAIN) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_here)


@pytest.mark.parametrize("mode", MODES)
def test_boto3_finds_objects_in_either_style(stand: Stand, names_resolve: None, mode: str) -> None:
    """An object written with the bucket in the host name is read with the bucket in the path, and the reverse."""
    if mode == "sse-s3" and not stand.server.traits.sse_s3:
        pytest.skip("there are no objects: the server ignores SSE-S3 and the gateway refuses to write them")
    bucket, gateway = bucket_of(mode), stand.gateway
    endpoint = gateway.endpoint.replace("localhost", _DOMAIN)
    virtual = s3_client(endpoint, gateway.ca_file, gateway.credentials, s3={"addressing_style": "virtual"})
    virtual.put_object(Bucket=bucket, Key="style/virtual +", Body=b"by host name")
    assert gateway.client().get_object(Bucket=bucket, Key="style/virtual +")["Body"].read() == b"by host name"
    gateway.client().put_object(Bucket=bucket, Key="style/path", Body=b"by path")
    assert virtual.get_object(Bucket=bucket, Key="style/path")["Body"].read() == b"by path"
    virtual.copy_object(Bucket=bucket, Key="style/copy", CopySource={"Bucket": bucket, "Key": "style/path"})
    listed = virtual.list_objects_v2(Bucket=bucket, Prefix="style/")["Contents"]
    assert [entry["Key"] for entry in listed] == ["style/copy", "style/path", "style/virtual +"]
    virtual.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": entry["Key"]} for entry in listed]})
    assert gateway.client().list_objects_v2(Bucket=bucket, Prefix="style/")["KeyCount"] == 0


def test_curl_finds_an_object_by_host_name(stand: Stand, tmp_path: Path) -> None:
    """A signature over a host name with the bucket in it verifies."""
    bucket, gateway = bucket_of("sse-c"), stand.gateway
    gateway.client().put_object(Bucket=bucket, Key="style/curl", Body=b"by host name")
    port = gateway.endpoint.rpartition(":")[2]
    command: list[str | Path] = [
        *(require_binary("curl"), "--config", "-", "--silent", "--show-error", "--fail-with-body"),
        *("--cacert", gateway.ca_file, "--aws-sigv4", f"aws:amz:{REGION}:s3"),
        *("--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--connect-to", f"::127.0.0.1:{port}"),
        f"https://{bucket}.{_DOMAIN}:{port}/style/curl",
    ]
    user = f"{gateway.credentials.access_key}:{gateway.credentials.secret_key}"
    found = run(command, service(gateway, tmp_path), environment={}, text=f'user = "{user}"\n')
    assert found == b"by host name"
