"""Structural truths of the core's arrays; `check` walks everything and stops at the first that does not hold."""

from __future__ import annotations

from typing import Any

from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    ACCOUNTS,
    ASIDE,
    BEARS,
    BEST,
    BITS0,
    BITS1,
    BITS2,
    BUMP,
    BUYS,
    BY_ACCOUNT,
    CALLING,
    CAP,
    CCY,
    CHECKED,
    COMMODITY,
    COST_WORDS,
    DIRECT_MASK,
    DISPLAY,
    ENTRY,
    ENTRY_END,
    ENTRY_PLACE,
    ENTRY_WORDS,
    FAR_BASE,
    FAR_COUNT,
    FAR_LEVELS,
    FLAGS,
    FREE,
    GATE,
    GATED,
    GIVES_UP,
    ICEBERG,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    INSTRUMENTS,
    LAST,
    LAST_ID,
    LEAVES,
    LEVEL,
    LEVELS,
    LINKS,
    LIVE,
    MAX_PRICE,
    MIN_PRICE,
    MODE_AT,
    MORE_WORDS,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    OPEN_ORDERS,
    ORDER_BASE,
    ORDER_ID,
    OUTSIDE,
    OWNER,
    PARKED,
    PER_LOT,
    PERMITS,
    PHASE,
    POSITION,
    POSITION_WORDS,
    PREV,
    PRICE,
    QTY,
    REQUIRED,
    RESTATING,
    SHOWN,
    SPILL_MASK,
    SPILL_TOP,
    SPILLED,
    STAGE,
    STOPPED,
    STOPS,
    STRIDE,
    SUSPENDED,
    UNPRICED,
    WINDOW,
    WINDOW_LO,
    WORDS2,
    WORST,
)  # fmt: skip
from engine.core.state import Arrays
from engine.phases import Mode
from engine.schema import Phase


def _bits(arrays: Arrays, base: int, count: int) -> set[int]:
    found = set()
    for at in range(count):
        mask = int(arrays.bits[base + at])
        for bit in range(64):
            if mask >> bit & 1:
                found.add(at * 64 + bit)
    return found


def _check_tiers(arrays: Arrays, row: int, g: int, occupied: set[int]) -> None:
    """A bit is set in each tier exactly where the tier below has one."""
    ins = arrays.ins
    words0 = -(-int(ins[row + WINDOW]) // 64)
    words1 = -(-words0 // 64)
    tier0 = _bits(arrays, int(ins[row + BITS0 + g]), words0)
    tier1 = _bits(arrays, int(ins[row + BITS1 + g]), words1)
    tier2 = _bits(arrays, int(ins[row + BITS2 + g]), int(ins[row + WORDS2]))
    assert tier0 == occupied, f"window bits {tier0 ^ occupied}"
    assert tier1 == {offset >> 6 for offset in tier0}
    if words1 > 1:  # or nobody asks for the third tier
        assert tier2 == {offset >> 6 for offset in tier1}


def _check_queue(arrays: Arrays, level: int, row: int, g: int, price: int, live: dict[int, int]) -> bool:
    """Walk one level; note its orders in `live`; whether it has any."""
    link, n4, n8 = arrays.link, arrays.n4, arrays.n8
    before, x = level, int(link[level * LINKS + NEXT])
    assert int(n4[level * NODE4 + LEVEL]) == level
    while x != level:
        r4 = x * NODE4
        assert int(link[x * LINKS + PREV]) == before, "links agree in both directions"
        assert int(n4[r4 + LEVEL]) == level and int(n8[x * NODE8 + PRICE]) == price, "an order lies at its price"
        assert int(n4[r4 + INSTRUMENT]) * INSTRUMENT_WORDS == row and (int(n4[r4 + FLAGS]) & 3) - 1 == g
        _check_more(arrays, x)
        assert 0 < int(n4[r4 + LEAVES]) <= int(n4[r4 + QTY]), "a resting order has open lots"
        order_id = int(n8[x * NODE8 + ORDER_ID])
        assert order_id > 0 and order_id not in live, "an order rests once"
        live[order_id] = x
        before, x = x, int(link[x * LINKS + NEXT])
    assert int(link[level * LINKS + PREV]) == before
    return int(link[level * LINKS + NEXT]) != level


def _check_more(arrays: Arrays, x: int) -> None:
    """An order in the book is marked as such, and an iceberg shows some of its lots (R47)."""
    flags, leaves = int(arrays.n4[x * NODE4 + FLAGS]), int(arrays.n4[x * NODE4 + LEAVES])
    assert not flags & OUTSIDE, "what is in the book is not outside"
    assert not flags & GIVES_UP or flags & UNPRICED, "what gives up rests only in a call"
    row = int(arrays.n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS
    assert arrays.ins[row + MIN_PRICE] <= arrays.n8[x * NODE8 + PRICE] <= arrays.ins[row + MAX_PRICE], (
        "what is in the book is within the daily limits (R67)"
    )
    if flags & ICEBERG:
        display, shown = (int(arrays.more[x * MORE_WORDS + field]) for field in (DISPLAY, SHOWN))
        assert 0 < shown <= min(display, leaves), "an iceberg shows some of its lots"


def _check_outside(arrays: Arrays, number: int, live: dict[int, int]) -> None:
    """Stops wait at rising stop prices, each in its level (R60); what is kept aside stands in one queue (R58)."""
    row = number * INSTRUMENT_WORDS
    ins, n4, n8 = arrays.ins, arrays.n4, arrays.n8
    for g in (0, 1):
        base, count = int(ins[row + STOPS + FAR_BASE + g]), int(ins[row + STOPS + FAR_COUNT + g])
        prices = [int(arrays.far[2 * place]) for place in range(base, base + count)]
        assert prices == sorted(set(prices)), "stop prices rise"
        best = int(ins[row + STOPS + BEST + g])
        assert best == (max(prices, default=NO_BUY) if g == 0 else min(prices, default=NO_SELL))
        for place, price in enumerate(prices, base):
            level = int(arrays.far[2 * place + 1])
            assert int(n8[level * NODE8 + PRICE]) == price
            assert _walk(arrays, level, STOPPED, 2 - g, live), "a stop price has stops"
        if int(ins[row + PHASE]) == Phase.CONTINUOUS and ins[row + LAST_ID]:
            last = int(ins[row + LAST])
            assert best < last if g == 0 else best > last, "no stop waits that the last trade reaches (R60)"
    _walk(arrays, int(ins[row + ASIDE]), PARKED | SUSPENDED, 0, live)
    if ins[row + CALLING]:
        assert int(ins[row + PERMITS]) >> MODE_AT == Mode.CALL, "sums are kept in calls only"
        assert int(ins[row + BUYS]) == sum(
            int(n4[x * NODE4 + LEAVES])
            for x in live.values()
            if int(n4[x * NODE4 + INSTRUMENT]) == number
            and int(n4[x * NODE4 + FLAGS]) & 3 == 1
            and not int(n4[x * NODE4 + FLAGS]) & OUTSIDE
        )


def _walk(arrays: Arrays, level: int, flag: int, side: int, live: dict[int, int]) -> bool:
    """Walk the queue of a level outside the book; note its orders in `live`; whether it has any."""
    link, n4, n8 = arrays.link, arrays.n4, arrays.n8
    before, x = level, int(link[level * LINKS + NEXT])
    while x != level:
        flags = int(n4[x * NODE4 + FLAGS])
        assert int(link[x * LINKS + PREV]) == before and int(n4[x * NODE4 + LEVEL]) == level
        assert flags & OUTSIDE & flag and not flags & OUTSIDE & ~flag and side in (0, flags & 3)
        if flags & SUSPENDED:
            row, price = int(n4[x * NODE4 + INSTRUMENT]) * INSTRUMENT_WORDS, int(n8[x * NODE8 + PRICE])
            assert not arrays.ins[row + MIN_PRICE] <= price <= arrays.ins[row + MAX_PRICE], (
                "a suspended order is outside"
            )
        order_id = int(n8[x * NODE8 + ORDER_ID])
        assert order_id > 0 and order_id not in live, "an order waits once"
        live[order_id] = x
        before, x = x, int(link[x * LINKS + NEXT])
    return before != level


def _check_side(arrays: Arrays, number: int, g: int, live: dict[int, int]) -> None:
    row = number * INSTRUMENT_WORDS
    ins = arrays.ins
    low, width, first = (int(ins[row + field]) for field in (WINDOW_LO, WINDOW, LEVELS + g))
    prices = []
    occupied = set()
    for offset in range(width):
        if _check_queue(arrays, first + offset, row, g, low + offset, live):
            occupied.add(offset)
            prices.append(low + offset)
    _check_tiers(arrays, row, g, occupied)
    base, count = int(ins[row + FAR_BASE + g]), int(ins[row + FAR_COUNT + g])
    far = [tuple(int(v) for v in arrays.far[2 * k : 2 * k + 2]) for k in range(base, base + int(ins[row + FAR_LEVELS]))]
    assert [price for price, _ in far[:count]] == sorted({price for price, _ in far[:count]}), "far prices rise"
    assert len({level for _, level in far}) == len(far), "each far place has a level of its own"
    for price, level in far[:count]:
        assert not low <= price < low + width, "a far price lies outside the window"
        assert _check_queue(arrays, level, row, g, price, live), "a far level on the list has orders"
        prices.append(price)
    best = int(ins[row + BEST + g])
    assert best == (max(prices, default=NO_BUY) if g == 0 else min(prices, default=NO_SELL)), "the best price is known"


def _check_orders(arrays: Arrays, live: dict[int, int]) -> None:
    """Every live order is found by its id, belongs to an account, and has its entry; free records are free."""
    h, n4, n8 = arrays.h, arrays.n4, arrays.n8
    assert len(live) == int(h[LIVE])
    spilled: dict[int, int] = {}
    for at in range(int(h[SPILL_MASK]) + 1) if h[SPILLED] else ():
        if arrays.spill[2 * at]:
            spilled[int(arrays.spill[2 * at])] = int(arrays.spill[2 * at + 1])
    assert len(spilled) == int(h[SPILLED])
    assert max(spilled, default=0) <= int(h[SPILL_TOP]) and (spilled or h[SPILL_TOP] == 0)
    open_orders: dict[int, int] = {}
    for order_id, x in live.items():
        direct = int(arrays.direct[order_id & int(h[DIRECT_MASK])])
        assert direct == x or spilled.get(order_id) == x, "an order is found by its id"
        account = int(n4[x * NODE4 + ACCOUNT])
        open_orders[account] = open_orders.get(account, 0) + 1
        root = int(n4[x * NODE4 + ENTRY]) * ENTRY_WORDS
        assert int(arrays.ids[root + ENTRY_PLACE]) == account | x << 32, "an order's entry leads to it"
        bears = int(n4[x * NODE4 + BEARS])
        assert bears * ENTRY_WORDS == root or int(arrays.ids[bears * ENTRY_WORDS + ENTRY_END]) * -ENTRY_WORDS == root
    for account in range(1, int(h[ACCOUNTS]) + 1):
        assert int(arrays.acc[account * ACCOUNT_WORDS + OPEN_ORDERS]) == open_orders.get(account, 0)
    free, x = 0, int(h[FREE])
    while x:
        assert int(n8[x * NODE8 + ORDER_ID]) == 0, "a free record has no order"
        free, x = free + 1, int(arrays.link[x * LINKS + NEXT])
    assert free + len(live) == int(h[BUMP]) - int(h[ORDER_BASE]), "every record is live or free"


def _check_positions(state: Any, live: dict[int, int]) -> None:
    """Positions sum to zero, open lots are those of the live orders, and what follows from both is kept (R71-R76)."""
    arrays: Arrays = state.arrays
    stride, accounts, count = int(arrays.h[STRIDE]), int(arrays.h[ACCOUNTS]), int(arrays.h[INSTRUMENTS])
    cells = arrays.pos.reshape(-1, stride, POSITION_WORDS)
    if int(arrays.h[STAGE]) != RESTATING:
        assert not cells[: accounts + 1, :, POSITION].sum(axis=0).any(), "positions sum to zero"
    lots: dict[tuple[int, int, int], int] = {}
    for x in live.values():
        n4 = arrays.n4[x * NODE4 : (x + 1) * NODE4]
        key = int(n4[ACCOUNT]), int(n4[INSTRUMENT]), int(n4[FLAGS]) & 3
        lots[key] = lots.get(key, 0) + int(n4[LEAVES])
    sums: dict[tuple[int, int], list[int]] = {}
    for account in range(1, accounts + 1):
        acc = arrays.acc[account * ACCOUNT_WORDS : (account + 1) * ACCOUNT_WORDS]
        required = 0
        for number in range(1, count + 1):
            position, buys, sells, held = (int(word) for word in cells[account, number])
            assert (buys, sells) == tuple(lots.get((account, number, side), 0) for side in (1, 2)), (
                "open lots are known"
            )
            row = arrays.ins[number * INSTRUMENT_WORDS : (number + 1) * INSTRUMENT_WORDS]
            one = sums.setdefault((int(acc[OWNER]), int(row[COMMODITY])), [0, 0, 0])
            for place, lot in enumerate((position, buys, sells)):
                one[place] += lot
            if acc[GATE] & CHECKED:
                at = (int(acc[CCY]) * stride + number) * COST_WORDS
                per_lot, worst = int(arrays.cost[at + PER_LOT]), int(arrays.cost[at + WORST])
                most = max(abs(position + buys), abs(position - sells))
                assert held == ((per_lot - 1) * most + worst * (buys + sells) if per_lot else 0), (
                    "what is held is known"
                )
                required += held
            else:
                assert not held, "nothing is held for an account that is not checked"
        assert not acc[GATE] & CHECKED or int(acc[REQUIRED]) == required, "the margin is the sum of what is held"
    own = arrays.own.reshape(-1, stride, POSITION_WORDS)
    for commodity in {place for _, place in sums}:
        rows = arrays.ins.reshape(-1, INSTRUMENT_WORDS)[1 : count + 1]
        if all(row[GATED] & BY_ACCOUNT for row in rows if row[COMMODITY] == commodity):
            for (owner, place), three in sums.items():
                assert place != commodity or own[owner, place, :CAP].tolist() == three, "an owner's lots are summed up"


def check(state: Any) -> None:
    """Assert every structural truth of a state (engine.apply.State) that has no work pending."""
    assert not state.pending
    arrays: Arrays = state.arrays
    live: dict[int, int] = {}
    for number in range(1, int(arrays.h[INSTRUMENTS]) + 1):
        for g in (0, 1):
            _check_side(arrays, number, g, live)
        _check_outside(arrays, number, live)
        row = number * INSTRUMENT_WORDS
        if int(arrays.ins[row + PERMITS]) >> MODE_AT >= Mode.CONTINUOUS:
            assert int(arrays.ins[row + BEST]) < int(arrays.ins[row + BEST + 1]), (
                "no book is crossed where orders trade"
            )
    _check_orders(arrays, live)
    _check_positions(state, live)
