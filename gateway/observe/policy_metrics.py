"""Counts what policies and rules decide, and shows where policies come from."""

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.observe.families import RELOAD_RESULTS, FamilyMaker
from gateway.observe.series import Add, adding

BUCKET_POLICY_RESULTS: Final = ("ok", "none", "failed")


class PolicyMetrics:
    """The counters of one process.

    Args:
        registry: where the families are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = FamilyMaker(registry)
        self._decisions = make.counter(
            "policy_decisions", "Requests allowed and denied, by the statement or rule.", ("effect", "rule")
        )
        self._decided: dict[tuple[str, str], Add] = {
            (effect, "default"): adding(self._decisions.labels(effect, "default")) for effect in ("allow", "deny")
        }
        self._reads = make.counter("policy_reads", "Policy files read.", ("result",), RELOAD_RESULTS)
        self._broken = make.gauge(
            "policy_files_broken", "1 while the present policy files can not be used.", merge="livemax"
        )
        self._loaded = make.gauge(
            "policy_files_loaded_timestamp_seconds", "When the policies in use were read.", merge="livemin"
        )
        self._of_buckets = make.counter(
            "bucket_policy_reads", "Policies of buckets asked for.", ("result",), BUCKET_POLICY_RESULTS
        )
        self._unencrypted = make.gauge("unencrypted_rules", "Rules of mode none.", merge="livemax")

    def decision(self, effect: str, rule: str) -> None:
        """A request was allowed or denied; ``rule`` is out of a set that the configuration limits."""
        add = self._decided.get((effect, rule))
        if add is None:
            add = self._decided[effect, rule] = adding(self._decisions.labels(effect, rule))
        add(1)

    def policy_files_read(self, *, worked: bool, when: datetime) -> None:
        """Policy files were read; those that can not be used leave the policies as they were."""
        self._reads.labels("ok" if worked else "failed").inc()
        self._broken.set(0 if worked else 1)
        if worked:
            self._loaded.set(when.timestamp())

    def bucket_policy_read(self, result: str) -> None:
        """The policy of a bucket was asked for."""
        self._of_buckets.labels(result).inc()

    def unencrypted_rules(self, number: int) -> None:
        """How many rules of the configuration have mode ``none``."""
        self._unencrypted.set(number)
