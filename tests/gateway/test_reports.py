"""The owner's picture of an order, folded from events alone, is the matcher's own picture of it."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from engine.reference import Reference
from engine.schema import CommandKind, EventKind, OrdStatus, OrdType, Smp, word
from gateway.codec import Event, TwoSided, read_events
from gateway.directory import Directory
from gateway.reports import Order, Reports, answer_to_json, exec_to_json, is_plain, lone_messages, order_to_json
from gateway.requests import NameFields
from tests.flow import Flow
from tests.gateway.kit import Floor, order, said

SEEDS = range(40)


def live_orders(reports: Reports, directory: Directory) -> dict[int, tuple[Any, ...]]:
    accounts = range(1, len(directory.account_names))
    return {
        one.order_id: (
            directory.account(one.account), directory.symbol(one.instrument), one.side, one.price, one.order_qty,
            one.leaves_qty, one.cum_qty, one.cl_ord_id, word(OrdType(one.ord_type)),
            one.stop_price if one.inactive else 0, one.display_qty, one.expire_time, one.inactive,
        )
        for account in accounts
        for one in reports.live(account)
    }  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_live_orders_folded_from_events_are_the_matchers(seed: int) -> None:
    flow, matcher = Flow(seed), Reference()
    directory, reports = Directory(), Reports()
    for block in itertools.islice(itertools.chain([flow.prologue()], (flow.take(64) for _ in itertools.count())), 12):
        events = matcher.run_block(*block)
        flow.observe(events)
        directory.learn(*block, events)
        for event in read_events(events):
            own, other = reports.learn(event, block[0])
            for one in (own, other):
                if one is not None:
                    assert one.order_qty >= one.cum_qty and one.leaves_qty >= 0
                    exec_to_json(event, one, directory)
        sides = {"buy": 1, "sell": 2}
        assert live_orders(reports, directory) == {
            one["order_id"]: (
                one["account"], one["symbol"], sides[one["side"]], one["price"], one["order_qty"], one["leaves_qty"],
                one["cum_qty"], one["cl_ord_id"], one["ord_type"], one["stop_price"], one["display_qty"],
                one["expire_time"], bool(one["inactive"]),
            )
            for one in matcher.dump()["orders"]
        }  # fmt: skip
        ends = [one["expire_time"] for one in matcher.dump()["orders"] if one["expire_time"]]
        assert reports.next_expiry() == min(ends, default=None)


def story(tmp_path: Path) -> tuple[Floor, list[tuple[Any, Order, str]]]:
    """A floor where every kind of event has happened, with what each left of its orders."""
    floor = Floor(tmp_path)
    one, two = floor.connect("M1"), floor.connect("M2")
    floor.ask(one, "order.place", account="A1", **order("a-1", "buy", "3.010", 10))
    floor.ask(one, "order.amend", account="A1", cl_ord_id="a-1", order_qty=8, new_cl_ord_id="a-2")
    floor.ask(two, "order.place", **order("b-1", "sell", "3.005", 3))
    floor.ask(one, "order.place", account="A1", **order("a-3", "sell", "3.010", 2, smp="decrement"))
    floor.ask(one, "order.cancel", account="A1", cl_ord_id="a-1")
    floor.ask(two, "order.place", **order("b-2", "sell", "3.005", 3))
    reports, seen = Reports(), []
    for _, _, events in floor.blocks:
        for event in read_events(events):
            for one_order in reports.learn(event):
                if one_order is not None:
                    seen.append((event, one_order, json.dumps(exec_to_json(event, one_order, floor.desk.directory))))
    return floor, seen


def test_each_report_carries_the_state_after_its_event(tmp_path: Path) -> None:
    _, seen = story(tmp_path)
    told = [json.loads(text) for _, _, text in seen]
    short = [(one["exec"], one["cl_ord_id"], one["status"], one["leaves_qty"], one["cum_qty"]) for one in told]
    assert short == [
        ("accepted", "a-1", "new", 10, 0),
        ("amended", "a-2", "new", 8, 0),
        ("accepted", "b-1", "new", 3, 0),
        ("trade", "b-1", "filled", 0, 3),
        ("trade", "a-2", "partially_filled", 5, 3),
        ("accepted", "a-3", "new", 2, 0),
        ("prevented", "a-3", "new", 0, 0),
        ("prevented", "a-2", "partially_filled", 3, 3),
        ("canceled", "a-3", "canceled", 0, 0),
        ("canceled", "a-2", "canceled", 0, 3),
        ("accepted", "b-2", "new", 3, 0),
    ]
    trade = told[3]
    assert (trade["last_px"], trade["last_qty"], trade["trade_id"], trade["aggressor"]) == ("3.010", 3, 1, True)
    assert (told[4]["aggressor"], told[4]["exec_id"]) == (False, told[3]["exec_id"])
    assert told[9]["reason"] == "requested"


def test_an_ended_order_is_found_by_any_id_it_had(tmp_path: Path) -> None:
    floor, _ = story(tmp_path)
    reports = floor.desk.reports
    found = [reports.find(1, NameFields(cl_ord_id=name)) for name in ("a-1", "a-2")]
    assert found[0] is found[1] is not None and found[0].status == OrdStatus.CANCELED
    assert order_to_json(found[0], floor.desk.directory)["status"] == word(OrdStatus.CANCELED)
    assert reports.find(1, NameFields(order_id=found[0].order_id)) is found[0]


def test_nobody_finds_the_order_of_another_account(tmp_path: Path) -> None:
    floor, _ = story(tmp_path)
    reports = floor.desk.reports
    own = reports.find(2, NameFields(cl_ord_id="b-2"))
    assert own is not None
    assert reports.find(1, NameFields(order_id=own.order_id)) is None
    assert reports.find(1, NameFields(cl_ord_id="b-2")) is None
    assert reports.instrument(1, NameFields(order_id=own.order_id)) == 1  # the core will refuse it as NOT_OWNER


def test_a_new_day_forgets_the_old_one(tmp_path: Path) -> None:
    floor, seen = story(tmp_path)
    reports = floor.desk.reports
    opened = Event._make((*seen[0][0][:5], 23, *seen[0][0][6:]))
    reports.learn(opened)
    assert reports.live(1) == [] and reports.find(1, NameFields(cl_ord_id="a-1")) is None


def test_prevention_without_decrement_leaves_quantities(tmp_path: Path) -> None:
    floor, seen = story(tmp_path)
    prevented = next(event for event, _, _ in seen if isinstance(event, TwoSided) and event.smp == Smp.DECREMENT)
    two = floor.desk.reports.find(2, NameFields(cl_ord_id="b-2"))
    assert two is not None
    other = prevented._replace(smp=int(Smp.CANCEL_RESTING), order_id=two.order_id, resting_order_id=two.order_id)
    floor.desk.reports.learn(other)
    assert (two.leaves_qty, two.order_qty) == (3, 3)


def test_written_out_messages_are_those_of_the_general_way(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one = floor.connect("M2")
    kinds = []
    for p in (
        order("b-1", "sell", "8.995", 3),
        order("i-1", "sell", "8.995", 3, display_qty=3),
        order("b:1.-_", "buy", "1.000", 500, time_in_force="gtc", post_only=True),
        {key: value for key, value in order("m-1", ord_type="market").items() if key != "price"},
    ):
        floor.ask(one, "order.place", **p)
        directory, reports = floor.desk.directory, Reports()
        accepted = read_events(floor.blocks[-1][2])[0]
        events = [accepted]
        if floor.ask(one, "order.cancel", cl_ord_id=p["cl_ord_id"])[0]["ok"]:
            events += read_events(floor.blocks[-1][2])
        for event in events:
            own, _ = reports.learn(event)
            assert own is not None and isinstance(event, Event) and is_plain(event)
            answer, report = lone_messages(event, 77, directory)
            assert json.loads(answer) == answer_to_json(event, 77, directory)
            assert json.loads(report) == exec_to_json(event, own, directory)
        kinds.append([event.kind for event in events])
    assert kinds == [[EventKind.ORDER_ACCEPTED, EventKind.ORDER_CANCELED]] * 3 + [[EventKind.ORDER_ACCEPTED]]


def test_orders_with_more_to_tell_take_the_general_way(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one = floor.connect("M2")
    for p, told in (
        (order("s-1", ord_type="stop_limit", stop_price="3.100"), {"stop_price": "3.100", "inactive": True}),
        (order("i-1", display_qty=4), {"display_qty": 4}),
        (order("c-1", time_in_force="at_close"), {"inactive": True}),
        (order("g-1", time_in_force="gtd", expire_time=3_000_000_000_000_000), {}),
    ):
        answer, report = floor.ask(one, "order.place", **p)
        (event,) = read_events(floor.blocks[-1][2])
        assert not is_plain(event)
        assert answer.items() >= told.items() and report.items() >= told.items()
        assert (answer["status"], report["exec"], report["status"]) == ("new", "accepted", "new")
        (state,) = floor.ask(one, "order.status", cl_ord_id=p["cl_ord_id"])
        assert state.items() >= told.items() and state.get("expire_time") == p.get("expire_time")
        answer, report = floor.ask(one, "order.cancel", cl_ord_id=p["cl_ord_id"])
        assert (answer["status"], report["exec"], report["status"]) == ("canceled", "canceled", "canceled")
        assert answer.get("inactive") == told.get("inactive")
        (state,) = floor.ask(one, "order.status", cl_ord_id=p["cl_ord_id"])
        assert state["status"] == "canceled" and "inactive" not in state


def test_a_stop_is_followed_from_its_wait_to_its_end(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one, two = floor.connect("M1"), floor.connect("M2")
    market = {
        key: value for key, value in order("s-1", "sell", ord_type="stop", stop_price="3.000").items() if key != "price"
    }
    floor.ask(two, "order.place", **market)
    floor.ask(two, "order.amend", cl_ord_id="s-1", stop_price="3.005")
    (state,) = floor.ask(two, "order.status", cl_ord_id="s-1")
    assert (state["ord_type"], state["stop_price"], state["inactive"]) == ("stop", "3.005", True)
    assert "price" not in state
    floor.ask(one, "order.place", account="A1", **order("a-1", qty=12))
    heard = floor.ask(one, "order.place", account="A3", **order("a-3", "sell", qty=4, smp="none"))
    assert [event["exec"] for event in heard if event["ev"] == "exec"] == ["accepted", "trade", "trade", "trade"]
    told = [message for message in said(two) if message["ev"] == "exec"]
    short = [(one["exec"], one["ord_type"], one.get("stop_price"), one["leaves_qty"]) for one in told]
    assert short == [
        ("triggered", "market", "3.005", 10),
        ("trade", "market", None, 2),
        ("canceled", "market", None, 0),
    ]
    (state,) = floor.ask(two, "order.status", cl_ord_id="s-1")
    assert (state["ord_type"], state["status"], state["cum_qty"]) == ("market", "canceled", 8)


def test_an_iceberg_and_a_market_to_limit_order_are_followed(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one, two = floor.connect("M1"), floor.connect("M2")
    floor.ask(two, "order.place", **order("i-1", "sell", qty=6, display_qty=2))
    p = {key: value for key, value in order("m-1", ord_type="market_to_limit", qty=9).items() if key != "price"}
    floor.ask(one, "order.place", account="A1", **p)
    told = [(message["exec"], message.get("shown_qty"), message["leaves_qty"]) for message in said(two)]
    assert told == [
        ("trade", None, 4), ("refreshed", 2, 4), ("trade", None, 2), ("refreshed", 2, 2), ("trade", None, 0),
    ]  # fmt: skip
    (state,) = floor.ask(one, "order.status", account="A1", cl_ord_id="m-1")
    assert (state["ord_type"], state["price"], state["leaves_qty"]) == ("limit", "3.005", 3)


def test_trades_of_an_auction_have_no_aggressor(tmp_path: Path) -> None:
    floor = Floor(tmp_path, phase="pre_open")
    two = floor.connect("M2")
    floor.ask(two, "order.place", **order("b-1", qty=3))
    floor.ask(two, "order.place", **order("b-2", "sell", qty=3))
    floor.act(CommandKind.PHASE_SET, {"symbol": "ALL", "phase": "opening_auction"})
    trades = said(two)
    assert [(one["side"], one["auction"], one["self_match"], one["status"]) for one in trades] == [
        ("buy", True, True, "filled"),
        ("sell", True, True, "filled"),
    ]
    assert not any("aggressor" in one for one in trades)
