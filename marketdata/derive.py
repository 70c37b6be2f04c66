"""What a block of events changes in the books that the public sees, derived by compiled code for all rows at once.

The same fold as marketdata/feed.py, which stays the readable form of it, for whoever has blocks rather than single
commands: `Derivation.derive` gives the level changes and the public trades of a block as two arrays, and the places of
the rows that say something else (phases, calls, definitions, the day).  The state is made of preallocated arrays
sized by Limits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine import kernel_cache
from engine.core.lane import LANE
from engine.schema import COMMAND, EVENT, Limits, Side

from .levels import (
    ADDRESSES,
    CACHE,
    CHANGES,
    FIRST_LEVEL,
    HEADER_WORDS,
    KEY,
    LEVEL_CHANGE,
    LEVEL_MASK,
    LEVEL_WORDS,
    LEVELS_USED,
    LOTS,
    ORDER_MASK,
    ORDER_WORDS,
    ORDERS,
    PRICE,
    PUBLIC_TRADE,
    RESTATING,
    SHOW_WORDS,
    SHOWS_USED,
    STRANGERS,
    TOLD,
    TOUCHED,
    TRADES,
    as_rows,
    derive,
)  # fmt: skip

__all__ = ["LEVEL_CHANGE", "PUBLIC_TRADE", "Derivation", "Derived", "warm"]

Rows = npt.NDArray[Any]
Words = npt.NDArray[np.int64]


class Derived(NamedTuple):
    """What a block of events tells the public.

    changes: LEVEL_CHANGE rows; trades: PUBLIC_TRADE rows, by trade_id; told: places in the block of the rows of other
    kinds that concern the public (PHASE_CHANGED, AUCTION_INDICATIVE, AUCTION_UNCROSSED, INSTRUMENT_DEFINED,
    DAY_OPENED, DAY_STARTED), int64.  DAY_OPENED empties all books without a word; while the day's world is restated
    nothing is told of it, and from DAY_STARTED on readers begin anew with `Derivation.book`.
    """

    changes: Rows
    trades: Rows
    told: Words


_WARM = False


def warm() -> bool:
    """Make the kernel ready; True if it had to be compiled."""
    global _WARM
    if _WARM:
        return False
    _WARM = True
    Derivation(Limits(1, 1, 1, 1, 1)).derive(np.zeros(0, COMMAND), np.zeros(0, EVENT))
    if CACHE is None or kernel_cache.is_sealed(CACHE):
        return False
    kernel_cache.seal(CACHE)
    return True


def _power(least: int) -> int:
    return 1 << max(6, (least - 1).bit_length())


class Derivation:
    """The public books of one venue, kept by compiled code.  One thread only calls it."""

    def __init__(self, limits: Limits) -> None:
        """Empty books with room for what a venue of these limits can hold; the memory is reserved, not touched."""
        warm()
        most = limits.orders + 1  # the incoming one included
        self._h: Words = np.zeros(HEADER_WORDS, np.int64)
        self._orders: Words = np.zeros(ORDER_WORDS * _power(2 * most), np.int64)
        self._levels: Words = np.zeros(LEVEL_WORDS * (FIRST_LEVEL + 2 * most), np.int64)  # a command may move them all
        self._places = np.zeros(_power(4 * most), np.int32)
        self._shows: Words = np.zeros(SHOW_WORDS * (1 + most), np.int64)
        self._touched = np.zeros(FIRST_LEVEL + 2 * most, np.int32)
        self._h[LEVELS_USED], self._h[SHOWS_USED] = FIRST_LEVEL, 1
        self._h[ORDER_MASK] = self._orders.size // ORDER_WORDS - 1
        self._h[LEVEL_MASK] = self._places.size - 1
        arrays: tuple[npt.NDArray[Any], ...] = (self._orders, self._places, self._levels, self._shows, self._touched)
        for place, array in enumerate(arrays):
            self._h[ADDRESSES + place] = array.ctypes.data
        self._handle: Any = self._h.ctypes.data if LANE == "compiled" else (self._h, *arrays)

    @property
    def restating(self) -> bool:
        """Whether a day's world is being restated: nothing is told until that is done."""
        return bool(self._h[RESTATING])

    def derive(self, commands: Rows, events: Rows) -> Derived:
        """Fold the next event rows of the log.

        commands: COMMAND rows, shape (n,), without gap, those that the events are of (needed where a day's orders are
        restated); events: EVENT rows, shape (m,), which may begin and end in the midst of a command: what it changes
        is told with its last row.  Raises ValueError, once all rows are folded, if some are about orders that no row
        before told of: the log was not read from the start of its day.
        """
        count = len(events)
        assert events.dtype == EVENT and events.flags.c_contiguous and commands.dtype == COMMAND
        assert commands.flags.c_contiguous
        changes = np.empty(2 * count + int(self._h[TOUCHED]) + 1, LEVEL_CHANGE)
        trades, told = np.empty(count, PUBLIC_TRADE), np.empty(count, np.int64)
        derive(
            self._handle, as_rows(events), count, as_rows(commands), as_rows(changes), as_rows(trades), as_rows(told)
        )
        strangers, self._h[STRANGERS] = int(self._h[STRANGERS]), 0
        if strangers:
            raise ValueError(f"{strangers} event rows are about orders that no row before them told of")
        h = self._h
        return Derived(changes[: h[CHANGES]], trades[: h[TRADES]], told[: h[TOLD]])

    def book(self, instrument: int) -> dict[str, list[tuple[int, int, int]]]:
        """One instrument's book as {"bids": [(price_ticks, lots, orders), …], "asks": […]}, best first."""
        levels = self._levels[: int(self._h[LEVELS_USED]) * LEVEL_WORDS].reshape(-1, LEVEL_WORDS)
        book = {}
        for name, side, sign in (("bids", int(Side.BUY), -1), ("asks", int(Side.SELL), 1)):
            here = levels[(levels[:, KEY] == (instrument << 8 | side)) & (levels[:, ORDERS] > 0)]
            here = here[np.argsort(sign * here[:, PRICE])]
            book[name] = [(int(row[PRICE]), int(row[LOTS]), int(row[ORDERS])) for row in here]
        return book
