"""Mix B: the flow of Melin's engine benchmark, by its published laws and not by its code.

Source of the laws: github.com/melin-engine/melin, its benchmark documentation; its ratios are calibrated to a day of an
exchange's own messages.  100 instruments and 10,000 accounts, both drawn by Zipf's law.  If the drawn account has a
live order, 60 of 100 draws cancel one and 30 amend one, recent ones first; everything else is a new order.  Of 100 new
ones 5 are market, 5 IOC, 2 fill-or-kill, 3 stop, 5 post-only, 10 limits that reach across the middle, and the others
limits behind it.  Distances from the middle (10,000 ticks) follow a power law (exponent 1.5, up to 200 ticks), lots a
power law (exponent 2, up to 1,000); self-match prevention is asked for in the proportions 70 none, 10, 10, 10.

Realised there: 47 to 52 % of all commands are cancels and amends.

Chosen here: the exponents of Zipf's law (1 for instruments, 1.2 for accounts); that live orders are counted by account;
that a recent one is the youngest with probability 1/2, the next with 1/4 and so on; that an amend draws price and lots
anew on its side; and that the book starts with an order of every fifth account, near where it settles.

`plain` is what the floor can do (benchmarks/limit): market orders become IOC limits 200 ticks beyond the middle,
post-only orders and stops plain limits, and nobody asks for self-match prevention.  Then the trades are known.  The
full flow's generator does not follow stops and market protection (`trades` is UNKNOWN): a stop that has traded may be
named again, which the venue refuses as any late cancel.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from benchmarks.flows import book
from benchmarks.flows.book import ORDER_COLUMNS, fills, join, leave, match, open_markets, pick
from benchmarks.flows.venue import (
    COLUMNS,
    INSTRUMENT,
    PLACE_FOK,
    PLACE_MARKET,
    PLACE_POST,
    PLACE_STOP,
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
    UNKNOWN,
    Ints,
    Stream,
    Workload,
    draw,
)
from engine.schema import Smp

INSTRUMENTS: Final = 100
ACCOUNTS: Final = 10_000
MIDDLE, MAX_OFFSET, MAX_LOTS = 10_000, 200, 1_000
OFFSET_EXPONENT, LOTS_EXPONENT, ACCOUNTS_EXPONENT = 1.5, 2.0, 1.2
EVERY: Final = 5  # of so many accounts one has an order at first
BAND: Final[Band] = (MIDDLE - 2 * MAX_OFFSET, MIDDLE + 2 * MAX_OFFSET)
CANCELS, AMENDS = 60, 30  # of 100 draws
STOP: Final = 2  # LIVE of a stop that waits: no part of the book
_ACROSS: Final = 0  # a limit that reaches across the middle
_NEW: Final = np.array(
    [*[PLACE_MARKET] * 5, *[PLACE_IOC] * 5, *[PLACE_FOK] * 2, *[PLACE_STOP] * 3, *[PLACE_POST] * 5, *[_ACROSS] * 10,
     *[PLACE] * 70], np.int64,
)  # fmt: skip
_SMPS: Final = np.array([*[Smp.NONE] * 7, Smp.CANCEL_RESTING, Smp.CANCEL_INCOMING, Smp.CANCEL_BOTH], np.int64)
# Columns of an account's live orders beside the book's: the list from the youngest to the oldest.
OLDER, YOUNGER = ORDER_COLUMNS, ORDER_COLUMNS + 1


def generate(
    count: int, *, plain: bool = False, seed: int = SEED, instruments: int = INSTRUMENTS, accounts: int = ACCOUNTS
) -> Stream:
    """`count` commands after a resting order of every fifth account; plain: without what the floor cannot do."""
    resident = accounts // EVERY
    bands = [BAND] * instruments
    markets, levels = open_markets(bands, [MIDDLE] * instruments)
    out = np.zeros((resident + count, COLUMNS), np.int64)
    trades, volume = _generate(
        seed, resident, plain, _power(instruments, 1.0), _power(accounts, ACCOUNTS_EXPONENT),
        _power(MAX_OFFSET, OFFSET_EXPONENT), _power(MAX_LOTS, LOTS_EXPONENT), markets, levels, out,
    )  # fmt: skip
    if not plain:
        trades = volume = UNKNOWN
    says = f"Melin's mix: half new, a third cancels, a sixth amends; {instruments} instruments, {accounts:,} accounts"
    workload = Workload("melin", says, 0, resident, MIDDLE, *BAND, MAX_OFFSET, "0.01")
    return stream(workload, bands, accounts, out, resident, smp=not plain, trades=int(trades), volume=int(volume))


def _power(count: int, exponent: float) -> Ints:
    """A table to draw one of `count` from, the k-th with a weight of k**-exponent."""
    return table_of([place**-exponent for place in range(1, count + 1)])


@njit(inline="never")
def _enlist(orders: Any, youngest: Any, i: int) -> None:
    """Put order i first among the live ones of its account."""
    account = orders[i, book.ACCOUNT]
    head = youngest[account]
    orders[i, OLDER], orders[i, YOUNGER] = head, -1
    if head >= 0:
        orders[head, YOUNGER] = i
    youngest[account] = i


@njit(inline="never")
def _strike(orders: Any, youngest: Any, i: int) -> None:
    """Take order i off the live ones of its account."""
    older, younger = orders[i, OLDER], orders[i, YOUNGER]
    if younger >= 0:
        orders[younger, OLDER] = older
    else:
        youngest[orders[i, book.ACCOUNT]] = older
    if older >= 0:
        orders[older, YOUNGER] = younger


@njit(inline="never")
def _recent(state: Any, orders: Any, youngest: Any, account: int) -> int:
    """A live order of an account, mostly its youngest, or -1; ended ones that are met are struck off."""
    i = youngest[account]
    found = -1
    while i >= 0:
        older = orders[i, OLDER]
        if orders[i, book.LIVE] == 0:
            _strike(orders, youngest, i)
        else:
            found = i
            if draw(state, 2) == 0:
                break
        i = older
    return found


@njit(inline="never")
def _place(state: Any, orders: Any, i: int, op: int, side: int, offsets: Any, lots: Any, plain: bool) -> int:
    """Write price, lots and instruction of order i, a new one; the operation that it is."""
    away = 1 + pick(state, offsets)
    behind = MIDDLE - away if side == 0 else MIDDLE + away
    across = MIDDLE + away if side == 0 else MIDDLE - away
    smp = _SMPS[draw(state, 10)]
    if plain:
        op = PLACE_IOC if op == PLACE_MARKET else PLACE if op in (PLACE_POST, PLACE_STOP) else op
        smp = Smp.NONE
        if op == PLACE_IOC and draw(state, 2) == 0:
            across = MIDDLE + MAX_OFFSET if side == 0 else MIDDLE - MAX_OFFSET
    if op == PLACE_MARKET:
        across = MIDDLE + MAX_OFFSET if side == 0 else MIDDLE - MAX_OFFSET
    orders[i, book.PRICE] = behind if op in (PLACE, PLACE_POST) else across
    orders[i, book.OPEN], orders[i, book.DONE] = 1 + pick(state, lots), 0
    orders[i, book.SIDE], orders[i, book.SMP] = side, smp
    return PLACE if op == _ACROSS else op


@njit(inline="never")
def _end(orders: Any, levels: Any, markets: Any, i: int) -> None:
    """Take order i out of wherever it is."""
    if orders[i, book.LIVE] == STOP:
        orders[i, book.LIVE] = 0
    else:
        leave(orders, levels, markets, i)


@njit(inline="never")
def _amend(state: Any, orders: Any, levels: Any, markets: Any, i: int, offsets: Any, lots: Any) -> bool:
    """Give order i another price and other lots; whether it stays in its place, else it is out of its queue."""
    away = 1 + pick(state, offsets)
    price = MIDDLE - away if orders[i, book.SIDE] == 0 else MIDDLE + away
    qty = 1 + pick(state, lots)
    kept = price == orders[i, book.PRICE] and qty <= orders[i, book.OPEN]
    if not kept:
        leave(orders, levels, markets, i)
    orders[i, book.PRICE], orders[i, book.OPEN] = price, qty
    return bool(kept)


@njit(inline="never")
def _generate(seed: int, prefill: int, plain: bool, instruments: Any, accounts: Any, offsets: Any, lots: Any,
              markets: Any, levels: Any, out: Any) -> tuple[int, int]:  # fmt: skip
    state = np.array([seed], np.uint64)
    orders = np.full((len(out), ORDER_COLUMNS + 2), -1, np.int32)
    youngest = np.full(len(accounts) + 1, -1, np.int64)
    sums = np.zeros(2, np.int64)
    for k in range(len(out)):
        if k == prefill:
            sums[:] = 0
        account = 1 + (EVERY * k if k < prefill else pick(state, accounts))
        op, i = PLACE, k
        if k >= prefill:
            recent = _recent(state, orders, youngest, account)
            chance = draw(state, 100)
            if recent >= 0 and chance < CANCELS + AMENDS:
                op, i = CANCEL if chance < CANCELS else AMEND, recent
            else:
                op = _NEW[draw(state, 100)]
        if i == k:
            orders[i, book.ACCOUNT], orders[i, book.INSTRUMENT] = account, pick(state, instruments)
            op = _place(state, orders, i, op, draw(state, 2), offsets, lots, plain)
            orders[i, book.LIVE] = 0
        elif op == AMEND and orders[i, book.LIVE] == STOP:
            op = CANCEL
        kept = False
        if op == CANCEL:
            _end(orders, levels, markets, i)
        elif op == AMEND:
            kept = _amend(state, orders, levels, markets, i, offsets, lots)
        out[k, OP], out[k, ORDER], out[k, SIDE] = op, i, orders[i, book.SIDE]
        out[k, PRICE], out[k, LEAVES] = orders[i, book.PRICE], orders[i, book.OPEN]
        out[k, TOTAL], out[k, ACCOUNT] = orders[i, book.OPEN] + orders[i, book.DONE], orders[i, book.ACCOUNT]
        out[k, INSTRUMENT], out[k, SMP] = orders[i, book.INSTRUMENT] + 1, orders[i, book.SMP]
        if op == CANCEL:
            _strike(orders, youngest, i)
        if op == CANCEL or kept:
            continue
        if op == PLACE_STOP:
            orders[i, book.LIVE] = STOP
        elif op != PLACE_FOK or fills(orders, levels, markets, i):
            match(orders, levels, markets, sums, i)
        if orders[i, book.OPEN] > 0 and op in (PLACE, AMEND, PLACE_POST):
            join(orders, levels, markets, i)
        if i == k and orders[i, book.LIVE] > 0:
            _enlist(orders, youngest, i)
    return sums[0], sums[1]
