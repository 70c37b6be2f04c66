"""The market-data door over real sockets: uvicorn on loopback, independent clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.schema import MAX_FRAME_BYTES, Side
from gateway.transport import UVICORN_OPTIONS as VENUE_OPTIONS
from marketdata.publisher import CLOSE_TOO_BIG, CLOSE_TOO_SLOW, Publisher, ReaderLimits
from marketdata.server import MARKET_DATA_PATH, UVICORN_OPTIONS, make_app
from tests.marketdata.venue import Copy, Venue, levels

pytestmark = pytest.mark.e2e

CLOSE_BAD_UTF8 = 1007
SMALL_BUFFER = 8192


class Stage:
    """A venue, its publisher, and a server on a free port."""

    def __init__(self, limits: ReaderLimits, port: int, uvicorn_options: dict[str, Any], **options: Any) -> None:
        self.venue = Venue("W1", "W2")
        self.port = port
        self.publisher = Publisher(limits)
        self.publish()
        app = make_app(self.publisher, **options)
        more = {"log_level": "error", "lifespan": "off", "ws_ping_interval": None}
        self.server = uvicorn.Server(uvicorn.Config(app, **{**uvicorn_options, **more}))

    def publish(self) -> None:
        for block in self.venue.blocks:
            self.publisher.on_block(*block)
        self.venue.blocks.clear()

    def trade(self, number: int) -> None:
        """Put a bid into W1 and take a part of it: two book messages and one trade."""
        self.venue.place(Side.BUY, 2, 600 + number % 40)
        self.venue.place(Side.SELL, 1, 600, account=3)
        self.publish()

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[ClientConnection]:
        url = f"ws://127.0.0.1:{self.port}{MARKET_DATA_PATH}"
        async with connect(url, proxy=None, compression=None, **options) as websocket:
            yield websocket


@asynccontextmanager
async def staged(limits: ReaderLimits, uvicorn_options: dict[str, Any], **options: Any) -> AsyncIterator[Stage]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stage = Stage(limits, listener.getsockname()[1], uvicorn_options, **options)
        serving = asyncio.create_task(stage.server.serve(sockets=[listener]))
        try:
            yield stage
        finally:
            stage.server.should_exit = True
            await serving


def run(
    scene: Callable[[Stage], Awaitable[None]],
    limits: ReaderLimits | None = None,
    uvicorn_options: dict[str, Any] = UVICORN_OPTIONS,
    **options: Any,
) -> None:
    async def timed() -> None:
        async with asyncio.timeout(60), staged(limits or ReaderLimits(), uvicorn_options, **options) as stage:
            await scene(stage)

    asyncio.run(timed())


def subscription(**p: Any) -> str:
    return json.dumps({"op": "subscribe", "id": 1, "p": {"channels": ["book", "trades"], "symbols": ["W1"], **p}})


async def hear(websocket: ClientConnection) -> dict[str, Any]:
    """Give the next message that is no heartbeat."""
    while True:
        message: dict[str, Any] = json.loads(await websocket.recv())
        if message["ev"] != "hb":
            return message


async def follow(websocket: ClientConnection, copy: Copy, seq: int) -> None:
    """Apply messages until the book has reached a seq."""
    while copy.seqs.get("book", 0) < seq:
        message = await hear(websocket)
        if message["ev"] in ("book", "trade"):
            copy.apply(message)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def closed(websocket: ClientConnection) -> int | None:
    """Read on until the connection ends; give the code."""
    with pytest.raises(ConnectionClosed):
        while True:
            await websocket.recv()
    return websocket.close_code


@pytest.mark.parametrize("uvicorn_options", [UVICORN_OPTIONS, VENUE_OPTIONS], ids=["alone", "in the venue"])
def test_early_and_late_readers_hold_the_same_book(uvicorn_options: dict[str, Any]) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.client() as early, stage.client() as late:
            copies = Copy(), Copy()
            await early.send(subscription())
            for number in range(300):
                stage.trade(number)
                if number == 150:
                    await late.send(subscription())
                if number % 10 == 0:
                    await asyncio.sleep(0)
            seq = stage.publisher.feed.markets["W1"].book_seq
            await follow(early, copies[0], seq)
            await follow(late, copies[1], seq)
            assert copies[0].book() == copies[1].book() == levels(stage.venue.reference, 1)

    run(scene, uvicorn_options=uvicorn_options)


def test_the_heartbeat_comes_with_the_last_seq() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.client() as websocket:
            stage.trade(1)
            message = json.loads(await websocket.recv())
            assert (message["ev"], message["seq"]) == ("hb", stage.venue.seq - 1)

    run(scene, heartbeat_seconds=0.05)


@asynccontextmanager
async def deaf(stage: Stage) -> AsyncIterator[ClientConnection]:
    """A client that subscribes and then takes nothing off its small socket buffer."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", stage.port))
    async with stage.client(sock=plain, max_queue=1) as websocket:
        await websocket.send(subscription())
        assert (await hear(websocket))["ev"] == "subscribed"
        yield websocket


def test_a_reader_that_never_reads_is_closed_and_nobody_waits_for_it() -> None:
    limits = ReaderLimits(queue_messages=500, queue_bytes=100_000)

    async def scene(stage: Stage) -> None:
        async with deaf(stage) as slow, stage.client() as good:
            copy, most = Copy(), 0
            await good.send(subscription())
            number = 0
            while stage.publisher.closed_slow == 0:
                stage.trade(number)
                await follow(good, copy, stage.publisher.feed.markets["W1"].book_seq)
                most = max(most, stage.publisher.figures()["queued_bytes"])
                number += 1
            assert number > 100 and most <= 2 * limits.queue_bytes
            assert stage.publisher.figures()["readers"] == 1
            assert await closed(slow) == CLOSE_TOO_SLOW, "it reads again, and is told why"
            stage.trade(number)
            await follow(good, copy, stage.venue.seq - 1)
            assert copy.book() == levels(stage.venue.reference, 1)

    run(scene, limits, close_seconds=30.0)


@pytest.mark.parametrize("uvicorn_options", [UVICORN_OPTIONS, VENUE_OPTIONS], ids=["alone", "in the venue"])
def test_a_connection_whose_peer_takes_nothing_any_more_is_let_go(uvicorn_options: dict[str, Any]) -> None:
    async def scene(stage: Stage) -> None:
        async with deaf(stage) as slow:
            number = 0
            while stage.publisher.closed_slow == 0:
                stage.trade(number)
                await asyncio.sleep(0)
                number += 1
            await until(lambda: not stage.server.server_state.connections)
            assert await closed(slow) == 1006

    run(scene, ReaderLimits(queue_messages=200), uvicorn_options, close_seconds=0.1)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "BAD_JSON"),
        ('{"op":"ping","id":1,"id":1}', "DUPLICATE_KEY"),
        ("[" * (MAX_FRAME_BYTES - 1), "TOO_DEEP"),
        (b"\x00\xff", "BINARY_FRAME"),
        (subscription(symbols=["W9"]), "UNKNOWN_SYMBOL"),
        (subscription(channels=["orders"]), "UNKNOWN_CHANNEL"),
    ],
    ids=["json", "twice", "deep", "binary", "symbol", "channel"],
)
def test_a_bad_request_is_answered_and_the_connection_stays(frame: str | bytes, code: str) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.client() as websocket:
            await websocket.send(frame)
            assert (await hear(websocket))["code"] == code
            await websocket.send('{"op":"ping","id":9}')
            assert await hear(websocket) == {"ev": "pong", "id": 9}

    run(scene)


def test_protocol_errors_close_their_own_connection_only() -> None:
    async def scene(stage: Stage) -> None:
        async with stage.client() as other:
            await other.send(subscription())
            async with stage.client() as websocket:
                await websocket.send("x" * (MAX_FRAME_BYTES + 1))
                assert await closed(websocket) == CLOSE_TOO_BIG
            async with stage.client() as websocket:
                await websocket.send(b"\xff\xfe", text=True)
                assert await closed(websocket) == CLOSE_BAD_UTF8
            stage.trade(1)
            copy = Copy()
            await follow(other, copy, stage.venue.seq - 1)
            assert copy.book() == levels(stage.venue.reference, 1)

    run(scene)


def test_deflate_is_off_even_if_the_client_asks_for_it() -> None:
    async def scene(stage: Stage) -> None:
        url = f"ws://127.0.0.1:{stage.port}{MARKET_DATA_PATH}"
        async with connect(url, proxy=None, compression="deflate") as websocket:
            assert websocket.response is not None
            assert "Sec-WebSocket-Extensions" not in websocket.response.headers

    run(scene)
