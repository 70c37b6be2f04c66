"""Amends of orders that are not plain, or in phases other than continuous (R5, R16, R30, R31, R47)."""

from typing import Any

import pytest

from engine.core.layout import IDS
from engine.dump import dump
from engine.schema import HAS_STOP, INACTIVE, PRIORITY_KEPT, Code, CommandKind, EventKind, Phase, Reason
from tests.engine.core.gates import code_of
from tests.engine.world import (
    AT_CLOSE,
    AT_OPEN,
    BUY,
    GTC,
    GTD,
    MARKET_TO_LIMIT,
    SELL,
    STOP,
    STOP_LIMIT,
    World,
    kinds,
    trades,
    values,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, K, A = Code, EventKind, CommandKind


def order_of(world: World, order_id: int) -> dict[str, Any]:
    return next(order for order in dump(world.state)["orders"] if order["order_id"] == order_id)


# --- what an order has (R5, R16) ----------------------------------------------------------------------------

WAITING: dict[str, tuple[Phase, dict[str, Any], set[str]]] = {
    # phase, the order (a price of None: it has none), and which of its attributes may be amended
    "limit": (Phase.CONTINUOUS, {"price": 100}, {"price"}),
    "limit in a call": (Phase.PRE_OPEN, {"price": 100}, {"price"}),
    "gtd": (Phase.CONTINUOUS, {"price": 100, "time_in_force": GTD, "expire_time": 1 << 60}, {"price", "expire"}),
    "iceberg": (Phase.CONTINUOUS, {"price": 100, "display_qty": 1}, {"price"}),
    "market in a call": (Phase.PRE_OPEN, {"price": None}, set()),
    "market, gtd": (Phase.PRE_OPEN, {"price": None, "time_in_force": GTD, "expire_time": 1 << 60}, {"expire"}),
    "market_to_limit": (Phase.PRE_OPEN, {"price": None, "ord_type": MARKET_TO_LIMIT}, set()),
    "market kept aside": (Phase.CONTINUOUS, {"price": None, "time_in_force": AT_CLOSE}, set()),
    "limit kept aside": (Phase.CONTINUOUS, {"price": 100, "time_in_force": AT_CLOSE}, {"price"}),
    "stop": (Phase.CONTINUOUS, {"price": None, "ord_type": STOP}, {"stop"}),
    "stop_limit": (Phase.CONTINUOUS, {"price": 100, "ord_type": STOP_LIMIT}, {"price", "stop"}),
    "stop, gtd": (
        Phase.PRE_OPEN, {"price": None, "ord_type": STOP, "time_in_force": GTD, "expire_time": 1 << 60},
        {"stop", "expire"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITING)
def test_only_what_an_order_has_is_amended(case: str) -> None:
    phase, fields, has = WAITING[case]
    fields = dict(fields)
    world = World(phase=phase)
    if fields.get("ord_type") in (STOP, STOP_LIMIT):
        fields |= {"flags": HAS_STOP, "stop_price": 700}
    world.place(1, BUY, 5, fields.pop("price"), **fields)
    order_id = world.seq
    for name, value in (("price", 99), ("stop", 701), ("expire", 1 << 61)):
        code = code_of(world.amend(1, order_id, **{name: value})[:1])
        assert code == (C.OK if name in has else C.INVALID_COMBINATION), name
    if "stop" in has:
        for outside in (0, 1_001, -(2**63)):
            assert code_of(world.amend(1, order_id, flags=HAS_STOP, stop_price=outside)) == C.PRICE_BAND
        assert order_of(world, order_id)["stop_price"] == 701
    if "expire" in has:
        assert code_of(world.amend(1, order_id, expire=1)) == C.EXPIRE_TIME
        assert order_of(world, order_id)["expire_time"] == 1 << 61
    assert kinds(world.amend(1, order_id, qty=9))[0] == K.ORDER_AMENDED


def test_an_elected_stop_has_no_stop_price_any_more() -> None:
    world = World()
    world.stop(1, BUY, 5, 500, 600)
    stop = world.seq
    world.place(2, BUY, 1, 500)
    world.place(3, SELL, 1, 500)
    assert code_of(world.amend(1, stop, stop=700)) == C.INVALID_COMBINATION
    assert kinds(world.amend(1, stop, price=599)) == [K.ORDER_AMENDED]


# --- places (R31) -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", (Phase.CONTINUOUS, Phase.PRE_OPEN, Phase.POST_CLOSE))
def test_an_amend_keeps_or_loses_its_place_in_the_same_way_in_every_phase(phase: Phase) -> None:
    world = World()
    fields = {"time_in_force": GTD, "expire_time": 1 << 60}
    first, second = (int(world.place(1, BUY, 5, 100, **fields)["order_id"][0]) for _ in range(2))
    if phase != Phase.CONTINUOUS:
        world.phase("ALL", phase)
    for change, kept in (
        ({"qty": 4}, True), ({"qty": 4, "price": 100}, True), ({"expire": 1 << 61}, True), ({"cl_ord_id": b"n"}, True),
        ({"qty": 5}, False), ({"price": 101}, False), ({"price": 100}, False),
    ):  # fmt: skip
        before = [order["order_id"] for order in dump(world.state)["orders"]]
        row = values(world.amend(1, before[0], **change)[0])
        assert bool(row["flags"] & PRIORITY_KEPT) == kept, change
        after = [order["order_id"] for order in dump(world.state)["orders"]]
        assert set(after) == {first, second}
        assert (after == before) == (kept or ("price" in change and change["price"] == 101)), change


def test_an_unpriced_order_in_a_call_goes_by_its_edge() -> None:
    world = World(phase=Phase.PRE_OPEN)
    ids = [int(world.place(1, BUY, 5, None)["order_id"][0]) for _ in range(2)]
    ids.append(int(world.place(1, BUY, 5, 1_000)["order_id"][0]))
    for qty, queue in ((4, ids), (6, [ids[1], ids[2], ids[0]])):
        row = values(world.amend(1, ids[0], qty=qty)[0])
        assert (row["price"], row["old_price"]) == (1_000, 1_000)
        assert [order["order_id"] for order in dump(world.state)["orders"]] == queue


def test_an_order_kept_aside_keeps_or_loses_its_place_among_those() -> None:
    world = World()
    ids = [int(world.place(1, BUY, 5, price, time_in_force=AT_CLOSE)["order_id"][0]) for price in (100, 100, None)]
    for change, first, kept in (
        ({"qty": 3}, ids[0], True), ({"qty": 4}, ids[0], False), ({"price": 300}, ids[1], False),
        ({"price": 300}, ids[1], True), ({"qty": 9}, ids[2], False),
    ):  # fmt: skip
        row = values(world.amend(1, first, **change)[0])
        assert row["flags"] & INACTIVE and bool(row["flags"] & PRIORITY_KEPT) == kept, change
    assert [order["order_id"] for order in dump(world.state)["orders"]] == [ids[0], ids[1], ids[2]]
    assert not world.book()["bids"]
    events = world.phase("ALL", Phase.PRE_CLOSE)
    assert events["price"][1:4].tolist() == [100, 300, 1_000]


def test_an_amend_that_keeps_an_iceberg_in_place_leaves_it_showing_at_most_what_it_has() -> None:
    world = World()
    world.place(1, BUY, 9, 100, display_qty=4)
    iceberg = world.seq
    world.place(3, SELL, 2, 100)
    for qty, shows in ((8, 2), (3, 1), (9, 4), (5, 3)):
        world.amend(1, iceberg, qty=qty)
        assert order_of(world, iceberg)["shown_qty"] == shows, qty


# --- in calls and after the close -----------------------------------------------------------------------------


def test_an_amend_in_a_call_does_not_trade_and_tells_what_it_changed() -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(3, SELL, 5, 100)
    world.place(1, BUY, 5, 99)
    order_id = world.seq
    events = world.amend(1, order_id, price=101)
    assert kinds(events) == [K.ORDER_AMENDED, K.AUCTION_INDICATIVE] and not trades(events)
    events = world.amend(1, order_id, qty=3)
    assert kinds(events) == [K.ORDER_AMENDED, K.AUCTION_INDICATIVE] and events["qty"][1] == 3
    assert kinds(world.amend(1, order_id, cl_ord_id=b"n")) == [K.ORDER_AMENDED], "nothing has changed"
    assert kinds(world.amend(1, order_id, price=98)) == [K.ORDER_AMENDED, K.AUCTION_INDICATIVE]


@pytest.mark.parametrize("fields", ({}, {"display_qty": 2}, {"time_in_force": AT_OPEN}))
def test_an_amend_in_a_call_to_no_more_than_is_filled_cancels_and_tells(fields: dict[str, Any]) -> None:
    world = World(phase=Phase.PRE_OPEN)
    world.place(1, BUY, 9, 100, time_in_force=GTC)
    order_id = world.seq
    world.place(3, SELL, 4, 100)
    world.act(A.AUCTION_UNCROSS, symbol="W320")
    world.place(3, SELL, 9, 100, **fields)
    ids = int(world.state.arrays.h[IDS])
    events = world.amend(1, order_id, qty=4, cl_ord_id=b"n")
    assert kinds(events) == [K.ORDER_CANCELED, K.AUCTION_INDICATIVE]
    row = values(events[0])
    assert (row["reason"], row["delta_qty"], row["cum_qty"], row["cl_ord_id"]) == (
        Reason.AMENDED_TO_FILLED, 5, 4, f"o{order_id}".encode(),
    )  # fmt: skip
    assert int(world.state.arrays.h[IDS]) == ids


def test_after_the_close_a_lasting_order_is_amended_and_trades_with_nobody() -> None:
    world = World()
    world.place(3, SELL, 5, 101, time_in_force=GTC)
    world.place(1, BUY, 5, 100, time_in_force=GTC)
    world.stop(1, BUY, 5, 500, 501, time_in_force=GTC)
    world.place(1, BUY, 5, 99)
    world.phase("ALL", Phase.POST_CLOSE)
    assert kinds(world.amend(1, world.seq - 3, price=102)) == [K.ORDER_AMENDED]
    assert kinds(world.amend(1, world.seq - 3, stop=400)) == [K.ORDER_AMENDED]
    assert code_of(world.amend(1, world.seq - 3, price=98)) == C.PHASE
    assert [price for price, _, _ in world.book()["bids"]] == [102, 99]


@pytest.mark.parametrize("kind", ("stop", "aside"))
def test_the_place_of_what_waits_outside_does_not_meet_the_gates_of_the_book(kind: str) -> None:
    """No post-only, no far level: a price of an order outside the book is not yet in it."""
    world = World()
    world.place(3, SELL, 5, 100)
    if kind == "stop":
        world.stop(1, BUY, 5, 700, 50)
    else:
        world.place(1, BUY, 5, 50, time_in_force=AT_CLOSE)
    order_id = world.seq
    events = world.amend(1, order_id, price=200)
    assert kinds(events) == [K.ORDER_AMENDED] and events["flags"][0] & INACTIVE
    assert world.book()["asks"] == [(100, 5, [(order_id - 1, 5)])]
