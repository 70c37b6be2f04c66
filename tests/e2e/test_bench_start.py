"""The bench of a start: the venue comes up again and takes an order as soon as it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bench_recovery

pytestmark = pytest.mark.e2e


def test_a_venue_starts_and_takes_an_order(tmp_path: Path) -> None:
    found = bench_recovery.starts(tmp_path, 1, cold=False)
    assert 0 < found["wall_seconds"]["median"] < 60 and 0 < found["cpu_seconds"]["median"] < 60
