"""The policy that closes a bucket, evaluated: what goes around the gateway is denied, the gateway's own passes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.bucket_policy import render_policy
from gateway.policy.choice import possible_rules
from gateway.policy.closing import NOT_IN_CEPH, Closed, Closing, Dialect, Part, closing_policy, without_closing
from gateway.policy.glob import Glob
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Effect
from gateway.policy.iam.document import parse_policy
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes

_GATEWAY = "arn:aws:iam::111122223333:role/sealgate"
_OTHER = "arn:aws:iam::111122223333:user/application"
_KEY = "arn:aws:kms:eu-central-1:111122223333:key/11111111-0000-4000-8000-000000000001"
_OTHER_KEY = "arn:aws:kms:eu-central-1:111122223333:key/22222222-0000-4000-8000-000000000002"
_BUCKET = "arn:aws:s3:::bucket"
_SSE = "s3:x-amz-server-side-encryption"
_METHODS = {"sse-s3": "AES256", "sse-kms": "aws:kms", "dsse-kms": "aws:kms:dsse"}
_USUAL = frozenset(Part) - {Part.READERS}


@dataclass(frozen=True)
class Sent:
    """A request as S3 sees it."""

    principal: str = _GATEWAY
    keys: Mapping[str, str] = field(default_factory=dict)

    def values(self, key: str) -> tuple[str, ...] | None:
        known = {
            "aws:securetransport": "true",
            "s3:tlsversion": "1.3",
            "aws:principalarn": self.principal,
            **self.keys,
        }
        return (known[key],) if key in known else None


def _write(method: str | None = None, key: str | None = None, *, customer: bool = False, **others: str) -> Sent:
    """A PutObject, or the CreateMultipartUpload of an upload, with these header fields."""
    keys = {_SSE: method, f"{_SSE}-aws-kms-key-id": key, f"{_SSE}-customer-algorithm": "AES256" if customer else None}
    return Sent(keys={**{name: value for name, value in keys.items() if value is not None}, **others})


def _rule(name: str, mode: str, *prefixes: str, **options: Any) -> EncryptionRule:
    if mode.endswith("kms"):
        options = {"kms_key_arn": _KEY, **options}
    return EncryptionRule(name, ("*",), prefixes, ModeName(mode), **options)


def _closed(*rules: EncryptionRule, **options: Any) -> Closed:
    return closing_policy(Closing("bucket", rules, (_GATEWAY,), options.pop("parts", _USUAL), **options))


def _denied(closed: Closed, sent: Sent, object_key: str = "key", action: str = "s3:PutObject") -> bool:
    decision = _compiled(json.dumps(closed.document)).decide(
        sent, Access(action, f"arn:aws:s3:::bucket/{object_key}" if object_key else _BUCKET)
    )
    assert decision.effect is not Effect.ALLOW
    return decision.effect is Effect.DENY


@lru_cache(maxsize=1)
def _compiled(text: str) -> CompiledPolicies:
    return CompiledPolicies([parse_policy(text, "closing")])


_RIGHT = {
    "sse-s3": _write("AES256"),
    "sse-kms": _write("aws:kms", _KEY),
    "dsse-kms": _write("aws:kms:dsse", _KEY),
    "sse-c": _write(customer=True),
    "cse": _write(),
    "none": _write(),
}
_WRONG = {
    "plain": _write(),
    "sse-s3": _write("AES256"),
    "sse-kms": _write("aws:kms", _KEY),
    "another key": _write("aws:kms", _OTHER_KEY),
    "no key": _write("aws:kms"),
    "alias": _write("aws:kms", "alias/mine"),
    "dsse-kms": _write("aws:kms:dsse", _KEY),
    "dsse, another key": _write("aws:kms:dsse", _OTHER_KEY),
    "sse-c": _write(customer=True),
}
#: What a rule lets through beside its own: under these nothing is asked of the store.
_FREE = {"plain", "sse-s3", "sse-kms", "another key", "no key", "alias", "dsse-kms", "dsse, another key"}
_TAKEN = {"sse-s3": {"sse-s3"}, "sse-kms": {"sse-kms"}, "dsse-kms": {"dsse-kms"}, "sse-c": {"sse-c"}}


@pytest.mark.parametrize("sent", _WRONG)
@pytest.mark.parametrize("mode", ModeName)
def test_what_the_rule_of_a_bucket_lets_through(mode: ModeName, sent: str) -> None:
    closed = _closed(_rule("only", mode.value))
    assert _denied(closed, _WRONG[sent]) == (sent not in _TAKEN.get(mode.value, _FREE))
    assert not _denied(closed, _RIGHT[mode.value])


@pytest.mark.parametrize("mode", ModeName)
@pytest.mark.parametrize(
    "action",
    ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:AbortMultipartUpload"],
)
def test_nobody_else_writes(mode: ModeName, action: str) -> None:
    """Not even what is encrypted as the rule asks for."""
    closed = _closed(_rule("only", mode.value))
    assert _denied(closed, replace(_RIGHT[mode.value], principal=_OTHER), action=action)
    assert not _denied(closed, _RIGHT[mode.value], action=action)


def test_reads_are_denied_when_asked_for() -> None:
    rule, other = _rule("only", "sse-s3"), Sent(principal=_OTHER)
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging"):
        assert not _denied(_closed(rule), other, action=action)
        assert _denied(_closed(rule, parts=frozenset(Part)), other, action=action)
        assert not _denied(_closed(rule, parts=frozenset(Part)), Sent(), action=action)


@pytest.mark.parametrize("principal", [_GATEWAY, _OTHER])
@pytest.mark.parametrize("action", ["s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"])
def test_the_owner_can_always_mend_it(action: str, principal: str) -> None:
    """With whatever version of TLS, as anybody, with every part of the policy."""
    old = Sent(principal, {"s3:tlsversion": "1.0"})
    closed = _closed(_rule("only", "sse-kms"), parts=frozenset(Part), minimum_tls="1.3")
    assert not _denied(closed, old, object_key="", action=action)
    assert _denied(closed, old, object_key="", action="s3:ListBucket")
    assert _denied(closed, old, object_key="key", action="s3:GetObject")


@pytest.mark.parametrize("object_key", ["", "key"])
def test_transport(object_key: str) -> None:
    closed = _closed(_rule("only", "none"), minimum_tls="1.3")
    action = "s3:GetObject" if object_key else "s3:ListBucket"
    for keys, denied in (
        ({"aws:securetransport": "false"}, True),
        ({"s3:tlsversion": "1.2"}, True),
        ({"s3:tlsversion": "1.3"}, False),
    ):
        assert _denied(closed, Sent(keys=keys), object_key, action) is denied
    assert not _denied(_closed(_rule("only", "none")), Sent(keys={"s3:tlsversion": "1.2"}), object_key, action)


def test_the_first_rule_decides() -> None:
    """A prefix is cut out of the rule for the rest, also when both would take the same request."""
    rules = _rule("secret", "sse-kms", "secret/"), _rule("late", "sse-s3", "secret/x/"), _rule("rest", "sse-s3")
    closed = _closed(*rules)
    assert closed.loose == ()
    # A rule that never decides leaves no trace.
    assert closed == _closed(rules[0], rules[2])
    for object_key, mode in (("secret/a", "sse-kms"), ("secret/x/a", "sse-kms"), ("secret", "sse-s3"), ("a", "sse-s3")):
        assert not _denied(closed, _RIGHT[mode], object_key)
        assert _denied(closed, _RIGHT["sse-s3" if mode == "sse-kms" else "sse-kms"], object_key)


def test_a_prefix_in_a_prefix_makes_the_outer_one_loose() -> None:
    rules = _rule("inner", "sse-s3", "logs/tmp/"), _rule("outer", "sse-kms", "logs/"), _rule("rest", "dsse-kms")
    closed = _closed(*rules)
    assert [(loose.pattern, loose.rules) for loose in closed.loose] == [("logs/*", ("inner", "outer"))]
    denied = {
        (object_key, mode): _denied(closed, _RIGHT[mode], object_key)
        for object_key in ("logs/tmp/a", "logs/a", "a")
        for mode in ("sse-s3", "sse-kms", "dsse-kms", "sse-c", "none")
    }
    assert [place for place, refused in denied.items() if not refused] == [
        ("logs/tmp/a", "sse-s3"),
        ("logs/a", "sse-s3"),
        ("logs/a", "sse-kms"),
        ("a", "dsse-kms"),
    ]


@pytest.mark.parametrize(("inner", "outer"), [("sse-c", "sse-kms"), ("sse-kms", "sse-c"), ("sse-c", "none")])
def test_a_loose_prefix_takes_customer_keys_beside_others(inner: str, outer: str) -> None:
    closed = _closed(_rule("inner", inner, "a/b/"), _rule("outer", outer, "a/"), _rule("rest", "sse-s3"))
    assert not _denied(closed, _RIGHT[inner], "a/b/c")
    assert _denied(closed, _RIGHT["sse-s3"], "a/b/c")
    for mode in (inner, outer):
        assert not _denied(closed, _RIGHT[mode], "a/c")
    assert _denied(closed, _WRONG["another key"], "a/c") == (outer != "none")


def test_a_prefix_in_a_prefix_of_the_same_encryption_is_exact() -> None:
    rules = _rule("inner", "sse-s3", "logs/tmp/"), _rule("outer", "sse-s3", "logs/"), _rule("rest", "sse-kms")
    closed = _closed(*rules)
    assert closed.loose == ()
    assert len([each for each in _statements(closed) if each["Sid"].startswith("SealgateEncryption")]) == 3


def test_a_rule_about_identities_makes_the_rest_loose() -> None:
    """The store can not see who the client is."""
    closed = _closed(_rule("one", "sse-kms", identities=("billing",)), _rule("rest", "sse-s3"))
    assert [(loose.pattern, loose.rules) for loose in closed.loose] == [("*", ("one", "rest"))]
    assert [name for name, sent in _WRONG.items() if not _denied(closed, sent)] == ["sse-s3", "sse-kms"]


def test_keys_that_clients_may_name() -> None:
    named = _rule("only", "sse-s3", allowed_kms_keys=(_OTHER_KEY,))
    taken = [name for name, sent in _WRONG.items() if not _denied(_closed(named), sent)]
    assert taken == ["sse-s3", "another key", "dsse, another key"]
    enforced = _rule("only", "sse-s3", allowed_kms_keys=(_OTHER_KEY,), enforce=True)
    assert [name for name, sent in _WRONG.items() if not _denied(_closed(enforced), sent)] == ["sse-s3"]


def test_customer_keys_where_one_prefix_uses_them() -> None:
    rules = _rule("vault", "sse-c", "vault/"), _rule("sealed", "cse", "sealed/"), _rule("rest", "sse-s3")
    closed = _closed(*rules)
    customer = _RIGHT["sse-c"]
    assert [_denied(closed, customer, key) for key in ("vault/a", "sealed/a", "a")] == [False, True, True]
    without = _closed(*rules, parts=_USUAL - {Part.ENCRYPTION})
    assert [_denied(without, customer, key) for key in ("vault/a", "sealed/a", "a")] == [False, True, True]


def test_rules_of_other_buckets_do_not_count() -> None:
    other = EncryptionRule("other", ("elsewhere",), (), ModeName.SSE_KMS, kms_key_arn=_KEY)
    assert _closed(other, _rule("rest", "sse-s3")) == _closed(_rule("rest", "sse-s3"))


@pytest.mark.parametrize("prefix", ["price/${list}/", "a$", "${", "a/${*}/"])
def test_a_prefix_is_no_variable(prefix: str) -> None:
    closed = _closed(_rule("odd", "sse-kms", prefix), _rule("rest", "sse-s3"))
    object_key = prefix.replace("*", "star") + "a"
    assert not _denied(closed, _RIGHT["sse-kms"], object_key)
    assert _denied(closed, _RIGHT["sse-s3"], object_key)


@pytest.mark.parametrize("part", sorted(_USUAL))
def test_a_part_can_be_left_out(part: Part) -> None:
    names = {
        Part.TRANSPORT: "Transport",
        Part.TLS_VERSION: "TlsVersion",
        Part.WRITERS: "Writers",
        Part.ENCRYPTION: "Encryption1",
        Part.CUSTOMER_KEYS: "CustomerKeys1",
    }
    rule = _rule("only", "sse-s3")
    whole = {each["Sid"] for each in _statements(_closed(rule))}
    left = {each["Sid"] for each in _statements(_closed(rule, parts=_USUAL - {part}))}
    assert whole - left == {f"Sealgate{names[part]}"}


def test_ceph_gets_only_what_it_evaluates() -> None:
    rules = [_rule(mode.value, mode.value, f"{mode.value}/") for mode in ModeName]
    document = _closed(*rules, _rule("rest", "sse-s3"), dialect=Dialect.CEPH)
    text = json.dumps(document.document)
    for unknown in ("TlsVersion", "PrincipalArn", "customer-algorithm", '"false"', "IfExists"):
        assert unknown not in text
    nulls = [each for each in _statements(document) if "Null" in each.get("Condition", {})]
    assert [each["Sid"] for each in nulls] == ["SealgateTransport"]
    [writers] = [each for each in _statements(document) if each["Sid"] == "SealgateWriters"]
    assert writers["NotPrincipal"] == {"AWS": [_GATEWAY]}
    assert "Principal" not in writers
    assert {Part.TLS_VERSION, Part.CUSTOMER_KEYS} == NOT_IN_CEPH


def test_the_order_is_stable() -> None:
    rules = [_rule("a", "sse-kms", "b/", "a/"), _rule("c", "sse-c", "c/"), _rule("rest", "sse-s3")]
    roles = ("arn:aws:iam::111122223333:role/z", "arn:aws:iam::111122223333:role/a")
    texts = {
        json.dumps(closing_policy(Closing("bucket", rules, order, _USUAL)).document) for order in (roles, roles[::-1])
    }
    assert len(texts) == 1
    sids = [each["Sid"] for each in json.loads(texts.pop())["Statement"]]
    assert sids == [
        "SealgateTransport",
        "SealgateTlsVersion",
        "SealgateWriters",
        "SealgateEncryption1",
        "SealgateEncryption2",
        "SealgateEncryption3",
        "SealgateEncryption4",
    ]


def _statements(closed: Closed) -> list[dict[str, Any]]:
    return json.loads(json.dumps(closed.document["Statement"]))  # type: ignore[no-any-return] # a list of objects


_MODES = st.sampled_from([mode.value for mode in ModeName])
#: Often one within the other, and now and then anything.
_PREFIX = st.sampled_from(["a", "ab", "a/", "b", "?b", "*a", "a*b", "a$", "${a}"]) | st.text(
    "ab/*?${}", min_size=1, max_size=4
)
_PREFIXES = st.lists(_PREFIX, max_size=2, unique=True)
_KEYS = st.sampled_from([_KEY, _OTHER_KEY])


@st.composite
def _rules(draw: st.DrawFn) -> list[EncryptionRule]:
    rules = []
    for number in range(draw(st.integers(0, 4))):
        mode = draw(_MODES)
        options: dict[str, Any] = {"kms_key_arn": draw(_KEYS)} if mode.endswith("kms") else {}
        options["identities"] = ("one",) if draw(st.integers(0, 5)) == 0 else ()
        rules.append(_rule(f"rule {number}", mode, *draw(_PREFIXES), **options))
    return [*rules, _rule("rest", draw(_MODES))]


def _is_right(sent: Sent, rule: EncryptionRule) -> bool:
    method, key = sent.keys.get(_SSE), sent.keys.get(f"{_SSE}-aws-kms-key-id")
    customer = f"{_SSE}-customer-algorithm" in sent.keys
    if rule.mode in {ModeName.NONE, ModeName.CSE}:
        return not customer
    if rule.mode is ModeName.SSE_C:
        return customer
    return method == _METHODS[rule.mode.value] and (rule.mode is ModeName.SSE_S3 or key == rule.kms_key_arn)


def _own_write(rule: EncryptionRule, object_key: str) -> Sent:
    """What the gateway sends for a client that names no encryption: the header fields that the rule's mode makes."""
    key = SecretBytes(bytes(range(32))) if rule.mode is ModeName.SSE_C else None
    headers = MODES[rule.mode].request_headers(rule, Subject("bucket", object_key, "client", key))
    return Sent(keys={f"s3:{name}": value for name, value in headers})


@settings(max_examples=120)
@given(_rules(), st.text("ab/${}", min_size=1, max_size=5))
def test_the_policy_says_what_the_rules_say(rules: list[EncryptionRule], object_key: str) -> None:
    """For any rules: the gateway's own writes pass; any other encryption is denied, but where the policy is loose."""
    closed = _closed(*rules)
    parse_policy(render_policy(closed.document), "closing")
    possible = possible_rules(rules, "bucket", object_key)
    for rule in possible:
        assert not _denied(closed, _own_write(rule, object_key), object_key), rule.name
        assert _denied(closed, replace(_own_write(rule, object_key), principal=_OTHER), object_key)
    loose = [loose for loose in closed.loose if Glob(loose.pattern).matches(object_key)]
    for name, sent in _WRONG.items():
        right = any(_is_right(sent, rule) for rule in possible)
        if right or not loose:
            assert _denied(closed, sent, object_key) is not right, name


def test_the_gateway_does_not_judge_its_clients_by_it() -> None:
    """Statements of others stay, and so does what only has such a name and allows."""
    closed = _closed(_rule("only", "sse-kms"))
    theirs = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    others = [{**theirs, "Sid": "Theirs"}, theirs, {**theirs, "Sid": "SealgateAllows", "Effect": "Allow"}]
    document = {**closed.document, "Statement": [others[0], *_statements(closed), *others[1:]]}
    kept = without_closing(parse_policy(json.dumps(document), "bucket"))
    assert [statement.sid for statement in kept.statements] == ["Theirs", None, "SealgateAllows"]
    assert [statement.number for statement in kept.statements] == [
        0,
        len(_statements(closed)) + 1,
        len(_statements(closed)) + 2,
    ]
