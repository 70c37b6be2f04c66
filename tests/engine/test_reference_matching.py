"""Icebergs, minimum quantities, market_to_limit, stops and the trigger (R26, R46 to R48, R60, R61, R69)."""

from __future__ import annotations

import pytest

from engine.reference import Reference
from engine.schema import (
    DUP,
    INACTIVE,
    LAST,
    OVERRIDE,
    PRIORITY_KEPT,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    Phase,
    Reason,
    Side,
)
from tests.engine.test_reference import CONTINUOUS, Venue, event, two_sided
from tests.scenarios.table import Commands, world


class Story:
    """A venue that tells its events in short: `kind order price qty leaves`."""

    def __init__(self, *options: str) -> None:
        limits, acts = world(list(options))
        self.reference, self.commands = Reference(limits), Commands()
        for act in acts:
            self.say("venue", act)

    def say(self, who: str, text: str) -> list[str]:
        events = self.reference.run_block(self.commands.write(who, text), self.commands.payload)
        self.reference.check()
        names = {number: name for name, number in self.commands.order_ids.items()}
        told = []
        for row, trade in zip(events, events.view(TRADE), strict=True):
            kind, name = EventKind(row["kind"]), names.get(int(row["order_id"]), "")
            resting = names.get(int(trade["resting_order_id"]), "")
            match kind:
                case EventKind.TRADE | EventKind.ORDER_PREVENTED:
                    word = "trade" if kind == EventKind.TRADE else "prevented"
                    told.append(f"{word} {name} {resting} {trade['qty']} @ {trade['price']}")
                case EventKind.ORDER_CANCELED:
                    told.append(f"canceled {name} {row['delta_qty']} {Reason(row['reason']).name.lower()}")
                case EventKind.ORDER_REFRESHED:
                    told.append(f"refreshed {name} {row['delta_qty']}")
                case EventKind.ORDER_ACTIVATED | EventKind.ORDER_TRIGGERED:
                    told.append(
                        f"{kind.name.lower().removeprefix('order_')} {name} {row['leaves_qty']} @ {row['price']}"
                    )
                case EventKind.ORDER_ACCEPTED | EventKind.ORDER_AMENDED | EventKind.PHASE_CHANGED:
                    pass
                case _:
                    told.append(f"{kind.name.lower()} {row['price']} {row['qty']} {row['leaves_qty']}")
        return told

    def shown(self) -> dict[str, int]:
        orders = self.reference.dump()["orders"]
        return {order["cl_ord_id"]: order["shown_qty"] for order in orders if order["display_qty"]}


FLAG_WORDS = {INACTIVE: " inactive", PRIORITY_KEPT: " kept", OVERRIDE: " override"}


class Controlled(Story):
    """A venue that tells all its events in short, those of price controls included."""

    def say(self, who: str, text: str) -> list[str]:
        events = self.reference.run_block(self.commands.write(who, text), self.commands.payload)
        self.reference.check()
        names = {number: name for name, number in self.commands.order_ids.items()}
        told = []
        for row, trade in zip(events, events.view(TRADE), strict=True):
            kind, name = EventKind(row["kind"]), names.get(int(row["order_id"]), "")
            flags = "".join(word for flag, word in FLAG_WORDS.items() if row["flags"] & flag)
            price, qty, reason = int(row["price"]), int(row["qty"]), int(row["reason"])
            side = f" {Side(row['side']).name.lower()}" if row["side"] else ""
            symbol = "?WVU"[row["instrument"]]
            match kind:
                case EventKind.TRADE:
                    told.append(f"trade {name} {names[int(trade['resting_order_id'])]} {qty} @ {price}")
                case EventKind.ORDER_CANCELED:
                    told.append(f"canceled {name} {row['delta_qty']} {Reason(reason).name.lower()}{flags}")
                case EventKind.PHASE_CHANGED:
                    phases = f"{Phase(row['phase']).name.lower()} from {Phase(reason).name.lower()}"
                    told.append(f"phase {symbol} {phases}{side}{flags}")
                case EventKind.CONTROLS_SET:
                    told.append(f"controls {symbol}")
                case EventKind.LIMITS_SET:
                    told.append(f"limits {symbol} {price}..{row['old_price']} of {qty} step {reason}{side}")
                case EventKind.CALL_EXTENDED:
                    told.append(f"extended {qty} @ {price} count {reason}")
                case EventKind.AUCTION_INDICATIVE | EventKind.AUCTION_UNCROSSED:
                    told.append(f"{kind.name.lower().removeprefix('auction_')} {qty} @ {price}")
                case EventKind.ORDER_REJECTED | EventKind.ACT_REJECTED:
                    told.append(f"rejected {Code(row['code']).name}")
                case _:
                    what = kind.name.lower().removeprefix("order_")
                    told.append(f"{what} {name} {row['leaves_qty']} @ {price}{flags}")
        return told

    def told_by_all(self, *texts: str, who: str = "venue") -> list[list[str]]:
        return [self.say(who, text) for text in texts]

    def limits(self, number: int = 1) -> dict[str, int]:
        limits: dict[str, int] = self.reference.dump()["instruments"][number - 1]["limits"]
        return limits

    def live(self) -> list[str]:
        """The live orders in the order of the dump."""
        orders = self.reference.dump()["orders"]
        return [order["cl_ord_id"] + " inactive" * order["inactive"] for order in orders]


def test_an_incoming_order_goes_round_the_level_of_an_iceberg() -> None:
    story = Story()
    story.say("A1", "sell 10 @ 100 as i display 3")
    story.say("A2", "sell 4 @ 100 as s")
    assert story.say("A3", "buy 9 @ 100 as b") == [
        "trade b i 3 @ 100", "refreshed i 3", "trade b s 4 @ 100", "trade b i 2 @ 100",
    ]  # fmt: skip
    assert story.shown() == {"i": 1}
    assert story.say("A3", "buy 1 @ 100 as c") == ["trade c i 1 @ 100", "refreshed i 3"]
    assert story.say("A3", "buy 9 @ 100 as d") == ["trade d i 3 @ 100", "refreshed i 1", "trade d i 1 @ 100"]
    assert story.shown() == {}


def test_an_incoming_iceberg_trades_whole_and_rests_in_part() -> None:
    story = Story()
    story.say("A1", "sell 5 @ 100 as s")
    assert story.say("A2", "buy 12 @ 100 as i display 4") == ["trade i s 5 @ 100"]
    assert story.shown() == {"i": 4}
    story.say("A2", "amend i qty 8")
    assert story.shown() == {"i": 3}
    story.say("A2", "amend i qty 20")
    assert story.shown() == {"i": 4}
    story.say("A2", "buy 5 @ 99 as whole display 5")
    assert story.shown() == {"i": 4}


def test_self_match_goes_by_all_lots_of_an_iceberg() -> None:
    story = Story()
    story.say("A1", "sell 10 @ 100 as i display 6")
    assert story.say("A1", "buy 7 @ 100 as b smp decrement") == ["prevented b i 7 @ 100", "canceled b 7 self_match"]
    assert story.shown() == {"i": 3}
    assert story.say("A1", "buy 9 @ 100 as c smp decrement") == ["prevented c i 3 @ 100", "canceled i 3 self_match"]


@pytest.mark.parametrize(
    ("smp", "fills"), [("none", True), ("cancel_resting", True), ("cancel_incoming", False), ("decrement", False)]
)
def test_fok_counts_hidden_lots_only_if_it_comes_to_them(smp: str, fills: bool) -> None:
    story = Story()
    story.say("A1", "sell 10 @ 100 as i display 2")
    story.say("A2", "sell 5 @ 100 as own")
    told = story.say("A2", f"buy 10 @ 100 as f fok smp {smp}")
    if fills:
        assert "canceled f 10 fok" not in told and sum(line.startswith("trade f") for line in told) > 2
    else:
        assert told == ["canceled f 10 fok"]
    assert (story.say("A2", f"buy 2 @ 100 as g fok smp {smp}")[0] == "trade g i 2 @ 100") != fills


def test_a_minimum_is_found_at_once_or_nothing_trades() -> None:
    story = Story()
    story.say("A1", "sell 5 @ 100 as s display 2")
    assert story.say("A2", "buy 9 @ 100 as b min 6") == ["canceled b 9 min_qty"]
    assert story.say("A2", "buy 9 @ 99 as c min 1") == ["canceled c 9 min_qty"]
    assert story.say("A2", "buy 9 market as m min 6") == ["canceled m 9 min_qty"]
    assert story.say("A2", "buy 9 @ 100 as d min 5 ioc")[-1] == "canceled d 4 ioc"
    assert story.say("A2", "buy 9 market_to_limit as e min 1") == ["canceled e 9 min_qty"]
    story.say("A1", "sell 5 @ 100 as t")
    assert story.say("A2", "buy 9 @ 100 as f min 5") == ["trade f t 5 @ 100"]
    assert story.reference.book(1) == {"bids": [(100, 4, [(story.commands.order_ids["f"], 4)])], "asks": []}


def test_market_to_limit_rests_at_its_last_trade() -> None:
    story = Story()
    assert story.say("A2", "buy 9 market_to_limit as a") == ["canceled a 9 protection"]
    story.say("A1", "sell 2 @ 100 as s1")
    story.say("A1", "sell 2 @ 110 as s2")
    story.say("A1", "sell 2 @ 111 as s3")
    assert story.say("A2", "buy 9 market_to_limit as b") == [
        "trade b s1 2 @ 100", "trade b s2 2 @ 110", "activated b 5 @ 110",
    ]  # fmt: skip
    assert story.say("A2", "amend b price 111") == ["trade b s3 2 @ 111"]
    assert story.say("A2", "sell 9 market_to_limit as c smp cancel_incoming") == [
        "prevented c b 3 @ 111", "canceled c 9 self_match",
    ]  # fmt: skip


def test_stops_are_elected_in_turn_until_none_is_reached() -> None:
    story = Story()
    for price, name in ((100, "s1"), (101, "s2"), (103, "s3")):
        story.say("A1", f"sell 2 @ {price} as {name}")
    story.say("A1", "buy 1 @ 95 as floor")
    story.say("A2", "buy 2 stop 101 @ 103 as far")
    story.say("A2", "buy 1 stop 100 as near")
    story.say("A2", "buy 1 stop 100 as next")
    story.say("A2", "sell 1 stop 100 as down")
    story.say("A2", "buy 1 stop 104 as never")
    assert story.say("A3", "buy 2 @ 100 as b") == [
        "trade b s1 2 @ 100",
        "triggered near 1 @ 111", "trade near s2 1 @ 101",
        "triggered next 1 @ 111", "trade next s2 1 @ 101",
        "triggered far 2 @ 103", "trade far s3 2 @ 103",
        "triggered down 1 @ 85", "trade down floor 1 @ 95",
    ]  # fmt: skip
    assert [order["cl_ord_id"] for order in story.reference.dump()["orders"]] == ["never"]


def test_a_stop_that_is_reached_already_does_not_wait() -> None:
    story = Story()
    story.say("A1", "sell 2 @ 100 as s1")
    story.say("A2", "buy 1 @ 100 as b1")
    assert story.say("A3", "buy 3 stop 101 as w1") == []
    assert story.say("A3", "buy 3 stop 100 @ 99 as w2") == ["triggered w2 3 @ 99"]
    assert story.say("A3", "amend w1 qty 2 stop 99") == [
        "triggered w1 2 @ 110",
        "trade w1 s1 1 @ 100",
        "canceled w1 1 protection",
    ]
    assert story.say("A3", "sell 3 stop 100 as w3") == [
        "triggered w3 3 @ 89",
        "prevented w3 w2 3 @ 99",
        "canceled w2 3 self_match",
        "canceled w3 3 protection",
    ]
    assert story.say("A3", "sell 3 stop 100 as w4") == ["triggered w4 3 @ 0", "canceled w4 3 protection"]


def test_an_amended_stop_keeps_its_place_unless_its_stop_price_changes() -> None:
    story = Story()
    for name in "abc":
        story.say("A1", f"buy 5 stop 100 as {name}")
    story.say("A1", "amend a qty 9")
    story.say("A1", "amend b stop 101")
    story.say("A1", "amend b stop 100")
    assert [order["cl_ord_id"] for order in story.reference.dump()["orders"]] == ["a", "c", "b"]
    assert story.say("A1", "amend a qty 0 ! order_qty=0") == ["order_rejected 0 0 0"]


def test_an_elected_stop_without_a_level_is_canceled() -> None:
    story = Story("max_price=9000", "window_ticks=10", "reference_price=9000", "orders=5000", "day_ids=6000")
    story.say("A1", "buy 1 stop 8999 @ 50 as w")
    story.say("A1", "sell 2 @ 8999 as s")
    rows = [story.commands.write("A2", f"buy 1 @ {100 + number} as f{number}") for number in range(4096)]
    for row in rows:
        story.reference.run_block(row, story.commands.payload)
    assert story.say("A3", "buy 1 @ 8999 as b") == [
        "trade b s 1 @ 8999",
        "triggered w 1 @ 50",
        "canceled w 1 levels_full",
    ]


def moved(*options: str) -> Controlled:
    """A trade at 100 and sells up to 104, with a short window of 2 ticks."""
    story = Controlled("short_ticks=2", *options)
    for price in (100, 102, 103, 104):
        story.say("A1", f"sell 2 @ {price} as s{price}")
    story.say("A2", "buy 2 @ 100 as b1")
    return story


PULLED = "phase W volatility_auction from continuous"


def test_an_order_that_reaches_beyond_the_bounds_begins_a_call() -> None:
    story = moved()
    story.say("A3", "buy 1 stop 102 as w1")
    assert story.say("A2", "buy 5 @ 103 as b2") == [
        "accepted b2 5 @ 103", "trade b2 s102 2 @ 102", PULLED, "indicative 2 @ 103",
    ]  # fmt: skip
    assert story.live() == ["b2", "s103", "s104", "w1 inactive"]
    assert story.say("venue", "phase W continuous") == [
        "phase W continuous from volatility_auction", "uncrossed 2 @ 103", "trade b2 s103 2 @ 103",
        "triggered w1 1 @ 114", "trade w1 s104 1 @ 104",
    ]  # fmt: skip


def test_only_what_is_still_reached_pulls() -> None:
    assert PULLED not in moved().say("A2", "buy 2 @ 104 as b2"), "it was filled"
    assert PULLED not in moved().say("A2", "buy 5 @ 102 as b2"), "it does not reach"
    assert PULLED not in moved("short_ms=8").say("A2", "buy 5 @ 104 as b2 at 9000000"), "the window holds no trade"
    assert PULLED in moved("short_ms=8").say("A2", "buy 5 @ 104 as b2 at 7999999")


def test_the_lower_bound_holds_too_and_for_both_sides() -> None:
    story = Controlled("long_ticks=2")
    story.say("A1", "buy 2 @ 100 as b1")
    story.say("A1", "buy 2 @ 97 as b2")
    story.say("A2", "sell 2 @ 100 as s1")
    assert story.say("A2", "sell 2 @ 97 as s2") == ["accepted s2 2 @ 97", PULLED, "indicative 2 @ 97"]
    story = Controlled("long_ticks=2")
    story.say("A1", "buy 2 @ 100 as b1")
    story.say("A2", "sell 4 @ 100 as s1")
    story.say("A2", "sell 4 @ 97 as s2")
    assert story.say("A1", "buy 4 @ 97 as b2") == ["accepted b2 4 @ 97", PULLED, "indicative 4 @ 97"]


def test_what_is_left_goes_its_way_as_without_an_opposite_order() -> None:
    assert moved().say("A2", "buy 5 @ 104 as b2 ioc")[-2:] == [PULLED, "canceled b2 3 ioc"]
    assert moved().say("A2", "buy 5 market as b2")[-2:] == [PULLED, "canceled b2 3 protection"]
    assert moved().say("A2", "buy 5 market_to_limit as b2")[-2:] == [PULLED, "activated b2 3 @ 102"]
    assert moved().say("A2", "buy 5 @ 104 as b2 min 2")[1:] == [
        "trade b2 s102 2 @ 102", PULLED, "indicative 3 @ 104",
    ]  # fmt: skip
    story = moved()
    story.say("A1", "cancel s102")
    assert story.say("A2", "buy 5 market_to_limit as b2") == [
        "accepted b2 5 @ 113", PULLED, "canceled b2 5 protection",
    ]  # fmt: skip


def test_walks_end_at_the_bounds_and_pull_nothing() -> None:
    story = moved()
    assert story.say("A2", "buy 3 @ 104 as b2 fok") == ["accepted b2 3 @ 104", "canceled b2 3 fok"]
    assert story.say("A2", "buy 3 @ 104 as b3 min 3") == ["accepted b3 3 @ 104", "canceled b3 3 min_qty"]
    story.say("A1", "cancel s102")
    assert story.say("A2", "buy 2 @ 104 as b4 fok") == ["accepted b4 2 @ 104", "canceled b4 2 fok"]
    assert moved().say("A2", "buy 2 @ 104 as b2 fok") == ["accepted b2 2 @ 104", "trade b2 s102 2 @ 102"]


def test_bounds_are_those_before_an_orders_own_trades() -> None:
    story = Controlled("short_ticks=2")
    for price in (100, 103, 106):
        story.say("A1", f"sell 1 @ {price} as s{price}")
    assert PULLED not in story.say("A2", "buy 3 @ 106 as b1"), "there was no trade before"
    assert story.live() == []


def test_an_elected_stop_and_an_amended_order_pull_too() -> None:
    story = moved()
    story.say("A3", "buy 3 stop 102 as w1")
    story.say("A3", "buy 3 stop 102 as w2")
    assert story.say("A2", "buy 2 @ 102 as b2") == [
        "accepted b2 2 @ 102", "trade b2 s102 2 @ 102", "triggered w1 3 @ 113", PULLED, "canceled w1 3 protection",
    ]  # fmt: skip
    assert story.live() == ["s103", "s104", "w2 inactive"]
    story = moved()
    story.say("A2", "buy 3 @ 99 as b2")
    assert story.say("A2", "amend b2 price 103") == [
        "amended b2 3 @ 103", "trade b2 s102 2 @ 102", PULLED, "indicative 1 @ 103",
    ]  # fmt: skip


def test_a_trigger_pulled_by_a_stop_on_the_way_to_continuous_is_told_last() -> None:
    story = Controlled("short_ticks=2", "group=G")
    story.say("A1", "sell 1 @ 100 as s1")
    story.say("A1", "buy 1 @ 100 as b1")
    story.say("A1", "buy 2 @ 100 as b2")
    story.say("A2", "sell 2 @ 100 as s2")
    story.say("A1", "sell 5 @ 103 as s3")
    story.say("venue", "phase ALL volatility_auction")
    story.say("A3", "buy 5 stop 99 @ 103 as w1")
    assert story.say("venue", "phase ALL continuous") == [
        "phase W continuous from volatility_auction", "phase V continuous from volatility_auction", "uncrossed 0 @ 0",
        "triggered w1 5 @ 103", PULLED, "uncrossed 0 @ 0", "indicative 5 @ 103",
    ]  # fmt: skip


def test_a_call_that_the_trigger_begins_begins_with_nothing_told() -> None:
    story = Controlled("phase=pre_open", "short_ticks=2")
    story.say("A1", "sell 2 @ 103 as s1")
    assert story.say("A2", "buy 2 @ 103 as b1")[1:] == ["indicative 2 @ 103"]
    story.say("venue", "phase W closed")
    story.say("venue", "phase W continuous")
    for who, text in (("A1", "sell 1 @ 100 as s2"), ("A2", "buy 1 @ 100 as b2"), ("A1", "sell 2 @ 103 as s3")):
        story.say(who, text)
    assert story.say("A2", "buy 2 @ 103 as b3")[1:] == [PULLED, "indicative 2 @ 103"]


def test_the_own_phase_of_an_instrument_stays_its_own() -> None:
    story = moved()
    story.say("venue", "phase W break override")
    story.say("venue", "phase W continuous override")
    assert f"{PULLED} override" in story.say("A2", "buy 5 @ 103 as b2")
    assert story.say("venue", "phase ALL continuous") == ["rejected PHASE_TRANSITION"]


def test_windows_are_emptied_by_an_uncross_a_control_and_the_close() -> None:
    story = moved()
    story.say("venue", "phase W volatility_auction")
    assert story.say("venue", "phase W continuous")[-1] == "uncrossed 0 @ 0"
    assert PULLED in story.say("A2", "buy 5 @ 103 as b2"), "no volume, nothing emptied"
    story.say("venue", "phase W continuous")
    assert PULLED not in story.say("A2", "buy 5 @ 104 as b3"), "the price of the uncross, 103, is all they hold"
    for key in ("short_ticks=2", "long_ticks=0", "short_ms=60000", "long_ms=600000"):
        story = moved()
        story.say("venue", f"control W {key}")
        assert PULLED not in story.say("A2", "buy 5 @ 104 as b2")
    story = moved()
    story.say("venue", "control W band_ticks=50 limit_steps=")
    assert PULLED in story.say("A2", "buy 5 @ 104 as b2")
    story = moved()
    story.say("A1", "sell 2 @ 104 as g1 gtc")
    story.say("venue", "phase W closed")
    story.say("venue", "phase W continuous")
    assert PULLED not in story.say("A2", "buy 5 @ 104 as b2")


def test_bounds_are_for_continuous_but_every_trade_enters_the_windows() -> None:
    story = Controlled("short_ticks=2")
    story.say("A1", "sell 5 @ 110 as s1")
    story.say("A2", "buy 2 @ 100 as b1 gtc")
    story.say("venue", "phase W pre_close")
    story.say("A3", "buy 3 @ 110 as b2")
    story.say("venue", "phase W closing_auction")
    story.say("venue", "phase W trade_at_close")
    story.say("venue", "control W short_ticks=1")
    assert story.say("A2", "buy 1 @ 110 as b3")[1:] == ["trade b3 s1 1 @ 110"]
    assert story.reference.instruments[0].trigger.bounds(story.reference.time) == (109, 111)
    assert story.say("A2", "buy 9 @ 110 as b4")[1:] == ["trade b4 s1 1 @ 110"]


def test_rows_of_stops_icebergs_and_market_to_limit() -> None:
    venue = Venue()
    place = CommandKind.ORDER_PLACE
    common = {"instrument": 1, "phase": CONTINUOUS, "time_in_force": 2}
    iceberg = {**common, "account": 1, "side": 2, "ord_type": 1, "order_id": 11, "price": 100, "qty": 9}
    assert venue.rows("A1", "sell 9 @ 100 as i1 gtc display 2") == [
        event(11, place, EventKind.ORDER_ACCEPTED, **iceberg, leaves_qty=9, delta_qty=2, cl_ord_id=b"i1")
    ]
    stop = {**common, "account": 2, "side": 1, "order_id": 12, "qty": 3}
    assert venue.rows("A2", "buy 3 stop 100 as t1 gtc") == [
        event(12, place, EventKind.ORDER_ACCEPTED, flags=LAST | INACTIVE, **stop, ord_type=3, leaves_qty=3,
              old_price=100, cl_ord_id=b"t1")
    ]  # fmt: skip
    assert venue.rows("A2", "buy 4 stop 90 as t1") == [
        event(13, place, EventKind.ORDER_STATUS, flags=LAST | DUP | INACTIVE, **stop, ord_type=3, leaves_qty=3,
              code=Code.DUPLICATE, rule=6, reason=1, cl_ord_id=b"t1")
    ]  # fmt: skip
    assert venue.rows("A2", "amend t1 qty 4") == [
        event(14, CommandKind.ORDER_AMEND, EventKind.ORDER_AMENDED, flags=LAST | PRIORITY_KEPT | INACTIVE,
              **(stop | {"qty": 4}), ord_type=3, leaves_qty=4, delta_qty=3, cl_ord_id=b"t1")
    ]  # fmt: skip
    stop |= {"qty": 4}
    taker = {**common, "account": 3, "side": 1, "order_id": 15}
    assert venue.rows("A3", "buy 3 market_to_limit as k1 gtc") == [
        event(15, place, EventKind.ORDER_ACCEPTED, flags=0, **taker, ord_type=5, price=110, qty=3, leaves_qty=3,
              cl_ord_id=b"k1"),
        two_sided(15, place, EventKind.TRADE, index=1, **taker, ord_type=5, price=100, qty=2, leaves_qty=1, cum_qty=2,
                  trade_id=1, resting_order_id=11, resting_account=1, resting_leaves_qty=7),
        event(15, place, EventKind.ORDER_REFRESHED, flags=0, index=2, **iceberg, leaves_qty=7, cum_qty=2, delta_qty=2),
        two_sided(15, place, EventKind.TRADE, index=3, **taker, ord_type=5, price=100, qty=1, cum_qty=3, trade_id=2,
                  resting_order_id=11, resting_account=1, resting_leaves_qty=6),
        event(15, place, EventKind.ORDER_TRIGGERED, flags=0, index=4, **stop, ord_type=3, price=110, leaves_qty=4,
              old_price=100, cl_ord_id=b"t1"),
        two_sided(15, place, EventKind.TRADE, index=5, **(stop | {"qty": 1}), ord_type=2, price=100, leaves_qty=3,
                  cum_qty=1, trade_id=3, resting_order_id=11, resting_account=1, resting_leaves_qty=5),
        event(15, place, EventKind.ORDER_REFRESHED, flags=0, index=6, **iceberg, leaves_qty=5, cum_qty=4, delta_qty=2),
        two_sided(15, place, EventKind.TRADE, index=7, **(stop | {"qty": 2}), ord_type=2, price=100, leaves_qty=1,
                  cum_qty=3, trade_id=4, resting_order_id=11, resting_account=1, resting_leaves_qty=3),
        event(15, place, EventKind.ORDER_REFRESHED, flags=0, index=8, **iceberg, leaves_qty=3, cum_qty=6, delta_qty=2),
        two_sided(15, place, EventKind.TRADE, flags=LAST, index=9, **(stop | {"qty": 1}), ord_type=2, price=100,
                  cum_qty=4, trade_id=5, resting_order_id=11, resting_account=1, resting_leaves_qty=2),
    ]  # fmt: skip
    venue.say("A1", "cancel i1")
    venue.say("A1", "sell 2 @ 101 as s1")
    taker |= {"order_id": 18}
    assert venue.rows("A3", "buy 3 market_to_limit as k2 gtc")[2:] == [
        event(18, place, EventKind.ORDER_ACTIVATED, index=2, **taker, ord_type=1, price=101, qty=3, leaves_qty=1,
              cum_qty=2, cl_ord_id=b"k2")
    ]  # fmt: skip
