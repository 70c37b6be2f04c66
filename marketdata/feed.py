"""Folds durable blocks of the log into what the public may know: books by level, last trades, phases.

Remembered of an order in the book is its price, and of an iceberg what it shows; a level has the lots on show and the
number of its orders.  Not public are waiting stops, suspended orders, those kept aside (all INACTIVE) and, in a call,
orders without a price (R51), which are in no level.  What each row does follows engine/RULES.md, 'What the event rows
hold':

- an *incoming* order (ORDER_ACCEPTED, ORDER_AMENDED, ORDER_TRIGGERED) is in no book until the next one comes in or the
  command ends; what it still has open then rests at its price (an immediate order has been canceled by then);
- ORDER_AMENDED takes the order off old_price, whether or not it keeps its place, which the public does not see;
- TRADE takes qty off the resting order's level; one of an auction off both orders' own levels;
- ORDER_REFRESHED puts on show what an iceberg shows anew; ORDER_ACTIVATED gives an order its price, or its place;
- ORDER_SUSPENDED takes an order off its price, to which an ORDER_ACTIVATED or ORDER_AMENDED may bring it back;
- ORDER_CANCELED and ORDER_EXPIRED of a resting order take it off its price;
- ORDER_PREVENTED takes lots off a resting order that `decrement` leaves open; one about to end is taken off by the
  ORDER_CANCELED row that follows.

A command's effects become visible together, at its last row.  The fields account and cl_ord_id are not even read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np

from engine.phases import PHASES, Mode
from engine.schema import (
    ACT_FIRST,
    EVENT,
    INACTIVE,
    LAST,
    PRIORITY_KEPT,
    TRADE,
    UNCROSS,
    AuctionStep,
    EventKind,
    OrdType,
    Side,
    Smp,
)

from .books import CALL_BEGINS, NO_AUCTION, Auction, Levels, Market, PublicTrade

__all__ = ["Change", "DayStarted", "Feed"]


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
    "seq", "time", "instrument", "kind", "phase", "flags", "side", "ord_type", "reason", "op", "order_id",
    "price", "qty", "leaves_qty", "delta_qty", "old_price",
)  # fmt: skip
_TRADE_NAMES: Final = ("trade_id", "resting_order_id", "smp", "resting_leaves_qty")
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
_TRIGGERED: Final = int(EventKind.ORDER_TRIGGERED)
_ACTIVATED: Final = int(EventKind.ORDER_ACTIVATED)
_REFRESHED: Final = int(EventKind.ORDER_REFRESHED)
_SUSPENDED: Final = int(EventKind.ORDER_SUSPENDED)
_INDICATIVE: Final = int(EventKind.AUCTION_INDICATIVE)
_UNCROSSED: Final = int(EventKind.AUCTION_UNCROSSED)
_PHASE_CHANGED: Final = int(EventKind.PHASE_CHANGED)
_DEFINED: Final = int(EventKind.INSTRUMENT_DEFINED)
_DAY_OPENED: Final = int(EventKind.DAY_OPENED)
_DAY_STARTED: Final = int(EventKind.DAY_STARTED)
_DECREMENT: Final = int(Smp.DECREMENT)
_BUY: Final = int(Side.BUY)
_NO_CROSS: Final = int(AuctionStep.NO_CROSS)
BY_TRIGGER: Final = "the price moved too far (R69)"
_UNPRICED: Final = frozenset({int(OrdType.MARKET), int(OrdType.MARKET_TO_LIMIT), int(OrdType.STOP)})
_CALLS: Final = frozenset(int(phase) for phase, rule in PHASES.items() if rule.mode == Mode.CALL)


class Change(NamedTuple):
    """What one command changed in one market, given while the market stands as it does after that command."""

    seq: int
    time: int
    market: Market
    book: bool
    trades: tuple[PublicTrade, ...]
    status: bool
    auction: bool
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
        self._auctioned: dict[int, Auction] = {}  # what was told before the command, by instrument
        self._resting: dict[int, int | None] = {}  # price of each order in a book, by order_id; None: it has none
        self._icebergs: dict[int, list[int]] = {}  # of those that are icebergs: what it shows anew, what it shows now
        self._incoming: tuple[int, Market, int, int | None] | None = None  # order_id, market, side, price
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
        icebergs = self._icebergs
        for row in _EVENT_ROW.iter_unpack(rows):
            position += EVENT.itemsize
            (
                seq, time, number, kind, phase, flags, side, ord_type, reason, op, order_id, price, qty, leaves,
                delta, old_price,
            ) = row  # fmt: skip
            if kind == _ACCEPTED:
                if delta:
                    icebergs[order_id] = [delta, 0]
                if not flags & INACTIVE:
                    self._incoming = (order_id, self._numbers[number], side, None if ord_type in _UNPRICED else price)
                    self._open = leaves
            elif kind == _TRADE:
                trade_id, resting_id, _, resting_leaves = _TRADE_ROW.unpack_from(rows, position)
                market = self._touch(number)
                if flags & UNCROSS:
                    self._trade_in_auction(market.bids, order_id, qty, leaves)
                    self._trade_in_auction(market.asks, resting_id, qty, resting_leaves)
                    market.fresh.append(PublicTrade(trade_id, price, qty, 0, time))
                else:
                    (market.asks if side == _BUY else market.bids).take(price, qty, 0 if resting_leaves else 1)
                    if not resting_leaves:
                        self._forget(resting_id)
                    elif icebergs and resting_id in icebergs:
                        icebergs[resting_id][1] -= qty
                    self._open = leaves
                    market.fresh.append(PublicTrade(trade_id, price, qty, side, time))
            elif kind in (_CANCELED, _EXPIRED):
                if self._incoming is not None and self._incoming[0] == order_id:
                    self._open = 0
                else:
                    if not flags & INACTIVE:
                        market = self._touch(number)
                        self._take_off(market.bids if side == _BUY else market.asks, order_id, price, delta)
                    icebergs.pop(order_id, None)
            elif kind == _SUSPENDED:
                market = self._touch(number)
                self._take_off(market.bids if side == _BUY else market.asks, order_id, price, leaves)
                if order_id in icebergs:
                    icebergs[order_id][1] = 0
            elif kind == _AMENDED:
                if not flags & INACTIVE:
                    market = self._touch(number)
                    if order_id in self._resting:  # a suspended order comes back by an amend
                        self._take_off(market.bids if side == _BUY else market.asks, order_id, old_price, delta)
                    if order_id in icebergs and not flags & PRIORITY_KEPT:
                        icebergs[order_id][1] = 0
                    self._incoming = (order_id, market, side, None if ord_type in _UNPRICED else price)
                    self._open = leaves
            elif kind == _PREVENTED:
                _, resting_id, smp, resting_leaves = _TRADE_ROW.unpack_from(rows, position)
                if smp == _DECREMENT and resting_leaves:
                    market = self._touch(number)
                    lots = qty if resting_id not in icebergs else self._show(resting_id, resting_leaves)
                    (market.asks if side == _BUY else market.bids).take(price, lots, 0)
                self._open = leaves
            elif kind == _REFRESHED:
                market = self._touch(number)
                (market.bids if side == _BUY else market.asks).take(price, -delta, 0)
                icebergs[order_id][1] = delta
            elif kind == _TRIGGERED:
                self._let_rest()
                self._incoming = (order_id, self._numbers[number], side, None if ord_type in _UNPRICED else price)
                self._open = leaves
            elif kind == _ACTIVATED:
                market = self._touch(number)
                limit = None if ord_type in _UNPRICED else price
                if self._incoming is not None and self._incoming[0] == order_id:
                    self._incoming = (order_id, market, side, limit)
                else:
                    if delta:
                        icebergs[order_id] = [delta, 0]
                    self._rest(market.bids if side == _BUY else market.asks, order_id, limit, leaves)
            elif kind == _RESTORED:
                if delta:
                    shown = 0 if flags & INACTIVE else int(_command(commands, seq)["target_hi"])
                    icebergs[order_id] = [delta, shown]
                if not flags & INACTIVE:
                    market = self._touch(number)
                    self._rest(market.bids if side == _BUY else market.asks, order_id, price, leaves)
            elif kind in (_INDICATIVE, _UNCROSSED):
                state = "indicative" if kind == _INDICATIVE else "uncrossed"
                told = Auction(state, None if reason == _NO_CROSS else price, qty, leaves, side, reason)
                self._set_auction(self._touch(number), told)
            elif kind == _PHASE_CHANGED:
                market = self._touch(number)
                if (phase in _CALLS) != (market.phase in _CALLS):
                    self._set_auction(market, CALL_BEGINS if phase in _CALLS else NO_AUCTION)
                market.phase, market.why = phase, self._reason(commands, payload, seq, op)
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
                    self._let_rest()
                if self._dirty:
                    yield from self._publish(seq, time)

    def _let_rest(self) -> None:
        """Have the incoming order join the book with what it has open."""
        if self._incoming is None:
            return
        order_id, market, side, price = self._incoming
        if self._open:
            self._mark(market)
            self._rest(market.bids if side == _BUY else market.asks, order_id, price, self._open)
            self._open = 0
        elif self._icebergs:
            self._icebergs.pop(order_id, None)
        self._incoming = None

    def _rest(self, levels: Levels, order_id: int, price: int | None, lots: int) -> None:
        """Let an order stand in the book: at its price, or out of sight if it has none."""
        self._resting[order_id] = price
        if price is None:
            return
        iceberg = self._icebergs.get(order_id) if self._icebergs else None
        if iceberg is not None:
            lots = iceberg[1] = min(iceberg[1] or iceberg[0], lots)
        levels.add(price, lots)

    def _take_off(self, levels: Levels, order_id: int, price: int, lots: int) -> None:
        """Take a resting order with its open `lots`, or with what of them shows, off its price."""
        if self._resting.pop(order_id) is not None:
            iceberg = self._icebergs.get(order_id) if self._icebergs else None
            levels.take(price, lots if iceberg is None else iceberg[1], 1)

    def _show(self, order_id: int, most: int) -> int:
        """Have an iceberg show at most so many lots from now on; how many fewer these are."""
        iceberg = self._icebergs[order_id]
        before, iceberg[1] = iceberg[1], min(iceberg[1], most)
        return before - iceberg[1]

    def _trade_in_auction(self, levels: Levels, order_id: int, qty: int, leaves: int) -> None:
        """Take what one order has traded at the auction's price off the level where it stands."""
        price = self._resting[order_id]
        iceberg = self._icebergs.get(order_id)
        if iceberg is not None:
            before, iceberg[1] = iceberg[1], min(iceberg[0], leaves)
            qty = before - iceberg[1]
        if price is not None:
            levels.take(price, qty, 0 if leaves else 1)
        if not leaves:
            self._forget(order_id)

    def _forget(self, order_id: int) -> None:
        del self._resting[order_id]
        if self._icebergs:
            self._icebergs.pop(order_id, None)

    def _set_auction(self, market: Market, auction: Auction) -> None:
        if market.auction != auction:
            self._auctioned.setdefault(market.number, market.auction)
            market.auction = auction

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
            auction = self._auctioned.get(market.number, market.auction) != market.auction
            if auction:
                market.auction_seq, market.auction_time = seq, time
            defined = market is self._defined
            if not self.restating and (book or market.fresh or status or auction or defined):
                yield Change(seq, time, market, book, tuple(market.fresh), status, auction, defined)
            if bids.before:
                bids.before = {}
            if asks.before:
                asks.before = {}
            if market.fresh:
                market.fresh.clear()
            market.dirty = False
        self._dirty.clear()
        self._phased.clear()
        self._auctioned.clear()
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
        self._resting.clear()
        self._icebergs.clear()
        self.restating = True

    def _reason(self, commands: np.ndarray[Any, Any], payload: bytes, seq: int, op: int) -> str | None:
        """Give the reason that the operator gave for a phase; read once per command."""
        if self._why[0] != seq:
            why = _act(commands, payload, seq).get("why") or None if op >= ACT_FIRST else BY_TRIGGER
            self._why = (seq, why)
        return self._why[1]


def _command(commands: np.ndarray[Any, Any], seq: int) -> Any:
    """The row of the command with this seq, which is among these."""
    return commands[seq - int(commands[0]["seq"])]


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
