"""The compiled fold of event rows into levels and trades (marketdata/derive.py says what for, and owns the arrays).

A table of orders by id (the level at which one stands), a table of levels by instrument, side and price, and what
icebergs show.  A table has twice the places that it may need and is probed onwards; what is taken out draws what
follows it back, so that nothing is left behind and no walk grows.  What each row does: the head of marketdata/feed.py.
"""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine import kernel_cache
from engine.core.lane import LANE, PLAIN, I, U, as_int32, as_int64, inline, kept_in, kernel, outline, prefetch, times
from engine.schema import (
    COMMAND,
    COMMAND_WORDS,
    EVENT,
    EVENT_WORDS,
    INACTIVE,
    LAST,
    PRIORITY_KEPT,
    TRADE,
    UNCROSS,
    EventKind,
    OrdType,
    Side,
    Smp,
)

LEVEL_CHANGE: Final = np.dtype(
    [("seq", "<i8"), ("time", "<i8"), ("price", "<i8"), ("lots", "<i8"), ("instrument", "<i4"), ("orders", "<i4"),
     ("side", "u1"), ("reserved", "u1", (7,))]
)  # fmt: skip
"""A level as it stands after the command `seq`, if that is not what it was before: lots and orders on show at price
(ticks); 0 and 0 once it is gone.  The changes of a command stand together, in the order in which they were touched."""

PUBLIC_TRADE: Final = np.dtype(
    [("seq", "<i8"), ("time", "<i8"), ("price", "<i8"), ("qty", "<i8"), ("trade_id", "<i8"), ("instrument", "<i4"),
     ("aggressor", "u1"), ("reserved", "u1", (3,))]
)  # fmt: skip
"""A trade of qty lots at price (ticks); aggressor is the side of the incoming order, 0 in an auction."""

CHANGE_WORDS, PUBLIC_WORDS = LEVEL_CHANGE.itemsize // 8, PUBLIC_TRADE.itemsize // 8


# Header
LEVELS_USED, LEVEL_FREE, SHOWS_USED, SHOW_FREE, TOUCHED, RESTATING = range(6)
INCOMING, IN_KEY, IN_PRICE, IN_OPEN, ORDER_MASK, LEVEL_MASK = range(6, 12)
CHANGES, TRADES, TOLD, STRANGERS = range(12, 16)  # STRANGERS: rows about orders that no row told of
ADDRESSES = 16  # of the arrays, in the order of Store; they mean nothing outside the process
HEADER_WORDS = 24
UNPRICED = -(1 << 63)  # IN_PRICE of an order without a limit
# Orders (2 words by place): the id, 0 while free; where it stands | its place among the icebergs << 32
ORDER_WORDS = 2
NOWHERE, UNSEEN, FIRST_LEVEL = 0, 1, 2  # not in the book (an iceberg kept aside); in it, but without a price; a level
# Levels (a line each): instrument << 8 | side, price, lots, orders, both before the command, whether it is touched
KEY, PRICE, LOTS, ORDERS, OLD_LOTS, OLD_ORDERS, IS_TOUCHED, NEXT_FREE = range(8)
LEVEL_WORDS = 8
# Icebergs: lots of each refresh, lots on show (NEXT_FREE of a free one is its first word)
DISPLAY, SHOWN = range(2)
SHOW_WORDS = 2
FACTOR = 0x9E3779B97F4A7C15


def _word(dtype: np.dtype[Any], name: str) -> int:
    assert dtype.fields is not None
    return dtype.fields[name][1] // 8


def _shift(dtype: np.dtype[Any], name: str) -> int:
    assert dtype.fields is not None
    return dtype.fields[name][1] % 8 * 8


# Where in a row's words a field stands
SEQ, TIME, ORDER_ID, QTY, LEAVES = (_word(EVENT, name) for name in ("seq", "time", "order_id", "qty", "leaves_qty"))
LIMIT, DELTA, TRADE_ID = _word(EVENT, "price"), _word(EVENT, "delta_qty"), _word(TRADE, "trade_id")
RESTING, RESTING_LEAVES = _word(TRADE, "resting_order_id"), _word(TRADE, "resting_leaves_qty")
INSTRUMENT_AT, INSTRUMENT_BY = _word(EVENT, "instrument"), _shift(EVENT, "instrument")
KIND_AT, KIND_BY = _word(EVENT, "kind"), _shift(EVENT, "kind")
FLAGS_AT, FLAGS_BY = _word(EVENT, "flags"), _shift(EVENT, "flags")
SIDE_AT, SIDE_BY = _word(EVENT, "side"), _shift(EVENT, "side")
TYPE_AT, TYPE_BY = _word(EVENT, "ord_type"), _shift(EVENT, "ord_type")
SMP_AT, SMP_BY = _word(TRADE, "smp"), _shift(TRADE, "smp")
COMMAND_SEQ, SHOWN_AT = _word(COMMAND, "seq"), _word(COMMAND, "target_hi")

# Plain ints, which the compiler takes for constants
ACCEPTED, TRADED = int(EventKind.ORDER_ACCEPTED), int(EventKind.TRADE)
CANCELED, EXPIRED = int(EventKind.ORDER_CANCELED), int(EventKind.ORDER_EXPIRED)
AMENDED, PREVENTED = int(EventKind.ORDER_AMENDED), int(EventKind.ORDER_PREVENTED)
RESTORED, TRIGGERED = int(EventKind.ORDER_RESTORED), int(EventKind.ORDER_TRIGGERED)
ACTIVATED, REFRESHED = int(EventKind.ORDER_ACTIVATED), int(EventKind.ORDER_REFRESHED)
SUSPENDED = int(EventKind.ORDER_SUSPENDED)
INDICATIVE, UNCROSSED = int(EventKind.AUCTION_INDICATIVE), int(EventKind.AUCTION_UNCROSSED)
PHASED, DEFINED = int(EventKind.PHASE_CHANGED), int(EventKind.INSTRUMENT_DEFINED)
DAY_OPENED, DAY_STARTED = int(EventKind.DAY_OPENED), int(EventKind.DAY_STARTED)
DECREMENT, BUY, SELL = int(Smp.DECREMENT), int(Side.BUY), int(Side.SELL)
IS_LAST, IS_INACTIVE, KEEPS_PLACE, IN_AUCTION = int(LAST), int(INACTIVE), int(PRIORITY_KEPT), int(UNCROSS)
MARKET, MARKET_TO_LIMIT, STOP = int(OrdType.MARKET), int(OrdType.MARKET_TO_LIMIT), int(OrdType.STOP)

Store = namedtuple("Store", "h orders places levels shows touched ev cmd changes trades told")


FAR, NEAR = 16, 8  # rows ahead at which an order's place, then its level, is asked for

if LANE == "compiled":

    @inline
    def _look_ahead(s, n, count):
        """Ask for the lines that later rows will need: on a large book each is a miss of its own."""
        if n + FAR < count:
            e = (n + FAR) * EVENT_WORDS
            kind = (s.ev[e + KIND_AT] >> KIND_BY) & 0xFF
            order_id = s.ev[e + RESTING] if kind == TRADED else s.ev[e + ORDER_ID]
            prefetch(s.orders, 2 * (I(times(order_id, FACTOR) >> U(20)) & s.h[ORDER_MASK]))
            if kind == ACCEPTED or kind == AMENDED:
                prefetch(s.places, I(_spread(_key(s, e), s.ev[e + LIMIT]) >> U(20)) & s.h[LEVEL_MASK])
        if n + NEAR < count:
            e = (n + NEAR) * EVENT_WORDS
            kind = (s.ev[e + KIND_AT] >> KIND_BY) & 0xFF
            order_id = s.ev[e + RESTING] if kind == TRADED else s.ev[e + ORDER_ID]
            at = I(times(order_id, FACTOR) >> U(20)) & s.h[ORDER_MASK]
            prefetch(s.levels, (s.orders[2 * at + 1] & 0xFFFFFFFF) * LEVEL_WORDS)
            if kind == ACCEPTED or kind == AMENDED:
                place = I(_spread(_key(s, e), s.ev[e + LIMIT]) >> U(20)) & s.h[LEVEL_MASK]
                prefetch(s.levels, I(s.places[place]) * LEVEL_WORDS)

else:

    @inline
    def _look_ahead(s, n, count):
        return None


@inline
def _key(s, e):
    """Instrument and side of a row, as levels have them."""
    instrument = (s.ev[e + INSTRUMENT_AT] >> INSTRUMENT_BY) & 0xFFFFFFFF
    return (instrument << 8) | ((s.ev[e + SIDE_AT] >> SIDE_BY) & 0xFF)


@inline
def _spread(key, price):
    return times(I(key) * 0x1F35 + I(price), FACTOR)


@inline
def _find(s, order_id):
    """Place of an order in its table, or that of the free place where it would stand, as -1 - place."""
    mask = s.h[ORDER_MASK]
    at = I(times(order_id, FACTOR) >> U(20)) & mask
    while s.orders[2 * at] != 0:
        if s.orders[2 * at] == order_id:
            return at
        at = (at + 1) & mask
    return -1 - at


@inline
def _known(s, order_id):
    """Place of an order that must be in the table, or less than 0, which is counted."""
    at = _find(s, order_id)
    if at < 0:
        s.h[STRANGERS] += 1
    return at


@inline
def _put(s, order_id):
    """Place of an order in its table, which it now has if it had none."""
    at = _find(s, order_id)
    if at < 0:
        at = -1 - at
        s.orders[2 * at] = order_id
        s.orders[2 * at + 1] = NOWHERE
    return at


@outline
def _forget(s, at):
    """Take an order, and what it shows, out of the tables; what was put behind it moves up."""
    mask = s.h[ORDER_MASK]
    show = s.orders[2 * at + 1] >> 32
    if show:
        s.shows[2 * show] = s.h[SHOW_FREE]
        s.h[SHOW_FREE] = show
    free = at
    at = (at + 1) & mask
    while s.orders[2 * at] != 0:
        home = I(times(s.orders[2 * at], FACTOR) >> U(20)) & mask
        if ((at - home) & mask) >= ((at - free) & mask):
            s.orders[2 * free] = s.orders[2 * at]
            s.orders[2 * free + 1] = s.orders[2 * at + 1]
            free = at
        at = (at + 1) & mask
    s.orders[2 * free] = 0


@inline
def _touch(s, level):
    """Remember what a level was before the command."""
    at = level * LEVEL_WORDS
    if s.levels[at + IS_TOUCHED] == 0:
        s.levels[at + IS_TOUCHED] = 1
        s.levels[at + OLD_LOTS] = s.levels[at + LOTS]
        s.levels[at + OLD_ORDERS] = s.levels[at + ORDERS]
        s.touched[s.h[TOUCHED]] = level
        s.h[TOUCHED] += 1


@outline
def _level_of(s, key, price):
    """The level of an instrument's side at a price, made if there is none."""
    mask = s.h[LEVEL_MASK]
    at = I(_spread(key, price) >> U(20)) & mask
    level = I(s.places[at])
    while level != 0:
        here = level * LEVEL_WORDS
        if s.levels[here + PRICE] == price and s.levels[here + KEY] == key:
            return level
        at = (at + 1) & mask
        level = I(s.places[at])
    level = s.h[LEVEL_FREE]
    if level != 0:
        s.h[LEVEL_FREE] = s.levels[level * LEVEL_WORDS + NEXT_FREE]
    else:
        level = s.h[LEVELS_USED]
        s.h[LEVELS_USED] = level + 1
    here = level * LEVEL_WORDS
    s.levels[here + KEY], s.levels[here + PRICE] = key, price
    s.levels[here + LOTS] = s.levels[here + ORDERS] = s.levels[here + IS_TOUCHED] = 0
    s.places[at] = level
    return level


@outline
def _drop_level(s, level):
    """Take a level without orders out of its table."""
    mask = s.h[LEVEL_MASK]
    here = level * LEVEL_WORDS
    at = I(_spread(s.levels[here + KEY], s.levels[here + PRICE]) >> U(20)) & mask
    while s.places[at] != level:
        at = (at + 1) & mask
    free = at
    at = (at + 1) & mask
    other = I(s.places[at])
    while other != 0:
        there = other * LEVEL_WORDS
        home = I(_spread(s.levels[there + KEY], s.levels[there + PRICE]) >> U(20)) & mask
        if ((at - home) & mask) >= ((at - free) & mask):
            s.places[free] = other
            free = at
        at = (at + 1) & mask
        other = I(s.places[at])
    s.places[free] = 0
    s.levels[here + KEY] = 0
    s.levels[here + NEXT_FREE] = s.h[LEVEL_FREE]
    s.h[LEVEL_FREE] = level


@inline
def _add(s, level, lots, orders):
    """Put lots and orders on a level, or take them off it where they are negative."""
    _touch(s, level)
    s.levels[level * LEVEL_WORDS + LOTS] += lots
    s.levels[level * LEVEL_WORDS + ORDERS] += orders


@outline
def _set_show(s, at, display, shown):
    """Let the order at a place be an iceberg that shows `display` lots anew and `shown` now."""
    show = s.orders[2 * at + 1] >> 32
    if show == 0:
        show = s.h[SHOW_FREE]
        if show != 0:
            s.h[SHOW_FREE] = s.shows[2 * show]
        else:
            show = s.h[SHOWS_USED]
            s.h[SHOWS_USED] = show + 1
        s.orders[2 * at + 1] |= show << 32
    s.shows[2 * show + DISPLAY], s.shows[2 * show + SHOWN] = display, shown


@inline
def _stands(s, at):
    """Where the order at a place stands: NOWHERE, UNSEEN or a level."""
    return s.orders[2 * at + 1] & 0xFFFFFFFF


@inline
def _rest(s, order_id, key, price, lots):
    """Let an order stand in the book: at its price, or out of sight if it has none."""
    at = _put(s, order_id)
    show = s.orders[2 * at + 1] >> 32
    stands = I(UNSEEN)
    if price != UNPRICED:
        if show != 0:
            shown = s.shows[2 * show + SHOWN]
            if shown == 0:
                shown = s.shows[2 * show + DISPLAY]
            lots = min(shown, lots)
            s.shows[2 * show + SHOWN] = lots
        stands = _level_of(s, key, price)
        _add(s, stands, lots, 1)
    s.orders[2 * at + 1] = stands | (show << 32)


@inline
def _take_off(s, at, lots):
    """Take the order at a place, with its open lots or with what of them shows, off its level."""
    stands = _stands(s, at)
    if stands >= FIRST_LEVEL:
        show = s.orders[2 * at + 1] >> 32
        if show != 0:
            lots = s.shows[2 * show + SHOWN]
        _add(s, stands, -lots, -1)


@inline
def _show_anew(s, at):
    """Have the order at a place, if it is an iceberg, show its full display quantity when it stands again."""
    show = s.orders[2 * at + 1] >> 32
    if show != 0:
        s.shows[2 * show + SHOWN] = 0


@inline
def _leave(s, at):
    """Remember of an order that is in the book no longer only what it shows, if it is an iceberg."""
    if s.orders[2 * at + 1] >> 32:
        s.orders[2 * at + 1] &= ~0xFFFFFFFF
    else:
        _forget(s, at)


@inline
def _let_rest(s):
    """Have the incoming order join the book with what it has open."""
    h = s.h
    order_id = h[INCOMING]
    if order_id != 0:
        if h[IN_OPEN] != 0:
            _rest(s, order_id, h[IN_KEY], h[IN_PRICE], h[IN_OPEN])
            h[IN_OPEN] = 0
        else:
            at = _find(s, order_id)
            if at >= 0:
                _forget(s, at)
        h[INCOMING] = 0


@inline
def _come_in(s, order_id, key, price, lots):
    h = s.h
    h[INCOMING], h[IN_KEY], h[IN_PRICE], h[IN_OPEN] = order_id, key, price, lots


@inline
def _show_of(s, at, word, leaves, lots):
    """Have an iceberg show what `word` says or what it has left; the lots its level loses (`lots` of other orders)."""
    show = s.orders[2 * at + 1] >> 32
    if show != 0:
        shown = min(s.shows[2 * show + word], leaves)
        lots = s.shows[2 * show + SHOWN] - shown
        s.shows[2 * show + SHOWN] = shown
    return lots


@inline
def _lose(s, at, lots, leaves):
    """Take lots off the level of the order at a place, and the order too if nothing is left of it."""
    stands = _stands(s, at)
    if stands >= FIRST_LEVEL:
        _add(s, stands, -lots, -1 if leaves == 0 else 0)
    if leaves == 0:
        _forget(s, at)


@inline
def _trade_on(s, order_id, lots, leaves):
    """Take what a resting order has traded off its level."""
    at = _known(s, order_id)
    if at >= 0:
        show = s.orders[2 * at + 1] >> 32
        if show != 0:
            s.shows[2 * show + SHOWN] -= lots
        _lose(s, at, lots, leaves)


@outline
def _trade_in_auction(s, order_id, lots, leaves):
    """Take what an order has traded in an uncross off its level: an iceberg shows anew at once (R57)."""
    at = _known(s, order_id)
    if at >= 0:
        _lose(s, at, _show_of(s, at, DISPLAY, leaves, lots), leaves)


@outline
def _prevent(s, order_id, lots, leaves):
    """Take the lots that `decrement` has canceled of a resting order, of which some are left, off its level."""
    at = _known(s, order_id)
    if at >= 0:
        _lose(s, at, _show_of(s, at, SHOWN, leaves, lots), leaves)


@outline
def _tell_levels(s, seq, time):
    """Close a command: tell the levels that are not what they were, and let go of those without orders."""
    h = s.h
    for place in range(h[TOUCHED]):
        level = I(s.touched[place])
        at = level * LEVEL_WORDS
        lots, orders = s.levels[at + LOTS], s.levels[at + ORDERS]
        if h[RESTATING] == 0 and (lots != s.levels[at + OLD_LOTS] or orders != s.levels[at + OLD_ORDERS]):
            out = h[CHANGES] * CHANGE_WORDS
            key = s.levels[at + KEY]
            s.changes[out], s.changes[out + 1] = seq, time
            s.changes[out + 2], s.changes[out + 3] = s.levels[at + PRICE], lots
            s.changes[out + 4] = (key >> 8) | (orders << 32)
            s.changes[out + 5] = key & 0xFF
            h[CHANGES] += 1
        s.levels[at + IS_TOUCHED] = 0
        if orders == 0:
            _drop_level(s, level)
    h[TOUCHED] = 0


@inline
def _tell_trade(s, e, instrument, aggressor):
    out = s.h[TRADES] * PUBLIC_WORDS
    s.trades[out], s.trades[out + 1] = s.ev[e + SEQ], s.ev[e + TIME]
    s.trades[out + 2], s.trades[out + 3], s.trades[out + 4] = s.ev[e + LIMIT], s.ev[e + QTY], s.ev[e + TRADE_ID]
    s.trades[out + 5] = instrument | (aggressor << 32)
    s.h[TRADES] += 1


@outline
def _empty(s):
    """A new day restates the world: forget the day before."""
    h = s.h
    for at in range(h[ORDER_MASK] + 1):
        s.orders[2 * at] = 0
    for at in range(h[LEVEL_MASK] + 1):
        s.places[at] = 0
    for level in range(h[LEVELS_USED]):
        s.levels[level * LEVEL_WORDS + KEY] = 0
    h[LEVELS_USED], h[LEVEL_FREE], h[SHOWS_USED], h[SHOW_FREE], h[TOUCHED] = FIRST_LEVEL, 0, 1, 0, 0
    h[INCOMING] = h[IN_OPEN] = 0
    h[RESTATING] = 1


@outline
def _seldom(s, e, n, kind, flags, key, price):
    """The rows of kinds that are not in every command."""
    h = s.h
    order_id, leaves, delta = s.ev[e + ORDER_ID], s.ev[e + LEAVES], s.ev[e + DELTA]
    inactive = flags & IS_INACTIVE
    if kind == SUSPENDED:
        at = _known(s, order_id)
        if at >= 0:
            _take_off(s, at, leaves)
            _show_anew(s, at)
            _leave(s, at)
    elif kind == PREVENTED:
        if (s.ev[e + SMP_AT] >> SMP_BY) & 0xFF == DECREMENT and s.ev[e + RESTING_LEAVES] != 0:
            _prevent(s, s.ev[e + RESTING], s.ev[e + QTY], s.ev[e + RESTING_LEAVES])
        h[IN_OPEN] = leaves
    elif kind == REFRESHED:
        at = _known(s, order_id)
        if at >= 0 and _stands(s, at) >= FIRST_LEVEL:
            s.shows[2 * (s.orders[2 * at + 1] >> 32) + SHOWN] = delta
            _add(s, _stands(s, at), delta, 0)
    elif kind == TRIGGERED:
        _let_rest(s)
        _come_in(s, order_id, key, price, leaves)
    elif kind == ACTIVATED:
        if h[INCOMING] == order_id:
            h[IN_KEY], h[IN_PRICE] = key, price
        else:
            if delta != 0:
                _set_show(s, _put(s, order_id), delta, 0)
            _rest(s, order_id, key, price, leaves)
    elif kind == RESTORED:
        if delta != 0:
            row = (s.ev[e + SEQ] - s.cmd[COMMAND_SEQ]) * COMMAND_WORDS
            _set_show(s, _put(s, order_id), delta, I(0) if inactive else s.cmd[row + SHOWN_AT])
        if not inactive:
            _rest(s, order_id, key, s.ev[e + LIMIT], leaves)
    elif kind in (PHASED, INDICATIVE, UNCROSSED, DEFINED, DAY_OPENED, DAY_STARTED):
        s.told[h[TOLD]] = n
        h[TOLD] += 1
        if kind == DAY_OPENED:
            _empty(s)
        elif kind == DAY_STARTED:
            h[RESTATING] = 0


@inline
def _fold(s, count):
    h = s.h
    h[CHANGES] = h[TRADES] = h[TOLD] = 0
    for n in range(count):
        _look_ahead(s, n, count)
        e = n * EVENT_WORDS
        kind = (s.ev[e + KIND_AT] >> KIND_BY) & 0xFF
        flags = (s.ev[e + FLAGS_AT] >> FLAGS_BY) & 0xFF
        side = (s.ev[e + SIDE_AT] >> SIDE_BY) & 0xFF
        ord_type = (s.ev[e + TYPE_AT] >> TYPE_BY) & 0xFF
        instrument = (s.ev[e + INSTRUMENT_AT] >> INSTRUMENT_BY) & 0xFFFFFFFF
        key = _key(s, e)
        price = s.ev[e + LIMIT]
        if ord_type == MARKET or ord_type == MARKET_TO_LIMIT or ord_type == STOP:
            price = I(UNPRICED)
        order_id = s.ev[e + ORDER_ID]
        if kind == ACCEPTED:
            if s.ev[e + DELTA] != 0:
                _set_show(s, _put(s, order_id), s.ev[e + DELTA], I(0))
            if not flags & IS_INACTIVE:
                _come_in(s, order_id, key, price, s.ev[e + LEAVES])
        elif kind == TRADED:
            if flags & IN_AUCTION:
                _trade_in_auction(s, order_id, s.ev[e + QTY], s.ev[e + LEAVES])
                _trade_in_auction(s, s.ev[e + RESTING], s.ev[e + QTY], s.ev[e + RESTING_LEAVES])
                _tell_trade(s, e, instrument, I(0))
            else:
                _trade_on(s, s.ev[e + RESTING], s.ev[e + QTY], s.ev[e + RESTING_LEAVES])
                h[IN_OPEN] = s.ev[e + LEAVES]
                _tell_trade(s, e, instrument, side)
        elif kind == CANCELED or kind == EXPIRED:
            if h[INCOMING] == order_id and order_id != 0:
                h[IN_OPEN] = 0
            else:
                at = _find(s, order_id)
                if at >= 0:
                    _take_off(s, at, s.ev[e + DELTA])
                    _forget(s, at)
        elif kind == AMENDED:
            if not flags & IS_INACTIVE:
                at = _find(s, order_id)
                if at >= 0:
                    _take_off(s, at, s.ev[e + DELTA])
                    if not flags & KEEPS_PLACE:
                        _show_anew(s, at)
                    _leave(s, at)
                _come_in(s, order_id, key, price, s.ev[e + LEAVES])
        else:
            _seldom(s, e, n, kind, flags, key, price)
        if flags & IS_LAST:
            _let_rest(s)
            if h[TOUCHED] != 0:
                _tell_levels(s, s.ev[e + SEQ], s.ev[e + TIME])


CACHE: Path | None = None if PLAIN else kernel_cache.prepare(LANE, Path(__file__))

if LANE == "compiled":

    def as_rows(rows):
        """The address of rows, which may be such that nobody may write."""
        return rows.ctypes.data

    def derive(handle, ev, count, cmd, changes, trades, told):
        h = as_int64(handle)
        _fold(Store(h, as_int64(h[ADDRESSES]), as_int32(h[ADDRESSES + 1]), as_int64(h[ADDRESSES + 2]),
                    as_int64(h[ADDRESSES + 3]), as_int32(h[ADDRESSES + 4]), as_int64(ev), as_int64(cmd),
                    as_int64(changes), as_int64(trades), as_int64(told)), count)  # fmt: skip

else:

    def as_rows(rows):
        return rows.view(np.int64) if rows.flags.writeable else rows.copy().view(np.int64)

    def derive(handle, ev, count, cmd, changes, trades, told):
        h, orders, places, levels, shows, touched = handle
        _fold(Store(h, orders, places, levels, shows, touched, ev, cmd, changes, trades, told), count)


with kept_in(CACHE):
    derive = kernel(derive)
