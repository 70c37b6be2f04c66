"""Canonical pictures of a compiled state: the whole world, one book, one order.  Read-only; no kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.apply import State
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ASIDE,
    BALANCE,
    BEARS,
    BITS0,
    BUYS_OPEN,
    CHECKED,
    CLOSE,
    CLOSE_KNOWN,
    CONTROL_WORDS,
    COST_WORDS,
    DISPLAY,
    ENTRY_WORDS,
    EXPIRE,
    FAR_BASE,
    FAR_COUNT,
    FLAG_POST,
    FLAG_SMP,
    FLAG_TIF,
    FLAG_TYPE,
    FLAGS,
    GATE,
    HELD,
    ICEBERG,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVES,
    LEVEL,
    LEVELS,
    LINKS,
    LOCKED,
    MAX_PRICE,
    MIN_PRICE,
    MORE_WORDS,
    NEXT,
    NODE4,
    NODE8,
    ORDER_ID,
    OUTSIDE,
    OVERRIDE,
    PHASE,
    POSITION,
    POSITION_WORDS,
    PRICE,
    QTY,
    REFERENCE,
    RUN_SIDE,
    SELLS_OPEN,
    SESSION,
    SETTLEMENT,
    SHOWN,
    SMP_KEY,
    STEP,
    STOPPED,
    STOPS,
    STRIDE,
    SUSPENDED,
    UNPRICED,
    WINDOW,
    WINDOW_LO,
)  # fmt: skip
from engine.schema import POST_ONLY, AuctionStep, OrdType, Phase, Side, Smp, TimeInForce, word

FEE_KEYS = ("basis", "taker", "maker", "auction")


def dump(state: State) -> dict[str, Any]:
    """The world in plain values: terms, phases, accounts, counters, live orders in queue order.

    Equal to the reference's `dump` for equal worlds; orders stand by instrument, buy then sell, best price first."""
    return {
        "trading_day": state.trading_day,
        "margined": int(state.margined),
        "seq": state.seq,
        "time": state.time,
        "next_trade_id": state.next_trade_id,
        "instruments": [_instrument(state, number, terms) for number, terms in enumerate(state.instrument_terms, 1)],
        "accounts": [_account(state, number, terms) for number, terms in enumerate(state.account_terms, 1)],
        "positions": _positions(state),
        "fixings": [
            {"ccy": ccy, "per": per, "date": on, "rate": rate}
            for (ccy, per), (on, rate) in sorted(state.fixings.items())
        ],
        "margins": [
            {"symbol": _symbol(state, number), "ccy": ccy, "per_lot": per_lot}
            for (number, ccy), per_lot in sorted(state.margins.items())
        ],
        "fees": [
            {
                "symbol": _symbol(state, number),
                "ccy": ccy,
                "basis": basis,
                "taker": taker,
                "maker": maker,
                "auction": both,
            }
            for (number, ccy), (basis, taker, maker, both) in sorted(state.fees.items())
        ],
        "caps": [
            {"commodity": commodity, "owner": owner, "lots": lots}
            for (commodity, owner), lots in sorted(state.caps.items())
        ],
        "kills": [{"scope": scope, "whom": whom} for scope, whom in sorted(state.kills)],
        "income": {
            ccy: int(state.arrays.cost[number * int(state.arrays.h[STRIDE]) * COST_WORDS])
            for ccy, number in sorted(state.ccys.items())
        },
        "orders": [
            _order(state, record, symbol)
            for symbol, number in state.symbols.items()
            for level in _places(state, number)
            for record in queue(state, level)
        ],
    }


def _symbol(state: State, number: int) -> str:
    symbol: str = state.instrument_terms[number - 1]["symbol"]
    return symbol


def _account(state: State, number: int, terms: dict[str, str]) -> dict[str, Any]:
    acc, a = state.arrays.acc, number * ACCOUNT_WORDS
    return {**terms, "balance": int(acc[a + BALANCE]), "checked": int(bool(acc[a + GATE] & CHECKED))}


def _positions(state: State) -> list[dict[str, Any]]:
    """Positions, open lots and what is held (R71, R74), of every account and instrument that has any."""
    stride, accounts = int(state.arrays.h[STRIDE]), len(state.account_terms)
    cells = state.arrays.pos.reshape(-1, stride, POSITION_WORDS)[: accounts + 1]
    return [
        {
            "account": state.account_terms[account - 1]["account"], "symbol": _symbol(state, number),
            "lots": int(cells[account, number, POSITION]), "buys": int(cells[account, number, BUYS_OPEN]),
            "sells": int(cells[account, number, SELLS_OPEN]), "held": int(cells[account, number, HELD]),
        }
        for account, number in np.argwhere(cells[:, :, :HELD].any(axis=2)).tolist()
    ]  # fmt: skip


def _instrument(state: State, number: int, terms: dict[str, Any]) -> dict[str, Any]:
    ins, row = state.arrays.ins, number * INSTRUMENT_WORDS
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    return {
        **terms,
        "phase": word(Phase(int(ins[row + PHASE]))),
        "override": int(ins[row + OVERRIDE]),
        "last_price": int(ins[row + LAST]) if ins[row + LAST_ID] else None,
        "close_price": int(ins[row + CLOSE]) if ins[row + CLOSE_KNOWN] else None,
        "controls": dict(state.controls[number - 1]),
        "limits": {
            "settlement": int(ctl[c + SETTLEMENT]),
            "step": int(ctl[c + STEP]),
            "side": int(ctl[c + RUN_SIDE]),
            "locked": int(ctl[c + LOCKED]),
            "low": int(ins[row + MIN_PRICE]),
            "high": int(ins[row + MAX_PRICE]),
        },
    }


def _places(state: State, number: int) -> Iterator[int]:
    """The levels of an instrument, in the order of a dump: the book, the stops that wait, what is kept aside."""
    for side in Side:
        yield from (level for _, level in levels(state, number, side))
    for side in Side:
        yield from (level for _, level in stops(state, number, side))
    yield int(state.arrays.ins[number * INSTRUMENT_WORDS + ASIDE])


def _order(state: State, x: int, symbol: str) -> dict[str, Any]:
    n4, n8 = state.arrays.n4, state.arrays.n8
    r4 = x * NODE4
    flags, key = int(n4[r4 + FLAGS]), int(n4[r4 + SMP_KEY])
    qty, leaves = int(n4[r4 + QTY]), int(n4[r4 + LEAVES])
    text = int(n4[r4 + BEARS]) * ENTRY_WORDS
    more = state.arrays.more[x * MORE_WORDS : (x + 1) * MORE_WORDS]
    tif = TimeInForce((flags >> FLAG_TIF) & 7)
    iceberg = bool(flags & ICEBERG)
    return {
        "order_id": int(n8[x * NODE8 + ORDER_ID]),
        "account": state.account_terms[int(n4[r4 + ACCOUNT]) - 1]["account"],
        "symbol": symbol,
        "side": word(Side(flags & 3)),
        "ord_type": word(OrdType((flags >> FLAG_TYPE) & 7)),
        "price": int(n8[x * NODE8 + PRICE]),
        "order_qty": qty,
        "leaves_qty": leaves,
        "cum_qty": qty - leaves,
        "cl_ord_id": state.arrays.ids[text : text + 4].tobytes().rstrip(b"\0").decode(),
        "time_in_force": word(tif),
        "smp": word(Smp((flags >> FLAG_SMP) & 7)),
        "smp_id": -key & 0xFFFF if key < 0 else 0,
        "flags": POST_ONLY if (flags >> FLAG_POST) & 1 else 0,
        "client_session": int(n4[r4 + SESSION]),
        "stop_price": int(n8[int(n4[r4 + LEVEL]) * NODE8 + PRICE]) if flags & STOPPED else 0,
        "display_qty": int(more[DISPLAY]) if iceberg else 0,
        "shown_qty": _shown(flags, leaves, more) if iceberg else 0,
        "expire_time": int(more[EXPIRE]) if tif == TimeInForce.GTD else 0,
        "inactive": int(bool(flags & OUTSIDE)),
    }


def _shown(flags: int, leaves: int, more: Any) -> int:
    """What an iceberg shows, or would on its return from suspension (R47, R67)."""
    if flags & SUSPENDED:
        return min(int(more[DISPLAY]), leaves)
    return 0 if flags & OUTSIDE else int(more[SHOWN])


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
    return sorted([*found, *_far(state, row, g)], reverse=side == Side.BUY)


def _far(state: State, row: int, g: int) -> list[tuple[int, int]]:
    arrays = state.arrays
    base = int(arrays.ins[row + FAR_BASE + g])
    places = range(base, base + int(arrays.ins[row + FAR_COUNT + g]))
    return [(int(arrays.far[2 * place]), int(arrays.far[2 * place + 1])) for place in places]


def stops(state: State, instrument: int, side: Side) -> list[tuple[int, int]]:
    """(stop price in ticks, level record) of the waiting stops of one side, in the order in which they are elected."""
    return sorted(_far(state, instrument * INSTRUMENT_WORDS + STOPS, 2 - int(side)), reverse=side == Side.SELL)


def indicative(state: State, instrument: int) -> tuple[int, int, int, int]:
    """The auction price of an instrument's book as it is, in any phase (R52): price, volume, surplus, AuctionStep.

    Surplus is positive on the buy side.  The book is walked, so this costs more than what a call tells by itself.
    """
    ins, row = state.arrays.ins, instrument * INSTRUMENT_WORDS
    reference = int(ins[row + LAST] if ins[row + LAST_ID] else ins[row + REFERENCE])
    n4 = state.arrays.n4
    lots: list[list[tuple[int, int]]] = []
    candidates: set[int] = set()
    for side in Side:
        found = []
        for price, level in levels(state, instrument, side):
            records = list(queue(state, level))
            found.append((price, sum(int(n4[x * NODE4 + LEAVES]) for x in records)))
            if any(not int(n4[x * NODE4 + FLAGS]) & UNPRICED for x in records):
                candidates.add(price)
        lots.append(found)

    def at(price: int) -> tuple[int, int]:
        wanted = sum(qty for limit, qty in lots[0] if limit >= price)
        offered = sum(qty for limit, qty in lots[1] if limit <= price)
        return min(wanted, offered), wanted - offered

    if not candidates:
        if lots[0] and lots[1]:
            reference = min(max(reference, int(ins[row + MIN_PRICE])), int(ins[row + MAX_PRICE]))
            return reference, *at(reference), AuctionStep.UNPRICED
        return 0, 0, 0, AuctionStep.NO_CROSS
    volume = max(at(price)[0] for price in candidates)
    if not volume:
        return 0, 0, 0, AuctionStep.NO_CROSS
    best = sorted(price for price in candidates if at(price)[0] == volume)
    least = min(abs(at(price)[1]) for price in best)
    left = [price for price in best if abs(at(price)[1]) == least]
    if len(left) == 1:
        return left[0], *at(left[0]), AuctionStep.VOLUME if len(best) == 1 else AuctionStep.SURPLUS
    surpluses = [at(price)[1] for price in left]
    if min(surpluses) > 0:
        return left[-1], *at(left[-1]), AuctionStep.PRESSURE
    if max(surpluses) < 0:
        return left[0], *at(left[0]), AuctionStep.PRESSURE
    low, high = left[0], left[-1]
    if least:
        low = max(price for price in left if at(price)[1] > 0)
        high = min(price for price in left if at(price)[1] < 0)
    price = min(max(reference, low), high)
    return price, *at(price), AuctionStep.REFERENCE


def queue(state: State, level: int) -> Iterator[int]:
    """Records of a level's orders, first in time first."""
    link = state.arrays.link
    x = int(link[level * LINKS + NEXT])
    while x != level:
        yield x
        x = int(link[x * LINKS + NEXT])


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
