"""The door `/ws/v1/md`: a thin ASGI shell around the publisher, one writer task per reader.

A reader that does not read blocks its own writer and nobody else: the publisher never waits, and closes it with 4008
when its queue is full.  Serve it with UVICORN_OPTIONS: its protocol class also lets a connection go whose peer takes
nothing any more, not even the closing frame.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from engine.schema import MAX_FRAME_BYTES

from .publisher import CLOSE_BUSY, Publisher, Reader

__all__ = [
    "MARKET_DATA_PATH",
    "TRANSPORT",
    "UVICORN_OPTIONS",
    "MarketDataDoor",
    "MarketDataProtocol",
    "make_app",
    "make_router",
]

MARKET_DATA_PATH: Final = "/ws/v1/md"
REQUESTS_PER_SECOND: Final = 100
TRANSPORT: Final = "cashew.transport"
"""The scope's extension under whose "it" a protocol class hands itself to the application."""


class MarketDataProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, within the application's reach.

    ASGI has every frame made anew for every reader, and leaves a connection open for as long as its peer takes nothing.
    """

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, dict[object, object]] = {TRANSPORT: {"it": self}}
            self.scope["extensions"].update(extensions)


def _write_now(protocol: WebSocketsSansIOProtocol | None, wire: bytes) -> bool:
    """Write whole frames at once; False, and nothing written, if that would have to wait or is not to be."""
    if protocol is None or not protocol.writable.is_set() or protocol.close_sent or protocol.disconnected:
        return False
    protocol.transport.write(wire)
    return True


UVICORN_OPTIONS: Final[dict[str, Any]] = {
    "ws": MarketDataProtocol,
    "ws_max_size": MAX_FRAME_BYTES,
    "ws_per_message_deflate": False,
    "timeout_graceful_shutdown": 5,
}
"""What `uvicorn.Config` needs for this door (and what suits any other WebSocket door of the venue)."""


class MarketDataDoor:
    """The ASGI application of the WebSocket; also keeps the heart beating while somebody listens."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        heartbeat_seconds: float = 1.0,
        close_seconds: float = 2.0,
    ) -> None:
        self.publisher = publisher
        self.clock_ns = clock_ns
        self.heartbeat_seconds = heartbeat_seconds
        self.close_seconds = close_seconds
        self._heart: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        assert scope["type"] == "websocket", "this door speaks WebSocket only"
        await receive()  # websocket.connect
        awake = asyncio.Event()
        reader = self.publisher.connect(awake.set)
        if reader is None:
            await send({"type": "websocket.close", "code": CLOSE_BUSY})
            return
        protocol = scope.get("extensions", {}).get(TRANSPORT, {}).get("it")
        try:
            await send({"type": "websocket.accept"})
            self._beat()
            await self._serve(reader, awake, receive, send, protocol)
        finally:
            self.publisher.disconnect(reader)
            if protocol is not None:
                # A peer that takes nothing would hold the connection and what waits in it for ever.
                asyncio.get_running_loop().call_later(self.close_seconds, protocol.transport.abort)

    async def _serve(
        self,
        reader: Reader,
        awake: asyncio.Event,
        receive: Receive,
        send: Send,
        protocol: WebSocketsSansIOProtocol | None,
    ) -> None:
        closing = asyncio.Event()
        tasks = [
            asyncio.create_task(self._read(reader, receive)),
            asyncio.create_task(self._write(reader, awake, send, protocol)),
            asyncio.create_task(closing.wait()),
        ]
        reader.wake = lambda: closing.set() if reader.close is not None else awake.set()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, OSError):  # OSError: the peer has gone
                raise end
        if reader.close is not None:
            code, why = reader.close
            try:
                async with asyncio.timeout(self.close_seconds):
                    await send({"type": "websocket.close", "code": code, "reason": why})
            except (TimeoutError, OSError):
                pass  # it takes not even that, or has gone

    async def _read(self, reader: Reader, receive: Receive) -> None:
        """Take requests until the reader leaves; who asks too often is read more slowly, and TCP tells it so."""
        now = asyncio.get_running_loop().time
        second, taken = now(), 0
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            self.publisher.receive(reader, text if text is not None else message["bytes"])
            if now() >= second + 1:
                second, taken = now(), 0
            taken += 1
            if taken >= REQUESTS_PER_SECOND:
                await asyncio.sleep(second + 1 - now())

    async def _write(
        self, reader: Reader, awake: asyncio.Event, send: Send, protocol: WebSocketsSansIOProtocol | None
    ) -> None:
        while True:
            frames = self.publisher.take(reader)
            # Frames end themselves: several go out in one write, which costs little more than one alone.
            if frames and not _write_now(protocol, b"".join([frame.wire for frame in frames])):
                for frame in frames:
                    await send({"type": "websocket.send", "text": frame.text})
            if frames and (reader.queue or reader.pending):
                await asyncio.sleep(0)  # a write that need not wait gives nobody else a turn
            else:
                awake.clear()
                await awake.wait()

    def _beat(self) -> None:
        if self._heart is None or self._heart.done():
            self._heart = asyncio.create_task(self._beats())

    async def _beats(self) -> None:
        """Beat each second until nobody listens."""
        while self.publisher.readers:
            await asyncio.sleep(self.heartbeat_seconds)
            self.publisher.heartbeat(self.clock_ns() // 1000)


def make_router(publisher: Publisher, **options: Any) -> APIRouter:
    """Make the router with the market-data door, to be included in the venue's application.

    options: those of MarketDataDoor.
    """
    router = APIRouter()
    router.routes.append(WebSocketRoute(MARKET_DATA_PATH, MarketDataDoor(publisher, **options), name="market_data"))
    return router


def make_app(publisher: Publisher, **options: Any) -> FastAPI:
    """Make an application that serves the market-data door alone."""
    app = FastAPI(title="cashew exchange market data", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(make_router(publisher, **options))
    return app
