"""Restoring orders while a day is being opened (R44, R45)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import MAX_FAR_LEVELS, POST_ONLY, Code, CommandKind, EventKind, OrdType, Phase
from tests.engine.core.gates import FAR, JUNK32, JUNK64, assert_precedence, code_of
from tests.engine.world import BUY, DAY, FOK, GTC, IOC, SELL, SMALL, World, kinds, trades

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

C, K, A = Code, EventKind, CommandKind
LIMIT, MARKET = OrdType

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
        (C.WOULD_CROSS, {"price": 199}),
    ]
    assert_precedence(world, A.ORDER_RESTORE, wrong, mends)
    assert dump(world.state)["orders"][0]["flags"] == POST_ONLY
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **{**RESTORE, "cl_ord_id": b"x"}))) == C.MALFORMED, "it is live"


MALFORMED_RESTORES: list[dict[str, Any]] = [
    *({"target_lo": value} for value in (0, 10_000, *JUNK64)),
    *({"min_qty": value} for value in (0, 10, *JUNK32)),
    *({"time_in_force": value} for value in (DAY, IOC, FOK, 0, 9)),
    {"ord_type": MARKET},
    {"target_hi": 1},
    {"display_qty": 1},
    {"stop_price": 1},
    {"expire_time": -1},
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


@pytest.mark.parametrize("kind", [*range(1, 7), 0, 8, 200])
def test_while_a_day_is_being_opened_only_restores_and_definitions_are_in_place(kind: int) -> None:
    world = reopened(levels=1 << 14)
    events = world.run(world.row(kind, account=1))
    assert code_of(events) == C.DAY_ORDER and kinds(events) == [K.ORDER_REJECTED]


def test_a_restore_is_out_of_place_once_the_day_has_begun() -> None:
    world = World(phase=None)
    assert code_of(world.run(world.row(A.ORDER_RESTORE, **RESTORE))) == C.DAY_ORDER
