"""How far ratios move between runs of the benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.compare import movements, movements_table, verdict
from bench.contestants import DIRECT, NGINX
from bench.figures import Result, Round, result_as_json, result_from_json
from bench.loads import KIB, MIB, Kind, Load
from lab.binaries import LabError

_SMALL = Load(Kind.GET, KIB, 16)
_LARGE = Load(Kind.PUT, 256 * MIB, 4)


def result(load: Load, contestant: str, *cpu: float) -> Result:
    return Result(load, contestant, tuple(Round(100, 1.0, each, 2.0, 5.0, 100 * MIB) for each in cpu))


def run(small: float, large: float = 2.0) -> dict[str, Any]:
    """Raw figures in which ``cse`` costs so many times as much as nginx."""
    results = [
        result(_SMALL, DIRECT, 0, 0, 0),
        result(_SMALL, NGINX, 0.1, 0.2, 0.1),
        result(_SMALL, "cse", 0.1 * small, 0.2 * small, 9.0),
        result(_LARGE, NGINX, 1.0),
        result(_LARGE, "cse", large),
    ]
    return {"stub": [result_as_json(each) for each in results], "seaweedfs": []}


def test_results_survive_being_written() -> None:
    written = result(_SMALL, "cse", 0.25, 0.5)
    assert result_from_json(json.loads(json.dumps(result_as_json(written)))) == written


def test_the_ratio_of_a_run_is_the_median_of_its_rounds() -> None:
    found = movements([run(10.0), run(11.0), run(12.0)])
    assert [(each.load, each.contestant, each.connections) for each in found] == [
        ("GET 1 KiB", "cse", 16),
        ("PUT 256 MiB", "cse", 4),
    ]
    assert found[0].ratios == pytest.approx((10.0, 11.0, 12.0))
    assert found[1].ratios == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("ratios", "farthest", "stable"),
    [
        ((10.0, 10.0, 10.0), 0.0, True),
        ((10.0, 11.0, 12.0), 1 / 11, True),
        ((10.0, 10.0, 11.4), 0.14, True),
        ((10.0, 10.0, 11.6), 0.16, False),
        ((8.4, 10.0, 10.0), 0.16, False),
        ((10.0, 12.0), 1 / 11, True),
    ],
    ids=["none", "both-ways", "within", "above", "below", "two"],
)
def test_the_farthest_run_counts(ratios: tuple[float, ...], farthest: float, stable: bool) -> None:
    found = movements([run(ratio) for ratio in ratios])
    assert found[0].farthest == pytest.approx(farthest)
    assert verdict(found)[0] is stable


def test_the_table_begins_with_what_moved_most() -> None:
    lines = movements_table(movements([run(10.0, 2.0), run(10.0, 2.5)])).splitlines()
    assert lines[2] == "| PUT 256 MiB | 4 | stub | cse | 2.00x | 2.50x | 11.1% |"
    assert lines[3] == "| GET 1 KiB | 16 | stub | cse | 10.00x | 10.00x | 0.0% |"


@pytest.mark.parametrize(
    "runs", [[run(1.0)], [], [run(1.0), {"stub": [], "seaweedfs": []}]], ids=["one", "none", "different"]
)
def test_what_can_not_be_compared(runs: list[dict[str, Any]]) -> None:
    with pytest.raises(LabError):
        movements(runs)


@pytest.mark.parametrize(("last", "status"), [(10.5, 0), (20.0, 1)], ids=["stable", "unstable"])
def test_the_command_says_it_with_its_status(
    last: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for file, ratio in zip(files, [10.0, 10.0, last], strict=True):
        file.write_text(json.dumps(run(ratio)))
    monkeypatch.setattr("sys.argv", ["bench", "--compare", *map(str, files)])
    assert main() == status
    assert "largest movement" in capsys.readouterr().out
