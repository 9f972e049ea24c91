"""Counted instructions of the interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.profile.instructions import counter, counting, read_counts
from lab.process import ServerProcess

_MODULE = """
import time
def twice(n): return n + n
def work():
    for n in range(10): twice(n)
print("ready", flush=True)
while True:
    work()
    time.sleep(0.001)
"""


def test_counts_by_function_and_package() -> None:
    counts = [
        ["/x/project/gateway/s3/headers.py", "Headers.get", 80, 10],
        ["/x/project/gateway/s3/headers.py", "Headers.all", 20, 10],
        ["/x/project/gateway/s3/headers.py", "Headers.get", 20, 10],
        ["/x/.venv/lib/python3.11/site-packages/aiohttp/web.py", "serve", 50, 5],
        ["/usr/lib/python3.11/ssl.py", "read", 5, 5],
        ["<string>", "__init__", 10, 10],
    ]
    read = read_counts(json.dumps(counts), requests=10)
    assert read.by_package == {"gateway/s3": 12.0, "aiohttp": 5.0, "ssl.py": 0.5, "<string>": 1.0}
    assert read.by_function["Headers.get (gateway/s3/headers.py)"] == (10.0, 2.0)
    assert read.total == 18.5


def test_a_running_program_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busy.py").write_text(_MODULE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    record = tmp_path / "counts.json"
    program = ServerProcess("busy", [sys.executable, *counter(record), "-m", "busy"], directory=tmp_path)
    program.start(lambda: "ready" in program.log_file.read_text())
    try:
        with counting(program.pid, record):
            subprocess.run(["sleep", "0.2"], check=True)
    finally:
        program.kill()
    counted = {name: (instructions, calls) for _, name, instructions, calls in json.loads(record.read_text())}
    instructions, calls = counted["twice"]
    assert calls >= 10
    # RESUME, LOAD_FAST twice, BINARY_OP and RETURN_VALUE, in every version of the interpreter much the same.
    assert 3 <= instructions / calls <= 6
