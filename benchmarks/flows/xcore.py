"""Mix A: the flow of exchange-core's latency tests, by its published laws and not by its code.

Source of the laws: github.com/exchange-core/exchange-core, its test order generator.  A symbol starts at
10^(3.3 + 1.5 U + 1.5 U) ticks and is held within five deviations of min(5 % of that, 10,000).  Its book aims at 1,000
resting orders, half of them on each side, and is measured every 512 of its commands.  While the drawn side is short,
of ten commands 2 are new orders, 1 cancels, 1 reduces, 6 move; else of forty 2 are IOC (one in 32 fill-or-kill),
1 cancels, 1 reduces, 36 move.  A new order lies behind the last price by the mean of four even draws times
(1 + U^2 deviations) and has 1 + the product of three of 0..5 lots; a move shifts a price by 1 % towards the last price;
whom a cancel, reduce or move hits is drawn from the 512 oldest.  Symbols are drawn by Pareto(0.001, 1.5) weights.

Realised there (reduces counted with the moves): 9 % new, 3 % IOC, 6 % cancels, 82 % moves; 6 trades in 100 commands.

Ours differs in this: users have one account each (1,000 of them); a fill-or-kill order has a limit and no budget; a
move that 1 % would leave where it is goes one tick, to either side; an order of one lot is moved, not reduced.
"""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
from numba import njit

from benchmarks.flows import book
from benchmarks.flows.book import BUYS, HIGH, LAST, LOW, ORDER_COLUMNS, fills, join, leave, match, open_markets, pick
from benchmarks.flows.venue import (
    COLUMNS,
    INSTRUMENT,
    PLACE_FOK,
    REDUCE,
    SMP,
    Band,
    stream,
    table_of,
)
from benchmarks.workloads import (
    ACCOUNT,
    AMEND,
    CANCEL,
    LEAVES,
    OP,
    ORDER,
    PLACE,
    PLACE_IOC,
    PRICE,
    SEED,
    SIDE,
    TOTAL,
    Stream,
    Workload,
    draw,
)
from engine.schema import Smp

ACCOUNTS: Final = 1_000
RESIDENT: Final = 1_000  # orders of a symbol
MEASURED_EVERY: Final = 512  # commands of a symbol
OLDEST: Final = 512
DEVIATION_SHARE, MAX_DEVIATION, DEVIATIONS = 20, 10_000, 5
_BITS: Final = 16  # of an even draw between 0 and 1
NONE, RESTING = int(Smp.NONE), int(Smp.CANCEL_RESTING)
# Columns of what is known of a symbol besides its book.
HEAD, TAIL, COMMANDS, SHORT_OF_BUYS, SHORT_OF_SELLS = range(5)


def generate(count: int, *, symbols: int = 1, smp: bool = True, seed: int = SEED, resident: int = 0) -> Stream:
    """`count` commands after filling the books of `symbols` symbols with `resident` orders each.

    smp: orders say nothing and self-match prevention is as by default (cancel_resting), else they say `none`.
    """
    resident = resident or RESIDENT
    starts, bands, weights = _symbols(symbols, seed)
    markets, levels = open_markets(bands, starts)
    plain = np.zeros((symbols * resident + count, COLUMNS), np.int64)
    room = 1 << (8 * resident + 2 * OLDEST).bit_length()
    deviations = np.array([_deviation(start) for start in starts])
    trades, volume = _generate(seed, resident, smp, table_of(weights), deviations, markets, levels, room, plain)
    low, high = min(band[0] for band in bands), max(band[1] for band in bands)
    name = "xcore" if symbols == 1 else f"xcore-{symbols}"
    says = "exchange-core's mix: 82 % moves and reduces, 9 % new, 6 % cancels, 3 % IOC"
    workload = Workload(name, says, 0, symbols * resident, starts[0], low, high, 0, "0.01")
    return stream(workload, bands, ACCOUNTS, plain, symbols * resident, smp=smp, trades=int(trades), volume=int(volume))


def _deviation(start: int) -> int:
    return min(start // DEVIATION_SHARE, MAX_DEVIATION)


def _symbols(symbols: int, seed: int) -> tuple[list[int], list[Band], list[float]]:
    """First prices, bands and weights."""
    chance = random.Random(seed)
    starts = [int(10 ** (3.3 + 1.5 * chance.random() + 1.5 * chance.random())) for _ in range(symbols)]
    bands = [(start - DEVIATIONS * _deviation(start), start + DEVIATIONS * _deviation(start)) for start in starts]
    return starts, bands, [0.001 * (1 - chance.random()) ** (-1 / 1.5) for _ in range(symbols)]


@njit(inline="never")
def _victim(state: Any, orders: Any, queue: Any, known: Any) -> int:
    """One of the OLDEST live orders of a symbol, or -1; ended ones that are met are dropped from its queue."""
    mask = len(queue) - 1
    while known[TAIL] > known[HEAD]:
        j = draw(state, min(OLDEST, known[TAIL] - known[HEAD]))
        x = queue[(known[HEAD] + j) & mask]
        if orders[x, book.LIVE] == 1:
            return x  # type: ignore[no-any-return]
        for t in range(j, 0, -1):
            queue[(known[HEAD] + t) & mask] = queue[(known[HEAD] + t - 1) & mask]
        known[HEAD] += 1
    return -1


@njit(inline="never")
def _remember(orders: Any, queue: Any, known: Any, i: int) -> None:
    """Add order i to its symbol's queue by age; without the ended ones there is always room."""
    mask = len(queue) - 1
    if known[TAIL] - known[HEAD] == len(queue):
        kept = known[HEAD]
        for t in range(known[HEAD], known[TAIL]):
            if orders[queue[t & mask], book.LIVE] == 1:
                queue[kept & mask] = queue[t & mask]
                kept += 1
        known[TAIL] = kept
    queue[known[TAIL] & mask] = i
    known[TAIL] += 1


@njit(inline="never")
def _choose(state: Any, short: bool) -> int:
    """What comes next, by whether the side is short."""
    if short:
        chance = draw(state, 10)
        return PLACE if chance < 2 else CANCEL if chance < 3 else REDUCE if chance < 4 else AMEND
    chance = draw(state, 40)
    if chance < 2:
        return PLACE_FOK if draw(state, 32) == 0 else PLACE_IOC
    return CANCEL if chance < 3 else REDUCE if chance < 4 else AMEND


@njit(inline="never")
def _fresh(state: Any, orders: Any, i: int, market: Any, deviation: int, resting: bool) -> None:
    """Price, quantity and account of a new order of a side."""
    u = draw(state, 1 << _BITS)
    reach = (1 << _BITS) + ((u * u) >> _BITS) * deviation
    away = 0
    for _ in range(4):
        away += draw(state, 1 << _BITS)
    away = (away * (reach >> 2)) >> (2 * _BITS)
    side = orders[i, book.SIDE]
    price = (market[LAST] - away if side == 0 else market[LAST] + away) if resting else market[HIGH - side]
    orders[i, book.PRICE] = min(max(price, market[LOW]), market[HIGH])
    orders[i, book.OPEN] = 1 + draw(state, 6) * draw(state, 6) * draw(state, 6)
    orders[i, book.DONE] = 0
    orders[i, book.ACCOUNT] = 1 + draw(state, ACCOUNTS)


@njit(inline="never")
def _move(state: Any, orders: Any, i: int, market: Any) -> None:
    """Shift an order's price by a hundredth of the way to the last price."""
    price, last = orders[i, book.PRICE], market[LAST]
    step = (last - price) // 100 if last > price else -((price - last) // 100)
    if step == 0:
        step = 2 * draw(state, 2) - 1
    if price + step < market[LOW] or price + step > market[HIGH]:
        step = -step
    orders[i, book.PRICE] = price + step


@njit(inline="never")
def _generate(seed: int, resident: int, smp: bool, weights: Any, deviations: Any, markets: Any, levels: Any, room: int,
              out: Any) -> tuple[int, int]:  # fmt: skip
    state = np.array([seed], np.uint64)
    orders = np.full((len(out), ORDER_COLUMNS), -1, np.int32)
    queues = np.zeros((len(markets), room), np.int32)
    knowns = np.zeros((len(markets), 5), np.int64)
    sums = np.zeros(2, np.int64)
    prefill = resident * len(markets)
    for k in range(len(out)):
        if k == prefill:
            sums[:] = 0
        m = k % len(markets) if k < prefill else pick(state, weights)
        market, known = markets[m], knowns[m]
        if known[COMMANDS] % MEASURED_EVERY == 0:
            known[SHORT_OF_BUYS] = market[BUYS] < resident // 2
            known[SHORT_OF_SELLS] = market[BUYS + 1] < resident // 2
        known[COMMANDS] += k >= prefill
        side = k // len(markets) % 2 if k < prefill else draw(state, 2)
        op = PLACE if k < prefill else _choose(state, known[SHORT_OF_BUYS + side] == 1)
        i = k
        if op in (CANCEL, AMEND, REDUCE):
            i = _victim(state, orders, queues[m], known)
            if i < 0:
                i, op = k, PLACE
        if op == REDUCE and orders[i, book.OPEN] == 1:
            op = AMEND
        if i == k:
            orders[i, book.SIDE], orders[i, book.INSTRUMENT] = side, m
            orders[i, book.SMP] = RESTING if smp else NONE
            _fresh(state, orders, i, market, deviations[m], op == PLACE)
        elif op == REDUCE:
            orders[i, book.OPEN] -= 1 + draw(state, orders[i, book.OPEN] - 1)
        else:
            leave(orders, levels, markets, i)
            if op == AMEND:
                _move(state, orders, i, market)
        out[k, OP], out[k, ORDER], out[k, SIDE] = op, i, orders[i, book.SIDE]
        out[k, PRICE], out[k, LEAVES] = orders[i, book.PRICE], orders[i, book.OPEN]
        out[k, TOTAL], out[k, ACCOUNT] = orders[i, book.OPEN] + orders[i, book.DONE], orders[i, book.ACCOUNT]
        out[k, INSTRUMENT], out[k, SMP] = m + 1, 0 if smp else NONE
        if op in (CANCEL, REDUCE):
            continue
        if op != PLACE_FOK or fills(orders, levels, markets, i):
            match(orders, levels, markets, sums, i)
        if orders[i, book.OPEN] > 0 and op in (PLACE, AMEND):
            join(orders, levels, markets, i)
            if op == PLACE:
                _remember(orders, queues[m], known, i)
    return sums[0], sums[1]
