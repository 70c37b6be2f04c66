"""Nothing that traders wait for becomes 1.4 times slower unnoticed; and the guards are shown to notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench_guards.guards import GUARDED, ROUNDS, Work, judge, ratio, seconds
from tests.calibration import calibrate

pytestmark = pytest.mark.bench


def measured(benchmark: Any, work: Work) -> float:
    """Run the rounds of a guard, a calibration before each; its ratio."""
    calibration: list[float] = []

    def before() -> None:
        calibration.append(seconds(calibrate))

    work()
    benchmark.pedantic(work, setup=before, rounds=ROUNDS)
    if benchmark.stats is None:
        pytest.fail("guards need --benchmark-enable, as the bench lane sets it")
    return ratio(list(benchmark.stats.stats.data), calibration)


@pytest.mark.benchmark(timer=time.thread_time)
@pytest.mark.parametrize("name", GUARDED)
def test_guarded_work_is_within_its_baseline(name: str, benchmark: Any, tmp_path: Path) -> None:
    judge(name, measured(benchmark, GUARDED[name](tmp_path)))


@pytest.mark.benchmark(timer=time.thread_time)
@pytest.mark.parametrize("name", GUARDED)
def test_planted_slow_down_is_noticed(name: str, benchmark: Any, tmp_path: Path) -> None:
    work = GUARDED[name](tmp_path)

    with pytest.raises(AssertionError, match="the baseline is"):
        judge(name, measured(benchmark, thrice(work)))


def thrice(work: Work) -> Callable[[], None]:
    """The same work at three times the price: beyond doubt, whatever else the machine does."""

    def slowed() -> None:
        work()
        work()
        work()

    return slowed
