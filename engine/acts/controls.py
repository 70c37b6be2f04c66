"""Price controls and daily limits (R66, R67)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.acts.common import Fact, Refusal, check_keys, integer, is_date, limit_prices, phase_of, price_of, subjects
from engine.acts.phase import empty_windows, set_going
from engine.core.layout import (
    BAND,
    BAND_MAX,
    BAND_MIN,
    BY_ACCOUNT,
    BY_TRIGGER,
    BY_VALUE,
    CONTROL_WORDS,
    GATED,
    INSTRUMENT_WORDS,
    LOCKED,
    MAX_VALUE,
    NEVER,
    RESTATING,
    REVIEWS,
    RUN_SIDE,
    SETTLEMENT,
    SLICE_NS,
    STAGE,
    STEP,
    TICKS,
)  # fmt: skip
from engine.phases import PHASES, Mode
from engine.schema import (
    DEFAULT_LONG_MS,
    DEFAULT_SHORT_MS,
    MAX_PRICE_TICKS,
    MAX_WINDOW_MS,
    WINDOW_SLICES,
    Code,
    EventKind,
    Phase,
    Tick,
)  # fmt: skip

if TYPE_CHECKING:
    from engine.apply import State

BY = frozenset({"symbol", "group", "why", "by"})
CONTROLS = frozenset({
    "max_order_value", "band_ticks", "short_ticks", "long_ticks", "short_ms", "long_ms", "limit_steps",
    "limit_free_from",
})  # fmt: skip
OF_TRIGGER = frozenset({"short_ticks", "long_ticks", "short_ms", "long_ms"})
_VALUE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
_STEPS = re.compile(r"[1-9][0-9]{0,4}(,[1-9][0-9]{0,4}){0,2}")
WHOLE = 10_000  # basis points
UNCROSSING = (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)  # what trades next does so without an uncross


def set_controls(state: State, terms: dict[str, Any]) -> list[Fact]:
    """control.set: replace what is named of the price controls of an instrument or a group."""
    check_keys(terms, set(), BY | CONTROLS)
    named = {key: terms[key] for key in CONTROLS if key in terms}
    _check(named)
    numbers = subjects(state, terms)
    for number in numbers:
        controls = {**state.controls[number - 1], **named}
        state.controls[number - 1] = dict(sorted(controls.items()))
        _arm(state, number, controls)
        if named.keys() & OF_TRIGGER:
            empty_windows(state, number)
    return [Fact(EventKind.CONTROLS_SET, instrument=number, phase=phase_of(state, number)) for number in numbers]


def _check(named: dict[str, Any]) -> None:
    if not named:
        raise Refusal(Code.BAD_TERMS)
    for key, value in named.items():
        if key == "max_order_value":
            good = isinstance(value, str) and _VALUE.fullmatch(value) is not None
        elif key == "limit_steps":
            good = value == "" or _is_rising(value)
        elif key == "limit_free_from":
            good = value == "" or is_date(value)
        else:
            low, high = (WINDOW_SLICES, MAX_WINDOW_MS) if key.endswith("_ms") else (0, MAX_PRICE_TICKS)
            integer(named, key, low, high)
            good = True
        if not good:
            raise Refusal(Code.BAD_TERMS)


def _is_rising(value: Any) -> bool:
    if not isinstance(value, str) or not _STEPS.fullmatch(value):
        return False
    steps = [int(step) for step in value.split(",")]
    return steps == sorted(set(steps)) and steps[-1] <= WHOLE


def _is_decimal(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        Tick(1, 0).ticks(value)
    except ValueError:
        return False
    return True


def _arm(state: State, number: int, controls: dict[str, Any]) -> None:
    """Put controls into the words that kernels read."""
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    terms = state.instrument_terms[number - 1]
    value = Fraction(controls.get("max_order_value", "0"))
    tick = Tick.parse(terms["tick"])
    lots = value * 10**tick.scale // (tick.units * terms["contract_size"])
    band = controls.get("band_ticks", 0)
    ctl[c + MAX_VALUE] = min(lots, NEVER) if value else NEVER
    ctl[c + BAND] = band or NEVER
    for w, (window, default) in enumerate((("short", DEFAULT_SHORT_MS), ("long", DEFAULT_LONG_MS))):
        ctl[c + TICKS + w] = controls.get(f"{window}_ticks", 0)
        ctl[c + SLICE_NS + w] = controls.get(f"{window}_ms", default) * 1_000_000 // WINDOW_SLICES
    gates = BY_VALUE if value or band else 0
    gates |= BY_TRIGGER if ctl[c + TICKS] or ctl[c + TICKS + 1] else 0
    row = number * INSTRUMENT_WORDS
    state.arrays.ins[row + GATED] = gates | (int(state.arrays.ins[row + GATED]) & BY_ACCOUNT)


def begin_controls(state: State, number: int, low: int, high: int, reference: int) -> None:
    """The controls of a new instrument: none; its limits are its band."""
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    state.controls.append({})
    ctl[c + BAND_MIN], ctl[c + BAND_MAX], ctl[c + SETTLEMENT] = low, high, reference
    _arm(state, number, {})
    empty_windows(state, number)


def set_limits(state: State, terms: dict[str, Any]) -> list[Fact]:
    """limit.set: settlement, step and with them the daily limits; the kernel reviews the orders they touch."""
    restates = state.arrays.h[STAGE] == RESTATING
    check_keys(terms, set(), BY | {"settlement", "step"} | ({"locked", "side"} if restates else frozenset()))
    for key, high in (("step", 3), ("locked", 2), ("side", 2)):
        integer(terms, key, 0, high, 0)
    if "settlement" in terms and ("symbol" not in terms or not _is_decimal(terms["settlement"])):
        raise Refusal(Code.BAD_TERMS)
    numbers = subjects(state, terms)
    settlement = None
    ctl, ins = state.arrays.ctl, state.arrays.ins
    if "settlement" in terms:
        c = numbers[0] * CONTROL_WORDS
        settlement = price_of(terms, "settlement", Tick.parse(state.instrument_terms[numbers[0] - 1]["tick"]))
        if not ctl[c + BAND_MIN] <= settlement <= ctl[c + BAND_MAX]:
            raise Refusal(Code.BAD_TERMS)
    if any(terms.get("step", 0) > len(_steps(state, number)) for number in numbers):
        raise Refusal(Code.BAD_TERMS)
    numbers = [n for n in numbers if _is_still(phase_of(state, n))]
    if not numbers:
        raise Refusal(Code.PHASE)
    facts = []
    for number in numbers:
        c, row = number * CONTROL_WORDS, number * INSTRUMENT_WORDS
        if settlement is not None:
            ctl[c + SETTLEMENT] = settlement
        if "step" in terms:
            ctl[c + STEP] = terms["step"]
            ctl[c + RUN_SIDE] = terms.get("side", ctl[c + RUN_SIDE])
            ctl[c + LOCKED] = terms.get("locked", ctl[c + LOCKED])
        else:
            ctl[c + STEP] = _next_step(state, number)
            ctl[c + RUN_SIDE] = ctl[c + LOCKED]
        low, high = _limits(state, number)
        limit_prices(ins, row, low, high)
        facts.append(
            Fact(
                EventKind.LIMITS_SET, instrument=number, phase=phase_of(state, number), price=low, old_price=high,
                qty=int(ctl[c + SETTLEMENT]), reason=int(ctl[c + STEP]), side=int(ctl[c + LOCKED]),
            )
        )  # fmt: skip
    set_going(state, [number | REVIEWS for number in numbers])
    return facts


def _is_still(phase: Phase) -> bool:
    """Whether daily limits may change in a phase (R67)."""
    return PHASES[phase].mode == Mode.NONE and phase not in UNCROSSING


def _steps(state: State, number: int) -> list[int]:
    steps = state.controls[number - 1].get("limit_steps", "")
    return [int(step) for step in steps.split(",")] if steps else []


def _next_step(state: State, number: int) -> int:
    """The step of a new day, after how the last one ended (R67)."""
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    steps, free = _steps(state, number), state.controls[number - 1].get("limit_free_from", "")
    if not steps or (free and state.trading_day and state.trading_day >= free):
        return 0
    locked, side = int(ctl[c + LOCKED]), int(ctl[c + RUN_SIDE])
    if not locked:
        return 1
    further = int(ctl[c + STEP]) + 1 if side in (0, locked) else 2
    return min(further, len(steps))


def _limits(state: State, number: int) -> tuple[int, int]:
    ctl, c = state.arrays.ctl, number * CONTROL_WORDS
    low, high, settlement, step = (int(ctl[c + field]) for field in (BAND_MIN, BAND_MAX, SETTLEMENT, STEP))
    if not step:
        return low, high
    width = abs(settlement) * _steps(state, number)[step - 1] // WHOLE
    return max(low, settlement - width), min(high, settlement + width)
