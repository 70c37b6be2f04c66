"""Levels, bitmaps and queues against plain sorted sets and lists."""

import random

import numpy as np
import pytest

from engine.acts.instrument import define_instrument
from engine.apply import new_state
from engine.core.book import (
    far_level,
    is_far,
    join,
    leave,
    level_at,
    next_price,
    stop_price_of,
    stop_waiting,
    stops_full,
    wait_as_stop,
    window_above,
    window_below,
)
from engine.core.invariants import _check_side
from engine.core.layout import (
    BEST,
    FAR_COUNT,
    FLAGS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LEAVES,
    LINKS,
    NEXT,
    NO_BUY,
    NO_SELL,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    PREV,
    PRICE,
    QTY,
    STOPS,
)
from engine.schema import Limits
from tests.engine.core.alone import alone
from tests.engine.world import TERMS, behind, views

(
    far_level, is_far, join, leave, level_at, next_price, stop_price_of, stop_waiting, stops_full, wait_as_stop,
    window_above, window_below,
) = alone(
    far_level, is_far, join, leave, level_at, next_price, stop_price_of, stop_waiting, stops_full, wait_as_stop,
    window_above, window_below,
)  # fmt: skip

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

ROW = INSTRUMENT_WORDS
WIDTHS = (1, 63, 64, 65, 4096, 4097, 1 << 18, 1 << 19)
MARGIN = 500  # ticks of the band outside the window, on either side


class Book:
    """One instrument's two sides, and what they should hold: price → records in the order of their joining."""

    def __init__(self, width: int, margin: int = MARGIN, orders: int = 4_200) -> None:
        far = 4096 if margin else 0
        limits = Limits(instruments=1, accounts=1, orders=orders, levels=2 * (width + far), day_ids=1)
        self.state = new_state(limits)
        self.low, self.high = 10_000, 10_000 + width - 1
        self.minimum, self.maximum = self.low - margin, self.high + margin
        terms = {**TERMS, "min_price": str(self.minimum), "max_price": str(self.maximum), "window_ticks": width,
                 "reference_price": str(self.low + width // 2)}  # fmt: skip
        define_instrument(self.state, terms)
        self.s = views(self.state)
        self.d = behind(self.s)
        self.queues: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
        self.free = list(range(orders))

    def join(self, g: int, price: int) -> int:
        a = self.state.arrays
        x = int(a.h[ORDER_BASE]) + self.free.pop()
        a.n4[x * NODE4 + INSTRUMENT], a.n4[x * NODE4 + FLAGS] = 1, g + 1
        a.n4[x * NODE4 + LEAVES] = a.n4[x * NODE4 + QTY] = 1
        a.n8[x * NODE8 + ORDER_ID], a.n8[x * NODE8 + PRICE] = x, price
        join(self.s, ROW, g, x, price)
        self.queues[g].setdefault(price, []).append(x)
        return x

    def leave(self, g: int, x: int) -> None:
        price = int(self.state.arrays.n8[x * NODE8 + PRICE])
        leave(self.s, x, g)
        self.queues[g][price].remove(x)
        if not self.queues[g][price]:
            del self.queues[g][price]
        self.free.append(x - int(self.state.arrays.h[ORDER_BASE]))

    def next_price(self, g: int, price: int) -> int:
        return int(next_price(self.d, ROW, g, price))

    def expected_next(self, g: int, price: int) -> int:
        if g == 1:
            return min((p for p in self.queues[1] if p > price), default=NO_SELL)
        return max((p for p in self.queues[0] if p < price), default=NO_BUY)

    def best(self, g: int) -> int:
        return int(self.state.arrays.ins[ROW + BEST + g])

    def queue(self, g: int, price: int) -> list[int]:
        """The records of an occupied price by the links, after the links backwards have said the same."""
        links = self.state.arrays.link
        level = int(level_at(self.s, ROW, g, price))
        ways = []
        for link in (NEXT, PREV):
            found, x = [], int(links[level * LINKS + link])
            while x != level:
                found.append(x)
                x = int(links[x * LINKS + link])
            ways.append(found)
        assert ways[0] == ways[1][::-1]
        return ways[0]

    def check(self, g: int) -> None:
        live: dict[int, int] = {}
        _check_side(self.state.arrays, 1, g, live)
        assert sorted(live) == sorted(x for queue in self.queues[g].values() for x in queue)


def prices_worth_asking(book: Book, rng: random.Random) -> list[int]:
    """Edges of the window, of its words and of the band, and prices all over it."""
    edges = [book.minimum, book.minimum - 1, book.maximum, book.maximum + 1]
    for word in (0, 1, 63, 64, 65, 4095, 4096, 4097):
        edges += [book.low + word - 1, book.low + word, book.high - word, book.high - word + 1]
    edges += [rng.randint(book.minimum, book.maximum) for _ in range(6)]
    return edges


@pytest.mark.parametrize("margin", (0, MARGIN))
@pytest.mark.parametrize("width", WIDTHS)
def test_levels_equal_a_sorted_set(width: int, margin: int) -> None:
    rng = random.Random(width + margin)
    book = Book(width, margin)
    for step in range(250):
        g = rng.randrange(2)
        held = [x for queue in book.queues[g].values() for x in queue]
        if held and rng.random() < (0.6 if step % 80 > 40 else 0.25):
            book.leave(g, rng.choice(held))
        else:
            asked = [price for price in prices_worth_asking(book, rng) if book.minimum <= price <= book.maximum]
            book.join(g, rng.choice([*asked, *book.queues[g]]))
        ends = (NO_BUY, NO_SELL)
        assert book.best(0) == max(book.queues[0], default=ends[0])
        assert book.best(1) == min(book.queues[1], default=ends[1])
        for price in rng.sample(prices_worth_asking(book, rng), 8) + [*book.queues[g]][:8]:
            assert book.next_price(g, price) == book.expected_next(g, price), (g, price)
        if book.queues[g]:
            price = rng.choice([*book.queues[g]])
            assert book.queue(g, price) == book.queues[g][price]
    if width <= 4097:
        book.check(0), book.check(1)
    for g in (0, 1):
        for x in [x for queue in book.queues[g].values() for x in queue]:
            book.leave(g, x)
        assert book.best(g) == (NO_BUY, NO_SELL)[g]
    a = book.state.arrays
    assert not a.bits.any(), "an emptied book has no bit set"
    assert a.ins[ROW + FAR_COUNT] == a.ins[ROW + FAR_COUNT + 1] == 0


@pytest.mark.parametrize("width", (1, 64, 65, 4097, 1 << 19))
def test_each_offset_of_a_window_is_found_from_both_ends(width: int) -> None:
    book = Book(width, margin=0)
    for offset in {0, 1, 62, 63, 64, 4094, 4095, 4096, width - 1} & set(range(width)):
        x = book.join(1, book.low + offset), book.join(0, book.low + offset)
        for g in (0, 1):
            assert window_above(book.d, ROW, g, -1) == offset
            assert window_above(book.d, ROW, g, offset) == -1
            assert window_below(book.d, ROW, g, width) == offset
            assert offset == 0 or window_below(book.d, ROW, g, offset) == -1
            assert offset == 0 or window_above(book.d, ROW, g, offset - 1) == offset
            assert window_below(book.d, ROW, g, offset + 1) == offset
        book.leave(1, x[0]), book.leave(0, x[1])


def test_walking_a_side_meets_far_and_near_prices_in_order_of_their_worth() -> None:
    book = Book(64)
    prices = [book.minimum, book.minimum + 3, book.low - 1, book.low, book.low + 1, book.low + 40, book.high,
              book.high + 1, book.high + 77, book.maximum]  # fmt: skip
    for price in random.Random(6).sample(prices, len(prices)):
        book.join(0, price), book.join(1, price)
    for g, start, end, rising in ((1, book.minimum - 1, NO_SELL, True), (0, book.maximum + 1, NO_BUY, False)):
        walked, price = [], start
        while (price := book.next_price(g, price)) != end:
            walked.append(price)
        assert walked == sorted(prices, reverse=not rising)


def test_a_queue_keeps_the_order_of_joining_whoever_leaves() -> None:
    book = Book(64)
    for price in (book.low + 5, book.maximum):
        first, second, third, fourth = (book.join(1, price) for _ in range(4))
        assert book.queue(1, price) == [first, second, third, fourth]
        book.leave(1, second)
        assert book.queue(1, price) == [first, third, fourth]
        book.leave(1, first)
        book.leave(1, fourth)
        fifth = book.join(1, price)
        assert book.queue(1, price) == [third, fifth]
        book.leave(1, third), book.leave(1, fifth)
        assert book.best(1) == NO_SELL


def test_far_levels_are_used_again_up_to_the_last_one() -> None:
    book = Book(1, margin=4_100)
    far = [*range(book.minimum, book.minimum + 2_048), *range(book.maximum - 2_047, book.maximum + 1)]
    records = {price: book.join(0, price) for price in far}
    random.Random(7).shuffle(far)
    assert book.state.arrays.ins[ROW + FAR_COUNT] == 4_096
    book.check(0)
    used = {int(far_level(book.d, ROW, 0, price)) for price in far}
    assert len(used) == 4_096 and 0 not in used
    for price in far[:100]:
        book.leave(0, records[price])
    for price in far[:100]:
        assert far_level(book.d, ROW, 0, price) == 0
        book.join(0, price)
    book.check(0)
    assert {int(far_level(book.d, ROW, 0, price)) for price in far} == used
    assert not far_level(book.d, ROW, 1, far[0]), "the other side has its own list"


@pytest.mark.parametrize("seed", range(3))
def test_stops_wait_by_price_whatever_joins_and_leaves(seed: int) -> None:
    """The book of stops, without a window: buy stops the lowest first, sell stops the highest first."""
    rng = random.Random(seed)
    book = Book(64)
    a = book.state.arrays
    held: dict[int, tuple[int, int]] = {}
    for _ in range(300):
        if held and rng.random() < 0.45:
            x = rng.choice([*held])
            assert stop_price_of(book.s, x) == held[x][1]
            stop_waiting(book.d, x)
            book.free.append(x - int(a.h[ORDER_BASE]))
            del held[x]
        else:
            g, price = rng.randrange(2), rng.randint(book.minimum, book.minimum + 20)
            x = int(a.h[ORDER_BASE]) + book.free.pop()
            a.n4[x * NODE4 + INSTRUMENT], a.n4[x * NODE4 + FLAGS] = 1, g + 1
            wait_as_stop(book.d, ROW, g, x, price)
            held[x] = g, price
        buys, sells = ([price for g, price in held.values() if g == side] for side in (0, 1))
        assert int(a.ins[ROW + STOPS + BEST + 1]) == min(buys, default=NO_SELL)
        assert int(a.ins[ROW + STOPS + BEST]) == max(sells, default=NO_BUY)
        assert int(a.ins[ROW + STOPS + FAR_COUNT + 1]) == len(set(buys))
        assert int(a.ins[ROW + STOPS + FAR_COUNT]) == len(set(sells))
    assert book.best(0) == NO_BUY and book.best(1) == NO_SELL, "the book of orders knows nothing of it"


def test_a_side_takes_stops_at_1024_prices() -> None:
    book = Book(64, margin=1_100)
    a = book.state.arrays
    for g in (0, 1):
        for price in range(book.minimum, book.minimum + 1_024):
            assert not stops_full(book.d, ROW, g, price)
            x = int(a.h[ORDER_BASE]) + book.free.pop()
            a.n4[x * NODE4 + INSTRUMENT], a.n4[x * NODE4 + FLAGS] = 1, g + 1
            wait_as_stop(book.d, ROW, g, x, price)
        assert stops_full(book.d, ROW, g, book.maximum) and not stops_full(book.d, ROW, g, book.minimum + 7)
        stop_waiting(book.d, x)
        assert not stops_full(book.d, ROW, g, book.maximum)


def test_prices_outside_the_window_are_far() -> None:
    book = Book(64)
    asked = {book.low - 1: True, book.low: False, book.high: False, book.high + 1: True, book.minimum: True}
    assert {price: bool(is_far(book.s, ROW, price)) for price in asked} == asked


def test_the_last_level_of_a_window_does_not_reach_into_the_other_side() -> None:
    book = Book(65, margin=0)
    ask = book.join(1, book.high)
    bid = book.join(0, book.high)
    assert book.queue(0, book.high) == [bid] and book.queue(1, book.high) == [ask]
    assert np.count_nonzero(book.state.arrays.bits) == 4, "one bit in both tiers that are asked, for each side"
    book.leave(0, bid)
    assert book.best(0) == NO_BUY and book.best(1) == book.high
