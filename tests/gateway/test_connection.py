"""One client's dialogue: logon, answers, private events, and every way of asking wrongly."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.schema import CommandKind
from gateway.connection import CLOSE_LOGON, CLOSE_SLOW, MAX_FRAME_OUT, Connection, State
from gateway.desk import MAX_IN_FLIGHT
from tests.gateway.kit import OTHER, SYMBOL, Floor, order, said


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path)


def logon(token: str, **p: Any) -> str:
    return json.dumps({"op": "logon", "id": 5, "p": {"token": token, **p}})


def test_logon_tells_who_one_is(floor: Floor) -> None:
    connection = Connection(floor.desk)
    connection.receive(logon(floor.tokens["M1"]))
    (answer,) = said(connection)
    assert answer == {
        "ev": "logon",
        "id": 5,
        "ok": True,
        "member": "M1",
        "role": "trader",
        "accounts": ["A1", "A3"],
        "trading_day": "",
        "client_session": 1,
        "seq": floor.seq,
        "heartbeat_ms": 20_000,
        "sync": True,
    }


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"op":"ping","id":1}', "NOT_LOGGED_ON"),
        (logon("wrong"), "NOT_LOGGED_ON"),
        ("{", "BAD_JSON"),
        (None, "BINARY_FRAME"),
    ],
)
def test_anything_but_a_valid_logon_first_is_answered_and_closed(floor: Floor, frame: str | None, code: str) -> None:
    connection = Connection(floor.desk)
    if frame is None:
        connection.receive_binary()
    else:
        connection.receive(frame)
    assert [answer["code"] for answer in said(connection)] == [code]
    assert (connection.close_code, connection.state) == (CLOSE_LOGON, State.CLOSED)
    connection.receive(logon(floor.tokens["M1"]))
    connection.receive_binary()
    assert said(connection) == []


def test_no_logon_in_time_closes_and_a_logon_in_time_does_not(floor: Floor) -> None:
    late, good = Connection(floor.desk), floor.connect("M1")
    late.logon_timed_out()
    good.logon_timed_out()
    assert [answer["code"] for answer in said(late)] == ["NOT_LOGGED_ON"]
    assert (late.close_code, good.close_code) == (CLOSE_LOGON, 0)


def test_second_logon_is_refused_without_a_close(floor: Floor) -> None:
    connection = floor.connect("M2")
    connection.receive(logon(floor.tokens["M1"]))
    assert [answer["code"] for answer in said(connection)] == ["NOT_PERMITTED"]
    assert floor.ask(connection, "ping", 8) == [{"ev": "pong", "id": 8, "ok": True}]


def test_place_is_answered_first_and_then_reported(floor: Floor) -> None:
    connection = floor.connect("M2")
    answer, report = floor.ask(connection, "order.place", 31, **order("b-1"))
    assert (answer["id"], answer["ok"], answer["ev"], answer["status"]) == (31, True, "order.accepted", "new")
    assert (report["ev"], report["exec"], report["exec_id"]) == ("exec", "accepted", f"{answer['seq']}.0")


def test_refusal_is_for_its_sender_alone(floor: Floor) -> None:
    one, two = floor.connect("M2"), floor.connect("M2")
    (answer,) = floor.ask(one, "order.place", 3, **order("b-1", price="9.500"))
    assert (answer["ok"], answer["ev"], answer["code"], answer["rule"]) == (
        False,
        "order.rejected",
        "PRICE_BAND",
        "R12",
    )
    assert answer["fate"] == "not_done" and answer["text"]
    assert said(two) == []


def test_all_connections_of_an_account_hear_of_it_and_no_others(floor: Floor) -> None:
    one, same, stranger = floor.connect("M1"), floor.connect("M1"), floor.connect("M2")
    floor.ask(one, "order.place", account="A1", **order("a-1"))
    assert [report["exec"] for report in said(same)] == ["accepted"]
    assert said(stranger) == []
    floor.ask(stranger, "order.place", **order("b-1", "sell"))
    assert [(report["exec"], report["aggressor"]) for report in said(one)] == [("trade", False)]


def test_repeated_client_id_is_answered_with_the_original(floor: Floor) -> None:
    connection = floor.connect("M2")
    first, _ = floor.ask(connection, "order.place", 1, **order("b-1"))
    (again,) = floor.ask(connection, "order.place", 2, **order("b-1", price="3.500", qty=77))
    assert (again["id"], again["ok"], again["ev"], again["dup"]) == (2, True, "order.status", True)
    assert (again["order_id"], again["status"], again["order_qty"]) == (first["order_id"], "new", 10)


def test_account_is_that_of_the_key(floor: Floor) -> None:
    several, one = floor.connect("M1"), floor.connect("M2")
    assert floor.ask(several, "order.place", **order("a-1"))[0]["code"] == "MISSING_FIELD"
    assert floor.ask(one, "order.place", account="A1", **order("a-1"))[0]["code"] == "UNKNOWN_ACCOUNT"
    assert floor.ask(several, "order.place", account="A3", **order("a-1"))[0]["account"] == "A3"


@pytest.mark.parametrize("member", ["OPS", "AUD"])
@pytest.mark.parametrize("op", ["order.place", "order.mass_cancel", "order.mass_status"])
def test_only_traders_have_orders(floor: Floor, member: str, op: str) -> None:
    connection = floor.connect(member)
    (answer,) = floor.ask(connection, op, **(order("x") if op == "order.place" else {}))
    assert answer["code"] == "NOT_PERMITTED" and connection.close_code == 0


def test_status_answers_from_what_is_durable(floor: Floor) -> None:
    connection = floor.connect("M2")
    placed, _ = floor.ask(connection, "order.place", **order("b-1"))
    (state,) = floor.ask(connection, "order.status", 4, cl_ord_id="b-1")
    assert (state["ok"], state["ev"], state["status"], state["price"]) == (True, "order.status", "new", "3.005")
    assert floor.ask(connection, "order.status", 5, order_id=placed["order_id"])[0]["cl_ord_id"] == "b-1"
    (unknown,) = floor.ask(connection, "order.status", 6, cl_ord_id="b-9")
    assert (unknown["ok"], unknown["code"], unknown["rule"]) == (False, "UNKNOWN_ORDER", "R7")
    connection.receive(json.dumps({"op": "order.place", "id": 7, "p": order("b-2")}))
    connection.receive(json.dumps({"op": "order.status", "id": 8, "p": {"cl_ord_id": "b-2"}}))
    assert [(answer["id"], answer["ok"]) for answer in said(connection)] == [(8, False)]


def test_mass_status_lists_the_live_orders(floor: Floor) -> None:
    connection = floor.connect("M2")
    for name in ("b-1", "b-2", "b-3"):
        floor.ask(connection, "order.place", **order(name))
    floor.ask(connection, "order.cancel", cl_ord_id="b-2")
    (answer,) = floor.ask(connection, "order.mass_status", 9)
    assert [one["cl_ord_id"] for one in answer["orders"]] == ["b-1", "b-3"] and answer["ok"]


def test_mass_cancel_is_answered_with_its_count(floor: Floor) -> None:
    connection = floor.connect("M2")
    floor.ask(connection, "order.place", **order("b-1"))
    floor.ask(connection, "order.place", **order("b-2", symbol=OTHER))
    said_then = floor.ask(connection, "order.mass_cancel", 9, symbol=SYMBOL)
    assert [(one["ev"], one.get("exec"), one.get("count")) for one in said_then] == [
        ("exec", "canceled", None),
        ("order.mass_canceled", None, 1),
    ]
    assert said_then[-1]["id"] == 9


def test_amend_of_an_order_still_on_its_way_has_the_right_tick(floor: Floor) -> None:
    connection = floor.connect("M2")
    connection.receive(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
    amend = {"op": "order.amend", "id": 2, "p": {"cl_ord_id": "b-1", "price": "3.500", "new_cl_ord_id": "b-2"}}
    connection.receive(json.dumps(amend))
    connection.receive(json.dumps({"op": "order.amend", "id": 3, "p": {"cl_ord_id": "b-2", "price": "3.600"}}))
    floor.turn()
    answers = [one for one in said(connection) if "id" in one]
    assert [(one["id"], one["ev"], one["price"]) for one in answers] == [
        (1, "order.accepted", "3.005"),
        (2, "order.amended", "3.500"),
        (3, "order.amended", "3.600"),
    ]


def test_amend_is_told_busy_when_two_new_orders_would_bear_the_id(floor: Floor) -> None:
    connection = floor.connect("M2")
    for number, symbol in enumerate((SYMBOL, OTHER)):
        connection.receive(json.dumps({"op": "order.place", "id": number, "p": order("b-1", symbol=symbol)}))
    connection.receive(json.dumps({"op": "order.amend", "id": 2, "p": {"cl_ord_id": "b-1", "price": "3.500"}}))
    assert [(one["id"], one["code"]) for one in said(connection)] == [(2, "BUSY")]
    floor.turn()
    connection.receive(json.dumps({"op": "order.amend", "id": 3, "p": {"cl_ord_id": "b-1", "price": "3.500"}}))
    floor.turn()
    assert said(connection)[-1]["price"] == "3.500"


def test_batches_are_one_frame_each_and_long_ones_are_split_between_events(floor: Floor) -> None:
    connection = floor.connect("M2", batch=True)
    connection.receive(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
    floor.turn()
    (frame,) = connection.take_frames()
    assert [one["ev"] for one in json.loads(frame)] == ["order.accepted", "exec"]
    for number in range(3_000):
        connection.put({"ev": "x", "number": number, "text": "y" * 500})
    frames = connection.take_frames()
    assert len(frames) == 2 and all(len(one) <= MAX_FRAME_OUT + 2 for one in frames)
    assert [one["number"] for frame in frames for one in json.loads(frame)] == list(range(3_000))


def test_too_many_in_flight_is_told_busy_and_costs_nothing(floor: Floor) -> None:
    connection = floor.connect("M2")
    for number in range(MAX_IN_FLIGHT + 1):
        connection.receive(json.dumps({"op": "order.cancel", "id": number, "p": {"cl_ord_id": "x"}}))
    assert [(one["id"], one["code"], one["fate"]) for one in said(connection)] == [(MAX_IN_FLIGHT, "BUSY", "not_done")]
    assert floor.turn() == MAX_IN_FLIGHT and connection.in_flight == 0


def test_orders_of_a_lost_client_go_only_if_it_had_asked_for_that(floor: Floor) -> None:
    keeps, leaves = floor.connect("M2"), floor.connect("M2", cancel_on_disconnect=True)
    watcher = floor.connect("M2")
    floor.ask(keeps, "order.place", **order("b-1"))
    floor.ask(leaves, "order.place", **order("b-2"))
    said(watcher)
    keeps.lost()
    leaves.lost()
    leaves.lost()
    assert floor.turn() == 1
    assert [(one["cl_ord_id"], one["reason"]) for one in said(watcher)] == [("b-2", "disconnect")]


def test_nothing_is_said_to_a_closed_client(floor: Floor) -> None:
    connection = floor.connect("M2")
    connection.receive(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
    connection.close(CLOSE_SLOW, "slow")
    connection.close(CLOSE_LOGON, "again")
    floor.turn()
    assert (said(connection), connection.close_code) == ([], CLOSE_SLOW)


def test_halted_instrument_refuses_orders_and_takes_cancels(floor: Floor) -> None:
    connection = floor.connect("M2")
    floor.ask(connection, "order.place", **order("b-1"))
    floor.act(CommandKind.PHASE_SET, {"symbol": SYMBOL, "phase": "halted"})
    assert floor.ask(connection, "order.place", **order("b-2"))[0]["code"] == "PHASE"
    assert floor.ask(connection, "order.cancel", cl_ord_id="b-1")[0]["ok"]
