"""Three named, seeded streams of orders, as COMMAND rows with every gate of the venue on.

A stream knows which orders are alive, for a deliberately simple book of its own runs along: cancels and amends name
orders by order_id, as gateways send them, and trades and volume are known before any matcher has seen a row.  The same
name, count and seed give the same rows on every machine (`checksum`): integers only, and a generator of our own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    CommandKind,
    Limits,
    OrdType,
    Side,
    Smp,
    Tick,
    TimeInForce,
)

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]

ACCOUNTS: Final = 1_000
SEED: Final = 20_260_101
MAX_QTY: Final = 1_000_000
TIME: Final = 1_764_208_800_000_000_000
SETUP_ROWS: Final = ACCOUNTS + 2
FIRST_ORDER: Final = SETUP_ROWS + 1  # the seq of the first order command
CL_ORD_ID_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)

# What a command is, in the plain form of a stream; the numbers are those of the order books it is compared with.
PLACE, PLACE_IOC, CANCEL, AMEND = 1, 2, 3, 4
UNKNOWN: Final = -1
# Columns of the plain form.
OP, ORDER, SIDE, PRICE, LEAVES, TOTAL, ACCOUNT = range(7)
SMALL, DEEP, NARROW = range(3)


@dataclass(frozen=True)
class Workload:
    """How a stream is made: resident orders, prices in ticks, and its mix."""

    name: str
    says: str
    mode: int
    resident: int
    middle: int
    low: int
    high: int
    width: int  # how far from the middle orders are placed
    tick: str


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload("small", "1,000 resident orders; 83 % amends, 9 % new, 6 % cancels, 3 % IOC", SMALL, 1_000,
                 30_000, 15_000, 45_000, 3_000, "0.01"),
        Workload("deep", "1,000,000 resident orders on 40,000 prices; 50 % new, 45 % cancels, 5 % IOC", DEEP, 1_000_000,
                 30_000, 5_000, 55_000, 20_000, "0.01"),
        Workload("narrow", "2,000 resident orders on 841 prices; 40 % new, 45 % cancels (many too late), 10 % amends,"
                 " 5 % IOC", NARROW, 2_000, 6_000, 5_580, 6_420, 400, "0.0005"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """Commands of one venue: its acts, the orders that fill the book, and the commands that are measured."""

    workload: Workload
    smp: bool
    limits: Limits
    payload: bytes
    setup: Rows
    prefill: Rows
    commands: Rows
    plain: Ints  # (prefill + commands, 7); flows have more columns and operations (benchmarks/flows/venue.py)
    trades: int  # of the commands, without those of the prefill; UNKNOWN where the generator does not follow the rules
    volume: int
    bands: tuple[tuple[int, int], ...] = ()  # lowest and highest price by instrument; empty: one, as in the workload

    @property
    def prices(self) -> tuple[tuple[int, int], ...]:
        """Lowest and highest price of each instrument, in ticks."""
        return self.bands or ((self.workload.low, self.workload.high),)

    @cached_property
    def checksum(self) -> str:
        """sha256 over all rows and the payload."""
        digest = hashlib.sha256(self.payload)
        for rows in (self.setup, self.prefill, self.commands):
            digest.update(rows.tobytes())
        return digest.hexdigest()

    def tuples(self, first: int, last: int) -> list[tuple[int, ...]]:
        """Rows `first`:`last` of prefill and commands as (op, id, side 0/1, price, qty), for a plain order book.

        op: 1 limit, 2 IOC, 3 cancel, 4 replace by a new price and open quantity.
        """
        return [tuple(row) for row in self.plain[first:last, [OP, ORDER, SIDE, PRICE, LEAVES]].tolist()]


def generate(name: str, count: int, *, smp: bool = True, seed: int = SEED, resident: int = 0) -> Stream:
    """Make `count` commands of a named workload after filling its book; `resident` overrides how full.

    smp: orders say nothing and self-match prevention is as by default (cancel_resting), else they say `none`.
    """
    workload = WORKLOADS[name]
    resident = resident or workload.resident
    total = resident + count
    plain = np.zeros((total, 7), np.int64)
    trades, volume = _generate(
        workload.mode, seed, resident, workload.middle, workload.low, workload.high, workload.width, smp, plain
    )
    rows = _rows(plain, smp)
    payload, setup = _setup(workload)
    width = workload.high - workload.low + 1
    limits = Limits(
        instruments=4,
        accounts=1 << 10,
        orders=1 << (3 * resident).bit_length(),
        levels=1 << (2 * width).bit_length(),
        day_ids=1 << total.bit_length(),
    )
    return Stream(workload, smp, limits, payload, setup, rows[:resident], rows[resident:], plain, trades, volume)


def _setup(workload: Workload) -> tuple[bytes, Rows]:
    tick = Tick.parse(workload.tick)
    terms: dict[str, Any] = {
        "symbol": workload.name.upper(),
        "ccy": "USD",
        "unit": "lb",
        "contract_size": 1,
        "tick": workload.tick,
        "min_price": tick.text(workload.low),
        "max_price": tick.text(workload.high),
        "max_order_qty": MAX_QTY,
        "window_ticks": workload.high - workload.low + 1,
    }
    acts = [(CommandKind.INSTRUMENT_DEFINE, terms)]
    acts += [
        (CommandKind.ACCOUNT_DEFINE, {"account": f"A{n}", "member": f"M{n % 50}", "owner": f"O{n}"})
        for n in range(ACCOUNTS)
    ]
    acts.append((CommandKind.PHASE_SET, {"phase": "continuous", "symbol": terms["symbol"]}))
    texts = [json.dumps(terms, sort_keys=True, separators=(",", ":")).encode() for _, terms in acts]
    lengths = np.array([len(text) for text in texts])
    rows = np.zeros(SETUP_ROWS, COMMAND)
    rows["kind"] = [kind for kind, _ in acts]
    rows["target_lo"], rows["target_hi"] = np.cumsum(lengths) - lengths, lengths
    rows["seq"], rows["time"] = np.arange(1, SETUP_ROWS + 1), TIME
    return b"".join(texts), rows


def _rows(plain: Ints, smp: bool) -> Rows:
    op = plain[:, OP]
    rows = np.zeros(len(plain), COMMAND)
    rows["seq"] = np.arange(FIRST_ORDER, FIRST_ORDER + len(plain))
    rows["time"] = TIME + 1_000 * rows["seq"]
    rows["account"] = plain[:, ACCOUNT]
    kinds = np.array([0, CommandKind.ORDER_PLACE, CommandKind.ORDER_PLACE, CommandKind.ORDER_CANCEL,
                      CommandKind.ORDER_AMEND], np.uint8)  # fmt: skip
    rows["kind"] = kinds[op]
    places = op <= PLACE_IOC
    amends = op == AMEND
    rows["target_lo"] = np.where(places, 0, plain[:, ORDER])
    rows["price"] = np.where(op != CANCEL, plain[:, PRICE], 0)
    rows["order_qty"] = np.where(op != CANCEL, plain[:, TOTAL], 0)
    rows["flags"] = np.where(places, HAS_PRICE, np.where(amends, HAS_PRICE | HAS_QTY, 0))
    rows["side"] = np.where(places, np.where(plain[:, SIDE] == 0, Side.BUY, Side.SELL), 0)
    rows["ord_type"] = np.where(places, OrdType.LIMIT, 0)
    rows["time_in_force"] = np.where(places, np.where(op == PLACE, TimeInForce.GTC, TimeInForce.IOC), 0)
    rows["instrument"] = places
    rows["client_session"] = rows["account"]
    rows["smp"] = np.where(places & (not smp), Smp.NONE, 0)
    rows["cl_ord_id"][places] = cl_ord_ids(plain[places, ORDER])
    return rows


def cl_ord_ids(orders: Ints) -> npt.NDArray[np.bytes_]:
    """Distinct client ids of 16 characters, as scattered as those of a thousand clients."""
    mixed = (orders.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype("<u8")  # odd factor: still distinct
    nibbles = np.empty((len(orders), 16), np.uint8)
    for place in range(16):
        nibbles[:, place] = CL_ORD_ID_DIGITS[((mixed >> np.uint64(4 * place)) & np.uint64(15)).astype(np.intp)]
    return nibbles.view("S16").ravel()


# --- the generator ------------------------------------------------------------------------------------


@njit(inline="never")
def draw(state: Any, below: int) -> int:
    """A number in 0..below-1 (splitmix64)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(z >> np.uint64(33)) % below  # type: ignore[return-value]


# Columns of the orders that the generator remembers: links of the queue and of the list of live orders.
NEXT, BEFORE, ORDER_PRICE, OPEN_QTY, DONE_QTY, PLACE_IN_LIVE, ORDER_SIDE, ORDER_ACCOUNT = range(8)


@njit(inline="never")
def _join(orders: Any, levels: Any, live: Any, tops: Any, i: int) -> None:
    side, price = orders[i, ORDER_SIDE], orders[i, ORDER_PRICE]
    last = levels[price, 1]
    orders[i, BEFORE], orders[i, NEXT] = last, -1
    if last >= 0:
        orders[last, NEXT] = i
    else:
        levels[price, 0] = i
    levels[price, 1] = i
    orders[i, PLACE_IN_LIVE] = tops[2 + side]
    live[side, tops[2 + side]] = i
    tops[2 + side] += 1
    tops[side] = max(tops[side], price) if side == 0 else min(tops[side], price)


@njit(inline="never")
def _leave(orders: Any, levels: Any, live: Any, tops: Any, i: int) -> None:
    side, price = orders[i, ORDER_SIDE], orders[i, ORDER_PRICE]
    before, after = orders[i, BEFORE], orders[i, NEXT]
    if before >= 0:
        orders[before, NEXT] = after
    else:
        levels[price, 0] = after
    if after >= 0:
        orders[after, BEFORE] = before
    else:
        levels[price, 1] = before
    tops[2 + side] -= 1
    last = live[side, tops[2 + side]]
    place = orders[i, PLACE_IN_LIVE]
    live[side, place] = last
    orders[last, PLACE_IN_LIVE] = place
    orders[i, PLACE_IN_LIVE] = -1


@njit(inline="never")
def _match(orders: Any, levels: Any, live: Any, tops: Any, sums: Any, i: int, smp: bool) -> None:
    """Trade order i as far as its price reaches.  tops: best bid, best ask, live buys, live sells, last price."""
    side, price = orders[i, ORDER_SIDE], orders[i, ORDER_PRICE]
    step = 1 if side == 0 else -1
    while orders[i, OPEN_QTY] > 0 and tops[3 - side] > 0:
        best = tops[1 - side]
        while levels[best, 0] < 0 or orders[levels[best, 0], ORDER_SIDE] == side:
            best += step
        tops[1 - side] = best
        if (best - price) * step > 0:
            break
        resting = levels[best, 0]
        if smp and orders[resting, ORDER_ACCOUNT] == orders[i, ORDER_ACCOUNT]:
            _leave(orders, levels, live, tops, resting)
            continue
        lots = min(orders[i, OPEN_QTY], orders[resting, OPEN_QTY])
        orders[i, OPEN_QTY] -= lots
        orders[i, DONE_QTY] += lots
        orders[resting, OPEN_QTY] -= lots
        orders[resting, DONE_QTY] += lots
        sums[0] += 1
        sums[1] += lots
        tops[4] = best
        if orders[resting, OPEN_QTY] == 0:
            _leave(orders, levels, live, tops, resting)


@njit(inline="never")
def _choose(mode: int, state: Any, tops: Any, resident: int) -> int:
    """What comes next, by the mix of the workload."""
    chance = draw(state, 1000)
    if mode == SMALL:
        if chance < 827:
            return AMEND
        if chance < 885:
            return CANCEL
        return PLACE if tops[2] + tops[3] < resident else PLACE_IOC
    if mode == DEEP:
        return PLACE if chance < 500 else CANCEL if chance < 950 else PLACE_IOC
    return PLACE if chance < 400 else CANCEL if chance < 850 else AMEND if chance < 950 else PLACE_IOC


@njit(inline="never")
def _moved(mode: int, state: Any, price: int, last: int, low: int, high: int) -> int:
    """The new price of an amend; never the old one, so that priority is always lost."""
    if mode == SMALL:  # creep a hundredth of the way towards the last price
        step = (last - price) // 100 if price > last else -((price - last) // 100)
        if step == 0:
            step = 2 * draw(state, 2) - 1
    else:
        step = (1 + draw(state, 5)) * (2 * draw(state, 2) - 1)
    if price + step < low or price + step > high:
        step = -step
    return price + step


@njit(inline="never")
def _fresh(mode: int, state: Any, side: int, last: int, middle: int, width: int) -> tuple[int, int]:
    """Price and quantity of a new order that may rest."""
    if mode == SMALL:
        reach = 1 + (draw(state, width) * draw(state, width)) // width
        away = (draw(state, reach) + draw(state, reach)) // 2
        return (last - away if side == 0 else last + away), 1 + draw(state, 6) * draw(state, 6) * draw(state, 6)
    if mode == DEEP:
        away = 1 + draw(state, width)
        return (middle - away if side == 0 else middle + away), 1 + draw(state, 100)
    share = draw(state, 1000)
    away = 1 + width * share * share // 1000 * share // 1_000_000
    return (middle - away if side == 0 else middle + away), 1 + draw(state, 50)


@njit(inline="never")
def _generate(mode: int, seed: int, prefill: int, middle: int, low: int, high: int, width: int, smp: bool,
              out: Any) -> tuple[int, int]:  # fmt: skip
    state = np.array([seed], np.uint64)
    orders = np.full((len(out), 8), -1, np.int32)
    live = np.zeros((2, len(out)), np.int32)
    levels = np.full((high + 2, 2), -1, np.int32)
    tops = np.array([low, high, 0, 0, middle], np.int64)
    sums = np.zeros(2, np.int64)
    centre = 1_000 * middle  # wanders in the narrow market, in thousandths of a tick
    for k in range(len(out)):
        if k == prefill:
            sums[:] = 0
        side = draw(state, 2)
        op = PLACE if k < prefill or tops[2] + tops[3] == 0 else _choose(mode, state, tops, prefill)
        if mode == NARROW:
            centre += draw(state, 101) - 50 - (centre - 1_000 * middle) // 2_000
        if op in (CANCEL, AMEND):
            pool = side if tops[2 + side] > 0 else 1 - side
            i = live[pool, draw(state, tops[2 + pool])]
            if mode == NARROW and op == CANCEL and (tops[2] + tops[3] < prefill or draw(state, 100) < 15):
                i = k - 1 - draw(state, min(k, 20_000))  # mostly too late: the order, if it was one, is gone
        else:
            i = k
        if op <= PLACE_IOC:
            price, qty = _fresh(mode, state, side, tops[4], centre // 1_000, width)
            if op == PLACE_IOC:
                price = high if side == 0 else low
                if mode == NARROW:
                    price = tops[1] + 8 if side == 0 else tops[0] - 8
            orders[i, ORDER_SIDE], orders[i, ORDER_PRICE] = side, min(max(price, low), high)
            orders[i, OPEN_QTY], orders[i, DONE_QTY], orders[i, ORDER_ACCOUNT] = qty, 0, 1 + draw(state, ACCOUNTS)
        elif op == AMEND:
            _leave(orders, levels, live, tops, i)
            orders[i, ORDER_PRICE] = _moved(mode, state, orders[i, ORDER_PRICE], tops[4], low, high)
            if mode == NARROW:
                orders[i, OPEN_QTY] = 1 + draw(state, 50)
        out[k, OP], out[k, ORDER] = op, FIRST_ORDER + i
        out[k, SIDE], out[k, PRICE] = orders[i, ORDER_SIDE], orders[i, ORDER_PRICE]
        out[k, LEAVES], out[k, TOTAL] = orders[i, OPEN_QTY], orders[i, OPEN_QTY] + orders[i, DONE_QTY]
        out[k, ACCOUNT] = max(orders[i, ORDER_ACCOUNT], 1)
        if op == CANCEL:
            if orders[i, PLACE_IN_LIVE] >= 0:
                _leave(orders, levels, live, tops, i)
            continue
        _match(orders, levels, live, tops, sums, i, smp)
        if orders[i, OPEN_QTY] > 0 and op != PLACE_IOC:
            _join(orders, levels, live, tops, i)
    return sums[0], sums[1]
