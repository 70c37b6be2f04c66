"""Matching an incoming order against the opposite side (R20-R27), in parts if need be (R36).

The incoming order has its record from acceptance on; while it is incoming its LEAVES and QTY fields are kept
current only where the work is put aside or another function has to read them.
"""

from __future__ import annotations

from engine.core.book import join, leave, level_at, next_price, vacate
from engine.core.events import (
    AMEND,
    CANCELED,
    PREVENTED,
    TRADE,
    order_attributes,
    put_canceled,
    put_order_row,
    put_trade,
)  # fmt: skip
from engine.core.ids import close_entry, unindex_order
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    BEST,
    CAPACITY,
    CURSOR,
    CURSOR_AT,
    CURSOR_RECORD,
    ENTRY_END,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    FREE,
    INCOMING_ENDED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LEAVES,
    LIVE,
    MATCHING,
    NEXT,
    NEXT_TRADE,
    NODE4,
    NODE8,
    OP,
    OPEN_ORDERS,
    ORDER_ID,
    PHASE,
    PREV,
    QTY,
    SMP_KEY,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import OrdStatus, OrdType, Reason, Smp, TimeInForce

FILLED, ENDED_CANCELED, ENDED_EXPIRED = int(OrdStatus.FILLED), int(OrdStatus.CANCELED), int(OrdStatus.EXPIRED)
SMP_NONE, CANCEL_RESTING, CANCEL_INCOMING = int(Smp.NONE), int(Smp.CANCEL_RESTING), int(Smp.CANCEL_INCOMING)
CANCEL_BOTH, DECREMENT = int(Smp.CANCEL_BOTH), int(Smp.DECREMENT)
IOC, FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
MARKET = int(OrdType.MARKET)
BY_IOC, BY_FOK, BY_PROTECTION = int(Reason.IOC), int(Reason.FOK), int(Reason.PROTECTION)
BY_SELF_MATCH = int(Reason.SELF_MATCH)


@inline
def release(s, x, status):
    """End the order in record x: note its end, forget its order_id, give the record back.

    LEAVES must hold what was canceled or 0, so that QTY - LEAVES is what was filled."""
    h = s.h
    r4 = x * NODE4
    b = close_entry(s, x, I(status))
    s.ids[b + ENTRY_END] = (I(status) << 40) | (I(s.n4[r4 + QTY]) - I(s.n4[r4 + LEAVES]))
    unindex_order(s, s.n8[x * NODE8 + ORDER_ID], x)
    s.acc[I(s.n4[r4 + ACCOUNT]) * ACCOUNT_WORDS + OPEN_ORDERS] -= 1
    s.n8[x * NODE8 + ORDER_ID] = 0
    s.n4[r4 + NEXT] = h[FREE]
    h[FREE] = x
    h[LIVE] -= 1


@outline
def cancel_resting(d, n, x, kind, status, reason, named):
    """Take a resting order off the book with one event (R29, R33, R34, R43); n + 1."""
    s = core(d)
    n = put_canceled(door(s), n, kind, x, I(s.n4[x * NODE4 + LEAVES]), reason, named)
    leave(s, x, (I(s.n4[x * NODE4 + FLAGS]) & 3) - 1)
    release(s, x, status)
    return n


@outline
def _end_decremented(d, n, x, lots, resting):
    """Cancel an order that a decrement has emptied: its qty is what was filled, delta_qty = lots (R27)."""
    s = core(d)
    named = (not resting) and s.h[OP] == I(AMEND)
    n = put_canceled(door(s), n, I(CANCELED), x, lots, I(BY_SELF_MATCH), named)
    if resting:
        leave(s, x, (I(s.n4[x * NODE4 + FLAGS]) & 3) - 1)
    release(s, x, I(ENDED_CANCELED))
    return n


@outline
def prevent(d, n, x, m, q):
    """Self-match prevention between incoming x with q open lots and resting m (R27); returns (n, q left)."""
    s = core(d)
    r4 = x * NODE4
    m4 = m * NODE4
    flags = I(s.n4[r4 + FLAGS])
    mode = (flags >> FLAG_SMP) & 7
    instrument = I(s.n4[r4 + INSTRUMENT])
    rest = I(s.n4[m4 + LEAVES])
    lots = min(q, rest)
    q_after = q
    rest_after = rest
    if mode == CANCEL_RESTING or mode == CANCEL_BOTH:
        rest_after = I(0)
    if mode == CANCEL_INCOMING or mode == CANCEL_BOTH:
        q_after = I(0)
    if mode == DECREMENT:
        q_after = q - lots
        rest_after = rest - lots
    qty = I(s.n4[r4 + QTY])
    put_trade(s, n, I(PREVENTED), instrument, I(s.n4[r4 + ACCOUNT]), s.ins[instrument * INSTRUMENT_WORDS + PHASE],
              order_attributes(flags), s.n8[x * NODE8 + ORDER_ID], s.n8[m * NODE8 + 7], lots, q_after, qty - q, I(0),
              s.n8[m * NODE8 + ORDER_ID], I(s.n4[m4 + ACCOUNT]), mode, rest_after)  # fmt: skip
    n += 1
    s.n4[r4 + LEAVES] = q
    if mode == DECREMENT:
        s.n4[m4 + LEAVES] = rest_after
        s.n4[m4 + QTY] = I(s.n4[m4 + QTY]) - lots
        s.n4[r4 + LEAVES] = q_after
        s.n4[r4 + QTY] = qty - lots
        if rest_after == 0:
            n = _end_decremented(door(s), n, m, lots, True)
        if q_after == 0:
            n = _end_decremented(door(s), n, x, lots, False)
            s.h[INCOMING_ENDED] = 1
        return n, q_after
    if rest_after == 0:
        n = cancel_resting(door(s), n, m, I(CANCELED), I(ENDED_CANCELED), I(BY_SELF_MATCH), False)
    if q_after == 0:
        n = cancel_incoming(door(s), n, x, I(BY_SELF_MATCH))
        s.h[INCOMING_ENDED] = 1
    return n, q_after


@outline
def cancel_incoming(d, n, x, reason):
    """Cancel what is left (LEAVES) of the incoming order in record x; n + 1."""
    s = core(d)
    n = put_canceled(door(s), n, I(CANCELED), x, I(s.n4[x * NODE4 + LEAVES]), reason, s.h[OP] == I(AMEND))
    release(s, x, I(ENDED_CANCELED))
    return n


@outline
def fok_fills(d, row, og, limit, q, key, mode):
    """Whether matching would fill q lots whole at `limit` or better (R26); touches nothing."""
    s = core(d)
    price = s.ins[row + BEST + og]
    sign = 2 * og - 1
    while (limit - price) * sign >= 0:
        level = level_at(s, row, og, price)
        m = I(s.n4[level * NODE4 + NEXT])
        while m != level:
            if mode != SMP_NONE and I(s.n4[m * NODE4 + SMP_KEY]) == key:
                if mode != CANCEL_RESTING:
                    return False
            else:
                q -= I(s.n4[m * NODE4 + LEAVES])
                if q <= 0:
                    return True
            m = I(s.n4[m * NODE4 + NEXT])
        price = next_price(door(s), row, og, price)
    return False


@inline
def sweep(s, n, x, row, og, limit, q):
    """Trade the incoming order in record x with side og while prices cross (R20-R22, R27).

    Returns (n, lots left).  If the room for events runs out, LEAVES is stored and CURSOR says so."""
    h = s.h
    r4 = x * NODE4
    sign = 2 * og - 1
    flags = I(s.n4[r4 + FLAGS])
    mode = (flags >> FLAG_SMP) & 7
    key = I(s.n4[r4 + SMP_KEY])
    account = I(s.n4[r4 + ACCOUNT])
    instrument = I(s.n4[r4 + INSTRUMENT])
    order_id = s.n8[x * NODE8 + ORDER_ID]
    attributes = order_attributes(flags)
    phase = s.ins[row + PHASE]
    room = h[CAPACITY]
    while q > 0:
        price = s.ins[row + BEST + og]
        if (limit - price) * sign < 0:
            break
        level = level_at(s, row, og, price)
        m = I(s.n4[level * NODE4 + NEXT])
        qty = I(s.n4[r4 + QTY])
        met = False
        while True:
            m4 = m * NODE4
            if n + 4 > room:
                h[CURSOR] = MATCHING
                break
            if mode != SMP_NONE and I(s.n4[m4 + SMP_KEY]) == key:
                met = True
                break
            rest = I(s.n4[m4 + LEAVES])
            f = min(q, rest)
            q -= f
            rest -= f
            trade_id = h[NEXT_TRADE]
            h[NEXT_TRADE] = trade_id + 1
            put_trade(s, n, I(TRADE), instrument, account, phase, attributes, order_id, price, f, q, qty - q,
                      trade_id, s.n8[m * NODE8 + ORDER_ID], I(s.n4[m4 + ACCOUNT]), I(0), rest)  # fmt: skip
            n += 1
            s.n4[m4 + LEAVES] = rest
            if rest > 0:
                break
            after = I(s.n4[m4 + NEXT])
            release(s, m, I(FILLED))
            m = after
            if m == level or q == 0:
                break
        s.n4[level * NODE4 + NEXT] = m
        s.n4[m * NODE4 + PREV] = level
        if m == level:
            vacate(door(s), row, og, price)
        if h[CURSOR] != 0:
            s.n4[r4 + LEAVES] = q
            h[CURSOR_RECORD] = x
            h[CURSOR_AT] = limit
            break
        if met:
            n, q = prevent(door(s), n, x, m, q)
    return n, q


@inline
def settle(s, n, x, row, g, price, q):
    """What becomes of the incoming order with q lots left: it rests, is filled or is canceled (R23-R26)."""
    r4 = x * NODE4
    if s.h[INCOMING_ENDED] != 0:
        s.h[INCOMING_ENDED] = 0
        return n
    s.n4[r4 + LEAVES] = q
    if q == 0:
        release(s, x, I(FILLED))
        return n
    flags = I(s.n4[r4 + FLAGS])
    tif = (flags >> FLAG_TIF) & 7
    if (flags >> FLAG_TYPE) & 3 == MARKET or tif >= IOC:
        return _give_up(door(s), n, x, flags)
    join(s, row, g, x, price)
    return n


@outline
def _give_up(d, n, x, flags):
    s = core(d)
    tif = (flags >> FLAG_TIF) & 7
    reason = I(BY_IOC)
    if tif == FOK:
        reason = I(BY_FOK)
    elif (flags >> FLAG_TYPE) & 3 == MARKET:
        reason = I(BY_PROTECTION)
    return cancel_incoming(door(s), n, x, reason)


__all__ = ["ENDED_CANCELED", "ENDED_EXPIRED", "cancel_incoming", "cancel_resting", "fok_fills", "put_order_row",
           "release", "settle", "sweep"]  # fmt: skip
