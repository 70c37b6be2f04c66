"""The ladder: what it draws."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from cashew.book import Book
from cashew.ladder import Ladder, auction_text
from cashew.messages import Auction, Instrument, PhaseChange, Trade, record
from tests.cashew.fake_exchange import INSTRUMENT


def make(bids: list[Any], asks: list[Any]) -> Ladder:
    book = Book("W320F2703", "0.005")
    book.take({"type": "snapshot", "seq": 42, "prev": 0, "bids": bids, "asks": asks})
    return Ladder(record(INSTRUMENT, Instrument), book)


def draw(ladder: Ladder) -> str:
    console = Console(width=110, no_color=True)
    with console.capture() as captured:
        console.print(ladder.render())
    return captured.get()


def test_full_ladder_shows_asks_above_bids_and_the_last_trades() -> None:
    ladder = make([["3.005", 10, 2], ["3.000", 4, 1]], [["3.010", 7, 1], ["3.020", 1, 1]])
    ladder.phase = PhaseChange(symbol="W320F2703", phase="halted", reason="fire")
    ladder.trades.append(Trade(trade_id=1, price="3.005", qty=4, aggressor_side="sell", ts=1764208800000000))
    text = draw(ladder)
    places = [text.index(price) for price in ("3.020", "3.010", "spread 0.005", "3.000")]
    assert places == sorted(places)
    for part in ("W320F2703", "USD/lb", "halted (fire)", "02:00:00", "seq 42"):
        assert part in text
    assert ladder.line() == "W320F2703 book seq 42: bid 10 @ 3.005 | ask 7 @ 3.010"


def test_empty_sides_are_said() -> None:
    assert "no bids and no asks" in draw(make([], []))
    assert "no bids" in draw(make([], [["3.010", 7, 1]]))
    assert "no asks" in draw(make([["3.010", 7, 1]], []))
    assert make([], []).line() == "W320F2703 book seq 42: bid - | ask -"


def test_call_is_shown_with_what_it_would_trade() -> None:
    ladder = make([["3.010", 10, 2]], [["3.005", 7, 1]])
    ladder.phase = PhaseChange(symbol="W320F2703", phase="pre_open")
    told = Auction(symbol="W320F2703", state="indicative", price="3.010", qty=7, surplus=3, surplus_side="buy")
    ladder.auction = told
    text = draw(ladder)
    for part in ("pre_open", "would trade 7 @ 3.010, 3 more to buy", "crossed by 0.005"):
        assert part in text
    ladder.auction = Auction(symbol="W320F2703", state="indicative")
    assert "would trade nothing" in draw(ladder)
    ladder.auction = Auction(symbol="W320F2703", state="uncrossed", price="3.010", qty=7)
    assert "trade" not in draw(ladder), "only a call is of interest"
    assert auction_text(ladder.auction) == "traded 7 @ 3.010"


def test_trade_of_an_auction_says_so() -> None:
    ladder = make([], [])
    ladder.trades.append(Trade(trade_id=1, price="3.005", qty=4, auction=True, ts=1764208800000000))
    assert "auction" in draw(ladder)


def test_lost_connection_is_said() -> None:
    ladder = make([], [])
    ladder.connected = False
    assert "connection lost" in draw(ladder)
