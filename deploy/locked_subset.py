"""Prints the part of requirements.lock that some packages need: with pins and hashes, without what is for tests.

    python deploy/locked_subset.py requirements.lock              what the gateway needs to run
    python deploy/locked_subset.py requirements.lock hatchling    what building its wheel needs

The lock says in its comments who asked for each package (``# via``); this follows them. Standard library only: it runs
before anything is installed.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

#: How the lock names the project's own dependencies, as opposed to those of its groups, ``pyproject.toml:dev``.
PROJECT = "sealgate (pyproject.toml)"
_NAME = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==")
_COMMENT = re.compile(r"^    # +(?:via +)?(.+)$")


def parse_lock(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Every entry of a lock by package name: its text as it stands, and who asked for it."""
    entries: dict[str, tuple[str, frozenset[str]]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
        name = _NAME.match(block)
        if name is None:
            raise ValueError(f"not an entry of a lock: {block[:60]!r}")
        comments = (_COMMENT.match(line) for line in block.splitlines())
        entries[name[1]] = (block, frozenset(found[1] for found in comments if found and found[1] != "via"))
    return entries


def closure(entries: dict[str, tuple[str, frozenset[str]]], roots: Iterable[str]) -> list[str]:
    """Names of the packages that ``roots`` need, roots included, in the lock's order.

    Raises:
        KeyError: a root is neither :data:`PROJECT` nor in the lock.
    """
    asked = list(roots)
    for root in asked:
        if root != PROJECT and root not in entries:
            raise KeyError(root)
    wanted = set(asked)
    before = -1
    while len(wanted) > before:
        before = len(wanted)
        wanted |= {name for name, (_, askers) in entries.items() if askers & wanted}
    return [name for name in entries if name in wanted]


def main(arguments: list[str]) -> None:
    """Print the subset."""
    entries = parse_lock(Path(arguments[0]).read_text())
    for name in closure(entries, arguments[1:] or [PROJECT]):
        sys.stdout.write(entries[name][0] + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
