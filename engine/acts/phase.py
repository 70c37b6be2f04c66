"""Trading phases (R42, R63-R65), what entering one sets going, and the expiry at the close (R43)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, enter_phase, integer, name, text
from engine.core.layout import (
    ACTIVATES,
    BUMP,
    CALLING,
    CANCELING,
    CLOSE_KNOWN,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    ELECTS,
    ENTERS_CALL,
    FLAG_TIF,
    FLAGS,
    GIVES_UP,
    GROUP,
    IF_CROSSED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVERS,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    PENDING,
    PHASE,
    REFERENCE,
    SETS_CLOSE,
    TELL_TO,
    UNCROSSES,
    WORK_AT,
    WORK_COUNT,
)  # fmt: skip
from engine.core.layout import OVERRIDE as HELD
from engine.phases import PHASES, Mode
from engine.schema import OVERRIDE, SYMBOL_ALL, Code, EventKind, Phase, Tick, TimeInForce, words

if TYPE_CHECKING:
    from engine.apply import State

WORDS = words(Phase)
MAX_DRAW_MS = 3_600_000
ENDS = (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED)
OPTIONAL = frozenset({"symbol", "group", "why", "by", "draw", "override", "at_last_match"})


def set_phase(state: State, terms: dict[str, Any]) -> list[Fact]:
    """phase.set: move an instrument, a group, or all that may, to a phase, and note what that brings for the kernel."""
    check_keys(terms, {"phase"}, OPTIONAL)
    symbol = name(terms, "symbol") if "symbol" in terms else ""
    group = name(terms, "group") if "group" in terms else ""
    text(terms, "why")
    text(terms, "by")
    draw = integer(terms, "draw", 0, MAX_DRAW_MS, 0)
    held = integer(terms, "override", 0, 1, 0)
    ends = integer(terms, "at_last_match", 0, 1, 0)
    if not isinstance(terms["phase"], str) or terms["phase"] not in WORDS or bool(symbol) == bool(group):
        raise Refusal(Code.BAD_TERMS)
    phase = Phase(WORDS[terms["phase"]])
    alone = bool(symbol) and symbol != SYMBOL_ALL
    if ("override" in terms and not alone) or (ends and phase not in ENDS):
        raise Refusal(Code.BAD_TERMS)
    numbers = _meant(state, symbol, group)
    ins = state.arrays.ins
    moved = []
    for number in numbers:
        row = number * INSTRUMENT_WORDS
        if phase in PHASES[Phase(int(ins[row + PHASE]))].next and (alone or not ins[row + HELD]):
            moved.append(number)
    if not moved:
        raise Refusal(Code.PHASE_TRANSITION)
    return _move(state, moved, phase, draw, held, ends)


def _meant(state: State, symbol: str, group: str) -> list[int]:
    if symbol == SYMBOL_ALL:
        return list(range(1, len(state.symbols) + 1))
    if symbol:
        if symbol not in state.symbols:
            raise Refusal(Code.UNKNOWN_INSTRUMENT)
        return [state.symbols[symbol]]
    wanted = state.groups.get(group, -1)
    ins = state.arrays.ins
    numbers = [n for n in state.symbols.values() if ins[n * INSTRUMENT_WORDS + GROUP] == wanted]
    if not numbers:
        raise Refusal(Code.UNKNOWN_INSTRUMENT)
    return numbers


def _move(state: State, moved: list[int], phase: Phase, draw: int, held: int, ends: int) -> list[Fact]:
    ins = state.arrays.ins
    facts, tasks = [], []
    for number in moved:
        row = number * INSTRUMENT_WORDS
        before = Phase(int(ins[row + PHASE]))
        ins[row + HELD] = held if phase != Phase.CLOSED else 0
        last_id = int(ins[row + LAST_ID]) if ends else 0
        facts.append(
            Fact(
                EventKind.PHASE_CHANGED, instrument=number, phase=phase, reason=before, qty=draw, order_id=last_id,
                price=int(ins[row + LAST]) if last_id else 0, flags=OVERRIDE if ins[row + HELD] else 0,
            )
        )  # fmt: skip
        enter_phase(ins, row, phase)
        task = _task(before, phase)
        if task:
            tasks.append(number | task)
        if PHASES[phase].mode != Mode.CALL and not task & UNCROSSES:
            ins[row + CALLING] = 0
        if phase == Phase.CLOSED:
            _end_day(state, number)
    if phase == Phase.CLOSED:
        _expire(state, moved)
    set_going(state, tasks)
    return facts


def _task(before: Phase, phase: Phase) -> int:
    """What entering a phase brings for an instrument (R42)."""
    task = 0
    if PHASES[phase].mode == Mode.CALL:
        task = ENTERS_CALL
        if phase in (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL):
            task |= ACTIVATES
    elif phase == Phase.OPENING_AUCTION:
        task = UNCROSSES
    elif phase == Phase.CLOSING_AUCTION:
        task = UNCROSSES | SETS_CLOSE
    elif phase == Phase.CONTINUOUS:
        task = ELECTS
        if before != Phase.OPENING_AUCTION:
            task |= UNCROSSES
            if PHASES[before].mode != Mode.CALL:
                task |= IF_CROSSED
    return task


def set_going(state: State, tasks: list[int]) -> None:
    """Leave tasks to the kernel, which does them behind the act's own events."""
    arrays, h = state.arrays, state.arrays.h
    if tasks:
        arrays.work[: len(tasks)] = tasks
        h[WORK_AT], h[WORK_COUNT], h[TELL_TO], h[PENDING] = 0, len(tasks), 0, 1


def _end_day(state: State, number: int) -> None:
    """The day's last trade becomes the reference of the next (R64); the closing price is forgotten (R59)."""
    ins = state.arrays.ins
    row = number * INSTRUMENT_WORDS
    if ins[row + LAST_ID]:
        terms = state.instrument_terms[number - 1]
        terms["reference_price"] = Tick.parse(terms["tick"]).text(int(ins[row + LAST]))
        ins[row + REFERENCE] = ins[row + LAST]
    ins[row + LAST] = ins[row + LAST_ID] = ins[row + CLOSE_KNOWN] = ins[row + LEAVERS] = 0


def _expire(state: State, closed: list[int]) -> None:
    """List the orders that end with the day of the closed instruments, rising by order_id; the kernel expires them."""
    arrays, h = state.arrays, state.arrays.h
    first, last = int(h[ORDER_BASE]), int(h[BUMP])
    records = arrays.n4.reshape(-1, NODE4)[first:last]
    order_ids = arrays.n8.reshape(-1, NODE8)[first:last, ORDER_ID]
    flags = records[:, FLAGS]
    tif = (flags >> FLAG_TIF) & 7
    lasts = ((tif == TimeInForce.GTC) | (tif == TimeInForce.GTD)) & (flags & GIVES_UP == 0)
    expiring = np.sort(order_ids[(order_ids != 0) & ~lasts & np.isin(records[:, INSTRUMENT], closed)])
    if expiring.size:
        arrays.scratch[: expiring.size] = expiring
        h[CURSOR], h[CURSOR_AT], h[CURSOR_COUNT], h[CURSOR_REASON] = CANCELING, 0, expiring.size, 0
        h[PENDING] = 1
