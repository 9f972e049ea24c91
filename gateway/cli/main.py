"""The entry of the ``sealgate`` command."""

import sys
from typing import Final

from gateway.server.core_dumps import forbid_core_dumps
from gateway.server.huge_pages import restart_in_huge_pages

#: The command whose process is there to stay.
_SERVE: Final = "serve"


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == [_SERVE]:
        restart_in_huge_pages()
        forbid_core_dumps()
        from gateway.cli import serve_command

        serve_command.alone()(sys.argv[2:], prog_name="sealgate serve")
    else:
        forbid_core_dumps()
        # The other commands take 4 MiB and a quarter of the time of a start: not where a process is there to stay.
        from gateway.cli.app import app

        app()
