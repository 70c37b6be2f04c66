"""How fast this machine is at this minute: a fixed piece of plain Python, timed.

Budgets and guards are ratios to it, for machines differ and are shared: the same tests took 1.7 times as long on the
next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

LOOPS: Final = 20_000
QUIET_SECONDS: Final = 0.0025  # of one run on an undisturbed core of a server of 2023
MOST: Final = 2.0  # a machine slower than this is not waited for
TIMES: Final = 45


def calibrate() -> int:
    """A fixed piece of plain Python, which nothing of ours can make slower."""
    table: dict[int, int] = {}
    mixed = 1
    for turn in range(LOOPS):
        mixed = (mixed * 1_103_515_245 + turn) & 0x7FFFFFFF
        table[mixed & 1023] = turn
    return mixed + len(table)


def _seconds() -> float:
    start = time.perf_counter()
    calibrate()
    return time.perf_counter() - start


def slowness(seconds: Callable[[], float] = _seconds) -> float:
    """How many times as long this machine takes now as the one that budgets are for, from 1 to MOST."""
    return min(MOST, max(1.0, median(seconds() for _ in range(TIMES)) / QUIET_SECONDS))
