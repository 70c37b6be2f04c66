"""What entering a phase brings, instrument by instrument and in parts if need be: orders kept aside join the book, the
indicative is told, the call is uncrossed, stops are elected (R42, R53-R58, R62).

The work list holds one word per instrument: its number, and above it what is to be done.  WORK_STEP says how far the
present one has come, WORK_SUB how far within a step.
"""

from __future__ import annotations

from engine.core.accounts import charge, move_lots
from engine.core.book import append, far_full, is_far, leave, level_at, unlink
from engine.core.calls import begin_call, edge_of, equilibrium, forget_told, tell
from engine.core.controls import empty_windows, note_window, outside_limits
from engine.core.entry import AT_CLOSE, AT_OPEN, IN_CALL, MARKET_TO_LIMIT, is_lasting, join_call
from engine.core.events import (
    CANCELED,
    UNCROSSED,
    order_attributes,
    put_auction,
    put_bearing,
    put_order_row,
    put_trade,
)  # fmt: skip
from engine.core.ids import find_order
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    ACCOUNT,
    ACTIVATES,
    ASIDE,
    AUCTION,
    BEST,
    BUMP,
    BY_ACCOUNT,
    BY_TRIGGER,
    CALLING,
    CAPACITY,
    CLOSE,
    CLOSE_KNOWN,
    DISPLAY,
    ELECT,
    ELECTS,
    ENTERS_CALL,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    GATED,
    GIVES_UP,
    HIGH,
    ICEBERG,
    IF_CROSSED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVERS,
    LEAVES,
    LINKS,
    LOW,
    MODE_AT,
    MORE_WORDS,
    NEXT,
    NEXT_TRADE,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    OUTSIDE,
    PARKED,
    PERMITS,
    PHASE,
    PRICE,
    QTY,
    REVIEWS,
    SETS_CLOSE,
    SHOWN,
    SMP_KEY,
    STOPPED,
    STUCK,
    SUSPENDED,
    TELL_AT,
    TELL_TO,
    UNCROSS_LEFT,
    UNCROSS_PRICE,
    UNCROSS_VOLUME,
    UNCROSSES,
    UNPRICED,
    WORK_AT,
    WORK_STEP,
    WORK_SUB,
)  # fmt: skip
from engine.core.matching import (
    BY_LEVELS,
    ENDED_CANCELED,
    FILLED,
    SMP_NONE,
    cancel_incoming,
    cancel_resting,
    release,
    rest_as_limit,
    withdraw,
)  # fmt: skip
from engine.core.memory import core, door
from engine.core.sorting import sort_scratch
from engine.core.stops import BY_PRICE_LIMIT
from engine.schema import INACTIVE, SELF_MATCH, UNCROSS, EventKind, Reason

TRADE, ACTIVATED = int(EventKind.TRADE), int(EventKind.ORDER_ACTIVATED)
ORDER_SUSPENDED = int(EventKind.ORDER_SUSPENDED)
BY_AUCTION = int(Reason.AUCTION)
OF_AUCTION, OF_SELF = int(UNCROSS), int(SELF_MATCH)
# WORK_STEP
BEGINNING, TELLING, TRADING, LEAVING, ENDING = range(5)


@outline
def _activate(d, n, row):
    """The orders kept aside join the book (R58), as far as there is room for events; (n, whether all did)."""
    s = core(d)
    level = s.ins[row + ASIDE]
    x = I(s.link[level * LINKS + NEXT])
    while x != level:
        flags = I(s.n4[x * NODE4 + FLAGS])
        after = I(s.link[x * LINKS + NEXT])
        if flags & PARKED != 0:
            if n >= s.h[CAPACITY]:
                s.h[STUCK] = 1
                return n, False
            if flags & GIVES_UP != 0:
                s.n8[x * NODE8 + PRICE] = edge_of(s, row, (flags & 3) - 1)
            unlink(s, x)
            n = _join_book(door(s), n, x, row)
        x = after
    return n, True


@outline
def _join_book(d, n, x, row):
    """An order that was kept aside or suspended joins the book, or is canceled (R58, R67); n + 1."""
    s = core(d)
    flags = I(s.n4[x * NODE4 + FLAGS])
    g = (flags & 3) - 1
    price = s.n8[x * NODE8 + PRICE]
    if outside_limits(s, row, price):
        return cancel_incoming(door(s), n, x, I(BY_PRICE_LIMIT))
    if is_far(s, row, price) and far_full(door(s), row, g, price):
        return cancel_incoming(door(s), n, x, I(BY_LEVELS))
    flags &= ~I(PARKED | SUSPENDED)
    if flags & GIVES_UP != 0:
        flags |= UNPRICED
    s.n4[x * NODE4 + FLAGS] = flags
    join_call(door(s), x, row, g, price)
    display = s.more[x * MORE_WORDS + DISPLAY] if flags & ICEBERG != 0 else I(0)
    return put_bearing(door(s), n, I(ACTIVATED), x, display, I(0), I(0))


@outline
def _gather_reviewed(d, row):
    """Order ids, rising, of the orders that new daily limits touch (R67), in scratch; how many."""
    s = core(d)
    h = s.h
    count = I(0)
    x = h[ORDER_BASE]
    while x < h[BUMP]:
        if s.n8[x * NODE8 + ORDER_ID] != 0 and I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS == row:
            flags = I(s.n4[x * NODE4 + FLAGS])
            price = s.n8[x * NODE8 + PRICE]
            touched = outside_limits(s, row, price)
            if flags & UNPRICED != 0:
                touched = price != edge_of(s, row, (flags & 3) - 1)
            elif flags & SUSPENDED != 0:
                touched = not touched
            if touched and flags & (STOPPED | PARKED) == 0:
                s.scratch[count] = s.n8[x * NODE8 + ORDER_ID]
                count += 1
        x += 1
    sort_scratch(door(s), count)
    return count


@outline
def _review(d, n, x, row):
    """What new daily limits do with an order that they touch (R67); n + 1."""
    s = core(d)
    flags = I(s.n4[x * NODE4 + FLAGS])
    if flags & SUSPENDED != 0:
        unlink(s, x)
        return _join_book(door(s), n, x, row)
    if flags & UNPRICED != 0 or not is_lasting((flags >> FLAG_TIF) & 7):
        return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(BY_PRICE_LIMIT), False)
    withdraw(door(s), x)
    s.n4[x * NODE4 + FLAGS] = flags | SUSPENDED
    append(s, s.ins[row + ASIDE], x)
    return put_order_row(door(s), n, I(ORDER_SUSPENDED), x, I(s.n4[x * NODE4 + LEAVES]), I(0), I(0), I(0), I(INACTIVE))


@inline
def _fill(s, x, lots):
    """Take lots off a resting order in an uncross (R55, R47)."""
    r4 = x * NODE4
    rest = I(s.n4[r4 + LEAVES]) - lots
    s.n4[r4 + LEAVES] = rest
    flags = I(s.n4[r4 + FLAGS])
    if rest == 0:
        leave(s, x, (flags & 3) - 1)
        release(s, x, I(FILLED))
    elif flags & ICEBERG != 0:
        s.more[x * MORE_WORDS + SHOWN] = min(s.more[x * MORE_WORDS + DISPLAY], rest)


@outline
def _trade_volume(d, n, row):
    """Trade the best orders of both sides at the auction price until its volume is reached (R55); n."""
    s = core(d)
    h = s.h
    price = h[UNCROSS_PRICE]
    instrument = row // INSTRUMENT_WORDS
    while h[UNCROSS_LEFT] > 0 and n < h[CAPACITY]:
        x = I(s.link[level_at(s, row, I(0), s.ins[row + BEST]) * LINKS + NEXT])
        m = I(s.link[level_at(s, row, I(1), s.ins[row + BEST + 1]) * LINKS + NEXT])
        rest = I(s.n4[x * NODE4 + LEAVES])
        other = I(s.n4[m * NODE4 + LEAVES])
        lots = min(min(rest, other), h[UNCROSS_LEFT])
        flags = I(s.n4[x * NODE4 + FLAGS])
        marks = I(OF_AUCTION)
        if (flags >> FLAG_SMP) & 7 != SMP_NONE and I(s.n4[x * NODE4 + SMP_KEY]) == I(s.n4[m * NODE4 + SMP_KEY]):
            marks |= OF_SELF
        trade_id = h[NEXT_TRADE]
        h[NEXT_TRADE] = trade_id + 1
        put_trade(s, n, I(TRADE), instrument, I(s.n4[x * NODE4 + ACCOUNT]), s.ins[row + PHASE],
                  order_attributes(flags) | (marks << 16), s.n8[x * NODE8 + ORDER_ID], price, lots, rest - lots,
                  I(s.n4[x * NODE4 + QTY]) - rest + lots, trade_id, s.n8[m * NODE8 + ORDER_ID],
                  I(s.n4[m * NODE4 + ACCOUNT]), I(0), other - lots)  # fmt: skip
        move_lots(s, I(s.n4[x * NODE4 + ACCOUNT]), instrument, I(0), -lots, lots)
        move_lots(s, I(s.n4[m * NODE4 + ACCOUNT]), instrument, I(1), -lots, -lots)
        if s.ins[row + GATED] & BY_ACCOUNT != 0:
            charge(door(s), n, instrument, I(s.n4[x * NODE4 + ACCOUNT]), I(s.n4[m * NODE4 + ACCOUNT]), I(AUCTION),
                   I(AUCTION), price, lots)  # fmt: skip
        n += 1
        h[UNCROSS_LEFT] -= lots
        _fill(s, x, lots)
        _fill(s, m, lots)
    if h[UNCROSS_LEFT] == 0 and h[UNCROSS_VOLUME] > 0:
        s.ins[row + LAST] = price
        s.ins[row + LAST_ID] = h[NEXT_TRADE] - 1
        if s.ins[row + GATED] & BY_TRIGGER != 0:
            empty_windows(door(s), row)
            note_window(door(s), row, price)
    h[STUCK] = h[UNCROSS_LEFT] > 0
    return n


@outline
def _gather_leavers(d, row):
    """Order ids, rising, of the orders in the book that an uncross ends (R56), in scratch; how many."""
    s = core(d)
    h = s.h
    count = I(0)
    if s.ins[row + LEAVERS] == 0:
        return count
    s.ins[row + LEAVERS] = 0
    x = h[ORDER_BASE]
    while x < h[BUMP]:
        if s.n8[x * NODE8 + ORDER_ID] != 0 and I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS == row:
            flags = I(s.n4[x * NODE4 + FLAGS])
            tif = (flags >> FLAG_TIF) & 7
            if flags & OUTSIDE == 0 and (flags & UNPRICED != 0 or tif == AT_OPEN or tif == AT_CLOSE):
                s.scratch[count] = s.n8[x * NODE8 + ORDER_ID]
                count += 1
        x += 1
    sort_scratch(door(s), count)
    return count


@outline
def _let_leave(d, n, x):
    """What becomes of an order that an uncross ends (R56); n."""
    s = core(d)
    kind = (I(s.n4[x * NODE4 + FLAGS]) >> FLAG_TYPE) & 7
    if kind == MARKET_TO_LIMIT and s.h[UNCROSS_VOLUME] > 0:
        withdraw(door(s), x)
        return rest_as_limit(door(s), n, x, s.h[UNCROSS_PRICE])
    return cancel_resting(door(s), n, x, I(CANCELED), I(ENDED_CANCELED), I(BY_AUCTION), False)


@outline
def _begin_uncross(d, n, row, word):
    """Find the auction price and tell it (R54); (n, whether there is an uncross)."""
    s = core(d)
    h = s.h
    if s.ins[row + CALLING] == 0:
        if word & IF_CROSSED != 0 and s.ins[row + BEST] < s.ins[row + BEST + 1]:
            return n, False
        begin_call(door(s), row)
    price, volume, surplus, step = equilibrium(door(s), row)
    silent = word & IF_CROSSED != 0 and volume == 0
    if not silent and n >= h[CAPACITY]:
        h[STUCK] = 1
        return n, False
    s.ins[row + CALLING] = 0
    forget_told(s, row)
    if silent:
        return n, False
    h[UNCROSS_PRICE] = price
    h[UNCROSS_LEFT] = volume
    h[UNCROSS_VOLUME] = volume
    return put_auction(door(s), n, I(UNCROSSED), row // INSTRUMENT_WORDS, price, volume, surplus, step), True


@outline
def _end_uncross(d, row, word):
    """The closing price (R59); a call that goes on begins anew."""
    s = core(d)
    if word & SETS_CLOSE != 0:
        s.ins[row + CLOSE] = s.h[UNCROSS_PRICE]
        s.ins[row + CLOSE_KNOWN] = I(1) if s.h[UNCROSS_VOLUME] > 0 else I(0)
    if s.ins[row + PERMITS] >> MODE_AT == IN_CALL:
        begin_call(door(s), row)
    return I(0)


@outline
def _begin(d, n, row, word):
    """The steps up to the telling; (n, next step)."""
    s = core(d)
    if word & ENTERS_CALL != 0 and s.ins[row + CALLING] == 0:
        begin_call(door(s), row)
        forget_told(s, row)
    if word & ACTIVATES != 0:
        n, done = _activate(door(s), n, row)
        s.h[TELL_AT] = 1  # this instrument is told here, behind its orders
        s.h[TELL_TO] = 0
        if not done:
            return n, I(BEGINNING)
    return n, I(TELLING)


@outline
def work(d, n, word):
    """Do the next step of what the word says; n, or STUCK."""
    s = core(d)
    h = s.h
    row = (word & 0xFFFFFFFF) * INSTRUMENT_WORDS
    step = h[WORK_STEP]
    if step == BEGINNING and word & REVIEWS != 0:
        h[WORK_SUB] = _gather_reviewed(door(s), row) << 32
        step = I(LEAVING)
    elif step == BEGINNING:
        n, step = _begin(door(s), n, row, word)
    elif step == TELLING:
        uncrosses = False
        if word & ENTERS_CALL != 0:
            n = tell(door(s), n, word & 0xFFFFFFFF)
        if word & UNCROSSES != 0:
            n, uncrosses = _begin_uncross(door(s), n, row, word)
        if uncrosses:
            step = I(TRADING)
        elif h[STUCK] == 0:
            step = I(ENDING)
    elif step == TRADING:
        n = _trade_volume(door(s), n, row)
        if h[UNCROSS_LEFT] == 0:
            step = I(LEAVING)
            h[WORK_SUB] = _gather_leavers(door(s), row) << 32
    elif step == LEAVING:
        count = h[WORK_SUB] >> 32
        done = h[WORK_SUB] & 0xFFFFFFFF
        while done < count and n < h[CAPACITY]:
            x = find_order(s, s.scratch[done])
            if word & REVIEWS != 0:
                n = _review(door(s), n, x, row)
            else:
                n = _let_leave(door(s), n, x)
            done += 1
        h[WORK_SUB] = (count << 32) | done
        if done == count and word & REVIEWS != 0:
            step = I(ENDING)
        elif done == count:
            _end_uncross(door(s), row, word)
            step = I(ENDING)
        else:
            h[STUCK] = 1
    else:
        step = I(BEGINNING)
        h[WORK_AT] += 1
        if word & ELECTS != 0 and s.ins[row + LAST_ID] != 0:
            s.ins[row + HIGH] = s.ins[row + LAST]
            s.ins[row + LOW] = s.ins[row + LAST]
            h[ELECT] = word & 0xFFFFFFFF
    h[WORK_STEP] = step
    return n


__all__ = ["work"]
