"""What acts say: the readable reading of their payloads (rules R40 to R44, R54, R63, R66, R67, R70), as plain objects.

Owns the terms of an instrument, the identity of an account and the checks that let a payload become one.
Imports the schema only and knows nothing of orders; `engine/reference.py` carries the acts out.  A payload
that does not say what its rule asks for raises `Refused(Code.BAD_TERMS)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from engine.schema import (
    DEFAULT_PROTECTION_TICKS,
    DEFAULT_WINDOW_TICKS,
    MAX_CONTRACT_SIZE,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_PRICE_TICKS,
    MAX_WINDOW_MS,
    MAX_WINDOW_TICKS,
    NAME_PATTERN,
    SYMBOL_ALL,
    Code,
    Phase,
    Side,
    Tick,
    words,
)

__all__ = [
    "AccountTerms",
    "ControlChange",
    "InstrumentTerms",
    "LimitChange",
    "PhaseChange",
    "Refused",
    "TradingDay",
    "read_payload",
    "read_uncross",
]

Payload = dict[str, int | str]

TEXT_MAX: Final = 200
MAX_TRADE_ID: Final = 1 << 62
MAX_DRAW: Final = 3_600_000
MAX_LIMIT_STEPS: Final = 3
# R66: the controls that are integers, and what they may be.
_INTEGER_CONTROLS: Final = {
    "band_ticks": (0, MAX_PRICE_TICKS),
    "short_ticks": (0, MAX_PRICE_TICKS),
    "long_ticks": (0, MAX_PRICE_TICKS),
    "short_ms": (8, MAX_WINDOW_MS),
    "long_ms": (8, MAX_WINDOW_MS),
}
_CONTROLS: Final = (*_INTEGER_CONTROLS, "max_order_value", "limit_steps", "limit_free_from")
_VALUE: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")
_STEPS: Final = re.compile(r"[1-9][0-9]{0,4}(,[1-9][0-9]{0,4}){0,2}")
_MAX_STEP: Final = 10_000
_ANY_TICK: Final = Tick(1, 0)
_LAST_MATCH_PHASES: Final = (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED)
_NAME: Final = re.compile(NAME_PATTERN)
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Refused(Exception):
    """An act that cannot be done, and the code that says why."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def read_payload(payload: bytes, offset: int, length: int) -> Payload:
    """Read the JSON object at `offset` of a block's payload section; BAD_TERMS unless it lies there and is one."""
    if offset < 0 or length < 0 or offset + length > len(payload):
        _refuse()
    try:
        read = json.loads(payload[offset : offset + length].decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        _refuse()
    if not isinstance(read, dict):
        _refuse()
    return read


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        _refuse()
    return read


@dataclass(frozen=True)
class InstrumentTerms:
    """R40: what an instrument is.  Prices in ticks, quantities in lots; `said` is the payload as it was given."""

    symbol: str
    contract_size: int
    min_price: int
    max_price: int
    max_order_qty: int
    protection_ticks: int
    reference_price: int
    window_start: int
    window_ticks: int
    tick: Tick
    group: str
    said: Payload

    @classmethod
    def read(cls, payload: Payload) -> InstrumentTerms:
        """Read an instrument.define."""
        _keys(
            payload,
            must="symbol ccy unit contract_size tick min_price max_price max_order_qty",
            may="name group protection_ticks reference_price window_ticks",
        )
        symbol = _name(payload, "symbol")
        _name(payload, "ccy")
        _name(payload, "unit")
        _text(payload, "name")
        if symbol == SYMBOL_ALL:
            _refuse()
        try:
            tick = Tick.parse(_string(payload, "tick"))
        except ValueError:
            _refuse()
        min_price = _price(payload, "min_price", tick)
        max_price = _price(payload, "max_price", tick)
        if not -MAX_PRICE_TICKS <= min_price <= max_price <= MAX_PRICE_TICKS:
            _refuse()
        reference_price = (min_price + max_price) // 2
        if "reference_price" in payload:
            reference_price = _price(payload, "reference_price", tick)
            if not min_price <= reference_price <= max_price:
                _refuse()
        # R15: the window lies around the reference price, moved so that it lies inside the band.
        band = max_price - min_price + 1
        width = min(band, _integer(payload, "window_ticks", 1, MAX_WINDOW_TICKS, DEFAULT_WINDOW_TICKS))
        start = max(min_price, min(reference_price - width // 2, max_price - width + 1))
        return cls(
            symbol=symbol,
            contract_size=_integer(payload, "contract_size", 1, MAX_CONTRACT_SIZE),
            min_price=min_price,
            max_price=max_price,
            max_order_qty=_integer(payload, "max_order_qty", 1, MAX_ORDER_QTY),
            protection_ticks=_integer(payload, "protection_ticks", 0, MAX_ORDER_QTY, DEFAULT_PROTECTION_TICKS),
            reference_price=reference_price,
            window_start=start,
            window_ticks=width,
            tick=tick,
            group=_name(payload, "group") if "group" in payload else "",
            said=payload,
        )

    @property
    def levels(self) -> int:
        """How many of the venue's price levels the instrument takes (R40)."""
        covers_band = self.window_ticks == self.max_price - self.min_price + 1
        return 2 * self.window_ticks + (0 if covers_band else 2 * MAX_FAR_LEVELS)

    def is_far(self, price: int) -> bool:
        """Whether a price lies outside the window (R15)."""
        return not self.window_start <= price < self.window_start + self.window_ticks


@dataclass(frozen=True)
class AccountTerms:
    """R41: an account, the member it trades through and its beneficial owner."""

    account: str
    member: str
    owner: str

    @classmethod
    def read(cls, payload: Payload) -> AccountTerms:
        """Read an account.define."""
        _keys(payload, must="account member owner")
        return cls(_name(payload, "account"), _name(payload, "member"), _name(payload, "owner"))


@dataclass(frozen=True)
class PhaseChange:
    """R42: a wish for a phase, of one instrument, of every one (symbol ALL) or of a group; the other one is empty."""

    symbol: str
    group: str
    phase: Phase
    draw: int = 0
    override: bool = False
    at_last_match: bool = False
    auto: bool = False

    @classmethod
    def read(cls, payload: Payload) -> PhaseChange:
        """Read a phase.set."""
        _keys(payload, must="phase", may="symbol group why by draw override at_last_match auto")
        symbol, group = _target(payload)
        phase = words(Phase).get(_string(payload, "phase"))
        if not isinstance(phase, Phase):
            _refuse()
        if "override" in payload and symbol in ("", SYMBOL_ALL):
            _refuse()  # R65: it is a thing between one instrument and the rest of its group
        at_last_match = bool(_integer(payload, "at_last_match", 0, 1, 0))
        if at_last_match and phase not in _LAST_MATCH_PHASES:
            _refuse()  # R63
        auto = bool(_integer(payload, "auto", 0, 1, 0))
        if auto and (phase != Phase.CONTINUOUS or symbol in ("", SYMBOL_ALL)):
            _refuse()  # R70
        return cls(
            symbol=symbol,
            group=group,
            phase=phase,
            draw=_integer(payload, "draw", 0, MAX_DRAW, 0),
            override=bool(_integer(payload, "override", 0, 1, 0)),
            at_last_match=at_last_match,
            auto=auto,
        )


@dataclass(frozen=True)
class ControlChange:
    """R66: what is named of the controls of one instrument or of a group (the other one is empty), as it was said."""

    symbol: str
    group: str
    said: Payload

    @classmethod
    def read(cls, payload: Payload) -> ControlChange:
        """Read a control.set."""
        _keys(payload, may=" ".join(("symbol group why by", *_CONTROLS)))
        symbol, group = _target(payload, is_all_meant=False)
        said = {key: payload[key] for key in _CONTROLS if key in payload}
        if not said:
            _refuse()
        for key in said.keys() & _INTEGER_CONTROLS.keys():
            _integer(said, key, *_INTEGER_CONTROLS[key])
        if "max_order_value" in said and not _VALUE.fullmatch(_string(said, "max_order_value")):
            _refuse()
        if said.get("limit_steps", "") != "":
            _check_steps(_string(said, "limit_steps"))
        if said.get("limit_free_from", "") != "":
            _check_date(_string(said, "limit_free_from"))
        return cls(symbol, group, said)


def _check_steps(text: str) -> None:
    """R66: one to three rising integers."""
    if not _STEPS.fullmatch(text):
        _refuse()
    steps = [int(step) for step in text.split(",")]
    if steps != sorted(set(steps)) or steps[-1] > _MAX_STEP:
        _refuse()


@dataclass(frozen=True)
class LimitChange:
    """R67: a wish for new daily limits of one instrument or of a group; None is what was not named."""

    symbol: str
    group: str
    settlement: str | None
    step: int | None
    locked: int | None
    side: int | None

    @classmethod
    def read(cls, payload: Payload, *, is_restating: bool) -> LimitChange:
        """Read a limit.set; some keys are for the restatement of a day."""
        _keys(payload, may="symbol group settlement step why by" + (" locked side" if is_restating else ""))
        symbol, group = _target(payload, is_all_meant=False)
        settlement = None
        if "settlement" in payload:
            settlement = _string(payload, "settlement")
            _ticks(settlement, _ANY_TICK)
            if group:
                _refuse()

        def number(key: str, high: int) -> int | None:
            return _integer(payload, key, 0, high) if key in payload else None

        return cls(
            symbol=symbol,
            group=group,
            settlement=settlement,
            step=number("step", MAX_LIMIT_STEPS),
            locked=number("locked", Side.SELL),
            side=number("side", Side.SELL),
        )

    def settlement_of(self, terms: InstrumentTerms) -> int | None:
        """The settlement price in ticks of its instrument, if one is named: on tick and within the band."""
        if self.settlement is None:
            return None
        ticks = _ticks(self.settlement, terms.tick)
        if ticks is None or not terms.min_price <= ticks <= terms.max_price:
            _refuse()
        return ticks


def read_uncross(payload: Payload) -> str:
    """Read an auction.uncross (R54): the symbol."""
    _keys(payload, must="symbol", may="why by")
    _text(payload, "why")
    _text(payload, "by")
    return _name(payload, "symbol")


@dataclass(frozen=True)
class TradingDay:
    """R44: the day that is opened, and the number its first trade will bear."""

    trading_day: str
    next_trade_id: int

    @classmethod
    def read(cls, payload: Payload) -> TradingDay:
        """Read a day.open."""
        _keys(payload, must="trading_day next_trade_id")
        trading_day = _string(payload, "trading_day")
        _check_date(trading_day)
        return cls(trading_day, _integer(payload, "next_trade_id", 1, MAX_TRADE_ID))

    @staticmethod
    def read_start(payload: Payload) -> None:
        """Read a day.start, which says nothing more."""
        _keys(payload)

    @property
    def number(self) -> int:
        """The day as the number yyyymmdd."""
        return int(self.trading_day.replace("-", ""))


def _check_date(text: str) -> None:
    """R44: a date of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        _refuse()
    year, month, day = map(int, match.groups())
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        _refuse()


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


def _refuse() -> NoReturn:
    raise Refused(Code.BAD_TERMS)


def _keys(payload: Mapping[str, object], must: str = "", may: str = "") -> None:
    if not set(must.split()) <= payload.keys() <= set(must.split()) | set(may.split()):
        _refuse()


def _target(payload: Mapping[str, object], *, is_all_meant: bool = True) -> tuple[str, str]:
    """R42: the symbol or the group that an act means, the other one empty; why and by are checked along the way."""
    if ("symbol" in payload) == ("group" in payload):
        _refuse()
    symbol = _name(payload, "symbol") if "symbol" in payload else ""
    group = _name(payload, "group") if "group" in payload else ""
    if symbol == SYMBOL_ALL and not is_all_meant:
        _refuse()
    _text(payload, "why")
    _text(payload, "by")
    return symbol, group


def _string(payload: Mapping[str, object], key: str) -> str:
    value = payload[key]
    if not isinstance(value, str):
        _refuse()
    return value


def _name(payload: Mapping[str, object], key: str) -> str:
    value = _string(payload, key)
    if not _NAME.fullmatch(value):
        _refuse()
    return value


def _text(payload: Mapping[str, object], key: str) -> None:
    """Check an optional text of at most 200 characters, none of them half a surrogate pair."""
    if key in payload:
        value = _string(payload, key)
        if len(value) > TEXT_MAX or any("\ud800" <= character <= "\udfff" for character in value):
            _refuse()


def _integer(payload: Mapping[str, object], key: str, low: int, high: int, default: int | None = None) -> int:
    value = payload.get(key, default)
    # JSON's true and false are integers to Python, but not to the rules.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        _refuse()
    return value


def _price(payload: Mapping[str, object], key: str, tick: Tick) -> int:
    """A decimal price in whole ticks."""
    ticks = _ticks(_string(payload, key), tick)
    if ticks is None:
        _refuse()
    return ticks


def _ticks(text: str, tick: Tick) -> int | None:
    """The ticks of a decimal, None if it is off tick."""
    try:
        return tick.ticks(text)
    except ValueError:
        _refuse()
