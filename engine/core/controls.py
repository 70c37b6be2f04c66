"""The price controls of an instrument: value, moving band, daily limits, volatility trigger (R66-R70).

Daily limits cost nothing by themselves: they are the band of the instrument's row.  An instrument with another control
is marked GATED, and its orders take the longer way.
"""

from __future__ import annotations

from engine.core.lane import I, inline, outline
from engine.core.layout import (
    BAND,
    BAND_MAX,
    BAND_MIN,
    BEST,
    BOUND_HIGH,
    BOUND_LOW,
    CONTROL_WORDS,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    MAX_PRICE,
    MAX_VALUE,
    MIN_PRICE,
    NO_BUY,
    NO_SELL,
    NO_SLICE,
    REFERENCE,
    SLICE_NS,
    SLICE_WORDS,
    SLICES,
    TICKS,
    TIME,
    WINDOW_WORDS,
)  # fmt: skip
from engine.core.memory import core
from engine.schema import WINDOW_SLICES


@inline
def control_of(row):
    """Where the controls of the instrument of a row are."""
    return row // INSTRUMENT_WORDS * CONTROL_WORDS


@inline
def reference_of(s, row):
    """R64."""
    return s.ins[row + LAST] if s.ins[row + LAST_ID] != 0 else s.ins[row + REFERENCE]


@inline
def outside_limits(s, row, price):
    """Whether a price lies outside the daily limits (R67)."""
    return price < s.ins[row + MIN_PRICE] or price > s.ins[row + MAX_PRICE]


@inline
def outside_contract(s, row, price):
    """Whether a price lies outside the band of the instrument's terms (R12)."""
    c = control_of(row)
    return price < s.ctl[c + BAND_MIN] or price > s.ctl[c + BAND_MAX]


@inline
def beyond_band(s, row, g, price):
    """Whether an order of side g is too far from the reference price (R68)."""
    return (price - reference_of(s, row)) * (1 - 2 * g) > s.ctl[control_of(row) + BAND]


@inline
def too_dear(s, row, price, qty):
    """Whether an order's value is above the instrument's maximum (R66)."""
    return abs(price) * qty > s.ctl[control_of(row) + MAX_VALUE]


@outline
def bounded(d, row, g, limit):
    """How far an incoming order of side g may trade: its limit, or the bound of the trigger (R69)."""
    s = core(d)
    c = control_of(row)
    low = I(NO_BUY)
    high = I(NO_SELL)
    for w in range(2):
        ticks = s.ctl[c + TICKS + w]
        if ticks != 0:
            present = s.h[TIME] // s.ctl[c + SLICE_NS + w]
            at = c + SLICES + w * WINDOW_WORDS
            for i in range(WINDOW_SLICES):
                number = s.ctl[at + i * SLICE_WORDS]
                if present - WINDOW_SLICES < number:
                    low = max(low, s.ctl[at + i * SLICE_WORDS + 1] - ticks)
                    high = min(high, s.ctl[at + i * SLICE_WORDS + 2] + ticks)
    s.ctl[c + BOUND_LOW] = low
    s.ctl[c + BOUND_HIGH] = high
    best = s.ins[row + BEST + 1 - g]
    if g == 0:
        return best - 1 if best < low else min(limit, high)
    return best + 1 if best > high else max(limit, low)


@outline
def note_window(d, row, price):
    """A trade enters both windows (R69)."""
    s = core(d)
    c = control_of(row)
    for w in range(2):
        number = s.h[TIME] // s.ctl[c + SLICE_NS + w]
        at = c + SLICES + w * WINDOW_WORDS + number % WINDOW_SLICES * SLICE_WORDS
        if s.ctl[at] != number:
            s.ctl[at] = number
            s.ctl[at + 1] = price
            s.ctl[at + 2] = price
        s.ctl[at + 1] = max(s.ctl[at + 1], price)
        s.ctl[at + 2] = min(s.ctl[at + 2], price)
    return I(0)


@outline
def empty_windows(d, row):
    """No trade is in either window (R69)."""
    s = core(d)
    at = control_of(row) + SLICES
    for i in range(2 * WINDOW_SLICES):
        s.ctl[at + i * SLICE_WORDS] = NO_SLICE
    return I(0)


__all__ = ["beyond_band", "bounded", "control_of", "empty_windows", "note_window", "outside_contract",
           "outside_limits", "reference_of", "too_dear"]  # fmt: skip
