"""phase.set: which phase may follow which, ALL, and the expiry of day orders at the close (R42, R43)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.schema import PHASE_NEXT, Code, CommandKind, EventKind, Phase, word
from tests.engine.world import BUY, DAY, GTC, SELL, World, kinds

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
SET, K, P = CommandKind.PHASE_SET, EventKind, Phase
WAY = {P.CLOSED: (), P.PRE_OPEN: (P.PRE_OPEN,), P.CONTINUOUS: (P.CONTINUOUS,), P.HALTED: (P.PRE_OPEN, P.HALTED)}
THREE = ({}, {"symbol": "W240"}, {"symbol": "W450"})


def phases(world: World) -> list[str]:
    return [terms["phase"] for terms in dump(world.state)["instruments"]]


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_only_the_phases_of_the_table_follow_each_other(before: Phase, after: Phase) -> None:
    world = World(phase=None)
    for step in WAY[before]:
        world.phase("W320", step)
    (row,) = world.phase("W320", after)
    if after in PHASE_NEXT[before]:
        told = row["kind"], row["instrument"], row["phase"], row["reason"]
        assert told == (K.PHASE_CHANGED, 1, after, before) and phases(world) == [word(after)]
    else:
        assert (row["kind"], row["code"]) == (K.ACT_REJECTED, Code.PHASE_TRANSITION)
        assert phases(world) == [word(before)]


def test_all_moves_those_that_may_in_the_order_of_their_numbers() -> None:
    world = World(terms=THREE, phase=None)
    world.phase("W240", P.CONTINUOUS)
    world.phase("W240", P.HALTED)
    events = world.phase("ALL", P.PRE_OPEN)
    assert events["instrument"].tolist() == [1, 2, 3]
    assert events["reason"].tolist() == [P.CLOSED, P.HALTED, P.CLOSED]
    world.phase("W240", P.CONTINUOUS)
    assert world.phase("ALL", P.CONTINUOUS)["instrument"].tolist() == [1, 3]
    assert world.phase("ALL", P.CONTINUOUS)["code"].tolist() == [Code.PHASE_TRANSITION]


def test_all_of_a_venue_without_instruments_moves_nothing() -> None:
    world = World(terms=(), phase=None)
    assert world.phase("ALL", P.CONTINUOUS)["code"].tolist() == [Code.PHASE_TRANSITION]


@pytest.mark.parametrize(
    "terms",
    [{}, {"symbol": "W320"}, {"phase": "continuous"}, {"symbol": "W320", "phase": "CONTINUOUS"},
     {"symbol": "W320", "phase": "auction"}, {"symbol": "W320", "phase": 3}, {"symbol": "W320", "phase": ["closed"]},
     {"symbol": 1, "phase": "closed"}, {"symbol": "", "phase": "closed"}, {"symbol": "no such", "phase": "closed"},
     {"symbol": "W320", "phase": "closed", "why": 1}, {"symbol": "W320", "phase": "closed", "by": "x" * 201},
     {"symbol": "NONE", "phase": "what"}, {"symbol": "W320", "phase": "closed", "when": "now"}],
    ids=repr,
)  # fmt: skip
def test_bad_terms(terms: dict[str, Any]) -> None:
    world = World()
    events = world.act(SET, **terms)
    assert kinds(events) == [K.ACT_REJECTED] and events["code"].tolist() == [Code.BAD_TERMS]
    assert phases(world) == ["continuous"]


def test_an_unknown_symbol_and_a_reason_given() -> None:
    world = World()
    assert world.act(SET, symbol="NONE", phase="closed")["code"].tolist() == [Code.UNKNOWN_INSTRUMENT]
    assert kinds(world.act(SET, symbol="W320", phase="halted", why="mưa", by="O1")) == [K.PHASE_CHANGED]


def test_the_close_expires_the_day_orders_of_what_closes_by_rising_order_id() -> None:
    world = World(terms=THREE)
    made = {}
    for k in range(18):
        instrument, tif, side = 1 + k % 3, (DAY, GTC)[k % 4 == 0], (BUY, SELL)[k % 2]
        price = 500 - k if side == BUY else 600 + k
        world.place(1 + 2 * (k % 2), side, 1 + k, price, instrument=instrument, time_in_force=tif)
        made[world.seq] = (instrument, tif)
        if k in (4, 7):  # some have ended before
            world.cancel(1 + 2 * (k % 2), world.seq)
            del made[world.seq - 1]
    world.phase("W320", P.HALTED)
    events = world.phase("W240", P.CLOSED)
    expected = [order_id for order_id, what in made.items() if what == (2, DAY)]
    assert kinds(events) == [K.PHASE_CHANGED] + [K.ORDER_EXPIRED] * len(expected)
    assert events["order_id"][1:].tolist() == expected
    events = world.phase("ALL", P.CLOSED)
    expected = [order_id for order_id, what in made.items() if what[0] != 2 and what[1] == DAY]
    assert kinds(events) == [K.PHASE_CHANGED] * 2 + [K.ORDER_EXPIRED] * len(expected)
    assert events["order_id"][2:].tolist() == expected
    left = [order["order_id"] for order in dump(world.state)["orders"]]
    assert sorted(left) == [order_id for order_id, what in made.items() if what[1] == GTC]


def test_a_close_without_day_orders_is_one_event() -> None:
    world = World()
    world.place(1, BUY, 1, 100, time_in_force=GTC)
    assert kinds(world.phase("ALL", P.CLOSED)) == [K.PHASE_CHANGED]
    world.phase("ALL", P.CONTINUOUS)
    assert world.book()["bids"] == [(100, 1, [(world.seq - 2, 1)])]


def test_a_halt_expires_nothing() -> None:
    world = World()
    world.place(1, BUY, 1, 100)
    assert kinds(world.phase("ALL", P.HALTED)) == [K.PHASE_CHANGED]
    assert len(world.book()["bids"]) == 1
