"""The messages of one channel of one symbol, each encoded once for all who read it.

Each message names the seq of the one before it on the stream, and a snapshot the seq at which the stream stands, so a
late reader continues exactly where its snapshot ends.  Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.schema import AuctionStep, Phase, Side, word

from .books import Level, Levels, Market, PublicTrade
from .checksum import CHECKSUM_LEVELS, book_crc
from .feed import Change
from .messages import TRADES_PER_MESSAGE, Auction, Book, Frame, LevelRow, Status, Trade, Trades, encode, parts

__all__ = ["Stream"]

_PHASE_WORDS: Final = {int(phase): word(phase) for phase in Phase}
_SIDE_WORDS: Final = {int(side): word(side) for side in Side}
_STEP_WORDS: Final = {int(step): word(step) for step in AuctionStep}

View = tuple[dict[int, Level], dict[int, Level]]
"""The best bids and asks as a depth shows them, by key of Levels."""


class Stream:
    """One channel of one market (`book` at one depth, 0 for the whole): who reads it, and where it stands.

    It exists while somebody reads it.  One of limited depth moves only when what it shows changes.
    """

    __slots__ = ("_snapshot", "_snapshot_seq", "_view", "channel", "depth", "market", "readers", "seq")

    def __init__(self, channel: str, market: Market, depth: int = 0) -> None:
        self.channel = channel
        self.market = market
        self.depth = depth
        self.readers: dict[Any, None] = {}
        self.seq = {
            "book": market.book_seq,
            "trades": market.trades_seq,
            "status": market.status_seq,
            "auction": market.auction_seq,
        }[channel]
        self._snapshot: list[Frame] = []
        self._snapshot_seq = 0
        self._view: View = _view(market, depth) if depth else ({}, {})

    def snapshot(self) -> list[Frame]:
        """Give the messages that tell a new reader where the stream stands; made once while it stands there."""
        if self._snapshot_seq != self.seq:
            market = self.market
            if self.channel == "trades":
                self._snapshot = self._trades(0, list(market.recent))
            elif self.channel == "status":
                self._snapshot = self._status(0)
            elif self.channel == "auction":
                self._snapshot = self._auction(0)
            else:
                bids = _rows(market, market.bids, market.bids.best(self.depth))
                asks = _rows(market, market.asks, market.asks.best(self.depth))
                self._snapshot = self._book(0, bids, asks)
            self._snapshot_seq = self.seq
        return self._snapshot

    def update(self, change: Change) -> list[Frame]:
        """Encode what a change of this market means here, and move on; no messages if it means nothing.

        Call it while the market stands as it does after the change.
        """
        prev = self.seq
        if self.channel == "trades":
            if not change.trades:
                return []
            self.seq = change.seq
            return self._trades(prev, change.trades)
        if self.channel == "status":
            if not change.status:
                return []
            self.seq = change.seq
            return self._status(prev)
        if self.channel == "auction":
            if not change.auction:
                return []
            self.seq = change.seq
            return self._auction(prev)
        levels = self._changed_levels() if change.book else None
        if levels is None:
            return []
        self.seq = change.seq
        return self._book(prev, *levels)

    def _changed_levels(self) -> tuple[list[LevelRow], list[LevelRow]] | None:
        """List the changed bids and asks as this depth shows them, and renew the view; None if it shows none."""
        market = self.market
        if not self.depth:
            bids, asks = market.bids, market.asks
            return _rows(market, bids, bids.changed()), _rows(market, asks, asks.changed())
        old, new = self._view, _view(market, self.depth)
        if old == new:
            return None
        self._view = new
        return _differences(market, 1, old[0], new[0]), _differences(market, -1, old[1], new[1])

    def _book(self, prev: int, bids: list[LevelRow], asks: list[LevelRow]) -> list[Frame]:
        """Encode a book message (prev 0: a snapshot), in several parts if it is long.

        A part after the first is an update that follows on the one before it, so that a reader who applies messages
        one by one needs no rule for parts.
        """
        market, seq, ts = self.market, self.seq, self.market.book_time // 1000
        kind, tick, depth = ("update", None, None) if prev else ("snapshot", market.tick_text, self.depth)
        slices = parts(len(bids), len(asks))
        frames = []
        for number, (b, a) in enumerate(slices, 1):
            more = number < len(slices)
            crc = None if more else _crc(market)
            frames.append(encode(Book(market.symbol, kind, seq, prev, ts, bids[b], asks[a], crc, tick, depth, more)))
            kind, prev, tick, depth = "update", seq, None, None
        return frames

    def _trades(self, prev: int, trades: Sequence[PublicTrade]) -> list[Frame]:
        """Encode trades (prev 0: a snapshot), in several parts if they are many."""
        market, seq, kind = self.market, self.seq, "update" if prev else "snapshot"
        rows = [
            Trade(
                trade_id=t.trade_id,
                price=market.price_text(t.price),
                qty=t.qty,
                aggressor_side=_SIDE_WORDS.get(t.aggressor),
                auction=not t.aggressor,
                ts=t.time // 1000,
            )
            for t in trades
        ]
        frames = []
        for start in range(0, max(1, len(rows)), TRADES_PER_MESSAGE):
            part = rows[start : start + TRADES_PER_MESSAGE]
            more = start + TRADES_PER_MESSAGE < len(rows)
            frames.append(encode(Trades(market.symbol, kind, seq, prev, part, more)))
            kind, prev = "update", seq
        return frames

    def _status(self, prev: int) -> list[Frame]:
        market, kind = self.market, "update" if prev else "snapshot"
        phase, ts = _PHASE_WORDS[market.phase], market.status_time // 1000
        return [encode(Status(market.symbol, kind, self.seq, prev, ts, phase, market.why))]

    def _auction(self, prev: int) -> list[Frame]:
        market, kind, told = self.market, "update" if prev else "snapshot", self.market.auction
        price = None if told.price is None else market.price_text(told.price)
        ts, side, step = market.auction_time // 1000, _SIDE_WORDS.get(told.side), _STEP_WORDS[told.step]
        message = Auction(
            market.symbol, kind, self.seq, prev, ts, told.state, price, told.qty, told.surplus, side, step
        )
        return [encode(message)]


def _crc(market: Market) -> int:
    """Give the checksum of the market's book; worked out once per change, whatever the number of depths."""
    if market.crc[0] != market.book_seq:
        market.crc = (market.book_seq, book_crc(_best(market.bids), _best(market.asks)))
    return market.crc[1]


def _best(levels: Levels) -> Iterator[tuple[int, int]]:
    return ((key * levels.sign, levels.at[key][0]) for key in levels.best(CHECKSUM_LEVELS))


def _rows(market: Market, levels: Levels, keys: list[int]) -> list[LevelRow]:
    at, sign, text = levels.at, levels.sign, market.price_text
    return [(text(key * sign), *at.get(key, (0, 0))) for key in keys]


def _view(market: Market, depth: int) -> View:
    bids, asks = market.bids, market.asks
    return {key: bids.at[key] for key in bids.best(depth)}, {key: asks.at[key] for key in asks.best(depth)}


def _differences(market: Market, sign: int, old: dict[int, Level], new: dict[int, Level]) -> list[LevelRow]:
    """List what turns one view into another, best first; a level that leaves the view has quantity 0."""
    if old == new:
        return []
    keys = sorted((key for key in old.keys() | new.keys() if old.get(key) != new.get(key)), reverse=True)
    return [(market.price_text(key * sign), *new.get(key, (0, 0))) for key in keys]
