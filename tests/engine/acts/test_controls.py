"""control.set and limit.set: what is named, what is refused, the steps of the daily limits, and what they touch."""

from typing import Any

import pytest

from engine.dump import dump
from engine.phases import PHASES, Mode
from engine.schema import Code, CommandKind, EventKind, Phase, Reason
from tests.engine.world import AT_CLOSE, BUY, GTC, SELL, World, kinds

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

CONTROL, LIMIT = CommandKind.CONTROL_SET, CommandKind.LIMIT_SET


def closed(**controls: Any) -> World:
    world = World(phase=None)
    if controls:
        world.act(CONTROL, symbol="W320", **controls)
    return world


def limits(world: World) -> tuple[int, int, int]:
    found = dump(world.state)["instruments"][0]["limits"]
    return found["step"], found["low"], found["high"]


def refused(world: World, kind: CommandKind, code: Code, **terms: Any) -> None:
    before = {**dump(world.state), "seq": 0, "time": 0}
    (event,) = world.act(kind, **terms)
    assert (event["kind"], event["code"]) == (EventKind.ACT_REJECTED, code), terms
    assert {**dump(world.state), "seq": 0, "time": 0} == before


def test_what_is_named_replaces_what_was_and_the_rest_stays() -> None:
    world = closed(band_ticks=3, limit_steps="500,750")
    (event,) = world.act(CONTROL, symbol="W320", band_ticks=4, why="wider")
    assert event["kind"] == EventKind.CONTROLS_SET and event["instrument"] == 1
    assert dump(world.state)["instruments"][0]["controls"] == {"band_ticks": 4, "limit_steps": "500,750"}


@pytest.mark.parametrize(
    "terms",
    [
        {}, {"band_ticks": -1}, {"band_ticks": 2 * 10**9 + 1}, {"band_ticks": "1"}, {"band_ticks": True},
        {"short_ms": 7}, {"long_ms": 86_400_001}, {"max_order_value": 5}, {"max_order_value": "-1"},
        {"max_order_value": "1" * 16}, {"max_order_value": "1.1234567"}, {"limit_steps": "0"},
        {"limit_steps": "500,500"}, {"limit_steps": "750,500"}, {"limit_steps": "10001"}, {"limit_steps": "1,2,3,4"},
        {"limit_steps": 500}, {"limit_free_from": "2026-02-30"}, {"limit_free_from": 20260301}, {"group": "G"},
        {"symbol": "ALL"}, {"colour": 1}, {"why": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_bad_terms_of_controls(terms: dict[str, Any]) -> None:
    good = {"symbol": "W320", **({} if terms in ({}, {"colour": 1}, {"why": 1}) else {"short_ticks": 1})}
    refused(closed(), CONTROL, Code.BAD_TERMS, **{**good, **terms})


@pytest.mark.parametrize(
    "terms",
    [
        {"step": 3}, {"step": -1}, {"step": 4}, {"settlement": "0"}, {"settlement": "1001"}, {"settlement": "1.5"},
        {"settlement": 5}, {"locked": 1}, {"side": 1}, {"symbol": "ALL"}, {"group": "G"},
    ],
    ids=repr,
)  # fmt: skip
def test_bad_terms_of_limits(terms: dict[str, Any]) -> None:
    refused(closed(limit_steps="500,750"), LIMIT, Code.BAD_TERMS, **{"symbol": "W320", **terms})


def test_whom_an_act_means() -> None:
    refused(closed(), CONTROL, Code.UNKNOWN_INSTRUMENT, symbol="NOBODY", band_ticks=1)
    refused(closed(), LIMIT, Code.UNKNOWN_INSTRUMENT, group="nobody")
    refused(World(), LIMIT, Code.PHASE, symbol="W320")
    world = World(terms=({"group": "G"}, {"symbol": "W240", "group": "G"}))
    world.phase("W240", Phase.HALTED)
    events = world.act(LIMIT, group="G")
    assert events["instrument"].tolist() == [2], "one that trades is passed by"


def test_the_width_is_rounded_down_and_held_within_the_band() -> None:
    world = closed(limit_steps="500,10000")
    world.act(LIMIT, symbol="W320", settlement="519", step=1)
    assert limits(world) == (1, 519 - 25, 519 + 25)
    world.act(LIMIT, symbol="W320", step=2)
    assert limits(world) == (2, 1, 1000)
    world.act(LIMIT, symbol="W320", step=0)
    assert limits(world) == (0, 1, 1000)


def test_a_run_of_locked_days_widens_the_limits() -> None:
    world = closed(limit_steps="100,200,300")
    steps = []
    for side in (0, BUY, BUY, SELL, SELL, 0, BUY, BUY, BUY):
        world.act(LIMIT, symbol="W320", settlement="500")
        step, low, high = limits(world)
        steps.append(step)
        world.phase("W320", Phase.PRE_OPEN)
        world.phase("W320", Phase.CONTINUOUS)
        if side:
            world.place(1, side, 1, high if side == BUY else low)
        (event, *_) = world.phase("W320", Phase.CLOSED)
        assert event["side"] == side
    assert steps == [1, 1, 2, 3, 2, 3, 1, 2, 3]


def test_no_limits_from_a_day_on() -> None:
    for day, step in (("2026-02-27", 1), ("2026-02-28", 0), ("2026-03-02", 0)):
        world = World(phase=None, day=day)
        world.act(CONTROL, symbol="W320", limit_steps="500", limit_free_from="2026-02-28")
        world.act(LIMIT, symbol="W320")
        assert limits(world)[0] == step


def test_new_limits_cancel_suspend_and_bring_back() -> None:
    world = World()
    world.act(CONTROL, symbol="W320", limit_steps="100,200")
    world.place(1, BUY, 2, 494)
    world.place(1, BUY, 3, 494, time_in_force=GTC)
    world.place(1, BUY, 4, 495)
    world.place(3, SELL, 5, 506, time_in_force=GTC, display_qty=2)
    world.place(3, SELL, 6, 700, time_in_force=AT_CLOSE)
    first = world.seq - 4
    world.phase("W320", Phase.HALTED)
    events = world.act(LIMIT, symbol="W320", settlement="500", step=1)
    assert [(int(row["kind"]), int(row["order_id"])) for row in events[1:]] == [
        (EventKind.ORDER_CANCELED, first), (EventKind.ORDER_SUSPENDED, first + 1),
        (EventKind.ORDER_SUSPENDED, first + 3),
    ]  # fmt: skip
    assert events[1]["reason"] == Reason.PRICE_LIMIT
    events = world.act(LIMIT, symbol="W320", step=2)
    assert [(int(row["kind"]), int(row["order_id"]), int(row["delta_qty"])) for row in events[1:]] == [
        (EventKind.ORDER_ACTIVATED, first + 1, 0), (EventKind.ORDER_ACTIVATED, first + 3, 2),
    ]  # fmt: skip
    assert kinds(world.phase("W320", Phase.PRE_CLOSE))[1] == EventKind.ORDER_CANCELED, "at_close, outside"


@pytest.mark.parametrize("phase", Phase)
def test_limits_are_set_where_nothing_trades_and_no_uncross_has_just_been(phase: Phase) -> None:
    world = World(phase=phase)
    quiet = PHASES[phase].mode == Mode.NONE and phase not in (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)
    if quiet:
        (event,) = world.act(LIMIT, symbol="W320", settlement="321")
        assert (event["kind"], event["phase"], event["qty"]) == (EventKind.LIMITS_SET, phase, 321)
    else:
        refused(world, LIMIT, Code.PHASE, symbol="W320", settlement="321")
    assert kinds(world.act(CONTROL, symbol="W320", band_ticks=0)) == [EventKind.CONTROLS_SET], "those in any phase"


def test_terms_come_before_the_symbol_and_that_before_the_phase() -> None:
    world = World(terms=({"group": "G"}, {"symbol": "W240"}))
    for settlement in ("x", "", "1e3", "1.", 500, None):
        refused(world, LIMIT, Code.BAD_TERMS, symbol="NOBODY", settlement=settlement)
    for terms in ({"step": -1}, {"settlement": "500", "group": "G"}, {"why": 1}, {"symbol": "W320", "group": "G"}, {}):
        refused(world, LIMIT, Code.BAD_TERMS, **terms)
    refused(world, LIMIT, Code.UNKNOWN_INSTRUMENT, symbol="NOBODY", settlement="0.001", step=3)
    refused(world, LIMIT, Code.BAD_TERMS, symbol="W320", settlement="0.5")
    refused(world, LIMIT, Code.BAD_TERMS, symbol="W320", step=1)
    refused(world, LIMIT, Code.PHASE, symbol="W320", settlement="1")
    refused(world, CONTROL, Code.UNKNOWN_INSTRUMENT, group="H", band_ticks=1)
    refused(world, CONTROL, Code.BAD_TERMS, group="H", band_ticks=-1)


def test_a_group_has_its_controls_and_limits_set_in_the_order_of_numbers() -> None:
    terms = ({"group": "G"}, {"symbol": "V"}, {"symbol": "X", "group": "G", "min_price": "-1000"})
    world = World(phase=None, terms=terms)
    events = world.act(CONTROL, group="G", limit_steps="1000,2000", why="thử", by="O1")
    assert events["instrument"].tolist() == [1, 3]
    world.act(CONTROL, symbol="X", limit_steps="1000")
    refused(world, LIMIT, Code.BAD_TERMS, group="G", step=2)
    events = world.act(LIMIT, group="G", step=1, why="x", by="y")
    assert events["instrument"].tolist() == [1, 3] and events["price"].tolist() == [450, 0]
    assert events["old_price"].tolist() == [550, 0] and events["qty"].tolist() == [500, 0]
    assert dump(world.state)["instruments"][1]["limits"]["step"] == 0


@pytest.mark.parametrize(
    ("settlement", "points", "low", "high"),
    [("-519", "500", -544, -494), ("519", "1", 519, 519), ("-1", "10000", -2, 0), ("999", "9999", 1, 1_000),
     ("-999", "10000", -1_000, 0), ("0", "10000", 0, 0), ("1000", "10", 999, 1_000), ("-1000", "10", -1_000, -999)],
)  # fmt: skip
def test_widths_below_zero_and_at_the_ends_of_the_band(settlement: str, points: str, low: int, high: int) -> None:
    world = World(phase=None, terms=({"min_price": "-1000"},))
    world.act(CONTROL, symbol="W320", limit_steps=points)
    world.act(LIMIT, symbol="W320", settlement=settlement, step=1)
    assert limits(world) == (1, low, high)


def test_a_step_and_a_side_are_restated_and_without_a_step_they_follow() -> None:
    world = World(phase=None, day="2026-11-23")
    world.act(CONTROL, symbol="W320", limit_steps="100,200,300")
    steps: list[tuple[dict[str, int], tuple[int, int, int]]] = [
        ({"step": 1, "locked": BUY}, (1, 0, BUY)), ({"step": 2}, (2, 0, BUY)),
        ({"step": 2, "side": BUY}, (2, BUY, BUY)), ({"locked": SELL, "side": SELL}, (3, BUY, BUY)),
        ({}, (3, BUY, BUY)), ({"step": 3, "locked": SELL}, (3, BUY, SELL)), ({}, (2, SELL, SELL)),
        ({}, (3, SELL, SELL)), ({"step": 0, "side": 0}, (0, 0, SELL)), ({}, (1, SELL, SELL)),
        ({"step": 2, "locked": 0}, (2, SELL, 0)), ({}, (1, 0, 0)),
    ]  # fmt: skip
    for said, expected in steps:
        (event,) = world.act(LIMIT, symbol="W320", **said)
        found = dump(world.state)["instruments"][0]["limits"]
        assert (found["step"], found["side"], found["locked"]) == expected, said
        assert (event["reason"], event["side"]) == (expected[0], expected[2])


def test_a_venue_without_a_trading_day_is_never_free_and_one_without_steps_always() -> None:
    world = closed(limit_steps="500", limit_free_from="2000-01-01")
    world.act(LIMIT, symbol="W320")
    assert limits(world) == (1, 475, 525)
    world.act(CONTROL, symbol="W320", limit_steps="")
    assert limits(world) == (1, 475, 525), "a control touches no limits that are set"
    world.act(LIMIT, symbol="W320")
    assert limits(world) == (0, 1, 1_000)
    world = World(phase=None, day="2026-11-23")
    world.act(CONTROL, symbol="W320", limit_steps="500", limit_free_from="2026-11-23")
    world.act(CONTROL, symbol="W320", limit_free_from="")
    world.act(LIMIT, symbol="W320")
    assert limits(world)[0] == 1
