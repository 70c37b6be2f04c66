"""Bad input of every rule is answered by one coded refusal, and leaves all that can be seen as it was.

The tables say what breaks which rule; a mutation property looks for what they do not say.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.lane import PLAIN
from engine.schema import (
    ACT_FIRST,
    CODE_RULE,
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    LAST,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Reason,
    TimeInForce,
)
from tests.flow_odd import DAMAGE, ODD_VALUES
from tests.properties.bad_input_acts import ACTS, BAD_TERMS, OUTSIDE, Act, as_text, spoiled
from tests.properties.bad_input_table import BAD, Bad, fields_of
from tests.properties.bad_input_world import LATE, World, placing
from tests.properties.pair import Rows
from tests.properties.seen import BESIDE, REFERENCE, Venue, kinds, refusal

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

DEEP: Final = "levels"  # the world with thousands of levels
WORLDS: Final = sorted({bad.world for bad in BAD})
THIN: Final = 12 if PLAIN else 1  # uncompiled, every so manieth command


def refused(venue: Venue, rows: Rows, payload: bytes, before: dict[str, Any], *, deep: bool = False) -> Code:
    """Send what must be refused; the code, if nothing has changed."""
    code = refusal(venue.run(rows, payload))
    assert code, "accepted"
    assert venue.seen(deep=deep) == before, "a refusal changes nothing"
    return code


def row_of(bad: Bad, world: World) -> tuple[Rows, bytes]:
    """The command of a line of the table."""
    if bad.kind in set(CommandKind) and bad.kind >= ACT_FIRST:
        text = as_text(bad.fields)
        return world.venue.row(bad.kind, target_hi=len(text)), text
    return world.venue.row(bad.kind, **fields_of(bad, world)), b""


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("name", WORLDS)
def test_bad_input_is_refused_with_its_code_and_changes_nothing(name: str, beside: str) -> None:
    """Every line of the table, one after the other in one venue, which stays as it is."""
    if PLAIN and name == DEEP:
        pytest.skip("thousands of orders are slow uncompiled")
    deep = name == DEEP
    world = World(name, paired=beside == REFERENCE)
    before, found = world.venue.seen(deep=deep), []
    for bad in [bad for bad in (*BAD, *BAD_TERMS) if bad.world == name][::THIN]:
        try:
            code = refused(world.venue, *row_of(bad, world), before, deep=deep)
            if code != bad.code:
                found.append(f"{bad.name}: {code.name}")
        except AssertionError as wrong:
            found.append(f"{bad.name}: {wrong}"[:400])
            world = World(name, paired=beside == REFERENCE)
    assert not found, "\n".join(found)
    world.venue.check()


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("number", range(len(ACTS)), ids=lambda n: f"{ACTS[n].kind.name.lower()}-{n}")
def test_an_act_with_a_wrong_payload_is_refused_and_changes_nothing(number: int, beside: str) -> None:
    """R40 to R78: keys missing, unknown, twice, of another type, out of range; texts that are no JSON, or no UTF-8."""
    act, paired = ACTS[number], beside == REFERENCE
    world = World(act.world, paired=paired)
    before, found = world.venue.seen(), []
    for what, text in list(spoiled(act))[:: 4 * THIN if PLAIN else 1]:
        try:
            code = refused(world.venue, world.venue.row(act.kind, target_hi=len(text)), text, before)
            if code != Code.BAD_TERMS:
                found.append(f"{what}: {code.name}")
        except AssertionError as wrong:
            found.append(f"{what}: {wrong}"[:400])
            world = World(act.world, paired=paired)
        if act.world == "fresh":
            # Even a refused command is the first of a venue (R44).
            world = World(act.world, paired=paired)
    assert not found, f"{act.kind.name}:\n" + "\n".join(found)


@pytest.mark.parametrize("beside", BESIDE)
def test_an_act_whose_payload_lies_outside_is_refused(beside: str) -> None:
    """R40: the place that target names must lie in the payload section, however far it is."""
    world = World("open", paired=beside == REFERENCE)
    before = world.venue.seen()
    for kind in CommandKind:
        for low, size in OUTSIDE[:: 6 * THIN if PLAIN else 1]:
            if kind >= ACT_FIRST and kind != CommandKind.DAY_OPEN:
                row = world.venue.row(kind, target_lo=low, target_hi=size)
                out_of_place = kind in (
                    *(CommandKind.DAY_START, CommandKind.POSITION_RESTORE, CommandKind.BALANCE_RESTORE),
                )
                code = Code.DAY_ORDER if out_of_place else Code.BAD_TERMS
                assert refused(world.venue, row, b"{}", before) == code, (kind, low, size)


@pytest.mark.parametrize("beside", BESIDE)
def test_acts_as_they_should_be_are_carried_out(beside: str) -> None:
    """What the acts above are spoiled from is good, with all its keys and with those alone that it must have."""
    for act in ACTS:
        for left_out in ("", act.optional):
            world = World(act.world, paired=beside == REFERENCE)
            terms = {key: value for key, value in act.terms.items() if key not in left_out.split()}
            if act.kind == CommandKind.CONTROL_SET and left_out:
                terms["band_ticks"] = 1  # one of the controls it must have
            world.venue.must(act.kind, **terms)
            world.venue.seen()


@pytest.mark.parametrize("beside", BESIDE)
def test_each_act_is_refused_out_of_its_place_in_the_day(beside: str) -> None:
    """R44: restores in an open venue, phases and uncrosses in a restatement; day.open late, day.start twice."""
    opening = {CommandKind.DAY_OPEN, CommandKind.DAY_START}
    restoring = {CommandKind.POSITION_RESTORE, CommandKind.BALANCE_RESTORE, CommandKind.DAY_START}
    trading = {CommandKind.PHASE_SET, CommandKind.AUCTION_UNCROSS}
    for name, misplaced in (("open", opening | restoring), ("restating", trading | {CommandKind.DAY_OPEN})):
        world = World(name, paired=beside == REFERENCE)
        before = world.venue.seen()
        for act in ACTS:
            if act.kind in misplaced:
                text = as_text(act.terms)
                row = world.venue.row(act.kind, target_hi=len(text))
                assert refused(world.venue, row, text, before) == Code.DAY_ORDER, act.kind


@pytest.mark.parametrize("beside", BESIDE)
def test_a_day_does_not_start_from_positions_that_do_not_balance(beside: str) -> None:
    """R78: what one account has bought another has sold."""
    world = World("restating", paired=beside == REFERENCE)
    world.venue.must(CommandKind.POSITION_RESTORE, account="A1", symbol="S2", lots=1)
    before = world.venue.seen()
    assert refused(world.venue, world.venue.row(CommandKind.DAY_START, target_hi=2), b"{}", before) == Code.BAD_TERMS


@pytest.mark.parametrize("beside", BESIDE)
def test_the_sixteenth_currency_is_refused(beside: str) -> None:
    """R41: accounts, margins, fees and fixings name at most 15 of them."""
    world = World("restating", paired=beside == REFERENCE)
    fixing = {"date": "2026-11-23", "ccy": "USD", "rate": "1"}
    for number in range(14):
        world.venue.must(CommandKind.FIXING_SET, **fixing, per=f"C{number}")
    before = world.venue.seen()
    fees = {"basis": "lot", "taker": 1, "maker": 1, "auction": 1}
    for kind, terms in (
        (CommandKind.FIXING_SET, {**fixing, "per": "CX"}),
        (CommandKind.MARGIN_SET, {"symbol": "S1", "ccy": "CX", "per_lot": 1}),
        (CommandKind.FEE_SET, {"symbol": "S1", "ccy": "CX", **fees}),
        (CommandKind.ACCOUNT_DEFINE, {"account": "A8", "member": "M8", "owner": "B8", "ccy": "CX"}),
    ):
        text = as_text(terms)
        assert refused(world.venue, world.venue.row(kind, target_hi=len(text)), text, before) == Code.BAD_TERMS


@pytest.mark.parametrize("beside", BESIDE)
def test_an_amend_to_what_is_filled_cancels(beside: str) -> None:
    """R30: not an error: at or below cum_qty the order is done."""
    for qty in range(1, 5):
        world = World("open", paired=beside == REFERENCE)
        target = world.orders["part"]
        events = world.venue.send(
            CommandKind.ORDER_AMEND, account=1, target_lo=target, flags=HAS_QTY, order_qty=qty, cl_ord_id=b"fresh"
        )
        assert kinds(events) == [EventKind.ORDER_CANCELED] and refusal(events) == Code.OK
        (event,) = events
        assert (event["order_id"], event["reason"]) == (target, Reason.AMENDED_TO_FILLED)
        assert (event["qty"], event["leaves_qty"], event["cum_qty"], event["delta_qty"]) == (9, 0, 4, 5)
        row = world.venue.row(CommandKind.ORDER_PLACE, **placing(cl_ord_id=b"fresh"))
        assert refusal(world.venue.run(row)) == Code.OK, "the new id is not consumed"


# --- the table itself -----------------------------------------------------------------------------------------------


def test_every_refusal_has_bad_input_and_every_act_stands_in_the_table() -> None:
    lines = (*BAD, *BAD_TERMS)
    assert {bad.code for bad in lines} == set(Code) - {Code.OK} == set(CODE_RULE)
    assert {act.kind for act in ACTS} == {kind for kind in CommandKind if kind >= ACT_FIRST}
    assert {bad.kind for bad in BAD if bad.kind < ACT_FIRST} >= {kind for kind in CommandKind if kind < ACT_FIRST}
    for act in ACTS:
        integers = {key for key, value in act.terms.items() if type(value) is int}
        bounded = {key for other in ACTS if other.kind == act.kind for key in other.ranges}
        assert integers <= bounded, f"{act.kind.name} has integers without a range"


def test_two_lines_of_the_table_are_not_alike() -> None:
    names = [bad.name for bad in (*BAD, *BAD_TERMS)]
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}


# --- mutations ------------------------------------------------------------------------------------------------------

GOOD: Final[list[tuple[str, int, dict[str, Any]]]] = [
    *(("open", CommandKind.ORDER_PLACE, {"time_in_force": tif}) for tif in list(TimeInForce)[:4]),
    ("open", CommandKind.ORDER_PLACE, {"time_in_force": TimeInForce.GTD, "expire_time": LATE, "display_qty": 2}),
    ("open", CommandKind.ORDER_PLACE, {"time_in_force": TimeInForce.AT_CLOSE}),
    ("open", CommandKind.ORDER_PLACE, {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY, "min_qty": 2}),
    ("open", CommandKind.ORDER_PLACE, {"ord_type": OrdType.MARKET_TO_LIMIT, "instrument": 2}),
    ("open", CommandKind.ORDER_PLACE, {"ord_type": OrdType.STOP, "stop_price": 1030}),
    ("open", CommandKind.ORDER_PLACE, {"ord_type": OrdType.STOP_LIMIT, "stop_price": 900, "account": 4}),
    ("open", CommandKind.ORDER_PLACE, {"instrument": 3, "account": 3}),
    *(
        ("open", CommandKind.ORDER_AMEND, {"target": name, "flags": HAS_QTY | HAS_PRICE, "order_qty": 6, "price": 990})
        for name in ("live", "iceberg", "aside", "suspended", "stop_limit", "part")
    ),
    ("open", CommandKind.ORDER_AMEND, {"target": "stop", "flags": HAS_STOP, "stop_price": 1005}),
    ("open", CommandKind.ORDER_AMEND, {"target": "gtd", "flags": HAS_EXPIRE, "expire_time": LATE + 1}),
    ("open", CommandKind.ORDER_AMEND, {"target": "unpriced", "flags": HAS_QTY, "order_qty": 7, "cl_ord_id": b"two"}),
    *(("open", CommandKind.ORDER_CANCEL, {"target": name}) for name in ("live", "stop", "suspended")),
    ("open", CommandKind.ORDER_MASS_CANCEL, {}),
    ("open", CommandKind.DISCONNECT, {"client_session": 1}),
    ("open", CommandKind.CLOCK_TICK, {}),
    ("restating", CommandKind.ORDER_RESTORE, {}),
    ("restating", CommandKind.ORDER_RESTORE, {"display_qty": 2, "target_hi": 1, "price": 500}),
    ("restating", CommandKind.ORDER_RESTORE, {"ord_type": OrdType.STOP_LIMIT, "stop_price": 1030, "account": 4}),
]
MOST: Final = 5  # commands of an example
FIELDS: Final = ("kind", "time", *DAMAGE)
assert COMMAND.names is not None and set(FIELDS) | {"seq"} == set(COMMAND.names), "every field is mutated but seq"


@cache
def extremes(field: str) -> list[Any]:
    """The ends of a field's type and what stands next to them, and what the order flow knows to be odd."""
    assert COMMAND.fields is not None
    kind = COMMAND.fields[field][0]
    if kind.kind == "S":
        return list(DAMAGE[field])
    low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    ends = {low, low + 1, low // 2, -1, 0, 1, 2, high // 2, high - 1, high}
    return sorted({value for value in ends | set(DAMAGE.get(field, ())) if low <= value <= high})


mutations = st.lists(
    st.sampled_from(FIELDS).flatmap(lambda field: st.tuples(st.just(field), st.sampled_from(extremes(field)))),
    min_size=1,
    max_size=3,
)
orders = st.tuples(st.integers(0, len(GOOD) - 1), mutations)
odd_acts = st.tuples(
    st.sampled_from(ACTS).filter(lambda act: act.world != "fresh"),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from((*ODD_VALUES, "\ud800"))), max_size=2),
)


def answered(world: World, rows: Rows, payload: bytes) -> None:
    """Whatever it is, it has events, framed as R1 wants them, and a refusal changes nothing."""
    venue = world.venue
    before = venue.seen()
    events = venue.run(rows, payload)
    assert len(events) >= 1 and events["index"].tolist() == list(range(len(events)))
    assert (events["flags"] & LAST).tolist() == [0] * (len(events) - 1) + [LAST]
    if refusal(events):
        assert venue.seen() == before, "a refusal changes nothing"


def sent(world: World, one: Any) -> tuple[Rows, bytes]:
    """The row of a mutated command, or of an act with odd terms."""
    if isinstance(one[0], Act):
        act, changes = one
        terms = dict(act.terms)
        for place, value in changes:
            terms[[*terms, "colour"][place % (len(terms) + 1)]] = value
        text = as_text(terms)
        return world.venue.row(act.kind, target_hi=len(text)), text
    number, changes = one
    name, kind, fields = GOOD[number]
    row = world.venue.row(kind, **fields_of(Bad(0, Code.OK, kind, fields, name), world))
    for field, value in changes:
        row[field] = value
    return row, b"{}"


@pytest.mark.parametrize("beside", BESIDE)
@settings(
    max_examples=15 if PLAIN else 150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(commands=st.lists(st.one_of(orders, orders, odd_acts), min_size=1, max_size=MOST))
def test_commands_mutated_to_extremes_are_answered(beside: str, commands: list[Any]) -> None:
    """No field of any good command, set to anything, makes the core raise, fall silent, or change by a refusal."""
    worlds = {}
    for one in commands:
        name = one[0].world if isinstance(one[0], Act) else GOOD[one[0]][0]
        if name not in worlds:
            worlds[name] = World(name, paired=beside == REFERENCE)
        answered(worlds[name], *sent(worlds[name], one))
    for world in worlds.values() if len(commands) == MOST else ():
        world.venue.check()
