"""``sealgate open``: stored bytes to plaintext, without a gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.stored.naming import Named, found
from gateway.cli.stored.opening import examine, plaintext
from gateway.cli.stored.opening_keys import opening_keys
from gateway.cli.stored.output import output
from gateway.cli.stored.running import run_command
from gateway.crypto.sealed.marker import Marker
from gateway.s3.ranges import RequestedRange


@dataclass(frozen=True, slots=True)
class Opening:
    """What to open, and how.

    Attributes:
        named: the stored bytes.
        keyrings: keyring files.
        config_file: a configuration whose wrapping keys are used.
        destination: the file to write; None for the standard output.
        wanted: the range that is asked for; None for everything.
    """

    named: Named
    keyrings: Sequence[Path]
    config_file: Path | None
    destination: Path | None
    wanted: RequestedRange | None


def run(opening: Opening) -> int:
    """Open stored bytes and return the exit status."""
    return run_command(opening.named.source, _opened(opening))


async def _opened(opening: Opening) -> int:
    async with opening_keys(opening.keyrings, opening.config_file) as keys, found(opening.named) as stored:
        marker = None if stored.marker is None else Marker.parse(stored.marker)
        layout = await examine(stored.source, keys, place=opening.named.place, marker=marker)
        wanted = None
        if opening.wanted is not None:
            part = opening.wanted.within(layout.plaintext_bytes)
            wanted = part.first, part.last
        with output(opening.destination) as write:
            async for piece in plaintext(stored.source, keys, layout, wanted):
                write(piece)
    return 0
