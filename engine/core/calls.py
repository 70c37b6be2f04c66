"""The call of an instrument: what its orders add up to, the price at which it would uncross, and telling that.

While a call runs, every level knows the total of its lots, and two Fenwick trees hold the window's totals by price, so
that demand and supply at a price, and with them the auction price, cost O(log) steps.  Prices outside the window are
added up from the far lists, which are bounded (R15).  CALLING says whether totals and trees are kept.
`row` is the instrument's offset in the instrument array, `g` the side (0 buy, 1 sell).
"""

from __future__ import annotations

from engine.core.book import far_place, window_above, window_below
from engine.core.controls import reference_of
from engine.core.events import put_auction
from engine.core.lane import I, inline, outline
from engine.core.layout import (
    BEST,
    BUYS,
    CALLING,
    CAPACITY,
    DIRTY,
    EDGE_PRICED,
    FAR_BASE,
    FAR_COUNT,
    FLAGS,
    INSTRUMENT_WORDS,
    LEAVES,
    LEVELS,
    LINKS,
    MAX_PRICE,
    MIN_PRICE,
    NEXT,
    NODE4,
    NODE8,
    STUCK,
    TOLD_PRICE,
    TOLD_STEP,
    TOLD_SURPLUS,
    TOLD_VOLUME,
    TOTAL,
    TREE,
    UNPRICED,
    WINDOW,
    WINDOW_LO,
)  # fmt: skip
from engine.core.memory import core, door
from engine.schema import AuctionStep, EventKind

NO_CROSS, BY_VOLUME, BY_SURPLUS = int(AuctionStep.NO_CROSS), int(AuctionStep.VOLUME), int(AuctionStep.SURPLUS)
BY_PRESSURE, BY_REFERENCE = int(AuctionStep.PRESSURE), int(AuctionStep.REFERENCE)
BY_UNPRICED = int(AuctionStep.UNPRICED)
INDICATIVE = int(EventKind.AUCTION_INDICATIVE)
NONE_BELOW, NONE_ABOVE = -(1 << 62), 1 << 62


@inline
def edge_of(s, row, g):
    """The price at which an unpriced order of side g ranks (R51)."""
    return s.ins[row + MAX_PRICE] if g == 0 else s.ins[row + MIN_PRICE]


@inline
def _tree_sum(s, base, i):
    """Lots at places 1..i of a tree."""
    total = I(0)
    while i > 0:
        total += s.tree[base + i - 1]
        i &= i - 1
    return total


@outline
def count_lots(d, row, g, level, price, lots, priced):
    """Lots have come to a level of a call (gone, if negative); `priced`: by how many its priced orders change."""
    s = core(d)
    s.n8[level * NODE8 + TOTAL] += lots
    s.ins[row + DIRTY] = 1
    if g == 0:
        s.ins[row + BUYS] += lots
    if price == edge_of(s, row, g):
        s.ins[row + EDGE_PRICED + g] += priced
    width = s.ins[row + WINDOW]
    offset = price - s.ins[row + WINDOW_LO]
    if 0 <= offset < width:
        base = s.ins[row + TREE + g]
        i = offset + 2 - g
        while i <= width + 1:
            s.tree[base + i - 1] += lots
            i += i & -i
    return I(0)


@inline
def _walk_level(s, row, g, level):
    """Add up a level: (lots, priced orders)."""
    lots = I(0)
    priced = I(0)
    m = I(s.link[level * LINKS + NEXT])
    while m != level:
        lots += I(s.n4[m * NODE4 + LEAVES])
        if I(s.n4[m * NODE4 + FLAGS]) & UNPRICED == 0:
            priced += 1
        m = I(s.link[m * LINKS + NEXT])
    return lots, priced


@outline
def _take_level(d, row, g, level, price):
    s = core(d)
    lots, priced = _walk_level(s, row, g, level)
    s.n8[level * NODE8 + TOTAL] = 0
    count_lots(door(s), row, g, level, price, lots, priced)
    return I(0)


@outline
def begin_call(d, row):
    """Add up both sides of the book (R50): from now on totals and trees are kept."""
    s = core(d)
    width = s.ins[row + WINDOW]
    s.ins[row + BUYS] = 0
    for g in range(2):
        base = s.ins[row + TREE + g]
        for i in range(width + 1):
            s.tree[base + i] = 0
        s.ins[row + EDGE_PRICED + g] = 0
    for g in range(2):
        offset = window_above(door(s), row, I(g), I(-1))
        while offset >= 0:
            _take_level(door(s), row, I(g), s.ins[row + LEVELS + g] + offset, s.ins[row + WINDOW_LO] + offset)
            offset = window_above(door(s), row, I(g), offset) if offset + 1 < width else I(-1)
        base = s.ins[row + FAR_BASE + g]
        for i in range(s.ins[row + FAR_COUNT + g]):
            _take_level(door(s), row, I(g), s.far[2 * (base + i) + 1], s.far[2 * (base + i)])
    s.ins[row + CALLING] = 1
    s.ins[row + DIRTY] = 0
    return I(0)


@inline
def forget_told(s, row):
    """NO_CROSS counts as told (R53)."""
    s.ins[row + TOLD_PRICE] = 0
    s.ins[row + TOLD_VOLUME] = 0
    s.ins[row + TOLD_SURPLUS] = 0
    s.ins[row + TOLD_STEP] = NO_CROSS


@inline
def _far_sum(s, row, g, price):
    """Lots of side g at far prices below `price`."""
    base = s.ins[row + FAR_BASE + g]
    total = I(0)
    for i in range(s.ins[row + FAR_COUNT + g]):
        if s.far[2 * (base + i)] >= price:
            break
        total += s.n8[s.far[2 * (base + i) + 1] * NODE8 + TOTAL]
    return total


@outline
def supply(d, row, price):
    """Lots of the sells at `price` or lower."""
    s = core(d)
    total = _far_sum(s, row, 1, price + 1)
    offset = min(price - s.ins[row + WINDOW_LO], s.ins[row + WINDOW] - 1)
    if offset >= 0:
        total += _tree_sum(s, s.ins[row + TREE + 1], offset + 1)
    return total


@outline
def demand(d, row, price):
    """Lots of the buys at `price` or higher."""
    s = core(d)
    total = s.ins[row + BUYS] - _far_sum(s, row, 0, price)
    offset = min(price - s.ins[row + WINDOW_LO], s.ins[row + WINDOW])
    if offset > 0:
        total -= _tree_sum(s, s.ins[row + TREE], offset + 1)
    return total


@outline
def _below(d, row, g, price):
    """Highest occupied price of side g at or below `price`."""
    s = core(d)
    low = s.ins[row + WINDOW_LO]
    found = I(NONE_BELOW)
    if price >= low:
        offset = window_below(door(s), row, g, min(price - low + 1, s.ins[row + WINDOW]))
        if offset >= 0:
            found = low + offset
    place = far_place(s, row, g, price + 1) - 1
    if place >= 0:
        found = max(found, s.far[2 * (s.ins[row + FAR_BASE + g] + place)])
    return found


@outline
def _above(d, row, g, price):
    """Lowest occupied price of side g at or above `price`."""
    s = core(d)
    low = s.ins[row + WINDOW_LO]
    found = I(NONE_ABOVE)
    if price < low + s.ins[row + WINDOW]:
        offset = window_above(door(s), row, g, max(price - low - 1, I(-1)))
        if offset >= 0:
            found = low + offset
    place = far_place(s, row, g, price)
    if place < s.ins[row + FAR_COUNT + g]:
        found = min(found, s.far[2 * (s.ins[row + FAR_BASE + g] + place)])
    return found


@outline
def candidate_below(d, row, price):
    """Highest price at or below `price` at which a priced order rests (R52)."""
    s = core(d)
    buy = _below(door(s), row, I(0), price)
    if buy == s.ins[row + MAX_PRICE] and s.ins[row + EDGE_PRICED] == 0:
        buy = _below(door(s), row, I(0), buy - 1)
    sell = _below(door(s), row, I(1), price)
    if sell == s.ins[row + MIN_PRICE] and s.ins[row + EDGE_PRICED + 1] == 0:
        sell = I(NONE_BELOW)
    return max(buy, sell)


@outline
def candidate_above(d, row, price):
    """Lowest price at or above `price` at which a priced order rests (R52)."""
    s = core(d)
    buy = _above(door(s), row, I(0), price)
    if buy == s.ins[row + MAX_PRICE] and s.ins[row + EDGE_PRICED] == 0:
        buy = I(NONE_ABOVE)
    sell = _above(door(s), row, I(1), price)
    if sell == s.ins[row + MIN_PRICE] and s.ins[row + EDGE_PRICED + 1] == 0:
        sell = _above(door(s), row, I(1), sell + 1)
    return min(buy, sell)


@outline
def _turn(d, row, low, high):
    """Highest price in [low, high] whose surplus is not on the sell side, or low - 1."""
    s = core(d)
    if demand(door(s), row, low) < supply(door(s), row, low):
        return low - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if demand(door(s), row, middle) >= supply(door(s), row, middle):
            low = middle
        else:
            high = middle - 1
    return low


@outline
def _result(d, row, price, step):
    s = core(d)
    wanted = demand(door(s), row, price)
    offered = supply(door(s), row, price)
    return price, min(wanted, offered), wanted - offered, step


@outline
def equilibrium(d, row):
    """The auction price (R52): (price, volume, surplus, step); surplus is positive on the buy side."""
    s = core(d)
    low = s.ins[row + BEST + 1]
    high = s.ins[row + BEST]
    if low > high:
        return I(0), I(0), I(0), I(NO_CROSS)
    turn = _turn(door(s), row, low, high)
    # Volume and surplus change in one direction on each side of the turn: the best candidates stand next to it, and a
    # candidate as good as one of them stands next to that one, if there is any.
    buy = candidate_below(door(s), row, turn)
    sell = candidate_above(door(s), row, turn + 1)
    has_buy = buy >= low
    has_sell = sell <= high
    if not has_buy and not has_sell:
        price = min(max(reference_of(s, row), s.ins[row + MIN_PRICE]), s.ins[row + MAX_PRICE])
        return _result(door(s), row, price, I(BY_UNPRICED))
    buy_volume = supply(door(s), row, buy) if has_buy else I(0)
    sell_volume = demand(door(s), row, sell) if has_sell else I(0)
    volume = max(buy_volume, sell_volume)
    best = I(0)  # candidates with the highest volume, as far as it matters how many
    least = I(0)  # those of them with the least surplus
    surplus = I(NONE_ABOVE)
    lowest = buy
    if buy_volume == volume:
        surplus = demand(door(s), row, buy) - buy_volume
        best = least = I(1)
        other = candidate_below(door(s), row, buy - 1)
        if other >= low and supply(door(s), row, other) == volume:
            best += 1
            if demand(door(s), row, other) - volume == surplus:
                least += 1
                lowest = other
    if sell_volume == volume:
        short = supply(door(s), row, sell) - sell_volume
        best += 1
        other = candidate_above(door(s), row, sell + 1)
        tied = other <= high and demand(door(s), row, other) == volume
        if tied:
            best += 1
        if short < surplus:
            least = I(1)
            surplus = -short
            if tied and supply(door(s), row, other) - volume == short:
                least += 1
        elif short == surplus:
            # Both sides have the same surplus: the reference moved between the two.
            price = min(max(reference_of(s, row), buy), sell)
            return _result(door(s), row, price, I(BY_REFERENCE))
    price = sell if surplus < 0 else buy
    step = I(BY_VOLUME)
    if best > 1:
        step = I(BY_SURPLUS)
    if least > 1:
        step = I(BY_PRESSURE)
        if surplus == 0:
            price = min(max(reference_of(s, row), lowest), buy)
            step = I(BY_REFERENCE)
    return _result(door(s), row, price, step)


@outline
def tell(d, n, instrument):
    """Tell an instrument's indicative if it is not as last told (R53); n or n + 1, or STUCK."""
    s = core(d)
    row = instrument * INSTRUMENT_WORDS
    price, volume, surplus, step = equilibrium(door(s), row)
    if (
        price == s.ins[row + TOLD_PRICE]
        and volume == s.ins[row + TOLD_VOLUME]
        and surplus == s.ins[row + TOLD_SURPLUS]
        and step == s.ins[row + TOLD_STEP]
    ):
        return n
    if n >= s.h[CAPACITY]:
        s.h[STUCK] = 1
        return n
    s.ins[row + TOLD_PRICE] = price
    s.ins[row + TOLD_VOLUME] = volume
    s.ins[row + TOLD_SURPLUS] = surplus
    s.ins[row + TOLD_STEP] = step
    return put_auction(door(s), n, I(INDICATIVE), instrument, price, volume, surplus, step)


__all__ = ["begin_call", "candidate_above", "candidate_below", "count_lots", "demand", "edge_of", "equilibrium",
           "forget_told", "supply", "tell"]  # fmt: skip
