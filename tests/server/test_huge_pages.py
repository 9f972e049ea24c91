"""A process that stays starts once more, in huge pages, and only where that makes sense."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.server import huge_pages
from gateway.server.huge_pages import allocator_settings

ROOT = Path(__file__).parents[2]
HUGE_PAGES = "glibc.malloc.hugetlb=1"
#: ``sealgate serve`` up to a configuration that is not there, as in a process of its own: it shows its number, its
#: arguments, its environment, its memory in huge pages and whether it can be dumped.
SERVING = """
import ctypes, json, os, re, sys
if len(sys.argv) < 4:
    sys.exit("not started with the same arguments")
from gateway.cli.main import main
try:
    main()
except SystemExit as ended:
    rollup = open("/proc/self/smaps_rollup").read()
    print(json.dumps({
        "status": ended.code,
        "pid": os.getpid(),
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "huge_kib": int(re.search(r"AnonHugePages: +([0-9]+) kB", rollup)[1]),
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    }))
"""
COMMAND = [sys.executable, "-c", SERVING, "serve", "--config", "/nonexistent.yaml"]

_PR_GET_THP_DISABLE = 42
needs_huge_pages = pytest.mark.skipif(
    not huge_pages.system_has_huge_pages() or ctypes.CDLL(None).prctl(_PR_GET_THP_DISABLE, 0, 0, 0, 0) != 0,
    reason="this system has no huge pages for a heap",
)


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, {"GLIBC_TUNABLES": HUGE_PAGES, "PYTHONMALLOC": "malloc"}),
        ({"GLIBC_TUNABLES": ""}, {"GLIBC_TUNABLES": HUGE_PAGES, "PYTHONMALLOC": "malloc"}),
        (
            {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2", "PATH": "/bin"},
            {"GLIBC_TUNABLES": f"glibc.malloc.arena_max=2:{HUGE_PAGES}", "PYTHONMALLOC": "malloc"},
        ),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=0"}, {}),
        ({"GLIBC_TUNABLES": HUGE_PAGES}, {}),
        ({"PYTHONMALLOC": "pymalloc"}, {}),
        ({"PYTHONMALLOC": ""}, {}),
    ],
)
def test_what_is_added_to_an_environment(environment: dict[str, str], added: dict[str, str]) -> None:
    assert allocator_settings(environment) == added
    assert allocator_settings(environment | added) == {} or not added, "once more, and not again and again"


@pytest.mark.parametrize(
    ("enabled", "size_bytes", "usable"),
    [
        ("always [madvise] never", "2097152", True),
        ("[always] madvise never", "2097152", True),
        ("always madvise [never]", "2097152", False),
        ("always [madvise] never", "536870912", False),
        ("always [madvise] never", "", False),
        (None, None, False),
    ],
)
def test_what_a_kernel_must_have(tmp_path: Path, enabled: str | None, size_bytes: str | None, usable: bool) -> None:
    if enabled is not None and size_bytes is not None:
        (tmp_path / "enabled").write_text(f"{enabled}\n")
        (tmp_path / "hpage_pmd_size").write_text(f"{size_bytes}\n")
    assert huge_pages._kernel_has_them(tmp_path) is usable


@pytest.mark.parametrize(
    ("version", "usable"),
    [
        ("glibc 2.36", True),
        ("glibc 2.35", True),
        ("glibc 3.0", True),
        ("glibc 2.34.9", False),
        ("glibc 2.9", False),
        ("glibc", False),
        ("other 2.36", False),
        (None, False),
    ],
)
def test_which_c_library_asks(monkeypatch: pytest.MonkeyPatch, version: str | None, usable: bool) -> None:
    monkeypatch.setattr(os, "confstr", lambda name: version)
    assert huge_pages._library_asks_for_them() is usable


@pytest.mark.parametrize(("flags", "usable"), [("", True), ("d", True), ("t", False), ("td", False)])
def test_an_interpreter_without_its_lock_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, flags: str, usable: bool
) -> None:
    monkeypatch.setattr(huge_pages, "_kernel_has_them", lambda settings: True)
    monkeypatch.setattr(huge_pages, "_library_asks_for_them", lambda: True)
    monkeypatch.setattr(sys, "abiflags", flags)
    assert huge_pages.system_has_huge_pages() is usable


def _shown(environment: dict[str, str]) -> dict[str, object]:
    with subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=60)
    shown: dict[str, object] = json.loads(output.splitlines()[-1])
    assert shown.pop("status") == 78
    assert shown.pop("pid") == process.pid, "who started it knows it by its number"
    assert shown.pop("arguments") == COMMAND[3:]
    assert shown.pop("dumpable") == 0, "the second start forbids core dumps too"
    return shown


@needs_huge_pages
def test_serving_starts_once_more_in_huge_pages() -> None:
    environment = {"PATH": os.environ["PATH"], "LC_CTYPE": "C.UTF-8", "A_SECRET": "of the operator \udc80"}
    shown = _shown(environment)
    assert shown["environment"] == environment | {"GLIBC_TUNABLES": HUGE_PAGES, "PYTHONMALLOC": "malloc"}
    assert int(str(shown["huge_kib"])) >= 2 * 1024


def test_serving_leaves_an_operator_s_own_choice_alone() -> None:
    """With ``always``, the kernel gives huge pages unasked."""
    environment = {"PATH": os.environ["PATH"], "LC_CTYPE": "C.UTF-8", "PYTHONMALLOC": "pymalloc"}
    shown = _shown(environment)
    assert shown["environment"] == environment
    kernel = huge_pages._KERNEL_SETTINGS / "enabled"
    assert shown["huge_kib"] == 0 or "[always]" in kernel.read_text()


def test_a_system_that_forbids_it_is_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def refuse(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        asked.append(arguments)
        raise PermissionError

    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "execve", refuse)
    monkeypatch.setattr(huge_pages, "system_has_huge_pages", lambda: True)
    huge_pages.restart_in_huge_pages()
    assert asked == [[sys.executable, *sys.orig_argv[1:]]]
