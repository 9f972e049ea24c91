"""Writes the vector files of the sealed format: ``python -m tests.crypto.make_vectors``.

The same files each time. Vectors that open are never changed; docs/format.md says why.
"""

from collections.abc import Iterator

from tests.crypto.good_vectors import good_vectors
from tests.crypto.multipart_fault_vectors import multipart_fault_vectors
from tests.crypto.vector import DIRECTORY, Vector
from tests.crypto.whole_fault_vectors import whole_fault_vectors


def all_vectors() -> dict[str, Vector]:
    """Every vector by name."""
    made: dict[str, Vector] = {}
    for name, vector in _each():
        if name in made:
            raise AssertionError(f"two vectors are named {name}")
        made[name] = vector
    return made


def _each() -> Iterator[tuple[str, Vector]]:
    yield from good_vectors()
    yield from whole_fault_vectors()
    yield from multipart_fault_vectors()


def main() -> None:
    """Write them all, and remove what is none."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    made = all_vectors()
    for path in DIRECTORY.iterdir():
        if path.name not in made:
            path.unlink()
    for name, vector in made.items():
        (DIRECTORY / name).write_bytes(vector.render())


if __name__ == "__main__":
    main()
