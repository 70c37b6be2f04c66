"""The door `/ws/v1/trade`: a thin ASGI shell around `gateway.connection`, and the writing side of a socket.

Floor 4.  What leaves is written at once, from whatever made it, while the socket takes it; a queue, bounded, begins
only when a write would have to wait, and a client that lets it overflow is closed with 4008.  One client's trouble, and
any error of ours in serving it, ends that connection only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.connection import CLOSE_SLOW, Connection, State
from gateway.desk import Desk

__all__ = ["TRADE_PATH", "TradeDoor", "Wire", "make_router"]

TRADE_PATH: Final = "/ws/v1/trade"
CLOSE_OURS: Final = 1011
ABORT_EXTENSION: Final = "cashew.abort"  # how the application drops a connection whose peer takes nothing any more
QUEUE_FRAMES: Final = 4_096
QUEUE_BYTES: Final = 4 << 20
_log: Final = logging.getLogger("cashew.trade")


class Wire:
    """The writing side of one connection."""

    __slots__ = ("_blocked", "_bytes", "_ended", "_ending", "_queue", "_send", "abort", "connection", "linger_seconds")

    def __init__(self, connection: Connection, send: Send, abort: Callable[[], None], linger_seconds: float) -> None:
        self.connection = connection
        self.abort = abort
        self.linger_seconds = linger_seconds
        self._send = send
        self._queue: deque[str] = deque()
        self._bytes = 0
        self._blocked = False
        self._ended = False
        self._ending = False

    def flush(self) -> None:
        """Write what the connection has to say, and its close if it has ended."""
        connection = self.connection
        if self._ended:
            connection.outbox.clear()
            return
        if connection.outbox:
            for frame in connection.take_frames():
                self._put(frame)
        if connection.close_code:
            self._end()

    def _put(self, frame: str) -> None:
        if not self._blocked:
            self._write({"type": "websocket.send", "text": frame})
            return
        self._queue.append(frame)
        self._bytes += len(frame)
        if len(self._queue) > QUEUE_FRAMES or self._bytes > QUEUE_BYTES:
            self._queue.clear()
            self._bytes = 0
            self.connection.close(CLOSE_SLOW, "this reader is too slow")

    def _write(self, message: dict[str, Any]) -> None:
        """Run the server's send to its end, or to where it waits for the socket to take more."""
        self._step(self._send(message))  # type: ignore[arg-type]

    def _step(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            waiting = sending.send(None)
        except StopIteration:
            self._blocked = False
            return
        except Exception as error:  # the client is gone; the reading side learns it too and cleans up
            self._ended = True
            self._queue.clear()
            _log.debug("a client went while it was written to: %r", error)
            return
        self._blocked = True
        waiting._asyncio_future_blocking = False  # as a task does that awaits a future
        waiting.add_done_callback(lambda _: self._resume(sending))

    def _resume(self, sending: Coroutine[Any, Any, None]) -> None:
        self._step(sending)
        while self._queue and not self._blocked and not self._ended:
            frame = self._queue.popleft()
            self._bytes -= len(frame)
            self._write({"type": "websocket.send", "text": frame})
        if self.connection.close_code:
            self._end()

    def _end(self) -> None:
        """Send the close once all before it is written; a peer that does not take it in time is dropped."""
        if self._ended:
            return
        if not self._ending:
            self._ending = True
            asyncio.get_running_loop().call_later(self.linger_seconds, self.abort)
        if not self._blocked and not self._queue:
            self._ended = True
            code, text = self.connection.close_code, self.connection.close_text
            self._write({"type": "websocket.close", "code": code, "reason": text})


class TradeDoor:
    """The ASGI application of the trade socket."""

    def __init__(
        self, desk: Desk, *, most_connections: int = 1_024, logon_seconds: float = 5.0, linger_seconds: float = 2.0
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
            await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"too many connections\n"})
            return
        self.open += 1
        connection = Connection(self.desk)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(connection, scope, receive, send)
        except OSError:
            pass  # the client has gone
        finally:
            self.open -= 1
            connection.lost()

    async def _serve(self, connection: Connection, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        abort = scope.get("extensions", {}).get(ABORT_EXTENSION, {}).get("call")
        wire = Wire(connection, send, abort or _task_canceler(), self.linger_seconds)
        connection.wake = wire.flush
        hurry = loop.call_later(self.logon_seconds, _time_out, connection, wire)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                try:
                    if text is not None:
                        connection.receive(text)
                    else:
                        connection.receive_binary()
                except Exception:
                    _log.exception("an error in serving client session %d", connection.client_session)
                    connection.close(CLOSE_OURS, "an error of the exchange")
                if connection.outbox or connection.close_code:
                    wire.flush()
        finally:
            hurry.cancel()


def _time_out(connection: Connection, wire: Wire) -> None:
    if connection.state is State.HELLO:
        connection.logon_timed_out()
        wire.flush()


def _task_canceler() -> Callable[[], None]:
    task = asyncio.current_task()
    assert task is not None, "a connection is served by a task"

    def cancel() -> None:
        task.cancel()

    return cancel


def make_router(desk: Desk, **options: Any) -> APIRouter:
    """Make the router with the trade door, to be included in the venue's application; options of TradeDoor."""
    router = APIRouter()
    router.routes.append(WebSocketRoute(TRADE_PATH, TradeDoor(desk, **options), name="trade"))
    return router
