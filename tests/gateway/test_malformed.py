"""Malformed frames of every kind, and that each ends as a coded error to its sender and changes nothing.

The generator is also what the load tests and benches send.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.kit import SYMBOL, Floor, order, said

Frame = str | bytes

# What each kind is answered with; None: the connection is closed for it (the short list of PROTOCOL.md).
CODES: dict[str, str | None] = {
    "not_json": "BAD_JSON",
    "truncated": "BAD_JSON",
    "trailing": "BAD_JSON",
    "control_character": "BAD_JSON",
    "nan": "BAD_JSON",
    "infinity": "BAD_JSON",
    "lone_surrogate": "BAD_JSON",
    "empty": "BAD_JSON",
    "not_object": "NOT_OBJECT",
    "duplicate_key": "DUPLICATE_KEY",
    "duplicate_inner_key": "DUPLICATE_KEY",
    "duplicate_escaped_key": "DUPLICATE_KEY",
    "too_deep": "TOO_DEEP",
    "too_deep_open": "TOO_DEEP",
    "unknown_field": "UNKNOWN_FIELD",
    "unknown_inner_field": "UNKNOWN_FIELD",
    "unknown_op": "UNKNOWN_OP",
    "op_is_number": "UNKNOWN_OP",
    "missing_op": "MISSING_FIELD",
    "missing_field": "MISSING_FIELD",
    "missing_p": "MISSING_FIELD",
    "float_price": "BAD_VALUE",
    "float_quantity": "BAD_VALUE",
    "text_quantity": "BAD_VALUE",
    "boolean_quantity": "BAD_VALUE",
    "null_quantity": "BAD_VALUE",
    "huge_quantity": "BAD_VALUE",
    "huge_digits": "BAD_VALUE",
    "huge_exponent": "BAD_VALUE",
    "wrong_word": "BAD_VALUE",
    "array_for_text": "BAD_VALUE",
    "negative_id": "BAD_VALUE",
    "huge_id": "BAD_VALUE",
    "price_no_decimal": "BAD_VALUE",
    "price_too_long": "BAD_VALUE",
    "client_id_too_long": "BAD_VALUE",
    "client_id_not_ascii": "BAD_VALUE",
    "client_id_control": "BAD_VALUE",
    "two_names": "BAD_VALUE",
    "no_name": "MISSING_FIELD",
    "foreign_account": "UNKNOWN_ACCOUNT",
    "second_logon": "NOT_PERMITTED",
    "binary": "BINARY_FRAME",
    "wrong_utf8": None,
    "too_long": None,
}
KINDS = tuple(CODES)
# Well formed to the eye of the reader; what is wrong shows when the frame becomes a row, or by whose it is.
SEEN_LATER = frozenset(
    {
        "price_no_decimal", "client_id_too_long", "client_id_not_ascii", "client_id_control", "two_names", "no_name",
        "foreign_account", "second_logon",
    }
)  # fmt: skip
CLOSING = {"wrong_utf8": 1007, "too_long": 1009}


def frames_of(kind: str, *, seed: int, count: int) -> Iterator[tuple[Frame, str | None]]:
    """`count` frames of a kind, with the code that answers each; bytes are for a binary frame.

    Frames of "wrong_utf8" are bytes to be sent as a text frame, which the sender has to make itself.
    """
    rng = random.Random(f"{kind}-{seed}")
    for number in range(count):
        yield _make(kind, rng, seed * 1_000_000 + number), CODES[kind]


def mixed(seed: int, count: int, kinds: tuple[str, ...] = KINDS) -> Iterator[tuple[str, Frame, str | None]]:
    """`count` frames of all kinds in random order."""
    rng = random.Random(seed)
    for number in range(count):
        kind = rng.choice(kinds)
        yield kind, _make(kind, rng, seed * 1_000_000 + number), CODES[kind]


def _make(kind: str, rng: random.Random, number: int) -> Frame:
    p = order(
        f"bad-{number}", rng.choice(("buy", "sell")), f"{rng.randrange(200, 1800) * 5 / 1000:.3f}", rng.randint(1, 9)
    )
    good = {"op": "order.place", "id": number, "p": p}
    text = json.dumps(good, separators=rng.choice(((",", ":"), (", ", ": "))))

    def but(**changed: object) -> str:
        return json.dumps({**good, "p": {**p, **changed}})

    def raw(field: str, value: str) -> str:
        return json.dumps({**good, "p": {**p, field: "@@"}}).replace('"@@"', value)

    match kind:
        case "not_json":
            return "".join(rng.choice("abc }]:,'\\/") for _ in range(rng.randint(1, 60))) + "\\"
        case "truncated":
            return text[: rng.randint(1, len(text) - 1)]
        case "trailing":
            return text + rng.choice((" {}", ",", "]", "x", text))
        case "control_character":
            return but(symbol="@@").replace("@@", chr(rng.randrange(1, 32)))
        case "nan":
            return raw(rng.choice(("price", "order_qty")), "NaN")
        case "infinity":
            return raw("order_qty", rng.choice(("Infinity", "-Infinity")))
        case "lone_surrogate":
            return raw("cl_ord_id", f'"\\ud8{rng.randrange(256):02x}"')
        case "empty":
            return rng.choice(("", " ", "\n"))
        case "not_object":
            return rng.choice(("[]", "1", '"order.place"', "null", "true", f"[{text}]"))
        case "duplicate_key":
            return text.replace('"id"', f'"id":{rng.randrange(99)},"id"', 1)
        case "duplicate_inner_key":
            return text.replace('"side"', f'"order_qty" : {rng.randint(1, 99)} , "side"', 1)
        case "duplicate_escaped_key":
            return text.replace('"side"', '"s\\u0069de":"buy","side"', 1)
        case "too_deep":
            depth = rng.randint(6, 2_000)
            return raw("price", "[" * depth + "]" * depth)
        case "too_deep_open":
            return "[" * rng.randint(6, 60_000)
        case "unknown_field":
            return json.dumps({**good, rng.choice(("ts", "seq", "x", "client_session")): 1})
        case "unknown_inner_field":
            return but(**{rng.choice(("account", "seq", "leaves_qty", "x" * 3_000)): 1})
        case "unknown_op":
            return json.dumps({**good, "op": rng.choice(("order.replace", "", "ORDER.PLACE", "x" * 500))})
        case "op_is_number":
            return json.dumps({**good, "op": 1})
        case "missing_op":
            return json.dumps({"id": number, "p": p})
        case "missing_field":
            gone = rng.choice(("symbol", "side", "order_qty", "cl_ord_id"))
            return json.dumps({**good, "p": {key: value for key, value in p.items() if key != gone}})
        case "missing_p":
            return json.dumps({"op": rng.choice(("order.place", "order.cancel", "order.amend")), "id": number})
        case "float_price":
            return raw("price", f"{rng.randrange(1, 9)}.{rng.randrange(1000):03d}")
        case "float_quantity":
            return raw("order_qty", rng.choice(("1.5", "1.0", "1e3", "0.1e1")))
        case "text_quantity":
            return but(order_qty="10")
        case "boolean_quantity":
            return but(order_qty=True)
        case "null_quantity":
            return but(order_qty=None)
        case "huge_quantity":
            return raw("order_qty", str(rng.randrange(2**63, 2**80)))
        case "huge_digits":
            return raw("order_qty", "9" * rng.randint(100, 5_000))
        case "huge_exponent":
            return raw("order_qty", f"1e{rng.randint(309, 99_999)}")
        case "wrong_word":
            return but(side=rng.choice(("Buy", "long", "")))
        case "array_for_text":
            return but(symbol=[SYMBOL])
        case "negative_id":
            return json.dumps({**good, "id": -rng.randint(1, 99)})
        case "huge_id":
            return json.dumps({**good, "id": 2**53 + rng.randrange(9)})
        case "price_no_decimal":
            return but(
                price=rng.choice(("3,005", "", "0x1F", "1e3", " 3.005", "3.005 ", "--3", "3.", ".5", "NaN", "٣"))
            )
        case "price_too_long":
            return but(price="3." + "0" * rng.randint(40, 4_000))
        case "client_id_too_long":
            return but(cl_ord_id="x" * rng.randint(33, 64))
        case "client_id_not_ascii":
            return but(cl_ord_id=rng.choice(("điều", "é", "№1")))
        case "client_id_control":
            return but(cl_ord_id=rng.choice(("a\u0000b", "", "a\n")))
        case "two_names":
            return json.dumps({**good, "op": "order.cancel", "p": {"cl_ord_id": "a", "order_id": 1}})
        case "no_name":
            return json.dumps({**good, "op": rng.choice(("order.cancel", "order.status", "order.amend")), "p": {}})
        case "foreign_account":
            return json.dumps({**good, "account": rng.choice(("A9", "", "x" * 64))})
        case "second_logon":
            return json.dumps({"op": "logon", "id": number, "p": {"token": "x"}})
        case "binary":
            return rng.randbytes(rng.randint(0, 300))
        case "wrong_utf8":
            return rng.choice((b"\xff", b'{"op":"\xc0\xaf"}', b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"))
        case "too_long":
            return but(symbol="x" * rng.randint(65_536, 70_000))
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if CODES[kind] is not None])
def test_each_kind_is_answered_with_its_code_and_changes_nothing(kind: str, tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    bad, other = floor.connect("M2"), floor.connect("M1")
    seq = floor.seq
    for frame, code in frames_of(kind, seed=1, count=25):
        if isinstance(frame, bytes):
            bad.receive_binary()
        else:
            bad.receive(frame)
        answers = said(bad)
        assert [(answer["ev"], answer["code"], answer["ok"]) for answer in answers] == [("error", code, False)], frame[
            :99
        ]
        assert answers[0]["text"] and answers[0]["fate"] == "not_done"
    assert floor.turn() == 0 and floor.seq == seq
    assert said(other) == [] and other.close_code == bad.close_code == 0


def test_generator_repeats_itself_and_knows_every_kind() -> None:
    assert list(mixed(3, 300)) == list(mixed(3, 300))
    assert {kind for kind, _, _ in mixed(3, 3_000)} == set(KINDS)
    assert set(CLOSING) == {kind for kind, code in CODES.items() if code is None}
