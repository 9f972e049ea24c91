from gateway.keys.version_cache import VersionCache


def test_it_remembers_by_bucket_and_object_key() -> None:
    cache = VersionCache()
    cache.remember("a", "bc", 1)
    cache.remember("ab", "c", 2)
    assert (cache.recall("a", "bc"), cache.recall("ab", "c"), cache.recall("a", "b")) == (1, 2, None)
    cache.remember("a", "bc", 3)
    assert cache.recall("a", "bc") == 3
    cache.forget("a", "bc")
    cache.forget("a", "never")
    assert cache.recall("a", "bc") is None
    assert len(cache) == 1


def test_the_least_recently_used_makes_room() -> None:
    cache = VersionCache(capacity=2)
    cache.remember("b", "1", 1)
    cache.remember("b", "2", 2)
    assert cache.recall("b", "1") == 1
    cache.remember("b", "3", 3)
    assert [cache.recall("b", name) for name in "123"] == [1, None, 3]
    assert len(cache) == 2


def test_it_forgets_after_a_time() -> None:
    now = 100.0
    cache = VersionCache(ttl_seconds=10, clock=lambda: now)
    cache.remember("b", "1", 1)
    now = 109.9
    assert cache.recall("b", "1") == 1
    now = 110.0
    assert cache.recall("b", "1") is None
    assert len(cache) == 0


def test_no_capacity_remembers_nothing() -> None:
    cache = VersionCache(capacity=0)
    cache.remember("b", "1", 1)
    assert cache.recall("b", "1") is None


def test_any_name_that_a_request_can_carry() -> None:
    cache = VersionCache()
    odd = b"\xff\x00".decode("utf-8", "surrogateescape") + "k" * 1024
    cache.remember("b", odd, 4)
    assert cache.recall("b", odd) == 4
