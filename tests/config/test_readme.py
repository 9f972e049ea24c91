"""What the README shows works as it stands there."""

import re
from pathlib import Path

from gateway.config.load import parse_config
from gateway.policy.rules import ModeName

_README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_configuration_of_the_readme_loads() -> None:
    """The example is a whole configuration, down to its last rule."""
    (example,) = re.findall(r"```yaml\n(.*?)```", _README, re.DOTALL)
    modes = [rule.mode for rule in parse_config(example).rules]
    assert modes == [ModeName.SSE_C, ModeName.SSE_KMS, ModeName.SSE_S3]


def test_every_mode_is_in_the_readme() -> None:
    """The table of modes is complete."""
    assert all(f"| `{mode}` |" in _README for mode in ModeName)
