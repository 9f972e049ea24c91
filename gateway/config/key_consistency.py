"""Checks that span several wrapping keys and quotas."""

import re
from collections.abc import Iterator

from gateway.config.key_quotas import KeyQuota
from gateway.config.understood import Understood
from gateway.config.wrapping_keys import AwsKmsKey, VaultTransitKey

Faults = Iterator[tuple[str, str]]

_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}")


def key_faults(understood: Understood) -> Faults:
    """Option and message of what does not fit together in ``wrapping_keys`` and ``key_quotas``."""
    yield from _ambiguous_keys(understood)
    yield from _quotas(understood)


def _ambiguous_keys(understood: Understood) -> Faults:
    """Entries that objects can not tell apart: they name their wrapping key, not its context and not its vault."""
    first: dict[str, tuple[str, object]] = {}
    for path, kms in understood.each(AwsKmsKey):
        for arn in kms.arns:
            other, context = first.setdefault(arn, (path, kms.encryption_context))
            if context != kms.encryption_context:
                yield f"{path}.encryption_context", f"differs from that of {other}, which is the same key"
                break
    for path, transit in understood.each(VaultTransitKey):
        meaning = (transit.vault, transit.encryption_context)
        other, said = first.setdefault(f"{transit.mount}/{transit.key}", (path, meaning))
        if said != meaning:
            yield (
                f"{path}.key",
                (
                    f"has the mount and name of {other}, but another vault or encryption_context: objects name the "
                    "mount and the key only"
                ),
            )


def _quotas(understood: Understood) -> Faults:
    vaults = understood.names("vaults")
    first: dict[tuple[str, str], str] = {}
    for path, quota in understood.each(KeyQuota):
        other = first.setdefault((quota.provider, quota.scope), path)
        if other != path:
            yield f"{path}.scope", f"is the same as {other}.scope"
        if quota.provider == "vault-transit" and quota.scope not in vaults:
            yield f"{path}.scope", f"'{quota.scope}' is not an entry of vaults"
        if quota.provider == "aws-kms" and not _REGION.fullmatch(quota.scope):
            yield f"{path}.scope", "a Region's name is needed, such as eu-central-1"
