"""`cashew match` without its command: request lines in, the events of DESIGN 10 out."""

import json
from typing import Any

from engine.reference import Reference
from engine.schema import OP_WORDS
from gateway.offline import match_lines
from tests.gateway.kit import SYMBOL, TERMS

OPENING = [
    {"op": "account.define", "p": {"account": "A1", "member": "M1", "owner": "B1"}},
    {"op": "account.define", "p": {"account": "A2", "member": "M2", "owner": "B2"}},
    {"op": "instrument.define", "p": {"symbol": SYMBOL, **TERMS}},
    {"op": "phase.set", "p": {"symbol": SYMBOL, "phase": "continuous"}},
]


def run(*requests: dict[str, Any] | str, opening: bool = True) -> list[dict[str, Any]]:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in (*(OPENING if opening else ()), *requests)]
    return list(match_lines(lines, Reference()))[len(OPENING) if opening else 0 :]


def place(
    name: str, account: str = "A1", side: str = "buy", price: str = "3.005", qty: int = 10, **more: Any
) -> dict[str, Any]:
    p = {"symbol": SYMBOL, "side": side, "price": price, "order_qty": qty, "cl_ord_id": name}
    return {"op": "order.place", "account": account, "p": p, **more}


def short(events: list[dict[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(event.get(key) for key in keys) for event in events]


def test_the_example_of_the_design_runs() -> None:
    amend = {
        "op": "order.amend",
        "id": 2,
        "account": "A1",
        "p": {"cl_ord_id": "a-1", "new_cl_ord_id": "a-2", "price": "3.010", "order_qty": 12},
    }
    events = run(
        place("a-1", id=1, ts=1764208800000000),
        amend,
        place("b-1", "A2", "sell", "3.010", 4),
        {"op": "order.cancel", "id": 3, "account": "A1", "p": {"cl_ord_id": "a-2"}},
        place("a-9", price="9.005"),
    )
    assert short(events, "ev", "seq", "i") == [
        ("order.accepted", 5, 0),
        ("order.amended", 6, 0),
        ("order.accepted", 7, 0),
        ("trade", 7, 1),
        ("order.canceled", 8, 0),
        ("order.rejected", 9, 0),
    ]
    assert short(events, "id") == [(1,), (2,), (None,), (None,), (3,), (None,)]
    accepted, amended, _, trade, canceled, rejected = events
    assert (accepted["account"], accepted["order_id"], accepted["cl_ord_id"], accepted["leaves_qty"]) == (
        "A1",
        5,
        "a-1",
        10,
    )
    assert (amended["cl_ord_id"], amended["price"], amended["leaves_qty"]) == ("a-2", "3.010", 12)
    assert (trade["trade_id"], trade["price"], trade["qty"], trade["aggressor_side"]) == (1, "3.010", 4, "sell")
    assert (trade["resting_order_id"], trade["incoming_order_id"]) == (5, 7)
    assert (canceled["reason"], canceled["canceled_qty"]) == ("requested", 8)
    assert (rejected["code"], rejected["rule"]) == ("PRICE_BAND", "R12")


def test_time_is_the_line_before_plus_one_microsecond_and_never_runs_back() -> None:
    events = run(place("a", ts=100), place("b"), place("c", ts=50), place("d"))
    assert short(events, "ts") == [(100,), (101,), (101,), (102,)]


def test_bad_lines_are_told_with_their_number_and_the_next_is_read() -> None:
    events = run("nonsense", "", '{"op":"order.place","id":3}', place("a"), opening=False)
    assert short(events, "ev", "line", "code", "id") == [
        ("error", 1, "BAD_JSON", None),
        ("error", 3, "MISSING_FIELD", 3),
        ("order.rejected", None, "UNKNOWN_ACCOUNT", None),
    ]
    assert events[-1]["seq"] == 1, "a line that could not be read takes no number"


def test_unknown_names_are_refused_by_the_matcher_with_a_number() -> None:
    other = place("a")
    other["p"]["symbol"] = "nope"
    events = run(place("a", "A9"), other, {"op": "order.mass_cancel", "account": "A1", "p": {"symbol": "nope"}})
    assert short(events, "ev", "seq", "code", "rule") == [
        ("order.rejected", 5, "UNKNOWN_ACCOUNT", "R3"),
        ("order.rejected", 6, "UNKNOWN_INSTRUMENT", "R4"),
        ("order.rejected", 7, "UNKNOWN_INSTRUMENT", "R4"),
    ]


def test_book_shows_levels_and_with_orders_the_queue() -> None:
    lines = [place("a"), place("b", "A2", qty=5), place("c", price="3.000"), place("d", "A2", "sell", "3.100", 7)]
    book = {"op": "book.get", "id": 9, "p": {"symbol": SYMBOL, "orders": True}}
    told = run(*lines, book)[-1]
    assert told == {
        "ev": "book",
        "symbol": SYMBOL,
        "id": 9,
        "bids": [
            {
                "price": "3.005",
                "qty": 15,
                "orders": [{"order_id": 5, "leaves_qty": 10}, {"order_id": 6, "leaves_qty": 5}],
            },
            {"price": "3.000", "qty": 10, "orders": [{"order_id": 7, "leaves_qty": 10}]},
        ],
        "asks": [{"price": "3.100", "qty": 7, "orders": [{"order_id": 8, "leaves_qty": 7}]}],
    }
    assert "orders" not in run(*lines, {"op": "book.get", "p": {"symbol": SYMBOL}})[-1]["bids"][0]
    unknown = run({"op": "book.get", "id": 4, "p": {"symbol": "nope"}})[0]
    assert (unknown["ev"], unknown["code"], unknown["id"]) == ("error", "UNKNOWN_SYMBOL", 4)


def test_disconnect_cancels_the_day_orders_of_its_client_session() -> None:
    events = run(
        place("a", client_session=7),
        place("b", client_session=8),
        {"op": "disconnect", "account": "A1", "p": {"client_session": 7}},
    )[2:]
    assert short(events, "ev", "order_id", "reason", "count") == [
        ("order.canceled", 5, "disconnect", None),
        ("disconnected", None, None, 1),
    ]


def test_a_day_is_opened_and_restated() -> None:
    restore = {
        "op": "order.restore",
        "account": "A1",
        "p": {**place("old")["p"], "time_in_force": "gtc", "order_id": 3, "leaves_qty": 4},
    }
    events = run(
        {"op": "day.open", "p": {"trading_day": "2026-11-24", "next_trade_id": 50}},
        *OPENING[:3],
        restore,
        {"op": "day.start"},
        {"op": "phase.set", "p": {"symbol": "ALL", "phase": "continuous"}},
        {"op": "order.amend", "account": "A1", "p": {"order_id": 3, "price": "3.010"}},
        {"op": "clock.tick"},
        opening=False,
    )
    assert short(events, "ev") == [
        ("day.opened",),
        ("account.defined",),
        ("account.defined",),
        ("instrument.defined",),
        ("order.restored",),
        ("day.started",),
        ("phase.changed",),
        ("order.amended",),
        ("clock.ticked",),
    ]
    assert events[0]["trading_day"] == "2026-11-24"
    assert (events[4]["leaves_qty"], events[4]["cum_qty"], events[7]["price"]) == (4, 6, "3.010")


def act(op: str, **p: Any) -> dict[str, Any]:
    return {"op": op, "p": p}


def test_a_stop_waits_is_elected_and_is_then_an_order_like_any_other() -> None:
    stop = place("s", "A2", "buy", "3.020", 5)
    stop["p"] |= {"ord_type": "stop_limit", "stop_price": "3.010", "time_in_force": "gtc"}
    events = run(
        stop,
        {"op": "order.amend", "account": "A2", "p": {"cl_ord_id": "s", "stop_price": "3.005"}},
        place("a", side="sell"),
        place("b", "A2", "buy", qty=10),
        {"op": "order.cancel", "account": "A2", "p": {"cl_ord_id": "s"}},
    )
    assert short(events, "ev", "ord_type", "stop_price", "inactive") == [
        ("order.accepted", "stop_limit", "3.010", True),
        ("order.amended", "stop_limit", None, True),
        ("order.accepted", "limit", None, None),
        ("order.accepted", "limit", None, None),
        ("trade", None, None, None),
        ("order.triggered", "stop_limit", "3.005", None),
        ("order.canceled", "limit", None, None),
    ]


def test_an_iceberg_is_refreshed_and_its_book_shows_all_that_it_has() -> None:
    iceberg = place("i", side="sell", qty=25)
    iceberg["p"]["display_qty"] = 10
    events = run(iceberg, place("b", "A2", qty=12), {"op": "book.get", "p": {"symbol": SYMBOL}})
    assert events[0]["display_qty"] == 10
    assert short(events[1:-1], "ev", "qty", "shown_qty", "leaves_qty") == [
        ("order.accepted", None, None, 12),
        ("trade", 10, None, 2),
        ("order.refreshed", None, 10, 15),
        ("trade", 2, None, 0),
    ]
    assert events[-1]["asks"][0]["qty"] == 13


def test_a_call_is_told_read_and_uncrossed() -> None:
    read = {"op": "auction.indicative", "id": 9, "p": {"symbol": SYMBOL}}
    opening = [*OPENING[:3], act("phase.set", symbol=SYMBOL, phase="pre_open", draw=250)]
    lines = [place("a", price="3.010"), place("b", "A2", "sell", qty=4)]
    events = run(*opening, read, *lines, read, act("auction.uncross", symbol=SYMBOL), read, opening=False)[3:]
    nothing = {"qty": 0, "surplus": 0, "step": "no_cross"}
    assert events[0]["draw"] == 250
    assert events[1] == {"ev": "auction.indicative", "symbol": SYMBOL, "id": 9, **nothing}
    told = {"price": "3.010", "qty": 4, "surplus": 6, "surplus_side": "buy", "step": "pressure"}
    assert [event["ev"] for event in events[2:5]] == ["order.accepted", "order.accepted", "auction.indicative"]
    assert events[4].items() >= told.items() and events[4]["seq"] == 6
    assert events[5] == {"ev": "auction.indicative", "symbol": SYMBOL, "id": 9, **told}
    uncrossed, trade, after = events[6:]
    assert uncrossed["ev"] == "auction.uncrossed" and uncrossed.items() >= told.items()
    assert (trade["auction"], trade["price"], trade["qty"]) == (True, "3.010", 4)
    assert (trade["buy_order_id"], trade["sell_order_id"]) == (5, 6)
    assert "aggressor_side" not in trade and "self_match" not in trade
    assert after == events[1]
    unknown = run({"op": "auction.indicative", "p": {"symbol": "nope"}})[0]
    assert (unknown["ev"], unknown["code"]) == ("error", "UNKNOWN_SYMBOL")


def test_money_and_switches_are_told_with_whom_they_mean_and_who_pulled_them() -> None:
    by = {"by": "OPS", "why": "margin call"}
    events = run(
        {"op": "account.define", "p": {"account": "A3", "member": "M3", "owner": "B3", "ccy": "VND"}},
        act("fixing.set", date="2026-11-23", ccy="USD", per="VND", rate="25400"),
        act("margin.set", symbol=SYMBOL, ccy="VND", per_lot=20_000_000),
        act("fee.set", symbol=SYMBOL, ccy="VND", basis="lot", taker=5, maker=-1, auction=0),
        act("cap.set", commodity=SYMBOL, owner="B3", lots=20),
        act("collateral.set", account="A3", amount=200_000_000),
        place("a", "A3", qty=10),
        place("b", "A3", qty=9),
        act("kill.set", member="M3", on=1, **by),
        act("kill.set", account="A3", on=1),
    )
    told = [{key: value for key, value in event.items() if key not in ("seq", "i", "ts", "symbol")} for event in events]
    assert told[1:6] == [
        {"ev": "fixing.set", "ccy": "USD", "per": "VND", "rate": "25400", "date": "2026-11-23"},
        {"ev": "margin.set", "ccy": "VND", "per_lot": 20_000_000},
        {"ev": "fees.set", "ccy": "VND", "basis": "lot", "taker": 5, "maker": -1, "auction": 0},
        {"ev": "cap.set", "commodity": SYMBOL, "owner": "B3", "lots": 20},
        {"ev": "collateral.set", "account": "A3", "balance": 200_000_000},
    ]
    # Ten lots hold 200,000,050 dong with their worst fee; nine are within the 5 % of the law.
    assert short(events[6:8], "ev", "code", "rule") == [
        ("order.rejected", "MARGIN", "R74"), ("order.accepted", None, None),
    ]  # fmt: skip
    assert told[8] == {"ev": "kill.set", "scope": "member", "member": "M3", "on": True, **by}
    assert (told[9]["ev"], told[9]["reason"]) == ("order.canceled", "kill_switch")
    assert told[10] == {"ev": "kill.set", "account": "A3", "scope": "account", "on": True}


def test_an_auction_between_orders_of_one_owner_says_so() -> None:
    opening = [*OPENING[:3], act("phase.set", symbol=SYMBOL, phase="pre_open")]
    lines = [place("a"), place("b", side="sell"), act("phase.set", symbol=SYMBOL, phase="opening_auction")]
    trade = run(*opening, *lines, opening=False)[-1]
    assert (trade["ev"], trade["self_match"]) == ("trade", True)


def test_a_session_that_ends_at_its_last_match_names_it() -> None:
    events = run(
        place("a"),
        place("b", "A2", "sell"),
        act("phase.set", symbol=SYMBOL, phase="settlement", at_last_match=1, override=1),
    )
    assert short(events[-1:], "phase", "override", "last_trade_id", "last_price") == [("settlement", True, 1, "3.005")]


def test_a_group_is_set_as_one() -> None:
    other = act("instrument.define", **{"symbol": "X", **TERMS, "group": "G"})
    events = run(other, act("phase.set", group="G", phase="pre_open"), act("phase.set", group="H", phase="pre_open"))
    assert short(events, "ev", "symbol", "code") == [
        ("instrument.defined", "X", None),
        ("phase.changed", "X", None),
        ("act.rejected", None, "UNKNOWN_INSTRUMENT"),
    ]


def test_orders_of_a_session_are_canceled_and_those_of_a_date_expire() -> None:
    dated = place("d", ts=100)
    dated["p"] |= {"time_in_force": "gtd", "expire_time": 200}
    events = run(
        dated,
        place("a", client_session=7),
        {"op": "order.mass_cancel", "account": "A1", "client_session": 7, "p": {"session": True}},
        {"op": "clock.tick", "ts": 200},
    )
    assert short(events[2:], "ev", "order_id", "reason", "count") == [
        ("order.canceled", 6, "mass_cancel", None),
        ("order.mass_canceled", None, None, 1),
        ("order.expired", 5, None, None),
        ("clock.ticked", None, None, None),
    ]


def test_restored_icebergs_and_stops_are_told_as_they_are() -> None:
    restore = {**place("i")["p"], "time_in_force": "gtc", "order_id": 2, "leaves_qty": 7, "display_qty": 5}
    stop = {**place("s")["p"], "time_in_force": "gtd", "order_id": 3, "leaves_qty": 10, "expire_time": 10**15}
    events = run(
        act("day.open", trading_day="2026-11-24", next_trade_id=50),
        *OPENING[:3],
        {"op": "order.restore", "account": "A1", "p": {**restore, "shown_qty": 3}},
        {"op": "order.restore", "account": "A1", "p": {**stop, "ord_type": "stop_limit", "stop_price": "3.010"}},
        opening=False,
    )
    assert short(events[-2:], "ev", "leaves_qty", "display_qty", "stop_price", "inactive") == [
        ("order.restored", 7, 5, None, None),
        ("order.restored", 10, None, "3.010", True),
    ]


def test_every_request_word_of_the_schema_is_understood() -> None:
    bodies: dict[str, Any] = {
        "order.place": place("a")["p"],
        "order.cancel": {"cl_ord_id": "a"},
        "order.amend": {"cl_ord_id": "a", "order_qty": 3},
        "disconnect": {"client_session": 1},
        "order.restore": {**place("a")["p"], "order_id": 3, "leaves_qty": 4},
        "order.mass_cancel": {},
        "clock.tick": {},
        "day.start": {},
    }
    for op in OP_WORDS:
        events = run({"op": op, "account": "A1", "p": bodies.get(op, {"x": 1})})
        assert events and all(event["ev"] != "error" for event in events), op
