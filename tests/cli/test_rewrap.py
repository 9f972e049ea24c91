"""The options of `sealgate rewrap`, and what `sealgate keys status` says without looking at objects."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.rewrap_command import bytes_per_second, objects_per_second
from gateway.cli.rotation.pace import Pace
from gateway.cli.rotation.working import work_through
from gateway.errors import GatewayError
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.sealing import sealed_rule
from lab.seaweed import SeaweedFS

_CUSTOMER = "cli/status"


@pytest.mark.parametrize(("text", "rate"), [("20", 20), ("20/s", 20), ("0.5/s", 0.5)])
def test_a_rate_of_objects(text: str, rate: float) -> None:
    assert objects_per_second(text) == rate


@pytest.mark.parametrize(
    ("text", "rate"), [("1000", 1000), ("50M", 5e7), ("50MB/s", 5e7), ("1.5MiB/s", 1.5 * 2**20), ("2Gi", 2**31)]
)
def test_a_rate_of_bytes(text: str, rate: float) -> None:
    assert bytes_per_second(text) == rate


@pytest.mark.parametrize("text", ["", "0", "0/s", "-1", "1/m", "fast", "1e3", "٣"])
def test_what_is_no_rate(text: str) -> None:
    for parse in (objects_per_second, bytes_per_second):
        with pytest.raises(typer.BadParameter):
            parse(text)


async def test_a_pace_is_kept() -> None:
    pace = Pace(200.0)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(pace.take() for _ in range(21)))
    assert asyncio.get_running_loop().time() - began >= 0.1
    await asyncio.wait_for(asyncio.gather(*(Pace(None).take(1e9) for _ in range(10))), 1)


async def _numbers(count: int, *, fault: bool = False) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    if fault:
        raise GatewayError("the list broke off")


async def test_what_is_under_way_is_finished_when_the_list_breaks_off() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0.01)
        done.append(number)

    with pytest.raises(GatewayError, match="broke off"):
        await work_through(_numbers(5, fault=True), work, 3)
    assert sorted(done) == [0, 1, 2, 3, 4]


async def test_nothing_is_begun_after_a_stop() -> None:
    done: list[int] = []
    stop = asyncio.Event()

    async def work(number: int) -> None:
        done.append(number)
        if number == 3:
            stop.set()

    await work_through(_numbers(1_000), work, 1, stop)
    assert done == [0, 1, 2, 3]


async def test_an_error_of_the_work_ends_everything() -> None:
    async def work(number: int) -> None:
        if number == 3:
            raise GatewayError("no")
        await asyncio.sleep(0)

    with pytest.raises(GatewayError, match="no"):
        await work_through(_numbers(10_000), work, 4)


@pytest.fixture
def configured(tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS) -> Gateway:
    return Gateway(
        tmp_path,
        authority,
        seaweed,
        rules=[
            sealed_rule("*", prefixes=["sealed/"]),
            {"name": "customer", "buckets": ["*"], "mode": "sse-c", "customer_key": "customer"},
        ],
        vault=openbao,
        customer_keys={"customer": _CUSTOMER},
        sealing=tmp_path / "sealing",
    )


def test_the_configured_keys(configured: Gateway, openbao: OpenBao) -> None:
    options = ["keys", "status", "--config", str(configured.config_file), "--json"]
    version = openbao.put_random_key(_CUSTOMER)
    done = CliRunner().invoke(app, options, env=configured.environment)
    assert done.exit_code == 0, done.output
    wrapping, customer = json.loads(done.stdout)["keys"]
    assert (wrapping["kind"], wrapping["key"], wrapping["fault"]) == ("local", "local:lab-1", "")
    assert (customer["kind"], customer["newest_version"]) == ("vault-kv", str(version))
    openbao.delete_secret(_CUSTOMER)
    done = CliRunner().invoke(app, options, env=configured.environment)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["keys"][1]["fault"]


def test_a_client_with_a_key_of_its_own(configured: Gateway, openbao: OpenBao, seaweed: SeaweedFS) -> None:
    """Its objects are counted and left alone; a table shows them, and names in it can not do anything to a terminal."""
    openbao.put_random_key(_CUSTOMER)
    bucket, client = "rewrap-foreign", seaweed.client()
    client.create_bucket(Bucket=bucket)
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    client.put_object(Bucket=bucket, Key="foreign", Body=b"data", **key)
    client.put_object(Bucket=bucket, Key="sealed/not \u0007sealed", Body=b"data")
    options = [f"s3://{bucket}", "--config", str(configured.config_file)]
    shown = CliRunner().invoke(app, ["keys", "status", *options], env=configured.environment)
    assert shown.exit_code == 0, shown.output
    assert "a client's own key" in shown.output
    done = CliRunner().invoke(app, ["rewrap", *options], env=configured.environment)
    assert done.exit_code == 1
    assert "1 clients own key" in done.output
    # The rule does not let objects exist that are not sealed.
    assert "1 failed" in done.output
    assert "\u0007" not in done.output
    assert client.get_object(Bucket=bucket, Key="foreign", **key)["Body"].read() == b"data"


def test_there_has_to_be_such_an_identity(configured: Gateway) -> None:
    options = ["rewrap", "s3://bucket", "--config", str(configured.config_file), "--identity", "nobody"]
    done = CliRunner().invoke(app, options, env=configured.environment)
    assert done.exit_code == 1
    assert "nobody" in done.output
