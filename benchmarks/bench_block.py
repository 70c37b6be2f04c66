"""The way of a block: sequencer, core, journal and the derivation of the public feed.

One thread does all of it but for the syncs and the zeroing of segments ahead of time, which the journal does beside.
Commands come in as rows, a block at a time, and level changes go out; what a step takes is the difference that leaving
it out makes.  With sync on as many bytes go to the bare disk in the same round, a write and an fdatasync for each
block: no venue can be faster than that unless it syncs less often.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from benchmarks.bare_disk import BareDisk
from benchmarks.measure import back_memory, progress, quiet, save, summary
from benchmarks.workloads import WORKLOADS, Stream, generate
from engine.blocks import block_length
from engine.journal import Journal
from engine.sequencer import CompletedBlock, Sequencer

ROUNDS: Final = 9
BLOCKS: Final = (512, 4096)  # commands a block
SLICE: Final = 131_072  # commands a round
QUICK_SLICE: Final = 16_384
TRADING_DAY: Final = 20_260_102
WAYS: Final = ("core", "journal", "whole", "synced")  # the core alone; + sequencer and journal; + feed; + sync


class Way:
    """A venue without edges that goes through one stream, a round at a time."""

    def __init__(self, name: str, stream: Stream, folder: Path) -> None:
        from engine import apply
        from marketdata.derive import Derivation

        self.name, self.stream = name, stream
        self.state = apply.new_state(stream.limits)
        self.state.arrays.touch()  # benchmarks/peers.Core says why
        self.run_block = apply.run_block
        self.derivation = Derivation(stream.limits) if name in ("whole", "synced") else None
        self.digest = sha256()
        self.changes = self.trades = self.aside = 0
        self.lengths: list[int] = []
        for rows, payload in ((stream.setup, stream.payload), (stream.prefill, b"")):
            events = apply.run_block(self.state, rows, payload)
            if self.derivation is not None:
                self.derivation.derive(rows, events)
        self.journal = Journal.create(
            folder / name, trading_day=TRADING_DAY, first_seq=int(stream.commands[0]["seq"]), previous=bytes(32),
            epoch=1, limits=stream.limits, sync=name == "synced",
        )  # fmt: skip
        self.lane = Sequencer(self._run, self.journal, last_time_ns=int(stream.commands[0]["time"]))

    def _run(self, commands: Any, payload: bytes = b"", /) -> Any:
        return self.run_block(self.state, commands, payload)

    def run(self, first: int, last: int, size: int) -> int:
        """Carry out commands first:last in blocks of `size`; ns of wall time."""
        commands, lane = self.stream.commands, self.lane
        self.aside = 0
        start = time.perf_counter_ns()
        for at in range(first, last, size):
            rows = commands[at : min(at + size, last)]
            if self.name == "core":
                self.run_block(self.state, rows)
                continue
            now = int(rows[0]["time"])
            lane.submit_rows(rows, (None,) * len(rows))
            while not lane.turn(now):
                self._tell(lane.drain())
            self._tell(lane.completed())
        if self.name != "core":
            self._tell(lane.drain())
        return time.perf_counter_ns() - start - self.aside

    def _tell(self, blocks: list[CompletedBlock]) -> None:
        for block in blocks:
            if self.derivation is not None:
                derived = self.derivation.derive(block.commands, block.events)
                self.changes += len(derived.changes)
                self.trades += len(derived.trades)
            start = time.perf_counter_ns()  # what came out is what the other ways got: not a part of the way
            self.digest.update(block.events.tobytes())
            self.lengths.append(block_length(len(block.commands), 0, len(block.events)))
            self.aside += time.perf_counter_ns() - start


def compare(stream: Stream, size: int, count: int, folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Rounds of all ways and of the bare disk in turn; commands a second."""
    ways = {name: Way(name, stream, folder) for name in WAYS}
    disk = BareDisk(folder / "bare")
    rates: dict[str, list[float]] = {name: [] for name in (*WAYS, "bare disk")}
    with quiet():
        for number in range(rounds + 1):
            first = number * count
            found = {}
            for name in WAYS[:: 1 if number % 2 else -1]:
                found[name] = ways[name].run(first, first + count, size)
            lengths = ways["synced"].lengths[count // -size :]
            found["bare disk"] = sum(disk.write(b"\x5a" * length, sync=True) for length in lengths)
            if number:  # the first round warms all of them up
                for name, spent in found.items():
                    rates[name].append(count / spent * 1e9)
    disk.close()
    for way in ways.values():
        way.journal.close()
    _check(ways)
    limit = [min(a, b) for a, b in zip(rates["whole"], rates["bare disk"], strict=True)]
    return {
        "commands": size,
        "rounds": rounds,
        "slice": count,
        **{name: summary(figures) for name, figures in rates.items()},
        "share_of_limit": summary([a / b for a, b in zip(rates["synced"], limit, strict=True)]),
        "changes": ways["whole"].changes,
        "trades": ways["whole"].trades,
        "events_sha256": ways["whole"].digest.hexdigest(),
    }


def _check(ways: dict[str, Way]) -> None:
    """All ways made the same events and the same books, and the derived book is the matcher's."""
    from engine.dump import book

    one, other = ways["whole"], ways["synced"]
    assert one.digest.digest() == other.digest.digest() == ways["journal"].digest.digest()
    assert (one.changes, one.trades) == (other.changes, other.trades) and one.changes > 0
    assert one.derivation is not None and other.derivation is not None
    assert one.derivation.book(1) == other.derivation.book(1)
    matcher = book(one.state, 1)
    for name, levels in one.derivation.book(1).items():
        assert levels == [(price, lots, len(orders)) for price, lots, orders in matcher[name]]


def run(*, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/block.json holds."""
    count = QUICK_SLICE if quick else SLICE
    back_memory()
    found: dict[str, Any] = {"quick": quick, "rows": []}
    for workload in ("small", "deep"):
        resident = min(20_000, WORKLOADS[workload].resident) if quick else 0
        stream = generate(workload, count * (ROUNDS + 1), resident=resident)
        for size in BLOCKS:
            with tempfile.TemporaryDirectory(prefix="bench-block-", dir=folder) as name:
                row = {"workload": workload, **compare(stream, size, count, Path(name))}
            found["rows"].append(row)
            said = ", ".join(f"{way} {row[way]['median'] / 1e6:.2f} M/s" for way in WAYS)
            progress(f"{workload}, blocks of {size}: {said}")
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_block [--quick] [--folder DIR]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller rounds")
    parser.add_argument("--folder", type=Path, help="where the log is written: the disk that is measured")
    options = parser.parse_args()
    print(save("block", run(quick=options.quick, folder=options.folder)))


if __name__ == "__main__":
    main()
