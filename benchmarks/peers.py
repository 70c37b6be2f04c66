"""The engines that a workload runs through, behind one shape: `run(first, last)` carries out a slice of its stream.

Each gives the thread CPU time and the wall time of the slice, in ns, and keeps its own books between slices.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from benchmarks.measure import ROOT
from benchmarks.workloads import AMEND, CANCEL, PLACE, PLACE_IOC, Rows, Stream
from engine.schema import EVENT, TRADE, EventKind

PYBOOK_VARIABLE: Final = "CASHEW_PYBOOK"
PYBOOK_BESIDE: Final = ROOT.parent / "shared" / "prototype" / "pybook.py"
BLOCK_ROWS: Final = 512
EVENT_ROOM: Final = 65_536

Trades = list[tuple[int, int, int, int]]  # incoming order_id, resting order_id, price, quantity


class Spent(NamedTuple):
    """What a slice took, in ns."""

    cpu: int
    wall: int


def trades_of(events: Rows) -> Trades:
    """The trades among events."""
    rows = events.view(TRADE)[events["kind"] == EventKind.TRADE]
    columns = [rows[name].tolist() for name in ("order_id", "resting_order_id", "price", "qty")]
    return list(zip(*columns, strict=True))


class Engine(Protocol):
    """Whatever carries out a stream."""

    def run(self, first: int, last: int) -> Spent: ...


class Core:
    """The compiled core through `engine.apply.apply`, all events written into a buffer that is used again.

    touch: the system gives all of the venue's memory before the first command.  Else it comes bit by bit while orders
    are taken, 2 MiB in up to 5 ms, and falls on the rounds that happen to need it (benchmarks/measure.back_memory).
    """

    name = "core"

    def __init__(
        self, stream: Stream, *, keep_digest: bool = False, keep_trades: bool = False, touch: bool = True
    ) -> None:
        from engine import apply

        self.stream, self.block = stream, BLOCK_ROWS
        self.keep_digest, self.keep_trades = keep_digest, keep_trades
        self.digest = hashlib.sha256()
        self.kept: Trades = []
        self.events = 0
        self._apply = apply.apply
        self.state = apply.new_state(stream.limits)
        if touch:
            self.state.arrays.touch()
        self.buffer: Rows = np.zeros(EVENT_ROOM, EVENT)
        apply.run_block(self.state, stream.setup, stream.payload)
        for first in range(0, len(stream.prefill), 4096):
            apply.run_block(self.state, stream.prefill[first : first + 4096])

    def run(self, first: int, last: int) -> Spent:
        """Carry out commands first:last in blocks; keeping something of their events is not counted."""
        keeps = self.keep_digest or self.keep_trades
        aside_cpu = aside_wall = 0
        commands, state, buffer = self.stream.commands, self.state, self.buffer
        blocks = [commands[start : min(start + self.block, last)] for start in range(first, last, self.block)]
        wall_start, cpu_start = time.perf_counter_ns(), time.thread_time_ns()
        for block in blocks:  # as a sequencer hands them over
            rows = block
            while True:
                consumed, written = self._apply(state, rows, b"", buffer)
                self.events += written
                if keeps:
                    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
                    self._keep(buffer[:written])
                    aside_wall += time.perf_counter_ns() - wall
                    aside_cpu += time.thread_time_ns() - cpu
                if consumed == len(rows):
                    break
                rows = rows[consumed:]
        cpu, wall = time.thread_time_ns() - cpu_start, time.perf_counter_ns() - wall_start
        return Spent(cpu - aside_cpu, wall - aside_wall)

    def _keep(self, events: Rows) -> None:
        if self.keep_digest:
            self.digest.update(events.tobytes())
        if self.keep_trades:
            self.kept += trades_of(events)


class Readable:
    """The readable matcher, in the same blocks."""

    name = "reference"

    def __init__(self, stream: Stream) -> None:
        from engine.reference import Reference

        self.stream = stream
        self.digest = hashlib.sha256()
        self.matcher = Reference(stream.limits)
        self.matcher.run_block(stream.setup, stream.payload)
        for first in range(0, len(stream.prefill), 4096):
            self.matcher.run_block(stream.prefill[first : first + 4096])

    def run(self, first: int, last: int) -> Spent:
        """Carry out commands first:last in blocks."""
        cpu = wall = 0
        for start in range(first, last, BLOCK_ROWS):
            rows = self.stream.commands[start : min(start + BLOCK_ROWS, last)]
            wall_start, cpu_start = time.perf_counter_ns(), time.thread_time_ns()
            events = self.matcher.run_block(rows)
            cpu += time.thread_time_ns() - cpu_start
            wall += time.perf_counter_ns() - wall_start
            self.digest.update(events.tobytes())
        return Spent(cpu, wall)


def find_pybook(path: Path | None = None) -> ModuleType | None:
    """Load the plain order book from `path`, the variable CASHEW_PYBOOK or beside the checkout; None if absent."""
    place = path or Path(os.environ.get(PYBOOK_VARIABLE, "") or PYBOOK_BESIDE)
    if not place.is_file():
        return None
    spec = importlib.util.spec_from_file_location("pybook", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PlainBook:
    """A plain order book in interpreted Python on sorted dictionaries: no accounts, no gates, no self-match rule."""

    name = "pybook"

    def __init__(self, stream: Stream, module: ModuleType) -> None:
        assert not stream.smp, "a plain book knows no self-match prevention"
        self.stream = stream
        self.book: Any = module.Book()
        self.kept: Trades = []
        self._run(stream.tuples(0, len(stream.prefill)))
        self.book.events.clear()

    def run(self, first: int, last: int) -> Spent:
        """Carry out commands first:last; its trades are kept outside the clock."""
        before = len(self.stream.prefill)
        rows = self.stream.tuples(before + first, before + last)
        wall_start, cpu_start = time.perf_counter_ns(), time.thread_time_ns()
        self._run(rows)
        spent = Spent(time.thread_time_ns() - cpu_start, time.perf_counter_ns() - wall_start)
        self.kept += [event[1:] for event in self.book.events if event[0] == 2]
        self.book.events.clear()
        return spent

    def _run(self, rows: list[tuple[int, ...]]) -> None:
        add, cancel, replace = self.book.add, self.book.cancel, self.book.replace
        for op, order, side, price, qty in rows:
            if op == PLACE:
                add(order, side, price, qty)
            elif op == CANCEL:
                cancel(order)
            elif op == AMEND:
                replace(order, price, qty)
            elif op == PLACE_IOC:
                add(order, side, price, qty, True)
