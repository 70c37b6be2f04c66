"""The opening of a trading day's log: from day.open to day.start the world is restated (R44)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.acts.common import Fact, Refusal, check_keys, integer, is_date
from engine.acts.risk import positions_balance
from engine.core.layout import NEXT_TRADE, OPEN, RESTATING, RESTORED, STAGE
from engine.schema import Code, EventKind

if TYPE_CHECKING:
    from engine.apply import State


def open_day(state: State, terms: dict[str, Any]) -> list[Fact]:
    """day.open: the first command of a day's log."""
    h = state.arrays.h
    check_keys(terms, {"trading_day", "next_trade_id"}, frozenset({"margined"}))
    day = terms["trading_day"]
    if not is_date(day):
        raise Refusal(Code.BAD_TERMS)
    next_trade_id = integer(terms, "next_trade_id", 1, 1 << 62)
    margined = integer(terms, "margined", 0, 1) if "margined" in terms else 0
    h[STAGE] = RESTATING
    h[NEXT_TRADE] = next_trade_id
    state.trading_day, state.margined = day, bool(margined)
    return [Fact(EventKind.DAY_OPENED, qty=int(day.replace("-", "")))]


def start_day(state: State, terms: dict[str, Any]) -> list[Fact]:
    """day.start: the world is restated, trading may begin."""
    h = state.arrays.h
    check_keys(terms, set())
    if not positions_balance(state):
        raise Refusal(Code.BAD_TERMS)
    h[STAGE] = OPEN
    return [Fact(EventKind.DAY_STARTED, qty=int(h[RESTORED]))]
