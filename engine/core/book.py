"""Price levels and their queues: where a price lies, joining and leaving a level, the best price of a side.

Each side of an instrument has a dense window of levels with a three-tier bitmap of the occupied ones; a price of the
band outside the window lies on a sorted list of at most 4,096 far levels (R15).  A level is the sentinel of a
circular queue in time order (R21), so joining and leaving need no case for the ends.
`row` is the instrument's offset in the instrument array, `g` the side (0 buy, 1 sell).
"""

from __future__ import annotations

from engine.core.lane import I, U, highest, inline, inv, lowest, outline, shl
from engine.core.layout import (
    BEST,
    BITS0,
    BITS1,
    BITS2,
    FAR_BASE,
    FAR_COUNT,
    FLAGS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LEVEL,
    LEVELS,
    LINKS,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    PREV,
    PRICE,
    STOPS,
    WINDOW,
    WINDOW_LO,
    WORDS2,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import MAX_FAR_LEVELS, MAX_STOP_LEVELS


@inline
def far_place(s, row, g, price):
    """First place on the side's far list whose price is not below `price`."""
    base = s.ins[row + FAR_BASE + g]
    low = I(0)
    high = s.ins[row + FAR_COUNT + g]
    while low < high:
        middle = (low + high) >> 1
        if s.far[2 * (base + middle)] < price:
            low = middle + 1
        else:
            high = middle
    return low


@outline
def far_level(d, row, g, price):
    """Level of an occupied far price, or 0."""
    s = core(d)
    place = far_place(s, row, g, price)
    at = 2 * (s.ins[row + FAR_BASE + g] + place)
    if place < s.ins[row + FAR_COUNT + g] and s.far[at] == price:
        return s.far[at + 1]
    return I(0)


@outline
def far_open(d, row, g, price):
    """Level of a far price, taken into the list if it is not there; the caller knows there is room."""
    s = core(d)
    place = far_place(s, row, g, price)
    base = s.ins[row + FAR_BASE + g]
    count = s.ins[row + FAR_COUNT + g]
    if place < count and s.far[2 * (base + place)] == price:
        return s.far[2 * (base + place) + 1]
    level = s.far[2 * (base + count) + 1]
    i = count
    while i > place:
        s.far[2 * (base + i)] = s.far[2 * (base + i) - 2]
        s.far[2 * (base + i) + 1] = s.far[2 * (base + i) - 1]
        i -= 1
    s.far[2 * (base + place)] = price
    s.far[2 * (base + place) + 1] = level
    s.ins[row + FAR_COUNT + g] = count + 1
    s.n8[level * NODE8 + PRICE] = price
    return level


@outline
def far_close(d, row, g, price):
    """Take an emptied far price off the list, keeping its level for the next."""
    s = core(d)
    place = far_place(s, row, g, price)
    base = s.ins[row + FAR_BASE + g]
    count = s.ins[row + FAR_COUNT + g] - 1
    level = s.far[2 * (base + place) + 1]
    i = place
    while i < count:
        s.far[2 * (base + i)] = s.far[2 * (base + i) + 2]
        s.far[2 * (base + i) + 1] = s.far[2 * (base + i) + 3]
        i += 1
    s.far[2 * (base + count)] = 0
    s.far[2 * (base + count) + 1] = level
    s.ins[row + FAR_COUNT + g] = count
    return I(0)


@inline
def _tier_up(s, b1, b2, words2, w):
    """Smallest occupied word above word w, or -1."""
    j = w >> 6
    m = s.bits[b1 + j] & inv(shl(U(2), w & 63) - U(1))
    if m != U(0):
        return (j << 6) + lowest(m)
    k = j >> 6
    m = s.bits[b2 + k] & inv(shl(U(2), j & 63) - U(1))
    while m == U(0):
        k += 1
        if k >= words2:
            return I(-1)
        m = s.bits[b2 + k]
    j = (k << 6) + lowest(m)
    return (j << 6) + lowest(s.bits[b1 + j])


@inline
def _tier_down(s, b1, b2, w):
    """Largest occupied word below word w, or -1."""
    j = w >> 6
    m = s.bits[b1 + j] & (shl(U(1), w & 63) - U(1))
    if m != U(0):
        return (j << 6) + highest(m)
    k = j >> 6
    m = s.bits[b2 + k] & (shl(U(1), j & 63) - U(1))
    while m == U(0):
        k -= 1
        if k < 0:
            return I(-1)
        m = s.bits[b2 + k]
    j = (k << 6) + highest(m)
    return (j << 6) + highest(s.bits[b1 + j])


@outline
def window_above(d, row, g, offset):
    """Smallest occupied offset of the window above `offset` (which may be -1), or -1."""
    s = core(d)
    b0 = s.ins[row + BITS0 + g]
    if offset >= 0:
        w = offset >> 6
        m = s.bits[b0 + w] & inv(shl(U(2), offset & 63) - U(1))
    else:
        w = I(0)
        m = s.bits[b0]
    if m != U(0):
        return (w << 6) + lowest(m)
    w = _tier_up(s, s.ins[row + BITS1 + g], s.ins[row + BITS2 + g], s.ins[row + WORDS2], w)
    if w < 0:
        return I(-1)
    return (w << 6) + lowest(s.bits[b0 + w])


@outline
def window_below(d, row, g, offset):
    """Largest occupied offset of the window below `offset` (which may be the window's width), or -1."""
    s = core(d)
    b0 = s.ins[row + BITS0 + g]
    w = (offset - 1) >> 6
    m = s.bits[b0 + w] & inv(shl(inv(U(1)), (offset - 1) & 63))
    if m != U(0):
        return (w << 6) + highest(m)
    w = _tier_down(s, s.ins[row + BITS1 + g], s.ins[row + BITS2 + g], w)
    if w < 0:
        return I(-1)
    return (w << 6) + highest(s.bits[b0 + w])


@outline
def next_price(d, row, g, price):
    """The next occupied price of a side that is worse than `price`, or NO_BUY / NO_SELL."""
    s = core(d)
    low = s.ins[row + WINDOW_LO]
    width = s.ins[row + WINDOW]
    count = s.ins[row + FAR_COUNT + g]
    base = s.ins[row + FAR_BASE + g]
    if g == 1:
        found = I(NO_SELL)
        if width > 0 and price < low + width - 1:
            offset = window_above(door(s), row, g, max(price - low, I(-1)))
            if offset >= 0:
                found = low + offset
        if count > 0:
            place = far_place(s, row, g, price + 1)
            if place < count:
                found = min(found, s.far[2 * (base + place)])
        return found
    found = I(NO_BUY)
    if width > 0 and price > low:
        offset = window_below(door(s), row, g, min(price - low, width))
        if offset >= 0:
            found = low + offset
    if count > 0:
        place = far_place(s, row, g, price) - 1
        if place >= 0:
            found = max(found, s.far[2 * (base + place)])
    return found


@inline
def level_at(s, row, g, price):
    """Level of an occupied price."""
    offset = price - s.ins[row + WINDOW_LO]
    if 0 <= offset < s.ins[row + WINDOW]:
        return s.ins[row + LEVELS + g] + offset
    return far_level(door(s), row, g, price)


@inline
def is_far(s, row, price):
    """Whether a price lies outside the instrument's window."""
    offset = price - s.ins[row + WINDOW_LO]
    return offset < 0 or offset >= s.ins[row + WINDOW]


@inline
def append(s, level, x):
    """Put record x last in the queue of a level whose bits and best price need no change."""
    last = I(s.link[level * LINKS + PREV])
    s.link[x * LINKS + NEXT] = level
    s.link[x * LINKS + PREV] = last
    s.n4[x * NODE4 + LEVEL] = level
    s.link[last * LINKS + NEXT] = x
    s.link[level * LINKS + PREV] = x


@inline
def join(s, row, g, x, price):
    """Put record x last in the queue of its price (R21, R23)."""
    offset = price - s.ins[row + WINDOW_LO]
    if 0 <= offset < s.ins[row + WINDOW]:
        join_window(s, row, g, x, price, offset)
    else:
        append(s, far_open(door(s), row, g, price), x)
        best = s.ins[row + BEST + g]
        s.ins[row + BEST + g] = price if ((price - best) ^ -g) >= 0 else best


@outline
def _mark_word(d, row, g, w):
    """Word w of the first tier is no longer zero."""
    s = core(d)
    s.bits[s.ins[row + BITS1 + g] + (w >> 6)] |= shl(U(1), w & 63)
    if s.ins[row + WINDOW] > 4096:  # or one word of the second tier holds all, and the third is not asked
        s.bits[s.ins[row + BITS2 + g] + (w >> 12)] |= shl(U(1), (w >> 6) & 63)
    return I(0)


@inline
def join_window(s, row, g, x, price, offset):
    """Put record x last in the queue of a price in the window, at `offset` of it (R21, R23)."""
    at = s.ins[row + BITS0 + g] + (offset >> 6)
    word = s.bits[at]
    s.bits[at] = word | shl(U(1), offset & 63)
    if word == U(0):
        _mark_word(door(s), row, g, offset >> 6)
    append(s, s.ins[row + LEVELS + g] + offset, x)
    best = s.ins[row + BEST + g]
    s.ins[row + BEST + g] = price if ((price - best) ^ -g) >= 0 else best


@outline
def empty_window_level(d, row, g, price):
    """A level of the window, whose bit is cleared, was the last of its word or the best."""
    s = core(d)
    w = (price - s.ins[row + WINDOW_LO]) >> 6
    if s.bits[s.ins[row + BITS0 + g] + w] == U(0):
        at = s.ins[row + BITS1 + g] + (w >> 6)
        left = s.bits[at] & inv(shl(U(1), w & 63))
        s.bits[at] = left
        if left == U(0):
            s.bits[s.ins[row + BITS2 + g] + (w >> 12)] &= inv(shl(U(1), (w >> 6) & 63))
    if s.ins[row + BEST + g] == price:
        s.ins[row + BEST + g] = next_price(door(s), row, g, price)
    return I(0)


@outline
def vacate(d, row, g, price):
    """A level has become empty: clear its bits and, if it was the best, find the next."""
    s = core(d)
    offset = price - s.ins[row + WINDOW_LO]
    if 0 <= offset < s.ins[row + WINDOW]:
        s.bits[s.ins[row + BITS0 + g] + (offset >> 6)] &= inv(shl(U(1), offset & 63))
        return empty_window_level(door(s), row, g, price)
    far_close(door(s), row, g, price)
    if s.ins[row + BEST + g] == price:
        s.ins[row + BEST + g] = next_price(door(s), row, g, price)
    return I(0)


@inline
def leave(s, x, g):
    """Take record x out of its level in the book."""
    r4 = x * NODE4
    after = I(s.link[x * LINKS + NEXT])
    before = I(s.link[x * LINKS + PREV])
    s.link[before * LINKS + NEXT] = after
    s.link[after * LINKS + PREV] = before
    if after == before:
        vacate(door(s), I(s.n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS, g, s.n8[x * NODE8 + PRICE])


@inline
def unlink(s, x):
    """Take record x out of its queue; whether the queue is empty now."""
    after = I(s.link[x * LINKS + NEXT])
    before = I(s.link[x * LINKS + PREV])
    s.link[before * LINKS + NEXT] = after
    s.link[after * LINKS + PREV] = before
    return after == before


@outline
def wait_as_stop(d, row, g, x, stop_price):
    """Put record x of side g among the stops of its instrument (R60); there is room (R15)."""
    s = core(d)
    join(s, row + STOPS, 1 - g, x, stop_price)
    return I(0)


@inline
def stop_price_of(s, x):
    """The stop price of a waiting stop: that of the level in which it waits."""
    return s.n8[I(s.n4[x * NODE4 + LEVEL]) * NODE8 + PRICE]


@outline
def stop_waiting(d, x):
    """Take record x from among the stops."""
    s = core(d)
    row = I(s.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS + STOPS
    price = stop_price_of(s, x)
    if unlink(s, x):
        vacate(door(s), row, 2 - (I(s.n4[x * NODE4 + FLAGS]) & 3), price)
    return I(0)


@outline
def stops_full(d, row, g, stop_price):
    """R15: a new stop price beyond the maximum."""
    s = core(d)
    return (
        s.ins[row + STOPS + FAR_COUNT + 1 - g] >= MAX_STOP_LEVELS
        and far_level(door(s), row + STOPS, 1 - g, stop_price) == 0
    )


@outline
def far_full(d, row, g, price):
    """R15: a new far level beyond the maximum."""
    s = core(d)
    return s.ins[row + FAR_COUNT + g] >= MAX_FAR_LEVELS and far_level(door(s), row, g, price) == 0
