"""The shell, driven through ASGI without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from engine.schema import Side
from marketdata.publisher import CLOSE_BUSY, CLOSE_TOO_SLOW, TAKE_BYTES, Publisher, ReaderLimits
from marketdata.server import MARKET_DATA_PATH, TRANSPORT, UVICORN_OPTIONS, MarketDataDoor, make_app, make_router
from tests.marketdata.venue import Venue

SUBSCRIBE = json.dumps({"op": "subscribe", "id": 1, "p": {"channels": ["book"], "symbols": ["*"]}})


class Peer:
    """The other end of one ASGI WebSocket; `gate` closed makes every send wait, like a peer that does not read.

    `written` is what came past ASGI, which the protocol allows while it is `writable`.
    """

    def __init__(self, door: Callable[..., Awaitable[None]], *, writable: bool = False) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.gone = False
        self.aborted = asyncio.Event()
        self.written: list[bytes] = []
        self.writable = asyncio.Event()
        if writable:
            self.writable.set()
        self.close_sent = self.disconnected = False
        self.transport = SimpleNamespace(abort=self.aborted.set, write=self.written.append)
        scope = {"type": "websocket", "path": MARKET_DATA_PATH, "extensions": {TRANSPORT: {"it": self}}}
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(door(scope, self.incoming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        await self.gate.wait()
        if self.gone:
            raise OSError("the peer has gone")
        self.outgoing.put_nowait(message)

    def say(self, text: str | bytes) -> None:
        kind = "text" if isinstance(text, str) else "bytes"
        self.incoming.put_nowait({"type": "websocket.receive", kind: text})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def hear(self) -> dict[str, Any]:
        message = await self.outgoing.get()
        assert message["type"] == "websocket.send"
        value: dict[str, Any] = json.loads(message["text"])
        return value


def opened(limits: ReaderLimits | None = None, **options: Any) -> tuple[Venue, Publisher, MarketDataDoor]:
    venue, publisher = Venue("W1"), Publisher(limits)
    follow(venue, publisher)
    return venue, publisher, MarketDataDoor(publisher, **options)


def follow(venue: Venue, publisher: Publisher) -> None:
    for block in venue.blocks:
        publisher.on_block(*block)
    venue.blocks.clear()


def run(scene: Coroutine[Any, Any, None]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(20):
            await scene

    asyncio.run(timed())


async def accepted(door: MarketDataDoor, *, writable: bool = False) -> Peer:
    peer = Peer(door, writable=writable)
    assert await peer.outgoing.get() == {"type": "websocket.accept"}
    return peer


def test_a_reader_subscribes_follows_and_leaves() -> None:
    async def scene() -> None:
        venue, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door)
        peer.say(SUBSCRIBE)
        assert [(await peer.hear())["ev"], (await peer.hear())["type"]] == ["subscribed", "snapshot"]
        venue.place(Side.BUY, 3, 600)
        follow(venue, publisher)
        assert (await peer.hear())["bids"] == [["3.000", 3, 1]]
        peer.say(b"\x01")
        assert (await peer.hear())["code"] == "BINARY_FRAME"
        peer.leave()
        await peer.task
        assert publisher.figures()["readers"] == 0

    run(scene())


def test_the_heart_beats_while_somebody_listens_and_again_after_a_pause() -> None:
    async def scene() -> None:
        _, publisher, door = opened(heartbeat_seconds=0.001, clock_ns=lambda: 1_764_208_800_123_456_789)
        for _ in range(2):
            peer = await accepted(door)
            for _ in range(3):
                assert await peer.hear() == {"ev": "hb", "seq": 5, "ts": 1_764_208_800_123_456}
            peer.leave()
            await peer.task
            heart = door._heart
            assert heart is not None
            await heart
        assert publisher.figures()["readers"] == 0

    run(scene())


def test_a_peer_that_does_not_read_holds_up_nobody_and_is_closed() -> None:
    async def scene() -> None:
        limits = ReaderLimits(queue_messages=20)
        venue, publisher, door = opened(limits, heartbeat_seconds=1000, close_seconds=0.01)
        slow, good = await accepted(door), await accepted(door)
        for peer in (slow, good):
            peer.say(SUBSCRIBE)
            await peer.hear(), await peer.hear()
        slow.gate.clear()
        for number in range(100):
            venue.place(Side.BUY, 1, 600)
            follow(venue, publisher)
            assert (await good.hear())["bids"] == [["3.000", number + 1, number + 1]]
        await slow.task
        await slow.aborted.wait()
        assert slow.outgoing.empty() and publisher.figures()["closed_slow"] == 1
        good.leave()
        await good.task

    run(scene())


def test_what_waits_is_written_in_one_piece_while_the_socket_takes_it() -> None:
    async def scene() -> None:
        venue, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door, writable=True)
        peer.say(SUBSCRIBE)
        while not peer.written:
            await asyncio.sleep(0)
        venue.place(Side.BUY, 1, 600)
        venue.place(Side.BUY, 2, 601)
        follow(venue, publisher)
        while len(peer.written) < 2:
            await asyncio.sleep(0)
        heard = [json.loads(text) for text in texts(b"".join(peer.written))]
        assert [message["ev"] for message in heard] == ["subscribed", "book", "book", "book"]
        assert len(peer.written) == 2 and peer.outgoing.empty()
        peer.writable.clear()
        venue.place(Side.BUY, 1, 600)
        follow(venue, publisher)
        assert (await peer.hear())["bids"] == [["3.000", 2, 2]], "a full socket is left to ASGI, which waits"
        peer.writable.set()
        peer.close_sent = True
        venue.place(Side.BUY, 1, 600)
        follow(venue, publisher)
        await peer.hear()
        assert len(peer.written) == 2, "nothing is written after a close"
        peer.leave()
        await peer.task

    run(scene())


def texts(wire: bytes) -> list[str]:
    """Take short frames of a server apart."""
    found = []
    while wire:
        assert wire[0] == 0x81 and wire[1] <= 126
        start, size = (2, wire[1]) if wire[1] < 126 else (4, int.from_bytes(wire[2:4], "big"))
        found.append(wire[start : start + size].decode())
        wire = wire[start + size :]
    return found


def test_a_reader_waits_in_peace_while_a_day_is_restated() -> None:
    async def scene() -> None:
        _, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door)
        publisher.feed.restating = True
        taken = []
        take, publisher.take = publisher.take, lambda reader: taken.append(1) or take(reader)  # type: ignore[method-assign]
        (reader,) = publisher.readers
        reader.subscribed[("book", "W1")] = 0
        reader.pending[("book", "W1")] = None
        reader.wake()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(taken) == 1 and peer.outgoing.empty()
        publisher.feed.restating = False
        reader.wake()
        assert (await peer.hear())["type"] == "snapshot"
        peer.leave()
        await peer.task

    run(scene())


def test_a_slow_peer_that_reads_again_is_told_why_it_was_closed() -> None:
    async def scene() -> None:
        venue, publisher, door = opened(ReaderLimits(queue_messages=5), heartbeat_seconds=1000)
        peer = await accepted(door)
        peer.say(SUBSCRIBE)
        await peer.hear(), await peer.hear()
        peer.gate.clear()
        for _ in range(10):
            venue.place(Side.BUY, 1, 600)
        follow(venue, publisher)
        await asyncio.sleep(0)
        peer.gate.set()
        await peer.task
        said = [peer.outgoing.get_nowait() for _ in range(peer.outgoing.qsize())]
        assert said[-1] == {"type": "websocket.close", "code": CLOSE_TOO_SLOW, "reason": "too slow"}

    run(scene())


def test_a_long_queue_leaves_turns_to_others() -> None:
    async def scene() -> None:
        venue, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door)
        peer.say(SUBSCRIBE)
        await peer.hear(), await peer.hear()
        for _ in range(1000):
            venue.place(Side.BUY, 1, 600)
        follow(venue, publisher)
        turns = [peer.outgoing.qsize()]
        while turns[-1] < 1000:
            await asyncio.sleep(0)
            turns.append(peer.outgoing.qsize())
        most = TAKE_BYTES // 100  # no message is that short
        assert max(after - before for before, after in pairwise(turns)) <= most < 1000
        peer.leave()
        await peer.task

    run(scene())


def test_too_many_readers_are_turned_away_at_the_door() -> None:
    async def scene() -> None:
        _, _, door = opened(ReaderLimits(readers=1), heartbeat_seconds=1000)
        first = await accepted(door)
        second = Peer(door)
        assert await second.outgoing.get() == {"type": "websocket.close", "code": CLOSE_BUSY}
        await second.task
        first.leave()
        await first.task
        third = await accepted(door)
        third.leave()
        await third.task

    run(scene())


def test_a_peer_that_vanishes_is_forgotten() -> None:
    async def scene() -> None:
        venue, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door)
        peer.say(SUBSCRIBE)
        await peer.hear(), await peer.hear()
        peer.gone = True
        venue.place(Side.BUY, 3, 600)
        follow(venue, publisher)
        await peer.task
        assert publisher.figures()["readers"] == 0

    run(scene())


def test_a_fault_ends_its_own_connection_and_is_not_hushed_up() -> None:
    async def scene() -> None:
        _, publisher, door = opened(heartbeat_seconds=1000)
        peer, other = await accepted(door), await accepted(door)
        peer.incoming.put_nowait({"type": "websocket.receive"})
        with pytest.raises(KeyError):
            await peer.task
        other.say(SUBSCRIBE)
        assert (await other.hear())["ev"] == "subscribed"
        assert publisher.figures()["readers"] == 1
        other.leave()
        await other.task

    run(scene())


def test_who_asks_too_often_is_read_more_slowly() -> None:
    async def scene() -> None:
        _, publisher, door = opened(heartbeat_seconds=1000)
        peer = await accepted(door)
        for number in range(300):
            peer.say(f'{{"op":"ping","id":{number}}}')
        start = asyncio.get_running_loop().time()
        for number in range(100):
            assert await peer.hear() == {"ev": "pong", "id": number}
        assert peer.outgoing.empty() and peer.incoming.qsize() == 200
        assert await peer.hear() == {"ev": "pong", "id": 100}
        assert asyncio.get_running_loop().time() - start > 0.9
        peer.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await peer.task
        assert publisher.figures()["readers"] == 0

    run(scene())


def test_the_router_and_the_application_hold_the_one_door() -> None:
    publisher = Publisher()
    (route,) = make_router(publisher).routes
    assert isinstance(route, WebSocketRoute) and route.path == MARKET_DATA_PATH
    app = FastAPI()
    app.include_router(make_router(publisher))
    for application in (app, make_app(publisher)):
        assert application.url_path_for("market_data") == MARKET_DATA_PATH
    assert UVICORN_OPTIONS["ws_max_size"] == 65_536 and UVICORN_OPTIONS["ws_per_message_deflate"] is False
