"""Subscriptions, snapshots, queues, and what must never be said."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from engine.phases import Mode
from engine.schema import MAX_FRAME_BYTES, AuctionStep, Side, word
from marketdata import messages, streams
from marketdata.publisher import CLOSE_TOO_BIG, CLOSE_TOO_SLOW, TAKE_BYTES, Publisher, Reader, ReaderLimits
from tests.marketdata.test_feed import new_day
from tests.marketdata.venue import SIDES, Block, Copy, Venue, connect, drain, flow_blocks, levels, subscribe

PRIVATE_ACCOUNTS = tuple((f"Account-{i}", f"Member-{i}", f"Owner-{i}") for i in range(1, 8))


def follow(venue: Venue, publisher: Publisher) -> None:
    """Publish whatever the venue has done since the last call."""
    for block in venue.blocks:
        publisher.on_block(*block)
    venue.blocks.clear()


def opened(*symbols: str, limits: ReaderLimits | None = None) -> tuple[Venue, Publisher]:
    venue, publisher = Venue(*symbols), Publisher(limits)
    follow(venue, publisher)
    return venue, publisher


def answer(publisher: Publisher, reader: Reader, text: str | bytes) -> dict[str, Any]:
    """Send one frame and give its one answer, which is the first thing that comes."""
    assert drain(publisher, reader) == []
    publisher.receive(reader, text)
    (frame,) = publisher.take(reader)
    value: dict[str, Any] = json.loads(frame.text)
    return value


class Watch:
    """A reader with a copy of every symbol it hears of."""

    def __init__(self, publisher: Publisher, depth: int = 0, **p: Any) -> None:
        self.publisher, self.depth = publisher, depth
        self.reader = connect(publisher)
        self.copies: dict[str, Copy] = {}
        self.answers: list[dict[str, Any]] = []
        subscribe(publisher, self.reader, depth=depth, **p)

    def read(self) -> int:
        messages = drain(self.publisher, self.reader)
        for message in messages:
            if message["ev"] in ("book", "trade", "status", "auction"):
                self.copies.setdefault(message["symbol"], Copy(self.depth)).apply(message)
            else:
                self.answers.append(message)
        return len(messages)


# --- readers see the truth -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_early_and_late_readers_of_every_depth_hold_the_matchers_book(seed: int) -> None:
    publisher = Publisher()
    watches = [Watch(publisher, depth) for depth in (0, 10, 50)]
    rng = np.random.default_rng(seed)
    reference = None
    for number, (reference, block) in enumerate(flow_blocks(seed, 1500, size=int(rng.integers(1, 8)), width=20)):
        publisher.on_block(*block)
        if number % 60 == 30:
            watches.append(Watch(publisher, (0, 10, 50)[int(rng.integers(3))]))
        for watch in watches[:3] if number % 20 else watches:
            watch.read()
            check(watch, reference)
    assert reference is not None and len(watches) > 5
    for watch in watches:
        watch.read()
        assert watch.copies.keys() == {instrument.terms.symbol for instrument in reference.instruments}
        check(watch, reference)
        for symbol, copy in watch.copies.items():
            market = publisher.feed.markets[symbol]
            assert copy.trades[-50:] == watches[0].copies[symbol].trades[-50:]
            assert len(copy.trades) >= len(market.recent)


def check(watch: Watch, reference: Any) -> None:
    for instrument in reference.instruments:
        copy = watch.copies.get(instrument.terms.symbol)
        if copy is not None:
            book = levels(reference, instrument.number)
            expected = {side: book[side][: watch.depth] if watch.depth else book[side] for side in SIDES}
            assert copy.book() == expected
            assert copy.phase == instrument.phase.name.lower() and not copy.half
            if instrument.mode == Mode.CALL and copy.auction["state"] == "indicative":
                price, volume, surplus, step = reference.indicative(instrument.number)
                side = word(Side.BUY if surplus > 0 else Side.SELL) if surplus else None
                text = copy.tick.text(price) if copy.tick is not None and step != AuctionStep.NO_CROSS else None
                assert list(copy.auction.values())[1:] == [text, volume, abs(surplus), side, word(step)]


def test_a_limited_depth_is_told_of_what_it_shows_only() -> None:
    venue, publisher = opened("W1")
    shallow, whole = Watch(publisher, 10), Watch(publisher, 0)
    shallow.read(), whole.read()
    for price in range(600, 580, -1):
        venue.place(Side.BUY, 1, price)
    follow(venue, publisher)
    shallow.read(), whole.read()
    assert shallow.copies["W1"].messages + 10 == whole.copies["W1"].messages
    venue.cancel(venue.seq - 20)
    follow(venue, publisher)
    (message,) = drain(publisher, shallow.reader)
    assert message["bids"] == [["3.000", 0, 0], ["2.950", 1, 1]]


def test_one_command_is_one_message_of_each_channel() -> None:
    venue, publisher = opened("W1")
    for price in (600, 601, 601, 602):
        venue.place(Side.SELL, 3, price, account=3)
    follow(venue, publisher)
    watch = Watch(publisher)
    watch.read()
    venue.place(Side.BUY, 20, 610)
    follow(venue, publisher)
    book, trade = sorted(drain(publisher, watch.reader), key=lambda message: message["ev"])
    assert book["seq"] == trade["seq"] == venue.seq - 1
    assert [each["price"] for each in trade["trades"]] == ["3.000", "3.005", "3.005", "3.010"]
    assert (book["bids"], [level[1] for level in book["asks"]]) == ([["3.050", 8, 1]], [0, 0, 0])


def test_snapshots_name_the_seq_at_which_their_stream_stands() -> None:
    venue, publisher = opened("W1", "W2")
    venue.place(Side.BUY, 3, 600)
    book_seq = venue.seq - 1
    venue.place(Side.BUY, 2, 600, instrument=2)
    venue.phase("W1", "halted", why="tạm ngừng")
    follow(venue, publisher)
    watch = Watch(publisher, symbols=["W1"])
    publisher.heartbeat(5)
    subscribed, *snapshots = drain(publisher, watch.reader)
    hb = snapshots.pop(0)
    assert subscribed == {"ev": "subscribed", "id": 1, "ok": True, "seq": venue.seq - 1}
    assert hb == {"ev": "hb", "seq": venue.seq - 1, "ts": 5}
    assert [(m["ev"], m["type"], m["seq"], m["prev"]) for m in snapshots] == [
        ("book", "snapshot", book_seq, 0),
        ("trade", "snapshot", 1, 0),
        ("status", "snapshot", venue.seq - 1, 0),
        ("auction", "snapshot", 1, 0),
    ]
    assert snapshots[2]["reason"] == "tạm ngừng"


def test_subscribing_again_gives_a_snapshot_again_and_may_change_the_depth() -> None:
    venue, publisher = opened("W1")
    watch = Watch(publisher)
    watch.read()
    venue.place(Side.BUY, 3, 600)
    follow(venue, publisher)
    watch.depth = 10
    watch.copies["W1"].depth = 10
    subscribe(publisher, watch.reader, channels=["book"], depth=10)
    watch.read()
    venue.place(Side.BUY, 3, 601)
    follow(venue, publisher)
    assert watch.read() == 1, "one book, not two"
    check(watch, venue.reference)
    assert publisher.figures()["streams"] == 4


def test_unsubscribing_ends_what_was_named_and_no_more() -> None:
    venue, publisher = opened("W1", "W2")
    watch = Watch(publisher)
    watch.read()
    ask = {"op": "unsubscribe", "id": 4, "p": {"channels": ["book", "status"], "symbols": ["W1"]}}
    assert answer(publisher, watch.reader, json.dumps(ask)) == {"ev": "unsubscribed", "id": 4, "ok": True}
    venue.place(Side.BUY, 3, 600)
    venue.place(Side.BUY, 2, 600, instrument=2)
    venue.place(Side.SELL, 1, 600, account=3)
    follow(venue, publisher)
    assert [(m["ev"], m["symbol"]) for m in drain(publisher, watch.reader)] == [("book", "W2"), ("trade", "W1")]
    ask["p"] = {"channels": ["book", "trades", "status", "auction"], "symbols": ["*"]}
    publisher.receive(watch.reader, json.dumps(ask))
    venue.place(Side.SELL, 1, 600, account=3)
    venue.define("W3")
    follow(venue, publisher)
    assert [m["ev"] for m in drain(publisher, watch.reader)] == ["unsubscribed"]
    assert publisher.figures()["streams"] == 0


def test_what_is_unsubscribed_before_its_snapshot_was_read_never_comes() -> None:
    venue, publisher = opened("W1", "W2")
    reader = connect(publisher)
    subscribe(publisher, reader)
    publisher.receive(reader, '{"op":"unsubscribe","id":2,"p":{"channels":["book","trades"],"symbols":["*"]}}')
    venue.place(Side.BUY, 3, 600)
    follow(venue, publisher)
    heard = drain(publisher, reader)
    assert [m["ev"] for m in heard] == ["subscribed", "unsubscribed", "status", "auction", "status", "auction"]


def test_who_asked_for_all_hears_of_a_new_symbol() -> None:
    venue, publisher = opened("W1")
    everything, one = Watch(publisher, 10), Watch(publisher, symbols=["W1"])
    everything.read(), one.read()
    venue.define("W2")
    follow(venue, publisher)
    everything.read(), one.read()
    assert everything.copies.keys() == {"W1", "W2"} and one.copies.keys() == {"W1"}
    venue.phase("W2", "continuous")
    venue.place(Side.BUY, 3, 600, instrument=2)
    follow(venue, publisher)
    everything.read()
    check(everything, venue.reference)


def test_a_new_day_starts_every_subscription_again() -> None:
    old, publisher = opened("W1", "W2")
    everything, gone = Watch(publisher), Watch(publisher, symbols=["W1"])
    everything.read(), gone.read()
    old.place(Side.BUY, 3, 700)
    follow(old, publisher)
    venue, (rows, payload, events) = new_day(old.seq)
    publisher.on_block(rows, payload, events[:5])
    late = connect(publisher)
    ask = json.dumps({"op": "subscribe", "id": 1, "p": {"channels": ["book"], "symbols": ["W2"]}})
    assert answer(publisher, late, ask)["code"] == "BUSY"
    woken: list[int] = []
    everything.reader.wake = lambda: woken.append(1)
    publisher.on_block(rows, payload, events[5:])
    assert woken
    everything.read(), gone.read()
    assert everything.copies["W2"].book() == levels(venue.reference, 1)
    assert gone.reader.subscribed == {}
    venue.phase("W2", "continuous")
    venue.place(Side.BUY, 3, 601)
    publisher.on_block(*venue.blocks[-2])
    publisher.on_block(*venue.blocks[-1])
    assert gone.read() == 0 and everything.read() == 2
    assert everything.copies["W2"].book() == levels(venue.reference, 1)


def test_a_frame_is_encoded_once_for_all_its_readers() -> None:
    venue, publisher = opened("W1")
    watches = [Watch(publisher) for _ in range(3)]
    for watch in watches:
        watch.read()
    venue.place(Side.BUY, 3, 600)
    follow(venue, publisher)
    (first,), (second,), (third,) = [publisher.take(watch.reader) for watch in watches]
    assert first is second is third


def test_long_messages_come_in_parts_that_a_simple_reader_applies_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LEVELS_PER_MESSAGE", 8)
    monkeypatch.setattr(streams, "TRADES_PER_MESSAGE", 3)
    venue, publisher = opened("W1")
    early = Watch(publisher)
    early.read()
    for price in range(600, 610):
        venue.place(Side.SELL, 1, price, account=3)
        venue.place(Side.BUY, 1, price - 20)
    follow(venue, publisher)
    late = Watch(publisher)
    late.read(), early.read()
    assert late.copies["W1"].messages == 1 + 1 + 1 + 3
    venue.place(Side.BUY, 10, 700)
    venue.phase("W1", "closed")
    follow(venue, publisher)
    for watch in (early, late):
        watch.read()
        check(watch, venue.reference)
        assert [trade["trade_id"] for trade in watch.copies["W1"].trades] == list(range(1, 11))


def test_what_waits_is_taken_together_up_to_a_bound() -> None:
    venue, publisher = opened("W1")
    watch = Watch(publisher)
    watch.read()
    for price in range(1000):
        venue.place(Side.BUY, 3, 600 + price % 7)
    follow(venue, publisher)
    taken = []
    while frames := publisher.take(watch.reader):
        taken.append(frames)
    assert sum(map(len, taken)) == 1000 and 1 < len(taken) < 10
    assert all(sum(len(frame.wire) for frame in frames) <= TAKE_BYTES for frames in taken)
    assert watch.reader.bytes_queued == 0


# --- slow readers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [ReaderLimits(queue_messages=40), ReaderLimits(queue_bytes=5000)])
def test_a_reader_that_does_not_read_is_closed_and_nobody_else(limits: ReaderLimits) -> None:
    venue, publisher = opened("W1", limits=limits)
    slow, good = Watch(publisher), Watch(publisher)
    woken: list[int] = []
    slow.read(), good.read()
    slow.reader.wake = lambda: woken.append(1)
    most = 0
    for number in range(200):
        venue.place(Side.BUY, 1, 600 + number % 50)
        follow(venue, publisher)
        good.read()
        most = max(most, slow.reader.bytes_queued)
        if slow.reader.close is not None:
            break
    assert slow.reader.close == (CLOSE_TOO_SLOW, "too slow") and woken
    assert most <= limits.queue_bytes and number <= limits.queue_messages
    assert publisher.take(slow.reader) == [] and not slow.reader.queue, "what waited is forgotten at once"
    figures = publisher.figures()
    assert (figures["closed_slow"], figures["readers"], figures["queued_bytes"]) == (1, 1, 0)
    venue.place(Side.BUY, 1, 700)
    follow(venue, publisher)
    good.read()
    check(good, venue.reference)
    publisher.receive(slow.reader, '{"op":"ping","id":1}')
    assert publisher.take(slow.reader) == []


def test_one_who_asks_without_reading_is_closed_too() -> None:
    _, publisher = opened("W1", limits=ReaderLimits(queue_messages=10))
    reader = connect(publisher)
    for _ in range(11):
        publisher.receive(reader, "{")
    assert reader.close == (CLOSE_TOO_SLOW, "too slow")


def test_snapshots_wait_for_the_reader_and_never_close_it() -> None:
    symbols = [f"W{i}" for i in range(30)]
    venue, publisher = opened(*symbols, limits=ReaderLimits(queue_messages=4, queue_bytes=600))
    for price in range(500, 560):
        venue.place(Side.BUY, 1, price)
    follow(venue, publisher)
    watch = Watch(publisher)
    assert len(watch.reader.queue) == 1
    assert watch.read() == 121 and watch.reader.close is None
    check(watch, venue.reference)


def test_at_most_one_snapshot_waits_though_other_messages_do_too() -> None:
    venue, publisher = opened(*(f"W{i}" for i in range(12)))
    watch = Watch(publisher, channels=["book"])
    most = 0
    for number in range(20):
        for message in [json.loads(frame.text) for frame in publisher.take(watch.reader)]:
            if message["ev"] == "book":
                watch.copies.setdefault(message["symbol"], Copy()).apply(message)
        most = max(most, watch.reader.snapshots)
        for _ in range(900 if number < 6 else 0):  # more than one take carries away
            venue.place(Side.BUY, 1, 600)
        follow(venue, publisher)
    assert most == 1
    watch.read()
    for market in publisher.feed.markets.values():
        assert watch.copies[market.symbol].book() == levels(venue.reference, market.number)


def test_readers_are_limited_and_a_place_becomes_free_again() -> None:
    _, publisher = opened("W1", limits=ReaderLimits(readers=2))
    first, _ = connect(publisher), connect(publisher)
    assert publisher.connect(lambda: None) is None
    publisher.disconnect(first)
    publisher.disconnect(first)
    assert publisher.connect(lambda: None) is not None


def test_nothing_is_kept_of_a_reader_that_left() -> None:
    venue, publisher = opened("W1", "W2")
    for _ in range(50):
        watch = Watch(publisher, 10)
        watch.read()
        subscribe(publisher, watch.reader, depth=50)
        publisher.disconnect(watch.reader)
    venue.define("W3")
    venue.place(Side.BUY, 1, 600)
    follow(venue, publisher)
    assert publisher.figures() == {
        "seq": venue.seq - 1,
        "instruments": 3,
        "readers": 0,
        "streams": 0,
        "queued_messages": 0,
        "queued_bytes": 0,
        "closed_slow": 0,
    }


# --- requests ------------------------------------------------------------------------------------------------------


def test_each_request_has_one_answer() -> None:
    _, publisher = opened("W1")
    reader = connect(publisher)
    assert answer(publisher, reader, '{"op":"ping","id":7}') == {"ev": "pong", "id": 7}
    refusal = answer(publisher, reader, b"\x00")
    text = "this door takes text frames only"
    assert refusal == {
        "ev": "error", "id": None, "ok": False, "code": "BINARY_FRAME", "text": text, "fate": "not_done",
    }  # fmt: skip
    assert answer(publisher, reader, "{")["code"] == "BAD_JSON"
    unknown = {"op": "subscribe", "id": 3, "p": {"channels": ["book"], "symbols": ["W1", "W9"]}}
    refusal = answer(publisher, reader, json.dumps(unknown))
    assert (refusal["code"], refusal["id"]) == ("UNKNOWN_SYMBOL", 3)
    unknown["op"] = "unsubscribe"
    assert answer(publisher, reader, json.dumps(unknown))["code"] == "UNKNOWN_SYMBOL"
    assert drain(publisher, reader) == [] and reader.subscribed == {} and reader.close is None


def test_a_frame_over_the_limit_closes() -> None:
    _, publisher = opened("W1")
    reader = connect(publisher)
    publisher.receive(reader, "x" * MAX_FRAME_BYTES)
    assert reader.close is None
    publisher.receive(reader, "x" * (MAX_FRAME_BYTES + 1))
    assert reader.close == (CLOSE_TOO_BIG, "frame too big")


def test_a_heartbeat_goes_to_all_whatever_they_read() -> None:
    venue, publisher = opened("W1")
    readers = [connect(publisher) for _ in range(3)]
    publisher.heartbeat(1_764_208_800_000_000)
    expected = [{"ev": "hb", "seq": venue.seq - 1, "ts": 1_764_208_800_000_000}]
    assert all(drain(publisher, reader) == expected for reader in readers)


# --- what must never be said ---------------------------------------------------------------------------------------

SAID = {
    "book": {"ev", "symbol", "type", "seq", "prev", "ts", "bids", "asks", "crc", "tick", "depth", "more"},
    "trade": {"ev", "symbol", "type", "seq", "prev", "trades", "more"},
    "status": {"ev", "symbol", "type", "seq", "prev", "ts", "phase", "reason"},
    "auction": {
        "ev",
        "symbol",
        "type",
        "seq",
        "prev",
        "ts",
        "state",
        "price",
        "qty",
        "surplus",
        "surplus_side",
        "step",
    },
    "hb": {"ev", "seq", "ts"},
    "subscribed": {"ev", "id", "ok", "seq"},
}
TRADE_SAID = {"trade_id", "price", "qty", "ts"}


def private_run(seed: int) -> tuple[list[str], set[str]]:
    """Publish a long random run to readers of everything: all frames, and every private name that was used in it."""
    publisher = Publisher()
    readers = [connect(publisher) for _ in range(3)]
    for reader, depth in zip(readers, (0, 10, 50), strict=True):
        subscribe(publisher, reader, depth=depth)
    frames: list[str] = []
    names = {name for account in PRIVATE_ACCOUNTS for name in account} | {"op-1"}
    for _, (rows, payload, events) in flow_blocks(seed, 4000, size=16, accounts=PRIVATE_ACCOUNTS, p_define=0.0):
        publisher.on_block(rows, payload, events)
        names |= {name.decode("latin-1") for name in rows["cl_ord_id"].tolist() if len(name) >= 4}
        publisher.heartbeat(1)
        for reader in readers:
            while taken := publisher.take(reader):
                frames += [frame.text for frame in taken]
    return frames, names


def leaks(frames: list[str], names: set[str]) -> set[str]:
    """Find the names that stand as a word of their own, or inside one, in any frame."""
    # A client id may by chance be a number that a price, a quantity or a time spells as well; as a string it may not.
    words = set(re.findall(r'"((?:[^"\\]|\\.)*)"', "\n".join(frames)))
    text = "\n".join(sorted(words))
    return {name for name in names if (name in words if name.isdigit() else name in text)}


@pytest.mark.parametrize("seed", range(4))
def test_no_account_member_owner_or_client_id_is_ever_said(seed: int) -> None:
    frames, names = private_run(seed)
    assert len(frames) > 1000 and len(names) > 1000
    assert leaks(frames, names) == set()
    for text in frames:
        message = json.loads(text)
        assert message.keys() <= SAID[message["ev"]]
        for trade in message.get("trades", ()):
            assert trade.keys() == TRADE_SAID | {"auction" if "auction" in trade else "aggressor_side"}


def test_the_search_for_leaks_finds_one() -> None:
    frames, names = private_run(0)
    name = max(names, key=len)
    for planted in (f'{{"ev":"trade","by":"{name}"}}', f'{{"ev":"status","reason":"ask {name}"}}'):
        assert leaks([*frames, planted], names) == {name}


# --- recovery ------------------------------------------------------------------------------------------------------


def test_a_log_read_before_serving_ends_where_living_through_it_does() -> None:
    lived, recovered = Publisher(), Publisher()
    watch = Watch(lived)
    blocks: list[Block] = [block for _, block in flow_blocks(5, 1500, size=3)]
    for block in blocks:
        lived.on_block(*block)
        watch.read()
    for block in blocks:
        recovered.on_block(*block)
    early, late = Watch(lived), Watch(recovered)
    early.read(), late.read()
    assert late.copies.keys() == watch.copies.keys()
    for symbol, copy in late.copies.items():
        assert vars(copy) == vars(early.copies[symbol])
        assert copy.seqs == watch.copies[symbol].seqs
