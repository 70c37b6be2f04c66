"""The compiled fold of blocks against the readable one, and against the matcher's own books."""

from __future__ import annotations

import numpy as np
import pytest

from engine.schema import COMMAND, EVENT, EventKind, Limits, Side
from marketdata.derive import LEVEL_CHANGE, PUBLIC_TRADE, Derivation, Derived
from marketdata.feed import DayStarted, Feed
from tests.marketdata.venue import Block, Venue, flow_blocks, levels

LIMITS = Limits(instruments=64, accounts=64, orders=4096, levels=4096, day_ids=1 << 14)
Told = list[tuple[int, ...]]


def by_feed(feed: Feed, block: Block) -> tuple[Told, Told]:
    """Level changes and public trades of a block as the readable fold tells them, the changes of a command sorted."""
    changes, trades = [], []
    for change in feed.fold(*block):
        if isinstance(change, DayStarted):
            continue
        number = change.market.number
        for side, book in ((Side.BUY, change.market.bids), (Side.SELL, change.market.asks)):
            for key in book.changed():
                lots, orders = book.at.get(key, (0, 0))
                changes.append((change.seq, change.time, number, int(side), key * book.sign, lots, orders))
        trades += [
            (change.seq, change.time, number, one.trade_id, one.price, one.qty, one.aggressor) for one in change.trades
        ]
    return sorted(changes), sorted(trades)


def by_kernel(derived: Derived) -> tuple[Told, Told]:
    names = ("seq", "time", "instrument", "side", "price", "lots", "orders")
    changes = [tuple(int(row[name]) for name in names) for row in derived.changes]
    names = ("seq", "time", "instrument", "trade_id", "price", "qty", "aggressor")
    trades = [tuple(int(row[name]) for name in names) for row in derived.trades]
    assert [each[0] for each in changes] == sorted(each[0] for each in changes), "commands stand in their order"
    return sorted(changes), sorted(trades)


EVERY_LANE = (pytest.mark.jit_off, pytest.mark.bounds)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=EVERY_LANE if seed < 2 else ()) for seed in range(6)])
def test_it_tells_what_the_readable_fold_tells(seed: int) -> None:
    feed, derivation = Feed(), Derivation(LIMITS)
    told = {EventKind.PHASE_CHANGED, EventKind.AUCTION_INDICATIVE, EventKind.AUCTION_UNCROSSED}
    told |= {EventKind.INSTRUMENT_DEFINED, EventKind.DAY_OPENED, EventKind.DAY_STARTED}
    changes = trades = 0
    blocks = list(flow_blocks(seed, 1200, size=37))
    reference = blocks[-1][0]
    for _, block in blocks:
        derived = derivation.derive(block[0], block[2])
        assert by_kernel(derived) == by_feed(feed, block)
        assert list(derived.told) == [n for n, row in enumerate(block[2]) if row["kind"] in told]
        changes, trades = changes + len(derived.changes), trades + len(derived.trades)
        assert derivation.restating == feed.restating
    for market in feed.markets.values():
        assert derivation.book(market.number) == levels(reference, market.number) == market.book()
    assert changes > 300 and trades > 5, "a flow without changes proves nothing"


@pytest.mark.parametrize("seed", range(100, 104))
def test_it_may_be_told_rows_one_by_one(seed: int) -> None:
    feed, derivation = Feed(), Derivation(LIMITS)
    for _, (rows, payload, events) in flow_blocks(seed, 500, size=11):
        expected = by_feed(feed, (rows, payload, events))
        parts = [by_kernel(derivation.derive(rows, events[n : n + 1])) for n in range(len(events))]
        assert tuple(sorted(one for part in parts for one in part[k]) for k in (0, 1)) == expected


def test_rows_may_be_of_a_log_that_nobody_may_write() -> None:
    derivation = Derivation(LIMITS)
    for _, (rows, _, events) in flow_blocks(3, 100, size=50):
        one = np.frombuffer(events.tobytes(), EVENT)
        assert not one.flags.writeable
        derivation.derive(np.frombuffer(rows.tobytes(), COMMAND), one)
    assert derivation.book(1) or derivation.book(2)


def test_rows_about_orders_that_nobody_told_of_are_an_error() -> None:
    venue = Venue("W1")
    venue.place(Side.BUY, 10)
    sold = venue.place(Side.SELL, 4, account=3)
    with pytest.raises(ValueError, match="1 event rows are about orders"):
        Derivation(LIMITS).derive(sold[0], sold[2])


def test_nothing_is_told_of_nothing() -> None:
    derived = Derivation(LIMITS).derive(np.zeros(0, COMMAND), np.zeros(0, EVENT))
    assert [len(each) for each in derived] == [0, 0, 0]
    assert derived.changes.dtype == LEVEL_CHANGE and derived.trades.dtype == PUBLIC_TRADE
    assert Derivation(LIMITS).book(1) == {"bids": [], "asks": []}
