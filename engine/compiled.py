"""The compiled core as the log takes it: a matcher. Importing it imports numba, so only those who ask for it do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine import apply, dump
from engine.schema import Limits

__all__ = ["Compiled"]

Rows = npt.NDArray[np.void]


class Compiled:
    """A venue's state and what is asked of it; `state`: go on with this one instead of an empty venue."""

    def __init__(self, limits: Limits, state: apply.State | None = None) -> None:
        self.state = apply.new_state(limits) if state is None else state

    def run_block(self, commands: Rows, payload: bytes = b"", /) -> Rows:
        """Carry out a block; its EVENT rows."""
        events: Rows = apply.run_block(self.state, commands, payload)
        return events

    def dump(self) -> dict[str, Any]:
        """The canonical picture of the world."""
        return dump.dump(self.state)

    def book(self, instrument: int, /) -> dict[str, Any]:
        """One instrument's book, by its number."""
        return dump.book(self.state, instrument)

    def indicative(self, instrument: int) -> tuple[int, int, int, int]:
        """What a call would trade now: `engine.dump.indicative`."""
        return dump.indicative(self.state, instrument)
