"""The bench of the block path in the small."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import bench_block, promises, report
from benchmarks.workloads import generate


def test_block_bench_in_the_small(tmp_path: Path) -> None:
    stream = generate("small", 3 * 600, resident=100)
    row = bench_block.compare(stream, 256, 600, tmp_path, rounds=2)
    assert row["rounds"] == 2 and row["changes"] > 500 and row["trades"] > 10
    assert all(row[way]["median"] > 1000 for way in (*bench_block.WAYS, "bare disk"))
    result = {"rows": [{"workload": "small", **row}]}
    assert "| small, 256 |" in "\n".join(report.block(result))
    slow = {**row, "workload": "small", "whole": {**row["whole"], "median": 1_499_999.0}}
    (rate, share) = promises.targets({"block": {"rows": [row, slow]}})
    assert rate[2] == "**missed**" and "0.8" in share[0]


def test_ways_that_make_other_events_are_found_out(tmp_path: Path) -> None:
    stream = generate("small", 900, resident=100)
    other = dataclasses.replace(stream, commands=stream.commands.copy())
    other.commands["order_qty"][::3] += 1
    ways = {name: bench_block.Way(name, stream, tmp_path) for name in ("journal", "whole")}
    ways["synced"] = bench_block.Way("synced", other, tmp_path)
    for way in ways.values():
        way.run(0, 900, 128)
        way.journal.close()
    with pytest.raises(AssertionError):
        bench_block._check(ways)
