"""Instruments: terms, band and window (R40, R15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, integer, name, text
from engine.core.layout import (
    BEST,
    BITS0,
    BITS1,
    BITS2,
    BITS_USED,
    FAR_BASE,
    FAR_LEVELS,
    FAR_USED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LEVEL,
    LEVELS,
    LEVELS_USED,
    MAX_PRICE,
    MAX_QTY,
    MIN_PRICE,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    PHASE,
    PREV,
    PRICE,
    PROTECTION,
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
    MAX_PRICE_TICKS,
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
OPTIONAL = frozenset({"name", "protection_ticks", "reference_price", "window_ticks"})


class _Band(NamedTuple):
    low: int
    high: int
    window_low: int
    width: int


def _price(terms: dict[str, Any], key: str, tick: Tick) -> int:
    value = terms[key]
    if not isinstance(value, str):
        raise Refusal(Code.BAD_TERMS)
    try:
        ticks = tick.ticks(value)
    except ValueError:
        raise Refusal(Code.BAD_TERMS) from None
    if ticks is None or abs(ticks) > MAX_PRICE_TICKS:
        raise Refusal(Code.BAD_TERMS)
    return ticks


def _band(terms: dict[str, Any]) -> _Band:
    """The price band and the window in it (R15)."""
    if not isinstance(terms["tick"], str):
        raise Refusal(Code.BAD_TERMS)
    try:
        tick = Tick.parse(terms["tick"])
    except ValueError:
        raise Refusal(Code.BAD_TERMS) from None
    low, high = _price(terms, "min_price", tick), _price(terms, "max_price", tick)
    if low > high:
        raise Refusal(Code.BAD_TERMS)
    middle = (low + high) // 2
    if "reference_price" in terms:
        middle = _price(terms, "reference_price", tick)
        if not low <= middle <= high:
            raise Refusal(Code.BAD_TERMS)
    width = min(high - low + 1, integer(terms, "window_ticks", 1, MAX_WINDOW_TICKS, DEFAULT_WINDOW_TICKS))
    start = min(max(middle - width // 2, low), high - width + 1)
    return _Band(low, high, start, width)


def define_instrument(state: State, terms: dict[str, Any]) -> list[Fact]:
    """instrument.define: check the terms, reserve the levels of both sides, start closed."""
    check_keys(terms, REQUIRED, OPTIONAL)
    symbol = name(terms, "symbol")
    name(terms, "ccy")
    name(terms, "unit")
    text(terms, "name")
    integer(terms, "contract_size", 1, MAX_CONTRACT_SIZE)
    max_qty = integer(terms, "max_order_qty", 1, MAX_ORDER_QTY)
    protection = integer(terms, "protection_ticks", 0, MAX_ORDER_QTY, DEFAULT_PROTECTION_TICKS)
    if symbol == SYMBOL_ALL:
        raise Refusal(Code.BAD_TERMS)
    band = _band(terms)
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
    ins[row + PHASE] = Phase.CLOSED
    ins[row + MIN_PRICE], ins[row + MAX_PRICE] = band.low, band.high
    ins[row + MAX_QTY], ins[row + PROTECTION] = max_qty, protection
    ins[row + WINDOW_LO], ins[row + WINDOW] = band.window_low, band.width
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
        base = int(h[FAR_USED])
        ins[row + FAR_BASE + side] = base
        far = arrays.far.reshape(-1, 2)
        far[base : base + far_levels, 1] = first + band.width + np.arange(far_levels)
        h[FAR_USED] = base + far_levels
    h[INSTRUMENTS] = number
    return [Fact(EventKind.INSTRUMENT_DEFINED, instrument=number, phase=Phase.CLOSED)]


def _make_levels(state: State, first: int, size: int, instrument: int) -> None:
    """Make each level the sentinel of its own empty queue."""
    records = state.arrays.n4.reshape(-1, NODE4)[first : first + size]
    numbers = first + np.arange(size)
    records[:, NEXT] = records[:, PREV] = records[:, LEVEL] = numbers
    records[:, INSTRUMENT] = instrument
