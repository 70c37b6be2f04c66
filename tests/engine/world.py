"""A small venue for the unit tests of the core: short ways to write commands, run them and look at the arrays.

`World` stamps rows, runs them through `engine.apply` and, after each run, asserts the invariants. `views` hands a
state's arrays to a kernel function that a test calls by itself, in whichever lane the test runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.apply import MIN_EVENT_ROOM, State, act_payload, apply, new_state, run_block
from engine.core.invariants import check
from engine.core.lane import LANE
from engine.core.memory import CMD, EV, Core
from engine.dump import book, dump
from engine.phases import PHASES
from engine.schema import (
    COMMAND,
    EVENT,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    TRADE,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Phase,
    Side,
    Smp,
    TimeInForce,
    word,
)

Rows = npt.NDArray[Any]
BUY, SELL = Side.BUY, Side.SELL
DAY, GTC, IOC, FOK, GTD, AT_OPEN, AT_CLOSE = TimeInForce
LIMIT, MARKET, STOP, STOP_LIMIT, MARKET_TO_LIMIT = OrdType
SMALL = Limits(instruments=4, accounts=8, orders=64, levels=1 << 13, day_ids=256)
TERMS: dict[str, Any] = {
    "symbol": "W320", "ccy": "USD", "unit": "lb", "contract_size": 3500, "tick": "1", "min_price": "1",
    "max_price": "1000", "max_order_qty": 1_000_000, "protection_ticks": 10,
}  # fmt: skip
# Accounts 1 and 2 have one owner; 1 and 3 one member.
ACCOUNTS = (("A1", "M1", "B1"), ("A2", "M2", "B1"), ("A3", "M1", "B2"), ("A4", "M2", "B2"))
FIRST_TIME = 1_000
CHECK_EVERY = 8 if LANE == "plain" else 1


def way(phase: Phase, start: Phase = Phase.CLOSED) -> list[Phase]:
    """The phases by which an instrument that is closed, or in another phase, gets into this one by the fewest steps."""
    ways: dict[Phase, list[Phase]] = {start: []}
    for before in (waiting := [start]):
        for after in sorted(PHASES[before].next - ways.keys()):
            ways[after] = [*ways[before], after]
            waiting.append(after)
    return ways[phase]


class World:
    """A venue with accounts 1 to 4 and one continuous instrument of prices 1 to 1,000, unless told otherwise.

    `buffer` > 0 runs every block through an event buffer of so many rows instead of `run_block`; `seq` is the last
    seq before its first command; with a `day`, that day is being opened and wants a day.start.
    """

    def __init__(
        self,
        limits: Limits = SMALL,
        *,
        accounts: tuple[tuple[str, str, str], ...] = ACCOUNTS,
        terms: tuple[dict[str, Any], ...] = (TERMS,),
        phase: Phase | None = Phase.CONTINUOUS,
        buffer: int = 0,
        seq: int = 0,
        day: str = "",
    ) -> None:
        self.state: State = new_state(limits)
        self.buffer = buffer
        self.checks = False  # not yet: most tests need no proof that an empty venue is sound
        self.seq = seq
        self.time = FIRST_TIME
        if day:
            self.act(CommandKind.DAY_OPEN, trading_day=day, next_trade_id=1)
        for name, member, owner in accounts:
            self.act(CommandKind.ACCOUNT_DEFINE, account=name, member=member, owner=owner)
        for extra in terms:
            self.act(CommandKind.INSTRUMENT_DEFINE, **{**TERMS, **extra})
        for step in way(phase) if phase is not None else ():
            self.phase("ALL", step)
        self.checks = True

    # --- writing commands ---------------------------------------------------------------------------------

    def row(self, kind: int, **fields: Any) -> Rows:
        """One stamped COMMAND row."""
        self.seq += 1
        self.time += 1
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"] = kind, self.seq, self.time
        for name, value in fields.items():
            row[name] = value
        return row

    def order(self, account: int, side: int, qty: int, price: int | None, /, **fields: Any) -> Rows:
        """A place: a day limit order, or a market order where the price is None; its id is `o` and its seq."""
        said: dict[str, Any] = {
            "instrument": 1, "account": account, "side": side, "order_qty": qty, "time_in_force": DAY,
            "ord_type": OrdType.MARKET if price is None else OrdType.LIMIT,
            "price": 0 if price is None else price, "flags": 0 if price is None else HAS_PRICE,
            "cl_ord_id": f"o{self.seq + 1}".encode(),
        }  # fmt: skip
        if "flags" in fields:
            fields["flags"] |= said["flags"]
        return self.row(CommandKind.ORDER_PLACE, **{**said, **fields})

    def amendment(
        self,
        account: int,
        order_id: int,
        *,
        qty: int | None = None,
        price: int | None = None,
        stop: int | None = None,
        expire: int | None = None,
        **fields: Any,
    ) -> Rows:
        """An amend of the order of this id."""
        flags = (0 if qty is None else HAS_QTY) | (0 if price is None else HAS_PRICE) | fields.pop("flags", 0)
        flags |= (0 if stop is None else HAS_STOP) | (0 if expire is None else HAS_EXPIRE)
        said = {"order_qty": qty or 0, "price": price or 0, "stop_price": stop or 0, "expire_time": expire or 0,
                "flags": flags, "target_lo": order_id, **fields}  # fmt: skip
        return self.row(CommandKind.ORDER_AMEND, account=account, **said)

    def stop_order(
        self, account: int, side: int, qty: int, at: int, price: int | None = None, /, **fields: Any
    ) -> Rows:
        """A place of a stop, or of a stop_limit where there is a price."""
        said = {"ord_type": STOP if price is None else STOP_LIMIT, "flags": HAS_STOP, "stop_price": at}
        return self.order(account, side, qty, price, **{**said, **fields})

    def act_row(self, kind: CommandKind, **terms: Any) -> tuple[Rows, bytes]:
        """The row of an act, alone in its block, and its payload."""
        payload = act_payload(terms)
        return self.row(kind, target_hi=len(payload)), payload

    def run(self, *rows: Rows, payload: bytes = b"") -> Rows:
        """Carry out a block and, unless told otherwise, assert the invariants (uncompiled now and then); its events."""
        commands = np.concatenate(rows)
        if self.buffer:
            events = drain(self.state, commands, payload, self.buffer)
        else:
            events = run_block(self.state, commands, payload)
        if self.checks and self.seq % CHECK_EVERY == 0:
            check(self.state)
        return events

    # --- one command at a time ----------------------------------------------------------------------------

    def place(self, account: int, side: int, qty: int, price: int | None, /, **fields: Any) -> Rows:
        return self.run(self.order(account, side, qty, price, **fields))

    def stop(self, account: int, side: int, qty: int, at: int, price: int | None = None, /, **fields: Any) -> Rows:
        return self.run(self.stop_order(account, side, qty, at, price, **fields))

    def cancel(self, account: int, order_id: int = 0, **fields: Any) -> Rows:
        return self.run(self.row(CommandKind.ORDER_CANCEL, account=account, target_lo=order_id, **fields))

    def amend(self, account: int, order_id: int, **said: Any) -> Rows:
        return self.run(self.amendment(account, order_id, **said))

    def mass_cancel(self, account: int, **fields: Any) -> Rows:
        return self.run(self.row(CommandKind.ORDER_MASS_CANCEL, account=account, **fields))

    def disconnect(self, account: int, session: int) -> Rows:
        return self.run(self.row(CommandKind.DISCONNECT, account=account, client_session=session))

    def act(self, kind: CommandKind, payload: bytes | None = None, **terms: Any) -> Rows:
        payload = act_payload(terms) if payload is None else payload
        return self.run(self.row(kind, target_hi=len(payload)), payload=payload)

    def phase(self, symbol: str, phase: Phase, **terms: Any) -> Rows:
        return self.act(CommandKind.PHASE_SET, symbol=symbol, phase=word(phase), **terms)

    def book(self, instrument: int = 1) -> dict[str, Any]:
        return book(self.state, instrument)


def drain(state: State, commands: Rows, payload: bytes, buffer: int) -> Rows:
    """Run a block through an event buffer of `buffer` rows; all its events."""
    parts, done = [np.zeros(0, EVENT)], 0
    while done < len(commands) or state.pending:
        events = np.zeros(buffer, EVENT)
        consumed, written = apply(state, commands[done:], payload, events)
        assert consumed or written, "a call gets on with the work"
        assert not events[written:].tobytes().strip(b"\0"), "nothing is written beyond the count"
        done += consumed
        parts.append(events[:written])
    return np.concatenate(parts)


def buffer_sizes(end: int) -> range:
    """All sizes of an event buffer below `end`; of few commands uncompiled, every seventh."""
    return range(MIN_EVENT_ROOM, end, 7 if LANE == "plain" else 1)


def through_any_buffer(scene: Callable[[World], tuple[Rows, bytes]], make: Callable[[], World], most: int = 0) -> Rows:
    """R36: the command that a scene ends with gives the same events and the same world through buffers of any size.

    A scene readies a world and hands back a last block, not yet carried out.  Its events.  Uncompiled, where it would
    take too long, not every size is tried."""

    def last(size: int) -> tuple[Rows, World]:
        world = make()
        world.checks = not size
        rows, payload = scene(world)
        world.buffer, world.checks = size, True
        return world.run(rows, payload=payload), world

    expected, world = last(0)
    picture = dump(world.state)
    assert_commands_are_framed(expected)
    for size in buffer_sizes(most or len(expected) + 10):
        events, world = last(size)
        assert events.tobytes() == expected.tobytes(), size
        assert dump(world.state) == picture, size
    return expected


def kinds(events: Rows) -> list[EventKind]:
    """What happened, in order."""
    return [EventKind(int(kind)) for kind in events["kind"]]


def trades(events: Rows) -> list[tuple[int, int, int]]:
    """(resting order id, lots, price) of each trade."""
    rows = events[events["kind"] == EventKind.TRADE].view(TRADE)
    return [(int(row["resting_order_id"]), int(row["qty"]), int(row["price"])) for row in rows]


def values(row: Any, layout: np.dtype[Any] = EVENT) -> dict[str, Any]:
    """The fields of one event row that are not zero, in plain values."""
    assert layout.names is not None
    read = row.view(layout)
    told = {name: read[name].item() for name in layout.names}
    return {name: value for name, value in told.items() if value not in (0, b"")}


def assert_commands_are_framed(events: Rows) -> None:
    """R1: of each command, indices count from 0 and exactly the last row says so."""
    for seq in np.unique(events["seq"]):
        rows = events[events["seq"] == seq]
        assert rows["index"].tolist() == list(range(len(rows)))
        assert (rows["flags"] & 1).tolist() == [0] * (len(rows) - 1) + [1]
        assert len(set(rows["op"].tolist())) == len(set(rows["time"].tolist())) == 1


def views(state: State, commands: Rows | None = None, events: Rows | None = None) -> Core:
    """The arrays of a state as the tuple that kernel functions take, with room for one command and 64 events."""
    a = state.arrays
    cmd = np.zeros(16, np.int64) if commands is None else commands.view(np.int64)
    ev = np.zeros(16 * 64, np.int64) if events is None else events.view(np.int64)
    if LANE == "compiled":
        a.h[CMD], a.h[EV] = cmd.ctypes.data, ev.ctypes.data
    return Core(a.h, a.ins, a.link, a.n4, a.n8, a.bits, a.far, a.tab, a.seen, a.ids, a.direct, a.spill, a.acc,
                a.scratch, a.more, a.tree, a.work, a.ctl, a.pos, a.own, a.cost, cmd, ev)  # fmt: skip


def behind(arrays: Core) -> Any:
    """What functions that are not inlined take in this lane: the header, or the tuple itself."""
    return arrays.h if LANE == "compiled" else arrays


__all__ = ["ACCOUNTS", "AT_CLOSE", "AT_OPEN", "BUY", "DAY", "FIRST_TIME", "FOK", "GTC", "GTD", "IOC", "LIMIT",
           "MARKET", "MARKET_TO_LIMIT", "SELL", "SMALL", "STOP", "STOP_LIMIT", "TERMS", "Smp", "World",
           "assert_commands_are_framed", "behind", "buffer_sizes", "drain", "kinds", "through_any_buffer", "trades",
           "values", "views", "way"]  # fmt: skip
