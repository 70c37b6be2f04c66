"""What the log costs: a block made, hashed, written and synced by the journal, beside the same bytes on the bare disk.

Both sides write into files zeroed before, and take turns, a slice each.  The bare side does one write and one fdatasync
in its own thread; the journal makes the block's two digests and its checksum, keeps the watermark, and syncs in its
sync thread.  Without sync both sides end with the write.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.bare_disk import BareDisk
from benchmarks.measure import percentile, progress, quiet, save, summary
from benchmarks.workloads import Rows, generate
from engine.blocks import PAGE_BYTES, block_length, read_block
from engine.journal import Journal, segment_name
from engine.schema import Limits

SLICES: Final = 21
QUICK_SLICES: Final = 9
BLOCKS: Final = {1: 40, 64: 40, 512: 20}  # commands a block → blocks a slice
TRADING_DAY: Final = 20_260_102


def _blocks(size: int, count: int) -> list[tuple[Rows, Rows]]:
    """Commands and events of `count` blocks as the core makes them."""
    from engine import apply

    stream = generate("small", size * count)
    state = apply.new_state(stream.limits)
    apply.run_block(state, stream.setup, stream.payload)
    apply.run_block(state, stream.prefill)
    made = []
    for first in range(0, size * count, size):
        rows = stream.commands[first : first + size].copy()
        rows["seq"] = np.arange(1 + first, 1 + first + size)
        made.append((rows, apply.run_block(state, stream.commands[first : first + size])))
    return made


def measure(folder: Path, size: int, slices: int, *, sync: bool) -> dict[str, Any]:
    """Slices of journal and bare disk in turn; µs a block."""
    per_slice = BLOCKS[size]
    blocks = _blocks(size, per_slice * (slices + 1))
    durable = threading.Semaphore(0)
    journal = Journal.create(
        folder / f"log-{size}-{sync}", trading_day=TRADING_DAY, first_seq=1, previous=bytes(32), epoch=1,
        limits=Limits(), sync=sync, on_durable=lambda _: durable.release(),
    )  # fmt: skip
    disk = BareDisk(folder / f"bare-{size}-{sync}")
    taken: dict[str, list[list[float]]] = {"journal": [], "bare": []}
    seq = 1
    lengths = []
    with quiet():
        for number in range(slices + 1):
            ours, theirs = [], []
            for rows, events in blocks[number * per_slice : (number + 1) * per_slice]:
                start = time.perf_counter_ns()
                seq = journal.append(seq, rows, b"", events) + 1
                durable.acquire()
                ours.append((time.perf_counter_ns() - start) / 1e3)
                lengths.append(block_length(len(rows), 0, len(events)))
            for length in lengths[-per_slice:]:
                theirs.append(disk.write(b"\x5a" * length, sync=sync) / 1e3)
            if number:  # the first slice warms both sides up
                taken["journal"].append(ours)
                taken["bare"].append(theirs)
    disk.close()
    journal.close()
    _check(journal.folder, blocks)
    found: dict[str, Any] = {"commands": size, "bytes": round(median(lengths)), "sync": sync, "blocks": len(blocks)}
    for name, parts in taken.items():
        found[name] = {
            "median_us": summary([median(part) for part in parts]),
            "p99_us": percentile([one for part in parts for one in part], 0.99),
        }
    pairs = zip(taken["journal"], taken["bare"], strict=True)
    found["times_bare"] = summary([median(ours) / median(theirs) for ours, theirs in pairs])
    return found


def _check(folder: Path, blocks: list[tuple[Rows, Rows]]) -> None:
    """Assert that the log holds what was appended, block by block."""
    number, offset, data = 0, PAGE_BYTES, (folder / segment_name(0)).read_bytes()
    for rows, events in blocks:
        length = block_length(len(rows), 0, len(events))
        if offset + length > len(data):
            number, offset = number + 1, PAGE_BYTES
            data = (folder / segment_name(number)).read_bytes()
        block = read_block(data, offset)
        assert (bytes(block.rows), bytes(block.event_rows)) == (rows.tobytes(), events.tobytes())
        offset += length


def run(*, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/journal.json holds."""
    found: dict[str, Any] = {"quick": quick, "rows": []}
    for sync in (True, False):
        for size in BLOCKS:
            progress(f"journal: blocks of {size}, sync {'on' if sync else 'off'}")
            with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=folder) as name:
                found["rows"].append(measure(Path(name), size, QUICK_SLICES if quick else SLICES, sync=sync))
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_journal [--quick] [--folder DIR]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer slices")
    parser.add_argument("--folder", type=Path, help="where the log is written: the disk that is measured")
    options = parser.parse_args()
    print(save("journal", run(quick=options.quick, folder=options.folder)))


if __name__ == "__main__":
    main()
