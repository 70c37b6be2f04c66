"""Reading a frame: what is well formed is read, and everything else gets the code that says what is wrong."""

import json
import time
from typing import Any

import pytest

from gateway.requests import BadRequest, MassStatus, OrderPlace, decode, decode_body, decode_offline
from tests.gateway.test_malformed import KINDS, SEEN_LATER, frames_of

PLACE = {
    "op": "order.place", "id": 7, "account": "A1",
    "p": {"symbol": "S", "side": "buy", "price": "3.005", "order_qty": 10, "cl_ord_id": "a-1"},
}  # fmt: skip


def code_of(frame: str | bytes, read: Any = decode) -> tuple[str, int | None]:
    with pytest.raises(BadRequest) as caught:
        read(frame)
    return caught.value.code, caught.value.id


def test_place_is_read_with_its_fields() -> None:
    request = decode(json.dumps(PLACE))
    assert isinstance(request, OrderPlace)
    assert (request.id, request.account, request.p.symbol, request.p.order_qty) == (7, "A1", "S", 10)


def test_bytes_and_text_are_read_alike() -> None:
    text = json.dumps(PLACE)
    assert decode(text) == decode(text.encode())


def test_p_may_be_absent_where_nothing_is_due() -> None:
    assert isinstance(decode('{"op":"order.mass_status","id":1}'), MassStatus)


def test_colon_in_a_client_id_is_no_second_key() -> None:
    frame = json.dumps({**PLACE, "p": {**PLACE["p"], "cl_ord_id": "a:1::2"}})  # type: ignore[dict-item]
    assert decode(frame).p.cl_ord_id == "a:1::2"  # type: ignore[union-attr]


@pytest.mark.parametrize("space", ["", " ", "\n\t "])
def test_repeated_key_is_found_however_the_text_is_spaced(space: str) -> None:
    frame = f'{{"op"{space}:"ping","id"{space}:1,"id"{space}:2}}'
    assert code_of(frame) == ("DUPLICATE_KEY", None)
    inner = json.dumps(PLACE).replace('"side"', f'"price"{space}:"3.010","side"')
    assert code_of(inner) == ("DUPLICATE_KEY", 7)


def test_repeated_key_written_with_an_escape_is_found() -> None:
    assert code_of('{"op":"ping","id":1,"i\\u0064":2}')[0] == "DUPLICATE_KEY"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SEEN_LATER])
def test_each_malformed_kind_gets_its_code(kind: str) -> None:
    for frame, code in frames_of(kind, seed=1, count=20):
        if code is not None and isinstance(frame, str):
            assert code_of(frame)[0] == code, frame[:200]


def test_id_is_echoed_where_it_can_be_read() -> None:
    assert code_of('{"op":"nonsense","id":12}') == ("UNKNOWN_OP", 12)
    assert code_of('{"op":"ping","id":"12"}') == ("BAD_VALUE", None)
    assert code_of('{"op":"ping","id":-1}') == ("BAD_VALUE", None)
    assert code_of('{"op":"ping","id":12,"x":1}') == ("UNKNOWN_FIELD", 12)
    assert code_of('{"op":"order.place","id":12}') == ("MISSING_FIELD", 12)


def test_text_of_an_error_is_short_whatever_was_sent() -> None:
    with pytest.raises(BadRequest) as caught:
        decode(json.dumps({"op": "ping", "id": 1, "x" * 60_000: 1}))
    assert len(caught.value.text) <= 200


@pytest.mark.parametrize(
    "frame",
    ["[" * 65_000, "[]" * 32_000, '"' * 65_000, '{"a":' + "[{},{}]," * 8_000, '"\\' * 32_000, '{"id":' + "9" * 65_000],
    ids=["open", "pairs", "quotes", "objects", "escapes", "digits"],
)
def test_no_frame_takes_long_to_refuse(frame: str) -> None:
    started = time.thread_time()
    code_of(frame)
    assert time.thread_time() - started < 0.25


def test_offline_lines_carry_time_and_client_session() -> None:
    request = decode_offline(json.dumps({**PLACE, "ts": 5, "client_session": 9}))
    assert (request.ts, request.client_session) == (5, 9)
    assert code_of(json.dumps({**PLACE, "ts": 5})) == ("UNKNOWN_FIELD", 7)


def test_offline_act_takes_integers_and_texts_only() -> None:
    for value in ("1.5", "true", "null", "[1]", '{"a":1}', str(10**30)):
        assert code_of(f'{{"op":"phase.set","p":{{"symbol":{value}}}}}', decode_offline)[0] == "BAD_VALUE"


def test_offline_bytes_that_are_no_utf8_and_lines_too_long_are_refused() -> None:
    assert code_of(b'{"op":"clock.tick","account":"\xff"}', decode_offline)[0] == "BAD_UTF8"
    assert code_of("x" * 70_000, decode_offline)[0] == "BAD_VALUE"


def test_body_is_read_as_strictly_as_a_frame() -> None:
    assert decode_body(dict[str, int], b'{"a":1}') == {"a": 1}
    for body, code in ((b'{"a":1,"a":2}', "DUPLICATE_KEY"), (b"[]", "NOT_OBJECT"), (b'{"a":NaN}', "BAD_JSON")):
        assert code_of(body, lambda content: decode_body(dict[str, int], content))[0] == code
