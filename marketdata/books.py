"""What the public may know of one market: its book by level, last trades, phase and auction.

Plain state, moved by `marketdata.feed`, read by `marketdata.streams`.  Imports engine.schema only.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final, NamedTuple

from engine.schema import AuctionStep, Tick

__all__ = ["CALL_BEGINS", "NO_AUCTION", "RECENT_TRADES", "Auction", "Level", "Levels", "Market", "PublicTrade"]

RECENT_TRADES: Final = 50
PRICE_TEXTS_MAX: Final = 1 << 16
_NO_CROSS: Final = int(AuctionStep.NO_CROSS)

Level = tuple[int, int]
"""Lots and number of orders at one price."""


class PublicTrade(NamedTuple):
    """One trade as the public sees it: price in ticks, qty in lots, time in ns.

    aggressor is the side of the incoming order, 0 in an auction, where there is none.
    """

    trade_id: int
    price: int
    qty: int
    aggressor: int
    time: int


class Auction(NamedTuple):
    """What is told of a call (`indicative`), or was of the last uncross (`uncrossed`); `none`: neither is of interest.

    price in ticks, None without one; qty and surplus in lots; side of the surplus, 0 without one; step an AuctionStep.
    """

    state: str
    price: int | None
    qty: int
    surplus: int
    side: int
    step: int


NO_AUCTION: Final = Auction("none", None, 0, 0, 0, _NO_CROSS)
CALL_BEGINS: Final = NO_AUCTION._replace(state="indicative")


class Levels:
    """One side of a book: lots and number of orders by price.

    A level is kept under `price * sign`, so that on both sides a greater key is a better price; the best stands last
    in `keys`, where most of the inserting and deleting happens.
    """

    __slots__ = ("at", "before", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.at: dict[int, Level] = {}
        self.before: dict[int, Level | None] = {}
        """What this command has touched, by key: the level as it was before the command."""

    def add(self, price: int, lots: int) -> None:
        """Let one more order of `lots` stand at `price`."""
        key = price * self.sign
        old = self.at.get(key)
        if old is None:
            insort(self.keys, key)
            self.at[key] = (lots, 1)
        else:
            self.at[key] = (old[0] + lots, old[1] + 1)
        if key not in self.before:
            self.before[key] = old

    def take(self, price: int, lots: int, orders: int) -> None:
        """Take `lots` (less than 0: put them there) and a number of `orders` (0 or 1) off `price`."""
        key = price * self.sign
        old = self.at[key]
        left = (old[0] - lots, old[1] - orders)
        if left[1]:
            self.at[key] = left
        else:
            assert left[0] == 0, "a level without orders has no lots"
            del self.at[key]
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]
        if key not in self.before:
            self.before[key] = old

    def changed(self) -> list[int]:
        """List the keys of the levels that this command has changed, best first."""
        at = self.at
        keys = [key for key, old in self.before.items() if at.get(key) != old]
        keys.sort(reverse=True)
        return keys

    def best(self, depth: int) -> list[int]:
        """List the keys of the `depth` best levels, best first; 0 stands for all."""
        return self.keys[: -depth - 1 : -1] if depth else self.keys[::-1]


class Market:
    """What the public may know of one instrument, and the seq of the last command that changed each part of it."""

    __slots__ = (
        "_texts", "asks", "auction", "auction_seq", "auction_time", "bids", "book_seq", "book_time", "crc", "dirty",
        "fresh", "number", "phase", "recent", "status_seq", "status_time", "symbol", "tick", "tick_text", "trades_seq",
        "why",
    )  # fmt: skip

    def __init__(self, number: int, symbol: str, tick: str, phase: int, seq: int, time: int) -> None:
        self.number = number
        self.symbol = symbol
        self.tick_text = tick
        self.tick = Tick.parse(tick)
        self.phase = phase
        self.why: str | None = None
        self.bids = Levels(1)
        self.asks = Levels(-1)
        self.recent: deque[PublicTrade] = deque(maxlen=RECENT_TRADES)
        self.fresh: list[PublicTrade] = []
        self.auction = NO_AUCTION
        self.book_seq = self.trades_seq = self.status_seq = self.auction_seq = seq
        self.book_time = self.status_time = self.auction_time = time
        self.dirty = False
        self.crc = (0, 0)  # the book_seq it belongs to, and the checksum of the book
        self._texts: dict[int, str] = {}

    def price_text(self, price: int) -> str:
        """Give the decimal text of a price in ticks."""
        text = self._texts.get(price)
        if text is None:
            if len(self._texts) >= PRICE_TEXTS_MAX:
                self._texts.clear()
            text = self._texts[price] = self.tick.text(price)
        return text

    def book(self) -> dict[str, list[tuple[int, int, int]]]:
        """Give the whole book as `{"bids": [(price_ticks, lots, orders), …], "asks": […]}`, best first."""
        return {
            "bids": [(key, *self.bids.at[key]) for key in self.bids.best(0)],
            "asks": [(-key, *self.asks.at[key]) for key in self.asks.best(0)],
        }
