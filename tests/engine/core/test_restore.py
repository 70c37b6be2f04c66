"""Restoring orders while a day is being opened (R44, R45)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import (
    INACTIVE,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_STOP_LEVELS,
    POST_ONLY,
    Code,
    CommandKind,
    EventKind,
    Phase,
)
from tests.engine.core.gates import FAR, JUNK32, JUNK64, assert_precedence, code_of
from tests.engine.world import (
    AT_CLOSE,
    AT_OPEN,
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    STOP,
    STOP_LIMIT,
    World,
    kinds,
    trades,
    values,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, K, A = Code, EventKind, CommandKind

RESTORE = {
    "account": 1, "instrument": 1, "side": BUY, "ord_type": LIMIT, "time_in_force": GTC, "order_qty": 9, "min_qty": 4,
    "price": 100, "cl_ord_id": b"r", "target_lo": 50,
}  # fmt: skip


def reopened(**limits: int) -> World:
    """A venue whose day is being opened: seq 100, two accounts, one instrument."""
    return World(SMALL._replace(**limits), phase=None, seq=100, day="2026-11-23", terms=(FAR,))


def test_gates_of_a_restore() -> None:
    world = reopened(levels=1 << 14)
    world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "side": SELL, "price": 200, "target_lo": 7, "cl_ord_id": b"s"}))
    wrong = {**RESTORE, "min_qty": 10, "account": 9, "instrument": 9, "cl_ord_id": b"s", "price": 9_001,
             "flags": POST_ONLY | 0xF0}  # fmt: skip
    mends = [
        (C.MALFORMED, {"min_qty": 9}),
        (C.UNKNOWN_ACCOUNT, {"account": 1}),
        (C.UNKNOWN_INSTRUMENT, {"instrument": 1}),
        (C.DUPLICATE, {"cl_ord_id": b"r"}),
        (C.PRICE_BAND, {"price": 200}),
    ]
    assert_precedence(world, A.ORDER_RESTORE, wrong, mends)
    assert dump(world.state)["orders"][0]["flags"] == POST_ONLY
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "cl_ord_id": b"x"}))) == C.MALFORMED, "it is live"


MALFORMED_RESTORES: list[dict[str, Any]] = [
    *({"target_lo": value} for value in (0, 10_000, *JUNK64)),
    *({"min_qty": value} for value in (0, 10, *JUNK32)),
    *({"time_in_force": value} for value in (DAY, IOC, FOK, AT_OPEN, AT_CLOSE, 0, 9)),
    *({"ord_type": value} for value in (0, MARKET, MARKET_TO_LIMIT, 6, 255)),
    {"target_hi": 1},
    *({"display_qty": 2, "target_hi": shown} for shown in (0, 3, *JUNK64)),
    {"display_qty": 9, "target_hi": 5},
    *({"display_qty": value, "target_hi": 1} for value in (-1, -(2**31), MAX_ORDER_QTY + 1)),
    {"ord_type": STOP, "display_qty": 2, "target_hi": 2},
    {"ord_type": STOP_LIMIT, "display_qty": 2, "target_hi": 2},
    *({"expire_time": value} for value in (1, -1)),
    *({"time_in_force": GTD, "expire_time": value} for value in (0, -1, -(2**63))),
    *({"smp_id": value} for value in (-1, 65_536)),
    {"reserved": 2},
    {"smp": 6},
    {"side": 3},
    {"order_qty": 0},
    {"cl_ord_id": b""},
]


@pytest.mark.parametrize("wrong", MALFORMED_RESTORES, ids=repr)
def test_a_malformed_restore(wrong: dict[str, Any]) -> None:
    world = reopened(levels=1 << 14)
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, **wrong}))) == C.MALFORMED


def test_a_restore_meets_the_limits_in_order() -> None:
    world = reopened(levels=1 << 14, orders=2, day_ids=2)
    for number in (1, 2):
        row = {**RESTORE, "target_lo": number, "cl_ord_id": b"%d" % number}
        assert kinds(world.run(world.row(A.ORDER_RESTORE, **row))) == [K.ORDER_RESTORED]
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **RESTORE))) == C.DAY_ID_LIMIT
    world = reopened(levels=1 << 14, orders=1)
    world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "target_lo": 1, "cl_ord_id": b"1"}))
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **RESTORE))) == C.ORDERS_FULL


def test_restored_far_levels_fill_up() -> None:
    world = reopened(levels=1 << 14, orders=5_000, day_ids=5_000)
    world.seq = 10_000
    rows = [
        world.row(A.ORDER_RESTORE, **{**RESTORE, "price": k - 5_000, "target_lo": 1 + k, "cl_ord_id": b"%d" % k})
        for k in range(MAX_FAR_LEVELS)
    ]
    assert not world.run(*rows)["code"].any()
    assert (
        code_of(world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "price": -99, "target_lo": 9_999})))
        == C.FAR_LEVELS_FULL
    )


def test_restored_orders_stand_in_the_order_of_their_restores_and_trade_on() -> None:
    world = reopened(levels=1 << 14)
    for order_id, text in ((60, b"p"), (50, b"q")):
        world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "target_lo": order_id, "cl_ord_id": text}))
    assert world.book()["bids"] == [(100, 8, [(60, 4), (50, 4)])]
    world.act(A.DAY_START)
    world.phase("ALL", Phase.CONTINUOUS)
    assert code_of(world.place(1, BUY, 1, 1, cl_ord_id=b"q")) == C.DUPLICATE
    events = world.place(4, SELL, 6, 100)
    assert trades(events) == [(60, 4, 100), (50, 2, 100)]
    assert world.cancel(1, 50)["cum_qty"].tolist() == [7]


def restored(**fields: Any) -> tuple[World, dict[str, Any], dict[str, Any]]:
    """A venue in which one order was restored; the event, and the order in the picture."""
    world = reopened(levels=1 << 14)
    (row,) = world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, **fields}))
    assert row["kind"] == K.ORDER_RESTORED, Code(int(row["code"]))
    (order,) = dump(world.state)["orders"]
    return world, values(row), order


def test_an_iceberg_shows_again_what_it_showed() -> None:
    world, row, order = restored(display_qty=3, target_hi=2)
    assert (row["delta_qty"], row["leaves_qty"], "old_price" in row) == (3, 4, False)
    assert (order["display_qty"], order["shown_qty"], order["leaves_qty"], order["inactive"]) == (3, 2, 4, 0)
    world.act(A.DAY_START)
    world.phase("ALL", Phase.CONTINUOUS)
    events = world.place(4, SELL, 3, 100)
    assert trades(events) == [(50, 2, 100), (50, 1, 100)]
    assert dump(world.state)["orders"][0]["shown_qty"] == 1


@pytest.mark.parametrize("side", (BUY, SELL))
@pytest.mark.parametrize(("ord_type", "price"), [(STOP, 0), (STOP_LIMIT, 100)])
def test_a_stop_waits_again(ord_type: int, price: int, side: int) -> None:
    """A price of a stop and a stop price of a limit are ignored, whatever they are."""
    fields = {"ord_type": ord_type, "stop_price": 300, "price": price or -(2**63), "side": side}
    world, row, order = restored(**fields, time_in_force=GTD, expire_time=1)
    assert (row.get("price", 0), row["old_price"], row["flags"]) == (price, 300, 1 | INACTIVE)
    assert (order["price"], order["stop_price"], order["inactive"]) == (price, 300, 1)
    assert world.book() == {"bids": [], "asks": []}
    world.act(A.DAY_START)
    events = world.run(world.row(A.CLOCK_TICK))
    assert kinds(events) == [K.ORDER_EXPIRED, K.CLOCK_TICKED], "its time had come, and a tick says so"
    assert restored(stop_price=-(2**63))[2]["stop_price"] == 0


def test_stops_of_one_price_stand_in_the_order_of_their_restores() -> None:
    world = reopened(levels=1 << 14)
    for order_id in (60, 50, 55):
        fields = {"ord_type": STOP, "stop_price": 300, "target_lo": order_id, "cl_ord_id": b"%d" % order_id}
        world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, **fields}))
    assert [order["order_id"] for order in dump(world.state)["orders"]] == [60, 50, 55]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ord_type": STOP, "stop_price": 9_001}, C.PRICE_BAND),
        ({"ord_type": STOP, "stop_price": -9_001, "price": 9_001}, C.PRICE_BAND),
        ({"ord_type": STOP_LIMIT, "stop_price": 5, "price": 9_001}, C.PRICE_BAND),
        ({"ord_type": STOP_LIMIT, "stop_price": 9_001, "price": 5}, C.PRICE_BAND),
        ({"ord_type": LIMIT, "stop_price": 9_001, "price": -9_001}, C.PRICE_BAND),
        ({"ord_type": STOP_LIMIT, "stop_price": 9_000, "price": -9_000}, C.OK),
    ],
)
def test_every_price_that_counts_lies_in_the_band(fields: dict[str, Any], code: Code) -> None:
    world = reopened(levels=1 << 14)
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, **fields}))) == code


def test_restored_stops_fill_up() -> None:
    world = reopened(levels=1 << 14, orders=5_000, day_ids=5_000)
    world.seq = 10_000
    stop = {**RESTORE, "ord_type": STOP}
    rows = [
        world.row(A.ORDER_RESTORE, **{**stop, "stop_price": k - 500, "target_lo": 1 + k, "cl_ord_id": b"%d" % k})
        for k in range(MAX_STOP_LEVELS)
    ]
    assert not world.run(*rows)["code"].any()
    more = {**stop, "target_lo": 9_999, "cl_ord_id": b"more"}
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**more, "stop_price": 7_000}))) == C.STOP_LEVELS_FULL
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**more, "stop_price": -500}))) == C.OK
    more.update(target_lo=9_998, cl_ord_id=b"sell", side=SELL)
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**more, "stop_price": 7_000}))) == C.OK


def test_restored_books_may_be_crossed() -> None:
    world = reopened(levels=1 << 14)
    for order_id, side, price in ((60, BUY, 101), (61, SELL, 99)):
        fields = {"side": side, "price": price, "target_lo": order_id, "cl_ord_id": b"%d" % order_id}
        world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, **fields}))
    world.act(A.DAY_START)
    events = world.phase("ALL", Phase.CONTINUOUS)
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE]
    assert trades(events) == [(61, 4, 99)]


@pytest.mark.parametrize("kind", [*range(1, 7), 0, 8, 200])
def test_while_a_day_is_being_opened_only_restores_and_definitions_are_in_place(kind: int) -> None:
    world = reopened(levels=1 << 14)
    events = world.run(world.row(kind, account=1))
    assert code_of(events) == C.DAY_ORDER and kinds(events) == [K.ORDER_REJECTED]


def test_a_restore_is_out_of_place_once_the_day_has_begun() -> None:
    world = World(phase=None)
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **RESTORE))) == C.DAY_ORDER
