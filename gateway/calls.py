"""Calls that the venue ends: those by which an operator resumes a halted instrument, and the volatility trigger's.

Floor 3, without a clock: times are handed in.  Kept in memory only: after a restart a re-opening call stays until an
operator ends it; a volatility call begins anew.  A call is ended only if it is still the one that was noted: whoever
has set another phase since has the say.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.schema import Phase
from gateway.directory import Directory

__all__ = ["CALL_SECONDS", "CALL_SECONDS_MAX", "ReopeningCalls"]

CALL_SECONDS: Final = 5
CALL_SECONDS_MAX: Final = 86_400
AGAIN_SECONDS: Final = 1.0
PULLED_TRIES: Final = 2


class _Call(NamedTuple):
    phase_seq: int
    due: float | None  # None: an operator ends it
    pulled: bool = False  # by the volatility trigger: it may be extended instead of ended
    again: float = AGAIN_SECONDS
    tries: int = 0  # how often its end has been asked for


class ReopeningCalls:
    """The re-opening calls under way, by symbol."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def begin(self, symbol: str, phase_seq: int, now: float, seconds: int) -> None:
        """Take note of a call that the command `phase_seq` has begun; with 0 seconds the venue does not end it."""
        self._calls[symbol] = _Call(phase_seq, now + seconds if seconds else None)

    def watch(self, now: float, directory: Directory, seconds: float) -> None:
        """Take note of the calls that the volatility trigger has begun, also before a restart (R69)."""
        for one in directory.listed():
            if one.pulled and one.phase == Phase.VOLATILITY_AUCTION and one.symbol not in self._calls:
                self._calls[one.symbol] = _Call(one.phase_seq, now + seconds, True, seconds)

    def due(self, now: float, directory: Directory) -> list[tuple[str, bool]]:
        """The symbols whose calls are to be ended now, and whether the trigger began them.

        Again after a second if that has not come about; a call of the trigger, which the engine may have extended
        (R70), once more after its time, and then an operator has to end it.  Those that have ended are forgotten.
        """
        ending = []
        for symbol, call in list(self._calls.items()):
            instrument = directory.instrument(symbol)
            if instrument is None or instrument.phase_seq != call.phase_seq:
                del self._calls[symbol]
            elif call.due is not None and now >= call.due:
                tries = call.tries + 1
                due = None if call.pulled and tries >= PULLED_TRIES else now + call.again
                self._calls[symbol] = call._replace(due=due, tries=tries)
                ending.append((symbol, call.pulled))
        return ending

    def held(self) -> frozenset[str]:
        """The symbols in a re-opening call, which a calendar leaves alone."""
        return frozenset(self._calls)
