"""Field order, what is left out, and the division of long messages."""

from __future__ import annotations

import json

import pytest
from websockets.frames import Frame as ServerFrame
from websockets.frames import Opcode

from marketdata import messages
from marketdata.messages import (
    LEVELS_PER_MESSAGE,
    TRADES_PER_MESSAGE,
    Book,
    Error,
    Status,
    Trade,
    Trades,
    encode,
    frame,
    parts,
)


def test_a_message_starts_with_its_kind_and_leaves_out_what_it_has_not() -> None:
    said = encode(Book("W1", "update", 9, 7, 5, [("3.005", 10, 2)], [], 77))
    assert said.text == (
        '{"ev":"book","symbol":"W1","type":"update","seq":9,"prev":7,"ts":5,"bids":[["3.005",10,2]],"asks":[],"crc":77}'
    )
    assert json.loads(encode(Book("W1", "snapshot", 9, 0, 5, [], [], 0, "0.005", 0)).text)["depth"] == 0
    assert json.loads(encode(Error(None, False, "BAD_JSON", "x", "not_done")).text)["id"] is None


def test_a_trade_of_an_auction_names_no_aggressor() -> None:
    auction = Trade(trade_id=3, price="3.005", qty=2, auction=True, ts=5)
    plain = Trade(trade_id=4, price="3.005", qty=2, aggressor_side="buy", ts=5)
    said = encode(Trades("W1", "update", 9, 7, [auction, plain])).text
    assert said.endswith(
        '"trades":[{"trade_id":3,"price":"3.005","qty":2,"auction":true,"ts":5},'
        '{"trade_id":4,"price":"3.005","qty":2,"aggressor_side":"buy","ts":5}]}'
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20])
def test_a_frame_is_what_the_protocol_asks_for(size: int) -> None:
    data = b"x" * size
    made = frame(data)
    assert made.wire == ServerFrame(Opcode.TEXT, data).serialize(mask=False)
    assert made.text.encode() == data and made.wire[made.head :] == data


def test_text_beyond_ascii_is_framed_by_its_bytes() -> None:
    said = encode(Status("W1", "update", 9, 7, 5, "halted", "tạm ngừng"))
    assert said.wire == ServerFrame(Opcode.TEXT, said.text.encode()).serialize(mask=False)
    assert json.loads(said.text)["reason"] == "tạm ngừng"


@pytest.mark.parametrize(
    ("bids", "asks"), [(0, 0), (1, 0), (0, 5), (8192, 8192), (8193, 3), (3, 8193), (40_000, 20_000)]
)
def test_parts_cover_every_level_once_and_none_is_too_long(bids: int, asks: int) -> None:
    divided = parts(bids, asks)
    assert [i for b, _ in divided for i in range(*b.indices(bids))] == list(range(bids))
    assert [i for _, a in divided for i in range(*a.indices(asks))] == list(range(asks))
    assert all(len(range(bids)[b]) + len(range(asks)[a]) <= LEVELS_PER_MESSAGE for b, a in divided)
    assert (len(divided) == 1) == (max(bids, asks) <= LEVELS_PER_MESSAGE // 2)


def test_the_longest_messages_stay_below_a_mebibyte() -> None:
    price = "-" + "9" * 30  # a tick has at most 20 characters, a price at most 2·10⁹ ticks
    level = (price, 10**15, 10**6)
    book = Book("S" * 32, "update", 2**53, 2**53, 2**53, [level] * LEVELS_PER_MESSAGE, [], 2**32 - 1, more=True)
    trade = Trade(trade_id=2**53, price=price, qty=10**9, aggressor_side="sell", ts=2**53)
    trades = Trades("S" * 32, "update", 2**53, 2**53, [trade] * TRADES_PER_MESSAGE, True)
    assert 900_000 < len(encode(book).wire) < 1 << 20
    assert 800_000 < len(encode(trades).wire) < 1 << 20


def test_every_message_is_exported() -> None:
    kinds = {name for name, value in vars(messages).items() if isinstance(value, type) and not name.startswith("_")}
    assert kinds - set(messages.__all__) <= {"Final", "NamedTuple"}
