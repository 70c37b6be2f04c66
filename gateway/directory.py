"""Names and numbers: which symbol, account and price text stand for which index and tick.

Floor 3.  Knows `engine.schema` only.  A `Directory` is a fold over durable blocks and nothing else, so the one
that a restart builds from the log equals the one that the running venue has built.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engine.schema import ACT_FIRST, COMMAND, OVERRIDE, EventKind, Phase, Tick, word

__all__ = ["Directory", "Instrument"]

CACHED_PRICES: Final = 65_536
_FIRST_ACT: Final = int(EventKind.INSTRUMENT_DEFINED)
_BY_TERMS: Final = frozenset({EventKind.INSTRUMENT_DEFINED, EventKind.ACCOUNT_DEFINED, EventKind.PHASE_CHANGED})
# Of these the row does not say everything: what the act said stays at hand while its block is told.
_SAID: Final = frozenset(
    {EventKind.FIXING_SET, EventKind.MARGIN_SET, EventKind.FEES_SET, EventKind.CAP_SET, EventKind.KILL_SET}
)
_VOLATILITY: Final = word(Phase.VOLATILITY_AUCTION)
_ACT_FIELDS: Final = ["kind", "seq", "instrument", "account", "phase", "qty", "flags", "op"]
assert COMMAND.fields is not None
_SEQ_AT: Final = COMMAND.fields["seq"][1]


class ActEvent(Protocol):
    """What is looked at of an event row; those read by the codec have it."""

    @property
    def kind(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def instrument(self) -> int: ...
    @property
    def account(self) -> int: ...
    @property
    def phase(self) -> int: ...
    @property
    def qty(self) -> int: ...
    @property
    def flags(self) -> int: ...
    @property
    def op(self) -> int: ...


class _Act(NamedTuple):
    kind: int
    seq: int
    instrument: int
    account: int
    phase: int
    qty: int
    flags: int
    op: int


@dataclass(slots=True)
class Instrument:
    """One instrument: its terms as the act gave them, its tick, and the phase it is in since command `phase_seq`.

    `override`: the phase is its own; acts on its group and on all pass it by (R65).  `pulled`: an order brought the
    phase about, which pulled the volatility trigger (R69).
    """

    number: int
    symbol: str
    tick: Tick
    terms: dict[str, Any]
    phase: Phase = Phase.CLOSED
    why: str = ""
    phase_seq: int = 0
    override: bool = False
    pulled: bool = False
    ticks_of: dict[str, int | None] = field(default_factory=dict, repr=False)
    text_of: dict[int, str] = field(default_factory=dict, repr=False)


class Directory:
    """The venue's names, learned from durable commands and events.

    Instruments and accounts are numbered from 1 as in the event rows; 0 names none.
    """

    __slots__ = (
        "account_names",
        "account_numbers",
        "instruments",
        "members",
        "numbers",
        "owners",
        "said",
        "seq",
        "trading_day",
    )

    def __init__(self) -> None:
        self.seq = 0
        self._clear()

    def _clear(self) -> None:
        self.trading_day = 0  # yyyymmdd, 0 before the first day.open
        self.instruments: list[Instrument | None] = [None]
        self.numbers: dict[str, int] = {}
        self.account_names: list[str] = [""]
        self.account_numbers: dict[str, int] = {}
        self.members: list[str] = [""]
        self.owners: list[str] = [""]
        self.said: dict[int, dict[str, Any]] = {}  # payloads of the last block's acts about money and switches, by seq

    def learn(self, commands: npt.NDArray[np.void], payload: bytes, events: npt.NDArray[np.void]) -> None:
        """Fold one durable block: COMMAND rows of contiguous seq, their payload section and all their EVENT rows."""
        if len(commands):
            self.learn_acts(commands, payload, [_Act(*map(int, row)) for row in events[_ACT_FIELDS].tolist()])

    def learn_acts(self, commands: npt.NDArray[np.void], payload: bytes, events: Iterable[ActEvent]) -> None:
        """The same, of a block that is not empty and whose events have been read already."""
        raw = commands[-1:].tobytes()
        self.seq = int.from_bytes(raw[_SEQ_AT : _SEQ_AT + 8], "little")
        if self.said:
            self.said = {}
        for event in events:
            if event.kind < _FIRST_ACT:
                continue
            if event.kind in _BY_TERMS or event.kind in _SAID:
                command = commands[event.seq - self.seq - 1]
                start, length = int(command["target_lo"]), int(command["target_hi"])
                terms = json.loads(payload[start : start + length]) if event.op >= ACT_FIRST else {}
                if event.kind in _SAID:
                    self.said[event.seq] = terms
                else:
                    self._define(event, terms)
            elif event.kind == EventKind.DAY_OPENED:
                self._clear()
                self.trading_day = event.qty

    def _define(self, event: ActEvent, terms: dict[str, Any]) -> None:
        number = event.instrument
        if event.kind == EventKind.PHASE_CHANGED:
            instrument = self.instruments[number]
            assert instrument is not None, "a phase changes only after the instrument's definition"
            instrument.phase = Phase(event.phase)
            instrument.why = terms.get("why", "")
            instrument.phase_seq = event.seq
            # An act that opens trading may elect a stop that pulls the trigger (R62, R69): it asked for another phase.
            asked = terms.get("phase") == _VOLATILITY
            instrument.pulled = instrument.phase == Phase.VOLATILITY_AUCTION and not asked
            instrument.override = bool(event.flags & OVERRIDE)
        elif event.kind == EventKind.INSTRUMENT_DEFINED:
            assert number == len(self.instruments), "instruments are numbered in the order of their definition"
            symbol = terms["symbol"]
            self.instruments.append(Instrument(number, symbol, Tick.parse(terms["tick"]), terms))
            self.numbers[symbol] = number
        else:
            assert event.account == len(self.account_names), "accounts are numbered in the order of their definition"
            self.account_names.append(terms["account"])
            self.account_numbers[terms["account"]] = event.account
            self.members.append(terms["member"])
            self.owners.append(terms["owner"])

    def instrument(self, symbol: str) -> Instrument | None:
        """The instrument of a symbol, or None."""
        return self.instruments[self.numbers.get(symbol, 0)]

    def listed(self) -> list[Instrument]:
        """All instruments, in the order of their numbers."""
        return [instrument for instrument in self.instruments if instrument is not None]

    def symbol(self, number: int) -> str:
        """The symbol of an instrument number; empty for one that is not defined."""
        found = self.instruments[number] if 0 < number < len(self.instruments) else None
        return found.symbol if found is not None else ""

    def account(self, number: int) -> str:
        """The name of an account number; empty for one that is not defined."""
        return self.account_names[number] if 0 < number < len(self.account_names) else ""

    def price_ticks(self, number: int, text: str) -> int | None:
        """Ticks of a decimal price text, None if it is off the tick; ValueError if it is no decimal."""
        instrument = self.instruments[number]
        assert instrument is not None
        cache = instrument.ticks_of
        try:
            return cache[text]
        except KeyError:
            ticks = instrument.tick.ticks(text)
            if len(cache) >= CACHED_PRICES:
                cache.clear()
            cache[text] = ticks
            return ticks

    def price_text(self, number: int, ticks: int) -> str:
        """The decimal text of a price in ticks."""
        instrument = self.instruments[number]
        assert instrument is not None
        cache = instrument.text_of
        try:
            return cache[ticks]
        except KeyError:
            text = instrument.tick.text(ticks)
            if len(cache) >= CACHED_PRICES:
                cache.clear()
            cache[ticks] = text
            return text
