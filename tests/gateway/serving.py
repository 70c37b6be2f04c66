"""The venue's application on a real socket in the test's own loop, over a desk that the reference carries out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect

from gateway.calls import ReopeningCalls
from gateway.control import make_app
from gateway.server import TradeDoor, make_router
from gateway.transport import UVICORN_OPTIONS
from tests.gateway.kit import Floor


class Server(uvicorn.Server):
    """uvicorn that leaves the test's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Served:
    """A floor that is served: every row that comes has its turn in the loop's next pass."""

    def __init__(self, floor: Floor, door: TradeDoor, port: int) -> None:
        self.floor = floor
        self.door = door
        self.port = port
        self.calls = ReopeningCalls()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def client(self, member: str | None = None, **p: Any) -> AsyncIterator[ClientConnection]:
        """A WebSocket to the trade door, logged on for a member."""
        async with connect(f"ws://{self.url}/ws/v1/trade", compression=None, proxy=None) as socket_:
            if member is not None:
                await socket_.send(json.dumps({"op": "logon", "id": 0, "p": {"token": self.floor.tokens[member], **p}}))
                assert json.loads(await socket_.recv())["ok"]
            yield socket_


@contextlib.asynccontextmanager
async def serving(floor: Floor, **options: Any) -> AsyncIterator[Served]:
    """Serve a floor; options are those of the trade door."""
    loop = asyncio.get_running_loop()
    floor.desk.wake = lambda: loop.call_soon(floor.turn) and None

    async def open_day(trading_day: str) -> list[dict[str, Any]]:
        raise ValueError(f"not on {trading_day}")

    calls = ReopeningCalls()
    app = make_app(floor.desk, open_day=open_day, health=lambda: {"seq": floor.seq}, calls=calls)
    router = make_router(floor.desk, **options)
    app.include_router(router)
    (route,) = router.routes
    assert isinstance(route, WebSocketRoute) and isinstance(route.endpoint, TradeDoor)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off", **UVICORN_OPTIONS))
    task = asyncio.create_task(server.serve([bound]))
    try:
        while not server.started:
            await asyncio.sleep(0)
        served = Served(floor, route.endpoint, bound.getsockname()[1])
        served.calls = calls
        yield served
    finally:
        server.should_exit = True
        await task
        bound.close()


async def ask(client: ClientConnection, op: str, request_id: int = 1, **p: Any) -> dict[str, Any]:
    """Send a request and give its answer, passing over private events."""
    await client.send(json.dumps({"op": op, "id": request_id, "p": p}))
    while True:
        message: dict[str, Any] = json.loads(await client.recv())
        if message["ev"] != "exec":
            return message


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One frame of a client, masked with zeros, whatever it holds."""
    first, length = (0x80 if fin else 0) | opcode, len(payload)
    if length < 126:
        head = struct.pack(">BB", first, 0x80 | length)
    elif length < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, length)
    return head + bytes(4) + payload
