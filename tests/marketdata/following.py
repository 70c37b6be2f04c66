"""A feed that follows a venue of the tests: what it says, and that its book is the matcher's."""

from __future__ import annotations

from typing import Any

from marketdata.feed import DayStarted, Feed
from tests.marketdata.venue import Block, Venue, levels


def fold(feed: Feed, block: Block) -> list[tuple[Any, ...]]:
    """Fold a block and write its changes down, each as the market stood when it was told."""
    said: list[tuple[Any, ...]] = []
    for change in feed.fold(*block):
        if isinstance(change, DayStarted):
            said.append(change)
        else:
            market = change.market
            touched = [[(key, side.at.get(key)) for key in side.changed()] for side in (market.bids, market.asks)]
            auction = market.auction if change.auction else None
            said.append(
                (market.symbol, change.seq, change.book, change.trades, change.status, auction, change.defined, touched)
            )
    return said


def book(venue: Venue, feed: Feed) -> dict[str, list[tuple[int, int, int]]]:
    """The first symbol's book by the feed, after checking that it is the matcher's."""
    (market,) = [market for market in feed.markets.values() if market.number == 1]
    assert market.book() == levels(venue.reference, 1)
    return market.book()


def follow(venue: Venue, feed: Feed) -> list[tuple[Any, ...]]:
    """Fold whatever the venue has done since the last call."""
    said = [each for block in venue.blocks for each in fold(feed, block)]
    venue.blocks.clear()
    return said
