"""A flow whose size can be turned in one direction at a time: resident orders, prices, instruments or accounts.

5 % of the commands are IOC orders that take what is best, half are new orders, and the others cancel an order drawn
from all live ones; while the books are short of their size 2.5 % more are new, while they are above it 2.5 % fewer.
Instruments, accounts, sides and prices are drawn evenly: nothing is kept near by habit, as a real market would keep it,
and what grows is paid in full.  Nobody asks for self-match prevention, for with one account nothing would trade.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numba import njit

from benchmarks.flows import book
from benchmarks.flows.book import BUYS, HIGH, LOW, ORDER_COLUMNS, join, leave, match, open_markets
from benchmarks.flows.venue import COLUMNS, INSTRUMENT, SMP, stream
from benchmarks.workloads import (
    ACCOUNT,
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
from engine.schema import Limits, Smp

MIDDLE: Final = 1_000_000
MAX_LOTS: Final = 100
IOC, NEW_SHORT, NEW_LONG = 50, 525, 475  # in a thousand
NONE: Final = int(Smp.NONE)


@dataclass(frozen=True)
class Size:
    """How large a venue is: orders in all its books, prices of an instrument (both sides), instruments, accounts."""

    resident: int = 100_000
    prices: int = 1_000
    instruments: int = 1
    accounts: int = 1_000


def generate(size: Size, count: int, *, seed: int = SEED) -> Stream:
    """`count` commands after filling the books."""
    half = max(1, size.prices // 2)
    bands = [(MIDDLE - half, MIDDLE + half)] * size.instruments
    markets, levels = open_markets(bands, [MIDDLE] * size.instruments)
    plain = np.zeros((size.resident + count, COLUMNS), np.int64)
    trades, volume = _generate(seed, size.resident, half, size.accounts, markets, levels, plain)
    says = "50 % new, 45 % cancels, 5 % IOC, all drawn evenly"
    workload = Workload("scale", says, 0, size.resident, MIDDLE, *bands[0], half, "0.01")
    made = stream(
        workload, bands, size.accounts, plain, size.resident, smp=False, trades=int(trades), volume=int(volume)
    )
    limits = Limits(
        instruments=max(4, size.instruments),
        accounts=max(64, size.accounts),
        orders=size.resident + size.resident // 4 + 4_096,
        levels=2 * (2 * half + 1) * size.instruments + 64,
        day_ids=len(plain),
    )
    return replace(made, limits=limits)


@njit(inline="never")
def _generate(seed: int, prefill: int, half: int, accounts: int, markets: Any, levels: Any,
              out: Any) -> tuple[int, int]:  # fmt: skip
    state = np.array([seed], np.uint64)
    orders = np.full((len(out), ORDER_COLUMNS), -1, np.int32)
    live = np.zeros(len(out), np.int32)  # in any sequence; ended ones are dropped when they are drawn
    sums = np.zeros(2, np.int64)
    known = alive = 0
    for k in range(len(out)):
        chance = draw(state, 1_000)
        new = NEW_SHORT if alive < prefill else NEW_LONG
        op = PLACE if k < prefill or chance < new else CANCEL if chance < 1_000 - IOC else PLACE_IOC
        m, side = draw(state, len(markets)), draw(state, 2)
        i = k
        while op == CANCEL and i == k:
            if known == 0:
                op = PLACE
                break
            at = draw(state, known)
            if orders[live[at], book.LIVE] == 1:
                i = live[at]
            known -= 1
            live[at] = live[known]
        if op == CANCEL:
            m = orders[i, book.INSTRUMENT]
        market = markets[m]
        if op == PLACE_IOC and market[BUYS + 1 - side] == 0:
            op = PLACE
        if op != CANCEL:
            away = 1 + draw(state, half)
            price = MIDDLE - away if side == 0 else MIDDLE + away
            if op == PLACE_IOC:
                price = market[HIGH] if side == 0 else market[LOW]
            orders[i, book.SIDE], orders[i, book.INSTRUMENT], orders[i, book.SMP] = side, m, NONE
            orders[i, book.PRICE], orders[i, book.OPEN] = price, 1 + draw(state, MAX_LOTS)
            orders[i, book.DONE], orders[i, book.ACCOUNT] = 0, 1 + draw(state, accounts)
        out[k, OP], out[k, ORDER], out[k, SIDE] = op, i, orders[i, book.SIDE]
        out[k, PRICE], out[k, LEAVES] = orders[i, book.PRICE], orders[i, book.OPEN]
        out[k, TOTAL], out[k, ACCOUNT] = orders[i, book.OPEN] + orders[i, book.DONE], orders[i, book.ACCOUNT]
        out[k, INSTRUMENT], out[k, SMP] = orders[i, book.INSTRUMENT] + 1, NONE
        alive -= market[BUYS] + market[BUYS + 1]
        if op == CANCEL:
            leave(orders, levels, markets, i)
        elif op == PLACE_IOC:
            match(orders, levels, markets, sums, i)
        else:
            join(orders, levels, markets, i)
            live[known] = i
            known += 1
        alive += market[BUYS] + market[BUYS + 1]
    return sums[0], sums[1]
