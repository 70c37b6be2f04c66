"""How soon a venue is back: recovery of a long day, and the first order that a started venue accepts.

The day is written by the journal, with the core's own events, then followed (engine/follower.py) until snapshots of it
lie beside it.  Each recovery is `Log.open` in a process of its own, the ways in turns: the whole log with every event
compared, the whole log with their number alone, and from the newest snapshot, which stands half a million commands
before the end.  All end at the same seq with the same trades, which is asserted.  The log has just been written, so it
comes from the system's memory and not from the disk.

The start is the venue itself (`cashew serve` with an echo that nobody uses): from making the process to the answer
that says an order was accepted, on a socket that is tried until it opens.  CPU time is that of the venue's processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench_venue import START_SECONDS, BenchVenue
from benchmarks.measure import ROOT, back_memory, progress, save, summary
from benchmarks.raw_socket import text_frame
from benchmarks.workloads import Stream, generate
from engine.journal import Journal

ROUNDS: Final = 9
QUICK_ROUNDS: Final = 3
COMMANDS: Final = 10_000_000
QUICK_COMMANDS: Final = 400_000
BLOCK: Final = 512  # commands a block of the log
DAY: Final = "2026-01-02"
TRADING_DAY: Final = 20_260_102
WORKLOADS: Final = ("small", "deep")
WAYS: Final = ("compared", "counted", "snapshot")
TRY_SECONDS: Final = 0.005


def write_day(root: Path, stream: Stream) -> dict[str, Any]:
    """Write a stream, with its events, as the log of a day that ended properly."""
    from engine import apply

    (root / "days").mkdir(parents=True)
    journal = Journal.create(
        root / "days" / DAY, trading_day=TRADING_DAY, first_seq=1, previous=bytes(32), epoch=1, limits=stream.limits,
        sync=False,
    )  # fmt: skip
    state = apply.new_state(stream.limits)
    seq, events, filling = 1, 0, 0
    parts = [(stream.setup, stream.payload), (stream.prefill, b""), (stream.commands, b"")]
    for rows, payload in parts:
        filling = state.next_trade_id - 1
        for first in range(0, len(rows), len(rows) if payload else BLOCK):
            block = rows[first:] if payload else rows[first : first + BLOCK]
            caused = apply.run_block(state, block, payload)
            numbered = block.copy()
            numbered["seq"] = np.arange(seq, seq + len(block))
            seq = journal.append(seq, numbered, payload, caused) + 1
            events += len(caused)
    journal.close()
    trades = state.next_trade_id - 1
    assert trades - filling == stream.trades, "the core trades otherwise than the stream's own book"
    size = sum(path.stat().st_size for path in (root / "days" / DAY).iterdir())
    return {"commands": seq - 1, "events": events, "trades": trades, "log_bytes": size}


def follow(root: Path, commands: int) -> dict[str, Any]:
    """Follow the day to its end in this process: how fast, and the newest snapshot that it left."""
    from engine import apply
    from engine.follower import EVERY, Follower
    from engine.snapshot import FOLDER

    apply.warm()
    start = time.perf_counter()
    follower = Follower(root, every=min(EVERY, commands // 4))
    while follower.step():
        pass
    spent = time.perf_counter() - start
    assert follower.seq == commands, follower.seq
    newest = max((root / FOLDER).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return {"rate": round(commands / spent), "snapshot_bytes": newest.stat().st_size}


def recover(root: Path, way: str) -> dict[str, Any]:
    """One start of the log in this process; seconds, and what it found."""
    from engine import apply, snapshot
    from engine.compiled import Compiled
    from engine.recovery import Log

    apply.warm()
    start, cpu = time.perf_counter(), time.process_time()
    log = Log.open(
        root, Compiled, now_ns=0, trading_day=DAY, compare=way != "counted", sync=False,
        restore=snapshot.restore if way == "snapshot" else None,
    )  # fmt: skip
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu
    matcher, recovery = log.matcher, log.recovery
    assert isinstance(matcher, Compiled)
    found = {
        "seconds": spent, "cpu_seconds": cpu, "seq": log.journal.last_seq, "trades": matcher.state.next_trade_id - 1,
        "carried_out": recovery.commands, "snapshot_seq": recovery.snapshot_seq,
    }  # fmt: skip
    log.close()
    return found


def _in_a_process(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_recovery", *arguments], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def long_day(name: str, folder: Path, commands: int, rounds: int) -> dict[str, Any]:
    """One workload's day, recovered in all ways."""
    progress(f"{name}: a day of {commands:,} commands is written")
    stream = generate(name, commands)
    found = {"workload": name, "rounds": rounds, "stream_sha256": stream.checksum, **write_day(folder, stream)}
    found["resident"] = len(stream.prefill)
    del stream  # the recoveries need the memory
    found["followed"] = _in_a_process("--follow", str(folder), str(found["commands"]))
    taken: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        progress(f"{name}: recovery, round {number + 1} of {rounds}")
        for way in WAYS[:: 1 if number % 2 else -1]:
            one = _in_a_process("--recover", way, str(folder))
            assert (one["seq"], one["trades"]) == (found["commands"], found["trades"]), one
            assert (one["snapshot_seq"] > 0) == (way == "snapshot"), one
            taken[way].append(one)
    for way, starts in taken.items():
        seconds = [one["seconds"] for one in starts]
        found[way] = {
            "seconds": summary(seconds),
            "cpu_seconds": summary([one["cpu_seconds"] for one in starts]),
            "rate": summary([starts[0]["carried_out"] / one for one in seconds]),
            "carried_out": starts[0]["carried_out"],
        }
    return found


def first_order(venue: BenchVenue, number: int) -> tuple[float, float]:
    """Start the venue and place an order as soon as it can be; wall and CPU seconds until it is accepted."""
    frame = text_frame(venue.place(number, f"first{number}"))
    start = time.perf_counter()
    venue.start()
    while True:
        try:
            connection = venue.trader()
            break
        except ConnectionError as error:
            venue.assert_runs(error, late=time.perf_counter() - start > START_SECONDS)
            time.sleep(TRY_SECONDS)
    connection.send(frame)
    answers: list[Any] = []
    while not any(one.get("id") == number and one.get("ok") for one in answers):
        assert not any(one.get("ok") is False for one in answers), answers
        answers = json.loads(connection.receive())
        answers = answers if isinstance(answers, list) else [answers]
    wall, cpu = time.perf_counter() - start, venue.cpu_seconds()
    connection.close()
    return wall, cpu


def starts(folder: Path, rounds: int, *, cold: bool) -> dict[str, Any]:
    """Starts of a venue whose instrument is open; `cold`: one more, on a machine that has compiled nothing yet."""
    venue = BenchVenue(folder / "venue", sync=True)
    with venue:
        connection = venue.trader()  # an order of the day before the starts: there is something to recover
        connection.send(text_frame(venue.place(1, "before")))
        connection.receive()
        connection.close()
    taken = []
    for number in range(rounds + 1):
        progress(f"start {number} of {rounds}")
        try:
            taken.append(first_order(venue, number + 2))
        finally:
            venue.stop()
    found: dict[str, Any] = {
        "rounds": rounds,
        "wall_seconds": summary([wall for wall, _ in taken[1:]]),  # the first one brings the files into memory
        "cpu_seconds": summary([cpu for _, cpu in taken[1:]]),
    }
    if cold:
        progress("a start on a machine that has compiled nothing")
        before = os.environ.get("CASHEW_CACHE_DIR")
        os.environ["CASHEW_CACHE_DIR"] = str(folder / "nothing")
        try:
            wall, cpu = first_order(venue, rounds + 3)
        finally:
            venue.stop()
            if before is None:
                del os.environ["CASHEW_CACHE_DIR"]
            else:
                os.environ["CASHEW_CACHE_DIR"] = before
        found["nothing_compiled"] = {"wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
    return found


def run(*, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/recovery.json holds. What was written is deleted."""
    back_memory()
    rounds = QUICK_ROUNDS if quick else ROUNDS
    found: dict[str, Any] = {"quick": quick, "block": BLOCK, "days": []}
    for name in WORKLOADS:
        with tempfile.TemporaryDirectory(prefix="bench-recovery-", dir=folder) as place:
            days = long_day(name, Path(place) / "log", QUICK_COMMANDS if quick else COMMANDS, rounds)
        found["days"].append(days)
    with tempfile.TemporaryDirectory(prefix="bench-start-", dir=folder) as place:
        found["start"] = starts(Path(place), rounds, cold=not quick)
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_recovery [--quick] [--folder DIR]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a shorter day and fewer rounds")
    parser.add_argument("--folder", type=Path, help="where the log is written")
    parser.add_argument("--follow", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--recover", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.follow:
        root, commands = options.follow
        print(json.dumps(follow(Path(root), int(commands))))
    elif options.recover:
        way, root = options.recover
        print(json.dumps(recover(Path(root), way)))
    else:
        print(save("recovery", run(quick=options.quick, folder=options.folder)))


if __name__ == "__main__":
    main()
