"""A ticket turns the events of its row into one answer, an act's into one list."""

import json
from pathlib import Path
from typing import Any

from engine.schema import CommandKind
from gateway.codec import act_payload
from gateway.tickets import Act
from tests.gateway.kit import OTHER, SYMBOL, Floor, order, said


def test_answer_is_the_first_event_however_many_there_are(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one, two = floor.connect("M1"), floor.connect("M2")
    for number in range(5):
        floor.ask(one, "order.place", number, account="A1", **order(f"a-{number}", "sell", qty=1))
    heard = floor.ask(two, "order.place", 9, **order("b-1", qty=5))
    assert [message["ev"] for message in heard if "id" in message] == ["order.accepted"]
    assert [message["exec"] for message in heard if "exec" in message] == ["accepted"] + ["trade"] * 5
    assert one.in_flight == two.in_flight == 0


def test_answer_to_a_mass_cancel_is_its_last_event(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one = floor.connect("M2")
    floor.ask(one, "order.place", **order("b-1"))
    heard = floor.ask(one, "order.mass_cancel", 9)
    assert [(message.get("id"), message["ev"]) for message in heard] == [(None, "exec"), (9, "order.mass_canceled")]
    (refused,) = floor.ask(one, "order.mass_cancel", 10, symbol="nope")
    assert (refused["id"], refused["code"]) == (10, "UNKNOWN_INSTRUMENT")


def test_act_is_done_once_with_all_its_events(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    done: list[list[dict[str, Any]]] = []
    payload = act_payload({"symbol": "ALL", "phase": "halted"})
    floor.desk.submit_act(Act(CommandKind.PHASE_SET, payload, 1, done.append))
    assert done == []
    floor.turn()
    assert [[event["symbol"] for event in events] for events in done] == [[SYMBOL, OTHER]]


def test_answer_for_a_client_that_has_gone_is_dropped(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one, same = floor.connect("M2"), floor.connect("M2")
    one.receive(json.dumps({"op": "order.place", "id": 1, "p": order("b-1")}))
    one.lost()
    floor.turn()
    assert said(one) == [] and one.in_flight == 0
    assert [message["exec"] for message in said(same)] == ["accepted"]
