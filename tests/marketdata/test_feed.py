"""The fold of the event rows against the matcher's own books."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.schema import (
    COMMAND,
    LAST,
    TRADE,
    UNCROSS,
    CommandKind,
    EventKind,
    Phase,
    Reason,
    Side,
    Smp,
    TimeInForce,
    word,
)
from marketdata.books import RECENT_TRADES
from marketdata.feed import Change, Feed
from tests.flow import act_rows, encode
from tests.marketdata.following import book, fold, follow
from tests.marketdata.venue import TERMS, Block, Venue, flow_blocks, levels

SEEDS = range(16)
NOTHING = (np.zeros(0, COMMAND), b"")
BOOK_KINDS = {
    EventKind.ORDER_ACCEPTED,
    EventKind.ORDER_CANCELED,
    EventKind.ORDER_AMENDED,
    EventKind.ORDER_EXPIRED,
    EventKind.ORDER_PREVENTED,
    EventKind.TRADE,
    EventKind.ORDER_RESTORED,
    EventKind.ORDER_TRIGGERED,
    EventKind.ORDER_ACTIVATED,
    EventKind.ORDER_REFRESHED,
    EventKind.AUCTION_INDICATIVE,
    EventKind.AUCTION_UNCROSSED,
    EventKind.PHASE_CHANGED,
}


# --- the differential ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_books_equal_the_matchers_after_every_command(seed: int) -> None:
    feed = Feed()
    for number, (reference, block) in enumerate(flow_blocks(seed, 1500, size=1)):
        touched = {change.market.number for change in feed.fold(*block) if isinstance(change, Change)}
        everywhere = number % 50 == 0
        for market in feed.markets.values():
            if everywhere or market.number in touched:
                assert market.book() == levels(reference, market.number), f"after {int(block[0]['seq'][0])}"
                assert market.phase == reference.instruments[market.number - 1].phase
        assert feed.seq == block[0]["seq"][-1]
    for market in feed.markets.values():
        assert market.book() == levels(reference, market.number)
        for side in (market.bids, market.asks):
            assert side.keys == sorted(side.at) and not side.before


def test_the_flow_reaches_every_row_that_moves_a_book() -> None:
    seen: Counter[int] = Counter()
    modes: Counter[int] = Counter()
    for seed in SEEDS:
        for _, (_, _, events) in flow_blocks(seed, 1500, size=64):
            seen.update(events["kind"].tolist())
            modes.update(events[events["kind"] == EventKind.ORDER_PREVENTED].view(TRADE)["smp"].tolist())
    assert all(seen[kind] >= 10 for kind in BOOK_KINDS), seen
    assert all(modes[mode] >= 10 for mode in Smp if mode != Smp.NONE), modes


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_what_is_said_depends_neither_on_blocks_nor_on_where_calls_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [block for _, block in flow_blocks(seed, 1500, size=64)]
    whole, cut = Feed(), Feed()
    for rows, payload, events in blocks:
        expected = fold(whole, (rows, payload, events))
        said: list[tuple[Any, ...]] = []
        ends = sorted({0, len(events), *rng.integers(0, len(events) + 1, 12).tolist()})
        for start, end in pairwise(ends):
            said += fold(cut, (rows, payload, events[start:end]))
        assert said == expected
    assert {s: m.book() for s, m in cut.markets.items()} == {s: m.book() for s, m in whole.markets.items()}


def test_a_command_is_told_at_its_last_row_only() -> None:
    venue, feed = Venue("W1"), Feed()
    for _ in range(5):
        venue.place(Side.SELL, 3, 600, account=3)
    follow(venue, feed)
    before = book(venue, feed)
    rows, payload, events = venue.place(Side.BUY, 12, 600)
    assert len(events) == 5 and events["flags"].tolist() == [0, 0, 0, 0, LAST]
    for at in range(4):
        assert fold(feed, (rows, payload, events[at : at + 1])) == []
        assert feed.seq == venue.seq - 2
    ((_, seq, changed, trades, *_),) = fold(feed, (*NOTHING, events[4:]))
    assert (seq, changed, [trade.qty for trade in trades]) == (venue.seq - 1, True, [3, 3, 3, 3])
    assert before["asks"] == [(600, 15, 5)] and book(venue, feed)["asks"] == [(600, 3, 1)]


def test_trades_are_the_trade_rows_and_the_last_fifty_are_kept() -> None:
    fields = ["seq", "instrument", "trade_id", "price", "qty", "side", "time"]
    longest = 0
    for seed in SEEDS[:8]:
        feed = Feed()
        told: list[tuple[Any, ...]] = []
        rows: list[tuple[Any, ...]] = []
        for _, block in flow_blocks(seed, 2000, size=64, p_market=0.2):
            for change in feed.fold(*block):
                if isinstance(change, Change):
                    told += [(change.seq, change.market.number, *trade) for trade in change.trades]
            events = block[2][block[2]["kind"] == EventKind.TRADE].view(TRADE).copy()
            events["side"][events["flags"] & UNCROSS != 0] = 0  # an auction has no aggressor
            rows += list(zip(*(events[name].tolist() for name in fields), strict=True))
        assert told == rows
        for market in feed.markets.values():
            mine = [row[2:] for row in rows if row[1] == market.number]
            assert [tuple(trade) for trade in market.recent] == mine[-RECENT_TRADES:]
            longest = max(longest, len(mine))
    assert longest > 2 * RECENT_TRADES, "the flow trades enough to tell"


# --- single rows ---------------------------------------------------------------------------------------------------


def test_an_incoming_order_rests_only_with_what_is_left_of_it() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 4, 600, account=3)
    venue.place(Side.BUY, 10, 601)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(601, 6, 1)], "asks": []}


@pytest.mark.parametrize(
    "fields",
    [
        {"time_in_force": TimeInForce.IOC},
        {"time_in_force": TimeInForce.FOK},
        {"price": None},
        {"price": None, "time_in_force": TimeInForce.FOK},
    ],
)
def test_what_never_rests_says_nothing_of_the_book_unless_it_trades(fields: dict[str, Any]) -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.BUY, 5, 500, account=3)
    follow(venue, feed)
    venue.place(Side.BUY, 7, **{"price": 600, **fields})
    assert follow(venue, feed) == []
    assert book(venue, feed)["bids"] == [(500, 5, 1)]
    venue.place(Side.SELL, 3, 600, account=3)
    venue.place(Side.BUY, 3, **{"price": 600, **fields})
    assert [trade.qty for change in follow(venue, feed) for trade in change[3]] == [3]
    assert book(venue, feed) == {"bids": [(500, 5, 1)], "asks": []}


def test_decrement_takes_lots_of_a_resting_order_that_goes_on() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 9, 600, account=2)
    (said,) = [each for each in follow(venue, feed) if each[2]]
    venue.place(Side.BUY, 4, 600, smp=Smp.DECREMENT)
    kinds = venue.blocks[-1][2]["kind"].tolist()
    assert kinds == [EventKind.ORDER_ACCEPTED, EventKind.ORDER_PREVENTED, EventKind.ORDER_CANCELED]
    assert follow(venue, feed) == [("W1", venue.seq - 1, True, (), False, None, False, [[], [(-600, (5, 1))]])]
    assert book(venue, feed) == {"bids": [], "asks": [(600, 5, 1)]}
    assert said[7] == [[], [(-600, (9, 1))]]


def test_decrement_ends_a_resting_order_by_its_cancel_row() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 4, 600, account=2)
    venue.place(Side.SELL, 3, 600, account=3)
    venue.place(Side.BUY, 9, 600, smp=Smp.DECREMENT)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [(600, 2, 1)], "asks": []}


def test_decrement_of_equal_lots_ends_both() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 4, 600, account=2)
    venue.place(Side.BUY, 4, 600, smp=Smp.DECREMENT)
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [], "asks": []}


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        (Smp.CANCEL_RESTING, {"bids": [(600, 6, 1)], "asks": []}),
        (Smp.CANCEL_INCOMING, {"bids": [], "asks": [(600, 4, 1)]}),
        (Smp.CANCEL_BOTH, {"bids": [], "asks": []}),
        (Smp.NONE, {"bids": [(600, 2, 1)], "asks": []}),
    ],
)
def test_prevention_leaves_the_book_as_its_instruction_says(mode: Smp, left: dict[str, Any]) -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 4, 600, account=2)
    venue.place(Side.BUY, 6, 600, smp=mode)
    follow(venue, feed)
    assert book(venue, feed) == left


def test_an_amend_that_keeps_its_place_changes_the_lots_where_it_stands() -> None:
    venue, feed = Venue("W1"), Feed()
    (order_id,) = venue.place(Side.BUY, 8, 600)[0]["seq"].tolist()
    venue.place(Side.BUY, 1, 600)
    venue.amend(order_id, qty=5)
    follow(venue, feed)
    assert book(venue, feed)["bids"] == [(600, 6, 2)]


def test_an_amend_that_loses_its_place_comes_in_anew() -> None:
    venue, feed = Venue("W1"), Feed()
    venue.place(Side.SELL, 3, 610, account=3)
    (order_id,) = venue.place(Side.BUY, 8, 600)[0]["seq"].tolist()
    follow(venue, feed)
    venue.amend(order_id, price=612)
    ((_, _, changed, trades, *_),) = follow(venue, feed)
    assert changed and [(trade.price, trade.qty) for trade in trades] == [(610, 3)]
    assert book(venue, feed) == {"bids": [(612, 5, 1)], "asks": []}


def test_an_amend_that_changes_nothing_is_not_told() -> None:
    venue, feed = Venue("W1"), Feed()
    (order_id,) = venue.place(Side.BUY, 8, 600)[0]["seq"].tolist()
    follow(venue, feed)
    venue.amend(order_id, price=600)
    assert venue.blocks[-1][2]["kind"].tolist() == [EventKind.ORDER_AMENDED]
    assert follow(venue, feed) == []


def test_an_amend_to_what_is_filled_cancels() -> None:
    venue, feed = Venue("W1"), Feed()
    (order_id,) = venue.place(Side.BUY, 8, 600)[0]["seq"].tolist()
    venue.place(Side.SELL, 3, 600, account=3)
    venue.amend(order_id, qty=3)
    assert venue.blocks[-1][2]["reason"].tolist() == [Reason.AMENDED_TO_FILLED]
    follow(venue, feed)
    assert book(venue, feed) == {"bids": [], "asks": []}


def test_a_mass_cancel_is_one_change_of_each_market() -> None:
    venue, feed = Venue("W1", "W2"), Feed()
    for instrument in (2, 1, 2):
        venue.place(Side.BUY, 2, 600, instrument=instrument)
    venue.place(Side.BUY, 1, 600, account=3)
    follow(venue, feed)
    venue.mass_cancel()
    said = follow(venue, feed)
    assert [(symbol, seq) for symbol, seq, *_ in said] == [("W2", venue.seq - 1), ("W1", venue.seq - 1)]
    assert book(venue, feed)["bids"] == [(600, 1, 1)]


def test_closing_is_told_with_its_expiries_and_its_reason() -> None:
    venue, feed = Venue("W1", "W2"), Feed()
    venue.place(Side.BUY, 2, 600)
    venue.place(Side.BUY, 3, 600, time_in_force=TimeInForce.GTC)
    follow(venue, feed)
    venue.phase("ALL", "closed", why="hết phiên", by="operator-7")
    said = follow(venue, feed)
    assert [(symbol, changed, status) for symbol, _, changed, _, status, *_ in said] == [
        ("W1", True, True),
        ("W2", False, True),
    ]
    market = feed.markets["W1"]
    assert (market.phase, market.why) == (Phase.CLOSED, "hết phiên")
    assert book(venue, feed)["bids"] == [(600, 3, 1)]
    venue.phase("W1", "pre_open")
    follow(venue, feed)
    assert (market.phase, market.why) == (Phase.PRE_OPEN, None)


def test_a_definition_is_told_and_starts_the_seqs_of_its_market() -> None:
    venue, feed = Venue("W1", phase="closed"), Feed()
    follow(venue, feed)
    venue.define("W2")
    assert [(symbol, defined) for symbol, *_, defined, _ in follow(venue, feed)] == [("W2", True)]
    market = feed.markets["W2"]
    seq = venue.seq - 1
    assert (market.book_seq, market.trades_seq, market.status_seq) == (seq, seq, seq)
    assert word(Phase(market.phase)) == "closed"


def test_refusals_and_ticks_are_not_told_but_move_the_seq() -> None:
    venue, feed = Venue("W1"), Feed()
    follow(venue, feed)
    venue.place(Side.BUY, 5000, 600)
    venue.cancel(77)
    venue.phase("W1", "continuous")
    assert [int(block[2]["kind"][0]) for block in venue.blocks] == [
        EventKind.ORDER_REJECTED,
        EventKind.ORDER_REJECTED,
        EventKind.ACT_REJECTED,
    ]
    assert follow(venue, feed) == []
    assert feed.seq == venue.seq - 1


# --- a new day -----------------------------------------------------------------------------------------------------


def new_day(seq: int) -> tuple[Venue, Block]:
    """A venue's next day: its log's first block restates one instrument, one account and two orders."""
    rows, payload = act_rows(
        [
            (CommandKind.DAY_OPEN, encode({"trading_day": "2026-11-24", "next_trade_id": 9})),
            (CommandKind.INSTRUMENT_DEFINE, encode({**TERMS, "symbol": "W2"})),
            (CommandKind.ACCOUNT_DEFINE, encode({"account": "ACCOUNT-1", "member": "MEMBER-1", "owner": "OWNER-1"})),
        ],
        seq,
    )
    restores = np.zeros(2, COMMAND)
    restores["kind"], restores["side"], restores["ord_type"] = CommandKind.ORDER_RESTORE, Side.BUY, 1
    restores["time_in_force"], restores["flags"], restores["instrument"] = TimeInForce.GTC, 2, 1
    restores["price"], restores["order_qty"], restores["min_qty"] = 600, 9, [4, 9]
    restores["cl_ord_id"], restores["target_lo"], restores["account"] = [b"old-1", b"old-2"], [5, 6], 1
    restores["seq"] = [seq + 3, seq + 4]
    end, _ = act_rows([(CommandKind.DAY_START, b"{}")], seq + 5)
    end["target_lo"], end["target_hi"] = len(payload), 2
    venue = Venue(phase="closed", accounts=0, seq=seq)
    venue.blocks.clear()
    return venue, venue.run(np.concatenate([rows, restores, end]), payload + b"{}")


def test_a_new_day_starts_from_what_it_restates_and_is_told_once() -> None:
    old, feed = Venue("W1"), Feed()
    old.place(Side.BUY, 2, 600)
    follow(old, feed)
    venue, (rows, payload, events) = new_day(old.seq)
    assert (events["kind"] != EventKind.ORDER_REJECTED).all() and (events["kind"] != EventKind.ACT_REJECTED).all()
    assert fold(feed, (rows, payload, events[:5])) == [] and feed.restating
    assert fold(feed, (rows, payload, events[5:])) == [(venue.seq - 1, int(events["time"][-1]))]
    assert not feed.restating and list(feed.markets) == ["W2"]
    assert feed.markets["W2"].book() == levels(venue.reference, 1) == {"bids": [(600, 13, 2)], "asks": []}
    alone = Feed()
    fold(alone, (rows, payload, events))
    assert picture(alone) == picture(feed), "a restart from the new day's log sees the same"


def picture(feed: Feed) -> dict[str, Any]:
    return {
        symbol: (
            m.number,
            m.tick,
            m.book(),
            m.phase,
            m.why,
            m.book_seq,
            m.trades_seq,
            m.status_seq,
            m.auction,
            m.auction_seq,
            list(m.recent),
        )
        for symbol, m in feed.markets.items()
    }


def test_the_fold_reads_neither_account_nor_client_id() -> None:
    blind, feed = Feed(), Feed()
    for _, (rows, payload, events) in flow_blocks(3, 1500, size=64):
        expected = fold(feed, (rows, payload, events))
        hidden = events.copy()
        hidden["account"] = -1
        trades = np.isin(hidden["kind"], [EventKind.TRADE, EventKind.ORDER_PREVENTED])
        hidden["cl_ord_id"][~trades] = b"x" * 32
        hidden.view(TRADE)["resting_account"][trades] = -1
        assert fold(blind, (rows, payload, hidden)) == expected
