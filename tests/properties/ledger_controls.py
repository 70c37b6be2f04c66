"""The ledger's laws of price controls: what may come in (R66, R68), what daily limits do (R67), the trigger (R69, R70).

What only acts say (controls, steps, settlement prices) is known where the ledger was told of the commands; where it is
not, the laws that need it are left out. Daily limits are in the events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

from engine.phases import PHASES, Mode
from engine.schema import (
    DEFAULT_LONG_MS,
    DEFAULT_SHORT_MS,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    LAST,
    OVERRIDE,
    AuctionStep,
    EventKind,
    OrdType,
    Phase,
    Reason,
    TimeInForce,
)
from tests.properties.ledger_book import BUY, LASTING, SELL, UNPRICED, Event, Order, Places

Bounds = tuple[int, int]
Window = dict[int, Bounds]  # slice of time to lowest and highest price
FREE: Bounds = (-(1 << 62), 1 << 62)
OF_WINDOWS = {"short_ticks", "long_ticks", "short_ms", "long_ms"}
CLOSING_CALL = (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)
UNCONTROLLED: dict[str, Any] = {
    **dict.fromkeys(("band_ticks", "short_ticks", "long_ticks"), 0),
    **{"max_order_value": "0", "limit_steps": "", "limit_free_from": ""},
    **{"short_ms": DEFAULT_SHORT_MS, "long_ms": DEFAULT_LONG_MS},
}


def within(price: int, bounds: Bounds | None) -> bool | None:
    """Whether a price lies inside; None if nobody knows."""
    return None if bounds is None else bounds[0] <= price <= bounds[1]


@dataclass
class Controlled(Places):
    """Places whose prices are controlled."""

    trading_day: int = 0
    controls: dict[int, dict[str, Any] | None] = field(default_factory=dict)  # None: nobody knows
    settlements: dict[int, int] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    locked: dict[int, int] = field(default_factory=dict)
    run_sides: dict[int, int] = field(default_factory=dict)
    windows: dict[int, tuple[Window, Window]] = field(default_factory=dict)
    pulled: dict[int, Bounds | None] = field(default_factory=dict)  # the bounds that began a call (R70)
    extended: dict[int, int] = field(default_factory=dict)
    alone: set[int] = field(default_factory=set)  # instruments whose phase is their own (R65)
    _bounds: Bounds | None = FREE  # of the incoming order (R69); None: nobody knows
    _due: list[tuple[int, EventKind]] = field(default_factory=list)  # what limits do to orders, in this order
    _pulls: set[int] = field(default_factory=set)  # instruments in which the command has pulled the trigger
    _must_go: Order | None = None  # a stop_limit that was elected outside the limits (R60)

    def _controls(self, instrument: int) -> dict[str, Any] | None:
        return self.controls.get(instrument, UNCONTROLLED)

    def _edge(self, order: Order) -> int | None:
        """R51: the edge of the daily limits at which it ranks."""
        daily = self._daily(order.instrument)
        return None if daily is None else daily[1] if order.side == BUY else daily[0]

    def _reaches(self, order: Order) -> bool:
        """Whether its limit reaches the best opposite price (R23)."""
        best = self._best(order.instrument, BUY + SELL - order.side)
        return best is not None and (best <= order.price if order.side == BUY else best >= order.price)

    def limits_of(self, instrument: int) -> dict[str, int]:
        """The daily limits, in the shape that `engine.dump.dump` gives; the definition must be known."""
        daily = self._daily(instrument)
        assert daily is not None
        return {
            "settlement": self.settlements.get(instrument, self.asked.listed[instrument].reference),
            "step": self.steps.get(instrument, 0),
            "side": self.run_sides.get(instrument, 0),
            "locked": self.locked.get(instrument, 0),
            "low": daily[0],
            "high": daily[1],
        }

    # --- what comes in ------------------------------------------------------------------------------

    def _admit(self, order: Order, event: Event) -> None:
        """R24, R51, R66 to R68: an order that is accepted; the book is as it was before."""
        inside = within(order.price, self._daily(order.instrument))
        asked_aside = order.time_in_force == TimeInForce.AT_CLOSE and event["phase"] not in CLOSING_CALL
        if order.ord_type == OrdType.LIMIT:
            if self._is_suspended(order, event):
                wish = self.asked.wishes.get(event["seq"])
                assert wish is None or not wish.min_qty, "who wants lots at once is not suspended (R67)"
            else:
                assert inside is not False, "a price outside the daily limits is refused, or suspended (R67)"
                self._in_band(order, order.price)
        elif order.ord_type == OrdType.STOP_LIMIT:
            assert inside is not False or order.time_in_force in LASTING, "it may not wait for other limits (R67)"
            self._in_band(order, order.price)
        elif order.ord_type in UNPRICED:
            at_edge = asked_aside or self._mode(order.instrument) == Mode.CALL
            if at_edge:
                assert self._edge(order) in (None, order.price), "an unpriced order ranks at the edge (R51)"
            else:
                self._protected(order)
        self._of_value(order, event)

    def _is_suspended(self, order: Order, event: Event) -> bool:
        """R67: whether a limit order that came in, or was restored, is suspended, as its price tells."""
        if not event["flags"] & INACTIVE or order.ord_type != OrdType.LIMIT:
            return False
        if order.time_in_force == TimeInForce.AT_CLOSE:
            assert event["phase"] not in CLOSING_CALL, "in the closing call it is in the book (R58)"
            return False
        assert order.time_in_force in LASTING, "only gtc and gtd orders are suspended (R67)"
        assert not within(order.price, self._daily(order.instrument)), "inside the limits it is in the book (R67)"
        return True

    def _protected(self, order: Order) -> None:
        """R24: a market order goes as far as its protection, within the daily limits."""
        best, daily = self._best(order.instrument, BUY + SELL - order.side), self._daily(order.instrument)
        if best is None:
            assert order.price == 0, "without an opposite order there is no protection limit (R24)"
            return
        assert within(order.price, daily) is not False, "held within the daily limits (R24)"
        listed = self.asked.listed.get(order.instrument)
        if listed is not None and daily is not None:
            limit = best + listed.protection if order.side == BUY else best - listed.protection
            assert order.price == min(max(limit, daily[0]), daily[1]), "the protection limit (R24)"

    def _mended(self, order: Order, event: Event) -> None:
        """R66 to R68: an order that is amended, as it was before; a suspended one comes back with a price only."""
        wish = self.asked.wishes.get(event["seq"])
        named = event["price"] != order.price if wish is None else bool(wish.flags & HAS_PRICE)
        if named:
            assert within(event["price"], self._daily(order.instrument)) is not False, "outside the limits (R67)"
            self._in_band(order, event["price"])
        if order.where == "suspended":
            assert named == (not event["flags"] & INACTIVE), "it comes back with a price, and without one not (R67)"
        if wish is not None and wish.flags & (HAS_PRICE | HAS_STOP | HAS_QTY):
            self._of_value(order, event, wish.stop_price)

    def _in_band(self, order: Order, price: int) -> None:
        """R68."""
        controls, reference = self._controls(order.instrument), self._reference(order.instrument)
        if controls is None or reference is None or not controls["band_ticks"]:
            return
        away = price - reference if order.side == BUY else reference - price
        assert away <= controls["band_ticks"], "beyond the moving band (R68)"

    def _of_value(self, order: Order, event: Event, stop_price: int | None = None) -> None:
        """R66: of what comes in, and of what an amend makes of it."""
        controls, listed = self._controls(order.instrument), self.asked.listed.get(order.instrument)
        if controls is None or listed is None or not (most := Fraction(controls["max_order_value"])):
            return
        price = event["price"]
        if order.ord_type == OrdType.STOP:
            price = order.stop_price if stop_price is None else stop_price
        assert abs(price) * event["qty"] <= floor(most / listed.lot), "above the greatest value of an order (R66)"

    # --- acts ---------------------------------------------------------------------------------------

    def _controls_set(self, event: Event) -> None:
        self._phase(event)
        instrument, said = event["instrument"], self.asked.terms.get(event["seq"])
        known = self._controls(instrument)
        self.controls[instrument] = None if said is None or known is None else {**known, **said}
        if said is None or not OF_WINDOWS.isdisjoint(said):
            self.windows.pop(instrument, None)

    def _limits_set(self, event: Event) -> None:
        """R67: what the new limits are, and to whom they will do what."""
        instrument, phase = event["instrument"], self._phase(event)
        assert PHASES[phase].mode == Mode.NONE, "limits do not change where orders could trade (R67)"
        assert phase not in (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION), "nor right behind an uncross (R67)"
        low, high, settlement, step = (event[name] for name in ("price", "old_price", "qty", "reason"))
        assert low <= settlement <= high, "the limits lie around the settlement price (R67)"
        expected = self._limits_of(event)
        found = (settlement, step, event["side"], low, high)
        assert expected in (None, found), f"settlement price, step, locked side and limits are {expected} (R67)"
        self.settlements[instrument], self.steps[instrument], self.locked[instrument] = found[:3]
        self.limits[instrument] = low, high
        in_book = {i for side in (BUY, SELL) for i in self._in_book(instrument, side)}
        for order_id in sorted({*in_book, *self.suspended.get(instrument, ())}):
            order = self.orders[order_id]
            inside = low <= order.price <= high
            if order_id not in in_book:
                if inside:
                    self._due.append((order_id, EventKind.ORDER_ACTIVATED))
            elif order.ord_type in UNPRICED:
                if order.price != self._edge(order):
                    self._due.append((order_id, EventKind.ORDER_CANCELED))
            elif not inside:
                lasts = order.time_in_force in LASTING
                self._due.append((order_id, EventKind.ORDER_SUSPENDED if lasts else EventKind.ORDER_CANCELED))

    def _limits_of(self, event: Event) -> tuple[int, ...] | None:
        """R67: settlement price, step, locked side, low and high limit; None if nobody knows."""
        instrument, said = event["instrument"], self.asked.terms.get(event["seq"])
        controls, listed = self._controls(instrument), self.asked.listed.get(instrument)
        if said is None or listed is None or controls is None:
            return None
        settlement = self.settlements.get(instrument, listed.reference)
        if "settlement" in said:
            named = listed.tick.ticks(said["settlement"])
            assert named is not None
            settlement = named
        widths = [int(width) for width in controls["limit_steps"].split(",") if width]
        locked, run = self.locked.get(instrument, 0), self.run_sides.get(instrument, 0)
        if "step" in said:
            step, run, locked = said["step"], said.get("side", run), said.get("locked", locked)
        else:
            step, run = self._next_step(instrument, controls, widths), locked
        self.run_sides[instrument] = run
        width = abs(settlement) * widths[step - 1] // 10_000 if step else FREE[1]
        return settlement, step, locked, max(settlement - width, listed.low), min(settlement + width, listed.high)

    def _next_step(self, instrument: int, controls: dict[str, Any], widths: list[int]) -> int:
        """R67: the step that a limit.set does not name."""
        free_from = int(controls["limit_free_from"].replace("-", "") or 0)
        if not widths or 0 < free_from <= self.trading_day:
            return 0
        locked, run = self.locked.get(instrument, 0), self.run_sides.get(instrument, 0)
        if not locked:
            return 1
        return min(self.steps.get(instrument, 0) + 1 if run in (0, locked) else 2, len(widths))

    def _obeyed(self, event: Event) -> None:
        """R67: behind LIMITS_SET, the orders that the limits concern, in rising order_id of each instrument."""
        order_id, kind = self._due.pop(0)
        reason = Reason.PRICE_LIMIT if kind == EventKind.ORDER_CANCELED else 0
        told = (event["order_id"], event["kind"], event["reason"])
        no_room = (order_id, EventKind.ORDER_CANCELED, Reason.LEVELS_FULL)
        expected = [(order_id, kind, reason), *([no_room] if kind == EventKind.ORDER_ACTIVATED else [])]
        assert told in expected, f"the limits concern {order_id}, with {kind.name} (R67)"

    def _locks(self, instrument: int) -> int:
        """R67: the side that waits at its limit and finds nobody, when the day ends."""
        if not self.steps.get(instrument):
            return 0
        low, high = self.limits[instrument]
        best = {side: self._best(instrument, side) for side in (BUY, SELL)}
        if best[BUY] == high and best[SELL] is None:
            return BUY
        return SELL if best[SELL] == low and best[BUY] is None else 0

    def _stay_inside(self, instrument: int) -> None:
        """R67: between two commands, who is in the book is within the limits, and who is suspended is not."""
        daily = self._daily(instrument)
        if daily is None:
            return
        for side in (BUY, SELL):
            outside = [price for price in self.queues.get((instrument, side), ()) if not within(price, daily)]
            assert not outside, f"orders rest at {outside}, outside the limits {daily} (R67)"
        inside = [i for i in self.suspended.get(instrument, ()) if within(self.orders[i].price, daily)]
        assert not inside, f"orders {inside} are suspended, and lie within the limits (R67)"

    # --- the volatility trigger ---------------------------------------------------------------------

    def _slices(self, instrument: int) -> list[int] | None:
        controls = self._controls(instrument)
        return None if controls is None else [self.time // (controls[ms] * 125_000) for ms in ("short_ms", "long_ms")]

    def _enter_windows(self, event: Event) -> None:
        """R69: every trade enters both windows."""
        slices = self._slices(event["instrument"])
        if slices is None:
            return
        for window, now in zip(self.windows.setdefault(event["instrument"], ({}, {})), slices, strict=True):
            low, high = window.get(now, (event["price"], event["price"]))
            window[now] = min(low, event["price"]), max(high, event["price"])

    def _bounds_now(self, instrument: int) -> Bounds | None:
        """R69: what bounds an order that comes in now; None if nobody knows."""
        controls, slices = self._controls(instrument), self._slices(instrument)
        if self._mode(instrument) != Mode.CONTINUOUS:
            return FREE
        if controls is None or slices is None:
            return None
        low, high = FREE
        ticks = (controls["short_ticks"], controls["long_ticks"])
        for window, now, most in zip(self.windows.get(instrument, ({}, {})), slices, ticks, strict=True):
            held = [prices for at, prices in window.items() if now - 8 < at <= now]
            if held and most:
                low, high = max(low, max(map(max, held)) - most), min(high, min(map(min, held)) + most)
        return low, high

    def _within_bounds(self, event: Event) -> None:
        """R69: nothing meets beyond the bounds as the incoming order found them."""
        assert within(event["price"], self._bounds) is not False, f"beyond the bounds {self._bounds} (R69)"

    def _pull(self, event: Event, order: Order) -> None:
        """R69: a call begins, for an order that would trade beyond the bounds."""
        instrument, best = order.instrument, self._best(order.instrument, BUY + SELL - order.side)
        assert order.instrument == event["instrument"] and order.leaves, "an order with leaves pulls the trigger (R69)"
        assert best is not None and self._reaches(order), "its limit reaches the best opposite price (R69)"
        assert not within(best, self._bounds), f"which lies beyond the bounds {self._bounds} (R69)"
        assert bool(event["flags"] & OVERRIDE) == (instrument in self.alone), "the phase stays whose it was (R65)"
        told = tuple(event[name] for name in ("order_id", "price", "qty", "side"))
        assert told == (0, 0, 0, 0), "no draw, no last match, no locked side"
        self.pulled[instrument] = self._bounds
        self.extended[instrument] = 0
        self._pulls.add(instrument)

    def _has_traded_all(self, order: Order) -> None:
        """R23 to R25, R46, R69: what is left of an order does not reach the book, or has pulled the trigger."""
        trades = self._mode(order.instrument) in (Mode.CONTINUOUS, Mode.AT_CLOSE)
        assert not trades or not self._reaches(order), "who stops trading before its limit pulls the trigger (R69)"

    def _call_extended(self, event: Event) -> None:
        """R70: a call that the trigger began goes on, since it would trade beyond the bounds of that moment."""
        instrument, phase = event["instrument"], self._phase(event)
        assert phase == Phase.VOLATILITY_AUCTION and instrument in self.pulled, "the trigger began the call (R70)"
        told = self.told[instrument]
        assert told.step != AuctionStep.NO_CROSS, "without a price it is ended (R70)"
        assert (event["price"], event["qty"]) == (told.price, told.volume), "as in the indicative (R70)"
        assert not within(told.price, self.pulled[instrument]), "it has a price beyond the bounds (R70)"
        self.extended[instrument] += 1
        assert event["reason"] == min(255, self.extended[instrument]), "how many times by now (R70)"
        assert event["flags"] & LAST, "nothing else is done (R70)"

    def _call_ended(self, event: Event) -> None:
        """R70: with `auto` a call that the trigger began ends without a price, or with one inside the bounds."""
        instrument, told = event["instrument"], self.told.get(event["instrument"])
        if self.asked.terms.get(event["seq"], {}).get("auto") and instrument in self.pulled:
            inside = told is None or told.step == AuctionStep.NO_CROSS or within(told.price, self.pulled[instrument])
            assert inside is not False, "it would trade beyond the bounds, and is extended (R70)"
        self.pulled.pop(instrument, None)

    def _set_by_act(self, event: Event) -> None:
        """R65, R67, R69: what a phase that an act has set says and forgets besides."""
        instrument, closes = event["instrument"], event["phase"] == Phase.CLOSED
        assert event["side"] == (self._locks(instrument) if closes else 0), "the locked side (R67)"
        self._call_ended(event)
        (self.alone.add if event["flags"] & OVERRIDE else self.alone.discard)(instrument)
        if closes:
            self.locked[instrument] = event["side"]
            self.windows.pop(instrument, None)
