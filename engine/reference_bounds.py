"""The readable matcher's price controls as things: what was set, the daily limits, the volatility trigger.

Rules R66 to R70 in as far as they are about one instrument and no order; `engine/reference_controls.py` carries them
out.  Imports the schema and the readings of acts.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

from engine.reference_acts import InstrumentTerms, LimitChange
from engine.reference_payload import Payload
from engine.schema import DEFAULT_LONG_MS, DEFAULT_SHORT_MS, MAX_PRICE_TICKS, WINDOW_SLICES, Side

__all__ = ["NO_BOUNDS", "Bounds", "Controls", "DailyLimits", "Trigger", "Window"]

_OF_WINDOWS: Final = frozenset({"short_ticks", "long_ticks", "short_ms", "long_ms"})
_SLICE_NS_PER_MS: Final = 1_000_000 // WINDOW_SLICES
_MOST_EXTENSIONS: Final = 255
_BASIS_POINTS: Final = 10_000


class Bounds(NamedTuple):
    """R69: the lowest and the highest price, in ticks, at which an incoming order may trade."""

    low: int
    high: int

    def hold(self, price: int) -> bool:
        """Whether a price lies inside."""
        return self.low <= price <= self.high


NO_BOUNDS: Final = Bounds(-MAX_PRICE_TICKS, MAX_PRICE_TICKS)  # no price lies beyond these (R40)


class Controls:
    """R66: the controls of an instrument; `said` has what was named so far, as it was last said."""

    def __init__(self) -> None:
        self.said: Payload = {}

    def change(self, said: Payload) -> None:
        """What is named replaces what was, the rest stays."""
        self.said |= said

    @staticmethod
    def are_of_windows(said: Payload) -> bool:
        """R69: whether a change empties the windows of the volatility trigger."""
        return not _OF_WINDOWS.isdisjoint(said)

    @property
    def band_ticks(self) -> int:
        """R68: how far from the reference price an order may be; 0: as far as it likes."""
        return int(self.said.get("band_ticks", 0))

    @property
    def limit_steps(self) -> list[int]:
        """R67: the widths of the daily limits in basis points, narrowest first."""
        text = str(self.said.get("limit_steps", ""))
        return [int(step) for step in text.split(",")] if text else []

    def is_free_on(self, trading_day: str) -> bool:
        """R67: whether an instrument has no daily limits any more; an unknown day is never that late."""
        free_from = str(self.said.get("limit_free_from", ""))
        return bool(free_from and trading_day) and trading_day >= free_from

    def most_value(self, terms: InstrumentTerms) -> int | None:
        """R66: the greatest |price| × order_qty, in ticks and lots, that an order may have; None: any."""
        text = str(self.said.get("max_order_value", ""))
        value = Fraction(text) if text else Fraction()
        if not value:
            return None
        tick = Fraction(terms.tick.units, 10**terms.tick.scale)
        return value // (tick * terms.contract_size)

    def window_ms(self) -> tuple[int, int]:
        """R69: how long the short and the long window look back."""
        return int(self.said.get("short_ms", DEFAULT_SHORT_MS)), int(self.said.get("long_ms", DEFAULT_LONG_MS))

    def window_ticks(self) -> tuple[int, int]:
        """R69: how far the price may go within the short and the long window; 0: anywhere."""
        return int(self.said.get("short_ticks", 0)), int(self.said.get("long_ticks", 0))


class DailyLimits:
    """R67: the daily limits of an instrument, `low` and `high` in ticks, and what those of the next day hang on."""

    def __init__(self, terms: InstrumentTerms) -> None:
        self.band = Bounds(terms.min_price, terms.max_price)
        self.settlement = terms.reference_price
        self.step = 0
        self.run_side = 0
        self.locked_side = 0
        self.low, self.high = self.band

    def admit(self, price: int) -> bool:
        """Whether a price lies inside."""
        return self.low <= price <= self.high

    def held(self, price: int) -> int:
        """A price, moved inside."""
        return min(max(price, self.low), self.high)

    def edge(self, side: int) -> int:
        """R51: the price at which an unpriced order ranks."""
        return self.high if side == Side.BUY else self.low

    def change(self, change: LimitChange, settlement: int | None, controls: Controls, trading_day: str) -> None:
        """Carry out a limit.set; `settlement` is the one that it names, in ticks."""
        if settlement is not None:
            self.settlement = settlement
        if change.step is None:
            self.step = self._next_step(controls, trading_day)
            self.run_side = self.locked_side
        else:
            self.step = change.step
            self.run_side = self.run_side if change.side is None else change.side
            self.locked_side = self.locked_side if change.locked is None else change.locked
        self.low, self.high = self.band
        if self.step:
            width = abs(self.settlement) * controls.limit_steps[self.step - 1] // _BASIS_POINTS
            self.low = max(self.settlement - width, self.band.low)
            self.high = min(self.settlement + width, self.band.high)

    def _next_step(self, controls: Controls, trading_day: str) -> int:
        """The step of a limit.set that names none: a run of locked days on one side widens the limits."""
        most = len(controls.limit_steps)
        if not most or controls.is_free_on(trading_day):
            return 0
        if not self.locked_side:
            return 1
        goes_on = self.run_side in (0, self.locked_side)
        return min(self.step + 1 if goes_on else 2, most)

    def picture(self) -> dict[str, int]:
        """What the dump says of them."""
        return {
            "settlement": self.settlement,
            "step": self.step,
            "side": self.run_side,
            "locked": self.locked_side,
            "low": self.low,
            "high": self.high,
        }


class Window:
    """R69: the lowest and highest price of each of the last slices of time that had a trade."""

    def __init__(self) -> None:
        self.slices: dict[int, tuple[int, int]] = {}

    def note(self, slice_number: int, price: int) -> None:
        """A trade enters its slice."""
        low, high = self.slices.get(slice_number, (price, price))
        self.slices[slice_number] = min(low, price), max(high, price)

    def prices(self, slice_number: int) -> tuple[int, int] | None:
        """The lowest and the highest price at a time in this slice; None if the window holds no trade."""
        for past in [past for past in self.slices if past <= slice_number - WINDOW_SLICES]:
            del self.slices[past]  # time never runs backwards (R1)
        if not self.slices:
            return None
        lows, highs = zip(*self.slices.values(), strict=True)
        return min(lows), max(highs)


class Trigger:
    """R69, R70: the two windows of an instrument, and the call that the trigger has begun."""

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self.windows = Window(), Window()
        self.pulled: Bounds | None = None  # the bounds of the present call; None: no trigger began it
        self.extensions = 0

    def note(self, time: int, price: int) -> None:
        """A trade enters both windows."""
        for window, slice_number in zip(self.windows, self._slice_numbers(time), strict=True):
            window.note(slice_number, price)

    def bounds(self, time: int) -> Bounds:
        """What the windows say now; the narrower counts."""
        low, high = NO_BOUNDS
        for window, slice_number, ticks in zip(
            self.windows, self._slice_numbers(time), self.controls.window_ticks(), strict=True
        ):
            prices = window.prices(slice_number) if ticks else None
            if prices is not None:
                lowest, highest = prices
                low, high = max(low, highest - ticks), min(high, lowest + ticks)
        return Bounds(low, high)

    def _slice_numbers(self, time: int) -> list[int]:
        return [time // (ms * _SLICE_NS_PER_MS) for ms in self.controls.window_ms()]

    def empty(self) -> None:
        """The windows hold no trade any more."""
        self.windows = Window(), Window()

    def pull(self, bounds: Bounds) -> None:
        """A call begins because an order reached beyond these bounds."""
        self.pulled, self.extensions = bounds, 0

    def let_go(self) -> None:
        """The call is over."""
        self.pulled, self.extensions = None, 0

    def extend(self) -> int:
        """R70: the call goes on; how many times it did so by now, as far as an event can say it."""
        self.extensions += 1
        return min(self.extensions, _MOST_EXTENSIONS)
