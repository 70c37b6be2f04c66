"""What an order's round trip costs over the WebSocket, beside an echo of the same application and the bare disk.

Closed loop: one request in flight, slices of echo, order and disk taken in turn, so that whatever else the machine does
falls on all of them; the ratio is that of the medians of a slice, its interval that of the slices.  Orders are placed
and canceled in turn, so the book stays as it is.  Open loop: requests leave at a fixed rate whether or not answers have
come, and each is timed from when it was due.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.bare_disk import BareDisk
from benchmarks.bench_venue import ECHO_PATH, TRADE_PATH, BenchVenue
from benchmarks.measure import percentile, progress, quiet, save, summary
from benchmarks.raw_socket import RawSocket, text_frame
from engine.blocks import block_length

SLICES: Final = 31
QUICK_SLICES: Final = 9
PER_SLICE: Final = 200
RATES: Final = (500, 2_000, 5_000, 10_000)
OPEN_LOOP_SECONDS: Final = 4.0


class Orders:
    """An endless turn of places and cancels by one client."""

    def __init__(self, venue: BenchVenue, account: str = "A1") -> None:
        self.venue = venue
        self.account = account
        self.connection = venue.trader(account)
        self.number = 0

    def next_request(self) -> bytes:
        """The JSON of the next request."""
        self.number += 1
        client_id = f"bench-{(self.number + 1) // 2:010d}"
        make = self.venue.place if self.number % 2 else self.venue.cancel
        return make(self.number, client_id, self.account)

    def next_frame(self) -> bytes:
        """The next request as a frame."""
        return text_frame(self.next_request())

    def check(self, answer: bytes | str) -> None:
        """Assert that an answer is that of the last request, and no refusal."""
        found = json.loads(answer)
        first = found[0] if isinstance(found, list) else found
        assert first["id"] == self.number and first["ok"], first

    def slice(self, count: int) -> list[int]:
        """Round trips of `count` requests, one in flight; ns."""
        taken = []
        clock, connection = time.perf_counter_ns, self.connection
        for _ in range(count):
            frame = self.next_frame()
            start = clock()
            connection.send(frame)
            answer = connection.receive()
            taken.append(clock() - start)
            self.check(answer)
        return taken


def echo_slice(connection: RawSocket, requests: list[bytes]) -> list[int]:
    """Round trips of requests to the echo, one in flight; ns."""
    taken = []
    clock = time.perf_counter_ns
    for request in requests:
        frame = text_frame(request)
        start = clock()
        connection.send(frame)
        answer = connection.receive()
        taken.append(clock() - start)
        assert answer == request
    return taken


class OrdinaryClient:
    """The same two slices through the `websockets` library on an event loop."""

    def __init__(self, venue: BenchVenue) -> None:
        self.loop = uvloop.new_event_loop()
        self.orders = Orders(venue, "A2")
        self.orders.connection.close()
        self._trade, self._echo = self.loop.run_until_complete(self._connect(venue))

    async def _connect(self, venue: BenchVenue) -> tuple[ClientConnection, ClientConnection]:
        opened = []
        for path in (TRADE_PATH, ECHO_PATH):
            opened.append(await connect(f"ws://127.0.0.1:{venue.port}{path}", compression=None))
        await opened[0].send(venue.logons["A2"].decode())
        assert json.loads(await opened[0].recv())[0]["ok"]
        return opened[0], opened[1]

    def order_slice(self, count: int) -> list[int]:
        """Round trips of `count` orders, one in flight; ns."""
        return self.loop.run_until_complete(self._slice(self._trade, count, None))

    def echo_slice(self, requests: list[bytes]) -> list[int]:
        """Round trips of requests to the echo, one in flight; ns."""
        return self.loop.run_until_complete(self._slice(self._echo, len(requests), requests))

    async def _slice(self, connection: ClientConnection, count: int, requests: list[bytes] | None) -> list[int]:
        taken = []
        clock = time.perf_counter_ns
        for number in range(count):
            request = (requests[number] if requests else self.orders.next_request()).decode()
            start = clock()
            await connection.send(request)
            answer = await connection.recv()
            taken.append(clock() - start)
            if requests:
                assert answer == request
            else:
                self.orders.check(answer)
        return taken

    def close(self) -> None:
        """Let both connections go."""
        for connection in (self._trade, self._echo):
            self.loop.run_until_complete(connection.close())
        self.loop.close()


def closed_loop(venue: BenchVenue, folder: Path, slices: int) -> dict[str, Any]:
    """Slices of echo, order and bare disk in turn; by client."""
    orders, echo, ordinary = Orders(venue), RawSocket(venue.port, ECHO_PATH), OrdinaryClient(venue)
    disk = BareDisk(folder / "bare")
    block = b"\x5a" * block_length(1, 0, 1)
    requests = [make(n, f"bench-{n:010d}") for n in range(PER_SLICE // 2) for make in (venue.place, venue.cancel)]
    parts: dict[str, Callable[[], list[int]]] = {
        "client_echo": lambda: ordinary.echo_slice(requests),
        "client_order": lambda: ordinary.order_slice(PER_SLICE),
        "bare_echo": lambda: echo_slice(echo, requests),
        "bare_order": lambda: orders.slice(PER_SLICE),
    }
    if venue.sync:
        parts["disk"] = lambda: [disk.write(block, sync=True) for _ in range(PER_SLICE // 2)]
    taken: dict[str, list[list[int]]] = {name: [] for name in parts}
    for part in parts.values():
        part()
    with quiet():
        for _ in range(slices):
            for name, part in parts.items():
                taken[name].append(part())
    disk.close()
    echo.close()
    orders.connection.close()
    ordinary.close()
    found: dict[str, Any] = {name: _times(slices_of) for name, slices_of in taken.items()}
    for client in ("client", "bare"):
        found[f"{client}_ratios"] = _ratios(taken[f"{client}_order"], taken[f"{client}_echo"], taken.get("disk"))
    return found


def _times(parts: list[list[int]]) -> dict[str, Any]:
    every = [one for part in parts for one in part]
    return {
        "median_us": summary([median(part) / 1e3 for part in parts]),
        "p99_us": summary([percentile(part, 0.99) / 1e3 for part in parts]),
        "p999_us": percentile(every, 0.999) / 1e3,
        "max_us": max(every) / 1e3,
        "count": len(every),
    }


def _ratios(orders: list[list[int]], echoes: list[list[int]], disks: list[list[int]] | None) -> dict[str, Any]:
    found = {
        "times_echo": summary([median(a) / median(b) for a, b in zip(orders, echoes, strict=True)]),
        "p99_times_echo": summary(
            [percentile(a, 0.99) / percentile(b, 0.99) for a, b in zip(orders, echoes, strict=True)]
        ),
    }
    if disks:
        # The promise with sync on: at most 1.6 echoes and 1.5 bare syncs; 1 is exactly that.
        allowed = [1.6 * median(echo) + 1.5 * median(disk) for echo, disk in zip(echoes, disks, strict=True)]
        found["share_of_allowance"] = summary([median(a) / b for a, b in zip(orders, allowed, strict=True)])
    return found


def open_loop(
    connection: RawSocket, frames: list[bytes], rate: int, answers_in: Callable[[bytes], int]
) -> dict[str, Any]:
    """Send at a fixed rate; latency from the instant at which each request was due, in µs."""
    done: list[int] = []
    clock = time.perf_counter_ns

    def collect() -> None:
        while len(done) < len(frames):
            count = answers_in(connection.receive())
            now = clock()
            done.extend([now] * count)

    reader = threading.Thread(target=collect)
    reader.start()
    gap = 1e9 / rate
    begin = clock() + 10_000_000
    late = 0
    for number, frame in enumerate(frames):
        due = begin + int(number * gap)
        while (left := due - clock()) > 0:
            if left > 200_000:
                time.sleep((left - 100_000) / 1e9)
        late = max(late, -left)
        connection.send(frame)
    reader.join(60.0)
    assert len(done) == len(frames), f"{len(done)} answers to {len(frames)} requests"
    taken = [(at - begin - int(number * gap)) / 1e3 for number, at in enumerate(done)]
    return {
        "rate": rate,
        "answered_per_second": round(len(done) / ((done[-1] - begin) / 1e9)),
        "p50_us": percentile(taken, 0.5),
        "p99_us": percentile(taken, 0.99),
        "p999_us": percentile(taken, 0.999),
        "max_us": max(taken),
        "sender_late_us": late / 1e3,
    }


def _answers(frame: bytes) -> int:
    found = json.loads(frame)
    messages = found if isinstance(found, list) else [found]
    answers = [one for one in messages if "id" in one and one["ev"] != "exec"]
    assert all(one["ok"] for one in answers), answers
    return len(answers)


def open_loops(venue: BenchVenue, seconds: float) -> list[dict[str, Any]]:
    """Orders and echo at each rate, one after the other."""
    found = []
    for rate in RATES:
        orders = Orders(venue)
        orders.number = 2 * rate * 1_000_000  # ids that no other run of this venue has used
        frames = [orders.next_frame() for _ in range(int(rate * seconds))]
        with quiet():
            order = open_loop(orders.connection, frames, rate, _answers)
            echo = RawSocket(venue.port, ECHO_PATH)
            floor = open_loop(echo, frames, rate, lambda _: 1)
        orders.connection.close()
        echo.close()
        found.append({"rate": rate, "order": order, "echo": floor})
    return found


def run(*, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/wire.json holds."""
    slices, seconds = (QUICK_SLICES, 1.0) if quick else (SLICES, OPEN_LOOP_SECONDS)
    found: dict[str, Any] = {"quick": quick, "slices": slices, "per_slice": PER_SLICE}
    with tempfile.TemporaryDirectory(prefix="bench-wire-", dir=folder) as name:
        for word in ("off", "on"):
            progress(f"round trips, sync {word}")
            with BenchVenue(Path(name) / word, sync=word == "on", accounts=2) as venue:
                found[f"sync_{word}"] = closed_loop(venue, Path(name), slices)
                progress(f"open loop, sync {word}")
                found[f"open_loop_sync_{word}"] = open_loops(venue, seconds)
    return found


def main() -> None:
    """The command line: `python -m benchmarks.bench_wire [--quick] [--folder DIR]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer slices")
    parser.add_argument("--folder", type=Path, help="where the logs are written: the disk that is measured")
    options = parser.parse_args()
    print(save("wire", run(quick=options.quick, folder=options.folder)))


if __name__ == "__main__":
    main()
