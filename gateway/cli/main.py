"""The entry of the ``sealgate`` command."""

import sys
from typing import Final

from gateway.server.core_dumps import forbid_core_dumps
from gateway.server.huge_pages import restart_in_huge_pages

#: The command whose process is there to stay.
_SERVE: Final = "serve"


def main() -> None:
    """Run the command that the arguments name."""
    serving = sys.argv[1:2] == [_SERVE]
    if serving:
        restart_in_huge_pages()
    forbid_core_dumps()
    if serving:
        from gateway.cli import serve_command

        serve_command.alone()(sys.argv[2:], prog_name="sealgate serve")
    else:
        # The other commands take 4 MiB and a quarter of the time of a start: not where a process is there to stay.
        from gateway.cli.app import app

        app()
