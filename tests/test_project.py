"""Rules of the project that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))
MAXIMUM_FILE_LINES = 400
MAXIMUM_FUNCTION_LINES = 60


def test_the_lock_is_pins_and_hashes_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|file:|^\s*(-i|-e|-f|--index|--extra|--find|--trusted)| @ ", lock, re.MULTILINE)
    for entry in re.split(r"\n(?=[a-z0-9])", lock.strip()):
        assert re.match(r"[a-z0-9.\[\],-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


@pytest.mark.parametrize("target", ["demo", "run", "test", "test-slow", "check", "bench", "scale"])
def test_make_targets_build_the_environment_that_they_need(target: str) -> None:
    assert re.search(rf"^{target}: \$\(STAMP\) ## .", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAXIMUM_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAXIMUM_FUNCTION_LINES, node.name
