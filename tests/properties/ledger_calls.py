"""The ledger's laws of calls and auctions: what is told (R53), what trades (R52, R54, R55), who leaves (R56)."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.phases import PHASES, Mode
from engine.schema import SELF_MATCH, CommandKind, Phase
from tests.properties.ledger_asked import NO_CROSS, Told
from tests.properties.ledger_book import BUY, OF_A_CALL, SELL, UNPRICED, Event, Order, told_by
from tests.properties.ledger_controls import Controlled


@dataclass
class Called(Controlled):
    """Places with calls."""

    _missing: int = 0  # what an uncross has still to trade
    _cross: Told = NO_CROSS
    _leaving: list[int] = field(default_factory=list)  # who must leave a call, in this order (R56)
    _crossing: int = 0

    def _phase_changed(self, event: Event, incoming: Order | None) -> None:
        """R42, or the volatility trigger (R69) where an order is on its way."""
        instrument, phase = event["instrument"], Phase(event["phase"])
        before = self.phases.get(instrument, Phase.CLOSED)
        assert event["reason"] == before, "the phase before is the phase before"
        assert phase in PHASES[before].next, "a step of the table (R42)"
        assert not event["order_id"] or (event["order_id"], event["price"]) == self.last[instrument], "R63"
        if incoming is not None:
            assert (before, phase) == (Phase.CONTINUOUS, Phase.VOLATILITY_AUCTION), "what the trigger does (R69)"
            self._pull(event, incoming)
        else:
            assert event["op"] == CommandKind.PHASE_SET, "phases change by acts and by the trigger"
            self._set_by_act(event)
        self.phases[instrument] = phase
        if PHASES[phase].mode == Mode.CALL and PHASES[before].mode != Mode.CALL:
            self.told[instrument] = NO_CROSS
        if phase == Phase.CLOSED:
            _, price = self.last.pop(instrument, (0, None))
            self.close_prices.pop(instrument, None)
            if price is not None:
                self.asked.references[instrument] = price

    def _indicative(self, event: Event) -> None:
        assert PHASES[self._phase(event)].mode == Mode.CALL, "only a call tells what it would trade (R53)"
        told = told_by(event)
        assert told != self.told[event["instrument"]], "nothing is told twice (R53)"
        self.told[event["instrument"]] = told

    def _uncrossed(self, event: Event) -> None:
        """R54: what was last told is what trades; and it is what R52 says of the book."""
        instrument, told = event["instrument"], told_by(event)
        was_told = self.told.pop(instrument, None)
        assert was_told in (None, told), f"a call ends with what it told last (R54): {was_told}"
        found = self._auction(instrument)
        assert found in (None, told), f"the auction price of this book (R52): {found}"
        self._cross, self._missing, self._crossing = told, told.volume, instrument
        if PHASES[self._phase(event)].mode == Mode.CALL:
            self.told[instrument] = NO_CROSS
        if self.phases[instrument] == Phase.CLOSING_AUCTION and told.volume:
            self.close_prices[instrument] = told.price
        if told.volume:
            self.windows.pop(instrument, None)  # R69
        else:
            self._list_leaving(instrument)

    def _allotment(self, event: Event) -> tuple[Order, Order]:
        """R55: the first buy and the first sell trade at the auction price, which lies within both limits."""
        buy, sell = self.orders[event["order_id"]], self.orders[event["resting_order_id"]]
        assert self._missing and event["instrument"] == self._crossing, "an uncross trades its volume only (R55)"
        for order, account in ((buy, event["account"]), (sell, event["resting_account"])):
            assert order.instrument == event["instrument"] and order.account == account
            price = self._best(order.instrument, order.side)
            assert price is not None, "somebody is left to trade"
            queue = self.queues[order.instrument, order.side][price]
            assert queue[0] == order.order_id, f"by price, then by time (R55): {queue} at {price}"
        assert event["price"] == self._cross.price, "everything trades at the auction price (R55)"
        assert sell.price <= event["price"] <= buy.price and (buy.side, sell.side) == (BUY, SELL), "within the limits"
        assert event["qty"] == min(buy.leaves, sell.leaves, self._missing), "what both have and the volume needs (R55)"
        expected = self._self_match(buy, sell)
        assert expected in (None, bool(event["flags"] & SELF_MATCH)), "a self-match is told (R55)"
        self._missing -= event["qty"]
        return buy, sell

    def _list_leaving(self, instrument: int) -> None:
        in_book = [i for side in (BUY, SELL) for i in self._in_book(instrument, side)]
        orders = [self.orders[i] for i in sorted(in_book)]
        self._leaving = [o.order_id for o in orders if o.ord_type in UNPRICED or o.time_in_force in OF_A_CALL]

    def _leaves_call(self, order: Order) -> None:
        assert self._leaving and self._leaving.pop(0) == order.order_id, "who leaves a call, by order_id (R56)"
