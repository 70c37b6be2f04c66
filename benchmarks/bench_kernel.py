"""How fast the matching core is, every gate on, an account per order out of 1,000, distinct client ids, all events.

Three questions, on three workloads and two mixes of other people (benchmarks/flows): how the core compares with the
readable matcher and, on the workloads, with a plain order book on the same slices of the same stream; what a command
costs in blocks of 1 to 4,096; what one call with one command takes.  Books are kept between slices, rounds are
interleaved, results are asserted: event for event with the reference, trade for trade with the plain book, and in
number and volume with what the stream says.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.flows import mixes
from benchmarks.measure import back_memory, percentile, progress, quiet, save, summary
from benchmarks.peers import Core, Engine, PlainBook, Readable, Spent, find_pybook
from benchmarks.workloads import UNKNOWN, WORKLOADS, Stream
from engine.schema import EVENT

ROUNDS: Final = 9
SLICE: Final = 40_000
QUICK_SLICE: Final = 8_000
QUICK_RESIDENT: Final = 50_000
BLOCKS: Final = (1, 4, 16, 64, 512, 4096)
LEAD_IN: Final = 8_192  # commands before each slice that no figure counts


def rate(spent: Sequence[Spent], commands: int) -> dict[str, Any]:
    """ns a command of rounds: CPU and wall."""
    return {
        "cpu_ns": summary([one.cpu / commands for one in spent]),
        "wall_ns": summary([one.wall / commands for one in spent]),
    }


def ratio(slow: Sequence[Spent], fast: Sequence[Spent]) -> dict[str, float]:
    """How many times faster the second is, round by round (CPU time)."""
    return summary([a.cpu / b.cpu for a, b in zip(slow, fast, strict=True)])


def compare(name: str, rounds: int, size: int, resident: int, pybook: Path | None) -> dict[str, Any]:
    """Core against the reference (self-match prevention as by default), and core against the plain book (without).

    Each round gives every engine the same slice, after a lead-in that no figure counts.  A second core, which nobody
    times, keeps the events for the comparison.
    """
    count = rounds * (LEAD_IN + size)
    gated, plain = mixes.gated(name, count, resident), mixes.plain(name, count, resident)
    progress(f"{name}: filling the books with {len(gated.prefill):,} orders")
    module = find_pybook(pybook) if name in WORKLOADS else None
    engines: dict[str, Engine] = {"core": Core(gated), "reference": Readable(gated), "core_without_smp": Core(plain)}
    if module:
        engines["pybook"] = PlainBook(plain, module)
    spent: dict[str, list[Spent]] = {engine: [] for engine in engines}
    with quiet():
        for number in range(rounds):
            progress(f"{name}: round {number + 1} of {rounds} beside {', '.join(list(engines)[1:])}")
            first = number * (LEAD_IN + size)
            for key, engine in engines.items():
                engine.run(first, first + LEAD_IN)
                spent[key].append(engine.run(first + LEAD_IN, first + LEAD_IN + size))
    found = {engine: rate(rounds_spent, size) for engine, rounds_spent in spent.items()}
    told, readable = Core(gated, keep_digest=True), engines["reference"]
    told.run(0, count)
    assert isinstance(readable, Readable) and told.digest.digest() == readable.digest.digest(), "the matchers differ"
    found["times_reference"] = ratio(spent["reference"], spent["core"])
    if module:
        traded, book = Core(plain, keep_trades=True), engines["pybook"]
        traded.run(0, count)
        assert isinstance(book, PlainBook) and traded.kept == book.kept, "core and plain book trade differently"
        found["times_pybook"] = ratio(spent["pybook"], spent["core_without_smp"])
    return {
        **found,
        "slice": size,
        "rounds": rounds,
        "stream_sha256": gated.checksum,
        "events": told.events,
        "events_sha256": told.digest.hexdigest(),
    }


def by_block(stream: Stream, rounds: int, size: int) -> dict[str, Any]:
    """ns a command in blocks of 1 to 4,096, one slice of the stream after the other."""
    core = Core(stream)
    spent: dict[int, list[Spent]] = {block: [] for block in BLOCKS}
    at = LEAD_IN
    with quiet():
        core.run(0, LEAD_IN)
        for _ in range(rounds):
            for block in BLOCKS:
                core.block = block
                taken = size if block >= 64 else size // 4
                result = core.run(at, at + taken)
                spent[block].append(Spent(result.cpu * size // taken, result.wall * size // taken))
                at += taken
    return {str(block): rate(rounds_spent, size) for block, rounds_spent in spent.items()}


def whole_stream(stream: Stream, rounds: int) -> dict[str, Any]:
    """Commands a second in blocks of 512 over a whole stream on a fresh venue, and the result checked."""
    spent: list[Spent] = []
    for _ in range(rounds):
        core = Core(stream)
        with quiet():
            core.run(0, LEAD_IN)
            spent.append(core.run(LEAD_IN, len(stream.commands)))
    check = Core(stream, keep_digest=True, keep_trades=True)
    check.run(0, len(stream.commands))
    assert check.events == core.events
    trades, volume = len(check.kept), sum(trade[3] for trade in check.kept)
    assert stream.trades == UNKNOWN or (trades, volume) == (stream.trades, stream.volume)
    commands = len(stream.commands) - LEAD_IN
    return {
        **rate(spent, commands),
        "commands_per_second": round(commands / (median(one.cpu for one in spent) / 1e9)),
        "commands": len(stream.commands),
        "trades": trades,
        "volume": volume,
        "stream_sha256": stream.checksum,
        "events_sha256": check.digest.hexdigest(),
    }


def one_call(stream: Stream, calls: int) -> dict[str, Any]:
    """What one `apply` of one command takes, wall clock around the call, in ns (the clock's own cost is in it)."""
    from engine.apply import apply

    core = Core(stream)
    core.run(0, LEAD_IN)
    state, events = core.state, np.zeros(1024, EVENT)
    rows = [stream.commands[place : place + 1] for place in range(LEAD_IN, LEAD_IN + calls)]
    clock = time.perf_counter_ns
    taken: list[int] = []
    with quiet():
        cpu_start = time.thread_time_ns()
        for row in rows:
            start = clock()
            apply(state, row, b"", events)
            while state.pending:
                apply(state, row[1:], b"", events)
            taken.append(clock() - start)
        cpu = time.thread_time_ns() - cpu_start
    bare = [-(clock() - clock()) for _ in range(10_000)]
    return {
        "p50_ns": percentile(taken, 0.5),
        "p99_ns": percentile(taken, 0.99),
        "p999_ns": percentile(taken, 0.999),
        "max_ns": max(taken),
        "cpu_ns": round(cpu / calls),
        "clock_ns": median(bare),
        "calls": calls,
    }


def run(*, quick: bool, pybook: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/kernel.json holds."""
    rounds, size = (5, QUICK_SLICE) if quick else (ROUNDS, SLICE)
    back_memory()
    found: dict[str, Any] = {"quick": quick, "pybook": find_pybook(pybook) is not None, "workloads": {}}
    for name, mix in mixes.MIXES.items():
        most = QUICK_RESIDENT if quick else 0
        progress(f"{name}: {mix.says}")
        stream = mixes.gated(name, LEAD_IN + 5 * rounds * size, most)
        whole = whole_stream(stream, rounds)
        progress(f"{name}: {whole['commands_per_second']:,} commands a second, events {whole['events_sha256']}")
        found["workloads"][name] = {
            "says": mix.says,
            "resident": len(stream.prefill),
            "throughput": whole,
            "blocks": by_block(stream, rounds, size),
            "one_call": one_call(stream, 20_000 if quick else 100_000),
            "beside": compare(name, rounds, size, most, pybook),
        }
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_kernel [--quick] [--pybook FILE]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller books and fewer rounds")
    parser.add_argument("--pybook", type=Path, help="the plain order book to run beside")
    options = parser.parse_args()
    found = run(quick=options.quick, pybook=options.pybook)
    print(save("kernel", found))


if __name__ == "__main__":
    main()
