"""Two gateway processes hold lists of key versions of different ages."""

import asyncio
from collections.abc import Callable

from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvKeys
from gateway.keys.version_cache import VersionCache
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.server.key_ring import KeyRing
from lab.openbao import OpenBao
from tests.keys.conftest import new_key_text

RULE = EncryptionRule("secret things", ("*",), (), ModeName.SSE_C, customer_key="shared")


async def test_an_object_written_after_a_rotation_is_read_by_a_process_that_has_not_seen_it(
    bao: OpenBao, connect: Callable[..., VaultClient]
) -> None:
    bao.put_secret("keys/two-processes", {"key": new_key_text()})
    sources = [
        CustomerKeySource(KvKeys(connect(bao), "secret", "keys/two-processes"), CustomerKeySettings()) for _ in range(2)
    ]
    late = KeyRing({RULE.name: sources[0]}, [RULE], VersionCache())
    early = KeyRing({RULE.name: sources[1]}, [RULE], VersionCache())
    assert (await late.for_new_object(RULE, "b", "k")).version == 1
    bao.put_secret("keys/two-processes", {"key": new_key_text()})
    written_with = await early.for_new_object(RULE, "b", "k")
    assert written_with.version == 2

    await asyncio.sleep(1)  # a list younger than this is not read again
    tried = []
    async for attempt in late.attempts(RULE, "b", "k", None):
        if attempt.object_key is not None:
            tried.append(attempt.object_key.version)
            if attempt.object_key.key.reveal() == written_with.key.reveal():
                break
    assert tried == [1, 2]
    for source in sources:
        await source.aclose()
