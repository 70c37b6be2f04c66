"""`cashew match`: the vocabulary that others script on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cashew.run import cashew

REQUESTS = b"""\
{"op":"account.define","p":{"account":"A1","member":"M1","owner":"B1"}}
{"op":"account.define","p":{"account":"A2","member":"M2","owner":"B2"}}
{"op":"instrument.define","p":{"symbol":"W320F2703","ccy":"USD","unit":"lb","contract_size":3500,"tick":"0.005",\
"min_price":"1.000","max_price":"9.000","max_order_qty":500}}
{"op":"phase.set","p":{"symbol":"W320F2703","phase":"continuous"}}
{"op":"order.place","id":1,"account":"A1","ts":1764208800000000,"p":{"symbol":"W320F2703","side":"buy",\
"ord_type":"limit","price":"3.005","order_qty":10,"time_in_force":"day","cl_ord_id":"a-1"}}
{"op":"order.amend","id":2,"account":"A1","p":{"cl_ord_id":"a-1","new_cl_ord_id":"a-2","price":"3.010","order_qty":12}}
{"op":"order.place","id":4,"account":"A2","p":{"symbol":"W320F2703","side":"sell","price":"3.000","order_qty":4,\
"time_in_force":"ioc","cl_ord_id":"b-1"}}
{"op":"order.place","id":5,"account":"A2","p":{"symbol":"W320F2703","side":"sell","price":"9.005","order_qty":4,\
"cl_ord_id":"b-2"}}
{"op":"book.get","p":{"symbol":"W320F2703","orders":true}}
{"op":"order.cancel","id":3,"account":"A1","p":{"cl_ord_id":"a-2"}}
"""

# What each event says at least, in order.
EVENTS = [
    {"ev": "account.defined", "seq": 1, "i": 0, "account": "A1"},
    {"ev": "account.defined", "seq": 2, "i": 0, "account": "A2"},
    {"ev": "instrument.defined", "seq": 3, "i": 0, "symbol": "W320F2703"},
    {"ev": "phase.changed", "seq": 4, "i": 0, "symbol": "W320F2703", "phase": "continuous"},
    {"ev": "order.accepted", "seq": 5, "i": 0, "account": "A1", "symbol": "W320F2703", "order_id": 5,
     "cl_ord_id": "a-1", "leaves_qty": 10, "ts": 1764208800000000},
    {"ev": "order.amended", "seq": 6, "i": 0, "order_id": 5, "cl_ord_id": "a-2", "price": "3.010", "order_qty": 12},
    {"ev": "order.accepted", "seq": 7, "i": 0, "account": "A2", "order_id": 7, "ts": 1764208800000002},
    {"ev": "trade", "seq": 7, "i": 1, "trade_id": 1, "symbol": "W320F2703", "price": "3.010", "qty": 4,
     "aggressor_side": "sell", "resting_order_id": 5, "incoming_order_id": 7},
    {"ev": "order.rejected", "seq": 8, "i": 0, "code": "PRICE_BAND", "rule": "R12"},
    {"ev": "book", "symbol": "W320F2703", "asks": [],
     "bids": [{"price": "3.010", "qty": 8, "orders": [{"order_id": 5, "leaves_qty": 8}]}]},
    {"ev": "order.canceled", "seq": 9, "i": 0, "order_id": 5, "reason": "requested", "canceled_qty": 8},
]  # fmt: skip


@pytest.mark.parametrize("reference", [True, False], ids=["reference", "compiled"])
def test_requests_give_the_documented_events(reference: bool, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_bytes(REQUESTS)
    ran = cashew("match", str(file), *(["--reference"] if reference else []))
    assert (ran.code, ran.err) == (0, "")
    assert [{name: got.get(name) for name in want} for got, want in zip(ran.lines, EVENTS, strict=True)] == EVENTS


def test_both_matchers_give_the_same_bytes() -> None:
    compiled, readable = cashew("match", "-", stdin=REQUESTS), cashew("match", "--reference", "-", stdin=REQUESTS)
    assert compiled.out == readable.out != ""


CALL = b"""\
{"op":"phase.set","p":{"symbol":"ALL","phase":"halted"}}
{"op":"phase.set","p":{"symbol":"ALL","phase":"pre_open"}}
{"op":"order.place","account":"A1","p":{"symbol":"W320F2703","side":"buy","price":"3.010","order_qty":10,\
"display_qty":3,"cl_ord_id":"c-1"}}
{"op":"order.place","account":"A2","p":{"symbol":"W320F2703","side":"sell","ord_type":"market_to_limit",\
"order_qty":4,"cl_ord_id":"c-2"}}
{"op":"auction.indicative","id":7,"p":{"symbol":"W320F2703"}}
{"op":"auction.uncross","p":{"symbol":"W320F2703"}}
{"op":"auction.indicative","p":{"symbol":"W320F2703"}}
"""


def test_both_matchers_tell_a_call_with_the_same_bytes() -> None:
    lines = REQUESTS + CALL
    compiled, readable = cashew("match", "-", stdin=lines), cashew("match", "--reference", "-", stdin=lines)
    told = [(line["ev"], line.get("price"), line["qty"]) for line in readable.lines if line["ev"].startswith("auction")]
    assert told == [
        ("auction.indicative", "3.010", 4),
        ("auction.indicative", "3.010", 4),
        ("auction.uncrossed", "3.010", 4),
        ("auction.indicative", None, 0),
    ]
    assert compiled.out == readable.out


def test_bad_line_is_an_error_and_the_next_one_is_read() -> None:
    lines = REQUESTS.splitlines()
    ran = cashew("match", "--reference", "-", stdin=b"\n".join([lines[0], b"nonsense", b"", lines[1]]))
    assert ran.code == 1
    assert [line["ev"] for line in ran.lines] == ["account.defined", "error", "account.defined"]
    assert (ran.lines[1]["line"], ran.lines[1]["code"]) == (2, "BAD_JSON")


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    ran = cashew("match", str(tmp_path / "none.jsonl"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("cashew: cannot read ")
