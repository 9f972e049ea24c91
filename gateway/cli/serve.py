"""``sealgate serve``: from a configuration file to running processes."""

from pathlib import Path

from gateway.config.load import load_config
from gateway.server import supervisor
from gateway.server.app import SealgateApp
from gateway.server.configured import server_settings
from gateway.server.runtime import Runtime, RuntimeReference


def run(config: Path) -> int:
    """Serve until a signal ends it; the exit status."""
    return supervisor.run(RuntimeReference("gateway.cli.serve:runtime", (str(config.absolute()),)))


def runtime(config_file: str) -> Runtime:
    """What a configuration file becomes; called by name in every process.

    Raises:
        ConfigError: with every fault of the configuration.
    """
    config = load_config(Path(config_file))
    return Runtime(server_settings(config), lambda metrics, shared: SealgateApp(config, metrics, shared))
