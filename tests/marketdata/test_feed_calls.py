"""The fold where not all of an order is public, or not yet: icebergs, stops, calls and their uncrosses."""

from __future__ import annotations

from engine.schema import AuctionStep, CommandKind, OrdType, Side, Smp, TimeInForce
from marketdata.books import NO_AUCTION, Auction
from marketdata.feed import Feed
from tests.marketdata.following import book, follow
from tests.marketdata.venue import Venue


def test_an_iceberg_shows_its_display_and_refreshes_as_it_trades() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 25, 600, display_qty=10, account=3)
    follow(venue, feed)
    assert book(venue, feed)["asks"] == [(600, 10, 1)]
    for qty, shown in ((4, 6), (6, 10), (12, 3), (2, 1)):
        venue.place(Side.BUY, qty, 600)
        follow(venue, feed)
        assert book(venue, feed)["asks"] == [(600, shown, 1)]
    venue.place(Side.BUY, 1, 600)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [], "asks": []}


def test_a_refresh_that_leaves_the_level_as_it_was_tells_of_the_trade_alone() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 25, 600, display_qty=10, account=3)
    follow(venue, feed)
    venue.place(Side.BUY, 10, 600)
    ((_, _, changed, trades, *_),) = follow(venue, feed)
    assert not changed and [trade.qty for trade in trades] == [10]


def test_an_incoming_iceberg_trades_whole_and_shows_a_part_of_its_rest() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 12, 600, account=3)
    venue.place(Side.BUY, 20, 600, display_qty=5)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(600, 5, 1)], "asks": []}
    order_id = venue.seq - 1
    venue.place(Side.SELL, 3, 600, account=3)
    venue.amend(order_id, qty=19)
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(600, 2, 1)], "an amend that keeps the place shows no more than before"
    venue.amend(order_id, price=601)
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(601, 4, 1)], "one that loses it shows anew"
    venue.cancel(order_id)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [], "asks": []}


def test_decrement_lessens_what_an_iceberg_shows_only_if_it_has_less() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 12, 600, account=2, display_qty=10)
    for qty, shown in ((1, 10), (3, 8)):
        venue.place(Side.BUY, qty, 600, smp=Smp.DECREMENT)
        follow(venue, feed)
        assert book(venue, feed)["asks"] == [(600, shown, 1)]
    venue.place(Side.BUY, 9, 600, smp=Smp.DECREMENT)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(600, 1, 1)], "asks": []}


def test_a_stop_is_public_only_once_it_is_elected() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 1, 600, account=3)
    follow(venue, feed)
    venue.place(Side.BUY, 5, 602, ord_type=OrdType.STOP_LIMIT, stop_price=600)
    venue.amend(venue.seq - 1, qty=4)
    assert follow(venue, feed) == []
    venue.place(Side.BUY, 1, 600)
    ((_, _, changed, trades, *_),) = follow(venue, feed)
    assert changed and len(trades) == 1
    assert book(venue, feed) == {"bids": [(602, 4, 1)], "asks": []}


def test_what_an_order_leaves_rests_before_a_stop_that_it_elected_comes_in() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 3, None, ord_type=OrdType.STOP, stop_price=600, account=3)
    venue.place(Side.SELL, 2, 600, account=3)
    venue.place(Side.BUY, 10, 600)
    said = follow(venue, feed)
    assert [trade.qty for trade in said[-1][3]] == [2, 3]
    assert book(venue, feed) == {"bids": [(600, 5, 1)], "asks": []}


def test_a_canceled_or_expired_stop_was_never_in_the_book() -> None:
    venue, feed = Venue("W1"), Feed()
    for _ in range(2):
        venue.place(Side.BUY, 5, 602, ord_type=OrdType.STOP_LIMIT, stop_price=610)
    follow(venue, feed)
    venue.cancel(venue.seq - 1)
    assert follow(venue, feed) == []
    venue.phase("W1", "closed")
    ((_, _, changed, *_),) = follow(venue, feed)
    assert not changed


def test_market_to_limit_rests_at_the_price_of_its_last_trade() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 2, 600, account=3)
    venue.place(Side.BUY, 5, None, ord_type=OrdType.MARKET_TO_LIMIT)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(600, 3, 1)], "asks": []}


def in_call(venue: Venue, feed: Feed) -> Auction:
    """What the feed says of the first market's call, after checking it by the matcher."""
    auction = feed.markets["W1"].auction
    price, volume, surplus, step = venue.reference.indicative(1)
    if auction.state == "indicative":
        assert auction[1:4] == (price if volume else None, volume, abs(surplus)) and auction.step == step
    return auction


def test_a_call_is_public_with_its_crossed_book_and_told_as_it_goes() -> None:
    venue, feed = Venue("W1", phase="pre_open"), Feed()
    follow(venue, feed)
    assert in_call(venue, feed) == Auction("indicative", None, 0, 0, 0, AuctionStep.NO_CROSS)
    venue.place(Side.BUY, 10, 602)
    venue.place(Side.SELL, 4, 600, account=3)
    assert [change[5] is not None for change in follow(venue, feed)] == [False, True]
    assert in_call(venue, feed) == Auction("indicative", 602, 4, 6, Side.BUY, AuctionStep.PRESSURE)
    assert book(venue, feed) == {"bids": [(602, 10, 1)], "asks": [(600, 4, 1)]}
    venue.place(Side.SELL, 5, None, account=3)
    venue.place(Side.BUY, 1, 590)
    follow(venue, feed)
    assert in_call(venue, feed)[1:4] == (602, 9, 1), "an order without a price counts"
    assert book(venue, feed)["asks"] == [(600, 4, 1)], "but stands in no level"
    venue.phase("W1", "no_cancel")
    ((*_, auction, _, _),) = follow(venue, feed)
    assert auction is None, "a call goes on in its next phase"
    venue.phase("W1", "opening_auction")
    ((symbol, _, changed, trades, status, auction, *_),) = follow(venue, feed)
    assert (symbol, changed, status) == ("W1", True, True)
    assert auction == Auction("uncrossed", 602, 9, 1, Side.BUY, AuctionStep.PRESSURE)
    assert [(trade.price, trade.qty, trade.aggressor) for trade in trades] == [(602, 5, 0), (602, 4, 0)]
    assert book(venue, feed) == {"bids": [(602, 1, 1), (590, 1, 1)], "asks": []}
    venue.phase("W1", "continuous")
    follow(venue, feed)
    assert in_call(venue, feed).state == "uncrossed", "until the next call"


def test_a_call_that_ends_without_its_uncross_is_told_no_more() -> None:
    venue, feed = Venue("W1", phase="pre_open"), Feed()
    venue.place(Side.BUY, 10, 602)
    venue.place(Side.SELL, 4, 600, account=3)
    follow(venue, feed)
    venue.phase("W1", "halted")
    assert [change[5] for change in follow(venue, feed)] == [NO_AUCTION]
    venue.phase("W1", "pre_open")
    (auction,) = [change[5] for change in follow(venue, feed)]
    assert auction.state == "indicative" and auction.price == 602


def test_an_uncross_takes_whole_leaves_of_icebergs_and_shows_them_anew() -> None:
    venue, feed = Venue("W1", phase="pre_open"), Feed()
    venue.place(Side.BUY, 30, 602, display_qty=10)
    venue.place(Side.SELL, 14, 600, account=3)
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(602, 10, 1)]
    venue.act(CommandKind.AUCTION_UNCROSS, {"symbol": "W1"})
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(602, 10, 1)], "asks": []}
    venue.place(Side.SELL, 9, 600, account=3)
    venue.phase("W1", "continuous")
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(602, 7, 1)]


def test_an_unpriced_rest_becomes_a_limit_order_or_goes() -> None:
    venue, feed = Venue("W1", phase="pre_open"), Feed()
    venue.place(Side.BUY, 8, None, ord_type=OrdType.MARKET_TO_LIMIT)
    venue.place(Side.BUY, 8, None)
    venue.amend(venue.seq - 1, qty=6)
    venue.place(Side.SELL, 5, 600, account=3)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [], "asks": [(600, 5, 1)]}
    venue.phase("W1", "continuous")
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(600, 3, 1)], "asks": []}


def test_orders_kept_aside_for_the_closing_call_are_public_from_then_on() -> None:
    venue, feed = Venue("W1"), Feed()
    follow(venue, feed)
    venue.place(Side.BUY, 8, 600, time_in_force=TimeInForce.AT_CLOSE, display_qty=3)
    venue.place(Side.BUY, 4, None, time_in_force=TimeInForce.AT_CLOSE)
    assert follow(venue, feed) == []
    venue.phase("W1", "pre_close")
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(600, 3, 1)]
    venue.phase("W1", "closing_auction")
    follow(venue, feed)
    assert book(venue, feed)["bids"] == []
