"""How long one command takes inside compiled code: the processor's time-stamp counter around each call of the kernel.

The kernel is the product's (`engine.core.kernel.run`), called for one command at a time, so nothing looks ahead across
commands and the cost of a call within compiled code is in every figure.  The counter is read behind a fence that waits
for all earlier instructions; what two reads with nothing between them cost is subtracted.
"""

from __future__ import annotations

import hashlib
import platform
import time
from pathlib import Path
from typing import Any, Final

import numba
import numba.extending
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from benchmarks.measure import percentile
from benchmarks.workloads import Ints, Rows
from engine import kernel_cache
from engine.apply import new_state
from engine.core.kernel import run
from engine.core.lane import LANE
from engine.schema import COMMAND, EVENT, MAX_EVENTS_PER_CALL, Limits

NO_COUNTER: Final = "no time-stamp counter that a program may read on this machine, or the core is not compiled"
PAIRS: Final = 10_000  # of reads with nothing between them
CALIBRATION_NS: Final = 50_000_000

intrinsic: Any = numba.extending.intrinsic

# The core's folder of kernels holds what is listed in it and nothing else; ours lie in another.
_MINE: Final = f"{LANE}-latency-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}"
_CACHE: Final = kernel_cache.prepare(_MINE)
_config: Any = numba.config
_THEIRS = _config.CACHE_DIR
_config.CACHE_DIR = str(_CACHE)


def has_counter() -> bool:
    """Whether single commands can be timed here."""
    return platform.machine() in ("x86_64", "AMD64") and LANE == "compiled"


def _read_counter(_context: Any) -> Any:
    """The time-stamp counter, once all earlier instructions are done."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        fence = ir.FunctionType(ir.VoidType(), [])
        read = ir.FunctionType(ir.IntType(64), [])
        builder.call(cgutils.get_or_insert_function(builder.module, fence, "llvm.x86.sse2.lfence"), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, read, "llvm.readcyclecounter"), [])

    return types.int64(), generate


_ticks = intrinsic(_read_counter)


@njit(cache=True, nogil=True)
def _read() -> int:
    return _ticks()  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _bare(taken: Any) -> None:
    for i in range(len(taken)):
        start = _ticks()
        taken[i] = _ticks() - start


@njit(cache=True, nogil=True)
def _timed(handle: Any, commands: Any, events: Any, taken: Any) -> int:
    """Carry out commands one at a time, each into the start of `events`; ticks of each in `taken`; how many were done.

    It stops at a command whose events have no room, and at acts."""
    room = len(events)
    for i in range(len(commands)):
        start = _ticks()
        out = run(handle, commands, events, i, i + 1, 0, room)
        taken[i] = _ticks() - start
        if out >> 32 != i + 1:
            return i
    return len(commands)


_config.CACHE_DIR = _THEIRS


class Stopwatch:
    """Times single commands in ns; knows what a tick lasts and what reading the counter costs."""

    def __init__(self) -> None:
        assert has_counter(), NO_COUNTER
        taken = np.zeros(PAIRS, np.int64)
        for _ in range(2):
            _bare(taken)
        self.read_ticks = int(np.median(taken))
        _read()
        start_ns, start = time.perf_counter_ns(), _read()
        while time.perf_counter_ns() - start_ns < CALIBRATION_NS:
            pass
        self.ns_a_tick = (time.perf_counter_ns() - start_ns) / (_read() - start)
        self._events: Rows = np.zeros(MAX_EVENTS_PER_CALL, EVENT)
        _timed(new_state(Limits(1, 1, 1, 64, 1)).arrays.handle, np.zeros(0, COMMAND), self._events, taken)
        if not kernel_cache.is_sealed(_CACHE):
            kernel_cache.seal(_CACHE)

    @property
    def read_ns(self) -> float:
        """What reading the counter twice costs: subtracted from every figure."""
        return self.read_ticks * self.ns_a_tick

    def run(self, state: Any, commands: Rows) -> Ints:
        """Carry out commands on a venue, one at a time; the ns that each took, rounded."""
        taken = np.zeros(len(commands), np.int64)
        done = _timed(state.arrays.handle, commands, self._events, taken)
        assert done == len(commands), f"command {done} is an act, or has more events than a call has room for"
        nanoseconds: Ints = np.rint((taken - self.read_ticks) * self.ns_a_tick).astype(np.int64)
        return nanoseconds


def percentiles(taken: Ints) -> dict[str, float]:
    """p50, p99, p99.9 and the maximum of what commands took, in ns."""
    values = taken.tolist()
    shares = (("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999), ("max_ns", 1.0))
    return {name: percentile(values, share) for name, share in shares}
