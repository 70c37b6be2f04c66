"""The bench of recovery and start in the small."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_recovery, promises, report
from benchmarks.workloads import generate


def test_a_day_is_recovered_alike_in_all_ways(tmp_path: Path) -> None:
    day = bench_recovery.long_day("small", tmp_path / "log", 6_000, 1)
    assert day["commands"] == 6_000 + day["resident"] + 1_002
    assert day["counted"]["carried_out"] == day["compared"]["carried_out"] == day["commands"]
    assert 0 < day["snapshot"]["carried_out"] < day["commands"] // 4 + 2 * bench_recovery.BLOCK
    assert day["followed"]["snapshot_bytes"] > 10_000
    start = {"rounds": 1, "wall_seconds": day["snapshot"]["seconds"], "cpu_seconds": day["snapshot"]["cpu_seconds"]}
    start["nothing_compiled"] = {"wall_seconds": 23.0, "cpu_seconds": 22.0}
    result = {"block": bench_recovery.BLOCK, "days": [day], "start": start}
    page = "\n".join(report.recovery(result))
    assert "| small (1,000 resident), from a snapshot |" in page and "| nothing compiled yet, once | 23 |" in page


def _day(**changed: float) -> dict[str, Any]:
    figures = {"compared": 1.6e6, "counted": 3.1e6, "seconds": 1.9, "bytes": 255e6} | changed
    one = {"median": 0.0, "low": 0.0, "high": 0.0}
    return {
        "workload": "small", "commands": 10_000_000, "followed": {"snapshot_bytes": figures["bytes"]},
        "compared": {"rate": one | {"median": figures["compared"]}},
        "counted": {"rate": one | {"median": figures["counted"]}},
        "snapshot": {"seconds": one | {"median": figures["seconds"]}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "missed"),
    [({}, []), ({"compared": 1.4e6}, [0]), ({"counted": 2.9e6}, [1]), ({"seconds": 2.1}, [2]),
     ({"seconds": 2.1, "bytes": 300e6}, [])],
)  # fmt: skip
def test_promises_name_the_worst_day(changed: dict[str, float], missed: list[int]) -> None:
    one = {"median": 1.2, "low": 1.1, "high": 1.3}
    found = {"days": [_day(), _day(**changed)], "start": {"wall_seconds": one, "cpu_seconds": one}}
    rows = promises.targets({"recovery": found})
    assert len(rows) == 4 and [at for at, row in enumerate(rows) if row[2] != "kept"] == missed


@pytest.mark.parametrize("name", ["wall_seconds", "cpu_seconds"])
def test_a_late_start_is_missed(name: str) -> None:
    one = {"median": 1.2, "low": 1.1, "high": 1.3}
    start = {"wall_seconds": one, "cpu_seconds": one, name: one | {"median": 2.6}}
    assert promises.targets({"recovery": {"days": [_day()], "start": start}})[3][2] == "**missed**"


def test_a_day_that_trades_otherwise_is_found_out(tmp_path: Path) -> None:
    stream = generate("small", 900, resident=100)
    stream = dataclasses.replace(stream, trades=stream.trades + 1)
    with pytest.raises(AssertionError, match="trades otherwise"):
        bench_recovery.write_day(tmp_path / "log", stream)
