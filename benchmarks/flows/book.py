"""A deliberately simple price-time book of several instruments, by which a flow knows what is alive and what trades.

It shares no line with engine/.  Orders are rows of int32 (columns below), a price is a pair (first, last) of the order
numbers in its queue, a side of the market is walked price by price.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from benchmarks.flows.venue import Band
from benchmarks.workloads import Ints, draw
from engine.schema import Smp

# Columns of an order; NEXT and BEFORE are the queue of its price, INSTRUMENT counts from 0.
NEXT, BEFORE, PRICE, OPEN, DONE, SIDE, ACCOUNT, INSTRUMENT, LIVE, SMP = range(10)
ORDER_COLUMNS: Final = 10
# Columns of a market: best prices, live orders of the sides, last price, what to add to a price for its level, band.
BEST_BUY, BEST_SELL, BUYS, SELLS, LAST, SHIFT, LOW, HIGH = range(8)
NONE, CANCEL_INCOMING, CANCEL_BOTH = int(Smp.NONE), int(Smp.CANCEL_INCOMING), int(Smp.CANCEL_BOTH)


def open_markets(bands: list[Band], starts: list[int]) -> tuple[Ints, Any]:
    """Markets without orders, whose last prices are `starts`, and the levels of all their prices."""
    markets = np.zeros((len(bands), 8), np.int64)
    used = 0
    for market, (low, high), start in zip(markets, bands, starts, strict=True):
        market[:] = low, high, 0, 0, start, used - low, low, high
        used += high - low + 1
    return markets, np.full((used, 2), -1, np.int32)


@njit(inline="never")
def pick(state: Any, table: Any) -> int:
    """A number drawn by a table of rising sums (venue.table_of)."""
    chance = draw(state, table[-1])
    return np.searchsorted(table, chance, side="right")  # type: ignore[return-value]


@njit(inline="never")
def join(orders: Any, levels: Any, markets: Any, i: int) -> None:
    """Put order i at the end of the queue of its price."""
    market = markets[orders[i, INSTRUMENT]]
    side, price = orders[i, SIDE], orders[i, PRICE]
    level = price + market[SHIFT]
    last = levels[level, 1]
    orders[i, BEFORE], orders[i, NEXT] = last, -1
    if last >= 0:
        orders[last, NEXT] = i
    else:
        levels[level, 0] = i
    levels[level, 1] = i
    orders[i, LIVE] = 1
    market[BUYS + side] += 1
    market[side] = max(market[side], price) if side == 0 else min(market[side], price)


@njit(inline="never")
def leave(orders: Any, levels: Any, markets: Any, i: int) -> None:
    """Take order i out of its queue; it has ended."""
    market = markets[orders[i, INSTRUMENT]]
    level = orders[i, PRICE] + market[SHIFT]
    before, after = orders[i, BEFORE], orders[i, NEXT]
    if before >= 0:
        orders[before, NEXT] = after
    else:
        levels[level, 0] = after
    if after >= 0:
        orders[after, BEFORE] = before
    else:
        levels[level, 1] = before
    orders[i, LIVE] = 0
    market[BUYS + orders[i, SIDE]] -= 1


@njit(inline="never")
def fills(orders: Any, levels: Any, markets: Any, i: int) -> bool:
    """Whether order i would be filled whole: what a fill-or-kill order asks; own orders do not count."""
    market = markets[orders[i, INSTRUMENT]]
    side, price, left = orders[i, SIDE], orders[i, PRICE], orders[i, OPEN]
    step = 1 if side == 0 else -1
    at, seen = market[1 - side], 0
    while left > 0 and seen < market[SELLS - side] and (at - price) * step <= 0:
        x = levels[at + market[SHIFT], 0]
        while x >= 0 and orders[x, SIDE] != side:
            seen += 1
            if orders[i, SMP] == NONE or orders[x, ACCOUNT] != orders[i, ACCOUNT]:
                left -= orders[x, OPEN]
            x = orders[x, NEXT]
        at += step
    return bool(left <= 0)


@njit(inline="never")
def match(orders: Any, levels: Any, markets: Any, sums: Any, i: int) -> None:
    """Trade order i as far as its price reaches; sums: trades and lots.

    Of two orders of an account the resting one is canceled, or whichever the incoming one's instruction names.
    """
    market = markets[orders[i, INSTRUMENT]]
    side, price = orders[i, SIDE], orders[i, PRICE]
    step = 1 if side == 0 else -1
    while orders[i, OPEN] > 0 and market[SELLS - side] > 0:
        best = market[1 - side]
        while levels[best + market[SHIFT], 0] < 0 or orders[levels[best + market[SHIFT], 0], SIDE] == side:
            best += step
        market[1 - side] = best
        if (best - price) * step > 0:
            break
        resting = levels[best + market[SHIFT], 0]
        if orders[i, SMP] != NONE and orders[resting, ACCOUNT] == orders[i, ACCOUNT]:
            if orders[i, SMP] != CANCEL_INCOMING:
                leave(orders, levels, markets, resting)
            if orders[i, SMP] == CANCEL_INCOMING or orders[i, SMP] == CANCEL_BOTH:
                orders[i, OPEN] = 0
            continue
        lots = min(orders[i, OPEN], orders[resting, OPEN])
        orders[i, OPEN] -= lots
        orders[i, DONE] += lots
        orders[resting, OPEN] -= lots
        orders[resting, DONE] += lots
        sums[0] += 1
        sums[1] += lots
        market[LAST] = best
        if orders[resting, OPEN] == 0:
            leave(orders, levels, markets, resting)
