"""Checks that span several options of the configuration."""

from collections.abc import Iterator
from ipaddress import ip_address

from gateway.config.customer_keys import VaultCustomerKey
from gateway.config.identities import Identity
from gateway.config.key_consistency import key_faults
from gateway.config.listeners import Balancer, HttpsListener, PlainHttpLoopback, PlainHttpRefusal
from gateway.config.operations import Admin
from gateway.config.policies import PolicyFile
from gateway.config.rules import Rule
from gateway.config.understood import Understood, join, references_in
from gateway.config.upstream import Upstream
from gateway.config.wrapping_keys import VaultTransitKey
from gateway.keys.secret_reference import VaultReference
from gateway.policy.rules import ModeName

Faults = Iterator[tuple[str, str]]


def faults_across(understood: Understood) -> Faults:
    """Option and message of everything that does not fit together across sections."""
    yield from _repeated(understood)
    yield from _unknown_names(understood)
    yield from key_faults(understood)
    yield from _rules_against_upstream(understood)
    yield from _order_of_rules(understood)
    yield from _shared_addresses(understood)
    yield from _free_ports(understood)


def _repeated(understood: Understood) -> Faults:
    for option, values in (
        ("name", [(path, identity.name) for path, identity in understood.each(Identity)]),
        ("access_key_id", [(path, identity.access_key_id) for path, identity in understood.each(Identity)]),
        ("name", [(path, rule.name) for path, rule in understood.each(Rule)]),
        ("name", [(path, policy.name) for path, policy in understood.each(PolicyFile)]),
    ):
        first: dict[str, str] = {}
        for path, value in values:
            if value in first:
                yield f"{path}.{option}", f"is the same as {first[value]}.{option}"
            first.setdefault(value, path)


def _unknown_names(understood: Understood) -> Faults:
    vaults, customer_keys = understood.names("vaults"), understood.names("customer_keys")
    wrapping_keys = understood.names("wrapping_keys")
    for path, section in understood.all():
        if isinstance(section, VaultCustomerKey | VaultTransitKey) and section.vault not in vaults:
            yield f"{path}.vault", f"'{section.vault}' is not an entry of vaults"
    identities = {identity.name for _, identity in understood.each(Identity)}
    for path, rule in understood.each(Rule):
        yield from (
            (f"{path}.identities[{index}]", f"'{name}' is not the name of an identity")
            for index, name in enumerate(rule.identities)
            if name not in identities and len(identities) == understood.count("identities")
        )
        if rule.customer_key is not None and rule.customer_key not in customer_keys:
            yield f"{path}.customer_key", f"'{rule.customer_key}' is not an entry of customer_keys"
        if rule.wrapping_key is not None and rule.wrapping_key not in wrapping_keys:
            yield f"{path}.wrapping_key", f"'{rule.wrapping_key}' is not an entry of wrapping_keys"
    for path, section in understood.all():
        for option, reference in references_in(section):
            if isinstance(reference, VaultReference) and reference.vault_name not in vaults:
                yield join(path, option), f"'{reference.vault_name}' is not an entry of vaults"


def _rules_against_upstream(understood: Understood) -> Faults:
    upstream = next((section for _, section in understood.each(Upstream)), None)
    if upstream is None:
        if understood.value("upstream") is not None:
            return  # it has faults of its own; nothing can be said about the rules
        upstream = Upstream()
    for path, rule in understood.each(Rule):
        if rule.mode is ModeName.SSE_C and not upstream.is_tls:
            yield f"{path}.mode", "sse-c needs an https:// upstream: its keys never cross a connection that is not TLS"
        if rule.kms_key_name is not None and upstream.is_aws:
            yield f"{path}.kms_key_name", "is for servers that have no key ARNs; the upstream is AWS: use kms_key_arn"
        if rule.allowed_kms_key_names and upstream.is_aws:
            yield (
                f"{path}.allowed_kms_key_names",
                "are for servers that have no key ARNs; the upstream is AWS: use allowed_kms_keys",
            )


def _order_of_rules(understood: Understood) -> Faults:
    rules = list(understood.each(Rule))
    last = f"rules[{understood.count('rules') - 1}]"
    catch_all = next((path for path, rule in rules if rule.is_catch_all), None)
    if catch_all is None and any(path == last for path, _ in rules):
        yield (
            "rules",
            (
                "the last rule must fit every object: buckets ['*'] without prefixes. "
                "Give it mode none if that is what the other objects should get"
            ),
        )
    if catch_all is not None:
        paths = [path for path, _ in rules]
        for path in paths[paths.index(catch_all) + 1 :]:
            yield path, f"is never reached: {catch_all} fits every object"


def _shared_addresses(understood: Understood) -> Faults:
    seen: list[tuple[str, str, int]] = []
    for path, address, port in _tcp_addresses(understood):
        other = next((at for at, used, number in seen if number == port and _overlap(used, address)), None)
        if other is not None and port:
            yield path, f"listens on the same address and port as {other}"
        seen.append((path, address, port))
    sockets: dict[str, str] = {}
    for path, listener in understood.each(PlainHttpLoopback):
        if listener.unix_socket is not None:
            if listener.unix_socket in sockets:
                yield f"{path}.unix_socket", f"is the same as {sockets[listener.unix_socket]}.unix_socket"
            sockets.setdefault(listener.unix_socket, path)


def _tcp_addresses(understood: Understood) -> Iterator[tuple[str, str, int]]:
    for path, listener in understood.all():
        if isinstance(listener, HttpsListener | PlainHttpRefusal | Balancer | Admin):
            yield path, listener.address, listener.port
    for path, loopback in understood.each(PlainHttpLoopback):
        if loopback.address is not None and loopback.port is not None:
            yield path, loopback.address, loopback.port


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses can not share a port: the same, or one of them stands for the other too."""
    first, second = ip_address(one), ip_address(other)
    if any(address.is_unspecified and address.version == 6 for address in (first, second)):
        return True  # "::" takes IPv4 as well
    return first.version == second.version and (first == second or first.is_unspecified or second.is_unspecified)


def _free_ports(understood: Understood) -> Faults:
    workers = understood.value("workers")
    if not isinstance(workers, int) or workers <= 1:
        return
    for path, _, port in _tcp_addresses(understood):
        if port == 0:
            yield f"{path}.port", "must be a fixed port when several workers share it"
