"""Mode ``cse`` under programs that use S3 as their disk: restic repositories, parquet files read by columns."""

import filecmp
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.fs
import pyarrow.parquet
import pytest

from lab.binaries import find_binary
from lab.s3_server import REGION
from tests.clients.conftest import REQUIRED_CLIENTS, Stand, service
from tests.clients.modes import bucket_of, stored_encryption
from tests.clients.programs.client import ClientFailed, run

pytestmark = pytest.mark.clients

_MIB = 2**20
_BUCKET = bucket_of("cse")
_SERVERS = ["seaweedfs", pytest.param("rgw", marks=pytest.mark.slow)]
_ROWS = 400_000
_ROW_GROUP = 50_000


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_restic_backs_up_and_restores(stand: Stand, source_file: Callable[[int], Path], tmp_path: Path) -> None:
    """init, two backups, check with all data, restore, forget with prune: and every object is sealed."""
    program = find_binary("restic")
    if program is None:
        if "restic" in REQUIRED_CLIENTS:
            pytest.fail("restic is required by SEALGATE_TEST_CLIENTS and is not on this machine")
        pytest.skip("restic is not on this machine")
    where = service(stand.gateway, tmp_path)
    prefix = "restic"
    tree = tmp_path / "tree"
    tree.mkdir()
    for size in (0, 1, 16_385, 30 * _MIB):
        shutil.copy(source_file(size), tree / f"{size}")

    def restic(*words: str | Path) -> str:
        command = [program, "--cacert", where.ca_file, "--repo", f"s3:{where.endpoint}/{_BUCKET}/{prefix}", *words]
        environment = {"RESTIC_PASSWORD": "of the laboratory", "AWS_DEFAULT_REGION": REGION}
        return run(command, where, environment=environment).decode()

    restic("init")
    restic("backup", tree)
    (tree / "more").write_bytes(random.Random(1).randbytes(3 * _MIB))
    restic("backup", tree)
    assert "no errors were found" in restic("check", "--read-data")
    target = tmp_path / "restored"
    restic("restore", "latest", "--target", target)
    names = sorted(file.name for file in tree.iterdir())
    restored = target / tree.relative_to("/")
    assert filecmp.cmpfiles(tree, restored, names, shallow=False) == (names, [], [])
    (tree / f"{30 * _MIB}").unlink()
    restic("backup", tree)
    restic("forget", "--keep-last", "1", "--prune")
    assert "no errors were found" in restic("check", "--read-data")
    with pytest.raises(ClientFailed, match="already initialized"):
        restic("init")
    client = stand.gateway.client()
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=_BUCKET, Prefix=prefix)["Contents"]]
    assert {stored_encryption(stand.server, _BUCKET, key) for key in keys} == {"cse"}
    for key in keys:
        client.delete_object(Bucket=_BUCKET, Key=key)


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_parquet_is_read_by_columns(stand: Stand) -> None:
    """A column, some row groups and a whole file are what was written; a column costs its own bytes, not the file's."""
    gateway, key = stand.gateway, "parquet/table.parquet"
    files = pyarrow.fs.S3FileSystem(
        access_key=gateway.credentials.access_key,
        secret_key=gateway.credentials.secret_key,
        region=REGION,
        endpoint_override=gateway.endpoint.partition("//")[2],
        scheme="https",
        tls_ca_file_path=str(gateway.ca_file),
    )
    numbers = random.Random(2)
    table = pyarrow.table(
        {
            "id": pyarrow.array(range(_ROWS)),
            "value": pyarrow.array([numbers.random() for _ in range(_ROWS)]),
            "blob": pyarrow.array([numbers.randbytes(48) for _ in range(_ROWS)]),
        }
    )
    pyarrow.parquet.write_table(table, f"{_BUCKET}/{key}", filesystem=files, row_group_size=_ROW_GROUP)
    size = gateway.client().head_object(Bucket=_BUCKET, Key=key)["ContentLength"]
    assert size > 3 * 5 * _MIB
    assert files.get_file_info(f"{_BUCKET}/{key}").size == size
    before = gateway.metric("sealgate_opened_bytes_total")
    column = pyarrow.parquet.read_table(f"{_BUCKET}/{key}", columns=["value"], filesystem=files)
    opened = gateway.metric("sealgate_opened_bytes_total") - before
    assert column.equals(table.select(["value"]))
    assert _ROWS * 8 / 2 < opened < size / 2
    with pyarrow.parquet.ParquetFile(f"{_BUCKET}/{key}", filesystem=files, pre_buffer=True) as file:
        groups = file.read_row_groups([1, 6], columns=["id", "blob"])
    wanted = [table.slice(number * _ROW_GROUP, _ROW_GROUP) for number in (1, 6)]
    assert groups.equals(pyarrow.concat_tables(wanted).select(["id", "blob"]))
    assert pyarrow.parquet.read_table(f"{_BUCKET}/{key}", filesystem=files).equals(table)
    assert stored_encryption(stand.server, _BUCKET, key) == "cse"
    gateway.client().delete_object(Bucket=_BUCKET, Key=key)
