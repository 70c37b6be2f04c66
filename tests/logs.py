"""Small logs for the tests of the log's room: a venue of two contracts, orders for it, and a matcher that just
echoes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from engine.day import act_row, canonical, genesis
from engine.recovery import Log
from engine.reference import Reference
from engine.schema import COMMAND, EVENT, HAS_PRICE, LAST, CommandKind, Limits, OrdType, Side, TimeInForce
from engine.sequencer import Sequencer

MONDAY, TUESDAY, WEDNESDAY = "2026-11-23", "2026-11-24", "2026-11-25"
OPENING_NS = 1_795_399_200_000_000_000
SMALL = Limits(instruments=8, accounts=64, orders=4_096, levels=1 << 16, day_ids=1 << 16)
INSTRUMENTS = [
    {
        "symbol": symbol, "ccy": "USD", "unit": "lb", "contract_size": 3500, "tick": "0.005", "min_price": "1.000",
        "max_price": "2.000", "max_order_qty": 500,
    }
    for symbol in ("W320F2703", "W240F2703")
]  # fmt: skip
ACCOUNTS = [{"account": f"A{n}", "member": f"M{n % 2}", "owner": f"B{n}"} for n in (1, 2, 3)]


class Echo:
    """A matcher that takes part in nothing: one event per command. For what does not depend on the rules."""

    def __init__(self, limits: Limits = SMALL) -> None:
        self.limits = limits
        self.seqs: list[int] = []
        self.prices: list[int] = []

    def run_block(self, commands: Any, payload: bytes = b"") -> Any:
        self.seqs += commands["seq"].tolist()
        self.prices += commands["price"].tolist()
        events = np.zeros(len(commands), EVENT)
        events["seq"], events["time"], events["kind"], events["flags"] = commands["seq"], commands["time"], 12, LAST
        return events

    def dump(self) -> dict[str, Any]:
        return genesis(())

    def book(self, instrument: int) -> dict[str, Any]:
        return {"bids": [], "asks": []}


def rows(first_seq: int, count: int = 1, *, time: int = OPENING_NS) -> Any:
    """Stamped COMMAND rows, each telling its seq by its price too."""
    commands = np.zeros(count, COMMAND)
    commands["kind"] = CommandKind.CLOCK_TICK
    commands["seq"] = commands["price"] = np.arange(first_seq, first_seq + count)
    commands["time"] = time
    return commands


def open_log(root: Path, make_matcher: Any = Reference, **options: Any) -> Log:
    """A venue on `root`, on Monday unless told otherwise, in small segments."""
    settings = {
        "now_ns": OPENING_NS, "trading_day": MONDAY, "instruments": INSTRUMENTS, "accounts": ACCOUNTS, "limits": SMALL,
        "segment_bytes": 64 << 10,
    }  # fmt: skip
    return Log.open(root, make_matcher, **(settings | options))


def sequencer(log: Log, **options: Any) -> Sequencer:
    return Sequencer(log.matcher.run_block, log.journal, last_time_ns=log.time_ns, **options)


def order(number: int, rng: random.Random, time_in_force: TimeInForce = TimeInForce.GTC) -> bytes:
    """A limit order near the middle of the band, so that many trade and many rest."""
    row = np.zeros(1, COMMAND)
    side = rng.choice((Side.BUY, Side.SELL))
    row["kind"], row["side"], row["ord_type"] = CommandKind.ORDER_PLACE, side, OrdType.LIMIT
    row["time_in_force"], row["flags"], row["smp"] = time_in_force, HAS_PRICE, rng.randint(0, 5)
    row["instrument"], row["account"] = rng.randint(1, len(INSTRUMENTS)), rng.randint(1, len(ACCOUNTS))
    row["price"] = 300 + rng.randint(-8, 3) * (1 if side == Side.BUY else -1)
    row["order_qty"], row["cl_ord_id"] = rng.randint(1, 20), f"o-{number}".encode()
    row["client_session"] = rng.randint(0, 3)
    return row.tobytes()


def set_phase(sequencer: Sequencer, phase: str) -> None:
    sequencer.submit(act_row(CommandKind.PHASE_SET), canonical({"symbol": "ALL", "phase": phase}))


def run(sequencer: Sequencer, *, now_ns: int = OPENING_NS) -> list[Any]:
    """Carry out all that waits and wait until it is on disk."""
    done = []
    while sequencer.waiting:
        if not sequencer.turn(now_ns):
            done += sequencer.drain()
    return done + sequencer.drain()


def trade(log: Log, orders: int, *, seed: int = 1, block: int = 1, close: bool = False) -> Sequencer:
    """Open trading if need be, send orders in blocks of `block`, and close trading if asked."""
    rng = random.Random(seed)
    lane = sequencer(log)
    if not any(terms["phase"] == "continuous" for terms in log.matcher.dump()["instruments"]):
        set_phase(lane, "continuous")
    run(lane)
    for number in range(orders):
        tif = TimeInForce.GTC if rng.random() < 0.7 else TimeInForce.DAY
        lane.submit(order(seed * 1_000_000 + number, rng, tif))
        if lane.waiting >= block:
            run(lane, now_ns=OPENING_NS + number)
    if close:
        set_phase(lane, "closed")
    run(lane, now_ns=OPENING_NS + orders)
    return lane


def flip(path: Path, offset: int, mask: int = 0) -> None:
    """Change one byte of a file: one bit, or those of `mask`. A second call puts it right again."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ (mask or 1 << offset % 8),)))


def segments(root: Path, day: str = MONDAY) -> list[Path]:
    return sorted((root / "days" / day).glob("segment-*"))


def without(world: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in world.items() if key not in keys}
