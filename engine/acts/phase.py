"""Trading phases (R42, R63-R65), what entering one sets going, and the expiry at the close (R43)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, enter_phase, integer, meant, name, text
from engine.core.layout import (
    ACTIVATES,
    BEST,
    BOUND_HIGH,
    BOUND_LOW,
    BUMP,
    CALLING,
    CANCELING,
    CLOSE_KNOWN,
    CONTROL_WORDS,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    ELECTS,
    ENTERS_CALL,
    EXTENSIONS,
    FLAG_TIF,
    FLAGS,
    GIVES_UP,
    IF_CROSSED,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    LAST,
    LAST_ID,
    LEAVERS,
    LOCKED,
    MAX_PRICE,
    MIN_PRICE,
    NO_BUY,
    NO_SELL,
    NO_SLICE,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    PENDING,
    PHASE,
    REFERENCE,
    SETS_CLOSE,
    SLICE_WORDS,
    SLICES,
    STEP,
    TELL_TO,
    TOLD_PRICE,
    TOLD_VOLUME,
    TRIGGERED,
    UNCROSSES,
    WORK_AT,
    WORK_COUNT,
)  # fmt: skip
from engine.core.layout import OVERRIDE as HELD
from engine.phases import PHASES, Mode
from engine.schema import OVERRIDE, SYMBOL_ALL, WINDOW_SLICES, Code, EventKind, Phase, Side, Tick, TimeInForce, words

if TYPE_CHECKING:
    from engine.apply import State

WORDS = words(Phase)
MAX_DRAW_MS = 3_600_000
MAX_TOLD = 255
ENDS = (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED)
OPTIONAL = frozenset({"symbol", "group", "why", "by", "draw", "override", "at_last_match", "auto"})


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
    auto = integer(terms, "auto", 0, 1, 0)
    if not isinstance(terms["phase"], str) or terms["phase"] not in WORDS or bool(symbol) == bool(group):
        raise Refusal(Code.BAD_TERMS)
    phase = Phase(WORDS[terms["phase"]])
    alone = bool(symbol) and symbol != SYMBOL_ALL
    if ("override" in terms and not alone) or (ends and phase not in ENDS):
        raise Refusal(Code.BAD_TERMS)
    if auto and not (alone and phase == Phase.CONTINUOUS):
        raise Refusal(Code.BAD_TERMS)
    numbers = meant(state, symbol, group)
    ins = state.arrays.ins
    moved = []
    for number in numbers:
        row = number * INSTRUMENT_WORDS
        if phase in PHASES[Phase(int(ins[row + PHASE]))].next and (alone or not ins[row + HELD]):
            moved.append(number)
    if not moved:
        raise Refusal(Code.PHASE_TRANSITION)
    if auto and _is_beyond_bounds(state, moved[0]):
        return [_extend(state, moved[0])]
    return _move(state, moved, phase, draw, held, ends)


def _is_beyond_bounds(state: State, number: int) -> bool:
    """Whether the call that a pulled trigger began would trade beyond the bounds of then (R70)."""
    ins, ctl, row, c = state.arrays.ins, state.arrays.ctl, number * INSTRUMENT_WORDS, number * CONTROL_WORDS
    if ins[row + PHASE] != Phase.VOLATILITY_AUCTION or not ctl[c + TRIGGERED] or ins[row + TOLD_VOLUME] == 0:
        return False
    return not ctl[c + BOUND_LOW] <= ins[row + TOLD_PRICE] <= ctl[c + BOUND_HIGH]


def _extend(state: State, number: int) -> Fact:
    ins, ctl, row, c = state.arrays.ins, state.arrays.ctl, number * INSTRUMENT_WORDS, number * CONTROL_WORDS
    ctl[c + EXTENSIONS] = min(int(ctl[c + EXTENSIONS]) + 1, MAX_TOLD)
    return Fact(
        EventKind.CALL_EXTENDED, instrument=number, phase=Phase.VOLATILITY_AUCTION, price=int(ins[row + TOLD_PRICE]),
        qty=int(ins[row + TOLD_VOLUME]), reason=int(ctl[c + EXTENSIONS]),
    )  # fmt: skip


def _locked_side(state: State, row: int, c: int) -> int:
    """Whether the book stands at a daily limit, with nobody on the other side (R67)."""
    ins = state.arrays.ins
    buy, sell = int(ins[row + BEST]), int(ins[row + BEST + 1])
    if state.arrays.ctl[c + STEP]:
        if buy == ins[row + MAX_PRICE] and sell == NO_SELL:
            return int(Side.BUY)
        if sell == ins[row + MIN_PRICE] and buy == NO_BUY:
            return int(Side.SELL)
    return 0


def _move(state: State, moved: list[int], phase: Phase, draw: int, held: int, ends: int) -> list[Fact]:
    ins, ctl = state.arrays.ins, state.arrays.ctl
    facts, tasks = [], []
    for number in moved:
        row = number * INSTRUMENT_WORDS
        before = Phase(int(ins[row + PHASE]))
        ins[row + HELD] = held if phase != Phase.CLOSED else 0
        last_id = int(ins[row + LAST_ID]) if ends else 0
        c = number * CONTROL_WORDS
        ctl[c + TRIGGERED] = 0
        if phase == Phase.CLOSED:
            ctl[c + LOCKED] = _locked_side(state, row, c)
        facts.append(
            Fact(
                EventKind.PHASE_CHANGED, instrument=number, phase=phase, reason=before, qty=draw, order_id=last_id,
                price=int(ins[row + LAST]) if last_id else 0, flags=OVERRIDE if ins[row + HELD] else 0,
                side=int(ctl[c + LOCKED]) if phase == Phase.CLOSED else 0,
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
    empty_windows(state, number)


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


def empty_windows(state: State, number: int) -> None:
    """No trade is in either look-back window (R69)."""
    at = number * CONTROL_WORDS + SLICES
    state.arrays.ctl[at : at + 2 * WINDOW_SLICES * SLICE_WORDS : SLICE_WORDS] = NO_SLICE
