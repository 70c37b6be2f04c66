"""What acts say: the readable reading of their payloads (rules R40 to R44, R54, R63, R66, R67, R70), as plain objects.

Owns the terms of an instrument, the identity of an account and the checks that let a payload become one.
Imports the schema only and knows nothing of orders; `engine/reference.py` carries the acts out.  A payload
that does not say what its rule asks for raises `Refused(Code.BAD_TERMS)`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final

from engine.reference_payload import (
    Payload,
    check_date,
    check_keys,
    check_text,
    read_integer,
    read_name,
    read_price,
    read_string,
    read_subject,
    read_ticks,
    refuse,
)
from engine.schema import (
    DEFAULT_PROTECTION_TICKS,
    DEFAULT_WINDOW_TICKS,
    MAX_CONTRACT_SIZE,
    MAX_FAR_LEVELS,
    MAX_ORDER_QTY,
    MAX_PRICE_TICKS,
    MAX_WINDOW_MS,
    MAX_WINDOW_TICKS,
    SYMBOL_ALL,
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
    "TradingDay",
    "read_uncross",
]

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
    ccy: str = ""
    commodity: str = ""

    @classmethod
    def read(cls, payload: Payload) -> InstrumentTerms:
        """Read an instrument.define."""
        check_keys(
            payload,
            must="symbol ccy unit contract_size tick min_price max_price max_order_qty",
            may="name group commodity protection_ticks reference_price window_ticks",
        )
        symbol = read_name(payload, "symbol")
        read_name(payload, "unit")
        check_text(payload, "name")
        if symbol == SYMBOL_ALL:
            refuse()
        try:
            tick = Tick.parse(read_string(payload, "tick"))
        except ValueError:
            refuse()
        min_price = read_price(payload, "min_price", tick)
        max_price = read_price(payload, "max_price", tick)
        if not -MAX_PRICE_TICKS <= min_price <= max_price <= MAX_PRICE_TICKS:
            refuse()
        reference_price = (min_price + max_price) // 2
        if "reference_price" in payload:
            reference_price = read_price(payload, "reference_price", tick)
            if not min_price <= reference_price <= max_price:
                refuse()
        group = read_name(payload, "group") if "group" in payload else ""
        # R15: the window lies around the reference price, moved so that it lies inside the band.
        band = max_price - min_price + 1
        width = min(band, read_integer(payload, "window_ticks", 1, MAX_WINDOW_TICKS, DEFAULT_WINDOW_TICKS))
        start = max(min_price, min(reference_price - width // 2, max_price - width + 1))
        return cls(
            symbol=symbol,
            contract_size=read_integer(payload, "contract_size", 1, MAX_CONTRACT_SIZE),
            min_price=min_price,
            max_price=max_price,
            max_order_qty=read_integer(payload, "max_order_qty", 1, MAX_ORDER_QTY),
            protection_ticks=read_integer(payload, "protection_ticks", 0, MAX_ORDER_QTY, DEFAULT_PROTECTION_TICKS),
            reference_price=reference_price,
            window_start=start,
            window_ticks=width,
            tick=tick,
            group=group,
            said=payload,
            ccy=read_name(payload, "ccy"),
            commodity=read_name(payload, "commodity") if "commodity" in payload else group or symbol,  # R76
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
    """R41: an account, the member it trades through, its beneficial owner and the currency it settles in, if any."""

    account: str
    member: str
    owner: str
    ccy: str = ""

    @classmethod
    def read(cls, payload: Payload) -> AccountTerms:
        """Read an account.define."""
        check_keys(payload, must="account member owner", may="ccy")
        return cls(
            account=read_name(payload, "account"),
            member=read_name(payload, "member"),
            owner=read_name(payload, "owner"),
            ccy=read_name(payload, "ccy") if "ccy" in payload else "",
        )

    def picture(self) -> dict[str, str]:
        """The terms as they were given."""
        return {key: said for key, said in asdict(self).items() if said}


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
        check_keys(payload, must="phase", may="symbol group why by draw override at_last_match auto")
        symbol, group = read_subject(payload)
        phase = words(Phase).get(read_string(payload, "phase"))
        if not isinstance(phase, Phase):
            refuse()
        if "override" in payload and symbol in ("", SYMBOL_ALL):
            refuse()  # R65: it is a thing between one instrument and the rest of its group
        at_last_match = bool(read_integer(payload, "at_last_match", 0, 1, 0))
        if at_last_match and phase not in _LAST_MATCH_PHASES:
            refuse()  # R63
        auto = bool(read_integer(payload, "auto", 0, 1, 0))
        if auto and (phase != Phase.CONTINUOUS or symbol in ("", SYMBOL_ALL)):
            refuse()  # R70
        return cls(
            symbol=symbol,
            group=group,
            phase=phase,
            draw=read_integer(payload, "draw", 0, MAX_DRAW, 0),
            override=bool(read_integer(payload, "override", 0, 1, 0)),
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
        check_keys(payload, may=" ".join(("symbol group why by", *_CONTROLS)))
        symbol, group = read_subject(payload, is_all_meant=False)
        said = {key: payload[key] for key in _CONTROLS if key in payload}
        if not said:
            refuse()
        for key in said.keys() & _INTEGER_CONTROLS.keys():
            read_integer(said, key, *_INTEGER_CONTROLS[key])
        if "max_order_value" in said and not _VALUE.fullmatch(read_string(said, "max_order_value")):
            refuse()
        if said.get("limit_steps", "") != "":
            _check_steps(read_string(said, "limit_steps"))
        if said.get("limit_free_from", "") != "":
            check_date(read_string(said, "limit_free_from"))
        return cls(symbol, group, said)


def _check_steps(text: str) -> None:
    """R66: one to three rising integers."""
    if not _STEPS.fullmatch(text):
        refuse()
    steps = [int(step) for step in text.split(",")]
    if steps != sorted(set(steps)) or steps[-1] > _MAX_STEP:
        refuse()


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
        check_keys(payload, may="symbol group settlement step why by" + (" locked side" if is_restating else ""))
        symbol, group = read_subject(payload, is_all_meant=False)
        settlement = None
        if "settlement" in payload:
            settlement = read_string(payload, "settlement")
            read_ticks(settlement, _ANY_TICK)
            if group:
                refuse()

        def number(key: str, high: int) -> int | None:
            return read_integer(payload, key, 0, high) if key in payload else None

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
        ticks = read_ticks(self.settlement, terms.tick)
        if ticks is None or not terms.min_price <= ticks <= terms.max_price:
            refuse()
        return ticks


def read_uncross(payload: Payload) -> str:
    """Read an auction.uncross (R54): the symbol."""
    check_keys(payload, must="symbol", may="why by")
    check_text(payload, "why")
    check_text(payload, "by")
    return read_name(payload, "symbol")


@dataclass(frozen=True)
class TradingDay:
    """R44: the day that is opened, the number its first trade will bear, and whether it is margined (R73)."""

    trading_day: str
    next_trade_id: int
    is_margined: bool

    @classmethod
    def read(cls, payload: Payload) -> TradingDay:
        """Read a day.open."""
        check_keys(payload, must="trading_day next_trade_id", may="margined")
        trading_day = read_string(payload, "trading_day")
        check_date(trading_day)
        next_trade_id = read_integer(payload, "next_trade_id", 1, MAX_TRADE_ID)
        return cls(trading_day, next_trade_id, "margined" in payload and bool(read_integer(payload, "margined", 0, 1)))

    @staticmethod
    def read_start(payload: Payload) -> None:
        """Read a day.start, which says nothing more."""
        check_keys(payload)

    @property
    def number(self) -> int:
        """The day as the number yyyymmdd."""
        return int(self.trading_day.replace("-", ""))
