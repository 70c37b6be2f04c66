"""Re-opening calls: when the venue is to end the call that an operator began by resuming a halted instrument.

Floor 3, without a clock: times are handed in.  Kept in memory only: after a restart a call stays until an operator ends
it.  A call is ended only if it is still the one that the resume began: whoever has set another phase since has the say.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.directory import Directory

__all__ = ["CALL_SECONDS", "CALL_SECONDS_MAX", "ReopeningCalls"]

CALL_SECONDS: Final = 5
CALL_SECONDS_MAX: Final = 86_400
AGAIN_SECONDS: Final = 1.0


class _Call(NamedTuple):
    phase_seq: int
    due: float | None  # None: an operator ends it


class ReopeningCalls:
    """The re-opening calls under way, by symbol."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def begin(self, symbol: str, phase_seq: int, now: float, seconds: int) -> None:
        """Take note of a call that the command `phase_seq` has begun; with 0 seconds the venue does not end it."""
        self._calls[symbol] = _Call(phase_seq, now + seconds if seconds else None)

    def due(self, now: float, directory: Directory) -> list[str]:
        """The symbols whose calls are to be ended now, and again after a second if that has not come about.

        Those that have ended, whoever did it, are forgotten.
        """
        ending = []
        for symbol, call in list(self._calls.items()):
            instrument = directory.instrument(symbol)
            if instrument is None or instrument.phase_seq != call.phase_seq:
                del self._calls[symbol]
            elif call.due is not None and now >= call.due:
                self._calls[symbol] = call._replace(due=now + AGAIN_SECONDS)
                ending.append(symbol)
        return ending

    def held(self) -> frozenset[str]:
        """The symbols in a re-opening call, which a calendar leaves alone."""
        return frozenset(self._calls)
