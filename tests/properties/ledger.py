"""A bookkeeper who sees nothing but events, and objects to whatever breaks a law of the market.

It knows no matcher. From EVENT rows alone it rebuilds every order, queue, waiting stop and call with plain lists, and
checks price and time priority (R20, R21, R47), prices (R22, R23, R52, R55, R59), what may rest, wait and expire
(R24–R28, R43, R49, R56, R58, R60–R62), price controls (R66–R70), the conservation of lots, and the form of the stream
(R1, R22). What it is told of the commands (`Asked`) adds the laws of stop prices after amends, expiries, self-match ids
(R27) and of what acts have set. An AssertionError names the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Mode, Permit
from engine.schema import (
    INACTIVE,
    LAST,
    PRIORITY_KEPT,
    UNCROSS,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Smp,
    TimeInForce,
)
from tests.properties.ledger_book import (
    BUY,
    LASTING,
    OUTSIDE,
    SELL,
    STOPS,
    UNKNOWN_STOP,
    UNPRICED,
    Event,
    Order,
    events_of,
)
from tests.properties.ledger_calls import Called
from tests.properties.ledger_controls import CLOSING_CALL, within

Rows = npt.NDArray[np.void]
LEFTOVERS = (Reason.IOC, Reason.PROTECTION)  # why what is left of an order is canceled (R24, R25)


@dataclass
class Ledger(Called):
    """Feed it all events of a venue in order; `asked` learns of the commands before."""

    trades: int = 0
    next_trade_id: int | None = None
    seq: int | None = None
    index: int = -1
    commands: int = 0
    _incoming: Order | None = None
    _doomed: dict[int, int] = field(default_factory=dict)
    _ended: list[int] = field(default_factory=list)
    _used_up: Order | None = None  # an iceberg that must show lots again (R47)
    _reach: dict[int, tuple[int, int]] = field(default_factory=dict)  # lowest and highest trade of the command (R61)
    _touched: set[int] = field(default_factory=set)

    def feed(self, rows: Rows) -> None:
        """Take note of events; AssertionError where one breaks a law."""
        for event in events_of(rows):
            try:
                self._note(event)
            except AssertionError as broken:
                raise AssertionError(f"{broken}: {EventKind(event['kind']).name} {event}") from broken

    # --- the stream -------------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        self._form(event)
        kind = event["kind"]
        assert self._used_up is None or kind == EventKind.ORDER_REFRESHED, "an iceberg shows lots again at once (R47)"
        assert not self._missing or kind == EventKind.TRADE, "an uncross trades its whole volume (R55)"
        if self._must_go is not None:
            told = (kind, event["order_id"], event["reason"])
            gone = (EventKind.ORDER_CANCELED, self._must_go.order_id, Reason.PRICE_LIMIT)
            assert told == gone, "elected outside the daily limits it is canceled at once (R60)"
        obeys = bool(self._due) and kind != EventKind.LIMITS_SET
        if obeys:
            self._obeyed(event)
        if event["instrument"]:
            self._touched.add(event["instrument"])
        match kind:
            case EventKind.ORDER_ACCEPTED | EventKind.ORDER_RESTORED:
                self._born(event)
            case EventKind.ORDER_AMENDED:
                self._amended(event)
            case EventKind.TRADE:
                self._trade(event)
            case EventKind.ORDER_PREVENTED:
                self._prevented(event)
            case EventKind.ORDER_CANCELED | EventKind.ORDER_EXPIRED:
                self._end(event, obeys)
            case EventKind.ORDER_SUSPENDED:
                assert obeys, "orders are suspended by new limits (R67)"
                self._suspended(event)
            case EventKind.ORDER_TRIGGERED:
                self._triggered(event)
            case EventKind.ORDER_ACTIVATED:
                self._activated(event, obeys)
            case EventKind.ORDER_REFRESHED:
                self._refreshed(event)
            case EventKind.AUCTION_INDICATIVE:
                self._settle()
                self._indicative(event)
            case EventKind.AUCTION_UNCROSSED:
                self._settle()
                self._uncrossed(event)
            case EventKind.PHASE_CHANGED:
                self._phase_changed(event, self._incoming)
            case EventKind.CALL_EXTENDED:
                self._call_extended(event)
            case EventKind.CONTROLS_SET:
                self._controls_set(event)
            case EventKind.LIMITS_SET:
                self._limits_set(event)
            case EventKind.DAY_OPENED:
                self.trading_day = event["qty"]
            case EventKind.ORDER_STATUS:
                self._status(event)
            case EventKind.MASS_CANCELED | EventKind.DISCONNECTED:
                assert event["qty"] == len(self._ended), "the count is that of the orders canceled"
            case EventKind.CLOCK_TICKED:
                late = [i for i, order in self.orders.items() if order.live and self._is_due(order)]
                assert not late, f"gtd orders {late} live past a tick (R49)"
            case EventKind.INSTRUMENT_DEFINED:
                self.phases[event["instrument"]] = Phase.CLOSED
                self.asked.defined_instrument(event["seq"], event["instrument"])
            case EventKind.ACCOUNT_DEFINED:
                self.asked.defined_account(event["seq"], event["account"])
        if event["flags"] & LAST:
            self._close()

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

    def _close(self) -> None:
        """Between two commands nothing is under way, and each instrument is as its phase wants it."""
        self._settle()
        assert self._used_up is None and not self._missing, "a command ends when its work is done"
        assert not self._doomed, f"orders {sorted(self._doomed)} were prevented and not canceled (R27)"
        assert not self._leaving, f"orders {self._leaving} are for one call only (R56)"
        assert not self._due, f"the limits concern orders {self._due} (R67)"
        assert self._must_go is None, "elected outside the daily limits it is canceled at once (R60)"
        self.index = -1
        self._pulls.clear()
        self._ended.clear()
        self._reach.clear()
        for instrument in self._touched:
            self._close_instrument(instrument)
        self._touched.clear()

    def _close_instrument(self, instrument: int) -> None:
        mode = self._mode(instrument)
        self._stay_inside(instrument)
        if self.phases.get(instrument) in CLOSING_CALL:
            assert not self.aside.get(instrument), "who was kept aside is in the book of the closing call (R58)"
        if mode == Mode.CALL:
            found = self._auction(instrument)
            assert found in (None, self.told[instrument]), f"the call tells what it would trade (R53): {found}"
        else:
            self.told.pop(instrument, None)
        if mode in (Mode.CONTINUOUS, Mode.AT_CLOSE):
            bid, ask = (self._best(instrument, side) for side in (BUY, SELL))
            assert bid is None or ask is None or bid < ask, f"the book is crossed, {bid} to {ask} (R23)"
            resting = [self.orders[i] for side in (BUY, SELL) for i in self._in_book(instrument, side)]
            assert all(order.ord_type == OrdType.LIMIT for order in resting), "no market order rests here (R24)"
            kinds = {order.time_in_force for order in resting}
            assert kinds <= {TimeInForce.DAY, *LASTING}, f"orders for a call do not outlive it (R56): {kinds}"
        if mode == Mode.CONTINUOUS and instrument in self.last:
            price = self.last[instrument][1]
            waiting = [i for side in (BUY, SELL) for i in self._reached(instrument, side, price, price)]
            assert not waiting, f"stops {waiting} wait though the last trade was at {price} (R60, R61)"

    def _settle(self) -> None:
        """What is left of the incoming order comes to rest."""
        order, self._incoming = self._incoming, None
        if order is None:
            return
        if order.time_in_force == TimeInForce.FOK:
            assert order.cum in (0, order.placed), "a FOK order trades whole or not at all (R26)"
        wish = self.asked.wishes.get(order.came_with)
        if wish is not None and order.came_with == self.seq:
            # Self-match prevention may take lots off behind the walk of R48; with decrements the walk counts otherwise.
            enough = order.cum == 0 or order.cum >= wish.min_qty or order.decremented
            assert enough or order.brought, f"at least {wish.min_qty} lots or none (R48)"
        if order.live:
            assert order.leaves > 0, "a live order has open lots"
            assert order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK), "these do not rest (R28)"
            may_lack = self._mode(order.instrument) in (Mode.CALL, Mode.NONE) and order.instrument not in self._pulls
            assert order.ord_type == OrdType.LIMIT or (order.ord_type in UNPRICED and may_lack), "it has a price (R24)"
            self._join(order)

    # --- orders -----------------------------------------------------------------------------------

    def _born(self, event: Event) -> None:
        restored = event["kind"] == EventKind.ORDER_RESTORED
        assert event["order_id"] not in self.orders, "an order id is given once (R37)"
        assert restored or event["order_id"] == event["seq"], "the order id is the seq of its command (R37)"
        order = Order(
            *(event[name] for name in ("order_id", "account", "instrument", "side", "price")),
            *(event[name] for name in ("ord_type", "time_in_force", "qty", "leaves_qty", "cum_qty")),
            *(event[name] for name in ("delta_qty", "old_price")),
        )
        order.came_with = event["seq"]
        wish = self.asked.wishes.get(event["seq"])
        order.expire_time = wish.expire_time if wish is not None else None
        order.brought = order.cum
        assert order.placed == order.leaves + order.cum, "order_qty = cum_qty + leaves_qty"
        if not restored:
            assert order.display < order.placed, "an iceberg hides something (R47)"
            assert Permit.ENTER in PHASES[self._phase(event)].permits, "the phase lets nobody in (R9)"
            self._admit(order, event)
        if order.cum:
            order.status = OrdStatus.PARTIALLY_FILLED
        self.orders[order.order_id] = order
        inactive = bool(event["flags"] & INACTIVE)
        if order.ord_type in STOPS:
            assert inactive, "a stop waits (R60)"
            self._wait(order)
        elif self._is_suspended(order, event):
            self._keep_out(order, "suspended")
        elif inactive:
            assert order.time_in_force == TimeInForce.AT_CLOSE, "kept aside for the close (R58)"
            self._keep_out(order, "aside")
        else:
            self._come_in(order)
            if restored:
                self._settle()
                order.shown = wish.shows if wish is not None else order.shown
                assert 0 <= order.shown <= order.display, "at most the displayed quantity (R45)"

    def _come_in(self, order: Order) -> None:
        self._incoming, self._bounds = order, self._bounds_now(order.instrument)

    def _amended(self, event: Event) -> None:
        order = self._mine(event)
        assert event["delta_qty"] == order.leaves, "delta_qty is the leaves before the amend"
        assert event["old_price"] == order.price, "old_price is the price before the amend"
        assert event["cum_qty"] == order.cum and event["qty"] == event["cum_qty"] + event["leaves_qty"] > order.cum
        kept = bool(event["flags"] & PRIORITY_KEPT)
        wish = self.asked.wishes.get(event["seq"])
        self._mended(order, event)
        inactive = bool(event["flags"] & INACTIVE)
        comes_back = order.where == "suspended" and not inactive
        assert inactive == (order.where in OUTSIDE) or comes_back, "whether it waits (R31)"
        if comes_back:
            assert not kept, "it joins its level last (R67)"
        elif order.where != "stops":
            less = event["price"] == order.price and event["qty"] <= order.order_qty
            assert kept == less, "less at the same price keeps its place (R31)"
        elif wish is not None:
            same = wish.stop_price in (None, order.stop_price)
            assert kept == same, "a stop loses its place with its stop price only (R31)"
        if wish is not None and wish.expire_time is not None:
            order.expire_time = wish.expire_time
        where, order.decremented, order.off = order.where, 0, 0
        if not kept:
            self._leave(order)
        order.placed, order.leaves, order.price = event["qty"], event["leaves_qty"], event["price"]
        order.shown = min(order.shown, order.leaves)
        if kept:
            return
        if where == "stops":
            order.stop_price = UNKNOWN_STOP if wish is None or wish.stop_price is None else wish.stop_price
            self._wait(order)
        elif where in OUTSIDE and not comes_back:
            self._keep_out(order, where)
        else:
            self._come_in(order)

    def _suspended(self, event: Event) -> None:
        order = self._mine(event)
        assert order.where == "book" and event["flags"] & INACTIVE, "it was in the book, and is not any more (R67)"
        known = (order.price, order.order_qty, order.leaves, order.cum)
        assert tuple(event[name] for name in ("price", "qty", "leaves_qty", "cum_qty")) == known
        self._leave(order)
        self._keep_out(order, "suspended")

    def _end(self, event: Event, obeys: bool) -> None:
        order = self._mine(event)
        assert bool(event["flags"] & INACTIVE) == (order.where in OUTSIDE), "whether it waited (R29)"
        if event["reason"] == Reason.PRICE_LIMIT:
            assert obeys or order is self._must_go or self._is_too_late(order, event), "who must go has a reason (R67)"
            self._must_go = None
        if event["reason"] in LEFTOVERS:
            self._has_traded_all(order)
        if event["reason"] in (Reason.FOK, Reason.MIN_QTY):
            assert order.instrument not in self._pulls, "an order that trades not at all pulls no trigger (R69)"
        if event["reason"] in (Reason.REQUESTED, Reason.AMENDED_TO_FILLED):
            by_cancel = event["op"] in (CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND)
            assert by_cancel and event["cl_ord_id"], "who cancels or amends is told the id"
        decremented = self._doomed.pop(order.order_id, 0)
        if event["reason"] == Reason.AUCTION or (self._leaving and event["reason"] == Reason.LEVELS_FULL):
            self._leaves_call(order)
        self._leave(order)
        if decremented:
            assert order.leaves == 0 and event["delta_qty"] == decremented, "it ends with what was decremented"
        else:
            assert event["delta_qty"] == order.leaves, "delta_qty is what was open"
            order.off, order.leaves = order.leaves, 0
        assert event["leaves_qty"] == 0 and event["cum_qty"] == order.cum and event["qty"] == order.order_qty
        assert order.placed == order.cum + order.off + order.decremented, "lots are conserved"
        of_many = event["reason"] in (Reason.MASS_CANCEL, Reason.DISCONNECT, Reason.KILL_SWITCH)
        if of_many or event["kind"] == EventKind.ORDER_EXPIRED:
            assert not self._ended or self._ended[-1] < order.order_id, "in rising order_id (R33, R34, R43, R49, R77)"
            self._ended.append(order.order_id)
        order.status = OrdStatus.CANCELED
        if event["kind"] == EventKind.ORDER_EXPIRED:
            order.status = OrdStatus.EXPIRED
            if event["op"] == CommandKind.CLOCK_TICK:
                assert order.expire_time is None or self._is_due(order), "its time has come (R49)"
            else:
                assert not self._outlives_day(order), "gtc and gtd orders with a price outlive the day (R43)"

    def _is_too_late(self, order: Order, event: Event) -> bool:
        """R58: whether the limits have changed since it was kept aside, so that it cannot join the closing call."""
        outside = within(order.price, self._daily(order.instrument)) is False
        first = order.where == "aside" and self.aside[order.instrument][0] == order.order_id
        return first and outside and order.ord_type == OrdType.LIMIT and event["phase"] in CLOSING_CALL

    def _status(self, event: Event) -> None:
        order = self.orders[event["order_id"]]
        assert event["account"] == order.account, "a status is its owner's"
        assert event["reason"] == order.status, f"the status is {order.status.name}"
        told = tuple(event[name] for name in ("qty", "cum_qty", "leaves_qty"))
        assert told == (order.order_qty, order.cum, order.leaves), "the status tells the order's quantities"
        assert bool(event["flags"] & INACTIVE) == (order.where in OUTSIDE), "and whether it waits"

    def _mine(self, event: Event) -> Order:
        order = self.orders[event["order_id"]]
        assert order.live or order.order_id in self._doomed, "an event about a live order"
        known = (order.account, order.instrument, order.side, order.ord_type, order.time_in_force)
        told = tuple(event[name] for name in ("account", "instrument", "side", "ord_type", "time_in_force"))
        assert told == known, "an order's event carries its own account and attributes"
        self._phase(event)
        return order

    def _triggered(self, event: Event) -> None:
        """R60, R61: the right stop is elected, and only one that a trade has reached."""
        self._settle()
        order = self._mine(event)
        known = order.stop_price != UNKNOWN_STOP
        assert order.where == "stops", "a stop that waits is elected (R60)"
        assert not known or event["old_price"] == order.stop_price, "it waited at its stop price"
        assert self._mode(order.instrument) == Mode.CONTINUOUS, "stops are elected in continuous only (R61)"
        last = self.last[order.instrument][1]
        if event["op"] == CommandKind.PHASE_SET:
            self._reach.setdefault(order.instrument, (last, last))  # the day's last trade counts (R62)
        low, high = self._reach.get(order.instrument, (last, last))
        reached = [i for side in (BUY, SELL) for i in self._reached(order.instrument, side, low, high)]
        assert not known or order.order_id in reached, f"no trade has reached it, {low} to {high} were traded (R60)"
        sides = [self.stops.get((order.instrument, side), {}) for side in (BUY, SELL)]
        if order.instrument in self._reach and not any(UNKNOWN_STOP in queues for queues in sides):
            assert reached[0] == order.order_id, f"buys first, then by price, then by time (R61): {reached}"
        self._leave(order)
        if order.ord_type == OrdType.STOP:
            order.ord_type, order.price = OrdType.MARKET, event["price"]
            self._protected(order)
        else:
            assert event["price"] == order.price, "its own price"
            order.ord_type = OrdType.LIMIT
            if within(order.price, self._daily(order.instrument)) is False:
                self._must_go = order
        order.stop_price = 0
        self._come_in(order)

    def _activated(self, event: Event, obeys: bool) -> None:
        """R46, R56, R58, R67: an order has a price, or a place in the book, that it did not have before."""
        if self._incoming is not None and self._incoming.order_id != event["order_id"]:
            self._settle()
        order = self.orders[event["order_id"]]
        assert order.live and (event["leaves_qty"], event["cum_qty"]) == (order.leaves, order.cum)
        assert event["delta_qty"] == order.display
        if order.where == "aside":
            assert self._phase(event) in CLOSING_CALL, "they wait for the close (R58)"
            assert self.aside[order.instrument][0] == order.order_id, "in the order in which they came (R58)"
            price = order.price if order.ord_type == OrdType.LIMIT else self._edge(order)
            assert event["price"] == (event["price"] if price is None else price), "its own price, or the edge (R58)"
            assert event["ord_type"] == order.ord_type
        elif order.where == "suspended":
            assert obeys, "suspended orders come back by new limits (R67)"
            assert (event["price"], event["ord_type"]) == (order.price, order.ord_type)
        else:
            assert order.ord_type == OrdType.MARKET_TO_LIMIT and event["ord_type"] == OrdType.LIMIT, "it changes (R46)"
            if order.where == "book":
                self._leaves_call(order)
                assert event["price"] == self._cross.price and self._cross.volume, "at the auction price (R56)"
            else:
                assert event["price"] == self.last[order.instrument][1], "at the price of its last trade (R46)"
                self._has_traded_all(order)
        self._leave(order)
        order.ord_type, order.price = event["ord_type"], event["price"]
        self._incoming = order
        self._settle()

    # --- trading ----------------------------------------------------------------------------------

    def _meeting(self, event: Event) -> tuple[Order, Order]:
        """Check that the incoming order meets the first order of the best opposite level (R20, R21)."""
        incoming, resting = self._incoming, self.orders[event["resting_order_id"]]
        assert incoming is not None and incoming.order_id == event["order_id"], "the incoming order trades"
        assert event["account"] == incoming.account and event["resting_account"] == resting.account
        assert event["instrument"] == incoming.instrument == resting.instrument and event["side"] == incoming.side
        assert PHASES[self._phase(event)].mode in (Mode.CONTINUOUS, Mode.AT_CLOSE), "orders trade in this phase (R9)"
        opposite = BUY + SELL - incoming.side
        assert resting.where == "book", "who waits does not trade (R58, R60)"
        assert resting.side == opposite and event["price"] == resting.price, "at the resting order's price (R22)"
        assert self._best(incoming.instrument, opposite) == resting.price, "best price first (R20)"
        queue = self.queues[incoming.instrument, opposite][resting.price]
        assert queue[0] == resting.order_id, f"first come first served (R21), the queue is {queue}"
        gain = incoming.price - resting.price if incoming.side == BUY else resting.price - incoming.price
        assert gain >= 0, "at the limit or better (R23)"
        return incoming, resting

    def _trade(self, event: Event) -> None:
        if event["flags"] & UNCROSS:
            incoming, resting = self._allotment(event)
        else:
            incoming, resting = self._meeting(event)
            most = resting.shown if resting.display else resting.leaves
            assert event["qty"] == min(incoming.leaves, most) > 0, "the lots that both have, and the book shows (R47)"
            assert not self._self_match(incoming, resting), "self-match prevention keeps them apart (R27)"
            self._within_bounds(event)
            low, high = self._reach.get(incoming.instrument, (event["price"], event["price"]))
            self._reach[incoming.instrument] = min(low, event["price"]), max(high, event["price"])
            if self._mode(incoming.instrument) == Mode.AT_CLOSE:
                assert event["price"] == self.close_prices[incoming.instrument], "at the closing price (R59)"
        assert self.next_trade_id in (None, event["trade_id"]), "trade ids have no gap (R22)"
        self.next_trade_id = event["trade_id"] + 1
        self.last[incoming.instrument] = event["trade_id"], event["price"]
        assert within(event["price"], self._daily(incoming.instrument)) is not False, "within the daily limits (R67)"
        self._enter_windows(event)
        for order in (incoming, resting):
            order.leaves -= event["qty"]
            order.cum += event["qty"]
            order.status = OrdStatus.PARTIALLY_FILLED if order.leaves else OrdStatus.FILLED
            if event["flags"] & UNCROSS:
                order.shown = min(order.display, order.leaves)
        assert (event["leaves_qty"], event["cum_qty"]) == (incoming.leaves, incoming.cum)
        assert event["resting_leaves_qty"] == resting.leaves
        for order in (incoming, resting):
            if not order.leaves:
                self._leave(order)
        if not event["flags"] & UNCROSS and resting.display and resting.leaves:
            resting.shown -= event["qty"]
            self._used_up = None if resting.shown else resting
        self.trades += 1
        if event["flags"] & UNCROSS and not self._missing:
            self._list_leaving(incoming.instrument)

    def _refreshed(self, event: Event) -> None:
        order, self._used_up = self._used_up, None
        assert order is not None and order is self._mine(event), "right behind the trade that used it up (R47)"
        order.shown = min(order.display, order.leaves)
        assert event["delta_qty"] == order.shown > 0, "it shows its display quantity, or what is left (R47)"
        queue = self.queues[order.instrument, order.side][order.price]
        queue.append(queue.pop(queue.index(order.order_id)))

    def _prevented(self, event: Event) -> None:
        incoming, resting = self._meeting(event)
        assert event["qty"] == min(incoming.leaves, resting.leaves) > 0, "the lesser of both leaves (R27)"
        assert self._self_match(incoming, resting) in (None, True), "only orders of one self-match id (R27)"
        self._within_bounds(event)
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
                resting.shown = min(resting.shown, resting.leaves)
            case other:
                raise AssertionError(f"no such prevention: {other}")
        for order in doomed:
            self._doomed[order.order_id] = left[order.order_id] = 0
        assert event["cum_qty"] == incoming.cum
        assert (event["leaves_qty"], event["resting_leaves_qty"]) == (left[incoming.order_id], left[resting.order_id])
