"""What rotation does with objects that several rules may have written."""

import pytest

from gateway.cli.rotation.protection import Guard
from gateway.cli.rotation.targets import SeveralRules, Target
from gateway.policy.rules import EncryptionRule, ModeName


def _target(name: str, mode: ModeName) -> Target:
    return Target(EncryptionRule(name, ("*",), (), mode), Guard(mode))


def test_one_of_several_rules_is_not_chosen() -> None:
    """Otherwise an object could be written anew with less encryption than the rule asked that wrote it."""
    _target("a", ModeName.SSE_S3).require_certain()
    several = Target(_target("a", ModeName.CSE).rule, Guard(ModeName.CSE), (_target("b", ModeName.SSE_S3),))
    with pytest.raises(SeveralRules, match="'a', 'b'"):
        several.require_certain()
