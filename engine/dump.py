"""Canonical pictures of a compiled state: the whole world, one book, one order.  Read-only; no kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.apply import State
from engine.core.layout import (
    ACCOUNT,
    BEARS,
    BITS0,
    ENTRY_WORDS,
    FAR_BASE,
    FAR_COUNT,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAGS,
    INSTRUMENT_WORDS,
    LEAVES,
    LEVELS,
    NEXT,
    NODE4,
    NODE8,
    ORDER_ID,
    PHASE,
    PRICE,
    QTY,
    SESSION,
    SMP_KEY,
    WINDOW,
    WINDOW_LO,
)  # fmt: skip
from engine.schema import POST_ONLY, Phase, Side, Smp, TimeInForce, word


def dump(state: State) -> dict[str, Any]:
    """The world in plain values: terms, phases, accounts, counters, live orders in queue order.

    Equal to the reference's `dump` for equal worlds; orders stand by instrument, buy then sell, best price first."""
    ins = state.arrays.ins
    return {
        "trading_day": state.trading_day,
        "seq": state.seq,
        "time": state.time,
        "next_trade_id": state.next_trade_id,
        "instruments": [
            {**terms, "phase": word(Phase(int(ins[(number + 1) * INSTRUMENT_WORDS + PHASE])))}
            for number, terms in enumerate(state.instrument_terms)
        ],
        "accounts": [dict(terms) for terms in state.account_terms],
        "orders": [
            _order(state, record, symbol, side)
            for symbol, number in state.symbols.items()
            for side in Side
            for _, level in levels(state, number, side)
            for record in queue(state, level)
        ],
    }


def _order(state: State, x: int, symbol: str, side: Side) -> dict[str, Any]:
    n4, n8 = state.arrays.n4, state.arrays.n8
    r4 = x * NODE4
    flags, key = int(n4[r4 + FLAGS]), int(n4[r4 + SMP_KEY])
    qty, leaves = int(n4[r4 + QTY]), int(n4[r4 + LEAVES])
    text = int(n4[r4 + BEARS]) * ENTRY_WORDS
    return {
        "order_id": int(n8[x * NODE8 + ORDER_ID]),
        "account": state.account_terms[int(n4[r4 + ACCOUNT]) - 1]["account"],
        "symbol": symbol,
        "side": word(side),
        "price": int(n8[x * NODE8 + PRICE]),
        "order_qty": qty,
        "leaves_qty": leaves,
        "cum_qty": qty - leaves,
        "cl_ord_id": state.arrays.ids[text : text + 4].tobytes().rstrip(b"\0").decode(),
        "time_in_force": word(TimeInForce((flags >> FLAG_TIF) & 7)),
        "smp": word(Smp((flags >> FLAG_SMP) & 7)),
        "smp_id": -key & 0xFFFF if key < 0 else 0,
        "flags": POST_ONLY if (flags >> FLAG_POST) & 1 else 0,
        "client_session": int(n4[r4 + SESSION]),
    }


def levels(state: State, instrument: int, side: Side) -> list[tuple[int, int]]:
    """Occupied (price in ticks, level record) of one side, best price first."""
    arrays = state.arrays
    row, g = instrument * INSTRUMENT_WORDS, int(side) - 1
    found = []
    low, width = int(arrays.ins[row + WINDOW_LO]), int(arrays.ins[row + WINDOW])
    first, bits = int(arrays.ins[row + LEVELS + g]), int(arrays.ins[row + BITS0 + g])
    for at in range(-(-width // 64)):
        mask = int(arrays.bits[bits + at])
        while mask:
            offset = at * 64 + (mask & -mask).bit_length() - 1
            mask &= mask - 1
            found.append((low + offset, first + offset))
    base = int(arrays.ins[row + FAR_BASE + g])
    for place in range(base, base + int(arrays.ins[row + FAR_COUNT + g])):
        found.append((int(arrays.far[2 * place]), int(arrays.far[2 * place + 1])))
    return sorted(found, reverse=side == Side.BUY)


def queue(state: State, level: int) -> Iterator[int]:
    """Records of a level's orders, first in time first."""
    n4 = state.arrays.n4
    x = int(n4[level * NODE4 + NEXT])
    while x != level:
        yield x
        x = int(n4[x * NODE4 + NEXT])


def book(state: State, instrument: int) -> dict[str, Any]:
    """{"bids": [(price ticks, lots, [(order_id, leaves_qty), …]), …], "asks": …}, best first, queues in time order."""
    picture: dict[str, Any] = {}
    n4, n8 = state.arrays.n4, state.arrays.n8
    for name, side in (("bids", Side.BUY), ("asks", Side.SELL)):
        rows = []
        for price, level in levels(state, instrument, side):
            orders = [(int(n8[x * NODE8 + ORDER_ID]), int(n4[x * NODE4 + LEAVES])) for x in queue(state, level)]
            rows.append((price, sum(leaves for _, leaves in orders), orders))
        picture[name] = rows
    return picture
