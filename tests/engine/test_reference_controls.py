"""The acts of price controls, suspended orders, the close and the extension of a volatility call (R66, R67, R70)."""

from __future__ import annotations

from engine.schema import (
    INACTIVE,
    LAST,
    Code,
    CommandKind,
    EventKind,
    Phase,
    Reason,
    Side,
)
from tests.engine.test_reference import CONTINUOUS, Venue, act, event
from tests.engine.test_reference_matching import PULLED, Controlled, moved

# --- the acts --------------------------------------------------------------------------------------------------


def test_controls_are_set_one_by_one_and_kept_as_they_were_said() -> None:
    story = Controlled("group=G")
    assert story.say("venue", "control W band_ticks=5 max_order_value=007.50") == ["controls W"]
    assert story.say("venue", "control group:G band_ticks=6 limit_steps=100,200") == ["controls W"]
    w, v = (terms["controls"] for terms in story.reference.dump()["instruments"])
    assert w == {"band_ticks": 6, "max_order_value": "007.50", "limit_steps": "100,200"} and v == {}
    story.say("venue", "phase W halted override")
    assert story.say("venue", "control group:G limit_free_from=") == ["controls W"], "a phase of its own is no matter"


def test_acts_of_controls_name_who_exists_in_a_phase_that_lets_them() -> None:
    story = Controlled("group=G")
    story.say("venue", "control W limit_steps=100,200")
    assert story.told_by_all(
        "control U band_ticks=5", "control group:H band_ticks=5", "control W", "control ALL band_ticks=5",
        "limit U settlement 5000", "limit group:H", "limit ALL", "limit W settlement 5.", "limit U settlement x",
        "limit W settlement 1001", "limit W settlement 5.5", "limit group:G settlement 5", "limit W step 3",
        "limit group:G step 3", "limit W locked buy step 1", "limit W side none step 1", "limit W step 2", "limit W",
    ) == [
        ["rejected UNKNOWN_INSTRUMENT"], ["rejected UNKNOWN_INSTRUMENT"], ["rejected BAD_TERMS"],
        ["rejected BAD_TERMS"], ["rejected UNKNOWN_INSTRUMENT"], ["rejected UNKNOWN_INSTRUMENT"],
        *[["rejected BAD_TERMS"]] * 10, ["rejected PHASE"], ["rejected PHASE"],
    ]  # fmt: skip
    assert story.limits() == {"settlement": 500, "step": 0, "side": 0, "locked": 0, "low": 1, "high": 1000}


def test_limits_of_a_group_pass_by_who_trades() -> None:
    story = Controlled("group=G", "phase=halted")
    story.say("venue", "define U group=G")
    story.say("venue", "control group:G limit_steps=100")
    assert story.say("venue", "limit group:G step 1 settlement 5") == ["rejected BAD_TERMS"]
    story.commands.order_ids.clear()
    rows = story.reference.run_block(story.commands.write("venue", "limit group:G"), story.commands.payload)
    assert [(int(row["instrument"]), int(row["price"]), int(row["old_price"])) for row in rows] == [
        (1, 495, 505), (3, 495, 505),
    ]  # fmt: skip
    story.say("venue", "phase W volatility_auction")
    rows = story.reference.run_block(story.commands.write("venue", "limit group:G"), story.commands.payload)
    assert rows["instrument"].tolist() == [3]
    story.reference.run_block(story.commands.write("venue", "phase U continuous"), story.commands.payload)
    assert story.say("venue", "limit group:G") == ["rejected PHASE"]


def test_limits_are_definitions_while_a_day_is_restated() -> None:
    story = Controlled("empty")
    story.say("venue", "day.open 2026-11-23 next 1")
    story.say("venue", "define W")
    assert story.told_by_all(
        "control W limit_steps=100,200,300 limit_free_from=2026-11-23",
        "limit W settlement 300 step 2 locked sell side buy", "limit W step 1 locked buy", "limit W step 3 side none",
    ) == [
        ["controls W"], ["limits W 294..306 of 300 step 2 sell"], ["limits W 297..303 of 300 step 1 buy"],
        ["limits W 291..309 of 300 step 3 buy"],
    ]  # fmt: skip
    assert story.limits() == {"settlement": 300, "step": 3, "side": 0, "locked": 1, "low": 291, "high": 309}
    assert story.say("venue", "limit W") == ["limits W 1..1000 of 300 step 0 buy"], "free from this day on"
    story.say("venue", "control W limit_free_from=2026-11-24")
    assert story.say("venue", "limit W") == ["limits W 297..303 of 300 step 1 buy"]
    story.say("venue", "day.start")
    assert story.say("venue", "limit W step 1 locked buy") == ["rejected BAD_TERMS"]
    assert story.say("venue", "limit W step 1") == ["limits W 297..303 of 300 step 1 buy"]


def test_controls_touch_no_limits_until_the_next_limit_set() -> None:
    story = Controlled("limits=400..600")
    story.say("venue", "control W limit_steps=10")
    assert (story.limits()["low"], story.limits()["high"]) == (400, 600)


# --- suspended orders ------------------------------------------------------------------------------------------


def suspended() -> Controlled:
    """A halt in which the limits 90..110 are narrowed to 95..105 and orders go their ways."""
    story = Controlled("limits=90..110")
    story.say("venue", "control W limit_steps=500,1000")
    for text in ("buy 5 @ 94 as d1", "buy 5 @ 94 as g1 gtc display 2", "buy 5 @ 95 as g2 gtc", "sell 5 @ 110 as d2",
                 "sell 5 @ 110 as g3 gtd until 900000", "sell 5 @ 105 as d3", "buy 5 stop 110 @ 110 as w1",
                 "buy 5 @ 94 as c1 at_close", "buy 5 market as c2 at_close"):  # fmt: skip
        story.say("A1", text)
    story.say("venue", "phase W volatility_auction")
    for text in ("buy 2 market as m1 gtc", "sell 2 market_to_limit as m2", "sell 2 @ 94 as o1"):
        story.say("A2", text)
    story.say("A2", "cancel o1")
    story.say("venue", "phase W halted")
    return story


def test_new_limits_cancel_suspend_and_bring_back() -> None:
    story = suspended()
    assert story.say("venue", "limit W settlement 100 step 1") == [
        "limits W 95..105 of 100 step 1", "canceled d1 5 price_limit", "suspended g1 5 @ 94 inactive",
        "canceled d2 5 price_limit", "suspended g3 5 @ 110 inactive", "canceled m1 2 price_limit",
        "canceled m2 2 price_limit",
    ]  # fmt: skip
    assert story.live() == ["g2", "d3", "w1 inactive", "c1 inactive", "c2 inactive", "g1 inactive", "g3 inactive"]
    assert story.shown() == {"g1": 2}, "what it would show"
    assert story.say("A1", "buy 1 @ 100 as g1") == ["status g1 5 @ 94 inactive"]
    assert story.say("venue", "limit W settlement 100 step 1") == ["limits W 95..105 of 100 step 1"]
    assert story.say("venue", "limit W settlement 104 step 1") == ["limits W 99..109 of 104 step 1",
                                                                  "suspended g2 5 @ 95 inactive"]  # fmt: skip
    assert story.say("venue", "limit W settlement 100 step 2") == [
        "limits W 90..110 of 100 step 2", "activated g1 5 @ 94", "activated g2 5 @ 95", "activated g3 5 @ 110",
    ]  # fmt: skip
    assert story.shown() == {"g1": 2}
    assert story.say("venue", "phase W closed")[0] == "phase W closed from halted"
    assert story.live() == ["g2", "g1", "g3"]


def test_unpriced_orders_stay_while_their_edge_does() -> None:
    story = suspended()
    assert "canceled m1 2 price_limit" not in story.say("venue", "limit W settlement 105 step 1")  # 100..110
    assert story.live()[0] == "m1"


def test_an_order_comes_back_last_in_its_level_and_only_where_there_is_room() -> None:
    story = Controlled("limits=90..110", "orders=5000", "day_ids=6000", "max_price=9000", "window_ticks=10")
    story.say("A1", "buy 1 @ 109 as a1 gtc")
    story.say("A1", "buy 1 @ 111 as a2 gtc")
    story.say("venue", "phase W halted")
    story.say("venue", "control W limit_steps=10000")
    assert story.say("venue", "limit W settlement 4500 step 1")[1:] == ["activated a2 1 @ 111"]
    story.say("venue", "limit W settlement 100 step 1")
    story.say("venue", "phase W pre_open")
    story.say("A1", "buy 1 @ 5000 as a3 gtc")
    assert story.live()[-1] == "a3 inactive"
    story.say("venue", "phase W halted")
    story.say("venue", "limit W settlement 4000 step 1")
    story.say("A1", "cancel a3")
    story.say("venue", "phase W pre_open")
    for number in range(4094):
        story.reference.run_block(story.commands.write("A2", f"buy 1 @ {200 + number} as f{number}"))
    story.say("A2", "buy 1 @ 8500 as a4 gtc")
    story.say("A2", "buy 1 @ 9000 as a5 gtc")
    story.say("venue", "phase W halted")
    assert story.say("venue", "limit W settlement 4500 step 1")[1:] == [
        "canceled a4 1 levels_full inactive", "canceled a5 1 levels_full inactive",
    ]  # fmt: skip


def test_a_place_outside_the_limits_is_suspended_if_it_lasts() -> None:
    story = Controlled("limits=90..110", "band_ticks=3", "reference_price=100")
    assert story.told_by_all(
        "buy 5 @ 111 as a1", "buy 5 @ 111 as a1 ioc", "buy 5 @ 89 as a1 at_close", "buy 5 @ 111 as a1 gtc min 1",
        "buy 5 stop 100 @ 111 as a1", "buy 5 @ 111 as b1 gtc post", "sell 5 @ 89 as b2 gtd until 99000 display 2",
        "buy 5 stop 120 @ 130 as b3 gtc", who="A1",
    ) == [
        *[["rejected PRICE_LIMIT"]] * 5, ["accepted b1 5 @ 111 inactive"], ["accepted b2 5 @ 89 inactive"],
        ["rejected MOVING_BAND"],
    ]  # fmt: skip
    story.say("venue", "control W band_ticks=0")
    assert story.say("A1", "buy 5 stop 120 @ 130 as b4 gtc") == ["accepted b4 5 @ 130 inactive"]
    assert story.live() == ["b4 inactive", "b1 inactive", "b2 inactive"] and story.shown() == {"b2": 2}
    assert story.say("A2", "sell 5 @ 110 as s1") == ["accepted s1 5 @ 110"], "a suspended buy takes part in nothing"
    assert story.say("A1", "mass_cancel") == [
        "canceled b1 5 mass_cancel inactive", "canceled b2 5 mass_cancel inactive",
        "canceled b4 5 mass_cancel inactive", "mass_canceled  0 @ 0",
    ]  # fmt: skip


def test_a_suspended_order_asks_for_no_level_and_for_the_closing_price() -> None:
    story = Controlled("orders=5000", "day_ids=6000", "max_price=9000", "window_ticks=10", "limits=4000..8200")
    for number in range(4106):  # ten of these prices lie in the window
        story.reference.run_block(story.commands.write("A2", f"buy 1 @ {4004 + number} as f{number}"))
    assert story.say("A1", "buy 1 @ 8199 as x1 gtc") == ["rejected FAR_LEVELS_FULL"]
    assert story.say("A1", "buy 1 @ 3999 as x2 gtc") == ["accepted x2 1 @ 3999 inactive"]
    assert story.say("A1", "amend x2 price 8199") == ["rejected FAR_LEVELS_FULL"]
    assert story.say("A1", "amend x2 price 8099") == ["amended x2 1 @ 8099"]
    story = Controlled("limits=90..110", "phase=trade_at_close")
    assert story.say("A1", "buy 1 @ 111 as x1 gtc") == ["rejected CLOSE_PRICE"]


def test_an_amend_with_a_price_brings_a_suspended_order_back() -> None:
    story = Controlled("limits=90..110")
    story.say("A2", "sell 3 @ 100 as s1")
    story.say("A1", "buy 5 @ 111 as b1 gtc post")
    story.say("A1", "buy 5 @ 112 as b2 gtc display 2")
    assert story.say("A1", "amend b1 qty 4") == ["amended b1 4 @ 111 inactive kept"]
    assert story.say("A1", "amend b1 qty 6") == ["amended b1 6 @ 111 inactive"]
    assert story.live()[1:] == ["b2 inactive", "b1 inactive"]
    assert story.say("A1", "amend b1 price 113") == ["rejected PRICE_LIMIT"]
    assert story.say("A1", "amend b1 price 100") == ["rejected POST_ONLY"]
    assert story.say("A1", "amend b2 price 100 qty 6") == ["amended b2 6 @ 100", "trade b2 s1 3 @ 100"]
    assert story.shown() == {"b2": 2}
    assert story.say("A1", "amend b1 price 99") == ["amended b1 6 @ 99"]
    assert story.live() == ["b2", "b1"]
    assert story.say("A1", "amend b1 price 111") == ["rejected PRICE_LIMIT"]
    story.say("A1", "buy 5 @ 111 as b3 gtc")
    story.say("venue", "phase W volatility_auction")
    assert story.say("A1", "amend b3 price 110") == ["amended b3 5 @ 110"]
    story.say("venue", "phase W post_close")
    story.say("venue", "phase W halted")


def test_a_stop_limit_outside_the_limits_ends_when_it_is_elected() -> None:
    story = Controlled("limits=90..110")
    story.say("A1", "buy 5 stop 100 @ 111 as w1 gtc")
    story.say("A1", "buy 5 stop 100 @ 110 as w2 gtc")
    story.say("A2", "sell 1 @ 100 as s1")
    assert story.say("A3", "buy 1 @ 100 as b1") == [
        "accepted b1 1 @ 100", "trade b1 s1 1 @ 100", "triggered w1 5 @ 111", "canceled w1 5 price_limit",
        "triggered w2 5 @ 110",
    ]  # fmt: skip
    assert story.say("A1", "buy 5 stop 99 @ 111 as w3 gtc") == [
        "accepted w3 5 @ 111 inactive", "triggered w3 5 @ 111", "canceled w3 5 price_limit",
    ]  # fmt: skip
    assert story.say("A1", "amend w2 price 111") == ["rejected PRICE_LIMIT"]


def test_protection_and_edges_are_held_within_the_limits() -> None:
    story = Controlled("limits=90..110")
    story.say("A1", "sell 1 @ 105 as s1")
    story.say("A1", "buy 1 @ 95 as b1")
    assert story.say("A2", "buy 2 market as m1")[0] == "accepted m1 2 @ 110"
    assert story.say("A2", "sell 2 market as m2")[0] == "accepted m2 2 @ 90"
    story.say("venue", "phase W volatility_auction")
    assert story.say("A2", "buy 2 market as m3") == ["accepted m3 2 @ 110"]
    assert story.say("A3", "sell 2 market as m4") == ["accepted m4 2 @ 90", "indicative 2 @ 95"], "the last price"


def test_an_unpriced_cross_is_held_within_the_limits() -> None:
    story = Controlled("limits=90..110", "phase=pre_open")
    story.say("A2", "buy 2 market as m1")
    assert story.say("A3", "sell 2 market as m2") == ["accepted m2 2 @ 90", "indicative 2 @ 110"], "of 500"


def test_orders_for_the_close_meet_the_limits_of_the_close() -> None:
    story = Controlled("limits=90..110")
    for text in ("buy 5 market as m1 at_close", "buy 5 @ 92 as l1 at_close", "sell 5 @ 100 as l2 at_close"):
        story.say("A1", text)
    story.say("A2", "buy 5 @ 120 as g1 gtc")
    story.say("venue", "phase W halted")
    story.say("venue", "control W limit_steps=500")
    assert story.say("venue", "limit W settlement 100 step 1") == ["limits W 95..105 of 100 step 1"]
    assert story.say("A2", "buy 5 @ 120 as m1") == ["rejected PHASE"]
    assert story.say("venue", "phase W pre_close") == [
        "phase W pre_close from halted", "activated m1 5 @ 105", "canceled l1 5 price_limit inactive",
        "activated l2 5 @ 100", "indicative 5 @ 100",
    ]  # fmt: skip
    assert story.live() == ["m1", "l2", "g1 inactive"]


def test_an_order_for_the_close_without_a_level_ends_as_what_it_was() -> None:
    story = Controlled("orders=5000", "day_ids=6000", "max_price=9000", "window_ticks=10", "limits=4000..8300")
    story.say("A1", "buy 1 market as m1 at_close")
    story.say("venue", "phase W halted")
    story.say("venue", "control W limit_steps=10000")
    story.say("venue", "limit W settlement 4300 step 1")
    story.say("venue", "phase W pre_open")
    for price in (*range(200, 4295), 8300):  # where it was there is room, where it would be there is none
        story.reference.run_block(story.commands.write("A2", f"buy 1 @ {price} as f{price} gtc"))
    for phase in ("halted", "pre_close"):
        row = story.commands.write("venue", f"phase W {phase}")
        events = story.reference.run_block(row, story.commands.payload)
    assert (int(events[1]["reason"]), int(events[1]["price"])) == (Reason.LEVELS_FULL, 8300)
    story.reference.check()


def test_restored_orders_outside_the_limits_are_suspended() -> None:
    story = Controlled("empty")
    for text in ("day.open 2026-11-23 next 1", "account A1 M1 B1", "define W max_price=9000 window_ticks=10",
                 "control W limit_steps=1000", "limit W settlement 100 step 1"):  # fmt: skip
        story.say("venue", text)
    assert story.told_by_all(
        "restore buy 9 leaves 4 @ 111 as g1 order 1 display 2 shows 2",
        "restore buy 9 leaves 4 @ 110 as g2 order 2 display 2 shows 1",
        "restore buy 9 leaves 4 stop 111 @ 112 as g3 order 3", who="A1",
    ) == [["restored g1 4 @ 111 inactive"], ["restored g2 4 @ 110"], ["restored g3 4 @ 112 inactive"]]  # fmt: skip
    assert story.shown() == {"g1": 2, "g2": 1}
    assert story.say("venue", "day.start") == ["day_started  0 @ 0"]


# --- the close -------------------------------------------------------------------------------------------------


def closes(*orders: str, step: bool = True) -> tuple[str, list[str]]:
    """The locked side of a day that ends with these orders, and what the next limit.set says."""
    story = Controlled("limits=90..110" if step else "max_price=110")
    story.say("venue", "control W limit_steps=1000,2000")
    for text in orders:
        story.say("A1", text)
    (changed, *_) = story.say("venue", "phase W closed")
    return changed.removeprefix("phase W closed from continuous").strip(), story.say("venue", "limit W")


def test_a_side_is_locked_where_it_waits_at_its_limit_alone() -> None:
    assert closes("buy 1 @ 110 as b") == ("buy", ["limits W 80..120 of 100 step 2 buy"])
    assert closes("sell 1 @ 90 as s", "buy 1 @ 89 as b gtc") == ("sell", ["limits W 80..120 of 100 step 2 sell",
                                                                         "activated b 1 @ 89"])  # fmt: skip
    assert closes("buy 1 @ 109 as b") == ("", ["limits W 90..110 of 100 step 1"])
    assert closes("buy 1 @ 109 as b", "sell 1 @ 110 as s") == ("", ["limits W 90..110 of 100 step 1"])
    assert closes("buy 1 @ 90 as b") == closes("sell 1 @ 110 as s") == closes()
    assert closes("buy 1 @ 110 as b", step=False)[0] == ""


def test_no_side_is_locked_where_both_wait() -> None:
    story = Controlled("limits=90..110", "phase=pre_open")
    story.say("A1", "buy 1 @ 110 as b1")
    story.say("A1", "sell 1 @ 110 as s1")
    assert story.say("venue", "phase W closed")[0] == "phase W closed from pre_open"


def test_a_lock_is_found_anew_at_every_close() -> None:
    story = Controlled("limits=90..110")
    story.say("venue", "control W limit_steps=1000,2000")
    story.say("A1", "buy 1 @ 110 as b1 gtc")
    story.say("venue", "phase W closed")
    assert story.limits()["locked"] == Side.BUY and story.live() == ["b1"]
    story.say("venue", "limit W")
    story.say("venue", "phase W continuous")
    assert story.say("venue", "phase W closed") == ["phase W closed from continuous"]
    assert story.limits() == {"settlement": 100, "step": 2, "side": 1, "locked": 0, "low": 80, "high": 120}


# --- the extension of the call ---------------------------------------------------------------------------------


def test_a_volatility_call_goes_on_while_its_price_is_beyond_the_bounds() -> None:
    story = moved()
    story.say("A2", "buy 5 @ 103 as b2")
    assert story.say("venue", "phase W continuous auto") == ["extended 2 @ 103 count 1"]
    assert story.say("A3", "sell 3 @ 103 as x1") == ["accepted x1 3 @ 103", "indicative 3 @ 103"]
    assert story.say("venue", "phase W continuous override auto") == ["extended 3 @ 103 count 2"]
    assert story.reference.dump()["instruments"][0]["override"] == 0, "no phase was set"
    story.say("venue", "control W short_ticks=9")
    story.say("venue", "uncross W")
    story.say("A3", "buy 1 @ 103 as b3")
    story.say("A3", "sell 1 @ 103 as x2")
    assert story.say("venue", "phase W continuous auto")[0].startswith("extended"), "the bounds are those of the pull"
    assert story.say("venue", "phase W continuous")[0] == "phase W continuous from volatility_auction"
    assert story.say("venue", "phase W continuous auto") == ["rejected PHASE_TRANSITION"]


def test_a_volatility_call_ends_with_a_price_inside_or_without_one() -> None:
    story = moved()
    story.say("A2", "buy 5 @ 103 as b2")
    story.say("A3", "sell 9 @ 102 as x1")
    assert story.say("venue", "phase W continuous auto")[:2] == [
        "phase W continuous from volatility_auction", "uncrossed 3 @ 102",
    ]  # fmt: skip
    story = moved()
    story.say("A2", "buy 5 market as b2")
    assert story.say("venue", "phase W continuous auto") == [
        "phase W continuous from volatility_auction", "uncrossed 0 @ 0",
    ]  # fmt: skip


def test_a_call_is_held_against_the_bounds_that_its_order_met() -> None:
    story = Controlled("short_ticks=2")
    for price in (100, 99, 103):
        story.say("A1", f"sell 1 @ {price} as s{price}")
        if price == 100:
            story.say("A2", "buy 1 @ 100 as b1")
    assert story.say("A2", "buy 4 @ 103 as b2")[1:3] == ["trade b2 s99 1 @ 99", PULLED]
    assert story.say("A3", "sell 5 @ 102 as s102")[1] == "indicative 3 @ 102"
    assert story.say("venue", "phase W continuous auto")[1] == "uncrossed 3 @ 102", "of 98..102, not of 98..101"


def test_only_a_call_that_the_trigger_began_is_extended() -> None:
    story = moved()
    story.say("A2", "buy 5 @ 103 as b2")
    story.say("venue", "phase W halted")
    story.say("venue", "phase W volatility_auction")
    assert story.say("venue", "phase W continuous auto")[1] == "uncrossed 2 @ 103"
    story.say("A1", "sell 2 @ 110 as s110")
    assert PULLED in story.say("A3", "buy 5 @ 110 as b3")
    assert story.say("venue", "phase W continuous auto") == ["extended 2 @ 110 count 1"], "counted anew"


# --- rows ------------------------------------------------------------------------------------------------------


def test_rows_of_price_controls() -> None:
    venue = Venue("limits=90..110")
    control, limit, place = CommandKind.CONTROL_SET, CommandKind.LIMIT_SET, CommandKind.ORDER_PLACE
    first = venue.commands.seq + 1
    assert venue.rows("venue", act(control, symbol="W", limit_steps="500", short_ticks=1, why="é", by="x")) == [
        event(first, control, EventKind.CONTROLS_SET, instrument=1, phase=CONTINUOUS)
    ]
    order = {"instrument": 1, "account": 1, "side": 1, "ord_type": 1, "time_in_force": 2, "order_id": first + 1,
             "price": 94, "qty": 5, "leaves_qty": 5}  # fmt: skip
    venue.say("A1", "buy 5 @ 94 as g1 gtc display 2")
    venue.say("venue", "phase W halted")
    assert venue.rows("venue", act(limit, symbol="W", settlement="100", step=1)) == [
        event(first + 3, limit, EventKind.LIMITS_SET, flags=0, instrument=1, phase=4, price=95, old_price=105, qty=100,
              reason=1),
        event(first + 3, limit, EventKind.ORDER_SUSPENDED, flags=LAST | INACTIVE, index=1, **order, phase=4),
    ]  # fmt: skip
    venue.say("venue", "control W limit_steps=1000")
    assert venue.rows("venue", act(limit, symbol="W", step=1))[1:] == [
        event(first + 5, limit, EventKind.ORDER_ACTIVATED, index=1, **order, phase=4, cl_ord_id=b"g1", delta_qty=2)
    ]
    assert venue.rows("A1", "buy 5 @ 94 as g1 gtc")[0][28] == EventKind.ORDER_STATUS
    assert venue.rows("venue", act(limit, symbol="W", step=2)) == [
        event(first + 7, limit, EventKind.ACT_REJECTED, code=Code.BAD_TERMS, rule=40)
    ]
    venue.say("venue", "phase W volatility_auction")
    assert venue.rows("venue", act(limit, symbol="W", step=1)) == [
        event(first + 9, limit, EventKind.ACT_REJECTED, code=Code.PHASE, rule=9)
    ]
    venue.say("venue", "phase W continuous")
    sell = {"instrument": 1, "account": 2, "phase": CONTINUOUS, "side": 2, "ord_type": 1, "time_in_force": 1}
    assert venue.rows("A2", "sell 1 @ 89 as s1") == [
        event(first + 11, place, EventKind.ORDER_REJECTED, **sell, code=Code.PRICE_LIMIT, rule=67, price=89, qty=1,
              cl_ord_id=b"s1")
    ]  # fmt: skip
    assert venue.rows("A2", "sell 1 @ 89 as s1 gtc") == [
        event(first + 12, place, EventKind.ORDER_ACCEPTED, flags=LAST | INACTIVE, **(sell | {"time_in_force": 2}),
              order_id=first + 12, price=89, qty=1, leaves_qty=1, cl_ord_id=b"s1")
    ]  # fmt: skip
    assert venue.rows("A2", "cancel s1") == [
        event(first + 13, CommandKind.ORDER_CANCEL, EventKind.ORDER_CANCELED, flags=LAST | INACTIVE,
              **(sell | {"time_in_force": 2}), order_id=first + 12, price=89, qty=1, delta_qty=1,
              reason=Reason.REQUESTED, cl_ord_id=b"s1")
    ]  # fmt: skip
    venue.say("A1", "amend g1 price 110")
    closed = venue.rows("venue", "phase W closed")
    assert closed == [
        event(first + 15, CommandKind.PHASE_SET, EventKind.PHASE_CHANGED, instrument=1, phase=1, reason=CONTINUOUS,
              side=1)
    ]  # fmt: skip
    assert venue.rows("venue", act(limit, symbol="W", step=1)) == [
        event(first + 16, limit, EventKind.LIMITS_SET, instrument=1, phase=1, price=90, old_price=110, qty=100,
              reason=1, side=1)
    ]  # fmt: skip


def test_rows_of_a_volatility_call() -> None:
    venue = Venue("short_ticks=1")
    venue.say("A1", "sell 1 @ 100 as s1")
    venue.say("A1", "sell 2 @ 102 as s2")
    venue.say("A2", "buy 1 @ 100 as b1")
    seq, place, call = venue.commands.seq + 1, CommandKind.ORDER_PLACE, Phase.VOLATILITY_AUCTION
    assert venue.rows("A2", "buy 1 @ 102 as b2")[1:] == [
        event(seq, place, EventKind.PHASE_CHANGED, flags=0, index=1, instrument=1, phase=call, reason=CONTINUOUS),
        event(seq, place, EventKind.AUCTION_INDICATIVE, index=2, instrument=1, phase=call, price=102, qty=1,
              leaves_qty=1, side=2, reason=1),
    ]  # fmt: skip
    assert venue.rows("venue", "phase W continuous auto") == [
        event(seq + 1, CommandKind.PHASE_SET, EventKind.CALL_EXTENDED, instrument=1, phase=call, price=102, qty=1,
              reason=1)
    ]  # fmt: skip
