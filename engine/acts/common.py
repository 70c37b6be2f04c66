"""What the acts share: their facts, their refusals, and the reading of payloads."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.core.layout import (
    GROUP,
    INSTRUMENT_WORDS,
    MAX_PRICE,
    MIN_PRICE,
    MODE_AT,
    PERMITS,
    PHASE,
    PLAIN_HIGH,
    PLAIN_LOW,
    WINDOW,
    WINDOW_LO,
)
from engine.phases import PHASES
from engine.schema import MAX_PRICE_TICKS, NAME_PATTERN, SYMBOL_ALL, Code, EventKind, Phase, Tick

if TYPE_CHECKING:
    from engine.apply import State

Words = npt.NDArray[np.int64]
_NAME = re.compile(NAME_PATTERN)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TEXT_MAX = 200


class Fact(NamedTuple):
    """One event of an act, before its row is written."""

    kind: EventKind
    instrument: int = 0
    account: int = 0
    phase: int = 0
    reason: int = 0
    qty: int = 0
    price: int = 0
    order_id: int = 0
    flags: int = 0
    side: int = 0
    old_price: int = 0


def enter_phase(ins: Words, row: int, phase: Phase) -> None:
    """Put an instrument into a phase, with what the table of phases says of it (R9)."""
    rule = PHASES[phase]
    ins[row + PHASE] = phase
    ins[row + PERMITS] = rule.permits | rule.mode << MODE_AT


def limit_prices(ins: Words, row: int, low: int, high: int) -> None:
    """Set the lowest and highest price of orders (R10, R67), and those of them that the window holds."""
    first = int(ins[row + WINDOW_LO])
    ins[row + MIN_PRICE], ins[row + MAX_PRICE] = low, high
    ins[row + PLAIN_LOW], ins[row + PLAIN_HIGH] = max(low, first), min(high, first + int(ins[row + WINDOW]) - 1)


class Refusal(Exception):
    """An act that cannot be done; `code` goes into its ACT_REJECTED event."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys are all different; ValueError otherwise."""
    terms = dict(pairs)
    if len(terms) != len(pairs):
        raise ValueError("a key stands twice")
    return terms


def read_payload(payload: bytes, offset: int, length: int) -> dict[str, Any]:
    """The act's JSON object; Refusal(BAD_TERMS) if it is none in UTF-8 or repeats a key."""
    if not 0 <= offset <= offset + length <= len(payload):
        raise Refusal(Code.BAD_TERMS)
    try:
        terms = json.loads(bytes(payload[offset : offset + length]).decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Refusal(Code.BAD_TERMS) from None
    if not isinstance(terms, dict):
        raise Refusal(Code.BAD_TERMS)
    return terms


def check_keys(terms: dict[str, Any], required: set[str], optional: frozenset[str] = frozenset()) -> None:
    """Refuse missing and unknown keys."""
    if not required <= terms.keys() <= required | optional:
        raise Refusal(Code.BAD_TERMS)


def name(terms: dict[str, Any], key: str) -> str:
    """A name of the vocabulary (NAME_PATTERN)."""
    value = terms[key]
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refusal(Code.BAD_TERMS)
    return value


def text(terms: dict[str, Any], key: str) -> str:
    """Free text of at most 200 characters; "" if absent."""
    value = terms.get(key, "")
    if not isinstance(value, str) or len(value) > TEXT_MAX or (not value.isprintable() and _has_surrogate(value)):
        raise Refusal(Code.BAD_TERMS)
    return value


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def integer(terms: dict[str, Any], key: str, low: int, high: int, default: int | None = None) -> int:
    """An integer within bounds."""
    value = terms.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise Refusal(Code.BAD_TERMS)
    return value


def price_of(terms: dict[str, Any], key: str, tick: Tick) -> int:
    """A decimal price as ticks."""
    value = terms[key]
    if not isinstance(value, str):
        raise Refusal(Code.BAD_TERMS)
    try:
        ticks = tick.ticks(value)
    except ValueError:
        raise Refusal(Code.BAD_TERMS) from None
    if ticks is None or abs(ticks) > MAX_PRICE_TICKS:
        raise Refusal(Code.BAD_TERMS)
    return ticks


def meant(state: State, symbol: str, group: str) -> list[int]:
    """The instruments that an act means: one by its symbol, all, or a group (R42)."""
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


def phase_of(state: State, number: int) -> Phase:
    """The phase that an instrument is in."""
    return Phase(int(state.arrays.ins[number * INSTRUMENT_WORDS + PHASE]))


def is_date(value: Any) -> bool:
    """Whether a value is a date of the calendar (R44)."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def subjects(state: State, terms: dict[str, Any]) -> list[int]:
    """The instruments of an act that names one or a group of them."""
    symbol = name(terms, "symbol") if "symbol" in terms else ""
    group = name(terms, "group") if "group" in terms else ""
    text(terms, "why")
    text(terms, "by")
    if bool(symbol) == bool(group) or symbol == SYMBOL_ALL:
        raise Refusal(Code.BAD_TERMS)
    return meant(state, symbol, group)
