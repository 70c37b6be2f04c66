"""What the orders of a call add up to, and the auction price, against sums and ladders made the long way."""

import random
from typing import Any

import pytest

from engine.core.calls import (
    NONE_ABOVE,
    NONE_BELOW,
    begin_call,
    candidate_above,
    candidate_below,
    demand,
    edge_of,
    equilibrium,
    supply,
)
from engine.core.layout import (
    BUYS,
    CALLING,
    DIRTY,
    EDGE_PRICED,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    NODE8,
    REFERENCE,
    TOLD_STEP,
    TOTAL,
    TREE,
    WINDOW,
)
from engine.dump import dump, indicative, levels
from engine.schema import AuctionStep, CommandKind, EventKind, Phase, Side
from tests.engine.core.alone import alone
from tests.engine.world import (
    AT_OPEN,
    BUY,
    GTC,
    GTD,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    Rows,
    World,
    behind,
    kinds,
    through_any_buffer,
    views,
)

(
    begin_call, candidate_above, candidate_below, demand, edge_of, equilibrium, supply,
) = alone(
    begin_call, candidate_above, candidate_below, demand, edge_of, equilibrium, supply,
)  # fmt: skip

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
ROW = INSTRUMENT_WORDS
ROOMY = SMALL._replace(orders=512, levels=1 << 14, day_ids=1 << 12)
BANDS: dict[str, dict[str, Any]] = {
    "all in the window": {},
    "a narrow window": {"window_ticks": 5, "reference_price": "40"},
    "a window of one tick": {"max_price": "30", "window_ticks": 1},
    "a window at the lower edge": {"window_ticks": 65, "reference_price": "1"},
    "a window at the upper edge": {"window_ticks": 64, "reference_price": "1000"},
    "a band of a few ticks": {"max_price": "6"},
    "a band of a few ticks, and far ones": {"max_price": "6", "window_ticks": 2},
    "a band of one tick": {"max_price": "1"},
    "prices below zero": {"min_price": "-30", "max_price": "-1", "window_ticks": 8},
}

Order = tuple[int, int, int, bool]  # side, price, leaves, whether it has a price of its own


def orders_of(world: World) -> list[Order]:
    return [
        (Side.BUY if order["side"] == "buy" else Side.SELL, order["price"], order["leaves_qty"],
         order["ord_type"] == "limit")
        for order in dump(world.state)["orders"] if not order["inactive"]
    ]  # fmt: skip


def wanted(orders: list[Order], price: int) -> int:
    return sum(qty for side, limit, qty, _ in orders if side == BUY and limit >= price)


def offered(orders: list[Order], price: int) -> int:
    return sum(qty for side, limit, qty, _ in orders if side == SELL and limit <= price)


def ladder(orders: list[Order], reference: int) -> tuple[int, int, int, int]:
    """R52, sentence by sentence: price, volume, surplus, step."""

    def told(price: int, step: AuctionStep) -> tuple[int, int, int, int]:
        buys, sells = wanted(orders, price), offered(orders, price)
        return price, min(buys, sells), buys - sells, step

    candidates = sorted({price for _, price, _, priced in orders if priced})
    if not candidates:
        both = {side for side, *_ in orders} == {BUY, SELL}
        return told(reference, AuctionStep.UNPRICED) if both else (0, 0, 0, AuctionStep.NO_CROSS)
    volume = {price: min(wanted(orders, price), offered(orders, price)) for price in candidates}
    if not max(volume.values()):
        return 0, 0, 0, AuctionStep.NO_CROSS
    left = [price for price in candidates if volume[price] == max(volume.values())]
    if len(left) == 1:
        return told(left[0], AuctionStep.VOLUME)
    surplus = {price: wanted(orders, price) - offered(orders, price) for price in left}
    left = [price for price in left if abs(surplus[price]) == min(map(abs, surplus.values()))]
    if len(left) == 1:
        return told(left[0], AuctionStep.SURPLUS)
    if all(surplus[price] > 0 for price in left):
        return told(left[-1], AuctionStep.PRESSURE)
    if all(surplus[price] < 0 for price in left):
        return told(left[0], AuctionStep.PRESSURE)
    low, high = left[0], left[-1]
    if surplus[left[0]] != 0:
        low = max(price for price in left if surplus[price] > 0)
        high = min(price for price in left if surplus[price] < 0)
    return told(min(max(reference, low), high), AuctionStep.REFERENCE)


def reference_of(world: World) -> int:
    ins = world.state.arrays.ins
    return int(ins[ROW + LAST] if ins[ROW + LAST_ID] else ins[ROW + REFERENCE])


def price_told(world: World) -> tuple[int, ...]:
    return tuple(int(value) for value in equilibrium(behind(views(world.state)), ROW))


# --- sums and candidates ----------------------------------------------------------------------------------


def kept(world: World) -> list[Any]:
    """All that is kept while a call runs."""
    a = world.state.arrays
    width = int(a.ins[ROW + WINDOW])
    found: list[Any] = [int(a.ins[ROW + field]) for field in (BUYS, EDGE_PRICED, EDGE_PRICED + 1)]
    for side in Side:
        base = int(a.ins[ROW + TREE + side - 1])
        found.append(a.tree[base : base + width + 1].tolist())
        found.append([int(a.n8[level * NODE8 + TOTAL]) for _, level in levels(world.state, 1, side)])
    return found


def compare(world: World, rng: random.Random) -> None:
    """Sums and candidates at the edges, at every price that has orders, beside those, and anywhere."""
    d, orders, ins = behind(views(world.state)), orders_of(world), world.state.arrays.ins
    low, high = int(edge_of(views(world.state), ROW, 1)), int(edge_of(views(world.state), ROW, 0))
    asked = {low - 1, low, high, high + 1, *(rng.randint(low, high) for _ in range(4))}
    for _, price, _, _ in orders:
        asked |= {price - 1, price, price + 1}
    candidates = {price for _, price, _, priced in orders if priced}
    for price in sorted(asked):
        assert demand(d, ROW, price) == wanted(orders, price), price
        assert supply(d, ROW, price) == offered(orders, price), price
        below = max((candidate for candidate in candidates if candidate <= price), default=NONE_BELOW)
        above = min((candidate for candidate in candidates if candidate >= price), default=NONE_ABOVE)
        assert (candidate_below(d, ROW, price), candidate_above(d, ROW, price)) == (below, above), price
    assert int(ins[ROW + BUYS]) == wanted(orders, low)
    for side in Side:
        for price, level in levels(world.state, 1, side):
            total = sum(qty for own, limit, qty, _ in orders if (own, limit) == (side, price))
            assert int(world.state.arrays.n8[level * NODE8 + TOTAL]) == total, (side, price)
    for g, edge in ((0, high), (1, low)):
        at_edge = [order for order in orders if order[:2] == (g + 1, edge) and order[3]]
        assert int(ins[ROW + EDGE_PRICED + g]) == len(at_edge)


def step_of_a_call(world: World, rng: random.Random, live: list[tuple[int, int]]) -> Rows:
    """One command that a call may see; its events."""
    low, high = (int(edge_of(views(world.state), ROW, g)) for g in (1, 0))
    middle = int(world.state.arrays.ins[ROW + REFERENCE])
    what = rng.random()
    price = rng.choice((low, high, rng.randint(low, high), min(max(middle + rng.randint(-9, 9), low), high)))
    if what < 0.6 or not live:
        side, account = rng.choice((BUY, SELL)), rng.choice((1, 3))
        kind = rng.choice(("limit", "limit", "limit", "iceberg", "market", "market_to_limit", "at_open", "gtd"))
        fields: dict[str, Any] = {
            "market_to_limit": {"ord_type": MARKET_TO_LIMIT}, "at_open": {"time_in_force": AT_OPEN},
            "iceberg": {"display_qty": 1}, "gtd": {"time_in_force": GTD, "expire_time": world.time + 20},
        }.get(kind, {})  # fmt: skip
        unpriced = kind in ("market", "market_to_limit")
        events = world.place(account, side, rng.randint(1, 50), None if unpriced else price, **fields)
        live.append((account, world.seq))
        return events
    account, order_id = rng.choice(live)
    if what < 0.75:
        live.remove((account, order_id))
        return world.cancel(account, order_id)
    if what < 0.97:
        qty = rng.choice((None, rng.randint(1, 60)))
        return world.amend(account, order_id, qty=qty, price=price if qty is None or rng.random() < 0.5 else None)
    return world.run(world.row(A.CLOCK_TICK))


@pytest.mark.parametrize("band", BANDS)
def test_sums_and_candidates_equal_those_made_the_long_way(band: str) -> None:
    rng = random.Random(band)
    world = World(ROOMY, terms=(BANDS[band],), phase=Phase.PRE_OPEN)
    live: list[tuple[int, int]] = []
    for step in range(120):
        world.checks = step % 8 == 0  # each of which walks the whole window
        step_of_a_call(world, rng, live)
        if step % 4 == 0:
            compare(world, rng)
            orders = orders_of(world)
            assert price_told(world) == ladder(orders, reference_of(world)) == indicative(world.state, 1)
    compare(world, rng)
    before = kept(world)
    begin_call(behind(views(world.state)), ROW)
    assert kept(world) == before, "added up anew it is the same"
    for account in (1, 3):
        world.mass_cancel(account)
    assert not any(kept(world)[0:3]) and not any(kept(world)[3]) and not any(kept(world)[5])
    compare(world, rng)


@pytest.mark.parametrize("terms", [{}, {"window_ticks": 2}], ids=("near", "far"))
def test_totals_of_an_earlier_call_are_forgotten(terms: dict[str, Any]) -> None:
    world = World(ROOMY, terms=(terms,), phase=Phase.PRE_OPEN)
    rng = random.Random(1)
    world.place(1, BUY, 5, 100)
    world.place(1, BUY, 7, 101)
    world.phase("ALL", Phase.CONTINUOUS)
    world.place(3, SELL, 6, 101, time_in_force=GTC)  # while nobody counts
    world.cancel(1, world.seq - 3)
    world.phase("ALL", Phase.PRE_OPEN)
    compare(world, rng)
    world.place(1, BUY, 9, 100)
    compare(world, rng)
    assert int(world.state.arrays.ins[ROW + CALLING]) == 1
    world.phase("ALL", Phase.HALTED)
    assert int(world.state.arrays.ins[ROW + CALLING]) == 0


def test_sums_need_more_than_32_bits() -> None:
    lots = 1_000_000_000
    world = World(terms=({"max_order_qty": lots},), phase=Phase.PRE_OPEN)
    for _ in range(9):
        world.place(1, BUY, lots, 101)
        world.place(3, SELL, lots, 100)
    world.place(3, SELL, lots, 100)
    assert price_told(world) == (100, 9 * lots, -lots, AuctionStep.PRESSURE)
    events = world.place(1, BUY, lots, 101)
    assert (events["qty"][-1], events["leaves_qty"][-1]) == (10 * lots, 0)


# --- the auction price ------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [{"max_price": "7"}, {"max_price": "7", "window_ticks": 3}], ids=("near", "far"))
def test_the_price_of_small_books_is_that_of_the_ladder(terms: dict[str, Any]) -> None:
    """Few prices and few lots, so that every tie there is comes about."""
    steps, sides = set(), set()
    for reference in (1, 4, 7):
        rng = random.Random(reference)
        world = World(ROOMY, terms=({**terms, "reference_price": str(reference)},), phase=Phase.PRE_OPEN)
        world.checks = False
        for _ in range(160):
            rows = []
            for _ in range(rng.randint(1, 7)):
                price = None if rng.random() < 0.2 else rng.randint(1, 7)
                rows.append(world.order(1, rng.choice((BUY, SELL)), rng.randint(1, 3), price))
            world.run(*rows)
            orders = orders_of(world)
            expected = ladder(orders, reference)
            assert price_told(world) == expected == indicative(world.state, 1), (orders, reference)
            steps.add(expected[3])
            sides.add((expected[2] > 0) - (expected[2] < 0))
            world.mass_cancel(1)
            world.state.arrays.h[8] = 0  # or the day's ids would run out
            world.state.arrays.tab[:] = 0
    assert steps == set(AuctionStep) and sides == {-1, 0, 1}


def test_a_priced_order_at_the_edge_is_a_candidate_and_an_unpriced_one_is_none() -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(1, BUY, 5, None)
    world.place(3, SELL, 5, None)
    assert price_told(world) == (500, 5, 0, AuctionStep.UNPRICED)
    world.place(1, BUY, 1, 1_000)
    priced = world.seq
    assert price_told(world) == (1_000, 5, 1, AuctionStep.VOLUME)
    world.cancel(1, priced)
    world.place(3, SELL, 1, 1)
    assert price_told(world) == (1, 5, -1, AuctionStep.VOLUME)
    world.amend(3, world.seq, price=2)
    assert price_told(world) == (2, 5, -1, AuctionStep.VOLUME)


# --- telling it (R53) -------------------------------------------------------------------------------------


@pytest.mark.parametrize("band", ("all in the window", "a narrow window", "a band of a few ticks"))
def test_an_indicative_is_told_when_it_has_changed_and_only_then(band: str) -> None:
    rng = random.Random(5)
    world = World(ROOMY, terms=(BANDS[band],), phase=Phase.PRE_OPEN)
    world.checks = False
    ins = world.state.arrays.ins
    assert int(ins[ROW + TOLD_STEP]) == AuctionStep.NO_CROSS
    before: tuple[int, ...] = (0, 0, 0, AuctionStep.NO_CROSS)
    live: list[tuple[int, int]] = []
    changes = 0
    for _ in range(150):
        events = step_of_a_call(world, rng, live)
        assert not ins[ROW + DIRTY]
        told = events[events["kind"] == K.AUCTION_INDICATIVE]
        after = indicative(world.state, 1)
        assert len(told) == (after != before)
        for row in told:
            assert row["index"] == len(events) - 1 - (events["kind"][-1] == K.CLOCK_TICKED)
            sign = {0: 0, BUY: 1, SELL: -1}[int(row["side"])]
            said = int(row["price"]), int(row["qty"]), sign * int(row["leaves_qty"]), int(row["reason"])
            assert said == after and (sign or not row["leaves_qty"])
        changes += len(told)
        before = after
    assert 20 < changes < 150


def test_indicatives_stand_behind_all_else_but_the_closing_event_in_the_order_of_the_instruments() -> None:
    world = World(terms=({}, {"symbol": "W240"}, {"symbol": "W450"}), phase=Phase.PRE_OPEN)
    for number in (3, 1, 2):
        world.place(1, BUY, 5, 101, instrument=number, client_session=4, time_in_force=GTC if number == 2 else 1)
        world.place(3, SELL, 5, 100, instrument=number)
    world.phase("W450", Phase.HALTED)
    events = world.disconnect(2, 4)
    assert kinds(events) == [K.ORDER_CANCELED] * 2 + [K.AUCTION_INDICATIVE, K.DISCONNECTED]
    events = world.mass_cancel(3, side=SELL)
    assert kinds(events) == [K.ORDER_CANCELED] * 3 + [K.AUCTION_INDICATIVE, K.MASS_CANCELED]
    assert events["instrument"].tolist() == [3, 1, 2, 2, 0], "the first had lost its price before"


@pytest.mark.parametrize("extra", range(12))
def test_indicatives_of_many_instruments_go_through_any_buffer(extra: int) -> None:
    """A mass cancel that changes nine calls: the room ends between two of them, or before the closing event."""

    def scene(world: World) -> tuple[Rows, bytes]:
        for number in range(1, 10):
            world.place(1, BUY, 5, 5, instrument=number)
            world.place(3, SELL, 5, 4, instrument=number)
        for _ in range(extra):
            world.place(1, BUY, 1, 1)
        return world.row(A.ORDER_MASS_CANCEL, account=1), b""

    def make() -> World:
        limits = SMALL._replace(instruments=9)
        terms = tuple({"symbol": f"S{number}", "max_price": "6"} for number in range(9))
        return World(limits, terms=terms, phase=Phase.PRE_OPEN)

    events = through_any_buffer(scene, make, 24)
    assert kinds(events) == [K.ORDER_CANCELED] * (9 + extra) + [K.AUCTION_INDICATIVE] * 9 + [K.MASS_CANCELED]
