"""Every entry path reaches every gate: the table of `gates_table`, tried out cell by cell.

A cell's world is made so that its gate would fail, and no other. Whatever brings lots in must be stopped there, or a
rule must say why it is not asked. New kinds of orders, times in force, commands and codes have to find their place in
the table before these tests pass.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from engine.core.lane import PLAIN
from engine.phases import PHASES, Mode
from engine.schema import (
    ACT_FIRST,
    CODE_RULE,
    INACTIVE,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    Reason,
    TimeInForce,
    word,
    words,
)
from tests.properties.gates_scene import GATES, ME, Scene
from tests.properties.gates_table import ROWS, Row, read
from tests.properties.pair import Rows
from tests.properties.seen import BESIDE, REFERENCE, kinds, refusal
from tests.properties.test_phases import cannot_be_combined, lets_in, permits_needed

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

SLOW: Final = ("far", "stp")  # gates of tables that thousands of orders fill
CANCELS: Final = {
    "Cf": Reason.FOK,
    "Cl": Reason.LEVELS_FULL,
    "Cm": Reason.MIN_QTY,
    "Cp": Reason.PRICE_LIMIT,
}
# Where each line's orders come in, by the mode of its phase.
MODES: Final = {"continuous": Mode.CONTINUOUS, "call": Mode.CALL, "closing": Mode.CALL, "none": Mode.NONE}
MODES_OF_PLACES: Final = {**MODES, "at_close": Mode.AT_CLOSE}
# What brings lots in, and by which lines; and what does not.
ENTRIES: Final[dict[CommandKind, str]] = {
    CommandKind.ORDER_PLACE: "place",
    CommandKind.ORDER_AMEND: "amend",
    CommandKind.ORDER_RESTORE: "restore",
    CommandKind.PHASE_SET: "join",
    CommandKind.LIMIT_SET: "return",
}
NO_ENTRIES: Final[dict[CommandKind, str]] = {
    CommandKind.ORDER_CANCEL: "takes lots off",
    CommandKind.ORDER_MASS_CANCEL: "takes lots off",
    CommandKind.CLOCK_TICK: "takes lots off",
    CommandKind.DISCONNECT: "takes lots off",
    CommandKind.INSTRUMENT_DEFINE: "starts closed and empty",
    CommandKind.ACCOUNT_DEFINE: "has no orders yet",
    CommandKind.DAY_OPEN: "starts from an empty venue",
    CommandKind.DAY_START: "changes no order",
    CommandKind.AUCTION_UNCROSS: "trades what stands open already; what is left by it has a line of its own",
    CommandKind.CONTROL_SET: "touches no live order (R66)",
    CommandKind.COLLATERAL_SET: "changes no order",
    CommandKind.FIXING_SET: "changes no order",
    CommandKind.MARGIN_SET: "changes no order",
    CommandKind.FEE_SET: "changes no order",
    CommandKind.CAP_SET: "changes no order",
    CommandKind.KILL_SET: "takes lots off",
    CommandKind.POSITION_RESTORE: "changes no order",
    CommandKind.BALANCE_RESTORE: "changes no order",
}
# Codes that are about the form of a command, or about which order it means: tests/properties/test_bad_input.py.
NO_GATES: Final = {
    *(Code.OK, Code.MALFORMED, Code.UNKNOWN_INSTRUMENT, Code.INVALID_COMBINATION, Code.DISPLAY_QTY, Code.MIN_QTY),
    *(Code.STOP_PRICE, Code.EXPIRE_TIME, Code.DUPLICATE, Code.UNKNOWN_ORDER, Code.TOO_LATE),
    *(Code.BAD_TERMS, Code.INSTRUMENT_EXISTS, Code.ACCOUNT_EXISTS, Code.PHASE_TRANSITION, Code.INSTRUMENTS_FULL),
    *(Code.ACCOUNTS_FULL, Code.DAY_ORDER, Code.NOT_IN_CALL),
}


def told(events: Rows) -> str:
    """The events by their words, without indicatives."""
    names = [word(kind) for kind in kinds(events) if kind != EventKind.AUCTION_INDICATIVE]
    return " ".join(name.removeprefix("order_").removeprefix("auction_") for name in names)


def mine(scene: Scene, events: Rows, kind: EventKind) -> Rows:
    """The events of a kind about the order that the line is about."""
    found: Rows = events[(events["kind"] == kind) & (events["order_id"] == scene.subject)]
    return found


def is_suspended(scene: Scene, events: Rows) -> bool:
    """Whether the order is live but outside the book, and did not trade."""
    live = [one for one in scene.venue.core.dump()["orders"] if one["order_id"] == scene.subject]
    entered = events[events["order_id"] == scene.subject]
    return (
        [(one["inactive"], one["cum_qty"], one["stop_price"], one["ord_type"]) for one in live] == [(1, 0, 0, "limit")]
        and bool((entered["flags"] & INACTIVE).all())
        and EventKind.ORDER_ACTIVATED not in kinds(events)
    )


def is_pulled(events: Rows) -> bool:
    """Whether the volatility trigger started a call (R69)."""
    changes = events[(events["kind"] == EventKind.PHASE_CHANGED) & (events["phase"] == Phase.VOLATILITY_AUCTION)]
    return [int(reason) for reason in changes["reason"]] == [Phase.CONTINUOUS]


def is_prevented(scene: Scene, events: Rows) -> bool:
    """Whether the order met one of its owner, and traded with none (R27)."""
    met = mine(scene, events, EventKind.ORDER_PREVENTED)
    rows = events.view(TRADE)
    traded = rows[(rows["kind"] == EventKind.TRADE) & (rows["order_id"] == scene.subject)]
    return len(met) == 1 and ME not in traded["resting_account"].tolist()


def trouble(row: Row, gate: str, *, sells: bool, paired: bool) -> str:
    """What is wrong with a cell: nothing, if all is as the table says."""
    scene, cell, deep = Scene(row, gate, sells=sells, paired=paired), row.cells[gate], gate in SLOW
    before = scene.venue.seen(deep=deep) if cell.startswith("x") else {}
    events = scene.command()
    code = refusal(events)
    if cell.startswith("x"):
        expected = code == GATES[gate].code if cell == "x" else code and CODE_RULE[code] == int(cell[1:])
        good = expected and scene.venue.seen(deep=deep) == before
    elif cell == "S":
        good = is_suspended(scene, events)
    elif cell == "P":
        good = is_pulled(events)
    elif cell == "V":
        good = is_prevented(scene, events)
    elif cell in CANCELS:
        good = mine(scene, events, EventKind.ORDER_CANCELED)["reason"].tolist() == [CANCELS[cell]]
    else:
        good = int(cell) > 0 and told(events) == row.events
    if paired:
        scene.venue.seen(deep=deep)
    if good:
        return ""
    return f"{gate} {cell}: {told(events)} {code.name}"


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_entry_path_reaches_every_gate(row: Row, beside: str) -> None:
    """Each cell: the outcome that the table names, and no change where it is a refusal."""
    paired, line = beside == REFERENCE, ROWS.index(row)
    found = []
    for column, (gate, cell) in enumerate(row.cells.items()):
        if cell.startswith("!") or (PLAIN and (gate in SLOW or (line + column) % 8)):
            continue
        if paired and gate == "far" and row.way != "restore":
            continue  # the reference takes seconds to fill; the night has more of them
        found.append(trouble(row, gate, sells=bool((line + column) % 2), paired=paired))
    assert not [one for one in found if one]


@pytest.mark.nightly
@pytest.mark.parametrize("row", ROWS[1::4], ids=lambda row: row.name)
def test_every_entry_path_reaches_the_far_levels_beside_the_reference(row: Row) -> None:
    """The column that the reference is slow to fill."""
    assert row.cells["far"].startswith("!") or not trouble(row, "far", sells=False, paired=True)


@pytest.mark.parametrize("sells", [False, True], ids=["buys", "sells"])
def test_what_no_gate_stops_comes_in(sells: bool) -> None:
    """The world of each line without a failing gate: its gates all pass."""
    for number, row in enumerate(ROWS[:: 8 if PLAIN else 1]):
        scene = Scene(row, "", sells=sells)
        events = scene.command()
        assert refusal(events) == Code.OK, row.name
        if row.what.endswith("suspended"):
            assert is_suspended(scene, events)
        assert told(events) == row.events, row.name
        if number % 8 == 0:
            scene.venue.check()


def test_a_cell_that_says_something_else_is_found() -> None:
    """The check notices a table that is wrong, whichever kind of cell it is."""
    row = ROWS[0]
    wrong = {
        "val": "66",
        "lim": "S",
        "far": "Cl",
        "smp": "55",
        "vol": "69",
        "cls": "x",
        "mov": "P",
        "max": "V",
        "kil": "x9",
    }
    changed = row._replace(cells={**row.cells, **wrong})
    for gate in ["val", "lim", "mov"] if PLAIN else wrong:
        assert not trouble(row, gate, sells=False, paired=False)
        assert trouble(changed, gate, sells=False, paired=False), gate
    with pytest.raises(ValueError, match="argument"):
        read("place continuous: accepted\nacc own kil\nx x")


# --- the table itself -----------------------------------------------------------------------------------------------


def test_every_kind_of_order_that_a_phase_lets_in_has_a_line() -> None:
    """R5, R9: order type by time in force by feature by mode; two kinds of call differ in at_close orders."""
    lines = {(MODES_OF_PLACES[row.where], row.what) for row in ROWS if row.way == "place"}
    for phase, ord_type, tif in product(Phase, OrdType, TimeInForce):
        if cannot_be_combined(ord_type, tif, "plain"):
            continue
        if lets_in(phase, permits_needed(ord_type, tif, "plain"), tif):
            assert (PHASES[phase].mode, f"{word(ord_type)} {word(tif)}") in lines, (phase, ord_type, tif)
    features = {feature for _, what in lines for feature in what.split()[2:]}
    assert features == {"iceberg", "min_qty", "post_only", "reached", "suspended"}
    for feature, mode in product(("iceberg", "post_only"), Mode):
        assert any(mode == where and what.endswith(feature) for where, what in lines), (feature, mode)
    assert {row.where for row in ROWS if row.what.endswith(" at_close")} >= {"call", "closing", "continuous"}


def test_every_command_has_lines_or_brings_nothing_in() -> None:
    assert set(ENTRIES) | set(NO_ENTRIES) == set(CommandKind) and not set(ENTRIES) & set(NO_ENTRIES)
    ways = {row.way for row in ROWS}
    assert ways == {*ENTRIES.values(), "elect", "uncross"}, "what a command brings about is a way too"
    assert all(kind < ACT_FIRST or ENTRIES[kind] in ("join", "return") for kind in ENTRIES)


def test_every_gating_code_has_a_column_and_every_line_every_column() -> None:
    codes = {gate.code for gate in GATES.values()} - {None}
    assert codes | NO_GATES == set(Code) and not codes & NO_GATES
    for row in ROWS:
        assert list(row.cells) == list(GATES), row.name
        for gate, cell in row.cells.items():
            assert cell in ("x", "S", "P", "V", *CANCELS) or cell.lstrip("!x").isdigit(), (row.name, gate)
            assert cell != "x" or GATES[gate].code is not None, "a gate without a code refuses nothing"
    for gate in GATES:
        assert any(row.cells[gate] in ("x", "S", "P", "V") for row in ROWS), "a gate that stops nothing is none"


def test_no_line_stands_twice_and_every_word_is_of_the_vocabulary() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        if row.way == "place":
            ord_type, tif, *_ = row.what.split()
            assert ord_type in words(OrdType) and tif in words(TimeInForce)
