"""Stops: how they wait, which are reached, in which order they are elected, and what they do then (R60 - R62)."""

import random
from typing import Any

import pytest

from engine.core.layout import ELECT, INSTRUMENT_WORDS
from engine.core.stops import is_reached
from engine.dump import dump
from engine.schema import INACTIVE, LAST, PRIORITY_KEPT, CommandKind, EventKind, Phase, Reason
from tests.engine.core.alone import alone
from tests.engine.world import (
    ACCOUNTS,
    BUY,
    GTC,
    LIMIT,
    MARKET,
    SELL,
    SMALL,
    Rows,
    Smp,
    World,
    assert_commands_are_framed,
    kinds,
    through_any_buffer,
    trades,
    values,
    views,
)

is_reached = alone(is_reached)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K = CommandKind, EventKind
FIVE = (*ACCOUNTS, ("A5", "M5", "B5"))
MANY = SMALL._replace(orders=512, day_ids=1 << 13)


def trade_at(world: World, price: int) -> Rows:
    """A trade of one lot between two strangers to everybody else in these tests; the events of its second order."""
    world.place(2, BUY, 1, price)
    return world.place(3, SELL, 1, price)


def triggered(events: Rows) -> list[int]:
    return events["order_id"][events["kind"] == K.ORDER_TRIGGERED].tolist()


def waiting(world: World) -> list[tuple[int, int]]:
    return [(order["order_id"], order["stop_price"]) for order in dump(world.state)["orders"] if order["stop_price"]]


# --- which are reached ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "reached"), [(BUY, (500, 499, 1)), (SELL, (500, 501, 1_000))])
def test_a_trade_at_the_stop_price_or_beyond_reaches_it(side: int, reached: tuple[int, ...]) -> None:
    others = (501, 1_000) if side == BUY else (499, 1)
    for price in (*reached, *others):
        world = World()
        assert kinds(world.stop(1, side, 1, price)) == [K.ORDER_ACCEPTED]
        events = trade_at(world, 500)
        assert (K.ORDER_TRIGGERED in kinds(events)) == (price in reached), price
        world = World()
        trade_at(world, 500)
        events = world.stop(1, side, 1, price)
        assert (K.ORDER_TRIGGERED in kinds(events)) == (price in reached), price


def test_nothing_is_reached_before_the_days_first_trade_or_outside_continuous() -> None:
    world = World()
    row = INSTRUMENT_WORDS
    assert not is_reached(views(world.state), row, 0, 1)
    world.stop(1, BUY, 1, 501)
    trade_at(world, 500)
    s = views(world.state)
    assert [bool(is_reached(s, row, 0, price)) for price in (499, 500, 501)] == [True, True, False]
    assert [bool(is_reached(s, row, 1, price)) for price in (499, 500, 501)] == [False, True, True]
    world.phase("ALL", Phase.PRE_OPEN)
    assert not is_reached(views(world.state), row, 0, 1)
    assert kinds(world.stop(1, BUY, 1, 1)) == [K.ORDER_ACCEPTED]
    assert kinds(world.phase("ALL", Phase.CONTINUOUS)) == [
        K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.ORDER_TRIGGERED, K.ORDER_CANCELED,
    ]  # fmt: skip
    world.phase("ALL", Phase.CLOSED)
    world.phase("ALL", Phase.CONTINUOUS)
    assert kinds(world.stop(1, BUY, 1, 1)) == [K.ORDER_ACCEPTED], "yesterday's trades count no more"


def test_an_uncross_elects_nothing_and_a_trade_at_the_close_neither() -> None:
    world = World(phase=Phase.PRE_CLOSE)
    world.stop(1, BUY, 1, 400, time_in_force=GTC)
    world.place(2, BUY, 1, 500)
    world.place(3, SELL, 1, 500)
    assert K.ORDER_TRIGGERED not in kinds(world.phase("ALL", Phase.CLOSING_AUCTION))
    world.phase("ALL", Phase.TRADE_AT_CLOSE)
    assert K.ORDER_TRIGGERED not in kinds(trade_at(world, 500))
    assert len(waiting(world)) == 1


# --- what an elected stop is --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", (BUY, SELL))
@pytest.mark.parametrize("limit", (None, 505))
def test_a_triggered_stop_is_a_market_or_a_limit_order_from_then_on(limit: int | None, side: int) -> None:
    world = World()
    world.stop(1, side, 5, 500, limit, cl_ord_id=b"s")
    order_id = world.seq
    other = SELL if side == BUY else BUY
    world.place(3, other, 3, 502 if side == BUY else 498)
    events = trade_at(world, 500)
    at = kinds(events).index(K.ORDER_TRIGGERED)
    told = values(events[at])
    told["flags"] = told.get("flags", 0) & ~LAST
    protection = 512 if side == BUY else 488
    assert {name: told.get(name, 0) for name in ("price", "old_price", "ord_type", "qty", "leaves_qty", "flags")} == {
        "price": protection if limit is None else limit, "old_price": 500, "ord_type": 3 if limit is None else 4,
        "qty": 5, "leaves_qty": 5, "flags": 0,
    }  # fmt: skip
    assert (told["order_id"], told["cl_ord_id"]) == (order_id, b"s")
    behind = events[at + 1 :]
    assert set(behind["order_id"].tolist()) <= {order_id}
    assert set(behind["ord_type"].tolist()) <= {MARKET if limit is None else LIMIT}
    assert not (behind["flags"] & INACTIVE).any()
    if limit is None:
        assert behind["reason"][-1] == Reason.PROTECTION and behind["delta_qty"][-1] == 2
    elif side == BUY:
        assert world.book()["bids"] == [(505, 2, [(order_id, 2)])]
    else:
        assert world.book()["asks"] == [(505, 5, [(order_id, 5)])], "a limit that nobody meets rests"


def test_a_stop_that_meets_nobody_is_canceled_with_its_protection() -> None:
    world = World()
    world.stop(1, BUY, 5, 500)
    events = trade_at(world, 500)
    assert kinds(events)[-2:] == [K.ORDER_TRIGGERED, K.ORDER_CANCELED]
    assert events["price"].tolist()[-2:] == [0, 0] and events["reason"][-1] == Reason.PROTECTION


def test_a_protection_limit_stays_within_the_band() -> None:
    world = World()
    world.stop(1, BUY, 5, 500)
    world.place(3, SELL, 9, 995)
    world.stop(1, SELL, 5, 500)
    world.place(4, BUY, 9, 5)
    world.place(2, BUY, 1, 500)
    events = world.place(3, SELL, 1, 500)
    assert events["price"][events["kind"] == K.ORDER_TRIGGERED].tolist() == [1_000, 1]
    assert [price for _, _, price in trades(events)] == [500, 995, 5]


# --- the order of elections (R61) ----------------------------------------------------------------------------


def test_buys_by_rising_stop_price_then_sells_by_falling_at_one_price_in_time_order() -> None:
    world = World(MANY)
    made = {}
    for side, price in ((SELL, 500), (BUY, 499), (SELL, 501), (BUY, 500), (BUY, 499), (SELL, 501), (BUY, 501)):
        world.stop(1, side, 1, price, 600 if side == SELL else 400)  # a limit that nobody meets
        made[world.seq] = (side, price)
    ids = list(made)
    events = trade_at(world, 500)
    assert triggered(events) == [ids[1], ids[4], ids[3], ids[2], ids[5], ids[0]]
    assert waiting(world) == [(ids[6], 501)]


def test_a_cascade_reaches_further_stops_in_the_range_of_all_its_trades() -> None:
    """Each elected stop trades higher, and the sell stops below the start are reached by the first trade alone."""
    world = World(MANY)
    for price in (500, 510, 520):
        world.place(3, SELL, 1, price)
    rungs = []
    for price in (500, 510, 520, 521):
        world.stop(1, BUY, 1, price, 999)
        rungs.append(world.seq)
    world.stop(1, SELL, 1, 500, 1_000)
    sell = world.seq
    events = world.place(2, BUY, 1, 500)
    assert triggered(events) == [*rungs[:3], sell]
    assert [price for _, _, price in trades(events)] == [500, 510, 520]
    assert world.book()["bids"] == [(999, 1, [(rungs[2], 1)])]
    assert waiting(world) == [(rungs[3], 521)] and not world.state.arrays.h[ELECT]


@pytest.mark.parametrize("side", (BUY, SELL))
def test_the_range_of_a_command_stays_as_wide_as_it_was(side: int) -> None:
    """The first elected stop trades back inside the range, and those at its edge are reached as before."""
    world = World(accounts=FIVE)
    sign, other = (1, SELL) if side == BUY else (-1, BUY)
    for step in (10, 0):
        world.place(3, side, 1, 500 + sign * step)
    rungs = []
    for step in (5, 8, 10, 11):
        world.stop(1, side, 1, 500 + sign * step, 500 + sign * 90)
        rungs.append(world.seq)
    events = world.place(5, other, 9, 500)
    assert triggered(events) == rungs[:3]
    assert [(price - 500) * sign for _, _, price in trades(events)] == [10, 0, 0, 0, 0]


def test_the_range_of_a_command_is_not_that_of_the_one_before() -> None:
    world = World()
    trade_at(world, 600)
    trade_at(world, 400)
    world.stop(1, BUY, 1, 500)
    world.stop(1, SELL, 1, 300)
    assert not triggered(trade_at(world, 450))
    assert len(triggered(trade_at(world, 500))) == 1


def test_one_sweep_through_several_prices_reaches_all_between_them() -> None:
    world = World()
    for price in (500, 505, 510):
        world.place(3, SELL, 1, price)
    for price in (502, 511):
        world.stop(2, BUY, 1, price, 300)
    for price in (499, 503, 900):
        world.stop(2, SELL, 1, price, 999)
    events = world.place(1, BUY, 3, 510)
    assert len(trades(events)) == 3 and len(triggered(events)) == 3
    assert [price for _, price in waiting(world)] == [511, 499]


def test_an_elected_stop_meets_its_own_orders_like_any_other() -> None:
    for smp in Smp:
        world = World()
        world.place(2, SELL, 3, 501)
        world.stop(1, BUY, 5, 500, smp=smp)
        world.place(3, SELL, 3, 502)
        assert not triggered(trade_at(world, 450))
        events = trade_at(world, 500)
        assert len(triggered(events)) == 1
        assert (K.ORDER_PREVENTED in kinds(events)) == (smp != Smp.NONE)
        assert_commands_are_framed(events)


def test_an_order_that_rests_before_its_stops_are_elected_can_trade_with_them() -> None:
    world = World(accounts=FIVE)
    world.stop(1, SELL, 5, 500)
    world.place(3, SELL, 1, 500)
    events = world.place(5, BUY, 4, 501)
    resting = world.seq
    assert triggered(events) and trades(events)[-1] == (resting, 3, 501)


# --- amends and cancels of what waits -------------------------------------------------------------------------


def test_only_a_new_stop_price_loses_the_place_among_the_stops() -> None:
    world = World()
    ids = []
    for _ in range(3):
        world.stop(1, BUY, 5, 500, 600)
        ids.append(world.seq)
    for change in ({"qty": 9}, {"qty": 2}, {"price": 700}, {"stop": 500}, {"cl_ord_id": b"new"}):
        (row,) = world.amend(1, ids[0], **change)
        assert row["flags"] & PRIORITY_KEPT and row["flags"] & INACTIVE, change
    assert [order_id for order_id, _ in waiting(world)] == ids
    (row,) = world.amend(1, ids[0], stop=501)
    assert not row["flags"] & PRIORITY_KEPT and row["flags"] & INACTIVE
    world.amend(1, ids[0], stop=500)
    assert [order_id for order_id, _ in waiting(world)] == [*ids[1:], ids[0]]
    assert kinds(world.amend(1, ids[1], qty=2, price=3)) == [K.ORDER_AMENDED]
    assert next(order for order in dump(world.state)["orders"] if order["order_id"] == ids[1])["price"] == 3


def test_an_amend_may_elect_a_stop_at_once() -> None:
    world = World()
    trade_at(world, 500)
    world.stop(1, BUY, 5, 501)
    assert kinds(world.amend(1, world.seq, stop=500, qty=3)) == [K.ORDER_AMENDED, K.ORDER_TRIGGERED, K.ORDER_CANCELED]
    assert not waiting(world)


def test_a_waiting_stop_is_canceled_wherever_it_stands() -> None:
    world = World()
    for price in (500, 500, 500, 501):
        world.stop(1, BUY, 5, price)
    ids = [order_id for order_id, _ in waiting(world)]
    for order_id in (ids[1], ids[3]):
        (row,) = world.cancel(1, order_id)
        assert row["flags"] & INACTIVE and row["delta_qty"] == 5 and row["price"] == 0
    assert [order_id for order_id, _ in waiting(world)] == [ids[0], ids[2]]
    events = world.mass_cancel(1)
    assert events["order_id"].tolist() == [ids[0], ids[2], 0] and (events["flags"][:2] & INACTIVE).all()


# --- against a plain list -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_stops_equal_a_plain_list(seed: int) -> None:
    """Stop-limits that nobody meets, so that an election trades nothing: what is elected can be told beforehand."""
    rng = random.Random(seed)
    world = World(MANY)
    queue: list[tuple[int, int, int]] = []  # side, stop price, order id; in the order of waiting
    last = 0
    for step in range(200):
        world.checks = step % 10 == 0
        what = rng.random()
        if what < 0.5 or not queue:
            side, price = rng.choice((BUY, SELL)), rng.randint(480, 520)
            events = world.stop(1, side, 1, price, 900 if side == SELL else 100)
            if last and (last >= price if side == BUY else last <= price):
                assert triggered(events) == [world.seq]
            else:
                assert not triggered(events)
                queue.append((side, price, world.seq))
        elif what < 0.7:
            gone = rng.choice(queue)
            world.cancel(1, gone[2])
            queue.remove(gone)
        else:
            last = rng.randint(475, 525)
            events = trade_at(world, last)
            buys = sorted((stop for stop in queue if stop[0] == BUY and stop[1] <= last), key=lambda stop: stop[1])
            sells = sorted((stop for stop in queue if stop[0] == SELL and stop[1] >= last), key=lambda stop: -stop[1])
            assert triggered(events) == [order_id for _, _, order_id in buys + sells]
            queue = [stop for stop in queue if stop not in buys and stop not in sells]
        assert sorted(waiting(world)) == sorted((order_id, price) for _, price, order_id in queue)
        if step % 20 == 0:
            world.mass_cancel(1, side=rng.choice((BUY, SELL)))
            left = {order_id for order_id, _ in waiting(world)}
            queue = [stop for stop in queue if stop[2] in left]


# --- in parts (R36) -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", (None, 999), ids=("market", "limit"))
@pytest.mark.parametrize("extra", range(1, 9))
def test_elections_give_the_same_events_through_a_buffer_of_any_size(extra: int, limit: int | None) -> None:
    """A sweep of a few orders reaches the first of twelve stops, each of which meets strangers and its own."""

    def scene(world: World) -> tuple[Rows, bytes]:
        rows = [world.order(3, SELL, 1, 499) for _ in range(extra)]
        for price in range(500, 512):
            rows += [world.order(3, SELL, 1, price), world.order(2, SELL, 1, price)]
            rows.append(world.stop_order(1, BUY, 3, price, limit, smp=(0, *Smp)[price % 6]))
        world.run(*rows)
        return world.order(5, BUY, extra + 1, 999), b""

    events = through_any_buffer(scene, lambda: World(MANY, accounts=FIVE), 26)
    assert len(triggered(events)) == 12 and len(events) > 40
    assert {K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED} < set(kinds(events))


def test_an_election_of_many_that_only_rest_goes_through_any_buffer() -> None:
    """One event each: whatever the room, the last one is told as the last."""

    def scene(world: World) -> tuple[Rows, bytes]:
        for _ in range(30):
            world.stop(1, BUY, 1, 500, 400)
        world.place(3, SELL, 1, 500)
        return world.order(2, BUY, 1, 500), b""

    events = through_any_buffer(scene, World)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.TRADE] + [K.ORDER_TRIGGERED] * 30


def test_elections_of_several_instruments_that_enter_continuous_together() -> None:
    def scene(world: World) -> tuple[Rows, bytes]:
        for number in (1, 2, 3):
            for price in (100, 101, 102):
                world.stop(1, BUY, 2, price, 300 if price == 101 else None, instrument=number)
            for account, side, qty, price in ((2, BUY, 3, 102), (3, SELL, 3, 101), (3, SELL, 1, 150)):
                world.place(account, side, qty, price, instrument=number)
        return world.act_row(A.PHASE_SET, symbol="ALL", phase="continuous")

    def make() -> World:
        terms: tuple[dict[str, Any], ...] = tuple({"symbol": f"S{n}", "max_price": "400"} for n in range(3))
        return World(terms=terms, phase=Phase.PRE_OPEN)

    events = through_any_buffer(scene, make)
    assert len(triggered(events)) == 9 and len(events) > 25
    assert events["instrument"].tolist()[:3] == [1, 2, 3]
    assert sorted(events["instrument"].tolist()[3:]) == events["instrument"].tolist()[3:], "one after the other"
