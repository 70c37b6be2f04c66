"""Calls: what is told, how they are uncrossed, and what entering a phase brings (R50 to R59, R62 to R65)."""

from __future__ import annotations

import pytest

from engine.schema import LAST, SELF_MATCH, UNCROSS, AuctionStep, Code, CommandKind, EventKind, Phase
from tests.engine.test_reference import Venue, event, two_sided
from tests.engine.test_reference_matching import Story


def pre_open(*orders: tuple[str, str]) -> Story:
    story = Story("phase=pre_open", "reference_price=304")
    for who, text in orders:
        story.say(who, text)
    return story


CROSSED = (("A1", "buy 10 @ 310 as b1"), ("A2", "buy 5 @ 306 as b2"), ("A2", "sell 10 @ 300 as s1"))


def test_what_would_trade_is_told_when_it_changes() -> None:
    story = Story("phase=pre_open", "reference_price=304")
    assert story.say("A1", "buy 10 @ 310 as b1") == []
    assert story.say("A2", "sell 10 @ 300 as s1") == ["auction_indicative 304 10 0"]
    assert story.say("A2", "sell 10 @ 320 as s2") == []
    assert story.say("A2", "sell 1 stop 300 as w1") == []
    assert story.say("A2", "buy 1 @ 300 as c1 at_close") == []
    assert story.say("A1", "buy 9 @ 900 as b1") == ["order_status 310 10 10"]
    assert story.say("A1", "amend b1 qty 12") == ["auction_indicative 310 10 2"]
    assert story.say("venue", "phase W no_cancel") == []
    assert story.say("A3", "sell 4 market as m1") == ["auction_indicative 300 12 2"]
    assert story.say("venue", "phase W pre_open") == []
    assert story.say("A2", "mass_cancel sell") == [
        "canceled s1 10 mass_cancel", "canceled s2 10 mass_cancel", "canceled w1 1 mass_cancel",
        "auction_indicative 310 4 8", "mass_canceled 0 3 0",
    ]  # fmt: skip
    assert story.say("A3", "cancel m1") == ["canceled m1 4 requested", "auction_indicative 0 0 0"]


def test_an_end_of_orders_in_several_calls_is_told_before_the_closing_event() -> None:
    story = Story()
    for symbol in "VW":
        story.say("A1", f"buy 5 @ 100 as b{symbol} in {symbol} session 4")
        story.say("A1", f"sell 5 @ 101 as a{symbol} in {symbol} gtd until 30000")
    assert story.say("venue", "phase ALL volatility_auction") == []
    for symbol in "VW":
        story.say("A2", f"sell 5 @ 100 as s{symbol} in {symbol}")
        story.say("A2", f"buy 5 @ 101 as t{symbol} in {symbol}")
    assert story.say("A1", "disconnect session 4") == [
        "canceled bV 5 disconnect", "canceled bW 5 disconnect", "auction_indicative 100 5 0",
        "auction_indicative 100 5 0", "disconnected 0 2 0",
    ]  # fmt: skip
    told = story.say("venue", "tick at 30000")
    assert [line.split()[0] for line in told] == [
        "order_expired", "order_expired", "auction_indicative", "auction_indicative", "clock_ticked",
    ]  # fmt: skip


def test_a_call_begins_and_ends_with_nothing_told() -> None:
    story = pre_open(*CROSSED)
    assert story.say("venue", "phase W halted") == []
    assert story.say("A1", "cancel b1") == ["canceled b1 10 requested"]
    assert story.say("venue", "phase W volatility_auction") == ["auction_indicative 300 5 5"]
    assert story.say("venue", "uncross W") == ["auction_uncrossed 300 5 5", "trade b2 s1 5 @ 300"]
    assert story.say("A1", "buy 1 @ 300 as b3") == ["auction_indicative 300 1 4"]


def test_an_uncross_trades_at_one_price_in_the_order_of_price_and_time() -> None:
    story = pre_open(*CROSSED, ("A3", "sell 3 @ 304 as s2"), ("A3", "buy 9 market as m1"), ("A1", "sell 9 @ 300 as s3"))
    assert story.say("venue", "phase W opening_auction") == [
        "auction_uncrossed 306 22 2",
        "trade m1 s1 9 @ 306", "trade b1 s1 1 @ 306", "trade b1 s3 9 @ 306", "trade b2 s2 3 @ 306",
    ]  # fmt: skip
    assert story.say("venue", "phase W continuous") == []
    bids = story.reference.book(1)["bids"]
    assert bids == [(306, 2, [(story.commands.order_ids["b2"], 2)])]


def test_what_an_uncross_leaves() -> None:
    orders = (
        ("A1", "buy 9 @ 304 as o1 at_open"),
        ("A2", "buy 2 market_to_limit as k1"),
        ("A2", "buy 9 @ 304 as l1"),
        ("A3", "buy 3 market as m1"),
        ("A3", "buy 30 market_to_limit as k2"),
        ("A4", "sell 12 @ 300 as s1"),
    )
    story = pre_open(*orders)
    assert story.say("venue", "phase W continuous") == [
        "auction_uncrossed 304 12 41", "trade k1 s1 2 @ 304", "trade m1 s1 3 @ 304", "trade k2 s1 7 @ 304",
        "canceled o1 9 auction", "activated k2 23 @ 304",
    ]  # fmt: skip
    (bid,) = story.reference.book(1)["bids"]
    assert [order_id for order_id, _ in bid[2]] == [story.commands.order_ids[name] for name in ("l1", "k2")]
    story = pre_open(
        ("A1", "buy 9 market_to_limit as k1"), ("A1", "buy 9 market as m1"), ("A1", "buy 9 @ 5 as l1 at_open")
    )
    assert story.say("venue", "uncross W") == [
        "auction_uncrossed 0 0 0",
        "canceled k1 9 auction",
        "canceled m1 9 auction",
        "canceled l1 9 auction",
    ]


def test_an_uncross_shows_icebergs_anew_where_they_traded() -> None:
    story = Story()
    story.say("A1", "sell 9 @ 300 as i1 display 3")
    story.say("A1", "sell 9 @ 310 as i2 display 3")
    story.say("A2", "buy 2 @ 300 as b1")
    story.say("A2", "buy 6 @ 250 as b2")
    assert story.shown() == {"i1": 1, "i2": 3}
    story.say("venue", "phase W volatility_auction")
    story.say("A2", "amend b2 price 300")
    assert story.say("venue", "phase W continuous") == ["auction_uncrossed 300 6 1", "trade b2 i1 6 @ 300"]
    assert story.shown() == {"i1": 1, "i2": 3}
    story.say("venue", "phase W volatility_auction")
    story.say("A2", "sell 1 @ 299 as s1")
    story.say("A2", "buy 1 @ 299 as b3")
    story.say("venue", "phase W continuous")
    assert story.shown() == {"i1": 1, "i2": 3}


def test_a_book_crossed_outside_a_call_is_uncrossed_on_the_way_to_continuous() -> None:
    story = Story()
    story.say("venue", "phase W post_close")
    story.say("A1", "buy 5 @ 310 as b1 gtc")
    story.say("A2", "sell 5 @ 300 as s1 gtc")
    story.say("A2", "sell 5 @ 330 as s2 gtc")
    assert story.say("venue", "phase W closed") == []
    assert story.say("venue", "phase W continuous") == ["auction_uncrossed 310 5 0", "trade b1 s1 5 @ 310"]
    assert story.say("venue", "phase W break") == [] and story.say("venue", "phase W continuous") == []


def test_orders_for_the_close_wait_for_the_closing_call() -> None:
    story = Story()
    story.say("A1", "buy 5 market as m1 at_close")
    story.say("A1", "sell 5 @ 100 as l1 at_close display 2")
    story.say("A2", "sell 1 @ 100 as s1 at_close")
    story.say("A1", "amend m1 qty 6")
    assert story.reference.book(1) == {"bids": [], "asks": []}
    orders = story.reference.dump()["orders"]
    assert [(order["cl_ord_id"], order["price"], order["inactive"], order["shown_qty"]) for order in orders] == [
        ("l1", 100, 1, 0), ("s1", 100, 1, 0), ("m1", 1000, 1, 0),
    ]  # fmt: skip
    assert story.say("A1", "buy 9 @ 100 as b1") == []
    assert story.say("venue", "phase W pre_close") == [
        "activated l1 5 @ 100", "activated s1 1 @ 100", "activated m1 6 @ 1000", "auction_indicative 100 6 9",
    ]  # fmt: skip
    assert story.shown() == {"l1": 2}
    story.say("A1", "buy 1 @ 99 as c1 at_close")
    assert story.say("venue", "phase W closing_auction") == [
        "auction_uncrossed 100 6 9", "trade m1 l1 5 @ 100", "trade m1 s1 1 @ 100", "canceled c1 1 auction",
    ]  # fmt: skip
    (terms, _) = story.reference.dump()["instruments"]
    assert (terms["close_price"], terms["last_price"], terms["phase"]) == (100, 100, "closing_auction")
    story.say("venue", "phase W trade_at_close")
    assert story.say("A2", "sell 4 @ 100 as t1") == ["trade t1 b1 4 @ 100"]
    assert story.say("A2", "sell 4 @ 99 as t2") == ["order_rejected 99 4 0"]
    assert story.say("A2", "sell 9 @ 100 as t3") == ["trade t3 b1 5 @ 100"]
    assert story.reference.book(1)["asks"][0][:2] == (100, 4)
    story.say("venue", "phase W closed")
    (terms, _) = story.reference.dump()["instruments"]
    assert (terms["close_price"], terms["last_price"], terms["reference_price"]) == (None, None, "100")


def test_stops_are_elected_behind_the_uncross_that_opens() -> None:
    story = pre_open(*CROSSED)
    story.say("A5", "buy 3 stop 304 as w1")
    story.say("A5", "sell 3 stop 303 as w2")
    story.say("A3", "sell 4 @ 311 as s2")
    assert story.say("venue", "phase W continuous") == [
        "auction_uncrossed 310 10 0", "trade b1 s1 10 @ 310", "triggered w1 3 @ 321", "trade w1 s2 3 @ 311",
    ]  # fmt: skip


def test_no_uncross_elects_a_stop_before_trading_goes_on() -> None:
    story = Story()
    story.say("A5", "buy 3 stop 100 as w1")
    story.say("venue", "phase W volatility_auction")
    story.say("A1", "buy 5 @ 100 as b1")
    story.say("A2", "sell 5 @ 100 as s1")
    assert story.say("venue", "uncross W") == ["auction_uncrossed 100 5 0", "trade b1 s1 5 @ 100"]
    assert story.say("A5", "buy 3 stop 100 as w2") == []
    assert story.say("venue", "phase W continuous") == [
        "auction_uncrossed 0 0 0", "triggered w1 3 @ 0", "canceled w1 3 protection",
        "triggered w2 3 @ 0", "canceled w2 3 protection",
    ]  # fmt: skip


def test_a_close_ends_what_is_for_the_day_and_what_has_no_price() -> None:
    story = Story()
    for text in ("buy 1 @ 5 as d1", "buy 1 @ 5 as g1 gtc", "buy 1 @ 5 as g2 gtd until 99000", "buy 1 stop 90 as t1",
                 "buy 1 stop 90 as t2 gtc", "buy 1 market as c1 at_close"):  # fmt: skip
        story.say("A1", text)
    story.say("venue", "phase W volatility_auction")
    story.say("A1", "buy 1 market as m1 gtc")
    story.say("A1", "buy 1 market_to_limit as k1 gtc")
    told = story.say("venue", "phase W closed")
    assert told == ["order_expired 5 1 0", "order_expired 0 1 0", *["order_expired 1000 1 0"] * 3]
    assert [order["cl_ord_id"] for order in story.reference.dump()["orders"]] == ["g1", "g2", "t2"]


def test_an_own_phase_is_passed_by_until_it_is_taken_back() -> None:
    story = Story("group=G")

    def phases() -> list[tuple[str, int]]:
        return [(terms["phase"], terms["override"]) for terms in story.reference.dump()["instruments"]]

    story.say("venue", "phase W volatility_auction override")
    story.say("venue", "phase ALL pre_close")
    assert phases() == [("volatility_auction", 1), ("pre_close", 0)]
    assert story.say("venue", "phase group:G pre_close") == ["act_rejected 0 0 0"]
    assert story.say("venue", "phase group:H pre_close") == ["act_rejected 0 0 0"]
    story.say("venue", "phase W pre_close")
    assert phases() == [("pre_close", 0), ("pre_close", 0)]
    story.say("venue", "phase group:G close_no_cancel")
    assert phases() == [("close_no_cancel", 0), ("pre_close", 0)]
    story.say("venue", "phase W pre_close override")
    story.say("venue", "phase W closed override")
    story.say("venue", "phase ALL closed")
    assert phases() == [("closed", 0), ("closed", 0)]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.name.lower() not in ("pre_open", "no_cancel")])
def test_only_a_call_can_be_uncrossed_by_hand(phase: Phase) -> None:
    story = Story(f"phase={phase.name.lower()}")
    row = story.commands.write("venue", "uncross W")
    (event, *_) = story.reference.run_block(row, story.commands.payload)
    in_call = phase in (Phase.VOLATILITY_AUCTION, Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)
    assert event["kind"] == (EventKind.AUCTION_UNCROSSED if in_call else EventKind.ACT_REJECTED)
    assert event["code"] == (Code.OK if in_call else Code.NOT_IN_CALL)


def test_a_mass_cancel_of_a_session_takes_its_orders_only() -> None:
    story = Story()
    story.say("A1", "buy 1 @ 5 as b1 session 4")
    story.say("A1", "buy 1 @ 5 as b2 session 5 gtc")
    story.say("A1", "buy 1 stop 90 as w1 session 4")
    story.say("A1", "buy 1 market as c1 session 4 at_close")
    story.say("A1", "buy 1 @ 5 as b3")
    assert story.say("A1", "mass_cancel ! flags=64") == ["mass_canceled 0 0 0"]
    assert story.say("A1", "mass_cancel session 4") == [
        "canceled b1 1 mass_cancel", "canceled w1 1 mass_cancel", "canceled c1 1 mass_cancel", "mass_canceled 0 3 0",
    ]  # fmt: skip


def test_an_order_without_a_level_in_the_call_is_canceled() -> None:
    story = Story("max_price=9000", "window_ticks=10", "reference_price=9000", "orders=5000", "day_ids=6000")
    story.say("A1", "buy 1 @ 50 as c1 at_close")
    story.say("A1", "buy 1 @ 200 as c2 at_close")
    for number in range(4096):
        row = story.commands.write("A2", f"buy 1 @ {100 + number} as f{number}")
        story.reference.run_block(row, story.commands.payload)
    assert story.say("venue", "phase W pre_close") == ["canceled c1 1 levels_full", "activated c2 1 @ 200"]


def test_a_closing_auction_without_a_trade_leaves_no_closing_price() -> None:
    story = Story()
    story.say("A1", "buy 5 @ 100 as b1")
    story.say("venue", "phase W pre_close")
    story.say("A2", "sell 2 @ 100 as s1")
    story.say("venue", "phase W closing_auction")
    assert story.reference.dump()["instruments"][0]["close_price"] == 100
    for phase in ("halted", "pre_close", "closing_auction"):
        story.say("venue", f"phase W {phase}")
    assert story.reference.dump()["instruments"][0]["close_price"] is None


def test_rows_of_an_auction() -> None:
    venue = Venue("reference_price=104")
    venue.say("venue", "phase W pre_open")
    place, phase = CommandKind.ORDER_PLACE, 2
    venue.say("A1", "buy 8 @ 110 as b1")
    sell = {"instrument": 1, "account": 2, "phase": phase, "side": 2, "ord_type": 5, "time_in_force": 2}
    assert venue.rows("A2", "sell 9 market_to_limit as k1 gtc") == [
        event(13, place, EventKind.ORDER_ACCEPTED, flags=0, **sell, order_id=13, price=1, qty=9, leaves_qty=9,
              cl_ord_id=b"k1"),
        event(13, place, EventKind.AUCTION_INDICATIVE, index=1, instrument=1, phase=phase, price=110, qty=8,
              leaves_qty=1, side=2, reason=AuctionStep.VOLUME),
    ]  # fmt: skip
    buy = {"instrument": 1, "account": 4, "phase": phase, "side": 1, "ord_type": 2, "time_in_force": 1}
    assert venue.rows("A4", "buy 3 market as m1") == [
        event(14, place, EventKind.ORDER_ACCEPTED, flags=0, **buy, order_id=14, price=1000, qty=3, leaves_qty=3,
              cl_ord_id=b"m1"),
        event(14, place, EventKind.AUCTION_INDICATIVE, index=1, instrument=1, phase=phase, price=110, qty=9,
              leaves_qty=2, side=1, reason=AuctionStep.VOLUME),
    ]  # fmt: skip
    assert venue.rows("A3", "sell 5 @ 104 as s1") == [
        event(15, place, EventKind.ORDER_ACCEPTED, flags=0, instrument=1, account=3, phase=phase, side=2, ord_type=1,
              time_in_force=1, order_id=15, price=104, qty=5, leaves_qty=5, cl_ord_id=b"s1"),
        event(15, place, EventKind.AUCTION_INDICATIVE, index=1, instrument=1, phase=phase, price=104, qty=11,
              leaves_qty=3, side=2, reason=AuctionStep.PRESSURE),
    ]  # fmt: skip
    venue.say("A1", "sell 2 @ 103 as s2 at_open")
    uncross, auction = CommandKind.PHASE_SET, Phase.OPENING_AUCTION
    sell |= {"phase": auction}
    buy |= {"phase": auction}
    limit = {"instrument": 1, "account": 1, "phase": auction, "side": 1, "ord_type": 1, "time_in_force": 1}
    assert venue.rows("venue", "phase W opening_auction") == [
        event(17, uncross, EventKind.PHASE_CHANGED, flags=0, instrument=1, phase=auction, reason=phase),
        event(
            17,
            uncross,
            EventKind.AUCTION_UNCROSSED,
            flags=0,
            index=1,
            instrument=1,
            phase=auction,
            price=103,
            qty=11,
            reason=AuctionStep.SURPLUS,
        ),
        two_sided(
            17,
            uncross,
            EventKind.TRADE,
            flags=UNCROSS,
            index=2,
            **buy,
            order_id=14,
            price=103,
            qty=3,
            cum_qty=3,
            trade_id=1,
            resting_order_id=13,
            resting_account=2,
            resting_leaves_qty=6,
        ),
        two_sided(
            17,
            uncross,
            EventKind.TRADE,
            flags=UNCROSS,
            index=3,
            **limit,
            order_id=12,
            price=103,
            qty=6,
            leaves_qty=2,
            cum_qty=6,
            trade_id=2,
            resting_order_id=13,
            resting_account=2,
        ),
        two_sided(
            17,
            uncross,
            EventKind.TRADE,
            flags=LAST | UNCROSS | SELF_MATCH,
            index=4,
            **limit,
            order_id=12,
            price=103,
            qty=2,
            cum_qty=8,
            trade_id=3,
            resting_order_id=16,
            resting_account=1,
        ),
    ]
