"""Bounds of the volatility trigger, and what pulling it does with the order that pulls (R69); bands, limits, values."""

from typing import Any

import pytest

from engine.core.controls import bounded, empty_windows, note_window
from engine.core.layout import BOUND_HIGH, BOUND_LOW, CONTROL_WORDS, INSTRUMENT_WORDS
from engine.dump import dump
from engine.schema import HAS_STOP, INACTIVE, Code, CommandKind, EventKind, Phase, Reason, Smp
from tests.engine.core.alone import alone
from tests.engine.purse import purse_world
from tests.engine.world import (
    AT_CLOSE,
    BUY,
    FOK,
    GTC,
    IOC,
    MARKET_TO_LIMIT,
    SELL,
    SMALL,
    Rows,
    World,
    behind,
    kinds,
    through_any_buffer,
    trades,
    views,
)

bounded, empty_windows, note_window = alone(bounded, empty_windows, note_window)

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

ROW = INSTRUMENT_WORDS
FAR = 1 << 62
SLICE = 1_000_000  # ns, of a window of 8 ms


def controlled(**controls: Any) -> World:
    world = World()
    world.act(CommandKind.CONTROL_SET, symbol="W320", **controls)
    return world


def at(world: World, time: int) -> None:
    """Let it be so late."""
    world.time = time - 1
    world.run(world.row(CommandKind.CLOCK_TICK))


def bounds(world: World) -> tuple[int, int]:
    d = behind(views(world.state))
    bounded(d, ROW, 0, FAR)
    ctl = world.state.arrays.ctl
    return int(ctl[CONTROL_WORDS + BOUND_LOW]), int(ctl[CONTROL_WORDS + BOUND_HIGH])


def test_a_window_is_the_last_eight_slices() -> None:
    world = controlled(short_ticks=5, short_ms=8)
    d = behind(views(world.state))
    at(world, 10 * SLICE)
    note_window(d, ROW, 500)
    at(world, 12 * SLICE)
    note_window(d, ROW, 510)
    assert bounds(world) == (505, 505)
    at(world, 18 * SLICE - 1)
    assert bounds(world) == (505, 505), "slice 17 still sees slice 10"
    at(world, 18 * SLICE)
    assert bounds(world) == (505, 515), "slice 18 does not"
    at(world, 20 * SLICE)
    assert bounds(world) == (-FAR, FAR)
    note_window(d, ROW, 300)
    assert bounds(world) == (295, 305)
    empty_windows(d, ROW)
    assert bounds(world) == (-FAR, FAR)


def test_the_narrower_of_two_windows_counts() -> None:
    world = controlled(short_ticks=5, short_ms=8, long_ticks=20, long_ms=80)
    d = behind(views(world.state))
    at(world, 100 * SLICE)
    note_window(d, ROW, 500)
    assert bounds(world) == (495, 505)
    at(world, 109 * SLICE)
    assert bounds(world) == (480, 520), "the short one has forgotten"


@pytest.mark.parametrize("side", [BUY, SELL])
def test_an_order_trades_up_to_the_bound_and_rests_in_the_call(side: int) -> None:
    world = controlled(short_ticks=5)
    other = SELL if side == BUY else BUY
    sign = 1 if side == BUY else -1
    world.place(1, other, 1, 500)
    world.place(3, side, 1, 500)
    for step in (5, 6):
        world.place(1, other, 1, 500 + sign * step)
    events = world.place(3, side, 5, 500 + sign * 9)
    assert kinds(events) == [
        EventKind.ORDER_ACCEPTED, EventKind.TRADE, EventKind.PHASE_CHANGED, EventKind.AUCTION_INDICATIVE,
    ]  # fmt: skip
    assert [price for _, _, price in trades(events)] == [500 + sign * 5]
    changed = events[2]
    assert (changed["phase"], changed["reason"]) == (Phase.VOLATILITY_AUCTION, Phase.CONTINUOUS)
    assert int(events[3]["qty"]) == 1
    assert dump(world.state)["orders"][0 if side == BUY else -1]["leaves_qty"] == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"time_in_force": IOC}, Reason.IOC), ({"price": None}, Reason.PROTECTION)],
    ids=["ioc", "market"],
)
def test_what_cannot_rest_is_canceled_when_the_trigger_is_pulled(fields: dict[str, Any], reason: Reason) -> None:
    world = controlled(short_ticks=2)
    for price in (500, 501, 509):
        world.place(1, SELL, 1, price)
    world.place(3, BUY, 1, 500)
    said = dict(fields)
    events = world.place(3, BUY, 5, said.pop("price", 520), **said)
    assert kinds(events)[:4] == [
        EventKind.ORDER_ACCEPTED, EventKind.TRADE, EventKind.PHASE_CHANGED, EventKind.ORDER_CANCELED,
    ]  # fmt: skip
    assert (events[3]["reason"], events[3]["delta_qty"]) == (reason, 4)


def test_orders_that_trade_whole_or_not_at_all_do_not_pull_it() -> None:
    world = controlled(short_ticks=2)
    for price in (500, 501, 509):
        world.place(1, SELL, 1, price)
    world.place(3, BUY, 1, 500)
    for fields in ({"time_in_force": FOK, "order_qty": 2}, {"min_qty": 2, "order_qty": 3}):
        events = world.place(3, BUY, 2, 520, **fields)
        assert kinds(events) == [EventKind.ORDER_ACCEPTED, EventKind.ORDER_CANCELED]
    assert int(world.state.arrays.ins[ROW]) == Phase.CONTINUOUS


def test_a_market_to_limit_order_rests_at_its_last_price() -> None:
    world = controlled(short_ticks=2)
    for price in (500, 501, 509):
        world.place(1, SELL, 1, price)
    world.place(3, BUY, 1, 500)
    events = world.place(3, BUY, 5, None, ord_type=MARKET_TO_LIMIT)
    assert EventKind.ORDER_ACTIVATED in kinds(events) and EventKind.PHASE_CHANGED in kinds(events)
    assert (dump(world.state)["orders"][0]["price"], dump(world.state)["orders"][0]["ord_type"]) == (501, "limit")


def test_a_price_below_the_window_pulls_it_too() -> None:
    world = controlled(short_ticks=5)
    world.place(1, SELL, 1, 500)
    world.place(3, BUY, 1, 500)
    world.place(1, SELL, 1, 400)
    assert kinds(world.place(3, BUY, 1, 400))[1] == EventKind.PHASE_CHANGED


def test_stops_are_elected_no_more_once_it_is_pulled() -> None:
    world = controlled(short_ticks=2)
    for price in (500, 501, 509):
        world.place(1, SELL, 1, price)
    world.place(3, BUY, 1, 500)
    world.stop(3, BUY, 1, 501)
    events = world.place(3, BUY, 2, 520)
    assert EventKind.ORDER_TRIGGERED not in kinds(events)
    assert EventKind.ORDER_TRIGGERED in kinds(world.phase("W320", Phase.CONTINUOUS))


def test_daily_limits_refuse_cancel_and_suspend() -> None:
    world = controlled(limit_steps="200")
    world.phase("W320", Phase.HALTED)
    world.act(CommandKind.LIMIT_SET, symbol="W320", settlement="500", step=1)
    world.phase("W320", Phase.PRE_OPEN)
    world.phase("W320", Phase.CONTINUOUS)
    for price, code in ((490, Code.OK), (489, Code.PRICE_LIMIT), (510, Code.OK), (511, Code.PRICE_LIMIT)):
        assert int(world.place(1, BUY if price < 500 else SELL, 1, price)[0]["code"]) == code
    (event,) = world.place(1, SELL, 1, 511, time_in_force=GTC)
    assert event["kind"] == EventKind.ORDER_ACCEPTED and event["flags"] & INACTIVE
    assert kinds(world.place(3, BUY, 5, 510)) == [EventKind.ORDER_ACCEPTED, EventKind.TRADE], "it takes part in nothing"


@pytest.mark.parametrize(("side", "good", "bad"), [(BUY, 503, 504), (SELL, 497, 496)])
def test_the_moving_band_follows_the_last_trade(side: int, good: int, bad: int) -> None:
    world = controlled(band_ticks=3)
    assert int(world.place(1, side, 1, bad)[0]["code"]) == Code.MOVING_BAND, "the middle of the band is 500"
    assert int(world.place(1, side, 1, good)[0]["code"]) == Code.OK
    world.place(3, SELL if side == BUY else BUY, 1, good)
    assert int(world.place(1, side, 1, bad)[0]["code"]) == Code.OK, "the last price has moved"


def test_a_value_is_price_times_lots() -> None:
    world = controlled(max_order_value=str(3500 * 1000 + 3499))
    assert int(world.place(1, BUY, 2, 500)[0]["code"]) == Code.OK
    assert int(world.place(1, BUY, 3, 334)[0]["code"]) == Code.MAX_ORDER_VALUE
    first = world.seq - 1
    assert int(world.amend(1, first, qty=3)[0]["code"]) == Code.MAX_ORDER_VALUE
    assert int(world.amend(1, first, price=499)[0]["code"]) == Code.OK


# --- the windows, as orders meet them (R69) -------------------------------------------------------------------


def meet(world: World, price: int, lots: int = 1) -> None:
    """A trade at this price, in an empty book."""
    world.place(1, SELL, lots, price)
    assert trades(world.place(3, BUY, lots, price))[-1][1:] == (lots, price)


@pytest.mark.parametrize(
    ("said", "forgets"),
    [({"short_ticks": 6}, True), ({"long_ticks": 0}, True), ({"short_ms": 99}, True), ({"long_ms": 99}, True),
     ({"band_ticks": 9}, False), ({"max_order_value": "1", "limit_steps": "5"}, False)],
    ids=repr,
)  # fmt: skip
def test_a_control_of_the_windows_empties_them_and_no_other_does(said: dict[str, Any], forgets: bool) -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    assert bounds(world) == (495, 505)
    world.act(CommandKind.CONTROL_SET, symbol="W320", **said)
    assert bounds(world) == ((-FAR, FAR) if forgets else (495, 505))


def test_a_trade_of_before_the_trigger_was_armed_is_in_no_window() -> None:
    world = World()
    meet(world, 500)
    world.act(CommandKind.CONTROL_SET, symbol="W320", short_ticks=5)
    assert bounds(world) == (-FAR, FAR)
    meet(world, 700)
    assert bounds(world) == (695, 705)


def test_an_uncross_with_a_volume_empties_the_windows_and_enters_them() -> None:
    for volume in (0, 1):
        world = controlled(short_ticks=5)
        meet(world, 500)
        world.phase("W320", Phase.PRE_OPEN)
        world.place(1, SELL, 1, 600)
        if volume:
            world.place(3, BUY, 1, 600)
        world.phase("W320", Phase.CONTINUOUS)
        assert bounds(world) == ((595, 605) if volume else (495, 505))


def test_the_close_empties_the_windows() -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    world.phase("W320", Phase.CLOSED)
    assert bounds(world) == (-FAR, FAR)


@pytest.mark.parametrize("low", [-510, -5, 495])
def test_a_sweep_enters_the_windows_with_all_its_prices(low: int) -> None:
    world = World(terms=({"min_price": "-1000"},))
    world.act(CommandKind.CONTROL_SET, symbol="W320", short_ticks=10)
    for step in range(4):
        world.place(1, SELL, 1, low + step)
    world.place(3, BUY, 4, low + 3)
    assert bounds(world) == (low + 3 - 10, low + 10)


def test_an_order_is_held_by_the_bounds_of_before_its_own_trades() -> None:
    world = controlled(short_ticks=5)
    for price in (500, 505, 506, 600):
        world.place(1, SELL, 1, price)
    events = world.place(3, BUY, 3, 599)
    assert [price for _, _, price in trades(events)] == [500, 505, 506], "there was no trade before"
    assert bounds(world) == (501, 505)


def test_the_next_order_may_trade_only_within_both_bounds() -> None:
    world = controlled(short_ticks=5)
    for price in (500, 505, 506, 600):
        world.place(1, SELL, 1, price)
    world.place(3, BUY, 3, 599)
    events = world.place(3, BUY, 1, 600)
    assert kinds(events)[1] == EventKind.PHASE_CHANGED and not trades(events)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_an_order_that_does_not_reach_what_lies_beyond_pulls_nothing(side: int) -> None:
    world = controlled(short_ticks=5)
    sign, other = (1, SELL) if side == BUY else (-1, BUY)
    meet(world, 500)
    world.place(1, other, 1, 500 + sign * 7)
    assert kinds(world.place(3, side, 3, 500 + sign * 6)) == [EventKind.ORDER_ACCEPTED]
    assert dump(world.state)["instruments"][0]["phase"] == "continuous"
    assert kinds(world.amend(3, world.seq, price=500 + sign * 7)) == [
        EventKind.ORDER_AMENDED, EventKind.PHASE_CHANGED, EventKind.AUCTION_INDICATIVE,
    ]  # fmt: skip


def test_an_order_filled_at_the_bound_pulls_nothing() -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    for price in (505, 506):
        world.place(1, SELL, 1, price)
    assert kinds(world.place(3, BUY, 1, 999)) == [EventKind.ORDER_ACCEPTED, EventKind.TRADE]


@pytest.mark.parametrize("smp", [Smp.CANCEL_RESTING, Smp.CANCEL_INCOMING, Smp.CANCEL_BOTH, Smp.DECREMENT])
def test_own_orders_within_the_bounds_are_prevented_and_beyond_them_not_met(smp: Smp) -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    for price in (504, 506):
        world.place(1, SELL, 2, price)
    events = world.place(2, BUY, 5, 999, smp=smp)
    ended = smp in (Smp.CANCEL_INCOMING, Smp.CANCEL_BOTH)
    assert kinds(events).count(EventKind.ORDER_PREVENTED) == 1, "one of the two is beyond"
    assert (EventKind.PHASE_CHANGED in kinds(events)) == (not ended)
    assert len(dump(world.state)["orders"]) == {2: 2, 3: 2, 4: 1, 5: 2}[smp]


def test_an_iceberg_at_the_bound_is_gone_round_before_the_trigger_is_pulled() -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    world.place(1, SELL, 7, 505, display_qty=2)
    world.place(1, SELL, 7, 506, display_qty=2)
    events = world.place(3, BUY, 9, 510)
    assert [lots for _, lots, _ in trades(events)] == [2, 2, 2, 1]
    assert kinds(events)[-2:] == [EventKind.PHASE_CHANGED, EventKind.AUCTION_INDICATIVE]
    assert (events["price"][-1], events["qty"][-1]) == (506, 2)


def test_an_elected_stop_pulls_it_and_those_behind_it_wait_until_continuous() -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    for price in (503, 520):
        world.place(1, SELL, 1, price)
    first, second = (int(world.stop(4, BUY, 1, 502, 999)["order_id"][0]) for _ in range(2))
    events = world.place(3, BUY, 1, 503)
    assert [(int(row["kind"]), int(row["order_id"])) for row in events[1:]] == [
        (EventKind.TRADE, world.seq), (EventKind.ORDER_TRIGGERED, first), (EventKind.PHASE_CHANGED, 0),
        (EventKind.AUCTION_INDICATIVE, 0),
    ]  # fmt: skip
    assert [order["order_id"] for order in dump(world.state)["orders"] if order["stop_price"]] == [second]
    events = world.phase("W320", Phase.CONTINUOUS)
    assert kinds(events)[:4] == [
        EventKind.PHASE_CHANGED, EventKind.AUCTION_UNCROSSED, EventKind.TRADE, EventKind.ORDER_TRIGGERED,
    ]  # fmt: skip


@pytest.mark.parametrize("fields", [{"time_in_force": FOK}, {"min_qty": 3}], ids=repr)
def test_walks_end_at_the_bound(fields: dict[str, Any]) -> None:
    for at_bound, filled in ((3, True), (2, False)):
        world = controlled(short_ticks=5)
        meet(world, 500)
        world.place(1, SELL, at_bound, 505)
        world.place(1, SELL, 9, 506)
        events = world.place(3, BUY, 3, 999, **fields)
        assert bool(trades(events)) == filled
        assert dump(world.state)["instruments"][0]["phase"] == "continuous"


def test_nothing_bounds_a_trade_at_the_close() -> None:
    world = controlled(short_ticks=5)
    meet(world, 500)
    world.phase("W320", Phase.PRE_CLOSE)
    for account, side in ((1, SELL), (3, BUY)):
        world.place(account, side, 1, 700)
    for phase in (Phase.CLOSING_AUCTION, Phase.TRADE_AT_CLOSE):
        world.phase("W320", phase)
    world.place(1, SELL, 1, 700)
    assert len(trades(world.place(3, BUY, 1, 700))) == 1


@pytest.mark.parametrize(
    "fields", [{}, {"time_in_force": IOC}, {"price": None}, {"price": None, "ord_type": 5}], ids=repr
)
@pytest.mark.parametrize("smp", [Smp.CANCEL_RESTING, Smp.DECREMENT])
def test_a_pull_behind_many_trades_goes_through_any_buffer(fields: dict[str, Any], smp: Smp) -> None:
    ticks = 5 if "price" in fields else 15  # a market order has 10 ticks of protection

    def scene(world: World) -> tuple[Rows, bytes]:
        said = {"price": 999, **fields}
        for k in range(44):
            world.place((3, 4, 2)[k % 3], SELL, 1, 490 + k // 2)
        world.place(3, SELL, 9, 490 + ticks, display_qty=2)
        for k in range(3):
            world.stop(4, BUY, 1, 495 + k, 999)
        return world.order(1, BUY, 100, said.pop("price"), smp=smp, **said), b""

    def make() -> World:
        world = controlled(short_ticks=ticks)
        meet(world, 491)
        return world

    events = through_any_buffer(scene, make)
    assert kinds(events).count(EventKind.PHASE_CHANGED) == 1 and len(events) > 16
    assert max(price for _, _, price in trades(events)) <= 491 + ticks
    rests = not fields or "ord_type" in fields
    assert kinds(events)[-1] == (EventKind.AUCTION_INDICATIVE if not fields else
                                 EventKind.ORDER_ACTIVATED if rests else EventKind.ORDER_CANCELED)  # fmt: skip


# --- values and bands (R66, R68) -----------------------------------------------------------------------------

WORTH: dict[str, tuple[dict[str, Any], Phase, int]] = {
    "limit": ({"price": 300}, Phase.CONTINUOUS, 300),
    "stop_limit": ({"price": 300, "ord_type": 4, "flags": HAS_STOP, "stop_price": 900}, Phase.CONTINUOUS, 300),
    "stop": ({"price": None, "ord_type": 3, "flags": HAS_STOP, "stop_price": 900}, Phase.CONTINUOUS, 900),
    "market": ({"price": None}, Phase.CONTINUOUS, 410),
    "market_to_limit": ({"price": None, "ord_type": MARKET_TO_LIMIT}, Phase.CONTINUOUS, 410),
    "market in a call": ({"price": None}, Phase.PRE_OPEN, 1_000),
    "market kept aside": ({"price": None, "time_in_force": AT_CLOSE}, Phase.CONTINUOUS, 1_000),
    "market that meets nobody": ({"price": None, "side": SELL, "account": 1}, Phase.CONTINUOUS, 0),
    "suspended": ({"price": 900, "time_in_force": GTC}, Phase.HALTED, 900),
}  # fmt: skip


@pytest.mark.parametrize("case", WORTH)
@pytest.mark.parametrize("by", ["value", "law"])
def test_every_kind_of_order_is_valued_by_its_price(case: str, by: str) -> None:
    """7 lots at the price of R66 are as much as the largest value, or the law, lets in."""
    fields, phase, worth = WORTH[case]
    said = dict(fields)
    world = purse_world()
    world.act(CommandKind.MARGIN_SET, symbol="W320", ccy="USD", per_lot=0)
    world.place(1, SELL, 50, 400)
    if phase == Phase.HALTED:
        world.phase("W320", phase)
        world.act(CommandKind.CONTROL_SET, symbol="W320", limit_steps="200")
        world.act(CommandKind.LIMIT_SET, symbol="W320", step=1, settlement="500")
        phase = Phase.PRE_OPEN
    if phase != Phase.CONTINUOUS:
        world.phase("W320", phase)
    account, side, price = said.pop("account", 3), said.pop("side", BUY), said.pop("price")
    if by == "value":
        world.act(CommandKind.CONTROL_SET, symbol="W320", max_order_value=str(worth * 7 or 1))
        code = Code.MAX_ORDER_VALUE
    else:
        world.act(CommandKind.COLLATERAL_SET, account=f"A{account}", amount=worth * 7 * 100 // 20)
        code = Code.MARGIN
    assert int(world.place(account, side, 8, price, **said)["code"][0]) == (code if worth else Code.OK)
    assert int(world.place(account, side, 7, price, **said)["code"][0]) == Code.OK


def test_an_amend_is_valued_by_what_it_makes_of_the_order() -> None:
    world = controlled(max_order_value=str(3500 * 5000))
    world.stop(1, BUY, 10, 400)
    first = world.seq
    dear = Code.MAX_ORDER_VALUE
    for said, code in (({"stop": 501}, dear), ({"qty": 13}, dear), ({"stop": 500}, Code.OK), ({"qty": 11}, dear),
                       ({"qty": 5, "stop": 1000}, Code.OK)):  # fmt: skip
        assert int(world.amend(1, first, **said)["code"][0]) == code, said
    world.place(1, BUY, 20, 250)
    first = world.seq
    world.act(CommandKind.CONTROL_SET, symbol="W320", max_order_value="1")
    assert int(world.amend(1, first, cl_ord_id=b"n")["code"][0]) == Code.OK, "no price, no stop price, no quantity"
    assert int(world.amend(1, first, qty=1)["code"][0]) == Code.MAX_ORDER_VALUE, "even one that lessens"
    world.act(CommandKind.CONTROL_SET, symbol="W320", max_order_value="0.000")
    assert int(world.amend(1, first, qty=10**6)["code"][0]) == Code.OK


@pytest.mark.parametrize(("value", "most"), [("3.5", 4), ("3.499999", 3), ("0.999999", 1), ("0.000001", 0)])
def test_a_largest_value_is_rounded_down(value: str, most: int) -> None:
    """A lot at a price of one tick is worth 0.875."""
    world = World(terms=({"contract_size": 7, "tick": "0.125", "min_price": "-5.000", "max_price": "5.000"},))
    world.act(CommandKind.CONTROL_SET, symbol="W320", max_order_value=value)
    for price in (1, -1):
        assert int(world.place(1, BUY, most + 1, price)["code"][0]) == Code.MAX_ORDER_VALUE
        if most:
            assert int(world.place(1, BUY, most, price)["code"][0]) == Code.OK
    assert int(world.place(1, BUY, 10**6, 0)["code"][0]) == Code.OK


def test_the_largest_order_there_can_be_is_not_too_dear_for_the_largest_value() -> None:
    world = World(terms=({"max_price": "2000000000", "max_order_qty": 10**9, "contract_size": 1, "window_ticks": 64},),
                  limits=SMALL._replace(levels=1 << 14))  # fmt: skip
    for value, code in (("999999999999999.999999", Code.MAX_ORDER_VALUE), ("0", Code.OK)):
        world.act(CommandKind.CONTROL_SET, symbol="W320", max_order_value=value)
        assert int(world.place(1, BUY, 10**9, 2 * 10**9)["code"][0]) == code
    assert int(world.place(1, BUY, 10**6, 2 * 10**9)["code"][0]) == Code.OK


@pytest.mark.parametrize("side", [BUY, SELL])
def test_the_band_is_asked_of_whatever_has_a_price_of_its_own(side: int) -> None:
    world = controlled(band_ticks=3)
    sign = 1 if side == BUY else -1
    beyond, edge, better = 500 + 4 * sign, 500 + 3 * sign, 500 - 400 * sign
    assert int(world.stop(1, side, 1, 900, beyond)["code"][0]) == Code.MOVING_BAND
    assert int(world.stop(1, side, 1, 500 + 400 * sign, edge)["code"][0]) == Code.OK
    stop = world.seq
    assert int(world.stop(1, side, 1, 500 + 400 * sign)["code"][0]) == Code.OK, "a stop price may be anywhere"
    assert int(world.place(1, side, 1, better)["code"][0]) == Code.OK, "the other way there is no band"
    order = world.seq
    for order_id in (stop, order):
        assert int(world.amend(1, order_id, price=beyond)["code"][0]) == Code.MOVING_BAND
        assert int(world.amend(1, order_id, price=edge, qty=2)["code"][0]) == Code.OK
    world.act(CommandKind.CONTROL_SET, symbol="W320", band_ticks=1)
    assert int(world.amend(1, order, qty=1)["code"][0]) == Code.OK, "an amend without a price is not asked"
    assert int(world.amend(1, order, price=edge)["code"][0]) == Code.MOVING_BAND, "one with its own price is"
