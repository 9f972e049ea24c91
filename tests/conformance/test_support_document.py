"""docs/s3-support.md says what is so: every operation, every code of the gateway, every known difference."""

from pathlib import Path

import pytest

from gateway.errors import STATUS_BY_CODE
from gateway.s3.operation import Operation
from tests.conformance.differences import DIFFERENCES, Difference

_SERVERS = {"seaweedfs": "SeaweedFS", "rgw": "Ceph RGW", "minio": "MinIO"}
_DOCUMENT = (Path(__file__).parents[2] / "docs" / "s3-support.md").read_text()


def _section(title: str) -> list[str]:
    """The lines of one section."""
    return _DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0].splitlines()


@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.value)
def test_every_operation_is_in_one_row(operation: Operation) -> None:
    """What happens to an operation is said once."""
    rows = [line for line in _section("Operations") if line.startswith("|") and f"`{operation.value}`" in line]
    says_how = [row for row in rows if f"`{operation.value}`" in row.split("|")[1]]
    assert len(says_how or rows) == 1


@pytest.mark.parametrize("code", STATUS_BY_CODE)
def test_every_code_is_there_with_its_status(code: str) -> None:
    """Every code that the gateway itself answers with, and when."""
    (row,) = (line for line in _section("Refusals") if line.startswith("|") and f"`{code}`" in line.split("|")[1])
    assert row.split("|")[2].strip() == str(STATUS_BY_CODE[code])


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.title)
def test_every_difference_is_there(difference: Difference) -> None:
    """In the words of the suite's own table."""
    servers = ", ".join(_SERVERS[server] for server in difference.cases)
    assert f"| {difference.title} | {difference.reason} | {servers} |" in _section("Differences")


def test_no_difference_is_invented() -> None:
    """The document lists no more than the suite."""
    rows = [line for line in _section("Differences") if line.startswith("|")]
    assert len(rows) == len(DIFFERENCES) + 2
