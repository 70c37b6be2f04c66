"""kill -9 of a real exchange under load: every acknowledged order is there, exactly once, and the log verifies."""

import asyncio
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.kill_server import Reckoning, load_and_kill, make_exchange, reckon

pytestmark = pytest.mark.fault

KILLS = 5
NIGHTLY_KILLS = 100
KILLS_PER_LOG = 10
MEDIAN_IN_FLIGHT = 20


def kills(folder: Path, count: int, *, control: bool = False) -> list[Reckoning]:
    """Kill an exchange under load `count` times, on a fresh log now and then."""
    done: list[Reckoning] = []
    for first in range(0, count, KILLS_PER_LOG):
        exchange = make_exchange(folder / f"venue-{first}", control=control)
        try:
            for number in range(first, min(count, first + KILLS_PER_LOG)):
                load = asyncio.run(load_and_kill(exchange, f"k{number}", number))
                done.append(reckon(exchange, load))
                print(f"kill {number}: {done[-1]}", flush=True)
                if control and done[-1].lost:
                    return done
            assert exchange.end() == 0, "after every kill it starts, and then stops cleanly"
            command = [sys.executable, "-m", "cashew", "verify", str(exchange.data)]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        finally:
            exchange.__exit__()
    return done


@pytest.mark.parametrize("count", [KILLS, pytest.param(NIGHTLY_KILLS, marks=pytest.mark.nightly)])
def test_no_acknowledged_order_is_lost_or_doubled(count: int, tmp_path: Path) -> None:
    done = kills(tmp_path, count)
    assert len(done) == count
    assert [one.lost for one in done] == [()] * count
    assert [one.doubled for one in done] == [()] * count
    assert all(one.verified for one in done)
    assert statistics.median(one.in_flight for one in done) >= MEDIAN_IN_FLIGHT
    assert all(one.acked > 0 for one in done)


def test_control_that_acknowledges_before_it_writes_is_found_out(tmp_path: Path) -> None:
    assert any(one.lost for one in kills(tmp_path, KILLS, control=True))
