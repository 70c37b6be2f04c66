"""phase.set: which phase may follow which, ALL and groups, overrides, what entering a phase sets going, the close, and
the end of a volatility call (R42, R43, R63 - R65, R67, R70)."""

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
     *({"symbol": "W320", "phase": "continuous", "auto": auto} for auto in (-1, 2, "1", True)),
     {"symbol": "ALL", "phase": "continuous", "auto": 1}, {"group": "G", "phase": "continuous", "auto": 1},
     *({"symbol": "W320", "phase": word(phase), "auto": 1} for phase in P if phase != P.CONTINUOUS),
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


# --- daily limits at the close (R67) -------------------------------------------------------------------------


LOCKED: dict[str, tuple[list[tuple[int, int, dict[str, Any]]], int, int]] = {
    "a buy at the high limit": ([(BUY, 510, {})], 1, BUY),
    "a sell at the low limit": ([(SELL, 490, {})], 1, SELL),
    "a buy below the high limit": ([(BUY, 509, {})], 1, 0),
    "a sell above the low limit": ([(SELL, 491, {})], 1, 0),
    "a buy at the low limit": ([(BUY, 490, {})], 1, 0),
    "a sell at the high limit": ([(SELL, 510, {})], 1, 0),
    "a buy with a sell in the book": ([(BUY, 510, {}), (SELL, 510, {})], 1, 0),
    "a sell with a buy in the book": ([(SELL, 490, {}), (BUY, 490, {})], 1, 0),
    "a buy with a suspended sell": ([(BUY, 510, {}), (SELL, 511, {"time_in_force": GTC})], 1, BUY),
    "nothing": ([], 1, 0),
    "no step": ([(BUY, 1_000, {})], 0, 0),
    "a sell without a step": ([(SELL, 1, {})], 0, 0),
}


@pytest.mark.parametrize("case", LOCKED)
def test_the_locked_side_is_found_before_anything_expires(case: str) -> None:
    orders, step, side = LOCKED[case]
    world = World(phase=None, terms=({}, {"symbol": "W240"}))
    world.act(CommandKind.CONTROL_SET, symbol="W320", limit_steps="200")
    world.act(CommandKind.LIMIT_SET, symbol="W320", settlement="500", step=step)
    world.phase("ALL", P.PRE_OPEN)
    for where, price, fields in orders:
        world.place(1 if where == BUY else 3, where, 1, price, **fields)
    world.phase("ALL", P.HALTED)
    events = world.phase("ALL", P.CLOSED)
    assert [int(row["side"]) for row in events if row["kind"] == K.PHASE_CHANGED] == [side, 0]
    assert dump(world.state)["instruments"][0]["limits"]["locked"] == side
    assert world.phase("ALL", P.PRE_OPEN)["side"].tolist() == [0, 0], "told at the close only"
    assert dump(world.state)["instruments"][0]["limits"]["locked"] == side, "until the next close"
    assert world.phase("ALL", P.CLOSED)["side"].tolist() == [0, 0]


def test_an_unpriced_buy_ranks_at_the_high_limit_and_locks_it() -> None:
    world = World(phase=None)
    world.act(CommandKind.CONTROL_SET, symbol="W320", limit_steps="200")
    world.act(CommandKind.LIMIT_SET, symbol="W320", settlement="500")
    world.phase("ALL", P.PRE_OPEN)
    world.place(1, BUY, 1, None)
    events = world.phase("ALL", P.CLOSED)
    assert kinds(events) == [K.PHASE_CHANGED, K.ORDER_EXPIRED] and events["side"][0] == BUY


# --- the end and the extension of a volatility call (R70) ----------------------------------------------------


def pulled(side: int = BUY, **fields: Any) -> World:
    """A volatility call: 4 lots reach 10 ticks beyond the last price, one waits 6 beyond it, and the bound is at 5."""
    world = World(terms=({}, {"symbol": "W240"}))
    world.act(CommandKind.CONTROL_SET, symbol="W320", short_ticks=5)
    other, sign = (SELL, 1) if side == BUY else (BUY, -1)
    world.place(1, other, 1, 500)
    world.place(3, side, 1, 500)
    world.place(1, other, 1, 500 + sign * 6)
    if fields:
        world.phase("W320", P.HALTED, **fields)
        world.phase("W320", P.PRE_OPEN, **fields)
        world.phase("W320", P.CONTINUOUS, **fields)
    events = world.place(3, side, 4, 500 + sign * 10)
    assert kinds(events) == [K.ORDER_ACCEPTED, K.PHASE_CHANGED, K.AUCTION_INDICATIVE]
    assert events["flags"].tolist() == [0, OVERRIDE if fields else 0, LAST]
    return world


def end_by_itself(world: World, **terms: Any) -> list[EventKind]:
    return kinds(world.act(SET, symbol="W320", phase="continuous", auto=1, **terms))


@pytest.mark.parametrize("side", (BUY, SELL))
def test_a_call_that_would_trade_beyond_the_bounds_goes_on(side: int) -> None:
    world = pulled(side)
    sign, other = (1, SELL) if side == BUY else (-1, BUY)
    for count in (1, 2, 3):
        (row,) = world.act(SET, symbol="W320", phase="continuous", auto=1, draw=50, why="x")
        told = values(row)
        assert {key: told[key] for key in ("kind", "instrument", "phase", "price", "qty", "reason", "flags")} == {
            "kind": K.CALL_EXTENDED, "instrument": 1, "phase": P.VOLATILITY_AUCTION, "price": 500 + sign * 10,
            "qty": 1, "reason": count, "flags": LAST,
        }  # fmt: skip
        assert phases(world)[0] == "volatility_auction"
    world.place(1, other, 5, 500 + sign * 5)  # now 500 ± 5 is the price, which is the bound itself
    events = world.act(SET, symbol="W320", phase="continuous", auto=1)
    assert kinds(events)[:2] == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED] and events["price"][1] == 500 + sign * 5


def test_a_call_without_a_price_ends() -> None:
    world = pulled()
    world.mass_cancel(1)
    assert end_by_itself(world) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED]


def test_without_auto_or_in_another_phase_or_set_by_an_act_a_call_ends() -> None:
    world = pulled()
    assert kinds(world.phase("W320", P.CONTINUOUS))[:2] == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED]
    world = pulled()
    world.phase("W320", P.HALTED)
    world.phase("W320", P.VOLATILITY_AUCTION)
    assert end_by_itself(world)[:2] == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED], "that call was set by an act"
    world = pulled()
    assert kinds(world.act(SET, symbol="W320", phase="continuous", auto=0))[0] == K.PHASE_CHANGED
    world = pulled()
    assert kinds(world.act(SET, symbol="W240", phase="continuous", auto=1)) == [K.ACT_REJECTED]
    world.phase("W240", P.HALTED)
    world.phase("W240", P.PRE_OPEN)
    assert kinds(world.act(SET, symbol="W240", phase="continuous", auto=1)) == [K.PHASE_CHANGED, K.AUCTION_UNCROSSED]


def test_the_bounds_are_those_of_the_pull_whatever_is_set_and_however_late_it_is() -> None:
    world = pulled()
    world.act(CommandKind.CONTROL_SET, symbol="W320", short_ticks=100)
    world.time += 10**12
    assert end_by_itself(world) == [K.CALL_EXTENDED]


def test_extensions_are_counted_by_call_and_told_up_to_255() -> None:
    world = pulled()
    world.checks = False
    told = [int(world.act(SET, symbol="W320", phase="continuous", auto=1)["reason"][0]) for _ in range(258)]
    assert told == [*range(1, 256), 255, 255, 255]
    world.phase("W320", P.CONTINUOUS)
    world.place(1, SELL, 1, 520)
    assert K.PHASE_CHANGED in kinds(world.place(4, BUY, 1, 520))
    assert world.act(SET, symbol="W320", phase="continuous", auto=1)["reason"].tolist() == [1]


def test_an_override_stays_with_a_call_that_the_trigger_begins() -> None:
    world = pulled(override=1)
    assert world.act(SET, phase="continuous", symbol="ALL")["code"].tolist() == [Code.PHASE_TRANSITION]
    assert end_by_itself(world, override=0) == [K.CALL_EXTENDED]
    assert dump(world.state)["instruments"][0]["override"] == 1, "an extension changes nothing else"
