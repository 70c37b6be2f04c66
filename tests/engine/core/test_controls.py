"""Bounds of the volatility trigger, and what pulling it does with the order that pulls (R69); bands, limits, values."""

from typing import Any

import pytest

from engine.core.controls import bounded, empty_windows, note_window
from engine.core.layout import BOUND_HIGH, BOUND_LOW, CONTROL_WORDS, INSTRUMENT_WORDS
from engine.dump import dump
from engine.schema import INACTIVE, Code, CommandKind, EventKind, Phase, Reason
from tests.engine.core.alone import alone
from tests.engine.world import BUY, FOK, GTC, IOC, MARKET_TO_LIMIT, SELL, World, behind, kinds, trades, views

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
