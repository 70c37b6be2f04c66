"""Trading phases (R42) and the expiry of day orders at the close (R43)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.acts.common import Fact, Refusal, check_keys, name, text
from engine.core.layout import (
    BUMP,
    CANCELING,
    CURSOR,
    CURSOR_AT,
    CURSOR_COUNT,
    CURSOR_REASON,
    FLAG_TIF,
    FLAGS,
    INSTRUMENT,
    INSTRUMENT_WORDS,
    NODE4,
    NODE8,
    ORDER_BASE,
    ORDER_ID,
    PHASE,
)  # fmt: skip
from engine.schema import PHASE_NEXT, SYMBOL_ALL, Code, EventKind, Phase, TimeInForce, words

if TYPE_CHECKING:
    from engine.apply import State

PHASES = words(Phase)


def set_phase(state: State, terms: dict[str, Any]) -> list[Fact]:
    """phase.set: move one instrument, or all that may, to a phase; day orders of what closes expire afterwards."""
    check_keys(terms, {"symbol", "phase"}, frozenset({"why", "by"}))
    symbol = name(terms, "symbol")
    text(terms, "why")
    text(terms, "by")
    if not isinstance(terms["phase"], str) or terms["phase"] not in PHASES:
        raise Refusal(Code.BAD_TERMS)
    phase = PHASES[terms["phase"]]
    if symbol == SYMBOL_ALL:
        numbers = list(range(1, len(state.symbols) + 1))
    elif symbol in state.symbols:
        numbers = [state.symbols[symbol]]
    else:
        raise Refusal(Code.UNKNOWN_INSTRUMENT)
    ins = state.arrays.ins
    moved = [n for n in numbers if phase in PHASE_NEXT[Phase(int(ins[n * INSTRUMENT_WORDS + PHASE]))]]
    if not moved:
        raise Refusal(Code.PHASE_TRANSITION)
    facts = []
    for number in moved:
        at = number * INSTRUMENT_WORDS + PHASE
        facts.append(Fact(EventKind.PHASE_CHANGED, instrument=number, phase=phase, reason=int(ins[at])))
        ins[at] = phase
    if phase == Phase.CLOSED:
        _expire_day_orders(state, moved)
    return facts


def _expire_day_orders(state: State, closed: list[int]) -> None:
    """List the day orders of the closed instruments, rising by order_id; the kernel expires them."""
    arrays, h = state.arrays, state.arrays.h
    first, last = int(h[ORDER_BASE]), int(h[BUMP])
    records = arrays.n4.reshape(-1, NODE4)[first:last]
    order_ids = arrays.n8.reshape(-1, NODE8)[first:last, ORDER_ID]
    is_day = (records[:, FLAGS] >> FLAG_TIF) & 7 == TimeInForce.DAY
    expiring = np.sort(order_ids[(order_ids != 0) & is_day & np.isin(records[:, INSTRUMENT], closed)])
    if expiring.size:
        arrays.scratch[: expiring.size] = expiring
        h[CURSOR], h[CURSOR_AT], h[CURSOR_COUNT], h[CURSOR_REASON] = CANCELING, 0, expiring.size, 0
