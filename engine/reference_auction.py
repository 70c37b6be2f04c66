"""The readable matcher's calls: what is told of them, how they are uncrossed, what entering a phase brings.

Rules R51 to R58 and R62.  The price itself is found in `engine/reference_ladder.py`.
"""

from __future__ import annotations

from typing import Final

from engine.phases import PHASES, Mode
from engine.reference_book import NO_CROSS, Instrument, Order, Where
from engine.reference_ladder import find_cross
from engine.reference_matching import Matching
from engine.schema import SELF_MATCH, UNCROSS, EventKind, OrdType, Phase, Reason, Side, TimeInForce

__all__ = ["Auctions"]

_AUCTIONS: Final = (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)
_CLOSING_CALL: Final = (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)
_OF_ONE_CALL: Final = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)


class Auctions(Matching):
    """A world in which calls are held and uncrossed."""

    def _enter_phase(self, instrument: Instrument, before: Phase) -> None:
        """R42: what entering the present phase brings, behind the PHASE_CHANGED events: R58, R53, R54, R62."""
        if instrument.phase in _CLOSING_CALL:
            self._let_join(instrument)
        if instrument.mode == Mode.CALL:
            if PHASES[before].mode != Mode.CALL:
                instrument.told = NO_CROSS
            self._tell(instrument)
        if self._enters_through_uncross(instrument, before):
            self._uncross(instrument)
        if instrument.phase == Phase.CONTINUOUS:
            last_price = instrument.last_price
            self._traded = None if last_price is None else (last_price, last_price)  # R62
            self._elect_reached(instrument)

    @staticmethod
    def _enters_through_uncross(instrument: Instrument, before: Phase) -> bool:
        """R54: whether entering the present phase takes an uncross."""
        if instrument.phase in _AUCTIONS:
            return True
        if instrument.phase != Phase.CONTINUOUS or before == Phase.OPENING_AUCTION:
            return False
        return PHASES[before].mode == Mode.CALL or find_cross(instrument).volume > 0

    def _let_join(self, instrument: Instrument) -> None:
        """R58: the orders kept aside join the book of the closing call, in their order."""
        for order in [order for order in instrument.aside.values() if order.where == Where.ASIDE]:
            price = instrument.edge(order.side) if order.is_unpriced else order.price
            if not instrument.limits.admit(price):
                self._cancel(order, Reason.PRICE_LIMIT)  # the limits have changed since it was placed
                continue
            if instrument.sides[order.side].has_no_room_at(price):
                self._cancel(order, Reason.LEVELS_FULL)  # R15
                continue
            instrument.take_out(order)
            order.price = price
            self._activate(order)
            self._rest(order)

    # --- what is told ------------------------------------------------------------------------------------------

    def _tell_touched(self) -> None:
        """R53: behind a command's other events, of the instruments in a call whose orders it changed."""
        for number in sorted(self._touched):
            instrument = self.instruments[number - 1]
            if instrument.mode == Mode.CALL:
                self._tell(instrument)
        self._touched.clear()

    def _tell(self, instrument: Instrument) -> None:
        """R53: tell what would trade now, unless that was told already."""
        cross = find_cross(instrument)
        if cross != instrument.told:
            instrument.told = cross
            self._auction_event(EventKind.AUCTION_INDICATIVE, instrument, cross)

    # --- the uncross -------------------------------------------------------------------------------------------

    def _uncross(self, instrument: Instrument) -> None:
        """R54, R55: trade the book at one price."""
        cross = find_cross(instrument)
        self._auction_event(EventKind.AUCTION_UNCROSSED, instrument, cross)
        if cross.volume:
            instrument.trigger.empty()  # R69
        missing = cross.volume
        while missing:
            buy, sell = instrument.sides[Side.BUY].first(), instrument.sides[Side.SELL].first()
            qty = min(buy.leaves_qty, sell.leaves_qty, missing)
            missing -= qty
            flags = UNCROSS | (SELF_MATCH if self._may_not_trade(buy, sell) else 0)
            for party in (buy, sell):
                party.shown_qty = min(party.display_qty, party.leaves_qty - qty)  # R47
            self._fill(buy, sell, qty, cross.price, flags)
        self._clear_call(instrument, cross.price if cross.volume else None)
        instrument.told = NO_CROSS  # R53
        if instrument.phase == Phase.CLOSING_AUCTION:
            instrument.close_price = cross.price if cross.volume else None  # R59

    def _clear_call(self, instrument: Instrument, price: int | None) -> None:
        """R56: orders that were for the call only go, in rising order_id; what was market_to_limit has its price."""
        in_book = [order for side in instrument.sides.values() for order in side.best_first()]
        meant = [order for order in in_book if order.is_unpriced or order.time_in_force in _OF_ONE_CALL]
        for order in sorted(meant, key=lambda order: order.order_id):
            self._leave_call(order, price)

    def _leave_call(self, order: Order, price: int | None) -> None:
        """R56, for one order."""
        if order.ord_type != OrdType.MARKET_TO_LIMIT or price is None:
            self._cancel(order, Reason.AUCTION)
            return
        order.instrument.take_out(order)
        self._rest_activated(order, price)
