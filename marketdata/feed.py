"""Folds durable blocks of the log into what the public may know: books by level, last trades, phases.

The rows are enough: no order is remembered from one command to the next, only the lots and the number of
orders of each price.  What each row takes off or adds follows engine/RULES.md, 'What the event rows hold':

- the *incoming* order of a command (ORDER_ACCEPTED, ORDER_AMENDED) is not in the book until the command's last row;
  what it still has open then rests at its price (a market, IOC or FOK order has been canceled by then);
- ORDER_AMENDED takes delta_qty and one order off old_price, whether or not it keeps its place in the queue, which
  the public book does not show;
- TRADE takes qty off the resting order's level, and the order with it if resting_leaves_qty is 0;
- ORDER_CANCELED and ORDER_EXPIRED of a resting order take delta_qty and one order off its price;
- ORDER_PREVENTED takes qty off the resting order under `decrement` if that leaves it open; an order about to
  end is taken off by the ORDER_CANCELED row that follows.

A command's effects become visible together, at its last row, however many blocks its rows are spread over.
The fields account and cl_ord_id are not even read.  Sans-I/O; imports engine.schema only.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np

from engine.schema import (
    EVENT,
    LAST,
    TRADE,
    EventKind,
    Side,
    Smp,
    Tick,
)

__all__ = ["RECENT_TRADES", "Change", "DayStarted", "Feed", "Level", "Levels", "Market", "PublicTrade"]

RECENT_TRADES: Final = 50
PRICE_TEXTS_MAX: Final = 1 << 16

Level = tuple[int, int]
"""Lots and number of orders at one price."""


def _row_reader(dtype: np.dtype[Any], names: tuple[str, ...]) -> Struct:
    """Make the struct that reads the named fields of one row, in order of their offsets, and skips all others."""
    letters = {"<i8": "q", "<i4": "i", "<u2": "H", "|u1": "B"}
    assert dtype.fields is not None
    parts, position = ["<"], 0
    for name in names:
        kind, offset = dtype.fields[name][:2]
        parts.append(f"{offset - position}x{letters[kind.str]}")
        position = offset + kind.itemsize
    return Struct("".join(parts) + f"{dtype.itemsize - position}x")


_EVENT_NAMES: Final = (
    "seq", "time", "instrument", "kind", "phase", "flags", "side", "order_id",
    "price", "qty", "leaves_qty", "delta_qty", "old_price",
)  # fmt: skip
_TRADE_NAMES: Final = ("trade_id", "smp", "resting_leaves_qty")
_EVENT_ROW: Final = _row_reader(EVENT, _EVENT_NAMES)
_TRADE_ROW: Final = _row_reader(TRADE, _TRADE_NAMES)

# Plain ints: comparing with an IntEnum member costs several times as much, and this is the venue's loop.
_ACCEPTED: Final = int(EventKind.ORDER_ACCEPTED)
_TRADE: Final = int(EventKind.TRADE)
_CANCELED: Final = int(EventKind.ORDER_CANCELED)
_EXPIRED: Final = int(EventKind.ORDER_EXPIRED)
_AMENDED: Final = int(EventKind.ORDER_AMENDED)
_PREVENTED: Final = int(EventKind.ORDER_PREVENTED)
_RESTORED: Final = int(EventKind.ORDER_RESTORED)
_PHASE_CHANGED: Final = int(EventKind.PHASE_CHANGED)
_DEFINED: Final = int(EventKind.INSTRUMENT_DEFINED)
_DAY_OPENED: Final = int(EventKind.DAY_OPENED)
_DAY_STARTED: Final = int(EventKind.DAY_STARTED)
_DECREMENT: Final = int(Smp.DECREMENT)
_BUY: Final = int(Side.BUY)


class PublicTrade(NamedTuple):
    """One trade as the public sees it: price in ticks, qty in lots, time in ns, side of the incoming order."""

    trade_id: int
    price: int
    qty: int
    aggressor: int
    time: int


class Levels:
    """One side of a book: lots and number of orders by price.

    A level is kept under `price * sign`, so that on both sides a greater key is a better price; the best stands last
    in `keys`, where most of the inserting and deleting happens.
    """

    __slots__ = ("at", "before", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.at: dict[int, Level] = {}
        self.before: dict[int, Level | None] = {}
        """What this command has touched, by key: the level as it was before the command."""

    def add(self, price: int, lots: int) -> None:
        """Let one more order of `lots` stand at `price`."""
        key = price * self.sign
        old = self.at.get(key)
        if old is None:
            insort(self.keys, key)
            self.at[key] = (lots, 1)
        else:
            self.at[key] = (old[0] + lots, old[1] + 1)
        if key not in self.before:
            self.before[key] = old

    def take(self, price: int, lots: int, orders: int) -> None:
        """Take `lots` and a number of `orders` (0 or 1) off `price`."""
        key = price * self.sign
        old = self.at[key]
        left = (old[0] - lots, old[1] - orders)
        if left[1]:
            self.at[key] = left
        else:
            assert left[0] == 0, "a level without orders has no lots"
            del self.at[key]
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]
        if key not in self.before:
            self.before[key] = old

    def changed(self) -> list[int]:
        """List the keys of the levels that this command has changed, best first."""
        at = self.at
        keys = [key for key, old in self.before.items() if at.get(key) != old]
        keys.sort(reverse=True)
        return keys

    def best(self, depth: int) -> list[int]:
        """List the keys of the `depth` best levels, best first; 0 stands for all."""
        return self.keys[: -depth - 1 : -1] if depth else self.keys[::-1]


class Market:
    """What the public may know of one instrument, and the seq of the last command that changed each part of it."""

    __slots__ = (
        "_texts", "asks", "bids", "book_seq", "book_time", "crc", "dirty", "fresh", "number", "phase", "recent",
        "status_seq", "status_time", "symbol", "tick", "tick_text", "trades_seq", "why",
    )  # fmt: skip

    def __init__(self, number: int, symbol: str, tick: str, phase: int, seq: int, time: int) -> None:
        self.number = number
        self.symbol = symbol
        self.tick_text = tick
        self.tick = Tick.parse(tick)
        self.phase = phase
        self.why: str | None = None
        self.bids = Levels(1)
        self.asks = Levels(-1)
        self.recent: deque[PublicTrade] = deque(maxlen=RECENT_TRADES)
        self.fresh: list[PublicTrade] = []
        self.book_seq = self.trades_seq = self.status_seq = seq
        self.book_time = self.status_time = time
        self.dirty = False
        self.crc = (0, 0)  # the book_seq it belongs to, and the checksum of the book
        self._texts: dict[int, str] = {}

    def price_text(self, price: int) -> str:
        """Give the decimal text of a price in ticks."""
        text = self._texts.get(price)
        if text is None:
            if len(self._texts) >= PRICE_TEXTS_MAX:
                self._texts.clear()
            text = self._texts[price] = self.tick.text(price)
        return text

    def book(self) -> dict[str, list[tuple[int, int, int]]]:
        """Give the whole book as `{"bids": [(price_ticks, lots, orders), …], "asks": […]}`, best first."""
        return {
            "bids": [(key, *self.bids.at[key]) for key in self.bids.best(0)],
            "asks": [(-key, *self.asks.at[key]) for key in self.asks.best(0)],
        }


class Change(NamedTuple):
    """What one command changed in one market, given while the market stands as it does after that command."""

    seq: int
    time: int
    market: Market
    book: bool
    trades: tuple[PublicTrade, ...]
    status: bool
    defined: bool


class DayStarted(NamedTuple):
    """A trading day has been opened and its world restated: all markets are new objects."""

    seq: int
    time: int


class Feed:
    """The public state of all markets, folded from the log."""

    def __init__(self) -> None:
        self.markets: dict[str, Market] = {}
        self.seq = 0
        self.time = 0
        self.restating = False
        """A day's world is being restated; nothing is published until it is complete."""
        self._numbers: dict[int, Market] = {}
        self._dirty: list[Market] = []
        self._defined: Market | None = None
        self._phased: set[int] = set()
        self._incoming: tuple[int, Market, int, int] | None = None  # order_id, market, side, price
        self._open = 0  # lots of the incoming order that neither traded nor ended
        self._why: tuple[int, str | None] = (0, None)

    def fold(
        self, commands: np.ndarray[Any, Any], payload: bytes, events: np.ndarray[Any, Any]
    ) -> Iterator[Change | DayStarted]:
        """Fold the next durable rows; yield, command by command, what changed in each market.

        commands: COMMAND rows, shape (n,); payload: the payload section that acts among them refer to; events:
        EVENT rows, shape (m,), the next ones of the log (they may end or begin in the midst of a command).
        The caller exhausts the iterator; between two steps the books stand as they did after that command.
        """
        rows = events.tobytes()
        position = -EVENT.itemsize
        for row in _EVENT_ROW.iter_unpack(rows):
            position += EVENT.itemsize
            seq, time, number, kind, phase, flags, side, order_id, price, qty, leaves, delta, old_price = row
            if kind == _ACCEPTED:
                self._incoming = (order_id, self._numbers[number], side, price)
                self._open = leaves
            elif kind == _TRADE:
                trade_id, _, resting_leaves = _TRADE_ROW.unpack_from(rows, position)
                market = self._touch(number)
                (market.asks if side == _BUY else market.bids).take(price, qty, 0 if resting_leaves else 1)
                self._open = leaves
                market.fresh.append(PublicTrade(trade_id, price, qty, side, time))
            elif kind in (_CANCELED, _EXPIRED):
                if self._incoming is not None and self._incoming[0] == order_id:
                    self._open = 0
                else:
                    market = self._touch(number)
                    (market.bids if side == _BUY else market.asks).take(price, delta, 1)
            elif kind == _AMENDED:
                market = self._touch(number)
                (market.bids if side == _BUY else market.asks).take(old_price, delta, 1)
                self._incoming = (order_id, market, side, price)
                self._open = leaves
            elif kind == _PREVENTED:
                _, smp, resting_leaves = _TRADE_ROW.unpack_from(rows, position)
                if smp == _DECREMENT and resting_leaves:
                    market = self._touch(number)
                    (market.asks if side == _BUY else market.bids).take(price, qty, 0)
                self._open = leaves
            elif kind == _RESTORED:
                market = self._touch(number)
                (market.bids if side == _BUY else market.asks).add(price, leaves)
            elif kind == _PHASE_CHANGED:
                market = self._touch(number)
                market.phase, market.why = phase, self._reason(commands, payload, seq)
                self._phased.add(number)
            elif kind == _DEFINED:
                self._define(number, phase, seq, time, _act(commands, payload, seq))
            elif kind == _DAY_OPENED:
                self._reset()
            elif kind == _DAY_STARTED:
                self.restating = False
                self.seq, self.time = seq, time
                yield DayStarted(seq, time)
            if flags & LAST:
                self.seq, self.time = seq, time
                if self._incoming is not None:
                    if self._open:
                        _, market, side, price = self._incoming
                        self._mark(market)
                        (market.bids if side == _BUY else market.asks).add(price, self._open)
                        self._open = 0
                    self._incoming = None
                if self._dirty:
                    yield from self._publish(seq, time)

    def _publish(self, seq: int, time: int) -> Iterator[Change]:
        """Close a command: give each market's change, in the order in which the command touched them."""
        for market in self._dirty:
            bids, asks = market.bids, market.asks
            book = bool((bids.before and bids.changed()) or (asks.before and asks.changed()))
            if book:
                market.book_seq, market.book_time = seq, time
            if market.fresh:
                market.trades_seq = seq
                market.recent.extend(market.fresh)
            status = market.number in self._phased
            if status:
                market.status_seq, market.status_time = seq, time
            defined = market is self._defined
            if not self.restating and (book or market.fresh or status or defined):
                yield Change(seq, time, market, book, tuple(market.fresh), status, defined)
            if bids.before:
                bids.before = {}
            if asks.before:
                asks.before = {}
            if market.fresh:
                market.fresh.clear()
            market.dirty = False
        self._dirty.clear()
        self._phased.clear()
        self._defined = None

    def _touch(self, number: int) -> Market:
        market = self._numbers[number]
        self._mark(market)
        return market

    def _mark(self, market: Market) -> None:
        if not market.dirty:
            market.dirty = True
            self._dirty.append(market)

    def _define(self, number: int, phase: int, seq: int, time: int, terms: dict[str, Any]) -> None:
        market = Market(number, terms["symbol"], terms["tick"], phase, seq, time)
        self.markets[market.symbol] = self._numbers[number] = market
        self._defined = market
        self._mark(market)

    def _reset(self) -> None:
        """Forget the day before: a day's log restates the whole world, and a restart reads only that log."""
        self.markets = {}
        self._numbers = {}
        self.restating = True

    def _reason(self, commands: np.ndarray[Any, Any], payload: bytes, seq: int) -> str | None:
        """Give the reason that the operator gave for a phase; read once per command."""
        if self._why[0] != seq:
            why = _act(commands, payload, seq).get("why") or None
            self._why = (seq, why)
        return self._why[1]


def _act(commands: np.ndarray[Any, Any], payload: bytes, seq: int) -> dict[str, Any]:
    """Read the payload of the act with this seq; empty if it is not among these commands."""
    first = int(commands[0]["seq"]) if len(commands) else seq + 1
    if not first <= seq < first + len(commands):
        return {}
    row = commands[seq - first]
    offset, length = int(row["target_lo"]), int(row["target_hi"])
    terms = json.loads(bytes(payload[offset : offset + length]))
    assert isinstance(terms, dict), "an act that was carried out had a JSON object for its payload"
    return terms
