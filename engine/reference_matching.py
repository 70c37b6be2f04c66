"""The readable matcher's trading: how an incoming order meets the book, and how orders end and are elected.

Rules R20 to R27, R46 to R48, R60, R61 and R69, one method each; `engine/reference.py` says when they are carried out.
Mutates the book, the stops and the live orders, and writes the events in the order of the rules.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.phases import Mode
from engine.reference_book import NO_CROSS, Instrument, Order
from engine.reference_bounds import Bounds
from engine.reference_gates import Gates
from engine.schema import (
    INACTIVE,
    OVERRIDE,
    UNCROSS,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
)

__all__ = ["Matching"]


class Matching(Gates):
    """A world in which orders trade."""

    # --- the incoming order ------------------------------------------------------------------------------------

    def _carry_out(self, order: Order, min_qty: int = 0) -> None:
        """R23 to R26, R46, R48, R69: trade with the book, then let rest or cancel what is left."""
        instrument = order.instrument
        bounds = instrument.bounds(self.time)
        wanted = order.leaves_qty if order.time_in_force == TimeInForce.FOK else min_qty
        if self._lots_at_once(order, wanted, bounds) < wanted:
            is_fok = order.time_in_force == TimeInForce.FOK
            self._cancel(order, Reason.FOK if is_fok else Reason.MIN_QTY)  # R26, R48
            return
        filled_before = order.cum_qty
        self._match(order, bounds)
        if order.ended is not None:
            return
        if instrument.against(order.side).reached_by(order.price):  # only the bounds have ended the match then
            self._pull_trigger(instrument, bounds)
        if order.ord_type == OrdType.MARKET:
            self._cancel(order, Reason.PROTECTION)  # R24
        elif order.ord_type == OrdType.MARKET_TO_LIMIT:
            self._become_limit(order, has_traded=order.cum_qty > filled_before)  # R46
        elif order.time_in_force == TimeInForce.IOC:
            self._cancel(order, Reason.IOC)  # R25
        else:
            self._rest(order)  # R23

    def _become_limit(self, order: Order, *, has_traded: bool) -> None:
        """R46: what is left of a market_to_limit order rests at the price of its last trade."""
        last_price = order.instrument.last_price
        if not has_traded or last_price is None:
            self._cancel(order, Reason.PROTECTION)
        else:
            self._rest_activated(order, last_price)

    def _rest_activated(self, order: Order, price: int) -> None:
        """R46, R56: rest as a limit order at `price`, if that has room (R15)."""
        if order.instrument.sides[order.side].has_no_room_at(price):
            self._cancel(order, Reason.LEVELS_FULL)
            return
        order.ord_type, order.price = OrdType.LIMIT, price
        self._activate(order)
        self._rest(order)

    def _activate(self, order: Order) -> None:
        """R46, R56, R58: the event that tells of an order's price and type from now on."""
        self._order_event(EventKind.ORDER_ACTIVATED, order, cl_ord_id=order.cl_ord_id, delta_qty=order.display_qty)

    def _rest(self, order: Order) -> None:
        """R21, R23, R47: join the level last; without room there (R15) be canceled."""
        side = order.instrument.sides[order.side]
        if side.has_no_room_at(order.price):
            self._cancel(order, Reason.LEVELS_FULL)
            return
        side.add(order)
        order.shown_qty = min(order.display_qty, order.leaves_qty)

    def _lots_at_once(self, order: Order, wanted: int, bounds: Bounds) -> int:
        """R26, R48: walk as matching would, touching nothing; how many lots it finds, at least `wanted` if it can."""
        found = 0
        opposite = order.instrument.against(order.side)
        for price in opposite.prices():
            if found >= wanted or not order.reaches(price) or not bounds.hold(price):
                break
            level: list[Order] = list(opposite.levels[price].values())
            barred = [resting for resting in level if self._may_not_trade(order, resting)]
            if barred and order.smp != Smp.CANCEL_RESTING:
                # The matching meets the first of them before any iceberg shows its lots a second time.
                before = level[: level.index(barred[0])]
                return found + sum(resting.may_trade_now() for resting in before)
            found += sum(resting.leaves_qty for resting in level if resting not in barred)
        return found

    def _match(self, order: Order, bounds: Bounds) -> None:
        """R20, R21, R23, R69: trade with the best opposite order while the limit reaches it and the bounds hold it."""
        opposite = order.instrument.against(order.side)
        while order.ended is None and opposite.reached_by(order.price):
            resting = opposite.first()
            if not bounds.hold(resting.price):
                return
            if self._may_not_trade(order, resting):
                self._prevent(order, resting)
            else:
                self._trade(order, resting)

    def _pull_trigger(self, instrument: Instrument, bounds: Bounds) -> None:
        """R69: an order reaches beyond the bounds, so a call begins; what would trade in it is told last (R53)."""
        before, instrument.phase = instrument.phase, Phase.VOLATILITY_AUCTION
        instrument.trigger.pull(bounds)
        instrument.told = NO_CROSS
        self._touched.add(instrument.number)
        self._event(
            EventKind.PHASE_CHANGED,
            instrument=instrument.number,
            phase=instrument.phase,
            flags=OVERRIDE if instrument.is_overridden else 0,
            reason=before,
        )

    def _trade(self, order: Order, resting: Order) -> None:
        """R22, R47: one trade, at the resting order's price, with at most what that shows."""
        price = resting.price
        qty = min(order.leaves_qty, resting.may_trade_now())
        if resting.display_qty:
            resting.shown_qty -= qty
        low, high = self._traded or (price, price)
        self._traded = min(low, price), max(high, price)  # R61
        self._fill(order, resting, qty, price)
        if resting.ended is None and resting.display_qty and resting.shown_qty == 0:
            resting.instrument.sides[resting.side].refresh(resting)
            self._order_event(EventKind.ORDER_REFRESHED, resting, delta_qty=resting.shown_qty)  # R47

    def _fill(self, order: Order, other: Order, qty: int, price: int, flags: int = 0) -> None:
        """R22, R64: `qty` lots change hands; who has none left is filled."""
        for party in (order, other):
            party.leaves_qty -= qty
            party.cum_qty += qty
            self._buy_or_sell(party, qty)  # R71
        roles = ("auction", "auction") if flags & UNCROSS else ("taker", "maker")  # R75
        fees = self._charge(order, roles[0], qty, price), self._charge(other, roles[1], qty, price)
        trade_id = self.next_trade_id
        self.next_trade_id += 1
        self._trade_event(EventKind.TRADE, order, other, qty, price=price, flags=flags, trade_id=trade_id, fees=fees)
        order.instrument.note_trade(trade_id, price, self.time)
        for party in (order, other):
            if party.leaves_qty == 0:
                self._end(party, OrdStatus.FILLED)

    def _may_not_trade(self, order: Order, resting: Order) -> bool:
        """R27: whether the incoming order's instruction forbids this match."""
        return order.smp != Smp.NONE and order.self_match == resting.self_match

    def _prevent(self, order: Order, resting: Order) -> None:
        """R27: carry out the incoming order's instruction instead of a trade."""
        qty = min(order.leaves_qty, resting.leaves_qty)
        price = resting.price
        if order.smp == Smp.DECREMENT:
            for party in (order, resting):
                party.leaves_qty -= qty
                party.order_qty -= qty
                self._open(party, -qty)
            resting.shown_qty = min(resting.shown_qty, resting.leaves_qty)  # R47
            self._trade_event(EventKind.ORDER_PREVENTED, order, resting, qty, price=price, smp=order.smp)
            for party in (resting, order):
                if party.leaves_qty == 0:
                    self._cancel(party, Reason.SELF_MATCH, delta_qty=qty)
            return
        leavers = {
            Smp.CANCEL_RESTING: (resting,),
            Smp.CANCEL_INCOMING: (order,),
            Smp.CANCEL_BOTH: (resting, order),
        }[order.smp]
        self._trade_event(EventKind.ORDER_PREVENTED, order, resting, qty, price=price, smp=order.smp, leavers=leavers)
        for party in leavers:
            self._cancel(party, Reason.SELF_MATCH)

    # --- stops -------------------------------------------------------------------------------------------------

    def _elect(self, order: Order) -> None:
        """R60: a stop leaves the stops and is an incoming order, unless its price lies outside the daily limits."""
        order.instrument.take_out(order)
        stop_price, order.stop_price = order.stop_price, 0
        becomes = OrdType.LIMIT
        if order.ord_type == OrdType.STOP:
            becomes, order.price = OrdType.MARKET, order.instrument.protection_limit(order.side)
        self._order_event(EventKind.ORDER_TRIGGERED, order, cl_ord_id=order.cl_ord_id, old_price=stop_price)
        order.ord_type = becomes
        if becomes == OrdType.LIMIT and not order.instrument.limits.admit(order.price):
            self._cancel(order, Reason.PRICE_LIMIT)
        else:
            self._carry_out(order)

    def _elect_reached(self, instrument: Instrument) -> None:
        """R61: in continuous, one stop after the other that the command's trades have reached by now."""
        while instrument.mode == Mode.CONTINUOUS and self._traded is not None:
            buy, sell = (instrument.stops[side].next_elected(*self._traded) for side in Side)
            order = buy or sell
            if order is None:
                return
            self._elect(order)

    # --- the end of an order -----------------------------------------------------------------------------------

    def _cancel(self, order: Order, reason: Reason, delta_qty: int = 0) -> None:
        """End an order, canceled; `delta_qty` only where decrements took its lots already (R27)."""
        cl_ord_id = order.cl_ord_id if order is self._subject else b""
        self._put_an_end(
            EventKind.ORDER_CANCELED, order, OrdStatus.CANCELED, reason=reason, delta_qty=delta_qty, cl_ord_id=cl_ord_id
        )

    def _cancel_all(self, orders: Iterable[Order], reason: Reason) -> int:
        """R33, R34, R77: cancel in rising order_id, except where the phase does not permit it; how many."""
        may_go = [order for order in orders if order.instrument.may_cancel(order)]
        for order in sorted(may_go, key=lambda order: order.order_id):
            self._cancel(order, reason)
        return len(may_go)

    def _expire(self, order: Order) -> None:
        """R43, R49: end an order whose time is over."""
        self._put_an_end(EventKind.ORDER_EXPIRED, order, OrdStatus.EXPIRED)

    def _put_an_end(
        self,
        kind: EventKind,
        order: Order,
        how: OrdStatus,
        *,
        reason: int = 0,
        delta_qty: int = 0,
        cl_ord_id: bytes = b"",
    ) -> None:
        delta_qty = delta_qty or order.leaves_qty
        flags = INACTIVE if order.is_inactive else 0
        self._end(order, how)
        self._order_event(kind, order, reason=reason, delta_qty=delta_qty, cl_ord_id=cl_ord_id, flags=flags)

    def _end(self, order: Order, how: OrdStatus) -> None:
        """Take an order out of the world of the living; its client ids still name it."""
        order.instrument.take_out(order)
        order.ended = how
        self._open(order, -order.leaves_qty)
        order.leaves_qty = 0
        del self.live[order.order_id]
        del self.accounts[order.account - 1].live[order.order_id]
