"""A store that knows no trailing checksums, which current clients send by default."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import Stand, service
from tests.clients.modes import bucket_of
from tests.clients.programs.aws_cli import AwsCli
from tests.clients.programs.boto3_sdk import Boto3
from tests.clients.programs.client import Attributes, Client, ClientFailed

pytestmark = [pytest.mark.clients, pytest.mark.slow]


@pytest.mark.parametrize("server", ["rgw"], indirect=True)
@pytest.mark.parametrize("kind", [Boto3, AwsCli])
def test_default_clients_need_the_gateway(
    kind: type[Client], stand: Stand, source_file: Callable[[int], Path], tmp_path: Path
) -> None:
    """The same upload fails straight to the store (411) and succeeds through the gateway."""
    folder, attributes, prefix = tmp_path / "folder", Attributes("text/plain"), f"trailing/{kind.name}/"
    folder.mkdir()
    (folder / "object").hardlink_to(source_file(1))
    # The AWS command line stumbles over the answer itself: it prints "upload failed" and no code.
    direct = kind(service(stand.server, tmp_path / "direct"))
    with pytest.raises(ClientFailed, match=r"MissingContentLength|upload failed"):
        direct.upload(folder, bucket_of("none"), prefix, attributes)
    assert direct.sizes(bucket_of("none"), prefix) == {}
    through = kind(service(stand.gateway, tmp_path / "gateway"))
    through.upload(folder, bucket_of("none"), prefix, attributes)
    assert direct.sizes(bucket_of("none"), prefix) == {f"{prefix}object": 1}
