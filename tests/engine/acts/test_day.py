"""day.open and day.start (R44)."""

from typing import Any

import pytest

from engine.core.layout import FRESH, OPEN, RESTATING, STAGE
from engine.dump import dump
from engine.schema import Code, CommandKind, EventKind, OrdType, Phase
from tests.engine.world import BUY, GTC, SELL, TERMS, World, kinds, trades

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
A, K = CommandKind, EventKind
GOOD = {"trading_day": "2028-02-29", "next_trade_id": 77}


def fresh() -> World:
    return World(accounts=(), terms=(), phase=None)


def stage(world: World) -> int:
    return int(world.state.arrays.h[STAGE])


def test_a_day_is_opened_restated_and_started() -> None:
    world = fresh()
    assert stage(world) == FRESH
    (row,) = world.act(A.DAY_OPEN, **GOOD)
    assert (row["kind"], row["qty"]) == (K.DAY_OPENED, 20280229) and stage(world) == RESTATING
    for name in ("A1", "A2"):
        world.act(A.ACCOUNT_DEFINE, account=name, member="M", owner=name)
    world.act(A.INSTRUMENT_DEFINE, **TERMS)
    world.seq = 500
    assert world.act(A.PHASE_SET, symbol="ALL", phase="continuous")["code"].tolist() == [Code.DAY_ORDER]
    for order_id in (9, 8):
        world.run(world.row(A.ORDER_RESTORE, account=1, instrument=1, side=SELL, ord_type=OrdType.LIMIT, price=5,
                            time_in_force=GTC, order_qty=3, min_qty=2, cl_ord_id=b"r%d" % order_id,
                            target_lo=order_id))  # fmt: skip
    (row,) = world.act(A.DAY_START)
    assert (row["kind"], row["qty"]) == (K.DAY_STARTED, 2) and stage(world) == OPEN
    assert (dump(world.state)["trading_day"], dump(world.state)["next_trade_id"]) == ("2028-02-29", 77)
    world.phase("ALL", Phase.CONTINUOUS)
    events = world.place(2, BUY, 3, 5)
    assert [(order_id, lots) for order_id, lots, _ in trades(events)] == [(9, 2), (8, 1)]
    assert world.state.next_trade_id == 79


@pytest.mark.parametrize(
    "change",
    [*({"trading_day": day} for day in ("2027-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "20261123", "0000-01-01",
                                        "2026-11-23T00:00", " 2026-11-23", "2026-11-23\n", "202\uff16-11-23", 20261123,
                                        None, ...)),
     *({"next_trade_id": number} for number in (0, -1, (1 << 62) + 1, "1", 1.0, True, None, ...)), {"why": "x"}],
    ids=repr,
)  # fmt: skip
def test_a_day_that_cannot_be_opened_leaves_the_venue_open_at_once(change: dict[str, Any]) -> None:
    world = fresh()
    terms = {key: value for key, value in {**GOOD, **change}.items() if value is not ...}
    events = world.act(A.DAY_OPEN, **terms)
    assert kinds(events) == [K.ACT_REJECTED] and events["code"].tolist() == [Code.BAD_TERMS]
    assert stage(world) == OPEN and world.state.trading_day == "" and world.state.next_trade_id == 1
    assert world.act(A.DAY_OPEN, **GOOD)["code"].tolist() == [Code.DAY_ORDER]


@pytest.mark.parametrize(("day", "number"), [("0001-01-01", 10101), ("9999-12-31", 99991231)])
def test_the_first_and_the_last_day_of_the_calendar(day: str, number: int) -> None:
    (row,) = fresh().act(A.DAY_OPEN, trading_day=day, next_trade_id=1 << 62)
    assert row["qty"] == number


@pytest.mark.parametrize("first", (A.CLOCK_TICK, A.ORDER_PLACE, A.ORDER_RESTORE, A.DAY_START, 0, 255))
def test_whatever_comes_first_decides_that_there_is_no_restatement(first: int) -> None:
    world = fresh()
    world.run(world.row(first, target_hi=2), payload=b"{}")
    assert stage(world) == OPEN
    assert world.act(A.DAY_OPEN, **GOOD)["code"].tolist() == [Code.DAY_ORDER]
    assert world.act(A.DAY_START)["code"].tolist() == [Code.DAY_ORDER]
    assert kinds(world.act(A.ACCOUNT_DEFINE, account="A", member="M", owner="B")) == [K.ACCOUNT_DEFINED]


def test_order_comes_before_terms() -> None:
    world = World()
    assert world.act(A.DAY_OPEN, b"junk")["code"].tolist() == [Code.DAY_ORDER]
    assert world.act(A.DAY_START, b"junk")["code"].tolist() == [Code.DAY_ORDER]


def test_a_start_with_terms_is_refused_and_the_restatement_goes_on() -> None:
    world = fresh()
    world.act(A.DAY_OPEN, **GOOD)
    assert world.act(A.DAY_START, why="x")["code"].tolist() == [Code.BAD_TERMS]
    assert stage(world) == RESTATING
    assert kinds(world.act(A.DAY_START)) == [K.DAY_STARTED]
    assert world.act(A.DAY_START)["code"].tolist() == [Code.DAY_ORDER]
