"""Every kind of damage that is planted in a sound state is noticed."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.core.invariants import check
from engine.core.layout import (
    ACCOUNT,
    ACCOUNT_WORDS,
    BEARS,
    BEST,
    BITS0,
    BITS1,
    BITS2,
    BUMP,
    BUYS,
    BUYS_OPEN,
    CALLING,
    DIRECT_MASK,
    ENTRY,
    ENTRY_END,
    ENTRY_PLACE,
    ENTRY_WORDS,
    FAR_BASE,
    FAR_COUNT,
    FLAGS,
    FREE,
    GIVES_UP,
    HELD,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVES,
    LEVEL,
    LEVELS,
    LINKS,
    LIVE,
    MAX_PRICE,
    MIN_PRICE,
    MORE_WORDS,
    NEXT,
    NO_SELL,
    NODE4,
    NODE8,
    OPEN_ORDERS,
    ORDER_BASE,
    ORDER_ID,
    PARKED,
    PENDING,
    PHASE,
    POSITION,
    POSITION_WORDS,
    PREV,
    PRICE,
    QTY,
    REQUIRED,
    SELLS_OPEN,
    SHOWN,
    SPILL_MASK,
    SPILL_TOP,
    SPILLED,
    STOPPED,
    STOPS,
    STRIDE,
    SUSPENDED,
    WINDOW_LO,
)
from engine.core.state import Arrays
from engine.schema import CommandKind, Phase
from tests.engine.purse import purse_world
from tests.engine.world import AT_CLOSE, BUY, GTC, SELL, SMALL, World

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

WIDE = {"min_price": "-10000", "max_price": "10000", "window_ticks": 4352, "reference_price": "0"}
ROW = INSTRUMENT_WORDS
A = CommandKind


class Sound:
    """A state with near and far levels, queues, stops, an order kept aside, an iceberg, a renamed order, a freed record
    and a spilled order."""

    def __init__(self) -> None:
        world = World(SMALL._replace(levels=1 << 15), terms=(WIDE,))
        world.checks = False
        a = world.state.arrays
        first = int(world.place(1, BUY, 5, -50, time_in_force=GTC)["order_id"][0])
        world.amend(1, first, cl_ord_id=b"renamed", qty=4)
        queue = [int(world.place(1, BUY, 5, -50)["order_id"][0]) for _ in range(3)]
        for price in (-9_000, -9_001, -9_002):
            world.place(1, BUY, 1, price)
        for price in (9_000, 0, 90):
            world.place(3, SELL, 1, price)
        iceberg = int(world.place(1, BUY, 5, -60, display_qty=3)["order_id"][0])
        stops = [int(world.stop(1, side, 1, at)["order_id"][0]) for side, at in ((BUY, 500), (BUY, 501), (SELL, -500))]
        aside = [int(world.place(1, side, 1, 3, time_in_force=AT_CLOSE)["order_id"][0]) for side in (BUY, SELL)]
        world.place(3, SELL, 1, 5)
        canceled = world.seq
        world.seq += int(a.h[DIRECT_MASK]) - (world.seq - first)
        world.place(3, SELL, 1, 7)
        world.cancel(3, canceled)
        assert int(a.h[SPILLED]) == 1 and int(a.h[FREE])
        check(world.state)
        self.state, self.a = world.state, a
        self.record = {
            int(a.n8[x * NODE8 + ORDER_ID]): x for x in range(a.n4.size // NODE4) if a.n8[x * NODE8 + ORDER_ID]
        }
        self.first, self.second, self.third = self.record[first], self.record[queue[0]], self.record[queue[1]]
        self.level = int(a.n4[self.first * NODE4 + LEVEL])
        self.iceberg, self.stop, self.aside = self.record[iceberg], self.record[stops[0]], self.record[aside[0]]

    def add4(self, x: int, field: int, change: int) -> None:
        self.a.n4[x * NODE4 + field] += change

    def add8(self, x: int, field: int, change: int) -> None:
        self.a.n8[x * NODE8 + field] += change

    def entry(self, x: int) -> int:
        return int(self.a.n4[x * NODE4 + ENTRY]) * ENTRY_WORDS

    def borne(self, x: int) -> int:
        return int(self.a.n4[x * NODE4 + BEARS])

    def far(self, g: int, place: int) -> int:
        return 2 * (int(self.a.ins[ROW + FAR_BASE + g]) + place)

    def stop_at(self, g: int, place: int) -> int:
        return 2 * (int(self.a.ins[ROW + STOPS + FAR_BASE + g]) + place)

    def trade(self, price: int) -> None:
        """The day's last trade was made at this price."""
        self.a.ins[ROW + LAST], self.a.ins[ROW + LAST_ID] = price, 1

    def flip(self, base: int, bit: int) -> None:
        at = int(self.a.ins[ROW + base]) + bit // 64
        self.a.bits[at] = int(self.a.bits[at]) ^ (1 << bit % 64)

    def put(self, array: str, place: int, value: int) -> None:
        getattr(self.a, array)[place] = value

    def spilled_at(self) -> int:
        return next(at for at in range(int(self.a.h[SPILL_MASK]) + 1) if self.a.spill[2 * at])


def header(field: int, change: int) -> Callable[[Sound], None]:
    def damage(s: Sound) -> None:
        s.a.h[field] += change

    return damage


def swapped_links(s: Sound) -> None:
    """Two neighbours of a queue change places in one direction only."""
    s.put("link", s.level * LINKS + NEXT, s.second)
    s.put("link", s.second * LINKS + NEXT, s.first)
    s.put("link", s.first * LINKS + NEXT, s.third)


DAMAGES: dict[str, Callable[[Sound], Any]] = {
    "work is pending": lambda s: s.put("h", PENDING, 1),
    "links in one direction": swapped_links,
    "a level's last": lambda s: s.put("link", s.level * LINKS + PREV, s.first),
    "a level of another number": lambda s: s.add4(s.level, LEVEL, 1),
    "an order of another level": lambda s: s.add4(s.second, LEVEL, 1),
    "an order at another price": lambda s: s.add8(s.second, PRICE, 1),
    "an order of another instrument": lambda s: s.add4(s.second, INSTRUMENT, 1),
    "an order of the other side": lambda s: s.add4(s.second, FLAGS, 1),
    "an order without open lots": lambda s: s.put("n4", s.second * NODE4 + LEAVES, 0),
    "an order of negative lots": lambda s: s.put("n4", s.second * NODE4 + LEAVES, -3),
    "more open than ordered": lambda s: s.put("n4", s.second * NODE4 + QTY, 4),
    "an order without a number": lambda s: s.put("n8", s.second * NODE8 + ORDER_ID, 0),
    "two orders of one number": lambda s: s.add8(s.second, ORDER_ID, 1),
    "a bit too many": lambda s: s.flip(BITS0, 1),
    "a bit too few": lambda s: s.flip(BITS0, -50 - int(s.a.ins[ROW + WINDOW_LO])),
    "a bit too many in the second tier": lambda s: s.flip(BITS1, 60),
    "a bit too many in the third tier": lambda s: s.flip(BITS2, 1),
    "a bit too few in the third tier": lambda s: s.flip(BITS2, 0),
    "far prices out of order": lambda s: s.put("far", s.far(0, 0), -8_999),
    "a far price twice": lambda s: s.put("far", s.far(0, 0), -9_001),
    "a far price in the window": lambda s: s.put("far", s.far(1, 0), 91),
    "a far level twice": lambda s: s.put("far", s.far(0, 0) + 1, int(s.a.far[s.far(0, 9) + 1])),
    "a far level without orders": lambda s: s.put("ins", ROW + FAR_COUNT, 4),
    "a far level forgotten": lambda s: s.put("ins", ROW + FAR_COUNT, 2),
    "a best price too good": lambda s: s.put("ins", ROW + BEST, -49),
    "a best price too bad": lambda s: s.put("ins", ROW + BEST, -9_000),
    "a best price lost": lambda s: s.put("ins", ROW + BEST + 1, NO_SELL),
    "a count of live orders": header(LIVE, 1),
    "a spill count": header(SPILLED, 1),
    "an order beyond the spill table's highest": lambda s: s.put("h", SPILL_TOP, 1),
    "an order not found by its number": lambda s: s.put("spill", 2 * s.spilled_at() + 1, s.second),
    "an order not in the index": lambda s: s.put("direct", int(s.a.n8[s.second * NODE8 + ORDER_ID]), 0),
    "an order of another account": lambda s: s.add4(s.second, ACCOUNT, 1),
    "an account's count": lambda s: s.put("acc", ACCOUNT_WORDS + OPEN_ORDERS, 9),
    "an idle account's count": lambda s: s.put("acc", 4 * ACCOUNT_WORDS + OPEN_ORDERS, 1),
    "an entry of an ended order": lambda s: s.put("ids", s.entry(s.second) + ENTRY_PLACE, 1),
    "an order of another entry": lambda s: s.add4(s.second, ENTRY, 1),
    "an order that bears another's id": lambda s: s.put("n4", s.second * NODE4 + BEARS, s.borne(s.third)),
    "an alias of another order": lambda s: s.put("ids", s.borne(s.first) * ENTRY_WORDS + ENTRY_END, -9),
    "an iceberg that shows nothing": lambda s: s.put("more", s.iceberg * MORE_WORDS + SHOWN, 0),
    "an iceberg that shows more than it may": lambda s: s.put("more", s.iceberg * MORE_WORDS + SHOWN, 4),
    "an iceberg that shows more than it has": lambda s: s.put("n4", s.iceberg * NODE4 + LEAVES, 2),
    "a stop in the book": lambda s: s.add4(s.second, FLAGS, STOPPED),
    "an order that gives up in the book": lambda s: s.add4(s.second, FLAGS, GIVES_UP),
    "stop prices out of order": lambda s: s.put("far", s.stop_at(1, 0), 502),
    "a stop price that is not its level's": lambda s: s.put("far", s.stop_at(1, 0), 499),
    "a stop price without stops": lambda s: s.put("ins", ROW + STOPS + FAR_COUNT + 1, 3),
    "a stop price forgotten": lambda s: s.put("ins", ROW + STOPS + FAR_COUNT, 0),
    "a first stop that is not the first": lambda s: s.put("ins", ROW + STOPS + BEST + 1, 501),
    "a stop that is none": lambda s: s.add4(s.stop, FLAGS, -STOPPED),
    "a stop of the other side": lambda s: s.add4(s.stop, FLAGS, 1),
    "a stop of another level": lambda s: s.add4(s.stop, LEVEL, 1),
    "a stop that is kept aside as well": lambda s: s.add4(s.stop, FLAGS, PARKED),
    "a buy stop that waits though reached": lambda s: s.trade(500),
    "a sell stop that waits though reached": lambda s: s.trade(-500),
    "an order kept aside that is none": lambda s: s.add4(s.aside, FLAGS, -PARKED),
    "links aside in one direction": lambda s: s.put("link", int(s.a.link[s.aside * LINKS + NEXT]) * LINKS + PREV, 9),
    "an order that waits twice": lambda s: s.add8(s.aside, ORDER_ID, -1),
    "an order aside without a number": lambda s: s.put("n8", s.aside * NODE8 + ORDER_ID, 0),
    "a call where there is none": lambda s: s.put("ins", ROW + CALLING, 1),
    "a free record with an order": lambda s: s.put("n8", int(s.a.h[FREE]) * NODE8 + ORDER_ID, 999),
    "a record lost": lambda s: s.put("h", FREE, 0),
}  # fmt: skip


def test_the_state_is_sound_before_it_is_damaged() -> None:
    sound = Sound()
    assert len(sound.record) == 17 and sound.a.link[sound.level * LINKS + NEXT] == sound.first
    assert int(sound.a.ins[ROW + FAR_COUNT]) == 3 and int(sound.a.ins[ROW + FAR_COUNT + 1]) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed(damage: str) -> None:
    sound = Sound()
    DAMAGES[damage](sound)
    with pytest.raises(AssertionError):
        check(sound.state)


class Kept:
    """A state with a suspended order, two checked accounts of one owner, and months of a commodity that is capped."""

    def __init__(self) -> None:
        world = purse_world()
        world.checks = False
        for name in ("A1", "A2"):
            world.act(A.COLLATERAL_SET, account=name, amount=10**9)
        for symbol in ("W320", "V"):
            world.act(A.MARGIN_SET, symbol=symbol, ccy="USD", per_lot=100)
        world.act(A.CAP_SET, commodity="G", lots=10**6)
        for account, side, price in ((1, BUY, 495), (3, SELL, 495), (1, SELL, 520), (2, BUY, 490), (2, BUY, 300)):
            world.place(account, side, 5, price, time_in_force=GTC)
        world.place(1, BUY, 3, 495, instrument=2)
        world.phase("W320", Phase.HALTED)
        world.act(A.CONTROL_SET, symbol="W320", limit_steps="500")
        world.act(A.LIMIT_SET, symbol="W320", step=1, settlement="500")
        check(world.state)
        self.a = world.state.arrays
        self.state, self.stride = world.state, int(self.a.h[STRIDE])
        records = range(int(self.a.h[ORDER_BASE]), int(self.a.h[BUMP]))
        live = [x for x in records if self.a.n8[x * NODE8 + ORDER_ID]]
        (self.suspended,) = [x for x in live if self.a.n4[x * NODE4 + FLAGS] & SUSPENDED]
        (self.best,) = [x for x in live if self.a.n8[x * NODE8 + PRICE] == 490]

    def add(self, array: str, row: int, column: int, field: int, change: int) -> None:
        """Change a word of positions or sums, which have four by account or owner and instrument or commodity."""
        getattr(self.a, array)[(row * self.stride + column) * POSITION_WORDS + field] += change

    def mark(self, x: int, flags: int) -> None:
        self.a.n4[x * NODE4 + FLAGS] ^= flags

    def bought(self) -> None:
        """Lots that nobody has sold, and the owner's sum knows of them."""
        self.add("pos", 3, 1, POSITION, 1)
        self.add("own", 2, 1, POSITION, 1)

    def limits(self, low: int, high: int) -> None:
        self.a.ins[ROW + MIN_PRICE], self.a.ins[ROW + MAX_PRICE] = low, high

    def margin(self) -> None:
        self.a.acc[ACCOUNT_WORDS + REQUIRED] += 1


KEPT: dict[str, tuple[Callable[[Kept], None], str]] = {
    "a suspended order within the limits": (lambda k: k.limits(299, 525), "a suspended order is outside"),
    "an order in the book below the limits": (lambda k: k.limits(491, 525), "within the daily limits"),
    "an order in the book above the limits": (lambda k: k.limits(475, 519), "within the daily limits"),
    "a suspended order that is not marked": (lambda k: k.mark(k.suspended, SUSPENDED), ""),
    "a suspended order that is a stop too": (lambda k: k.mark(k.suspended, STOPPED), ""),
    "a suspended order in the book": (lambda k: k.mark(k.best, SUSPENDED), "not outside"),
    "positions of more than nothing": (lambda k: k.bought(), "sum to zero"),
    "open lots to buy too many": (lambda k: k.add("pos", 1, 2, BUYS_OPEN, 1), "open lots are known"),
    "open lots to sell too few": (lambda k: k.add("pos", 1, 1, SELLS_OPEN, -1), "open lots are known"),
    "open lots of a suspended order forgotten": (lambda k: k.add("pos", 2, 1, BUYS_OPEN, -5), "open lots are known"),
    "too much held": (lambda k: k.add("pos", 1, 1, HELD, 1), "what is held is known"),
    "held for one that is not checked": (lambda k: k.add("pos", 3, 1, HELD, 1), "nothing is held"),
    "a margin that is not what is held": (lambda k: k.margin(), "the margin is the sum"),
    "an owner's position": (lambda k: k.add("own", 1, 1, POSITION, 1), "summed up"),
    "an owner's buys": (lambda k: k.add("own", 1, 1, BUYS_OPEN, 1), "summed up"),
    "an owner's sells": (lambda k: k.add("own", 2, 1, SELLS_OPEN, -1), "summed up"),
}  # fmt: skip


@pytest.mark.parametrize("damage", KEPT)
def test_damage_to_what_is_kept_of_accounts_and_limits_is_noticed(damage: str) -> None:
    kept = Kept()
    harm, said = KEPT[damage]
    harm(kept)
    with pytest.raises(AssertionError, match=said or None):
        check(kept.state)


def test_positions_may_be_open_while_a_day_is_being_restated() -> None:
    world = purse_world(phase=None, day="2026-11-25")
    world.act(A.POSITION_RESTORE, account="A1", symbol="V", lots=5)
    check(world.state)


def test_a_sum_of_a_call_that_is_wrong_is_noticed() -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(1, BUY, 5, 100)
    world.place(1, BUY, 5, 100, time_in_force=AT_CLOSE)
    check(world.state)
    world.state.arrays.ins[ROW + BUYS] += 5
    with pytest.raises(AssertionError):
        check(world.state)


def test_a_stop_that_a_trade_reaches_may_wait_outside_continuous() -> None:
    sound = Sound()
    sound.trade(500)
    sound.a.ins[ROW + PHASE] = Phase.BREAK
    check(sound.state)


def test_a_crossed_book_is_noticed() -> None:
    """Two sound sides that cross: what a sweep that stopped too early would leave."""
    world = World()
    world.place(1, BUY, 1, 100)
    world.place(3, SELL, 1, 101)
    a: Arrays = world.state.arrays
    row, old, new = INSTRUMENT_WORDS, 101 - 1, 100 - 1
    level = int(a.ins[row + LEVELS + 1])
    x = int(a.link[(level + old) * LINKS + NEXT])
    for place, queue in ((old, level + old), (new, x)):
        a.link[(level + place) * LINKS + NEXT] = a.link[(level + place) * LINKS + PREV] = queue
    a.link[x * LINKS + NEXT] = a.link[x * LINKS + PREV] = a.n4[x * NODE4 + LEVEL] = level + new
    a.n8[x * NODE8 + PRICE] = 100
    for offset in (old, new):
        at = int(a.ins[row + BITS0 + 1]) + offset // 64
        a.bits[at] = int(a.bits[at]) ^ (1 << offset % 64)
    a.ins[row + BEST + 1] = 100
    with pytest.raises(AssertionError, match="no book is crossed"):
        check(world.state)
