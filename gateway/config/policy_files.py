"""The policies in files: read whole, with every fault of every file."""

from collections.abc import Sequence
from pathlib import Path

from gateway.config.policies import PolicyFile
from gateway.errors import ConfigError
from gateway.policy.iam.document import MAXIMUM_POLICY_BYTES, Policy, parse_policy


def read_policies(files: Sequence[PolicyFile]) -> tuple[Policy, ...]:
    """The policies, in the order configured.

    Raises:
        ConfigError: with every fault of every file: the policy, the line, the field, what is wrong.
    """
    policies: list[Policy] = []
    faults: list[str] = []
    for file in files:
        try:
            policies.append(read_policy(file))
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(tuple(faults))
    return tuple(policies)


def read_policy(file: PolicyFile) -> Policy:
    """One policy.

    Raises:
        ConfigError: the file can not be read, or is no policy; with every fault.
    """
    try:
        with Path(file.file).open("rb") as opened:
            # One byte more than allowed shows that there is too much, whatever the size of what was named.
            content = opened.read(MAXIMUM_POLICY_BYTES + 1)
    except OSError as error:
        raise ConfigError((f"{file.name}: {file.file}: {error.strerror}",)) from None
    return parse_policy(content, file.name)
