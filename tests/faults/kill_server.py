"""A load on a real exchange, its kill at some instant, and the reckoning of what was acknowledged with the log.

The same reckoning judges the exchange and a control build that acknowledges before it has written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.disk import Disk
from engine.replay import verify
from engine.scan import DayScan, day_folders
from gateway.events import Event, read_events
from tests.exchange import SERVE, SYMBOL, Exchange

CLIENTS: Final = 8
WINDOW: Final = 8  # requests that each client keeps in flight
STORY_S: Final = 60
ACCEPTED: Final = 1  # EventKind.ORDER_ACCEPTED

_CONTROL = (
    "from tests.faults.kill_server import write_late; write_late(); "
    "from cashew.cli import main; raise SystemExit(main())"
)
CONTROL: Final = (sys.executable, "-c", _CONTROL, "serve")


BEHIND: Final = 32  # more than the answers that lie unread in the sockets at a kill


def write_late() -> None:
    """Make this process the control: it says that all is written and synced while it still holds the last writes back.

    A kill loses what a process has not handed to the system, so that is what the control acknowledges too early.
    Watermark slots are held back like blocks, in order: what reaches the file is a good log that ends too soon.
    """
    held: deque[tuple[int, bytes, int]] = deque()

    def write(_disk: Disk, fd: int, buffers: Sequence[Any], offset: int) -> int:
        whole = b"".join(bytes(buffer) for buffer in buffers)
        held.append((os.dup(fd), whole, offset))
        while len(held) > BEHIND:
            held_fd, data, at = held.popleft()
            os.pwrite(held_fd, data, at)
            os.close(held_fd)
        return len(whole)

    Disk.write = write  # type: ignore[method-assign]
    Disk.sync = lambda _disk, _fd: None  # type: ignore[method-assign]


@dataclass
class Load:
    """What the clients sent and heard: client id → order_id (or the code of a refusal), None while unanswered."""

    sent: dict[str, int | str | None] = field(default_factory=dict)
    in_flight: int = 0  # at the instant of the kill

    @property
    def acked(self) -> dict[str, int]:
        return {name: order_id for name, order_id in self.sent.items() if isinstance(order_id, int)}

    @property
    def unanswered(self) -> list[str]:
        return [name for name, answer in self.sent.items() if answer is None]


@dataclass(frozen=True)
class Reckoning:
    """One kill: how many were acknowledged, in flight, unanswered, and what became of them."""

    acked: int
    in_flight: int
    unanswered: int
    unanswered_done: int
    lost: tuple[str, ...]  # acknowledged, and not in the log or not known to the restarted exchange
    doubled: tuple[str, ...]  # client ids that the log accepted more than once
    verified: bool

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acked}, in flight {self.in_flight}, unanswered {self.unanswered} (of these done "
            f"{self.unanswered_done}), lost {len(self.lost)}, doubled {len(self.doubled)}"
        )


def make_exchange(data: Path, *, control: bool = False) -> Exchange:
    """An exchange with two members, running and open."""
    exchange = Exchange(data, program=CONTROL if control else SERVE)
    exchange.add_trader("M1", "A1")
    exchange.add_trader("M2", "A2")
    exchange.start()
    exchange.define(A1="M1", A2="M2")
    return exchange


async def log_on(exchange: Exchange, member: str) -> ClientConnection:
    socket = await connect(exchange.socket_url, compression=None, proxy=None)
    await socket.send(json.dumps({"op": "logon", "id": 0, "p": {"token": exchange.tokens[member]}}))
    assert json.loads(await socket.recv())["ok"]
    return socket


async def trade(exchange: Exchange, load: Load, prefix: str, number: int, seed: int) -> None:
    """Keep a window of orders in flight, some of which trade, until the connection breaks."""
    rng = random.Random(f"{prefix}-{number}-{seed}")
    socket = await log_on(exchange, "M1" if number % 2 else "M2")
    names: list[str] = []
    with contextlib.suppress(ConnectionClosed, OSError):

        async def send() -> None:
            name = f"{prefix}-{number}-{len(names)}"
            p = {
                "symbol": SYMBOL, "side": rng.choice(("buy", "sell")), "price": f"{rng.randrange(290, 311) / 100:.2f}",
                "order_qty": rng.randint(1, 9), "cl_ord_id": name, "time_in_force": rng.choice(("day", "ioc", "gtc")),
            }  # fmt: skip
            names.append(name)
            load.sent[name] = None
            await socket.send(json.dumps({"op": "order.place", "id": len(names) - 1, "p": p}))

        for _ in range(WINDOW):
            await send()
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if "id" in message:
                load.sent[names[message["id"]]] = message["order_id"] if message["ok"] else message["code"]
                await send()


async def load_and_kill(exchange: Exchange, prefix: str, seed: int) -> Load:
    """Put the load on, and kill the process somewhere in it."""
    load, rng = Load(), random.Random(seed)
    tasks = [asyncio.create_task(trade(exchange, load, prefix, number, seed)) for number in range(CLIENTS)]
    wanted = rng.randint(CLIENTS * WINDOW, 1_000)  # acknowledgements before the instant is drawn
    async with asyncio.timeout(STORY_S):
        while len(load.acked) < wanted:
            await asyncio.wait(tasks, timeout=0.001)
            assert not any(task.done() for task in tasks), "the load goes on until the kill"
        await asyncio.wait(tasks, timeout=rng.uniform(0, 0.005))
        load.in_flight = len(load.unanswered)
        exchange.end(signal.SIGKILL)
        await asyncio.gather(*tasks)
    return load


async def ask_all(exchange: Exchange, load: Load) -> dict[str, int]:
    """Ask the exchange for every order that was sent; client id → order_id of those it knows."""
    known: dict[str, int] = {}
    for member, odd in (("M1", True), ("M2", False)):
        names = [name for name in load.sent if bool(int(name.split("-")[1]) % 2) is odd]
        socket = await log_on(exchange, member)
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            for place, name in enumerate(part):
                await socket.send(json.dumps({"op": "order.status", "id": place, "p": {"cl_ord_id": name}}))
            for _ in part:
                answer = json.loads(await socket.recv())
                if answer["ok"]:
                    known[part[answer["id"]]] = answer["order_id"]
        await socket.close()
    return known


def accepted_in_log(data: Path) -> Counter[tuple[str, int]]:
    """How often each (client id, order_id) was accepted in the last day's log."""
    found: Counter[tuple[str, int]] = Counter()
    for block in DayScan(day_folders(data)[-1], live=True).blocks():
        for event in read_events(block.events()):
            if isinstance(event, Event) and event.kind == ACCEPTED:
                found[event.cl_ord_id, event.order_id] += 1
    return found


def reckon(exchange: Exchange, load: Load) -> Reckoning:
    """Verify the killed log, restart on it, and compare; leaves the exchange running."""
    verified = verify(exchange.data).exit_code == 0
    exchange.start()
    known = asyncio.run(ask_all(exchange, load))
    log = accepted_in_log(exchange.data)
    times = Counter(name for name, _ in log.elements())
    lost = tuple(
        name for name, order_id in load.acked.items() if log[name, order_id] != 1 or known.get(name) != order_id
    )
    return Reckoning(
        acked=len(load.acked),
        in_flight=load.in_flight,
        unanswered=len(load.unanswered),
        unanswered_done=sum(times[name] for name in load.unanswered),
        lost=lost,
        doubled=tuple(name for name, count in times.items() if count > 1),
        verified=verified,
    )
