"""Matching an incoming order against the opposite side (R20-R27), in parts if need be (R36).

The incoming order has its record from acceptance on; while it is incoming its LEAVES and QTY fields are kept
current only where the work is put aside or another function has to read them.
"""

from __future__ import annotations

from engine.core.accounts import book_trade, move_lots, position_at
from engine.core.book import (
    append,
    far_full,
    is_far,
    join,
    leave,
    level_at,
    next_price,
    stop_waiting,
    unlink,
    vacate,
)  # fmt: skip
from engine.core.calls import begin_call, count_lots, forget_told
from engine.core.controls import bounded, control_of, note_window
from engine.core.events import (
    CANCELED,
    PREVENTED,
    TRADE,
    order_attributes,
    put_bearing,
    put_body,
    put_canceled,
    put_head,
    put_order_row,
    put_trade,
)  # fmt: skip
from engine.core.ids import close_entry, unindex_order
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    BEST,
    BUYS_OPEN,
    BY_ACCOUNT,
    BY_TRIGGER,
    CALLING,
    CAPACITY,
    CURSOR,
    CURSOR_AT,
    CURSOR_RECORD,
    DIRECT_MASK,
    DIRTY,
    DISPLAY,
    ELECT,
    ENTRY,
    ENTRY_END,
    ENTRY_WORDS,
    EXTENSIONS,
    FIRST_TRADE,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    FREE,
    GATED,
    GIVES_UP,
    HIGH,
    ICEBERG,
    IDLE,
    INCOMING_ENDED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVES,
    LEVEL,
    LINKS,
    LIVE,
    LOW,
    MATCHING,
    MODE_AT,
    MORE_WORDS,
    NEXT,
    NEXT_TRADE,
    NODE4,
    NODE8,
    OPEN_ORDERS,
    ORDER_ID,
    OVERRIDE,
    PARKED,
    PENDING,
    PERMITS,
    PHASE,
    POSITION,
    PREV,
    PRICE,
    QTY,
    SETTLING,
    SHOWN,
    SMP_KEY,
    STOPPED,
    STOPS,
    STUCK,
    SUSPENDED,
    TELL_AT,
    TELL_TO,
    TRIGGERED,
    UNPRICED,
)  # fmt: skip
from engine.core.memory import core, door, fetch
from engine.phases import PHASES
from engine.schema import OVERRIDE as TO_OVERRIDE
from engine.schema import EventKind, OrdStatus, OrdType, Phase, Reason, Smp, TimeInForce

FILLED, ENDED_CANCELED, ENDED_EXPIRED = int(OrdStatus.FILLED), int(OrdStatus.CANCELED), int(OrdStatus.EXPIRED)
SMP_NONE, CANCEL_RESTING, CANCEL_INCOMING = int(Smp.NONE), int(Smp.CANCEL_RESTING), int(Smp.CANCEL_INCOMING)
CANCEL_BOTH, DECREMENT = int(Smp.CANCEL_BOTH), int(Smp.DECREMENT)
IOC, FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
LIMIT, MARKET, MARKET_TO_LIMIT = int(OrdType.LIMIT), int(OrdType.MARKET), int(OrdType.MARKET_TO_LIMIT)
REFRESHED, ACTIVATED = int(EventKind.ORDER_REFRESHED), int(EventKind.ORDER_ACTIVATED)
CONTINUOUS, VOLATILITY_AUCTION = int(Phase.CONTINUOUS), int(Phase.VOLATILITY_AUCTION)
VOLATILITY_PERMITS = int(PHASES[Phase.VOLATILITY_AUCTION].permits | PHASES[Phase.VOLATILITY_AUCTION].mode << MODE_AT)
PHASE_CHANGED = int(EventKind.PHASE_CHANGED)
EVENTS_AT_ONCE = 4  # a prevention that ends both orders makes three, and what is left of an order one
BY_IOC, BY_FOK, BY_PROTECTION = int(Reason.IOC), int(Reason.FOK), int(Reason.PROTECTION)
BY_SELF_MATCH, BY_LEVELS = int(Reason.SELF_MATCH), int(Reason.LEVELS_FULL)


@inline
def release(s, x, status):
    """End the order in record x: note its end, forget its order_id, give the record back.

    LEAVES must hold what was canceled or 0, so that QTY - LEAVES is what was filled."""
    h = s.h
    r4 = x * NODE4
    b = close_entry(s, x, I(status))
    s.ids[b + ENTRY_END] = (I(status) << 40) | (I(s.n4[r4 + QTY]) - I(s.n4[r4 + LEAVES]))
    unindex_order(s, s.n8[x * NODE8 + ORDER_ID], x)
    account = I(s.n4[r4 + ACCOUNT])
    s.acc[account * ACCOUNT_WORDS + OPEN_ORDERS] -= 1
    left = I(s.n4[r4 + LEAVES])
    if left != 0:
        move_lots(s, account, I(s.n4[r4 + INSTRUMENT]), (I(s.n4[r4 + FLAGS]) & 3) - 1, -left, I(0))
    s.n8[x * NODE8 + ORDER_ID] = 0
    s.link[x * LINKS + NEXT] = h[FREE]
    h[FREE] = x
    h[LIVE] -= 1


@outline
def withdraw(d, x):
    """Take a live order out of wherever it waits: book, stops, or kept aside; LEAVES are still what waited there."""
    s = core(d)
    flags = I(s.n4[x * NODE4 + FLAGS])
    if flags & STOPPED != 0:
        return stop_waiting(door(s), x)
    if flags & (PARKED | SUSPENDED) != 0:
        unlink(s, x)
        return I(0)
    row = I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS
    g = (flags & 3) - 1
    if s.ins[row + CALLING] != 0:
        count_lots(door(s), row, g, I(s.n4[x * NODE4 + LEVEL]), s.n8[x * NODE8 + PRICE],
                   -I(s.n4[x * NODE4 + LEAVES]), I(-1) if flags & UNPRICED == 0 else I(0))  # fmt: skip
    leave(s, x, g)
    return I(0)


@outline
def cancel_resting(d, n, x, kind, status, reason, named):
    """Take a live order off, wherever it waits, with one event (R29, R33, R34, R43, R49); n + 1."""
    s = core(d)
    n = put_canceled(door(s), n, kind, x, I(s.n4[x * NODE4 + LEAVES]), reason, named)
    withdraw(door(s), x)
    release(s, x, status)
    return n


@outline
def _end_decremented(d, n, x, lots, resting):
    """Cancel an order that a decrement has emptied: its qty is what was filled, delta_qty = lots (R27)."""
    s = core(d)
    n = put_canceled(door(s), n, I(CANCELED), x, lots, I(BY_SELF_MATCH), False)
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
        move_lots(s, I(s.n4[r4 + ACCOUNT]), instrument, (flags & 3) - 1, -lots, I(0))
        move_lots(s, I(s.n4[m4 + ACCOUNT]), instrument, 2 - (flags & 3), -lots, I(0))
        if I(s.n4[m4 + FLAGS]) & ICEBERG != 0:
            s.more[m * MORE_WORDS + SHOWN] = min(s.more[m * MORE_WORDS + SHOWN], rest_after)
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
    n = put_canceled(door(s), n, I(CANCELED), x, I(s.n4[x * NODE4 + LEAVES]), reason, False)
    release(s, x, I(ENDED_CANCELED))
    return n


@outline
def fok_fills(d, row, og, limit, q, key, mode):
    """Whether matching would fill q lots at once at `limit` or better (R26, R48); touches nothing.

    A level that has an order which ends the walk gives what stands and shows before it; any other all it has."""
    s = core(d)
    price = s.ins[row + BEST + og]
    sign = 2 * og - 1
    while (limit - price) * sign >= 0:
        level = level_at(s, row, og, price)
        m = I(s.link[level * LINKS + NEXT])
        seen = q
        while m != level:
            if mode != SMP_NONE and I(s.n4[m * NODE4 + SMP_KEY]) == key:
                if mode != CANCEL_RESTING:
                    return False
            else:
                rest = I(s.n4[m * NODE4 + LEAVES])
                q -= rest
                if I(s.n4[m * NODE4 + FLAGS]) & ICEBERG != 0:
                    rest = s.more[m * MORE_WORDS + SHOWN]
                seen -= rest
                if seen <= 0:
                    return True
            m = I(s.link[m * LINKS + NEXT])
        if q <= 0:
            return True
        price = next_price(door(s), row, og, price)
    return False


@outline
def _trade_shown(d, n, x, m, q):
    """Trade incoming x, which has q lots left, with what the iceberg m shows (R47); returns (n, q left)."""
    s = core(d)
    h = s.h
    m4 = m * NODE4
    flags = I(s.n4[x * NODE4 + FLAGS])
    instrument = I(s.n4[x * NODE4 + INSTRUMENT])
    shown = s.more[m * MORE_WORDS + SHOWN]
    f = min(q, shown)
    q -= f
    shown -= f
    rest = I(s.n4[m4 + LEAVES]) - f
    trade_id = h[NEXT_TRADE]
    h[NEXT_TRADE] = trade_id + 1
    put_trade(s, n, I(TRADE), instrument, I(s.n4[x * NODE4 + ACCOUNT]), s.ins[instrument * INSTRUMENT_WORDS + PHASE],
              order_attributes(flags), s.n8[x * NODE8 + ORDER_ID], s.n8[m * NODE8 + PRICE], f, q,
              I(s.n4[x * NODE4 + QTY]) - q, trade_id, s.n8[m * NODE8 + ORDER_ID], I(s.n4[m4 + ACCOUNT]), I(0),
              rest)  # fmt: skip
    book_trade(door(s), n, instrument, I(s.n4[x * NODE4 + ACCOUNT]), (flags & 3) - 1, I(s.n4[m4 + ACCOUNT]),
               s.n8[m * NODE8 + PRICE], f)  # fmt: skip
    n += 1
    s.n4[m4 + LEAVES] = rest
    if rest == 0:
        leave(s, m, (I(s.n4[m4 + FLAGS]) & 3) - 1)
        release(s, m, I(FILLED))
        return n, q
    if shown == 0:
        shown = min(s.more[m * MORE_WORDS + DISPLAY], rest)
        level = I(s.n4[m4 + LEVEL])
        unlink(s, m)
        append(s, level, m)
        n = put_order_row(door(s), n, I(REFRESHED), m, rest, shown, I(0), I(0), I(0))
    s.more[m * MORE_WORDS + SHOWN] = shown
    return n, q


@outline
def note_trades(d, row, first, last):
    """Trades were made from price `first` to `last`: note the last (R64), and whether stops are reached (R61)."""
    s = core(d)
    h = s.h
    s.ins[row + LAST] = last
    s.ins[row + LAST_ID] = h[NEXT_TRADE] - 1
    if s.ins[row + GATED] & BY_TRIGGER != 0:
        note_window(door(s), row, first)
        note_window(door(s), row, last)
    high = max(first, last)
    low = min(first, last)
    if h[ELECT] != 0:
        high = max(high, s.ins[row + HIGH])
        low = min(low, s.ins[row + LOW])
    elif s.ins[row + PHASE] != CONTINUOUS or (s.ins[row + STOPS + BEST + 1] > high and s.ins[row + STOPS + BEST] < low):
        return I(0)
    s.ins[row + HIGH] = high
    s.ins[row + LOW] = low
    h[ELECT] = row // INSTRUMENT_WORDS
    h[PENDING] = 1
    return I(0)


@inline
def _look_along(s, x):
    """Ask for what the end of the order after record x will touch; that order's record."""
    x = I(s.link[x * LINKS + NEXT])
    fetch(s.ids, I(s.n4[x * NODE4 + ENTRY]) * ENTRY_WORDS)
    fetch(s.direct, s.n8[x * NODE8 + ORDER_ID] & s.h[DIRECT_MASK])
    return x


@inline
def _take_lots(s, account, instrument, g, lots):
    """Lots of an account's open orders of side g have traded (R73)."""
    p = position_at(s, account, instrument)
    s.pos[p + POSITION] += (1 - 2 * g) * lots
    s.pos[p + BUYS_OPEN + g] -= lots


@inline
def _put_aside(s, x, q, limit):
    """Keep what is to be known for going on when there is room for events again (R36)."""
    s.n4[x * NODE4 + LEAVES] = q
    s.h[CURSOR_RECORD] = x
    s.h[CURSOR_AT] = limit


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
    trades = h[NEXT_TRADE]
    first = s.ins[row + BEST + og]
    last = first
    counted = s.ins[row + GATED] & BY_ACCOUNT != 0
    done = I(0)
    while q > 0:
        price = s.ins[row + BEST + og]
        if (limit - price) * sign < 0:
            break
        level = level_at(s, row, og, price)
        m = I(s.link[level * LINKS + NEXT])
        near = m
        qty = I(s.n4[r4 + QTY])
        met = shows = False
        before = h[NEXT_TRADE]
        far = I(0)
        while True:
            m4 = m * NODE4
            if n + EVENTS_AT_ONCE > room:
                h[CURSOR] = MATCHING
                break
            if mode != SMP_NONE and I(s.n4[m4 + SMP_KEY]) == key:
                met = True
                break
            if I(s.n4[m4 + FLAGS]) & ICEBERG != 0:
                shows = True
                break
            rest = I(s.n4[m4 + LEAVES])
            f = min(q, rest)
            q -= f
            rest -= f
            trade_id = h[NEXT_TRADE]
            h[NEXT_TRADE] = trade_id + 1
            put_trade(s, n, I(TRADE), instrument, account, phase, attributes, order_id, price, f, q, qty - q,
                      trade_id, s.n8[m * NODE8 + ORDER_ID], I(s.n4[m4 + ACCOUNT]), I(0), rest)  # fmt: skip
            if counted:
                book_trade(door(s), n, instrument, account, 1 - og, I(s.n4[m4 + ACCOUNT]), price, f)
            else:
                _take_lots(s, I(s.n4[m4 + ACCOUNT]), instrument, og, f)
                done += f
            n += 1
            s.n4[m4 + LEAVES] = rest
            if rest > 0:
                break
            after = I(s.link[m * LINKS + NEXT])
            release(s, m, I(FILLED))
            m = after
            if m == level or q == 0:
                break
            if far == 0:
                near, far = m, I(s.link[I(s.link[I(s.link[m * LINKS + NEXT]) * LINKS + NEXT]) * LINKS + NEXT])
            far = I(s.link[far * LINKS + NEXT])
            fetch(s.n4, far * NODE4)
            near = _look_along(s, near)
        s.link[level * LINKS + NEXT] = m
        s.link[m * LINKS + PREV] = level
        if m == level:
            vacate(door(s), row, og, price)
        if shows:
            n, q = _trade_shown(door(s), n, x, m, q)
        if h[NEXT_TRADE] != before:
            last = price
            if before == trades:
                first = price
        if h[CURSOR] != 0:
            _put_aside(s, x, q, limit)
            break
        if met:
            n, q = prevent(door(s), n, x, m, q)
    if done != 0:
        _take_lots(s, account, instrument, 1 - og, done)
    if h[NEXT_TRADE] != trades:
        note_trades(door(s), row, first, last)
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
    if flags & GIVES_UP != 0:
        return _give_up(door(s), n, x, flags)
    if is_far(s, row, price) and far_full(door(s), row, g, price):
        return cancel_incoming(door(s), n, x, I(BY_LEVELS))
    join(s, row, g, x, price)
    if flags & ICEBERG != 0:
        s.more[x * MORE_WORDS + SHOWN] = min(s.more[x * MORE_WORDS + DISPLAY], q)
    return n


@inline
def bring_in(s, x, limit, trades):
    """Have the order in record x come in once the command's function has returned (R36): it trades, or is settled only.

    All but the commonest ways in go by this, so that matching is compiled into few functions."""
    h = s.h
    if trades and s.ins[I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS + GATED] & BY_TRIGGER != 0:
        limit = within_bounds(s, x, limit)
    h[CURSOR] = MATCHING if trades else SETTLING
    h[CURSOR_RECORD] = x
    h[CURSOR_AT] = limit
    h[PENDING] = 1


@inline
def within_bounds(s, x, limit):
    """How far the order in record x may trade (R69)."""
    row = I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS
    if s.ins[row + GATED] & BY_TRIGGER == 0 or s.ins[row + PHASE] != CONTINUOUS:
        return limit
    return bounded(door(s), row, (I(s.n4[x * NODE4 + FLAGS]) & 3) - 1, limit)


@outline
def go_on(d, n):
    """Trade the order at the cursor as far as there is room for events, and settle what is left; n."""
    s = core(d)
    h = s.h
    x = h[CURSOR_RECORD]
    limit = h[CURSOR_AT]
    r4 = x * NODE4
    g = (I(s.n4[r4 + FLAGS]) & 3) - 1
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    left = I(s.n4[r4 + LEAVES])
    price = s.n8[x * NODE8 + PRICE]
    matches = h[CURSOR] == MATCHING
    crosses = matches and (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0
    if n + EVENTS_AT_ONCE > h[CAPACITY]:
        gives_up = I(s.n4[r4 + FLAGS]) & GIVES_UP != 0
        if crosses or gives_up or (is_far(s, row, price) and far_full(door(s), row, g, price)):
            h[STUCK] = 1
            return n
    h[CURSOR] = IDLE
    if crosses and (limit - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
        n, left = sweep(s, n, x, row, 1 - g, limit, left)
        if h[CURSOR] != IDLE:
            h[STUCK] = 1
            return n
    if limit != price and matches and left > 0 and h[INCOMING_ENDED] == 0:
        if (price - s.ins[row + BEST + 1 - g]) * (1 - 2 * g) >= 0:
            return _pull(door(s), n, x, row, g, price, left)
    return settle(s, n, x, row, g, price, left)


@outline
def _pull(d, n, x, row, g, price, left):
    """The order in record x would trade beyond the bound: a volatility call begins, and it rests there (R69)."""
    s = core(d)
    h = s.h
    instrument = row // INSTRUMENT_WORDS
    if n + EVENTS_AT_ONCE > h[CAPACITY]:
        s.n4[x * NODE4 + LEAVES] = left
        h[CURSOR] = MATCHING
        h[STUCK] = 1
        return n
    s.ins[row + PHASE] = VOLATILITY_AUCTION
    s.ins[row + PERMITS] = VOLATILITY_PERMITS
    flags = I(TO_OVERRIDE) if s.ins[row + OVERRIDE] != 0 else I(0)
    put_head(s, n, I(PHASE_CHANGED), instrument, I(0), I(VOLATILITY_AUCTION), I(0),
             (flags << 16) | (I(CONTINUOUS) << 48), I(0))  # fmt: skip
    put_body(s, n, I(0), I(0), I(0), I(0), I(0), I(0))
    s.ctl[control_of(row) + TRIGGERED] = 1
    s.ctl[control_of(row) + EXTENSIONS] = 0
    h[ELECT] = 0
    n = settle(s, n + 1, x, row, g, price, left)
    begin_call(door(s), row)
    forget_told(s, row)
    s.ins[row + DIRTY] = 1
    # Stops elected by one act may pull the triggers of several instruments: all are told, by rising number.
    if h[TELL_AT] > h[TELL_TO]:
        h[TELL_AT] = instrument
        h[TELL_TO] = instrument
    h[TELL_AT] = min(h[TELL_AT], instrument)
    h[TELL_TO] = max(h[TELL_TO], instrument)
    h[PENDING] = 1
    return n


@outline
def _give_up(d, n, x, flags):
    s = core(d)
    tif = (flags >> FLAG_TIF) & 7
    kind = (flags >> FLAG_TYPE) & 7
    if kind == MARKET_TO_LIMIT and s.h[NEXT_TRADE] != s.h[FIRST_TRADE]:
        row = I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS
        return rest_as_limit(door(s), n, x, s.ins[row + LAST])
    reason = I(BY_IOC)
    if tif == FOK:
        reason = I(BY_FOK)
    elif kind == MARKET or kind == MARKET_TO_LIMIT:
        reason = I(BY_PROTECTION)
    return cancel_incoming(door(s), n, x, reason)


@outline
def rest_as_limit(d, n, x, price):
    """What is left of an order without a price of its own, in no queue, rests as a limit order (R46, R56); n + 1."""
    s = core(d)
    r4 = x * NODE4
    row = I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS
    flags = I(s.n4[r4 + FLAGS])
    g = (flags & 3) - 1
    if is_far(s, row, price) and far_full(door(s), row, g, price):
        return cancel_incoming(door(s), n, x, I(BY_LEVELS))
    s.n4[r4 + FLAGS] = (flags & ~I((7 << FLAG_TYPE) | GIVES_UP | UNPRICED)) | (LIMIT << FLAG_TYPE)
    s.n8[x * NODE8 + PRICE] = price
    join(s, row, g, x, price)
    return put_bearing(door(s), n, I(ACTIVATED), x, I(0), I(0), I(0))


__all__ = ["ENDED_CANCELED", "ENDED_EXPIRED", "bring_in", "cancel_incoming", "cancel_resting", "fok_fills", "go_on",
           "put_order_row", "release", "rest_as_limit", "settle", "sweep", "withdraw", "within_bounds"]  # fmt: skip
