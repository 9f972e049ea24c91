"""Which rule is about an object: surely for a new one, as far as it can be told for a stored one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.choice import agreed_rule, narrowed, possible_rules, stored_rule, stored_rules, written_rule
from gateway.policy.rules import EncryptionRule, Existing, ModeName, ObjectTraits


def _rule(name: str, mode: ModeName = ModeName.SSE_S3, **options: object) -> EncryptionRule:
    return EncryptionRule(**{"name": name, "buckets": ("*",), "prefixes": (), "mode": mode, **options})  # type: ignore[arg-type]


PLACES = (
    _rule("secret logs", buckets=("logs", "*-logs"), prefixes=("secret/", "*/private-?/")),
    _rule("logs", buckets=("logs", "*-logs")),
    _rule("images", buckets=("data",), prefixes=("images/",)),
)
ANN = _rule("ann", ModeName.SSE_KMS, kms_key_arn="key", identities=("ann",))
TAGGED = _rule("tagged", ModeName.CSE, wrapping_key="w", tags=(("class", "secret"),))
PICTURES = _rule("pictures", ModeName.NONE, content_types=("image/*",))
REST = _rule("rest")
RULES = (ANN, TAGGED, PICTURES, REST)


@pytest.mark.parametrize(
    ("bucket", "object_key", "expected"),
    [
        ("logs", "secret/a", "secret logs"),
        ("eu-logs", "x/private-1/a", "secret logs"),
        ("eu-logs", "x/private-12/a", "logs"),
        ("logs", "secret", "logs"),
        ("data", "images/", "images"),
        ("data", "image", None),
        ("other", "images/a", None),
    ],
)
def test_by_place(bucket: str, object_key: str, expected: str | None) -> None:
    """The first rule in order whose bucket and prefix fit; none fits: None."""
    found = stored_rule(PLACES, bucket, object_key)
    assert (found.name if found else None) == expected
    assert [rule.name for rule in possible_rules(PLACES, bucket, object_key)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (ObjectTraits("ann", {}, "image/png"), ["ann"]),
        (ObjectTraits("bob", {"class": "secret"}, "image/png"), ["tagged"]),
        (ObjectTraits("bob", {}, "image/png"), ["pictures"]),
        (ObjectTraits("bob", {}, "text/html"), ["rest"]),
        (ObjectTraits("bob", None, "text/html"), ["tagged", "rest"]),
        (ObjectTraits("bob"), ["tagged", "pictures", "rest"]),
        (ObjectTraits("ann"), ["ann"]),
        (ObjectTraits(), ["ann", "tagged", "pictures", "rest"]),
    ],
)
def test_possible_rules(traits: ObjectTraits, expected: list[str]) -> None:
    """Every rule that may be about the object, up to the first that surely is."""
    assert [rule.name for rule in possible_rules(RULES, "b", "k", traits)] == expected


def test_rules_agree_when_they_do_the_same() -> None:
    same = replace(REST, name="same", identities=("ann",))
    assert agreed_rule((same, REST)) is same
    assert agreed_rule((REST,)) is REST
    assert agreed_rule((replace(same, enforce=True), REST)) is None
    assert agreed_rule(()) is None


SEALED_REST = _rule("sealed rest", ModeName.CSE, wrapping_key="v")
CUSTOMER = _rule("customer", ModeName.SSE_C, customer_key="c", identities=("bob",))


@pytest.mark.parametrize(
    ("rules", "name", "existing"),
    [
        ((REST,), "rest", Existing.NONE),
        ((ANN, REST), "ann", Existing.NONE),
        ((PICTURES, REST), "rest", Existing.NONE),
        ((CUSTOMER, ANN, REST), "customer", Existing.NONE),
        ((TAGGED, REST), "tagged", Existing.PLAINTEXT),
        ((PICTURES, SEALED_REST), "sealed rest", Existing.PLAINTEXT),
        ((TAGGED, SEALED_REST), "tagged", Existing.NONE),
        ((TAGGED, replace(SEALED_REST, existing=Existing.PLAINTEXT)), "tagged", Existing.PLAINTEXT),
        ((CUSTOMER, TAGGED, REST), "tagged", Existing.PLAINTEXT),
    ],
    ids=lambda value: "+".join(rule.name for rule in value) if isinstance(value, tuple) else str(value),
)
def test_stored_rule(rules: tuple[EncryptionRule, ...], name: str, existing: Existing) -> None:
    """What one of the rules sealed is expected, and what another one left as it was stays readable."""
    found = stored_rule(rules, "b", "k")
    assert found is not None
    assert (found.name, found.existing) == (name, existing)


def test_a_stored_object_may_be_of_a_rule_that_overrides() -> None:
    """A client's own key is then not the only one that is tried."""
    found = stored_rule((TAGGED, replace(CUSTOMER, enforce=True), REST), "b", "k")
    assert found is not None
    assert found.enforce


def test_new_sealed_object_beside_others() -> None:
    """Its conditions may be about an object that another rule left in the clear."""
    assert written_rule(TAGGED, RULES).existing is Existing.PLAINTEXT
    assert written_rule(TAGGED, (TAGGED, SEALED_REST)) is TAGGED
    assert written_rule(ANN, RULES) is ANN


_ANY_RULE = st.builds(
    _rule,
    st.sampled_from(["r1", "r2"]),
    st.sampled_from(ModeName),
    prefixes=st.sampled_from([(), ("a",), ("b",)]),
    identities=st.sampled_from([(), ("ann",), ("bob",)]),
    tags=st.sampled_from([(), (("class", "s*"),)]),
    content_types=st.sampled_from([(), ("image/*",)]),
    existing=st.sampled_from(Existing),
)
_KNOWN = st.builds(
    ObjectTraits,
    st.sampled_from(["ann", "bob", ""]),
    st.sampled_from([{}, {"class": "s"}, {"class": "t"}]),
    st.sampled_from(["image/png", "text/html"]),
)


@given(st.lists(_ANY_RULE, max_size=5), _KNOWN, st.sampled_from(["a", "b", "c"]))
def test_a_stored_object_is_found_whoever_wrote_it(
    rules: list[EncryptionRule], traits: ObjectTraits, object_key: str
) -> None:
    """The rule that wrote an object is always among those that are reckoned with when it is read."""
    writing = possible_rules(rules, "b", object_key, traits)
    assert len(writing) <= 1
    for rule in writing:
        assert rule in possible_rules(rules, "b", object_key)
        assert narrowed(possible_rules(rules, "b", object_key), traits) == writing
        assert rule in possible_rules(rules, "b", object_key, ObjectTraits(identity=traits.identity))
        stored = stored_rule(rules, "b", object_key)
        assert stored is not None
        if rule.mode is ModeName.CSE:
            assert stored.mode is ModeName.CSE
        elif stored.mode is ModeName.CSE:
            assert stored.existing is Existing.PLAINTEXT


@given(st.lists(_ANY_RULE, max_size=5), st.sampled_from(["b", "c"]), st.sampled_from(["a", "b", "c"]))
def test_rules_of_many_objects_are_those_of_each(rules: list[EncryptionRule], bucket: str, object_key: str) -> None:
    assert stored_rules(rules, bucket)(object_key) == stored_rule(rules, bucket, object_key)
