"""Daily limits: what is refused, suspended, brought back or canceled for them, and what ranks at their edge (R67)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.lane import LANE
from engine.dump import dump, indicative
from engine.schema import (
    DUP,
    INACTIVE,
    LAST,
    MAX_FAR_LEVELS,
    POST_ONLY,
    PRIORITY_KEPT,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    Limits,
    Phase,
    Reason,
)
from tests.engine.core.gates import code_of, unstamped
from tests.engine.world import (
    AT_CLOSE,
    BUY,
    DAY,
    FOK,
    GTC,
    GTD,
    IOC,
    SELL,
    Rows,
    World,
    kinds,
    through_any_buffer,
    trades,
    values,
    way,
)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

A, K, P = CommandKind, EventKind, Phase
LASTING: list[dict[str, Any]] = [{"time_in_force": GTC}, {"time_in_force": GTD, "expire_time": 1 << 60}]


def limited(low: int = 490, high: int = 510, *, phase: Phase = P.CONTINUOUS, **terms: Any) -> World:
    """A venue whose daily limits are these, which lie around a settlement in their middle."""
    middle = (low + high) // 2
    world = World(terms=({"min_price": "-9000", "max_price": "9000", "window_ticks": 64, **terms},), phase=None,
                  limits=Limits(instruments=1, accounts=4, orders=5_000, levels=1 << 14, day_ids=10_000))  # fmt: skip
    points = next(one for one in range(1, 10_001) if abs(middle) * one // 10_000 == high - middle)
    world.act(A.CONTROL_SET, symbol="W320", limit_steps=str(points))
    (row,) = world.act(A.LIMIT_SET, symbol="W320", settlement=str(middle), step=1)
    assert (row["price"], row["old_price"]) == (low, high)
    for step in way(phase):
        world.phase("ALL", step)
    return world


def limit(world: World, **terms: Any) -> Rows:
    """New limits while the instrument is halted, which it stays."""
    world.phase("ALL", P.HALTED)
    return world.act(A.LIMIT_SET, symbol="W320", **terms)


def orders(world: World) -> dict[int, dict[str, Any]]:
    return {order["order_id"]: order for order in dump(world.state)["orders"]}


# --- places ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(490, 510), (-510, -490), (0, 0)])
@pytest.mark.parametrize("side", (BUY, SELL))
def test_limits_hold_for_both_sides_and_below_zero(low: int, high: int, side: int) -> None:
    world = limited(low, high)
    for price, code in ((low, Code.OK), (high, Code.OK), (low - 1, Code.PRICE_LIMIT), (high + 1, Code.PRICE_LIMIT),
                        (-9_001, Code.PRICE_BAND), (9_001, Code.PRICE_BAND)):  # fmt: skip
        assert code_of(world.place(1, side, 1, price)) == code, price


@pytest.mark.parametrize("fields", [*({"time_in_force": one} for one in (DAY, IOC, FOK, AT_CLOSE)),
                                    {"min_qty": 1, "time_in_force": GTC}], ids=repr)  # fmt: skip
def test_what_does_not_last_is_refused_beyond_the_limits(fields: dict[str, Any]) -> None:
    world = limited()
    for side in (BUY, SELL):
        for price in (489, 511):
            assert code_of(world.place(1, side, 5, price, **fields)) == Code.PRICE_LIMIT
    assert not orders(world)


@pytest.mark.parametrize("fields", LASTING)
@pytest.mark.parametrize(("side", "price"), [(BUY, 489), (BUY, 511), (SELL, 489), (SELL, 511)])
def test_what_lasts_is_suspended_though_it_would_trade_and_is_post_only(
    side: int, price: int, fields: dict[str, Any]
) -> None:
    world = limited()
    other = SELL if side == BUY else BUY
    world.place(3, other, 5, 500)
    (row,) = world.place(1, side, 5, price, flags=POST_ONLY, display_qty=2, **fields)
    assert (row["kind"], row["flags"], row["price"], row["leaves_qty"], row["delta_qty"]) == (
        K.ORDER_ACCEPTED, LAST | INACTIVE, price, 5, 2,
    )  # fmt: skip
    first = world.seq
    assert orders(world)[first]["inactive"] == 1
    assert [len(side_) for side_ in world.book().values()] == ([0, 1] if other == SELL else [1, 0])
    world.place(3, side, 5, 500)
    assert code_of(world.place(2, other, 5, 489 if other == SELL else 511)) == Code.PRICE_LIMIT
    (row,) = world.place(1, side, 9, 1, cl_ord_id=b"o%d" % first)
    assert (row["code"], row["flags"]) == (Code.DUPLICATE, LAST | DUP | INACTIVE)
    (row,) = world.cancel(1, first)
    assert (row["kind"], row["flags"], row["delta_qty"]) == (K.ORDER_CANCELED, LAST | INACTIVE, 5)


@pytest.mark.skipif(LANE == "plain", reason="four thousand orders take too long uncompiled")
def test_no_far_level_is_asked_for_until_suspended_orders_come_back() -> None:
    world = limited(-2_200, -1_800)
    world.checks = False
    rows = [world.order(1, BUY, 1, 5_000 - k, time_in_force=GTC) for k in range(MAX_FAR_LEVELS + 1)]
    events = world.run(*rows)
    assert not events["code"].any() and (events["flags"] & INACTIVE).all()
    events = limit(world, step=0)
    assert kinds(events[-2:]) == [K.ORDER_ACTIVATED, K.ORDER_CANCELED] and len(events) == MAX_FAR_LEVELS + 2
    told = values(events[-1])
    assert {key: told[key] for key in ("reason", "flags", "delta_qty", "order_id")} == {
        "reason": Reason.LEVELS_FULL, "flags": LAST | INACTIVE, "delta_qty": 1, "order_id": world.seq - 2,
    }  # fmt: skip


# --- what orders without a price have to do with limits -----------------------------------------------------------


def test_unpriced_orders_rank_at_the_limits_and_trade_within_them() -> None:
    world = limited(phase=P.PRE_OPEN)
    buy, sell = (int(world.place(account, side, 5, None)["price"][0]) for account, side in ((1, BUY), (3, SELL)))
    assert (buy, sell) == (510, 490)
    assert indicative(world.state, 1) == (490, 5, 0, AuctionStep.UNPRICED), "0, the middle of the band, moved inside"
    world.place(1, BUY, 2, 510)
    assert indicative(world.state, 1) == (510, 5, 2, AuctionStep.VOLUME), "the edge is a candidate for a priced order"
    events = world.phase("ALL", P.CONTINUOUS)
    assert trades(events)[0][1:] == (5, 510)


@pytest.mark.parametrize("side", (BUY, SELL))
def test_a_protection_limit_stays_within_the_daily_limits(side: int) -> None:
    world = limited()
    other, best, edge = (SELL, 505, 510) if side == BUY else (BUY, 495, 490)
    world.place(3, other, 1, best)
    events = world.place(1, side, 5, None)
    assert events["price"].tolist() == [edge, best, edge] and kinds(events)[1] == K.TRADE
    world.place(3, other, 1, 500)
    assert world.place(1, side, 1, None)["price"].tolist()[0] == edge, "10 ticks of protection reach just as far"


def test_a_stop_limit_beyond_the_limits_waits_if_it_lasts_and_is_canceled_when_elected() -> None:
    world = limited()
    assert code_of(world.stop(1, BUY, 5, 500, 511)) == Code.PRICE_LIMIT
    assert code_of(world.stop(1, BUY, 5, 600, 511, time_in_force=GTC)) == Code.OK, "a stop price may lie beyond them"
    world.cancel(1, world.seq)
    world.stop(1, BUY, 5, 500, 511, **LASTING[1])
    first = world.seq
    world.place(3, SELL, 1, 500)
    events = world.place(4, BUY, 1, 500, smp=1)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.TRADE, K.ORDER_TRIGGERED, K.ORDER_CANCELED]
    told = values(events[3])
    assert {key: told[key] for key in ("order_id", "reason", "delta_qty", "flags", "price", "ord_type")} == {
        "order_id": first, "reason": Reason.PRICE_LIMIT, "delta_qty": 5, "flags": LAST, "price": 511, "ord_type": 1,
    }  # fmt: skip
    events = world.stop(1, SELL, 5, 500, 489, time_in_force=GTC)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.ORDER_TRIGGERED, K.ORDER_CANCELED], "elected at once"
    assert events["flags"].tolist() == [INACTIVE, 0, LAST]


def test_orders_kept_aside_meet_the_limits_of_the_closing_call() -> None:
    world = limited()
    made = []
    for side, price in ((BUY, None), (SELL, 505), (BUY, 491), (SELL, None)):
        world.place(1 if side == BUY else 3, side, 4, price, time_in_force=AT_CLOSE)
        made.append(world.seq)
    limit(world, settlement="500", step=0)
    world.act(A.CONTROL_SET, symbol="W320", limit_steps="100,200")
    world.act(A.LIMIT_SET, symbol="W320", step=1)
    events = world.phase("ALL", P.PRE_CLOSE)
    told = [(int(row["kind"]), int(row["order_id"]), int(row["price"]), int(row["reason"])) for row in events[1:5]]
    assert told == [
        (K.ORDER_ACTIVATED, made[0], 505, 0), (K.ORDER_ACTIVATED, made[1], 505, 0),
        (K.ORDER_CANCELED, made[2], 491, Reason.PRICE_LIMIT), (K.ORDER_ACTIVATED, made[3], 495, 0),
    ]  # fmt: skip
    assert events["flags"][3] == INACTIVE, "it was kept aside"


# --- new limits ---------------------------------------------------------------------------------------------------


def test_unpriced_orders_in_the_book_go_when_their_edge_has_changed() -> None:
    world = limited(phase=P.PRE_OPEN)
    for side in (BUY, SELL):
        world.place(1 if side == BUY else 3, side, 4, None, time_in_force=GTC)
    buy, sell = world.seq - 1, world.seq
    assert kinds(limit(world, settlement="500")) == [K.LIMITS_SET], "the same limits"
    world.act(A.CONTROL_SET, symbol="W320", limit_steps="9000")
    events = world.act(A.LIMIT_SET, symbol="W320", settlement="5000", step=1)
    assert [int(one) for one in events["price"]] == [500, 510, 490] and events["reason"].tolist()[1:] == [12, 12]
    assert events["order_id"].tolist()[1:] == [buy, sell] and not (events["flags"][:-1] & INACTIVE).any()
    world.phase("ALL", P.PRE_OPEN)
    assert [int(world.place(1, side, 1, None)["price"][0]) for side in (BUY, SELL)] == [9_000, 500]


def test_a_queue_comes_back_in_the_order_of_order_ids_and_behind_who_is_there() -> None:
    world = limited()
    ids = [int(world.place(1, BUY, 1 + k, 511, time_in_force=GTC)["order_id"][0]) for k in range(3)]
    world.amend(1, ids[0], qty=9)  # loses its place among those kept aside
    assert [one for one, order in orders(world).items() if order["inactive"]] == [ids[1], ids[2], ids[0]]
    events = limit(world, step=0)
    assert kinds(events) == [K.LIMITS_SET] + [K.ORDER_ACTIVATED] * 3
    assert events["order_id"].tolist()[1:] == ids
    (told,) = [values(row) for row in events if row["order_id"] == ids[0]]
    assert {key: told.get(key, 0) for key in ("qty", "leaves_qty", "price", "flags", "cl_ord_id", "reason")} == {
        "qty": 9, "leaves_qty": 9, "price": 511, "flags": 0, "cl_ord_id": b"o%d" % ids[0], "reason": 0,
    }  # fmt: skip
    assert world.book()["bids"] == [(511, 14, [(ids[0], 9), (ids[1], 2), (ids[2], 3)])]


def test_an_iceberg_filled_in_part_is_suspended_and_comes_back_showing_anew() -> None:
    world = limited()
    world.place(1, SELL, 9, 508, time_in_force=GTC, display_qty=4)
    first = world.seq
    world.place(3, BUY, 3, 508)
    assert orders(world)[first]["shown_qty"] == 1
    world.act(A.CONTROL_SET, symbol="W320", limit_steps="100,200")
    (row,) = [one for one in limit(world, step=1) if one["kind"] == K.ORDER_SUSPENDED]
    told = values(row)
    assert {key: told.get(key, 0) for key in ("leaves_qty", "cum_qty", "qty", "flags", "cl_ord_id", "delta_qty")} == {
        "leaves_qty": 6, "cum_qty": 3, "qty": 9, "flags": LAST | INACTIVE, "cl_ord_id": 0, "delta_qty": 0,
    }  # fmt: skip
    (row,) = [one for one in world.act(A.LIMIT_SET, symbol="W320", step=2) if one["kind"] == K.ORDER_ACTIVATED]
    assert (row["leaves_qty"], row["cum_qty"], row["delta_qty"]) == (6, 3, 4)
    assert orders(world)[first]["shown_qty"] == 4


def test_a_review_goes_through_any_buffer() -> None:
    def scene(world: World) -> tuple[Rows, bytes]:
        for k in range(56):
            side, tif = (BUY, SELL)[k % 2], (GTC, DAY, GTC, GTC)[k % 4]
            price = (500 - k if side == BUY else 501 + k) if k % 3 else (480 - k if side == BUY else 520 + k)
            world.place(1 if side == BUY else 3, side, 1 + k, price, time_in_force=tif, display_qty=1 + k // 2)
        world.phase("ALL", P.HALTED)
        world.act(A.CONTROL_SET, symbol="W320", limit_steps="500,100")
        return world.act_row(A.LIMIT_SET, symbol="W320", settlement="530", step=1)

    events = through_any_buffer(scene, lambda: limited(480, 520))
    assert {K.ORDER_ACTIVATED, K.ORDER_SUSPENDED, K.ORDER_CANCELED} < set(kinds(events)) and len(events) >= 20


# --- amends ------------------------------------------------------------------------------------------------------


def test_an_amended_price_brings_a_suspended_order_back_as_an_incoming_one() -> None:
    world = limited()
    world.place(3, SELL, 3, 505)
    world.place(1, BUY, 5, 520, time_in_force=GTC, display_qty=2)
    first = world.seq
    before = unstamped(world)
    assert code_of(world.amend(1, first, price=511)) == Code.PRICE_LIMIT
    assert code_of(world.amend(1, first, price=520)) == Code.PRICE_LIMIT, "even its own"
    assert code_of(world.amend(1, first, price=9_001)) == Code.PRICE_BAND
    assert unstamped(world) == before
    events = world.amend(1, first, price=505)
    assert kinds(events) == [K.ORDER_AMENDED, K.TRADE] and events["flags"].tolist() == [0, LAST]
    assert (events["old_price"][0], events["price"][0]) == (520, 505)
    assert world.book() == {"bids": [(505, 2, [(first, 2)])], "asks": []} and orders(world)[first]["shown_qty"] == 2


def test_a_post_only_order_that_comes_back_is_asked_whether_it_would_take() -> None:
    world = limited()
    world.place(3, SELL, 3, 505)
    world.place(1, BUY, 5, 520, time_in_force=GTC, flags=POST_ONLY)
    assert code_of(world.amend(1, world.seq, price=505)) == Code.POST_ONLY
    assert code_of(world.amend(1, world.seq - 1, price=504)) == Code.OK


def test_amends_without_a_price_leave_it_suspended() -> None:
    world = limited()
    ids = []
    for _ in range(2):
        world.place(1, BUY, 5, 520, **LASTING[1])
        ids.append(world.seq)
    for said, kept in (
        ({"qty": 4}, True),
        ({"expire": 1 << 59}, True),
        ({"cl_ord_id": b"new"}, True),
        ({"qty": 9}, False),
    ):
        (row,) = world.amend(1, ids[0], **said)
        assert row["flags"] == LAST | INACTIVE | (PRIORITY_KEPT if kept else 0), said
    assert list(orders(world)) == [ids[1], ids[0]]
    assert world.book() == {"bids": [], "asks": []}
    (row,) = world.run(world.row(A.CLOCK_TICK, time=1 << 59))[:1]
    assert (row["kind"], row["order_id"], row["flags"]) == (K.ORDER_EXPIRED, ids[0], INACTIVE)
    assert world.mass_cancel(1, side=BUY)["order_id"].tolist() == [ids[1], 0]


def test_a_suspended_order_comes_back_into_a_call_and_is_told() -> None:
    world = limited(phase=P.PRE_OPEN)
    world.place(3, SELL, 3, 500)
    assert kinds(world.place(1, BUY, 5, 520, time_in_force=GTC)) == [K.ORDER_ACCEPTED], "no indicative: no order came"
    events = world.amend(1, world.seq, price=510)
    assert kinds(events) == [K.ORDER_AMENDED, K.AUCTION_INDICATIVE] and events["qty"][1] == 3
    assert kinds(world.amend(1, world.seq - 1, price=499)) == [K.ORDER_AMENDED, K.AUCTION_INDICATIVE]


def test_an_order_of_the_book_is_not_amended_beyond_the_limits() -> None:
    world = limited()
    world.place(1, BUY, 5, 500, time_in_force=GTC)
    first = world.seq
    for price, code in ((489, Code.PRICE_LIMIT), (511, Code.PRICE_LIMIT), (490, Code.OK), (510, Code.OK)):
        assert code_of(world.amend(1, first, price=price)) == code
    world.stop(1, BUY, 5, 600, 505, time_in_force=GTC)
    first = world.seq
    assert code_of(world.amend(1, first, price=511)) == Code.PRICE_LIMIT
    assert code_of(world.amend(1, first, stop=700)) == Code.OK, "a stop price is no price"


def test_restored_orders_beyond_the_limits_are_suspended() -> None:
    world = World(phase=None, day="2026-11-23")
    world.act(A.CONTROL_SET, symbol="W320", limit_steps="200")
    world.act(A.LIMIT_SET, symbol="W320", settlement="500", step=1, locked=1, side=2)
    world.seq = 100
    told = []
    for order_id, (side, kind, price, stop) in enumerate(
        ((1, 1, 490, 0), (1, 1, 489, 0), (2, 1, 511, 0), (1, 4, 520, 600)), 1
    ):
        (row,) = world.run(world.row(
            A.ORDER_RESTORE, instrument=1, account=1, side=side, ord_type=kind, time_in_force=GTC, price=price,
            stop_price=stop, order_qty=5, min_qty=5, cl_ord_id=b"%d" % order_id, target_lo=order_id,
        ))  # fmt: skip
        told.append((int(row["kind"]), int(row["flags"]) & INACTIVE))
    assert told == [(K.ORDER_RESTORED, 0), *[(K.ORDER_RESTORED, INACTIVE)] * 3]
    assert dump(world.state)["instruments"][0]["limits"] == {
        "settlement": 500, "step": 1, "side": 2, "locked": 1, "low": 490, "high": 510,
    }  # fmt: skip
