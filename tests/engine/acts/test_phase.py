"""phase.set: which phase may follow which, ALL and groups, overrides, what entering a phase sets going, and the close
(R42, R43, R63 - R65)."""

from typing import Any

import pytest

from engine.dump import dump
from engine.phases import PHASES, Mode
from engine.schema import LAST, OVERRIDE, Code, CommandKind, EventKind, Phase, word
from tests.engine.world import AT_CLOSE, BUY, DAY, GTC, GTD, SELL, World, kinds, values

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]
SET, K, P = CommandKind.PHASE_SET, EventKind, Phase
THREE = ({}, {"symbol": "W240"}, {"symbol": "W450"})


def phases(world: World) -> list[str]:
    return [terms["phase"] for terms in dump(world.state)["instruments"]]


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_only_the_phases_of_the_table_follow_each_other(before: Phase, after: Phase) -> None:
    world = World(phase=before)
    row, *others = world.phase("W320", after)
    uncrosses = after in (P.OPENING_AUCTION, P.CLOSING_AUCTION) or (
        after == P.CONTINUOUS and PHASES[before].mode == Mode.CALL
    )
    if after in PHASES[before].next:
        assert [event["kind"] for event in others] == [K.AUCTION_UNCROSSED] * uncrosses
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
    assert world.phase("ALL", P.CONTINUOUS)["instrument"].tolist() == [1, 3, 1, 3], "and then they uncross"
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
     {"symbol": "NONE", "phase": "what"}, {"symbol": "W320", "phase": "closed", "when": "now"},
     {"symbol": "W320", "group": "G", "phase": "closed"}, {"group": "no group", "phase": "closed"},
     {"group": "", "phase": "closed"}, {"group": 1, "phase": "closed"},
     *({"symbol": "W320", "phase": "closed", "draw": draw} for draw in (-1, 3_600_001, "1", True)),
     *({"symbol": "W320", "phase": "halted", "override": held} for held in (-1, 2, "1", True)),
     {"symbol": "ALL", "phase": "halted", "override": 0}, {"group": "G", "phase": "halted", "override": 1},
     *({"symbol": "W320", "phase": "closed", "at_last_match": ends} for ends in (-1, 2, "1", False)),
     *({"symbol": "W320", "phase": word(phase), "at_last_match": 1} for phase in P
       if phase not in (P.SETTLEMENT, P.POST_CLOSE, P.CLOSED))],
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


def test_terms_come_before_the_symbol_and_that_before_the_table() -> None:
    world = World()
    assert world.act(SET, symbol="NONE", phase="closed", draw=-1)["code"].tolist() == [Code.BAD_TERMS]
    assert world.act(SET, symbol="NONE", phase="opening_auction")["code"].tolist() == [Code.UNKNOWN_INSTRUMENT]
    assert world.act(SET, group="NONE", phase="opening_auction")["code"].tolist() == [Code.UNKNOWN_INSTRUMENT]
    assert world.phase("W320", P.OPENING_AUCTION)["code"].tolist() == [Code.PHASE_TRANSITION]


def test_a_group_moves_together() -> None:
    world = World(terms=({"group": "G"}, {"symbol": "W240"}, {"symbol": "W450", "group": "G"}), phase=None)
    events = world.act(SET, group="G", phase="pre_open", draw=1_234)
    assert events["instrument"].tolist() == [1, 3] and events["qty"].tolist() == [1_234] * 2
    assert phases(world) == ["pre_open", "closed", "pre_open"]
    world.phase("W450", P.CONTINUOUS)
    assert world.act(SET, group="G", phase="no_cancel")["instrument"].tolist() == [1], "those that may"
    assert world.act(SET, group="G", phase="no_cancel")["code"].tolist() == [Code.PHASE_TRANSITION]
    assert world.act(SET, group="H", phase="closed")["code"].tolist() == [Code.UNKNOWN_INSTRUMENT]


def test_an_override_belongs_to_the_instrument_until_it_is_set_without_or_closes() -> None:
    world = World(terms=({"group": "G"}, {"symbol": "W240", "group": "G"}))

    def held() -> list[int]:
        return [terms["override"] for terms in dump(world.state)["instruments"]]

    (row,) = world.phase("W320", P.HALTED, override=1)
    assert (row["flags"], held()) == (LAST | OVERRIDE, [1, 0])
    for terms in ({"symbol": "ALL"}, {"group": "G"}):
        assert world.act(SET, phase="pre_open", **terms)["instrument"].tolist() == [2], "passed by"
        world.act(SET, symbol="W240", phase="continuous")
    (row,) = world.phase("W320", P.PRE_OPEN, override=1)
    assert row["flags"] == LAST | OVERRIDE
    (row,) = world.phase("W320", P.HALTED)
    assert (row["flags"], held()) == (LAST, [0, 0])
    assert world.phase("ALL", P.PRE_OPEN)["instrument"].tolist() == [1, 2]
    world.phase("W320", P.HALTED, override=1)
    (row,) = world.phase("W320", P.CLOSED, override=1)
    assert (row["flags"], held()) == (LAST, [0, 0])
    world.phase("W240", P.HALTED, override=1)
    assert world.phase("ALL", P.CLOSED)["code"].tolist() == [Code.PHASE_TRANSITION], "there is nothing else to close"


@pytest.mark.parametrize("phase", (P.SETTLEMENT, P.POST_CLOSE, P.CLOSED))
def test_an_end_at_the_last_match_names_it_and_trades_nothing(phase: Phase) -> None:
    world = World(terms=({}, {"symbol": "W240"}))
    for price in (500, 499):
        world.place(1, BUY, 1, price)
        world.place(3, SELL, 1, price)
    if phase == P.CLOSED:
        world.phase("ALL", P.PRE_CLOSE)
    world.place(1, BUY, 5, 499)
    if phase == P.CLOSED:
        world.place(3, SELL, 5, 498)
    events = world.phase("ALL", phase, at_last_match=1)
    told = [(int(row["order_id"]), int(row["price"])) for row in events if row["kind"] == K.PHASE_CHANGED]
    assert told == [(2, 499), (0, 0)]
    assert set(kinds(events)[2:]) == ({K.ORDER_EXPIRED} if phase == P.CLOSED else set())
    world = World()
    world.place(1, BUY, 1, 500)
    world.place(3, SELL, 1, 500)
    (row,) = world.phase("ALL", phase)
    assert not {"order_id", "price"} & set(values(row)), "only where it was asked for"


def test_the_last_trade_of_the_day_becomes_the_reference_price() -> None:
    world = World(terms=({"tick": "0.5", "min_price": "0.5", "max_price": "500.0", "reference_price": "100.0"},))
    world.phase("ALL", P.CLOSED)
    assert dump(world.state)["instruments"][0]["reference_price"] == "100.0", "a day without a trade"
    world.phase("ALL", P.CONTINUOUS)
    world.place(1, BUY, 1, 301)
    world.place(3, SELL, 1, 301)
    world.phase("ALL", P.CLOSED)
    (terms,) = dump(world.state)["instruments"]
    assert (terms["reference_price"], terms["last_price"]) == ("150.5", None)
    world.phase("ALL", P.PRE_OPEN)
    world.place(1, BUY, 5, 400)
    world.place(3, SELL, 5, 200)
    assert world.phase("ALL", P.OPENING_AUCTION)["price"].tolist()[1:] == [301, 301]


def test_the_close_expires_all_but_lasting_orders_that_are_priced_or_wait_as_stops() -> None:
    world = World(phase=P.PRE_OPEN)
    lasting = {"time_in_force": GTD, "expire_time": 1 << 60}
    kept, ended = [], []
    for fields, price, stays in (
        ({}, 100, False), ({"time_in_force": GTC}, 100, True), (lasting, 100, True),
        ({"time_in_force": GTC}, None, False), (lasting, None, False), ({"time_in_force": AT_CLOSE}, 100, False),
        ({"time_in_force": AT_CLOSE}, None, False), ({"time_in_force": GTC, "display_qty": 1}, 100, True),
    ):  # fmt: skip
        world.place(1, BUY, 3, price, **fields)
        (kept if stays else ended).append(world.seq)
    for fields, price, stays in (({}, None, False), ({"time_in_force": GTC}, None, True), (lasting, 90, True)):
        world.stop(1, SELL, 3, 400, price, **fields)
        (kept if stays else ended).append(world.seq)
    events = world.phase("ALL", P.CLOSED)
    assert kinds(events) == [K.PHASE_CHANGED] + [K.ORDER_EXPIRED] * len(ended)
    assert events["order_id"][1:].tolist() == ended
    assert sorted(order["order_id"] for order in dump(world.state)["orders"]) == kept


def test_what_is_left_in_a_call_that_ends_without_an_uncross_waits_for_the_next() -> None:
    world = World(phase=P.PRE_OPEN)
    world.place(1, BUY, 3, 101)
    world.place(3, SELL, 3, None)
    assert kinds(world.phase("ALL", P.HALTED)) == [K.PHASE_CHANGED]
    events = world.phase("ALL", P.PRE_OPEN)
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_INDICATIVE] and events["qty"].tolist() == [0, 3]
    assert kinds(world.phase("ALL", P.NO_CANCEL)) == [K.PHASE_CHANGED], "one call, told once"
    assert kinds(world.phase("ALL", P.CONTINUOUS)) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE]


def test_the_way_into_continuous_decides_about_an_uncross() -> None:
    """From a call always, from another phase if there is a volume, from the opening auction never (R54)."""
    world = World(phase=P.PRE_OPEN)
    assert kinds(world.phase("ALL", P.CONTINUOUS)) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED]
    world = World(phase=P.OPENING_AUCTION)
    assert kinds(world.phase("ALL", P.CONTINUOUS)) == [K.PHASE_CHANGED]
    assert kinds(world.phase("ALL", P.BREAK)) == [K.PHASE_CHANGED]
    world.place(1, BUY, 3, 101)
    assert kinds(world.phase("ALL", P.CONTINUOUS)) == [K.PHASE_CHANGED]
    world.phase("ALL", P.PRE_OPEN)
    world.place(1, BUY, 3, 101, time_in_force=GTC)
    world.place(3, SELL, 3, 100, time_in_force=GTC)
    world.phase("ALL", P.CLOSED)
    assert kinds(world.phase("ALL", P.CONTINUOUS)) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE]


def test_a_phase_set_tells_facts_first_and_then_what_they_bring_instrument_by_instrument() -> None:
    world = World(terms=THREE, phase=P.PRE_OPEN)
    for number in (3, 1, 2):
        world.place(1, BUY, number, 110, instrument=number)
        world.place(3, SELL, 3, 100, instrument=number)
        world.place(3, SELL, 4, None, instrument=number)
    events = world.phase("ALL", P.CONTINUOUS)
    assert events["instrument"].tolist() == [1, 2, 3, *(number for number in (1, 2, 3) for _ in range(3))]
    assert kinds(events)[3:] == [K.AUCTION_UNCROSSED, K.TRADE, K.ORDER_CANCELED] * 3


def test_orders_kept_aside_join_the_closing_call_in_the_order_of_their_waiting() -> None:
    world = World()
    made = []
    for side, price in ((BUY, 400), (SELL, None), (BUY, 410), (SELL, 400)):
        world.place(1 if side == BUY else 3, side, 4, price, time_in_force=AT_CLOSE)
        made.append(world.seq)
    world.amend(1, made[0], qty=5)  # which loses its place
    events = world.phase("ALL", P.PRE_CLOSE)
    assert kinds(events) == [K.PHASE_CHANGED] + [K.ORDER_ACTIVATED] * 4 + [K.AUCTION_INDICATIVE]
    assert events["order_id"][1:5].tolist() == [*made[1:], made[0]]
    assert (events["price"][5], events["qty"][5]) == (400, 8)
    assert not any(order["inactive"] for order in dump(world.state)["orders"])
    assert kinds(world.phase("ALL", P.CLOSE_NO_CANCEL)) == [K.PHASE_CHANGED]


def test_entering_continuous_elects_the_stops_that_the_last_trade_reaches() -> None:
    world = World(phase=P.PRE_OPEN)
    world.stop(1, BUY, 1, 500)
    world.stop(1, BUY, 1, 501)
    world.place(1, BUY, 2, 500)
    world.place(3, SELL, 2, 500)
    events = world.phase("ALL", P.CONTINUOUS)
    assert kinds(events) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED, K.TRADE, K.ORDER_TRIGGERED, K.ORDER_CANCELED]
    assert [order["stop_price"] for order in dump(world.state)["orders"]] == [501]


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
