"""Sweeps, self-match prevention, fill-or-kill walks, and the same events however small the buffer is."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.core.invariants import check
from engine.core.layout import FAR_COUNT, INSTRUMENT_WORDS
from engine.dump import dump
from engine.schema import TRADE, EventKind, Phase, Reason, Smp
from tests.engine.world import (
    BUY,
    FOK,
    GTC,
    IOC,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    Rows,
    World,
    assert_commands_are_framed,
    buffer_sizes,
    drain,
    kinds,
    trades,
    values,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

K = EventKind
WIDE = {"min_price": "-10000", "max_price": "10000", "window_ticks": 64, "reference_price": "0"}


def place_all(world: World, side: int, orders: list[tuple[int, int]], account: int = 1) -> list[int]:
    """Rest (price, qty) orders; their ids."""
    return [int(world.place(account, side, qty, price)["order_id"][0]) for price, qty in orders]


# --- price, then time (R20 - R23) -------------------------------------------------------------------------


def test_a_buy_sweeps_rising_prices_and_at_each_the_oldest_first_and_rests_at_its_limit() -> None:
    world = World()
    a, b, c, d = place_all(world, SELL, [(102, 5), (101, 4), (101, 3), (103, 2)])
    events = world.place(3, BUY, 13, 102)
    assert trades(events) == [(b, 4, 101), (c, 3, 101), (a, 5, 102)]
    assert world.book() == {"bids": [(102, 1, [(world.seq, 1)])], "asks": [(103, 2, [(d, 2)])]}
    assert events.view(TRADE)["trade_id"][1:].tolist() == [1, 2, 3]
    assert_commands_are_framed(events)


def test_a_sell_sweeps_falling_prices() -> None:
    world = World()
    a, b, c, d = place_all(world, BUY, [(102, 5), (103, 4), (103, 3), (101, 2)])
    events = world.place(3, SELL, 13, 102)
    assert trades(events) == [(b, 4, 103), (c, 3, 103), (a, 5, 102)]
    assert world.book() == {"bids": [(101, 2, [(d, 2)])], "asks": [(102, 1, [(world.seq, 1)])]}


def test_a_partial_fill_keeps_its_place() -> None:
    world = World()
    a, b = place_all(world, SELL, [(100, 5), (100, 5)])
    assert trades(world.place(3, BUY, 2, 100)) == [(a, 2, 100)]
    assert trades(world.place(3, BUY, 4, 100)) == [(a, 3, 100), (b, 1, 100)]
    assert world.book()["asks"] == [(100, 4, [(b, 4)])]


def test_a_sweep_goes_from_far_levels_through_the_window_to_far_levels() -> None:
    world = World(SMALL._replace(levels=1 << 14), terms=(WIDE,))
    prices = [-9_000, -40, -33, -32, 0, 31, 32, 9_000, 10_000]
    ids = dict(zip(prices[::-1], place_all(world, SELL, [(price, 1) for price in prices[::-1]]), strict=True))
    far = INSTRUMENT_WORDS + FAR_COUNT + 1
    assert world.state.arrays.ins[far] == 6
    assert trades(world.place(3, BUY, 8, 10_000)) == [(ids[price], 1, price) for price in prices[:8]]
    assert world.state.arrays.ins[far] == 1
    assert world.book()["asks"] == [(10_000, 1, [(ids[10_000], 1)])]
    place_all(world, BUY, [(-9_999, 2), (-10_000, 2), (-9_998, 2)])
    assert [price for _, _, price in trades(world.place(3, SELL, 6, -10_000))] == [-9_998, -9_999, -10_000]


def test_the_largest_orders_at_the_largest_prices_do_not_overflow() -> None:
    huge = {"min_price": "-2000000000", "max_price": "2000000000", "max_order_qty": 1_000_000_000, "window_ticks": 64}
    world = World(SMALL._replace(levels=1 << 14), terms=(huge,))
    a, b = place_all(world, SELL, [(2_000_000_000, 1_000_000_000), (2_000_000_000, 1_000_000_000)])
    c = place_all(world, BUY, [(-2_000_000_000, 1_000_000_000)])[0]
    assert trades(world.place(3, BUY, 1_000_000_000, 2_000_000_000)) == [(a, 1_000_000_000, 2_000_000_000)]
    assert trades(world.place(3, SELL, 999_999_999, -2_000_000_000)) == [(c, 999_999_999, -2_000_000_000)]
    assert trades(world.place(3, BUY, 1_000_000_000, None)) == [(b, 1_000_000_000, 2_000_000_000)]


# --- market orders (R24) ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("protection", "filled"), [(0, 1), (1, 2), (2, 3), (1_000_000_000, 4)])
@pytest.mark.parametrize("side", (BUY, SELL))
def test_a_market_order_goes_no_further_than_its_protection(side: int, protection: int, filled: int) -> None:
    world = World(terms=({"protection_ticks": protection},))
    other = SELL if side == BUY else BUY
    prices = [500, 501, 502, 999] if side == BUY else [500, 499, 498, 2]
    place_all(world, other, [(price, 1) for price in prices])
    events = world.place(3, side, 9, None)
    assert [price for _, _, price in trades(events)] == prices[:filled]
    limit = min(500 + protection, 1000) if side == BUY else max(500 - protection, 1)
    assert events["price"][0] == limit
    assert (events["kind"][-1], events["reason"][-1]) == (K.ORDER_CANCELED, Reason.PROTECTION)
    assert events["delta_qty"][-1] == 9 - filled


@pytest.mark.parametrize("side", (BUY, SELL))
@pytest.mark.parametrize(("tif", "reason"), [(GTC, Reason.PROTECTION), (IOC, Reason.PROTECTION), (FOK, Reason.FOK)])
def test_a_market_order_without_an_opposite_order_is_canceled_whole(side: int, tif: int, reason: Reason) -> None:
    world = World()
    place_all(world, side, [(400, 3)])
    events = world.place(3, side, 9, None, time_in_force=tif)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]
    assert events["price"].tolist() == [0, 0] and events["reason"][1] == reason and events["delta_qty"][1] == 9


# --- self-match prevention (R27) --------------------------------------------------------------------------

# What becomes of an incoming buy of 5 that meets, in this order: a stranger's 1, its own 3, a stranger's 4.
AFTER = {
    Smp.NONE: ([1, 3, 1], [K.TRADE] * 3),
    Smp.CANCEL_RESTING: ([1, 4], [K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED, K.TRADE]),
    Smp.CANCEL_INCOMING: ([1], [K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED]),
    Smp.CANCEL_BOTH: ([1], [K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED, K.ORDER_CANCELED]),
    Smp.DECREMENT: ([1, 1], [K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED, K.TRADE]),
}
LEFT = {
    Smp.NONE: [3], Smp.CANCEL_RESTING: [], Smp.CANCEL_INCOMING: [3, 4], Smp.CANCEL_BOTH: [4], Smp.DECREMENT: [3],
}  # fmt: skip


@pytest.mark.parametrize("amended", (False, True))
@pytest.mark.parametrize("smp", Smp)
def test_prevention_by_every_instruction(smp: Smp, amended: bool) -> None:
    world = World()
    place_all(world, SELL, [(100, 1)], account=3)
    place_all(world, SELL, [(100, 3)], account=2)
    place_all(world, SELL, [(100, 4)], account=3)
    if amended:
        world.place(1, BUY, 5, 99, smp=smp)
        events = world.amend(1, world.seq, price=100)
    else:
        events = world.place(1, BUY, 5, 100, smp=smp)
    lots, happened = AFTER[smp]
    assert kinds(events)[1:] == happened
    assert [qty for _, qty, _ in trades(events)] == lots
    assert [qty for _, _, queue in world.book()["asks"] for _, qty in queue] == LEFT[smp]
    assert not world.book()["bids"]
    # An amended order whose cancel is told in the same command is named there (RULES, ORDER_CANCELED).
    named = events[events["kind"] == K.ORDER_CANCELED]["cl_ord_id"].tolist()
    own = smp in (Smp.CANCEL_INCOMING, Smp.CANCEL_BOTH)
    assert named[len(named) - own :] == ([events["cl_ord_id"][0] if amended else b""] if own else [])
    assert not any(named[: len(named) - own])


@pytest.mark.parametrize(("mine", "others"), [(5, 3), (3, 5), (4, 4)])
def test_a_decrement_takes_the_lesser_from_both(mine: int, others: int) -> None:
    world = World()
    place_all(world, SELL, [(100, others + 2)], account=2)
    world.place(3, BUY, 2, 100)  # so that the resting order has a filled part
    events = world.place(1, BUY, mine, 100, smp=Smp.DECREMENT)
    prevented = events[1].view(TRADE)
    less = min(mine, others)
    assert [int(prevented[name]) for name in ("qty", "leaves_qty", "resting_leaves_qty")] == [
        less, mine - less, others - less,
    ]  # fmt: skip
    canceled = events[2:]
    assert canceled["reason"].tolist() == [Reason.SELF_MATCH] * len(canceled)
    told = [(int(row["account"]), int(row["qty"]), int(row["cum_qty"]), int(row["delta_qty"])) for row in canceled]
    resting, incoming = (2, 2, 2, less), (1, 0, 0, less)
    assert told == [resting] * (others == less) + [incoming] * (mine == less)
    left = [qty for side in world.book().values() for _, qty, _ in side]
    assert left == [abs(mine - others)] * (mine != others)


@pytest.mark.parametrize(
    ("first", "second", "met"),
    [
        ((1, 0), (2, 0), True),  # one owner, other members
        ((1, 0), (3, 0), False),  # one member, other owners
        ((1, 7), (3, 7), True),  # one id within one member
        ((1, 7), (2, 7), False),  # one id, other members
        ((1, 7), (1, 0), False),  # an id is no owner
        ((1, 1), (1, 0), False),  # not even the owner of the same number
        ((1, 7), (3, 8), False),
        ((1, 65_535), (3, 65_535), True),
        ((1, 65_535), (3, 65_534), False),
    ],
)  # fmt: skip
def test_whose_orders_meet(first: tuple[int, int], second: tuple[int, int], met: bool) -> None:
    world = World()
    world.place(first[0], SELL, 1, 100, smp_id=first[1])
    events = world.place(second[0], BUY, 1, 100, smp_id=second[1])
    assert (K.ORDER_PREVENTED in kinds(events)) == met
    assert (K.TRADE in kinds(events)) != met


def test_a_level_of_nothing_but_own_orders_is_cleared_and_the_next_one_traded() -> None:
    world = World()
    place_all(world, SELL, [(100, 1), (100, 1), (101, 1)], account=2)
    (stranger,) = place_all(world, SELL, [(102, 1)], account=3)
    events = world.place(1, BUY, 1, 102)
    assert kinds(events)[1:] == [K.ORDER_PREVENTED, K.ORDER_CANCELED] * 3 + [K.TRADE]
    assert trades(events) == [(stranger, 1, 102)]
    assert world.book() == {"bids": [], "asks": []}


# --- fill or kill (R26) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", (BUY, SELL))
@pytest.mark.parametrize(
    ("qty", "price", "fills"), [(7, 2, True), (8, 2, False), (4, 1, True), (5, 1, False), (1, -1, False)]
)
def test_a_fok_trades_whole_or_not_at_all(side: int, qty: int, price: int, fills: bool) -> None:
    world = World()
    sign = 1 if side == BUY else -1
    place_all(
        world, SELL if side == BUY else BUY, [(500 + sign * step, lots) for step, lots in ((0, 3), (1, 1), (2, 3))]
    )
    before = world.book()
    events = world.place(3, side, qty, 500 + sign * price, time_in_force=FOK)
    if fills:
        assert sum(lots for _, lots, _ in trades(events)) == qty and K.ORDER_CANCELED not in kinds(events)
    else:
        assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED]
        assert (events["reason"][1], events["delta_qty"][1]) == (Reason.FOK, qty)
        assert world.book() == before


FOK_MEETS_OWN = {
    Smp.NONE: True, Smp.CANCEL_RESTING: False, Smp.CANCEL_INCOMING: False, Smp.CANCEL_BOTH: False, Smp.DECREMENT: False,
}  # fmt: skip


@pytest.mark.parametrize("smp", Smp)
def test_own_orders_count_nothing_in_a_fok_or_end_it(smp: Smp) -> None:
    world = World()
    place_all(world, SELL, [(100, 2)], account=3)
    place_all(world, SELL, [(100, 2)], account=2)
    before = world.book()
    events = world.place(1, BUY, 4, 100, time_in_force=FOK, smp=smp)
    assert (len(trades(events)) == 2) == FOK_MEETS_OWN[smp]
    if not FOK_MEETS_OWN[smp]:
        assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_CANCELED] and world.book() == before
    place_all(world, SELL, [(100, 4)], account=3)
    before = world.book()
    events = world.place(1, BUY, 4, 100, time_in_force=FOK, smp=smp)
    # Under cancel_resting the strangers behind suffice, and only now the own order goes.
    assert bool(trades(events)) == (smp in (Smp.NONE, Smp.CANCEL_RESTING))
    if smp == Smp.CANCEL_RESTING:
        assert kinds(events)[1:] == [K.TRADE, K.ORDER_PREVENTED, K.ORDER_CANCELED, K.TRADE]


def test_a_market_fok_counts_within_its_protection_only() -> None:
    world = World(terms=({"protection_ticks": 2},))
    place_all(world, SELL, [(100, 1), (102, 1), (103, 1)])
    assert not trades(world.place(3, BUY, 3, None, time_in_force=FOK))
    assert len(trades(world.place(3, BUY, 2, None, time_in_force=FOK))) == 2


# --- icebergs (R47) ---------------------------------------------------------------------------------------


def test_an_incoming_order_goes_round_the_level_until_it_is_done() -> None:
    world = World()
    a, b, c = (
        int(world.place(1, SELL, qty, 100, display_qty=show)["order_id"][0]) for qty, show in ((7, 3), (2, 0), (5, 2))
    )
    events = world.place(3, BUY, 11, 100)
    assert trades(events) == [(a, 3, 100), (b, 2, 100), (c, 2, 100), (a, 3, 100), (c, 1, 100)]
    refreshed = events[events["kind"] == K.ORDER_REFRESHED]
    assert [(int(row["order_id"]), int(row["delta_qty"]), int(row["leaves_qty"])) for row in refreshed] == [
        (a, 3, 4), (c, 2, 3), (a, 1, 1),
    ]  # fmt: skip
    assert values(refreshed[0]) == {
        "seq": world.seq, "time": world.time, "kind": K.ORDER_REFRESHED, "op": 1, "index": 2, "instrument": 1,
        "account": 1, "phase": Phase.CONTINUOUS, "side": SELL, "ord_type": 1, "time_in_force": 1, "order_id": a,
        "price": 100, "qty": 7, "leaves_qty": 4, "cum_qty": 3, "delta_qty": 3,
    }  # fmt: skip
    assert world.book()["asks"] == [(100, 3, [(c, 2), (a, 1)])], "what shows partly keeps its place"


def test_an_iceberg_alone_in_its_level_is_taken_whole() -> None:
    world = World()
    order_id = int(world.place(1, SELL, 7, 100, display_qty=3)["order_id"][0])
    events = world.place(3, BUY, 9, 101)
    assert trades(events) == [(order_id, 3, 100), (order_id, 3, 100), (order_id, 1, 100)]
    assert kinds(events)[1:] == [K.TRADE, K.ORDER_REFRESHED, K.TRADE, K.ORDER_REFRESHED, K.TRADE]
    assert world.book() == {"bids": [(101, 2, [(world.seq, 2)])], "asks": []}


def shown(world: World, order_id: int) -> int:
    return next(order["shown_qty"] for order in dump(world.state)["orders"] if order["order_id"] == order_id)


def test_an_incoming_iceberg_trades_with_all_it_has_and_shows_a_part_of_what_is_left() -> None:
    world = World()
    place_all(world, SELL, [(100, 5)])
    assert trades(world.place(3, BUY, 9, 100, display_qty=3))[0][1] == 5
    assert shown(world, world.seq) == 3
    place_all(world, SELL, [(99, 2)])
    iceberg = world.seq - 1
    assert shown(world, iceberg) == 1
    for change, left in (({"qty": 8}, 1), ({"qty": 20}, 3), ({"qty": 8}, 1), ({"price": 98}, 1)):
        world.amend(3, iceberg, **change)
        assert shown(world, iceberg) == left, change


@pytest.mark.parametrize("qty", range(1, 13))
@pytest.mark.parametrize("smp", Smp)
def test_a_walk_goes_round_as_matching_would(smp: Smp, qty: int) -> None:
    """A fill-or-kill and a minimum find what an order without them trades, or trades before it meets its own."""
    orders = [(3, 5, 2), (2, 4, 1), (3, 1, 0), (3, 4, 4)]

    def scene() -> World:
        world = World()
        world.checks = False
        for account, lots, show in orders:
            world.place(account, SELL, lots, 100, display_qty=show)
        return world

    world = scene()
    events = world.place(1, BUY, qty, 100, smp=smp)
    ends = K.ORDER_PREVENTED in kinds(events) and smp not in (Smp.NONE, Smp.CANCEL_RESTING)
    found = trades(events[: kinds(events).index(K.ORDER_PREVENTED)] if ends else events)
    filled = sum(lots for _, lots, _ in found)
    half = max(1, qty // 2)
    for fields, fills in (
        ({"time_in_force": FOK}, filled == qty), ({"min_qty": qty}, filled == qty), ({"min_qty": half}, filled >= half),
    ):  # fmt: skip
        world = scene()
        before = world.book()
        events = world.place(1, BUY, qty, 100, smp=smp, **fields)
        assert bool(trades(events)) == fills, fields
        assert fills or world.book() == before
        assert not fills or sum(lots for _, lots, _ in trades(events)) >= filled


@pytest.mark.parametrize(("mine", "left", "shows"), [(2, 7, 3), (7, 2, 2), (9, 0, 0)])
def test_a_decrement_goes_by_all_an_iceberg_has(mine: int, left: int, shows: int) -> None:
    world = World()
    world.place(2, SELL, 9, 100, display_qty=3)
    iceberg = world.seq
    events = world.place(1, BUY, mine, 100, smp=Smp.DECREMENT)
    assert kinds(events)[1:] == [K.ORDER_PREVENTED, K.ORDER_CANCELED] + [K.ORDER_CANCELED] * (not left)
    if left:
        assert world.book()["asks"] == [(100, left, [(iceberg, left)])] and shown(world, iceberg) == shows


# --- in parts (R36) ---------------------------------------------------------------------------------------


Scene = Callable[[World], list[Rows]]


def sweep_of_strangers(world: World) -> list[Rows]:
    resting = [world.order(1, SELL, 1 + k % 3, 100 + k // 9) for k in range(40)]
    return [*resting, world.order(3, BUY, 10_000, 110, time_in_force=IOC)]


def sweep_through_own_orders(smp: Smp) -> Scene:
    """Own orders are met all the way, or, where the first one ends the incoming order, behind 35 of strangers."""
    ends = smp in (Smp.CANCEL_INCOMING, Smp.CANCEL_BOTH)

    def rows(world: World) -> list[Rows]:
        mine = [k >= 35 if ends else k % 3 > 0 for k in range(40)]
        resting = [world.order(2 if own else 3, SELL, 1 + k % 2, 100 + k // 9) for k, own in enumerate(mine)]
        return [*resting, world.order(1, BUY, 200, 110, smp=smp)]

    return rows


def amend_that_sweeps(world: World) -> list[Rows]:
    resting = [world.order(2 if k % 2 else 3, SELL, 2, 100 + k // 4) for k in range(30)]
    own = world.order(1, BUY, 70, 50, smp=Smp.DECREMENT, time_in_force=GTC)
    return [*resting, own, world.amendment(1, world.seq, price=200, cl_ord_id=b"renamed")]


def fok_that_fills(world: World) -> list[Rows]:
    resting = [world.order(2 if k % 4 == 0 else 3, SELL, 1, 100 + k // 4) for k in range(33)]
    return [*resting, world.order(1, BUY, 24, 200, time_in_force=FOK)]


def round_and_round(world: World) -> list[Rows]:
    resting = [world.order(1, SELL, 9, 100 + k // 4, display_qty=1 + k % 4) for k in range(8)]
    return [*resting, world.order(3, BUY, 71, 110)]


def market_to_limit(world: World) -> list[Rows]:
    resting = [world.order(1, SELL, 1, 100 + k // 9) for k in range(30)]
    return [*resting, world.order(3, BUY, 40, None, ord_type=MARKET_TO_LIMIT)]


def minimum_and_icebergs_of_ones_own(world: World) -> list[Rows]:
    resting = [world.order(3 - (k > 1 and k % 2), SELL, 9, 100, display_qty=1 + k % 3) for k in range(9)]
    return [*resting, world.order(1, BUY, 80, 110, smp=Smp.DECREMENT, min_qty=6)]


SCENES: dict[str, Scene] = {
    "icebergs": round_and_round,
    "market_to_limit": market_to_limit,
    "minimum": minimum_and_icebergs_of_ones_own,
    "strangers": sweep_of_strangers,
    **{f"own {smp.name}": sweep_through_own_orders(smp) for smp in Smp},
    "amend": amend_that_sweeps,
    "fok": fok_that_fills,
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_sweep_gives_the_same_events_through_a_buffer_of_any_size(scene: str) -> None:
    world = World()
    *resting, last = SCENES[scene](world)
    world.run(*resting)
    expected, book = world.run(last), world.book()
    assert len(expected) > 30, "it has to be put aside where the buffer is small"
    assert_commands_are_framed(expected)
    for size in buffer_sizes(len(expected) + 10):
        world = World()
        *resting, last = SCENES[scene](world)
        world.run(*resting)
        assert drain(world.state, last, b"", size).tobytes() == expected.tobytes(), size
        assert world.book() == book
        check(world.state)


def test_commands_behind_a_sweep_wait_for_its_end() -> None:
    world = World()
    for _ in range(40):
        world.place(1, SELL, 1, 100)
    block = np.concatenate([world.order(3, BUY, 39, 100), world.order(3, BUY, 1, 100), world.order(3, BUY, 7, 100)])
    events = drain(world.state, block, b"", 16)
    assert_commands_are_framed(events)
    assert [len(events[events["seq"] == seq]) for seq in block["seq"]] == [40, 2, 1]
    assert world.book() == {"bids": [(100, 7, [(world.seq, 7)])], "asks": []}


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase != Phase.CONTINUOUS])
def test_orders_trade_at_once_in_no_other_phase(phase: Phase) -> None:
    world = World(phase=None)
    for step in way(phase):
        world.phase("ALL", step)
    for price in (100, 99, 100, 101):
        for side, account in ((SELL, 1), (BUY, 3)):
            assert not trades(world.place(account, side, 5, price, time_in_force=GTC))
