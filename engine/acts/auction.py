"""The uncross by an act of its own (R54)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.acts.common import Fact, Refusal, check_keys, name, text
from engine.acts.phase import set_going
from engine.core.layout import INSTRUMENT_WORDS, PHASE, UNCROSSES
from engine.phases import PHASES, Mode
from engine.schema import Code, Phase

if TYPE_CHECKING:
    from engine.apply import State


def uncross(state: State, terms: dict[str, Any]) -> list[Fact]:
    """auction.uncross: uncross the call of an instrument, which goes on; the kernel writes all its events."""
    check_keys(terms, {"symbol"}, frozenset({"why", "by"}))
    symbol = name(terms, "symbol")
    text(terms, "why")
    text(terms, "by")
    if symbol not in state.symbols:
        raise Refusal(Code.UNKNOWN_INSTRUMENT)
    number = state.symbols[symbol]
    if PHASES[Phase(int(state.arrays.ins[number * INSTRUMENT_WORDS + PHASE]))].mode != Mode.CALL:
        raise Refusal(Code.NOT_IN_CALL)
    set_going(state, [number | UNCROSSES])
    return []
