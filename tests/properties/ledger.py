"""A bookkeeper who sees nothing but events, and objects to whatever breaks a law of the market.

It knows no command and no matcher. From EVENT rows alone it rebuilds every order and every queue with plain lists, and
checks price priority (R20), time priority (R21), the trade price (R22), limits (R23), what may rest (R24–R26, R28), the
conservation of lots, the form of the stream (R1, R22) and whose rows are whose. An AssertionError names the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.schema import (
    LAST,
    PRIORITY_KEPT,
    TRADE,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Reason,
    Side,
    Smp,
    TimeInForce,
)

Rows = npt.NDArray[np.void]
Event = dict[str, Any]
BUY, SELL = int(Side.BUY), int(Side.SELL)
AN_ORDERS_END = (EventKind.ORDER_CANCELED, EventKind.ORDER_EXPIRED)
OF_BOTH_SIDES = (EventKind.TRADE, EventKind.ORDER_PREVENTED)


@dataclass
class Order:
    """One order as its events tell it. placed = filled + open + canceled + decremented, always."""

    order_id: int
    account: int
    instrument: int
    side: int
    price: int
    ord_type: int
    time_in_force: int
    placed: int
    leaves: int
    cum: int = 0
    off: int = 0
    decremented: int = 0
    status: OrdStatus = OrdStatus.NEW

    @property
    def order_qty(self) -> int:
        return self.placed - self.decremented

    @property
    def live(self) -> bool:
        return self.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)


@dataclass
class Ledger:
    """Feed it all events of a venue in order."""

    orders: dict[int, Order] = field(default_factory=dict)
    queues: dict[tuple[int, int], dict[int, list[int]]] = field(default_factory=dict)
    bought: int = 0
    sold: int = 0
    trades: int = 0
    next_trade_id: int | None = None
    seq: int | None = None
    index: int = -1
    time: int = 0
    commands: int = 0
    _incoming: Order | None = None
    _doomed: dict[int, int] = field(default_factory=dict)
    _ended: int = 0

    def feed(self, rows: Rows) -> None:
        """Take note of events; AssertionError where one breaks a law."""
        both = rows.view(TRADE)
        for at, kind in enumerate(rows["kind"].tolist()):
            row = both[at] if kind in OF_BOTH_SIDES else rows[at]
            event = dict(zip(row.dtype.names, row.item(), strict=True))
            try:
                self._note(event)
            except AssertionError as broken:
                raise AssertionError(f"{broken}: {EventKind(kind).name} {event}") from broken

    def book(self, instrument: int) -> dict[str, Any]:
        """The rebuilt book, in the shape that `engine.dump.book` gives."""
        sides = {}
        for name, side, best_first in (("bids", BUY, True), ("asks", SELL, False)):
            levels = self.queues.get((instrument, side), {})
            sides[name] = [
                (price, sum(self.orders[i].leaves for i in queue), [(i, self.orders[i].leaves) for i in queue])
                for price, queue in sorted(levels.items(), reverse=best_first)
            ]
        return sides

    # --- the stream -------------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        self._form(event)
        match event["kind"]:
            case EventKind.ORDER_ACCEPTED | EventKind.ORDER_RESTORED:
                self._born(event)
            case EventKind.ORDER_AMENDED:
                self._amended(event)
            case EventKind.TRADE:
                self._trade(event)
            case EventKind.ORDER_PREVENTED:
                self._prevented(event)
            case EventKind.ORDER_CANCELED | EventKind.ORDER_EXPIRED:
                self._end(event)
            case EventKind.ORDER_STATUS:
                self._status(event)
            case EventKind.MASS_CANCELED | EventKind.DISCONNECTED:
                assert event["qty"] == self._ended, "the count is that of the orders canceled"
        if event["flags"] & LAST:
            self._close(event)

    def _form(self, event: Event) -> None:
        assert event["time"] >= self.time, "time never runs backwards (R1)"
        self.time = event["time"]
        if self.index < 0:
            assert event["index"] == 0, "the events of a command count from 0 (R1)"
            assert self.seq is None or event["seq"] == self.seq + 1, "every command speaks, in order, once (R1)"
            self.seq = event["seq"]
            self.commands += 1
        else:
            assert event["seq"] == self.seq, "a command's events stand together, closed by LAST (R1)"
            assert event["index"] == self.index + 1, "the index has no gap (R1)"
        self.index = event["index"]

    def _close(self, event: Event) -> None:
        assert not self._doomed, f"orders {sorted(self._doomed)} were prevented and not canceled (R27)"
        order, self._incoming = self._incoming, None
        self.index, self._ended = -1, 0
        if order is None:
            return
        if order.live:
            assert order.leaves > 0, "a live order has open lots"
            assert order.ord_type == OrdType.LIMIT, "a market order does not rest (R24)"
            assert order.time_in_force in (TimeInForce.DAY, TimeInForce.GTC), "only day and gtc orders rest (R28)"
            self._join(order)
        if order.time_in_force == TimeInForce.FOK:
            assert order.cum in (0, order.placed), "a FOK order trades whole or not at all (R26)"
        bid, ask = (self._best(order.instrument, side) for side in (BUY, SELL))
        assert bid is None or ask is None or bid < ask, f"the book is crossed, {bid} to {ask} (R14, R23)"

    # --- orders -----------------------------------------------------------------------------------

    def _born(self, event: Event) -> None:
        restored = event["kind"] == EventKind.ORDER_RESTORED
        assert event["order_id"] not in self.orders, "an order id is given once (R37)"
        assert restored or event["order_id"] == event["seq"], "the order id is the seq of its command (R37)"
        order = Order(
            *(event[name] for name in ("order_id", "account", "instrument", "side", "price")),
            *(event[name] for name in ("ord_type", "time_in_force", "qty", "leaves_qty", "cum_qty")),
        )
        assert order.placed == order.leaves + order.cum, "order_qty = cum_qty + leaves_qty"
        if order.cum:
            order.status = OrdStatus.PARTIALLY_FILLED
        self.orders[order.order_id] = self._incoming = order

    def _amended(self, event: Event) -> None:
        order = self._mine(event)
        assert event["delta_qty"] == order.leaves, "delta_qty is the leaves before the amend"
        assert event["old_price"] == order.price, "old_price is the price before the amend"
        assert event["cum_qty"] == order.cum and event["qty"] == event["cum_qty"] + event["leaves_qty"] > order.cum
        kept = event["price"] == order.price and event["qty"] <= order.order_qty
        assert bool(event["flags"] & PRIORITY_KEPT) == kept, "less at the same price keeps its place (R31)"
        order.decremented = order.off = 0
        order.placed, order.leaves, order.price = event["qty"], event["leaves_qty"], event["price"]
        if not kept:
            self._leave(order, event["old_price"])
            self._incoming = order

    def _end(self, event: Event) -> None:
        order = self._mine(event)
        by_cancel = event["op"] in (CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND)
        if event["reason"] in (Reason.REQUESTED, Reason.AMENDED_TO_FILLED):
            assert by_cancel and event["cl_ord_id"], "who cancels or amends is told the id"
        decremented = self._doomed.pop(order.order_id, 0)
        if order is not self._incoming:
            self._leave(order, order.price)
        if decremented:
            assert order.leaves == 0 and event["delta_qty"] == decremented, "it ends with what was decremented"
        else:
            assert event["delta_qty"] == order.leaves, "delta_qty is what was open"
            order.off, order.leaves = order.leaves, 0
        assert event["leaves_qty"] == 0 and event["cum_qty"] == order.cum and event["qty"] == order.order_qty
        assert order.placed == order.cum + order.off + order.decremented, "lots are conserved"
        self._ended += event["kind"] == EventKind.ORDER_CANCELED
        expired = event["kind"] == EventKind.ORDER_EXPIRED
        assert not expired or order.time_in_force == TimeInForce.DAY, "only day orders expire (R28)"
        order.status = OrdStatus.EXPIRED if expired else OrdStatus.CANCELED

    def _status(self, event: Event) -> None:
        order = self.orders[event["order_id"]]
        assert event["account"] == order.account, "a status is its owner's"
        assert event["reason"] == order.status, f"the status is {order.status.name}"
        told = tuple(event[name] for name in ("qty", "cum_qty", "leaves_qty"))
        assert told == (order.order_qty, order.cum, order.leaves), "the status tells the order's quantities"

    def _mine(self, event: Event) -> Order:
        order = self.orders[event["order_id"]]
        assert order.live or order.order_id in self._doomed, "an event about a live order"
        known = (order.account, order.instrument, order.side, order.ord_type, order.time_in_force)
        told = tuple(event[name] for name in ("account", "instrument", "side", "ord_type", "time_in_force"))
        assert told == known, "an order's event carries its own account and attributes"
        return order

    # --- trading ----------------------------------------------------------------------------------

    def _meeting(self, event: Event) -> tuple[Order, Order]:
        """Check that the incoming order meets the first order of the best opposite level (R20, R21)."""
        incoming, resting = self._incoming, self.orders[event["resting_order_id"]]
        assert incoming is not None and incoming.order_id == event["order_id"], "the incoming order trades"
        assert event["account"] == incoming.account and event["resting_account"] == resting.account
        assert event["instrument"] == incoming.instrument == resting.instrument and event["side"] == incoming.side
        opposite = BUY + SELL - incoming.side
        assert resting.side == opposite and event["price"] == resting.price, "at the resting order's price (R22)"
        assert self._best(incoming.instrument, opposite) == resting.price, "best price first (R20)"
        queue = self.queues[incoming.instrument, opposite][resting.price]
        assert queue[0] == resting.order_id, f"first come first served (R21), the queue is {queue}"
        gain = incoming.price - resting.price if incoming.side == BUY else resting.price - incoming.price
        assert gain >= 0, "at the limit or better (R23)"
        assert event["qty"] == min(incoming.leaves, resting.leaves) > 0
        return incoming, resting

    def _trade(self, event: Event) -> None:
        incoming, resting = self._meeting(event)
        assert self.next_trade_id in (None, event["trade_id"]), "trade ids have no gap (R22)"
        self.next_trade_id = event["trade_id"] + 1
        for order in (incoming, resting):
            order.leaves -= event["qty"]
            order.cum += event["qty"]
            order.status = OrdStatus.PARTIALLY_FILLED if order.leaves else OrdStatus.FILLED
            self.bought += event["qty"] if order.side == BUY else 0
            self.sold += event["qty"] if order.side == SELL else 0
        assert (event["leaves_qty"], event["cum_qty"]) == (incoming.leaves, incoming.cum)
        assert event["resting_leaves_qty"] == resting.leaves
        if not resting.leaves:
            self._leave(resting, resting.price)
        self.trades += 1
        assert self.bought == self.sold, "what one buys another sells"

    def _prevented(self, event: Event) -> None:
        incoming, resting = self._meeting(event)
        doomed: tuple[Order, ...] = ()
        left = {incoming.order_id: incoming.leaves, resting.order_id: resting.leaves}
        match event["smp"]:
            case Smp.CANCEL_RESTING:
                doomed = (resting,)
            case Smp.CANCEL_INCOMING:
                doomed = (incoming,)
            case Smp.CANCEL_BOTH:
                doomed = (resting, incoming)
            case Smp.DECREMENT:
                for order in (resting, incoming):
                    order.leaves -= event["qty"]
                    order.decremented += event["qty"]
                    left[order.order_id] = order.leaves
                    if not order.leaves:
                        self._doomed[order.order_id] = event["qty"]
            case other:
                raise AssertionError(f"no such prevention: {other}")
        for order in doomed:
            self._doomed[order.order_id] = left[order.order_id] = 0
        assert event["cum_qty"] == incoming.cum
        assert (event["leaves_qty"], event["resting_leaves_qty"]) == (left[incoming.order_id], left[resting.order_id])

    # --- queues -----------------------------------------------------------------------------------

    def _best(self, instrument: int, side: int) -> int | None:
        levels = self.queues.get((instrument, side))
        if not levels:
            return None
        return max(levels) if side == BUY else min(levels)

    def _join(self, order: Order) -> None:
        self.queues.setdefault((order.instrument, order.side), {}).setdefault(order.price, []).append(order.order_id)

    def _leave(self, order: Order, price: int) -> None:
        levels = self.queues[order.instrument, order.side]
        levels[price].remove(order.order_id)
        if not levels[price]:
            del levels[price]
