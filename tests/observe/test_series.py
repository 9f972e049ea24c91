"""Series counted in directly: the same values as by the client library's own methods."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values

from gateway.observe.series import Observing, adding

_BUCKETS = (0.001, 0.5, 1.0, 60.0)
_AMOUNTS = st.one_of(st.sampled_from(_BUCKETS), st.floats(min_value=0, max_value=1e6))


def _shown(observe: bool, amounts: list[float], direct: bool) -> bytes:
    registry = CollectorRegistry()
    family = (
        Histogram("seconds", "x", ("label",), registry=registry, buckets=_BUCKETS)
        if observe
        else Counter("bytes", "x", ("label",), registry=registry)
    )
    series = family.labels("a")
    for amount in amounts:
        if isinstance(series, Histogram):
            Observing(series).observe(amount) if direct else series.observe(amount)
        else:
            adding(series)(amount) if direct else series.inc(amount)
    return b"".join(line for line in generate_latest(registry).splitlines(keepends=True) if b"_created" not in line)


@pytest.mark.parametrize("observe", [True, False], ids=["histogram", "counter"])
@given(amounts=st.lists(_AMOUNTS, max_size=20))
def test_as_the_library_counts(observe: bool, amounts: list[float]) -> None:
    assert _shown(observe, amounts, direct=True) == _shown(observe, amounts, direct=False)


def test_a_gauge_goes_up_and_down() -> None:
    registry = CollectorRegistry()
    add = adding(Gauge("in_flight", "x", registry=registry))
    add(1)
    add(1)
    add(-1)
    assert registry.get_sample_value("in_flight") == 1


def test_values_in_files_are_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.MultiProcessValue(lambda: 7))  # type: ignore[no-untyped-call]
    counter = Counter("requests", "x", registry=CollectorRegistry())
    adding(counter)(3)
    assert counter._value.get() == 3
    assert (tmp_path / "counter_7.db").exists()


@pytest.mark.parametrize("direct", [adding, Observing], ids=["adding", "observing"])
def test_a_family_is_no_series(direct: type[Observing]) -> None:
    with pytest.raises(ValueError, match="missing label values"):
        direct(Histogram("seconds", "x", ("label",), registry=CollectorRegistry()))
