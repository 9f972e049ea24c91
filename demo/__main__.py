"""``make demo`` and ``make run``."""

import signal
import sys
import time

from rich.console import Console

from demo.stage import Stage, running
from demo.story import Story


def main(*, keep_running: bool) -> None:
    console = Console()
    started = time.monotonic()
    console.print("Starting OpenBao, SeaweedFS and Sealgate on this machine, each with TLS ...", highlight=False)
    with running() as stage:
        console.print(f"Started in {time.monotonic() - started:.0f} s.", highlight=False)
        if keep_running:
            _keep_running(stage, console)
            return
        Story(stage, console).tell()
    console.print(f"\nDone in {time.monotonic() - started:.0f} s. Everything that ran is stopped, its files are gone.")


def _keep_running(stage: Stage, console: Console) -> None:
    console.print("\nPoint any S3 client at the gateway:\n", highlight=False)
    for name, value in stage.environment(stage.gateway.endpoint).items():
        if not name.endswith("_FILE"):
            console.print(f"  export {name}={value}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        "\nThe bucket's name decides the encryption: none, sse-s3, sse-kms, sse-c, cse; any other bucket gets sse-s3.\n"
        f"  aws s3 mb s3://sse-c && aws s3 cp README.md s3://sse-c/\n\n"
        f"Metrics: {stage.gateway.admin_endpoint}/metrics   access log: {stage.gateway.log_file}\n"
        "Ctrl-C stops everything.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nStopping.")


if __name__ == "__main__":
    main(keep_running="--keep-running" in sys.argv[1:])
