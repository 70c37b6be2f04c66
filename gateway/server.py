"""The door `/ws/v1/trade`: a thin ASGI shell around `gateway.connection`, and the writing side of a socket.

Floor 4.  What leaves is written at once, from whatever made it, while the socket takes it; a queue, bounded, begins
only when a write would have to wait, and a client that lets it overflow is closed with 4008.  One client's trouble, and
any error of ours in serving it, ends that connection only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final

from fastapi import APIRouter
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.connection import CLOSE_SLOW, Connection
from gateway.desk import Desk
from gateway.transport import TRANSPORT, Transport

__all__ = ["TRADE_PATH", "TradeDoor", "Wire", "make_router"]

TRADE_PATH: Final = "/ws/v1/trade"
CLOSE_OURS: Final = 1011
QUEUE_FRAMES: Final = 4_096
QUEUE_BYTES: Final = 4 << 20
_log: Final = logging.getLogger("cashew.trade")


class Wire:
    """Both sides of one connection's socket."""

    def __init__(self, connection: Connection, transport: Transport, send: Send, linger_seconds: float) -> None:
        self.connection = connection
        self._transport = transport
        self._is_writable = transport.writable.is_set
        self._send = send
        self._linger_seconds = linger_seconds
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._closing: asyncio.Task[None] | None = None

    def on_text(self, text: str) -> None:
        """Take a frame, and write what it caused at once."""
        connection = self.connection
        try:
            connection.receive(text)
        except Exception:
            self._fail()
        if connection.outbox or connection.close_code:
            self.flush()

    def on_binary(self) -> None:
        """Take note of a binary frame."""
        self.connection.receive_binary()
        self.flush()

    def on_late(self) -> None:
        """Close a client that has not logged on in time."""
        self.connection.logon_timed_out()
        self.flush()

    def flush(self) -> None:
        """Write what the connection has to say, and its close if it has ended."""
        connection = self.connection
        if connection.outbox:
            for frame in connection.take_frames():
                if self._is_writable() and not self._queue:
                    self._transport.write_text(frame)
                else:
                    self._wait(frame)
        if connection.close_code:
            self._end()

    def on_writable(self) -> None:
        """Go on with what waits."""
        while self._queue and self._is_writable():
            frame = self._queue.popleft()
            self._bytes -= len(frame)
            self._transport.write_text(frame)

    def _wait(self, frame: bytes) -> None:
        self._queue.append(frame)
        self._bytes += len(frame)
        if len(self._queue) > QUEUE_FRAMES or self._bytes > QUEUE_BYTES:
            self.connection.close(CLOSE_SLOW, "this reader is too slow")

    def _fail(self) -> None:
        _log.exception("an error in serving client session %d", self.connection.client_session)
        self.connection.close(CLOSE_OURS, "an error of the exchange")

    def _end(self) -> None:
        """Send the close behind all that is written; a peer that does not take it in time is dropped."""
        if self._closing is None:
            if self.connection.close_code == CLOSE_SLOW:
                self._queue.clear()
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        connection = self.connection
        try:
            async with asyncio.timeout(self._linger_seconds):
                while self._queue:
                    await self._transport.writable.wait()
                    self.on_writable()
                await self._send(
                    {"type": "websocket.close", "code": connection.close_code, "reason": connection.close_text}
                )
        except TimeoutError:
            pass
        except (OSError, RuntimeError):
            return  # it has gone, or is being closed already
        await asyncio.sleep(self._linger_seconds)  # for its own closing frame
        self._transport.abort()


class TradeDoor:
    """The ASGI application of the trade socket; served with `gateway.transport.UVICORN_OPTIONS`."""

    def __init__(
        self, desk: Desk, *, most_connections: int = 1_024, logon_seconds: float = 5.0, linger_seconds: float = 10.0
    ) -> None:
        self.desk = desk
        self.most_connections = most_connections
        self.logon_seconds = logon_seconds
        self.linger_seconds = linger_seconds
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        await receive()  # websocket.connect
        if self.open >= self.most_connections:
            await send({"type": "websocket.close"})  # before the handshake: a plain 403
            return
        self.open += 1
        connection = Connection(self.desk)
        wire = Wire(connection, scope["extensions"][TRANSPORT]["it"], send, self.linger_seconds)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(wire, scope, receive)
        except OSError:
            pass  # the client has gone
        finally:
            self.open -= 1
            connection.lost()

    async def _serve(self, wire: Wire, scope: Scope, receive: Receive) -> None:
        connection = wire.connection
        connection.wake = wire.flush
        scope["extensions"][TRANSPORT]["it"].listen(wire.on_text, wire.on_writable)
        hurry = asyncio.get_running_loop().call_later(self.logon_seconds, wire.on_late)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                if text is None:
                    wire.on_binary()
                else:
                    wire.on_text(text)
        finally:
            hurry.cancel()


def make_router(desk: Desk, **options: Any) -> APIRouter:
    """Make the router with the trade door, to be included in the venue's application; options of TradeDoor."""
    router = APIRouter()
    router.routes.append(WebSocketRoute(TRADE_PATH, TradeDoor(desk, **options), name="trade"))
    return router
