"""The entry of the ``sealgate`` command."""

import sys

from gateway.cli import serve_command
from gateway.server.core_dumps import forbid_core_dumps


def main() -> None:
    """Run the command that the arguments name."""
    forbid_core_dumps()
    if sys.argv[1:2] == [serve_command.NAME]:
        serve_command.alone()(sys.argv[2:], prog_name="sealgate serve")
    else:
        # The other commands take 4 MiB and a quarter of the time of a start: not where a process is there to stay.
        from gateway.cli.app import app

        app()
