"""auction.uncross: a call is uncrossed by an act and goes on (R54)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.phases import PHASES, Mode
from engine.schema import LAST, Code, CommandKind, EventKind, Phase
from tests.engine.world import BUY, SELL, World, assert_commands_are_framed, kinds, trades

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
UNCROSS, K = CommandKind.AUCTION_UNCROSS, EventKind


def call(phase: Phase = Phase.PRE_OPEN) -> World:
    return World(terms=({}, {"symbol": "W240"}), phase=phase)


def test_the_act_has_no_event_of_its_own_and_leaves_the_phase_as_it_is() -> None:
    world = call()
    world.place(1, BUY, 5, 101)
    world.place(3, SELL, 3, 100)
    sell = world.seq
    events = world.act(UNCROSS, symbol="W320", why="thử", by="O1")
    assert kinds(events) == [K.AUCTION_UNCROSSED, K.TRADE] and trades(events) == [(sell, 3, 101)]
    assert set(events["op"].tolist()) == {UNCROSS}
    assert_commands_are_framed(events)
    assert [terms["phase"] for terms in dump(world.state)["instruments"]] == ["pre_open"] * 2


def test_an_uncross_of_nothing_says_so() -> None:
    world = call()
    (row,) = world.act(UNCROSS, symbol="W240")
    assert (row["kind"], row["instrument"], row["price"], row["qty"], row["flags"], row["reason"]) == (
        K.AUCTION_UNCROSSED, 2, 0, 0, LAST, 6,
    )  # fmt: skip


def test_after_an_uncross_the_call_is_told_anew() -> None:
    world = call()
    world.place(1, BUY, 5, 101)
    world.place(3, SELL, 3, 100)
    world.act(UNCROSS, symbol="W320")
    events = world.place(3, SELL, 2, 101)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.AUCTION_INDICATIVE] and events["qty"].tolist() == [2, 2]
    assert kinds(world.cancel(3, world.seq)) == [K.ORDER_CANCELED, K.AUCTION_INDICATIVE]
    assert kinds(world.place(1, BUY, 1, 5)) == [K.ORDER_ACCEPTED], "there was no price before, and there is none"


def test_the_same_price_is_told_again_after_an_uncross() -> None:
    world = call()
    for _ in range(3):
        assert kinds(world.place(1, BUY, 3, 101)) == [K.ORDER_ACCEPTED], "no price is as last told"
        events = world.place(3, SELL, 3, 101)
        assert kinds(events) == [K.ORDER_ACCEPTED, K.AUCTION_INDICATIVE] and events["qty"][1] == 3
        world.act(UNCROSS, symbol="W320")


@pytest.mark.parametrize("phase", Phase)
def test_only_a_call_is_uncrossed(phase: Phase) -> None:
    world = call(phase)
    events = world.act(UNCROSS, symbol="W320")
    if PHASES[phase].mode == Mode.CALL:
        assert kinds(events) == [K.AUCTION_UNCROSSED] and events["phase"].tolist() == [phase]
    else:
        assert kinds(events) == [K.ACT_REJECTED] and events["code"].tolist() == [Code.NOT_IN_CALL]


@pytest.mark.parametrize(
    "terms",
    [{}, {"symbol": 1}, {"symbol": "no such"}, {"symbol": ""}, {"symbol": "W320", "phase": "closed"},
     {"symbol": "W320", "why": 1}, {"symbol": "W320", "by": "x" * 201}, {"group": "G"}],
    ids=repr,
)  # fmt: skip
def test_bad_terms(terms: dict[str, Any]) -> None:
    assert call().act(UNCROSS, **terms)["code"].tolist() == [Code.BAD_TERMS]


def test_refusals_in_their_order_change_nothing() -> None:
    world = call(Phase.CONTINUOUS)
    before = {**dump(world.state), "seq": 0, "time": 0}
    for terms, code in (
        ({"symbol": "NONE", "why": 1}, Code.BAD_TERMS),
        ({"symbol": "NONE"}, Code.UNKNOWN_INSTRUMENT),
        ({"symbol": "ALL"}, Code.UNKNOWN_INSTRUMENT),
        ({"symbol": "W320"}, Code.NOT_IN_CALL),
    ):
        assert world.act(UNCROSS, **terms)["code"].tolist() == [code]
        assert {**dump(world.state), "seq": 0, "time": 0} == before and not world.state.pending
    world = World(phase=None, day="2026-11-23")
    assert world.act(UNCROSS, symbol="NONE")["code"].tolist() == [Code.DAY_ORDER]
