"""The five scenarios of the public matching-engine challenge, made by its published laws and not by its code.

Source of the laws: github.com/flash1-dev/matching-engine-benchmark (arXiv 2606.01183).  One symbol, tick 0.005, start
at 33,504 ticks, a middle that moves as geometric Brownian motion; new orders lie at a power-law distance (exponent
2.23, with a hump at 8 ticks) from it, of 1 to 100 lots; 15 % of them are IOC; of the others 95 % are canceled, 20 %
modified first (quantity + 1, in 80 % of the cases a tick further or nearer), and 2 % of the cancels and modifies are
sent twice.  Cancels follow at once: the median order is canceled by the next message, 99 % by the one after.

Not published, so chosen here: the volatility, the paths of the scenarios, and the height of the hump.  An order of ours
is named by a client id as scattered as the challenge's shuffled numbers, and belongs to one account without self-match
prevention.  A modify sets the order's total to its first quantity + 1: what the order has filled by then is part of it.

What this flow hides: nearly everything is canceled while it is in the nearest cache, and what stays in the book is the
twentieth that nobody cancels.  Read it beside flows with a lasting book (xcore, melin, deep).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit

from benchmarks.flows.book import pick
from benchmarks.flows.venue import COLUMNS, INSTRUMENT, SMP, stream, table_of
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

ORDERS: Final = 1_000_000  # new orders of a full scenario, some two million messages
START: Final = 33_504  # ticks
TICK: Final = "0.005"
EXPONENT: Final = 2.23
HUMP, HUMP_WIDTH, HUMP_SHARE = 8, 1.0, 0.15  # ticks, ticks, share of all orders
MAX_DISTANCE: Final = 1_000  # ticks
MAX_LOTS: Final = 100
# Chances in ten thousand.
IOC, CANCELED, MODIFIED, REPRICED, TWICE, LATE = 1_500, 9_500, 2_000, 8_000, 200, 40
LATER_ORDERS: Final = 64  # a late cancel comes within so many new orders
MILLIONTHS: Final = 1_000_000
_MORE: Final = 24  # bits behind the point of the middle
_NOISE_BITS: Final = 16  # of each of the four even draws whose sum is a step of the middle
_STEP_BITS: Final = 40  # bits behind the point of a step's deviation


@dataclass(frozen=True)
class Scenario:
    """A path of the middle: volatility over the whole scenario, and (place, level) in millionths of scenario and start.

    Between the points of the path the level moves evenly; the random walk goes on top of it.
    """

    name: str
    says: str
    volatility: float
    path: tuple[tuple[int, int], ...]


def _swing(share: int) -> tuple[tuple[int, int], ...]:
    by = share * MILLIONTHS // 100
    return ((0, MILLIONTHS), (250_000, MILLIONTHS - by), (750_000, MILLIONTHS + by), (MILLIONTHS, MILLIONTHS))


_LEVEL: Final = ((0, MILLIONTHS), (MILLIONTHS, MILLIONTHS))
SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("static", "the middle stands still", 0.0, _LEVEL),
        Scenario("normal", "a random walk of 2 % over the scenario", 0.02, _LEVEL),
        Scenario("swing-25", "down 25 %, up to 25 % above, and back, on a random walk of 2 %", 0.02, _swing(25)),
        Scenario("swing-40", "the same by 40 %", 0.02, _swing(40)),
        Scenario("flash-crash", "a random walk of 2 %; half way down 30 % within 2 % of the time, and 20 of them"
                 " back within 5 %", 0.02, ((0, MILLIONTHS), (500_000, MILLIONTHS), (520_000, 700_000),
                                                 (570_000, 900_000), (MILLIONTHS, 900_000))),
    )
}  # fmt: skip


def generate(name: str, orders: int = ORDERS, *, seed: int = SEED) -> Stream:
    """A scenario of `orders` new orders (about twice as many messages), with an empty book before it."""
    scenario = SCENARIOS[name]
    room = np.zeros((3 * orders + 2 * LATER_ORDERS, COLUMNS), np.int64)
    deviation = round(scenario.volatility / np.sqrt(orders) * (1 << _STEP_BITS) / _sum_deviation())
    path = np.array(scenario.path, np.int64)
    count = _generate(seed, orders, path, deviation, table_of(_distances()), room)
    plain = room[:count].copy()
    low, high = START * 2 // 5, START * 8 // 5
    placed = plain[:, PRICE] != 0
    low, high = min(low, int(plain[placed, PRICE].min())), max(high, int(plain[placed, PRICE].max()))
    workload = Workload(name, scenario.says, 0, 0, START, low, high, MAX_DISTANCE, TICK)
    return stream(workload, [(low, high)], 1, plain, 0, smp=False, trades=0, volume=0, by_client_id=True)


def _sum_deviation() -> float:
    """Standard deviation of the sum of four even draws of _NOISE_BITS bits."""
    return float(np.sqrt(4 / 12) * (1 << _NOISE_BITS))


def _distances() -> list[float]:
    """Weights of the distances 1 .. MAX_DISTANCE from the middle, in ticks."""
    power = [distance**-EXPONENT for distance in range(1, MAX_DISTANCE + 1)]
    hump = [float(np.exp(-(((d - HUMP) / HUMP_WIDTH) ** 2) / 2)) for d in range(1, MAX_DISTANCE + 1)]
    return [
        (1 - HUMP_SHARE) * one / sum(power) + HUMP_SHARE * other / sum(hump)
        for one, other in zip(power, hump, strict=True)
    ]


@njit(inline="never")
def _put(out: Any, n: int, op: int, order: int, side: int, price: int, qty: int) -> int:
    out[n, OP], out[n, ORDER], out[n, SIDE], out[n, PRICE] = op, order, side, price
    out[n, LEAVES], out[n, TOTAL], out[n, ACCOUNT] = qty, qty, 1
    out[n, INSTRUMENT], out[n, SMP] = 1, Smp.NONE
    return n + 1


@njit(inline="never")
def _cancel(state: Any, out: Any, n: int, order: int, side: int) -> int:
    n = _put(out, n, CANCEL, order, side, 0, 0)
    return _put(out, n, CANCEL, order, side, 0, 0) if draw(state, 10_000) < TWICE else n


@njit(inline="never")
def _generate(seed: int, orders: int, path: Any, deviation: int, distances: Any, out: Any) -> int:
    """Fill `out` with the messages; how many there are."""
    state = np.array([seed], np.uint64)
    later = np.full((LATER_ORDERS, LATER_ORDERS), -1, np.int64)  # orders to cancel, by when
    waiting = np.zeros(LATER_ORDERS, np.int64)
    n = leg = 0
    walk = START << _MORE
    for k in range(orders):
        noise = -2 * ((1 << _NOISE_BITS) - 1)
        for _ in range(4):
            noise += draw(state, 1 << _NOISE_BITS)
        walk += (((walk >> _MORE) * noise) * deviation) >> (_STEP_BITS - _MORE)
        place = k * MILLIONTHS // orders
        while place >= path[leg + 1, 0]:
            leg += 1
        (start, level), (end, next_level) = path[leg], path[leg + 1]
        level += (next_level - level) * (place - start) // (end - start)
        middle = (walk >> _MORE) * level // MILLIONTHS

        side = draw(state, 2)
        away = 1 + pick(state, distances)
        qty = 1 + draw(state, MAX_LOTS)
        if draw(state, 10_000) < IOC:
            n = _put(out, n, PLACE_IOC, n, side, middle + away if side == 0 else middle - away, qty)
        else:
            order, price = n, middle - away if side == 0 else middle + away
            n = _put(out, n, PLACE, order, side, price, qty)
            if draw(state, 10_000) < MODIFIED:
                if draw(state, 10_000) < REPRICED:
                    price += 2 * draw(state, 2) - 1
                n = _put(out, n, AMEND, order, side, price, qty + 1)
                if draw(state, 10_000) < TWICE:
                    n = _put(out, n, AMEND, order, side, price, qty + 1)
            if draw(state, 10_000) < CANCELED:
                due = (k + 1 + draw(state, LATER_ORDERS - 1)) % LATER_ORDERS
                if draw(state, 10_000) < LATE and waiting[due] < LATER_ORDERS:
                    later[due, waiting[due]] = 2 * order + side
                    waiting[due] += 1
                else:
                    n = _cancel(state, out, n, order, side)
        now = k % LATER_ORDERS
        for w in range(waiting[now]):
            n = _cancel(state, out, n, later[now, w] >> 1, later[now, w] & 1)
        waiting[now] = 0
    return n
