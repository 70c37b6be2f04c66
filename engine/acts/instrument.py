"""Instruments: terms, band and window (R40, R15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, enter_phase, integer, limit_prices, name, price_of, text
from engine.acts.controls import begin_controls
from engine.acts.costs import settle, value_of
from engine.core.layout import (
    ASIDE,
    BEST,
    BITS0,
    BITS1,
    BITS2,
    BITS_USED,
    COMMODITY,
    FAR_BASE,
    FAR_LEVELS,
    FAR_USED,
    GROUP,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEVEL,
    LEVELS,
    LEVELS_USED,
    LINKS,
    MAX_QTY,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    OUTSIDE_LEVELS,
    PRICE,
    PROTECTION,
    REFERENCE,
    STOPS,
    TREE,
    TREE_USED,
    WINDOW,
    WINDOW_LO,
    WORDS2,
)  # fmt: skip
from engine.schema import (
    DEFAULT_PROTECTION_TICKS,
    DEFAULT_WINDOW_TICKS,
    MAX_CONTRACT_SIZE,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_STOP_LEVELS,
    MAX_WINDOW_TICKS,
    SYMBOL_ALL,
    Code,
    EventKind,
    Phase,
    Tick,
)  # fmt: skip

if TYPE_CHECKING:
    from engine.apply import State

REQUIRED = {"symbol", "ccy", "unit", "contract_size", "tick", "min_price", "max_price", "max_order_qty"}
OPTIONAL = frozenset({"name", "group", "commodity", "protection_ticks", "reference_price", "window_ticks"})


class _Band(NamedTuple):
    low: int
    high: int
    window_low: int
    width: int
    reference: int


def _band(terms: dict[str, Any]) -> _Band:
    """The price band and the window in it (R15)."""
    if not isinstance(terms["tick"], str):
        raise Refusal(Code.BAD_TERMS)
    try:
        tick = Tick.parse(terms["tick"])
    except ValueError:
        raise Refusal(Code.BAD_TERMS) from None
    low, high = price_of(terms, "min_price", tick), price_of(terms, "max_price", tick)
    if low > high:
        raise Refusal(Code.BAD_TERMS)
    middle = (low + high) // 2
    if "reference_price" in terms:
        middle = price_of(terms, "reference_price", tick)
        if not low <= middle <= high:
            raise Refusal(Code.BAD_TERMS)
    width = min(high - low + 1, integer(terms, "window_ticks", 1, MAX_WINDOW_TICKS, DEFAULT_WINDOW_TICKS))
    start = min(max(middle - width // 2, low), high - width + 1)
    return _Band(low, high, start, width, middle)


def define_instrument(state: State, terms: dict[str, Any]) -> list[Fact]:
    """instrument.define: check the terms, reserve the levels of both sides, start closed."""
    check_keys(terms, REQUIRED, OPTIONAL)
    symbol = name(terms, "symbol")
    name(terms, "ccy")
    name(terms, "unit")
    text(terms, "name")
    group = name(terms, "group") if "group" in terms else ""
    commodity = name(terms, "commodity") if "commodity" in terms else group or symbol
    integer(terms, "contract_size", 1, MAX_CONTRACT_SIZE)
    max_qty = integer(terms, "max_order_qty", 1, MAX_ORDER_QTY)
    protection = integer(terms, "protection_ticks", 0, MAX_ORDER_QTY, DEFAULT_PROTECTION_TICKS)
    if symbol == SYMBOL_ALL:
        raise Refusal(Code.BAD_TERMS)
    band = _band(terms)
    for ccy in state.ccys:
        value_of(terms, state.fixings.get((terms["ccy"], ccy)))
    if symbol in state.symbols:
        raise Refusal(Code.INSTRUMENT_EXISTS)
    far_levels = 0 if band.width == band.high - band.low + 1 else MAX_FAR_LEVELS
    arrays, h = state.arrays, state.arrays.h
    number = len(state.symbols) + 1
    needed = 2 * (band.width + far_levels)
    if number > state.limits.instruments or h[LEVELS_USED] - 1 + needed > state.limits.levels:
        raise Refusal(Code.INSTRUMENTS_FULL)

    state.symbols[symbol] = number
    state.instrument_terms.append(dict(terms))
    row = number * INSTRUMENT_WORDS
    ins = arrays.ins
    enter_phase(ins, row, Phase.CLOSED)
    ins[row + GROUP] = state.groups.setdefault(group, len(state.groups)) if group else 0
    ins[row + REFERENCE] = band.reference
    ins[row + MAX_QTY], ins[row + PROTECTION] = max_qty, protection
    ins[row + WINDOW_LO], ins[row + WINDOW] = band.window_low, band.width
    limit_prices(ins, row, band.low, band.high)
    ins[row + BEST], ins[row + BEST + 1] = NO_BUY, NO_SELL
    ins[row + FAR_LEVELS] = far_levels
    words0 = -(-band.width // 64)
    words1 = -(-words0 // 64)
    words2 = -(-words1 // 64)
    ins[row + WORDS2] = words2
    for side in (0, 1):
        used = int(h[BITS_USED])
        ins[row + BITS0 + side], ins[row + BITS1 + side] = used, used + words0
        ins[row + BITS2 + side] = used + words0 + words1
        h[BITS_USED] = used + words0 + words1 + words2
        first = int(h[LEVELS_USED])
        ins[row + LEVELS + side] = first
        _make_levels(state, first, band.width + far_levels, number)
        arrays.n8.reshape(-1, NODE8)[first : first + band.width, PRICE] = band.window_low + np.arange(band.width)
        h[LEVELS_USED] = first + band.width + far_levels
        _make_far_list(state, row + FAR_BASE + side, first + band.width, far_levels)
        ins[row + TREE + side] = h[TREE_USED]
        h[TREE_USED] += band.width + 1
    _make_stops(state, row, number)
    begin_controls(state, number, band.low, band.high, band.reference)
    h[INSTRUMENTS] = number
    ins[row + COMMODITY] = state.commodities.setdefault(commodity, len(state.commodities) + 1)
    if state.ccys or state.caps:
        settle(state, state.ccys, state.fixings, state.margins, state.fees)
    return [Fact(EventKind.INSTRUMENT_DEFINED, instrument=number, phase=Phase.CLOSED)]


def _make_far_list(state: State, field: int, first: int, size: int) -> None:
    """Give a side its list of prices outside the window; `size` levels from `first` on serve it."""
    arrays, h = state.arrays, state.arrays.h
    base = int(h[FAR_USED])
    arrays.ins[field] = base
    arrays.far.reshape(-1, 2)[base : base + size, 1] = first + np.arange(size)
    h[FAR_USED] = base + size


def _make_stops(state: State, row: int, number: int) -> None:
    """Give an instrument its book of waiting stops, and the queue of what is kept aside (R58, R60)."""
    ins = state.arrays.ins
    ins[row + STOPS + BEST], ins[row + STOPS + BEST + 1] = NO_BUY, NO_SELL
    first = state.limits.levels + 1 + (number - 1) * OUTSIDE_LEVELS
    _make_levels(state, first, OUTSIDE_LEVELS, number)
    for side in (0, 1):
        _make_far_list(state, row + STOPS + FAR_BASE + side, first + side * MAX_STOP_LEVELS, MAX_STOP_LEVELS)
    ins[row + ASIDE] = first + OUTSIDE_LEVELS - 1


def _make_levels(state: State, first: int, size: int, instrument: int) -> None:
    """Make each level the sentinel of its own empty queue."""
    records = state.arrays.n4.reshape(-1, NODE4)[first : first + size]
    numbers = first + np.arange(size)
    records[:, LEVEL] = numbers
    state.arrays.link.reshape(-1, LINKS)[first : first + size] = numbers[:, None]
    records[:, INSTRUMENT] = instrument
