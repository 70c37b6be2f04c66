"""The counter: fair turns, bounded waiting, and the same picture after a restart."""

import json
from pathlib import Path

import pytest

from engine.schema import CommandKind
from gateway import desk as desk_module
from gateway.accounts import KeyRing, disable_key
from gateway.codec import BadRequest
from gateway.connection import CLOSE_LOGON, CLOSE_RESTART, Connection
from gateway.desk import Desk
from gateway.tickets import Act
from tests.gateway.kit import Floor, order, said


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path)


def send(connection: Connection, request_id: int, name: str, account: str | None = None) -> None:
    frame = {"op": "order.place", "id": request_id, "p": order(name)}
    connection.receive(json.dumps(frame if account is None else {**frame, "account": account}))


def test_turns_go_round_by_member(floor: Floor) -> None:
    many, few = floor.connect("M1"), floor.connect("M2")
    for number in range(6):
        send(many, number, f"a-{number}", "A1")
    send(few, 0, "b-0")
    send(few, 1, "b-1")
    rows, _, _, _ = floor.take(5)
    assert [name.decode() for name in rows["cl_ord_id"]] == ["a-0", "b-0", "a-1", "b-1", "a-2"]
    rows, _, _, _ = floor.take(5)
    assert [name.decode() for name in rows["cl_ord_id"]] == ["a-3", "a-4", "a-5"]


def test_next_turn_begins_behind_the_member_that_began_the_last(floor: Floor) -> None:
    one, two = floor.connect("M1"), floor.connect("M2")
    for number in range(3):
        send(one, number, f"a-{number}", "A1")
        send(two, number, f"b-{number}")
    first, _, _, _ = floor.take(1)
    second, _, _, _ = floor.take(1)
    assert [first["cl_ord_id"][0], second["cl_ord_id"][0]] == [b"a-0", b"b-0"]


def test_rows_of_one_member_keep_their_order_over_its_connections(floor: Floor) -> None:
    one, two = floor.connect("M1"), floor.connect("M1")
    send(one, 0, "a-0", "A1")
    send(two, 0, "a-1", "A1")
    send(one, 1, "a-2", "A1")
    rows, _, _, _ = floor.take()
    assert [name.decode() for name in rows["cl_ord_id"]] == ["a-0", "a-1", "a-2"]


def test_rows_coming_to_an_empty_inbox_wake_the_venue_once(floor: Floor) -> None:
    connection, before = floor.connect("M2"), floor.woken
    send(connection, 1, "b-1")
    send(connection, 2, "b-2")
    assert floor.woken == before + 1


def test_full_inbox_is_told_busy_and_empties(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_WAITING", 2)
    connection = floor.connect("M2")
    for number in range(3):
        send(connection, number, f"b-{number}")
    assert [(one["id"], one["code"]) for one in said(connection)] == [(2, "BUSY")]
    assert floor.turn() == 2
    send(connection, 3, "b-3")
    assert floor.turn() == 1


def test_stopping_venue_takes_nothing_more_and_closes_with_1012(floor: Floor) -> None:
    connection = floor.connect("M2")
    floor.desk.stopping = True
    send(connection, 1, "b-1")
    assert [one["code"] for one in said(connection)] == ["BUSY"]
    with pytest.raises(BadRequest, match="BUSY"):
        floor.desk.submit_act(Act(CommandKind.DAY_START, b"{}", 0, lambda events: None))
    floor.desk.close_all()
    assert connection.close_code == CLOSE_RESTART


def test_act_that_is_too_long_is_refused(floor: Floor) -> None:
    with pytest.raises(BadRequest, match="too long"):
        floor.desk.submit_act(Act(CommandKind.PHASE_SET, b"x" * 70_000, 0, lambda events: None))


def test_disabled_key_closes_its_connections_and_no_others(floor: Floor) -> None:
    gone, stays = floor.connect("M1"), floor.connect("M2")
    floor.desk.refresh_keys()
    assert gone.close_code == 0
    disable_key(floor.data, floor.keys["M1"].number)
    floor.desk.refresh_keys()
    assert (gone.close_code, stays.close_code) == (CLOSE_LOGON, 0)


def test_restarted_desk_knows_the_same_orders_and_gives_new_client_sessions(floor: Floor) -> None:
    connection = floor.connect("M2")
    answer, _ = floor.ask(connection, "order.place", **order("b-1"))
    floor.ask(connection, "order.place", **order("b-2", "sell"))
    again = Desk(KeyRing(floor.data))
    for commands, payload, events in floor.blocks:
        again.on_block(commands, payload, events)
    floor.desk = again
    back = floor.connect("M2")
    assert back.client_session > connection.client_session
    (state,) = floor.ask(back, "order.status", cl_ord_id="b-1")
    assert (state["order_id"], state["seq"]) == (answer["order_id"], floor.seq)


def test_several_members_commands_in_one_block_are_answered_each(floor: Floor) -> None:
    one, two = floor.connect("M1"), floor.connect("M2")
    send(one, 41, "a-1", "A1")
    send(two, 42, "b-1")
    floor.turn()
    assert [message["id"] for message in said(one) + said(two) if "id" in message] == [41, 42]
    assert floor.desk.count_active() == 2
    one.lost()
    assert floor.desk.count_active() == 1
