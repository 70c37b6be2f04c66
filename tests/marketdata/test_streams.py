"""The messages of one stream, made from changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.schema import Side, TimeInForce
from marketdata import streams
from marketdata.feed import Change, Feed
from marketdata.messages import DEPTHS
from marketdata.streams import Stream
from tests.marketdata.venue import Venue


class Scene:
    """A venue with one instrument, and streams of its market."""

    def __init__(self) -> None:
        self.venue, self.feed = Venue("W1"), Feed()
        self.streams: dict[tuple[str, int], Stream] = {}
        self.follow()
        market = self.feed.markets["W1"]
        for channel, depth in (
            *(("book", depth) for depth in DEPTHS),
            ("trades", 0),
            ("status", 0),
            ("auction", 0),
        ):
            self.streams[channel, depth] = Stream(channel, market, depth)

    def follow(self) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """Give what each stream says of what the venue has done since the last call."""
        said: dict[tuple[str, int], list[dict[str, Any]]] = {key: [] for key in self.streams}
        for block in self.venue.blocks:
            for change in self.feed.fold(*block):
                assert isinstance(change, Change)
                for key, stream in self.streams.items():
                    said[key] += [json.loads(frame.text) for frame in stream.update(change)]
        self.venue.blocks.clear()
        return said


def test_a_change_is_told_only_on_the_channels_that_it_concerns() -> None:
    scene = Scene()
    scene.venue.place(Side.BUY, 5, 600)
    said = scene.follow()
    assert [len(said[key]) for key in scene.streams] == [1, 1, 1, 0, 0, 0]
    scene.venue.place(Side.SELL, 2, 600, account=3, time_in_force=TimeInForce.IOC)
    assert [len(messages) for messages in scene.follow().values()] == [1, 1, 1, 1, 0, 0]
    scene.venue.phase("W1", "halted")
    assert [len(messages) for messages in scene.follow().values()] == [0, 0, 0, 0, 1, 0]
    scene.venue.phase("W1", "pre_open")
    assert [len(messages) for messages in scene.follow().values()] == [0, 0, 0, 0, 1, 1]
    scene.venue.place(Side.SELL, 1, None)
    assert [len(messages) for messages in scene.follow().values()] == [0, 0, 0, 0, 0, 1], "the call has a price"


def test_an_auction_is_told_in_words_and_its_trades_without_an_aggressor() -> None:
    scene = Scene()
    scene.venue.phase("W1", "halted")
    scene.venue.phase("W1", "pre_open")
    scene.venue.place(Side.BUY, 5, 600)
    scene.venue.place(Side.SELL, 2, 600, account=3)
    said = scene.follow()["auction", 0]
    told = [(message["price"], message["qty"], message["surplus"], message["surplus_side"]) for message in said]
    assert told == [(None, 0, 0, None), ("3.000", 2, 3, "buy")]
    assert [message["prev"] for message in said[1:]] == [said[0]["seq"]]
    snapshot = json.loads(scene.streams["auction", 0].snapshot()[0].text)
    assert snapshot == {**said[-1], "type": "snapshot", "prev": 0}
    scene.venue.phase("W1", "continuous")
    said = scene.follow()
    assert [(m["state"], m["step"]) for m in said["auction", 0]] == [("uncrossed", "volume")]
    (message,) = said["trades", 0]
    (trade,) = message["trades"]
    assert trade == {"trade_id": 1, "price": "3.000", "qty": 2, "auction": True, "ts": trade["ts"]}


def test_a_stream_of_limited_depth_stands_still_while_its_view_does() -> None:
    scene = Scene()
    for price in range(600, 650):
        scene.venue.place(Side.SELL, 1, price)
    scene.follow()
    before = {key: stream.seq for key, stream in scene.streams.items()}
    scene.venue.place(Side.SELL, 1, 620)
    said = scene.follow()
    seq = scene.venue.seq - 1
    assert not said["book", 10] and scene.streams["book", 10].seq == before["book", 10]
    assert said["book", 50][0]["asks"] == said["book", 0][0]["asks"] == [["3.100", 2, 2]]
    assert said["book", 50][0]["prev"] == before["book", 50] == seq - 1
    scene.venue.place(Side.SELL, 1, 590)
    (message,) = scene.follow()["book", 10]
    assert message["asks"] == [["2.950", 1, 1], ["3.045", 0, 0]]
    assert (message["seq"], message["prev"]) == (seq + 1, before["book", 10])


def test_a_snapshot_is_made_once_while_nothing_moves() -> None:
    scene = Scene()
    scene.venue.place(Side.BUY, 5, 600)
    scene.follow()
    for stream in scene.streams.values():
        first = stream.snapshot()
        assert stream.snapshot() is first
        assert json.loads(first[0].text)["seq"] == stream.seq
    scene.venue.place(Side.BUY, 5, 601)
    old = scene.streams["book", 0].snapshot()
    scene.follow()
    new = scene.streams["book", 0].snapshot()
    assert new is not old and json.loads(new[0].text)["bids"] == [["3.005", 5, 1], ["3.000", 5, 1]]
    assert scene.streams["trades", 0].snapshot() is scene.streams["trades", 0].snapshot()


def test_the_checksum_is_worked_out_once_for_all_depths(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    made = []
    crc = streams.book_crc
    monkeypatch.setattr(streams, "book_crc", lambda *sides: made.append(1) or crc(*sides))
    scene.venue.place(Side.BUY, 5, 600)
    said = scene.follow()
    assert len(made) == 1
    assert len({said["book", depth][0]["crc"] for depth in DEPTHS}) == 1
