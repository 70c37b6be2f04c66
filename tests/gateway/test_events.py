"""Events are told in exactly the words of the design."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.schema import EVENT, EventKind
from gateway.directory import Directory
from gateway.events import event_to_json, read_event, read_events
from tests.gateway.kit import SYMBOL, Floor, order


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Floor(tmp_path).desk.directory


def test_every_event_kind_has_its_words(directory: Directory) -> None:
    for kind in EventKind:
        rows = np.zeros(1, EVENT)
        rows["kind"], rows["instrument"], rows["account"], rows["seq"] = kind, 1, 1, 5
        rows["side"], rows["ord_type"], rows["time_in_force"], rows["phase"], rows["qty"] = 1, 1, 1, 1, 20261124
        rows["reason"], rows["code"] = 1, 12
        told = event_to_json(rows[0], directory)
        assert (told["seq"], told["i"], told["account"], told["symbol"]) == (5, 0, "A1", SYMBOL)
        assert event_to_json(rows[0].tobytes(), directory) == event_to_json(read_event(rows[0]), directory) == told
        json.dumps(told)


def test_trade_names_both_sides(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one, two = floor.connect("M1"), floor.connect("M2")
    floor.ask(one, "order.place", account="A1", **order("a-1", "buy", "3.010", 10))
    floor.ask(two, "order.place", **order("b-1", "sell", "3.005", 4))
    _, trade = (event_to_json(event, floor.desk.directory) for event in read_events(floor.blocks[-1][2]))
    assert trade == {
        "ev": "trade",
        "seq": 8,
        "i": 1,
        "account": "A2",
        "symbol": SYMBOL,
        "trade_id": 1,
        "price": "3.010",
        "qty": 4,
        "aggressor_side": "sell",
        "resting_order_id": 7,
        "incoming_order_id": 8,
        "resting_account": "A1",
        "leaves_qty": 0,
        "resting_leaves_qty": 6,
        "cum_qty": 4,
        "ts": trade["ts"],
    }


def test_refusal_carries_code_rule_and_text(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    one = floor.connect("M2")
    floor.ask(one, "order.place", **order("b-1", "sell", "9.005", 4))
    told = event_to_json(floor.blocks[-1][2][0], floor.desk.directory)
    assert (told["ev"], told["code"], told["rule"], told["price"]) == ("order.rejected", "PRICE_BAND", "R12", "9.005")
    assert told["text"]
    floor.ask(one, "order.place", **order("b-1", "sell", "3.001", 4))
    told = event_to_json(floor.blocks[-1][2][0], floor.desk.directory)
    assert told["code"] == "TICK_SIZE" and "price" not in told
