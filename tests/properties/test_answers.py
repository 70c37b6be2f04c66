"""Laws of asking and answering, on what the compiled core says to generated flow: one answer each, and no is no."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
import pytest

from engine.schema import ACT_FIRST, LAST, Code, CommandKind, EventKind, Phase, Reason
from tests.flow_mix import steps
from tests.properties.pair import Core, Rows, Script
from tests.properties.test_laws import ROOMY, SEEDS, record, size

NO: Final = (EventKind.ORDER_REJECTED, EventKind.ACT_REJECTED, EventKind.ORDER_STATUS)
# What a command may be answered by, where it is not refused. All other events tell what it brought about.
YES: Final[dict[int, EventKind]] = {
    CommandKind.ORDER_PLACE: EventKind.ORDER_ACCEPTED,
    CommandKind.ORDER_CANCEL: EventKind.ORDER_CANCELED,
    CommandKind.ORDER_AMEND: EventKind.ORDER_AMENDED,
    CommandKind.ORDER_MASS_CANCEL: EventKind.MASS_CANCELED,
    CommandKind.DISCONNECT: EventKind.DISCONNECTED,
    CommandKind.CLOCK_TICK: EventKind.CLOCK_TICKED,
    CommandKind.ORDER_RESTORE: EventKind.ORDER_RESTORED,
    CommandKind.INSTRUMENT_DEFINE: EventKind.INSTRUMENT_DEFINED,
    CommandKind.ACCOUNT_DEFINE: EventKind.ACCOUNT_DEFINED,
    CommandKind.PHASE_SET: EventKind.PHASE_CHANGED,
    CommandKind.AUCTION_UNCROSS: EventKind.AUCTION_UNCROSSED,
    CommandKind.DAY_OPEN: EventKind.DAY_OPENED,
    CommandKind.DAY_START: EventKind.DAY_STARTED,
    CommandKind.CONTROL_SET: EventKind.CONTROLS_SET,
    CommandKind.LIMIT_SET: EventKind.LIMITS_SET,
    CommandKind.FIXING_SET: EventKind.FIXING_SET,
    CommandKind.COLLATERAL_SET: EventKind.COLLATERAL_SET,
    CommandKind.MARGIN_SET: EventKind.MARGIN_SET,
    CommandKind.FEE_SET: EventKind.FEES_SET,
    CommandKind.CAP_SET: EventKind.CAP_SET,
    CommandKind.KILL_SET: EventKind.KILL_SET,
    CommandKind.POSITION_RESTORE: EventKind.POSITION_RESTORED,
    CommandKind.BALANCE_RESTORE: EventKind.BALANCE_RESTORED,
}
# These speak of an instrument each, and may mean a whole group.
OF_GROUPS: Final = (
    *(CommandKind.PHASE_SET, CommandKind.CONTROL_SET, CommandKind.LIMIT_SET),
    *(CommandKind.MARGIN_SET, CommandKind.FEE_SET),
)
AT_THE_END: Final = (CommandKind.ORDER_MASS_CANCEL, CommandKind.DISCONNECT, CommandKind.CLOCK_TICK)
OF_REQUESTS: Final = (Reason.REQUESTED, Reason.AMENDED_TO_FILLED)


def is_answer(event: Any) -> bool:
    """Whether an event answers a command, instead of telling what it brought about."""
    kind = int(event["kind"])
    if kind == EventKind.ORDER_CANCELED:
        return int(event["reason"]) in OF_REQUESTS
    if kind == EventKind.AUCTION_UNCROSSED:
        return int(event["op"]) == CommandKind.AUCTION_UNCROSS
    if kind in (EventKind.PHASE_CHANGED, EventKind.CALL_EXTENDED):
        return int(event["op"]) == CommandKind.PHASE_SET  # and not the trigger's work (R69)
    return kind in NO or kind in YES.values()


def pulled_by(group: Rows) -> Any:
    """Which events tell that a stop elected on entering continuous has pulled the trigger (R62, R69)."""
    entered = (group["kind"] == EventKind.PHASE_CHANGED) & (group["phase"] == Phase.CONTINUOUS)
    calls = (group["kind"] == EventKind.PHASE_CHANGED) & (group["phase"] == Phase.VOLATILITY_AUCTION)
    return calls & (group["reason"] == Phase.CONTINUOUS) & np.isin(group["instrument"], group["instrument"][entered])


def hold_answers(rows: Rows, events: Rows) -> Counter[tuple[int, int]]:
    """Hold events against the law that each command is answered once; count the answers by command and kind."""
    counts: Counter[tuple[int, int]] = Counter()
    ends = np.flatnonzero(events["flags"] & LAST)
    groups = np.split(events, ends + 1)
    assert not len(groups[-1]) and len(groups) == len(rows) + 1, "every command is answered, and nothing else"
    for row, group in zip(rows, groups, strict=False):
        op, seq = int(row["kind"]), int(row["seq"])
        assert (group["seq"] == seq).all() and (group["op"] == op).all(), f"answers come in turn, at {seq}"
        pulled = pulled_by(group)
        answers = [(at, int(event["kind"])) for at, event in enumerate(group) if is_answer(event) and not pulled[at]]
        kinds = {kind for _, kind in answers}
        assert len(kinds) == 1, f"command {seq} has answers of {len(kinds)} kinds"
        (kind,) = kinds
        counts[op, kind] += 1
        if kind in NO:
            act = op in YES and op >= ACT_FIRST
            assert (kind == EventKind.ACT_REJECTED) == act, f"command {seq} is refused as what it is"
            assert kind != EventKind.ORDER_STATUS or op in (CommandKind.ORDER_PLACE, CommandKind.ORDER_AMEND)
            assert len(group) == 1 and group["code"][0] and group["rule"][0], f"a refusal of {seq} says one thing: why"
            continue
        assert not group["code"].any(), f"nothing is refused in the middle of {seq}"
        ended = op == CommandKind.ORDER_AMEND and kind == EventKind.ORDER_CANCELED
        extended = op == CommandKind.PHASE_SET and kind == EventKind.CALL_EXTENDED
        assert kind == YES[op] or ended or extended, f"command {seq} is answered as what it is"
        places = [place for place, _ in answers]
        wanted = [len(group) - 1] if op in AT_THE_END else list(range(len(places)))
        assert places == wanted, f"the answer to {seq} stands at its place"
        assert len(places) == 1 or op in OF_GROUPS, f"command {seq} is answered once"
    return counts


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("seed", SEEDS)
def test_every_command_is_answered_once_at_its_place(seed: int) -> None:
    """R1, R6, R33 to R35: one answer of the command's own kind, or one refusal with its code and nothing besides."""
    script, events = record(seed, size())
    hold_answers(script.rows(), events)


def refused(events: Rows) -> set[int]:
    """The commands that were refused, duplicates included."""
    return set(events["seq"][np.isin(events["kind"], NO)].tolist())


def without(script: Script, seqs: set[int]) -> Script:
    """A script with some commands left out; only the time that they gave is kept, as that of the next one (R1)."""
    blocks, latest = [], 0
    for block in script.blocks:
        rows = block.rows.copy()
        rows["time"] = np.maximum.accumulate(np.maximum(rows["time"], latest))
        latest = int(rows["time"].max(initial=latest))
        blocks.append(block._replace(rows=rows[~np.isin(rows["seq"], list(seqs))]))
    return Script(script.limits, blocks)


def told(script: Script) -> tuple[Rows, dict[str, Any]]:
    """All events of a script, and the world behind it but for the last command's number and time."""
    core = Core(script.limits)
    events = np.concatenate([core.run(block) for block in script.blocks])
    world = core.dump()
    views = [(core.book(number + 1), core.indicative(number + 1)) for number in range(len(world["instruments"]))]
    return events, {**world, "seq": 0, "time": 0, "views": views}


@pytest.mark.jit_off
@pytest.mark.bounds
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_refused_might_as_well_not_have_been_asked(seed: int) -> None:
    """A refusal changes nothing: without all that was refused, the rest gives the same events and the same world."""
    script, events = record(seed, size())
    gone = refused(events)
    others, world = told(without(script, gone))
    assert others.tobytes() == events[~np.isin(events["seq"], list(gone))].tobytes()
    assert world == told(script)[1]


# --- the laws can be broken -----------------------------------------------------------------------


def test_the_flow_asks_for_every_answer() -> None:
    """Each kind of command is answered and, but for the tick of an open day, refused; nearly every code comes up."""
    counts: Counter[tuple[int, int]] = Counter()
    codes: set[int] = set()
    runs = [record(seed, 2500) for seed in SEEDS[:8]]
    # Acts, and what empties the book, are rare in the ordinary flow, and their refusals the more so.
    often = steps([6, 2, 2, 1, 1, 0.2, 0.1, 1])
    levers = {"controls": True, "money": True, "p_lever": 0.6}
    runs += [record(seed, 2500, limits=ROOMY, kind_steps=often, p_define=0.3, p_bad_terms=0.3) for seed in (350,)]
    runs += [record(seed, 2500, limits=ROOMY, kind_steps=often, p_bad_terms=0.2, **levers) for seed in (351, 352)]
    runs += [record(seed, 600, limits=ROOMY, p_bad_terms=0.3, day=True, **levers) for seed in (353, 354, 355)]
    for script, events in runs:
        counts += hold_answers(script.rows(), events)
        codes |= set(events["code"].tolist())
    assert set(YES.items()) <= set(counts), "answered"
    assert set(YES) - {op for op, kind in counts if kind in NO} <= {CommandKind.CLOCK_TICK}, "and refused"
    assert len(codes) > 0.75 * len(Code)


def test_a_command_that_was_not_refused_is_missed() -> None:
    """To leave out the command that placed an order does make a difference."""
    script, events = record(300, 600, limits=ROOMY, controls=False, money=False, p_lever=0.0)
    gone, world = refused(events), told(script)[1]
    for order in world["orders"][:5]:
        less = {*gone, order["order_id"]}
        others, other_world = told(without(script, less))
        kept = events[~np.isin(events["seq"], list(less))]
        assert others.tobytes() != kept.tobytes() or world != other_world
    assert len(world["orders"]) >= 5


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (EventKind.ORDER_ACCEPTED, "kind", EventKind.ORDER_REJECTED, "says one thing|refused in the middle"),
        (EventKind.ORDER_ACCEPTED, "kind", EventKind.CLOCK_TICKED, "as what it is"),
        (EventKind.ORDER_ACCEPTED, "kind", EventKind.TRADE, "answers of 0"),
        (EventKind.ORDER_REJECTED, "code", 0, "says one thing"),
        (EventKind.ORDER_REJECTED, "kind", EventKind.ACT_REJECTED, "as what it is"),
        (EventKind.ACT_REJECTED, "kind", EventKind.ORDER_REJECTED, "as what it is"),
        (EventKind.ORDER_ACCEPTED, "seq", 0, "in turn"),
        (EventKind.TRADE, "code", Code.PHASE, "in the middle"),
        (EventKind.TRADE, "kind", EventKind.ORDER_ACCEPTED, "kinds|once"),
        (EventKind.CLOCK_TICKED, "flags", 0, "nothing else"),
    ],
)
def test_a_bent_answer_is_noticed(kind: EventKind, field: str, value: int, message: str) -> None:
    script, events = record(306, 1500)
    (places,) = np.nonzero((events["kind"] == kind) & (events["op"] != 0))
    bent = events.copy()
    bent[field][places[0]] = value
    with pytest.raises(AssertionError, match=message):
        hold_answers(script.rows(), bent)


def test_an_answer_left_out_is_noticed() -> None:
    script, events = record(306, 600)
    for at in (0, len(events) // 2, len(events) - 1):
        with pytest.raises(AssertionError):
            hold_answers(script.rows(), np.delete(events, at))
