"""Stops: which are reached, and what becomes of one that is elected (R60-R62)."""

from __future__ import annotations

from engine.core.book import level_at, stop_price_of, stop_waiting
from engine.core.controls import outside_limits
from engine.core.events import put_bearing
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    BEST,
    CAPACITY,
    ELECT,
    FLAG_TYPE,
    FLAGS,
    GIVES_UP,
    HIGH,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LINKS,
    LOW,
    MAX_PRICE,
    MIN_PRICE,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    PHASE,
    PRICE,
    PROTECTION,
    STOPPED,
    STOPS,
    STUCK,
)  # fmt: skip
from engine.core.matching import EVENTS_AT_ONCE, bring_in, cancel_incoming
from engine.core.memory import core, door
from engine.schema import EventKind, OrdType, Phase, Reason

TRIGGERED = int(EventKind.ORDER_TRIGGERED)
LIMIT, MARKET, STOP = int(OrdType.LIMIT), int(OrdType.MARKET), int(OrdType.STOP)
CONTINUOUS = int(Phase.CONTINUOUS)
BY_PRICE_LIMIT = int(Reason.PRICE_LIMIT)


@inline
def is_reached(s, row, g, stop_price):
    """Whether, in continuous, the day's last trade reaches a stop of side g (R60)."""
    if s.ins[row + PHASE] != CONTINUOUS or s.ins[row + LAST_ID] == 0:
        return False
    return (s.ins[row + LAST] - stop_price) * (1 - 2 * g) >= 0


@outline
def carry_out_stop(d, n, x, stop_price):
    """An elected stop, in no queue any more, becomes an incoming order (R60)."""
    s = core(d)
    r4 = x * NODE4
    flags = I(s.n4[r4 + FLAGS]) & ~I(STOPPED)
    s.n4[r4 + FLAGS] = flags
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    g = (flags & 3) - 1
    best = s.ins[row + BEST + 1 - g]
    meets = True
    kind = I(LIMIT)
    price = s.n8[x * NODE8 + PRICE]
    if (flags >> FLAG_TYPE) & 7 == STOP:
        kind = I(MARKET)
        flags |= I(GIVES_UP)
        meets = best != NO_BUY and best != NO_SELL
        price = I(0)
        if meets:
            limit = best + (1 - 2 * g) * s.ins[row + PROTECTION]
            price = min(max(limit, s.ins[row + MIN_PRICE]), s.ins[row + MAX_PRICE])
        s.n8[x * NODE8 + PRICE] = price
    n = put_bearing(door(s), n, I(TRIGGERED), x, I(0), stop_price, I(0))
    s.n4[r4 + FLAGS] = (flags & ~I(7 << FLAG_TYPE)) | (kind << FLAG_TYPE)
    if kind == LIMIT and outside_limits(s, row, price):
        return cancel_incoming(door(s), n, x, I(BY_PRICE_LIMIT))
    bring_in(s, x, price, meets)
    return n


@outline
def elect(d, n):
    """Carry out the next stop that the command's trades reach (R61), or find that there is none."""
    s = core(d)
    h = s.h
    row = h[ELECT] * INSTRUMENT_WORDS
    book = row + STOPS
    if s.ins[row + PHASE] == CONTINUOUS:
        for g in (1, 0):  # buy stops are the sell side of the book of stops
            price = s.ins[book + BEST + g]
            reached = price <= s.ins[row + HIGH] if g == 1 else price >= s.ins[row + LOW]
            if reached:
                if n + EVENTS_AT_ONCE > h[CAPACITY]:
                    h[STUCK] = 1
                    return n
                x = I(s.link[level_at(s, book, g, price) * LINKS + NEXT])
                stop_waiting(door(s), x)
                return carry_out_stop(door(s), n, x, price)
    h[ELECT] = 0
    return n


__all__ = ["carry_out_stop", "elect", "is_reached", "stop_price_of"]
