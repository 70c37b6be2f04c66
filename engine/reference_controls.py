"""The readable matcher's price controls: the acts control.set and limit.set, and the extension of a volatility call.

Rules R66, R67 and R70; what refuses an order is in `engine/reference_gates.py`, what pulls the trigger (R69) in
`engine/reference_matching.py`.
"""

from __future__ import annotations

from typing import Final

from engine.phases import Mode
from engine.reference_acts import ControlChange, LimitChange
from engine.reference_auction import Auctions
from engine.reference_book import LASTING, Instrument, Order, Where
from engine.reference_ladder import find_cross
from engine.reference_payload import Payload, Refused
from engine.schema import INACTIVE, AuctionStep, Code, EventKind, Phase, Reason

__all__ = ["PriceControls"]

_UNCROSSED: Final = (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)


class PriceControls(Auctions):
    """A world in which prices are held within limits."""

    def _named(self, symbol: str, group: str) -> list[Instrument]:
        """R42: the instrument of this symbol, or those of the group, in the order of their numbers."""
        if symbol:
            meant = [self.symbols[symbol]] if symbol in self.symbols else []
        else:
            meant = [instrument for instrument in self.instruments if instrument.terms.group == group]
        if not meant:
            raise Refused(Code.UNKNOWN_INSTRUMENT)
        return meant

    def _set_controls(self, payload: Payload) -> None:
        """R66."""
        change = ControlChange.read(payload)
        for instrument in self._named(change.symbol, change.group):
            instrument.controls.change(change.said)
            if instrument.controls.are_of_windows(change.said):
                instrument.trigger.empty()  # R69
            self._event(EventKind.CONTROLS_SET, instrument=instrument.number, phase=instrument.phase)

    # --- daily limits ------------------------------------------------------------------------------------------

    def _set_limits(self, payload: Payload) -> None:
        """R67: new limits, and behind all of them what they do to the orders."""
        change = LimitChange.read(payload, is_restating=self._restating)
        meant = self._named(change.symbol, change.group)
        settlements = [change.settlement_of(instrument.terms) for instrument in meant]
        if any((change.step or 0) > len(instrument.controls.limit_steps) for instrument in meant):
            raise Refused(Code.BAD_TERMS)
        changing = [pair for pair in zip(meant, settlements, strict=True) if _may_have_new_limits(pair[0])]
        if not changing:
            raise Refused(Code.PHASE)
        for instrument, settlement in changing:
            instrument.limits.change(change, settlement, instrument.controls, self.trading_day)
            self._tell_limits(instrument)
        for instrument, _ in changing:
            self._obey_limits(instrument)

    def _tell_limits(self, instrument: Instrument) -> None:
        limits = instrument.limits
        self._event(
            EventKind.LIMITS_SET,
            instrument=instrument.number,
            phase=instrument.phase,
            side=limits.locked_side,
            reason=limits.step,
            price=limits.low,
            qty=limits.settlement,
            old_price=limits.high,
        )

    def _obey_limits(self, instrument: Instrument) -> None:
        """R67: what the new limits do to the orders in the book and the suspended ones, in rising order_id."""
        in_book = [order for side in instrument.sides.values() for order in side.best_first()]
        suspended = [order for order in instrument.aside.values() if order.where == Where.SUSPENDED]
        for order in sorted([*in_book, *suspended], key=lambda order: order.order_id):
            is_inside = instrument.limits.admit(order.price)
            if order.where == Where.SUSPENDED:
                if is_inside:
                    self._join_book(order)
            elif order.is_unpriced:
                if order.price != instrument.edge(order.side):
                    self._cancel(order, Reason.PRICE_LIMIT)
            elif not is_inside:
                self._leave_book(order)

    def _join_book(self, order: Order) -> None:
        """R67: a suspended order comes back, if its price has room (R15)."""
        if order.instrument.sides[order.side].has_no_room_at(order.price):
            self._cancel(order, Reason.LEVELS_FULL)
            return
        order.instrument.take_out(order)
        self._activate(order)
        self._rest(order)

    def _leave_book(self, order: Order) -> None:
        """R67: an order whose price lies outside now is suspended, or canceled if it is for a day or a call only."""
        if order.time_in_force not in LASTING:
            self._cancel(order, Reason.PRICE_LIMIT)
            return
        order.instrument.take_out(order)
        order.instrument.suspend(order)
        self._order_event(EventKind.ORDER_SUSPENDED, order, flags=INACTIVE)

    # --- the volatility call -----------------------------------------------------------------------------------

    def _extend_call(self, instrument: Instrument) -> bool:
        """R70: extend a volatility call whose price lies beyond the bounds that it began with; whether it did."""
        pulled = instrument.trigger.pulled
        if instrument.phase != Phase.VOLATILITY_AUCTION or pulled is None:
            return False
        cross = find_cross(instrument)
        if cross.step == AuctionStep.NO_CROSS or pulled.hold(cross.price):
            return False
        self._event(
            EventKind.CALL_EXTENDED,
            instrument=instrument.number,
            phase=instrument.phase,
            price=cross.price,
            qty=cross.volume,
            reason=instrument.trigger.extend(),
        )
        return True


def _may_have_new_limits(instrument: Instrument) -> bool:
    """R67: whether nothing trades now, nor has just been uncrossed."""
    return instrument.mode == Mode.NONE and instrument.phase not in _UNCROSSED
