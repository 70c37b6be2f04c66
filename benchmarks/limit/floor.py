"""Build the floor with the machine's C compiler, and run streams through it: an engine like those of benchmarks/peers.

The floor (floor.c, rows.h) is the core's own algorithm without the gates.  What it costs is what any program pays that
reads these rows, finds orders by id and client id, keeps queues by price and time, and writes these events; the core's
time as a multiple of it is the price of the rules and of the compiler.  It does plain limit orders in continuous
trading only and trusts what it reads: `refusal` looks at every row first.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.measure import ROOT
from benchmarks.peers import BLOCK_ROWS, EVENT_ROOM, Spent
from benchmarks.workloads import Rows, Stream
from engine.schema import EVENT, HAS_PRICE, HAS_QTY, CommandKind, OrdType, TimeInForce

SOURCE: Final = ROOT / "benchmarks" / "limit" / "floor.c"
FLAGS: Final = ("-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra")
NO_COMPILER: Final = "no C compiler on this machine (looked for $CC, cc, gcc and clang)"


def find_compiler() -> str | None:
    """Path of the C compiler: the one that the variable CC names, or the system's; None if there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    return None


def compiler_version(compiler: str) -> str:
    """What the compiler calls itself."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def build(folder: Path, compiler: str, *, rows: int = 128, look_from: int | None = None) -> Path:
    """Compile the floor into `folder`; the library.

    rows: bytes of a row, 128 (the exchange's) or 32 (a plain book's, without client ids and accounts); look_from: live
    orders from which on it looks ahead, if not where that was found to pay.  Raises subprocess.CalledProcessError if
    the compiler refuses, with what it said in `stderr`.
    """
    library = folder / f"floor{rows}-{look_from}.so"
    defines = [f"-DROWS={rows}", *([] if look_from is None else [f"-DLOOK_FROM={look_from}"])]
    line = [compiler, *FLAGS, *defines, str(SOURCE), "-o", str(library)]
    subprocess.run(line, check=True, capture_output=True, text=True)
    return library


def load(library: Path) -> ctypes.CDLL:
    """The library with the types of its functions."""
    found = ctypes.CDLL(str(library))
    whole, half, place = ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p
    shapes: dict[str, tuple[Any, list[Any]]] = {
        "floor_open": (place, [whole, whole]),
        "floor_add": (half, [place, half, half]),
        "floor_live": (whole, [place]),
        "floor_run": (whole, [place, place, whole, whole, whole, place, whole]),
        "floor_close": (None, [place]),
    }
    for name, (gives, takes) in shapes.items():
        function = getattr(found, name)
        function.restype, function.argtypes = gives, takes
    return found


def refusal(rows: Rows, instruments: int, low: int, high: int) -> str:
    """Why the floor cannot do these COMMAND rows (prices low:high inclusive, in ticks), or nothing.

    What is left are places, cancels and amends that the core's gates would pass, but for whom an order belongs to,
    self-matches and client ids used twice, which only a book can tell: the bench compares every event for those.
    """
    kind = rows["kind"]
    place, amend = kind == CommandKind.ORDER_PLACE, kind == CommandKind.ORDER_AMEND
    prices = rows["price"][place | (amend & (rows["flags"] & HAS_PRICE != 0))]
    lots = rows["order_qty"][place | (amend & (rows["flags"] & HAS_QTY != 0))]
    last = TimeInForce.FOK
    cases = (
        (~np.isin(kind, (CommandKind.ORDER_PLACE, CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND)), "kind"),
        (place & (rows["ord_type"] != OrdType.LIMIT), "order type"),
        (place & ((rows["time_in_force"] < TimeInForce.DAY) | (rows["time_in_force"] > last)), "time in force"),
        (place & ((rows["side"] < 1) | (rows["side"] > 2)), "side"),
        (place & ((rows["instrument"] < 1) | (rows["instrument"] > instruments)), "instrument"),
        (place & (rows["flags"] != HAS_PRICE), "flag"),
        (~place & (rows["flags"] & ~np.uint8(HAS_PRICE | HAS_QTY) != 0), "flag"),
        (amend & (rows["flags"] == 0), "amend"),
        ((rows["account"] < 1) | (rows["account"] >= 1 << 15), "account"),
        (rows["target_hi"] != 0, "order named by a key"),
        (~place & (rows["target_lo"] != 0) & (rows["cl_ord_id"] != b""), "second name"),
        ((rows["display_qty"] != 0) | (rows["min_qty"] != 0) | (rows["stop_price"] != 0), "order attribute"),
        (np.array([len(prices) and (prices.min() < low or prices.max() > high)]), "price"),
        (np.array([len(lots) and (lots.min() < 1 or lots.max() >= 1 << 30)]), "quantity"),
    )
    return next((f"a {word} that the floor does not know" for found, word in cases if found.any()), "")


def _by_band(stream: Stream) -> Iterator[tuple[Rows, int, int]]:
    """All rows of a stream by the prices that they may have: those of the instrument of the order they name."""
    rows = np.concatenate([stream.prefill, stream.commands])
    if len(stream.prices) == 1:
        yield rows, *stream.prices[0]
        return
    place = rows["kind"] == CommandKind.ORDER_PLACE
    first = int(rows["seq"][0])
    placed = rows["instrument"] * place
    named = rows["target_lo"] - first
    if (~place & ((named < 0) | (named >= np.arange(len(rows))))).any():
        raise ValueError("an order of several instruments that is not named by the number of an earlier command")
    instrument = np.where(place, placed, placed[np.where(place, 0, named)])
    for number, (low, high) in enumerate(stream.prices, 1):
        yield rows[instrument == number], low, high
    yield rows[(instrument < 1) | (instrument > len(stream.prices))], 0, 0


class Floor:
    """A book of the floor, filled with a stream's resting orders; all events go into a buffer that is used again.

    Blocks are taken one after the other within one call: the hand-over from Python is no part of the floor.
    """

    name = "floor"

    def __init__(self, stream: Stream, library: ctypes.CDLL, *, keep_digest: bool = False) -> None:
        for rows, low, high in _by_band(stream):
            if why := refusal(rows, len(stream.prices), low, high):
                raise ValueError(why)
        assert stream.prefill.flags.c_contiguous and stream.commands.flags.c_contiguous
        self.stream, self.library, self.block = stream, library, BLOCK_ROWS
        self.keep_digest, self.digest = keep_digest, hashlib.sha256()
        self.events = 0
        self.buffer: Rows = np.zeros(EVENT_ROOM, EVENT)
        widths = [high - low + 1 for low, high in stream.prices]
        self.book = library.floor_open(stream.limits.orders, sum(widths))
        if not self.book:
            raise MemoryError(f"no memory for a book of {stream.limits.orders:,} orders")
        for number, (low, high) in enumerate(stream.prices, 1):
            if library.floor_add(self.book, low, high - low + 1) != number:
                raise ValueError(f"instrument {number} is more, or has more prices, than the floor has room for")
        self._carry_out(stream.prefill, 0, len(stream.prefill))

    def __del__(self) -> None:
        if book := getattr(self, "book", None):
            self.library.floor_close(book)

    @property
    def live(self) -> int:
        """Live orders of the book."""
        return int(self.library.floor_live(self.book))

    def _carry_out(self, rows: Rows, first: int, last: int) -> int:
        """Commands first:last of `rows` in blocks; how many events they gave."""
        written: int = self.library.floor_run(
            self.book, rows.ctypes.data, first, last, self.block, self.buffer.ctypes.data, len(self.buffer)
        )
        if written < 0:
            raise ValueError(f"command {-1 - written} might write more events than the buffer has room for")
        return written

    def run(self, first: int, last: int) -> Spent:
        """Carry out commands first:last in blocks; where a digest is kept, its time is not counted."""
        cpu = wall = 0
        commands = self.stream.commands
        step = self.block if self.keep_digest else max(last - first, 1)
        for start in range(first, last, step):
            wall_start, cpu_start = time.perf_counter_ns(), time.thread_time_ns()
            written = self._carry_out(commands, start, min(start + step, last))
            cpu += time.thread_time_ns() - cpu_start
            wall += time.perf_counter_ns() - wall_start
            self.events += written
            if self.keep_digest:
                self.digest.update(self.buffer[:written].tobytes())
        return Spent(cpu, wall)


__all__ = ["FLAGS", "NO_COMPILER", "SOURCE", "Floor", "build", "compiler_version", "find_compiler", "load", "refusal"]
