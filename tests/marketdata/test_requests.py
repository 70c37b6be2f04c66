"""Requests, read strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.requests import ERROR_TEXT, REQUEST_DEPTH_MAX, REQUEST_SYMBOLS_MAX, Request, RequestError, parse_request


def request(op: str = "subscribe", id: Any = 1, **p: Any) -> str:
    return json.dumps({"op": op, "id": id, "p": {"channels": ["book"], "symbols": ["W1"], **p}})


def test_well_formed_requests_are_read() -> None:
    assert parse_request(request()) == Request("subscribe", 1, ("book",), ("W1",), 0)
    assert parse_request(request(depth=50)) == Request("subscribe", 1, ("book",), ("W1",), 50)
    assert parse_request(request("unsubscribe", 2**53 - 1)).op == "unsubscribe"
    assert parse_request(request(symbols=["*"])).symbols == ("*",)
    assert parse_request(' {"op":"ping","id":0}\n') == Request("ping", 0)
    assert parse_request('{"op":"ping","id":0,"p":{}}') == Request("ping", 0)


def test_repeats_count_once_and_keep_their_order() -> None:
    read = parse_request(request(channels=["trades", "book", "trades"], symbols=["W2", "W1", "W2"]))
    assert (read.channels, read.symbols) == (("trades", "book"), ("W2", "W1"))


MALFORMED = [
    ("", "BAD_JSON", None),
    ("{", "BAD_JSON", None),
    ("subscribe", "BAD_JSON", None),
    ('{"op":"ping","id":1}}', "BAD_JSON", None),
    ('{"op":"ping","id":1}{"op":"ping","id":2}', "BAD_JSON", None),
    ('{"op":"ping","id":NaN}', "BAD_JSON", None),
    ('{"op":"ping","id":Infinity}', "BAD_JSON", None),
    ("{'op':'ping','id':1}", "BAD_JSON", None),
    ('{"op":"ping","id":' + "9" * 5000 + "}", "BAD_JSON", None),
    ('\ufeff{"op":"ping","id":1}', "BAD_JSON", None),
    ('{"op":"pi\nng","id":1}', "BAD_JSON", None),
    ("[]", "NOT_OBJECT", None),
    ('"ping"', "NOT_OBJECT", None),
    ("1", "NOT_OBJECT", None),
    ("null", "NOT_OBJECT", None),
    ('{"op":"ping","id":1,"id":1}', "DUPLICATE_KEY", None),
    ('{"op":"ping","id":1,"p":{"a":1,"\\u0061":2}}', "DUPLICATE_KEY", None),
    ("[" * 9 + "]" * 9, "TOO_DEEP", None),
    ("[" * 60_000, "TOO_DEEP", None),
    ('{"a":' * 30_000, "TOO_DEEP", None),
    ('{"op":"ping"}', "MISSING_FIELD", None),
    ('{"id":1}', "MISSING_FIELD", 1),
    ('{"op":"ping","id":1,"x":1}', "UNKNOWN_FIELD", 1),
    ('{"op":"ping","id":1,"account":"A1"}', "UNKNOWN_FIELD", 1),
    ('{"op":"ping","id":-1}', "BAD_VALUE", None),
    ('{"op":"ping","id":9007199254740992}', "BAD_VALUE", None),
    ('{"op":"ping","id":1.0}', "BAD_VALUE", None),
    ('{"op":"ping","id":1e2}', "BAD_VALUE", None),
    ('{"op":"ping","id":"1"}', "BAD_VALUE", None),
    ('{"op":"ping","id":true}', "BAD_VALUE", None),
    ('{"op":"ping","id":null}', "BAD_VALUE", None),
    ('{"op":"order.place","id":1}', "UNKNOWN_OP", 1),
    ('{"op":1,"id":1}', "UNKNOWN_OP", 1),
    ('{"op":["ping"],"id":1}', "UNKNOWN_OP", 1),
    ('{"op":"ping","id":1,"p":[]}', "BAD_VALUE", 1),
    ('{"op":"ping","id":1,"p":null}', "BAD_VALUE", 1),
    ('{"op":"ping","id":1,"p":{"x":1}}', "UNKNOWN_FIELD", 1),
    ('{"op":"subscribe","id":1}', "MISSING_FIELD", 1),
    ('{"op":"subscribe","id":1,"p":{"channels":["book"]}}', "MISSING_FIELD", 1),
    ('{"op":"subscribe","id":1,"p":{"symbols":["W1"]}}', "MISSING_FIELD", 1),
    (request(speed=1), "UNKNOWN_FIELD", 1),
    (request("unsubscribe", depth=10), "UNKNOWN_FIELD", 1),
    (request(channels=[]), "BAD_VALUE", 1),
    (request(channels="book"), "BAD_VALUE", 1),
    (request(channels={"book": 1}), "BAD_VALUE", 1),
    (request(channels=[1]), "BAD_VALUE", 1),
    (request(channels=[["book"]]), "BAD_VALUE", 1),
    (request(channels=["book"] * 5), "BAD_VALUE", 1),
    (request(channels=["l3"]), "UNKNOWN_CHANNEL", 1),
    (request(channels=["*"]), "UNKNOWN_CHANNEL", 1),
    (request(channels=["hb"]), "UNKNOWN_CHANNEL", 1),
    (request(symbols=[]), "BAD_VALUE", 1),
    (request(symbols=[None]), "BAD_VALUE", 1),
    (request(symbols=["*", "W1"]), "BAD_VALUE", 1),
    (request(symbols=["W 1"]), "BAD_VALUE", 1),
    (request(symbols=["W1\n"]), "BAD_VALUE", 1),
    (request(symbols=["\ud800"]), "BAD_VALUE", 1),
    (request(symbols=["W" * 33]), "BAD_VALUE", 1),
    (request(symbols=[f"W{i}" for i in range(REQUEST_SYMBOLS_MAX + 1)]), "BAD_VALUE", 1),
    (request(depth=5), "BAD_VALUE", 1),
    (request(depth=-10), "BAD_VALUE", 1),
    (request(depth=10.0), "BAD_VALUE", 1),
    (request(depth="10"), "BAD_VALUE", 1),
    (request(depth=False), "BAD_VALUE", 1),
    (request(channels=["trades"], depth=10), "BAD_VALUE", 1),
]


@pytest.mark.parametrize(("text", "code", "request_id"), MALFORMED, ids=lambda value: str(value)[:40])
def test_malformed_requests_are_refused_with_their_code(text: str, code: str, request_id: int | None) -> None:
    with pytest.raises(RequestError) as refusal:
        parse_request(text)
    assert (refusal.value.code, refusal.value.request_id) == (code, request_id)
    assert refusal.value.text.startswith(ERROR_TEXT[code])


def test_depth_is_counted_outside_strings_only() -> None:
    brackets = "[{" * REQUEST_DEPTH_MAX
    with pytest.raises(RequestError, match="BAD_VALUE"):
        parse_request(request(symbols=[brackets + '\\"']))
    with pytest.raises(RequestError, match="BAD_VALUE"):
        parse_request('{"op":"subscribe","id":1,"p":{"channels":[[[[[["book"]]]]]],"symbols":["W1"]}}')
    with pytest.raises(RequestError, match="TOO_DEEP"):
        parse_request('{"op":"subscribe","id":1,"p":{"channels":[[[[[[["book"]]]]]]],"symbols":["W1"]}}')


def test_every_code_but_those_of_the_publisher_is_reached() -> None:
    assert set(ERROR_TEXT) - {code for _, code, _ in MALFORMED} == {"UNKNOWN_SYMBOL", "BINARY_FRAME", "BUSY"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["book", "W1", "*"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["op", "id", "p", "channels", "symbols", "depth", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.text(max_size=60) | JSON.map(json.dumps) | JSON.map(lambda p: json.dumps({"op": "subscribe", "id": 1, "p": p}))
)
def test_any_text_is_read_or_refused_with_a_known_code(text: str) -> None:
    try:
        read = parse_request(text)
    except RequestError as refusal:
        assert refusal.code in ERROR_TEXT
        assert refusal.text.isascii() and len(refusal.text) < 120, "nothing of the frame is echoed"
    else:
        assert parse_request(text) == read and read.op in ("subscribe", "unsubscribe", "ping")
