"""How the public feed fans out: from the sending of an order until the first and the last reader have its book update.

Every reader is subscribed to book, trades and status of one instrument and checks that no message is missing (`prev`).
One order is in flight at a time; then orders leave as fast as they are answered, and what arrives is counted.  All
readers live in the bench's process, on a selector, so the figures hold its cost too.
"""

from __future__ import annotations

import argparse
import json
import selectors
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.bench_venue import BenchVenue
from benchmarks.bench_wire import Orders
from benchmarks.measure import percentile, progress, quiet, save, summary
from benchmarks.raw_socket import RawSocket, text_frame

MARKET_DATA_PATH: Final = "/ws/v1/md"
READERS: Final = (1, 10, 100, 500)
SLICES: Final = 11
QUICK_SLICES: Final = 9
PER_SLICE: Final = 40
BURST: Final = 400
WAIT_SECONDS: Final = 10.0


class Readers:
    """Subscribed connections, read as one."""

    def __init__(self, venue: BenchVenue, count: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.seq: dict[RawSocket, int] = {}
        channels = ["book", "trades", "status"]
        request = {"op": "subscribe", "id": 1, "p": {"channels": channels, "symbols": [venue.symbol]}}
        frame = text_frame(json.dumps(request).encode())
        for _ in range(count):
            reader = RawSocket(venue.md_port, MARKET_DATA_PATH)
            reader.send(frame)
            while reader not in self.seq:
                for message in _messages(reader.receive()):
                    if message["ev"] == "book":
                        self.seq[reader] = message["seq"]
            self.selector.register(reader.socket, selectors.EVENT_READ, reader)

    def until(self, updates: int) -> tuple[int, int]:
        """Wait until every reader has had `updates` book updates; when the first and the last had theirs, ns."""
        had = dict.fromkeys(self.seq, 0)
        waiting = len(had)
        first = 0
        end = time.monotonic() + WAIT_SECONDS
        while waiting:
            assert time.monotonic() < end, f"{waiting} readers miss an update"
            for key, _ in self.selector.select(WAIT_SECONDS):
                reader = key.data
                for payload in reader.receive_ready():
                    for message in _messages(payload):
                        if message["ev"] == "book":
                            assert message["prev"] == self.seq[reader], "a reader missed a message"
                            self.seq[reader] = message["seq"]
                            had[reader] += 1
                            waiting -= had[reader] == updates
                            first = first or time.perf_counter_ns()
        return first, time.perf_counter_ns()

    def close(self) -> None:
        """Let all of them go."""
        for reader in self.seq:
            reader.close()
        self.selector.close()


def _messages(payload: bytes) -> list[dict[str, Any]]:
    found = json.loads(payload)
    return found if isinstance(found, list) else [found]


def fan_out(venue: BenchVenue, orders: Orders, count: int, slices: int) -> dict[str, Any]:
    """One order at a time, then a burst."""
    readers = Readers(venue, count)
    first_us: list[list[float]] = []
    last_us: list[list[float]] = []
    with quiet():
        for number in range(slices + 1):
            first, last = [], []
            for _ in range(PER_SLICE):
                frame = orders.next_frame()
                start = time.perf_counter_ns()
                orders.connection.send(frame)
                one, all_ = readers.until(1)
                orders.check(orders.connection.receive())
                first.append((one - start) / 1e3)
                last.append((all_ - start) / 1e3)
            if number:
                first_us.append(first)
                last_us.append(last)
        start = time.perf_counter_ns()
        for _ in range(BURST):
            orders.connection.send(orders.next_frame())
            orders.check(orders.connection.receive())
        _, end = readers.until(BURST)
    readers.close()
    return {
        "readers": count,
        "first_us": summary([median(part) for part in first_us]),
        "last_us": summary([median(part) for part in last_us]),
        "last_p99_us": percentile([one for part in last_us for one in part], 0.99),
        "burst_updates": BURST,
        "frames_per_second": round(BURST * count / ((end - start) / 1e9)),
    }


def run(*, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/feed.json holds."""
    found: dict[str, Any] = {"quick": quick, "rows": []}
    with (
        tempfile.TemporaryDirectory(prefix="bench-feed-", dir=folder) as name,
        BenchVenue(Path(name) / "venue", sync=False) as venue,
    ):
        orders = Orders(venue)
        for count in READERS[: 3 if quick else len(READERS)]:
            progress(f"feed: {count} readers")
            found["rows"].append(fan_out(venue, orders, count, QUICK_SLICES if quick else SLICES))
        orders.connection.close()
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_feed [--quick]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer slices and readers")
    options = parser.parse_args()
    print(save("feed", run(quick=options.quick)))


if __name__ == "__main__":
    main()
