"""The client's own picture of one order book, kept from the public feed and checked against its checksum.

Pure: it is handed decoded `book` messages of marketdata/FEED.md and says whether they fit; asking for a new snapshot is
the caller's business.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sortedcontainers import SortedDict

from engine.schema import Tick

__all__ = ["CHECKED_LEVELS", "Book", "BookError", "Level"]

CHECKED_LEVELS = 10


class BookError(Exception):
    """The message does not continue this book: the reader missed something and needs a snapshot."""


class Level(NamedTuple):
    """One price of one side: decimal price, lots, number of orders."""

    price: str
    qty: int
    orders: int


class Book:
    """Bids and asks of one instrument, best first.

    `seq` is the engine sequence number of the last command in it; `ready` is false until the first snapshot and
    from a gap until the next one.
    """

    def __init__(self, symbol: str, tick: str) -> None:
        self.symbol = symbol
        self.tick = Tick.parse(tick)
        self.seq = 0
        self.ready = False
        self._more = False  # a message in several parts has begun; the checksum is that of the whole
        # Keyed so that iteration gives the best price first: bids by negated ticks, asks by ticks.
        self._bids: SortedDict[int, Level] = SortedDict()
        self._asks: SortedDict[int, Level] = SortedDict()

    def bids(self, depth: int | None = None) -> list[Level]:
        """Buy levels, highest price first."""
        return list(self._bids.values()[:depth])

    def asks(self, depth: int | None = None) -> list[Level]:
        """Sell levels, lowest price first."""
        return list(self._asks.values()[:depth])

    @property
    def best_bid(self) -> Level | None:
        return self._bids.values()[0] if self._bids else None

    @property
    def best_ask(self) -> Level | None:
        return self._asks.values()[0] if self._asks else None

    def checksum(self) -> int:
        """CRC-32 of `price_ticks:lots|` over the ten best bids, then the ten best asks."""
        bids = [(-key, level.qty) for key, level in self._bids.items()[:CHECKED_LEVELS]]
        asks = [(key, level.qty) for key, level in self._asks.items()[:CHECKED_LEVELS]]
        return zlib.crc32("".join(f"{ticks}:{qty}|" for ticks, qty in bids + asks).encode("ascii"))

    def take(self, message: Mapping[str, Any]) -> None:
        """Apply a `book` message. BookError, and `ready` false, if it does not follow on or its checksum is wrong."""
        continues = self._more and message.get("seq") == self.seq
        follows = continues or (self.ready and message.get("prev") == self.seq)
        self.ready = self._more = False
        if message.get("type") == "snapshot" and not continues:
            self._bids.clear()
            self._asks.clear()
        elif not follows:
            raise BookError(f"{self.symbol}: update after seq {message.get('prev')}, but the book is at {self.seq}")
        try:
            self._set(self._bids, message["bids"], -1)
            self._set(self._asks, message["asks"], 1)
            self.seq = message["seq"]
        except (KeyError, ValueError, TypeError) as error:
            raise BookError(f"{self.symbol}: unreadable book message: {error}") from error
        if message.get("more"):
            self._more = True
            return
        if "crc" in message and message["crc"] != self.checksum():
            raise BookError(f"{self.symbol}: checksum differs at seq {self.seq}")
        self.ready = True

    def _set(self, side: SortedDict[int, Level], levels: Iterable[tuple[str, int, int]], sign: int) -> None:
        for price, qty, orders in levels:
            ticks = self.tick.ticks(price)
            if ticks is None:
                raise BookError(f"{self.symbol}: {price} is not a whole number of ticks")
            if qty:
                side[sign * ticks] = Level(price, qty, orders)
            else:
                side.pop(sign * ticks, None)
